//! A small grammar: lists of lines with `{slots}` and `(one|of|several)` choices.
//!
//! Here: reading the asset files and turning a line into a sentence. What is said when lives in
//! [`super::talk`] and [`super::beyond`].

use std::collections::HashSet;

use domain::random::SplitMix64;

use super::Part;

/// Of lists with at least this many lines, about one line in [`RESERVED_ONE_IN`] is reserved.
const RESERVABLE: usize = 6;
const RESERVED_ONE_IN: u64 = 20;

/// One line of a list.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// The text, with slots and choices unfilled.
    pub text: &'static str,
    /// Kept out of training: only held-out text uses it.
    pub reserved: bool,
}

/// A section of an asset file: `= name`, then `key: value` lines; a key may repeat.
#[derive(Debug, Default)]
pub struct Section {
    /// What follows `=`.
    pub name: &'static str,
    lists: Vec<(&'static str, Vec<Line>)>,
}

impl Section {
    /// The lines under `key`; empty if there are none.
    pub fn list(&self, key: &str) -> &[Line] {
        self.lists.iter().find(|(name, _)| *name == key).map_or(&[], |(_, lines)| lines)
    }

    /// The first line under `key`, or the empty text.
    pub fn first(&self, key: &str) -> &'static str {
        self.list(key).first().map_or("", |line| line.text)
    }

    /// All keys with their lines.
    pub fn lists(&self) -> impl Iterator<Item = (&'static str, &[Line])> {
        self.lists.iter().map(|(key, lines)| (*key, lines.as_slice()))
    }

    fn push(&mut self, key: &'static str, text: &'static str) {
        let line = Line { text, reserved: false };
        match self.lists.iter_mut().find(|(name, _)| *name == key) {
            Some((_, lines)) => lines.push(line),
            None => self.lists.push((key, vec![line])),
        }
    }

    fn reserve(&mut self) {
        for (_, lines) in self.lists.iter_mut().filter(|(_, lines)| lines.len() >= RESERVABLE) {
            for line in lines {
                line.reserved = fnv(line.text).is_multiple_of(RESERVED_ONE_IN);
            }
        }
    }
}

/// Reads an asset file. Blank lines and lines that start with `#` are skipped.
pub fn sections(file: &'static str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in file.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("= ") {
            sections.push(Section { name: name.trim(), lists: Vec::new() });
        } else if let (false, Some(section), Some((key, text))) =
            (line.starts_with('#'), sections.last_mut(), line.split_once(": "))
        {
            section.push(key.trim(), text.trim());
        }
    }
    sections.iter_mut().for_each(Section::reserve);
    sections
}

/// FNV-1a: decides which lines are reserved, the same on every machine.
fn fnv(text: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    // The low bits of FNV alone follow the last letters too closely.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    hash ^ (hash >> 29)
}

/// What one document has settled on: its random stream, the values of its slots, and the lines it
/// has used already.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The only source of chance.
    pub rng: &'a mut SplitMix64,
    /// Which lines may be used.
    pub part: Part,
    slots: Vec<(&'static str, String)>,
    used: HashSet<&'static str>,
}

impl<'a> Scene<'a> {
    /// A scene without slots.
    pub fn new(rng: &'a mut SplitMix64, part: Part) -> Self {
        // `a~` becomes the fitting article in [`sentences`].
        Self { rng, part, slots: vec![("a", "a~".to_owned())], used: HashSet::new() }
    }

    /// Takes a slot's value away.
    pub fn unset(&mut self, slot: &str) {
        self.slots.retain(|(name, _)| *name != slot);
    }

    /// Gives a slot its value; a later value replaces an earlier one.
    pub fn set(&mut self, slot: &'static str, value: impl Into<String>) {
        self.slots.retain(|(name, _)| *name != slot);
        self.slots.push((slot, value.into()));
    }

    /// The value of a slot.
    pub fn get(&self, slot: &str) -> Option<&str> {
        self.slots.iter().find(|(name, _)| *name == slot).map(|(_, value)| value.as_str())
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.rng.unit() < probability
    }

    /// A line of `lines` that this part may use and this document has not used yet, if possible.
    /// `None` where the list is empty, or where no line's slots all have values.
    pub fn pick(&mut self, lines: &[Line]) -> Option<&'static str> {
        let fits = |line: &&Line| {
            (self.part == Part::HeldOut || !line.reserved) && self.has_slots(line.text)
        };
        let fitting: Vec<Line> = lines.iter().filter(fits).copied().collect();
        let held_out = self.part == Part::HeldOut && self.rng.unit() < 0.7;
        let fresh = |line: &Line| !self.used.contains(line.text);
        let choices: Vec<Line> = [
            fitting
                .iter()
                .filter(|l| held_out && l.reserved && fresh(l))
                .copied()
                .collect::<Vec<_>>(),
            fitting.iter().filter(|l| fresh(l)).copied().collect::<Vec<_>>(),
            fitting.clone(),
        ]
        .into_iter()
        .find(|choices| !choices.is_empty())?;
        let text = choices[self.rng.below(choices.len())].text;
        self.used.insert(text);
        Some(text)
    }

    /// Whether every slot of `text` has a value.
    pub fn has_slots(&self, text: &str) -> bool {
        slots_of(text).all(|slot| self.get(slot).is_some())
    }

    /// Whether every line of `lines` that fits has been used.
    pub fn exhausted(&self, lines: &[Line]) -> bool {
        !lines.iter().any(|line| {
            !self.used.contains(line.text)
                && (self.part == Part::HeldOut || !line.reserved)
                && self.has_slots(line.text)
        })
    }

    /// Whether `text` has been used in this document.
    pub fn was_used(&self, text: &str) -> bool {
        self.used.contains(text)
    }

    /// Notes that `text` has been used.
    pub fn mark(&mut self, text: &'static str) {
        self.used.insert(text);
    }

    /// A line of `lines`, reserved or not, that has not been drawn in this document if possible;
    /// for facts, which are not phrasings.
    pub fn unseen(&mut self, lines: &[Line]) -> Option<&'static str> {
        let fresh: Vec<&Line> = lines.iter().filter(|l| !self.used.contains(l.text)).collect();
        let all: Vec<&Line> = lines.iter().collect();
        let choices = if fresh.is_empty() { all } else { fresh };
        let text = choices.get(self.rng.below(choices.len().max(1)))?.text;
        self.used.insert(text);
        Some(text)
    }

    /// A line of `lines`, filled and written as sentences; empty where none fits.
    pub fn say(&mut self, lines: &[Line]) -> String {
        self.pick(lines).map_or_else(String::new, |line| self.fill(line))
    }

    /// Fills the slots and choices of `text` and writes it as sentences.
    pub fn fill(&mut self, text: &str) -> String {
        let mut raw = String::new();
        self.expand(text, &mut raw);
        sentences(&raw)
    }

    fn expand(&mut self, text: &str, out: &mut String) {
        let mut rest = text;
        while let Some(start) = rest.find(['{', '(']) {
            out.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = closing(rest);
            let inner = &rest[1..end];
            if rest.starts_with('{') {
                let value = self.get(inner).unwrap_or_default().to_owned();
                out.push_str(&value);
            } else {
                let choices = alternatives(inner);
                let choice = choices[self.rng.below(choices.len())];
                self.expand(choice, out);
            }
            rest = &rest[end + 1..];
        }
        out.push_str(rest);
    }
}

/// Byte index of the bracket that closes the one at the start of `text`, or its last byte.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' | b'(' => depth += 1,
            b'}' | b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    text.len() - 1
}

/// Splits at the `|` that lie outside inner brackets.
fn alternatives(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' | b'(' => depth += 1,
            b'}' | b')' => depth -= 1,
            b'|' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The names in braces, in order.
fn slots_of(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|part| part.split_once('}').map(|(slot, _)| slot))
}

/// Single spaces, none before a mark, `a~` as the fitting article, capitals at the start of sentences.
pub fn sentences(raw: &str) -> String {
    let words: Vec<&str> = raw.split_whitespace().collect();
    let mut out = String::with_capacity(raw.len());
    let mut start = true;
    for (index, word) in words.iter().enumerate() {
        let article = match *word {
            "a~" if words.get(index + 1).is_some_and(|next| starts_with_vowel_sound(next)) => "an",
            "a~" => "a",
            other => other,
        };
        // An empty choice before a mark leaves a space there.
        if index > 0 && !word.starts_with(['.', ',', '?', '!']) {
            out.push(' ');
        }
        let mut letters = article.chars();
        match letters.next() {
            Some(first) if start => out.extend(first.to_uppercase().chain(letters)),
            _ => out.push_str(article),
        }
        start = article.ends_with(['.', '!', '?']);
    }
    out
}

/// Whether `word` takes "an", as far as the corpus needs it.
pub fn starts_with_vowel_sound(word: &str) -> bool {
    let word = word.trim_start_matches(['"', '\'']).to_lowercase();
    let silent_h = ["hour", "honest", "honour"].iter().any(|start| word.starts_with(start));
    let consonant = ["uni", "use", "usual", "uk", "eu", "one", "us"];
    silent_h
        || word.starts_with(['a', 'e', 'i', 'o', 'u'])
            && !consonant.iter().any(|start| word.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_slots_and_choices() {
        let mut rng = SplitMix64::new(1);
        let mut scene = Scene::new(&mut rng, Part::Training);
        scene.set("dish", "apple pie");
        for _ in 0..20 {
            let text = scene.fill("(I like|we like)  a~ {dish}. (it is (good|fine)|yes).");
            assert!(text.starts_with("I like an apple pie.") || text.starts_with("We like an"));
            assert!(
                text.ends_with("It is good.")
                    || text.ends_with("It is fine.")
                    || text.ends_with("Yes."),
                "{text}"
            );
        }
    }

    #[test]
    fn picks_unused_fitting_lines_first() {
        let sections = sections("= x\nk: one\nk: two\nk: {missing}\n");
        let mut rng = SplitMix64::new(1);
        let mut scene = Scene::new(&mut rng, Part::Training);
        let lines = sections[0].list("k");
        let mut said = [scene.pick(lines).unwrap(), scene.pick(lines).unwrap()];
        said.sort_unstable();
        assert_eq!(said, ["one", "two"]);
        assert!(scene.exhausted(lines));
        assert!(scene.pick(lines).is_some());
    }
}
