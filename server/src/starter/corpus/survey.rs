//! Documents that teach answering survey questions: a persona, one to four questions, and for each
//! the number of an option drawn from what the starter answers under that persona, with the shares
//! that it was drawn from.
//!
//! Where the answers come from is [`World::blend`]; held-out questions never appear.

use domain::culture::Culture;
use domain::prompt::{Message, Role, aware_persona, survey_prompt, unaware_persona};
use domain::random::SplitMix64;

use super::{Answer, Document, Kind};
use crate::starter::world::{Asked, World};

/// Draws a document. One in six has the unaware persona, the others one of the 18 cultures.
pub fn document(random: &mut SplitMix64, world: &World) -> Document {
    let culture = culture(random, world);
    let mut messages = vec![Message::new(Role::System, persona(culture))];
    let mut answers = Vec::new();
    // One question is what inference asks; more per persona make better use of its tokens.
    for _ in 0..=random.below(4) {
        let asked = question(random, world);
        let shares = world.blend(culture.map(|culture| culture.code), &asked.traits);
        let numbers = (0..shares.len()).map(|index| asked.question.number_of(index).to_string());
        let shares: Vec<(String, f64)> = numbers.zip(shares).collect();
        let answer = written(&shares, random);
        messages.push(Message::new(Role::User, survey_prompt(&asked.question)));
        answers.push(Answer { message: messages.len(), shares });
        messages.push(Message::new(Role::Assistant, answer));
    }
    Document { answers, ..Document::new(Kind::Survey, messages) }
}

/// The answer that stands in the document. Only after a written "1" can the model learn how 1 and 10
/// differ, and both may be rare; so every other time one of the numbers that share their first digit
/// is written, in proportion to their shares, if there are any. What is learnt at each place stays the
/// share of what may follow there.
fn written(shares: &[(String, f64)], random: &mut SplitMix64) -> String {
    let all: Vec<f64> = shares.iter().map(|(_, share)| *share).collect();
    let first = |number: &str| number.as_bytes().first().copied();
    let alike = |number: &str| shares.iter().filter(|(n, _)| first(n) == first(number)).count() > 1;
    let masked: Vec<f64> =
        shares.iter().map(|(n, share)| if alike(n) { *share } else { 0.0 }).collect();
    let sum: f64 = masked.iter().sum();
    let index = if sum > 0.0 && random.below(2) == 0 {
        draw(&masked, sum * random.unit())
    } else {
        draw(&all, random.unit())
    };
    shares[index].0.clone()
}

/// One of the 18 cultures five times in six, else none.
pub(super) fn culture<'w>(random: &mut SplitMix64, world: &'w World) -> Option<&'w Culture> {
    let cultures = world.cultures();
    (random.below(6) != 0).then(|| &cultures[random.below(cultures.len())])
}

pub(super) fn persona(culture: Option<&Culture>) -> String {
    culture.map_or_else(unaware_persona, aware_persona)
}

/// A survey question that is not held out one time in eight, else one from the grammar.
fn question(random: &mut SplitMix64, world: &World) -> Asked {
    if random.below(8) == 0 {
        let asked = world.asked();
        let start = random.below(asked.len());
        let seeds = (0..asked.len()).map(|step| &asked[(start + step) % asked.len()]);
        if let Some(seed) = seeds.into_iter().find(|asked| !asked.question.held_out) {
            return seed.clone();
        }
    }
    let topic = random.below(world.grammar.topics.len());
    world.draw_question(topic, false, random)
}

/// The index whose share of the cumulated distribution `unit` (0..1) falls into.
pub(super) fn draw(shares: &[f64], unit: f64) -> usize {
    let mut rest = unit;
    for (index, share) in shares.iter().enumerate() {
        rest -= share;
        if rest < 0.0 {
            return index;
        }
    }
    // Rounding may leave a sliver above the last share.
    shares.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::starter::corpus::tests::{check_nothing_held_out, drawn};

    fn documents(seed: u64, count: usize) -> Vec<Document> {
        drawn(seed, count, document)
    }

    #[test]
    fn draws_follow_the_shares() {
        let mut random = SplitMix64::new(3);
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            counts[draw(&[0.2, 0.5, 0.3], random.unit())] += 1;
        }
        for (count, expect) in counts.into_iter().zip([2000_i32, 5000, 3000]) {
            assert!((count - expect).abs() < 200, "{counts:?}");
        }
        assert_eq!(draw(&[0.5, 0.4999], 0.999_999), 1);
    }

    #[test]
    fn numbers_with_the_same_first_digit_are_written_more_often() {
        let count = |shares: &[(&str, f64)], number: &str| {
            let shares: Vec<_> = shares.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect();
            let mut random = SplitMix64::new(5);
            (0..10_000).filter(|_| written(&shares, &mut random) == number).count()
        };
        let shares = [("1", 0.1), ("2", 0.7), ("10", 0.2)];
        for (number, expect) in [("1", 0.05 + 0.5 / 3.0), ("2", 0.35), ("10", 0.1 + 1.0 / 3.0)] {
            let share = count(&shares, number) as f64 / 1e4;
            assert!((share - expect).abs() < 0.02, "{number}: {share}, not {expect}");
        }
        let share = count(&[("1", 0.3), ("2", 0.7)], "1") as f64 / 1e4;
        assert!((share - 0.3).abs() < 0.02, "all differ: {share}");
    }

    #[test]
    fn every_answer_is_an_option_of_its_question() {
        let mut answers = BTreeSet::new();
        for document in documents(5, 2000) {
            assert_eq!(document.messages[0].role, Role::System);
            for turn in document.messages[1..].chunks(2) {
                let [question, answer] = turn else { panic!("a question without answer") };
                let line = format!("\n{}. ", answer.content);
                assert!(question.content.contains(&line), "{}", question.content);
                answers.insert(answer.content.clone());
            }
            for Answer { message, shares } in &document.answers {
                assert_eq!(document.messages[*message].role, Role::Assistant);
                let sum: f64 = shares.iter().map(|(_, share)| share).sum();
                assert!((sum - 1.0).abs() < 1e-9, "{shares:?}");
                for (number, _) in shares {
                    let question = &document.messages[message - 1].content;
                    assert!(question.contains(&format!("\n{number}. ")), "{question}");
                }
            }
            assert_eq!(document.answers.len() * 2 + 1, document.messages.len());
        }
        let codes: BTreeSet<String> = (0..=10).map(|code: u32| code.to_string()).collect();
        assert_eq!(answers, codes);
    }

    #[test]
    fn a_seed_decides_everything() {
        assert_eq!(documents(9, 50), documents(9, 50));
        assert_ne!(documents(9, 50), documents(10, 50));
    }

    #[test]
    fn no_document_holds_a_held_out_question() {
        check_nothing_held_out(&documents(11, 10_000));
    }

    #[test]
    fn personas_are_aware_five_times_in_six() {
        let unaware = unaware_persona();
        let documents = documents(13, 3000);
        let count = documents.iter().filter(|d| d.messages[0].content == unaware).count();
        assert!((400..600).contains(&count), "{count}");
        let personas: BTreeSet<_> = documents.iter().map(|d| &d.messages[0].content).collect();
        assert_eq!(personas.len(), 19);
    }
}
