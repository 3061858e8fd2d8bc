//! What can go wrong between a model folder and a reply.
//!
//! This is the engine's only error type. A message names the thing in backticks, the rule and the
//! given value; the way out follows on the next line. The HTTP layer maps [`EngineError::code`] to
//! a status; nothing here knows of HTTP.

use std::path::PathBuf;
use std::time::Duration;

use super::device::DeviceError;

/// Why the engine refused or failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EngineError {
    /// The binary was built before the starter's weights were there.
    #[error(
        "the starter model isn't built in: `server/assets/starter/model/model.safetensors` was \
         missing when this binary was built\nTrain it with `polylogue starter train` and build \
         again, or name a model folder with `--model DIR`."
    )]
    StarterMissing,

    /// The device asked for can't be used.
    #[error("{reason}")]
    Device {
        /// Which device and why, with a way out.
        reason: String,
    },

    /// The model folder isn't there, or isn't a folder.
    #[error(
        "`{}` is not a folder\nName a folder that holds config.json, tokenizer.json and \
         *.safetensors files, a file that ends in .gguf, or a model of the Hugging Face hub as \
         `owner/name`.", path.display()
    )]
    FolderMissing {
        /// The folder asked for.
        path: PathBuf,
    },

    /// A model can't be fetched from the Hugging Face hub.
    #[error("the model `{model}` can't be fetched: {reason}\n{hint}")]
    Hub {
        /// Its name on the hub.
        model: String,
        /// What the hub or the network says.
        reason: String,
        /// A way out.
        hint: String,
        /// Whether the hub answered at all.
        reachable: bool,
    },

    /// A file that every model folder needs isn't there.
    #[error("`{}` is missing\n{hint}", path.display())]
    FileMissing {
        /// The file looked for.
        path: PathBuf,
        /// A way out.
        hint: String,
    },

    /// A file can't be read or doesn't say what it must.
    #[error("`{}` can't be used: {reason}\nDownload or copy the model again.", path.display())]
    FileBroken {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },

    /// The decoder doesn't know the architecture.
    #[error(
        "`{}` names the architecture `{architecture}`, which isn't supported\nSupported: {supported}.",
        path.display()
    )]
    UnsupportedArchitecture {
        /// The config file.
        path: PathBuf,
        /// The architecture it names.
        architecture: String,
        /// Those that load, joined by commas.
        supported: String,
    },

    /// The decoder refuses the configuration or a tensor.
    #[error("the model in `{}` can't be loaded: {reason}", path.display())]
    ModelRefused {
        /// The folder.
        path: PathBuf,
        /// The decoder's own message, with a way out.
        reason: String,
    },

    /// The tokenizer and the model don't belong together.
    #[error(
        "the tokenizer doesn't fit the model: {reason}\nUse the tokenizer files that came with the \
         model's weights."
    )]
    TokenizerMismatch {
        /// Which rule is broken, by which value.
        reason: String,
    },

    /// The model's files hold no chat template.
    #[error(
        "the model has no chat template: there is neither a `chat_template` in tokenizer_config.json nor a \
         chat_template.jinja\nUse a model that was made for conversations (often named `-Instruct` or \
         `-it`), or put a chat_template.jinja into its folder."
    )]
    TemplateMissing,

    /// The chat template can't be parsed or rendered.
    #[error(
        "the chat template of the model failed: {reason}\nMend `chat_template` in \
         tokenizer_config.json, or the messages it refuses."
    )]
    Template {
        /// What the template engine says.
        reason: String,
    },

    /// The text can't be turned into tokens.
    #[error("the tokenizer failed: {reason}\nShorten the message or remove unusual characters.")]
    Tokenizer {
        /// What the tokenizer says.
        reason: String,
    },

    /// The prompt leaves no room for a reply.
    #[error(
        "the prompt has {tokens} tokens, but {} {limit} including the reply\nShorten the message \
         or start a new conversation{}.",
        context_of(model, *memory),
        if memory.is_some() { ", or use a smaller model, or give it more memory (`--cache-memory`)" } else { "" }
    )]
    ContextExceeded {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens that fit.
        limit: usize,
        /// The model's name.
        model: String,
        /// Bytes that there are for what the model remembers of one text, where they and not the
        /// model are the limit.
        memory: Option<usize>,
    },

    /// A request that asks for nothing, or for something that has no meaning.
    #[error("{reason}")]
    InvalidRequest {
        /// The rule, the given value and, on its own line, a way out.
        reason: String,
    },

    /// No adapter of that name is loaded.
    #[error("the adapter `{name}` isn't loaded\n{}", known_adapters(known))]
    UnknownAdapter {
        /// The name asked for.
        name: String,
        /// Names that are loaded.
        known: Vec<String>,
    },

    /// The adapter can't be used with this model.
    #[error("the adapter `{name}` can't be loaded: {reason}")]
    Adapter {
        /// Its name.
        name: String,
        /// What is wrong, with a way out.
        reason: String,
    },

    /// More work is queued than the engine takes on, or rows hold all memory for adapters.
    #[error(
        "the engine is busy: it takes on no more than {limit} {unit} at once\nTry again in {} s.",
        retry_after.as_secs().max(1)
    )]
    Overloaded {
        /// When there is likely to be room.
        retry_after: Duration,
        /// Largest number that it takes on.
        limit: usize,
        /// What is counted: `replies`, `survey requests` or `MB of adapters`.
        unit: &'static str,
    },

    /// One client has queued its share.
    #[error(
        "this client has its {limit} {unit} at work or waiting, the most that one may have\nTry again \
         in {} s, or end some of them.", retry_after.as_secs().max(1)
    )]
    ClientBusy {
        /// When there is likely to be room.
        retry_after: Duration,
        /// Largest number that one client may have.
        limit: usize,
        /// What is counted: `replies` or `survey requests`.
        unit: &'static str,
    },

    /// A reply or a request to score took longer than it may.
    #[error(
        "the answer {} within {} s\nTry again when the engine is less busy, or ask for less.",
        if *waiting { "got no place in the batch" } else { "wasn't complete" }, limit.as_secs_f64()
    )]
    TimedOut {
        /// How long it may take.
        limit: Duration,
        /// Whether it was still waiting for its turn.
        waiting: bool,
    },

    /// Nobody took a reply's text.
    #[error(
        "the reply was given up: more than {limit} bytes of its text weren't read\nRead the events as \
         they come, or close the connection."
    )]
    Unread {
        /// Bytes that may wait.
        limit: usize,
    },

    /// The model's arithmetic failed for the rows of one forward pass.
    #[error(
        "the model failed while it computed: {reason}\nTry again; if it stays, restart the server."
    )]
    Compute {
        /// What candle or the panic says.
        reason: String,
    },

    /// The thread that owns the model has ended.
    #[error("the engine has stopped\nRestart the server.")]
    Stopped,
}

impl EngineError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::StarterMissing => "starter-missing",
            Self::Device { .. } => "device",
            Self::FolderMissing { .. } | Self::FileMissing { .. } | Self::Hub { .. } => {
                "model-missing"
            }
            Self::FileBroken { .. } | Self::ModelRefused { .. } => "model-broken",
            Self::UnsupportedArchitecture { .. } => "unsupported-architecture",
            Self::TokenizerMismatch { .. } => "tokenizer-mismatch",
            Self::TemplateMissing | Self::Template { .. } => "chat-template",
            Self::Tokenizer { .. } => "tokenizer",
            Self::ContextExceeded { .. } => "context-exceeded",
            Self::InvalidRequest { .. } => "invalid-request",
            Self::UnknownAdapter { .. } => "unknown-adapter",
            Self::Adapter { .. } => "adapter",
            Self::Overloaded { .. } => "overloaded",
            Self::ClientBusy { .. } => "client-busy",
            Self::TimedOut { .. } => "timed-out",
            Self::Unread { .. } => "unread",
            Self::Compute { .. } => "compute",
            Self::Stopped => "engine-stopped",
        }
    }

    /// When to try again, where that alone may help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after, .. } | Self::ClientBusy { retry_after, .. } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }

    /// A refusal of the request itself, with a way out in `hint`.
    pub(crate) fn invalid(rule: impl std::fmt::Display, hint: &str) -> Self {
        Self::InvalidRequest { reason: format!("{rule}\n{hint}") }
    }
}

impl From<DeviceError> for EngineError {
    fn from(error: DeviceError) -> Self {
        Self::Device { reason: error.to_string() }
    }
}

/// What holds a prompt and its reply, as the start of a sentence that says how many tokens.
fn context_of(model: &str, memory: Option<usize>) -> String {
    match memory {
        None => format!("the context of `{model}` holds"),
        Some(bytes) => {
            let megabytes = bytes as f64 / 1e6;
            format!("the {megabytes:.1} MB of memory for what `{model}` has read hold")
        }
    }
}

fn known_adapters(known: &[String]) -> String {
    if known.is_empty() {
        return "No adapter is loaded; leave the adapter out.".to_owned();
    }
    let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    format!("Loaded: {}.", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::family::supported;

    #[test]
    fn every_message_has_a_hint_on_its_second_line() {
        let errors = [
            EngineError::StarterMissing,
            EngineError::from(DeviceError::Unknown("gpu".to_owned())),
            EngineError::from(DeviceError::NotCompiled(0)),
            EngineError::FolderMissing { path: "m".into() },
            EngineError::Hub {
                model: "a/b".to_owned(),
                reason: "it is gone".to_owned(),
                hint: "Choose another.".to_owned(),
                reachable: true,
            },
            EngineError::FileMissing { path: "m".into(), hint: "Fetch it.".to_owned() },
            EngineError::FileBroken { path: "m".into(), reason: "it is cut off".to_owned() },
            EngineError::UnsupportedArchitecture {
                path: "m".into(),
                architecture: "Other".to_owned(),
                supported: supported(),
            },
            EngineError::TokenizerMismatch { reason: "it is another's".to_owned() },
            EngineError::TemplateMissing,
            EngineError::Template { reason: "it never ends".to_owned() },
            EngineError::Tokenizer { reason: "it is no text".to_owned() },
            EngineError::ContextExceeded {
                tokens: 9,
                limit: 8,
                model: "m".to_owned(),
                memory: None,
            },
            EngineError::ContextExceeded {
                tokens: 9,
                limit: 8,
                model: "m".to_owned(),
                memory: Some(5_000_000),
            },
            EngineError::Compute { reason: "a number is none".to_owned() },
            EngineError::UnknownAdapter { name: "x".to_owned(), known: vec!["joint".to_owned()] },
            EngineError::UnknownAdapter { name: "x".to_owned(), known: vec![] },
            EngineError::invalid("`top_p` must be above 0, not 0", "Use a value such as 0.9."),
            EngineError::Overloaded { retry_after: Duration::ZERO, limit: 9, unit: "replies" },
            EngineError::ClientBusy { retry_after: Duration::ZERO, limit: 9, unit: "replies" },
            EngineError::TimedOut { limit: Duration::from_secs(9), waiting: true },
            EngineError::Unread { limit: 9 },
            EngineError::Stopped,
        ];
        for error in errors {
            let text = error.to_string();
            assert_eq!(text.lines().count(), 2, "{text}");
        }
    }
}
