//! Chat templates written as published ones are, against what Hugging Face's transformers make of them.

use serde::Deserialize;

use super::*;
use crate::chat_template::ChatTemplate;

/// One conversation in one template; `templates/make.py` writes them.
#[derive(Debug, Deserialize)]
struct Case {
    template: String,
    conversation: String,
    messages: Vec<Said>,
    add_generation_prompt: bool,
    /// What transformers write.
    text: Option<String>,
    /// Why they don't.
    refused: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Said {
    role: String,
    content: String,
}

impl Case {
    fn all() -> Vec<Self> {
        serde_json::from_slice(&std::fs::read(folder().join("expected.json")).unwrap()).unwrap()
    }

    fn messages(&self) -> Vec<Message> {
        let role = |said: &Said| match said.role.as_str() {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => panic!("a role `{other}`"),
        };
        self.messages.iter().map(|said| Message::new(role(said), said.content.as_str())).collect()
    }

    fn template(&self) -> ChatTemplate {
        let source = std::fs::read_to_string(folder().join(&self.template)).unwrap();
        let specials = [("bos_token", "<s>"), ("eos_token", "</s>")];
        let specials = specials.map(|(name, token)| (name.to_owned(), token.to_owned()));
        ChatTemplate::new(source, specials.to_vec()).unwrap()
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/templates")
}

#[test]
fn prompts_are_those_of_transformers() {
    let cases = Case::all();
    assert_eq!(cases.len(), 8 * 4 * 2);
    for case in &cases {
        let given = case.template().render(&case.messages(), case.add_generation_prompt);
        let which = format!("{}, {}", case.template, case.conversation);
        match (&case.text, &case.refused) {
            (Some(text), None) => assert_eq!(given.as_deref(), Ok(text.as_str()), "{which}"),
            (None, Some(_)) => {
                // Where they refuse a system message, we put it before what the user says.
                let (given, system) = (given.unwrap(), &case.messages[0]);
                assert_eq!(system.role, "system", "{which}");
                let before = given.find(system.content.trim()).unwrap();
                let after = given.find(case.messages[1].content.trim()).unwrap();
                assert!(before < after, "{which}: {given}");
            }
            _ => panic!("{which} has both or neither"),
        }
    }
}
