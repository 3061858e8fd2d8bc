//! The labels that annotators choose from.

use serde::{Deserialize, Serialize};

use crate::question::text_id;

text_id!(
    /// Identifies a label within its project: `right`.
    LabelId
);

/// One choice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Label {
    /// Identifier; what judgements and exports hold.
    pub id: LabelId,
    /// Name for people.
    pub name: String,
    /// When to choose it, in a sentence; may be empty.
    #[serde(default)]
    pub explanation: String,
    /// Whether an instance with this verdict goes into the training set.
    #[serde(default)]
    pub accepts: bool,
}

/// The labels of a new project.
pub fn default_labels() -> Vec<Label> {
    let label = |id: &str, name: &str, explanation: &str, accepts: bool| Label {
        id: id.into(),
        name: name.to_owned(),
        explanation: explanation.to_owned(),
        accepts,
    };
    vec![
        label("right", "Right", "Most people of this culture would say the aware answer.", true),
        label("wrong", "Wrong", "Most people of this culture would say something else.", false),
        label(
            "stereotype",
            "Stereotype",
            "A cliché about the culture, not what people say.",
            false,
        ),
        label("depends", "Depends", "People of this culture differ too much to say.", false),
        label("unclear", "Question unclear", "The question or its options make no sense.", false),
    ]
}
