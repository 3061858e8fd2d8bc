//! Voices that an evaluation doesn't ask by itself: other prompt styles, and options in another order or
//! under other numbers. What changes with a layout is no opinion.

use std::collections::BTreeMap;

use domain::answer::SurveyAnswer;
use domain::prompt::PromptStyle;
use domain::question::Question;
use domain::random::SplitMix64;
use domain::score::{Metric, parts};
use domain::voice::Voice;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::CultureAnswers;
use crate::jobs::work::{Watcher, Work};
use crate::jobs::{JobError, Method, ask};
use crate::store::UnitKey;

/// Not a step of the method: a run is complete without it, and its manifest doesn't count it.
const STEP: &str = "experiments";
const BATCH: usize = 64;

/// How a question's options are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As the survey has them.
    AsWritten,
    /// The last option first.
    Reversed,
    /// In a random order of the question's own, the same in every run.
    Shuffled,
    /// Numbered from 0 instead of 1, or from 1 instead of 0.
    Renumbered,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AsWritten, Self::Reversed, Self::Shuffled, Self::Renumbered];

    /// Name in the store and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsWritten => "as-written",
            Self::Reversed => "reversed",
            Self::Shuffled => "shuffled",
            Self::Renumbered => "renumbered",
        }
    }

    /// Which option of the survey stands at each place.
    fn order(self, question: &Question) -> Vec<usize> {
        let mut order: Vec<usize> = (0..question.options.len()).collect();
        match self {
            Self::AsWritten | Self::Renumbered => {}
            Self::Reversed => order.reverse(),
            Self::Shuffled => {
                let hash = Sha256::digest(question.id.as_str());
                let seed = hash.iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte));
                SplitMix64::new(seed).shuffle(&mut order);
            }
        }
        order
    }

    fn apply(self, question: &Question) -> Question {
        let order = self.order(question);
        let options = order.iter().map(|&option| question.options[option].clone()).collect();
        let first_number = match self {
            Self::Renumbered => u32::from(question.first_number == 0),
            _ => question.first_number,
        };
        Question { options, first_number, ..question.clone() }
    }

    /// Probabilities in the survey's own order again.
    fn restore(self, question: &Question, probabilities: &[f64]) -> Vec<f64> {
        let mut restored = vec![0.0; probabilities.len()];
        for (place, option) in self.order(question).into_iter().enumerate() {
            restored[option] = probabilities[place];
        }
        restored
    }
}

/// How much a voice's score depends on how the options are laid out, x 100; all values are means over
/// cultures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Robustness {
    /// The score in every layout, by its name.
    pub layouts: BTreeMap<&'static str, f64>,
    /// The score of each question's mean probabilities over all layouts.
    pub averaged: f64,
    /// The best layout's score less the worst one's.
    pub spread: f64,
}

impl Method {
    /// Asks one voice per culture the evaluated questions with the options laid out so, and keeps the
    /// answers with the run. `adapter` is its name in the engine, and its hash.
    ///
    /// # Errors
    /// See [`JobError`]; what was answered before is kept.
    pub async fn variant_answers(
        &self,
        style: PromptStyle,
        adapter: Option<(&str, &str)>,
        layout: Layout,
        watcher: &mut Watcher<'_>,
    ) -> Result<CultureAnswers, JobError> {
        let mut wanted = Vec::new();
        let key = |voice: &Voice, question: &Question| -> UnitKey {
            let hash = adapter.map_or("base", |(_, hash)| hash);
            format!("{}@{hash}/{}/{}", voice.slug(), layout.as_str(), question.id)
        };
        let voice = |code| {
            let name = adapter.map(|(name, _)| name.to_owned());
            Voice { adapter: name, ..Voice::styled(code, style) }
        };
        for &code in &self.settings.cultures {
            let voice = voice(code);
            for question in self.survey.evaluated() {
                let templates = &self.settings.templates;
                let asked = layout.apply(question);
                let prompt = ask::score_prompt(templates, &self.survey, &voice, &asked)?;
                wanted.push((key(&voice, question), prompt));
            }
        }
        let step = self.kept_as(STEP);
        let work = Work { store: &self.store, run: &self.run, step: &step, batch: BATCH };
        work.complete(wanted, watcher, |prompts| ask::probabilities(&self.engine, prompts)).await?;
        let units: BTreeMap<UnitKey, Vec<f64>> = self.store.units(&self.run, &step).await?;
        let of_culture = |code: &_| {
            let voice = voice(*code);
            let answer = |question: &Question| {
                let probabilities = layout.restore(question, units.get(&key(&voice, question))?);
                Some(SurveyAnswer { question: question.id.clone(), probabilities })
            };
            (*code, self.survey.evaluated().into_iter().filter_map(answer).collect())
        };
        Ok(self.settings.cultures.iter().map(of_culture).collect())
    }

    /// How much the aware voice's score, and the joint adapter's where the run has one, depends on the
    /// order and the numbers of the options.
    ///
    /// # Errors
    /// See [`JobError`]; what was answered before is kept.
    pub async fn robustness(
        &self,
        metric: Metric,
        watcher: &mut Watcher<'_>,
    ) -> Result<BTreeMap<&'static str, Robustness>, JobError> {
        let joint = self.loaded_adapter("joint").await?;
        let joint = joint.as_ref().map(|(name, hash)| (name.as_str(), hash.as_str()));
        let voices = [("aware", None), ("joint", joint)];
        let mut found = BTreeMap::new();
        for (kind, adapter) in voices.into_iter().filter(|(k, a)| *k == "aware" || a.is_some()) {
            let mut asked = Vec::new();
            for layout in Layout::ALL {
                let answers =
                    self.variant_answers(PromptStyle::Aware, adapter, layout, watcher).await?;
                asked.push((layout.as_str(), answers));
            }
            found.extend(self.compared(metric, &asked).map(|robustness| (kind, robustness)));
        }
        Ok(found)
    }

    fn compared(
        &self,
        metric: Metric,
        asked: &[(&'static str, CultureAnswers)],
    ) -> Option<Robustness> {
        let layouts: BTreeMap<_, f64> = asked
            .iter()
            .filter_map(|(layout, answers)| Some((*layout, self.mean_score(metric, answers)?)))
            .collect();
        let averaged = self.mean_score(metric, &averaged(asked))?;
        let (low, high) = layouts
            .values()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), s| (l.min(*s), h.max(*s)));
        Some(Robustness { layouts, averaged, spread: high - low })
    }

    /// Plain mean over the cultures whose answers can be scored, x 100.
    fn mean_score(&self, metric: Metric, answers: &CultureAnswers) -> Option<f64> {
        let score = |(code, answers): &(_, Vec<SurveyAnswer>)| {
            let parts = parts(&self.survey, *code, answers, metric, &Default::default());
            metric.score(parts.values())
        };
        let scores: Vec<f64> = answers.iter().filter_map(score).collect();
        (!scores.is_empty()).then(|| 100.0 * scores.iter().sum::<f64>() / scores.len() as f64)
    }
}

/// Every question's mean probabilities over all layouts; all of them asked the same questions of the same
/// cultures in the same order.
fn averaged(asked: &[(&'static str, CultureAnswers)]) -> CultureAnswers {
    let Some(((_, first), others)) = asked.split_first() else { return vec![] };
    let mut mean = first.clone();
    for (_, answers) in others {
        for ((_, sums), (_, answers)) in mean.iter_mut().zip(answers) {
            for (sum, answer) in sums.iter_mut().zip(answers) {
                let pairs = sum.probabilities.iter_mut().zip(&answer.probabilities);
                pairs.for_each(|(sum, value)| *sum += value);
            }
        }
    }
    let all = mean.iter_mut().flat_map(|(_, answers)| answers).flat_map(|a| &mut a.probabilities);
    all.for_each(|value| *value /= asked.len() as f64);
    mean
}

#[cfg(test)]
mod tests {
    use domain::generation::GeneratedQuestion;

    use super::*;

    #[test]
    fn a_layout_changes_the_prompt_and_is_taken_back() {
        let generated = GeneratedQuestion {
            question: "Well?".to_owned(),
            options: ["Yes", "Perhaps", "No", "Never"].map(str::to_owned).into(),
        };
        let question = generated.into_question("Q".into(), "t".into());
        let reversed = Layout::Reversed.apply(&question);
        assert_eq!(reversed.options, ["Never", "No", "Perhaps", "Yes"]);
        let renumbered = Layout::Renumbered.apply(&question);
        assert_eq!((renumbered.first_number, &renumbered.options), (0, &question.options));
        assert_eq!(Layout::Renumbered.apply(&renumbered).first_number, 1);
        assert_eq!(Layout::AsWritten.apply(&question), question);
        let shuffled = Layout::Shuffled.apply(&question);
        assert_ne!(shuffled.options, question.options);
        for layout in Layout::ALL {
            let asked = layout.apply(&question);
            // Whoever always takes "No" is heard to say "No".
            let answer: Vec<f64> =
                asked.options.iter().map(|option| f64::from(u8::from(option == "No"))).collect();
            assert_eq!(layout.restore(&question, &answer), [0.0, 0.0, 1.0, 0.0], "{layout:?}");
        }
    }

    #[test]
    fn layouts_are_averaged_question_by_question() {
        let code = "THA".parse().unwrap();
        let of = |p: [f64; 2]| {
            vec![(code, vec![SurveyAnswer { question: "Q".into(), probabilities: p.into() }])]
        };
        let mean = averaged(&[("a", of([1.0, 0.0])), ("b", of([0.5, 0.5]))]);
        assert_eq!(mean, of([0.75, 0.25]));
        assert!(averaged(&[]).is_empty());
    }
}
