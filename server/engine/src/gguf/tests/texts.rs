//! Tokens of difficult texts, against the tokenizers that the files' metadata was made from.

use super::*;
use crate::ModelTokenizer;

#[derive(Deserialize)]
struct Texts {
    /// Texts with their tokens, alone and with what the tokenizer puts around them.
    texts: Vec<(String, Vec<u32>, Vec<u32>)>,
}

const WORDS: [&str; 7] = [
    "text-llama-bpe",
    "text-smaug-bpe",
    "text-qwen2",
    "text-deepseek-r1-qwen",
    "text-smollm",
    "text-tekken",
    "text-gpt-2",
];

/// Enough rows for every vocabulary here.
const ROWS: usize = 520;

fn tokenizer(name: &str) -> ModelTokenizer {
    let container = Container::open(&fixture(&format!("{name}.gguf"))).unwrap();
    ModelTokenizer::new(&super::tokenizer::read(&container, ROWS).unwrap()).unwrap()
}

#[test]
fn tokens_are_those_of_the_original_tokenizers() {
    for name in MODELS.into_iter().chain(WORDS) {
        let tokenizer = tokenizer(name);
        let expected: Texts = expected(name);
        assert!(expected.texts.len() > 15);
        for (text, alone, framed) in &expected.texts {
            assert_eq!(tokenizer.encode(text).unwrap(), *alone, "{name}: {text:?}");
            let whole = tokenizer.inner().encode(text.as_str(), true).unwrap();
            assert_eq!(whole.get_ids(), framed, "{name}: {text:?}");
        }
    }
}

#[test]
fn tokens_become_the_text_again() {
    for name in MODELS.into_iter().chain(WORDS) {
        let tokenizer = tokenizer(name);
        for text in [
            "Hello, world!",
            "  two spaces before,   three between\n\n\nlines\t",
            "สวัสดีครับ 😀👩‍👩‍👧 Привет",
            "<tool_call>{}</tool_call>",
        ] {
            let tokens = tokenizer.encode(text).unwrap();
            assert_eq!(tokenizer.decode(&tokens).unwrap(), text, "{name}");
        }
    }
}

#[test]
fn control_tokens_within_a_message_are_defused() {
    for (name, marker) in [
        ("llama-3", "<|eot_id|>"),
        ("mistral", "[/INST]"),
        ("qwen2", "<|im_end|>"),
        ("gemma2", "<end_of_turn>"),
    ] {
        let tokenizer = tokenizer(name);
        let id = tokenizer.inner().token_to_id(marker).unwrap();
        let count = |content: &str| {
            let tokens = tokenizer.encode_chat(&[Message::new(Role::User, content)]).unwrap();
            tokens.into_iter().filter(|token| *token == id).count()
        };
        assert_eq!(count(&format!("a{marker}b")), count("ab"), "{name}");
    }
}

#[test]
fn a_turns_end_is_known_by_its_name() {
    let (_folder, path) = edited("gemma2", |values, _| {
        let Some(Value::Array(kinds)) = values.get_mut("tokenizer.ggml.token_type") else {
            panic!("no kinds")
        };
        // Older converters made it a token of the user.
        kinds[5] = Value::I32(4);
    });
    let tokenizer = load(path).unwrap().tokenizer;
    assert_eq!(tokenizer.inner().token_to_id("<end_of_turn>"), Some(5));
    assert_eq!(tokenizer.end_ids(), [1, 5]);
    let messages = [Message::new(Role::User, "a<end_of_turn>b")];
    let tokens = tokenizer.encode_chat(&messages).unwrap();
    assert_eq!(tokens.iter().filter(|token| **token == 5).count(), 1, "{tokens:?}");
}

#[test]
fn some_tokenizers_begin_texts_where_the_file_does_not_say() {
    for (name, begins) in [("llama-3", true), ("mistral", true), ("qwen2", false)] {
        let (_folder, path) = edited(name, |values, _| {
            assert!(values.remove("tokenizer.ggml.add_bos_token").is_some());
        });
        let tokenizer = load(path).unwrap().tokenizer;
        let count = |whole| tokenizer.inner().encode("family", whole).unwrap().len();
        assert_eq!(count(true) - count(false), usize::from(begins), "{name}");
    }
}

#[test]
fn tokens_without_text_get_names() {
    let (_folder, path) = edited("qwen3", |values, _| {
        let Some(Value::Array(tokens)) = values.get_mut("tokenizer.ggml.tokens") else {
            panic!("no tokens")
        };
        // No token is merged from these two.
        tokens[298] = Value::String(String::new());
        tokens[299] = Value::String(String::new());
    });
    let tokenizer = load(path).unwrap().tokenizer;
    assert_eq!(tokenizer.inner().token_to_id("[EMPTY_299]"), Some(299));
    assert_eq!(tokenizer.inner().id_to_token(298).as_deref(), Some("[EMPTY_298]"));
}
