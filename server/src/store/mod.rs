//! Everything that is kept: surveys, runs with their units, adapters.
//!
//! One folder holds the database and the adapters' files; one process works in it at a time.
//! - [`folder`]: where it is, and the lock;
//! - [`surveys`], [`runs`], [`steps`], [`units`], [`adapters`]: one table each (surveys: two);
//! - [`annotations`], [`annotation_events`]: annotation projects, and what happened in them;
//! - [`error`]: what can go wrong.
//!
//! **Invariant:** SQL stays in here, and is such that PostgreSQL takes it too. A call either stores
//! everything it was given or nothing.

pub mod adapters;
pub mod annotation_events;
pub mod annotations;
pub mod error;
pub mod folder;
pub mod runs;
pub mod steps;
pub mod surveys;
pub mod units;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlSafeStr as _;
use sqlx::SqlitePool;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

pub use adapters::AdapterRow;
pub use annotation_events::LeaseChange;
pub use annotations::{StoredInvite, StoredMember, StoredProject};
pub use error::StoreError;
pub use folder::default_folder;
pub use runs::{NewRun, Run, RunKind};
pub use units::{Content, Unit, UnitKey};

use folder::FolderLock;

/// The open data folder; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
    folder: Arc<Path>,
    _lock: Arc<FolderLock>,
}

impl Store {
    /// Opens the data folder, making it and bringing its database up to date where needed.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another process has it open; see [`StoreError`] for the rest.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, |options| options).await
    }

    pub(crate) async fn open_with(
        folder: &Path,
        adjust: impl FnOnce(SqliteConnectOptions) -> SqliteConnectOptions,
    ) -> Result<Self, StoreError> {
        let lock = FolderLock::take(folder)?;
        // FULL, not NORMAL: a unit that was reported as stored survives a power cut too.
        let options = SqliteConnectOptions::new()
            .filename(folder.join("polylogue.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(adjust(options))
            .await
            .map_err(|error| StoreError::database(folder, &error))?;
        migrations().run(&pool).await.map_err(|error| migration_error(folder, error))?;
        Ok(Self { pool, folder: folder.into(), _lock: Arc::new(lock) })
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the files of a run's adapters go.
    pub fn adapters_folder(&self) -> PathBuf {
        self.folder.join("adapters")
    }

    /// Where a run keeps files of its own, such as tuning checkpoints.
    pub fn run_folder(&self, run: &str) -> PathBuf {
        self.folder.join("runs").join(run)
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        StoreError::database(&self.folder, &error)
    }
}

fn migrations() -> Migrator {
    let migration = |(number, name, text): (i64, &'static str, &'static str)| {
        let (name, kind) = (Cow::Borrowed(name), MigrationType::Simple);
        Migration::new(number, name, kind, text.into_sql_str(), false)
    };
    let all = [
        (1, "initial", include_str!("../../migrations/0001_initial.sql")),
        (20, "steps", include_str!("../../migrations/0020_steps.sql")),
        (21, "served", include_str!("../../migrations/0021_served.sql")),
        (30, "annotation", include_str!("../../migrations/0030_annotation.sql")),
        (31, "annotation_source", include_str!("../../migrations/0031_annotation_source.sql")),
    ];
    Migrator::with_migrations(all.into_iter().map(migration).collect())
}

fn migration_error(folder: &Path, error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(inner) | MigrateError::ExecuteMigration(inner, _) => {
            StoreError::database(folder, &inner)
        }
        other => StoreError::Version { path: folder.to_owned(), reason: other.to_string() },
    }
}

/// Now, RFC 3339 in UTC, to the second.
fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    let now = now.replace_nanosecond(0).unwrap_or(now);
    now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests;
