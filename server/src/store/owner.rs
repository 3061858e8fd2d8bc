//! Whose a run is: two servers on one database never both work on it.
//!
//! A run belongs to the server that began it. While a server works, it holds a lock on the database
//! ([`super::link`]); without it, another server takes the run over, unless the run has files, which are
//! in the data folder of the first. Whoever lost a run learns of it at the next thing to store.

use app::api::JobState;
use sqlx::{Any, Transaction};

use super::runs::state_name;
use super::server_id::lock_key;
use super::{Store, StoreError};

impl Store {
    /// Tells the others where this server's files are, and that nobody is connected to it yet.
    pub(super) async fn sign_in(&self) -> Result<(), StoreError> {
        let Some(server) = self.server() else { return Ok(()) };
        let folder = self.folder.display().to_string();
        sqlx::query(
            "INSERT INTO servers (id, folder) VALUES ($1, $2) \
             ON CONFLICT (id) DO UPDATE SET folder = excluded.folder",
        )
        .bind(server)
        .bind(folder)
        .execute(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        self.drop_all_presence(server).await
    }

    /// Notes that this process is at work on a run, and that the run is this server's from now on. Where it
    /// is `served`, a server goes on with it after a crash; what a command began waits then.
    ///
    /// # Errors
    /// [`StoreError::OtherServer`] where it can't be; [`StoreError::UnknownRun`].
    pub async fn begin_run(&self, run: &str, served: bool) -> Result<(), StoreError> {
        let owned = self.put_state(run, JobState::Running, None, served).await;
        match (owned, self.server()) {
            (Err(StoreError::OtherServer { .. }), Some(server)) => {
                self.take_over(run, served, server).await
            }
            (owned, _) => owned,
        }
    }

    async fn take_over(&self, run: &str, served: bool, server: &str) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await.map_err(|e| self.failed(e))?;
        let owner: Option<String> = sqlx::query_scalar("SELECT server FROM runs WHERE id = $1")
            .bind(run)
            .fetch_one(&mut *transaction)
            .await
            .map_err(|e| self.failed(e))?;
        let owner = owner.unwrap_or_default();
        // Held until the end of the transaction: the owner can't come back meanwhile.
        let gone: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
            .bind(lock_key(&owner))
            .fetch_one(&mut *transaction)
            .await
            .map_err(|e| self.failed(e))?;
        let why = match (gone, self.has_files(&mut transaction, run).await?) {
            (false, _) => Some(", which is at work"),
            (true, true) => Some(", which has its adapters"),
            (true, false) => None,
        };
        if let Some(why) = why {
            drop(transaction);
            return Err(self.other_server(run, why).await);
        }
        let taken = sqlx::query(
            "UPDATE runs SET server = $2, state = $3, error = NULL, served = $5 \
             WHERE id = $1 AND server = $4",
        )
        .bind(run)
        .bind(server)
        .bind(state_name(JobState::Running))
        .bind(&owner)
        .bind(i64::from(served))
        .execute(&mut *transaction)
        .await
        .map_err(|e| self.failed(e))?;
        if taken.rows_affected() == 0 {
            drop(transaction);
            return Err(self.other_server(run, ", which was faster").await);
        }
        transaction.commit().await.map_err(|e| self.failed(e))?;
        tracing::info!(run, "taken over from a server that is gone");
        Ok(())
    }

    /// Whether a run has begun to tune: all before that is in the database.
    async fn has_files(
        &self,
        transaction: &mut Transaction<'_, Any>,
        run: &str,
    ) -> Result<bool, StoreError> {
        let found: i64 = sqlx::query_scalar(
            "SELECT (SELECT COUNT(*) FROM adapters WHERE run = $1) + \
             (SELECT COUNT(*) FROM steps WHERE run = $1 AND step = 'tune' AND state <> 'waiting')",
        )
        .bind(run)
        .fetch_one(&mut **transaction)
        .await
        .map_err(|e| self.failed(e))?;
        Ok(found > 0)
    }

    /// Why something about a run can't be stored that should be there: it is another server's, or not
    /// there at all.
    pub(super) async fn not_ours(&self, run: &str) -> StoreError {
        match self.run(run).await {
            Ok(_) => self.other_server(run, "").await,
            Err(error) => error,
        }
    }

    async fn other_server(&self, run: &str, why: &'static str) -> StoreError {
        let folder: Result<Option<String>, _> = sqlx::query_scalar(
            "SELECT folder FROM servers JOIN runs ON runs.server = servers.id WHERE runs.id = $1",
        )
        .bind(run)
        .fetch_optional(&self.pool)
        .await;
        match folder {
            Ok(folder) => {
                let folder = folder.unwrap_or_else(|| "unknown".to_owned());
                StoreError::OtherServer { run: run.to_owned(), folder, why }
            }
            Err(error) => self.failed(error),
        }
    }

    /// Refuses what only the server of a run can do.
    ///
    /// # Errors
    /// [`StoreError::OtherServer`]; [`StoreError::UnknownRun`].
    pub async fn check_owner(&self, run: &str) -> Result<(), StoreError> {
        match self.run(run).await?.elsewhere {
            true => Err(self.other_server(run, "").await),
            false => Ok(()),
        }
    }
}
