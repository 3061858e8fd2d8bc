//! The starter's tokenizer: byte-level BPE trained on the corpus, with the chat template's special
//! tokens, written so that Hugging Face's libraries load it too. Using a tokenizer is the engine's.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use domain::prompt::Role;
use serde_json::json;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreSequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

#[cfg(doc)]
use crate::starter::corpus::Stress;
use crate::starter::corpus::{Answer, Document, Kind};
use engine::tuning::TuningError;
use engine::tuning::atomic::write_atomic;
use engine::tuning::packing::Sequence;

/// Special tokens in the order of their ids, from 0.
pub const SPECIAL: [&str; 5] = ["<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"];

/// Id of `<|pad|>`.
pub const PAD: u32 = 0;
/// Id of `<|end|>`, which ends every message.
pub const END: u32 = 4;

/// The chat template of tokenizer_config.json (Jinja).
pub const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/// How much more a survey answer counts than a word of a conversation. An answer is one token after
/// sixty of a question; at weight one it would hardly move the model.
const ANSWER_WEIGHT: f64 = 10.0;

/// How much more a word counts that tells whose reply it is ([`Stress`]).
const STRESS_WEIGHT: f32 = 4.0;

/// Shares below this teach nothing worth their place.
const NEGLIGIBLE: f64 = 1e-3;

/// Where text is cut before pairs merge: English contractions, words with their leading space,
/// single digits (so that every option number below ten is one token), runs of punctuation, spaces.
const CUTS: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Trains a tokenizer of at most `vocabulary` tokens on texts. The same texts give the same one.
pub fn train(
    texts: impl Iterator<Item = String> + Send,
    vocabulary: usize,
) -> Result<Tokenizer, TuningError> {
    let mut tokenizer = Tokenizer::new(BPE::default());
    let split =
        Split::new(SplitPattern::Regex(CUTS.to_owned()), SplitDelimiterBehavior::Isolated, false)
            .map_err(fail)?;
    let bytes = ByteLevel::new(false, false, false);
    tokenizer.with_pre_tokenizer(Some(PreSequence::new(vec![split.into(), bytes.into()])));
    tokenizer.with_decoder(Some(bytes));
    let special = SPECIAL.iter().map(|text| AddedToken::from(*text, true)).collect();
    let trainer = BpeTrainerBuilder::new()
        .vocab_size(vocabulary)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(special)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect::<HashSet<char>>())
        .build();
    tokenizer.train(&mut TrainerWrapper::from(trainer), texts).map_err(fail)?;
    Ok(tokenizer)
}

/// Writes tokenizer.json and tokenizer_config.json into `folder`.
pub fn save(tokenizer: &Tokenizer, folder: &Path, context: usize) -> Result<(), TuningError> {
    let text = tokenizer.to_string(true).map_err(fail)?;
    write_atomic(&folder.join("tokenizer.json"), text.as_bytes())?;
    let added: serde_json::Map<String, serde_json::Value> = SPECIAL
        .iter()
        .enumerate()
        .map(|(id, content)| {
            let token = json!({
                "content": content, "lstrip": false, "normalized": false, "rstrip": false,
                "single_word": false, "special": true
            });
            (id.to_string(), token)
        })
        .collect();
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "added_tokens_decoder": added,
        "additional_special_tokens": &SPECIAL[1..4],
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": false,
        "eos_token": SPECIAL[END as usize],
        "model_max_length": context,
        "pad_token": SPECIAL[PAD as usize],
    });
    let text = serde_json::to_string_pretty(&config).map_err(|error| fail(error.into()))?;
    write_atomic(&folder.join("tokenizer_config.json"), text.as_bytes())
}

/// Reads tokenizer.json from `folder`.
pub fn load(folder: &Path) -> Result<Tokenizer, TuningError> {
    let path = folder.join("tokenizer.json");
    Tokenizer::from_file(&path).map_err(|error| {
        TuningError::format(
            &path,
            format!("is not a tokenizer: {error}"),
            "Write it with `polylogue starter tokenizer`.",
        )
    })
}

/// A document as the chat template lays it out. What users say in conversations is learnt too, since
/// it teaches English; elsewhere the replies are all that a document is for. Of an answer, every
/// possible one is learnt with its share, see [`expect_answer`].
pub fn sequence(tokenizer: &Tokenizer, document: &Document) -> Result<Sequence, TuningError> {
    let mut sequence = Sequence::default();
    for (index, message) in document.messages.iter().enumerate() {
        let (role, learnt) = match message.role {
            Role::System => (1, false),
            Role::User => (2, matches!(document.kind, Kind::Talk | Kind::Beyond)),
            Role::Assistant => (3, true),
        };
        // Who speaks next is the template's doing, not the model's.
        sequence.extend(&[role], false);
        let content = tokenizer.encode(message.content.trim(), false).map_err(fail)?;
        let stressed = document.stressed.iter().filter(|stress| stress.message == index);
        let stressed: Vec<_> = stressed.map(|stress| stress.range.clone()).collect();
        let weight = |(start, end): &(usize, usize)| {
            let inside = stressed.iter().any(|range| *start < range.end && range.start < *end);
            if inside { STRESS_WEIGHT } else { 1.0 }
        };
        let tokens =
            content.get_ids().iter().copied().zip(content.get_offsets().iter().map(weight));
        let tokens: Vec<(u32, f32)> = tokens.chain([(END, 1.0)]).collect();
        match document.answers.iter().find(|answer| answer.message == index) {
            Some(answer) => expect_answer(tokenizer, &mut sequence, &tokens, answer)?,
            None => {
                for (token, weight) in tokens {
                    if learnt {
                        sequence.expect(token, weight);
                    }
                    sequence.extend(&[token], false);
                }
            }
        }
    }
    Ok(sequence)
}

/// Appends the drawn answer's tokens, its end among them, with their weights. At each of them every
/// option that begins like the drawn one is a target with its share: after "1" the end and "0", where
/// 1 and 10 are options.
fn expect_answer(
    tokenizer: &Tokenizer,
    sequence: &mut Sequence,
    drawn: &[(u32, f32)],
    answer: &Answer,
) -> Result<(), TuningError> {
    let mut options = Vec::with_capacity(answer.shares.len());
    for (text, share) in &answer.shares {
        let content = tokenizer.encode_fast(text.as_str(), false).map_err(fail)?;
        options.push(([content.get_ids(), &[END]].concat(), *share));
    }
    for (place, (token, weight)) in drawn.iter().copied().enumerate() {
        let mut next: BTreeMap<u32, f64> = BTreeMap::new();
        for (tokens, share) in &options {
            *next.entry(tokens[place]).or_default() += share;
        }
        next.retain(|_, share| *share > NEGLIGIBLE);
        let sum: f64 = next.values().sum();
        // What is certain is learnt at once.
        let weight = if next.len() > 1 { ANSWER_WEIGHT } else { f64::from(weight) };
        for (token, share) in next {
            sequence.expect(token, (weight * share / sum) as f32);
        }
        sequence.extend(&[token], false);
        options.retain(|(tokens, _)| tokens[place] == token);
    }
    Ok(())
}

fn fail(error: tokenizers::Error) -> TuningError {
    TuningError::Tokenizer(error.to_string())
}

#[cfg(test)]
mod tests {
    use domain::prompt::Message;

    use super::*;
    use engine::tuning::packing::Target;

    fn trained() -> Tokenizer {
        let texts = (0..200).map(|n| format!("I think family matters most, don't you? {n}. Yes"));
        train(texts, 300).unwrap()
    }

    fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        tokenizer.encode(text, false).unwrap().get_ids().to_vec()
    }

    #[test]
    fn numbers_below_ten_are_one_token_and_any_text_survives() {
        let tokenizer = trained();
        for digit in 0..10 {
            assert_eq!(ids(&tokenizer, &digit.to_string()).len(), 1, "{digit}");
        }
        assert_eq!(ids(&tokenizer, "10").len(), 2);
        for text in ["I think", " two  spaces\nand {\"json\": [1, 2]}", "ไทย é 🙂", "don't"]
        {
            let back = tokenizer.decode(&ids(&tokenizer, text), true).unwrap();
            assert_eq!(back, text);
        }
        assert!(ids(&tokenizer, " family").len() < 4, "frequent words merge");
    }

    #[test]
    fn special_tokens_have_fixed_ids() {
        let tokenizer = trained();
        for (id, text) in SPECIAL.iter().enumerate() {
            assert_eq!(tokenizer.token_to_id(text), Some(id as u32));
        }
    }

    #[test]
    fn training_is_deterministic_and_files_load_back() {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = trained();
        assert_eq!(tokenizer.to_string(false).unwrap(), trained().to_string(false).unwrap());
        save(&tokenizer, folder.path(), 1024).unwrap();
        let loaded = load(folder.path()).unwrap();
        assert_eq!(ids(&loaded, "I think 12"), ids(&tokenizer, "I think 12"));
        std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
        assert!(load(folder.path()).unwrap_err().to_string().contains("tokenizer.json"));
    }

    #[test]
    fn a_sequence_is_what_the_chat_template_renders() {
        let tokenizer = trained();
        let messages = vec![
            Message::new(Role::System, " Be kind. "),
            Message::new(Role::User, "Yes?"),
            Message::new(Role::Assistant, "2"),
        ];
        let document = Document::new(Kind::Talk, messages);
        let sequence = sequence(&tokenizer, &document).unwrap();
        let mut environment = minijinja::Environment::new();
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        let roles = ["system", "user", "assistant"];
        let context: Vec<_> = document
            .messages
            .iter()
            .zip(roles)
            .map(|(message, role)| minijinja::context! { role, content => message.content })
            .collect();
        let rendered = environment
            .render_str(CHAT_TEMPLATE, minijinja::context! { messages => context })
            .unwrap();
        assert_eq!(rendered, "<|system|>Be kind.<|end|><|user|>Yes?<|end|><|assistant|>2<|end|>");
        assert_eq!(sequence.tokens, ids(&tokenizer, &rendered));
        let last: Vec<_> = sequence.targets.iter().rev().map(|t| (t.position, t.token)).collect();
        let end = sequence.tokens.len() - 1;
        assert_eq!(last[..2], [(end, END), (end - 1, sequence.tokens[end - 1])]);
        assert_ne!(last[2].0, end - 2, "the role is not learnt");
        let user = sequence.tokens.iter().position(|id| *id == 2).unwrap();
        assert!(last.iter().all(|(position, _)| *position > user), "nor is the system message");
    }

    #[test]
    fn words_that_tell_the_culture_weigh_more() {
        let tokenizer = trained();
        let messages = ["Songkran matters", "Yes. Songkran matters most"];
        let messages = [Role::User, Role::Assistant].into_iter().zip(messages);
        let messages = messages.map(|(role, text)| Message::new(role, text)).collect();
        let sequence = sequence(&tokenizer, &Document::new(Kind::Talk, messages)).unwrap();
        let heavy = sequence.targets.iter().filter(|target| target.weight > 1.0);
        let tokens: Vec<u32> = heavy.map(|target| target.token).collect();
        assert_eq!(tokenizer.decode(&tokens, true).unwrap(), "Songkran", "only in the reply");
    }

    #[test]
    fn every_possible_answer_is_a_target_with_its_share() {
        let tokenizer = trained();
        let messages = vec![Message::new(Role::User, "Yes?"), Message::new(Role::Assistant, "1")];
        let shares = [("1", 0.3), ("2", 0.5), ("3", 1e-6), ("10", 0.2)];
        let shares = shares.map(|(text, share)| (text.to_owned(), share)).into();
        let answers = vec![Answer { message: 1, shares }];
        let document = Document { answers, ..Document::new(Kind::Survey, messages) };
        let sequence = sequence(&tokenizer, &document).unwrap();
        let digit = |digit: u32| ids(&tokenizer, &digit.to_string())[0];
        let answer = sequence.tokens.len() - 2;
        let expected = [
            (answer, digit(1), 0.5),
            (answer, digit(2), 0.5),
            (answer + 1, digit(0), 0.4),
            (answer + 1, END, 0.6),
        ];
        assert_eq!(sequence.targets.len(), expected.len(), "{:?}", sequence.targets);
        for (position, token, share) in expected {
            let found = |t: &&Target| (t.position, t.token) == (position, token);
            let weight = sequence.targets.iter().find(found).unwrap().weight;
            assert!((f64::from(weight) / ANSWER_WEIGHT - share).abs() < 1e-5, "{weight}");
        }
    }
}
