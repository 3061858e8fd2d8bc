//! The arithmetic of a decoder layer, each operation with its own backward pass.
//!
//! On the CPU in f32 every operation is one fused kernel: a chain of small tensor operations would
//! spend most of a training step on fresh memory. Elsewhere the same functions fall back to a
//! composition of candle's operations ([`composite`]), which is also what the kernels are tested
//! against. Nothing in here knows of layers, checkpoints or adapters.

#[cfg(target_arch = "x86_64")]
mod amx;
pub mod attention;
pub mod composite;
mod cross_entropy;
mod denormals;
mod frozen;
mod gated;
pub mod halves;
mod head;
mod host;
pub mod int16;
mod lanes;
mod linear;
pub mod lora;
pub mod peak;
mod product;
pub mod quantised;
mod rms_norm;
mod shared;

use candle_core::{Result, Tensor, bail};

pub use self::{
    attention::{AttentionPlan, Heads, HostKeys, LayerRule, Scoring},
    denormals::flush_denormals,
    gated::Activation,
};
use self::{
    cross_entropy::LinearCrossEntropy,
    gated::Gated,
    host::fits,
    linear::{Linear, LinearAdd},
    rms_norm::RmsNorm,
};

/// Whether tensors like this one take the fused kernels: f32 on the CPU.
pub fn is_fused(x: &Tensor) -> bool {
    fits(x)
}

/// Root-mean-square norm over the last dimension: `[n, width]` and `[width]` to `[n, width]`.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    if fits(x) && fits(weight) {
        x.contiguous()?.apply_op2(&weight.contiguous()?, RmsNorm { eps: eps as f32 })
    } else {
        composite::rms_norm(x, weight, eps)
    }
}

/// `x · weightᵀ`: `[n, in]` and `[out, in]` to `[n, out]`.
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if fits(x) && fits(weight) {
        x.contiguous()?.apply_op2(&weight.contiguous()?, Linear)
    } else {
        composite::linear(x, weight)
    }
}

/// `x · weightᵀ + bias`: `[n, in]`, `[out, in]` and `[out]` to `[n, out]`.
pub fn linear_biased(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if fits(x) && fits(weight) && fits(bias) {
        linear_add(&bias.broadcast_as((x.dim(0)?, bias.dim(0)?))?, x, weight)
    } else {
        composite::linear_biased(x, weight, bias)
    }
}

/// `residual + x · weightᵀ`: `[n, out]`, `[n, in]` and `[out, in]` to `[n, out]`.
pub fn linear_add(residual: &Tensor, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if fits(residual) && fits(x) && fits(weight) {
        residual.contiguous()?.apply_op3(&x.contiguous()?, &weight.contiguous()?, LinearAdd)
    } else {
        residual + composite::linear(x, weight)?
    }
}

/// `activation(gate) * up` of rows that hold both halves: `[n, 2 f]` to `[n, f]`.
pub fn gated(gate_up: &Tensor, activation: Activation) -> Result<Tensor> {
    if fits(gate_up) {
        gate_up.contiguous()?.apply_op1(Gated(activation))
    } else {
        composite::gated(gate_up, activation)
    }
}

/// [`rms_norm`] of every query and key head on its own, with weights `[width]` each; values stay as
/// they are. Rows of queries, keys and values `[n, Heads::row]` to the same.
pub fn head_norms(
    qkv: &Tensor,
    heads: Heads,
    (query, key): (&Tensor, &Tensor),
    eps: f64,
) -> Result<Tensor> {
    let rows = qkv.dim(0)?;
    let norm = |start: usize, count: usize, weight: &Tensor| {
        let part = qkv.narrow(1, start * heads.width, count * heads.width)?;
        let normed = rms_norm(&part.reshape((rows * count, heads.width))?, weight, eps)?;
        normed.reshape((rows, count * heads.width))
    };
    let values = qkv.narrow(1, (heads.query + heads.kv) * heads.width, heads.kv * heads.width)?;
    Tensor::cat(&[norm(0, heads.query, query)?, norm(heads.query, heads.kv, key)?, values], 1)
}

/// `cap * tanh(x / cap)`: bends values so that they stay within the cap.
pub fn softcap(x: &Tensor, cap: f64) -> Result<Tensor> {
    composite::softcap(x, cap)
}

/// Mean negative log-likelihood of `hidden · headᵀ`, without ever holding all logits: `[n, hidden]`
/// and `[vocab, hidden]` to a scalar. Each row has a target below `vocab` and a weight, with which its
/// loss enters the mean; the weights' sum must be above zero.
pub fn linear_cross_entropy(
    hidden: &Tensor,
    head: &Tensor,
    targets: &[u32],
    weights: &[f32],
) -> Result<Tensor> {
    let shares = shares(hidden.dim(0)?, head.dim(0)?, targets, weights)?;
    if fits(hidden) && fits(head) {
        let loss = LinearCrossEntropy::new(hidden, head, targets.to_vec(), shares);
        hidden.contiguous()?.apply_op2(&head.contiguous()?, loss)
    } else {
        entropy_of(&composite::linear(hidden, head)?, targets, &shares)
    }
}

/// [`linear_cross_entropy`] of logits `[n, vocab]` that are there already.
pub fn cross_entropy(logits: &Tensor, targets: &[u32], weights: &[f32]) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    entropy_of(logits, targets, &shares(rows, classes, targets, weights)?)
}

fn entropy_of(logits: &Tensor, targets: &[u32], shares: &[f32]) -> Result<Tensor> {
    let targets = Tensor::from_slice(targets, targets.len(), logits.device())?;
    let shares = Tensor::from_slice(shares, shares.len(), logits.device())?;
    composite::cross_entropy(logits, &targets, &shares)
}

/// The weights divided by their sum, after checks.
fn shares(rows: usize, classes: usize, targets: &[u32], weights: &[f32]) -> Result<Vec<f32>> {
    if rows == 0 || rows != targets.len() || rows != weights.len() {
        let (targets, weights) = (targets.len(), weights.len());
        bail!("{rows} rows need as many targets and weights, got {targets} and {weights}");
    }
    if let Some(target) = targets.iter().find(|&&target| target as usize >= classes) {
        bail!("target {target} is outside of {classes} classes");
    }
    let sum: f64 = weights.iter().copied().map(f64::from).sum();
    if !(sum > 0.0 && sum.is_finite()) {
        bail!("weights must have a sum above zero, got {sum}");
    }
    Ok(weights.iter().map(|weight| (f64::from(*weight) / sum) as f32).collect())
}

#[cfg(test)]
mod tests;
