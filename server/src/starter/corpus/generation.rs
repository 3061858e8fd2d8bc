//! Documents that teach writing survey questions: five examples of a topic, then a new question of
//! that topic as JSON (step 1 of the method).
//!
//! The prompt and the JSON live in [`domain::generation`]; the questions in [`World`].

use domain::filter::normalised;
use domain::generation::{GeneratedQuestion, generation_prompt};
use domain::prompt::{Message, Role, unaware_persona};
use domain::random::SplitMix64;

use super::{Document, Kind};
use crate::starter::world::{Asked, World};

/// Seeds among the five examples; the others come from the grammar, as generated ones would.
const SEEDS: usize = 3;

/// Examples in a prompt.
const EXAMPLES: usize = 5;

/// Draws a document. One in two has no system message.
pub fn document(random: &mut SplitMix64, world: &World) -> Document {
    let topic = random.below(world.grammar.topics.len());
    let mut known = seeds(topic, world);
    random.shuffle(&mut known);
    let mut questions: Vec<_> = known.iter().take(SEEDS).cloned().collect();
    // New questions are neither among the examples nor in the survey, where the filter knows them.
    while questions.len() <= EXAMPLES {
        let drawn = GeneratedQuestion::from(&world.draw_question(topic, true, random).question);
        let text = normalised(&drawn.question);
        if questions.iter().chain(&known).all(|earlier| normalised(&earlier.question) != text) {
            questions.push(drawn);
        }
    }
    let reply = questions.split_off(EXAMPLES)[0].to_json();
    random.shuffle(&mut questions);
    let mut messages = Vec::with_capacity(3);
    if random.below(2) == 0 {
        messages.push(Message::new(Role::System, unaware_persona()));
    }
    let prompt = generation_prompt(&world.grammar.topics[topic].name, &questions);
    messages.push(Message::new(Role::User, prompt));
    messages.push(Message::new(Role::Assistant, reply));
    Document::new(Kind::Generation, messages)
}

/// The topic's survey questions that are not held out.
fn seeds(topic: usize, world: &World) -> Vec<GeneratedQuestion> {
    let topic = &world.grammar.topics[topic].id;
    let seeds = world.asked().iter().map(|Asked { question, .. }| question);
    seeds.filter(|q| q.topic.as_str() == topic && !q.held_out).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::filter::{DropReason, Filter, FilterRules};
    use domain::generation::parse;

    use super::*;
    use crate::starter::corpus::tests::{check_nothing_held_out, drawn};
    use crate::starter::world::world;

    fn documents(seed: u64, count: usize) -> Vec<Document> {
        drawn(seed, count, document)
    }

    #[test]
    fn replies_are_new_questions_that_the_filter_keeps_or_knows() {
        let mut filter = Filter::new(world().survey(), FilterRules::PAPER);
        for document in documents(1, 2000) {
            let [.., prompt, reply] = document.messages.as_slice() else { panic!("too short") };
            let reply = parse(&reply.content).unwrap();
            let examples: Vec<_> = prompt.content.lines().filter_map(|l| parse(l).ok()).collect();
            assert_eq!(examples.len(), EXAMPLES);
            assert!(examples.iter().all(|example| example.question != reply.question));
            let seed = |asked: &Asked| asked.question.text == reply.question;
            assert!(!world().asked().iter().any(seed), "{} is in the survey", reply.question);
            let distinct: BTreeSet<_> = examples.iter().map(|e| &e.question).collect();
            assert_eq!(distinct.len(), EXAMPLES);
            // Duplicates among documents are expected; numbers alone are not.
            assert_ne!(filter.admit(&reply), Err(DropReason::NumbersOnly));
        }
    }

    #[test]
    fn documents_are_short_and_hold_nothing_held_out() {
        let documents = documents(2, 10_000);
        check_nothing_held_out(&documents);
        let longest = documents.iter().map(Document::characters).max().unwrap();
        println!("longest document: {longest} characters");
        assert!(longest < 1500, "{longest}");
    }

    #[test]
    fn a_seed_decides_everything() {
        assert_eq!(documents(9, 20), documents(9, 20));
        assert_ne!(documents(9, 20), documents(10, 20));
    }
}
