//! Step 5: all voices answer the held-out questions, and are compared with people.

use std::collections::{BTreeMap, BTreeSet};

use domain::answer::SurveyAnswer;
use domain::culture::CultureCode;
use domain::question::Question;
use domain::score::{
    Baseline, Interval, Metric, Part, Parts, baseline_score, mean_paired_interval, paired_interval,
    parts,
};
use domain::voice::Voice;
use serde::Serialize;

use super::tune::TunedAdapter;
use super::work::{Watcher, Work};
use super::{JobError, Method, ask};
use crate::store::UnitKey;

const STEP: &str = "evaluate";
const BATCH: usize = 64;

/// The scores of one culture's voices, x 100; `None` where there is no such voice or reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Scores {
    /// Base model, no culture named.
    pub unaware: Option<f64>,
    /// Base model, the culture named.
    pub aware: Option<f64>,
    /// Joint adapter, the culture named.
    pub joint: Option<f64>,
    /// The culture's own adapter, the culture named.
    pub specific: Option<f64>,
}

/// How much better one voice is than another on the same questions, x 100.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gain {
    /// Difference of the scores.
    pub gain: f64,
    /// 95 % paired bootstrap interval over questions.
    pub interval: Option<Interval>,
}

/// The gains that the method is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Gains {
    /// What naming the culture brings.
    pub aware_over_unaware: Option<Gain>,
    /// What the joint adapter brings on top.
    pub joint_over_aware: Option<Gain>,
    /// What the culture's own adapter brings on top.
    pub specific_over_aware: Option<Gain>,
}

/// What answering without looking reaches, x 100.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Baselines {
    /// A random option.
    pub random: Option<f64>,
    /// Always the middle of the scale.
    pub middle: Option<f64>,
    /// Everybody answers like people in the USA; `None` for the USA itself.
    pub like_usa: Option<f64>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The culture; `None` in the mean over all.
    pub culture: Option<CultureCode>,
    /// Questions with a reference.
    pub questions: usize,
    /// Its voices.
    pub scores: Scores,
    /// Differences between them.
    pub gains: Gains,
    /// Its baselines.
    pub baselines: Baselines,
}

/// What `polylogue evaluate` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// The run.
    pub run: String,
    /// The base model's name.
    pub model: String,
    /// First digits of its hash.
    pub model_hash: String,
    /// Adapters by name, with the first digits of their hash.
    pub adapters: BTreeMap<String, String>,
    /// The survey.
    pub survey: String,
    /// Whether its reference is simulated.
    pub simulated: bool,
    /// The metric.
    pub metric: Metric,
    /// Questions asked, none of which a training step has seen.
    pub questions: usize,
    /// One line per culture.
    pub rows: Vec<Row>,
    /// Plain mean over the cultures.
    pub mean: Row,
}

/// One culture's voices as parts.
#[derive(Debug, Default)]
struct VoiceParts {
    unaware: Option<Parts>,
    aware: Option<Parts>,
    joint: Option<Parts>,
    specific: Option<Parts>,
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
        let units: BTreeMap<UnitKey, Vec<f64>> = self.store.units(&self.run, STEP).await?;
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
        let questions = self.survey.evaluated();
        let mut wanted = Vec::new();
        for voice in self.voices(&adapters) {
            for question in &questions {
                let loaded = self.as_loaded(&voice, &tuned);
                let prompt =
                    ask::score_prompt(&self.settings.templates, &self.survey, &loaded, question)?;
                wanted.push((key(&voice, &adapters, question.id.as_str()), prompt));
            }
        }
        let work = Work { store: &self.store, run: &self.run, step: STEP, batch: BATCH };
        work.complete(wanted, watcher, |prompts| ask::probabilities(&self.engine, prompts)).await?;
        let units = self.store.units(&self.run, STEP).await?;
        Ok(self.report(metric, adapters, &units))
    }

    /// Hashes by name of the adapters that belong in the table: the run's own, or, where it has
    /// none, those that came with the model.
    fn evaluated_adapters(
        &self,
        tuned: &BTreeMap<String, TunedAdapter>,
    ) -> BTreeMap<String, String> {
        if !tuned.is_empty() {
            let own = tuned.values().filter_map(|adapter| {
                Some((adapter.name.clone(), adapter.hash.as_ref()?.chars().take(12).collect()))
            });
            return own.collect();
        }
        let belongs = |name: &str| {
            name == "joint"
                || self.settings.cultures.iter().any(|code| name == specific_name(*code))
        };
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
    ) -> EvaluationReport {
        let voices: Vec<(CultureCode, VoiceParts)> = self
            .settings
            .cultures
            .iter()
            .map(|&code| (code, self.voice_parts(metric, code, &adapters, units)))
            .collect();
        let rows: Vec<Row> =
            voices.iter().map(|(code, voices)| self.row(metric, *code, voices)).collect();
        let info = self.engine.info();
        EvaluationReport {
            run: self.run.clone(),
            model: info.name.clone(),
            model_hash: info.hash.clone(),
            survey: self.survey.id.clone(),
            simulated: self.survey.provenance.is_simulated(),
            metric,
            questions: self.survey.evaluated().len(),
            mean: mean_row(metric, &voices, &rows),
            rows,
            adapters,
        }
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

    fn row(&self, metric: Metric, code: CultureCode, voices: &VoiceParts) -> Row {
        let questions = self.survey.evaluated();
        let baseline = |kind| {
            baseline_score(kind, metric, &self.survey, code, &questions).map(|score| 100.0 * score)
        };
        let usa = "USA".parse().ok().filter(|usa| self.survey.culture(*usa).is_some());
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
            baselines: Baselines {
                random: baseline(Baseline::Random),
                middle: baseline(Baseline::Middle),
                like_usa: usa.and_then(|usa| baseline(Baseline::Like(usa))),
            },
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

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.flatten().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn mean_row(metric: Metric, voices: &[(CultureCode, VoiceParts)], rows: &[Row]) -> Row {
    let of = |value: fn(&Row) -> Option<f64>| mean(rows.iter().map(value));
    let gain = |value: fn(&Row) -> Option<Gain>,
                pair: fn(&VoiceParts) -> Option<(&Parts, &Parts)>| {
        let gain = mean(rows.iter().map(|row| Some(value(row)?.gain)))?;
        let pairs: Vec<_> = voices.iter().filter_map(|(_, voices)| pair(voices)).collect();
        Some(Gain {
            gain,
            interval: mean_paired_interval(metric, &pairs).map(|interval| interval.times(100.0)),
        })
    };
    Row {
        culture: None,
        questions: rows.iter().map(|row| row.questions).max().unwrap_or(0),
        scores: Scores {
            unaware: of(|row| row.scores.unaware),
            aware: of(|row| row.scores.aware),
            joint: of(|row| row.scores.joint),
            specific: of(|row| row.scores.specific),
        },
        gains: Gains {
            aware_over_unaware: gain(
                |row| row.gains.aware_over_unaware,
                |voices| Some((voices.aware.as_ref()?, voices.unaware.as_ref()?)),
            ),
            joint_over_aware: gain(
                |row| row.gains.joint_over_aware,
                |voices| Some((voices.joint.as_ref()?, voices.aware.as_ref()?)),
            ),
            specific_over_aware: gain(
                |row| row.gains.specific_over_aware,
                |voices| Some((voices.specific.as_ref()?, voices.aware.as_ref()?)),
            ),
        },
        baselines: Baselines {
            random: of(|row| row.baselines.random),
            middle: of(|row| row.baselines.middle),
            like_usa: of(|row| row.baselines.like_usa),
        },
    }
}
