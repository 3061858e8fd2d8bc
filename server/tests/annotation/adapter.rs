//! From what was accepted to an adapter: the run that learns it, and what is refused.

use app::api::annotation::{
    AcceptedRun, ItemFile, ItemSource, Joined, Joining, NewProject, Numbered, Outcome, Submission,
};
use app::api::{JobState, MethodRun, MethodRunInfo};
use domain::annotation::{Act, MemberRole, ProjectSettings};
use domain::method::Step;
use reqwest::StatusCode;
use serde_json::{Value, json};
use server::jobs::reproduce;

use super::app::{Person, TestApp, joining, judged, line, refused, submission};

fn settings() -> ProjectSettings {
    ProjectSettings { overlap: 1, ..ProjectSettings::new("Small") }
}

/// Judges every item, every other one right.
async fn judge_all(owner: &Person<'_>) -> usize {
    let items = owner.next(20).await;
    for (number, item) in items.iter().enumerate() {
        let label = if number % 2 == 0 { "right" } else { "wrong" };
        owner.judge(&format!("j{number}"), item.id.as_str(), label).await;
    }
    items.len()
}

async fn start(owner: &Person<'_>) -> MethodRunInfo {
    let response = owner.post("/method-runs", &json!(null)).await;
    assert_eq!(response.status(), StatusCode::CREATED, "{:?}", response.text().await);
    response.json().await.unwrap()
}

/// The run once it is no longer at work: its events end then.
async fn ended(app: &TestApp, id: &str) -> MethodRun {
    let address = |path: &str| format!("http://{}/api/method-runs/{id}{path}", app.address);
    app.client.get(address("/events")).send().await.unwrap().text().await.unwrap();
    let run: MethodRun = app.client.get(address("")).send().await.unwrap().json().await.unwrap();
    assert_eq!(run.info.state, JobState::Done, "{:?}", run.info.error);
    run
}

#[tokio::test]
async fn what_was_accepted_becomes_an_adapter_with_its_alignment() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let (source, owner) = app.project_of_run(settings()).await;
    let judged_items = judge_all(&owner).await;
    let info = start(&owner).await;
    let project = &owner.joined.project;
    assert_eq!(info.id, format!("r.{}", &project[..8]));
    let accepted = info.settings.accepted.clone().unwrap();
    assert_eq!((&accepted.project, accepted.source_run.as_str()), (project, "r"));
    assert_eq!(accepted.count(), judged_items.div_ceil(2));
    assert!(accepted.count() < source.collection().await.unwrap().instances.len());

    let run = ended(&app, &info.id).await;
    let joint = run.tune.iter().find(|adapter| adapter.name == "joint").unwrap();
    assert_eq!(joint.instances, Some(accepted.count()));
    assert!(joint.hash.is_some());
    let evaluated = run.evaluate.unwrap();
    assert!(evaluated.mean.aware.is_some() && evaluated.mean.joint.is_some());
    assert!(evaluated.mean.joint_gain.unwrap().interval.is_some());
    for step in [Step::Generate, Step::Elicit, Step::Collect] {
        let content = async |run: &str| app.store.content(run, step.as_str()).await.unwrap();
        assert_eq!(content(&info.id).await, content("r").await, "{step}");
    }

    // Nothing was judged since: the same run. Then another one, and the first stays as it is.
    assert_eq!(start(&owner).await.id, info.id);
    let first = owner.project().await.items[0].id.clone();
    let replaced = submission("again", first.as_str(), judged("wrong"));
    owner.submit(replaced).await;
    let second = start(&owner).await;
    assert_eq!(second.id, format!("{}-2", info.id));
    assert_eq!(second.settings.accepted.unwrap().count(), accepted.count() - 1);
    let runs: Vec<AcceptedRun> = owner.get("/method-runs").await.json().await.unwrap();
    let named: Vec<_> = runs.iter().map(|run| (run.run.as_str(), run.instances)).collect();
    let count = accepted.count();
    assert_eq!(named, [(second.id.as_str(), count - 1), (info.id.as_str(), count)]);
    ended(&app, &second.id).await;
}

/// A run and a file of attention checks: one of the run's items becomes a check, another one comes along.
#[tokio::test]
async fn a_project_of_a_run_has_attention_checks_and_tunes() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let (method, first) = app.project_of_run(settings()).await;
    let exported = first.get("/export/jsonl").await.text().await.unwrap();
    let mut lines: Vec<Value> =
        exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (count, known) = (lines.len(), lines[0]["id"].clone());
    lines[0]["gold"] = json!("right");
    let mut own: Value = serde_json::from_str(&line(0)).unwrap();
    own["gold"] = json!("right");
    lines.push(own);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let source = ItemSource::Run {
        run: "r".to_owned(),
        cultures: vec![],
        gold: Some(ItemFile::Jsonl { text }),
    };
    let cultures = [&method.settings.cultures[..], &["THA".parse().unwrap()]].concat();
    let owner = Joining { cultures, ..joining("Olu") };
    let owner = app.make(&NewProject { settings: settings(), source, owner }).await;
    let items = owner.project().await.items;
    let checks: Vec<&str> =
        items.iter().filter(|item| item.gold.is_some()).map(|item| item.id.as_str()).collect();
    assert_eq!((items.len(), checks), (count + 1, vec![known.as_str().unwrap(), "t0"]));
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    assert_eq!(ann.project().await.items.len(), count - 1, "annotators don't know of them");
    for (number, item) in owner.next(20).await.iter().enumerate() {
        owner.judge(&format!("j{number}"), item.id.as_str(), "right").await;
    }
    let info = start(&owner).await;
    assert_eq!(info.settings.accepted.clone().unwrap().count(), count - 1, "checks aren't learnt");
    ended(&app, &info.id).await;
}

#[tokio::test]
async fn a_run_on_what_was_accepted_can_be_repeated_after_the_judgements_have_changed() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let (_, owner) = app.project_of_run(settings()).await;
    judge_all(&owner).await;
    let id = start(&owner).await.id;
    ended(&app, &id).await;
    for number in [0, 2] {
        let item = item_of(&owner, number).await;
        let undo = Submission {
            replaces: Some(format!("j{number}").as_str().into()),
            ..submission(&format!("u{number}"), &item, Act::Undone)
        };
        let outcome = owner.submit(undo).await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    }
    let again = reproduce::open(&app.store, &app.engine, &id, None).await.unwrap();
    // The tiny model writes no questions: what the source run wrote is given.
    app.store.copy_units("r", &again.run, "generate").await.unwrap();
    let mut go_on = |_: &server::jobs::Progress| std::ops::ControlFlow::Continue(());
    let compared = reproduce::compare(&again, &id, &mut go_on).await.unwrap();
    assert!(compared.iter().any(|same| same.what == "accepted"), "{compared:?}");
    let differ: Vec<_> = compared.iter().filter(|compared| !compared.is_same()).collect();
    assert!(differ.is_empty(), "{differ:?}");
}

async fn item_of(owner: &Person<'_>, number: usize) -> String {
    let events: Vec<Numbered> = owner.events(0).await;
    events[number].event.item.clone().unwrap().0
}

#[tokio::test]
async fn tuning_on_what_was_accepted_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let (_, owner) = app.project_of_run(settings()).await;
    let tuned =
        async |who: &Person<'_>| refused(who.post("/method-runs", &json!(null)).await).await;
    assert_eq!(tuned(&owner).await, (422, "invalid-request".to_owned()), "nothing is accepted");
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    assert_eq!(tuned(&ann).await, (403, "role".to_owned()));
    assert_eq!(ann.get("/method-runs").await.status(), StatusCode::OK);
    let stranger = app.project(ProjectSettings::new("File"), 1).await;
    assert_eq!(tuned(&stranger).await, (422, "invalid-request".to_owned()), "it came from a file");
    let other = app.person(Joined { project: owner.joined.project.clone(), ..stranger.joined });
    assert_eq!(tuned(&other).await.1, "unknown-project");
    let none: Vec<AcceptedRun> = owner.get("/method-runs").await.json().await.unwrap();
    assert!(none.is_empty(), "a refusal leaves nothing behind");
}
