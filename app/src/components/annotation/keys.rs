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

/// A key as a browser tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pressed {
    /// What it writes: `u`, `г`, `ArrowUp`.
    pub key: String,
    /// Where it lies, named after the layout of the United States: `KeyU`.
    pub code: String,
    /// Whether a Shift key is down.
    pub shift: bool,
}

impl Pressed {
    /// What the key would write on a layout with Latin letters, where it writes something else: letters of
    /// another script, and digits that need Shift, as on French keyboards. A Latin letter is what it is,
    /// wherever it lies.
    fn by_place(&self) -> Option<String> {
        let foreign = self.key.chars().all(|c| !c.is_ascii());
        if let Some(letter) = self.code.strip_prefix("Key").filter(|_| foreign) {
            return Some(letter.to_lowercase());
        }
        if self.code == "Slash" && self.shift {
            return Some("?".to_owned());
        }
        self.code.strip_prefix("Digit").filter(|_| !self.shift).map(str::to_owned)
    }
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

    /// What a key means: what it writes, or else where it lies.
    pub fn meaning(&self, labels: &[Label], pressed: &Pressed) -> Option<Meaning> {
        let by_place = || self.meaning_of(labels, &pressed.by_place()?);
        self.meaning_of(labels, &pressed.key).or_else(by_place)
    }

    fn meaning_of(&self, labels: &[Label], key: &str) -> Option<Meaning> {
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
        let meaning = |keys: &Keys, key: &str| {
            keys.meaning(
                &labels,
                &Pressed { key: key.to_owned(), code: String::new(), shift: false },
            )
        };
        assert_eq!(meaning(&keys, "2"), Some(Meaning::Label("wrong".into())));
        assert_eq!(keys.give(&labels, &"wrong".into(), "W"), Ok(()));
        assert_eq!(meaning(&keys, "w"), Some(Meaning::Label("wrong".into())));
        assert_eq!(meaning(&keys, "W"), Some(Meaning::Label("wrong".into())));
        assert_eq!(meaning(&keys, "2"), None);
        assert_eq!(meaning(&keys, "U"), Some(Meaning::Undo));
        assert_eq!(meaning(&keys, "ArrowUp"), Some(Meaning::Option(-1)));
        assert_eq!(meaning(&keys, "Tab"), None);
    }

    #[test]
    fn letters_are_found_on_layouts_of_other_scripts() {
        let labels = default_labels();
        let mut keys = Keys::default();
        assert_eq!(keys.give(&labels, &"wrong".into(), "w"), Ok(()));
        for (key, code, shift, meaning) in [
            ("г", "KeyU", false, Some(Meaning::Undo)),
            ("ы", "KeyS", false, Some(Meaning::Skip)),
            ("ש", "KeyA", false, None),
            ("แ", "KeyC", false, Some(Meaning::Comment)),
            ("ц", "KeyW", false, Some(Meaning::Label("wrong".into()))),
            (",", "Slash", true, Some(Meaning::Help)),
            ("؟", "Slash", true, Some(Meaning::Help)),
            ("&", "Digit1", false, Some(Meaning::Label("right".into()))),
            ("!", "Digit1", true, None),
            // Dvorak: Latin letters at other places are what they write.
            ("g", "KeyU", false, None),
            ("u", "KeyF", false, Some(Meaning::Undo)),
        ] {
            let pressed = Pressed { key: key.to_owned(), code: code.to_owned(), shift };
            assert_eq!(keys.meaning(&labels, &pressed), meaning, "{pressed:?}");
        }
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
