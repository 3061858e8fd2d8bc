//! What was read before isn't read again, and nobody can tell from the results.

use super::*;
use crate::testing::{tiny_adapter, write_model};

fn model(config: &DecoderConfig) -> Arc<LoadedModel> {
    let folder = TempDir::new().unwrap();
    write_model(folder.path(), config, 1);
    let source = ModelSource::Folder(folder.path().to_owned());
    Arc::new(LoadedModel::load(&source, &candle_core::Device::Cpu).unwrap())
}

/// A model whose first layer sees the last 24 tokens only.
fn windowed() -> DecoderConfig {
    DecoderConfig {
        architectures: Some(vec!["MistralForCausalLM".to_owned()]),
        model_type: Some("mistral".to_owned()),
        layer_types: Some(["sliding_attention", "full_attention"].map(str::to_owned).into()),
        sliding_window: Some(Some(24)),
        ..tiny_config()
    }
}

/// The turns of two conversations with the same persona, with and without an adapter; each turn
/// after the one before has ended.
fn talk(bench: &mut Bench) -> Vec<String> {
    bench.adapters.insert("joint", tiny_adapter(&tiny_config(), 1));
    let persona = "You are somebody from Thailand, and you speak as people do there.";
    let mut texts = Vec::new();
    for adapter in [AdapterChoice::Base, "joint".into()] {
        for question in ["What do you eat?", "What do you do on a free day?"] {
            let mut messages = conversation(persona, question);
            for turn in 0..3 {
                let wanted = GenerateRow {
                    messages: messages.clone(),
                    adapter: adapter.clone(),
                    sampling: Sampling { seed: turn, max_tokens: 30, ..Sampling::default() },
                };
                let mut stream = bench.push("one", &[wanted]);
                bench.finish();
                let reply = said(&mut stream);
                messages.push(Message::new(Role::Assistant, reply.clone()));
                messages.push(Message::new(Role::User, format!("And then, {turn}?")));
                texts.push(reply);
            }
        }
    }
    texts
}

#[test]
fn conversations_are_the_same_with_and_without_what_was_read_before() {
    for config in [tiny_config(), windowed()] {
        let model = model(&config);
        let mut without = Bench::with_prefixes(Arc::clone(&model), 0);
        let mut with = Bench::with_prefixes(Arc::clone(&model), usize::MAX);
        let mut little = Bench::with_prefixes(model, 100_000);
        let expected = talk(&mut without);
        assert_eq!(talk(&mut with), expected);
        assert_eq!(talk(&mut little), expected);
        assert!(without.prefixes.lengths().is_empty());
        // A conversation's last turn holds the turns before it.
        assert!(with.prefixes.lengths().len() >= 4, "{:?}", with.prefixes.lengths());
        assert!(little.prefixes.bytes() <= 100_000);
        let distinct: std::collections::BTreeSet<&String> = expected.iter().collect();
        assert!(distinct.len() > 6, "{expected:?}");
    }
}

#[test]
fn the_start_of_a_prompt_is_not_read_again() {
    let mut bench = Bench::new();
    let persona = "word ".repeat(80);
    let ask = |question: &str| GenerateRow {
        messages: conversation(&persona, question),
        sampling: Sampling { max_tokens: 2, ..Sampling::default() },
        adapter: AdapterChoice::Base,
    };
    let _first = bench.push("one", &[ask("How free?")]);
    bench.finish();
    // Beside a reply only 128 tokens of prompts are read in a step, and this one has over 400.
    let _reply = bench.push("one", &[long("Go on.")]);
    bench.step();
    let _second = bench.push("one", &[ask("How trusting?")]);
    bench.step();
    assert_eq!(bench.scheduler.progress()[1].2, 1, "a token after one step");
}

#[test]
fn a_prompt_serves_others_while_its_own_reply_goes_on() {
    let mut bench = Bench::new();
    let persona = "word ".repeat(80);
    let _first = bench
        .push("one", &[GenerateRow { messages: conversation(&persona, "How free?"), ..long("") }]);
    bench.step();
    let _second = bench.push(
        "two",
        &[GenerateRow { messages: conversation(&persona, "How trusting?"), ..long("") }],
    );
    bench.step();
    let produced: Vec<usize> = bench.scheduler.progress().iter().map(|row| row.2).collect();
    assert_eq!(produced, [2, 1], "the second prompt was read beside the first reply in one step");
}

#[test]
fn questions_of_a_persona_serve_replies_and_the_other_way_round() {
    let mut bench = Bench::new();
    let persona = "You are somebody from Thailand.";
    let _stream = bench.push("one", &[row(persona, None, 1)]);
    bench.finish();
    let tokens = bench.model.tokenizer.encode_chat(&conversation(persona, "Why?")).unwrap();
    assert!(bench.prefixes.find(None, &tokens).unwrap().len() >= persona.len());
    let other = "You are somebody from Kenya, and you say so.";
    let prompts = ["Family?", "Trust?"].map(|question| ScorePrompt {
        messages: conversation(other, question),
        options: vec!["1".to_owned(), "2".to_owned()],
        adapter: AdapterChoice::Base,
    });
    bench.score(&prompts, budget(1000));
    let tokens = bench.model.tokenizer.encode_chat(&conversation(other, "Why?")).unwrap();
    assert!(bench.prefixes.find(None, &tokens).unwrap().len() >= other.len());
}

#[test]
fn an_adapter_that_is_replaced_takes_what_was_read_along() {
    let mut bench = Bench::new();
    bench.adapters.insert("joint", tiny_adapter(&tiny_config(), 1));
    let ask = || row("You are somebody.", Some("joint"), 1);
    let _first = bench.push("one", &[ask()]);
    bench.finish();
    assert_eq!(bench.prefixes.lengths().len(), 1);
    // A row that is at work when its adapter is replaced leaves nothing behind either.
    let mut at_work = bench.push("one", &[ask()]);
    bench.step();
    bench.adapters.insert("joint", tiny_adapter(&tiny_config(), 9));
    assert!(bench.prefixes.lengths().is_empty());
    bench.finish();
    assert!(bench.prefixes.lengths().is_empty());
    let mut new = bench.push("one", &[ask()]);
    bench.finish();
    assert_ne!(said(&mut new), said(&mut at_work));
}
