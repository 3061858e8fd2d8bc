//! One decoder for serving, training from scratch and adapters.
//!
//! Layout: [`family`] (what sets the supported families apart), [`config`] (what a checkpoint says),
//! [`rotary`] (frequencies), `layer` (one layer), [`batch`] (rows packed end to end), [`lora`]
//! (adapters), `blend` (sums of them), [`kv_cache`] (what a sequence has seen), [`init`] (fresh weights),
//! [`weight`] (dense and compact matrices), `projection` (linear layers with the rows' adapters). The
//! arithmetic is in [`crate::engine::ops`]; files,
//! tokens and sampling are elsewhere.

pub mod batch;
mod blend;
pub mod config;
pub mod error;
pub mod family;
pub mod init;
pub mod kv_cache;
mod layer;
pub mod lora;
mod projection;
pub mod rotary;
pub mod weight;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

pub use self::{
    batch::{PackedBatch, Segment},
    config::{DecoderConfig, TokenIds},
    error::DecoderError,
    init::init_parameters,
    kv_cache::KvCache,
    lora::{LoraAdapter, LoraConfig, LoraPair, Module},
};
use self::{
    layer::{Layer, Pass, norm_weight},
    weight::{Dense, Matrices, Weight},
};
use crate::engine::ops::{self, AttentionPlan, Heads};

/// A decoder of one of the [`family::FAMILIES`]. Its tensors may be `Var`s, which then train.
#[derive(Debug)]
pub struct Decoder {
    config: DecoderConfig,
    /// Rotary frequencies, in the order of [`DecoderConfig::rotations`].
    frequencies: Vec<Vec<f32>>,
    embedding: Weight,
    layers: Vec<Layer>,
    norm: Tensor,
    /// The output layer; absent where it is the embedding.
    head: Option<Weight>,
}

impl Decoder {
    /// Takes the weights by their Hugging Face names; refuses configurations and checkpoints that
    /// don't fit.
    pub fn new(config: DecoderConfig, vb: VarBuilder) -> Result<Self, DecoderError> {
        Self::with_matrices(config, vb, &Dense)
    }

    /// As [`Self::new`], with the matrices that `matrices` has instead of dense ones.
    pub fn with_matrices(
        config: DecoderConfig,
        vb: VarBuilder,
        matrices: &dyn Matrices,
    ) -> Result<Self, DecoderError> {
        config.validate()?;
        let (hidden, vocab) = (config.hidden_size, config.vocab_size);
        let rotations = config.rotations()?;
        let frequencies = rotations.iter().map(|r| r.frequencies(config.head_width())).collect();
        let model = vb.pp("model");
        let table = |vb: &VarBuilder| Weight::take(vb, matrices, [vocab, hidden]);
        let embedding = table(&model.pp("embed_tokens"))?;
        let rules = config.layer_rules().into_iter().enumerate();
        let layer = |(index, rule)| {
            Layer::new(&config, index, rule, &model.pp("layers").pp(index), matrices)
        };
        let layers = rules.map(layer).collect::<Result<_, _>>()?;
        let norm = norm_weight(&config, &model.pp("norm"), hidden)?;
        let head = match config.tied() {
            true => None,
            false => Some(table(&vb.pp("lm_head"))?),
        };
        Ok(Self { config, frequencies, embedding, layers, norm, head })
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
        let scoring = self.config.scoring();
        let pass = Pass {
            plan: Arc::new(AttentionPlan::new(heads, scoring, &self.frequencies, segments)),
            groups: batch.adapter_rows(),
            eps: self.config.rms_norm_eps,
        };
        // A pass that failed half-way has left some layers longer than others.
        for cache in caches.iter_mut().flat_map(|caches| caches.iter_mut()) {
            cache.truncate(cache.len());
        }
        let mut hidden = self.embedding.select(batch.tokens)?;
        if let Some(scale) = self.config.embedding_scale() {
            // Hugging Face rounds the scale to the weights' data type.
            let scale = Tensor::new(scale as f32, self.device())?.to_dtype(self.dtype())?;
            hidden = hidden.broadcast_mul(&scale)?;
        }
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
        let logits = self.output_weight().linear(hidden)?;
        Ok(self.capped(logits)?.to_dtype(DType::F32)?)
    }

    /// Mean negative log-likelihood of one target after each of the hidden rows (`[n, hidden]`),
    /// weighted, a scalar. Cheaper than [`ops::composite::cross_entropy`] of [`Self::logits`].
    pub fn loss(
        &self,
        hidden: &Tensor,
        targets: &[u32],
        weights: &[f32],
    ) -> Result<Tensor, DecoderError> {
        match (self.output_weight(), self.config.final_logit_softcapping) {
            (Weight::Dense(head), None) => {
                Ok(ops::linear_cross_entropy(hidden, head, targets, weights)?)
            }
            _ => Ok(ops::cross_entropy(&self.logits(hidden)?, targets, weights)?),
        }
    }

    fn capped(&self, logits: Tensor) -> Result<Tensor, DecoderError> {
        match self.config.final_logit_softcapping {
            Some(cap) => Ok(ops::softcap(&logits, cap)?),
            None => Ok(logits),
        }
    }

    fn output_weight(&self) -> &Weight {
        self.head.as_ref().unwrap_or(&self.embedding)
    }
}

#[cfg(test)]
mod tests;
