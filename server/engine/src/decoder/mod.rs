//! One decoder for serving, training from scratch and adapters.
//!
//! Layout: [`family`] (what sets the supported families apart), [`config`] (what a checkpoint says),
//! [`text_model`] (where it says it, if it also sees),
//! [`rotary`] (frequencies), `layer` (one layer), [`batch`] (rows packed end to end), [`lora`]
//! (adapters), `blend` (sums of them), [`dropout`] (what they don't see while they are tuned), [`kv_cache`] (what a sequence has seen), [`init`] (fresh weights),
//! [`weight`] (dense and compact matrices), `projection` (linear layers with the rows' adapters),
//! [`stages`] (a pass taken layer by layer). The arithmetic is in [`crate::ops`]; files, tokens
//! and sampling are elsewhere.

pub mod batch;
mod blend;
pub mod config;
pub mod dropout;
pub mod error;
pub mod family;
pub mod init;
pub mod kv_cache;
mod layer;
pub mod lora;
mod projection;
pub mod rotary;
pub mod stages;
pub mod text_model;
pub mod weight;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

pub use self::{
    batch::{PackedBatch, Segment},
    config::{DecoderConfig, TokenIds},
    dropout::Dropout,
    error::DecoderError,
    init::init_parameters,
    kv_cache::KvCache,
    lora::{LoraAdapter, LoraConfig, LoraPair, Module},
    stages::Stages,
};
use self::{
    layer::{Layer, norm_weight},
    weight::{Dense, Matrices, Weight},
};
use crate::ops;

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
        caches: Option<&mut [&mut KvCache]>,
    ) -> Result<Tensor, DecoderError> {
        self.pass(batch, caches, None)
    }

    /// [`Self::forward`] for the rows at `wanted` alone, `[wanted, hidden]`: what follows attention in the last
    /// layer is computed for no other. An adapter with dropout would draw what it doesn't see by the place
    /// among these rows.
    ///
    /// # Errors
    /// As [`Self::forward`], and rows that the batch doesn't have or that descend; they may be repeated.
    pub fn forward_at(
        &self,
        batch: &PackedBatch<'_>,
        caches: Option<&mut [&mut KvCache]>,
        wanted: &[u32],
    ) -> Result<Tensor, DecoderError> {
        self.pass(batch, caches, Some(wanted))
    }

    fn pass(
        &self,
        batch: &PackedBatch<'_>,
        mut caches: Option<&mut [&mut KvCache]>,
        wanted: Option<&[u32]>,
    ) -> Result<Tensor, DecoderError> {
        let stages = Stages::new(self, batch, caches.as_deref(), wanted)?;
        // A pass that failed half-way has left some layers longer than others.
        for cache in caches.iter_mut().flat_map(|caches| caches.iter_mut()) {
            cache.truncate(cache.len());
        }
        let mut hidden = stages.embed()?;
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(&hidden, &stages.pass, index, caches.as_deref_mut())?;
        }
        if let Some(caches) = caches {
            for (cache, segment) in caches.iter_mut().zip(batch.segments) {
                cache.advance(segment.len);
            }
        }
        stages.finish(&hidden)
    }

    /// The parts of [`Self::forward`], or of [`Self::forward_at`], without caches, for who keeps what lies
    /// between them.
    pub fn stages<'a>(
        &'a self,
        batch: &PackedBatch<'a>,
        wanted: Option<&'a [u32]>,
    ) -> Result<Stages<'a>, DecoderError> {
        Stages::new(self, batch, None, wanted)
    }

    /// Scores of every token after each of the hidden rows: `[n, hidden]` to `[n, vocab]`, f32.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, DecoderError> {
        let logits = self.output_weight().linear(hidden, false)?;
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
