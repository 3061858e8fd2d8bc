//! From a model folder, a GGUF file, or from the binary, to a model that can be run.
//!
//! Every fault of the files is an error that names the file; nothing here panics on bad input. The
//! weights themselves are found and checked in [`super::weights`], GGUF files in [`super::gguf`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use domain::model::ModelInfo;
use serde_json::Value;

use super::decoder::family::supported;
use super::decoder::init::parameter_shapes;
use super::decoder::text_model::text_settings;
use super::decoder::{Decoder, DecoderConfig, DecoderError, TokenIds};
use super::error::EngineError;
use super::gguf::GgufFile;
use super::handle::ModelSource;
use super::hub::{Hub, HubModel};
use super::memory;
use super::starter_files;
use super::tokenizer::{ModelTokenizer, TokenizerFiles};
use super::weight_format::WeightFormat;
use super::weights::{self, Weights};
use super::weights_hash;

/// A model in memory. Its weights never change, so any thread may compute with it.
#[derive(Debug)]
pub struct LoadedModel {
    /// The network.
    pub decoder: Arc<Decoder>,
    /// Its tokenizer and chat template.
    pub tokenizer: Arc<ModelTokenizer>,
    /// What people see of it.
    pub info: ModelInfo,
    /// SHA-256 of the weight files, 64 hexadecimal digits.
    pub hash: String,
    /// In which form its matrices are.
    pub weights: WeightFormat,
    /// Where the weights are.
    pub device: Device,
}

impl LoadedModel {
    /// What answers belong to: the hash of the weights, and the form of the matrices unless they are
    /// dense.
    pub fn id(&self) -> String {
        id(&self.hash, self.weights)
    }

    /// [`Self::load_as`] with dense matrices.
    ///
    /// # Errors
    /// See [`Self::load_as`].
    pub fn load(source: &ModelSource, device: &Device) -> Result<Self, EngineError> {
        Self::load_as(source, device, WeightFormat::F32)
    }

    /// Loads `source` to `device`; matrices are kept as `format` says, see [`WeightFormat::dtype`] for
    /// what is computed with.
    ///
    /// # Errors
    /// See [`EngineError`]: each names the file or tensor at fault.
    pub fn load_as(
        source: &ModelSource,
        device: &Device,
        format: WeightFormat,
    ) -> Result<Self, EngineError> {
        let dtype = format.dtype(device)?;
        let fits = |named: &Path, config: &DecoderConfig, weights: Option<&Weights>| {
            memory::check(named, &parameter_shapes(config), weights, format, device)
        };
        // Of a model of the hub before its weights are fetched.
        let early = |model: &HubModel, config: &DecoderConfig| {
            fits(Path::new(&model.to_string()), config, None)
        };
        let Parts { name, path, config, tokenizer, weights, told } = Parts::read(source, &early)?;
        if *source != ModelSource::Starter {
            fits(&path, &config, Some(&weights))?;
        }
        let shapes = parameter_shapes(&config);
        let builder = weights.builder(dtype, device)?;
        let parameters = shapes.iter().map(|(_, dims)| dims.iter().product::<usize>()).sum();
        let context = config.max_position_embeddings;
        let build = || match format.matrices(&weights, device)? {
            Some(matrices) => Ok(Decoder::with_matrices(config, builder, &matrices)),
            None => Ok(Decoder::new(config, builder)),
        };
        // Reading all files for the hash, and a tokenizer of 150,000 tokens, take about as long as
        // the rest.
        let (decoder, hash, tokenizer) = std::thread::scope(|scope| {
            let hash = scope.spawn(|| weights.hash());
            let tokenizer = scope.spawn(|| tokenizer.build());
            let decoder: Result<_, EngineError> = build();
            (decoder, joined(hash), joined(tokenizer))
        });
        let tokenizer = tokenizer?;
        let decoder = decoder?.map_err(|error| refused(path.clone(), &error))?;
        let hash = hash?;
        // Or the hash would name what isn't in memory.
        if weights_hash::told(&weights.files()) != told {
            return Err(weights::broken(&path, &"it was replaced while it was loaded"));
        }
        let info = ModelInfo {
            name,
            hash: short_id(&id(&hash, format)),
            parameters,
            context,
            device: crate::device::name(device),
            weights: format.to_string(),
            starter: *source == ModelSource::Starter,
        };
        let (decoder, tokenizer) = (Arc::new(decoder), Arc::new(tokenizer));
        let device = device.clone();
        Ok(Self { decoder, tokenizer, info, hash, weights: format, device })
    }
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn id(hash: &str, weights: WeightFormat) -> String {
    match weights {
        WeightFormat::F32 => hash.to_owned(),
        weights => format!("{hash} {weights}"),
    }
}

/// A model's identity as people see it: twelve digits of the hash, and what follows it.
pub fn short_id(id: &str) -> String {
    let (hash, rest) = id.split_at_checked(64).unwrap_or((id, ""));
    hash.chars().take(12).chain(rest.chars()).collect()
}

/// What every source of a model comes down to.
struct Parts {
    name: String,
    /// What a refusal names.
    path: PathBuf,
    config: DecoderConfig,
    tokenizer: TokenizerSource,
    weights: Weights,
    /// What the system said of the weights' files before they were opened.
    told: Option<String>,
}

/// What a tokenizer is made of.
enum TokenizerSource {
    /// Files of a folder, which a fault of theirs names.
    Files(TokenizerFiles, PathBuf),
    /// The metadata of a GGUF file.
    Gguf(Arc<GgufFile>, PathBuf),
}

impl TokenizerSource {
    fn build(&self) -> Result<ModelTokenizer, EngineError> {
        let (made, file) = match self {
            Self::Files(files, folder) => (ModelTokenizer::new(files), Err(folder)),
            Self::Gguf(file, path) => (ModelTokenizer::new(&file.tokenizer()?), Ok(path)),
        };
        made.map_err(|error| match (error, file) {
            // The tokenizer names its files without their folder.
            (EngineError::FileBroken { path, reason }, Err(folder)) => {
                EngineError::FileBroken { path: folder.join(path), reason }
            }
            (EngineError::FileBroken { reason, .. }, Ok(path)) => EngineError::FileBroken {
                path: path.clone(),
                reason: format!("its tokenizer is broken: {reason}"),
            },
            (other, _) => other,
        })
    }
}

impl Parts {
    /// Finds the files; `early` may refuse a model of the hub by its configuration.
    fn read(
        source: &ModelSource,
        early: &dyn Fn(&HubModel, &DecoderConfig) -> Result<(), EngineError>,
    ) -> Result<Self, EngineError> {
        match source {
            ModelSource::Starter => Files::Embedded.parts(),
            ModelSource::Folder(folder) if folder.is_dir() => Files::Folder(folder, None).parts(),
            ModelSource::Folder(path) => Err(EngineError::FolderMissing { path: path.clone() }),
            ModelSource::Gguf(path) => Self::gguf(path),
            ModelSource::Hub(model) => {
                let check =
                    |folder: &Path| early(model, &Files::Folder(folder, Some(model)).config()?);
                let report = &mut |line: &str| eprintln!("{line}");
                let folder = Hub::from_env().fetch(model, &check, report)?;
                Files::Folder(&folder, Some(model)).parts()
            }
        }
    }

    fn gguf(path: &Path) -> Result<Self, EngineError> {
        let told = weights_hash::told(&[path.to_owned()]);
        let file = Arc::new(GgufFile::open(path)?);
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let (path, config) = (path.to_owned(), file.config().clone());
        let tokenizer = TokenizerSource::Gguf(Arc::clone(&file), path.clone());
        Ok(Self { name, path, config, tokenizer, weights: Weights::Gguf(file), told })
    }
}

/// Where the files of a folder are read from.
enum Files<'a> {
    Embedded,
    /// A folder, and the model's name on the hub if it came from there.
    Folder(&'a Path, Option<&'a HubModel>),
}

impl Files<'_> {
    fn parts(&self) -> Result<Parts, EngineError> {
        let weights = self.weights()?;
        let told = weights_hash::told(&weights.files());
        let config = self.config()?;
        let tokenizer = TokenizerSource::Files(self.tokenizer(&config)?, self.path(""));
        let (name, path) = (self.name(), self.path(""));
        Ok(Parts { name, path, config, tokenizer, weights, told })
    }

    fn name(&self) -> String {
        match self {
            Self::Embedded => "Polylogue Starter".to_owned(),
            Self::Folder(_, Some(model)) => model.to_string(),
            // `model/.` and `..` have no name of their own.
            Self::Folder(folder, None) => folder
                .canonicalize()
                .ok()
                .and_then(|full| Some(full.file_name()?.to_string_lossy().into_owned()))
                .unwrap_or_else(|| folder.display().to_string()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Embedded => Path::new("starter").join(name),
            Self::Folder(folder, _) => folder.join(name),
        }
    }

    fn weights(&self) -> Result<Weights, EngineError> {
        match self {
            Self::Embedded => starter_files::file("model/model.safetensors")
                .map(Weights::Embedded)
                .ok_or(EngineError::StarterMissing),
            Self::Folder(folder, _) => Weights::find(folder),
        }
    }

    fn config(&self) -> Result<DecoderConfig, EngineError> {
        let value = text_settings(self.json("config.json")?);
        let path = self.path("config.json");
        // An architecture that isn't known may have other fields, so it is refused before they are read.
        let names = DecoderConfig {
            architectures: serde_json::from_value(value["architectures"].clone())
                .unwrap_or_default(),
            model_type: value["model_type"].as_str().map(str::to_owned),
            ..DecoderConfig::default()
        };
        if names.known_family().is_none() {
            let first = value["architectures"][0].as_str().or(value["model_type"].as_str());
            let architecture = first.unwrap_or("none").to_owned();
            return Err(EngineError::UnsupportedArchitecture {
                path,
                architecture,
                supported: supported(),
            });
        }
        let config: DecoderConfig = serde_json::from_value(value)
            .map_err(|error| EngineError::FileBroken { path, reason: error.to_string() })?;
        config.validate().map_err(|error| self.refuse(&error))?;
        Ok(config)
    }

    fn tokenizer(&self, config: &DecoderConfig) -> Result<TokenizerFiles, EngineError> {
        let mut end_ids = Vec::new();
        // The generation's settings go before the architecture's, as in Hugging Face's library.
        if let Some(bytes) = self.optional("generation_config.json")? {
            let value: Value = self.parse("generation_config.json", &bytes)?;
            let ids: Option<TokenIds> =
                serde_json::from_value(value["eos_token_id"].clone()).unwrap_or_default();
            end_ids.extend(ids.map(token_ids).unwrap_or_default());
        }
        end_ids.extend(config.eos_token_id.clone().map(token_ids).unwrap_or_default());
        let template = match self.optional("chat_template.jinja")? {
            None => None,
            Some(bytes) => Some(String::from_utf8(bytes).map_err(|error| {
                let path = self.path("chat_template.jinja");
                EngineError::FileBroken { path, reason: error.to_string() }
            })?),
        };
        Ok(TokenizerFiles {
            tokenizer: self.required("tokenizer.json")?,
            config: self.required("tokenizer_config.json")?,
            template,
            end_ids,
            vocab_size: config.vocab_size,
        })
    }

    fn json(&self, name: &str) -> Result<Value, EngineError> {
        self.parse(name, &self.required(name)?)
    }

    fn parse(&self, name: &str, bytes: &[u8]) -> Result<Value, EngineError> {
        serde_json::from_slice(bytes).map_err(|error| EngineError::FileBroken {
            path: self.path(name),
            reason: format!("it isn't valid JSON ({error})"),
        })
    }

    fn required(&self, name: &str) -> Result<Vec<u8>, EngineError> {
        self.optional(name)?.ok_or_else(|| EngineError::FileMissing {
            path: self.path(name),
            hint: "A model folder holds config.json, tokenizer.json, tokenizer_config.json and \
                   *.safetensors; download the missing file."
                .to_owned(),
        })
    }

    fn optional(&self, name: &str) -> Result<Option<Vec<u8>>, EngineError> {
        match self {
            Self::Embedded => Ok(starter_files::file(&format!("model/{name}")).map(<[u8]>::to_vec)),
            Self::Folder(folder, _) => match std::fs::read(folder.join(name)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(EngineError::FileBroken {
                    path: self.path(name),
                    reason: error.to_string(),
                }),
            },
        }
    }

    fn refuse(&self, error: &DecoderError) -> EngineError {
        refused(self.path(""), error)
    }
}

fn refused(path: PathBuf, error: &DecoderError) -> EngineError {
    let reason = match error {
        // The tensor library says no way out; what follows its first line is where it was.
        DecoderError::Candle(error) => {
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default();
            format!("{reason}\nDownload or copy the model again, or load it as other `--weights`.")
        }
        error => error.to_string(),
    };
    EngineError::ModelRefused { path, reason }
}

fn token_ids(ids: TokenIds) -> Vec<u32> {
    match ids {
        TokenIds::One(id) => vec![id],
        TokenIds::Many(ids) => ids,
    }
}
