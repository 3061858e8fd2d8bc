//! Passes that fail or panic: their rows are told, and the engine goes on.

use super::*;
use crate::decoder::{KvCache, LoraAdapter, PackedBatch, Segment};
use crate::testing::{tiny_adapter, write_model};

/// A cache of `tokens` that makes every pass panic which begins with it: it has one layer, and the
/// tiny model two.
fn poison(tokens: &[u32]) -> KvCache {
    let folder = TempDir::new().unwrap();
    let config = DecoderConfig { num_hidden_layers: 1, ..tiny_config() };
    write_model(folder.path(), &config, 1);
    let source = ModelSource::Folder(folder.path().to_owned());
    let model = LoadedModel::load(&source, &candle_core::Device::Cpu).unwrap();
    let mut cache = model.decoder.new_cache();
    let segments = [Segment { len: tokens.len(), position: 0, adapter: None }];
    let batch = PackedBatch { tokens, segments: &segments, adapters: &[] };
    model.decoder.forward(&batch, Some(&mut [&mut cache])).unwrap();
    cache
}

/// Poisons what the engine has read of the messages.
fn poison_start(engine: &Engine, messages: &[Message]) {
    let tokens = engine.model().tokenizer.encode_chat(messages).unwrap();
    let tokens = tokens[..tokens.len() - 1].to_vec();
    let cache = poison(&tokens);
    engine.prefixes().keep(None, tokens, Arc::new(cache));
    assert_eq!(engine.prefixes().lengths().len(), 1);
}

#[tokio::test]
async fn a_pass_that_fails_fails_its_rows_and_the_engine_goes_on() {
    let (engine, _folder) = tiny_engine();
    let other = DecoderConfig { hidden_size: 64, ..tiny_config() };
    engine.adapter_store().insert("odd", tiny_adapter(&other, 1));
    let events: Vec<RowEvent> =
        engine.generate(vec![row("p", Some("odd"), 1)]).unwrap().collect().await;
    match &events[..] {
        [RowEvent::Failed { row: 0, error }] => assert_eq!(error.code(), "compute"),
        other => panic!("{other:?}"),
    }
    assert!(engine.generate(vec![row("p", None, 1)]).unwrap().texts(1).await.is_ok());
}

#[tokio::test]
async fn a_panic_fails_the_replies_of_its_pass_and_leaves_nothing_behind() {
    let (engine, _folder) = tiny_engine();
    let asked = || row("You are somebody from Thailand.", None, 1);
    poison_start(&engine, &asked().messages);
    let events: Vec<RowEvent> =
        engine.generate(vec![asked(), row("p", None, 1)]).unwrap().collect().await;
    assert_eq!(events.len(), 2, "{events:?}");
    for event in &events {
        match event {
            RowEvent::Failed { error, .. } => {
                assert_eq!(error.code(), "compute");
                assert!(error.to_string().contains("index out of bounds"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(engine.prefixes().lengths().is_empty(), "the poisoned entry is gone");
    assert_eq!(engine.row_places().free(), Limits::default().rows);
    let after = engine.generate(vec![asked()]).unwrap().texts(1).await.unwrap();
    let (fresh, _folder) = tiny_engine();
    assert_eq!(fresh.generate(vec![asked()]).unwrap().texts(1).await.unwrap(), after);
}

#[tokio::test]
async fn a_panic_fails_the_request_to_score_and_leaves_nothing_behind() {
    let (engine, _folder) = tiny_engine();
    let prompts = ["Family?", "Trust?"].map(|question| ScorePrompt {
        messages: conversation("You are somebody from Thailand.", question),
        options: vec!["1".to_owned(), "2".to_owned()],
        adapter: AdapterChoice::Base,
    });
    poison_start(&engine, &prompts[0].messages);
    let error = engine.score(prompts.to_vec()).await.unwrap_err();
    assert_eq!(error.code(), "compute");
    assert!(error.to_string().contains("index out of bounds"), "{error}");
    assert!(engine.prefixes().lengths().is_empty(), "the poisoned entry is gone");
    let after = engine.score(prompts.to_vec()).await.unwrap();
    let (fresh, _folder) = tiny_engine();
    assert_eq!(fresh.score(prompts.to_vec()).await.unwrap(), after);
}

#[tokio::test]
async fn an_entry_that_cannot_be_copied_is_dropped_and_the_row_reads_everything() {
    let (engine, _folder) = tiny_engine();
    let asked = || row("You are somebody from Thailand.", None, 1);
    let tokens = engine.model().tokenizer.encode_chat(&asked().messages).unwrap();
    let mut broken = KvCache::filled(&tiny_config(), 5);
    broken.pretend(tokens.len());
    engine.prefixes().keep(None, tokens, Arc::new(broken));
    let found = engine.generate(vec![asked()]).unwrap().texts(1).await.unwrap();
    let (fresh, _folder) = tiny_engine();
    assert_eq!(fresh.generate(vec![asked()]).unwrap().texts(1).await.unwrap(), found);
}

#[test]
fn a_panic_while_something_is_kept_costs_no_reply() {
    let asked = || row("You are somebody from Thailand.", None, 1);
    let mut sound = Bench::new();
    let mut expected = sound.push("one", &[asked()]);
    sound.finish();
    let expected = said(&mut expected);
    let mut bench = Bench::new();
    bench.prefixes.break_keeping();
    let mut stream = bench.push("one", &[asked()]);
    let left = bench.push("one", &[asked()]);
    bench.step();
    drop(left);
    bench.finish();
    assert_eq!(said(&mut stream), expected);
    assert_eq!(bench.places.free(), 1000, "whoever asked was told of the end");
    assert!(bench.prefixes.lengths().is_empty());
}

#[test]
fn a_damaged_adapter_leaves_what_others_have_read() {
    let mut bench = Bench::new();
    let sound = tiny_adapter(&tiny_config(), 1);
    bench.adapters.insert("odd", LoraAdapter::blend(&[(&sound, f64::NAN)]).unwrap());
    let _first = bench.push("one", &[row("You are somebody.", None, 1)]);
    bench.finish();
    let kept = bench.prefixes.lengths();
    assert!(!kept.is_empty());
    let mut odd = bench.push("one", &[row("You are somebody.", Some("odd"), 1)]);
    bench.finish();
    match odd.next().now_or_never() {
        Some(Some(RowEvent::Failed { error, .. })) => assert_eq!(error.code(), "compute"),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.prefixes.lengths(), kept);
}

#[tokio::test]
async fn weights_that_are_no_numbers_give_an_error_and_no_answer() {
    let folder = tiny_model_dir();
    let file = folder.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&file, &candle_core::Device::Cpu).unwrap();
    let norm = &tensors["model.norm.weight"];
    let broken = (norm * f64::NAN).unwrap();
    tensors.insert("model.norm.weight".to_owned(), broken);
    candle_core::safetensors::save(&tensors, &file).unwrap();
    let engine = start(folder.path(), Limits::default());
    let error = engine.generate(vec![row("p", None, 1)]).unwrap().texts(1).await.unwrap_err();
    assert!(error.code() == "compute" && error.to_string().contains("damaged weights"), "{error}");
    let prompt = ScorePrompt {
        messages: conversation("p", "Is it so?"),
        options: vec!["1".to_owned(), "2".to_owned()],
        adapter: AdapterChoice::Base,
    };
    let error = engine.score(vec![prompt]).await.unwrap_err();
    assert_eq!(error.code(), "compute", "{error}");
}
