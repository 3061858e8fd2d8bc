//! The text that teaches the starter model: survey answers, conversations, question writing, and
//! kind refusals, all from our own sentences and grammar.
//!
//! Here: what a document is and in which proportion the kinds mix. The kinds themselves live in the
//! modules below; training and tokenising live in [`engine::tuning`].

use std::ops::Range;

mod beyond;
mod documents;
pub mod facts;
pub mod generation;
pub mod grammar;
mod life;
mod noise;
pub mod opinion;
mod persona;
mod subject;
pub mod survey;
mod talk;

#[cfg(test)]
mod tests;

pub use documents::{Counter, Documents, Statistics, WriteError, WriteOptions, documents, write};
use domain::prompt::{Message, Role};
use serde::Serialize;

/// What a document teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A survey question answered with an option number.
    Survey,
    /// A conversation about daily life and values.
    Talk,
    /// Writing new survey questions as JSON.
    Generation,
    /// A request beyond the model's ground, kindly declined.
    Beyond,
    /// A question about some thing, answered in a few words.
    Opinion,
    /// A question about life where the persona comes from, answered with a fact.
    Life,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Survey, Self::Talk, Self::Generation, Self::Beyond, Self::Opinion, Self::Life];

    /// Name in files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Survey => "survey",
            Self::Talk => "talk",
            Self::Generation => "generation",
            Self::Beyond => "beyond",
            Self::Opinion => "opinion",
            Self::Life => "life",
        }
    }
}

/// One conversation, to be laid out with the model's chat template.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it teaches.
    pub kind: Kind,
    /// A system message, then user and assistant in turn; ends with the assistant.
    pub messages: Vec<Message>,
    /// What else could have been answered; survey, opinion and life documents only.
    pub answers: Vec<Answer>,
    /// Words of replies that matter more than those around them.
    pub stressed: Vec<Stress>,
}

/// Words of a reply that tell whose it is: the few that would be wrong in another voice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stress {
    /// Index of the assistant's message.
    pub message: usize,
    /// Where they stand in it, in bytes.
    pub range: Range<usize>,
}

/// The answers that were possible at one place of a document.
///
/// The message itself holds one answer drawn from these shares. Who learns from the shares learns
/// what infinitely many draws would teach, without their noise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// Index of the assistant's message.
    pub message: usize,
    /// Every possible answer with its share; shares sum to one.
    pub shares: Vec<(String, f64)>,
}

impl Document {
    /// A document without answers; of its replies the facts that they mention are stressed.
    pub fn new(kind: Kind, messages: Vec<Message>) -> Self {
        let spoken = messages.iter().enumerate().filter(|(_, m)| m.role == Role::Assistant);
        let stress = |(message, said): (usize, &Message)| {
            let mentions = facts::mentions(&said.content).into_iter();
            mentions.map(move |mention| Stress { message, range: mention.range })
        };
        let stressed = spoken.flat_map(stress).collect();
        Self { kind, messages, answers: vec![], stressed }
    }

    /// Characters of all messages: a stand-in for tokens before a tokenizer exists.
    pub fn characters(&self) -> usize {
        self.messages.iter().map(|message| message.content.len()).sum()
    }
}

/// Share of each kind by length of text; need not sum to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// Share of [`Kind::Survey`].
    pub survey: f64,
    /// Share of [`Kind::Talk`].
    pub talk: f64,
    /// Share of [`Kind::Generation`].
    pub generation: f64,
    /// Share of [`Kind::Beyond`].
    pub beyond: f64,
    /// Share of [`Kind::Opinion`].
    pub opinion: f64,
    /// Share of [`Kind::Life`].
    pub life: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { survey: 0.32, talk: 0.26, generation: 0.06, beyond: 0.05, opinion: 0.22, life: 0.09 }
    }
}

impl Mix {
    /// The share of one kind.
    pub fn share(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Survey => self.survey,
            Kind::Talk => self.talk,
            Kind::Generation => self.generation,
            Kind::Beyond => self.beyond,
            Kind::Opinion => self.opinion,
            Kind::Life => self.life,
        }
    }

    /// The kind that lags furthest behind its share, given the `written` characters per kind in the
    /// order of [`Kind::ALL`].
    pub fn next(&self, written: [usize; Kind::ALL.len()]) -> Option<Kind> {
        let lag = |(index, kind): (usize, Kind)| {
            let share = self.share(kind);
            (share > 0.0).then(|| (written[index] as f64 / share, kind))
        };
        let lags = Kind::ALL.into_iter().enumerate().filter_map(lag);
        lags.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, kind)| kind)
    }
}

/// Which phrasings a text may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// All but the reserved phrasings.
    Training,
    /// Prefers the phrasings that training never sees.
    HeldOut,
}
