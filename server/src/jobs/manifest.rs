//! A run's manifest: what went in and what came out, by hashes. The same settings on the same
//! inputs give the same manifest, whoever runs them, however often they are interrupted.

use std::collections::BTreeMap;

use app::api::JobState;
use domain::method::{Inputs, MethodSettings, Step};
use domain::training_set::Accepted;
use serde::{Deserialize, Serialize};

use super::JobError;
use super::tune::TunedAdapter;
use crate::store::{Content, RunKind, Store, StoreError};

/// What a run began with, and what it has made so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The run.
    pub run: String,
    /// Where it stands; only that of a run that is done is complete.
    pub state: JobState,
    /// When it was asked for, RFC 3339 in UTC.
    pub created: String,
    /// Everything that decides the result: settings, and hashes of model, survey and prompts.
    pub settings: MethodSettings,
    /// What each step has stored.
    pub steps: BTreeMap<Step, Content>,
    /// SHA-256 of each adapter's `adapter_model.safetensors`, by name within the run; `None` where
    /// there was nothing to learn from.
    pub adapters: BTreeMap<String, Option<String>>,
}

impl Manifest {
    /// The manifest of the run named `id`.
    ///
    /// # Errors
    /// An unknown run, one of another kind, or a failure of the store.
    pub async fn of(store: &Store, id: &str) -> Result<Self, JobError> {
        let run = store.run(id).await?;
        if run.kind != RunKind::Method {
            return Err(
                StoreError::UnknownRun { id: id.to_owned(), known: methods(store).await? }.into()
            );
        }
        let mut steps = BTreeMap::new();
        for step in Step::ALL {
            let content = store.content(id, step.as_str()).await?;
            if content.units > 0 {
                steps.insert(step, content);
            }
        }
        let tuned: BTreeMap<String, TunedAdapter> = store.units(id, Step::Tune.as_str()).await?;
        Ok(Self {
            settings: run.settings()?,
            run: run.id,
            state: run.state,
            created: run.created,
            steps,
            adapters: tuned.into_iter().map(|(name, adapter)| (name, adapter.hash)).collect(),
        })
    }

    /// What both have of each kind: `(what, this, other)`, equal ones included. Names, times and the
    /// version don't count.
    pub fn compared(&self, other: &Self) -> Vec<Comparison> {
        let mut compared = vec![
            Comparison::new("model", &self.settings.base_hash, &other.settings.base_hash),
            Comparison::new("settings", &deciding(&self.settings), &deciding(&other.settings)),
        ];
        let input = |of: fn(&Inputs) -> &String| {
            let of = |manifest: &Self| manifest.settings.inputs.as_ref().map(of).cloned();
            (of(self), of(other))
        };
        for (what, (first, second)) in [
            ("survey", input(|inputs| &inputs.survey_hash)),
            ("prompts", input(|inputs| &inputs.prompts_hash)),
        ] {
            compared.push(Comparison::maybe(what.to_owned(), first, second));
        }
        if self.settings.accepted.is_some() || other.settings.accepted.is_some() {
            let of = |manifest: &Self| manifest.settings.accepted.as_ref().map(Accepted::hash);
            compared.push(Comparison::maybe("accepted".to_owned(), of(self), of(other)));
        }
        for step in Step::ALL {
            let of = |manifest: &Self| manifest.steps.get(&step).map(|c| c.sha256.clone());
            compared.push(Comparison::maybe(step.to_string(), of(self), of(other)));
        }
        for name in self
            .adapters
            .keys()
            .chain(other.adapters.keys().filter(|name| !self.adapters.contains_key(*name)))
        {
            let of = |manifest: &Self| manifest.adapters.get(name).cloned().flatten();
            compared.push(Comparison::maybe(format!("adapter {name}"), of(self), of(other)));
        }
        compared
    }
}

/// One thing in two manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What: `elicit`, `adapter joint`.
    pub what: String,
    /// Its hash or value in the first; `None` where it has none.
    pub first: Option<String>,
    /// The same in the second.
    pub second: Option<String>,
}

impl Comparison {
    fn new(what: &str, first: &str, second: &str) -> Self {
        Self::maybe(what.to_owned(), Some(first.to_owned()), Some(second.to_owned()))
    }

    fn maybe(what: String, first: Option<String>, second: Option<String>) -> Self {
        Self { what, first, second }
    }

    /// Whether both are the same.
    pub fn is_same(&self) -> bool {
        self.first == self.second
    }
}

/// The settings that a person chooses, as the command that repeats them.
fn deciding(settings: &MethodSettings) -> String {
    settings.request().options()
}

async fn methods(store: &Store) -> Result<Vec<String>, JobError> {
    Ok(store.runs(RunKind::Method).await?.into_iter().map(|run| run.id).collect())
}
