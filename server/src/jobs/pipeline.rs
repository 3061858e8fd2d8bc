//! Steps of the method in order, with a record of what each has to show beside them.

use std::ops::ControlFlow;

use domain::instance::CollectionCounts;
use domain::method::Step;
use domain::score::Metric;
use tokio::sync::mpsc;

use super::evaluate::EvaluationReport;
use super::generate::GenerationCounts;
use super::recorder::{Recorded, Recorder, Told};
use super::tune::TunedAdapter;
use super::work::{Progress, Watcher};
use super::{JobError, Method};

/// What a step came to, told when it ends.
#[derive(Debug, Clone, PartialEq)]
pub enum StepDone {
    /// Questions written.
    Generated(GenerationCounts),
    /// Answers of both sides.
    Elicited(usize),
    /// Instances kept.
    Collected(CollectionCounts),
    /// Adapters tuned.
    Tuned(Vec<TunedAdapter>),
    /// Voices compared with people.
    Evaluated(Box<EvaluationReport>),
}

impl Method {
    /// Runs `steps`, each from where it stopped. `watcher` hears of every batch and can stop the
    /// run, `recorded` of everything new in the store to show, `step_done` of every end of a step.
    ///
    /// # Errors
    /// The first step's error; what was done before is kept, and the same call goes on from there.
    pub async fn run_steps(
        &self,
        steps: &[Step],
        metric: Metric,
        watcher: &mut Watcher<'_>,
        recorded: &mut Recorded<'_>,
        step_done: &mut (dyn FnMut(&StepDone) + Send),
    ) -> Result<(), JobError> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let recorder = Recorder::open(self, recorded).await?;
        let work = async {
            // Moved in here: the recorder ends with the last sender.
            let sender = sender;
            for step in steps {
                let _ = sender.send(Told::Begun(*step));
                let mut both = |progress: &Progress| {
                    // Nobody records any more: the disk may be full, and the steps would be next.
                    match sender.send(Told::Progress(progress.clone())).is_err() {
                        true => ControlFlow::Break(()),
                        false => watcher(progress),
                    }
                };
                let done = self.step(*step, metric, &mut both).await?;
                step_done(&done);
                let usable = self.check_questions(&done, steps);
                let _ = sender.send(Told::Ended(*step, Box::new(done)));
                usable?;
            }
            Ok(())
        };
        let (worked, recorded) = tokio::join!(work, recorder.record(receiver));
        recorded.and(worked)
    }

    /// A model that writes nothing usable is told of as such, not as a missing step.
    fn check_questions(&self, done: &StepDone, steps: &[Step]) -> Result<(), JobError> {
        match done {
            StepDone::Generated(counts) if counts.kept == 0 && steps.len() > 1 => {
                let rule = format!(
                    "the model wrote no question that could be used: all {} were dropped",
                    counts.wanted
                );
                let hint = "See why among the dropped ones; a larger model may do better.";
                Err(JobError::refused(rule, hint))
            }
            _ => Ok(()),
        }
    }

    async fn step(
        &self,
        step: Step,
        metric: Metric,
        watcher: &mut Watcher<'_>,
    ) -> Result<StepDone, JobError> {
        Ok(match step {
            Step::Generate => StepDone::Generated(self.generate(watcher).await?),
            Step::Elicit => StepDone::Elicited(self.elicit(watcher).await?),
            Step::Collect => StepDone::Collected(self.collect().await?.counts),
            Step::Tune => StepDone::Tuned(self.tune(watcher).await?),
            Step::Evaluate => StepDone::Evaluated(Box::new(self.evaluate(metric, watcher).await?)),
        })
    }
}
