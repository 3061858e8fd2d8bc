//! The world as a whole: what the survey holds, and how default, people and blend relate.

use std::collections::{BTreeMap, BTreeSet};

use domain::question::Scale;

use super::formula::mode;
use super::*;

#[test]
fn the_survey_keeps_its_promises() {
    let survey = world().survey();
    assert!(survey.provenance.is_simulated());
    assert_eq!((survey.cultures.len(), survey.topics.len()), (18, 13));
    assert!(survey.questions.len() >= 170);
    let held_out: Vec<_> = survey.questions.iter().filter(|q| q.held_out).collect();
    assert!(held_out.len() >= 64, "{}", held_out.len());
    for topic in &survey.topics {
        let of_topic = held_out.iter().filter(|q| q.topic == topic.id).count();
        assert!(of_topic >= 4, "{} has {of_topic} held-out questions", topic.id);
    }
    for length in grammar::LENGTHS {
        let of_length = held_out.iter().filter(|q| q.options.len() == length).count();
        assert!(of_length >= 5, "{of_length} held-out questions have {length} options");
    }
    assert!(held_out.iter().any(|q| q.first_number == 0));
    assert!(held_out.iter().any(|q| q.scale == Scale::Nominal));
    let texts: BTreeSet<_> = survey.questions.iter().map(|q| q.text.to_lowercase()).collect();
    assert_eq!(texts.len(), survey.questions.len(), "no question stands twice");
    for question in &survey.questions {
        assert!(question.text.split(' ').count() <= 28, "{}", question.text);
        let labels: BTreeSet<_> = question.options.iter().collect();
        assert_eq!(labels.len(), question.options.len(), "{}", question.text);
    }
}

#[test]
fn the_reference_is_complete_and_names_option_numbers() {
    let survey = world().survey();
    for culture in &survey.cultures {
        for question in &survey.questions {
            let people = survey.people(culture.code, &question.id).unwrap();
            assert_eq!(people.shares.len(), question.options.len());
            assert!((people.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let index = question.index_of(people.mode).unwrap();
            assert!(people.shares.iter().all(|share| *share <= people.shares[index]));
        }
    }
}

/// Shares that make self-pluralising worth while: `cargo test -p server default_and_people --
/// --nocapture` prints them.
#[test]
fn default_and_people_differ_and_the_blend_brings_out_half() {
    let world = world();
    let (mut pairs, mut differ, mut brought_out, mut kept, mut top) = (0, 0, 0, 0, 0.0);
    let mut by_culture = BTreeMap::new();
    for culture in world.cultures() {
        for Asked { traits, .. } in world.asked() {
            let people = world.people(culture.code, traits);
            let (default, people_mode) = (mode(&world.default_answer(traits)), mode(&people));
            let blend = mode(&world.blend(Some(culture.code), traits));
            pairs += 1;
            top += people[people_mode];
            if people_mode != default {
                differ += 1;
                *by_culture.entry(culture.code).or_insert(0) += 1;
                brought_out += usize::from(blend == people_mode);
                kept += usize::from(blend == default);
            }
        }
    }
    let share = |part: usize, whole: usize| part as f64 / whole as f64;
    println!(
        "pairs {pairs}; people differ from the default in {:.3}; of those the blend answers like people in {:.3}, \
         like the default in {:.3}; mean share of the most frequent answer {:.3}; {by_culture:?}",
        share(differ, pairs),
        share(brought_out, differ),
        share(kept, differ),
        top / pairs as f64
    );
    assert!((0.45..0.68).contains(&share(differ, pairs)));
    assert!((0.35..0.60).contains(&share(brought_out, differ)));
    assert!((0.45..0.75).contains(&(top / pairs as f64)));
}

#[test]
fn cultures_and_topics_vary_on_every_question() {
    let world = world();
    for Asked { question, traits } in world.asked() {
        let modes: BTreeSet<_> =
            world.cultures().iter().map(|c| mode(&world.people(c.code, traits))).collect();
        let spread = world
            .cultures()
            .iter()
            .map(|culture| world.people(culture.code, traits)[0])
            .fold((1.0_f64, 0.0_f64), |(low, high), share| (low.min(share), high.max(share)));
        assert!(modes.len() > 1 || spread.1 - spread.0 > 0.02, "{}", question.text);
    }
}

#[test]
fn drawn_questions_are_many_and_never_held_out() {
    let world = world();
    let words = |text: &str| {
        let mut words: Vec<_> =
            text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect();
        words.retain(|word| !word.is_empty());
        words
    };
    let held_out: Vec<_> = world.survey().evaluated().iter().map(|q| words(&q.text)).collect();
    let mut random = SplitMix64::new(1);
    let mut texts = BTreeSet::new();
    let mut lengths = BTreeSet::new();
    for number in 0..20_000 {
        let Asked { question, traits } = world.draw_question(number % 13, false, &mut random);
        assert_eq!(question.options.len(), traits.options());
        if texts.insert(question.text.clone()) {
            let words = words(&question.text);
            let leaks = held_out.iter().any(|held| words.windows(held.len()).any(|w| w == held));
            assert!(!leaks, "{}", question.text);
        }
        lengths.insert((question.options.len(), question.first_number));
    }
    println!("{} distinct texts in 20,000", texts.len());
    assert!(texts.len() > 4_000, "{}", texts.len());
    for length in grammar::LENGTHS {
        assert!(lengths.contains(&(length, 0)) && lengths.contains(&(length, 1)), "{length}");
    }
}
