//! Step 1 of the method, second half: which generated questions are kept, which are rewritten, and
//! why the others are dropped.
//!
//! Here: the rules, each of which can be switched, the counts, and the filter that applies them one
//! question after another. Reading a model's reply is in [`crate::generation`].
//! - [`options`]: rules about the form of an option list;
//! - [`near`]: questions that say nearly the same;
//! - [`held_out`]: questions that must stay unseen;
//! - [`language`]: which language a text is in.

pub mod held_out;
pub mod language;
pub mod near;
pub mod options;
pub mod rules;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use self::rules::{FilterRules, UnreadableRules};

use self::held_out::HeldOut;
use self::language::Language;
use self::near::NearDuplicates;
use self::options::Options;
use crate::generation::GeneratedQuestion;
use crate::survey::Survey;

/// Why a well-formed question is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// Asks a held-out question, whatever stands around it and in whatever order of words.
    HeldOut,
    /// Same text as a survey question.
    InSurvey,
    /// Same text as an earlier generated question.
    Duplicate,
    /// Nearly the same words as a survey question or a kept one.
    NearDuplicate,
    /// Every option is only digits, and the text explains no scale.
    NumbersOnly,
    /// Every option begins with a digit, but only some carry a label, or they are ranges.
    MixedLabels,
    /// Two options are the same text.
    RepeatedOption,
    /// Fewer options than allowed.
    TooFewOptions,
    /// More options than allowed.
    TooManyOptions,
    /// In another language than the survey.
    OtherLanguage,
}

impl DropReason {
    /// Stable word for counting, as in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::HeldOut => "held-out",
            Self::InSurvey => "in-survey",
            Self::Duplicate => "duplicate",
            Self::NearDuplicate => "near-duplicate",
            Self::NumbersOnly => "numbers-only",
            Self::MixedLabels => "mixed-labels",
            Self::RepeatedOption => "repeated-option",
            Self::TooFewOptions => "too-few-options",
            Self::TooManyOptions => "too-many-options",
            Self::OtherLanguage => "other-language",
        }
    }
}

/// What was changed in a question that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rewrite {
    /// Numbers before every option were taken away: `1. Agree` became `Agree`.
    NumbersStripped,
    /// The labels of the first and the last option moved into the text: `1 - No`, `2`, `3 - Yes`.
    LabelsMoved,
}

impl Rewrite {
    /// Stable word for counting, as in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::NumbersStripped => "numbers-stripped",
            Self::LabelsMoved => "labels-moved",
        }
    }
}

/// What became of the questions that a filter has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterCounts {
    /// Questions seen.
    pub seen: usize,
    /// Questions kept, rewritten ones included.
    pub kept: usize,
    /// Questions dropped, by the first rule that drops them.
    pub dropped: BTreeMap<DropReason, usize>,
    /// Questions kept with a change.
    pub rewritten: BTreeMap<Rewrite, usize>,
}

/// Applies [`FilterRules`] to one question after another. The order of questions matters: of two
/// equal ones the first is kept.
#[derive(Debug, Clone)]
pub struct Filter {
    rules: FilterRules,
    /// Texts of the survey, held-out questions included.
    survey: BTreeSet<String>,
    /// Texts seen so far, kept or not.
    seen: BTreeSet<String>,
    held_out: HeldOut,
    near: NearDuplicates,
    language: Option<Language>,
    counts: FilterCounts,
}

impl Filter {
    /// A filter that knows the survey and has seen no generated question yet.
    pub fn new(survey: &Survey, rules: FilterRules) -> Self {
        let mut filter = Self {
            survey: BTreeSet::new(),
            seen: BTreeSet::new(),
            held_out: HeldOut::new(&survey.questions, rules.near_duplicates),
            near: NearDuplicates::new(rules.near_duplicates.unwrap_or(1.0)),
            language: Language::from_code(&survey.language),
            rules,
            counts: FilterCounts::default(),
        };
        let asked = survey.questions.iter().map(|question| &question.text);
        for text in asked.chain(&survey.unasked) {
            let words = filter.near.words(text);
            filter.near.insert(words);
            filter.survey.insert(text.trim().to_owned());
        }
        filter
    }

    /// Keeps a question, rewritten where a rule says so, or tells why not.
    ///
    /// # Errors
    /// The first rule that drops it, in the order of [`FilterRules`].
    pub fn admit(&mut self, question: &GeneratedQuestion) -> Result<GeneratedQuestion, DropReason> {
        self.counts.seen += 1;
        let verdict = self.judge(question);
        match &verdict {
            Ok((_, rewrite)) => {
                self.counts.kept += 1;
                if let Some(rewrite) = rewrite {
                    *self.counts.rewritten.entry(*rewrite).or_default() += 1;
                }
            }
            Err(reason) => *self.counts.dropped.entry(*reason).or_default() += 1,
        }
        verdict.map(|(question, _)| question)
    }

    /// What became of all questions so far.
    pub fn counts(&self) -> &FilterCounts {
        &self.counts
    }

    fn judge(
        &mut self,
        question: &GeneratedQuestion,
    ) -> Result<(GeneratedQuestion, Option<Rewrite>), DropReason> {
        let text = question.question.trim();
        self.check_text(text)?;
        let words = self.rules.near_duplicates.map(|_| self.near.words(text));
        if words.as_ref().is_some_and(|words| self.near.contains(words)) {
            return Err(DropReason::NearDuplicate);
        }
        let (question, rewrite) = self.formed(question)?;
        self.rules.check_options(&question.options)?;
        if let Some(expected) = self.language.filter(|_| self.rules.other_language)
            && expected.is_not_of(&question)
        {
            return Err(DropReason::OtherLanguage);
        }
        if let Some(words) = words {
            self.near.insert(words);
        }
        Ok((question, rewrite))
    }

    /// Rules about what was asked before, word by word. A text that was dropped later in the order still makes
    /// its repetition a duplicate: the same rule would drop it again (method, step 1, rule a).
    fn check_text(&mut self, text: &str) -> Result<(), DropReason> {
        if self.rules.held_out && self.held_out.is_asked_by(text) {
            return Err(DropReason::HeldOut);
        }
        if self.rules.duplicates {
            if self.survey.contains(text) {
                return Err(DropReason::InSurvey);
            }
            if !self.seen.insert(text.to_owned()) {
                return Err(DropReason::Duplicate);
            }
        }
        Ok(())
    }

    /// Rules (b) to (d) of the method about numbers in options.
    fn formed(
        &self,
        question: &GeneratedQuestion,
    ) -> Result<(GeneratedQuestion, Option<Rewrite>), DropReason> {
        match options::form(&question.options) {
            Options::Numbers
                if self.rules.numbers_only && !options::explains_scale(&question.question) =>
            {
                Err(DropReason::NumbersOnly)
            }
            Options::Labelled(labels) if self.rules.numbered_options => {
                let stripped = GeneratedQuestion { options: labels, ..question.clone() };
                Ok((stripped, Some(Rewrite::NumbersStripped)))
            }
            Options::EndsLabelled { note, numbers } if self.rules.mixed_labels => {
                let text = format!("{} {note}", question.question.trim());
                let moved = GeneratedQuestion { question: text, options: numbers };
                Ok((moved, Some(Rewrite::LabelsMoved)))
            }
            Options::Mixed if self.rules.mixed_labels => Err(DropReason::MixedLabels),
            _ => Ok((question.clone(), None)),
        }
    }
}

/// Lower-case words with single spaces between: two texts that differ only in case, punctuation
/// and spacing become equal.
pub fn normalised(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
