//! What tuning leaves behind to look at: the loss of every update, and how an adapter answers one
//! held-out question as it learns. Nothing here decides what tuning does.

use std::collections::BTreeMap;

use domain::culture::CultureCode;
use domain::method::{AdapterTarget, far_apart};
use domain::question::Question;
use domain::survey::{Distribution, Survey};
use domain::voice::Voice;
use serde::{Deserialize, Serialize};

use super::{JobError, Method, ask};
use crate::store::{Store, Unit};

/// Where losses of updates are kept.
pub(super) const LOSS: &str = "loss";

/// Where answers to the sample question are kept.
pub(super) const SAMPLE: &str = "sample";

/// The loss of one update; which one is in its key.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Loss {
    /// Updates of the whole adapter.
    pub total: usize,
    /// Mean loss of its answer tokens, in nats.
    pub loss: f64,
    /// Its learning rate.
    pub learning_rate: f64,
}

/// `joint/00000012`: an adapter after so many updates. Sorted as they come.
pub(super) fn unit_key(name: &str, step: usize) -> String {
    format!("{name}/{step:08}")
}

/// The values of `step` by adapter and updates.
pub(super) async fn by_adapter<T: serde::de::DeserializeOwned>(
    store: &Store,
    run: &str,
    step: &str,
) -> Result<BTreeMap<String, Vec<(usize, T)>>, JobError> {
    let mut found: BTreeMap<String, Vec<(usize, T)>> = BTreeMap::new();
    for (key, value) in store.units::<T>(run, step).await? {
        if let Some((name, number)) = key.rsplit_once('/')
            && let Ok(number) = number.parse()
        {
            found.entry(name.to_owned()).or_default().push((number, value));
        }
    }
    Ok(found)
}

/// The question that shows what an adapter learns: the held-out one on which the people of its
/// culture differ most from those of the run's other cultures. A joint adapter answers as a culture
/// that is far from what models say by default.
pub(super) fn sample_question<'a>(
    survey: &'a Survey,
    cultures: &[CultureCode],
    target: AdapterTarget,
) -> Option<(CultureCode, &'a Question)> {
    let culture = target.culture().or(far_apart(cultures).last().copied())?;
    let distance = |question: &Question| {
        let Some(people) = survey.people(culture, &question.id) else { return -1.0 };
        let all = cultures.iter().filter_map(|code| survey.people(*code, &question.id));
        let all: Vec<&Distribution> = all.collect();
        let mean = |option: usize| {
            all.iter().filter_map(|people| people.shares.get(option)).sum::<f64>()
                / all.len().max(1) as f64
        };
        let shares = people.shares.iter().enumerate();
        shares.map(|(option, share)| (share - mean(option)).abs()).sum::<f64>()
    };
    let farther = |best: &'a Question, other: &'a Question| {
        // Of equals the first, so that the choice depends on the survey alone.
        if distance(other) > distance(best) { other } else { best }
    };
    Some((culture, survey.evaluated().into_iter().reduce(farther)?))
}

impl Method {
    /// The run's adapter of this name, with its place among all.
    pub(super) fn target(&self, name: &str) -> Option<(usize, AdapterTarget)> {
        self.settings.adapters().into_iter().find(|(_, target)| target.name() == name)
    }

    /// Lets the newest checkpoint of an adapter answer its question. Returns how many updates that
    /// checkpoint has behind it; `None` where there is none.
    ///
    /// # Errors
    /// A checkpoint that can't be read, or a failure of engine or store.
    pub(super) async fn sample_newest(
        &self,
        place: usize,
        target: AdapterTarget,
    ) -> Result<Option<usize>, JobError> {
        let name = target.name();
        // Apart from the checkpoints, which tuning removes when it is done with them.
        let folder = self.store.run_folder(&self.run).join("sample").join(&name);
        let Some(step) = self.save_newest(place, &name, |_| folder.clone()).await? else {
            return Ok(None);
        };
        let loaded = self.adapter_name(&format!("{name}@now"));
        self.engine.load_adapter(&loaded, &folder).await?;
        let answered = self.sample(target, &loaded, step).await;
        self.engine.forget_adapter(&loaded);
        // Its answer is kept; what can't be removed is written over the next time.
        let _ = std::fs::remove_dir_all(&folder);
        answered.map(|()| Some(step))
    }

    /// Lets every adapter that is done answer its question.
    ///
    /// # Errors
    /// A failure of engine or store.
    pub(super) async fn sample_tuned(&self) -> Result<(), JobError> {
        let losses = by_adapter::<Loss>(&self.store, &self.run, LOSS).await?;
        for adapter in self.tuned().await?.values().filter(|adapter| adapter.hash.is_some()) {
            let last = losses.get(&adapter.name).and_then(|losses| losses.last());
            if let (Some((_, target)), Some((_, last))) = (self.target(&adapter.name), last) {
                let loaded = self.adapter_name(&adapter.name);
                self.sample(target, &loaded, last.total).await?;
            }
        }
        Ok(())
    }

    /// Asks the sample question of the adapter that the engine knows as `loaded`, and, for the first
    /// time, of the base model.
    async fn sample(
        &self,
        target: AdapterTarget,
        loaded: &str,
        step: usize,
    ) -> Result<(), JobError> {
        let cultures = &self.settings.cultures;
        let Some((culture, question)) = sample_question(&self.survey, cultures, target) else {
            return Ok(());
        };
        let voices = [Voice::aware(culture), Voice::adapted(culture, loaded)];
        let prompts = voices
            .iter()
            .map(|voice| ask::score_prompt(&self.settings.templates, &self.survey, voice, question))
            .collect::<Result<Vec<_>, _>>()?;
        let answers = ask::probabilities(&self.engine, prompts).await?;
        let keys = [unit_key(&target.name(), 0), unit_key(&target.name(), step)];
        let units: Vec<Unit<Vec<f64>>> =
            keys.into_iter().zip(answers).map(|(key, result)| Unit { key, result }).collect();
        self.store.record_units(&self.run, SAMPLE, &units).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::sample_question;
    use crate::jobs::testing::survey;

    #[test]
    fn the_question_is_one_that_sets_the_culture_apart() {
        let mut survey = survey();
        let (usa, thai) = (survey.cultures[0].code, survey.cultures[1].code);
        let odd = survey.evaluated()[2].id.clone();
        let people = survey.reference.get_mut(&thai).unwrap().get_mut(&odd).unwrap();
        people.shares.fill(0.0);
        people.shares[0] = 1.0;
        for target in ["joint", "THA"] {
            let found = sample_question(&survey, &[usa, thai], target.parse().unwrap());
            let (culture, question) = found.unwrap();
            assert_eq!((culture, &question.id), (thai, &odd), "{target}");
        }
        assert!(sample_question(&survey, &[], "joint".parse().unwrap()).is_none());
    }
}
