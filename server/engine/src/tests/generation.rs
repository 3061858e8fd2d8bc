//! Replies: the same alone and in company, cancelled, refused, failed.

use domain::random::SplitMix64;
use domain::sampling::Finish;

use super::*;
use crate::testing::tiny_adapter;

/// Voices with different personas, adapters, lengths and seeds.
fn voices() -> Vec<GenerateRow> {
    vec![
        row("You are somebody.", None, 1),
        row("You are somebody from Thailand, and you speak as people do there.", None, 1),
        row("You are somebody.", Some("joint"), 2),
        row("You are somebody from Kenya.", Some("specific-KEN"), 3),
        row("You are somebody.", Some("joint"), 2),
        row("You are somebody.", None, 9),
    ]
}

fn engine_with_adapters() -> (Engine, TempDir) {
    let (engine, folder) = tiny_engine();
    for (name, seed) in [("joint", 1), ("specific-KEN", 2)] {
        engine.adapter_store().insert(name, tiny_adapter(&tiny_config(), seed));
    }
    (engine, folder)
}

#[tokio::test]
async fn a_batch_of_voices_says_what_each_says_alone() {
    let (engine, _folder) = engine_with_adapters();
    let together = engine.generate(voices()).unwrap().texts(6).await.unwrap();
    for (index, voice) in voices().into_iter().enumerate() {
        let alone = engine.generate(vec![voice]).unwrap().texts(1).await.unwrap();
        assert_eq!(alone[0], together[index], "voice {index}");
    }
    let reversed: Vec<GenerateRow> = voices().into_iter().rev().collect();
    let mut reversed = engine.generate(reversed).unwrap().texts(6).await.unwrap();
    reversed.reverse();
    assert_eq!(reversed, together);
    assert_eq!(together[2], together[4], "the same voice with the same seed");
    let mut distinct = together.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 5, "persona, adapter and seed all count: {together:?}");
}

#[tokio::test]
async fn a_row_that_joins_later_changes_nothing() {
    let (engine, _folder) = engine_with_adapters();
    let alone =
        engine.generate(vec![row("Alone.", Some("joint"), 5)]).unwrap().texts(1).await.unwrap();
    let mut first = engine.generate(vec![row("Alone.", Some("joint"), 5)]).unwrap();
    let opening = first.next().await.unwrap();
    let second = engine.generate(voices()).unwrap();
    let RowEvent::Text { text, .. } = opening else { panic!("{opening:?}") };
    let rest = first.texts(1).await.unwrap();
    assert_eq!(format!("{text}{}", rest[0]), alone[0]);
    second.texts(6).await.unwrap();
}

#[tokio::test]
async fn a_reply_ends_at_its_limit_or_the_context() {
    let (engine, _folder) = tiny_engine();
    let long = GenerateRow {
        messages: conversation("You count.", &"word ".repeat(80)),
        sampling: Sampling { temperature: 0.0, max_tokens: 10_000, ..Sampling::default() },
        adapter: AdapterChoice::Base,
    };
    let short =
        GenerateRow { sampling: Sampling { max_tokens: 3, ..long.sampling }, ..long.clone() };
    let prompt = engine.model().tokenizer.encode_chat(&long.messages).unwrap().len();
    let events: Vec<RowEvent> = engine.generate(vec![long, short]).unwrap().collect().await;
    let mut ends = events.iter().filter_map(|event| match event {
        RowEvent::Done { row, tokens, finish, .. } => Some((*row, *tokens, *finish)),
        _ => None,
    });
    assert_eq!(ends.next(), Some((1, 3, Finish::Length)));
    let (row, tokens, finish) = ends.next().unwrap();
    assert_eq!(row, 0);
    match finish {
        Finish::Length => assert_eq!(prompt + tokens, engine.info().context),
        Finish::Stop => assert!(prompt + tokens < engine.info().context),
    }
}

#[tokio::test]
async fn refusals_name_the_rule() {
    let (engine, _folder) = engine_with_adapters();
    let refuse = |change: &dyn Fn(&mut GenerateRow)| {
        let mut wanted = row("p", None, 1);
        change(&mut wanted);
        engine.generate(vec![row("p", None, 1), wanted]).unwrap_err()
    };
    let unknown = refuse(&|row| row.adapter = "specific-XYZ".into());
    assert_eq!(unknown.code(), "unknown-adapter");
    assert_eq!(refuse(&|row| row.sampling.top_p = 0.0).code(), "invalid-request");
    assert_eq!(refuse(&|row| row.messages.clear()).code(), "invalid-request");
    assert_eq!(refuse(&|row| row.messages[1].content = " \n".to_owned()).code(), "invalid-request");
    assert_eq!(refuse(&|row| drop(row.messages.pop())).code(), "invalid-request");
    assert_eq!(engine.generate(vec![]).unwrap_err().code(), "invalid-request");
    let limits = Limits::default();
    let many = vec![row("p", None, 1); limits.client_rows + 1];
    assert_eq!(engine.generate(many).unwrap_err().code(), "invalid-request");
    assert_eq!(engine.row_places().free(), limits.rows, "a refused request gives its places back");
}

#[tokio::test]
async fn a_message_of_a_megabyte_is_beyond_the_context() {
    let (engine, _folder) = tiny_engine();
    let mut huge = row("p", None, 1);
    huge.messages[1].content = "word ".repeat(200_000);
    match engine.generate(vec![huge]).unwrap_err() {
        EngineError::ContextExceeded { tokens, limit: 512, .. } => assert!(tokens >= 999_999),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn rows_in_flight_keep_the_adapter_they_started_with() {
    let (engine, _folder) = engine_with_adapters();
    let wanted = || vec![row("p", Some("joint"), 4)];
    let before = engine.generate(wanted()).unwrap().texts(1).await.unwrap();
    let in_flight = engine.generate(wanted()).unwrap();
    engine.adapter_store().insert("joint", tiny_adapter(&tiny_config(), 77));
    assert_eq!(in_flight.texts(1).await.unwrap(), before);
    assert_ne!(engine.generate(wanted()).unwrap().texts(1).await.unwrap(), before);
}

#[test]
fn a_row_that_nobody_wants_is_freed_at_the_next_step() {
    let mut bench = Bench::new();
    let all = bench.places.free();
    let mut streams: Vec<_> = (0..3).map(|_| bench.push("one", &[long("Go on.")])).collect();
    bench.step();
    assert_eq!(bench.live("one"), 3);
    streams.pop();
    bench.step();
    assert_eq!((bench.live("one"), bench.places.free()), (2, all - 2));
    streams.clear();
    bench.step();
    assert!(bench.scheduler.is_idle());
    assert_eq!(bench.places.free(), all);
}

#[test]
fn rows_that_come_and_go_at_any_time_say_what_each_says_alone() {
    let mut random = SplitMix64::new(5);
    let adapters = [None, Some("joint"), Some("specific-KEN")];
    let personas = ["You.", "You are somebody from Kenya.", "You are somebody from Thailand."];
    let mut rows = Vec::new();
    for seed in 0..24 {
        let adapter = adapters[random.below(3)];
        let mut wanted = row(personas[random.below(3)], adapter, seed);
        wanted.messages[1].content = format!("{}why?", "so ".repeat(random.below(60)));
        wanted.sampling.max_tokens = 1 + random.below(30);
        rows.push(wanted);
    }
    let with_adapters = |bytes| {
        let bench = Bench::with_prefixes(Bench::new().model, bytes);
        for (name, seed) in [("joint", 1), ("specific-KEN", 2)] {
            bench.adapters.insert(name, tiny_adapter(&tiny_config(), seed));
        }
        bench
    };
    let mut together = with_adapters(usize::MAX);
    let mut streams = Vec::new();
    for (number, wanted) in rows.iter().enumerate() {
        streams.push(together.push(["a", "b"][number % 2], std::slice::from_ref(wanted)));
        // One that is left alone after a few tokens.
        let left = together.push("c", std::slice::from_ref(wanted));
        (0..random.below(4)).for_each(|_| together.step());
        drop(left);
    }
    together.finish();
    let mut alone = with_adapters(0);
    for (wanted, stream) in rows.iter().zip(&mut streams) {
        let mut expected = alone.push("a", std::slice::from_ref(wanted));
        alone.finish();
        assert_eq!(said(stream), said(&mut expected), "{wanted:?}");
    }
}
