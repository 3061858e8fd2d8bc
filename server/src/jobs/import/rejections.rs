//! Rows that aren't part of what is imported: the first are listed, all are counted, and all are written
//! down where somebody wants that.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use app::api::import::RejectedRow;

use crate::jobs::JobError;

/// Rejected rows that a report lists; a file can hold a hundred million of them.
const LISTED: usize = 200;

/// Where a row stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
}

/// Rows that aren't part of what is imported.
#[derive(Debug, Default)]
pub struct Rejections {
    /// The first of them.
    pub listed: Vec<RejectedRow>,
    /// All of them.
    pub total: usize,
    /// Whether so little is left without them that there is no survey.
    pub all: bool,
    log: Option<Log>,
}

/// A file with all of them, one JSON object a line.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    /// The first failure to write; what follows isn't written any more.
    failed: Option<io::Error>,
}

impl Rejections {
    /// None yet; all that come are written to the file `log` as well, if one is named.
    ///
    /// # Errors
    /// [`JobError::BadFile`] where it can't be made.
    pub fn new(log: Option<&Path>) -> Result<Self, JobError> {
        let made = |path: &Path| {
            let file = File::create(path).map_err(|error| unwritable(path, &error))?;
            let (path, file) = (path.to_owned(), BufWriter::new(file));
            Ok::<_, JobError>(Log { path, file, failed: None })
        };
        Ok(Self { log: log.map(made).transpose()?, ..Self::default() })
    }

    /// Adds one.
    pub fn push(&mut self, place: &Place, reason: impl Into<String>) {
        let Place { file, line } = place.clone();
        let row = RejectedRow { file, line, reason: reason.into() };
        self.total += 1;
        if let Some(log) = &mut self.log
            && log.failed.is_none()
        {
            let written = serde_json::to_writer(&mut log.file, &row).map_err(io::Error::from);
            log.failed = written.and_then(|()| log.file.write_all(b"\n")).err();
        }
        if self.listed.len() < LISTED {
            self.listed.push(row);
        }
    }

    /// Sees to it that all are written down.
    ///
    /// # Errors
    /// [`JobError::BadFile`] where they can't be.
    pub fn close(&mut self) -> Result<(), JobError> {
        let Some(mut log) = self.log.take() else { return Ok(()) };
        match log.failed.take().map_or_else(|| log.file.flush(), Err) {
            Ok(()) => Ok(()),
            Err(error) => Err(unwritable(&log.path, &error)),
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> JobError {
    JobError::BadFile {
        path: path.to_owned(),
        rule: format!("can't be written: {error}; nothing was imported"),
        hint: "Name another file for the rejected rows, or free some space.".to_owned(),
    }
}
