//! What happened in annotation projects: events, which are added and never changed, and leases.

use app::api::annotation::Numbered;
use domain::annotation::{Event, ItemId, Lease, MemberId};

use super::surveys::{decode, encode};
use super::{Store, StoreError};

/// What an event does to its author's lease of its item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseChange {
    /// Nothing.
    None,
    /// The lease ends.
    End,
    /// It begins, or is renewed.
    Take(Lease),
}

impl Store {
    /// Stores an event under the next number of its project, together with what it does to a lease.
    /// An event of that submission stays as it is; its number is returned.
    ///
    /// # Errors
    /// [`StoreError::Full`] or another failure of the database; then nothing has changed.
    pub async fn append_annotation_event(
        &self,
        project: &str,
        event: &Event,
        lease: &LeaseChange,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(|e| self.failed(e))?;
        let sequence = self.insert_event(&mut transaction, project, event).await?;
        match (lease, &event.item) {
            (LeaseChange::Take(lease), _) => {
                self.upsert_lease(&mut transaction, project, lease).await?;
            }
            (LeaseChange::End, Some(item)) => {
                sqlx::query(
                    "DELETE FROM annotation_leases \
                     WHERE project = $1 AND item = $2 AND member = $3",
                )
                .bind(project)
                .bind(item.as_str())
                .bind(event.author.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(|e| self.failed(e))?;
            }
            _ => {}
        }
        transaction.commit().await.map_err(|e| self.failed(e))?;
        Ok(sequence)
    }

    /// Stores that a member has left for good: their name, token and leases are gone, their events
    /// stay.
    ///
    /// # Errors
    /// A failure of the database; then nothing has changed.
    pub async fn forget_annotation_member(
        &self,
        project: &str,
        event: &Event,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(|e| self.failed(e))?;
        let sequence = self.insert_event(&mut transaction, project, event).await?;
        for statement in [
            "UPDATE annotation_members SET name = '', token_hash = NULL \
             WHERE project = $1 AND member = $2",
            "DELETE FROM annotation_leases WHERE project = $1 AND member = $2",
        ] {
            sqlx::query(statement)
                .bind(project)
                .bind(event.author.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(|e| self.failed(e))?;
        }
        transaction.commit().await.map_err(|e| self.failed(e))?;
        Ok(sequence)
    }

    async fn insert_event(
        &self,
        transaction: &mut sqlx::SqliteTransaction<'_>,
        project: &str,
        event: &Event,
    ) -> Result<u64, StoreError> {
        // One statement numbers and inserts, so that two events never get the same number.
        let new: Option<i64> = sqlx::query_scalar(
            "INSERT INTO annotation_events (project, sequence, submission, body) \
             SELECT $1, COALESCE(MAX(sequence), 0) + 1, $2, $3 FROM annotation_events \
             WHERE project = $1 ON CONFLICT (project, submission) DO NOTHING RETURNING sequence",
        )
        .bind(project)
        .bind(event.submission.as_str())
        .bind(encode("event", event)?)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(|e| self.failed(e))?;
        let known = "SELECT sequence FROM annotation_events WHERE project = $1 AND submission = $2";
        let sequence = match new {
            Some(sequence) => sequence,
            None => sqlx::query_scalar(known)
                .bind(project)
                .bind(event.submission.as_str())
                .fetch_one(&mut **transaction)
                .await
                .map_err(|e| self.failed(e))?,
        };
        Ok(sequence.unsigned_abs())
    }

    /// The events of a project after `since`, in order.
    ///
    /// # Errors
    /// [`StoreError::Broken`] if a stored event doesn't have its shape.
    pub async fn annotation_events(
        &self,
        project: &str,
        since: u64,
    ) -> Result<Vec<Numbered>, StoreError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT sequence, body FROM annotation_events \
             WHERE project = $1 AND sequence > $2 ORDER BY sequence",
        )
        .bind(project)
        .bind(i64::try_from(since).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        rows.into_iter()
            .map(|(sequence, body)| {
                let what = format!("event {sequence} of annotation project `{project}`");
                Ok(Numbered { sequence: sequence.unsigned_abs(), event: decode(&what, &body)? })
            })
            .collect()
    }

    /// Stores leases; those that are there for the same item and member are replaced.
    ///
    /// # Errors
    /// A failure of the database; then nothing has changed.
    pub async fn put_annotation_leases(
        &self,
        project: &str,
        leases: &[Lease],
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await.map_err(|e| self.failed(e))?;
        for lease in leases {
            self.upsert_lease(&mut transaction, project, lease).await?;
        }
        transaction.commit().await.map_err(|e| self.failed(e))
    }

    async fn upsert_lease(
        &self,
        transaction: &mut sqlx::SqliteTransaction<'_>,
        project: &str,
        lease: &Lease,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO annotation_leases (project, item, member, until) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (project, item, member) DO UPDATE SET until = excluded.until",
        )
        .bind(project)
        .bind(lease.item.as_str())
        .bind(lease.member.as_str())
        .bind(lease.until)
        .execute(&mut **transaction)
        .await
        .map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// All leases of a project, those that ran out included.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn annotation_leases(&self, project: &str) -> Result<Vec<Lease>, StoreError> {
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT item, member, until FROM annotation_leases WHERE project = $1")
                .bind(project)
                .fetch_all(&self.pool)
                .await
                .map_err(|e| self.failed(e))?;
        let lease =
            |(item, member, until)| Lease { item: ItemId(item), member: MemberId(member), until };
        Ok(rows.into_iter().map(lease).collect())
    }
}
