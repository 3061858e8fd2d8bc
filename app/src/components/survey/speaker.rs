//! Voices with what they answered, of one run or of two side by side. Plain data, no view.

use std::fmt;

use domain::answer::SurveyAnswer;
use domain::culture::CultureCode;
use domain::question::Question;
use domain::score::Refusals;
use domain::survey::Survey;
use domain::voice::Voice;

use super::plan::{Kind, owner};
use crate::api::{JobState, SurveyRun, SurveyRunInfo};

/// What voices of different cultures have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    /// Whose run; `None` while one run is shown.
    pub source: Option<String>,
    /// What kind of voice.
    pub kind: Kind,
    /// Whether it rests on people's answers: its prompts show some (P3), or its adapter learnt what was
    /// answered after seeing some.
    pub uses_reference: bool,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            None => write!(f, "{}", self.kind)?,
            Some(source) => write!(f, "{source}: {}", self.kind)?,
        }
        // Wherever a group is named, it is held against people.
        f.write_str(if self.uses_reference { " †" } else { "" })
    }
}

/// A voice with what it answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Speaker {
    /// What it has in common with voices of other cultures.
    pub group: Group,
    /// Who answered.
    pub voice: Voice,
    /// Whether it was asked everything, so that what is missing are refusals.
    pub complete: bool,
    /// Its answers.
    pub answers: Vec<SurveyAnswer>,
}

impl Speaker {
    /// Whether it answers as this culture; one without a culture does for all.
    pub fn speaks_for(&self, culture: CultureCode) -> bool {
        self.voice.culture.is_none_or(|code| code == culture)
    }

    /// Whether it has another culture's adapter: such voices are shown in a chart of their own.
    pub fn is_crossed(&self) -> bool {
        matches!(self.group.kind, Kind::Crossed(_))
    }

    /// The culture whose own adapter it has, if it has one.
    pub fn owner(&self) -> Option<CultureCode> {
        owner(self.voice.adapter.as_ref()?).map(|(_, owner)| owner)
    }

    /// What it gave no opinion on, of the questions of `survey` that `counts` lets through.
    pub fn refusals(&self, survey: &Survey, counts: impl Fn(&Question) -> bool) -> Refusals {
        let answered = |question: &Question| self.answers.iter().any(|a| a.question == question.id);
        let asked = survey.evaluated().into_iter();
        let asked: Vec<&Question> =
            asked.filter(|q| counts(q) && (self.complete || answered(q))).collect();
        Refusals::of(&asked, &self.answers)
    }
}

/// The voices of `run`, and those of the run beside it.
pub fn speakers(run: &SurveyRun, beside: Option<&SurveyRun>) -> Vec<Speaker> {
    let of = |run: &SurveyRun| -> Vec<Speaker> {
        let source = beside.is_some().then(|| source(run));
        let speaker = |(voice, answers): (&Voice, &Vec<SurveyAnswer>)| Speaker {
            group: Group {
                source: source.clone(),
                kind: Kind::of(voice),
                uses_reference: uses_reference(&run.info, voice),
            },
            voice: voice.clone(),
            complete: run.info.state == JobState::Done,
            answers: answers.clone(),
        };
        run.info.voices.iter().zip(&run.answers).map(speaker).collect()
    };
    of(run).into_iter().chain(beside.map(of).into_iter().flatten()).collect()
}

/// Whether a voice of this run rests on people's answers, by its prompt or by what its adapter learnt.
fn uses_reference(info: &SurveyRunInfo, voice: &Voice) -> bool {
    let learnt = voice.adapter.as_ref().is_some_and(|name| info.uses_reference.contains(name));
    voice.uses_reference() || learnt
}

/// What the mark of voices that rest on people's answers means; `None` where no voice has it.
pub fn reference_note(speakers: &[Speaker]) -> Option<&'static str> {
    speakers.iter().any(|speaker| speaker.group.uses_reference).then_some(
        "† Shown people’s answers to neighbouring questions (P3), or tuned on answers that were given after \
         seeing some: comparing these voices with people is no fair test of the model.",
    )
}

/// What tells a run from the one beside it: whose answers were recorded, or its name.
pub fn source(run: &SurveyRun) -> String {
    run.info.recorded.clone().unwrap_or_else(|| run.info.id.clone())
}
