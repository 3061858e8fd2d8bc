//! What can go wrong in a job. Errors of the engine, the store and tuning pass through unchanged.

use std::io::ErrorKind;
use std::path::PathBuf;

use app::api::{ApiError, JobState};
use domain::method::BadSetting;

use crate::store::StoreError;
use engine::tuning::TuningError;
use engine::{EngineError, short_id};

/// Why a job refused or stopped.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The model refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),

    /// A result can't be kept, or a named thing isn't in the store.
    #[error(transparent)]
    Store(#[from] StoreError),

    /// Tuning failed, or an adapter's files can't be written.
    #[error(transparent)]
    Tuning(#[from] TuningError),

    /// The survey has no such culture.
    #[error("`{culture}` is not a culture of the survey `{survey}`\nKnown cultures: {known}.")]
    UnknownCulture {
        /// The culture asked for.
        culture: String,
        /// The survey.
        survey: String,
        /// Its cultures, joined by commas.
        known: String,
    },

    /// A setting or request breaks a rule.
    #[error("{rule}\n{hint}")]
    Refused {
        /// The rule and the given value.
        rule: String,
        /// A way out.
        hint: String,
    },

    /// The run was begun with another base model; its results would be mixed.
    #[error(
        "the run `{run}` was begun with the model {begun}, but {loaded} is loaded\nLoad that model \
         with `--model`, or begin a new run."
    )]
    OtherModel {
        /// The run.
        run: String,
        /// First digits of the hash it was begun with.
        begun: String,
        /// First digits of the loaded model's hash.
        loaded: String,
    },

    /// An earlier step of the method hasn't been done.
    #[error("the run `{run}` has no {what} yet\nRun `polylogue {step} --run {run}` first.")]
    StepMissing {
        /// The run.
        run: String,
        /// What is missing: `answers`.
        what: &'static str,
        /// The command that makes it.
        step: &'static str,
    },

    /// A file to import doesn't have its shape.
    #[error("`{}`: {rule}\n{hint}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// Which rule is broken, by which key and value.
        rule: String,
        /// A way out.
        hint: String,
    },

    /// The work ended by a defect of ours; what was done is kept.
    #[error(
        "the run ended without a result: {reason}\nStart it again: it goes on where it stopped."
    )]
    BrokenOff {
        /// What is known of it.
        reason: String,
    },

    /// A command that was at work on it ended before the run did.
    #[error(
        "the run `{run}` was left unfinished by a command that ended\nWhat was done is kept; resume \
         it, or cancel it."
    )]
    LeftUnfinished {
        /// The run.
        run: String,
    },

    /// A person stopped it; what was done is kept.
    #[error("the run was stopped\nWhat was done is kept; start it again to go on.")]
    Cancelled,
}

impl From<BadSetting> for JobError {
    fn from(BadSetting { rule, hint, .. }: BadSetting) -> Self {
        Self::Refused { rule, hint }
    }
}

impl JobError {
    /// A run that was begun with another model than the loaded one, both by their
    /// [`Engine::model_id`](engine::Engine::model_id).
    pub fn other_model(run: String, begun: &str, loaded: &str) -> Self {
        Self::OtherModel { run, begun: short_id(begun), loaded: short_id(loaded) }
    }

    /// Work whose task ended by itself.
    pub(crate) fn broken_off(end: &tokio::task::JoinError) -> Self {
        Self::BrokenOff { reason: end.to_string() }
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Tuning(_) => "tuning",
            Self::UnknownCulture { .. } => "unknown-culture",
            Self::Refused { .. } => "invalid-request",
            Self::OtherModel { .. } => "other-model",
            Self::StepMissing { .. } => "step-missing",
            Self::BadFile { .. } => "bad-file",
            Self::BrokenOff { .. } => "broken-off",
            Self::LeftUnfinished { .. } => "left-unfinished",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the caller asked for something that can't be, rather than that something broke.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::UnknownCulture { .. }
                | Self::Refused { .. }
                | Self::OtherModel { .. }
                | Self::StepMissing { .. }
                | Self::BadFile { .. }
        )
    }

    /// Where it leaves a run: one without room waits until there is some, others have failed.
    pub(crate) fn end_state(&self) -> JobState {
        match self {
            Self::Store(StoreError::Full { .. }) => JobState::Paused,
            Self::Tuning(TuningError::Write { source, .. })
                if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
            {
                JobState::Paused
            }
            _ => JobState::Failed,
        }
    }

    /// The error as clients are told: message and way out apart.
    pub fn to_api(&self) -> ApiError {
        let text = self.to_string();
        let (message, hint) = match text.split_once('\n') {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        ApiError { code: self.code().to_owned(), message, hint, status: None }
    }

    /// A run that can't go on because something it began with has changed since.
    pub(crate) fn other_inputs(run: &str, what: &str) -> Self {
        let rule = format!("the run `{run}` was begun with {what}; its results would be mixed");
        Self::Refused { rule, hint: "Begin a new run.".to_owned() }
    }

    /// A refusal with a way out.
    pub(crate) fn refused(rule: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { rule: rule.into(), hint: hint.into() }
    }
}
