//! The files with a model's weights: safetensors are found and checked here before a tensor is read,
//! GGUF in [`super::gguf`]; both are hashed here.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::quantized::GgmlDType;
use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::decoder::text_model::Names;
use super::error::EngineError;
use super::gguf::GgufFile;
use super::weights_hash::{HashMemory, hex};

/// The one file of small models.
pub const SINGLE: &str = "model.safetensors";
/// Which file of a large model holds which tensor.
pub const INDEX: &str = "model.safetensors.index.json";
/// Largest header that is read; the largest published ones are below 1 MB.
const HEADER_LIMIT: u64 = 100 << 20;

/// Where weights lie.
#[derive(Debug)]
pub enum Weights {
    /// Inside of the binary.
    Embedded(&'static [u8]),
    /// In one file, or in several in the order of their names.
    Files(Vec<PathBuf>),
    /// In a GGUF file.
    Gguf(Arc<GgufFile>),
}

#[derive(Deserialize)]
struct Index {
    weight_map: std::collections::BTreeMap<String, String>,
}

impl Weights {
    /// The weight files of `folder`, each with a sound header.
    ///
    /// # Errors
    /// [`EngineError::FileMissing`], [`EngineError::FileBroken`].
    pub fn find(folder: &Path) -> Result<Self, EngineError> {
        let index = folder.join(INDEX);
        let files =
            if index.is_file() { shards(folder, &index)? } else { vec![folder.join(SINGLE)] };
        for file in &files {
            if !file.is_file() {
                return Err(EngineError::FileMissing {
                    path: file.clone(),
                    hint: "Weights must be *.safetensors files; convert a pytorch_model.bin with \
                           Hugging Face's tools, or download the missing part."
                        .to_owned(),
                });
            }
            check_file(file)?;
        }
        Ok(Self::Files(files))
    }

    /// Its files, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Embedded(_) => Vec::new(),
            Self::Gguf(file) => vec![file.path().to_owned()],
            Self::Files(files) => files.clone(),
        }
    }

    /// Size of the files together in bytes; of a file that can't be asked, nothing.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Embedded(bytes) => bytes.len() as u64,
            _ => self.files().iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum(),
        }
    }

    /// How a GGUF file stores the matrix of this checkpoint name.
    pub fn stored(&self, name: &str) -> Option<GgmlDType> {
        match self {
            Self::Gguf(file) => file.dtype(name),
            Self::Embedded(_) | Self::Files(_) => None,
        }
    }

    /// SHA-256 over the bytes of all files in order, as hexadecimal digits. That of large files is remembered,
    /// see [`HashMemory`].
    ///
    /// # Errors
    /// [`EngineError::FileBroken`] if a file can't be read.
    pub fn hash(&self) -> Result<String, EngineError> {
        if let Self::Embedded(bytes) = self {
            return Ok(hex(&Sha256::digest(bytes)));
        }
        let files = self.files();
        HashMemory::usual().hash(&files, || hash_files(&files))
    }

    /// A source of tensors that converts to `dtype` on `device`.
    ///
    /// # Errors
    /// [`EngineError::FileBroken`].
    pub fn builder(
        &self,
        dtype: DType,
        device: &Device,
    ) -> Result<VarBuilder<'static>, EngineError> {
        let (built, path) = match self {
            Self::Gguf(file) => return Ok(file.builder(dtype, device)),
            Self::Embedded(bytes) => {
                check_header(bytes).map_err(|reason| broken(Path::new(SINGLE), &reason))?;
                (VarBuilder::from_slice_safetensors(bytes, dtype, device), Path::new(SINGLE))
            }
            Self::Files(files) => {
                let tensors = mapped(files)?;
                let names = Names::of(|name| tensors.get(name).is_ok());
                let builder = VarBuilder::from_backend(Box::new(tensors), dtype, device.clone());
                return Ok(builder.rename_f(move |name| names.in_file(name)));
            }
        };
        built.map_err(|error| broken(path, &error))
    }
}

/// Reads the files rather than mappings of them, which would stay in memory.
fn hash_files(files: &[PathBuf]) -> Result<String, EngineError> {
    let mut hasher = Sha256::new();
    for path in files {
        let copied = File::open(path).and_then(|mut file| io::copy(&mut file, &mut hasher));
        copied.map_err(|error| broken(path, &error))?;
    }
    Ok(hex(&hasher.finalize()))
}

/// The files' tensors, without reading them.
///
/// # Errors
/// [`EngineError::FileBroken`].
pub fn mapped(files: &[PathBuf]) -> Result<MmapedSafetensors, EngineError> {
    #[expect(
        unsafe_code,
        reason = "weights larger than memory must be mapped; the mapping lives only while the model \
                  is loaded, and every tensor is copied out of it"
    )]
    // SAFETY: sound as long as nobody shortens the files within these seconds.
    let mapped = unsafe { MmapedSafetensors::multi(files) };
    let first = files.first().map_or(Path::new(SINGLE), PathBuf::as_path);
    mapped.map_err(|error| broken(first, &error))
}

pub(super) fn broken(path: &Path, reason: &dyn std::fmt::Display) -> EngineError {
    EngineError::FileBroken { path: path.to_owned(), reason: reason.to_string().replace('\n', " ") }
}

fn shards(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, EngineError> {
    Ok(shard_names(index)?.into_iter().map(|name| folder.join(name)).collect())
}

/// Names of the files that an index tells, in order.
///
/// # Errors
/// [`EngineError::FileBroken`].
pub fn shard_names(index: &Path) -> Result<BTreeSet<String>, EngineError> {
    let bytes = std::fs::read(index).map_err(|error| broken(index, &error))?;
    let parsed: Index = serde_json::from_slice(&bytes).map_err(|error| broken(index, &error))?;
    let names: BTreeSet<String> = parsed.weight_map.into_values().collect();
    if names.is_empty() {
        return Err(broken(index, &"`weight_map` must name at least one file, and is empty"));
    }
    // A name that leads out of the folder is a fault of the download or worse.
    if let Some(name) = names.iter().find(|name| Path::new(name).file_name() != Some(name.as_ref()))
    {
        return Err(broken(
            index,
            &format!("`weight_map` must name files of its folder, not `{name}`"),
        ));
    }
    Ok(names)
}

fn check_file(path: &Path) -> Result<(), EngineError> {
    check_length(path).map_err(|reason| broken(path, &reason))
}

/// Reads no more than the header of a safetensors file, and compares what it promises with the file's size.
///
/// # Errors
/// What is wrong, as text.
pub(super) fn check_length(path: &Path) -> Result<(), String> {
    let read = || -> io::Result<(Vec<u8>, u64)> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let header = u64::from_le_bytes(length).min(HEADER_LIMIT);
        let mut bytes = length.to_vec();
        file.take(header).read_to_end(&mut bytes)?;
        Ok((bytes, size))
    };
    let (bytes, size) = read().map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "it is cut off: it has fewer than 8 bytes".to_owned(),
        _ => error.to_string(),
    })?;
    let promised = check_header(&bytes)?;
    if promised != size {
        return Err(format!(
            "it is cut off or overlong: its header promises {promised} bytes, it has {size}"
        ));
    }
    Ok(())
}

/// The size that the header, at the start of `bytes`, promises for the whole file.
fn check_header(bytes: &[u8]) -> Result<u64, String> {
    let cut = || "it isn't a safetensors file, or is cut off in its header".to_owned();
    let length =
        bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length)).ok_or_else(cut)?;
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(8));
    let header = end.and_then(|end| bytes.get(8..end)).ok_or_else(cut)?;
    // Not `SafeTensors::read_metadata`: it wants the whole file in memory.
    let metadata: Metadata = serde_json::from_slice(header)
        .map_err(|error| format!("it isn't a safetensors file ({error})"))?;
    let mut data = 0;
    for (name, tensor) in metadata.tensors() {
        if !matches!(tensor.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(format!(
                "tensor `{name}` must be F32, F16 or BF16, not {:?}",
                tensor.dtype
            ));
        }
        data = data.max(tensor.data_offsets.1 as u64);
    }
    Ok((8 + length).saturating_add(data))
}
