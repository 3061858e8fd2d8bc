//! The real program is killed without a warning, in the middle of judging, and started again on its data.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use app::api::annotation::{ItemSource, Joined, NewProject, Numbered, Outcome};
use domain::annotation::{Item, ProjectSettings};
use reqwest::Client;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use server::jobs::testing::write_tiny_model;

use super::app::{joining, judged, line, submission};

/// Items of the project.
const ITEMS: usize = 60;

/// The server is killed once so many judgements are acknowledged, while others are on their way.
const ACKNOWLEDGED: usize = 12;

/// `polylogue serve` on a free port; it is killed with its handle.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_polylogue"))
            .args(["serve", "--addr", "127.0.0.1:0", "--device", "cpu", "--model"])
            .arg(folder.join("model"))
            .arg("--data")
            .arg(folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned)
        });
        Self { child, address: address.unwrap() }
    }

    /// SIGKILL on Unix: no handler runs, nothing is flushed.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, token: &str, body: &Value) -> Option<T> {
        post(&self.address, path, token, body).await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that was killed already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer; `None` where there is none, as from a server that was killed.
async fn post<T: DeserializeOwned>(
    address: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> Option<T> {
    let request = Client::new().post(format!("{address}/api/annotation{path}")).bearer_auth(token);
    request.json(body).send().await.ok()?.json().await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    write_tiny_model(&folder.path().join("model"));
    let served = Served::start(folder.path());
    let new = NewProject {
        settings: ProjectSettings { overlap: 1, ..ProjectSettings::new("t") },
        source: ItemSource::Jsonl { text: (0..ITEMS).map(line).collect() },
        owner: joining("Olu"),
    };
    let joined: Joined = served.post("/projects", "", &json!(new)).await.unwrap();
    let (project, token) = (format!("/projects/{}", joined.project), joined.token);

    // Somebody judges without a pause until there is no answer any more.
    let (acknowledge, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let judging = tokio::spawn({
        let (address, project, token) = (served.address.clone(), project.clone(), token.clone());
        async move {
            let mut number = 0;
            loop {
                let (path, wanted) = (format!("{project}/next"), json!({ "wanted": 5 }));
                let next = post::<Vec<Item>>(&address, &path, &token, &wanted).await;
                let Some(items) = next.filter(|items| !items.is_empty()) else { return };
                for item in items {
                    let id = format!("j{number}");
                    let body = json!([submission(&id, item.id.as_str(), judged("right"))]);
                    let path = format!("{project}/submissions");
                    let answer = post::<Vec<Outcome>>(&address, &path, &token, &body).await;
                    let Some([Outcome::Accepted { event }]) = answer.as_deref() else { return };
                    let _ = acknowledge.send(event.clone());
                    number += 1;
                }
            }
        }
    });
    let mut known: Vec<Numbered> = Vec::new();
    while known.len() < ACKNOWLEDGED {
        known.push(acknowledged.recv().await.unwrap());
    }
    served.kill();
    judging.await.unwrap();
    while let Some(event) = acknowledged.recv().await {
        known.push(event);
    }
    assert!(known.len() < ITEMS, "it was killed in the middle");

    let served = Served::start(folder.path());
    let address = format!("{}/api/annotation{project}/events?since=0", served.address);
    let answer = Client::new().get(address).bearer_auth(&token).send().await.unwrap();
    let stored: Vec<Numbered> = answer.json().await.unwrap();
    for event in &known {
        assert!(stored.contains(event), "acknowledged and lost: {event:?}");
    }
    // The one on its way may be stored too; nothing is there twice.
    assert!(stored.len() <= known.len() + 1, "{} of {}", stored.len(), known.len());
    let items: BTreeSet<_> = stored.iter().map(|known| &known.event.item).collect();
    assert_eq!(items.len(), stored.len());
    // Work goes on, without what is judged.
    let wanted = json!({ "wanted": 20 });
    let next: Vec<Item> = served.post(&format!("{project}/next"), &token, &wanted).await.unwrap();
    assert!(!next.is_empty() && next.iter().all(|item| !items.contains(&Some(item.id.clone()))));
}
