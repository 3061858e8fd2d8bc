//! A run's collected instances as items that people judge.

use std::collections::BTreeMap;

use app::api::annotation::SourceInfo;
use domain::annotation::Item;
use domain::instance::Collection;
use domain::question::{Question, QuestionId};
use domain::survey::Provenance;
use domain::voice::Voice;

use super::elicit::{self, Answered};
use super::{JobError, Method, MethodRequest, MethodSettings, Opening, collect};
use crate::store::{RunKind, Store, StoreError, UnitKey};
use engine::Engine;

/// The runs that have collected instances, newest first.
///
/// # Errors
/// A failure of the store.
pub async fn sources(store: &Store) -> Result<Vec<SourceInfo>, JobError> {
    let mut sources = Vec::new();
    for run in store.runs(RunKind::Method).await? {
        let mut units = store.units::<Collection>(&run.id, collect::STEP).await?;
        let instances = units.remove(collect::KEY).map_or(0, |found| found.instances.len());
        if instances > 0 {
            sources.push(SourceInfo { run: run.id, instances, created: run.created });
        }
    }
    Ok(sources)
}

/// Where a run's questions and answers come from, for those who read them elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The run.
    pub run: String,
    /// The model's name; `None` in runs of older versions.
    pub model: Option<String>,
    /// The survey's name for people.
    pub survey: String,
    /// Whether its people were asked.
    pub provenance: Provenance,
}

/// The origin of what the run named `run` has; `None` where the run or its survey is gone.
///
/// # Errors
/// A failure of the store.
pub async fn origin(store: &Store, run: &str) -> Result<Option<Origin>, JobError> {
    let found = match store.run(run).await {
        Err(StoreError::UnknownRun { .. }) => return Ok(None),
        found => found?,
    };
    let settings: MethodSettings = found.settings()?;
    let survey = match store.survey(&settings.survey).await {
        Err(StoreError::UnknownSurvey { .. }) => return Ok(None),
        found => found?,
    };
    Ok(Some(Origin {
        run: run.to_owned(),
        model: settings.inputs.map(|inputs| inputs.model),
        survey: survey.title,
        provenance: survey.provenance,
    }))
}

/// The instances of the run named `run`, each with its question and the model's probabilities.
///
/// # Errors
/// [`JobError::StepMissing`] before they were collected; an unknown run, or one of another model.
pub async fn items_of_run(
    store: &Store,
    engine: &Engine,
    run: &str,
) -> Result<Vec<Item>, JobError> {
    let request = MethodRequest { run: Some(run.to_owned()), ..MethodRequest::default() };
    let method = Method::open(store, engine, &request, Opening::GoOn).await?;
    let instances = method.collection().await?.instances;
    let questions = method.questions().await?;
    let questions: BTreeMap<&QuestionId, &Question> =
        questions.iter().map(|question| (&question.id, question)).collect();
    let units: BTreeMap<UnitKey, Answered> = store.units(run, elicit::STEP).await?;
    // Where answers were drawn there are no probabilities to show.
    let probabilities =
        |voice: &Voice, question: &Question| match units.get(&elicit::key(voice, question)) {
            Some(Answered::Probabilities(probabilities)) => probabilities.clone(),
            _ => Vec::new(),
        };
    let style = method.settings.style;
    let items = instances.into_iter().filter_map(|instance| {
        let question = *questions.get(&instance.question)?;
        Some(Item {
            id: format!("{}-{}", instance.culture, instance.question).as_str().into(),
            culture: instance.culture,
            unaware: instance.unaware,
            aware: instance.aware,
            unaware_probabilities: probabilities(&Voice::unaware(), question),
            aware_probabilities: probabilities(&Voice::styled(instance.culture, style), question),
            people: method.survey.people(instance.culture, &instance.question).cloned(),
            gold: None,
            question: question.clone(),
        })
    });
    Ok(items.collect())
}
