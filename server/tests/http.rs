//! The HTTP surface from outside: what is answered, what is refused and how, what streams.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use app::api::{
    ApiError, ChatEvent, ChatRequest, ChatRow, Finish, JobState, Sampling, SurveyRun,
    SurveyRunInfo, SurveyRunRequest, World,
};
use domain::prompt::{Message, PromptStyle, Role};
use domain::voice::Voice;
use engine::testing::{tiny_adapter, tiny_config};
use engine::tuning::peft;
use engine::{DeviceChoice, Engine, EngineConfig, Limits, ModelSource};
use reqwest::{Client, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use server::http::{self, MAX_MESSAGE_BYTES, MAX_VOICES};
use server::jobs::testing::{SURVEY, survey, write_tiny_model};
use server::jobs::{MethodRuns, SurveyRuns};
use server::state::AppState;
use server::store::Store;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

#[path = "http/imports.rs"]
mod imports;

/// A running server on a port of its own, with a tiny random model and a small survey.
struct TestApp {
    address: SocketAddr,
    client: Client,
    _folder: TempDir,
    _shutdown: oneshot::Sender<()>,
}

impl TestApp {
    async fn start() -> Self {
        Self::with_adapters(&[]).await
    }

    async fn with_adapters(names: &[&str]) -> Self {
        Self::with(Limits::default(), names).await
    }

    async fn with(limits: Limits, names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_tiny_model(&folder.path().join("model"));
        let source = ModelSource::Folder(folder.path().join("model"));
        let device = DeviceChoice::Cpu;
        let engine =
            Engine::start(EngineConfig { limits, ..EngineConfig::new(source, device) }).unwrap();
        for (seed, name) in names.iter().enumerate() {
            let (path, adapter) =
                (folder.path().join(name), tiny_adapter(&tiny_config(), seed as u64));
            peft::save(&path, &adapter, "tiny", engine.base_hash()).unwrap();
            engine.load_adapter(name, &path).await.unwrap();
        }
        let store = Store::open(&folder.path().join("data")).await.unwrap();
        store.put_survey(&survey()).await.unwrap();
        let runs = SurveyRuns::new(engine.clone(), store.clone());
        let runs = (runs, MethodRuns::new(engine.clone(), store.clone()));
        let state = AppState::new(engine, store, runs, survey().cultures, folder.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stopped) = oneshot::channel::<()>();
        tokio::spawn(http::serve(state, listener, async {
            let _ = stopped.await;
        }));
        Self { address, client: Client::new(), _folder: folder, _shutdown: shutdown }
    }

    fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(self.address(path)).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        self.client.post(self.address(path)).json(body).send().await.unwrap()
    }

    async fn chat(&self, request: &ChatRequest) -> Vec<ChatEvent> {
        let response = self.post("/api/chat", &json!(request)).await;
        assert_eq!(response.status(), StatusCode::OK, "{:?}", response.text().await);
        events(response).await
    }
}

/// Every event of a stream that ends.
async fn events<T: DeserializeOwned>(response: Response) -> Vec<T> {
    let text = response.text().await.unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.map(|json| serde_json::from_str(json).unwrap()).collect()
}

fn thai() -> Voice {
    Voice::aware("THA".parse().unwrap())
}

fn request(voices: &[Voice], text: &str) -> ChatRequest {
    let row = |voice: &Voice| ChatRow {
        voice: voice.clone(),
        messages: vec![Message::new(Role::User, text)],
        blend: vec![],
    };
    let sampling = Sampling { max_tokens: 24, temperature: 0.9, ..Sampling::default() };
    ChatRequest { rows: voices.iter().map(row).collect(), sampling }
}

fn text_of(events: &[ChatEvent], wanted: usize) -> String {
    let texts = events.iter().filter_map(|event| match event {
        ChatEvent::Text { row, text } if *row == wanted => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[tokio::test]
async fn the_world_names_model_cultures_and_surveys() {
    let app = TestApp::start().await;
    let world: World = app.get("/api/world").await.json().await.unwrap();
    assert_eq!(world.model.hash.len(), 12);
    assert!(!world.model.starter);
    assert_eq!(world.cultures.len(), 2);
    assert_eq!(world.surveys[0].id, SURVEY);
    assert_eq!(world.surveys[0].evaluated, 4);
    assert!(world.surveys[0].provenance.is_simulated());
}

#[tokio::test]
async fn voices_stream_together_and_say_how_they_came_to_be() {
    let app = TestApp::start().await;
    let voices = [Voice::unaware(), thai(), Voice::aware("USA".parse().unwrap())];
    let events = app.chat(&request(&voices, "What do you like to eat?")).await;
    for row in 0..voices.len() {
        let reply = events.iter().find_map(|event| match event {
            ChatEvent::Done { row: done, reply } if *done == row => Some(reply),
            _ => None,
        });
        let reply = reply.unwrap_or_else(|| panic!("row {row} never ended: {events:?}"));
        assert_eq!((reply.seed, &reply.adapter), (7, &None));
        assert!(reply.tokens > 0 && reply.tokens <= 24, "{reply:?}");
        assert_eq!(reply.finish == Finish::Length, reply.tokens == 24, "{reply:?}");
    }
    assert_ne!(text_of(&events, 0), text_of(&events, 1), "the persona has no effect");
}

#[tokio::test]
async fn a_voice_says_the_same_alone_and_beside_others() {
    let app = TestApp::start().await;
    let voices = [Voice::unaware(), thai(), Voice::aware("USA".parse().unwrap())];
    let together = app.chat(&request(&voices, "Tell me about your home.")).await;
    for (row, voice) in voices.into_iter().enumerate() {
        let alone = app.chat(&request(&[voice], "Tell me about your home.")).await;
        assert_eq!(text_of(&alone, 0), text_of(&together, row), "row {row}");
    }
}

#[tokio::test]
async fn a_row_may_mix_adapters() {
    let app = TestApp::with_adapters(&["one", "two"]).await;
    let parts = |parts: &[(&str, f64)]| -> Value {
        let part = |(adapter, weight): &(&str, f64)| json!({"adapter": adapter, "weight": weight});
        parts.iter().map(part).collect()
    };
    let mut body =
        json!(request(&[thai(), Voice { adapter: Some("one".to_owned()), ..thai() }], "Hi"));
    assert_eq!(body["rows"][0].get("blend"), None, "rows without a blend look as before");
    body["rows"][0]["blend"] = parts(&[("one", 0.5), ("two", 0.5)]);
    let events = app.chat(&serde_json::from_value(body.clone()).unwrap()).await;
    let adapter = |wanted: usize| {
        events.iter().find_map(|event| match event {
            ChatEvent::Done { row, reply } if *row == wanted => reply.adapter.clone(),
            _ => None,
        })
    };
    assert_eq!(adapter(0).unwrap().name, "0.5 one + 0.5 two");
    assert_eq!(adapter(1).unwrap().name, "one");
    assert_ne!(text_of(&events, 0), text_of(&events, 1));
    body["rows"][0]["blend"] = parts(&[("one", 1.0)]);
    let events = app.chat(&serde_json::from_value(body.clone()).unwrap()).await;
    assert_eq!(text_of(&events, 0), text_of(&events, 1));
    let many: Vec<(&str, f64)> = vec![("one", 0.1); 9];
    for (row, blend, status, code) in [
        (0, parts(&[("one", 0.5), ("three", 0.5)]), 404, "unknown-adapter"),
        (0, parts(&[("one", 0.5), ("one", 0.5)]), 422, "invalid-request"),
        (0, parts(&[("one", 2.5)]), 422, "invalid-request"),
        (0, parts(&many), 422, "invalid-request"),
        (1, parts(&[("two", 0.5)]), 400, "voice-and-blend"),
        (0, json!([{"adapter": "one"}]), 400, "malformed-json"),
    ] {
        let mut body = body.clone();
        body["rows"][row]["blend"] = blend;
        let response = app.post("/api/chat", &body).await;
        assert_eq!(response.status(), status, "{body}");
        let error: ApiError = response.json().await.unwrap();
        assert_eq!(error.code, code, "{error:?}");
    }
}

/// One machine answers at several addresses there.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_that_has_its_share_is_told_when_to_come_back() {
    let app = TestApp::with(Limits { client_rows: 1, ..Limits::default() }, &[]).await;
    let mut body = request(&[thai()], "Go on.");
    // The most probable tokens go in circles, and never to the end of the reply.
    body.sampling = Sampling { temperature: 0.0, max_tokens: 100_000, ..Sampling::default() };
    let body = json!(body);
    let held = app.post("/api/chat", &body).await;
    assert_eq!(held.status(), StatusCode::OK);
    let refused = app.post("/api/chat", &body).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(seconds >= 1);
    let other = Client::builder().local_address("127.0.0.2".parse().ok()).build().unwrap();
    let answer = other.post(app.address("/api/chat")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    drop((held, answer));
}

#[tokio::test]
async fn bad_requests_are_refused_and_the_server_goes_on() {
    let app = TestApp::start().await;
    let good = json!(request(&[thai()], "Hello"));
    let change = |pointer: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let message = |text: String| change("/rows/0/messages/0/content", json!(text));
    let many: Vec<Value> = vec![good["rows"][0].clone(); MAX_VOICES + 1];
    let cases = [
        (change("/rows/0/voice/culture", json!("XXX")), 404, "unknown-culture", "`XXX`"),
        (change("/rows/0/voice/adapter", json!("joint")), 404, "unknown-adapter", "`joint`"),
        (change("/rows/0/voice/style", json!("unaware")), 400, "voice-style", "`unaware`"),
        (change("/rows/0/voice/culture", json!("tha")), 400, "malformed-json", "`tha`"),
        (change("/rows", json!([])), 400, "voice-count", "not to 0"),
        (change("/rows", json!(many)), 400, "voice-count", "not to 7"),
        (change("/rows/0/messages", json!([])), 400, "message-order", "user's message"),
        (change("/rows/0/messages/0/role", json!("system")), 400, "message-order", "system"),
        (message(String::new()), 400, "empty-message", "empty"),
        (message("  \n".to_owned()), 400, "empty-message", "empty"),
        (message("a".repeat(MAX_MESSAGE_BYTES + 1)), 413, "message-too-long", "8193 bytes"),
        (message("a".repeat(1 << 20)), 413, "too-large", "524288 bytes"),
        (message("a".repeat(6000)), 422, "context-exceeded", "tokens"),
        (change("/sampling/temperature", json!(-1.0)), 400, "sampling", "`temperature`"),
        (change("/sampling/top_p", json!(0.0)), 400, "sampling", "`top_p`"),
        (change("/sampling/max_tokens", json!(0)), 400, "sampling", "`max_tokens`"),
    ];
    for (body, status, code, names) in cases {
        let response = app.post("/api/chat", &body).await;
        assert_eq!(response.status().as_u16(), status, "{code}");
        let error: ApiError = response.json().await.unwrap();
        assert_eq!(error.code, code);
        assert!(error.message.contains(names), "{code}: {}", error.message);
        assert!(error.hint.is_some_and(|hint| !hint.is_empty()), "{code} has no way out");
    }
    let malformed = app.client.post(app.address("/api/chat")).body("{\"rows\": [");
    let malformed = malformed.header("content-type", "application/json").send().await.unwrap();
    assert_eq!(malformed.status(), StatusCode::BAD_REQUEST);
    assert_eq!(malformed.json::<ApiError>().await.unwrap().code, "malformed-json");
    assert!(!app.chat(&request(&[thai()], "Hello")).await.is_empty());
}

#[tokio::test]
async fn a_survey_run_tells_its_progress_and_keeps_raw_answers() {
    let app = TestApp::start().await;
    let wanted = SurveyRunRequest {
        survey: SURVEY.to_owned(),
        voices: vec![Voice::unaware(), thai()],
        templates: None,
    };
    let response = app.post("/api/survey-runs", &json!(wanted)).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let started: SurveyRunInfo = response.json().await.unwrap();
    assert_eq!(started.total, 8);
    let path = format!("/api/survey-runs/{}", started.id);
    let progress: Vec<SurveyRunInfo> = events(app.get(&format!("{path}/events")).await).await;
    let last = progress.last().unwrap();
    assert_eq!((last.state, last.answered), (JobState::Done, 8));

    let run: SurveyRun = app.get(&path).await.json().await.unwrap();
    let survey = survey();
    for answers in &run.answers {
        assert_eq!(answers.len(), 4);
        for answer in answers {
            let options = survey.question(&answer.question).unwrap().options.len();
            assert_eq!(answer.probabilities.len(), options);
            assert!((answer.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        }
    }
    let runs: Vec<SurveyRunInfo> = app.get("/api/survey-runs").await.json().await.unwrap();
    assert_eq!(runs.len(), 1);
}

#[tokio::test]
async fn unknown_things_are_named() {
    let app = TestApp::start().await;
    for (path, code) in [
        ("/api/surveys/nothing", "unknown-survey"),
        ("/api/survey-runs/nothing", "unknown-run"),
        ("/api/nothing", "unknown-address"),
    ] {
        let response = app.get(path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        let error: ApiError = response.json().await.unwrap();
        assert_eq!(error.code, code);
        assert!(error.message.contains("nothing"), "{}", error.message);
    }
    let unknown = json!({ "survey": "nothing", "voices": [Voice::unaware()] });
    let response = app.post("/api/survey-runs", &unknown).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_are_rendered_with_what_is_loaded() {
    let app = TestApp::start().await;
    for (path, status) in [("/", 200), ("/survey", 200), ("/nowhere", 404)] {
        let response = app.get(path).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        let page = response.text().await.unwrap();
        assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Polylogue"), "{path}");
    }
    let talk = app.get("/").await.text().await.unwrap();
    assert!(
        talk.contains("THA") && talk.contains("Thailand"),
        "cultures are missing from the page"
    );
}
