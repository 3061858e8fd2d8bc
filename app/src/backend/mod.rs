//! How the pages reach the server: one trait for what a first paint needs, one for what happens live, and
//! [`annotation`]'s.
//!
//! The server provides its own [`Backend`] as a context while it renders; in the browser [`http`]
//! provides all of them over the public API. **Invariant:** beside links to files, no page knows an address
//! under `/api`.

use std::pin::Pin;
use std::sync::Arc;

use domain::method::MethodRequest;
use domain::survey::Survey;
use futures::{Future, Stream};
use leptos::prelude::use_context;

use crate::api::import::ImportReport;
use crate::api::{
    AdapterInfo, ApiError, ChatEvent, ChatRequest, MethodRun, MethodRunInfo, SurveyRun,
    SurveyRunInfo, SurveyRunRequest, World,
};

use crate::browser::Files;

pub mod annotation;
#[cfg(feature = "hydrate")]
mod annotation_http;
#[cfg(feature = "hydrate")]
pub mod http;
pub mod sse;

/// An answer that arrives later, or a refusal.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send>>;

/// Events as they arrive; dropping the stream tells the server to stop.
pub type Events<T> = Pin<Box<dyn Stream<Item = Result<T, ApiError>> + Send>>;

/// What pages read, on the server and in the browser alike.
pub trait Backend: Send + Sync {
    /// What is loaded and who can speak.
    fn world(&self) -> Answer<World>;
    /// A survey with its questions and reference.
    fn survey(&self, id: String) -> Answer<Survey>;
    /// Earlier runs, newest first.
    fn survey_runs(&self) -> Answer<Vec<SurveyRunInfo>>;
    /// One run with its raw answers.
    fn survey_run(&self, id: String) -> Answer<SurveyRun>;
    /// Runs of the method, newest first.
    fn method_runs(&self) -> Answer<Vec<MethodRunInfo>>;
    /// One run of the method with what its steps have to show.
    fn method_run(&self, id: String) -> Answer<MethodRun>;
}

/// What only happens in a browser: replies and progress while they come.
pub trait Live: Send + Sync {
    /// Sends one message to some voices; resolves once the server has accepted it.
    fn chat(&self, request: ChatRequest) -> Answer<Events<ChatEvent>>;
    /// Imports a survey from files that a person chose. `name` is that of the model whose recorded
    /// answers are among them.
    fn import_survey(
        &self,
        files: Files,
        name: Option<String>,
        skip_rejected: bool,
    ) -> Answer<ImportReport>;
    /// Every row of such files that an import rejects, as JSON lines; imports nothing.
    fn rejected_rows(&self, files: Files, name: Option<String>) -> Answer<Vec<u8>>;
    /// Starts a survey run.
    fn start_survey_run(&self, request: SurveyRunRequest) -> Answer<SurveyRunInfo>;
    /// Stops a survey run; its answers are kept.
    fn cancel_survey_run(&self, id: String) -> Answer<SurveyRunInfo>;
    /// Goes on with a survey run that has stopped before its end.
    fn resume_survey_run(&self, id: String) -> Answer<SurveyRunInfo>;
    /// Progress of a survey run until it ends.
    fn survey_run_events(&self, id: String) -> Answer<Events<SurveyRunInfo>>;
    /// Starts a run of the method.
    fn start_method_run(&self, request: MethodRequest) -> Answer<MethodRunInfo>;
    /// Pauses, resumes or cancels one.
    fn steer_method_run(&self, id: String, how: Steering) -> Answer<MethodRunInfo>;
    /// Progress of a run of the method while it is at work.
    fn method_run_events(&self, id: String) -> Answer<Events<MethodRunInfo>>;
    /// Loads an adapter of a run as it is now, to talk to it.
    fn open_adapter(&self, id: String, name: String) -> Answer<AdapterInfo>;
}

/// What a person does to a run of the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steering {
    /// Stop, to go on later.
    Pause,
    /// Go on.
    Resume,
    /// Stop for good; what was done is kept.
    Cancel,
}

/// The context under which a [`Backend`] is provided.
#[derive(Clone)]
pub struct SharedBackend(pub Arc<dyn Backend>);

/// The context under which a [`Live`] is provided; absent while the server renders.
#[derive(Clone)]
pub struct SharedLive(pub Arc<dyn Live>);

/// The backend of the current context.
///
/// # Errors
/// `no-backend` where none was provided, as while routes are listed.
pub fn use_backend() -> Result<Arc<dyn Backend>, ApiError> {
    use_context::<SharedBackend>().map(|shared| shared.0).ok_or_else(|| ApiError {
        code: "no-backend".to_owned(),
        message: "this page was rendered without a backend".to_owned(),
        hint: None,
        status: None,
    })
}

/// The live connection of the current context, in the browser.
pub fn use_live() -> Option<Arc<dyn Live>> {
    use_context::<SharedLive>().map(|shared| shared.0)
}
