//! All steps of the method in order.

use domain::instance::CollectionCounts;
use domain::score::Metric;

use super::evaluate::EvaluationReport;
use super::generate::GenerationCounts;
use super::tune::TunedAdapter;
use super::work::Watcher;
use super::{JobError, Method};

/// What a step of the pipeline came to, told when it ends.
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
}

impl Method {
    /// Runs all steps, each from where it stopped, and returns the evaluation.
    ///
    /// # Errors
    /// The first step's error; what was done before is kept, and the same call goes on from there.
    pub async fn pipeline(
        &self,
        metric: Metric,
        watcher: &mut Watcher<'_>,
        step_done: &mut (dyn FnMut(&StepDone) + Send),
    ) -> Result<EvaluationReport, JobError> {
        self.set_state(None).await?;
        let result = self.steps(metric, watcher, step_done).await;
        self.set_state(Some(result.as_ref().map(|_| ()))).await?;
        result
    }

    async fn steps(
        &self,
        metric: Metric,
        watcher: &mut Watcher<'_>,
        step_done: &mut (dyn FnMut(&StepDone) + Send),
    ) -> Result<EvaluationReport, JobError> {
        step_done(&StepDone::Generated(self.generate(watcher).await?));
        step_done(&StepDone::Elicited(self.elicit(watcher).await?));
        step_done(&StepDone::Collected(self.collect().await?.counts));
        step_done(&StepDone::Tuned(self.tune(watcher).await?));
        self.evaluate(metric, watcher).await
    }
}
