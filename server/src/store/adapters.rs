//! Adapters: which exist for which base model, and where their files lie.

use std::path::PathBuf;

use domain::culture::CultureCode;

use super::{Store, StoreError, now};

/// An adapter whose files lie in the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterRow {
    /// SHA-256 of the base model's weights it belongs to.
    pub base_hash: String,
    /// Unique among the adapters of that base: `joint`, `specific-THA`.
    pub name: String,
    /// SHA-256 of `adapter_model.safetensors`.
    pub hash: String,
    /// The culture it was tuned for; `None` for a joint one.
    pub culture: Option<CultureCode>,
    /// The run that made it.
    pub run: Option<String>,
    /// Where its files lie.
    pub folder: PathBuf,
}

type Row = (String, String, String, Option<String>, Option<String>, String);

impl Store {
    /// Registers an adapter, replacing one of the same name for the same base.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn put_adapter(&self, adapter: &AdapterRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO adapters (base_hash, name, hash, culture, run, folder, created, server) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (base_hash, name) DO UPDATE SET hash = excluded.hash, \
             culture = excluded.culture, run = excluded.run, folder = excluded.folder, \
             created = excluded.created, server = excluded.server",
        )
        .bind(&adapter.base_hash)
        .bind(&adapter.name)
        .bind(&adapter.hash)
        .bind(adapter.culture.map(|code| code.to_string()))
        .bind(&adapter.run)
        .bind(self.relative(&adapter.folder))
        .bind(now())
        .bind(self.server())
        .execute(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// The adapters for a base model whose files are in this data folder, joint ones first, then by
    /// name.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn adapters(&self, base_hash: &str) -> Result<Vec<AdapterRow>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT base_hash, name, hash, culture, run, folder FROM adapters \
             WHERE base_hash = $1 AND (server IS NULL OR server = $2) \
             ORDER BY CASE WHEN culture IS NULL THEN 0 ELSE 1 END, name",
        )
        .bind(base_hash)
        .bind(self.server())
        .fetch_all(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        rows.into_iter()
            .map(|(base_hash, name, hash, culture, run, folder)| {
                let culture = culture
                    .map(|code| code.parse())
                    .transpose()
                    .map_err(|error| StoreError::broken(format!("adapter `{name}`"), error))?;
                let folder = self.folder().join(folder);
                Ok(AdapterRow { base_hash, name, hash, culture, run, folder })
            })
            .collect()
    }

    /// Folders inside the data folder are kept relative to it, so that it can be moved.
    fn relative(&self, folder: &std::path::Path) -> String {
        folder.strip_prefix(self.folder()).unwrap_or(folder).to_string_lossy().into_owned()
    }
}
