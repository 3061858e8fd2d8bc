//! Steps of runs: where each stands, and what it has to show. Their units are in [`super::units`].

use std::collections::BTreeMap;

use app::api::method_run::{StepInfo, StepState};
use domain::method::Step;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::surveys::{decode, encode};
use super::{Store, StoreError};

type Row = (String, String, Option<String>, i64, i64);

impl Store {
    /// Keeps where a step stands, and `summary` instead of the one before if there is one.
    ///
    /// # Errors
    /// [`StoreError::Full`] or another failure of the database.
    pub async fn put_step(
        &self,
        run: &str,
        info: &StepInfo,
        summary: Option<&impl Serialize>,
    ) -> Result<(), StoreError> {
        let summary = summary.map(|summary| encode("summary", summary)).transpose()?;
        sqlx::query(
            "INSERT INTO steps (run, step, state, part, done, total, summary) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (run, step) DO UPDATE SET state = excluded.state, part = excluded.part, \
             done = excluded.done, total = excluded.total, \
             summary = COALESCE(excluded.summary, steps.summary)",
        )
        .bind(run)
        .bind(info.step.as_str())
        .bind(state_name(info.state))
        .bind(&info.part)
        .bind(info.done as i64)
        .bind(info.total as i64)
        .bind(summary)
        .execute(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// All steps of a run in order; those that were never begun are waiting.
    ///
    /// # Errors
    /// A failure of the database.
    pub async fn steps(&self, run: &str) -> Result<Vec<StepInfo>, StoreError> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT step, state, part, done, total FROM steps WHERE run = $1")
                .bind(run)
                .fetch_all(&self.pool)
                .await
                .map_err(|e| self.failed(e))?;
        let mut stored: BTreeMap<String, Row> =
            rows.into_iter().map(|row| (row.0.clone(), row)).collect();
        Step::ALL
            .into_iter()
            .map(|step| match stored.remove(step.as_str()) {
                None => Ok(StepInfo::waiting(step)),
                Some(row) => from_row(run, step, row),
            })
            .collect()
    }

    /// What a step has to show, if it has anything yet.
    ///
    /// # Errors
    /// [`StoreError::Broken`] if it doesn't have that shape.
    pub async fn summary<T: DeserializeOwned>(
        &self,
        run: &str,
        step: Step,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<Option<String>> =
            sqlx::query_scalar("SELECT summary FROM steps WHERE run = $1 AND step = $2")
                .bind(run)
                .bind(step.as_str())
                .fetch_optional(&self.pool)
                .await
                .map_err(|e| self.failed(e))?;
        let what = format!("summary of `{step}` of run `{run}`");
        text.flatten().map(|text| decode(&what, &text)).transpose()
    }
}

fn state_name(state: StepState) -> &'static str {
    match state {
        StepState::Waiting => "waiting",
        StepState::Begun => "begun",
        StepState::Done => "done",
    }
}

fn from_row(run: &str, step: Step, row: Row) -> Result<StepInfo, StoreError> {
    let (_, state, part, done, total) = row;
    let states = [StepState::Waiting, StepState::Begun, StepState::Done];
    let known = states.into_iter().find(|known| state_name(*known) == state);
    let state = known.ok_or_else(|| {
        StoreError::broken(format!("step `{step}` of run `{run}`"), format!("state `{state}`"))
    })?;
    let (done, total) = (done.max(0) as usize, total.max(0) as usize);
    Ok(StepInfo { step, state, part, done, total, remaining_seconds: None, whole: None })
}
