//! Everything that is kept: surveys, runs with their units, adapters, annotation.
//!
//! One folder holds the adapters' files and, unless PostgreSQL is named, the database; one process
//! works in a folder at a time. Several servers, each with a folder of its own, may share one
//! PostgreSQL.
//! - [`folder`]: where it is, and the lock; [`database`]: the two databases, and their migrations;
//! - [`server_id`], [`link`], [`owner`]: which server this is, what it hears of others, and whose a run is;
//! - [`surveys`], [`runs`], [`steps`], [`units`], [`adapters`]: one table each (surveys: two);
//!   [`recordings`]: a survey with answers that were recorded to it;
//! - [`annotations`]: annotation projects; [`annotation_events`]: changing one, alone with it;
//!   [`annotation_presence`]: who is connected to other servers;
//! - [`error`]: what can go wrong.
//!
//! **Invariant:** SQL stays in here, and is such that SQLite and PostgreSQL both take it. A call either
//! stores everything it was given or nothing.

pub mod adapters;
pub mod annotation_events;
pub mod annotation_presence;
pub mod annotations;
pub mod database;
pub mod error;
pub mod folder;
pub mod link;
pub mod owner;
pub mod recordings;
pub mod runs;
pub mod server_id;
pub mod steps;
pub mod surveys;
pub mod units;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::{AnyConnection, AnyPool};
use tokio::sync::broadcast;

pub use adapters::AdapterRow;
pub use annotation_events::{ProjectChanges, ProjectTurn};
pub use annotations::{StoredInvite, StoredMember, StoredProject};
pub use database::DatabaseUrl;
pub use error::StoreError;
pub use folder::default_folder;
pub use link::News;
pub use recordings::{FinishedRun, Imported};
pub use runs::{NewRun, Run, RunKind};
pub use units::{Content, Unit, UnitKey};

use database::Database;
use folder::FolderLock;
use link::Link;
use server_id::ServerId;

/// The open data folder with its database; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    database: Arc<Database>,
    folder: Arc<Path>,
    /// This server among others; `None` where the database is in the data folder.
    shared: Option<Arc<Shared>>,
    _lock: Arc<FolderLock>,
}

/// What a server on a shared database has beside the rest.
#[derive(Debug)]
struct Shared {
    server: ServerId,
    link: Link,
}

impl Store {
    /// Opens the data folder with a database in it, making both and bringing the tables up to date
    /// where needed.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another process has it open; see [`StoreError`] for the rest.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, &[]).await
    }

    /// As [`Store::open`], with more of SQLite's pragmas.
    pub(crate) async fn open_with(
        folder: &Path,
        pragmas: &'static [&'static str],
    ) -> Result<Self, StoreError> {
        let lock = FolderLock::take(folder)?;
        let database = Database::Sqlite(folder.into());
        let pool = database.open(pragmas).await?;
        Ok(Self::of(pool, database, folder, None, lock))
    }

    /// Opens the data folder with a database in PostgreSQL, which several servers may share.
    ///
    /// # Errors
    /// As [`Store::open`]; [`StoreError::Postgres`], [`StoreError::Unreachable`],
    /// [`StoreError::Twin`].
    pub async fn open_shared(folder: &Path, url: &DatabaseUrl) -> Result<Self, StoreError> {
        let lock = FolderLock::take(folder)?;
        let server = ServerId::of(folder)?;
        let database = Database::Postgres(url.clone());
        let pool = database.open(&[]).await?;
        let link = Link::open(url, &server).await?;
        let shared = Some(Arc::new(Shared { server, link }));
        let store = Self::of(pool, database, folder, shared, lock);
        store.sign_in().await?;
        Ok(store)
    }

    fn of(
        pool: AnyPool,
        database: Database,
        folder: &Path,
        shared: Option<Arc<Shared>>,
        lock: FolderLock,
    ) -> Self {
        let (database, lock) = (Arc::new(database), Arc::new(lock));
        Self { pool, database, folder: folder.into(), shared, _lock: lock }
    }

    /// What other servers on the same database store from now on; `None` where there can't be any.
    pub fn listen(&self) -> Option<broadcast::Receiver<News>> {
        self.shared.as_ref().map(|shared| shared.link.listen())
    }

    /// Whether other servers may have changed something.
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Tells other servers, if there can be any.
    async fn send(&self, news: &News) -> Result<(), StoreError> {
        if self.shared.is_none() {
            return Ok(());
        }
        let mut connection = self.pool.acquire().await.map_err(|e| self.failed(e))?;
        self.send_in(&mut connection, news).await
    }

    /// Tells other servers once the transaction of this connection is committed.
    async fn send_in(&self, connection: &mut AnyConnection, news: &News) -> Result<(), StoreError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        sqlx::query(link::SEND)
            .bind(news.payload(&shared.server))
            .execute(connection)
            .await
            .map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// This server's name in columns that say whose something is.
    fn server(&self) -> Option<&str> {
        self.shared.as_ref().map(|shared| shared.server.as_str())
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
        self.database.failed(&error)
    }
}

/// Now, RFC 3339 in UTC, to the second.
fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    let now = now.replace_nanosecond(0).unwrap_or(now);
    now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

pub mod testing;
#[cfg(test)]
mod tests;
