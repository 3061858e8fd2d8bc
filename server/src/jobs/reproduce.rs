//! A finished run once more, under another name, and whether the same came out, byte for byte.

use app::api::JobState;
use domain::method::{MethodRequest, Step};
use domain::score::Metric;

use super::manifest::{Comparison, Manifest};
use super::work::Watcher;
use super::{JobError, Method, Opening};
use crate::store::Store;
use engine::Engine;

/// Opens the run that repeats `run`: one of the same settings named `again`, or `RUN-again`. It is
/// new, or goes on where it stopped.
///
/// # Errors
/// An unknown run, one that isn't done, or one whose model, survey or prompts aren't here any more.
pub async fn open(
    store: &Store,
    engine: &Engine,
    run: &str,
    again: Option<String>,
) -> Result<Method, JobError> {
    let first = Manifest::of(store, run).await?;
    if first.state != JobState::Done {
        return Err(JobError::refused(
            format!("the run `{run}` is not done, so there is nothing to compare with"),
            format!("Go on with it first: `polylogue run --run {run}`."),
        ));
    }
    // Refuses what the first run didn't begin with.
    let same = MethodRequest { run: Some(run.to_owned()), ..MethodRequest::default() };
    Method::open(store, engine, &same, Opening::GoOn).await?;
    let again = again.unwrap_or_else(|| format!("{run}-again"));
    let request = MethodRequest { run: Some(again), ..first.settings.request() };
    Method::open(store, engine, &request, Opening::Begin).await
}

/// Runs all steps of `again`, and compares it with `run`.
///
/// # Errors
/// See [`Method::run_steps`]; the same call goes on.
pub async fn compare(
    again: &Method,
    run: &str,
    watcher: &mut Watcher<'_>,
) -> Result<Vec<Comparison>, JobError> {
    again.set_state(None).await?;
    let metric = Metric::Alignment;
    let done = again.run_steps(&Step::ALL, metric, watcher, &mut |_| {}, &mut |_| {}).await;
    again.set_state(Some(done.as_ref().map(|_| ()))).await?;
    done?;
    let (first, second) =
        (Manifest::of(&again.store, run).await?, Manifest::of(&again.store, &again.run).await?);
    Ok(first.compared(&second))
}
