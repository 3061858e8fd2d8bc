//! Units: the smallest pieces of a run, each stored once.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::AnyConnection;

use super::surveys::{decode, encode};
use super::{Store, StoreError};

/// Names a unit within a step of its run.
pub type UnitKey = String;

/// One result to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit<T> {
    /// Its name within the step.
    pub key: UnitKey,
    /// What came out.
    pub result: T,
}

/// What a step of a run has stored, by its hash: two runs with the same have done the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Number of units.
    pub units: usize,
    /// SHA-256 over keys and results as they are stored, sorted by key.
    pub sha256: String,
}

impl Store {
    /// Stores results of one step and the run's progress in one transaction. A unit that is there
    /// already stays as it is, so that repeating work changes nothing. Returns the units the run
    /// holds now, over all steps.
    ///
    /// # Errors
    /// [`StoreError::OtherServer`], [`StoreError::Full`] or another failure of the database; then none
    /// of them is stored.
    pub async fn record_units<T: Serialize>(
        &self,
        run: &str,
        step: &str,
        units: &[Unit<T>],
    ) -> Result<usize, StoreError> {
        let encoded: Vec<(UnitKey, String)> = units
            .iter()
            .map(|unit| Ok((unit.key.clone(), encode("result", &unit.result)?)))
            .collect::<Result<_, StoreError>>()?;
        let mut transaction = self.pool.begin().await.map_err(|e| self.failed(e))?;
        insert_units(&mut transaction, run, step, &encoded).await.map_err(|e| self.failed(e))?;
        let answered: Option<i64> = sqlx::query_scalar(
            "UPDATE runs SET answered = (SELECT COUNT(*) FROM units WHERE run = $1) \
             WHERE id = $1 AND (server IS NULL OR server = $2) RETURNING answered",
        )
        .bind(run)
        .bind(self.server())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(|e| self.failed(e))?;
        let Some(answered) = answered else {
            drop(transaction);
            return Err(self.not_ours(run).await);
        };
        transaction.commit().await.map_err(|e| self.failed(e))?;
        Ok(answered.max(0) as usize)
    }

    /// Gives `to` all units of a step that `from` has and it hasn't.
    ///
    /// # Errors
    /// [`StoreError::Full`] or another failure of the database; then nothing has changed.
    pub async fn copy_units(&self, from: &str, to: &str, step: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO units (run, step, unit, result) \
             SELECT $2, step, unit, result FROM units WHERE run = $1 AND step = $3 \
             ON CONFLICT DO NOTHING",
        )
        .bind(from)
        .bind(to)
        .bind(step)
        .execute(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// All results of one step, by key.
    ///
    /// # Errors
    /// [`StoreError::Broken`] if a result doesn't have that shape.
    pub async fn units<T: DeserializeOwned>(
        &self,
        run: &str,
        step: &str,
    ) -> Result<BTreeMap<UnitKey, T>, StoreError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT unit, result FROM units WHERE run = $1 AND step = $2")
                .bind(run)
                .bind(step)
                .fetch_all(&self.pool)
                .await
                .map_err(|e| self.failed(e))?;
        rows.into_iter()
            .map(|(key, result)| {
                let result = decode(&format!("unit `{step}/{key}` of run `{run}`"), &result)?;
                Ok((key, result))
            })
            .collect()
    }

    /// What one step has stored.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn content(&self, run: &str, step: &str) -> Result<Content, StoreError> {
        let mut rows: Vec<(String, String)> =
            sqlx::query_as("SELECT unit, result FROM units WHERE run = $1 AND step = $2")
                .bind(run)
                .bind(step)
                .fetch_all(&self.pool)
                .await
                .map_err(|e| self.failed(e))?;
        // Here, because databases sort texts each in their own way.
        rows.sort();
        let mut hash = Sha256::new();
        for text in rows.iter().flat_map(|(key, result)| [key, result]) {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        Ok(Content { units: rows.len(), sha256: format!("{:x}", hash.finalize()) })
    }
}

/// Stores results as they are encoded; a unit that is there already stays as it is.
pub(super) async fn insert_units(
    connection: &mut AnyConnection,
    run: &str,
    step: &str,
    units: &[(UnitKey, String)],
) -> Result<(), sqlx::Error> {
    for (key, result) in units {
        sqlx::query(
            "INSERT INTO units (run, step, unit, result) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (run, step, unit) DO NOTHING",
        )
        .bind(run)
        .bind(step)
        .bind(key)
        .bind(result)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// A step's results as they are encoded, by key.
pub(super) async fn stored_units(
    connection: &mut AnyConnection,
    run: &str,
    step: &str,
) -> Result<BTreeMap<UnitKey, String>, sqlx::Error> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT unit, result FROM units WHERE run = $1 AND step = $2")
            .bind(run)
            .bind(step)
            .fetch_all(&mut *connection)
            .await?;
    Ok(rows.into_iter().collect())
}
