//! The memory of caches: what a row may reserve, who gets what is left, and that it is never exceeded.

use proptest::prelude::*;

use super::*;
use crate::scheduler::PATIENCE;

/// A row of so many new tokens at most.
fn short(message: &str, max_tokens: usize) -> GenerateRow {
    let long = long(message);
    GenerateRow { sampling: Sampling { max_tokens, ..long.sampling }, ..long }
}

#[test]
fn long_replies_of_one_client_leave_memory_to_others() {
    // A long row may come to fill the context, 512 tokens, which is half of the memory.
    let mut bench = Bench::with_caches(1024);
    let _many = bench.push("one", &vec![long("Go on."); 4]);
    bench.step();
    assert_eq!((bench.live("one"), bench.scheduler.reserved()), (1, 512));
    let _other = bench.push("two", &[short("And you?", 30)]);
    bench.step();
    let two = ClientId::new("two");
    let produced: Vec<usize> = bench
        .scheduler
        .progress()
        .into_iter()
        .filter_map(|(client, _, produced)| (client == two).then_some(produced))
        .collect();
    assert_eq!(produced, [1], "a token in the first step");
    assert_eq!(bench.scheduler.waiting(), 3);
}

#[test]
fn a_row_that_needs_much_is_passed_over_but_not_for_ever() {
    let mut bench = Bench::with_caches(1000);
    let _one = bench.push("one", &[long("Go on.")]);
    bench.step();
    let _big = bench.push("big", &[long("Go on.")]);
    let many = 200;
    let _many = bench.push("many", &vec![short("Go on.", 1); many]);
    bench.step();
    assert_eq!((bench.live("one"), bench.live("big")), (1, 0), "there is room for one of them");
    assert!(bench.scheduler.waiting() <= many, "smaller ones come in meanwhile");
    let mut steps = 0;
    while bench.live("big") == 0 {
        bench.step();
        steps += 1;
        assert!(steps < 600, "it came in when the first had ended, at the latest");
    }
    // Some more came in beside it.
    let came = many - bench.scheduler.waiting();
    assert!(came <= PATIENCE + 48, "{came} came in before it");
}

#[test]
fn a_prompt_beyond_the_memory_is_refused() {
    let mut bench = Bench::with_caches(100);
    let error = bench.try_push("one", &[long(&"word ".repeat(90))]).unwrap_err();
    match &error {
        EngineError::ContextExceeded { tokens, limit: 100, memory: Some(100), .. } => {
            assert!(*tokens > 450, "{tokens}");
        }
        other => panic!("{other}"),
    }
    let text = error.to_string();
    assert!(text.contains("MB of memory") && text.contains("smaller model"), "{text}");
    assert_eq!((text.lines().count(), bench.places.free()), (2, 1000));
    let prompt = ScorePrompt {
        messages: conversation("You.", &"word ".repeat(90)),
        options: vec!["1".to_owned(), "2".to_owned()],
        adapter: AdapterChoice::Base,
    };
    let mut asked = Asked::new(&bench.adapters);
    let error = encode_prompts(&bench.model, &mut asked, bench.caches, &[prompt]).unwrap_err();
    assert!(matches!(error, EngineError::ContextExceeded { memory: Some(_), .. }), "{error}");
    // One that fits gets what is left for its reply.
    let _stream = bench.push("one", &[long("Go on.")]);
    bench.step();
    assert_eq!((bench.live("one"), bench.scheduler.reserved()), (1, 100));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn no_more_is_reserved_than_there_is_and_everybody_comes_in(
        tokens in 40_usize..1200,
        rows in prop::collection::vec((0_usize..4, 1_usize..30, 1_usize..60, 0_usize..3), 1..24),
    ) {
        let mut bench = Bench::with_caches(tokens);
        let mut streams = Vec::new();
        for (client, words, max_tokens, steps) in rows {
            let wanted = short(&"word ".repeat(words), max_tokens);
            match bench.try_push(["a", "b", "c", "d"][client], &[wanted]) {
                Ok(stream) => streams.push(stream),
                Err(error) => prop_assert_eq!(error.code(), "context-exceeded"),
            }
            for _ in 0..steps {
                bench.step();
                prop_assert!(bench.scheduler.reserved() <= tokens);
            }
        }
        while !bench.scheduler.is_idle() {
            bench.step();
            prop_assert!(bench.scheduler.reserved() <= tokens);
        }
        prop_assert_eq!(bench.places.free(), 1000);
        for stream in &mut streams {
            // Panics if a row has failed.
            said(stream);
        }
    }
}
