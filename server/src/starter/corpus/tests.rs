//! What every document must keep to.

use std::collections::HashSet;

use domain::filter::normalised;
use domain::prompt::Role;
use domain::random::SplitMix64;

use super::documents::Counter;
use super::grammar::starts_with_vowel_sound;
use super::subject::lore;
use super::*;
use crate::starter::world::{World, world};

const SPOKEN: Mix =
    Mix { survey: 0.0, talk: 0.9, generation: 0.0, beyond: 0.1, opinion: 0.0, life: 0.0 };

fn spoken(seed: u64, part: Part, count: usize) -> Vec<Document> {
    documents(seed, part, SPOKEN).take(count).collect()
}

/// Documents of one kind.
pub(super) fn drawn(
    seed: u64,
    count: usize,
    document: impl Fn(&mut SplitMix64, &World) -> Document,
) -> Vec<Document> {
    let mut random = SplitMix64::new(seed);
    (0..count).map(|_| document(&mut random, world())).collect()
}

/// No message holds a held-out question in any case, punctuation or spacing.
#[track_caller]
pub(super) fn check_nothing_held_out(documents: &[Document]) {
    let held_out: Vec<String> =
        world().survey().evaluated().iter().map(|q| normalised(&q.text)).collect();
    for message in documents.iter().flat_map(|document| &document.messages) {
        let text = normalised(&message.content);
        assert_eq!(held_out.iter().find(|question| text.contains(*question)), None);
    }
}

fn said(documents: &[Document], role: Role) -> impl Iterator<Item = &str> {
    let messages = documents.iter().flat_map(|document| &document.messages);
    messages.filter(move |message| message.role == role).map(|message| message.content.as_str())
}

#[test]
fn replies_are_well_written() {
    let documents = spoken(11, Part::Training, 14_000);
    let mut replies = 0;
    for reply in said(&documents, Role::Assistant) {
        replies += 1;
        assert!(!reply.contains(['{', '}', '|', '(', ')', '~', '_']), "{reply}");
        assert!(!reply.contains("  ") && !reply.contains(" .") && !reply.contains(".."), "{reply}");
        assert!(!reply.contains(",.") && !reply.contains(".?") && !reply.contains("!."), "{reply}");
        assert!(reply.starts_with(char::is_uppercase), "{reply}");
        assert!(reply.ends_with(['.', '?', '!']), "{reply}");
        assert!(reply.is_ascii(), "{reply}");
        let words: Vec<&str> = reply.split(' ').collect();
        for pair in words.windows(2) {
            let after = pair[1].trim_matches(|c: char| !c.is_alphanumeric());
            match pair[0] {
                "a" | "A" => assert!(!starts_with_vowel_sound(after), "{reply}"),
                "an" | "An" => assert!(starts_with_vowel_sound(after), "{reply}"),
                _ => assert!(pair[0] != pair[1] || pair[0] == "moi", "doubled word: {reply}"),
            }
            if pair[0].ends_with(['.', '?', '!']) {
                assert!(pair[1].starts_with(char::is_uppercase), "{reply}");
            }
        }
    }
    assert!(replies >= 20_000, "{replies} replies");
}

#[test]
fn what_people_say_is_filled() {
    let documents = spoken(12, Part::Training, 6000);
    for text in said(&documents, Role::User) {
        assert!(!text.contains(['{', '}', '|', '~']) && text.trim() == text, "{text:?}");
        assert!(!text.contains("  ") && !text.contains(" .") && !text.contains(" ?"), "{text:?}");
    }
}

#[test]
fn documents_alternate_and_say_something() {
    for document in documents(3, Part::Training, Mix::default()).take(3000) {
        let roles: Vec<Role> = document.messages.iter().map(|message| message.role).collect();
        let spoken = roles.iter().skip_while(|role| **role == Role::System).collect::<Vec<_>>();
        assert!(spoken.len() >= 2 && spoken.len().is_multiple_of(2), "{document:?}");
        for pair in spoken.chunks(2) {
            assert_eq!(pair, [&Role::User, &Role::Assistant], "{document:?}");
        }
        assert!(document.messages.iter().all(|m| !m.content.trim().is_empty()), "{document:?}");
    }
}

#[test]
fn the_seed_decides_everything() {
    let take = |seed| documents(seed, Part::Training, Mix::default()).take(300).collect::<Vec<_>>();
    assert_eq!(take(5), take(5));
    assert_ne!(take(5), take(6));
}

#[test]
fn replies_mention_only_facts_of_their_persona() {
    let cultures = world().cultures();
    let mut mentioned = 0;
    for document in spoken(41, Part::HeldOut, 6000) {
        let persona = &document.messages[0].content;
        let own = cultures.iter().find(|c| domain::prompt::aware_persona(c) == *persona);
        for reply in document.messages.iter().filter(|m| m.role == Role::Assistant) {
            for mention in facts::mentions(&reply.content) {
                let own = own.is_some_and(|own| mention.cultures.contains(&own.code));
                assert!(own, "{persona} says {}: {mention:?}", reply.content);
                mentioned += 1;
            }
        }
    }
    assert!(mentioned > 1000, "{mentioned}");
}

#[test]
fn reserved_phrasings_stay_out_of_training() {
    let lore = lore();
    let sections = lore.small_talk.iter().chain(&lore.beyond);
    let lines = sections.chain([&lore.ask, &lore.follow]).flat_map(|section| {
        section.lists().flat_map(|(_, lines)| lines.iter()).filter(|line| line.reserved)
    });
    // Whole sentences without slots or choices can be looked for as they stand.
    let reserved: HashSet<String> = lines
        .map(|line| line.text.trim_end_matches(['.', '?', '!']).to_lowercase())
        .filter(|text| !text.contains(['{', '(']) && text.split(' ').count() >= 4)
        .collect();
    assert!(reserved.len() >= 8, "{reserved:?}");
    let found = |part| {
        let documents = spoken(21, part, 6000);
        let plain = |text: &str| text.trim_end_matches(['.', '?', '!']).to_lowercase();
        said(&documents, Role::User).filter(|text| reserved.contains(&plain(text))).count()
    };
    assert_eq!(found(Part::Training), 0);
    assert!(found(Part::HeldOut) > 20);
}

#[test]
fn every_culture_and_subject_occurs() {
    let documents = spoken(31, Part::Training, 6000);
    let systems: HashSet<&str> = said(&documents, Role::System).collect();
    assert_eq!(systems.len(), world().indices.cultures.len() + 1);
    let asked: Vec<String> = said(&documents, Role::User).map(str::to_lowercase).collect();
    let subjects = &lore().subjects;
    assert!(subjects.len() >= 60, "{}", subjects.len());
    for subject in subjects {
        assert!(asked.iter().any(|text| text.contains(subject.noun)), "{}", subject.noun);
        assert!(!subject.noun.is_empty() && !subject.lines.list("op").is_empty());
        for name in subject.lines.list("near") {
            assert!(lore().subject(name.text).is_some(), "{}: {}", subject.noun, name.text);
        }
        let dimension = subject.lines.first("dim");
        assert_eq!(subject.dimension.is_some(), !dimension.is_empty(), "{dimension}");
        for key in ["qa", "say"] {
            assert_eq!(subject.exchanges(key).len(), subject.lines.list(key).len());
        }
    }
}

#[test]
fn kinds_mix_by_length_and_vary() {
    let mut counter = Counter::default();
    documents(1, Part::Training, Mix::default()).take(20_000).for_each(|d| counter.add(&d));
    let statistics = counter.finish();
    println!("{statistics}");
    let total: usize = statistics.characters.iter().sum();
    for (index, kind) in Kind::ALL.into_iter().enumerate() {
        let share = statistics.characters[index] as f64 / total as f64;
        assert!((share - Mix::default().share(kind)).abs() < 0.01, "{kind:?} {share}");
    }
    assert!(statistics.distinct_replies > 5000, "{statistics}");
}

/// Prints documents to read: `cargo test -p server --lib corpus::tests::sample -- --ignored --nocapture`.
#[test]
#[ignore = "prints documents for people to read"]
fn sample() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for document in spoken(seed, Part::Training, 60) {
        println!("---- {}", document.messages[0].content);
        for message in &document.messages[1..] {
            println!("{}{}", if message.role == Role::User { "> " } else { "  " }, message.content);
        }
    }
}

#[test]
fn stances_are_stressed_and_nothing_contradicts_them() {
    let stances: HashSet<&str> = (lore().subjects.iter())
        .flat_map(|subject| ["hi", "mid", "lo"].map(|key| subject.lines.list(key)))
        .flatten()
        .map(|line| line.text)
        .filter(|text| !text.contains(['{', '(', '~']))
        .collect();
    let leads: Vec<&str> = (["yes", "how"].into_iter())
        .flat_map(|key| lore().answer.list(key))
        .map(|line| line.text)
        .collect();
    let mut stressed = 0;
    for document in spoken(43, Part::Training, 4000) {
        for (index, message) in document.messages.iter().enumerate() {
            let said = stances.iter().find(|stance| message.content.contains(**stance));
            let Some(stance) = said.filter(|_| message.role == Role::Assistant) else { continue };
            let of_it =
                |s: &&Stress| s.message == index && message.content[s.range.clone()] == **stance;
            assert!(document.stressed.iter().any(|s| of_it(&s)), "{}", message.content);
            let lead = leads.iter().find(|lead| message.content.starts_with(**lead));
            assert!(lead.is_none() || message.content.starts_with(*stance), "{}", message.content);
            stressed += 1;
        }
    }
    assert!(stressed > 300, "{stressed}");
}
