//! How fast the starter's shape runs with random weights. Prints, and asserts nothing about time:
//! `cargo test -p engine --lib tests::speed -- --ignored --nocapture`.

use std::time::Instant;

use futures::StreamExt;

use super::*;
use crate::testing::{tiny_adapter, write_model};
use crate::{RowEvent, ScorePrompt};

fn starter_engine() -> (Engine, TempDir) {
    let starter = LoadedModel::load(&ModelSource::Starter, &candle_core::Device::Cpu).unwrap();
    let shape = starter.decoder.config();
    let folder = TempDir::new().unwrap();
    write_model(folder.path(), shape, 1);
    let engine = start(folder.path(), Limits::default());
    for (index, name) in ["joint", "specific-THA", "specific-KEN"].into_iter().enumerate() {
        engine.adapter_store().insert(name, tiny_adapter(shape, index as u64));
    }
    (engine, folder)
}

#[tokio::test]
#[ignore = "a measurement, not a check"]
async fn tokens_per_second() {
    let (engine, _folder) = starter_engine();
    let adapters = [None, Some("joint"), Some("specific-THA"), Some("specific-KEN"), None, None];
    for (name, rows) in [("1 row", 1), ("6 rows, 3 adapters", 6)] {
        let voices: Vec<GenerateRow> = adapters[..rows]
            .iter()
            .enumerate()
            .map(|(seed, adapter)| {
                let mut voice =
                    row("You are somebody with values of your own.", *adapter, seed as u64);
                voice.sampling.max_tokens = 200;
                voice
            })
            .collect();
        let start = Instant::now();
        let events: Vec<RowEvent> = engine.generate(voices).unwrap().collect().await;
        let tokens = |event: &RowEvent| match event {
            RowEvent::Done { tokens, .. } => *tokens,
            _ => 0,
        };
        let tokens: usize = events.iter().map(tokens).sum();
        println!("{name}: {:.0} tokens/s together", tokens as f64 / start.elapsed().as_secs_f64());
    }
}

#[tokio::test]
#[ignore = "a measurement, not a check"]
async fn scored_prompts_per_second() {
    let (engine, _folder) = starter_engine();
    for (name, adapter) in [("base", None), ("adapter", Some("joint"))] {
        let prompts: Vec<ScorePrompt> = (0..200)
            .map(|index| ScorePrompt {
                // About as many tokens as a persona and a question of the starter have.
                messages: conversation(
                    &"persona ".repeat(8),
                    &format!("{index} {}", "why ".repeat(20)),
                ),
                options: (1..=5).map(|number| number.to_string()).collect(),
                adapter: adapter.map(str::to_owned).into(),
            })
            .collect();
        let start = Instant::now();
        let count = engine.score(prompts).await.unwrap().len();
        println!("{name}: {:.0} prompts/s", count as f64 / start.elapsed().as_secs_f64());
    }
}
