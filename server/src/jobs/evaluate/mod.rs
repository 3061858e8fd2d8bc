//! Step 5: all voices answer the evaluated questions, and are compared with people.
//!
//! - [`report`]: what that comes to.
//! - [`cross`]: every culture's own adapter asked as every culture.
//! - `elsewhere`: a run's voices on another survey.
//! - [`variants`]: other prompt styles, and options in other orders and under other numbers.

pub mod cross;
mod elsewhere;
pub mod report;
pub mod variants;

use std::collections::{BTreeMap, BTreeSet};

use domain::answer::SurveyAnswer;
use domain::culture::CultureCode;
use domain::question::{Question, QuestionId, Topic};
use domain::score::{Metric, Movement, Part, Parts, Refusals, movement, paired_interval, parts};
use domain::voice::Voice;

pub use self::report::{
    Baselines, EvaluationReport, Gain, Gains, Row, ScoreIntervals, Scores, TopicRow,
};
use self::report::{mean_row, topic_row};
use super::tune::TunedAdapter;
use super::work::{Watcher, Work};
use super::{JobError, Method, ask};
use crate::store::UnitKey;

const STEP: &str = "evaluate";
const BATCH: usize = 64;

/// One culture's voices as parts.
#[derive(Debug, Default)]
struct VoiceParts {
    unaware: Option<Parts>,
    aware: Option<Parts>,
    joint: Option<Parts>,
    specific: Option<Parts>,
}

impl VoiceParts {
    /// Its parts on these questions; a voice that answered none of them is left out.
    fn on(&self, questions: &[&Question]) -> Self {
        let asked: BTreeSet<&QuestionId> = questions.iter().map(|question| &question.id).collect();
        let of = |parts: &Option<Parts>| -> Option<Parts> {
            let kept = parts.as_ref()?.iter().filter(|(id, _)| asked.contains(id));
            let kept: Parts = kept.map(|(id, part)| (id.clone(), *part)).collect();
            (!kept.is_empty()).then_some(kept)
        };
        Self {
            unaware: of(&self.unaware),
            aware: of(&self.aware),
            joint: of(&self.joint),
            specific: of(&self.specific),
        }
    }
}

/// The answers of one voice per culture.
pub type CultureAnswers = Vec<(CultureCode, Vec<SurveyAnswer>)>;

/// Which of a culture's voices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoiceKind {
    /// Base model, no culture named.
    Unaware,
    /// Base model, the culture named.
    Aware,
    /// Joint adapter, the culture named.
    Joint,
    /// The culture's own adapter, the culture named.
    Specific,
}

impl VoiceKind {
    /// All kinds in the order of the table.
    const ALL: [Self; 4] = [Self::Unaware, Self::Aware, Self::Joint, Self::Specific];

    /// Its column in the table.
    fn as_str(self) -> &'static str {
        match self {
            Self::Unaware => "unaware",
            Self::Aware => "aware",
            Self::Joint => "joint",
            Self::Specific => "specific",
        }
    }

    fn voice(self, code: CultureCode) -> Voice {
        match self {
            Self::Unaware => Voice::unaware(),
            Self::Aware => Voice::aware(code),
            Self::Joint => Voice::adapted(code, "joint"),
            Self::Specific => Voice::adapted(code, specific_name(code)),
        }
    }
}

impl Method {
    /// What the evaluation has stored of every culture's voice of this kind; cultures without such
    /// a voice are left out.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn evaluated_answers(&self, kind: VoiceKind) -> Result<CultureAnswers, JobError> {
        let adapters = self.evaluated_adapters(&self.tuned().await?);
        let units: BTreeMap<UnitKey, Vec<f64>> =
            self.store.units(&self.run, &self.kept_as(STEP)).await?;
        let of_culture = |code: &CultureCode| {
            let answers = self.stored_answers(&kind.voice(*code), &adapters, &units);
            (!answers.is_empty()).then_some((*code, answers))
        };
        Ok(self.settings.cultures.iter().filter_map(of_culture).collect())
    }

    fn stored_answers(
        &self,
        voice: &Voice,
        adapters: &BTreeMap<String, String>,
        units: &BTreeMap<UnitKey, Vec<f64>>,
    ) -> Vec<SurveyAnswer> {
        let answer = |question: &Question| {
            let probabilities = units.get(&key(voice, adapters, question.id.as_str()))?.clone();
            Some(SurveyAnswer { question: question.id.clone(), probabilities })
        };
        self.survey.evaluated().into_iter().filter_map(answer).collect()
    }

    /// Asks the held-out questions that aren't answered yet, and scores all answers.
    ///
    /// # Errors
    /// See [`JobError`]; what was answered before is kept.
    pub async fn evaluate(
        &self,
        metric: Metric,
        watcher: &mut Watcher<'_>,
    ) -> Result<EvaluationReport, JobError> {
        self.load_adapters().await?;
        let tuned = self.tuned().await?;
        let adapters = self.evaluated_adapters(&tuned);
        let voices = self.voices(&adapters);
        self.ask_held_out(STEP, &voices, (&tuned, &adapters), watcher).await?;
        let units = self.store.units(&self.run, &self.kept_as(STEP)).await?;
        let ability = self.guarded().await?;
        let report = self.report(metric, adapters, &units, !tuned.is_empty());
        Ok(EvaluationReport { ability, seen: self.seen().await?, ..report })
    }

    /// Asks these voices the held-out questions that the step has no answers to yet. Of the
    /// adapters: those that the run tuned, and the hashes by name of those that are evaluated.
    async fn ask_held_out(
        &self,
        step: &str,
        voices: &[Voice],
        (tuned, adapters): (&BTreeMap<String, TunedAdapter>, &BTreeMap<String, String>),
        watcher: &mut Watcher<'_>,
    ) -> Result<(), JobError> {
        let mut wanted = Vec::new();
        for voice in voices {
            let loaded = self.as_loaded(voice, tuned);
            for question in self.survey.evaluated() {
                let prompt =
                    ask::score_prompt(&self.settings.templates, &self.survey, &loaded, question)?;
                wanted.push((key(voice, adapters, question.id.as_str()), prompt));
            }
        }
        let step = self.kept_as(step);
        let work = Work { store: &self.store, run: &self.run, step: &step, batch: BATCH };
        work.complete(wanted, watcher, |prompts| ask::probabilities(&self.engine, prompts)).await
    }

    /// Hashes by name of the adapters that belong in the table: the run's own, or, where it has
    /// none, those that came with the model.
    fn evaluated_adapters(
        &self,
        tuned: &BTreeMap<String, TunedAdapter>,
    ) -> BTreeMap<String, String> {
        let belongs = |name: &str| {
            name == "joint"
                || self.settings.cultures.iter().any(|code| name == specific_name(*code))
        };
        if !tuned.is_empty() {
            let own = tuned.values().filter(|adapter| belongs(&adapter.name));
            let own = own.filter_map(|adapter| {
                Some((adapter.name.clone(), adapter.hash.as_ref()?.chars().take(12).collect()))
            });
            return own.collect();
        }
        let loaded = self.engine.adapters().into_iter().filter(|adapter| belongs(&adapter.name));
        loaded.map(|adapter| (adapter.name, adapter.hash)).collect()
    }

    /// The voice under the name by which the engine knows its adapter.
    fn as_loaded(&self, voice: &Voice, tuned: &BTreeMap<String, TunedAdapter>) -> Voice {
        let own = voice.adapter.as_ref().filter(|name| tuned.contains_key(*name));
        let adapter = own.map(|name| self.adapter_name(name));
        Voice { adapter: adapter.or_else(|| voice.adapter.clone()), ..voice.clone() }
    }

    fn voices(&self, adapters: &BTreeMap<String, String>) -> Vec<Voice> {
        let mut voices = vec![Voice::unaware()];
        for &code in &self.settings.cultures {
            voices.push(Voice::aware(code));
            for name in ["joint".to_owned(), specific_name(code)] {
                if adapters.contains_key(&name) {
                    voices.push(Voice::adapted(code, name));
                }
            }
        }
        voices
    }

    fn report(
        &self,
        metric: Metric,
        adapters: BTreeMap<String, String>,
        units: &BTreeMap<UnitKey, Vec<f64>>,
        own: bool,
    ) -> EvaluationReport {
        let voices: Vec<(CultureCode, VoiceParts)> = self
            .settings
            .cultures
            .iter()
            .map(|&code| (code, self.voice_parts(metric, code, &adapters, units)))
            .collect();
        let rows = self.rows(metric, &voices, &self.survey.evaluated());
        let info = self.engine.info();
        EvaluationReport {
            run: self.run.clone(),
            model: info.name.clone(),
            model_hash: info.hash.clone(),
            survey: self.survey.id.clone(),
            simulated: self.survey.provenance.is_simulated(),
            metric,
            questions: self.survey.evaluated().len(),
            held_out: self.is_at_home().then(|| self.survey.holds_out()),
            uses_reference: self.uses_reference(&rows, own),
            mean: mean_row(metric, &voices, &rows),
            rows,
            topics: self.topics(metric, &voices),
            refusals: self.refusals(&adapters, units),
            movement: self.movement(&adapters, units),
            seen: None,
            ability: None,
            cross: None,
            robustness: BTreeMap::new(),
            adapters,
        }
    }

    /// A row for each culture over these questions.
    fn rows(
        &self,
        metric: Metric,
        voices: &[(CultureCode, VoiceParts)],
        questions: &[&Question],
    ) -> Vec<Row> {
        let row =
            |(code, voices): &(CultureCode, VoiceParts)| self.row(metric, *code, voices, questions);
        voices.iter().map(row).collect()
    }

    /// The mean over cultures on every topic that has evaluated questions.
    fn topics(&self, metric: Metric, voices: &[(CultureCode, VoiceParts)]) -> Vec<TopicRow> {
        let evaluated = self.survey.evaluated();
        let of = |topic: &Topic| {
            let questions: Vec<&Question> =
                evaluated.iter().copied().filter(|question| question.topic == topic.id).collect();
            let voices: Vec<(CultureCode, VoiceParts)> =
                voices.iter().map(|(code, voices)| (*code, voices.on(&questions))).collect();
            let rows = self.rows(metric, &voices, &questions);
            (!questions.is_empty()).then(|| topic_row(metric, topic, &voices, &rows))
        };
        self.survey.topics.iter().filter_map(of).collect()
    }

    /// Kinds of voices that learnt answers given after seeing people's: those with adapters, where they are
    /// the run's own and its style shows some.
    fn uses_reference(&self, rows: &[Row], own: bool) -> Vec<String> {
        if !own || !self.settings.style.uses_reference() {
            return Vec::new();
        }
        let has =
            |score: fn(&Scores) -> Option<f64>| rows.iter().any(|row| score(&row.scores).is_some());
        let kinds = [
            (VoiceKind::Joint, has(|scores| scores.joint)),
            (VoiceKind::Specific, has(|scores| scores.specific)),
        ];
        let there = kinds.into_iter().filter(|(_, there)| *there);
        there.map(|(kind, _)| kind.as_str().to_owned()).collect()
    }

    /// What each kind of voice gave no opinion on. The unaware voice is one for all cultures.
    fn refusals(
        &self,
        adapters: &BTreeMap<String, String>,
        units: &BTreeMap<UnitKey, Vec<f64>>,
    ) -> BTreeMap<String, Refusals> {
        let asked = self.survey.evaluated();
        let of = |kind: VoiceKind| {
            let voices: BTreeSet<Voice> =
                self.settings.cultures.iter().map(|code| kind.voice(*code)).collect();
            let answers = voices.iter().map(|voice| self.stored_answers(voice, adapters, units));
            // Without an adapter there is no such voice.
            let answers = answers.filter(|answers| !answers.is_empty());
            let refusals = answers.map(|answers| Refusals::of(&asked, &answers));
            let total = refusals.fold(Refusals::default(), Refusals::plus);
            (total.asked > 0).then(|| (kind.as_str().to_owned(), total))
        };
        VoiceKind::ALL.into_iter().filter_map(of).collect()
    }

    /// Which way the answers of each kind of voice move from the unaware voice's, over all cultures.
    fn movement(
        &self,
        adapters: &BTreeMap<String, String>,
        units: &BTreeMap<UnitKey, Vec<f64>>,
    ) -> BTreeMap<String, Movement> {
        let unaware = self.stored_answers(&Voice::unaware(), adapters, units);
        let of = |kind: VoiceKind| {
            let moved = self.settings.cultures.iter().map(|code| {
                let answers = self.stored_answers(&kind.voice(*code), adapters, units);
                movement(&self.survey, *code, &unaware, &answers)
            });
            let total = moved.fold(Movement::default(), Movement::plus);
            (total.questions > 0).then(|| (kind.as_str().to_owned(), total))
        };
        VoiceKind::ALL
            .into_iter()
            .filter(|kind| *kind != VoiceKind::Unaware)
            .filter_map(of)
            .collect()
    }

    fn voice_parts(
        &self,
        metric: Metric,
        code: CultureCode,
        adapters: &BTreeMap<String, String>,
        units: &BTreeMap<UnitKey, Vec<f64>>,
    ) -> VoiceParts {
        let of = |kind: VoiceKind| {
            let voice = kind.voice(code);
            let known = |name: &String| adapters.contains_key(name);
            voice.adapter.as_ref().is_none_or(known).then_some(())?;
            let answers = self.stored_answers(&voice, adapters, units);
            let parts = parts(&self.survey, code, &answers, metric, &BTreeSet::new());
            (!parts.is_empty()).then_some(parts)
        };
        VoiceParts {
            unaware: of(VoiceKind::Unaware),
            aware: of(VoiceKind::Aware),
            joint: of(VoiceKind::Joint),
            specific: of(VoiceKind::Specific),
        }
    }

    fn row(
        &self,
        metric: Metric,
        code: CultureCode,
        voices: &VoiceParts,
        questions: &[&Question],
    ) -> Row {
        Row {
            culture: Some(code),
            questions: voices.aware.as_ref().map_or(0, Parts::len),
            scores: Scores {
                unaware: score(metric, &voices.unaware),
                aware: score(metric, &voices.aware),
                joint: score(metric, &voices.joint),
                specific: score(metric, &voices.specific),
            },
            gains: Gains {
                aware_over_unaware: gain(metric, &voices.aware, &voices.unaware),
                joint_over_aware: gain(metric, &voices.joint, &voices.aware),
                specific_over_aware: gain(metric, &voices.specific, &voices.aware),
            },
            baselines: Baselines::of(metric, &self.survey, code, questions),
        }
    }
}

/// Name of a culture's own adapter.
fn specific_name(code: CultureCode) -> String {
    format!("specific-{code}")
}

/// An adapter's hash belongs to the key: another adapter of the same name is asked anew.
fn key(voice: &Voice, adapters: &BTreeMap<String, String>, question: &str) -> UnitKey {
    let hash = voice.adapter.as_ref().and_then(|name| adapters.get(name));
    match hash {
        Some(hash) => format!("{}@{hash}/{question}", voice.slug()),
        None => format!("{}/{question}", voice.slug()),
    }
}

fn score(metric: Metric, parts: &Option<Parts>) -> Option<f64> {
    Some(100.0 * metric.score(parts.as_ref()?.values())?)
}

/// Both voices answered the same questions; were one missing, the pairing would leave it out.
fn gain(metric: Metric, first: &Option<Parts>, second: &Option<Parts>) -> Option<Gain> {
    let (first, second) = (first.as_ref()?, second.as_ref()?);
    let (first, second): (Vec<Part>, Vec<Part>) =
        first.iter().filter_map(|(id, part)| Some((*part, *second.get(id)?))).unzip();
    let gain = 100.0 * (metric.score(&first)? - metric.score(&second)?);
    Some(Gain {
        gain,
        interval: paired_interval(metric, &first, &second).map(|interval| interval.times(100.0)),
    })
}

#[cfg(test)]
mod tests;
