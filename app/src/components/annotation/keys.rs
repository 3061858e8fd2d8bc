//! Which key does what while judging, and how a person changes it.

use std::collections::BTreeMap;

use domain::annotation::{Label, LabelId};
use serde::{Deserialize, Serialize};

use crate::storage;

const NAME: &str = "polylogue.annotation.keys";

/// Keys with a meaning of their own, which no label may take.
const TAKEN: [(&str, &str); 5] = [
    ("u", "take the last judgement back"),
    ("s", "skip"),
    ("c", "write a comment"),
    ("?", "show the keys"),
    ("↑ ↓", "choose what people would answer"),
];

/// What a key means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Judge with this label.
    Label(LabelId),
    /// Take the last judgement back.
    Undo,
    /// Skip, after a reason is given.
    Skip,
    /// Write a comment.
    Comment,
    /// Show or hide the keys.
    Help,
    /// Choose the next option, or the one before.
    Option(i32),
}

/// The keys that a person has given to labels; all others have the number of their place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Keys(BTreeMap<LabelId, String>);

impl Keys {
    /// The keys that this browser keeps.
    pub fn load() -> Self {
        storage::read(NAME).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Keeps them.
    pub fn keep(&self) {
        storage::write(NAME, &serde_json::to_string(self).unwrap_or_default());
    }

    /// The key of `label`, the one at `place` (0-based) of `labels`.
    pub fn of(&self, labels: &[Label], place: usize) -> String {
        let given = labels.get(place).and_then(|label| self.0.get(&label.id));
        given.cloned().unwrap_or_else(|| (place + 1).to_string())
    }

    /// Gives `key` to a label. Refuses what is no single character, has a meaning already, or is
    /// another label's.
    pub fn give(&mut self, labels: &[Label], label: &LabelId, key: &str) -> Result<(), String> {
        let key = key.trim().to_lowercase();
        if key.chars().count() != 1 {
            return Err(format!("a key is one character, not `{key}`"));
        }
        if let Some((_, meaning)) = TAKEN.iter().find(|(taken, _)| *taken == key) {
            return Err(format!("the key `{key}` is there to {meaning}"));
        }
        let mut others = labels.iter().enumerate().filter(|(_, other)| other.id != *label);
        if let Some((_, other)) = others.find(|(place, _)| self.of(labels, *place) == key) {
            return Err(format!("the key `{key}` is that of “{}”", other.name));
        }
        self.0.insert(label.clone(), key);
        Ok(())
    }

    /// What `key`, as a browser names it, means.
    pub fn meaning(&self, labels: &[Label], key: &str) -> Option<Meaning> {
        let key = if key.chars().count() == 1 { key.to_lowercase() } else { key.to_owned() };
        let label = (0..labels.len()).find(|place| self.of(labels, *place) == key);
        if let Some(label) = label.and_then(|place| labels.get(place)) {
            return Some(Meaning::Label(label.id.clone()));
        }
        match key.as_str() {
            "u" => Some(Meaning::Undo),
            "s" => Some(Meaning::Skip),
            "c" => Some(Meaning::Comment),
            "?" => Some(Meaning::Help),
            "ArrowDown" => Some(Meaning::Option(1)),
            "ArrowUp" => Some(Meaning::Option(-1)),
            _ => None,
        }
    }
}

/// The keys that are the same for everybody, with what they do.
pub fn fixed() -> [(&'static str, &'static str); 5] {
    TAKEN
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::annotation::label::default_labels;

    #[test]
    fn numbers_choose_labels_until_keys_are_given() {
        let labels = default_labels();
        let mut keys = Keys::default();
        assert_eq!(keys.meaning(&labels, "2"), Some(Meaning::Label("wrong".into())));
        assert_eq!(keys.give(&labels, &"wrong".into(), "W"), Ok(()));
        assert_eq!(keys.meaning(&labels, "w"), Some(Meaning::Label("wrong".into())));
        assert_eq!(keys.meaning(&labels, "W"), Some(Meaning::Label("wrong".into())));
        assert_eq!(keys.meaning(&labels, "2"), None);
        assert_eq!(keys.meaning(&labels, "U"), Some(Meaning::Undo));
        assert_eq!(keys.meaning(&labels, "ArrowUp"), Some(Meaning::Option(-1)));
        assert_eq!(keys.meaning(&labels, "Tab"), None);
    }

    #[test]
    fn a_key_has_one_meaning() {
        let labels = default_labels();
        let mut keys = Keys::default();
        for (key, says) in
            [("u", "take the last"), ("1", "Right"), ("ab", "one character"), ("", "one character")]
        {
            let refused = keys.give(&labels, &"wrong".into(), key).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
        assert_eq!(keys.give(&labels, &"wrong".into(), "2"), Ok(()), "its own key is free");
        assert_eq!(keys, serde_json::from_str(&serde_json::to_string(&keys).unwrap()).unwrap());
    }
}
