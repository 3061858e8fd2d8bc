//! Which key does what while judging, and how a person changes it.
//!
//! Keys are kept for all projects of this browser, by what they mean. Projects have different labels, so two
//! that were given the same key in different projects may meet in a third: [`Keys::bind`] settles that when
//! a project is opened.

use std::collections::{BTreeMap, BTreeSet};

use domain::annotation::{Label, LabelId};
use serde::{Deserialize, Serialize};

use crate::storage;

const NAME: &str = "polylogue.annotation.keys";

/// What is given where a default is another's, in this order.
const SPARE: &str = "123456789abcdefghijklmnopqrstuvwxyz";

/// What a key means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Judge with this label.
    Label(LabelId),
    /// What can be done in every project.
    Command(Command),
}

/// What can be done beside judging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Take the last judgement back.
    Undo,
    /// Skip, after a reason is given.
    Skip,
    /// Write a comment.
    Comment,
    /// Show or hide the keys.
    Help,
    /// Choose the next option.
    Next,
    /// Choose the option before.
    Previous,
}

impl Command {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Undo, Self::Skip, Self::Comment, Self::Help, Self::Next, Self::Previous];

    /// What it does, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Undo => "take the last judgement back",
            Self::Skip => "skip, then 1 to 4 say why",
            Self::Comment => "write a comment",
            Self::Help => "show the keys",
            Self::Next => "choose the next answer that people would give",
            Self::Previous => "choose the answer before",
        }
    }

    fn default_key(self) -> &'static str {
        match self {
            Self::Undo => "u",
            Self::Skip => "s",
            Self::Comment => "c",
            Self::Help => "?",
            Self::Next => "ArrowDown",
            Self::Previous => "ArrowUp",
        }
    }
}

impl Meaning {
    /// Under which name its key is kept. No label has an identifier that begins with `!`.
    fn name(&self) -> &str {
        match self {
            Self::Label(label) => label.as_str(),
            Self::Command(Command::Undo) => "!undo",
            Self::Command(Command::Skip) => "!skip",
            Self::Command(Command::Comment) => "!comment",
            Self::Command(Command::Help) => "!help",
            Self::Command(Command::Next) => "!next",
            Self::Command(Command::Previous) => "!previous",
        }
    }
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

    /// The digit that it writes, or would.
    pub fn digit(&self) -> Option<usize> {
        self.key.parse().ok().or_else(|| self.by_place()?.parse().ok())
    }
}

/// The keys that a person has given, by what they mean; all others are as they were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Keys(BTreeMap<String, String>);

impl Keys {
    /// The keys that this browser keeps.
    pub fn load() -> Self {
        storage::read(NAME).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Keeps them.
    pub fn keep(&self) {
        storage::write(NAME, &serde_json::to_string(self).unwrap_or_default());
    }

    /// Whether a person has given any.
    pub fn is_changed(&self) -> bool {
        !self.0.is_empty()
    }

    /// What every key means where these are the labels; no key means two things. A default gives way to a
    /// key that was given, and of two that were given the same the first keeps it: commands before labels.
    /// Who gives way has its default, or else the first key that is free.
    pub fn bind(&self, labels: &[Label]) -> Bindings {
        let commands = Command::ALL
            .into_iter()
            .map(|command| (Meaning::Command(command), command.default_key().to_owned()));
        let numbered = labels
            .iter()
            .enumerate()
            .map(|(place, label)| (Meaning::Label(label.id.clone()), (place + 1).to_string()));
        let all: Vec<(Meaning, String)> = commands.chain(numbered).collect();
        let mut taken = BTreeSet::new();
        let mut keys: Vec<Option<String>> = vec![None; all.len()];
        let given = |meaning: &Meaning, _: &String| self.0.get(meaning.name()).cloned();
        let default = |_: &Meaning, default: &String| Some(default.clone());
        // In turns, so that nothing takes the place of what comes before.
        for wanted in [&given as &dyn Fn(&Meaning, &String) -> Option<String>, &default] {
            for ((meaning, default), key) in all.iter().zip(&mut keys) {
                if key.is_none() {
                    *key = wanted(meaning, default).filter(|key| taken.insert(key.clone()));
                }
            }
        }
        for key in keys.iter_mut().filter(|key| key.is_none()) {
            *key = SPARE.chars().map(String::from).find(|spare| taken.insert(spare.clone()));
        }
        let bound = all.into_iter().zip(keys);
        Bindings(bound.filter_map(|((meaning, _), key)| Some((meaning, key?))).collect())
    }

    /// Gives a key a meaning. Refuses what is no single character, or means something else already.
    pub fn give(&mut self, labels: &[Label], meaning: &Meaning, text: &str) -> Result<(), String> {
        let key = key_named(text);
        if key != "ArrowUp" && key != "ArrowDown" && key.chars().count() != 1 {
            return Err(format!("a key is one character, not `{key}`"));
        }
        match self.bind(labels).meaning_of(&key) {
            Some(other) if other != meaning => {
                let text = shown(&key);
                Err(match other {
                    Meaning::Command(command) => {
                        format!("the key `{text}` is there to {}", command.title())
                    }
                    Meaning::Label(id) => {
                        let name = labels.iter().find(|label| label.id == *id);
                        let name = name.map_or(id.as_str(), |label| label.name.as_str());
                        format!("the key `{text}` is that of “{name}”")
                    }
                })
            }
            _ => {
                self.0.insert(meaning.name().to_owned(), key);
                Ok(())
            }
        }
    }
}

/// What every key means in one project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bindings(Vec<(Meaning, String)>);

impl Bindings {
    /// The key with this meaning, as people read it.
    pub fn key(&self, meaning: &Meaning) -> String {
        let bound = self.0.iter().find(|(known, _)| known == meaning);
        bound.map_or_else(String::new, |(_, key)| shown(key).to_owned())
    }

    /// What a key means: what it writes, or else where it lies.
    pub fn meaning(&self, pressed: &Pressed) -> Option<Meaning> {
        let by_place = || self.meaning_of(&pressed.by_place()?);
        self.meaning_of(&pressed.key).or_else(by_place).cloned()
    }

    fn meaning_of(&self, key: &str) -> Option<&Meaning> {
        let key = if key.chars().count() == 1 { key.to_lowercase() } else { key.to_owned() };
        self.0.iter().find(|(_, bound)| *bound == key).map(|(meaning, _)| meaning)
    }
}

/// A key as people read it.
fn shown(key: &str) -> &str {
    match key {
        "ArrowUp" => "↑",
        "ArrowDown" => "↓",
        other => other,
    }
}

/// The key that people write like this.
fn key_named(text: &str) -> String {
    match text.trim() {
        "↑" => "ArrowUp".to_owned(),
        "↓" => "ArrowDown".to_owned(),
        other => other.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::annotation::label::default_labels;

    fn label(id: &str) -> Meaning {
        Meaning::Label(id.into())
    }

    fn pressed(key: &str) -> Pressed {
        Pressed { key: key.to_owned(), code: String::new(), shift: false }
    }

    #[test]
    fn numbers_choose_labels_until_keys_are_given() {
        let labels = default_labels();
        let mut keys = Keys::default();
        let meaning = |keys: &Keys, key: &str| keys.bind(&labels).meaning(&pressed(key));
        assert_eq!(meaning(&keys, "2"), Some(label("wrong")));
        assert_eq!(keys.give(&labels, &label("wrong"), "W"), Ok(()));
        assert_eq!(meaning(&keys, "w"), Some(label("wrong")));
        assert_eq!(meaning(&keys, "W"), Some(label("wrong")));
        assert_eq!(meaning(&keys, "2"), None);
        assert_eq!(meaning(&keys, "U"), Some(Meaning::Command(Command::Undo)));
        assert_eq!(meaning(&keys, "ArrowUp"), Some(Meaning::Command(Command::Previous)));
        assert_eq!(meaning(&keys, "Tab"), None);
    }

    #[test]
    fn letters_are_found_on_layouts_of_other_scripts() {
        let labels = default_labels();
        let mut keys = Keys::default();
        assert_eq!(keys.give(&labels, &label("wrong"), "w"), Ok(()));
        let command = |command| Some(Meaning::Command(command));
        for (key, code, shift, meaning) in [
            ("г", "KeyU", false, command(Command::Undo)),
            ("ы", "KeyS", false, command(Command::Skip)),
            ("ש", "KeyA", false, None),
            ("แ", "KeyC", false, command(Command::Comment)),
            ("ц", "KeyW", false, Some(label("wrong"))),
            (",", "Slash", true, command(Command::Help)),
            ("؟", "Slash", true, command(Command::Help)),
            ("&", "Digit1", false, Some(label("right"))),
            ("!", "Digit1", true, None),
            // Dvorak: Latin letters at other places are what they write.
            ("g", "KeyU", false, None),
            ("u", "KeyF", false, command(Command::Undo)),
        ] {
            let pressed = Pressed { key: key.to_owned(), code: code.to_owned(), shift };
            assert_eq!(keys.bind(&labels).meaning(&pressed), meaning, "{pressed:?}");
        }
    }

    #[test]
    fn a_key_has_one_meaning() {
        let labels = default_labels();
        let mut keys = Keys::default();
        for (key, says) in [
            ("u", "take the last"),
            ("1", "Right"),
            ("↑", "the answer before"),
            ("ab", "one character"),
            ("", "one character"),
        ] {
            let refused = keys.give(&labels, &label("wrong"), key).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
        assert_eq!(keys.give(&labels, &label("wrong"), "2"), Ok(()), "its own key is free");
        assert_eq!(keys, serde_json::from_str(&serde_json::to_string(&keys).unwrap()).unwrap());
    }

    #[test]
    fn every_command_can_have_another_key() {
        let labels = default_labels();
        for (command, key) in Command::ALL.into_iter().zip(["z", "x", "k", "h", "j", "l"]) {
            let (mut keys, meaning) = (Keys::default(), Meaning::Command(command));
            let before = keys.bind(&labels).key(&meaning);
            assert_eq!(keys.give(&labels, &meaning, key), Ok(()));
            let bound = keys.bind(&labels);
            assert_eq!(bound.meaning(&pressed(key)), Some(meaning.clone()));
            assert_eq!(bound.meaning(&pressed(&key_named(&before))), None, "{before} is free");
            assert_eq!(keys.give(&labels, &label("right"), &before), Ok(()));
            assert!(keys.give(&labels, &meaning, "2").unwrap_err().contains("Wrong"));
        }
    }

    #[test]
    fn keys_that_were_given_in_different_projects_do_not_clash_in_a_third() {
        let all = default_labels();
        let mut keys = Keys::default();
        // One project has each label alone, so nothing is refused there.
        for (place, key) in [(0, "w"), (1, "w"), (2, "1"), (3, "4")] {
            let meaning = Meaning::Label(all[place].id.clone());
            assert_eq!(keys.give(&all[place..=place], &meaning, key), Ok(()));
        }
        let bound = keys.bind(&all);
        let found: Vec<String> =
            all.iter().map(|label| bound.key(&Meaning::Label(label.id.clone()))).collect();
        assert_eq!(found, ["w", "2", "1", "4", "5"]);
        // A default that was given to another label gives way to it.
        let mut keys = Keys::default();
        assert_eq!(keys.give(&all[1..2], &Meaning::Label(all[1].id.clone()), "x"), Ok(()));
        assert_eq!(keys.give(&all[1..2], &Meaning::Label(all[1].id.clone()), "3"), Ok(()));
        let bound = keys.bind(&all);
        let found: Vec<String> =
            all.iter().map(|label| bound.key(&Meaning::Label(label.id.clone()))).collect();
        assert_eq!(found, ["1", "3", "2", "4", "5"]);
        let different: BTreeSet<String> = bound.0.into_iter().map(|(_, key)| key).collect();
        assert_eq!(different.len(), all.len() + Command::ALL.len());
    }

    #[test]
    fn keys_of_earlier_versions_still_count() {
        let kept = r#"{"wrong":"w"}"#;
        let keys: Keys = serde_json::from_str(kept).unwrap();
        let bound = keys.bind(&default_labels());
        assert_eq!(bound.meaning(&pressed("w")), Some(label("wrong")));
    }

    #[test]
    fn digits_are_found_where_they_need_shift() {
        for (key, code, digit) in
            [("1", "Digit1", Some(1)), ("é", "Digit2", Some(2)), ("a", "KeyA", None)]
        {
            let pressed = Pressed { key: key.to_owned(), code: code.to_owned(), shift: false };
            assert_eq!(pressed.digit(), digit, "{key}");
        }
    }
}
