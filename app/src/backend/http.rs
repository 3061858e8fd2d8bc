//! The backend of the browser: the public API over fetch.
//!
//! Every future and stream is wrapped in [`SendWrapper`]: a browser has one thread, and nothing from
//! JavaScript may leave it.

use std::future::Future;
use std::time::Duration;

use domain::method::MethodRequest;
use domain::survey::Survey;
use futures::future::Either;
use futures::{Stream, StreamExt, future, stream};
use gloo_net::http::{Request, RequestBuilder, Response};
use send_wrapper::SendWrapper;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsCast;
use web_sys::AbortController;

use super::{Answer, Backend, Events, Live, Steering, sse};
use crate::api::import::ImportReport;
use crate::api::{
    AdapterInfo, ApiError, ChatEvent, ChatRequest, MethodRun, MethodRunInfo, SurveyRun,
    SurveyRunInfo, SurveyRunRequest, World,
};
use crate::browser::{self, Files};
use crate::link;

/// Reaches the server that the page came from.
pub struct HttpBackend;

impl Backend for HttpBackend {
    fn world(&self) -> Answer<World> {
        later(read(Request::get("/api/world")))
    }

    fn survey(&self, id: String) -> Answer<Survey> {
        let address = format!("/api/surveys/{}", link::escape(&id));
        later(read(Request::get(&address)))
    }

    fn survey_runs(&self) -> Answer<Vec<SurveyRunInfo>> {
        later(read(Request::get("/api/survey-runs")))
    }

    fn survey_run(&self, id: String) -> Answer<SurveyRun> {
        let address = format!("/api/survey-runs/{}", link::escape(&id));
        later(read(Request::get(&address)))
    }

    fn method_runs(&self) -> Answer<Vec<MethodRunInfo>> {
        later(read(Request::get("/api/method-runs")))
    }

    fn method_run(&self, id: String) -> Answer<MethodRun> {
        let address = format!("/api/method-runs/{}", link::escape(&id));
        later(read(Request::get(&address)))
    }
}

impl Live for HttpBackend {
    fn chat(&self, request: ChatRequest) -> Answer<Events<ChatEvent>> {
        later(async move { open(Request::post("/api/chat"), Some(request)).await })
    }

    fn import_survey(
        &self,
        files: Files,
        name: Option<String>,
        skip_rejected: bool,
    ) -> Answer<ImportReport> {
        let name = name.map_or_else(String::new, |name| format!("&name={}", link::escape(&name)));
        let address = format!("/api/surveys/import?skip_rejected={skip_rejected}{name}");
        later(async move {
            let request = Request::post(&address).body(files.into_form()).map_err(unreachable)?;
            accepted(request.send().await).await?.json().await.map_err(unreachable)
        })
    }

    fn rejected_rows(&self, files: Files, name: Option<String>) -> Answer<Vec<u8>> {
        let name = name.map_or_else(String::new, |name| format!("?name={}", link::escape(&name)));
        let address = format!("/api/surveys/import/rejected{name}");
        later(async move {
            let request = Request::post(&address).body(files.into_form());
            let response = accepted(request.map_err(unreachable)?.send().await).await?;
            response.binary().await.map_err(unreachable)
        })
    }

    fn start_survey_run(&self, request: SurveyRunRequest) -> Answer<SurveyRunInfo> {
        later(send("/api/survey-runs", request))
    }

    fn cancel_survey_run(&self, id: String) -> Answer<SurveyRunInfo> {
        let address = format!("/api/survey-runs/{}/cancel", link::escape(&id));
        later(read(Request::post(&address)))
    }

    fn resume_survey_run(&self, id: String) -> Answer<SurveyRunInfo> {
        let address = format!("/api/survey-runs/{}/resume", link::escape(&id));
        later(read(Request::post(&address)))
    }

    fn survey_run_events(&self, id: String) -> Answer<Events<SurveyRunInfo>> {
        let address = format!("/api/survey-runs/{}/events", link::escape(&id));
        later(async move { open(Request::get(&address), None::<()>).await })
    }

    fn start_method_run(&self, request: MethodRequest) -> Answer<MethodRunInfo> {
        later(send("/api/method-runs", request))
    }

    fn steer_method_run(&self, id: String, how: Steering) -> Answer<MethodRunInfo> {
        let word = match how {
            Steering::Pause => "pause",
            Steering::Resume => "resume",
            Steering::Cancel => "cancel",
        };
        let address = format!("/api/method-runs/{}/{word}", link::escape(&id));
        later(read(Request::post(&address)))
    }

    fn method_run_events(&self, id: String) -> Answer<Events<MethodRunInfo>> {
        let address = format!("/api/method-runs/{}/events", link::escape(&id));
        later(async move { open(Request::get(&address), None::<()>).await })
    }

    fn open_adapter(&self, id: String, name: String) -> Answer<AdapterInfo> {
        let (id, name) = (link::escape(&id), link::escape(&name));
        later(read(Request::post(&format!("/api/method-runs/{id}/adapters/{name}"))))
    }
}

pub(super) fn later<T>(future: impl Future<Output = Result<T, ApiError>> + 'static) -> Answer<T> {
    Box::pin(SendWrapper::new(future))
}

pub(super) async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ApiError> {
    accepted(request.send().await).await?.json().await.map_err(unreachable)
}

async fn send<T: DeserializeOwned>(address: &str, body: impl Serialize) -> Result<T, ApiError> {
    let request = Request::post(address).json(&body).map_err(unreachable)?;
    accepted(request.send().await).await?.json().await.map_err(unreachable)
}

/// Lets an answer of success through and reads the refusal from any other.
pub(super) async fn accepted(
    response: Result<Response, gloo_net::Error>,
) -> Result<Response, ApiError> {
    let response = response.map_err(unreachable)?;
    if response.ok() {
        return Ok(response);
    }
    let status = response.status();
    let body = response.text().await.unwrap_or_default();
    let told = serde_json::from_str(&body).unwrap_or_else(|_| ApiError {
        code: format!("http-{status}"),
        message: format!("the server refused `{}` with status {status}", response.url()),
        hint: Some("Try again; if it stays so, look at the server's log.".to_owned()),
        status: None,
    });
    Err(ApiError { status: Some(status), ..told })
}

pub(super) fn unreachable(error: gloo_net::Error) -> ApiError {
    ApiError {
        code: "unreachable".to_owned(),
        message: format!("the server did not answer: {error}"),
        hint: Some("See whether it still runs, then try again.".to_owned()),
        status: None,
    }
}

/// How long an answer is waited for where the same request can be sent again without harm.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Sends a request that can be sent again, and reads the answer. One that a dead network has swallowed is
/// given up after a while: it would hold up everything behind it.
pub(super) async fn timely<T: DeserializeOwned>(
    request: RequestBuilder,
    body: Option<impl Serialize>,
) -> Result<T, ApiError> {
    let controller = AbortController::new().map_err(|error| broken(&error))?;
    let request = request.abort_signal(Some(&controller.signal()));
    // Ends the request where the wait is over; one that was answered no longer minds.
    let _guard = AbortOnDrop(controller);
    let asked = Box::pin(async move {
        let sent = match body {
            Some(body) => request.json(&body).map_err(unreachable)?.send().await,
            None => request.send().await,
        };
        accepted(sent).await?.json().await.map_err(unreachable)
    });
    match future::select(asked, Box::pin(browser::pause(LONGEST_WAIT))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(ApiError {
            code: "unreachable".to_owned(),
            message: format!("the server did not answer within {} s", LONGEST_WAIT.as_secs()),
            hint: Some("See whether the network is there, then try again.".to_owned()),
            status: None,
        }),
    }
}

/// Ends the request when the stream that it feeds is dropped.
struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn open<T: DeserializeOwned + 'static>(
    request: RequestBuilder,
    body: Option<impl Serialize>,
) -> Result<Events<T>, ApiError> {
    let controller = AbortController::new().map_err(|error| broken(&error))?;
    let guard = AbortOnDrop(controller.clone());
    let request =
        request.abort_signal(Some(&controller.signal())).header("accept", "text/event-stream");
    let sent = match body {
        Some(body) => request.json(&body).map_err(unreachable)?.send().await,
        None => request.send().await,
    };
    let response = accepted(sent).await?;
    let Some(body) = response.body() else {
        return Err(broken(&"the answer has no body".into()));
    };
    let bytes = wasm_streams::ReadableStream::from_raw(body.unchecked_into()).into_stream();
    let pieces = bytes.map(|piece| {
        piece.map(|value| js_sys::Uint8Array::new(&value).to_vec()).map_err(|error| broken(&error))
    });
    Ok(Box::pin(SendWrapper::new(events(pieces, guard))))
}

/// Parses pieces into events; `guard` lives as long as the stream.
fn events<T: DeserializeOwned>(
    pieces: impl Stream<Item = Result<Vec<u8>, ApiError>>,
    guard: AbortOnDrop,
) -> impl Stream<Item = Result<T, ApiError>> {
    let mut parser = sse::Parser::default();
    pieces.flat_map(move |piece| {
        let _ = &guard;
        let events: Vec<Result<T, ApiError>> = match piece {
            Ok(bytes) => parser.push(&bytes).iter().map(|data| parse(data)).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(events)
    })
}

pub(super) fn parse<T: DeserializeOwned>(data: &str) -> Result<T, ApiError> {
    serde_json::from_str(data).map_err(|error| ApiError {
        code: "unreadable-event".to_owned(),
        message: format!("the server sent an event that this page cannot read: {error}"),
        hint: Some("Reload the page: the server may be newer than it.".to_owned()),
        status: None,
    })
}

fn broken(error: &wasm_bindgen::JsValue) -> ApiError {
    ApiError {
        code: "connection-lost".to_owned(),
        message: format!(
            "the connection broke: {}",
            error
                .dyn_ref::<js_sys::Error>()
                .map_or_else(|| format!("{error:?}"), |error| error.message().into())
        ),
        hint: Some("See whether the server still runs, then try again.".to_owned()),
        status: None,
    }
}

/// Provides this backend to everything below the current component.
pub fn provide() {
    leptos::prelude::provide_context(super::SharedBackend(std::sync::Arc::new(HttpBackend)));
    leptos::prelude::provide_context(super::SharedLive(std::sync::Arc::new(HttpBackend)));
    let annotation = super::annotation::SharedAnnotation(std::sync::Arc::new(HttpBackend));
    leptos::prelude::provide_context(annotation);
}
