//! Replies as models write them, well-formed and not.

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
        (r#"{question: "Why?", options: Yes}"#, "malformed"),
        (r#"{question: "Why?"}"#, "missing-field"),
        (r#"{"text":"Why?","options":["Yes","No"]}"#, "missing-field"),
        (r#"{"question":"Why?"}"#, "missing-field"),
        (r#"{"question":["Why?"],"options":["Yes","No"]}"#, "question-not-text"),
        (r#"{"question":" ","options":["Yes","No"]}"#, "empty-question"),
        (r#"{"question":"Why?","options":"Yes, No"}"#, "options-not-list"),
        (r#"{"question":"Why?","options":{"1":"Yes"}}"#, "options-not-list"),
        (r#"{"question":"Why?","options":[1,2,3]}"#, "option-not-text"),
        (r#"{"question":"Why?","options":["Yes",{"text":"No"}]}"#, "option-not-text"),
        (r#"{"question":"Why?","options":["Yes"," "]}"#, "empty-option"),
        (r#"{"question":"Why?","options":[]}"#, "no-options"),
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
fn what_is_not_quite_json_is_repaired() {
    for reply in [
        "{'question': 'Why?', 'options': ['Yes', 'No']}",
        r#"{"Question:": "Why?", "Options": ["Yes", "No",]}"#,
        r#"{"question": "Why?", "options": ["Yes", "No"]"#,
        r#"{question: "Why?", options: ["Yes", "No"], note: None}"#,
    ] {
        assert_eq!(parse(reply), Ok(question("Why?", &["Yes", "No"])), "{reply}");
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
            prop_assert!(!read.options.is_empty());
        }
    }
}
