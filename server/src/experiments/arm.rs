//! A run that differs from the base run in one setting, done up to its evaluation.

use domain::method::{AdapterTarget, MethodRequest, Step};
use domain::score::Metric;

use crate::jobs::work::Watcher;
use crate::jobs::{JobError, Method, Opening};

/// One side of a comparison.
pub struct Arm {
    /// Ends the run's name.
    pub key: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// What sets it apart.
    pub change: fn(&mut MethodRequest),
    /// Whether it puts the same prompts as the base run in step 2.
    pub same_answers: bool,
}

impl Arm {
    /// Does what is left of it: collects, tunes a joint adapter, evaluates.
    ///
    /// # Errors
    /// See [`JobError`]; what was done before is kept.
    pub async fn run(&self, base: &Method, watcher: &mut Watcher<'_>) -> Result<Method, JobError> {
        let mut request = base.settings.request();
        request.run = Some(format!("{}.{}", base.run, self.key));
        request.adapters = Some(vec![AdapterTarget::Joint]);
        (self.change)(&mut request);
        let method = Method::open(&base.store, &base.engine, &request, Opening::Begin).await?;
        let shared: &[Step] =
            if self.same_answers { &[Step::Generate, Step::Elicit] } else { &[Step::Generate] };
        for step in shared {
            base.store.copy_units(&base.run, &method.run, step.as_str()).await?;
        }
        method.set_state(None).await?;
        let done = finish(&method, watcher).await;
        method.set_state(Some(done.as_ref().map(|_| ()))).await?;
        done.map(|()| method)
    }
}

async fn finish(method: &Method, watcher: &mut Watcher<'_>) -> Result<(), JobError> {
    method.elicit(watcher).await?;
    method.collect().await?;
    method.tune(watcher).await?;
    method.evaluate(Metric::Alignment, watcher).await.map(drop)
}
