//! Waiting: whose turn it is, how much may wait and for how long, and what a long prompt costs the
//! others.

use super::*;
use crate::mailbox::MAX_UNREAD;
use crate::scheduler::MAX_LIVE;

/// Everything that can be read now, and whether the stream has ended.
fn read(stream: &mut GenerationStream) -> (Vec<RowEvent>, bool) {
    let mut events = Vec::new();
    loop {
        match stream.next().now_or_never() {
            Some(Some(event)) => events.push(event),
            ended => return (events, ended.is_some()),
        }
    }
}

#[track_caller]
fn failure(stream: &mut GenerationStream) -> EngineError {
    match read(stream).0.pop() {
        Some(RowEvent::Failed { error, .. }) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_long_prompt_takes_no_token_from_a_reply() {
    // Nothing is kept, so that all of the prompt must be read.
    let mut bench = Bench::with_prefixes(Bench::new().model, 0);
    let _reply = bench.push("one", &[long("Go on.")]);
    bench.step();
    let _prompt = bench.push("two", &[long(&"word ".repeat(90))]);
    let mut steps = 0;
    loop {
        let before = bench.scheduler.progress();
        bench.step();
        let after = bench.scheduler.progress();
        assert_eq!(after[0].2, before[0].2 + 1, "a token in every step");
        steps += 1;
        if after[1].2 > 0 {
            break;
        }
        let read = after[1].1 - before.get(1).map_or(0, |row| row.1);
        assert!((1..=128).contains(&read), "{read} tokens of the prompt in one step");
    }
    assert!(steps > 3, "the prompt was read in {steps} steps");
}

#[test]
fn a_prompt_alone_is_read_in_one_step() {
    let mut bench = Bench::new();
    let _prompt = bench.push("two", &[long(&"word ".repeat(90))]);
    bench.step();
    let [(_, read, 1)] = bench.scheduler.progress()[..] else { panic!() };
    assert!(read > 450, "{read}");
}

#[test]
fn one_row_of_a_client_is_next_however_much_another_has_asked_for() {
    let mut bench = Bench::new();
    let many = vec![long("Go on."); 200];
    let _many = bench.push("many", &many);
    bench.step();
    let filled = bench.live("many");
    assert!(filled < MAX_LIVE, "places stay for others");
    let mut single = bench.push("single", &[long("Go on.")]);
    bench.step();
    assert_eq!((bench.live("many"), bench.live("single")), (filled, 1));
    // The row beside it, alone: what it says doesn't depend on the two hundred.
    let mut alone = Bench::new();
    let mut expected = alone.push("single", &[long("Go on.")]);
    (0..5).for_each(|_| bench.step());
    (0..6).for_each(|_| alone.step());
    assert_eq!(read(&mut single), read(&mut expected));
}

#[test]
fn clients_with_much_to_do_share_the_batch_evenly() {
    let mut bench = Bench::new();
    let names = ["a", "b", "c"];
    let _streams = names.map(|name| bench.push(name, &vec![long("Go on."); 100]));
    bench.step();
    let live = names.map(|name| bench.live(name));
    assert_eq!(live, [16, 16, 16]);
}

#[test]
fn of_ten_thousand_requests_as_many_wait_as_there_are_places() {
    let mut bench = Bench::new();
    bench.places = Places::new(100, 60, "replies");
    let mut streams = Vec::new();
    for number in 0..10_000 {
        match bench.try_push(["a", "b", "c"][number % 3], &[row("p", None, 1)]) {
            Ok(stream) => streams.push(stream),
            Err(error) => assert!(error.retry_after().is_some(), "{error}"),
        }
    }
    assert_eq!((streams.len(), bench.scheduler.waiting(), bench.places.free()), (100, 100, 0));
    bench.finish();
    assert_eq!(bench.places.free(), 100);
    for stream in &mut streams {
        let (events, ended) = read(stream);
        assert!(ended && matches!(events.last(), Some(RowEvent::Done { .. })), "{events:?}");
    }
}

#[tokio::test]
async fn ten_thousand_refused_requests_leave_the_engine_at_work() {
    let (engine, _folder) = tiny_engine();
    let limits = Limits::default();
    let held = ["a", "b"].map(|name| {
        let rows = limits.rows / 2;
        engine.row_places().take(&ClientId::new(name), rows, Duration::ZERO).unwrap()
    });
    for number in 0..10_000 {
        let asking = engine.for_client(ClientId::new(&number.to_string()));
        match asking.generate(vec![row("p", None, 1)]).unwrap_err() {
            EngineError::Overloaded { retry_after, limit, .. } => {
                assert!(retry_after.as_secs() >= 1 && limit == limits.rows);
            }
            other => panic!("{other}"),
        }
    }
    drop(held);
    assert!(engine.generate(vec![row("p", None, 1)]).unwrap().texts(1).await.is_ok());
}

#[tokio::test]
async fn one_client_cannot_take_all_places() {
    let folder = tiny_model_dir();
    let limits =
        Limits { rows: 4, client_rows: 3, scores: 2, client_scores: 1, ..Limits::default() };
    let engine = start(folder.path(), limits);
    let (one, other) = (ClientId::new("one"), ClientId::new("other"));
    let _held = engine.row_places().take(&one, 3, Duration::ZERO).unwrap();
    let asked =
        |client: &ClientId| engine.for_client(client.clone()).generate(vec![row("p", None, 1)]);
    assert_eq!(asked(&one).unwrap_err().code(), "client-busy");
    assert!(asked(&other).unwrap().texts(1).await.is_ok());
    let four = vec![row("p", None, 1); 4];
    assert_eq!(engine.for_client(other).generate(four).unwrap_err().code(), "invalid-request");
}

#[test]
fn a_row_that_waits_too_long_fails_and_frees_its_place() {
    let mut bench = Bench::new();
    let all = bench.places.free();
    let limits = Limits { waiting: Duration::from_secs(10), ..Limits::default() };
    // These got their places in the batch before the time was over.
    let live = bench.push("many", &vec![long("Go on."); 48]);
    bench.limits = limits;
    let mut late = bench.push("many", &[long("Go on.")]);
    bench.scheduler.step(bench.start + Duration::from_secs(9));
    assert_eq!(bench.scheduler.waiting(), 1);
    bench.scheduler.step(bench.start + Duration::from_secs(10));
    let error = failure(&mut late);
    assert!(matches!(error, EngineError::TimedOut { waiting: true, .. }), "{error}");
    assert_eq!((bench.live("many"), bench.scheduler.waiting()), (48, 0));
    assert_eq!(bench.places.free(), all - 48);
    drop(live);
}

#[tokio::test]
async fn a_request_to_score_that_takes_too_long_fails_and_the_worker_goes_on() {
    let folder = tiny_model_dir();
    let limit = Duration::from_millis(1);
    let engine = start(folder.path(), Limits { score: limit, ..Limits::default() });
    let prompts: Vec<ScorePrompt> = (0..500)
        .map(|number| ScorePrompt {
            messages: conversation("You are somebody from Thailand.", &format!("Is it {number}?")),
            options: vec!["1".to_owned(), "2".to_owned()],
            adapter: AdapterChoice::Base,
        })
        .collect();
    let error = engine.score(prompts).await.unwrap_err();
    assert_eq!(error, EngineError::TimedOut { limit, waiting: false });
    // The worker goes on with others.
    let patient = start(folder.path(), Limits::default());
    let asked = || vec![row("p", None, 1)];
    let after = engine.generate(asked()).unwrap().texts(1).await.unwrap();
    assert_eq!(patient.generate(asked()).unwrap().texts(1).await.unwrap(), after);
}

#[test]
fn a_reply_that_takes_too_long_fails_and_the_others_go_on() {
    let mut bench = Bench::new();
    let all = bench.places.free();
    bench.limits = Limits { reply: Duration::from_secs(60), ..Limits::default() };
    let mut short = bench.push("one", &[long("Go on.")]);
    bench.limits = Limits::default();
    let mut patient = bench.push("one", &[long("Go on.")]);
    (0..3).for_each(|_| bench.step());
    bench.scheduler.step(bench.start + Duration::from_secs(60));
    let (events, ended) = read(&mut short);
    assert!(ended && matches!(events[0], RowEvent::Text { .. }), "what came before is kept");
    match &events[events.len() - 1] {
        RowEvent::Failed { error, .. } => assert_eq!(error.code(), "timed-out"),
        other => panic!("{other:?}"),
    }
    assert_eq!((bench.live("one"), bench.places.free()), (1, all - 1));
    assert!(!read(&mut patient).1);
}

#[test]
fn a_reader_that_stops_costs_no_more_than_the_texts() {
    let mut bench = Bench::new();
    let stream = bench.push("one", &[long("Go on."), long("And on.")]);
    bench.finish();
    // One token is at most one character of the tiny model, U+FFFD the longest.
    assert!(stream.unread() > 0 && stream.unread() <= 2 * 512 * 3 && 512 * 3 < MAX_UNREAD);
    assert_eq!(bench.places.free(), 1000, "the places are free before anything is read");
    let mut stream = stream;
    let (events, ended) = read(&mut stream);
    assert!(ended && events.len() == 4, "two texts and two ends: {events:?}");
}
