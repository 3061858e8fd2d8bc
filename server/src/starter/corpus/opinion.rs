//! Documents that teach what somebody feels about things: a persona, then questions that are answered
//! in a few words instead of an option's number.
//!
//! They hold several times as many answers per token as survey documents do, and each stands right
//! after its question. Without them the model is slow to find out that an answer depends on the thing
//! asked about. Held-out questions never appear here either.

use domain::prompt::{Message, Role};
use domain::random::SplitMix64;

use super::survey::{culture, draw, persona};
use super::{Answer, Document, Kind};
use crate::starter::world::{Asked, Traits, World};

/// Length of the scales whose labels are the answers.
const LABELS: usize = 5;

/// Most questions in a document.
const QUESTIONS: usize = 10;

/// Draws a document of one to ten questions.
pub fn document(random: &mut SplitMix64, world: &World) -> Document {
    let culture = culture(random, world);
    let mut messages = vec![Message::new(Role::System, persona(culture))];
    let mut answers = Vec::new();
    for _ in 0..=random.below(QUESTIONS) {
        let asked = question(random, world);
        let shares = world.blend(culture.map(|culture| culture.code), &asked.traits);
        let replies = asked.question.options.iter().map(|option| format!("{option}."));
        let replies: Vec<String> = replies.collect();
        let reply = replies[draw(&shares, random.unit())].clone();
        messages.push(Message::new(Role::User, asked.question.text));
        answers.push(Answer {
            message: messages.len(),
            shares: replies.into_iter().zip(shares).collect(),
        });
        messages.push(Message::new(Role::Assistant, reply));
    }
    Document { answers, ..Document::new(Kind::Opinion, messages) }
}

/// A question whose options are words: kinds of things, or a scale of five labels.
fn question(random: &mut SplitMix64, world: &World) -> Asked {
    loop {
        let topic = random.below(world.grammar.topics.len());
        let asked = world.draw_question(topic, true, random);
        if matches!(asked.traits, Traits::Nominal { .. }) || asked.traits.options() == LABELS {
            return asked;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::starter::corpus::tests::{check_nothing_held_out, drawn};

    fn documents(seed: u64, count: usize) -> Vec<Document> {
        drawn(seed, count, document)
    }

    #[test]
    fn every_reply_is_one_of_the_possible_words() {
        for document in documents(5, 1000) {
            assert_eq!(document.answers.len() * 2 + 1, document.messages.len());
            for Answer { message, shares } in &document.answers {
                let reply = &document.messages[*message].content;
                assert!(shares.iter().any(|(text, share)| text == reply && *share > 0.0));
                assert!((shares.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
                assert!(!reply.contains(|c: char| c.is_ascii_digit()), "{reply}");
            }
        }
    }

    #[test]
    fn nothing_held_out_appears_and_a_seed_decides_everything() {
        check_nothing_held_out(&documents(7, 3000));
        assert_eq!(documents(9, 20), documents(9, 20));
        assert_ne!(documents(9, 20), documents(10, 20));
    }
}
