//! An instance as it is judged.

use serde::{Deserialize, Serialize};

use super::label::LabelId;
use crate::culture::CultureCode;
use crate::question::{Question, TopicId, text_id};
use crate::survey::Distribution;

text_id!(
    /// Identifies an item within its project: `THA-G17`.
    ItemId
);

/// An instance with everything that an annotator may look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Identifier.
    pub id: ItemId,
    /// Whose answer is judged.
    pub culture: CultureCode,
    /// The question with its options.
    pub question: Question,
    /// Option number that the model answered without a culture.
    pub unaware: u32,
    /// Option number that it answered as a person of the culture: what is judged.
    pub aware: u32,
    /// Probability per option without a culture; empty where unknown.
    #[serde(default)]
    pub unaware_probabilities: Vec<f64>,
    /// Probability per option under the culture's persona; empty where unknown.
    #[serde(default)]
    pub aware_probabilities: Vec<f64>,
    /// What people of the culture answered, where known. Hidden until the item is judged.
    #[serde(default)]
    pub people: Option<Distribution>,
    /// The label that an attentive annotator gives: an attention check. Never shown.
    #[serde(default)]
    pub gold: Option<LabelId>,
}

impl Item {
    /// The item as an annotator gets it: without the gold label, and without the people's shares
    /// unless they have `judged` it.
    pub fn shown(mut self, judged: bool) -> Self {
        self.gold = None;
        if !judged {
            self.people = None;
        }
        self
    }

    /// What tables and lists need of it.
    pub fn info(&self) -> ItemInfo {
        ItemInfo {
            id: self.id.clone(),
            culture: self.culture,
            topic: self.question.topic.clone(),
            gold: self.gold.clone(),
        }
    }
}

/// An item without its texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemInfo {
    /// Identifier.
    pub id: ItemId,
    /// Whose answer is judged.
    pub culture: CultureCode,
    /// Topic of its question.
    pub topic: TopicId,
    /// Its gold label; taken out for annotators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gold: Option<LabelId>,
}
