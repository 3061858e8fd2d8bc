//! The engine as a whole, on a tiny random model.

mod generation;
mod loading;
mod quantised;
mod scoring;
mod speed;

use app::api::Sampling;
use domain::prompt::{Message, Role};
use tempfile::TempDir;

use super::testing::{tiny_config, tiny_model_dir};
use super::{DeviceChoice, Engine, EngineConfig, GenerateRow, ModelSource};

/// An engine with the tiny model.
fn tiny_engine() -> (Engine, TempDir) {
    let folder = tiny_model_dir();
    let source = ModelSource::Folder(folder.path().to_owned());
    (Engine::start(EngineConfig::new(source, DeviceChoice::Cpu)).unwrap(), folder)
}

fn conversation(persona: &str, message: &str) -> Vec<Message> {
    vec![Message::new(Role::System, persona), Message::new(Role::User, message)]
}

fn row(persona: &str, adapter: Option<&str>, seed: u64) -> GenerateRow {
    GenerateRow {
        messages: conversation(persona, "What do you do on a free day?"),
        adapter: adapter.map(str::to_owned),
        sampling: Sampling { temperature: 0.9, top_p: 0.95, seed, max_tokens: 40 },
    }
}
