//! Voices that an evaluation doesn't ask: other prompt styles, and options in another order or under
//! other numbers.

use std::collections::BTreeMap;

use domain::answer::SurveyAnswer;
use domain::prompt::PromptStyle;
use domain::question::Question;
use domain::voice::Voice;

use crate::jobs::evaluate::CultureAnswers;
use crate::jobs::work::{Watcher, Work};
use crate::jobs::{JobError, Method, ask};
use crate::store::UnitKey;

const STEP: &str = "experiments";
const BATCH: usize = 64;

/// How a question's options are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As the survey has them.
    AsWritten,
    /// The last option first.
    Reversed,
    /// Numbered from 0 instead of 1, or from 1 instead of 0.
    Renumbered,
}

impl Layout {
    /// Name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsWritten => "as-written",
            Self::Reversed => "reversed",
            Self::Renumbered => "renumbered",
        }
    }

    fn apply(self, question: &Question) -> Question {
        let mut question = question.clone();
        match self {
            Self::AsWritten => {}
            Self::Reversed => question.options.reverse(),
            Self::Renumbered => question.first_number = u32::from(question.first_number == 0),
        }
        question
    }

    /// Probabilities in the survey's own order again.
    fn restore(self, mut probabilities: Vec<f64>) -> Vec<f64> {
        if self == Self::Reversed {
            probabilities.reverse();
        }
        probabilities
    }
}

/// Asks the held-out questions of one voice per culture, and keeps the answers with the run.
///
/// # Errors
/// See [`JobError`]; what was answered before is kept.
pub async fn answers(
    method: &Method,
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
    for &code in &method.settings.cultures {
        let voice = voice(code);
        for question in method.survey.evaluated() {
            let templates = &method.settings.templates;
            let asked = layout.apply(question);
            let prompt = ask::score_prompt(templates, &method.survey, &voice, &asked)?;
            wanted.push((key(&voice, question), prompt));
        }
    }
    let work = Work { store: &method.store, run: &method.run, step: STEP, batch: BATCH };
    work.complete(wanted, watcher, |prompts| ask::probabilities(&method.engine, prompts)).await?;
    let units: BTreeMap<UnitKey, Vec<f64>> = method.store.units(&method.run, STEP).await?;
    let of_culture = |code: &_| {
        let voice = voice(*code);
        let answer = |question: &Question| {
            let probabilities = units.get(&key(&voice, question))?.clone();
            let probabilities = layout.restore(probabilities);
            Some(SurveyAnswer { question: question.id.clone(), probabilities })
        };
        (*code, method.survey.evaluated().into_iter().filter_map(answer).collect())
    };
    Ok(method.settings.cultures.iter().map(of_culture).collect())
}

#[cfg(test)]
mod tests {
    use domain::generation::GeneratedQuestion;

    use super::*;

    #[test]
    fn a_layout_changes_the_prompt_and_is_taken_back() {
        let generated = GeneratedQuestion {
            question: "Well?".to_owned(),
            options: ["Yes", "Perhaps", "No"].map(str::to_owned).into(),
        };
        let question = generated.into_question("Q".into(), "t".into());
        let reversed = Layout::Reversed.apply(&question);
        assert_eq!(reversed.options, ["No", "Perhaps", "Yes"]);
        assert_eq!(Layout::Reversed.restore(vec![0.7, 0.2, 0.1]), [0.1, 0.2, 0.7]);
        let renumbered = Layout::Renumbered.apply(&question);
        assert_eq!((renumbered.first_number, &renumbered.options), (0, &question.options));
        assert_eq!(Layout::Renumbered.apply(&renumbered).first_number, 1);
        assert_eq!(Layout::AsWritten.apply(&question), question);
    }
}
