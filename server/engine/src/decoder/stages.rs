//! One forward pass taken apart: the embedding, each layer, the last norm.

use std::sync::Arc;

use candle_core::Tensor;

use super::layer::Pass;
use super::{Decoder, DecoderError, KvCache, PackedBatch};
use crate::ops::{self, AttentionPlan, Heads};

/// A pass over one batch. All rows are `[tokens, hidden]`, after the last layer those that are wanted.
pub struct Stages<'a> {
    decoder: &'a Decoder,
    tokens: &'a [u32],
    pub(super) pass: Pass<'a>,
}

impl<'a> Stages<'a> {
    /// Checks the batch, and works out what all layers share.
    pub(super) fn new(
        decoder: &'a Decoder,
        batch: &PackedBatch<'a>,
        caches: Option<&[&mut KvCache]>,
        wanted: Option<&'a [u32]>,
    ) -> Result<Self, DecoderError> {
        let config = &decoder.config;
        batch.validate(config, caches, wanted)?;
        let heads = Heads {
            query: config.num_attention_heads,
            kv: config.kv_heads(),
            width: config.head_width(),
        };
        let segments = batch.segments.iter().map(|segment| (segment.len, segment.position));
        let plan = AttentionPlan::new(heads, config.scoring(), &decoder.frequencies, segments);
        let some = wanted.filter(|wanted| !wanted.iter().copied().eq(0..batch.tokens.len() as u32));
        let pass = Pass {
            plan: Arc::new(plan),
            rows: batch.rows(),
            eps: config.rms_norm_eps,
            wanted: decoder.layers.len().checked_sub(1).zip(some),
        };
        Ok(Self { decoder, tokens: batch.tokens, pass })
    }

    /// Rows of the embedding.
    pub fn embed(&self) -> Result<Tensor, DecoderError> {
        let hidden = self.decoder.embedding.select(self.tokens)?;
        let Some(scale) = self.decoder.config.embedding_scale() else { return Ok(hidden) };
        // Hugging Face rounds the scale to the weights' data type.
        let scale = Tensor::new(scale as f32, hidden.device())?.to_dtype(self.decoder.dtype())?;
        Ok(hidden.broadcast_mul(&scale)?)
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.decoder.layers.len()
    }

    /// What the layer at `index` makes of its input; every segment starts at position 0.
    pub fn layer(&self, index: usize, hidden: &Tensor) -> Result<Tensor, DecoderError> {
        Ok(self.decoder.layers[index].forward(hidden, &self.pass, index, None)?)
    }

    /// The last norm.
    pub fn finish(&self, hidden: &Tensor) -> Result<Tensor, DecoderError> {
        if hidden.dim(0)? == 0 {
            return Ok(hidden.clone());
        }
        Ok(ops::rms_norm(hidden, &self.decoder.norm, self.pass.eps)?)
    }
}
