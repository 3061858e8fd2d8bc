//! Replies as models write them, well-formed and not, and what the filter makes of them.

use proptest::prelude::*;

use super::*;

fn question(text: &str, options: &[&str]) -> GeneratedQuestion {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    GeneratedQuestion { question: text.to_owned(), options }
}

#[test]
fn every_fault_of_a_reply_is_named() {
    for (reply, code) in [
        ("I would rather not.", "no-json"),
        ("", "no-json"),
        (r#"{"question":"Why?","options":["Yes","N"#, "truncated"),
        (r#"{"question":"Why?""#, "truncated"),
        (r#"{question: "Why?"}"#, "malformed"),
        (r#"{"text":"Why?","options":["Yes","No"]}"#, "missing-field"),
        (r#"{"question":"Why?"}"#, "missing-field"),
        (r#"{"question":["Why?"],"options":["Yes","No"]}"#, "question-not-text"),
        (r#"{"question":" ","options":["Yes","No"]}"#, "empty-question"),
        (r#"{"question":"Why?","options":"Yes, No"}"#, "options-not-list"),
        (r#"{"question":"Why?","options":{"1":"Yes"}}"#, "options-not-list"),
        (r#"{"question":"Why?","options":[1,2,3]}"#, "option-not-text"),
        (r#"{"question":"Why?","options":["Yes",{"text":"No"}]}"#, "option-not-text"),
        (r#"{"question":"Why?","options":["Yes"," "]}"#, "empty-option"),
        (r#"{"question":"Why?","options":["Yes","Yes"]}"#, "repeated-option"),
        (r#"{"question":"Why?","options":["Yes"]}"#, "too-few-options"),
        (
            r#"{"question":"Why?","options":["a","b","c","d","e","f","g","h","i","j","k"]}"#,
            "too-many-options",
        ),
    ] {
        assert_eq!(parse(reply).map_err(|error| error.code()), Err(code), "{reply}");
    }
}

#[test]
fn words_around_the_object_are_ignored() {
    let reply =
        "Here it is:\n```json\n{\"question\": \" Why? \", \"options\": [\"Yes\", \"No \"]}\n```";
    assert_eq!(parse(reply), Ok(question("Why?", &["Yes", "No"])));
}

#[test]
fn the_prompt_shows_every_example_on_its_line() {
    let examples = [question("One?", &["Yes", "No"]), question("Two \"2\"?", &["a", "b"])];
    let prompt = generation_prompt("Religion", &examples);
    assert!(prompt.contains("Religion"), "{prompt}");
    let shown = prompt.lines().filter_map(|line| parse(line).ok()).collect::<Vec<_>>();
    assert_eq!(shown, examples);
}

#[test]
fn the_filter_says_why() {
    let seed = question("Do you sing?", &["Yes", "No"]);
    let seed = seed.into_question("S1".into(), "t".into());
    let held_out = question("Which is best: tea or milk?", &["Tea", "Milk"]);
    let held_out = Question { held_out: true, ..held_out.into_question("S2".into(), "t".into()) };
    let mut filter = Filter::new(&[seed, held_out]);
    for (text, options, expect) in [
        ("Do you dance?", ["Yes", "No"], Ok(())),
        ("do you  DANCE", ["Often", "Never"], Err(DropReason::Duplicate)),
        ("Do you sing", ["Often", "Never"], Err(DropReason::InSurvey)),
        ("Which is best: milk or tea?", ["Milk", "Tea"], Err(DropReason::HeldOut)),
        ("Be honest: which is best: tea or milk?", ["Milk", "Tea"], Err(DropReason::HeldOut)),
        ("How far?", ["1", "2"], Err(DropReason::NumbersOnly)),
        ("How far on a scale from 1 to 2?", ["1", "2"], Ok(())),
    ] {
        assert_eq!(filter.admit(&question(text, &options)), expect, "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        text in "[^ \\s][^\\n]{0,40}[^ \\s]",
        options in prop::collection::btree_set("[A-Za-z0-9\"\\\\{}ü]{1,12}", 2..=10),
    ) {
        prop_assume!(text.trim() == text);
        let written = GeneratedQuestion { question: text, options: options.into_iter().collect() };
        prop_assert_eq!(parse(&written.to_json()), Ok(written));
    }

    #[test]
    fn no_reply_makes_it_panic(reply in ".*", json in "[{}\\[\\]\":,a-z0-9 ]{0,60}") {
        let _ = parse(&reply);
        if let Ok(read) = parse(&json) {
            prop_assert!((FEWEST_OPTIONS..=MOST_OPTIONS).contains(&read.options.len()));
        }
    }
}
