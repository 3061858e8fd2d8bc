//! Models in one GGUF file, as llama.cpp and others use them.
//!
//! Layout: [`header`] (the format, read with distrust) with [`reader`] and [`blocks`], [`container`]
//! (a mapped file and its values by type), [`config`] (sizes and constants), [`names`] (where each
//! weight is), [`tensor`] (numbers or blocks of a weight), [`tokenizer`] (text and tokens) with
//! [`vocabulary`], [`byte_level`] and [`pieces`].
//!
//! Everything that is asked of a file beyond its tensors' numbers is checked when it is opened.

pub mod blocks;
pub mod byte_level;
pub mod config;
pub mod container;
pub mod header;
pub mod names;
pub mod pieces;
pub mod reader;
pub mod tensor;
pub mod tokenizer;
pub mod vocabulary;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use self::container::Container;
use self::header::TensorInfo;
use self::names::Place;
pub use self::tensor::RawTensor;
use super::decoder::DecoderConfig;
use super::error::EngineError;
use super::tokenizer::TokenizerFiles;

/// An opened file that holds a model the decoder can run.
#[derive(Debug)]
pub struct GgufFile {
    container: Container,
    config: DecoderConfig,
    places: BTreeMap<String, Place>,
}

impl GgufFile {
    /// Opens the file and checks that it holds every weight of a supported model.
    ///
    /// # Errors
    /// [`EngineError::FileMissing`], [`EngineError::FileBroken`],
    /// [`EngineError::UnsupportedArchitecture`], [`EngineError::ModelRefused`].
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let container = Container::open(path)?;
        let config = config::read(&container)?;
        let places = names::places(&container, &config)?;
        Ok(Self { container, config, places })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.container.path()
    }

    /// Sizes and constants of the model.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The tokenizer's files, made of the metadata.
    ///
    /// # Errors
    /// [`EngineError::FileBroken`], [`EngineError::ModelRefused`].
    pub fn tokenizer(&self) -> Result<TokenizerFiles, EngineError> {
        tokenizer::read(&self.container, self.config.vocab_size)
    }

    /// The blocks of a matrix by its Hugging Face name, rows in Hugging Face's order; `None` where
    /// the model has no matrix of that name. Norms and biases are no matrices.
    pub fn raw(&self, name: &str) -> Option<RawTensor<'_>> {
        let (info, bytes, place) = self.weight(name)?;
        tensor::raw(info, bytes, place)
    }

    /// How the weight of this Hugging Face name is stored.
    pub fn dtype(&self, name: &str) -> Option<GgmlDType> {
        Some(self.weight(name)?.0.dtype)
    }

    /// Lets the memory go in which a weight's blocks lie, once they were copied.
    pub fn release(&self, name: &str) {
        if let Some(place) = self.places.get(name) {
            self.container.release(&place.name);
        }
    }

    /// A source of all weights by their Hugging Face names, which converts to `dtype` on `device`.
    pub fn builder(self: &Arc<Self>, dtype: DType, device: &Device) -> VarBuilder<'static> {
        let backend = Box::new(Dequantized(Arc::clone(self)));
        VarBuilder::from_backend(backend, dtype, device.clone())
    }

    fn weight(&self, name: &str) -> Option<(&TensorInfo, &[u8], &Place)> {
        let place = self.places.get(name)?;
        let (info, bytes) = self.container.tensor(&place.name)?;
        Some((info, bytes, place))
    }
}

/// Gives out weights as plain numbers.
struct Dequantized(Arc<GgufFile>);

impl SimpleBackend for Dequantized {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        if *tensor.shape() != shape {
            return Err(candle_core::Error::UnexpectedShape {
                msg: format!("tensor `{name}`"),
                expected: shape,
                got: tensor.shape().clone(),
            });
        }
        Ok(tensor)
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let Some((info, bytes, place)) = self.0.weight(name) else {
            return Err(candle_core::Error::CannotFindTensor { path: name.to_owned() });
        };
        let weight = tensor::weight(info, bytes, place)?.to_dtype(dtype)?.to_device(device);
        self.0.release(name);
        weight
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.weight(name).is_some()
    }
}

#[cfg(test)]
mod tests;
