//! What is talked about: the subjects with their questions and answers, read from the assets.

use std::sync::LazyLock;

use super::grammar::{Scene, Section, sections};
use crate::starter::world::Dimension;

const DAILY: &str = include_str!("../../../assets/starter/corpus/subjects-daily.txt");
const VALUES: &str = include_str!("../../../assets/starter/corpus/subjects-values.txt");
const FORMS: &str = include_str!("../../../assets/starter/corpus/forms.txt");
const SMALL_TALK: &str = include_str!("../../../assets/starter/corpus/smalltalk.txt");
const LIFE: &str = include_str!("../../../assets/starter/corpus/life.txt");
const BEYOND: &str = include_str!("../../../assets/starter/corpus/beyond.txt");

/// A subject of conversation.
#[derive(Debug)]
pub struct Subject {
    /// Its lines, by what they answer.
    pub lines: Section,
    /// How it stands in a sentence: `tea and coffee`.
    pub noun: &'static str,
    /// Whether the noun is plural.
    pub plural: bool,
    /// Whether it is sad, so that nobody is asked to like it and nobody proposes it.
    pub dark: bool,
    /// The index that a persona's stance on it follows.
    pub dimension: Option<Dimension>,
}

/// All assets of the conversations.
#[derive(Debug)]
pub struct Lore {
    /// Subjects in the order of the files.
    pub subjects: Vec<Subject>,
    /// How people ask about a subject.
    pub ask: Section,
    /// How people go on.
    pub follow: Section,
    /// Replies that fit any subject.
    pub answer: Section,
    /// Small talk, one section per occasion.
    pub small_talk: Vec<Section>,
    /// Short questions about life, one section per kind of fact.
    pub life: Vec<Section>,
    /// What the voice without a country says to them.
    pub no_country: Section,
    /// Requests beyond the model's ground, one section per kind.
    pub beyond: Vec<Section>,
    /// Refusals.
    pub refusals: Section,
}

/// The assets that are built into the program, read once.
pub fn lore() -> &'static Lore {
    static LORE: LazyLock<Lore> = LazyLock::new(|| {
        let mut forms = sections(FORMS);
        let mut beyond = sections(BEYOND);
        let mut life = sections(LIFE);
        Lore {
            subjects: sections(DAILY).into_iter().chain(sections(VALUES)).map(subject).collect(),
            ask: take(&mut forms, "ask"),
            follow: take(&mut forms, "follow"),
            answer: take(&mut forms, "answer"),
            small_talk: sections(SMALL_TALK),
            no_country: take(&mut life, "no_country"),
            life,
            refusals: take(&mut beyond, "answer"),
            beyond,
        }
    });
    &LORE
}

fn take(sections: &mut Vec<Section>, name: &str) -> Section {
    let found = sections.iter().position(|section| section.name == name);
    found.map(|index| sections.remove(index)).unwrap_or_default()
}

fn subject(lines: Section) -> Subject {
    let dimension = serde_json::from_value(lines.first("dim").into()).ok();
    Subject {
        noun: lines.first("n"),
        plural: lines.first("v") == "are",
        dark: !lines.list("dark").is_empty(),
        dimension,
        lines,
    }
}

impl Lore {
    /// The subject with this name.
    pub fn subject(&self, name: &str) -> Option<&Subject> {
        self.subjects.iter().find(|subject| subject.lines.name == name)
    }

    /// All lines of conversations and refusals as one text, slots unfilled.
    pub fn common(&self) -> String {
        let subjects = self.subjects.iter().map(|subject| &subject.lines);
        let shared = [&self.ask, &self.follow, &self.answer, &self.refusals, &self.no_country];
        let sections = subjects.chain(shared).chain(&self.small_talk).chain(&self.beyond);
        let lines = sections.flat_map(Section::lists).flat_map(|(_, lines)| lines);
        lines.map(|line| line.text).collect::<Vec<_>>().join("\n")
    }

    /// Any subject.
    pub fn any<'a>(&'a self, scene: &mut Scene<'_>) -> &'a Subject {
        &self.subjects[scene.rng.below(self.subjects.len())]
    }

    /// Sets the slots `near` and `near2`: two subjects that are pleasant to propose.
    pub fn propose(&self, scene: &mut Scene<'_>) {
        let pleasant: Vec<&Subject> = self.subjects.iter().filter(|s| !s.dark).collect();
        let first = scene.rng.below(pleasant.len());
        let second = (first + 1 + scene.rng.below(pleasant.len() - 1)) % pleasant.len();
        scene.set("near", pleasant[first].noun);
        scene.set("near_cap", pleasant[first].noun);
        scene.set("near2", pleasant[second].noun);
    }
}

impl Subject {
    /// Sets the slots that the forms of asking need.
    pub fn enter(&self, scene: &mut Scene<'_>) {
        self.name(scene, self.noun, self.plural);
        for slot in ["goal", "act"] {
            match self.lines.list(slot) {
                [] => scene.unset(slot),
                [line, ..] => scene.set(slot, line.text),
            }
        }
    }

    /// Lets the person call the subject by one of its other names.
    pub fn rename(&self, scene: &mut Scene<'_>) {
        if let Some(alias) = scene.unseen(self.lines.list("alias")) {
            let noun = alias.trim_end_matches('*');
            self.name(scene, noun, noun != alias);
        }
    }

    fn name(&self, scene: &mut Scene<'_>, noun: &str, plural: bool) {
        let pick = |many: &'static str, one: &'static str| if plural { many } else { one };
        scene.set("s", noun);
        scene.set("is", pick("are", "is"));
        scene.set("isc", pick("Are", "Is"));
        scene.set("do", pick("do", "does"));
        scene.set("doc", pick("Do", "Does"));
    }

    /// Questions with their own answers: question, answer, and the answer of a persona with a
    /// culture where that differs.
    pub fn exchanges(&self, key: &str) -> Vec<Exchange> {
        let split = |line: &super::grammar::Line| {
            let mut parts = line.text.split(" => ");
            Some(Exchange { user: parts.next()?, reply: parts.next()?, aware: parts.next() })
        };
        self.lines.list(key).iter().filter_map(split).collect()
    }
}

/// A user's line with the replies to it.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// What the person says.
    pub user: &'static str,
    /// The reply.
    pub reply: &'static str,
    /// The reply of a persona with a culture, where it differs.
    pub aware: Option<&'static str>,
}
