//! Survey questions: a text and its numbered options.

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

pub(crate) use text_id;

text_id!(
    /// Identifies a question within its survey: `Q94`, `S017`.
    QuestionId
);
text_id!(
    /// Identifies a topic within its survey: `social-values`.
    TopicId
);

/// A part of a questionnaire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Stable identifier.
    pub id: TopicId,
    /// Name for people.
    pub name: String,
}

/// What the order of the options means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Neighbouring options are neighbours in meaning; distances make sense.
    Ordered,
    /// Options are kinds; only equality makes sense.
    Nominal,
}

/// A question with its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Identifier within the survey.
    pub id: QuestionId,
    /// Topic it belongs to.
    pub topic: TopicId,
    /// The text that is asked.
    pub text: String,
    /// Option texts in order; the first carries the number [`Question::first_number`].
    pub options: Vec<String>,
    /// Number of the first option: 1 for most questions, 0 for some.
    #[serde(default = "one")]
    pub first_number: u32,
    /// Whether the options are ordered.
    #[serde(default = "ordered")]
    pub scale: Scale,
    /// Numbers of options that give no answer: "don't know", "hard to say", a refusal. They are
    /// asked like the others and flagged wherever they show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dont_know: Vec<u32>,
    /// Never seen by a training step; evaluation uses these questions only.
    #[serde(default)]
    pub held_out: bool,
}

/// Whether an option gives no answer but speaks of not knowing or not telling, by common English
/// phrases. A list in another language has to flag such options itself.
pub fn declines(option: &str) -> bool {
    const PHRASES: [&str; 13] = [
        "don't know",
        "do not know",
        "not sure",
        "unsure",
        "hard to say",
        "can't say",
        "cannot say",
        "no answer",
        "no opinion",
        "refus",
        "prefer not to",
        "rather not say",
        "undecided",
    ];
    let text = option.to_lowercase().replace('’', "'");
    PHRASES.iter().any(|phrase| text.contains(phrase))
}

fn one() -> u32 {
    1
}

fn ordered() -> Scale {
    Scale::Ordered
}

impl Question {
    /// Whether the option at `index` (0-based) gives no answer.
    pub fn is_dont_know(&self, index: usize) -> bool {
        self.dont_know.contains(&self.number_of(index))
    }

    /// Flags the options that [`declines`] recognises, in addition to those flagged already.
    pub fn flag_dont_know(&mut self) {
        let declining = (0..self.options.len()).filter(|index| declines(&self.options[*index]));
        let mut numbers: Vec<u32> = declining.map(|index| self.number_of(index)).collect();
        numbers.append(&mut self.dont_know);
        numbers.sort_unstable();
        numbers.dedup();
        self.dont_know = numbers;
    }

    /// Number of the option at `index` (0-based).
    pub fn number_of(&self, index: usize) -> u32 {
        self.first_number + index as u32
    }

    /// 0-based index of the option numbered `number`, if there is one.
    pub fn index_of(&self, number: u32) -> Option<usize> {
        let index = number.checked_sub(self.first_number)? as usize;
        (index < self.options.len()).then_some(index)
    }
}
