//! Which run a command goes on with, where it names one and where it doesn't.

use app::api::JobState;
use domain::instance::CollectionRule;
use domain::method::{Elicitation, GeneralFile, MethodRequest, MethodSettings, Step};
use domain::prompt::{PromptStyle, PromptTemplates};
use domain::training_set::{Accepted, Source};

use super::JobError;
use super::method::{new_settings, obstacle};
use crate::store::{Run, RunKind, Store, StoreError};
use engine::Engine;

/// Which run a command is for when it names none. A cancelled one isn't wanted any more, and another
/// server's is that server's: both are gone on with only by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The latest unfinished one of the same variant of the method, else a new one. Sizes that the command
    /// doesn't name are the run's; a variant that it doesn't name isn't meant, nor is a run that was begun
    /// on top of another one.
    Begin,
    /// The latest unfinished one, else the latest, that wasn't begun on top of another one; never a new
    /// one.
    GoOn,
    /// As [`Opening::GoOn`], but a new one where there is none: evaluation works with the
    /// adapters that came with the model, too.
    Look,
    /// One with all the settings that a new one would get, done or not, else a new one: what arms of
    /// comparisons are begun on top of. One that has arms goes before others, never is it an arm.
    Base,
    /// One with these settings that has only ever been evaluated, else a new one: its voices are those
    /// that came with the model.
    Shipped,
}

impl Opening {
    /// Whether a name that isn't taken is given to a new run.
    fn names_a_new_one(self) -> bool {
        matches!(self, Self::Begin | Self::Base | Self::Shipped)
    }
}

/// The run that `request` means; `None` where a new one is to be made, or where there is none.
///
/// # Errors
/// An unknown run; a named run with other settings or another base model; a failure of the store.
pub(super) async fn find(
    store: &Store,
    engine: &Engine,
    request: &MethodRequest,
    opening: Opening,
) -> Result<Option<Run>, JobError> {
    match (&request.run, opening) {
        (Some(name), _) => named(store, engine, request, name, opening).await,
        (None, Opening::Base | Opening::Shipped) => equal(store, engine, request, opening).await,
        (None, _) => latest(store, engine, request, opening).await,
    }
}

async fn named(
    store: &Store,
    engine: &Engine,
    request: &MethodRequest,
    name: &str,
    opening: Opening,
) -> Result<Option<Run>, JobError> {
    let run = match store.run(name).await {
        Err(StoreError::UnknownRun { .. }) if opening.names_a_new_one() => return Ok(None),
        found => found?,
    };
    let run = of_the_method(run)?;
    let settings: MethodSettings = run.settings()?;
    if let Some(obstacle) = obstacle(store, engine, &run.id, &settings).await? {
        return Err(obstacle);
    }
    match difference(&settings, request) {
        Some(difference) => Err(StoreError::RunExists { id: run.id, difference }.into()),
        None => Ok(Some(run)),
    }
}

/// Refuses a run of another kind.
pub(super) fn of_the_method(run: Run) -> Result<Run, JobError> {
    if run.kind == RunKind::Method {
        return Ok(run);
    }
    let difference = format!("it is a {} run", run.kind);
    Err(StoreError::RunExists { id: run.id, difference }.into())
}

/// The latest run whose settings the request doesn't contradict.
async fn latest(
    store: &Store,
    engine: &Engine,
    request: &MethodRequest,
    opening: Opening,
) -> Result<Option<Run>, JobError> {
    let mut finished = None;
    let runs = store.runs(RunKind::Method).await?;
    let begins = opening == Opening::Begin;
    for run in runs.iter().filter(|run| is_open(run)) {
        let settings: MethodSettings = run.settings()?;
        let other = match begins {
            true => is_other_variant(&settings, request),
            false => difference(&settings, request).is_some(),
        };
        if other
            || is_on_top(run, &runs)
            || obstacle(store, engine, &run.id, &settings).await?.is_some()
        {
            continue;
        }
        if run.state != JobState::Done {
            return Ok(Some(run.clone()));
        }
        finished = finished.or(Some(run));
    }
    Ok(finished.filter(|_| !begins).cloned())
}

/// A run with the very settings that a new one would get.
async fn equal(
    store: &Store,
    engine: &Engine,
    request: &MethodRequest,
    opening: Opening,
) -> Result<Option<Run>, JobError> {
    let wanted = beside_inputs(new_settings(store, engine, request).await?);
    let runs = store.runs(RunKind::Method).await?;
    let mut first = None;
    for run in runs.iter().filter(|run| is_open(run) && !is_on_top(run, &runs)) {
        let settings: MethodSettings = run.settings()?;
        if obstacle(store, engine, &run.id, &settings).await?.is_some()
            || beside_inputs(settings) != wanted
        {
            continue;
        }
        let fits = match opening {
            Opening::Shipped => has_no_questions(store, &run.id).await?,
            _ => runs.iter().any(|other| is_named_after(&other.id, &run.id)),
        };
        if fits {
            return Ok(Some(run.clone()));
        }
        first = first.or(Some(run));
    }
    Ok(first.filter(|_| opening == Opening::Base).cloned())
}

fn is_open(run: &Run) -> bool {
    !run.elsewhere && run.state != JobState::Cancelled
}

/// Whether a run was begun on top of another one, as arms of comparisons are, and runs that learn what
/// people accepted: its name says so.
fn is_on_top(run: &Run, all: &[Run]) -> bool {
    all.iter().any(|other| is_named_after(&run.id, &other.id))
}

fn is_named_after(name: &str, other: &str) -> bool {
    name.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether a run has neither written nor taken over any question.
pub(super) async fn has_no_questions(store: &Store, run: &str) -> Result<bool, JobError> {
    Ok(store.content(run, Step::Generate.as_str()).await?.units == 0)
}

/// Settings to compare with others; what a run began with is [`obstacle`]'s to compare.
fn beside_inputs(settings: MethodSettings) -> MethodSettings {
    // Runs of older versions don't name their adapters.
    let adapters = settings.adapters().into_iter().map(|(_, target)| target).collect();
    MethodSettings { inputs: None, adapters: Some(adapters), ..settings }
}

/// Whether a run is another variant of the method than a new one that `request` means would be, or has
/// another setting than the request names.
fn is_other_variant(settings: &MethodSettings, request: &MethodRequest) -> bool {
    let unasked = (settings.seeds_per_topic.is_some() && request.seeds_per_topic.is_none())
        || (settings.accepted.is_some() && request.accepted.is_none())
        || (settings.general_from.is_some() && request.general_from.is_none());
    unasked || difference(settings, &with_usual_variant(request)).is_some()
}

/// The request with what a new run gets where it names no variant of the method. What is usually `None`
/// can't be asked for.
fn with_usual_variant(request: &MethodRequest) -> MethodRequest {
    request.clone().or(MethodRequest {
        templates: Some(PromptTemplates::default()),
        style: Some(PromptStyle::Aware),
        samples: Some(Elicitation::default()),
        rule: Some(CollectionRule::default()),
        source: Some(Source::default()),
        share: Some(1.0),
        matched: Some(false),
        general: Some(0.0),
        ..MethodRequest::default()
    })
}

/// The first setting that the request names otherwise, with both values.
pub(super) fn difference(settings: &MethodSettings, request: &MethodRequest) -> Option<String> {
    fn differs<T: PartialEq + std::fmt::Debug>(
        name: &str,
        stored: &T,
        asked: &Option<T>,
    ) -> Option<String> {
        let asked = asked.as_ref().filter(|asked| *asked != stored)?;
        Some(format!("`{name}` is {stored:?}, not {asked:?}"))
    }
    let adapters = settings.adapters().into_iter().map(|(_, target)| target).collect::<Vec<_>>();
    differs("survey", &settings.survey, &request.survey)
        .or_else(|| differs("seed", &settings.seed, &request.seed))
        .or_else(|| differs("per_topic", &settings.per_topic, &request.per_topic))
        .or_else(|| {
            let asked = request.seeds_per_topic.map(Some);
            differs("seeds_per_topic", &settings.seeds_per_topic, &asked)
        })
        .or_else(|| differs("cultures", &settings.cultures, &request.cultures))
        .or_else(|| differs("adapters", &adapters, &request.adapters))
        .or_else(|| differs("learning_rate", &settings.learning_rate, &request.learning_rate))
        .or_else(|| differs("epochs", &settings.epochs, &request.epochs))
        .or_else(|| differs("accumulation", &settings.accumulation, &request.accumulation))
        .or_else(|| differs("filter", &settings.filter, &request.filter))
        .or_else(|| {
            let hash = |templates: &PromptTemplates| templates.hash().to_owned();
            let asked = request.templates.as_ref().map(hash);
            differs("prompts", &hash(&settings.templates), &asked)
        })
        .or_else(|| differs("style", &settings.style, &request.style))
        .or_else(|| {
            let stored = settings.elicitation.to_string();
            differs("samples", &stored, &request.samples.map(|asked| asked.to_string()))
        })
        .or_else(|| differs("rule", &settings.rule, &request.rule))
        .or_else(|| differs("source", &settings.selection.source, &request.source))
        .or_else(|| differs("share", &settings.selection.share, &request.share))
        .or_else(|| differs("matched", &settings.selection.matched, &request.matched))
        .or_else(|| {
            let named = |accepted: &Accepted| format!("{}@{}", accepted.project, accepted.hash());
            let stored = settings.accepted.as_ref().map_or_else(|| "nothing".to_owned(), named);
            differs("accepted", &stored, &request.accepted.as_ref().map(named))
        })
        .or_else(|| differs("general", &settings.general, &request.general))
        .or_else(|| {
            let named = |file: &GeneralFile| format!("{}@{}", file.path, file.short_hash());
            let stored = settings.general_from.as_ref().map_or_else(|| "nothing".to_owned(), named);
            differs("general_from", &stored, &request.general_from.as_ref().map(named))
        })
        .or_else(|| differs("tuning", &settings.tuning, &request.tuning))
}

#[cfg(test)]
mod tests;
