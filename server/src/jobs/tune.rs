//! Step 4 of the method: one adapter on all cultures' instances, and one per culture.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::culture::CultureCode;
use domain::instance::{AnswerPair, Instance};
use domain::method::AdapterTarget;
use domain::question::{Question, QuestionId};
use domain::training_set::{self, Sizes};
use domain::voice::Voice;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::ahead::Ahead;
use super::general::{self, Use};
use super::work::{Progress, Update, Watcher};
use super::{JobError, Method, ask};
use crate::store::{AdapterRow, StoreError, Unit};
use engine::LoadedModel;
use engine::tuning::{Example, TuneConfig, TuneProgress, TuningError, peft, tune, updates};

const STEP: &str = "tune";

/// An adapter that a run has tuned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunedAdapter {
    /// Its name: `joint`, `specific-THA`.
    pub name: String,
    /// The culture it was tuned for; `None` for the joint one.
    pub culture: Option<CultureCode>,
    /// Instances it was tuned on.
    pub instances: usize,
    /// SHA-256 of its weights' file; `None` where there was no instance to learn from.
    pub hash: Option<String>,
}

impl Method {
    /// Tunes the run's adapters that aren't tuned yet, the joint one first.
    ///
    /// # Errors
    /// [`JobError::StepMissing`] before instances were collected; see [`JobError`] for the rest.
    /// What was learnt up to the last checkpoint is kept.
    pub async fn tune(&self, watcher: &mut Watcher<'_>) -> Result<Vec<TunedAdapter>, JobError> {
        let collected = self.collection().await?.instances;
        let pairs = self.decided_pairs().await?;
        let (selection, accepted) = (self.settings.selection, self.settings.accepted.as_ref());
        let instances = training_set::select(&pairs, &collected, selection, accepted);
        let questions = self.questions().await?;
        let mut done = self.tuned().await?;
        let mut ahead = self.ahead(&instances, &done);
        for (place, target) in self.settings.adapters() {
            let (name, culture) = (target.name(), target.culture());
            if done.contains_key(&name) {
                continue;
            }
            let chosen: Vec<&Instance> = learnt_by(target, &instances).collect();
            let mut examples = self.examples(&questions, &chosen)?;
            let file = self.settings.general_from.as_ref();
            let general = self.general_for(chosen.len());
            examples.extend(general::conversations(file, general, Use::Learnt)?);
            ahead.begin(target);
            let mut told = |progress: &TuneProgress| {
                let mut told = as_progress(&name, progress);
                told.whole = Some(ahead.at(told.done, told.total, told.remaining_seconds));
                watcher(&told)
            };
            let hash = match examples.is_empty() {
                true => None,
                false => Some(self.tune_one(&name, culture, examples, place, &mut told).await?),
            };
            let tuned = TunedAdapter { name: name.clone(), culture, instances: chosen.len(), hash };
            let unit = Unit { key: name.clone(), result: tuned.clone() };
            self.store.record_units(&self.run, STEP, &[unit]).await?;
            // Only what a killed run needs; from here on the adapter itself is kept.
            let _ = fs::remove_dir_all(self.checkpoints(&name));
            done.insert(name, tuned);
            ahead.end(target);
        }
        self.load_adapters().await?;
        Ok(done.into_values().collect())
    }

    /// General conversations beside so many instances.
    fn general_for(&self, instances: usize) -> usize {
        (self.settings.general * instances as f64).round() as usize
    }

    /// The adapters that aren't among `done`, with the updates that each will take.
    fn ahead(&self, instances: &[Instance], done: &BTreeMap<String, TunedAdapter>) -> Ahead {
        let all = self.settings.adapters();
        let parts = all.len();
        let part = |(place, target): (usize, AdapterTarget)| {
            let count = learnt_by(target, instances).count();
            let config = self.tune_config(place);
            (target, updates(count + self.general_for(count), &config) as usize)
        };
        let waiting = all.into_iter().filter(|(_, target)| !done.contains_key(&target.name()));
        Ahead { parts, waiting: waiting.map(part).collect(), pace: None }
    }

    /// The adapters that this run has tuned, by their name within it.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn tuned(&self) -> Result<BTreeMap<String, TunedAdapter>, JobError> {
        Ok(self.store.units(&self.run, STEP).await?)
    }

    /// The pairs that the run's rule can decide: only of them it's known that they are consistent.
    async fn decided_pairs(&self) -> Result<Vec<AnswerPair>, JobError> {
        let mut pairs = self.answer_pairs().await?;
        pairs.retain(|pair| self.settings.rule.decides(pair));
        Ok(pairs)
    }

    /// How many pairs every culture has to learn from.
    ///
    /// # Errors
    /// [`JobError::StepMissing`] before instances were collected; a failure of the store.
    pub async fn sizes(&self) -> Result<BTreeMap<CultureCode, Sizes>, JobError> {
        let collected = self.collection().await?.instances;
        let pairs = self.decided_pairs().await?;
        Ok(training_set::sizes(&pairs, &collected, self.settings.accepted.as_ref()))
    }

    /// How many pairs the joint adapter was tuned on; 0 where there is none.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn tuned_on(&self) -> Result<usize, JobError> {
        let joint = AdapterTarget::Joint.name();
        Ok(self.tuned().await?.get(&joint).map_or(0, |adapter| adapter.instances))
    }

    /// The name by which the engine knows one of the run's adapters, and its hash; `None` where the
    /// run has no such adapter.
    ///
    /// # Errors
    /// A failure of the store, or files that can't be loaded.
    pub async fn loaded_adapter(&self, name: &str) -> Result<Option<(String, String)>, JobError> {
        self.load_adapters().await?;
        let hash = self.tuned().await?.get(name).and_then(|adapter| adapter.hash.clone());
        Ok(hash.map(|hash| (self.adapter_name(name), hash)))
    }

    /// Puts the run's adapters into the engine. A run without any leaves those that are loaded.
    ///
    /// # Errors
    /// Files that are missing, broken or belong to another base model.
    pub(super) async fn load_adapters(&self) -> Result<(), JobError> {
        for adapter in self.tuned().await?.values().filter(|adapter| adapter.hash.is_some()) {
            let name = self.adapter_name(&adapter.name);
            self.engine.load_adapter(&name, &self.folder(&adapter.name)).await?;
        }
        Ok(())
    }

    /// What everybody else calls one of the run's adapters: several runs have a `joint` one.
    pub(super) fn adapter_name(&self, name: &str) -> String {
        format!("{}/{name}", self.run)
    }

    /// Where an adapter's files go.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.store.adapters_folder().join(&self.run).join(name)
    }

    /// Where its checkpoints lie while it is tuned.
    pub(super) fn checkpoints(&self, name: &str) -> PathBuf {
        self.store.run_folder(&self.run).join("tune").join(name)
    }

    /// The aware prompt of every instance, answered with the aware answer (method, step 4).
    fn examples(
        &self,
        questions: &[Question],
        instances: &[&Instance],
    ) -> Result<Vec<Example>, JobError> {
        let questions: BTreeMap<&QuestionId, &Question> =
            questions.iter().map(|question| (&question.id, question)).collect();
        instances
            .iter()
            .filter_map(|instance| Some((instance, *questions.get(&instance.question)?)))
            .map(|(instance, question)| {
                let voice = Voice::aware(instance.culture);
                let messages =
                    ask::messages(&self.settings.templates, &self.survey, &voice, question)?;
                Ok(Example { messages, answer: instance.aware.to_string() })
            })
            .collect()
    }

    /// Tunes, saves and registers one adapter. Returns the SHA-256 of its weights' file.
    async fn tune_one(
        &self,
        name: &str,
        culture: Option<CultureCode>,
        examples: Vec<Example>,
        place: usize,
        watcher: &mut (dyn FnMut(&TuneProgress) -> ControlFlow<()> + Send),
    ) -> Result<String, JobError> {
        let task = TuneTask {
            model: self.engine.model(),
            examples,
            config: self.tune_config(place),
            checkpoints: self.checkpoints(name),
            folder: self.folder(name),
            base_name: self.engine.info().name.clone(),
            base_hash: self.engine.base_hash().to_owned(),
        };
        let hash = task.watched(watcher).await?;
        let row = AdapterRow {
            base_hash: self.engine.base_hash().to_owned(),
            name: self.adapter_name(name),
            hash: hash.clone(),
            culture,
            run: Some(self.run.clone()),
            folder: self.folder(name),
        };
        self.store.put_adapter(&row).await?;
        Ok(hash)
    }

    /// How the adapter at this place among the run's is tuned.
    pub(super) fn tune_config(&self, place: usize) -> TuneConfig {
        let tuning = &self.settings.tuning;
        TuneConfig {
            r: tuning.rank,
            alpha: tuning.alpha,
            target_modules: tuning.modules.clone(),
            warmup: tuning.warmup,
            schedule: tuning.schedule,
            weight_decay: tuning.weight_decay,
            betas: (tuning.beta1, tuning.beta2),
            dropout: tuning.dropout,
            epsilon: tuning.epsilon,
            batch: tuning.batch,
            cutoff: tuning.cutoff,
            max_norm: tuning.max_norm,
            gradient_checkpointing: tuning.checkpointing,
            learning_rate: self.settings.learning_rate,
            epochs: self.settings.epochs as u64,
            accumulation: self.settings.accumulation,
            seed: self.settings.seed.wrapping_add(place as u64),
            checkpoint_every: CHECKPOINT_EVERY,
            ..TuneConfig::default()
        }
    }
}

/// The instances that an adapter learns: its culture's, or all.
fn learnt_by(target: AdapterTarget, instances: &[Instance]) -> impl Iterator<Item = &Instance> {
    let culture = target.culture();
    instances.iter().filter(move |i| culture.is_none_or(|code| i.culture == code))
}

/// Updates between checkpoints: an update of the starter takes seconds, a checkpoint far less.
const CHECKPOINT_EVERY: u64 = 2;

fn as_progress(name: &str, progress: &TuneProgress) -> Progress {
    Progress {
        step: format!("tune {name}"),
        done: progress.step as usize,
        total: progress.total as usize,
        remaining_seconds: Some(progress.remaining_seconds),
        whole: None,
        update: Some(Update { loss: progress.loss, learning_rate: progress.learning_rate }),
    }
}

/// Everything that tuning needs on a thread of its own: the engine's thread goes on serving.
struct TuneTask {
    model: Arc<LoadedModel>,
    examples: Vec<Example>,
    config: TuneConfig,
    checkpoints: PathBuf,
    folder: PathBuf,
    base_name: String,
    base_hash: String,
}

impl TuneTask {
    async fn watched(
        self,
        watcher: &mut (dyn FnMut(&TuneProgress) -> ControlFlow<()> + Send),
    ) -> Result<String, JobError> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = tokio::task::spawn_blocking(move || self.run(&sender, &asked));
        while let Some(progress) = receiver.recv().await {
            if watcher(&progress).is_break() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        match thread.await {
            Ok(result) => result,
            Err(panic) => Err(JobError::broken_off(&panic)),
        }
    }

    fn run(
        self,
        sender: &mpsc::UnboundedSender<TuneProgress>,
        stop: &AtomicBool,
    ) -> Result<String, JobError> {
        let made = |folder: &PathBuf| {
            fs::create_dir_all(folder).map_err(|error| StoreError::io(folder, &error))
        };
        made(&self.checkpoints)?;
        let mut progress = |progress: TuneProgress| {
            // Nobody listening any more means that the job was dropped.
            let gone = sender.send(progress).is_err();
            match gone || stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let adapter = tune(
            &self.model.decoder,
            &self.model.tokenizer,
            &self.examples,
            &self.config,
            &self.checkpoints,
            &mut progress,
        )
        .map_err(|error| match error {
            TuningError::Cancelled { .. } => JobError::Cancelled,
            other => other.into(),
        })?;
        made(&self.folder)?;
        Ok(peft::save(&self.folder, &adapter, &self.base_name, &self.base_hash)?)
    }
}
