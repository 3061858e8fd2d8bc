//! A survey and the answers that were recorded to it, stored together or not at all.

use std::collections::BTreeSet;

use app::api::JobState;
use domain::survey::Survey;
use serde::Serialize;
use serde_json::Value;
use sqlx::AnyConnection;

use super::runs::{ATTEMPTS, RunKind, state_name};
use super::surveys::{decode, encode};
use super::units::{insert_units, stored_units};
use super::{News, Store, StoreError, Unit, now};

/// Fields of a recording's settings that say whose answers it holds. Others, such as the wording of
/// prompts, may change without making it another recording.
const WHOSE: [&str; 3] = ["survey", "voices", "recorded"];

/// A survey run that is finished from the start: answers that were recorded elsewhere.
#[derive(Debug, Clone)]
pub struct FinishedRun<S, T> {
    /// Its name.
    pub id: String,
    /// What a survey run keeps, with the fields `survey`, `voices` and `recorded`.
    pub settings: S,
    /// Answers wanted.
    pub total: usize,
    /// The step that the answers belong to.
    pub step: &'static str,
    /// The answers.
    pub units: Vec<Unit<T>>,
}

/// What an import has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Whether the survey is new, or another than before.
    pub survey: bool,
    /// Whether each of the runs is new, in their order.
    pub runs: Vec<bool>,
}

impl Store {
    /// Stores `survey`, replacing one of the same identifier, with recorded answers to it, in one
    /// transaction. What is there already, the same in everything, stays as it is.
    ///
    /// # Errors
    /// [`StoreError::RecordingExists`] where a run's name is taken by other answers,
    /// [`StoreError::RunExists`] by another kind of run; [`StoreError::Full`] or another failure of the
    /// database. Then nothing has changed.
    pub async fn import_survey<S: Serialize, T: Serialize>(
        &self,
        survey: &Survey,
        runs: &[FinishedRun<S, T>],
    ) -> Result<Imported, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(|e| self.failed(e))?;
        let imported = self.import_in(&mut transaction, survey, runs).await;
        match imported {
            Ok(imported) => {
                transaction.commit().await.map_err(|e| self.failed(e))?;
                Ok(imported)
            }
            Err(error) => {
                // What is told is why it was given up; a connection that can't undo is thrown away.
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    }

    async fn import_in<S: Serialize, T: Serialize>(
        &self,
        connection: &mut AnyConnection,
        survey: &Survey,
        runs: &[FinishedRun<S, T>],
    ) -> Result<Imported, StoreError> {
        let changed = self.put_survey_in(connection, survey).await?;
        let mut new = Vec::with_capacity(runs.len());
        for run in runs {
            new.push(self.put_finished(connection, run).await?);
        }
        if changed {
            self.send_in(connection, &News::Surveys).await?;
        }
        Ok(Imported { survey: changed, runs: new })
    }

    /// Returns whether the run is new.
    async fn put_finished<S: Serialize, T: Serialize>(
        &self,
        connection: &mut AnyConnection,
        run: &FinishedRun<S, T>,
    ) -> Result<bool, StoreError> {
        let settings = encode("settings", &run.settings)?;
        let units: Vec<(String, String)> = run
            .units
            .iter()
            .map(|unit| Ok((unit.key.clone(), encode("result", &unit.result)?)))
            .collect::<Result<_, StoreError>>()?;
        for _ in 0..ATTEMPTS {
            let inserted = sqlx::query(
                "INSERT INTO runs (id, number, kind, settings, state, answered, total, error, created, \
                 server) SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5, $6, NULL, $7, $8 \
                 FROM runs WHERE 1 = 1 ON CONFLICT DO NOTHING",
            )
            .bind(&run.id)
            .bind(RunKind::Survey.as_str())
            .bind(&settings)
            .bind(state_name(JobState::Done))
            .bind(units.len() as i64)
            .bind(run.total as i64)
            .bind(now())
            .bind(self.server())
            .execute(&mut *connection)
            .await
            .map_err(|e| self.failed(e))?;
            if inserted.rows_affected() > 0 {
                insert_units(connection, &run.id, run.step, &units)
                    .await
                    .map_err(|e| self.failed(e))?;
                return Ok(true);
            }
            let row: Option<(String, String, String)> =
                sqlx::query_as("SELECT kind, state, settings FROM runs WHERE id = $1")
                    .bind(&run.id)
                    .fetch_optional(&mut *connection)
                    .await
                    .map_err(|e| self.failed(e))?;
            // With a name that is free, only the number was taken, by another server.
            let Some((kind, state, stored)) = row else { continue };
            if kind != RunKind::Survey.as_str() {
                let difference = format!("it is a {kind} run");
                return Err(StoreError::RunExists { id: run.id.clone(), difference });
            }
            let known = Known { state, settings: stored };
            return self.go_over(connection, run, &settings, &units, known).await.map(|()| false);
        }
        let difference = format!("{ATTEMPTS} numbers in a row were taken by other runs");
        Err(StoreError::RunExists { id: run.id.clone(), difference })
    }

    /// Holds a recording against the run that has its name. One that an interrupted import of an older
    /// version left without some of its answers gets them.
    async fn go_over<S, T>(
        &self,
        connection: &mut AnyConnection,
        run: &FinishedRun<S, T>,
        settings: &str,
        units: &[(String, String)],
        known: Known,
    ) -> Result<(), StoreError> {
        let what = format!("settings of run `{}`", run.id);
        let (kept, given): (Value, Value) =
            (decode(&what, &known.settings)?, decode(&what, settings)?);
        let stored =
            stored_units(connection, &run.id, run.step).await.map_err(|e| self.failed(e))?;
        let done = known.state == state_name(JobState::Done);
        let other = WHOSE.iter().find(|field| kept.get(**field) != given.get(**field));
        let differ = units
            .iter()
            .filter(|(key, result)| match stored.get(key) {
                Some(stored) => stored != result,
                None => done,
            })
            .count();
        let given_keys: BTreeSet<&String> = units.iter().map(|(key, _)| key).collect();
        let gone = stored.keys().filter(|key| !given_keys.contains(key)).count();
        if other.is_some() || differ + gone > 0 {
            let name = |settings: &Value| match settings.get("recorded").and_then(Value::as_str) {
                Some(model) => format!("recorded answers of `{model}`"),
                None => "answers that a voice of this server gave".to_owned(),
            };
            let difference = match other {
                Some(&"voices") => "the voices aren't the same".to_owned(),
                Some(field) => format!("`{field}` isn't the same"),
                None => format!("{} answers aren't the same", differ + gone),
            };
            return Err(StoreError::RecordingExists {
                id: run.id.clone(),
                kept: format!("{} {}", stored.len(), name(&kept)),
                given: format!("{} {}", units.len(), name(&given)),
                difference,
            });
        }
        insert_units(connection, &run.id, run.step, units).await.map_err(|e| self.failed(e))?;
        sqlx::query("UPDATE runs SET settings = $2, state = $3, answered = $4 WHERE id = $1")
            .bind(&run.id)
            .bind(settings)
            .bind(state_name(JobState::Done))
            .bind(units.len() as i64)
            .execute(&mut *connection)
            .await
            .map_err(|e| self.failed(e))?;
        Ok(())
    }
}

/// A run that has the name of a recording.
struct Known {
    state: String,
    settings: String,
}
