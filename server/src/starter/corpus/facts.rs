//! Facts of the cultures: dishes, towns, feasts and the like, and where a text mentions them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use domain::culture::CultureCode;

use super::grammar::{Section, sections};
use super::subject::lore;
use crate::starter::world::world;

const CULTURES: &str = include_str!("../../../assets/starter/corpus/cultures.txt");

/// A fact and, of a dish or a festival, what explains it.
pub fn parts(line: &str) -> (&str, Option<&str>) {
    line.split_once("; ").map_or((line, None), |(name, explained)| (name, Some(explained)))
}

/// The slot of what explains a fact of `kind`.
pub fn explanation(kind: &str) -> Option<&'static str> {
    match kind {
        "dish" => Some("dish_is"),
        "festival" => Some("festival_is"),
        _ => None,
    }
}

/// Facts of one culture by kind.
pub fn of(code: &str) -> Option<&'static Section> {
    static FACTS: LazyLock<Vec<Section>> = LazyLock::new(|| sections(CULTURES));
    FACTS.iter().find(|section| section.name == code)
}

/// A fact that a text mentions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// Where, in bytes.
    pub range: Range<usize>,
    /// The cultures that it belongs to.
    pub cultures: &'static [CultureCode],
}

/// All facts that tell cultures apart.
struct Telling {
    finder: AhoCorasick,
    /// The cultures of each fact, in the order of the finder's patterns.
    cultures: Vec<Vec<CultureCode>>,
}

/// Finds the facts of all cultures, except what the neutral voice says too ("tea", "Hello"): that
/// tells nothing.
static TELLING: LazyLock<Telling> = LazyLock::new(|| {
    let mut facts: BTreeMap<String, Vec<CultureCode>> = BTreeMap::new();
    for culture in world().cultures() {
        let lists = of(culture.code.as_str()).into_iter().flat_map(Section::lists);
        let lines = lists.flat_map(|(_, lines)| lines).map(|line| parts(line.text));
        let texts = lines.flat_map(|(name, explained)| [Some(name), explained]).flatten();
        for text in texts.chain([culture.demonym.as_str()]) {
            let cultures = facts.entry(text.to_ascii_lowercase()).or_default();
            if !cultures.contains(&culture.code) {
                cultures.push(culture.code);
            }
        }
    }
    let common = lore().common().to_ascii_lowercase();
    facts.retain(|fact, _| places(&common, fact).next().is_none());
    let finder = AhoCorasick::builder().ascii_case_insensitive(true).build(facts.keys());
    Telling {
        // The facts are part of the program and every build tests them.
        finder: finder.unwrap_or_else(|error| panic!("{error}")),
        cultures: facts.into_values().collect(),
    }
});

/// Whether `range` of `text` begins and ends with whole words.
fn whole(text: &str, range: &Range<usize>) -> bool {
    let letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let before = range.start.checked_sub(1).and_then(|before| text.as_bytes().get(before));
    !letter(before) && !letter(text.as_bytes().get(range.end))
}

/// Where `words` stand in `text` as whole words; case matters, and no words stand nowhere.
pub fn places<'a>(text: &'a str, words: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let found = text.match_indices(words).filter(|(_, found)| !found.is_empty());
    found.map(|(start, found)| start..start + found.len()).filter(|range| whole(text, range))
}

/// What `text` mentions of any culture's facts, in order. Of facts inside each other the longest
/// counts.
pub fn mentions(text: &str) -> Vec<Mention> {
    let Telling { finder, cultures } = &*TELLING;
    let found = finder.find_overlapping_iter(text).filter(|found| whole(text, &found.range()));
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|found| (Reverse(found.len()), found.start()));
    let mut mentions: Vec<Mention> = Vec::new();
    for found in found {
        let apart = |m: &Mention| m.range.end <= found.start() || found.end() <= m.range.start;
        if mentions.iter().all(apart) {
            let cultures = &cultures[found.pattern().as_usize()];
            mentions.push(Mention { range: found.range(), cultures });
        }
    }
    mentions.sort_by_key(|mention| mention.range.start);
    mentions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cultures(text: &str) -> Vec<(&str, Vec<&'static str>)> {
        let codes = |m: &Mention| m.cultures.iter().map(CultureCode::as_str).collect();
        mentions(text).iter().map(|m| (&text[m.range.clone()], codes(m))).collect()
    }

    #[test]
    fn mentions_are_whole_words_with_all_their_cultures() {
        let expected = [
            ("Chiang Mai", vec!["THA"]),
            ("green curry", vec!["THA"]),
            ("pancakes with maple syrup", vec!["USA", "CAN"]),
        ];
        let text = "From Chiang Mai: green curry, never pancakes with maple syrup.";
        assert_eq!(cultures(text), expected);
        assert_eq!(cultures("A swinging door, two Germanys and jazzy Thaiboxing."), []);
        assert_eq!(cultures("Hello! I like tea with a friend."), []);
    }

    #[test]
    fn every_culture_has_telling_facts_of_every_kind_that_talk_needs() {
        for culture in world().cultures() {
            let of_it = TELLING.cultures.iter().filter(|cultures| cultures.contains(&culture.code));
            assert!(of_it.count() >= 30, "{}", culture.code);
            let facts = of(culture.code.as_str()).unwrap();
            for kind in ["country", "city", "dish", "festival", "custom", "weather", "hello"] {
                assert!(!facts.list(kind).is_empty(), "{} has no {kind}", culture.code);
            }
        }
    }
}
