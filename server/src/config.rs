//! Arguments that several commands share, and what they mean.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use crate::jobs::{JobError, TemplateSets};
use crate::pages;
use crate::store::{DatabaseUrl, Store, StoreError, default_folder};
use engine::{DeviceChoice, Engine, EngineConfig, EngineError, WeightFormat};

/// Names the database where the command line doesn't.
pub const DATABASE_VARIABLE: &str = "POLYLOGUE_DATABASE";

/// Where things are kept.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// Folder with everything that is kept; by default the user's own data folder.
    #[arg(long, value_name = "DIR", env = "POLYLOGUE_DATA")]
    pub data: Option<PathBuf>,
    /// A PostgreSQL database, `postgres://user:password@host:5432/name`, which several servers may
    /// share, each with a data folder of its own; by default a SQLite file in the data folder.
    #[arg(long, value_name = "URL", env = DATABASE_VARIABLE, hide_env_values = true)]
    pub database: Option<DatabaseUrl>,
}

impl StoreArgs {
    /// Opens the data folder and the database.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open(&self) -> Result<Store, StoreError> {
        let folder = match &self.data {
            Some(folder) => folder.clone(),
            None => default_folder()?,
        };
        match &self.database {
            Some(database) => Store::open_shared(&folder, database).await,
            None => Store::open(&folder).await,
        }
    }
}

/// Prompt templates beside the built-in ones.
#[derive(Debug, Clone, Default, Args)]
pub struct TemplateArgs {
    /// Folder with sets of prompt templates, one TOML file each.
    #[arg(long, value_name = "DIR", env = "POLYLOGUE_TEMPLATES")]
    pub templates: Option<PathBuf>,
}

impl TemplateArgs {
    /// The same as options of a command; empty where no folder is named.
    pub fn options(&self) -> String {
        let folder = self.templates.as_ref();
        folder.map_or_else(String::new, |folder| {
            format!("--templates {}", shell_word(&folder.to_string_lossy()))
        })
    }

    /// Reads the folder.
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub fn read(&self) -> Result<TemplateSets, JobError> {
        TemplateSets::read(self.templates.as_deref())
    }
}

/// A value as a shell takes it: in quotes where it holds what a shell would read otherwise.
fn shell_word(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./@:+,".contains(c);
    match !value.is_empty() && value.chars().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

/// Which model computes, and where.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// `starter`; a folder with config.json, tokenizer files and *.safetensors; a file that ends in
    /// .gguf; or a model of the Hugging Face hub as `owner/name` or `owner/name@revision` (HF_HOME,
    /// HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE mean what they mean to Hugging Face's own tools).
    #[arg(long, value_name = "MODEL", default_value = "starter", env = "POLYLOGUE_MODEL")]
    pub model: String,
    /// `auto`, `cpu` or `cuda:N`.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
    /// How matrices are kept in memory: `f32`; `bf16` or `f16` (half of it); `q8_0` (a quarter) or `q4k`
    /// (an eighth), which are faster on the CPU and change answers a little; `stored` as they are in
    /// the file. By default `stored` for GGUF files and `f32` for others; on a GPU `bf16`.
    #[arg(long, value_name = "FORMAT", env = "POLYLOGUE_WEIGHTS")]
    pub weights: Option<WeightFormat>,
    /// Memory for the keys and values of all replies at work, in megabytes. By default 2000; on a GPU half
    /// of what the model leaves. A prompt that needs more is refused.
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(1..))]
    pub cache_memory: Option<u32>,
    /// Memory for adapters, in megabytes, by default 4000; those that have not been asked for the longest
    /// leave it.
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(1..))]
    pub adapter_memory: Option<u32>,
}

impl ModelArgs {
    /// The same model in the same form as options of a command; empty for the built-in one as it is.
    pub fn options(&self) -> String {
        let model =
            (self.model != "starter").then(|| format!("--model {}", shell_word(&self.model)));
        let weights = self.weights.map(|weights| format!("--weights {weights}"));
        model.into_iter().chain(weights).collect::<Vec<_>>().join(" ")
    }

    /// What the engine is started with.
    pub fn config(&self) -> EngineConfig {
        let bytes = |megabytes: u32| megabytes as usize * 1_000_000;
        let mut config = EngineConfig::new(self.model.as_str().into(), self.device);
        config.weights = self.weights;
        config.limits.cache_bytes = self.cache_memory.map(bytes);
        let adapter_bytes = self.adapter_memory.map(bytes);
        config.limits.adapter_bytes = adapter_bytes.unwrap_or(config.limits.adapter_bytes);
        config
    }

    /// Loads the model and starts the engine, away from the async threads.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn start(&self) -> Result<Engine, EngineError> {
        let config = self.config();
        tokio::task::spawn_blocking(move || pages::while_loading(|| Engine::start(config)))
            .await
            .unwrap_or(Err(EngineError::Stopped))
    }
}

/// What `polylogue serve` is told.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Address and port to listen on; port 0 takes a free one and prints it.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:3000",
        env = "POLYLOGUE_ADDR"
    )]
    pub addr: SocketAddr,
    /// Addresses of proxies in front of this server, separated by commas. Visitors take turns by their
    /// address, and what these say in `X-Forwarded-For` is believed; without this, all visitors behind
    /// a proxy are one.
    #[arg(long, value_name = "IP", value_delimiter = ',', env = "POLYLOGUE_PROXY")]
    pub proxy: Vec<IpAddr>,
    /// Folder with the built client; by default `site` beside the program's folder, where `cargo xtask`
    /// puts both.
    #[arg(long, value_name = "DIR", env = "POLYLOGUE_SITE")]
    pub site: Option<PathBuf>,
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The data folder.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Prompt templates.
    #[command(flatten)]
    pub templates: TemplateArgs,
}

impl ServeArgs {
    /// Where the built client is looked for.
    pub fn site(&self) -> PathBuf {
        let beside = || Some(std::env::current_exe().ok()?.parent()?.parent()?.join("site"));
        self.site.clone().or_else(beside).unwrap_or_else(|| PathBuf::from("site"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_was_told_is_said_as_options() {
        for (model, weights, expect) in [
            ("starter", None, ""),
            ("Qwen/Qwen2.5-0.5B@main", None, "--model Qwen/Qwen2.5-0.5B@main"),
            ("my model.gguf", Some(WeightFormat::Q8_0), "--model 'my model.gguf' --weights q8_0"),
            ("it's", None, r"--model 'it'\''s'"),
            ("starter", Some(WeightFormat::Q8_0), "--weights q8_0"),
        ] {
            let args = ModelArgs {
                model: model.to_owned(),
                device: DeviceChoice::Cpu,
                weights,
                cache_memory: None,
                adapter_memory: None,
            };
            assert_eq!(args.options(), expect);
        }
        assert_eq!(TemplateArgs::default().options(), "");
        let templates = TemplateArgs { templates: Some("prompts/thai".into()) };
        assert_eq!(templates.options(), "--templates prompts/thai");
    }
}
