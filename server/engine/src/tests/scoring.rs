//! Options: exact, whatever they are batched with.

use candle_core::{D, Device, Tensor};
use domain::adapter::BlendPart;
use proptest::prelude::*;

use super::*;
use crate::decoder::{LoraAdapter, PackedBatch, Segment};
use crate::scheduler::PATIENCE;
use crate::testing::tiny_adapter;

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

/// With an adapter named `joint`.
fn with_joint() -> Bench {
    let bench = Bench::new();
    bench.adapters.insert("joint", tiny_adapter(&tiny_config(), 1));
    bench
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

#[tokio::test]
async fn a_repeatable_request_gives_the_same_bits_whatever_else_there_is() {
    let (engine, _folder) = tiny_engine();
    engine.adapter_store().insert("joint", tiny_adapter(&tiny_config(), 1));
    let repeatable = engine.repeatable();
    let first = repeatable.score(prompts()).await.unwrap();
    // Now all starts are known, one of them from another request, and a reply is being given.
    engine.score(prompts()[..3].to_vec()).await.unwrap();
    let reply = engine.generate(vec![row("p", None, 1)]).unwrap();
    let again = repeatable.score(prompts()).await.unwrap();
    reply.texts(1).await.unwrap();
    assert_eq!(first, again);
}

#[test]
fn a_repeatable_request_reads_little_at_a_time_and_the_same_with_and_without_replies() {
    let mut asked = prompts();
    asked.push(ScorePrompt {
        messages: conversation("You.", &"word ".repeat(90)),
        options: numbers(12),
        adapter: AdapterChoice::Base,
    });
    // The scores, and the tokens that each step has read.
    let score = |budget: Budget| {
        let bench = with_joint();
        let (job, mut answer) = bench.job("one", &asked);
        let mut queue = ScoreQueue::default();
        queue.push(job.with_repeatable(true));
        let mut read = Vec::new();
        while !queue.is_empty() {
            read.push(queue.step(&bench.model, &bench.prefixes, budget));
        }
        (answer.try_recv().unwrap().unwrap(), read)
    };
    let ((alone, large), (beside, small)) = (score(Budget::ALONE), score(Budget::BESIDE));
    assert_eq!(alone, beside, "to the bit");
    assert!(small.iter().all(|read| (1..=128).contains(read)), "{small:?}");
    assert!(large.iter().all(|read| *read <= Budget::ALONE.tokens), "{large:?}");
    assert_eq!(large.iter().sum::<usize>(), small.iter().sum::<usize>());
    assert!(large.len() < small.len(), "several passes a step: {large:?} {small:?}");
}

#[test]
fn the_size_of_a_chunk_changes_nothing() {
    let all = [1, 100, 700, 100_000].map(|tokens| {
        let bench = with_joint();
        bench.score(&prompts(), budget(tokens)).0
    });
    for scores in &all[1..] {
        for (found, expected) in scores.iter().zip(&all[0]) {
            assert_close(found, expected);
        }
    }
}

#[test]
fn a_long_prompt_is_read_in_portions() {
    let bench = Bench::new();
    let prompt = ScorePrompt {
        messages: conversation("You.", &"word ".repeat(90)),
        options: numbers(3),
        adapter: AdapterChoice::Base,
    };
    let tokens = bench.model.tokenizer.encode_chat(&prompt.messages).unwrap().len();
    let (scores, steps) = bench.score(std::slice::from_ref(&prompt), budget(100));
    assert_eq!(steps, tokens.div_ceil(100));
    assert_close(&scores[0], &naive(&bench.model, &prompt, None));
}

#[test]
fn what_many_prompts_need_is_never_in_memory_together() {
    let prompt = |number: usize| ScorePrompt {
        messages: conversation("You are somebody.", &number.to_string()),
        options: numbers(4),
        adapter: AdapterChoice::Base,
    };
    let prompts: Vec<ScorePrompt> = (0..100).map(prompt).collect();
    let (all, steps) = Bench::new().score(&prompts, budget(usize::MAX));
    assert_eq!(steps, 2, "the first prompt, and all that begin like it");
    // Five rows of scores per prompt, and room for thirty-three.
    let row = tiny_config().vocab_size * 4;
    let little = Budget { score_bytes: 33 * row, ..budget(usize::MAX) };
    let (few, steps) = Bench::new().score(&prompts, little);
    assert_eq!(steps, 1 + 99_usize.div_ceil(6));
    for (few, all) in few.iter().zip(&all) {
        assert_close(few, all);
    }
    // Nor are caches: a token takes 256 bytes, and a prompt has 23 or 24.
    let little = Budget { cache_bytes: 256 * 50, ..budget(usize::MAX) };
    let (few, steps) = Bench::new().score(&prompts, little);
    assert_eq!(steps, 1 + 99_usize.div_ceil(2));
    for (few, all) in few.iter().zip(&all) {
        assert_close(few, all);
    }
    // A prompt that needs more than there is room for is scored by itself.
    let none = Budget { score_bytes: 0, ..budget(usize::MAX) };
    assert_eq!(Bench::new().score(&prompts[..5], none).1, 5);
}

#[test]
fn requests_of_several_clients_take_turns() {
    let bench = Bench::new();
    let mut queue = ScoreQueue::default();
    let (many, mut many_answer) = bench.job("many", &vec![prompts().remove(0); 500]);
    let (one, mut one_answer) = bench.job("one", &prompts()[..1]);
    queue.push(many);
    queue.push(one);
    for _ in 0..2 {
        queue.step(&bench.model, &bench.prefixes, budget(100));
    }
    assert!(one_answer.try_recv().is_ok() && many_answer.try_recv().is_err());
}

#[test]
fn requests_hold_no_more_caches_than_there_is_memory_for() {
    let bench = Bench::new();
    let prompts: Vec<ScorePrompt> =
        prompts().into_iter().filter(|prompt| prompt.adapter == AdapterChoice::Base).collect();
    let (expected, _) = Bench::new().score(&prompts, budget(20));
    let longest =
        |prompt: &ScorePrompt| bench.model.tokenizer.encode_chat(&prompt.messages).unwrap().len();
    let longest = prompts.iter().map(longest).max().unwrap();
    // A token takes 256 bytes: room for two requests, one of which would fill half by itself.
    for (room, most) in [(4 * longest, 2), (4 * longest - 1, 1), (0, 1)] {
        let little = Budget { cache_bytes: 256 * room, ..budget(20) };
        let mut queue = ScoreQueue::default();
        let mut answers = Vec::new();
        for client in ["one", "two", "one", "three", "one"] {
            let (job, answer) = bench.job(client, &prompts);
            queue.push(job);
            answers.push(answer);
        }
        let mut largest = 0;
        while !queue.is_empty() {
            queue.step(&bench.model, &bench.prefixes, little);
            largest = largest.max(queue.begun());
        }
        assert_eq!(largest, most);
        for mut answer in answers {
            for (found, expected) in answer.try_recv().unwrap().unwrap().iter().zip(&expected) {
                assert_close(found, expected);
            }
        }
    }
}

#[test]
fn a_request_that_needs_much_memory_waits_for_so_many_others_only() {
    let bench = Bench::new();
    let prompt = |words: usize| ScorePrompt {
        messages: conversation("p", &"word ".repeat(words)),
        options: numbers(4),
        adapter: AdapterChoice::Base,
    };
    let (small, large) = (prompt(4), prompt(80));
    let tokens = bench.model.tokenizer.encode_chat(&large.messages).unwrap().len();
    // A token takes 256 bytes: room for the large one alone, beside which the first has no room.
    let little = Budget { cache_bytes: 256 * 2 * tokens, ..budget(20) };
    let mut queue = ScoreQueue::default();
    let (first, mut first_answer) = bench.job("first", &vec![small.clone(); 1200]);
    queue.push(first);
    queue.step(&bench.model, &bench.prefixes, little);
    let (job, mut answer) = bench.job("large", &[large]);
    queue.push(job);
    let mut others = Vec::new();
    while answer.try_recv().is_err() {
        if others.len() < 500 {
            let (other, answer) = bench.job("others", std::slice::from_ref(&small));
            queue.push(other);
            others.push(answer);
        }
        queue.step(&bench.model, &bench.prefixes, little);
    }
    let done = others.iter_mut().filter_map(|answer| answer.try_recv().ok()).count();
    assert!(first_answer.try_recv().is_ok() && others.len() > 2 * PATIENCE, "{}", others.len());
    assert!(done <= PATIENCE, "{done} of {} came before it", others.len());
}

#[test]
fn a_request_that_nobody_waits_for_is_dropped() {
    let bench = with_joint();
    let all = bench.places.free();
    let (job, answer) = bench.job("one", &prompts());
    let mut queue = ScoreQueue::default();
    queue.push(job);
    queue.step(&bench.model, &bench.prefixes, budget(1));
    assert!(!queue.is_empty());
    drop(answer);
    queue.step(&bench.model, &bench.prefixes, budget(1));
    assert!(queue.is_empty());
    assert_eq!(bench.places.free(), all);
}

/// Random questions: of few personas, so that they share starts, with options that share starts.
fn questions() -> impl Strategy<Value = Vec<ScorePrompt>> {
    let adapters = [
        AdapterChoice::Base,
        "joint".into(),
        AdapterChoice::Blend(vec![
            BlendPart { adapter: "joint".to_owned(), weight: 0.5 },
            BlendPart { adapter: "other".to_owned(), weight: -0.7 },
        ]),
    ];
    let options = prop::collection::btree_set("[1-3]{1,3}", 1..6);
    let question = (0_usize..3, "[a-d ]{0,30}x", options, 0_usize..3);
    let question = question.prop_map(move |(persona, message, options, adapter)| ScorePrompt {
        messages: conversation(
            ["You.", "You are from Kenya.", "You are from Thailand."][persona],
            &message,
        ),
        options: options.into_iter().collect(),
        adapter: adapters[adapter].clone(),
    });
    prop::collection::vec(question, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_request_is_scored_as_one_option_at_a_time(
        first in questions(),
        second in questions(),
        tokens in 1_usize..300,
        bytes in prop::sample::select(vec![0, 40_000, usize::MAX]),
    ) {
        let folder = tiny_model_dir();
        let source = ModelSource::Folder(folder.path().to_owned());
        let model = Arc::new(LoadedModel::load(&source, &Device::Cpu).unwrap());
        let bench = Bench::with_prefixes(model, bytes);
        for (name, seed) in [("joint", 1), ("other", 2)] {
            bench.adapters.insert(name, tiny_adapter(&tiny_config(), seed));
        }
        // The second request finds what the first has left.
        for prompts in [&first, &second, &first] {
            let (scores, _) = bench.score(prompts, budget(tokens));
            for (found, prompt) in scores.iter().zip(prompts) {
                let adapter = bench.adapters.find(&bench.model, &prompt.adapter).unwrap();
                let adapter = adapter.as_ref().map(|named| &named.adapter);
                assert_close(found, &naive(&bench.model, prompt, adapter));
            }
        }
    }
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
