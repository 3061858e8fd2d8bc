//! Runs of the method on the tiny model: to their end, interrupted, side by side, without room, and
//! once more with the same bytes.

use std::ops::ControlFlow;

use app::api::method_run::{InconsistencyRow, StepState};
use domain::method::AdapterTarget;
use futures::StreamExt;

use super::*;
use crate::jobs::reproduce;
use crate::jobs::testing::{
    Fixture, SURVEY, fixture, go_on, run_with_questions, survey, tiny_engine, write_questions,
};

/// The tiny model with its runs, none at work.
async fn started() -> (Fixture, MethodRuns) {
    let fixture = fixture().await;
    let runs = MethodRuns::new(fixture.engine.clone(), fixture.store.clone());
    (fixture, runs)
}

fn request() -> MethodRequest {
    MethodRequest { survey: Some(SURVEY.to_owned()), ..MethodRequest::default() }
}

/// The last that a watcher hears of a run.
async fn end(runs: &MethodRuns, id: &str) -> MethodRunInfo {
    runs.watch(id).await.unwrap().fold(None, async |_, info| Some(info)).await.unwrap()
}

/// What differs between two runs.
async fn differences(store: &Store, first: &str, second: &str) -> Vec<String> {
    let (first, second) =
        (Manifest::of(store, first).await.unwrap(), Manifest::of(store, second).await.unwrap());
    let differ = first.compared(&second).into_iter().filter(|compared| !compared.is_same());
    differ.map(|compared| compared.what).collect()
}

#[tokio::test]
async fn an_unfinished_run_goes_on_after_a_restart_and_shows_what_it_does() {
    let (Fixture { folder: _folder, engine, store }, runs) = started().await;
    // As a crash leaves it: at work by the store, by no process.
    run_with_questions(&store, &engine, "r", 6, 2).await;
    store.begin_run("r", true).await.unwrap();
    assert_eq!(runs.resume_all().await.unwrap(), 1);
    let last = end(&runs, "r").await;
    assert_eq!(last.state, JobState::Done, "{:?}", last.error);
    assert!(last.steps.iter().all(|step| step.state == StepState::Done), "{:?}", last.steps);
    assert_eq!(runs.resume_all().await.unwrap(), 0);

    // Another process, or a reload, sees the same.
    let run = MethodRuns::new(engine.clone(), store.clone()).get("r").await.unwrap();
    assert_eq!((&run.info.steps, run.info.state), (&last.steps, JobState::Done));
    let generated = run.generate.unwrap();
    assert_eq!((generated.written, generated.kept), (12, 12));
    assert!(generated.kept_samples.len() == 12 && generated.dropped_samples.is_empty());
    let elicited = run.elicit.unwrap();
    assert_eq!((elicited.pairs, elicited.readable, elicited.no_opinion), (24, 24, 0));
    assert_eq!(elicited.samples.len(), 12);
    let shares = elicited.samples.iter().flat_map(|s| [s.unaware.clone(), s.aware.clone()]);
    // The most probable of four options.
    assert!(shares.flatten().all(|chosen| chosen.share > 0.25 && !chosen.text.is_empty()));
    let collected = run.collect.unwrap();
    assert_eq!(collected.pairs, 24);
    assert_eq!(collected.instances + collected.consistent + collected.unreadable, 24);
    assert_eq!((collected.topics.len(), collected.rows.len()), (2, 2));
    let drawn = collected.drawn.unwrap();
    assert!(drawn.noise > 0.0 && drawn.noise < 1.0 && drawn.differ >= drawn.noise / 2.0);
    assert_eq!((collected.floor, collected.replies), (None, None));
    // Six pairs in every cell: what the table says adds up to what was counted.
    let cells = |of: fn(&InconsistencyRow) -> &[Option<f64>]| -> f64 {
        let cells = collected.rows.iter().flat_map(of);
        cells.map(|share| 6.0 * share.unwrap()).sum()
    };
    let instances = collected.instances as f64;
    assert!((cells(|row| &row.shares) - instances).abs() < 1e-9, "{collected:?}");
    assert!((cells(|row| &row.noise) - 24.0 * drawn.noise).abs() < 1e-9, "{collected:?}");
    assert!((cells(|row| &row.differ) - 24.0 * drawn.differ).abs() < 1e-9, "{collected:?}");
    assert!(!collected.samples.is_empty());
    let names: Vec<&str> = run.tune.iter().map(|adapter| adapter.name.as_str()).collect();
    assert_eq!(names, ["joint", "specific-USA", "specific-THA"]);
    for adapter in run.tune.iter().filter(|adapter| adapter.hash.is_some()) {
        let steps: Vec<usize> = adapter.curve.iter().map(|point| point.step).collect();
        assert_eq!(steps, (1..=adapter.curve[0].total).collect::<Vec<_>>(), "{}", adapter.name);
        let sample = adapter.sample.as_ref().unwrap();
        assert_eq!(sample.step, adapter.curve[0].total);
        assert_ne!(sample.before, sample.now, "tuning has to change something");
        assert_eq!(sample.options.len(), sample.now.len());
    }
    let evaluated = run.evaluate.unwrap();
    assert_eq!((evaluated.rows.len(), evaluated.questions), (2, 4));
    assert!(evaluated.mean.joint.is_some() && evaluated.mean.random.is_some());
}

#[tokio::test]
async fn what_a_command_left_unfinished_waits_for_somebody() {
    let (Fixture { folder: _folder, engine, store }, runs) = started().await;
    let method = run_with_questions(&store, &engine, "r", 6, 1).await;
    // As a command that was killed leaves it, whatever a server did before.
    store.begin_run("r", true).await.unwrap();
    method.set_state(None).await.unwrap();
    assert_eq!(runs.resume_all().await.unwrap(), 0);
    let waiting = runs.get("r").await.unwrap().info;
    assert_eq!(waiting.state, JobState::Paused);
    let error = waiting.error.unwrap();
    assert_eq!(error.code, "left-unfinished");
    assert!(error.message.contains("`r`") && error.hint.unwrap().contains("resume"));
    assert_eq!(runs.go_on("r").await.unwrap().error, None);
    let last = end(&runs, "r").await;
    assert_eq!((last.state, last.error), (JobState::Done, None));
}

#[tokio::test]
async fn a_run_that_was_paused_and_cancelled_ends_with_the_same_bytes() {
    let (Fixture { folder: _folder, engine, store }, runs) = started().await;
    run_with_questions(&store, &engine, "calm", 8, 20).await;
    run_with_questions(&store, &engine, "disturbed", 8, 20).await;
    runs.go_on("calm").await.unwrap();
    assert_eq!(end(&runs, "calm").await.state, JobState::Done);

    runs.go_on("disturbed").await.unwrap();
    let mut watched = Box::pin(runs.watch("disturbed").await.unwrap());
    let tuning = async |info: &MethodRunInfo| {
        info.current().is_some_and(|step| step.step == Step::Tune && step.done >= 3)
    };
    while let Some(info) = watched.next().await {
        if tuning(&info).await {
            break;
        }
    }
    let paused = runs.pause("disturbed").await.unwrap();
    assert_eq!(paused.state, JobState::Paused);
    assert_eq!(runs.pause("disturbed").await.unwrap().state, JobState::Paused);
    assert_eq!(runs.resume_all().await.unwrap(), 0, "nobody asked for it");
    let at = paused.current().unwrap().clone();
    assert!(at.step == Step::Tune && at.done >= 3, "{at:?}");
    assert_eq!(runs.cancel("disturbed").await.unwrap().state, JobState::Cancelled);
    assert_eq!(runs.go_on("disturbed").await.unwrap().state, JobState::Running);
    assert_eq!(end(&runs, "disturbed").await.state, JobState::Done);
    assert_eq!(differences(&store, "calm", "disturbed").await, Vec::<String>::new());
    assert_eq!(runs.go_on("calm").await.unwrap().state, JobState::Done);
    assert_eq!(runs.cancel("calm").await.unwrap().state, JobState::Done);
}

#[tokio::test]
async fn runs_side_by_side_keep_to_themselves() {
    let (Fixture { folder: _folder, engine, store }, runs) = started().await;
    run_with_questions(&store, &engine, "one", 5, 2).await;
    run_with_questions(&store, &engine, "two", 5, 2).await;
    store.begin_run("one", true).await.unwrap();
    store.begin_run("two", true).await.unwrap();
    assert_eq!(runs.resume_all().await.unwrap(), 2);
    let (one, two) = tokio::join!(end(&runs, "one"), end(&runs, "two"));
    assert_eq!((one.state, two.state), (JobState::Done, JobState::Done), "{one:?} {two:?}");
    assert_eq!(differences(&store, "one", "two").await, Vec::<String>::new());
    let loaded: Vec<String> = engine.adapters().into_iter().map(|info| info.name).collect();
    assert!(loaded.contains(&"one/joint".to_owned()) && loaded.contains(&"two/joint".to_owned()));
    assert!(!loaded.iter().any(|name| name.contains("@now")), "{loaded:?}");
    let ids: Vec<String> = runs.list().await.unwrap().into_iter().map(|info| info.id).collect();
    assert_eq!(ids, ["two", "one"], "newest first");
}

#[tokio::test]
async fn an_adapter_can_be_talked_to_while_it_is_tuned() {
    let (Fixture { folder: _folder, engine, store }, runs) = started().await;
    let method = run_with_questions(&store, &engine, "r", 8, 20).await;
    let error = runs.open_adapter("r", "joint").await.unwrap_err().to_string();
    assert!(error.contains("`joint` has no checkpoint yet"), "{error}");
    let mut until_update_five =
        |progress: &Progress| match progress.update.is_some() && progress.done >= 5 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
    let metric = Metric::Alignment;
    let stopped = method
        .run_steps(&Step::ALL, metric, &mut until_update_five, &mut |_| {}, &mut |_| {})
        .await;
    assert!(matches!(stopped, Err(JobError::Cancelled)), "{stopped:?}");
    let now = runs.open_adapter("r", "joint").await.unwrap();
    let step: usize = now.name.strip_prefix("r/joint@step-").unwrap().parse().unwrap();
    assert!(step >= 5, "{step}");
    assert!(engine.adapters().contains(&now));
    let kept = store.adapters(engine.base_hash()).await.unwrap();
    assert!(kept.iter().any(|row| row.name == now.name), "a link works after a restart");
    let error = runs.open_adapter("r", "nothing").await.unwrap_err().to_string();
    assert!(error.contains("`nothing`") && error.contains("`specific-THA`"), "{error}");
    runs.go_on("r").await.unwrap();
    assert_eq!(end(&runs, "r").await.state, JobState::Done);
    assert_eq!(runs.open_adapter("r", "joint").await.unwrap().name, "r/joint");
}

#[tokio::test]
async fn a_full_disk_pauses_a_run_that_goes_on_when_there_is_room() {
    let (Fixture { folder, engine, store }, runs) = started().await;
    run_with_questions(&store, &engine, "r", 12, 2).await;
    drop((store, runs));
    let data = folder.path().join("data");
    // SQLite reports this page limit exactly as it reports a full disk; 1 means what there is.
    let store = Store::open_with(&data, &["PRAGMA max_page_count = 1"]).await;
    let store = store.unwrap();
    let runs = MethodRuns::new(engine.clone(), store.clone());
    runs.go_on("r").await.unwrap();
    let last = end(&runs, "r").await;
    assert_eq!(last.state, JobState::Paused, "{:?}", last.steps);
    let error = last.error.unwrap();
    assert_eq!(error.code, "disk-full");
    assert!(
        error.message.contains(&data.display().to_string()) && error.hint.is_some(),
        "{error:?}"
    );
    drop((store, runs));
    let store = Store::open(&data).await.unwrap();
    let runs = MethodRuns::new(engine, store);
    runs.go_on("r").await.unwrap();
    let last = end(&runs, "r").await;
    assert_eq!(last.state, JobState::Done, "{:?}", last.error);
}

#[tokio::test]
async fn a_run_of_another_model_or_survey_says_so() {
    let (Fixture { folder, engine, store }, runs) = started().await;
    run_with_questions(&store, &engine, "r", 3, 1).await;
    runs.pause("r").await.unwrap();
    let other = tiny_engine(&folder.path().join("other"), 2);
    let with_other = MethodRuns::new(other, store.clone());
    let shown = with_other.list().await.unwrap().remove(0);
    assert_eq!(shown.error.as_ref().unwrap().code, "other-model");
    assert!(shown.error.unwrap().hint.unwrap().contains("--model"));
    assert_eq!(with_other.go_on("r").await.unwrap_err().code(), "other-model");
    assert_eq!(with_other.open_adapter("r", "joint").await.unwrap_err().code(), "other-model");
    // As a crash leaves it: this process can't go on with it, and says why.
    store.begin_run("r", true).await.unwrap();
    with_other.resume_all().await.unwrap();
    assert_eq!(with_other.get("r").await.unwrap().info.state, JobState::Failed);

    let mut changed = survey();
    changed.questions[0].text = "How good is everything?".to_owned();
    store.put_survey(&changed).await.unwrap();
    let error = runs.go_on("r").await.unwrap_err().to_string();
    assert!(error.contains("another version of the survey `small`"), "{error}");
    store.put_survey(&survey()).await.unwrap();
    runs.go_on("r").await.unwrap();
    assert_eq!(end(&runs, "r").await.state, JobState::Done);
}

#[tokio::test]
async fn what_cannot_be_run_is_refused() {
    let (Fixture { folder: _folder, engine, store }, runs) = started().await;
    run_with_questions(&store, &engine, "taken", 1, 1).await;
    let kenya: AdapterTarget = "KEN".parse().unwrap();
    for (request, code, names) in [
        (MethodRequest { per_topic: Some(0), ..request() }, "invalid-request", "`per_topic`"),
        (MethodRequest { run: Some("a/b".to_owned()), ..request() }, "invalid-request", "`a/b`"),
        (
            MethodRequest { run: Some("taken".to_owned()), ..request() },
            "invalid-request",
            "`taken`",
        ),
        (MethodRequest { survey: Some("no".to_owned()), ..request() }, "unknown-survey", "`no`"),
        (
            MethodRequest { prompts: Some("french@2".to_owned()), ..request() },
            "invalid-request",
            "`french@2`",
        ),
        (MethodRequest { adapters: Some(vec![kenya]), ..request() }, "invalid-request", "`KEN`"),
        (
            MethodRequest { cultures: Some(vec!["KEN".parse().unwrap()]), ..request() },
            "unknown-culture",
            "`KEN`",
        ),
    ] {
        let error = runs.start(request).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(names) && error.to_api().hint.is_some(), "{error}");
    }
    assert_eq!(runs.list().await.unwrap().len(), 1, "nothing was begun");
    assert_eq!(runs.go_on("nothing").await.unwrap_err().code(), "unknown-run");
}

#[tokio::test]
async fn a_run_is_asked_in_the_prompts_that_it_names() {
    let (Fixture { folder, .. }, runs) = started().await;
    let english = include_str!("../../../../domain/prompts/english.toml");
    let sets = folder.path().join("sets");
    std::fs::create_dir(&sets).unwrap();
    std::fs::write(sets.join("n.toml"), english.replace("version = 1", "version = 2")).unwrap();
    let runs = runs.with_templates(TemplateSets::read(Some(&sets)).unwrap());
    for (name, prompts, version) in [("one", None, 1), ("two", Some("english"), 2)] {
        let (run, prompts) = (Some(name.to_owned()), prompts.map(str::to_owned));
        let begun = runs.start(MethodRequest { run, prompts, per_topic: Some(1), ..request() });
        assert_eq!(begun.await.unwrap().settings.templates.version(), version);
        runs.cancel(name).await.unwrap();
    }
}

#[tokio::test]
async fn a_model_that_writes_no_question_is_told_of() {
    let (Fixture { folder: _folder, engine: _, store: _ }, runs) = started().await;
    let request = MethodRequest { per_topic: Some(1), run: Some("r".to_owned()), ..request() };
    assert_eq!(runs.start(request).await.unwrap().state, JobState::Running);
    let last = end(&runs, "r").await;
    assert_eq!(last.state, JobState::Failed);
    assert!(last.error.unwrap().message.contains("all 2 were dropped"));
    let shown = runs.get("r").await.unwrap();
    let generated = shown.generate.unwrap();
    assert_eq!(generated.dropped["unreadable"], 2);
    assert_eq!(generated.dropped_samples[0].reason.as_deref(), Some("unreadable"));
    assert_eq!(shown.info.steps[1].state, StepState::Waiting);
}

#[tokio::test]
async fn a_run_once_more_gives_the_same_bytes() {
    let (Fixture { folder: _folder, engine, store }, runs) = started().await;
    let method = run_with_questions(&store, &engine, "r", 5, 2).await;
    let early = reproduce::open(&store, &engine, "r", None).await.err().unwrap().to_string();
    assert!(early.contains("`r` is not done"), "{early}");
    runs.go_on("r").await.unwrap();
    assert_eq!(end(&runs, "r").await.state, JobState::Done);
    let manifest = runs.manifest("r").await.unwrap();
    assert_eq!(manifest.steps.len(), 5);
    assert_eq!(manifest.settings.inputs.as_ref().unwrap().survey_hash.len(), 64);
    assert_eq!(manifest.adapters.len(), 3);
    let json = serde_json::to_string(&manifest).unwrap();
    assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);

    let again = reproduce::open(&store, &engine, "r", None).await.unwrap();
    assert_eq!(again.run, "r-again");
    // The random model writes no questions of its own.
    write_questions(&again, 5).await;
    let compared = reproduce::compare(&again, "r", &mut go_on).await.unwrap();
    let differ: Vec<_> = compared.iter().filter(|compared| !compared.is_same()).collect();
    assert!(differ.is_empty() && compared.len() == 12, "{compared:?}");

    // Fewer questions were written: what came of them differs, and the settings don't.
    let other = reproduce::open(&store, &engine, "r", Some("other".to_owned())).await.unwrap();
    write_questions(&other, 4).await;
    let compared = reproduce::compare(&other, "r", &mut go_on).await.unwrap();
    let differ: Vec<_> = compared.iter().filter(|c| !c.is_same()).map(|c| &*c.what).collect();
    assert!(differ.contains(&"generate") && differ.contains(&"elicit"), "{differ:?}");
    assert!(!differ.contains(&"settings") && !differ.contains(&"survey"), "{differ:?}");
    drop(method);
}

mod postgres {
    use super::*;
    use crate::jobs::testing::{engine, write_tiny_model};
    use crate::store::testing::Postgres;

    #[tokio::test]
    #[ignore = "needs PostgreSQL, which `cargo xtask test` finds or gets"]
    async fn a_run_goes_on_at_another_server_once_its_own_is_gone() {
        let postgres = Postgres::start().await;
        let folder = tempfile::tempdir().unwrap();
        write_tiny_model(&folder.path().join("model"));
        let engine = engine(&folder.path().join("model"));
        let url = postgres.url("postgres");
        let open = async |name: &str| {
            let store = Store::open_shared(&folder.path().join(name), &url).await.unwrap();
            (MethodRuns::new(engine.clone(), store.clone()), store)
        };
        let (_, first) = open("first").await;
        run_with_questions(&first, &engine, "r", 3, 1).await;
        let (second, store) = open("second").await;
        assert_eq!(second.resume_all().await.unwrap(), 0, "not its own");
        let shown = second.list().await.unwrap().remove(0);
        assert_eq!((shown.state, shown.error), (JobState::Running, None));
        for refused in [second.pause("r").await, second.cancel("r").await, second.go_on("r").await]
        {
            assert_eq!(refused.unwrap_err().code(), "other-server");
        }
        drop(first);
        let paused = loop {
            match second.pause("r").await {
                Ok(paused) => break paused,
                Err(error) => assert_eq!(error.code(), "other-server"),
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(paused.state, JobState::Paused);
        second.go_on("r").await.unwrap();
        let last = end(&second, "r").await;
        assert_eq!(last.state, JobState::Done, "{:?}", last.error);
        assert!(!store.adapters(engine.base_hash()).await.unwrap().is_empty());
        let (first, kept) = open("first").await;
        assert_eq!(kept.adapters(engine.base_hash()).await.unwrap(), [], "the files are not here");
        assert_eq!(first.open_adapter("r", "joint").await.unwrap_err().code(), "other-server");
        assert_eq!(first.get("r").await.unwrap().info.state, JobState::Done);
    }
}
