//! Runs: long work with its settings and where it stands.

use std::fmt;

use app::api::JobState;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::surveys::{decode, encode};
use super::{Store, StoreError, now};

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunKind {
    /// A survey asked from the survey page.
    Survey,
    /// The method: generate, elicit, collect, tune, evaluate.
    Method,
}

impl RunKind {
    /// Name in the store and in identifiers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Survey => "survey",
            Self::Method => "method",
        }
    }
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A run to be made.
#[derive(Debug, Clone)]
pub struct NewRun<'a, S> {
    /// Its name; `None` lets the store give one: `survey-7`.
    pub id: Option<&'a str>,
    /// What it does.
    pub kind: RunKind,
    /// Everything it needs to be resumed.
    pub settings: &'a S,
    /// Units it will store.
    pub total: usize,
}

/// A run as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its name.
    pub id: String,
    /// What it does.
    pub kind: RunKind,
    /// Its settings as JSON; [`Run::settings`] reads them.
    pub settings: Value,
    /// Where it stands.
    pub state: JobState,
    /// Units stored.
    pub answered: usize,
    /// Units it will store.
    pub total: usize,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for, RFC 3339 in UTC.
    pub created: String,
    /// Whether a server was at work on it when its state was last set.
    pub served: bool,
    /// Whether it is another server's, see [`super::owner`].
    pub elsewhere: bool,
}

impl Run {
    /// The settings it was made with.
    ///
    /// # Errors
    /// [`StoreError::Broken`] if they don't have that shape.
    pub fn settings<S: DeserializeOwned>(&self) -> Result<S, StoreError> {
        serde_json::from_value(self.settings.clone())
            .map_err(|error| StoreError::broken(format!("settings of run `{}`", self.id), error))
    }
}

/// Columns in the order of [`COLUMNS_BY_ID`].
type Row = (String, String, String, String, i64, i64, Option<String>, String, i64, Option<String>);

const COLUMNS_BY_ID: &str = "SELECT id, kind, settings, state, answered, total, error, created, \
                             served, server FROM runs WHERE id = $1";
const COLUMNS_BY_KIND: &str = "SELECT id, kind, settings, state, answered, total, error, created, \
                               served, server FROM runs WHERE kind = $1 ORDER BY number DESC";

/// Attempts to number a run while others are numbered.
pub(super) const ATTEMPTS: usize = 20;

impl Store {
    /// Makes a run in state [`JobState::Running`]. A run of that name with the same settings is
    /// returned as it stands, so that the same command resumes it.
    ///
    /// # Errors
    /// [`StoreError::RunExists`] if the name is taken by a run with other settings.
    pub async fn create_run<S: Serialize>(&self, new: NewRun<'_, S>) -> Result<Run, StoreError> {
        let settings = encode("settings", new.settings)?;
        for attempt in 0..ATTEMPTS {
            if let Some(id) = self.insert_run(&new, &settings, attempt).await? {
                return self.run(&id).await;
            }
            // Without a name of its own, or with one that is free, only the number was taken, or somebody
            // has given another run the name that it makes: the next attempt takes the next number.
            let existing = match new.id.map(|id| self.run(id)) {
                None => continue,
                Some(found) => match found.await {
                    Err(StoreError::UnknownRun { .. }) => continue,
                    found => found?,
                },
            };
            let wanted: Value = decode("settings", &settings)?;
            return match difference(&existing.settings, &wanted) {
                None if existing.kind == new.kind => Ok(existing),
                found => Err(StoreError::RunExists {
                    id: existing.id,
                    difference: found.unwrap_or_else(|| format!("it is a {} run", existing.kind)),
                }),
            };
        }
        let (id, kind) = (new.id.unwrap_or("the next one").to_owned(), new.kind);
        let difference = format!("{ATTEMPTS} numbers in a row were taken by another {kind} run");
        Err(StoreError::RunExists { id, difference })
    }

    /// Numbers and inserts a run, `attempt` numbers further than the next one; `None` where its name or
    /// number is taken, the number by another server in the same moment.
    async fn insert_run<S>(
        &self,
        new: &NewRun<'_, S>,
        settings: &str,
        attempt: usize,
    ) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar(
            "INSERT INTO runs (id, number, kind, settings, state, answered, total, error, created, \
             server) SELECT COALESCE($1, $2 || '-' || CAST(COALESCE(MAX(number), 0) + \
             CAST($7 AS BIGINT) AS TEXT)), COALESCE(MAX(number), 0) + CAST($7 AS BIGINT), $2, $3, \
             'running', 0, $4, NULL, $5, $6 FROM runs WHERE 1 = 1 ON CONFLICT DO NOTHING RETURNING id",
        )
        .bind(new.id)
        .bind(new.kind.as_str())
        .bind(settings)
        .bind(new.total as i64)
        .bind(now())
        .bind(self.server())
        .bind(attempt as i64 + 1)
        .fetch_optional(&self.pool)
        .await
        .map_err(|e| self.failed(e))
    }

    /// The run of this name.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`] where there is none.
    pub async fn run(&self, id: &str) -> Result<Run, StoreError> {
        let row: Option<Row> = sqlx::query_as(COLUMNS_BY_ID)
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|e| self.failed(e))?;
        if let Some(row) = row {
            return self.run_of(row);
        }
        let known: Vec<String> = sqlx::query_scalar("SELECT id FROM runs ORDER BY number DESC")
            .fetch_all(&self.pool)
            .await
            .map_err(|e| self.failed(e))?;
        Err(StoreError::UnknownRun { id: id.to_owned(), known })
    }

    /// The run of this name and kind.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`] where there is none of that kind.
    pub async fn run_as(&self, kind: RunKind, id: &str) -> Result<Run, StoreError> {
        let run = self.run(id).await?;
        if run.kind == kind {
            return Ok(run);
        }
        let known = self.runs(kind).await?.into_iter().map(|run| run.id).collect();
        Err(StoreError::UnknownRun { id: id.to_owned(), known })
    }

    /// All runs of a kind, newest first.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn runs(&self, kind: RunKind) -> Result<Vec<Run>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(COLUMNS_BY_KIND)
            .bind(kind.as_str())
            .fetch_all(&self.pool)
            .await
            .map_err(|e| self.failed(e))?;
        rows.into_iter().map(|row| self.run_of(row)).collect()
    }

    /// Sets where a run of this server stands; `error` says why it failed or waits. No process is at work
    /// on it.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`], [`StoreError::OtherServer`].
    pub async fn set_state(
        &self,
        run: &str,
        state: JobState,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        self.put_state(run, state, error, false).await
    }

    /// Sets where a run of this server stands, and whether a process is at work on it: after a crash the
    /// next one goes on with such a run.
    pub(super) async fn put_state(
        &self,
        run: &str,
        state: JobState,
        error: Option<&str>,
        served: bool,
    ) -> Result<(), StoreError> {
        let changed = sqlx::query(
            "UPDATE runs SET state = $2, error = $3, served = $4 \
             WHERE id = $1 AND (server IS NULL OR server = $5)",
        )
        .bind(run)
        .bind(state_name(state))
        .bind(error)
        .bind(i64::from(served))
        .bind(self.server())
        .execute(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        match changed.rows_affected() {
            0 => Err(self.not_ours(run).await),
            _ => Ok(()),
        }
    }

    /// Sets how many units a run will store, where that shows only on the way.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn set_total(&self, run: &str, total: usize) -> Result<(), StoreError> {
        sqlx::query("UPDATE runs SET total = $2 WHERE id = $1")
            .bind(run)
            .bind(total as i64)
            .execute(&self.pool)
            .await
            .map_err(|e| self.failed(e))?;
        Ok(())
    }
}

/// The first setting that differs, with both values.
fn difference(stored: &Value, wanted: &Value) -> Option<String> {
    if stored == wanted {
        return None;
    }
    let fields = wanted.as_object().into_iter().flatten();
    let found = fields
        .map(|(name, value)| (name, stored.get(name).unwrap_or(&Value::Null), value))
        .find(|(_, stored, value)| stored != value)
        .map(|(name, stored, value)| format!("`{name}` is {stored}, not {value}"));
    Some(found.unwrap_or_else(|| format!("{stored}, not {wanted}")))
}

pub(super) fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Running => "running",
        JobState::Paused => "paused",
        JobState::Done => "done",
        JobState::Cancelled => "cancelled",
        JobState::Failed => "failed",
    }
}

impl Store {
    fn run_of(&self, row: Row) -> Result<Run, StoreError> {
        let (id, kind, settings, state, answered, total, error, created, served, server) = row;
        let what = format!("run `{id}`");
        let kind = match kind.as_str() {
            "survey" => RunKind::Survey,
            "method" => RunKind::Method,
            other => return Err(StoreError::broken(what, format!("unknown kind `{other}`"))),
        };
        let states = [
            JobState::Running,
            JobState::Paused,
            JobState::Done,
            JobState::Cancelled,
            JobState::Failed,
        ];
        let state = states
            .into_iter()
            .find(|known| state_name(*known) == state)
            .ok_or_else(|| StoreError::broken(&what, format!("unknown state `{state}`")))?;
        Ok(Run {
            settings: decode(&what, &settings)?,
            kind,
            state,
            answered: answered.max(0) as usize,
            total: total.max(0) as usize,
            error,
            created,
            served: served != 0,
            elsewhere: server.is_some() && server.as_deref() != self.server(),
            id,
        })
    }
}
