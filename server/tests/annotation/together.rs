//! People judge together: items are shared out, opinions meet, somebody decides, files hold it all.

use std::ops::ControlFlow;

use app::api::annotation::{
    ItemSource, Joined, NewProject, Numbered, Outcome, SourceInfo, Submission,
};
use domain::annotation::{
    Act, Judgement, Member, MemberRole, ProjectSettings, SkipReason, State, disagreements, verdict,
};
use domain::method::MethodRequest;
use domain::prompt::PromptTemplates;
use serde_json::{Value, json};
use server::jobs::testing::{engine, survey, tiny_engine, write_questions, write_tiny_model};
use server::jobs::{Method, Opening};

use super::app::{TestApp, joining, judged, line, refused, submission};

fn settings(overlap: usize) -> ProjectSettings {
    ProjectSettings { overlap, ..ProjectSettings::new("Thai answers") }
}

fn state(events: &[Numbered]) -> State {
    State::of(events.iter().map(|numbered| &numbered.event))
}

#[tokio::test]
async fn overlap_is_exact_and_a_disagreement_ends_with_a_decision() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(settings(2), 3).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    let bob = owner.bring("Bob", MemberRole::Annotator).await;
    let cem = owner.bring("Cem", MemberRole::Annotator).await;
    let eve = owner.bring("Eve", MemberRole::Adjudicator).await;
    assert_eq!(ann.next(9).await.len(), 3);
    let given = bob.next(9).await;
    assert_eq!(given.len(), 3);
    assert!(given.iter().all(|item| item.people.is_none()), "shares are hidden until judged");
    assert!(cem.next(9).await.is_empty(), "two people have every item");
    ann.judge("a0", "t0", "right").await;
    bob.judge("b0", "t0", "wrong").await;
    let shares: Value = ann.get("/items/t0").await.json().await.unwrap();
    assert_eq!(shares["people"]["mode"], 2);
    let project = eve.project().await;
    let before = state(&eve.events(0).await);
    assert_eq!(disagreements(&project.settings, &before, &project.items), ["t0".into()]);
    let decision = Judgement { option: Some(3), ..Judgement::of("wrong".into()) };
    let decided = eve.submit(submission("e0", "t0", Act::Adjudicated(decision))).await;
    assert!(matches!(decided, Outcome::Accepted { .. }), "{decided:?}");
    let after = state(&ann.events(0).await);
    assert!(disagreements(&project.settings, &after, &project.items).is_empty());
    let found = verdict(&project.settings, &after, &project.items[0]).unwrap();
    assert_eq!((found.label.as_str(), found.option), ("wrong", Some(3)));
}

#[tokio::test]
async fn a_word_can_be_undone_changed_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(settings(1), 2).await;
    owner.next(2).await;
    owner.judge("a", "t0", "right").await;
    let undo = Submission { replaces: Some("a".into()), ..submission("b", "t0", Act::Undone) };
    assert!(matches!(owner.submit(undo).await, Outcome::Accepted { .. }));
    assert_eq!(owner.next(2).await.len(), 2, "what was undone is to be judged again");
    owner.judge("c", "t0", "depends").await;
    let change =
        Submission { replaces: Some("c".into()), ..submission("d", "t0", judged("wrong")) };
    assert!(matches!(owner.submit(change).await, Outcome::Accepted { .. }), "without a lease");
    for (id, item, replaces) in
        [("x1", "t0", None), ("x2", "t0", Some("c")), ("x3", "t1", None), ("x4", "t1", Some("d"))]
    {
        let undo =
            Submission { replaces: replaces.map(Into::into), ..submission(id, item, Act::Undone) };
        assert_eq!(owner.refusal(undo).await, "nothing-to-undo", "{id}");
    }
    let skip = Act::Skipped { reason: SkipReason::Undecided };
    assert!(matches!(owner.submit(submission("e", "t1", skip)).await, Outcome::Accepted { .. }));
    assert!(owner.next(2).await.is_empty());
    let state = state(&owner.events(0).await);
    let record = state.record(&"t0".into()).unwrap();
    assert_eq!(record.judgements()[&owner.joined.member].label.as_str(), "wrong");
}

#[tokio::test]
async fn who_has_skipped_an_item_leaves_it_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(settings(1), 1).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    ann.next(1).await;
    let skip = Act::Skipped { reason: SkipReason::Undecided };
    assert!(matches!(ann.submit(submission("s", "t0", skip)).await, Outcome::Accepted { .. }));
    let item: Value = ann.get("/items/t0").await.json().await.unwrap();
    assert_eq!(item["people"], Value::Null, "who has skipped it may still judge it");
    assert_eq!(owner.next(1).await.len(), 1);
    for (id, act) in [("u1", Act::Undone), ("j1", judged("right"))] {
        let again = Submission { replaces: Some("s".into()), ..submission(id, "t0", act) };
        assert_eq!(ann.refusal(again).await, "item-not-leased", "the owner has it");
    }
    owner.judge("o", "t0", "wrong").await;
    for (id, act) in [("u2", Act::Undone), ("j2", judged("right"))] {
        let again = Submission { replaces: Some("s".into()), ..submission(id, "t0", act) };
        assert_eq!(ann.refusal(again).await, "item-not-leased", "the owner has judged it");
    }
    let undo = Submission { replaces: Some("o".into()), ..submission("u3", "t0", Act::Undone) };
    assert!(matches!(owner.submit(undo).await, Outcome::Accepted { .. }));
    let again = Submission { replaces: Some("s".into()), ..submission("u4", "t0", Act::Undone) };
    assert_eq!(ann.refusal(again).await, "item-not-leased", "the owner has it again");
}

#[tokio::test]
async fn a_target_holds_for_one_request_and_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(ProjectSettings { target: Some(2), ..settings(2) }, 6).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    let bob = owner.bring("Bob", MemberRole::Annotator).await;
    assert_eq!((ann.next(10).await.len(), bob.next(10).await.len()), (2, 2));
    assert_eq!(owner.next(10).await.len(), 0, "two items, two people each");
}

#[tokio::test]
async fn who_named_no_culture_can_do_so_later() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(settings(1), 1).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    assert_eq!(ann.post("/cultures", &json!([])).await.status(), 200);
    assert!(ann.next(1).await.is_empty());
    let known = ann.post("/cultures", &json!(["THA", "THA"])).await;
    let member: Member = known.json().await.unwrap();
    assert_eq!(member.cultures, ["THA".parse().unwrap()]);
    assert!(owner.project().await.members.contains(&member), "others see it");
    assert_eq!(ann.next(1).await.len(), 1);
    assert_eq!(ann.post("/cultures", &json!(["thai"])).await.status(), 400);
    let joined = Joined { project: owner.joined.project.clone(), ..ann.joined.clone() };
    drop((owner, ann));
    let app = app.restart(&folder).await;
    assert!(app.person(joined).project().await.members.contains(&member), "and it stays");
}

#[tokio::test]
async fn attention_checks_are_in_no_annotators_list() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let gold = line(9).replace("\"aware\":2", "\"aware\":2,\"gold\":\"right\"");
    let source = ItemSource::Jsonl { text: line(0) + &gold };
    let new = NewProject { settings: settings(1), source, owner: joining("Olu") };
    let joined = app.client.post(app.address("/projects")).json(&new).send().await.unwrap();
    let owner = app.person(joined.json().await.unwrap());
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    assert_eq!(owner.project().await.items.len(), 2);
    assert_eq!(ann.project().await.items.len(), 1);
    assert_eq!(ann.next(9).await.len(), 2, "but they are asked");
    ann.judge("a", "t9", "right").await;
    let dataset = owner.get("/export/jsonl").await.text().await.unwrap();
    assert!(dataset.lines().count() == 2 && dataset.contains("\"gold\":\"right\""));
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let (joined, acknowledged): (Joined, Numbered) = {
        let owner = app.project(settings(1), 2).await;
        owner.next(2).await;
        let acknowledged = owner.judge("a", "t0", "right").await;
        (owner.joined, acknowledged)
    };
    let app = app.restart(&folder).await;
    let owner = app.person(joined);
    assert_eq!(owner.events(0).await, std::slice::from_ref(&acknowledged));
    // The client didn't hear the answer, and sends both again: the lease is there too.
    assert_eq!(owner.judge("a", "t0", "right").await, acknowledged);
    owner.judge("b", "t1", "wrong").await;
    assert_eq!(owner.events(0).await.len(), 2);
}

#[tokio::test]
async fn who_leaves_is_forgotten_and_their_judgements_stay() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(settings(2), 2).await;
    let ann = owner.bring("Ann Unusualname", MemberRole::Annotator).await;
    ann.next(2).await;
    ann.judge("a", "t0", "right").await;
    let path = format!("/members/{}/leave", ann.joined.member);
    assert_eq!(ann.post(&path, &json!({})).await.status(), 200);
    assert_eq!(ann.get("").await.status(), 404, "the token is of no use any more");
    let project = owner.project().await;
    let gone = project.members.iter().find(|member| member.id == ann.joined.member).unwrap();
    assert!(gone.left && gone.name.is_empty());
    let state = state(&owner.events(0).await);
    assert!(state.has_left(&ann.joined.member));
    assert_eq!(state.judged_by(&"t0".into()), 1);
    let export = owner.get("/export/jsonl").await.text().await.unwrap();
    assert!(export.contains(ann.joined.member.as_str()) && !export.contains("Unusualname"));
    let alone = format!("/members/{}/leave", owner.joined.member);
    assert_eq!(owner.post(&alone, &json!({})).await.status(), 409, "the last owner stays");
    drop((owner, ann));
    let app = app.restart(&folder).await;
    let kept = app.store.annotation_changes(&project.id, 0, 0).await.unwrap().unwrap();
    assert!(kept.members.iter().all(|stored| !stored.member.name.contains("Ann")));
}

#[tokio::test]
async fn every_file_holds_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(settings(1), 2).await;
    owner.next(2).await;
    owner.judge("a0", "t0", "wrong").await;
    owner.judge("a", "t0", "right").await;
    let text = "<script>alert(1)</script>".to_owned();
    owner.submit(submission("b", "t0", Act::Commented { text: text.clone(), answers: None })).await;
    let answer = Act::Commented { text: "No".to_owned(), answers: Some("b".into()) };
    owner.submit(submission("c", "t0", answer)).await;
    let decision = Act::Adjudicated(Judgement::of("wrong".into()));
    owner.submit(submission("d", "t1", decision)).await;
    let owner = &owner;
    let file = |name: &'static str| async move {
        owner.get(&format!("/export/{name}")).await.text().await.unwrap()
    };
    let lines: Vec<Value> =
        file("jsonl").await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["verdict"]["label"], "right");
    assert_eq!(lines[0]["judgements"][0]["said"]["label"], "right");
    assert_eq!(lines[0]["judgements"].as_array().unwrap().len(), 1, "what stands");
    let history = lines[0]["history"].as_array().unwrap();
    let told = |key: &str| history.iter().map(|event| event[key].clone()).collect::<Vec<_>>();
    assert_eq!(
        (told("submission"), told("label")),
        (vec![json!("a0"), json!("a")], vec![json!("wrong"), json!("right")])
    );
    assert_eq!(
        (told("replaces"), told("type")),
        (vec![Value::Null, json!("a0")], vec![json!("judged"); 2])
    );
    let comments = &lines[0]["comments"];
    assert_eq!((&comments[0]["said"], &comments[0]["submission"]), (&json!(text), &json!("b")));
    assert_eq!((&comments[0]["answers"], &comments[1]["answers"]), (&Value::Null, &json!("b")));
    let csv = file("csv").await;
    assert_eq!(csv.lines().count(), 3, "a heading, one judgement and one decision without any");
    let decided = csv.lines().last().unwrap();
    assert!(decided.starts_with("t1,") && decided.ends_with(",,,,,,wrong,adjudicated"), "{csv}");
    assert!(csv.contains(",'=How good is 0?,"), "no cell is a formula: {csv}");
    let chats = file("training").await;
    let chat: Value = serde_json::from_str(chats.trim()).unwrap();
    assert!(chat["messages"][0]["content"].as_str().unwrap().contains("Thai"), "{chat}");
    assert_eq!(chat["messages"][2], json!({ "role": "assistant", "content": "2" }));
}

#[tokio::test]
async fn a_runs_instances_become_items() {
    let folder = tempfile::tempdir().unwrap();
    // The run is of another model: its instances are stored, and nothing is asked of the model.
    let app = TestApp::start_on(&folder, tiny_engine(&folder.path().join("model"), 7)).await;
    write_tiny_model(&folder.path().join("other"));
    let other = engine(&folder.path().join("other"));
    let templates = PromptTemplates::parse(
        &include_str!("../../../domain/prompts/english.toml")
            .replace("version = 1", "version = 2")
            .replace("Answer as yourself.", "Answer as you would at home."),
    );
    let request = MethodRequest {
        run: Some("judged".to_owned()),
        survey: Some(survey().id),
        per_topic: Some(3),
        templates: Some(templates.unwrap()),
        ..MethodRequest::default()
    };
    let method = Method::open(&app.store, &other, &request, Opening::Begin).await.unwrap();
    write_questions(&method, 3).await;
    method.elicit(&mut |_| ControlFlow::Continue(())).await.unwrap();
    let collected = method.collect().await.unwrap().instances;
    let sources: Vec<SourceInfo> =
        app.client.get(app.address("/sources")).send().await.unwrap().json().await.unwrap();
    assert!(!collected.is_empty(), "the tiny model answers alike as everybody");
    assert_eq!((sources[0].run.as_str(), sources[0].instances), ("judged", collected.len()));
    let source = ItemSource::Run { run: "judged".to_owned(), cultures: vec![], gold: None };
    let new = NewProject { settings: settings(1), source, owner: joining("Olu") };
    let joined = app.client.post(app.address("/projects")).json(&new).send().await.unwrap();
    let owner = app.person(joined.json().await.unwrap());
    assert_eq!(owner.project().await.items.len(), collected.len());
    for item in owner.next(20).await {
        assert_eq!(item.culture.as_str(), "THA", "the owner knows Thailand");
        assert_eq!(item.aware_probabilities.len(), item.question.options.len());
        assert_ne!(item.unaware, item.aware);
    }
    for (number, item) in owner.project().await.items.iter().enumerate() {
        let decided = Act::Adjudicated(Judgement::of("right".into()));
        owner.submit(submission(&format!("d{number}"), item.id.as_str(), decided)).await;
    }
    let chats = owner.get("/export/training").await.text().await.unwrap();
    assert!(chats.contains("Answer as you would at home."), "the run's own prompts: {chats}");
}

#[tokio::test]
async fn an_owner_changes_the_project_and_others_hear_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(settings(2), 1).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    let bob = owner.bring("Bob", MemberRole::Annotator).await;
    ann.next(1).await;
    ann.judge("a", "t0", "wrong").await;
    let seen = bob.events(0).await;
    assert!(matches!(seen[0].event.act, Act::Hidden { .. }), "blind until it is complete");
    let from = owner.project().await.settings;
    let mut to = ProjectSettings { title: "Meals".to_owned(), overlap: 1, ..from.clone() };
    to.labels[0].name = "Fine".to_owned();
    let change = json!({ "from": from, "to": to });
    assert_eq!(refused(ann.post("/settings", &change).await).await, (403, "role".to_owned()));
    let changed = owner.post("/settings", &change).await;
    assert_eq!(changed.json::<ProjectSettings>().await.unwrap(), to);
    // One judgement is enough now, so the item is complete, and Bob sees what was said before.
    let news = bob.events(seen.last().unwrap().sequence).await;
    assert!(news.iter().any(|known| known.event.act == judged("wrong")), "{news:?}");
    assert_eq!(state(&news).change().unwrap().1, &to);
    let late = json!({ "from": from, "to": ProjectSettings { overlap: 3, ..from.clone() } });
    let conflict = refused(owner.post("/settings", &late).await).await;
    assert_eq!(conflict, (409, "changed-meanwhile".to_owned()));
    let mut less = to.clone();
    less.labels.pop();
    let less = json!({ "from": to, "to": less });
    assert_eq!(refused(owner.post("/settings", &less).await).await.1, "project-setting");
    let count = owner.events(0).await.len();
    assert_eq!(owner.post("/settings", &json!({ "from": to, "to": to })).await.status(), 200);
    assert_eq!(owner.events(0).await.len(), count, "nothing changed, nothing happened");
    let (token, project) = (owner.joined.token.clone(), owner.joined.project.clone());
    let member = owner.joined.member.clone();
    let app = app.restart(&folder).await;
    let owner = app.person(Joined { project, member, token });
    assert_eq!(owner.project().await.settings, to);
}
