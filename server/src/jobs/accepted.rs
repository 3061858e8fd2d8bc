//! Runs that learn only what people accepted of another run's instances.
//!
//! Such a run has the source run's settings and takes over its questions and answers. What was accepted
//! is fixed in its settings when it is made: judgements that change afterwards make another run.

use app::api::annotation::AcceptedRun;
use domain::method::{AdapterTarget, MethodRequest, MethodSettings, Step};
use domain::training_set::{Accepted, Source};

use super::opening::difference;
use super::{JobError, Method, Opening};
use crate::store::{Run, RunKind, Store, StoreError};
use engine::Engine;

/// Steps whose results are the source run's.
const SHARED: [Step; 2] = [Step::Generate, Step::Elicit];

/// Letters of the source run's name, and of the project's, in the name of the new one.
const LONGEST_PARTS: (usize, usize) = (40, 8);

/// Opens the run that learns `accepted`, with what `own` says of tuning. Without a name of its own that
/// is the project's newest run if nothing that decides has changed since, else a new one, named after
/// the source run and the project.
///
/// # Errors
/// Nothing accepted; a source run that is gone or of another model; a setting of `own` that would
/// change the answers that people judged.
pub async fn open(
    store: &Store,
    engine: &Engine,
    mut accepted: Accepted,
    own: MethodRequest,
) -> Result<Method, JobError> {
    let source = MethodRequest { run: Some(accepted.source_run.clone()), ..Default::default() };
    let source = Method::open(store, engine, &source, Opening::GoOn).await?;
    if let Some(begun) = begun(store, own.run.as_deref(), &accepted).await? {
        accepted = begun;
    }
    if accepted.count() == 0 {
        return Err(JobError::refused(
            format!("the project `{}` has accepted no instance yet", accepted.project),
            "Judge until an item's verdict is a label that accepts, then try again.",
        ));
    }
    check_answers(&source, &own)?;
    let mut request = wanted(&source.settings, accepted, own);
    request.check()?;
    if request.run.is_none() {
        request.run = Some(name(store, &request).await?);
    }
    let method = Method::open(store, engine, &request, Opening::Begin).await?;
    // What is there already stays. A run that was killed before this works the same out for itself.
    for step in SHARED {
        store.copy_units(&source.run, &method.run, step.as_str()).await?;
    }
    Ok(method)
}

/// The runs that learn what `project` accepted, newest first.
///
/// # Errors
/// A failure of the store.
pub async fn runs(store: &Store, project: &str) -> Result<Vec<AcceptedRun>, JobError> {
    let runs = of_project(store, project).await?.into_iter();
    let told = |(run, _, accepted): (Run, MethodSettings, Accepted)| AcceptedRun {
        instances: accepted.count(),
        run: run.id,
        state: run.state,
        created: run.created,
    };
    Ok(runs.map(told).collect())
}

async fn of_project(
    store: &Store,
    project: &str,
) -> Result<Vec<(Run, MethodSettings, Accepted)>, JobError> {
    let mut found = Vec::new();
    for run in store.runs(RunKind::Method).await? {
        let settings: MethodSettings = run.settings()?;
        if let Some(accepted) = settings.accepted.clone().filter(|a| a.project == project) {
            found.push((run, settings, accepted));
        }
    }
    Ok(found)
}

/// What the run `name` has begun to learn, if there is one of the same project and source: it goes on
/// with that.
async fn begun(
    store: &Store,
    name: Option<&str>,
    accepted: &Accepted,
) -> Result<Option<Accepted>, JobError> {
    let Some(name) = name else { return Ok(None) };
    let settings: MethodSettings = match store.run(name).await {
        Err(StoreError::UnknownRun { .. }) => return Ok(None),
        // A run of another kind is refused where it is opened.
        found => match found?.settings() {
            Ok(settings) => settings,
            Err(_) => return Ok(None),
        },
    };
    let same = |begun: &Accepted| {
        (&begun.project, &begun.source_run) == (&accepted.project, &accepted.source_run)
    };
    Ok(settings.accepted.filter(same))
}

/// Refuses other questions or answers than those that were judged.
fn check_answers(source: &Method, own: &MethodRequest) -> Result<(), JobError> {
    let of_tuning = own.clone();
    let asked = MethodRequest {
        run: None,
        adapters: None,
        learning_rate: None,
        epochs: None,
        accumulation: None,
        source: None,
        share: None,
        matched: None,
        accepted: None,
        general: None,
        tuning: None,
        ..of_tuning
    };
    match difference(&source.settings, &asked) {
        None => Ok(()),
        Some(difference) => Err(JobError::refused(
            format!("people have judged the answers of the run `{}`: {difference}", source.run),
            "Leave the setting out; only those of tuning can differ.",
        )),
    }
}

/// The source run's settings with `own` in front, learning what was accepted.
fn wanted(source: &MethodSettings, accepted: Accepted, own: MethodRequest) -> MethodRequest {
    let of_source = source.request();
    let adapters = own.adapters.clone().unwrap_or_else(|| {
        // A culture of which nothing was accepted has nothing to learn from.
        let learns = |target: &AdapterTarget| {
            target.culture().is_none_or(|culture| accepted.instances.contains_key(&culture))
        };
        let all = source.adapters().into_iter().map(|(_, target)| target);
        let some: Vec<AdapterTarget> = all.filter(learns).collect();
        if some.is_empty() { vec![AdapterTarget::Joint] } else { some }
    });
    MethodRequest {
        adapters: Some(adapters),
        source: own.source.or(Some(Source::Inconsistent)),
        share: own.share.or(Some(1.0)),
        matched: own.matched.or(Some(false)),
        accepted: Some(accepted),
        ..own
    }
    .or(of_source)
}

/// The project's newest run of these very settings, or a name that is free.
async fn name(store: &Store, request: &MethodRequest) -> Result<String, JobError> {
    let Some(accepted) = &request.accepted else { return Ok(String::new()) };
    let newest = of_project(store, &accepted.project).await?.into_iter().next();
    if let Some((run, ..)) = newest.filter(|(_, known, _)| difference(known, request).is_none()) {
        return Ok(run.id);
    }
    let first = |text: &str, most| text.chars().take(most).collect::<String>();
    let (of_run, of_project) = LONGEST_PARTS;
    let base =
        format!("{}.{}", first(&accepted.source_run, of_run), first(&accepted.project, of_project));
    let (mut name, mut number) = (base.clone(), 1);
    loop {
        match store.run(&name).await {
            Err(StoreError::UnknownRun { .. }) => return Ok(name),
            found => found?,
        };
        number += 1;
        name = format!("{base}-{number}");
    }
}
