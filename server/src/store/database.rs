//! The database: a SQLite file in the data folder, or PostgreSQL by its address.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor, SqlSafeStr};
use tokio::time::timeout;

use super::error::StoreError;

/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections to PostgreSQL, beside the one that listens.
const CONNECTIONS: u32 = 8;

/// What is shown of an address that may have its password anywhere.
const UNREADABLE: &str = "an address that can't be read";

/// Address of a PostgreSQL database: `postgres://user:password@host:5432/name`. Whoever prints it
/// sees no password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl FromStr for DatabaseUrl {
    type Err = Infallible;

    /// Takes any text, so that a refusal by the command line can't print a password; what it is
    /// shows when the database is opened.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(AnyConnectOptions { database_url: url, .. }) = self.read() else {
            return f.write_str(UNREADABLE);
        };
        write!(f, "{}://", url.scheme())?;
        if !url.username().is_empty() {
            write!(f, "{}@", url.username())?;
        }
        // A folder of sockets is named behind the question mark.
        let query = url.query_pairs();
        let host = query.filter(|(key, _)| key == "host").map(|(_, host)| host).next();
        f.write_str(host.as_deref().or(url.host_str()).unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

impl DatabaseUrl {
    /// With the password, for those who connect.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The address, if it is one of PostgreSQL's whose parts are where they should be: a password with
    /// a bare `/` in it ends up in another part.
    fn read(&self) -> Option<AnyConnectOptions> {
        let known = ["postgres://", "postgresql://"].iter().any(|start| self.0.starts_with(start));
        let options = AnyConnectOptions::from_str(&self.0).ok().filter(|_| known)?;
        let whole = !self.0.contains('@') || !options.database_url.username().is_empty();
        whole.then_some(options)
    }

    fn options(&self) -> Result<AnyConnectOptions, StoreError> {
        self.read().ok_or_else(|| StoreError::Postgres {
            database: self.to_string(),
            what: "is not an address of PostgreSQL".to_owned(),
            hint:
                "Write `--database postgres://USER:PASSWORD@HOST:5432/NAME`, with %2F for `/` and \
                   %40 for `@` in the password."
                    .to_owned(),
        })
    }
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Database {
    /// A file in this data folder.
    Sqlite(Box<Path>),
    /// At this address.
    Postgres(DatabaseUrl),
}

impl Database {
    /// Connects, and brings the tables up to date. `pragmas` are SQLite's.
    pub async fn open(&self, pragmas: &'static [&'static str]) -> Result<AnyPool, StoreError> {
        install_default_drivers();
        let pool = match self {
            Self::Sqlite(folder) => sqlite(folder, pragmas).await,
            Self::Postgres(url) => postgres(&url.options()?).await,
        };
        let pool = pool.map_err(|error| self.failed(&error))?;
        // Of several servers that begin at once, one does it: PostgreSQL has a lock for that.
        migrations().run(&pool).await.map_err(|error| self.migration_failed(error))?;
        Ok(pool)
    }

    /// A failure of this database.
    pub fn failed(&self, error: &sqlx::Error) -> StoreError {
        match self {
            Self::Sqlite(folder) => StoreError::sqlite(folder, error),
            Self::Postgres(url) => StoreError::postgres(url, error),
        }
    }

    /// `sql` with the database's clock, in milliseconds since 1970, in place of `{now}`.
    pub fn timed(&self, sql: &str) -> AssertSqlSafe<String> {
        let now = match self {
            Self::Sqlite(_) => "CAST(unixepoch('subsec') * 1000 AS BIGINT)",
            Self::Postgres(_) => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        };
        AssertSqlSafe(sql.replace("{now}", now))
    }

    fn migration_failed(&self, error: MigrateError) -> StoreError {
        match error {
            MigrateError::Execute(inner) | MigrateError::ExecuteMigration(inner, _) => {
                self.failed(&inner)
            }
            other => StoreError::Version { place: self.to_string(), reason: other.to_string() },
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(folder) => write!(f, "{}", folder.display()),
            Self::Postgres(url) => write!(f, "{url}"),
        }
    }
}

async fn sqlite(folder: &Path, pragmas: &'static [&'static str]) -> Result<AnyPool, sqlx::Error> {
    // FULL, not NORMAL: a unit that was reported as stored survives a power cut too.
    const ALWAYS: [&str; 4] = [
        "PRAGMA busy_timeout = 30000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
    ];
    let file = folder.canonicalize()?.join("polylogue.db");
    let options = AnyConnectOptions::from_str(&format!("sqlite://{}?mode=rwc", encoded(&file)))?;
    AnyPoolOptions::new()
        .max_connections(4)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for pragma in ALWAYS.iter().chain(pragmas) {
                    connection.execute(*pragma).await?;
                }
                Ok(())
            })
        })
        .connect_with(options)
        .await
}

/// A path as part of an address.
fn encoded(path: &Path) -> String {
    use fmt::Write;
    let mut text = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                text.push(byte.into());
            }
            // Writing to a string can't fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

async fn postgres(options: &AnyConnectOptions) -> Result<AnyPool, sqlx::Error> {
    // A pool tries again until its patience is over and doesn't say why it failed; this does.
    let first = timeout(PATIENCE, AnyConnection::connect_with(options)).await;
    first.map_err(|_| sqlx::Error::PoolTimedOut)??.close().await?;
    AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .connect_with(options.clone())
        .await
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
        (40, "servers", include_str!("../../migrations/0040_servers.sql")),
    ];
    Migrator::with_migrations(all.into_iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_shows_its_password() {
        for (given, shown) in [
            ("postgres://ann:secret@host:5433/polylogue", "postgres://ann@host:5433/polylogue"),
            ("postgres://ann@localhost/p?host=/run/pg&password=secret", "postgres://ann@/run/pg/p"),
            ("postgres://host/p?password=secret", "postgres://host/p"),
            ("ann:secret@host", UNREADABLE),
            ("postgres:ann:secret@host/p", UNREADABLE),
            ("postgres://ann:12/secret@host/p", UNREADABLE),
            ("mysql://ann:secret@host/p", UNREADABLE),
        ] {
            let url = DatabaseUrl::from_str(given).unwrap();
            let refusal = url.options().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!format!("{url} {url:?} {refusal}").contains("secret"), "{url} {refusal}");
            assert_eq!(url.to_string(), shown);
        }
    }
}
