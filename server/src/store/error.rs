//! What can go wrong between the server and its data folder. The store's only error type.

use std::io;
use std::path::{Path, PathBuf};

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
        "the disk that holds `{}` is full; nothing was half-stored\nFree some space and repeat: \
         what was stored before is kept.", path.display()
    )]
    Full {
        /// The folder.
        path: PathBuf,
    },

    /// The database was written by a version that knows more than this one.
    #[error(
        "the database in `{}` can't be brought up to date: {reason}\nUse the Polylogue that wrote \
         it, or a newer one, or name another folder with `--data DIR`.", path.display()
    )]
    Version {
        /// The folder.
        path: PathBuf,
        /// Which migration.
        reason: String,
    },

    /// The database refuses.
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
            Self::Database { .. } => "database",
            Self::Broken { .. } => "stored-value",
            Self::UnknownSurvey { .. } => "unknown-survey",
            Self::UnknownRun { .. } => "unknown-run",
            Self::RunExists { .. } => "run-exists",
        }
    }

    /// A failure to read or write a file in the folder.
    pub fn io(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path: path.to_owned() }
            }
            _ => Self::Folder { path: path.to_owned(), reason: error.to_string() },
        }
    }

    /// A failure of the database.
    pub(super) fn database(path: &Path, error: &sqlx::Error) -> Self {
        // SQLITE_FULL, SQLITE_IOERR_WRITE and SQLITE_IOERR_SHMSIZE: no room for the file, its
        // journal or its shared index.
        const FULL: [&str; 3] = ["13", "778", "4874"];
        let path = path.to_owned();
        match error {
            sqlx::Error::Database(inner)
                if inner.code().is_some_and(|code| FULL.contains(&code.as_ref())) =>
            {
                Self::Full { path }
            }
            sqlx::Error::Io(inner) => Self::io(&path, inner),
            _ => Self::Database { path, reason: error.to_string() },
        }
    }

    /// A stored JSON value that doesn't parse.
    pub(super) fn broken(what: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Self::Broken { what: what.into(), reason: error.to_string() }
    }
}
