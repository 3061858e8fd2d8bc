//! The wire types of the public HTTP API, shared by the browser, the server and the tests.
//!
//! Addresses (all under `/api`):
//! - `GET  /world` -> [`World`]: what is loaded and who can speak;
//! - `POST /chat` [`ChatRequest`] -> server-sent events, each a [`ChatEvent`] as JSON;
//! - `GET  /surveys/{id}` -> [`domain::survey::Survey`];
//! - `POST /surveys/import` multipart files -> [`import::ImportReport`]; the query may hold `id`, `name`
//!   (of the model whose recorded answers are among the files) and `skip_rejected=true`;
//! - `POST /surveys/import/rejected` multipart files -> every rejected row, a
//!   [`import::RejectedRow`] as JSON a line; nothing is stored;
//! - `GET  /surveys/example.jsonl`, `GET /surveys/example.csv` -> the template with an example;
//! - `GET  /survey-runs` -> list of [`SurveyRunInfo`], newest first;
//! - `POST /survey-runs` [`SurveyRunRequest`] -> [`SurveyRunInfo`];
//! - `GET  /survey-runs/{id}` -> [`SurveyRun`];
//! - `GET  /survey-runs/{id}/events` -> server-sent events, each a [`SurveyRunInfo`], until it ends;
//! - `POST /survey-runs/{id}/cancel` -> [`SurveyRunInfo`];
//! - `POST /survey-runs/{id}/resume` -> [`SurveyRunInfo`];
//! - `GET  /method-runs` -> list of [`MethodRunInfo`], newest first;
//! - `POST /method-runs` [`domain::method::MethodRequest`] -> [`MethodRunInfo`];
//! - `GET  /method-runs/{id}` -> [`MethodRun`];
//! - `GET  /method-runs/{id}/events` -> server-sent events, each a [`MethodRunInfo`], while it is at
//!   work;
//! - `POST /method-runs/{id}/pause`, `/resume`, `/cancel` -> [`MethodRunInfo`];
//! - `POST /method-runs/{id}/adapters/{name}` -> [`AdapterInfo`]: loads the adapter as it is now, its
//!   newest checkpoint while it is tuned, for chats;
//! - `GET  /method-runs/{id}/manifest` -> what went in and what came out, by hashes.
//!
//! Addresses under `/api/annotation` are listed in [`annotation`].
//!
//! A request that is refused is answered with a 4xx or 5xx status and an [`ApiError`] as JSON.

pub mod annotation;
pub mod import;

use domain::answer::SurveyAnswer;
use domain::culture::Culture;
use domain::prompt::{Message, PromptTemplates};
use domain::survey::Provenance;
use domain::voice::Voice;
use serde::{Deserialize, Serialize};

pub use domain::adapter::{AdapterInfo, BlendPart, LARGEST_BLEND, LARGEST_WEIGHT};
pub use domain::model::ModelInfo;
pub use domain::sampling::{Finish, Sampling};
pub use method_run::{MethodRun, MethodRunInfo};

pub mod method_run;

/// What this server has loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct World {
    /// The base model.
    pub model: ModelInfo,
    /// Cultures a persona can name, in display order.
    pub cultures: Vec<Culture>,
    /// Adapters that fit the base model, the joint one first.
    pub adapters: Vec<AdapterInfo>,
    /// Surveys in the store, the starter's first.
    pub surveys: Vec<SurveyInfo>,
    /// Sets of prompt templates, the built-in one first.
    #[serde(default)]
    pub templates: Vec<TemplateInfo>,
    /// Options that give a command what this server was started with.
    #[serde(default)]
    pub options: CommandOptions,
    /// Largest number of voices in one chat request.
    pub max_voices: usize,
    /// Largest size of one message, in bytes.
    pub max_message_bytes: usize,
}

/// Options of commands, with a value each, as they are typed: `--model mine --weights q8_0`. Empty where
/// a command needs none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandOptions {
    /// The same base model in the same form.
    pub model: String,
    /// The same sets of prompt templates beside the built-in one.
    pub templates: String,
}

impl CommandOptions {
    /// Those that a command needs which asks with this set of prompts, by its name or as `id@version`; the
    /// built-in one where it names none.
    pub fn with_prompts(&self, prompts: Option<&str>) -> String {
        let builtin = PromptTemplates::builtin();
        let named = format!("{}@{}", builtin.id(), builtin.version());
        let own = prompts.is_some_and(|prompts| prompts != named);
        let given = [Some(&self.model), Some(&self.templates).filter(|_| own)];
        let given = given.into_iter().flatten().filter(|option| !option.is_empty());
        given.fold(String::new(), |all, option| format!("{all} {option}"))
    }
}

impl World {
    /// The cultures of a survey, in its order; none of an unknown one.
    pub fn cultures_of(&self, survey: &str) -> &[Culture] {
        let found = self.surveys.iter().find(|info| info.id == survey);
        found.map_or(&[], |info| &info.cultures)
    }
}

/// A set of prompt templates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateInfo {
    /// Identifier.
    pub id: String,
    /// Counts up when the wording changes.
    pub version: u32,
    /// ISO 639-3 code of its language.
    pub language: String,
    /// First 12 hexadecimal digits of the SHA-256 of its texts.
    pub hash: String,
}

/// A survey, without its questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurveyInfo {
    /// Identifier.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// Where its reference comes from.
    pub provenance: Provenance,
    /// Number of questions that evaluation uses.
    pub evaluated: usize,
    /// Its cultures, in display order.
    #[serde(default)]
    pub cultures: Vec<Culture>,
}

/// One message to several voices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// One row per reply wanted; all stream from one batch.
    pub rows: Vec<ChatRow>,
    /// How tokens are drawn.
    pub sampling: Sampling,
}

/// One voice with its own conversation so far, ending with the user's message. The server puts the
/// voice's persona in front; system messages in `messages` are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatRow {
    /// Who answers.
    pub voice: Voice,
    /// Alternating user and assistant messages, the last one the user's.
    pub messages: Vec<Message>,
    /// Adapters to mix, for a voice that names none itself: 1 to [`LARGEST_BLEND`], none of them
    /// twice. What is added to the base model is the sum of their changes, each times its weight;
    /// so one adapter with weight 1 is that adapter, and half of two lies between them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blend: Vec<BlendPart>,
}

/// What arrives while voices speak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ChatEvent {
    /// More text of one row.
    Text {
        /// Index into [`ChatRequest::rows`].
        row: usize,
        /// Text to append; whole characters only.
        text: String,
    },
    /// A row is complete.
    Done {
        /// Index into [`ChatRequest::rows`].
        row: usize,
        /// How the reply came to be.
        reply: ReplyInfo,
    },
    /// A row failed; the other rows go on.
    Failed {
        /// Index into [`ChatRequest::rows`].
        row: usize,
        /// Why.
        error: ApiError,
    },
}

/// How a reply came to be; shown under every reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplyInfo {
    /// Base model's name.
    pub model: String,
    /// Base model's hash.
    pub model_hash: String,
    /// Adapter with its hash, if one was applied; a blend is named by its parts and weights.
    pub adapter: Option<AdapterInfo>,
    /// The seed that drew it.
    pub seed: u64,
    /// New tokens.
    pub tokens: usize,
    /// New tokens per second, from the first to the last; 0 where there is one at most.
    pub tokens_per_second: f64,
    /// Why it ended.
    pub finish: Finish,
}

/// Asks a survey of some voices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyRunRequest {
    /// Which survey.
    pub survey: String,
    /// Who answers.
    pub voices: Vec<Voice>,
    /// Set of prompt templates, as `id` or `id@version`; `None` takes the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates: Option<String>,
}

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Waiting or at work.
    Running,
    /// Stopped by a person who means to go on.
    Paused,
    /// Complete.
    Done,
    /// Stopped by a person; what was answered is kept.
    Cancelled,
    /// Stopped by an error.
    Failed,
}

/// Progress of a survey run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurveyRunInfo {
    /// Identifier.
    pub id: String,
    /// Which survey.
    pub survey: String,
    /// Who answers.
    pub voices: Vec<Voice>,
    /// Where it stands.
    pub state: JobState,
    /// Answers in the store.
    pub answered: usize,
    /// Answers wanted: voices x questions.
    pub total: usize,
    /// Seconds that the rest will take, when known.
    pub remaining_seconds: Option<f64>,
    /// Why it failed.
    pub error: Option<ApiError>,
    /// When it was asked for, RFC 3339 in UTC.
    pub created: String,
    /// Name of the model whose answers were recorded elsewhere and imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
    /// Whether the survey's questions have changed since: these answers belong to others and aren't
    /// scored.
    #[serde(default)]
    pub outdated: bool,
    /// Names of the adapters among its voices that learnt answers given after seeing people's (P3):
    /// comparing such a voice with people is no fair test, whatever it is shown itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses_reference: Vec<String>,
}

/// A survey run with its raw answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurveyRun {
    /// Progress.
    pub info: SurveyRunInfo,
    /// Raw answers so far, per voice in the order of [`SurveyRunInfo::voices`]; none where the run is
    /// outdated.
    pub answers: Vec<Vec<SurveyAnswer>>,
}

/// A refusal or failure: what happened to which thing, and a way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Stable word for programs: `unknown-culture`.
    pub code: String,
    /// Names the thing in backticks, the rule and the given value.
    pub message: String,
    /// A way out.
    pub hint: Option<String>,
    /// The HTTP status of the answer that was this refusal, noted by who received it: it says whether
    /// trying again may help, whatever the code. `None` where there was no answer.
    #[serde(skip)]
    pub status: Option<u16>,
}

impl ApiError {
    /// Whether the same request may succeed later: there was no answer, or the server says that it is
    /// busy or in trouble. All else is about the request.
    pub fn is_passing(&self) -> bool {
        match self.status {
            None => self.code == "unreachable",
            Some(status) => status == 429 || status >= 500,
        }
    }

    /// Whether the server couldn't take what the request holds, however often it comes.
    pub fn is_about_content(&self) -> bool {
        matches!(self.status, Some(400 | 413 | 422))
    }
}
