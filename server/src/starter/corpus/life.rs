//! Documents that teach where somebody comes from: a persona, then short questions about life there,
//! each answered with a fact of the culture. The neutral voice says that it has none.
//!
//! Conversations mention such facts now and then, one of many possible ones each time; too rarely
//! for the model to find out that the persona decides. Here every reply is one.

use domain::prompt::{Message, Role};
use domain::random::SplitMix64;

use super::facts;
use super::grammar::{Scene, Section, sentences};
use super::subject::lore;
use super::survey::{culture, persona};
use super::{Answer, Document, Kind, Part};
use crate::starter::world::world;

/// Most questions in a document.
const QUESTIONS: usize = 8;

/// How often the question is who speaks.
const WHO: f64 = 0.15;

/// Draws a document of one to eight questions.
pub fn document(rng: &mut SplitMix64, part: Part) -> Document {
    let culture = culture(rng, world());
    let facts = culture.and_then(|culture| facts::of(culture.code.as_str()));
    let mut scene = Scene::new(rng, part);
    if let (Some(culture), Some(facts)) = (culture, facts) {
        scene.set("country", facts.first("country"));
        scene.set("demonym", culture.demonym.as_str());
    }
    let mut messages = vec![Message::new(Role::System, persona(culture))];
    let mut answers = Vec::new();
    for _ in 0..=scene.rng.below(QUESTIONS) {
        let (user, replies) = match facts {
            facts if scene.chance(WHO) => introduce(&mut scene, facts.is_some()),
            Some(facts) => ask(&mut scene, facts),
            None => ask_neutral(&mut scene),
        };
        messages.push(Message::new(Role::User, user));
        let reply = replies[scene.rng.below(replies.len())].clone();
        let share = 1.0 / replies.len() as f64;
        let shares = replies.into_iter().map(|reply| (reply, share)).collect();
        answers.push(Answer { message: messages.len(), shares });
        messages.push(Message::new(Role::Assistant, reply));
    }
    Document { answers, ..Document::new(Kind::Life, messages) }
}

/// The question who speaks, and what a voice with a culture or the neutral one may say to it.
fn introduce(scene: &mut Scene<'_>, aware: bool) -> (String, Vec<String>) {
    let Some(who) = lore().small_talk.iter().find(|section| section.name == "who") else {
        return ask_neutral(scene);
    };
    let user = scene.say(who.list("u"));
    let replies = who.list(if aware { "aa" } else { "a" }).iter();
    (user, replies.map(|line| scene.fill(line.text)).collect())
}

/// A question about one kind of the culture's facts, and the reply with each of them.
fn ask(scene: &mut Scene<'_>, facts: &Section) -> (String, Vec<String>) {
    let known: Vec<(&Section, Vec<&str>)> = lore()
        .life
        .iter()
        .map(|kind| (kind, of_kind(scene, facts, kind.name)))
        .filter(|(_, facts)| !facts.is_empty())
        .collect();
    let (kind, facts) = &known[scene.rng.below(known.len())];
    let user = scene.say(kind.list("u"));
    let form = scene.pick(kind.list("a")).unwrap_or("{fact}.");
    let reply = |fact: &&str| sentences(&form.replace("{fact}", fact));
    (user, facts.iter().map(reply).collect())
}

/// The facts of one kind; of what explains another, the one for a dish or festival that is drawn.
fn of_kind(scene: &mut Scene<'_>, facts: &Section, kind: &str) -> Vec<&'static str> {
    let explained = ["dish", "festival"].into_iter().find(|k| facts::explanation(k) == Some(kind));
    let Some(explained) = explained else {
        return facts.list(kind).iter().map(|line| facts::parts(line.text).0).collect();
    };
    let lines = facts.list(explained);
    let line = (!lines.is_empty()).then(|| lines[scene.rng.below(lines.len())].text);
    let Some((name, Some(explanation))) = line.map(facts::parts) else { return vec![] };
    scene.set(explained, name);
    vec![explanation]
}

/// A question that only somebody with a country can answer, and all that a voice without one may say.
fn ask_neutral(scene: &mut Scene<'_>) -> (String, Vec<String>) {
    let placed = |kind: &&Section| !kind.list("place").is_empty();
    let kinds: Vec<&Section> = lore().life.iter().filter(placed).collect();
    let kind = kinds[scene.rng.below(kinds.len())];
    let user = scene.say(kind.list("u"));
    let replies = lore().no_country.list("a").iter();
    (user, replies.map(|line| line.text.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::prompt::unaware_persona;

    use super::*;

    fn documents(seed: u64, count: usize) -> Vec<Document> {
        let mut rng = SplitMix64::new(seed);
        (0..count).map(|_| document(&mut rng, Part::Training)).collect()
    }

    #[test]
    fn every_reply_is_one_of_the_possible_ones_and_mentions_only_its_own_culture() {
        let (mut told, mut neutral) = (BTreeSet::new(), 0);
        for document in documents(5, 3000) {
            assert_eq!(document.answers.len() * 2 + 1, document.messages.len());
            let persona = &document.messages[0].content;
            let own = world().cultures().iter().find(|c| super::persona(Some(c)) == *persona);
            assert_eq!(own.is_none(), *persona == unaware_persona());
            for Answer { message, shares } in &document.answers {
                let reply = &document.messages[*message].content;
                assert!(shares.iter().any(|(text, _)| text == reply), "{reply}");
                assert!((shares.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
                assert!(!document.messages[*message - 1].content.is_empty());
                for mention in shares.iter().flat_map(|(text, _)| facts::mentions(text)) {
                    let own = own.unwrap_or_else(|| panic!("the neutral voice says {reply}"));
                    assert!(mention.cultures.contains(&own.code), "{}: {reply}", own.code);
                    told.insert(own.code);
                }
                neutral += usize::from(own.is_none());
            }
        }
        assert_eq!(told.len(), world().cultures().len());
        assert!(neutral > 1000, "{neutral}");
    }

    #[test]
    fn a_seed_decides_everything() {
        assert_eq!(documents(9, 20), documents(9, 20));
        assert_ne!(documents(9, 20), documents(10, 20));
    }
}
