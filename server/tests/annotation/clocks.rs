//! Time: one clock for all servers, leases that end, and people who do nothing.

use app::api::annotation::{ClientMessage, Invite, Joining, NewlyInvited};
use domain::annotation::{Item, LEASE_MILLISECONDS, Lease, MemberRole, ProjectSettings};
use serde_json::json;
use server::annotation::Token;

use super::app::{Person, TestApp, joining};
use super::live::Connection;

const DAY: i64 = 24 * 60 * 60 * 1000;

fn settings() -> ProjectSettings {
    ProjectSettings { overlap: 1, ..ProjectSettings::new("t") }
}

/// Gives an item to a person until so many milliseconds from now, as another server on the same database
/// would. Returns when that is.
async fn give(person: &Person<'_>, item: &str, milliseconds: i64) -> i64 {
    let turn = person.app.store.take_annotation_turn(&person.joined.project).await.unwrap();
    let mut turn = turn.unwrap();
    let until = turn.now() + milliseconds;
    let lease = Lease { item: item.into(), member: person.joined.member.clone(), until };
    turn.put_lease(&lease).await.unwrap();
    turn.commit().await.unwrap();
    until
}

/// When a person's lease of an item ends, as it is stored.
async fn end_of_lease(person: &Person<'_>, item: &str) -> i64 {
    let changes = person.app.store.annotation_changes(&person.joined.project, 0, 0).await;
    let leases = changes.unwrap().unwrap().leases;
    let own = |lease: &&Lease| lease.item.as_str() == item && lease.member == person.joined.member;
    leases.iter().find(own).unwrap().until
}

#[tokio::test]
async fn an_invite_is_open_as_long_as_the_database_says() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(settings(), 1).await;
    let before = app.store.clock().await.unwrap();
    let NewlyInvited { invite, .. } = owner.invite(MemberRole::Viewer).await;
    let after = app.store.clock().await.unwrap();
    let hour = 60 * 60 * 1000;
    assert!((before + hour..=after + hour).contains(&invite.expires), "{invite:?}");
    for (left, status) in [(DAY, 201), (0, 410), (-DAY, 410)] {
        let token = Token::random().unwrap();
        let expires = app.store.clock().await.unwrap() + left;
        let invite = Invite { id: format!("i{left}"), expires, ..invite.clone() };
        let project = &owner.joined.project;
        app.store.add_annotation_invite(project, &invite, &token.hash()).await.unwrap();
        let address = app.address(&format!("/invites/{}", token.into_text()));
        let body: Joining = joining("Vic");
        let joined = app.client.post(address).json(&body).send().await.unwrap();
        assert_eq!(joined.status(), status, "{left} ms");
    }
}

#[tokio::test]
async fn a_lease_that_was_given_while_the_clock_ran_ahead_blocks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(settings(), 1).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    give(&ann, "t0", DAY + LEASE_MILLISECONDS).await;
    assert_eq!(owner.next(1).await.len(), 1, "the item is free");
    assert!(ann.next(1).await.is_empty(), "and the owner's now");
    owner.judge("o", "t0", "right").await;
}

#[tokio::test]
async fn looking_renews_what_is_half_over() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(settings(), 2).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    let short = give(&ann, "t0", LEASE_MILLISECONDS / 3).await;
    let long = give(&ann, "t1", LEASE_MILLISECONDS).await;
    // Whoever takes a turn sees what was stored by others.
    owner.next(0).await;
    let mut connection = Connection::open(&ann, 0).await;
    for (idle_seconds, renewed) in [(60 * 60, false), (0, true)] {
        let answers = connection.answers;
        let item = Some("t0".into());
        connection.say(&ClientMessage::Looking { item, idle_seconds }).await;
        connection.until(|c| c.answers > answers).await;
        assert_eq!(end_of_lease(&ann, "t0").await > short, renewed, "{idle_seconds} s idle");
        assert_eq!(end_of_lease(&ann, "t1").await, long, "it has long enough");
    }
}

#[tokio::test]
async fn who_waits_hears_of_a_lease_that_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(settings(), 1).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    let bob = owner.bring("Bob", MemberRole::Annotator).await;
    let mut at_bob = Connection::open(&bob, 0).await;
    at_bob.until(|c| c.free == 1).await;
    give(&ann, "t0", 4_000).await;
    assert!(bob.next(1).await.is_empty(), "Ann has it");
    at_bob.until(|c| c.free == 2).await;
    assert_eq!(bob.next(1).await.len(), 1);
}

#[tokio::test]
async fn who_is_away_gets_nothing_that_becomes_free() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(settings(), 12).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    ann.next(2).await;
    for (idle_seconds, expected) in [(60 * 60, 2), (0, 12)] {
        let request = json!({ "wanted": 20, "idle_seconds": idle_seconds });
        let given: Vec<Item> = ann.post("/next", &request).await.json().await.unwrap();
        assert_eq!(given.len(), expected, "{idle_seconds} s idle");
    }
}
