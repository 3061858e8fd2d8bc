//! Several servers on one PostgreSQL, and what it refuses.

use std::fs;

use app::api::annotation::Present;

use super::*;
use crate::store::testing::{GUARDED, PASSWORD};

const NEEDS: &str = "a server on a database of its own";

/// A PostgreSQL with a data folder per server.
struct Shared {
    postgres: Postgres,
    folders: [TempDir; 2],
}

impl Shared {
    async fn start() -> Self {
        let folder = || tempfile::tempdir().unwrap();
        Self { postgres: Postgres::start().await, folders: [folder(), folder()] }
    }

    async fn open(&self, place: usize) -> Store {
        self.try_open(place).await.unwrap()
    }

    async fn try_open(&self, place: usize) -> Result<Store, StoreError> {
        Store::open_shared(self.folders[place].path(), &self.postgres.url("postgres")).await
    }

    async fn refusal(&self, url: &str) -> StoreError {
        let Ok(url) = url.parse();
        Store::open_shared(self.folders[0].path(), &url).await.expect_err(NEEDS)
    }
}

async fn next(news: &mut broadcast::Receiver<News>) -> News {
    news.recv().await.unwrap()
}

mod postgres {
    use super::*;

    #[tokio::test]
    #[ignore = "needs PostgreSQL, which `cargo xtask test` finds or gets"]
    async fn servers_that_begin_at_once_make_the_tables_once() {
        let shared = Shared::start().await;
        let (first, second) = tokio::join!(shared.try_open(0), shared.try_open(1));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(first.put_survey(&survey()).await.unwrap());
        assert_eq!(second.survey("mine").await.unwrap(), survey());
        let numbered = (0..6).map(|place| {
            let store = if place % 2 == 0 { &first } else { &second };
            store.create_run(new_run(&7))
        });
        let runs = futures::future::join_all(numbered).await;
        let ids: std::collections::BTreeSet<String> =
            runs.into_iter().map(|run| run.unwrap().id).collect();
        assert_eq!(ids.len(), 6, "every run has a number of its own");
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL, which `cargo xtask test` finds or gets"]
    async fn what_it_refuses_is_told_with_a_way_out_and_without_a_password() {
        let shared = Shared::start().await;
        let postgres = &shared.postgres;
        postgres.execute("CREATE ROLE guarded LOGIN PASSWORD 'open-sesame'").await;
        postgres.execute("CREATE DATABASE empty").await;
        let guarded = |password: &str, name: &str| {
            let url = postgres.database(GUARDED, name).text().to_owned();
            url.replace(GUARDED, &format!("{GUARDED}:{password}"))
        };
        let nowhere = shared.folders[1].path().display();
        for (url, code, says) in [
            (guarded("secret", "empty"), "database", "password"),
            (guarded(PASSWORD, "missing"), "database", "createdb"),
            (guarded(PASSWORD, "empty"), "database", "GRANT"),
            (
                format!("postgres://ann:secret@localhost/p?host={nowhere}"),
                "database-unreachable",
                "Start",
            ),
            ("postgres://ann:secret@127.0.0.1:1/p".to_owned(), "database-unreachable", "Start"),
            ("mysql://ann:secret@localhost/p".to_owned(), "database", "postgres://"),
            ("ann:secret@localhost".to_owned(), "database", "postgres://"),
        ] {
            let error = shared.refusal(&url).await;
            let text = format!("{error} {error:?}");
            assert_eq!(error.code(), code, "{text}");
            assert!(text.contains(says), "{text}");
            assert!(!text.contains("secret") && !text.contains(PASSWORD), "{text}");
        }
        postgres.execute("ALTER DATABASE empty OWNER TO guarded").await;
        let Ok(url) = guarded(PASSWORD, "empty").parse();
        let store = Store::open_shared(shared.folders[0].path(), &url).await.unwrap();
        let nul = store.annotation_project("\0").await.unwrap_err();
        assert_eq!(nul.code(), "invalid-text", "{nul}");
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL, which `cargo xtask test` finds or gets"]
    async fn a_copy_of_a_data_folder_is_refused_while_the_other_works() {
        let shared = Shared::start().await;
        let first = shared.open(0).await;
        let [from, to] = shared.folders.each_ref().map(|folder| folder.path().join("server"));
        fs::copy(from, to).unwrap();
        let error = shared.try_open(1).await.unwrap_err();
        assert_eq!(error.code(), "data-folder-in-use", "{error}");
        drop(first);
        shared.open(1).await;
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL, which `cargo xtask test` finds or gets"]
    async fn a_run_is_one_servers_until_that_is_gone() {
        let shared = Shared::start().await;
        let (first, second) = (shared.open(0).await, shared.open(1).await);
        let run = first.create_run(new_run(&7)).await.unwrap();
        assert!(!run.elsewhere);
        assert!(second.run(&run.id).await.unwrap().elsewhere);
        let units = [unit("a", 1)];
        let refusals = [
            second.begin_run(&run.id, true).await.unwrap_err(),
            second.set_state(&run.id, JobState::Cancelled, None).await.unwrap_err(),
            second.record_units(&run.id, "s", &units).await.unwrap_err(),
            second.check_owner(&run.id).await.unwrap_err(),
        ];
        for refusal in refusals {
            assert_eq!(refusal.code(), "other-server");
            let folder = shared.folders[0].path().display().to_string();
            assert!(refusal.to_string().contains(&folder), "{refusal}");
        }
        assert_eq!(second.run(&run.id).await.unwrap().state, JobState::Running);
        assert!(second.units::<u32>(&run.id, "s").await.unwrap().is_empty());
        assert_eq!(second.begin_run("x", true).await.unwrap_err().code(), "unknown-run");

        // The lock is free once PostgreSQL has seen that the connection is gone.
        drop(first);
        while let Err(error) = second.begin_run(&run.id, true).await {
            assert!(error.to_string().contains("at work"), "{error}");
            tokio::task::yield_now().await;
        }
        second.record_units(&run.id, "s", &units).await.unwrap();
        let first = shared.open(0).await;
        let late = first.record_units(&run.id, "s", &[unit("b", 2)]).await.unwrap_err();
        assert_eq!(late.code(), "other-server", "who lost it stores nothing more");
        assert_eq!(first.run(&run.id).await.unwrap().answered, 1);
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL, which `cargo xtask test` finds or gets"]
    async fn a_run_with_adapters_stays_where_their_files_are() {
        let shared = Shared::start().await;
        let (first, second) = (shared.open(0).await, shared.open(1).await);
        let run = first.create_run(new_run(&7)).await.unwrap().id;
        let adapter = AdapterRow {
            base_hash: "b".to_owned(),
            name: format!("{run}/joint"),
            hash: "a".to_owned(),
            culture: None,
            run: Some(run.clone()),
            folder: first.adapters_folder().join("joint"),
        };
        first.put_adapter(&adapter).await.unwrap();
        assert_eq!(first.adapters("b").await.unwrap(), [adapter]);
        assert_eq!(second.adapters("b").await.unwrap(), [], "its files are not here");
        drop(first);
        loop {
            let error = second.begin_run(&run, true).await.unwrap_err();
            assert_eq!(error.code(), "other-server");
            if error.to_string().contains("adapters") {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL, which `cargo xtask test` finds or gets"]
    async fn others_hear_of_a_turn_and_a_lost_connection_is_told() {
        let shared = Shared::start().await;
        let (first, second) = (shared.open(0).await, shared.open(1).await);
        let owner = member("olu", MemberRole::Owner);
        first
            .create_annotation_project("p", &ProjectSettings::new("t"), None, &[], &owner)
            .await
            .unwrap();
        let (mut own, mut news) = (first.listen().unwrap(), second.listen().unwrap());
        first.take_annotation_turn("p").await.unwrap().unwrap().commit().await.unwrap();
        assert_eq!(next(&mut news).await, News::Project("p".to_owned()));
        let present = Present { member: "olu".into(), item: Some("i".into()) };
        first.put_annotation_presence("p", &present, true).await.unwrap();
        assert_eq!(next(&mut news).await, News::Presence("p".to_owned()));
        assert_eq!(second.annotation_presence("p").await.unwrap(), [present]);
        assert_eq!(first.annotation_presence("p").await.unwrap(), [], "it knows its own");

        first.put_survey(&survey()).await.unwrap();
        assert_eq!(next(&mut news).await, News::Surveys);

        shared.postgres.cut_connections().await;
        assert_eq!(next(&mut news).await, News::Anything);
        assert_eq!(next(&mut own).await, News::Anything, "and nothing of its own");
        first.take_annotation_turn("p").await.unwrap().unwrap().commit().await.unwrap();
        assert_eq!(next(&mut news).await, News::Project("p".to_owned()));
        // Whoever begins anew has nobody connected, and tells so.
        drop(first);
        let _first = shared.open(0).await;
        assert_eq!(next(&mut news).await, News::Anything);
        assert_eq!(second.annotation_presence("p").await.unwrap(), []);
    }
}
