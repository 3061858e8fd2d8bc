//! What can go wrong between the server and its data folder. The store's only error type.

use std::io;
use std::path::{Path, PathBuf};

use super::database::DatabaseUrl;

/// Why something can't be kept or found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No data folder was named, and the system knows none for this user.
    #[error("there is no data folder for this user\nName one with `--data DIR` or POLYLOGUE_DATA.")]
    NoFolder,

    /// The folder can't be made, read or written.
    #[error(
        "the data folder `{}` can't be used: {reason}\nName another one with `--data DIR` or \
         POLYLOGUE_DATA.", path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },

    /// Another process works in the folder; two would overwrite each other's runs.
    #[error(
        "the data folder `{}` is in use by another Polylogue\nStop that one first, or name another \
         folder with `--data DIR`.", path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },

    /// No room is left; the transaction was rolled back as a whole.
    #[error(
        "the disk that holds `{place}` is full; nothing was half-stored\nFree some space and repeat: \
         what was stored before is kept."
    )]
    Full {
        /// The folder, or the database's address.
        place: String,
    },

    /// The database was written by a version that knows more than this one.
    #[error(
        "the database in `{place}` can't be brought up to date: {reason}\nUse the Polylogue that wrote \
         it, or a newer one, or name another one with `--data DIR` or `--database URL`."
    )]
    Version {
        /// The folder, or the database's address.
        place: String,
        /// Which migration.
        reason: String,
    },

    /// SQLite refuses.
    #[error(
        "the database in `{}` failed: {reason}\nTry again; if it stays, copy the folder away and \
         start with an empty one.", path.display()
    )]
    Database {
        /// The folder.
        path: PathBuf,
        /// What it says.
        reason: String,
    },

    /// PostgreSQL refuses.
    #[error("the database `{database}` {what}\n{hint}")]
    Postgres {
        /// Its address, without the password.
        database: String,
        /// What happened.
        what: String,
        /// A way out.
        hint: String,
    },

    /// PostgreSQL doesn't answer.
    #[error(
        "the database `{database}` can't be reached: {reason}\nStart PostgreSQL, or name another \
         database with `--database URL` or POLYLOGUE_DATABASE."
    )]
    Unreachable {
        /// Its address, without the password.
        database: String,
        /// What the system says.
        reason: String,
    },

    /// Another process works on the database under the name of this data folder's server.
    #[error(
        "another Polylogue works on the database `{database}` with a copy of this data folder\nStop \
         that one first, or name another folder with `--data DIR`."
    )]
    Twin {
        /// Its address, without the password.
        database: String,
    },

    /// The run's files are in another data folder, or another server is at work on it.
    #[error(
        "the run `{run}` belongs to another server, with the data folder `{folder}`{why}\nUse that \
         server, or begin a new run."
    )]
    OtherServer {
        /// The run.
        run: String,
        /// The data folder, as that server names it.
        folder: String,
        /// Why it can't be taken over.
        why: &'static str,
    },

    /// PostgreSQL keeps no such text.
    #[error("a text must not hold the character U+0000\nLeave it out.")]
    NulCharacter,

    /// A stored value doesn't have its shape.
    #[error(
        "the stored {what} can't be read: {reason}\nIt was changed by hand or by a newer Polylogue; \
         store it again."
    )]
    Broken {
        /// Which value.
        what: String,
        /// What is wrong with it.
        reason: String,
    },

    /// No survey of that name.
    #[error("there is no survey `{id}`\nIn the store: {}.", list(known))]
    UnknownSurvey {
        /// The name asked for.
        id: String,
        /// Names that exist.
        known: Vec<String>,
    },

    /// No run of that name.
    #[error("there is no run `{id}`\nIn the store: {}.", list(known))]
    UnknownRun {
        /// The name asked for.
        id: String,
        /// Names that exist, newest first.
        known: Vec<String>,
    },

    /// A run of that name exists with other settings.
    #[error(
        "the run `{id}` exists with other settings: {difference}\nGive the same settings to resume \
         it, or another name with `--run NAME`."
    )]
    RunExists {
        /// Its name.
        id: String,
        /// Which setting, with both values.
        difference: String,
    },

    /// The name of recorded answers is taken by other ones.
    #[error(
        "the run `{id}` holds {kept}, the files {given}: {difference}\nNothing was stored. Give these \
         answers a name of their own with `--name`, or in the form's field for it."
    )]
    RecordingExists {
        /// The run's name.
        id: String,
        /// What is there.
        kept: String,
        /// What was to be stored under its name.
        given: String,
        /// What sets them apart.
        difference: String,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none yet".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl StoreError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoFolder | Self::Folder { .. } => "data-folder",
            Self::Locked { .. } => "data-folder-in-use",
            Self::Full { .. } => "disk-full",
            Self::Version { .. } => "data-version",
            Self::Database { .. } | Self::Postgres { .. } => "database",
            Self::Unreachable { .. } => "database-unreachable",
            Self::Twin { .. } => "data-folder-in-use",
            Self::OtherServer { .. } => "other-server",
            Self::NulCharacter => "invalid-text",
            Self::Broken { .. } => "stored-value",
            Self::UnknownSurvey { .. } => "unknown-survey",
            Self::UnknownRun { .. } => "unknown-run",
            Self::RunExists { .. } => "run-exists",
            Self::RecordingExists { .. } => "recording-exists",
        }
    }

    /// A failure to read or write a file in the folder.
    pub fn io(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { place: path.display().to_string() }
            }
            _ => Self::Folder { path: path.to_owned(), reason: error.to_string() },
        }
    }

    /// A failure of the database in a data folder.
    pub(super) fn sqlite(path: &Path, error: &sqlx::Error) -> Self {
        // SQLITE_FULL, SQLITE_IOERR_WRITE and SQLITE_IOERR_SHMSIZE: no room for the file, its
        // journal or its shared index.
        const FULL: [&str; 3] = ["13", "778", "4874"];
        match error {
            sqlx::Error::Database(inner)
                if inner.code().is_some_and(|code| FULL.contains(&code.as_ref())) =>
            {
                Self::Full { place: path.display().to_string() }
            }
            sqlx::Error::Io(inner) => Self::io(path, inner),
            _ => Self::Database { path: path.to_owned(), reason: error.to_string() },
        }
    }

    /// A failure of PostgreSQL; the codes are in appendix A of its documentation.
    pub(super) fn postgres(url: &DatabaseUrl, error: &sqlx::Error) -> Self {
        let database = url.to_string();
        let sqlx::Error::Database(inner) = error else {
            return match error {
                sqlx::Error::Configuration(_) => Self::Postgres {
                    database,
                    what: format!("has an address that can't be read: {error}"),
                    hint: "Write `--database postgres://USER:PASSWORD@HOST:5432/NAME`.".to_owned(),
                },
                sqlx::Error::Io(inner) => Self::Unreachable { database, reason: inner.to_string() },
                sqlx::Error::PoolTimedOut => {
                    Self::Unreachable { database, reason: "no connection in 10 s".to_owned() }
                }
                other => Self::Unreachable { database, reason: other.to_string() },
            };
        };
        let (what, hint) = match inner.code().unwrap_or_default().as_ref() {
            "53100" => return Self::Full { place: database },
            "22021" => return Self::NulCharacter,
            "57P01" | "57P02" | "57P03" => {
                return Self::Unreachable { database, reason: inner.message().to_owned() };
            }
            "28P01" | "28000" => (
                "lets this user not in",
                "Check the user and the password in `--database` or POLYLOGUE_DATABASE.",
            ),
            "3D000" => ("isn't there", "Make it with `createdb NAME`, or name another one."),
            "42501" => (
                "lacks a permission",
                "Let its owner say: GRANT ALL ON SCHEMA public TO the user named in the address.",
            ),
            "53300" => ("takes no more connections", "Raise its max_connections."),
            _ => ("failed", "Try again; if it stays, look at PostgreSQL's log."),
        };
        let (what, hint) = (format!("{what}: {}", inner.message()), hint.to_owned());
        Self::Postgres { database, what, hint }
    }

    /// A stored JSON value that doesn't parse.
    pub(super) fn broken(what: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Self::Broken { what: what.into(), reason: error.to_string() }
    }
}
