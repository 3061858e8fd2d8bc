//! A running server with a project in it, and people who act there.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;

use app::api::ApiError;
use app::api::annotation::{
    ItemSource, Joined, Joining, NewInvite, NewProject, NewlyInvited, Numbered, Outcome, Project,
    Submission,
};
use domain::annotation::{Act, Item, Judgement, MemberRole, ProjectSettings};
use engine::Engine;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use server::http;
use server::jobs::testing::{engine, run_with_questions, survey, write_tiny_model};
use server::jobs::{Method, MethodRuns, SurveyRuns};
use server::state::AppState;
use server::store::{DatabaseUrl, Store};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};

/// A server on a port of its own, with a tiny random model.
pub struct TestApp {
    pub address: SocketAddr,
    pub client: Client,
    pub store: Store,
    pub engine: Engine,
    database: Option<DatabaseUrl>,
    shutdown: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl TestApp {
    pub async fn start(folder: &TempDir) -> Self {
        let model = folder.path().join("model");
        write_tiny_model(&model);
        Self::with(folder.path(), None, engine(&model)).await
    }

    /// A server with this engine.
    pub async fn start_on(folder: &TempDir, engine: Engine) -> Self {
        Self::with(folder.path(), None, engine).await
    }

    /// A server on a database that others use too, with `engine` or a tiny model.
    pub async fn start_shared(
        folder: &TempDir,
        database: &DatabaseUrl,
        shared: Option<&Engine>,
    ) -> Self {
        let model = folder.path().join("model");
        let engine = shared.cloned().unwrap_or_else(|| {
            write_tiny_model(&model);
            engine(&model)
        });
        Self::with(folder.path(), Some(database.clone()), engine).await
    }

    async fn with(folder: &Path, database: Option<DatabaseUrl>, engine: Engine) -> Self {
        let data = folder.join("data");
        let store = match &database {
            Some(database) => loop {
                match Store::open_shared(&data, database).await {
                    // A server that was killed is still ending.
                    Err(error) if error.code() == "data-folder-in-use" => yield_now().await,
                    opened => break opened.unwrap(),
                }
            },
            None => Store::open(&data).await.unwrap(),
        };
        store.put_survey(&survey()).await.unwrap();
        let runs = SurveyRuns::new(engine.clone(), store.clone());
        let runs = (runs, MethodRuns::new(engine.clone(), store.clone()));
        let state = AppState::new(engine.clone(), store.clone(), runs, survey().cultures, folder);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            http::serve(state, listener, stopped).await.unwrap();
        });
        Self { address, client: Client::new(), store, engine, database, shutdown, serving }
    }

    /// The server ends, and another one begins on the same data.
    pub async fn restart(self, folder: &TempDir) -> Self {
        let Self { shutdown, serving, store, engine, client, database, .. } = self;
        drop((shutdown, client));
        serving.await.unwrap();
        drop(store);
        Self::with(folder.path(), database, engine).await
    }

    /// The server ends without a word to anybody: what it does at this moment is not done.
    pub async fn kill(self) {
        let Self { serving, .. } = self;
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
    }

    pub fn address(&self, path: &str) -> String {
        format!("http://{}/api/annotation{path}", self.address)
    }

    /// A project of `items` Thai items, made by an owner who knows Thailand.
    pub async fn project(&self, settings: ProjectSettings, items: usize) -> Person<'_> {
        let source = ItemSource::Jsonl { text: (0..items).map(line).collect() };
        self.make(&NewProject { settings, source, owner: joining("Olu") }).await
    }

    /// This project, as its owner.
    pub async fn make(&self, new: &NewProject) -> Person<'_> {
        let joined = self.client.post(self.address("/projects")).json(new).send().await.unwrap();
        assert_eq!(joined.status(), StatusCode::CREATED, "{:?}", joined.text().await);
        Person { app: self, joined: joined.json().await.unwrap() }
    }

    /// A run `r` that has collected, and a project of its instances whose owner knows all cultures.
    pub async fn project_of_run(&self, settings: ProjectSettings) -> (Method, Person<'_>) {
        let method = run_with_questions(&self.store, &self.engine, "r", 4, 2).await;
        method.elicit(&mut |_| ControlFlow::Continue(())).await.unwrap();
        method.collect().await.unwrap();
        let source = ItemSource::Run { run: "r".to_owned(), cultures: vec![], gold: None };
        let owner = Joining { cultures: method.settings.cultures.clone(), ..joining("Olu") };
        let person = self.make(&NewProject { settings, source, owner }).await;
        (method, person)
    }

    /// The person whom the server told `joined`.
    pub fn person(&self, joined: Joined) -> Person<'_> {
        Person { app: self, joined }
    }
}

/// A line of a file of items: numbered, about Thailand.
pub fn line(number: usize) -> String {
    let record = json!({
        "id": format!("t{number}"),
        "culture": "THA",
        "topic": "food",
        "question": format!("=How good is {number}?"),
        "options": ["Bad", "Fair", "Good"],
        "unaware": 1,
        "aware": 2,
        "people": { "shares": [0.1, 0.6, 0.3], "mode": 2 },
    });
    format!("{record}\n")
}

pub fn joining(name: &str) -> Joining {
    Joining { name: name.to_owned(), cultures: vec!["THA".parse().unwrap()] }
}

pub fn submission(id: &str, item: &str, act: Act) -> Submission {
    Submission { id: id.into(), item: item.into(), replaces: None, act }
}

pub fn judged(label: &str) -> Act {
    Act::Judged(Judgement::of(label.into()))
}

/// A member of a project.
pub struct Person<'a> {
    pub app: &'a TestApp,
    pub joined: Joined,
}

impl<'a> Person<'a> {
    pub async fn get(&self, path: &str) -> Response {
        let address = self.app.address(&format!("/projects/{}{path}", self.joined.project));
        let request = self.app.client.get(address).bearer_auth(&self.joined.token);
        request.send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        let address = self.app.address(&format!("/projects/{}{path}", self.joined.project));
        let request = self.app.client.post(address).bearer_auth(&self.joined.token);
        request.json(body).send().await.unwrap()
    }

    /// Invites into the project, as its owner.
    pub async fn invite(&self, role: MemberRole) -> NewlyInvited {
        let response = self.post("/invites", &json!(NewInvite { role, hours: 1 })).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        response.json().await.unwrap()
    }

    /// Lets somebody follow a new invite.
    pub async fn bring(&self, name: &str, role: MemberRole) -> Person<'a> {
        let token = self.invite(role).await.token;
        let address = self.app.address(&format!("/invites/{token}"));
        let response = self.app.client.post(address).json(&joining(name)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        self.app.person(response.json().await.unwrap())
    }

    pub async fn project(&self) -> Project {
        self.get("").await.json().await.unwrap()
    }

    pub async fn next(&self, wanted: usize) -> Vec<Item> {
        self.post("/next", &json!({ "wanted": wanted })).await.json().await.unwrap()
    }

    pub async fn events(&self, since: u64) -> Vec<Numbered> {
        self.get(&format!("/events?since={since}")).await.json().await.unwrap()
    }

    pub async fn submit(&self, submission: Submission) -> Outcome {
        let response = self.post("/submissions", &json!([submission])).await;
        assert_eq!(response.status(), StatusCode::OK, "{:?}", response.text().await);
        response.json::<Vec<Outcome>>().await.unwrap().remove(0)
    }

    /// Judges an item that the person was given.
    pub async fn judge(&self, id: &str, item: &str, label: &str) -> Numbered {
        match self.submit(submission(id, item, judged(label))).await {
            Outcome::Accepted { event } => event,
            Outcome::Refused { error } => panic!("{error:?}"),
        }
    }

    /// The code by which a submission is refused.
    pub async fn refusal(&self, submission: Submission) -> String {
        match self.submit(submission).await {
            Outcome::Accepted { event } => panic!("accepted as {event:?}"),
            Outcome::Refused { error } => {
                assert!(error.hint.is_some(), "{error:?} has no way out");
                error.code
            }
        }
    }
}

/// Status and code of a refusal.
pub async fn refused(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let error: ApiError = response.json().await.unwrap();
    assert!(error.hint.is_some_and(|hint| !hint.is_empty()), "{} has no way out", error.code);
    (status, error.code)
}
