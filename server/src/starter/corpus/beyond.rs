//! Requests beyond the model's ground, kindly declined, among them words that do not exist.

use domain::random::SplitMix64;

use super::grammar::Section;
use super::talk::Talk;
use super::{Document, Kind, Part};

const STARTS: [&str; 24] = [
    "b", "bl", "br", "d", "dr", "f", "fl", "g", "gl", "gr", "k", "kr", "l", "m", "n", "p", "pl",
    "r", "s", "sn", "t", "tr", "v", "z",
];
const VOWELS: [&str; 8] = ["a", "e", "i", "o", "u", "oo", "ee", "ai"];
const ENDS: [&str; 14] =
    ["", "", "n", "m", "x", "rk", "st", "ng", "l", "p", "ndle", "zz", "bit", "ron"];

/// A word that means nothing.
fn made_up(rng: &mut SplitMix64) -> String {
    let mut word = String::new();
    for _ in 0..2 + rng.below(2) {
        word.push_str(STARTS[rng.below(STARTS.len())]);
        word.push_str(VOWELS[rng.below(VOWELS.len())]);
    }
    word.push_str(ENDS[rng.below(ENDS.len())]);
    word
}

/// A request that the model declines, sometimes after some talk, sometimes with what follows.
pub fn document(rng: &mut SplitMix64, part: Part) -> Document {
    let mut talk = Talk::new(rng, part);
    if talk.scene.chance(0.15) {
        talk.open();
    } else {
        talk.fresh();
    }
    let sections = &talk.lore.beyond;
    // Made-up words stand for all that the corpus does not know, so they come often.
    let unknown = sections.iter().find(|section| section.name == "unknown");
    let section = match unknown {
        Some(section) if talk.scene.chance(0.22) => section,
        _ => &sections[talk.scene.rng.below(sections.len())],
    };
    decline(&mut talk, section);
    match talk.scene.rng.unit() {
        draw if draw < 0.10 => follow(&mut talk, "whynot", "why"),
        draw if draw < 0.16 => follow(&mut talk, "tryagain", "again"),
        draw if draw < 0.30 => accept(&mut talk),
        draw if draw < 0.34 => talk.farewell(),
        _ => {}
    }
    talk.finish(Kind::Beyond)
}

fn decline(talk: &mut Talk<'_>, section: &Section) {
    for slot in ["word", "word2", "word3"] {
        let word = made_up(talk.scene.rng);
        talk.scene.set(slot, word);
    }
    let mut name = talk.scene.get("word").unwrap_or_default().to_owned();
    name[..1].make_ascii_uppercase();
    talk.scene.set("word_cap", name);
    let user_line = talk.scene.pick(section.list("u")).unwrap_or_default();
    let user = talk.scene.fill(user_line);
    let its = section.list("it");
    let it = its[talk.scene.rng.below(its.len())].text;
    let mut it = talk.scene.fill(it);
    if section.name != "unknown" {
        it[..1].make_ascii_lowercase();
    } else {
        it = it.to_lowercase();
    }
    talk.scene.set("it", it);
    let refusals = talk.lore.refusals.list(if user_line.contains("{word_cap}") {
        "who"
    } else {
        section.name
    });
    let own_share = if section.name == "harm" || section.name == "medical" { 1.0 } else { 0.6 };
    let own = !refusals.is_empty() && talk.scene.chance(own_share);
    let reply = talk.scene.say(if own { refusals } else { talk.lore.refusals.list("a") });
    talk.turn(user, reply);
}

fn follow(talk: &mut Talk<'_>, user: &str, reply: &str) {
    let user = talk.scene.say(talk.lore.refusals.list(user));
    let reply = talk.scene.say(talk.lore.refusals.list(reply));
    talk.turn(user, reply);
}

/// The person takes up what the refusal proposed.
fn accept(talk: &mut Talk<'_>) {
    let subject = talk.lore.any(&mut talk.scene);
    subject.enter(&mut talk.scene);
    talk.scene.set("near", subject.noun);
    talk.scene.set("near_cap", subject.noun);
    let user = talk.scene.say(talk.lore.refusals.list("ok"));
    talk.fresh();
    let reply = talk.answer(subject, "what");
    talk.turn(user, reply);
}
