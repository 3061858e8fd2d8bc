//! Two servers, each with a data folder, on one PostgreSQL: as if they were one.

use std::collections::{BTreeMap, BTreeSet};

use app::api::annotation::{ClientMessage, Outcome};
use domain::annotation::{MemberRole, ProjectSettings};
use futures::future::join_all;
use serde_json::json;
use server::store::testing::Postgres;
use tempfile::TempDir;

use super::app::{Person, TestApp, judged, submission};
use super::live::Connection;

/// Two servers that share a database and a model.
struct Two {
    first: TestApp,
    second: TestApp,
    folders: [TempDir; 2],
    postgres: Postgres,
}

impl Two {
    async fn start() -> Self {
        let postgres = Postgres::start().await;
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let url = postgres.url("postgres");
        let first = TestApp::start_shared(&folders[0], &url, None).await;
        let second = TestApp::start_shared(&folders[1], &url, Some(&first.engine)).await;
        Self { first, second, folders, postgres }
    }
}

fn settings(overlap: usize) -> ProjectSettings {
    ProjectSettings { overlap, ..ProjectSettings::new("t") }
}

/// Judges whatever the person is given until there is nothing more. Returns how much that was.
async fn judge_all(person: &Person<'_>, name: &str) -> usize {
    let mut done = 0;
    loop {
        let items = person.next(2).await;
        if items.is_empty() {
            return done;
        }
        for item in items {
            person.judge(&format!("{name}-{done}"), item.id.as_str(), "right").await;
            done += 1;
        }
    }
}

mod postgres {
    use super::*;

    #[tokio::test]
    #[ignore = "needs PostgreSQL, which `cargo xtask test` finds or gets"]
    async fn annotators_on_two_servers_see_each_other_live() {
        let Two { first, second, postgres, .. } = &Two::start().await;
        let owner = first.project(settings(2), 3).await;
        let ann = second.person(owner.bring("Ann", MemberRole::Annotator).await.joined);
        let (mut at_owner, mut at_ann) =
            (Connection::open(&owner, 0).await, Connection::open(&ann, 0).await);
        at_owner.until(|c| c.present.len() == 2).await;
        at_ann.until(|c| c.present.len() == 2).await;
        at_ann.say(&ClientMessage::Looking { item: Some("t1".into()), idle_seconds: 0 }).await;
        at_owner.until(|c| c.present.contains(&"t1".to_owned())).await;

        owner.next(3).await;
        ann.next(3).await;
        owner.judge("o0", "t0", "right").await;
        at_ann.until(|c| c.sequence == 1).await;
        ann.judge("a0", "t0", "wrong").await;
        at_owner.until(|c| c.sequence == 2).await;
        assert_eq!(owner.events(0).await, ann.events(0).await);

        // Whoever's connections are cut hears of what happened meanwhile.
        postgres.cut_connections().await;
        ann.judge("a1", "t1", "wrong").await;
        at_owner.until(|c| c.sequence == 3).await;

        drop(at_ann);
        at_owner.until(|c| c.present.len() == 1).await;
        let mut at_ann = Connection::open(&ann, 3).await;
        at_owner.until(|c| c.present.len() == 2).await;
        let path = format!("/members/{}/leave", ann.joined.member);
        assert_eq!(owner.post(&path, &json!({})).await.status(), 200);
        while at_ann.hear().await.is_some() {}
        assert_eq!(ann.get("").await.status(), 404, "who has left has left everywhere");
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL, which `cargo xtask test` finds or gets"]
    async fn overlap_is_exact_and_a_submission_counts_once() {
        let Two { first, second, .. } = &Two::start().await;
        let owner = first.project(settings(2), 20).await;
        let mut people = Vec::new();
        for place in 0..6 {
            let joined = owner.bring(&format!("P{place}"), MemberRole::Annotator).await.joined;
            people.push(if place % 2 == 0 { first } else { second }.person(joined));
        }
        let names: Vec<String> = (0..people.len()).map(|place| format!("p{place}")).collect();
        let work = people.iter().zip(&names).map(|(person, name)| judge_all(person, name));
        let done: usize = join_all(work).await.into_iter().sum();
        assert_eq!(done, 40, "20 items of 2 judgements");
        let events = owner.events(0).await;
        assert_eq!(events, second.person(owner.joined.clone()).events(0).await);
        let sequences: Vec<u64> = events.iter().map(|numbered| numbered.sequence).collect();
        assert_eq!(sequences, (1..=40).collect::<Vec<_>>());
        let mut judges: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for numbered in &events {
            let item = judges.entry(&numbered.event.item).or_default();
            assert!(item.insert(&numbered.event.author), "nobody judges twice");
        }
        assert!(judges.len() == 20 && judges.values().all(|judges| judges.len() == 2));

        let again = first.project(settings(1), 1).await;
        again.next(1).await;
        let there = second.person(again.joined.clone());
        let both = [&again, &there, &again, &there];
        let sent = both.map(|person| person.submit(submission("same", "t0", judged("right"))));
        let outcomes = join_all(sent).await;
        assert!(matches!(outcomes[0], Outcome::Accepted { .. }), "{outcomes:?}");
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        assert_eq!(again.events(0).await.len(), 1);
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL, which `cargo xtask test` finds or gets"]
    async fn one_server_goes_on_without_the_other_which_catches_up() {
        let Two { first, second, folders, postgres } = Two::start().await;
        let owner = first.project(settings(2), 3).await;
        let joined = owner.bring("Ann", MemberRole::Annotator).await.joined;
        let mut at_owner = Connection::open(&owner, 0).await;
        owner.next(3).await;
        let acknowledged = {
            let ann = second.person(joined.clone());
            let _connection = Connection::open(&ann, 0).await;
            at_owner.until(|c| c.present.len() == 2).await;
            ann.next(3).await;
            ann.judge("a0", "t0", "right").await
        };
        second.kill().await;
        // Ann's browser goes to the other server: her leases are there, and what she sent is known.
        let ann = first.person(joined.clone());
        assert_eq!(ann.judge("a0", "t0", "right").await, acknowledged);
        ann.judge("a1", "t1", "wrong").await;
        owner.judge("o0", "t0", "wrong").await;
        at_owner.until(|c| c.sequence == 3).await;

        let url = postgres.url("postgres");
        let second = TestApp::start_shared(&folders[1], &url, Some(&first.engine)).await;
        at_owner.until(|c| c.present.len() == 1).await;
        let back = second.person(joined);
        let mut at_ann = Connection::open(&back, 1).await;
        at_ann.until(|c| c.sequence == 3).await;
        assert_eq!(back.events(0).await, ann.events(0).await);
        back.judge("a2", "t2", "right").await;
        at_owner.until(|c| c.sequence == 4).await;
    }
}
