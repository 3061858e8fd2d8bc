//! What the built-in templates say, and what is refused in a user's own.

use super::*;
use crate::question::Scale;

fn culture(demonym: &str) -> Culture {
    let code = "THA".parse().unwrap();
    Culture { code, name: "Thailand".to_owned(), demonym: demonym.to_owned() }
}

fn question(text: &str) -> Question {
    Question {
        id: "Q1".into(),
        topic: "t".into(),
        text: text.to_owned(),
        options: vec!["Not at all".to_owned(), "Very".to_owned()],
        first_number: 0,
        scale: Scale::Ordered,
        dont_know: vec![],
        held_out: false,
    }
}

fn kin() -> Kin {
    let names = |names: [&str; 3]| names.map(str::to_owned).to_vec();
    Kin {
        similar: names(["China", "India", "Kenya"]),
        different: names(["Canada", "Germany", "Australia"]),
    }
}

#[test]
fn options_keep_their_numbers() {
    let prompt = survey_prompt(&question("How {{options}} are you?"));
    assert!(prompt.contains("How {{options}} are you?"), "values are not templates: {prompt}");
    assert!(prompt.contains("0. Not at all\n1. Very"), "{prompt}");
}

#[test]
fn every_style_says_its_own() {
    let templates = PromptTemplates::builtin();
    let (culture, kin) = (culture("Thai"), kin());
    let persona = |style| templates.persona(style, Some(&culture), Some(&kin));
    for style in PromptStyle::ALL {
        let persona = persona(style);
        assert_eq!(persona.contains("a Thai cultural"), style.persona() != PromptStyle::Unaware);
        assert_eq!(
            persona.contains("China, India, Kenya")
                && persona.contains("Canada, Germany, Australia"),
            style.persona() == PromptStyle::CrossCulture,
            "{persona}"
        );
        assert!(!persona.contains("{{"), "{persona}");
    }
    assert_eq!(persona(PromptStyle::SelfAlignment), unaware_persona());
    assert_eq!(persona(PromptStyle::AwareSelfAlignment), aware_persona(&culture));
}

#[test]
fn neighbours_stand_before_the_question_with_their_answers() {
    let templates = PromptTemplates::builtin();
    let asked = question("And you?");
    assert_eq!(templates.question_after(&[], &asked), survey_prompt(&asked));
    let examples = [
        Example { question: question("First?"), answer: 1 },
        Example { question: question("Second?"), answer: 0 },
    ];
    let prompt = templates.question_after(&examples, &asked);
    let place = |text: &str| prompt.find(text).unwrap_or_else(|| panic!("{text}: {prompt}"));
    assert!(place("First?") < place("Answer: 1") && place("Answer: 1") < place("Second?"));
    assert!(place("Answer: 0") < place("And you?"));
    assert!(prompt.ends_with(&survey_prompt(&asked)), "{prompt}");
}

#[test]
fn bad_templates_are_refused_by_name() {
    let english = include_str!("../../prompts/english.toml");
    for (from, to, expect) in [
        ("{{article}} {{demonym}}", "{{nation}}", "`aware` has the unknown field `{{nation}}`"),
        ("{{similar}}", "others", "`cross-culture` must have the field `{{similar}}`"),
        ("{{options}}\nAnswer with", "Answer with", "`question` must have the field `{{options}}`"),
        ("id = \"english\"", "id = \"my english\"", "not `my english`"),
        ("version = 1", "version = 1\nauthor = \"me\"", "unknown field `author`"),
        ("unaware = ", "persona = ", "unknown field `persona`"),
        ("version = 1", "version = ", "can't be read"),
    ] {
        assert!(english.contains(from), "{from}");
        let error = PromptTemplates::parse(&english.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(expect) && error.contains('\n'), "{error}");
    }
}

#[test]
fn a_set_travels_whole_and_its_hash_follows_the_wording() {
    let builtin = PromptTemplates::builtin();
    assert_eq!((builtin.id(), builtin.version(), builtin.language()), ("english", 1, "eng"));
    let json = serde_json::to_string(builtin).unwrap();
    assert_eq!(serde_json::from_str::<PromptTemplates>(&json).unwrap(), *builtin);
    let other = json.replace("of your own", "of yours");
    let other: PromptTemplates = serde_json::from_str(&other).unwrap();
    assert_ne!(other.hash(), builtin.hash());
    assert!(serde_json::from_str::<PromptTemplates>(&json.replace("{{options}}", "")).is_err());
}
