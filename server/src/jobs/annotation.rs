//! A run's collected instances as items that people judge.

use std::collections::BTreeMap;

use app::api::annotation::SourceInfo;
use domain::annotation::Item;
use domain::instance::Collection;
use domain::prompt::PromptTemplates;
use domain::question::{Question, QuestionId};
use domain::survey::Provenance;
use domain::voice::Voice;

use super::elicit::{self, Answered};
use super::{JobError, Method, MethodSettings, collect};
use crate::store::{RunKind, Store, StoreError, UnitKey};
use engine::Engine;

/// The runs that have collected instances, newest first, whatever model is loaded: what is judged was
/// answered already. Those whose survey is gone are left out.
///
/// # Errors
/// A failure of the store.
pub async fn sources(store: &Store) -> Result<Vec<SourceInfo>, JobError> {
    let mut sources = Vec::new();
    for run in store.runs(RunKind::Method).await? {
        let mut units = store.units::<Collection>(&run.id, collect::STEP).await?;
        let instances = units.remove(collect::KEY).map_or(0, |found| found.instances.len());
        if instances == 0 {
            continue;
        }
        let settings: MethodSettings = run.settings()?;
        match store.survey(&settings.survey).await {
            Ok(_) => sources.push(SourceInfo { run: run.id, instances, created: run.created }),
            Err(StoreError::UnknownSurvey { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sources)
}

/// The wording of the prompts of the run named `run`; the built-in one where the run is gone.
///
/// # Errors
/// A failure of the store.
pub async fn templates(store: &Store, run: &str) -> Result<PromptTemplates, JobError> {
    match store.run(run).await {
        Err(StoreError::UnknownRun { .. }) => Ok(PromptTemplates::builtin().clone()),
        found => Ok(found?.settings::<MethodSettings>()?.templates),
    }
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
/// [`JobError::StepMissing`] before they were collected; an unknown run, or one whose survey is gone.
pub async fn items_of_run(
    store: &Store,
    engine: &Engine,
    run: &str,
) -> Result<Vec<Item>, JobError> {
    let method = Method::stored(store, engine, run).await?;
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
