//! The loop that all jobs share: skip what is stored, do the rest in batches, keep every batch.

use std::collections::BTreeSet;
use std::future::Future;
use std::ops::ControlFlow;
use std::time::Instant;

use app::api::method_run::Whole;
use serde::Serialize;
use serde_json::Value;

use super::JobError;
use crate::store::{Store, Unit, UnitKey};

/// Where a step of a run stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Step, for people and programs: `elicit`, `tune joint`.
    pub step: String,
    /// Units done, those of earlier attempts included.
    pub done: usize,
    /// Units wanted.
    pub total: usize,
    /// Seconds that the rest will take, when known.
    pub remaining_seconds: Option<f64>,
    /// What the newest unit learnt, while an adapter is tuned.
    pub update: Option<Update>,
    /// All parts of the step, where it has parts.
    pub whole: Option<Whole>,
}

/// One update of an adapter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// Mean loss of its answer tokens, in nats.
    pub loss: f64,
    /// Its learning rate.
    pub learning_rate: f64,
}

/// Told about progress after every batch; a break stops the job, which keeps what it has done.
pub type Watcher<'a> = dyn FnMut(&Progress) -> ControlFlow<()> + Send + 'a;

/// Measures how long the rest of a step takes, from the units done by this process.
#[derive(Debug)]
pub struct Estimate {
    step: String,
    began: Instant,
    before: usize,
    total: usize,
}

impl Estimate {
    /// Starts the clock; `before` of `total` units are done already.
    pub fn start(step: &str, before: usize, total: usize) -> Self {
        // What stands behind the step's name in the store says of which survey, by a hash.
        let step = step.split('@').next().unwrap_or(step);
        Self { step: step.to_owned(), began: Instant::now(), before, total }
    }

    /// Progress when `done` units are done.
    pub fn at(&self, done: usize) -> Progress {
        let here = done.saturating_sub(self.before);
        let rest = self.total.saturating_sub(done);
        let seconds = self.began.elapsed().as_secs_f64();
        let remaining_seconds = (here > 0).then(|| seconds / here as f64 * rest as f64);
        let (step, total) = (self.step.clone(), self.total);
        Progress { step, done, total, remaining_seconds, update: None, whole: None }
    }
}

/// What a step of a run still has to do.
#[derive(Debug)]
pub struct Work<'a> {
    /// Where results are kept.
    pub store: &'a Store,
    /// The run.
    pub run: &'a str,
    /// Its step.
    pub step: &'a str,
    /// Units done together and stored in one transaction.
    pub batch: usize,
}

impl Work<'_> {
    /// Does all of `wanted` that isn't stored yet. `one_batch` gets inputs and answers with as many
    /// results, in the same order.
    ///
    /// # Errors
    /// The first failure; [`JobError::Cancelled`] when `watcher` breaks. Batches before it are kept.
    pub async fn complete<I, R, F>(
        &self,
        wanted: Vec<(UnitKey, I)>,
        watcher: &mut Watcher<'_>,
        mut one_batch: impl FnMut(Vec<I>) -> F,
    ) -> Result<(), JobError>
    where
        R: Serialize,
        F: Future<Output = Result<Vec<R>, JobError>>,
    {
        let stored: BTreeSet<UnitKey> =
            self.store.units::<Value>(self.run, self.step).await?.into_keys().collect();
        let total = wanted.len();
        let mut rest: Vec<_> =
            wanted.into_iter().filter(|(key, _)| !stored.contains(key)).collect();
        let estimate = Estimate::start(self.step, total - rest.len(), total);
        let mut progress = estimate.at(total - rest.len());
        while !rest.is_empty() {
            if watcher(&progress).is_break() {
                return Err(JobError::Cancelled);
            }
            let later = rest.split_off(self.batch.max(1).min(rest.len()));
            let (keys, inputs): (Vec<_>, Vec<_>) = rest.into_iter().unzip();
            let results = one_batch(inputs).await?;
            let units: Vec<Unit<R>> =
                keys.into_iter().zip(results).map(|(key, result)| Unit { key, result }).collect();
            self.store.record_units(self.run, self.step, &units).await?;
            rest = later;
            progress = estimate.at(total - rest.len());
        }
        let _ = watcher(&progress);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NewRun, RunKind};

    fn wanted() -> Vec<(UnitKey, u32)> {
        (0..5).map(|i| (format!("{i}"), i)).collect()
    }

    #[tokio::test]
    async fn a_stopped_step_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let new = NewRun { id: Some("r"), kind: RunKind::Method, settings: &0, total: 5 };
        store.create_run(new).await.unwrap();
        let work = Work { store: &store, run: "r", step: "s", batch: 2 };
        let mut asked = Vec::new();
        let stop_after_two = &mut |progress: &Progress| match progress.done {
            2 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let stopped = work
            .complete(wanted(), stop_after_two, |inputs| {
                asked.extend(inputs.clone());
                async move { Ok(inputs) }
            })
            .await;
        assert!(matches!(stopped, Err(JobError::Cancelled)));
        assert_eq!(asked, vec![0, 1]);
        let mut seen = Vec::new();
        work.complete(
            wanted(),
            &mut |progress| {
                seen.push((progress.done, progress.total));
                ControlFlow::Continue(())
            },
            |inputs| {
                asked.extend(inputs.clone());
                async move { Ok(inputs) }
            },
        )
        .await
        .unwrap();
        assert_eq!(asked, vec![0, 1, 2, 3, 4], "nothing is done twice");
        assert_eq!(seen, vec![(2, 5), (4, 5), (5, 5)]);
    }
}
