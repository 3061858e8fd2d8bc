//! The rules of annotation, and that the order of events is nothing.

mod assignment;
mod change;
mod fold;
mod load;
mod outcome;

use super::*;
use crate::question::{Question, Scale};

pub(super) fn settings(overlap: usize) -> ProjectSettings {
    ProjectSettings { overlap, ..ProjectSettings::new("Test") }
}

pub(super) fn member(id: &str, role: MemberRole) -> Member {
    let cultures = ["THA", "NGA"].map(|code| code.parse().unwrap()).to_vec();
    Member { id: id.into(), name: id.to_owned(), role, cultures, left: false }
}

pub(super) fn item(id: &str, culture: &str) -> Item {
    let question = Question {
        id: id.into(),
        topic: "food".into(),
        text: "How good?".to_owned(),
        options: ["Bad", "Fair", "Good"].map(str::to_owned).to_vec(),
        first_number: 1,
        scale: Scale::Ordered,
        held_out: false,
        dont_know: Vec::new(),
    };
    Item {
        id: id.into(),
        culture: culture.parse().unwrap(),
        question,
        unaware: 1,
        aware: 2,
        unaware_probabilities: vec![],
        aware_probabilities: vec![],
        people: None,
        gold: None,
    }
}

pub(super) fn event(submission: &str, author: &str, at: i64, item: &str, act: Act) -> Event {
    Event {
        submission: submission.into(),
        author: author.into(),
        at,
        item: Some(item.into()),
        replaces: None,
        act,
    }
}

pub(super) fn judged(label: &str) -> Act {
    Act::Judged(Judgement::of(label.into()))
}

pub(super) fn replacing(event: Event, old: &str) -> Event {
    Event { replaces: Some(old.into()), ..event }
}
