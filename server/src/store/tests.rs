//! The store against real files.

use std::collections::BTreeMap;

use app::api::JobState;
use domain::question::{Question, Scale, Topic};
use domain::survey::{Distribution, Provenance, Survey};

use super::*;

/// A survey of one question and one culture.
fn survey() -> Survey {
    let culture = "THA".parse().unwrap();
    let people = Distribution { shares: vec![0.25, 0.5], mode: 1 };
    Survey {
        id: "mine".to_owned(),
        title: "Mine".to_owned(),
        language: "eng".to_owned(),
        provenance: Provenance::Simulated("nobody".to_owned()),
        cultures: vec![],
        topics: vec![Topic { id: "t".into(), name: "T".to_owned() }],
        questions: vec![Question {
            id: "Q1".into(),
            topic: "t".into(),
            text: "Well?".to_owned(),
            options: vec!["No".to_owned(), "Yes".to_owned()],
            first_number: 0,
            scale: Scale::Ordered,
            dont_know: vec![],
            held_out: false,
        }],
        reference: BTreeMap::from([(culture, BTreeMap::from([("Q1".into(), people)]))]),
        similarity: BTreeMap::from([(culture, BTreeMap::from([("KEN".parse().unwrap(), 62.5)]))]),
        neighbours: BTreeMap::from([("Q1".into(), vec!["Q2".into()])]),
    }
}

fn new_run(settings: &u32) -> NewRun<'_, u32> {
    NewRun { id: None, kind: RunKind::Survey, settings, total: 3 }
}

fn unit(key: &str, result: u32) -> Unit<u32> {
    Unit { key: key.to_owned(), result }
}

#[tokio::test]
async fn what_was_stored_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = AdapterRow {
        base_hash: "b".repeat(64),
        name: "joint".to_owned(),
        hash: "a".repeat(64),
        culture: None,
        run: None,
        folder: folder.path().join("adapters/joint"),
    };
    {
        let store = Store::open(folder.path()).await.unwrap();
        assert!(store.put_survey(&survey()).await.unwrap());
        assert!(!store.put_survey(&survey()).await.unwrap(), "the same survey changes nothing");
        let run = store.create_run(new_run(&7)).await.unwrap();
        assert_eq!(run.id, "survey-1");
        store.record_units(&run.id, "answers", &[unit("a", 1)]).await.unwrap();
        store.put_adapter(&adapter).await.unwrap();
    }
    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(store.survey("mine").await.unwrap(), survey());
    assert_eq!(store.surveys().await.unwrap()[0].evaluated, 1);
    let run = store.run("survey-1").await.unwrap();
    assert_eq!((run.state, run.answered, run.total), (JobState::Running, 1, 3));
    assert_eq!(run.settings::<u32>().unwrap(), 7);
    assert_eq!(store.adapters(&adapter.base_hash).await.unwrap(), vec![adapter]);
    assert_eq!(store.adapters("another").await.unwrap(), vec![]);
}

#[tokio::test]
async fn a_changed_survey_replaces_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.put_survey(&survey()).await.unwrap();
    let mut changed = survey();
    changed.reference.clear();
    changed.title = "Other".to_owned();
    assert!(store.put_survey(&changed).await.unwrap());
    assert_eq!(store.survey("mine").await.unwrap(), changed);
}

#[tokio::test]
async fn units_are_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let run = store.create_run(new_run(&7)).await.unwrap().id;
    assert_eq!(store.record_units(&run, "s", &[unit("a", 1), unit("b", 2)]).await.unwrap(), 2);
    let again = store.record_units(&run, "s", &[unit("b", 99), unit("c", 3)]).await.unwrap();
    assert_eq!(again, 3);
    let units: BTreeMap<String, u32> = store.units(&run, "s").await.unwrap();
    assert_eq!(units.into_values().collect::<Vec<_>>(), vec![1, 2, 3]);
    assert!(store.units::<u32>(&run, "other").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_named_run_resumes_with_the_same_settings_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let settings = |seed: u32| BTreeMap::from([("seed", seed)]);
    let (first, other) = (settings(1), settings(2));
    let named = |settings| NewRun { id: Some("mine"), kind: RunKind::Method, settings, total: 0 };
    let run = store.create_run(named(&first)).await.unwrap();
    store.set_state("mine", JobState::Failed, Some("why")).await.unwrap();
    let resumed = store.create_run(named(&first)).await.unwrap();
    assert_eq!((resumed.state, resumed.error.as_deref()), (JobState::Failed, Some("why")));
    assert_eq!(resumed.created, run.created);
    let refused = store.create_run(named(&other)).await.unwrap_err();
    assert!(refused.to_string().contains("`seed` is 1, not 2"), "{refused}");
    let next = store.create_run(new_run(&7)).await.unwrap();
    assert_eq!(next.id, "survey-2");
    assert_eq!(store.runs(RunKind::Method).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_at_work_is_noted_until_the_state_is_set_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let run = store.create_run(new_run(&7)).await.unwrap();
    assert!(!run.served, "nobody is at work on it yet");
    store.set_state(&run.id, JobState::Failed, Some("why")).await.unwrap();
    store.set_served(&run.id).await.unwrap();
    let served = store.run(&run.id).await.unwrap();
    assert_eq!((served.state, served.error, served.served), (JobState::Running, None, true));
    for state in [JobState::Running, JobState::Done] {
        store.set_state(&run.id, state, None).await.unwrap();
        assert!(!store.run(&run.id).await.unwrap().served);
    }
}

#[tokio::test]
async fn unknown_names_list_the_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let error = store.survey("yours").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no survey `yours`\nIn the store: none yet.");
    store.put_survey(&survey()).await.unwrap();
    let error = store.survey("yours").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no survey `yours`\nIn the store: `mine`.");
    assert_eq!(store.run("x").await.unwrap_err().code(), "unknown-run");
}

#[tokio::test]
async fn a_second_opening_is_refused_until_the_first_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let error = Store::open(folder.path()).await.unwrap_err();
    assert_eq!(error, StoreError::Locked { path: folder.path().to_owned() });
    let text = error.to_string();
    assert!(text.contains(&folder.path().display().to_string()) && text.contains("--data"));
    store.pool.close().await;
    drop(store);
    Store::open(folder.path()).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_named_and_leaves_nothing_half_stored() {
    let folder = tempfile::tempdir().unwrap();
    // SQLite reports its own page limit exactly as it reports a full disk (SQLITE_FULL).
    let store = Store::open_with(folder.path(), |options| options.pragma("max_page_count", "40"))
        .await
        .unwrap();
    let run = store.create_run(new_run(&7)).await.unwrap().id;
    store.record_units(&run, "s", &[unit("a", 1)]).await.unwrap();
    let big: Vec<_> =
        (0..100).map(|i| Unit { key: format!("big-{i}"), result: "x".repeat(10_000) }).collect();
    let error = store.record_units(&run, "s", &big).await.unwrap_err();
    assert_eq!(error, StoreError::Full { path: folder.path().to_owned() });
    let units: BTreeMap<String, u32> = store.units(&run, "s").await.unwrap();
    assert_eq!(units.len(), 1, "the batch was rolled back as a whole");
    assert_eq!(store.run(&run).await.unwrap().answered, 1);
    store.record_units(&run, "s", &[unit("b", 2)]).await.unwrap();
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = Store::open(folder.path()).await.unwrap();
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) VALUES (999, 'later', TRUE, $1, 0)",
        )
        .bind(vec![0u8; 48])
        .execute(&store.pool)
        .await
        .unwrap();
    }
    let error = Store::open(folder.path()).await.unwrap_err();
    assert_eq!(error.code(), "data-version", "{error}");
}

#[tokio::test]
async fn a_file_in_place_of_the_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "x").unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert_eq!(error.code(), "data-folder");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}
