//! Held-out questions must not be asked in training, in whatever dress.

use std::collections::BTreeSet;

use super::near::NearDuplicates;
use super::normalised;
use crate::question::Question;

/// The held-out questions of a survey, ready to be recognised.
#[derive(Debug, Clone)]
pub struct HeldOut {
    texts: Vec<String>,
    sorted: BTreeSet<Vec<String>>,
    near: Option<NearDuplicates>,
}

impl HeldOut {
    /// The held-out ones of `questions`. With a threshold, nearly the same texts count too.
    pub fn new(questions: &[Question], threshold: Option<f64>) -> Self {
        let held_out = questions.iter().filter(|question| question.held_out);
        let texts: Vec<String> = held_out.map(|question| normalised(&question.text)).collect();
        let near = threshold.map(|threshold| {
            let mut near = NearDuplicates::new(threshold);
            for text in &texts {
                let words = near.words(text);
                near.insert(words);
            }
            near
        });
        Self { sorted: texts.iter().map(|text| sorted_words(text)).collect(), texts, near }
    }

    /// Whether `text` asks one of them: the same words in any order, with other words before or
    /// after it, or nearly the same words.
    pub fn is_asked_by(&mut self, text: &str) -> bool {
        let text = normalised(text);
        let padded = format!(" {text} ");
        self.sorted.contains(&sorted_words(&text))
            || self.texts.iter().any(|held_out| padded.contains(&format!(" {held_out} ")))
            || self.near.as_mut().is_some_and(|near| {
                let words = near.words(&text);
                near.contains(&words)
            })
    }
}

fn sorted_words(normalised: &str) -> Vec<String> {
    let mut words: Vec<String> = normalised.split(' ').map(str::to_owned).collect();
    words.sort();
    words
}
