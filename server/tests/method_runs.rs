//! Runs of the method over HTTP: started, watched, paused, resumed, cancelled, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use app::api::method_run::StepState;
use app::api::{AdapterInfo, ApiError, JobState, MethodRun, MethodRunInfo};
use domain::method::Step;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use server::http;
use server::jobs::testing::{SURVEY, engine, run_with_questions, survey, write_tiny_model};
use server::jobs::{MethodRuns, SurveyRuns};
use server::state::AppState;
use server::store::Store;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server with a tiny random model and a run `r` that has its questions and is not at work.
struct TestApp {
    address: SocketAddr,
    client: Client,
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    _folder: TempDir,
}

impl TestApp {
    async fn start(epochs: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_tiny_model(&folder.path().join("model"));
        let engine = engine(&folder.path().join("model"));
        let store = Store::open(&folder.path().join("data")).await.unwrap();
        run_with_questions(&store, &engine, "r", 8, epochs).await.pause().await.unwrap();
        let surveys = SurveyRuns::new(engine.clone(), store.clone());
        let methods = MethodRuns::new(engine.clone(), store.clone());
        let runs = (surveys, methods);
        let state = AppState::new(engine, store, runs, survey().cultures, folder.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(http::serve(state, listener, async {
            let _ = stopped.await;
        }));
        Self { address, client: Client::new(), shutdown, server, _folder: folder }
    }

    fn address(&self, path: &str) -> String {
        format!("http://{}/api/method-runs{path}", self.address)
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(self.address(path)).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        self.client.post(self.address(path)).json(body).send().await.unwrap()
    }

    /// Steers a run and answers where it then stands.
    #[track_caller]
    fn steer(&self, path: &str) -> impl Future<Output = MethodRunInfo> {
        let sent = self.client.post(self.address(path)).send();
        async move {
            let answer = sent.await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            answer.json().await.unwrap()
        }
    }
}

/// Everything that is told of a run until it is no longer at work.
async fn events(response: Response) -> Vec<MethodRunInfo> {
    let text = response.text().await.unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.map(|json| serde_json::from_str(json).unwrap()).collect()
}

#[tokio::test]
async fn a_run_is_told_of_until_it_ends_and_stays() {
    let app = TestApp::start(2).await;
    let stored: Vec<MethodRunInfo> = app.get("").await.json().await.unwrap();
    assert_eq!((stored.len(), stored[0].state), (1, JobState::Paused));
    assert_eq!(events(app.get("/r/events").await).await.len(), 1, "nothing is at work");
    assert_eq!(app.steer("/r/resume").await.state, JobState::Running);
    let told = events(app.get("/r/events").await).await;
    let last = told.last().unwrap();
    assert_eq!(last.state, JobState::Done, "{:?}", last.error);
    assert!(told.windows(2).all(|pair| pair[0].revision <= pair[1].revision));

    let run: MethodRun = app.get("/r").await.json().await.unwrap();
    assert!(run.info.steps.iter().all(|step| step.state == StepState::Done));
    assert_eq!(run.tune.len(), 3);
    assert!(run.generate.is_some() && run.collect.is_some() && run.evaluate.is_some());
    let adapter = app.post("/r/adapters/joint", &json!({})).await;
    assert_eq!(adapter.json::<AdapterInfo>().await.unwrap().name, "r/joint");

    let manifest = app.get("/r/manifest").await;
    let disposition = manifest.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert_eq!(disposition, "attachment; filename=\"r.json\"");
    let manifest: Value = manifest.json().await.unwrap();
    assert_eq!(manifest["steps"].as_object().unwrap().len(), 5);
    assert_eq!(manifest["settings"]["base_hash"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn a_run_can_be_paused_resumed_and_cancelled() {
    let app = TestApp::start(200).await;
    app.steer("/r/resume").await;
    assert_eq!(app.steer("/r/pause").await.state, JobState::Paused);
    assert_eq!(app.steer("/r/resume").await.state, JobState::Running);
    assert_eq!(app.steer("/r/cancel").await.state, JobState::Cancelled);
    let run: MethodRun = app.get("/r").await.json().await.unwrap();
    assert_eq!(run.info.state, JobState::Cancelled);
    assert!(run.info.steps.iter().any(|step| step.step == Step::Evaluate));
    assert_eq!(app.steer("/r/pause").await.state, JobState::Cancelled, "nothing to pause");
}

#[tokio::test]
async fn a_started_run_has_the_settings_it_was_given() {
    let app = TestApp::start(1).await;
    let wanted = json!({ "run": "mine", "survey": SURVEY, "per_topic": 1, "seed": 11,
        "cultures": ["THA"], "adapters": ["joint"], "learning_rate": 1e-3 });
    let response = app.post("", &wanted).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let started: MethodRunInfo = response.json().await.unwrap();
    assert_eq!((started.id.as_str(), started.settings.per_topic), ("mine", 1));
    assert_eq!((started.settings.seed, started.settings.adapters().len()), (11, 1));
    // The random model writes no JSON, and the run says so.
    let last = events(app.get("/mine/events").await).await.pop().unwrap();
    assert_eq!(last.state, JobState::Failed);
    assert!(last.error.unwrap().message.contains("no question"));
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name() {
    let app = TestApp::start(1).await;
    let cases = [
        (json!({ "per_topic": 0 }), 422, "invalid-request", "`per_topic`"),
        (json!({ "per_topics": 3 }), 400, "malformed-json", "`per_topics`"),
        (json!({ "learning_rate": -1.0 }), 422, "invalid-request", "`learning_rate`"),
        (json!({ "cultures": [] }), 422, "invalid-request", "`cultures`"),
        (json!({ "cultures": ["tha"] }), 400, "malformed-json", "`tha`"),
        (json!({ "cultures": ["KEN"], "survey": SURVEY }), 422, "unknown-culture", "`KEN`"),
        (json!({ "survey": "nothing" }), 404, "unknown-survey", "`nothing`"),
        (json!({ "run": "r", "survey": SURVEY }), 422, "invalid-request", "`r`"),
        (json!({ "run": "../r" }), 422, "invalid-request", "`../r`"),
    ];
    for (body, status, code, names) in cases {
        let response = app.post("", &body).await;
        assert_eq!(response.status().as_u16(), status, "{body}");
        let error: ApiError = response.json().await.unwrap();
        assert_eq!(error.code, code);
        assert!(error.message.contains(names) && error.hint.is_some(), "{error:?}");
    }
    for path in ["/x", "/x/events", "/x/manifest"] {
        unknown(app.get(path).await).await;
    }
    for path in ["/x/pause", "/x/resume", "/x/cancel", "/x/adapters/joint"] {
        unknown(app.post(path, &json!({})).await).await;
    }
    let response = app.post("/r/adapters/nothing", &json!({})).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(response.json::<ApiError>().await.unwrap().message.contains("`nothing`"));
}

async fn unknown(response: Response) {
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let error: ApiError = response.json().await.unwrap();
    assert_eq!(error.code, "unknown-run");
    assert!(error.message.contains("`x`"), "{}", error.message);
}

#[tokio::test]
async fn a_server_closes_while_a_run_is_watched() {
    let app = TestApp::start(1000).await;
    app.steer("/r/resume").await;
    let watched = app.get("/r/events").await;
    app.shutdown.send(()).unwrap();
    let told = events(watched).await;
    assert_eq!(told.last().unwrap().state, JobState::Running, "it goes on with the next server");
    app.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_page_is_rendered() {
    let app = TestApp::start(1).await;
    let page = app.client.get(format!("http://{}/studio", app.address)).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    assert!(page.contains("Start a quick run") && page.contains("run=r"), "{page}");
}
