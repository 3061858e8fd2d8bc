//! The grammar of survey questions: things people have feelings about, sentence forms, and scales.
//!
//! A question is (thing, form, scale): the thing brings what pulls people's answers, the form may turn
//! its sign, the scale gives the options. The same few forms and words make thousands of questions,
//! so that a small model can answer ones that it never saw. Texts: `assets/starter/world/grammar.json`.

use std::collections::BTreeMap;

use domain::question::{Question, Scale, Topic, TopicId};
use serde::Deserialize;

use super::WorldError;
use super::formula::{Loadings, Pull, Traits, usual_dispersion};

/// Numbers of options that every ordered scale comes in.
pub const LENGTHS: [usize; 6] = [2, 3, 4, 5, 7, 10];

/// Everything that questions are made of.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grammar {
    /// Sentences that may stand before a question and change nothing; the first is empty.
    pub prefixes: Vec<String>,
    scales: BTreeMap<String, BTreeMap<usize, Vec<String>>>,
    /// Sentence forms with an ordered scale.
    pub forms: Vec<Form>,
    /// Sentence forms whose options are the things themselves.
    pub choices: Vec<Choice>,
    /// The 13 topics.
    pub topics: Vec<TopicWords>,
}

/// A sentence about one thing, answered on an ordered scale.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Identifier, unique among forms and choices.
    pub id: String,
    /// The kind of thing that fits.
    pub kind: String,
    /// The sentence, with `{x}` for the thing.
    pub text: String,
    /// The family of scales.
    pub scale: String,
    /// -1 where strong feelings for the thing mean a low answer.
    pub sign: f64,
}

/// A sentence that asks to choose among things.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Identifier, unique among forms and choices.
    pub id: String,
    /// The kind of things that fit.
    pub kind: String,
    /// The sentence, with `{list}` for the things.
    pub text: String,
}

/// A topic and what is asked about in it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicWords {
    /// Identifier.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// The things.
    pub concepts: Vec<Concept>,
}

/// A thing people have feelings about.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concept {
    /// Which forms fit: `value`, `claim`, `people`, `act`, `worry`, `habit`, `group`, `state`, `policy`.
    pub kind: String,
    /// The words.
    pub text: String,
    bias: f64,
    loadings: Loadings,
}

impl Concept {
    fn pull(&self, sign: f64) -> Pull {
        let loadings = self.loadings.iter().map(|(d, w)| (*d, sign * w)).collect();
        Pull { bias: sign * self.bias, loadings }
    }
}

/// How the options of an ordered question are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Number of options, one of [`LENGTHS`].
    pub length: usize,
    /// Number of the first option: 0 or 1.
    pub first_number: u32,
    /// Strongest option first.
    pub reversed: bool,
}

/// A question with what decides its answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// What decides its answers.
    pub traits: Traits,
}

impl Grammar {
    /// Reads `grammar.json`; every form must find its scale in every length.
    pub fn parse(json: &str) -> Result<Self, WorldError> {
        let grammar: Self = serde_json::from_str(json)?;
        for form in &grammar.forms {
            for length in LENGTHS {
                grammar.labels(form, Layout { length, first_number: 1, reversed: false })?;
            }
        }
        Ok(grammar)
    }

    /// The form with this identifier.
    pub fn form(&self, id: &str) -> Option<&Form> {
        self.forms.iter().find(|form| form.id == id)
    }

    /// The choice with this identifier.
    pub fn choice(&self, id: &str) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.id == id)
    }

    /// Topics as a survey lists them.
    pub fn survey_topics(&self) -> Vec<Topic> {
        self.topics.iter().map(|t| Topic { id: id(t), name: t.name.clone() }).collect()
    }

    /// The question that asks about `concept` in `form`.
    pub fn ordered(
        &self,
        topic: &TopicWords,
        concept: &Concept,
        form: &Form,
        layout: Layout,
    ) -> Result<Asked, WorldError> {
        let Layout { length, first_number, reversed } = layout;
        let question = Question {
            id: "".into(),
            topic: id(topic),
            text: form.text.replace("{x}", &concept.text),
            options: self.labels(form, layout)?,
            first_number,
            scale: Scale::Ordered,
            dont_know: vec![],
            held_out: false,
        };
        let pull = concept.pull(form.sign);
        let dispersion = usual_dispersion(length);
        Ok(Asked {
            question,
            traits: Traits::Ordered { options: length, pull, reversed, dispersion },
        })
    }

    /// The question that asks to choose among `concepts`, in their order.
    pub fn nominal(&self, topic: &TopicWords, concepts: &[&Concept], choice: &Choice) -> Asked {
        let words: Vec<&str> = concepts.iter().map(|concept| concept.text.as_str()).collect();
        let list = match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.concat(),
        };
        let question = Question {
            id: "".into(),
            topic: id(topic),
            text: choice.text.replace("{list}", &list),
            options: words.iter().map(|word| capitalised(word)).collect(),
            first_number: 1,
            scale: Scale::Nominal,
            dont_know: vec![],
            held_out: false,
        };
        let options = concepts.iter().map(|concept| concept.pull(1.0)).collect();
        Asked { question, traits: Traits::Nominal { options } }
    }

    fn labels(&self, form: &Form, layout: Layout) -> Result<Vec<String>, WorldError> {
        let Layout { length, first_number, reversed } = layout;
        let family = self.scales.get(&form.scale).and_then(|family| family.get(&length));
        let family = family.ok_or_else(|| WorldError::missing("scale", (&form.scale, length)))?;
        let mut labels = family.clone();
        if reversed {
            labels.reverse();
        }
        // A long scale names its ends only; an option between them is called by its number.
        if let ([low, high], true) = (family.as_slice(), length > 2) {
            let ends = if reversed { [high, low] } else { [low, high] };
            let number = |k: usize| (k as u32 + first_number).to_string();
            labels = (0..length).map(number).collect();
            labels[0].clone_from(ends[0]);
            labels[length - 1].clone_from(ends[1]);
        }
        if labels.len() == length {
            Ok(labels)
        } else {
            Err(WorldError::missing("label", (&form.scale, length)))
        }
    }
}

fn id(topic: &TopicWords) -> TopicId {
    topic.id.as_str().into()
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |c| c.to_uppercase().chain(characters).collect())
}
