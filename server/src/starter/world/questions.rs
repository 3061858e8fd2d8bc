//! The starter's survey, and drawing new questions from the grammar without touching held-out ones.

use std::collections::BTreeSet;

use domain::question::Question;
use domain::random::SplitMix64;
use serde::Deserialize;

use super::WorldError;
use super::grammar::{Asked, Concept, Grammar, LENGTHS, Layout, TopicWords};

/// A line of `survey.json`: a question by what it is made of. `text` repeats the sentence for readers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    topic: String,
    text: String,
    form: String,
    concepts: Vec<String>,
    scale: usize,
    first_number: u32,
    reversed: bool,
    held_out: bool,
}

/// A form with the things asked about, in alphabetical order: what a held-out question is known by,
/// whatever its scale, numbering or order of options.
type Key = (String, Vec<String>);

/// All questions of the starter world.
#[derive(Debug)]
pub struct Questions {
    /// The survey's questions in order.
    pub survey: Vec<Asked>,
    held_out: BTreeSet<Key>,
}

impl Questions {
    /// Reads `survey.json` against the grammar.
    pub fn parse(json: &str, grammar: &Grammar) -> Result<Self, WorldError> {
        let entries: Vec<Entry> = serde_json::from_str(json)?;
        let mut survey = Vec::with_capacity(entries.len());
        for entry in &entries {
            survey.push(entry.asked(grammar)?);
        }
        let held_out = entries.iter().filter(|entry| entry.held_out);
        Ok(Self { survey, held_out: held_out.map(|e| key(&e.form, &e.concepts)).collect() })
    }

    /// Draws a question of `topic` that is not held out in any form of its scale or order. Numbered
    /// from 0 one time in eight unless `from_one`; strongest option first one time in three.
    pub fn draw(
        &self,
        grammar: &Grammar,
        topic: &TopicWords,
        from_one: bool,
        random: &mut SplitMix64,
    ) -> Asked {
        loop {
            let drawn = if random.below(5) == 0 {
                self.draw_nominal(grammar, topic, random)
            } else {
                self.draw_ordered(grammar, topic, from_one, random)
            };
            if let Some(mut asked) = drawn {
                if random.below(2) == 0 {
                    let prefix = &grammar.prefixes[random.below(grammar.prefixes.len())];
                    asked.question.text.insert_str(0, prefix);
                }
                return asked;
            }
        }
    }

    fn draw_ordered(
        &self,
        grammar: &Grammar,
        topic: &TopicWords,
        from_one: bool,
        random: &mut SplitMix64,
    ) -> Option<Asked> {
        let concept = &topic.concepts[random.below(topic.concepts.len())];
        let forms: Vec<_> = grammar.forms.iter().filter(|f| f.kind == concept.kind).collect();
        let form = forms[random.below(forms.len())];
        let layout = Layout {
            length: LENGTHS[random.below(LENGTHS.len())],
            first_number: u32::from(from_one || random.below(8) != 0),
            reversed: random.below(3) == 0,
        };
        if self.held_out.contains(&key(&form.id, std::slice::from_ref(&concept.text))) {
            return None;
        }
        grammar.ordered(topic, concept, form, layout).ok()
    }

    fn draw_nominal(
        &self,
        grammar: &Grammar,
        topic: &TopicWords,
        random: &mut SplitMix64,
    ) -> Option<Asked> {
        let choice = &grammar.choices[random.below(grammar.choices.len())];
        let mut fitting: Vec<&Concept> =
            topic.concepts.iter().filter(|concept| concept.kind == choice.kind).collect();
        if fitting.len() < 2 {
            return None;
        }
        random.shuffle(&mut fitting);
        fitting.truncate(2 + random.below(3));
        let words: Vec<String> = fitting.iter().map(|concept| concept.text.clone()).collect();
        if self.held_out.contains(&key(&choice.id, &words)) {
            return None;
        }
        Some(grammar.nominal(topic, &fitting, choice))
    }
}

impl Entry {
    fn asked(&self, grammar: &Grammar) -> Result<Asked, WorldError> {
        let topic = grammar.topics.iter().find(|topic| topic.id == self.topic);
        let topic = topic.ok_or_else(|| WorldError::missing(&self.topic, &self.id))?;
        let find = |text: &String| {
            let concept = topic.concepts.iter().find(|concept| concept.text == *text);
            concept.ok_or_else(|| WorldError::missing(text, &self.id))
        };
        let concepts = self.concepts.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let Asked { question, traits } = if let Some(choice) = grammar.choice(&self.form) {
            grammar.nominal(topic, &concepts, choice)
        } else {
            let form = grammar.form(&self.form);
            let form = form.ok_or_else(|| WorldError::missing(&self.form, &self.id))?;
            let Entry { scale, first_number, reversed, .. } = *self;
            let concept =
                concepts.first().ok_or_else(|| WorldError::missing("concept", &self.id))?;
            grammar.ordered(
                topic,
                concept,
                form,
                Layout { length: scale, first_number, reversed },
            )?
        };
        if question.text != self.text || question.options.len() != self.scale {
            return Err(WorldError::missing(&question.text, &self.id));
        }
        let id = self.id.as_str().into();
        Ok(Asked { question: Question { id, held_out: self.held_out, ..question }, traits })
    }
}

fn key(form: &str, concepts: &[String]) -> Key {
    let mut concepts = concepts.to_vec();
    concepts.sort();
    (form.to_owned(), concepts)
}
