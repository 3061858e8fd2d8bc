//! Jobs against a tiny random model and real files.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use app::api::{JobState, SurveyRunRequest};
use domain::instance::CollectionRule;
use domain::method::{AdapterTarget, Elicitation};
use domain::prompt::PromptStyle;
use domain::score::Metric;
use domain::training_set::Source;
use domain::voice::Voice;
use futures::StreamExt;

use super::elicit::Answered;
use super::testing::{Fixture, SURVEY, fixture, go_on, run_with_questions, survey, tiny_engine};
use super::*;
use crate::store::{RunKind, Store, StoreError, Unit};
use engine::Engine;

fn voices() -> Vec<Voice> {
    vec![Voice::unaware(), Voice::aware("THA".parse().unwrap())]
}

fn request(voices: Vec<Voice>) -> SurveyRunRequest {
    SurveyRunRequest { survey: SURVEY.to_owned(), voices, templates: None }
}

#[tokio::test]
async fn a_survey_run_is_watched_to_its_end_and_kept() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let runs = SurveyRuns::new(engine.clone(), store.clone());
    let started = runs.start(request(voices())).await.unwrap();
    assert_eq!((started.state, started.total), (JobState::Running, 8));
    let last = runs.watch(&started.id).await.unwrap().fold(None, async |_, info| Some(info)).await;
    let last = last.unwrap();
    assert_eq!((last.state, last.answered), (JobState::Done, 8), "{:?}", last.error);
    // Another process sees the same.
    let runs = SurveyRuns::new(engine, store);
    let run = runs.get(&started.id).await.unwrap();
    assert_eq!((run.info.state, run.answers.len()), (JobState::Done, 2));
    for answers in run.answers {
        assert_eq!(answers.len(), 4);
        for answer in answers {
            let sum: f64 = answer.probabilities.iter().sum();
            assert!((sum - 1.0).abs() < 1e-6, "{answer:?}");
        }
    }
    assert_eq!(runs.list().await.unwrap().len(), 1);
    assert_eq!(runs.cancel(&started.id).await.unwrap().state, JobState::Done);
}

#[tokio::test]
async fn an_unfinished_survey_run_goes_on_after_a_restart() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let first = SurveyRuns::new(engine.clone(), store.clone());
    let id = first.start(request(voices())).await.unwrap().id;
    first.watch(&id).await.unwrap().count().await;
    // As a crash leaves it: at work by the store, by no process.
    store.set_state(&id, JobState::Running, None).await.unwrap();
    let second = SurveyRuns::new(engine, store);
    assert_eq!(second.resume().await.unwrap(), 1);
    let last = second.watch(&id).await.unwrap().fold(None, async |_, info| Some(info)).await;
    assert_eq!(last.unwrap().state, JobState::Done);
    assert_eq!(second.resume().await.unwrap(), 0);
}

#[tokio::test]
async fn a_survey_run_whose_model_is_gone_says_so() {
    let Fixture { folder, engine, store } = fixture().await;
    let first = SurveyRuns::new(engine, store.clone());
    let id = first.start(request(voices())).await.unwrap().id;
    first.watch(&id).await.unwrap().count().await;
    store.set_state(&id, JobState::Running, None).await.unwrap();
    let other = SurveyRuns::new(tiny_engine(&folder.path().join("other"), 2), store.clone());
    other.resume().await.unwrap();
    let left = other.get(&id).await.unwrap();
    assert_eq!((left.info.state, left.answers[0].len()), (JobState::Failed, 4), "answers are kept");
    let error = left.info.error.unwrap();
    assert_eq!(error.code, "other-model");
    assert!(error.hint.unwrap().contains("--model"));
}

#[tokio::test]
async fn a_survey_run_goes_on_when_there_is_room_again() {
    let Fixture { folder, engine, store } = fixture().await;
    drop(store);
    let data = folder.path().join("data");
    // Nothing can be kept, not even that it has ended: as on a disk that is full to the last byte.
    static FULL: [&str; 2] = [
        "CREATE TEMP TRIGGER full_units BEFORE INSERT ON units \
         BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END",
        "CREATE TEMP TRIGGER full_runs BEFORE UPDATE OF state ON runs \
         WHEN NEW.state <> 'running' \
         BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END",
    ];
    let store = Store::open_with(&data, &FULL).await.unwrap();
    store.put_survey(&survey()).await.unwrap();
    let runs = SurveyRuns::new(engine.clone(), store.clone());
    let id = runs.start(request(voices())).await.unwrap().id;
    let last = runs.watch(&id).await.unwrap().fold(None, async |_, info| Some(info)).await.unwrap();
    assert_ne!(last.state, JobState::Running);
    assert!(last.error.is_some(), "{last:?}");
    assert_eq!(runs.get(&id).await.unwrap().info.state, last.state, "a look tells the same");
    // It can be tried again at once, and ends in the same way.
    runs.go_on(&id).await.unwrap();
    let last = runs.watch(&id).await.unwrap().fold(None, async |_, info| Some(info)).await.unwrap();
    assert!(last.error.is_some(), "{last:?}");
    drop((runs, store));

    let store = Store::open(&data).await.unwrap();
    let runs = SurveyRuns::new(engine, store);
    // By the store it is at work, though no process has it.
    assert_eq!(runs.get(&id).await.unwrap().info.state, JobState::Running);
    assert_eq!(runs.cancel(&id).await.unwrap().state, JobState::Cancelled);
    assert_eq!(runs.go_on(&id).await.unwrap().state, JobState::Running);
    let last = runs.watch(&id).await.unwrap().fold(None, async |_, info| Some(info)).await.unwrap();
    assert_eq!((last.state, last.answered), (JobState::Done, last.total));
    assert_eq!(runs.go_on(&id).await.unwrap().state, JobState::Done, "done stays done");
}

#[tokio::test]
async fn a_survey_run_refuses_what_it_cannot_ask() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let runs = SurveyRuns::new(engine, store);
    let unknown = Voice::aware("KEN".parse().unwrap());
    let adapted = Voice::adapted("THA".parse().unwrap(), "nothing");
    for (request, code) in [
        (request(vec![]), "invalid-request"),
        (request(vec![Voice::unaware(), Voice::unaware()]), "invalid-request"),
        (request(vec![unknown]), "unknown-culture"),
        (SurveyRunRequest { survey: "no".to_owned(), ..request(voices()) }, "unknown-survey"),
    ] {
        let error = runs.start(request).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_api().hint.is_some(), "{error}");
    }
    // The adapter is the engine's to know: the run fails, and says so.
    let id = runs.start(request(vec![adapted])).await.unwrap().id;
    let last = runs.watch(&id).await.unwrap().fold(None, async |_, info| Some(info)).await.unwrap();
    assert_eq!(last.state, JobState::Failed);
    assert_eq!(last.error.unwrap().code, "unknown-adapter");
    let stored = runs.get(&id).await.unwrap().info;
    assert_eq!(stored.error.unwrap().code, "unknown-adapter");
}

#[tokio::test]
async fn generation_stores_every_attempt_once() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let request = MethodRequest {
        survey: Some(SURVEY.to_owned()),
        per_topic: Some(1),
        ..MethodRequest::default()
    };
    let method = Method::open(&store, &engine, &request, Opening::Begin).await.unwrap();
    let counts = method.generate(&mut go_on).await.unwrap();
    // A random model writes no JSON; what counts is that this is told and kept.
    assert_eq!((counts.wanted, counts.kept), (2, 0));
    assert_eq!(counts.dropped, BTreeMap::from([("unreadable".to_owned(), 2)]));
    let mut calls = 0;
    let again = method
        .generate(&mut |_| {
            calls += 1;
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
    assert_eq!((again, calls), (counts, 1), "nothing is left to do");
    let error = method.elicit(&mut go_on).await.unwrap_err();
    assert_eq!(error.code(), "step-missing");
}

#[tokio::test]
async fn all_of_a_topics_seeds_are_examples_or_so_many_as_asked() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let drawn = async |run: &str, seeds_per_topic, seed| {
        let request = MethodRequest { seeds_per_topic, seed: Some(seed), ..named(run) };
        let method = Method::open(&store, &engine, &request, Opening::Begin).await.unwrap();
        let seeds = method.topic_seeds();
        for (topic, seeds) in method.survey.topics.iter().zip(&seeds) {
            assert!(seeds.iter().all(|seed| seed.topic == topic.id && !seed.held_out));
        }
        seeds.concat().into_iter().map(|seed| seed.id.clone()).collect::<Vec<_>>()
    };
    let all = drawn("all", None, 1).await;
    let one = drawn("one", Some(1), 1).await;
    assert_eq!((all.len(), one.len()), (4, 2), "two topics of two seeds each");
    assert_eq!(drawn("again", Some(1), 1).await, one, "the seed decides");
    let mut draws = BTreeSet::from([one]);
    for seed in 2..6 {
        draws.insert(drawn(&format!("seed-{seed}"), Some(1), seed).await);
    }
    assert!(draws.len() > 1, "other seeds draw others");
    let again = MethodRequest { seeds_per_topic: Some(2), ..named("one") };
    let error = Method::open(&store, &engine, &again, Opening::GoOn).await.err().unwrap();
    assert!(error.to_string().contains("`seeds_per_topic`"), "{error}");
}

#[tokio::test]
async fn commands_find_the_run_they_mean() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let open = async |request: MethodRequest, opening| {
        Method::open(&store, &engine, &request, opening).await
    };
    let small = || MethodRequest { survey: Some(SURVEY.to_owned()), ..MethodRequest::default() };
    assert!(open(small(), Opening::GoOn).await.is_err(), "there is none yet");
    let first = open(small(), Opening::Begin).await.unwrap();
    assert_eq!(open(small(), Opening::Begin).await.unwrap().run, first.run, "unfinished");
    first.set_state(Some(Ok(()))).await.unwrap();
    assert_eq!(open(small(), Opening::GoOn).await.unwrap().run, first.run, "the latest");
    let second = open(small(), Opening::Begin).await.unwrap();
    assert_ne!(second.run, first.run);
    let named = MethodRequest { run: Some(first.run.clone()), seed: Some(8), ..small() };
    let error = open(named, Opening::GoOn).await.err().unwrap();
    assert!(error.to_string().contains("`seed` is 7, not 8"), "{error}");
    let unknown = MethodRequest { run: Some("x".to_owned()), ..small() };
    let error = open(unknown, Opening::GoOn).await.err().unwrap();
    assert!(matches!(error, JobError::Store(StoreError::UnknownRun { .. })));
    for bad in ["", "../x", "a b"] {
        let request = MethodRequest { run: Some(bad.to_owned()), ..small() };
        assert_eq!(open(request, Opening::Begin).await.err().unwrap().code(), "invalid-request");
    }
    let culture = MethodRequest { cultures: Some(vec!["KEN".parse().unwrap()]), ..small() };
    assert_eq!(open(culture, Opening::Begin).await.err().unwrap().code(), "unknown-culture");
    assert_eq!(store.runs(RunKind::Method).await.unwrap().len(), 2);
}

/// A run whose questions were written by hand, asked as `request` says.
async fn written_run(store: &Store, engine: &Engine, request: MethodRequest) -> Method {
    let run = request.run.clone().unwrap();
    let method = Method::open(store, engine, &request, Opening::Begin).await.unwrap();
    let written = run_with_questions(store, engine, &format!("{run}-questions"), 2, 1).await;
    let units: BTreeMap<String, serde_json::Value> =
        store.units(&written.run, "generate").await.unwrap();
    let units: Vec<Unit<serde_json::Value>> =
        units.into_iter().map(|(key, result)| Unit { key, result }).collect();
    store.record_units(&run, "generate", &units).await.unwrap();
    method
}

fn named(run: &str) -> MethodRequest {
    MethodRequest {
        run: Some(run.to_owned()),
        survey: Some(SURVEY.to_owned()),
        per_topic: Some(2),
        ..MethodRequest::default()
    }
}

#[tokio::test]
async fn samples_are_drawn_as_often_as_asked_and_are_the_same_again() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let mut drawn = Vec::new();
    for run in ["first", "second"] {
        let request = MethodRequest { samples: Some(Elicitation::Samples(3)), ..named(run) };
        let method = written_run(&store, &engine, request).await;
        // Four questions as both cultures, and unaware twice, which is the noise floor.
        assert_eq!(method.elicit(&mut go_on).await.unwrap(), 4 * 4);
        let units: BTreeMap<String, Answered> = store.units(run, "elicit").await.unwrap();
        for answered in units.values() {
            let Answered::Numbers { numbers } = answered else { panic!("{answered:?}") };
            assert_eq!(numbers.len(), 3);
        }
        assert_eq!(method.answer_pairs().await.unwrap().len(), 8);
        // A random model names an option now and then.
        let numbers = units.values().flat_map(|answered| match answered {
            Answered::Numbers { numbers } => numbers.clone(),
            Answered::Probabilities(_) => vec![],
        });
        let unreadable = numbers.filter(Option::is_none).count();
        let replies = method.elicited().await.unwrap().replies().unwrap();
        assert_eq!((replies.drawn, replies.unreadable), (4 * 4 * 3, unreadable));
        let twice = units.keys().filter(|key| key.ends_with("/unaware-twice")).count();
        assert_eq!(twice, 4, "{units:?}");
        let counts = method.collect().await.unwrap().counts;
        let pairs = method.answer_pairs().await.unwrap();
        let redrawn = pairs.iter().filter(|pair| pair.redrawn.is_some()).count();
        assert_eq!(counts.redrawn, redrawn);
        drawn.push(units);
    }
    assert_eq!(drawn[0], drawn[1], "a seed decides everything");
    // Under another rule more is asked, and what both ask is drawn alike: a run may be begun on another
    // one's answers and be the same when it is repeated.
    let samples = Some(Elicitation::Samples(3));
    let rule = Some(CollectionRule::Shift);
    let method =
        written_run(&store, &engine, MethodRequest { samples, rule, ..named("shifted") }).await;
    assert_eq!(method.elicit(&mut go_on).await.unwrap(), 5 * 4);
    let shifted: BTreeMap<String, Answered> = store.units("shifted", "elicit").await.unwrap();
    assert!(drawn[0].iter().all(|(key, answered)| shifted.get(key) == Some(answered)));
}

#[tokio::test]
async fn the_noise_floor_is_measured_where_the_rule_needs_it() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let rule = Some(CollectionRule::Shift);
    let method = written_run(&store, &engine, MethodRequest { rule, ..named("shift") }).await;
    // Four questions as both cultures, and unaware in two wordings.
    assert_eq!(method.elicit(&mut go_on).await.unwrap(), 4 * 4);
    let shifted = method.collect().await.unwrap();
    let floor = shifted.floor.unwrap();
    assert!(floor > 0.0 && shifted.counts.pairs == 8, "{shifted:?}");
    let above = method.answer_pairs().await.unwrap();
    let above = above.iter().filter(|pair| pair.shift.unwrap().distance > floor).count();
    assert_eq!(shifted.instances.len(), above);
    let method = written_run(&store, &engine, named("different")).await;
    assert_eq!(method.elicit(&mut go_on).await.unwrap(), 4 * 3);
    assert_eq!(method.elicited().await.unwrap().replies(), None, "probabilities were read");
    assert_eq!(method.collect().await.unwrap().floor, None);
}

#[tokio::test]
async fn a_control_and_general_conversations_are_learnt_where_asked() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let tuned = async |run: &str, change: fn(&mut MethodRequest)| {
        let mut request = MethodRequest {
            adapters: Some(vec![AdapterTarget::Joint]),
            accumulation: Some(1),
            learning_rate: Some(1e-2),
            ..named(run)
        };
        change(&mut request);
        let method = written_run(&store, &engine, request).await;
        method.elicit(&mut go_on).await.unwrap();
        let instances = method.collect().await.unwrap().instances.len();
        let tuned = method.tune(&mut go_on).await.unwrap();
        (instances, tuned[0].instances, tuned[0].hash.clone().unwrap())
    };
    let (all, learnt, plain) = tuned("plain", |_| {}).await;
    assert_eq!(all, learnt);
    let (all, random, other) = tuned("random", |r| r.source = Some(Source::Random)).await;
    assert_eq!(all, random);
    assert_ne!(plain, other);
    let (all, half, _) = tuned("half", |r| r.share = Some(0.5)).await;
    assert!(half < all && half >= all / 2, "{half} of {all}");
    let (_, learnt, mixed) = tuned("general", |r| r.general = Some(1.0)).await;
    assert_eq!(learnt, all, "general conversations are no instances");
    assert_ne!(plain, mixed);
    let method = Method::open(&store, &engine, &named("general"), Opening::GoOn).await.unwrap();
    let ability = method.ability("joint").await.unwrap().unwrap();
    let stored: BTreeMap<String, domain::score::Ability> =
        store.units("general", "ability").await.unwrap();
    assert_eq!(stored.into_values().collect::<Vec<_>>(), [ability], "measured once");
    let report = method.evaluate(Metric::Alignment, &mut go_on).await.unwrap();
    assert_eq!(report.ability, Some(("joint".to_owned(), ability)));
    assert_eq!(report.movement.keys().collect::<Vec<_>>(), ["aware", "joint"]);
    assert!(report.movement["aware"].questions == 8, "{:?}", report.movement);
    let topics: Vec<_> = report.topics.iter().map(|t| (t.topic.as_str(), t.questions)).collect();
    assert_eq!(topics, [("food", 2), ("work", 2)], "of the held-out questions");
    for topic in &report.topics {
        assert!(topic.scores.specific.is_none() && topic.intervals.joint.is_some(), "{topic:?}");
        assert!(topic.gains.joint_over_aware.unwrap().interval.is_some(), "{topic:?}");
        assert!(topic.baselines.random.is_some(), "{topic:?}");
    }
    let robust = method.robustness(Metric::Alignment, &mut go_on).await.unwrap();
    assert_eq!(robust.keys().copied().collect::<Vec<_>>(), ["aware", "joint"]);
    let (aware, written) = (&robust["aware"], report.mean.scores.aware.unwrap());
    assert!((aware.layouts["as-written"] - written).abs() < 1e-9, "{aware:?} {written}");
    assert!(aware.layouts.len() == 4 && aware.spread >= 0.0, "{aware:?}");
    assert!(ability.replies == 200 && ability.before != ability.after, "{ability:?}");
    assert_eq!(method.ability("specific-THA").await.unwrap(), None);
}

#[tokio::test]
async fn the_aware_side_is_asked_in_the_style_of_the_run() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let style = Some(PromptStyle::AwareSelfAlignment);
    let method = written_run(&store, &engine, MethodRequest { style, ..named("r") }).await;
    method.elicit(&mut go_on).await.unwrap();
    let units: BTreeMap<String, Answered> = store.units("r", "elicit").await.unwrap();
    assert!(units.keys().any(|key| key.ends_with("/THA:aware-self-alignment")), "{units:?}");
    assert_eq!(method.answer_pairs().await.unwrap().len(), 8);
    // What learns such answers can't be held against people without a mark.
    let before = method.evaluate(Metric::Alignment, &mut go_on).await.unwrap();
    assert!(before.held_out == Some(true) && before.uses_reference.is_empty(), "no adapter yet");
    method.collect().await.unwrap();
    let mut wholes = Vec::new();
    let mut watch = |progress: &Progress| {
        wholes.extend(progress.whole.map(|w| (w.parts_done, w.parts, w.rest)));
        ControlFlow::Continue(())
    };
    method.tune(&mut watch).await.unwrap();
    assert_eq!(wholes.first().map(|whole| (whole.0, whole.1)), Some((0, 3)));
    assert!(wholes.windows(2).all(|pair| pair[1].2 + 1 == pair[0].2), "{wholes:?}");
    assert_eq!(wholes.last().map(|whole| whole.2), Some(0), "the last update leaves none");
    let report = method.evaluate(Metric::Alignment, &mut go_on).await.unwrap();
    assert_eq!(report.uses_reference, ["joint", "specific"]);
    // Nor on the survey page; an adapter of a run without such prompts can.
    Method::open(&store, &engine, &named("plain"), Opening::Begin).await.unwrap();
    let thai = "THA".parse().unwrap();
    let adapters = ["r/joint", "plain/joint", "r/specific-THA"];
    let voices = adapters.map(|adapter| Voice::adapted(thai, adapter));
    let runs = SurveyRuns::new(engine.clone(), store.clone());
    let asked = runs.start(request([vec![Voice::aware(thai)], voices.to_vec()].concat())).await;
    let id = asked.unwrap().id;
    for info in [runs.get(&id).await.unwrap().info, runs.list().await.unwrap().remove(0)] {
        assert_eq!(info.uses_reference, ["r/joint", "r/specific-THA"]);
    }
    runs.watch(&id).await.unwrap().count().await;
    // With two cultures nobody is both like and unlike one of them.
    for (style, expect) in [
        (PromptStyle::CrossCulture, "doesn't say which cultures are like it"),
        (PromptStyle::Unaware, "both sides would be the same"),
    ] {
        let request = MethodRequest { style: Some(style), ..named("x") };
        let error = Method::open(&store, &engine, &request, Opening::Begin).await.err().unwrap();
        assert!(error.to_string().contains(expect), "{error}");
    }
    let request = MethodRequest { style: Some(PromptStyle::Aware), ..named("r") };
    let error = Method::open(&store, &engine, &request, Opening::GoOn).await.err().unwrap();
    assert!(error.to_string().contains("`style` is AwareSelfAlignment, not Aware"), "{error}");
}
