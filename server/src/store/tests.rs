//! The store against real files, and against a real PostgreSQL: the same tests twice. What only several
//! servers can do is in [`shared`].

use std::collections::BTreeMap;

use app::api::JobState;
use app::api::annotation::Invite;
use app::api::method_run::{StepInfo, StepState};
use domain::annotation::{
    Act, Event, Lease, LeaseChange, Member, MemberRole, ProjectSettings, SkipReason,
};
use domain::method::Step;
use domain::question::{Question, Scale, Topic};
use domain::survey::{Distribution, Provenance, Survey};

use tempfile::TempDir;

use super::testing::Postgres;
use super::*;

mod shared;

/// A data folder, with a database in it or beside it.
struct Place {
    folder: TempDir,
    postgres: Option<Postgres>,
}

impl Place {
    fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), postgres: None }
    }

    async fn postgres() -> Self {
        Self { postgres: Some(Postgres::start().await), ..Self::sqlite() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn open(&self) -> Result<Store, StoreError> {
        match &self.postgres {
            Some(postgres) => Store::open_shared(self.path(), &postgres.url("postgres")).await,
            None => Store::open(self.path()).await,
        }
    }
}

/// Makes two tests of each function: one per database.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Place::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            #[ignore = "needs PostgreSQL, which `cargo xtask test` finds or gets"]
            async fn $name() {
                super::$name(super::Place::postgres().await).await;
            })+
        }
    };
}

on_both! {
    what_was_stored_is_there_after_reopening,
    a_changed_survey_replaces_the_old_one,
    units_are_stored_once,
    steps_keep_their_summaries,
    a_named_run_resumes_with_the_same_settings_only,
    names_that_look_like_numbers_are_passed_over,
    a_server_at_work_is_noted_until_the_state_is_set_again,
    unknown_names_list_the_known_ones,
    a_second_opening_is_refused_until_the_first_ends,
    a_newer_database_is_refused_and_left_alone,
    a_project_changes_turn_by_turn,
    invites_are_kept_and_revoked,
}

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
        unasked: vec![],
    }
}

fn new_run(settings: &u32) -> NewRun<'_, u32> {
    NewRun { id: None, kind: RunKind::Survey, settings, total: 3 }
}

fn unit(key: &str, result: u32) -> Unit<u32> {
    Unit { key: key.to_owned(), result }
}

async fn what_was_stored_is_there_after_reopening(place: Place) {
    let adapter = AdapterRow {
        base_hash: "b".repeat(64),
        name: "joint".to_owned(),
        hash: "a".repeat(64),
        culture: None,
        run: None,
        folder: place.path().join("adapters/joint"),
    };
    {
        let store = place.open().await.unwrap();
        assert!(store.put_survey(&survey()).await.unwrap());
        assert!(!store.put_survey(&survey()).await.unwrap(), "the same survey changes nothing");
        let run = store.create_run(new_run(&7)).await.unwrap();
        assert_eq!(run.id, "survey-1");
        store.record_units(&run.id, "answers", &[unit("a", 1)]).await.unwrap();
        store.put_adapter(&adapter).await.unwrap();
    }
    let store = place.open().await.unwrap();
    assert_eq!(store.survey("mine").await.unwrap(), survey());
    assert_eq!(store.surveys().await.unwrap()[0].evaluated, 1);
    let run = store.run("survey-1").await.unwrap();
    assert_eq!((run.state, run.answered, run.total), (JobState::Running, 1, 3));
    assert_eq!(run.settings::<u32>().unwrap(), 7);
    assert_eq!(store.adapters(&adapter.base_hash).await.unwrap(), vec![adapter]);
    assert_eq!(store.adapters("another").await.unwrap(), vec![]);
}

async fn a_changed_survey_replaces_the_old_one(place: Place) {
    let store = place.open().await.unwrap();
    store.put_survey(&survey()).await.unwrap();
    let mut changed = survey();
    changed.reference.clear();
    changed.title = "Other".to_owned();
    assert!(store.put_survey(&changed).await.unwrap());
    assert_eq!(store.survey("mine").await.unwrap(), changed);
}

async fn units_are_stored_once(place: Place) {
    let store = place.open().await.unwrap();
    let run = store.create_run(new_run(&7)).await.unwrap().id;
    assert_eq!(store.record_units(&run, "s", &[unit("a", 1), unit("b", 2)]).await.unwrap(), 2);
    let again = store.record_units(&run, "s", &[unit("b", 99), unit("c", 3)]).await.unwrap();
    assert_eq!(again, 3);
    let units: BTreeMap<String, u32> = store.units(&run, "s").await.unwrap();
    assert_eq!(units.into_values().collect::<Vec<_>>(), vec![1, 2, 3]);
    assert!(store.units::<u32>(&run, "other").await.unwrap().is_empty());
}

async fn a_named_run_resumes_with_the_same_settings_only(place: Place) {
    let store = place.open().await.unwrap();
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

async fn names_that_look_like_numbers_are_passed_over(place: Place) {
    let store = place.open().await.unwrap();
    let unnamed = |kind| NewRun { id: None, kind, settings: &7, total: 0 };
    let named = |id: &'static str, kind| NewRun { id: Some(id), kind, settings: &7, total: 0 };
    let (method, survey) = (RunKind::Method, RunKind::Survey);
    // Number 1, with the name that number 3 would make.
    store.create_run(named("method-3", method)).await.unwrap();
    assert_eq!(store.create_run(unnamed(method)).await.unwrap().id, "method-2");
    assert_eq!(store.create_run(unnamed(method)).await.unwrap().id, "method-4");
    for id in ["survey-6", "survey-7", "survey-8"] {
        store.create_run(named(id, method)).await.unwrap();
    }
    // They took the numbers up to 7, and the name of 8.
    assert_eq!(store.create_run(unnamed(survey)).await.unwrap().id, "survey-9");
    assert_eq!(store.create_run(unnamed(survey)).await.unwrap().id, "survey-10");
    let newest: Vec<String> =
        store.runs(method).await.unwrap().into_iter().map(|run| run.id).collect();
    let expect = ["survey-8", "survey-7", "survey-6", "method-4", "method-2", "method-3"];
    assert_eq!(newest, expect);
}

async fn a_server_at_work_is_noted_until_the_state_is_set_again(place: Place) {
    let store = place.open().await.unwrap();
    let run = store.create_run(new_run(&7)).await.unwrap();
    assert!(!run.served, "nobody is at work on it yet");
    store.set_state(&run.id, JobState::Failed, Some("why")).await.unwrap();
    store.begin_run(&run.id, true).await.unwrap();
    let served = store.run(&run.id).await.unwrap();
    assert_eq!((served.state, served.error, served.served), (JobState::Running, None, true));
    for state in [JobState::Running, JobState::Done] {
        store.set_state(&run.id, state, None).await.unwrap();
        assert!(!store.run(&run.id).await.unwrap().served);
    }
}

async fn unknown_names_list_the_known_ones(place: Place) {
    let store = place.open().await.unwrap();
    let error = store.survey("yours").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no survey `yours`\nIn the store: none yet.");
    store.put_survey(&survey()).await.unwrap();
    let error = store.survey("yours").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no survey `yours`\nIn the store: `mine`.");
    assert_eq!(store.run("x").await.unwrap_err().code(), "unknown-run");
}

async fn a_second_opening_is_refused_until_the_first_ends(place: Place) {
    let store = place.open().await.unwrap();
    let error = place.open().await.unwrap_err();
    assert_eq!(error, StoreError::Locked { path: place.path().to_owned() });
    let text = error.to_string();
    assert!(text.contains(&place.path().display().to_string()) && text.contains("--data"));
    store.pool.close().await;
    drop(store);
    place.open().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_named_and_leaves_nothing_half_stored() {
    let folder = tempfile::tempdir().unwrap();
    // SQLite reports its own page limit exactly as it reports a full disk (SQLITE_FULL).
    let store = Store::open_with(folder.path(), &["PRAGMA max_page_count = 40"]).await.unwrap();
    let run = store.create_run(new_run(&7)).await.unwrap().id;
    store.record_units(&run, "s", &[unit("a", 1)]).await.unwrap();
    let big: Vec<_> =
        (0..100).map(|i| Unit { key: format!("big-{i}"), result: "x".repeat(10_000) }).collect();
    let error = store.record_units(&run, "s", &big).await.unwrap_err();
    assert_eq!(error, StoreError::Full { place: folder.path().display().to_string() });
    let units: BTreeMap<String, u32> = store.units(&run, "s").await.unwrap();
    assert_eq!(units.len(), 1, "the batch was rolled back as a whole");
    assert_eq!(store.run(&run).await.unwrap().answered, 1);
    store.record_units(&run, "s", &[unit("b", 2)]).await.unwrap();
}

async fn a_newer_database_is_refused_and_left_alone(place: Place) {
    {
        let store = place.open().await.unwrap();
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) VALUES (999, 'later', TRUE, $1, 0)",
        )
        .bind(vec![0u8; 48])
        .execute(&store.pool)
        .await
        .unwrap();
    }
    let error = place.open().await.unwrap_err();
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

async fn steps_keep_their_summaries(place: Place) {
    let store = place.open().await.unwrap();
    let run = store.create_run(new_run(&7)).await.unwrap().id;
    let begun = StepInfo { state: StepState::Begun, total: 9, ..StepInfo::waiting(Step::Tune) };
    store.put_step(&run, &begun, Some(&"shown")).await.unwrap();
    let part = Some("joint".to_owned());
    let later = StepInfo { part, done: 4, ..begun.clone() };
    store.put_step(&run, &later, None::<&()>).await.unwrap();
    let steps = store.steps(&run).await.unwrap();
    assert_eq!(steps.len(), Step::ALL.len());
    assert_eq!(steps.into_iter().find(|step| step.step == Step::Tune), Some(later));
    assert_eq!(store.summary(&run, Step::Tune).await.unwrap(), Some("shown".to_owned()));
    assert_eq!(store.summary::<String>(&run, Step::Collect).await.unwrap(), None);
    store.record_units(&run, "s", &[unit("a", 1)]).await.unwrap();
    let other = store.create_run(new_run(&8)).await.unwrap().id;
    store.copy_units(&run, &other, "s").await.unwrap();
    let (content, copied) = (store.content(&run, "s").await, store.content(&other, "s").await);
    assert_eq!(content.unwrap(), copied.unwrap());
}

/// A member who has joined and one who owns a project.
fn member(id: &str, role: MemberRole) -> StoredMember {
    let member =
        Member { id: id.into(), name: id.to_uppercase(), role, cultures: vec![], left: false };
    StoredMember { member, token_hash: Some(format!("hash of {id}")) }
}

fn event(submission: &str, act: Act) -> Event {
    Event {
        submission: submission.into(),
        author: "ann".into(),
        at: 1,
        item: Some("i".into()),
        replaces: None,
        act,
    }
}

async fn a_project_changes_turn_by_turn(place: Place) {
    let store = place.open().await.unwrap();
    let (settings, owner) = (ProjectSettings::new("t"), member("olu", MemberRole::Owner));
    store.create_annotation_project("p", &settings, None, &[], &owner).await.unwrap();
    assert_eq!(store.annotation_project("p").await.unwrap().unwrap().settings, settings);
    assert!(store.annotation_project("q").await.unwrap().is_none());
    assert!(store.take_annotation_turn("q").await.unwrap().is_none());
    let begun = store.annotation_changes("p", 0, 0).await.unwrap().unwrap();
    assert_eq!((begun.members, begun.events.len()), (vec![owner], 0));

    let before = store.clock().await.unwrap();
    let mut turn = store.take_annotation_turn("p").await.unwrap().unwrap();
    assert!((before..before + 60_000).contains(&turn.now()), "one clock for all: {before}");
    let lease = Lease { item: "i".into(), member: "ann".into(), until: turn.now() + 5 };
    turn.add_member(&member("ann", MemberRole::Annotator)).await.unwrap();
    turn.put_lease(&lease).await.unwrap();
    turn.commit().await.unwrap();
    let joined = store.annotation_changes("p", begun.revision, 0).await.unwrap().unwrap();
    assert_eq!(joined.revision, begun.revision + 1);
    assert_eq!(joined.members, [member("ann", MemberRole::Annotator)], "only what is new");
    assert_eq!((joined.leases, joined.settings), (vec![lease], None));
    assert_eq!(store.annotation_changes("p", joined.revision, 0).await.unwrap(), None);

    let mut turn = store.take_annotation_turn("p").await.unwrap().unwrap();
    let mut ann = member("ann", MemberRole::Annotator);
    ann.member.cultures = vec!["THA".parse().unwrap()];
    turn.put_cultures(&ann.member).await.unwrap();
    turn.commit().await.unwrap();
    let knows = store.annotation_changes("p", joined.revision, 0).await.unwrap().unwrap();
    assert_eq!(knows.members, [ann], "others hear of it");
    let joined = knows;

    let judged = event("s1", Act::Skipped { reason: SkipReason::Undecided });
    let mut dropped = store.take_annotation_turn("p").await.unwrap().unwrap();
    dropped.append(&judged, &LeaseChange::End).await.unwrap();
    dropped.give_back().await.unwrap();
    let mut turn = store.take_annotation_turn("p").await.unwrap().unwrap();
    assert_eq!(turn.revision(), joined.revision + 1, "a turn given back leaves no trace");
    assert_eq!(turn.append(&judged, &LeaseChange::End).await.unwrap(), 1);
    assert_eq!(turn.append(&event("s2", Act::Undone), &LeaseChange::None).await.unwrap(), 2);
    turn.commit().await.unwrap();
    let mut turn = store.take_annotation_turn("p").await.unwrap().unwrap();
    let seen = turn.changes(joined.revision, 1).await.unwrap();
    assert_eq!(seen.revision + 1, turn.revision());
    assert_eq!((seen.events.len(), seen.leases.len(), seen.members.len()), (1, 0, 0));
    turn.forget(&Event { item: None, ..event("s3", Act::Left) }).await.unwrap();
    turn.commit().await.unwrap();
    let left = store.annotation_changes("p", seen.revision, 2).await.unwrap().unwrap();
    assert!(left.members[0].member.left && left.members[0].member.name.is_empty());
    assert_eq!(left.members[0].token_hash, None);
    assert_eq!(store.annotation_events("p", 0).await.unwrap().len(), 3);
}

async fn invites_are_kept_and_revoked(place: Place) {
    let store = place.open().await.unwrap();
    let owner = member("olu", MemberRole::Owner);
    store
        .create_annotation_project("p", &ProjectSettings::new("t"), None, &[], &owner)
        .await
        .unwrap();
    let invite =
        Invite { id: "i".to_owned(), role: MemberRole::Viewer, expires: 5, revoked: false };
    store.add_annotation_invite("p", &invite, "hash").await.unwrap();
    let found = store.annotation_invite("hash").await.unwrap().unwrap();
    assert_eq!((found.project.as_str(), &found.invite), ("p", &invite));
    assert!(!store.revoke_annotation_invite("q", "i").await.unwrap(), "of another project");
    assert!(store.revoke_annotation_invite("p", "i").await.unwrap());
    let invites = store.annotation_invites("p").await.unwrap();
    assert_eq!(invites, [Invite { revoked: true, ..invite }]);
}
