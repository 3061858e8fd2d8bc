//! The filter on questions of our own; on the released ones it is tested where they are read.

use super::*;
use crate::question::{Question, Scale};
use crate::survey::Provenance;

fn generated(text: &str, options: &[&str]) -> GeneratedQuestion {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    GeneratedQuestion { question: text.to_owned(), options }
}

fn survey() -> Survey {
    let question = |id: &str, text: &str, held_out: bool| Question {
        id: id.into(),
        topic: "t".into(),
        text: text.to_owned(),
        options: vec!["Yes".to_owned(), "No".to_owned()],
        first_number: 1,
        scale: Scale::Ordered,
        dont_know: vec![],
        held_out,
    };
    Survey {
        id: "s".to_owned(),
        title: "S".to_owned(),
        language: "eng".to_owned(),
        provenance: Provenance::Simulated("made up".to_owned()),
        cultures: vec![],
        topics: vec![],
        questions: vec![
            question("S1", "Do you sing?", false),
            question("S2", "Which is best: tea or milk?", true),
        ],
        reference: BTreeMap::new(),
        similarity: BTreeMap::new(),
        neighbours: BTreeMap::new(),
        unasked: vec!["How old are you?".to_owned()],
    }
}

/// What a fresh filter with these rules makes of the questions.
fn judged(rules: FilterRules, questions: &[GeneratedQuestion]) -> (Vec<String>, FilterCounts) {
    let mut filter = Filter::new(&survey(), rules);
    let verdicts = questions.iter().map(|question| match filter.admit(question) {
        Ok(kept) => format!("{} {}", kept.question, kept.options.join("|")),
        Err(reason) => reason.code().to_owned(),
    });
    (verdicts.collect(), filter.counts().clone())
}

#[test]
fn the_filter_says_why() {
    let ten = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    for (text, options, expect) in [
        ("Do you sing?", &["Often", "Never"][..], "in-survey"),
        ("Do you sing", &["Often", "Never"], "near-duplicate"),
        ("How old are you?", &["Old", "Young"], "in-survey"),
        ("Which is best: milk or tea?", &["Milk", "Tea"], "held-out"),
        ("Be honest: which is best: tea or milk?", &["Milk", "Tea"], "held-out"),
        ("How far?", &["1", "2"], "numbers-only"),
        ("How far on a scale from 1 to 2?", &["1", "2"], "How far on a scale from 1 to 2? 1|2"),
        ("How old?", &["1. Old", "2. Young"], "How old? Old|Young"),
        ("Agree?", &["1 - No", "2", "3 - Yes"], "Agree? (1 = No, 3 = Yes) 1|2|3"),
        ("Agree?", &["1 - No", "2", "3 - Refused"], "mixed-labels"),
        ("How old?", &["1. Old", "2. Old"], "repeated-option"),
        ("Well?", &["Yes"], "too-few-options"),
        ("Well?", &ten, "too-many-options"),
        ("Насколько важна для вас семья?", &["Очень важна", "Не важна"], "other-language"),
    ] {
        let (verdicts, counts) = judged(FilterRules::CAREFUL, &[generated(text, options)]);
        assert_eq!(verdicts, [expect], "{text}");
        assert_eq!(counts.kept + counts.dropped.values().sum::<usize>(), 1);
    }
}

/// The rules with this one alone, switched so.
fn alone(rule: &str, value: &str) -> FilterRules {
    let all: Vec<String> =
        FilterRules::CAREFUL.values().iter().map(|(name, _)| format!("{name}=off")).collect();
    format!("careful,{},{rule}={value}", all.join(",")).parse().unwrap()
}

#[test]
fn every_rule_can_be_switched_off() {
    let yes_no = ["Yes", "No"];
    let dropping = [
        ("held-out", vec![generated("Milk or tea: which is best?", &yes_no)]),
        ("duplicates", vec![generated("Do you sing?", &yes_no)]),
        ("duplicates", vec![generated("How old are you?", &yes_no)]),
        ("near-duplicates", vec![generated("Do you sing", &yes_no)]),
        ("numbers-only", vec![generated("How far?", &["1", "2"])]),
        ("mixed-labels", vec![generated("How far?", &["0", "1-2"])]),
        ("repeated-options", vec![generated("How far?", &["a", "a"])]),
        ("fewest-options", vec![generated("How far?", &["a"])]),
        ("most-options", vec![generated("How far?", &["a"; 11])]),
        ("other-language", vec![generated("Насколько важна для вас семья?", &yes_no)]),
    ];
    // This one rewrites what it finds, and drops nothing.
    let numbered = [generated("How old?", &["1. Old", "2. Young"])];
    assert_eq!(judged(alone("numbered-options", "on"), &numbered).0, ["How old? Old|Young"]);
    assert_eq!(judged(alone("numbered-options", "off"), &numbered).0, ["How old? 1. Old|2. Young"]);
    let tried: BTreeSet<&str> =
        dropping.iter().map(|(rule, _)| *rule).chain(["numbered-options"]).collect();
    let rules = FilterRules::CAREFUL.values();
    assert_eq!(tried, rules.iter().map(|(name, _)| *name).collect(), "every rule is tried");
    for (rule, questions) in dropping {
        let on = match rule {
            "near-duplicates" => "0.9",
            "fewest-options" => "2",
            "most-options" => "10",
            _ => "on",
        };
        assert_eq!(judged(alone(rule, on), &questions).1.kept, 0, "{rule}");
        assert_eq!(judged(alone(rule, "off"), &questions).1.kept, 1, "{rule}");
    }
}

#[test]
fn of_two_equal_questions_the_first_is_kept() {
    let options = ["Yes", "No"];
    let (verdicts, counts) = judged(
        FilterRules::CAREFUL,
        &[
            generated("Do you dance at night?", &options),
            generated("Do you dance at night? ", &options),
            generated("At night, do you dance?", &options),
            generated("How far?", &["1", "2"]),
            generated("How far?", &options),
        ],
    );
    // A text dropped by a later rule still makes its repetition a duplicate.
    assert_eq!(verdicts[1..], ["duplicate", "near-duplicate", "numbers-only", "duplicate"]);
    assert_eq!((counts.seen, counts.kept), (5, 1));
    assert_eq!(counts.dropped[&DropReason::Duplicate], 2);
    assert!(counts.rewritten.is_empty());
}
