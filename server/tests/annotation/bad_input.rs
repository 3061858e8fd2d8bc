//! What people with broken clients, old links and bad intentions send.

use app::api::annotation::{
    Invite, ItemSource, Joined, ListedInvite, MOST_SUBMISSIONS, NewProject, NewlyInvited, Outcome,
    Submission,
};
use domain::annotation::state::Word;
use domain::annotation::{Act, Judgement, MemberRole, ProjectSettings, SkipReason, State};
use serde_json::{Value, json};
use server::annotation::Token;

use super::app::{TestApp, joining, judged, line, refused, submission};

fn comment(text: String) -> Act {
    Act::Commented { text, answers: None }
}

#[tokio::test]
async fn invites_that_expired_were_revoked_or_guessed_open_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(ProjectSettings::new("t"), 1).await;
    let try_both = |token: String| {
        let address = app.address(&format!("/invites/{token}"));
        let (get, post) = (app.client.get(&address), app.client.post(&address));
        async move {
            let looked = refused(get.send().await.unwrap()).await;
            let joined = refused(post.json(&joining("Mallory")).send().await.unwrap()).await;
            assert_eq!(looked, joined);
            joined
        }
    };
    let NewlyInvited { invite, token } = owner.invite(MemberRole::Owner).await;
    let path = format!("/invites/{}/revoke", invite.id);
    let open: Vec<ListedInvite> = owner.get("/invites").await.json().await.unwrap();
    assert!((1..=3_600_000).contains(&open[0].left), "by the server's clock: {open:?}");
    let invites: Vec<ListedInvite> = owner.post(&path, &json!({})).await.json().await.unwrap();
    assert!(invites[0].invite.revoked && invites[0].left == 0);
    assert_eq!(try_both(token).await, (410, "revoked-invite".to_owned()));
    let (token, old) =
        (Token::random().unwrap(), Invite { id: "old".to_owned(), expires: 1, ..invite.clone() });
    let project = &owner.joined.project;
    app.store.add_annotation_invite(project, &old, &token.hash()).await.unwrap();
    assert_eq!(try_both(token.into_text()).await, (410, "expired-invite".to_owned()));
    for guessed in ["0".repeat(64), invite.id, "%00".to_owned()] {
        assert_eq!(try_both(guessed).await, (404, "unknown-invite".to_owned()));
    }
    assert_eq!(owner.project().await.members.len(), 1);
    let unknown = owner.post("/invites/nothing/revoke", &json!({})).await;
    assert_eq!(refused(unknown).await, (404, "unknown-invite".to_owned()));
    for hours in [0, 1_000_000] {
        let response = owner.post("/invites", &json!({ "role": "viewer", "hours": hours })).await;
        assert_eq!(refused(response).await, (422, "invalid-request".to_owned()));
    }
}

#[tokio::test]
async fn only_members_get_in_and_only_as_far_as_their_role() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(ProjectSettings::new("t"), 1).await;
    let other = app.project(ProjectSettings::new("another"), 1).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    let address = app.address(&format!("/projects/{}", owner.joined.project));
    let nobody = app.client.get(&address).send().await.unwrap();
    assert_eq!(refused(nobody).await, (401, "no-token".to_owned()));
    for token in ["guessed", &other.joined.token] {
        let stranger = app.client.get(&address).bearer_auth(token).send().await.unwrap();
        assert_eq!(refused(stranger).await, (404, "unknown-project".to_owned()));
    }
    let leave = format!("/members/{}/leave", owner.joined.member);
    for (path, body) in
        [("/invites", json!({ "role": "owner", "hours": 1 })), (leave.as_str(), json!({}))]
    {
        assert_eq!(refused(ann.post(path, &body).await).await, (403, "role".to_owned()), "{path}");
    }
    for path in ["/invites", "/export/csv"] {
        assert_eq!(refused(ann.get(path).await).await, (403, "role".to_owned()), "{path}");
    }
    let unknown = owner.get("/export/xlsx").await;
    assert_eq!(refused(unknown).await, (404, "unknown-format".to_owned()));
}

#[tokio::test]
async fn submissions_that_break_a_rule_are_refused_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(ProjectSettings { overlap: 1, ..ProjectSettings::new("t") }, 3).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    let vic = owner.bring("Vic", MemberRole::Viewer).await;
    let source = ItemSource::Jsonl { text: line(0).replace("\"id\":\"t0\"", "\"id\":\"u0\"") };
    let settings = ProjectSettings::new("another");
    let other = app.make(&NewProject { settings, source, owner: joining("Ode") }).await;
    assert_eq!(other.next(1).await[0].id.as_str(), "u0");
    ann.next(1).await;
    for (wrong, code) in [
        (submission("x1", "t1", judged("right")), "item-not-leased"),
        (submission("x2", "u0", judged("right")), "unknown-item"),
        (submission("x3", "t0", judged("maybe")), "unknown-label"),
        (submission("x4", "t0", Act::Left), "role"),
        (submission("x5", "t0", comment(" ".to_owned())), "comment-length"),
        (submission("x6", "t0", comment("x".repeat(5000))), "comment-length"),
        (submission("", "t0", judged("right")), "invalid-request"),
        (submission(&"x".repeat(65), "t0", judged("right")), "invalid-request"),
        (submission("<b>", "t0", judged("right")), "invalid-request"),
    ] {
        assert_eq!(ann.refusal(wrong.clone()).await, code, "{wrong:?}");
    }
    assert_eq!(vic.refusal(submission("v", "t0", judged("right"))).await, "role");
    let joined = Joined { project: owner.joined.project.clone(), ..other.joined.clone() };
    let stranger = app.person(joined);
    for item in ["t0", "u0"] {
        let act = json!([submission("s", item, judged("right"))]);
        let refusal = refused(stranger.post("/submissions", &act).await).await;
        assert_eq!(refusal, (404, "unknown-project".to_owned()), "{item}");
    }
    assert!(other.events(0).await.is_empty());
    let batch =
        json!([submission("y1", "t2", judged("right")), submission("y2", "t0", judged("right"))]);
    let outcomes: Vec<Outcome> = ann.post("/submissions", &batch).await.json().await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Refused { .. }));
    assert!(matches!(outcomes[1], Outcome::Accepted { .. }));
    let large = json!([submission("z", "t0", comment("x".repeat(1 << 20)))]);
    assert_eq!(
        refused(ann.post("/submissions", &large).await).await,
        (413, "too-large".to_owned())
    );
    let many: Vec<Submission> = (0..=MOST_SUBMISSIONS)
        .map(|n| submission(&format!("m{n}"), "t0", judged("right")))
        .collect();
    let many = ann.post("/submissions", &json!(many)).await;
    assert_eq!(refused(many).await, (400, "submission-count".to_owned()));
    assert_eq!(ann.events(0).await.len(), 1);
}

#[tokio::test]
async fn the_same_submission_is_one_event_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(ProjectSettings::new("t"), 1).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    ann.next(1).await;
    owner.next(1).await;
    let first = ann.judge("same", "t0", "right").await;
    let many = (0..8).map(|_| ann.judge("same", "t0", "right"));
    assert!(futures::future::join_all(many).await.iter().all(|again| *again == first));
    let theirs = owner.refusal(submission("same", "t0", judged("wrong"))).await;
    assert_eq!(theirs, "submission-taken");
    assert_eq!(owner.events(0).await.len(), 1);
}

/// What an act takes the place of is what stands: a client that names something else, even an act to come,
/// neither brings a word back nor loses one.
#[tokio::test]
async fn an_act_takes_the_place_of_what_stands_whatever_the_client_says() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(ProjectSettings { overlap: 1, ..ProjectSettings::new("t") }, 2).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    ann.next(2).await;
    let skip = Act::Skipped { reason: SkipReason::Undecided };
    let decided = Act::Adjudicated(Judgement::of("wrong".into()));
    for (who, id, item, claimed, act) in [
        (&ann, "j1", "t0", Some("s"), judged("right")),
        (&ann, "j2", "t0", None, judged("wrong")),
        (&ann, "u", "t0", Some("j2"), Act::Undone),
        (&ann, "s", "t0", Some("u"), skip),
        (&ann, "k1", "t1", Some("k2"), judged("right")),
        (&ann, "k2", "t1", Some("k1"), judged("wrong")),
        (&owner, "d1", "t1", Some("k2"), decided.clone()),
        (&owner, "d2", "t1", None, decided),
    ] {
        let new = Submission { replaces: claimed.map(Into::into), ..submission(id, item, act) };
        let outcome = who.submit(new).await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{id}: {outcome:?}");
    }
    let events = owner.events(0).await;
    let replaced: Vec<Option<&str>> =
        events.iter().map(|known| known.event.replaces.as_ref().map(|id| id.as_str())).collect();
    let expected = [None, Some("j1"), Some("j2"), Some("u"), None, Some("k1"), None, Some("d1")];
    assert_eq!(replaced, expected);
    let times: Vec<i64> = events.iter().map(|known| known.event.at).collect();
    assert!(times.is_sorted_by(|before, after| before < after), "{times:?}");
    let state = State::of(events.iter().map(|known| &known.event));
    let word = |item: &str| {
        let record = state.record(&item.into()).unwrap();
        record.word(&ann.joined.member).map(|(event, word)| (event.submission.to_string(), word))
    };
    assert_eq!(word("t0"), Some(("s".to_owned(), Word::Skipped(SkipReason::Undecided))));
    assert_eq!(word("t1").unwrap().0, "k2");
    assert_eq!(owner.next(2).await.len(), 1, "who has skipped leaves the place to others");
}

#[tokio::test]
async fn the_clients_clock_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(ProjectSettings::new("t"), 1).await;
    owner.next(1).await;
    let before = app.store.clock().await.unwrap();
    let mut tomorrow = json!(submission("a", "t0", judged("right")));
    tomorrow["at"] = json!(before + 86_400_000);
    tomorrow["act"]["at"] = json!(before + 86_400_000);
    let outcomes: Vec<Outcome> =
        owner.post("/submissions", &json!([tomorrow])).await.json().await.unwrap();
    let Outcome::Accepted { event } = &outcomes[0] else { panic!("{outcomes:?}") };
    let after = app.store.clock().await.unwrap();
    assert!((before..=after).contains(&event.event.at), "{before} to {after}: {event:?}");
}

#[tokio::test]
async fn projects_that_nobody_could_work_in_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let jsonl = |text: String| ItemSource::Jsonl { text };
    let good = NewProject {
        settings: ProjectSettings::new("t"),
        source: jsonl(line(0)),
        owner: joining("Olu"),
    };
    let change = |pointer: &str, value: Value| {
        let mut body = json!(good);
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    for (body, status, code) in [
        (change("/settings/overlap", json!(0)), 422, "project-setting"),
        (change("/settings/title", json!("")), 422, "project-setting"),
        (change("/settings/labels", json!([])), 422, "project-setting"),
        (change("/owner/name", json!(" ")), 422, "invalid-request"),
        (change("/owner/name", json!("x".repeat(1000))), 422, "invalid-request"),
        (change("/source", json!(jsonl(String::new()))), 422, "invalid-request"),
        (change("/source", json!(jsonl(line(0) + &line(0)))), 422, "invalid-request"),
        (change("/source", json!(jsonl("{".to_owned()))), 422, "invalid-request"),
        (change("/source", json!({ "type": "run", "run": "none" })), 404, "unknown-run"),
        (change("/source", json!({ "type": "sql" })), 400, "malformed-json"),
    ] {
        let response = app.client.post(app.address("/projects")).json(&body).send().await.unwrap();
        assert_eq!(refused(response).await, (status, code.to_owned()), "{body}");
    }
}
