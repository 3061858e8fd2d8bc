//! One layer of a decoder: attention, then a gated feed-forward layer, each with its norms.

use std::sync::Arc;

use candle_core::{DType, Tensor};
use candle_nn::VarBuilder;

use super::{
    DecoderConfig, DecoderError, KvCache, Module,
    batch::Rows,
    kv_cache,
    projection::Projection,
    weight::{Matrices, Weight},
};
use crate::ops::{self, Activation, AttentionPlan, LayerRule};

/// What all layers of one forward pass share.
pub(super) struct Pass<'a> {
    pub plan: Arc<AttentionPlan>,
    pub rows: Rows<'a>,
    pub eps: f64,
    /// The last layer, and for which rows, in ascending order, it computes what follows attention; `None` for
    /// all.
    pub wanted: Option<(usize, &'a [u32])>,
}

#[derive(Debug)]
pub(super) struct Layer {
    rule: LayerRule,
    input_norm: Tensor,
    qkv: Projection,
    /// Norms of each query and of each key head.
    head_norms: Option<(Tensor, Tensor)>,
    output: Projection,
    /// Norm of the attention's output before it is added.
    output_norm: Option<Tensor>,
    /// Norm before the feed-forward layer.
    inner_norm: Tensor,
    gate_up: Projection,
    activation: Activation,
    down: Projection,
    /// Norm of the feed-forward layer's output before it is added.
    down_norm: Option<Tensor>,
}

impl Layer {
    pub fn new(
        config: &DecoderConfig,
        index: usize,
        rule: LayerRule,
        vb: &VarBuilder,
        matrices: &dyn Matrices,
    ) -> Result<Self, DecoderError> {
        let (hidden, family) = (config.hidden_size, config.family());
        let projection = |modules: &[Module]| projection(config, index, (vb, matrices), modules);
        let norm = |name: &str, width| norm_weight(config, &vb.pp(name), width);
        let head_norm = |name: &str| norm(&format!("self_attn.{name}"), config.head_width());
        // Where outputs have norms too, the norm after attention is its output's.
        let attention_norm = norm("post_attention_layernorm", hidden)?;
        let (output_norm, inner_norm) = match family.output_norms {
            true => (Some(attention_norm), norm("pre_feedforward_layernorm", hidden)?),
            false => (None, attention_norm),
        };
        let down_norm = || norm("post_feedforward_layernorm", hidden);
        Ok(Self {
            rule,
            input_norm: norm("input_layernorm", hidden)?,
            qkv: projection(&[Module::Query, Module::Key, Module::Value])?,
            head_norms: match family.head_norms {
                true => Some((head_norm("q_norm")?, head_norm("k_norm")?)),
                false => None,
            },
            output: projection(&[Module::Output])?,
            output_norm,
            inner_norm,
            gate_up: projection(&[Module::Gate, Module::Up])?,
            activation: config.activation().unwrap_or(Activation::Silu),
            down: projection(&[Module::Down])?,
            down_norm: family.output_norms.then(down_norm).transpose()?,
        })
    }

    /// `[n, hidden]` to `[n, hidden]`, or to the rows that the pass wants of this layer.
    pub fn forward(
        &self,
        hidden: &Tensor,
        pass: &Pass<'_>,
        index: usize,
        caches: Option<&mut [&mut KvCache]>,
    ) -> candle_core::Result<Tensor> {
        let mixed = self.attend(hidden, pass, index, caches)?;
        match pass.wanted.filter(|(layer, _)| *layer == index) {
            None => self.finish(hidden, &mixed, &pass.rows, pass.eps),
            Some((_, [])) => hidden.narrow(0, 0, 0),
            Some((_, wanted)) => {
                let indices = Tensor::new(wanted, hidden.device())?;
                let at = |x: &Tensor| x.index_select(&indices, 0);
                self.finish(&at(hidden)?, &at(&mixed)?, &pass.rows.at(wanted), pass.eps)
            }
        }
    }

    /// Attention before its output's projection: `[n, hidden]` to `[n, heads * width]`.
    fn attend(
        &self,
        hidden: &Tensor,
        pass: &Pass<'_>,
        index: usize,
        caches: Option<&mut [&mut KvCache]>,
    ) -> candle_core::Result<Tensor> {
        let normed = ops::rms_norm(hidden, &self.input_norm, pass.eps)?;
        let mut qkv = self.qkv.forward(&normed, &pass.rows)?;
        if let Some((query, key)) = &self.head_norms {
            qkv = ops::head_norms(&qkv, pass.plan.heads, (query, key), pass.eps)?;
        }
        match caches {
            None => ops::attention::attention(&qkv, &pass.plan, self.rule),
            Some(caches) => kv_cache::attend(&qkv, &pass.plan, (index, self.rule), caches),
        }
    }

    /// What follows attention: every row by itself.
    fn finish(
        &self,
        hidden: &Tensor,
        mixed: &Tensor,
        rows: &Rows<'_>,
        eps: f64,
    ) -> candle_core::Result<Tensor> {
        let hidden = add((hidden, mixed), &self.output, self.output_norm.as_ref(), rows, eps)?;
        let normed = ops::rms_norm(&hidden, &self.inner_norm, eps)?;
        let wide = ops::gated(&self.gate_up.forward(&normed, rows)?, self.activation)?;
        add((&hidden, &wide), &self.down, self.down_norm.as_ref(), rows, eps)
    }
}

/// Adds a projection of `x`, perhaps after a norm, to the residual stream.
fn add(
    (residual, x): (&Tensor, &Tensor),
    projection: &Projection,
    norm: Option<&Tensor>,
    rows: &Rows<'_>,
    eps: f64,
) -> candle_core::Result<Tensor> {
    match norm {
        Some(norm) => residual + ops::rms_norm(&projection.forward(x, rows)?, norm, eps)?,
        None => projection.forward_add(residual, x, rows),
    }
}

fn projection(
    config: &DecoderConfig,
    index: usize,
    (vb, matrices): (&VarBuilder, &dyn Matrices),
    modules: &[Module],
) -> Result<Projection, DecoderError> {
    let (mut parts, mut biases) = (Vec::with_capacity(modules.len()), Vec::new());
    for &module in modules {
        let (rows, columns) = module.shape(config);
        let vb = vb.pp(module.path());
        parts.push((module, Weight::take(&vb, matrices, [rows, columns])?));
        if config.has_bias(module) {
            biases.push(tensor(&vb, "bias", &[rows])?);
        }
    }
    Ok(Projection::new(index, parts, &biases)?)
}

/// A norm's weight. An offset of one is added here, in f32: half a data type would lose it. Such
/// norms don't train.
pub(super) fn norm_weight(
    config: &DecoderConfig,
    vb: &VarBuilder,
    width: usize,
) -> Result<Tensor, DecoderError> {
    let weight = tensor(vb, "weight", &[width])?;
    match config.family().norm_offset {
        true => Ok((weight.to_dtype(DType::F32)? + 1.0)?),
        false => Ok(weight),
    }
}

/// Takes `name` of the builder's path, naming it where it is missing or of another shape.
pub(super) fn tensor(vb: &VarBuilder, name: &str, shape: &[usize]) -> Result<Tensor, DecoderError> {
    vb.get(shape, name).map_err(|error| {
        let name = format!("{}.{name}", vb.prefix());
        match unwrap(error) {
            candle_core::Error::CannotFindTensor { .. } => DecoderError::MissingTensor { name },
            candle_core::Error::UnexpectedShape { got, expected, .. } => {
                DecoderError::Shape { name, expected: expected.into_dims(), found: got.into_dims() }
            }
            other => DecoderError::Candle(other),
        }
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
