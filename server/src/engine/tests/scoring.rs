//! Options: exact, whatever they are batched with.

use candle_core::{D, Device, Tensor};
use tokio::sync::oneshot;

use super::*;
use crate::engine::ScorePrompt;
use crate::engine::decoder::{LoraAdapter, PackedBatch, Segment};
use crate::engine::option_scorer::{ScoreJob, ScoreQueue};
use crate::engine::places::Place;
use crate::engine::prompts::encode_prompts;
use crate::engine::testing::tiny_adapter;

fn numbers(count: usize) -> Vec<String> {
    (1..=count).map(|number| number.to_string()).collect()
}

/// Prompts of three personas, with and without an adapter, with 2 to 12 options.
fn prompts() -> Vec<ScorePrompt> {
    let mut prompts = Vec::new();
    for (question, count) in [("Family?", 4), ("Trust in most people?", 2), ("How free?", 12)] {
        for persona in ["You are somebody.", "You are somebody from Thailand.", "You."] {
            for adapter in [None, Some("joint")] {
                prompts.push(ScorePrompt {
                    messages: conversation(persona, question),
                    options: numbers(count),
                    adapter: adapter.map(str::to_owned).into(),
                });
            }
        }
    }
    prompts
}

/// One pass per option over prompt, option and end token, without any cache.
fn naive(
    model: &LoadedModel,
    prompt: &ScorePrompt,
    adapter: Option<&Arc<LoraAdapter>>,
) -> Vec<f64> {
    let start = model.tokenizer.encode_chat(&prompt.messages).unwrap();
    let adapters: Vec<Arc<LoraAdapter>> = adapter.cloned().into_iter().collect();
    let log_probability = |option: &String| -> f64 {
        let mut tokens = start.clone();
        tokens.extend(model.tokenizer.encode(option).unwrap());
        tokens.push(model.tokenizer.eos());
        let segment = Segment { len: tokens.len(), position: 0, adapter: adapter.map(|_| 0) };
        let batch = PackedBatch { tokens: &tokens, segments: &[segment], adapters: &adapters };
        let hidden = model.decoder.forward(&batch, None).unwrap();
        let logits: Tensor = model.decoder.logits(&hidden).unwrap();
        let logs =
            candle_nn::ops::log_softmax(&logits, D::Minus1).unwrap().to_vec2::<f32>().unwrap();
        let after = start.len()..tokens.len();
        after.map(|at| f64::from(logs[at - 1][tokens[at] as usize])).sum()
    };
    let probabilities: Vec<f64> = prompt.options.iter().map(|o| log_probability(o).exp()).collect();
    let sum: f64 = probabilities.iter().sum();
    probabilities.iter().map(|p| p / sum).collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    assert!(
        found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4),
        "{found:?} {expected:?}"
    );
}

fn place(places: &Arc<Places>) -> Place {
    let client = ClientId::new("one");
    places.take(&client, 1, Duration::ZERO).unwrap().pop().unwrap()
}

fn tiny_model() -> (LoadedModel, Adapters, TempDir) {
    let folder = tiny_model_dir();
    let source = ModelSource::Folder(folder.path().to_owned());
    let model = LoadedModel::load(&source, &Device::Cpu).unwrap();
    let adapters = Adapters::new(64, usize::MAX);
    adapters.insert("joint", tiny_adapter(&tiny_config(), 1));
    (model, adapters, folder)
}

#[tokio::test]
async fn scores_equal_those_of_one_prompt_and_option_at_a_time() {
    let (engine, _folder) = tiny_engine();
    engine.adapter_store().insert("joint", tiny_adapter(&tiny_config(), 1));
    let store = engine.adapter_store();
    let adapter = store.find(&engine.model(), &"joint".into()).unwrap().unwrap();
    // Beside a reply, so that the scores come in several chunks.
    let reply = engine.generate(vec![row("p", None, 1)]).unwrap();
    let scores = engine.score(prompts()).await.unwrap();
    reply.texts(1).await.unwrap();
    for (found, prompt) in scores.iter().zip(&prompts()) {
        let adapter = (prompt.adapter != AdapterChoice::Base).then_some(&adapter.adapter);
        assert_close(found, &naive(&engine.model(), prompt, adapter));
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
    assert_ne!(scores[0], scores[1], "the adapter counts");
}

#[test]
fn the_size_of_a_chunk_changes_nothing() {
    let (model, adapters, _folder) = tiny_model();
    let mut all: Vec<Vec<Vec<f64>>> = Vec::new();
    for budget in [1, 100, 700, 100_000] {
        let encoded = encode_prompts(&model, &adapters, &prompts()).unwrap();
        let (reply, mut answer) = oneshot::channel();
        let mut queue = ScoreQueue::default();
        queue.push(ScoreJob::new(encoded, reply, place(&Places::new(1, 1, "requests"))));
        while !queue.is_empty() {
            queue.step(&model, budget);
        }
        all.push(answer.try_recv().unwrap().unwrap());
    }
    for scores in &all[1..] {
        for (found, expected) in scores.iter().zip(&all[0]) {
            assert_close(found, expected);
        }
    }
}

#[test]
fn a_request_that_nobody_waits_for_is_dropped() {
    let (model, adapters, _folder) = tiny_model();
    let places = Places::new(1, 1, "requests");
    let encoded = encode_prompts(&model, &adapters, &prompts()).unwrap();
    let (reply, answer) = oneshot::channel();
    let mut queue = ScoreQueue::default();
    queue.push(ScoreJob::new(encoded, reply, place(&places)));
    queue.step(&model, 1);
    assert!(!queue.is_empty());
    drop(answer);
    queue.step(&model, 1);
    assert!(queue.is_empty());
    assert_eq!(places.free(), 1);
}

#[tokio::test]
async fn refusals_name_the_rule() {
    let (engine, _folder) = tiny_engine();
    let ask = |options: &[&str], adapter: Option<&str>, message: String| {
        let prompt = ScorePrompt {
            messages: conversation("p", &message),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            adapter: adapter.map(str::to_owned).into(),
        };
        engine.score(vec![prompt])
    };
    let hi = || "Hi".to_owned();
    for (options, part) in [
        (&[][..], "at least one option"),
        (&["1", ""], "option 2"),
        (&["1", "1"], "1 and 2 are equal"),
    ] {
        let error = ask(options, None, hi()).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(ask(&["1"], Some("none"), hi()).await.unwrap_err().code(), "unknown-adapter");
    assert_eq!(ask(&["1"], None, "x ".repeat(600)).await.unwrap_err().code(), "context-exceeded");
    assert_eq!(ask(&["1"], None, " ".to_owned()).await.unwrap_err().code(), "invalid-request");
    assert_eq!(ask(&["1"], None, hi()).await.unwrap(), [[1.0]]);
    assert_eq!(engine.score(vec![]).await.unwrap(), Vec::<Vec<f64>>::new());
}
