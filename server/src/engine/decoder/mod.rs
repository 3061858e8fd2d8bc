//! One decoder for serving, training from scratch and adapters.
//!
//! Layout: [`config`] (what a checkpoint says), [`batch`] (rows packed end to end), [`lora`]
//! (adapters), [`kv_cache`] (what a sequence has seen), [`init`] (fresh weights), `projection`
//! (linear layers with the rows' adapters). The arithmetic is in [`crate::engine::ops`]; files,
//! tokens and sampling are elsewhere.

pub mod batch;
pub mod config;
pub mod error;
pub mod init;
pub mod kv_cache;
pub mod lora;
mod projection;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

use self::{batch::AdapterRows, projection::Projection};
pub use self::{
    batch::{PackedBatch, Segment},
    config::{DecoderConfig, TokenIds},
    error::DecoderError,
    init::init_parameters,
    kv_cache::KvCache,
    lora::{LoraAdapter, LoraConfig, LoraPair, Module},
};
use crate::engine::ops::{self, AttentionPlan, Heads};

/// A Llama-architecture decoder. Its tensors may be `Var`s, which then train.
#[derive(Debug)]
pub struct Decoder {
    config: DecoderConfig,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    /// The output layer; absent where it is the embedding.
    head: Option<Tensor>,
}

#[derive(Debug)]
struct Layer {
    input_norm: Tensor,
    qkv: Projection,
    output: Projection,
    post_norm: Tensor,
    gate_up: Projection,
    down: Projection,
}

impl Decoder {
    /// Takes the weights by their Hugging Face names; refuses configurations and checkpoints that
    /// don't fit.
    pub fn new(config: DecoderConfig, vb: VarBuilder) -> Result<Self, DecoderError> {
        config.validate()?;
        let (hidden, vocab) = (config.hidden_size, config.vocab_size);
        let model = vb.pp("model");
        let embedding = tensor(&model.pp("embed_tokens"), &[vocab, hidden])?;
        let layer = |index| Layer::new(&config, index, &model.pp("layers").pp(index));
        let layers = (0..config.num_hidden_layers).map(layer).collect::<Result<_, _>>()?;
        let norm = tensor(&model.pp("norm"), &[hidden])?;
        let head = match config.tie_word_embeddings {
            true => None,
            false => Some(tensor(&vb.pp("lm_head"), &[vocab, hidden])?),
        };
        Ok(Self { config, embedding, layers, norm, head })
    }

    /// The configuration that the decoder was built with.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Where the weights live.
    pub fn device(&self) -> &Device {
        self.embedding.device()
    }

    /// The data type of the weights.
    pub fn dtype(&self) -> DType {
        self.embedding.dtype()
    }

    /// An empty cache for one sequence of this decoder.
    pub fn new_cache(&self) -> KvCache {
        KvCache::new(&self.config, self.dtype(), self.device())
    }

    /// Hidden rows after the last norm, `[tokens, hidden]`. With `caches` (one per segment) new keys
    /// and values are appended and no gradient passes through attention; without them every
    /// segment starts at position 0 and everything is differentiable.
    pub fn forward(
        &self,
        batch: &PackedBatch<'_>,
        mut caches: Option<&mut [&mut KvCache]>,
    ) -> Result<Tensor, DecoderError> {
        batch.validate(&self.config, caches.as_deref())?;
        let heads = Heads {
            query: self.config.num_attention_heads,
            kv: self.config.kv_heads(),
            width: self.config.head_width(),
        };
        let segments = batch.segments.iter().map(|segment| (segment.len, segment.position));
        let pass = Pass {
            plan: Arc::new(AttentionPlan::new(heads, self.config.theta(), segments)),
            groups: batch.adapter_rows(),
            eps: self.config.rms_norm_eps,
        };
        // A pass that failed half-way has left some layers longer than others.
        for cache in caches.iter_mut().flat_map(|caches| caches.iter_mut()) {
            cache.truncate(cache.len());
        }
        let tokens = Tensor::new(batch.tokens, self.device())?;
        let mut hidden = self.embedding.index_select(&tokens, 0)?;
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(&hidden, &pass, index, caches.as_deref_mut())?;
        }
        if let Some(caches) = caches {
            for (cache, segment) in caches.iter_mut().zip(batch.segments) {
                cache.advance(segment.len);
            }
        }
        Ok(ops::rms_norm(&hidden, &self.norm, pass.eps)?)
    }

    /// Scores of every token after each of the hidden rows: `[n, hidden]` to `[n, vocab]`, f32.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, DecoderError> {
        Ok(ops::linear(hidden, self.output_weight())?.to_dtype(DType::F32)?)
    }

    /// Mean negative log-likelihood of one target after each of the hidden rows (`[n, hidden]`),
    /// weighted, a scalar. Cheaper than [`ops::composite::cross_entropy`] of [`Self::logits`].
    pub fn loss(
        &self,
        hidden: &Tensor,
        targets: &[u32],
        weights: &[f32],
    ) -> Result<Tensor, DecoderError> {
        Ok(ops::linear_cross_entropy(hidden, self.output_weight(), targets, weights)?)
    }

    fn output_weight(&self) -> &Tensor {
        self.head.as_ref().unwrap_or(&self.embedding)
    }
}

/// What all layers of one forward pass share.
struct Pass<'a> {
    plan: Arc<AttentionPlan>,
    groups: Vec<AdapterRows<'a>>,
    eps: f64,
}

impl Layer {
    fn new(config: &DecoderConfig, index: usize, vb: &VarBuilder) -> Result<Self, DecoderError> {
        let projection = |modules: &[Module]| -> Result<Projection, DecoderError> {
            let mut parts = Vec::with_capacity(modules.len());
            for &module in modules {
                let (rows, columns) = module.shape(config);
                parts.push((module, tensor(&vb.pp(module.path()), &[rows, columns])?));
            }
            Ok(Projection::new(index, parts)?)
        };
        Ok(Self {
            input_norm: tensor(&vb.pp("input_layernorm"), &[config.hidden_size])?,
            qkv: projection(&[Module::Query, Module::Key, Module::Value])?,
            output: projection(&[Module::Output])?,
            post_norm: tensor(&vb.pp("post_attention_layernorm"), &[config.hidden_size])?,
            gate_up: projection(&[Module::Gate, Module::Up])?,
            down: projection(&[Module::Down])?,
        })
    }

    /// `[n, hidden]` to `[n, hidden]`.
    fn forward(
        &self,
        hidden: &Tensor,
        pass: &Pass<'_>,
        index: usize,
        caches: Option<&mut [&mut KvCache]>,
    ) -> candle_core::Result<Tensor> {
        let normed = ops::rms_norm(hidden, &self.input_norm, pass.eps)?;
        let qkv = self.qkv.forward(&normed, &pass.groups)?;
        let mixed = match caches {
            None => ops::attention::attention(&qkv, &pass.plan)?,
            Some(caches) => kv_cache::attend(&qkv, &pass.plan, index, caches)?,
        };
        let hidden = self.output.forward_add(hidden, &mixed, &pass.groups)?;
        let normed = ops::rms_norm(&hidden, &self.post_norm, pass.eps)?;
        let wide = ops::swiglu(&self.gate_up.forward(&normed, &pass.groups)?)?;
        self.down.forward_add(&hidden, &wide, &pass.groups)
    }
}

/// Takes `weight` of the builder's path, naming it where it is missing or of another shape.
fn tensor(vb: &VarBuilder, shape: &[usize]) -> Result<Tensor, DecoderError> {
    let name = format!("{}.weight", vb.prefix());
    vb.get(shape, "weight").map_err(|error| match unwrap(error) {
        candle_core::Error::CannotFindTensor { .. } => DecoderError::MissingTensor { name },
        candle_core::Error::UnexpectedShape { got, expected, .. } => {
            DecoderError::Shape { name, expected: expected.into_dims(), found: got.into_dims() }
        }
        other => DecoderError::Candle(other),
    })
}

/// The cause inside candle's wrappers.
fn unwrap(error: candle_core::Error) -> candle_core::Error {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => unwrap(*inner),
        candle_core::Error::WithPath { inner, .. } => unwrap(*inner),
        other => other,
    }
}

#[cfg(test)]
mod tests;
