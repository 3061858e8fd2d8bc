//! Keeps, while steps are at work, where they stand and what they have to show, so that a reload, a
//! second browser and another process see the same.
//!
//! The steps know nothing of it: they tell their progress, and everything shown is read from what
//! they store. What is shown of each step is put together in [`super::summary`].

use std::collections::BTreeMap;

use app::api::method_run::{StepInfo, StepState};
use domain::method::Step;
use tokio::sync::mpsc;

use super::pipeline::StepDone;
use super::sample::{LOSS, Loss, unit_key};
use super::work::Progress;
use super::{JobError, Method, summary};
use crate::store::Unit;

/// Told about a step whenever there is something new of it in the store.
pub type Recorded<'a> = dyn FnMut(&StepInfo) + Send + 'a;

/// Reports taken together: the more work there is, the fewer of them are kept one by one.
const MOST_AT_ONCE: usize = 256;

/// Answers to the sample question while an adapter is tuned, about.
const SAMPLES: usize = 12;

/// What a run tells its recorder.
#[derive(Debug)]
pub(super) enum Told {
    /// A step begins.
    Begun(Step),
    /// It has done a batch.
    Progress(Progress),
    /// It has ended.
    Ended(Step, Box<StepDone>),
}

/// Listens to one call of [`Method::run_steps`].
pub(super) struct Recorder<'a, 'b> {
    method: &'a Method,
    recorded: &'a mut Recorded<'b>,
    steps: BTreeMap<Step, StepInfo>,
    /// Part of the way at which a step's summary was last put together.
    summarised: Option<(Step, usize)>,
    /// Updates of each adapter at its last sample.
    sampled: BTreeMap<String, usize>,
}

impl<'a, 'b> Recorder<'a, 'b> {
    /// Looks up where the steps stand.
    pub async fn open(
        method: &'a Method,
        recorded: &'a mut Recorded<'b>,
    ) -> Result<Self, JobError> {
        let steps = method.store.steps(&method.run).await?;
        let steps = steps.into_iter().map(|info| (info.step, info)).collect();
        Ok(Self { method, recorded, steps, summarised: None, sampled: BTreeMap::new() })
    }

    /// Records until nobody tells anything any more.
    pub async fn record(
        mut self,
        mut receiver: mpsc::UnboundedReceiver<Told>,
    ) -> Result<(), JobError> {
        let mut waiting = Vec::new();
        while receiver.recv_many(&mut waiting, MOST_AT_ONCE).await > 0 {
            self.keep_losses(&waiting).await?;
            let mut told = waiting.drain(..).peekable();
            while let Some(next) = told.next() {
                match next {
                    Told::Begun(step) => self.begun(step).await?,
                    // Of several reports in a row the last one says it all.
                    Told::Progress(_) if matches!(told.peek(), Some(Told::Progress(_))) => {}
                    Told::Progress(progress) => self.progress(&progress).await?,
                    Told::Ended(step, done) => self.ended(step, &done).await?,
                }
            }
        }
        Ok(())
    }

    async fn begun(&mut self, step: Step) -> Result<(), JobError> {
        let info = self.steps.entry(step).or_insert_with(|| StepInfo::waiting(step));
        // A step that is done finds nothing to do, and stays done.
        if info.state == StepState::Waiting {
            info.state = StepState::Begun;
            self.keep(step, None::<&()>).await?;
        }
        Ok(())
    }

    async fn progress(&mut self, progress: &Progress) -> Result<(), JobError> {
        let Some((step, part)) = step_of(&progress.step) else { return Ok(()) };
        let info = self.steps.entry(step).or_insert_with(|| StepInfo::waiting(step));
        if info.state == StepState::Done && progress.done >= progress.total {
            return Ok(());
        }
        *info = StepInfo {
            step,
            state: StepState::Begun,
            part: part.clone(),
            done: progress.done,
            total: progress.total,
            remaining_seconds: progress.remaining_seconds,
            whole: progress.whole,
        };
        let due = summaries(step).map(|all| (step, progress.done * all / progress.total.max(1)));
        if due.is_some() && self.summarised != due {
            self.summarised = due;
            return match step {
                Step::Elicit => {
                    let summary = summary::elicit(self.method).await?;
                    self.keep(step, Some(&summary)).await
                }
                _ => {
                    let summary = summary::generate(self.method).await?;
                    self.keep(step, Some(&summary)).await
                }
            };
        }
        self.keep(step, None::<&()>).await?;
        match part {
            Some(name) => self.sample(&name, progress).await,
            None => Ok(()),
        }
    }

    async fn ended(&mut self, step: Step, done: &StepDone) -> Result<(), JobError> {
        let info = self.steps.entry(step).or_insert_with(|| StepInfo::waiting(step));
        (info.state, info.part, info.remaining_seconds) = (StepState::Done, None, None);
        info.whole = None;
        match done {
            StepDone::Generated(counts) => {
                (info.done, info.total) = (counts.wanted, counts.wanted);
                let summary = summary::generate(self.method).await?;
                self.keep(step, Some(&summary)).await
            }
            StepDone::Elicited(answers) => {
                (info.done, info.total) = (*answers, *answers);
                let summary = summary::elicit(self.method).await?;
                self.keep(step, Some(&summary)).await
            }
            StepDone::Collected(counts) => {
                (info.done, info.total) = (counts.pairs, counts.pairs);
                let summary = summary::collect(self.method).await?;
                self.keep(step, Some(&summary)).await
            }
            StepDone::Tuned(adapters) => {
                (info.done, info.total) = (adapters.len(), adapters.len());
                self.method.sample_tuned().await?;
                self.keep(step, None::<&()>).await
            }
            StepDone::Evaluated(report) => self.keep(step, Some(&summary::evaluate(report))).await,
        }
    }

    async fn keep(
        &mut self,
        step: Step,
        summary: Option<&impl serde::Serialize>,
    ) -> Result<(), JobError> {
        let Some(info) = self.steps.get(&step) else { return Ok(()) };
        self.method.store.put_step(&self.method.run, info, summary).await?;
        (self.recorded)(info);
        Ok(())
    }

    /// Every update is kept, also of reports that are passed over.
    async fn keep_losses(&mut self, waiting: &[Told]) -> Result<(), JobError> {
        let losses: Vec<Unit<Loss>> = waiting
            .iter()
            .filter_map(|told| {
                let Told::Progress(progress) = told else { return None };
                let (_, name) = step_of(&progress.step)?;
                let (name, update) = (name?, progress.update?);
                let result = Loss {
                    total: progress.total,
                    loss: update.loss,
                    learning_rate: update.learning_rate,
                };
                Some(Unit { key: unit_key(&name, progress.done), result })
            })
            .collect();
        if !losses.is_empty() {
            self.method.store.record_units(&self.method.run, LOSS, &losses).await?;
        }
        Ok(())
    }

    /// Now and then, the newest checkpoint answers the sample question.
    async fn sample(&mut self, name: &str, progress: &Progress) -> Result<(), JobError> {
        let pause = (progress.total / SAMPLES).max(2);
        let due = self.sampled.get(name).is_none_or(|last| progress.done >= last + pause);
        let Some((place, target)) = self.method.target(name).filter(|_| due) else {
            return Ok(());
        };
        if let Some(step) = self.method.sample_newest(place, target).await? {
            self.sampled.insert(name.to_owned(), step.max(progress.done));
            if let Some(info) = self.steps.get(&Step::Tune) {
                (self.recorded)(info);
            }
        }
        Ok(())
    }
}

/// How often a step's summary is put together while it is at work; `None` for steps that have none to show
/// before they end. All answers are more to read than all questions.
fn summaries(step: Step) -> Option<usize> {
    match step {
        Step::Generate => Some(100),
        Step::Elicit => Some(10),
        _ => None,
    }
}

/// `tune joint` as the step and its part.
fn step_of(name: &str) -> Option<(Step, Option<String>)> {
    let (step, part) = match name.split_once(' ') {
        Some((step, part)) => (step, Some(part.to_owned())),
        None => (name, None),
    };
    Some((Step::ALL.into_iter().find(|known| known.as_str() == step)?, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_known_by_their_words() {
        for (name, expect) in [
            ("elicit", Some((Step::Elicit, None))),
            ("tune specific-THA", Some((Step::Tune, Some("specific-THA".to_owned())))),
            ("rest", None),
        ] {
            assert_eq!(step_of(name), expect, "{name}");
        }
    }
}
