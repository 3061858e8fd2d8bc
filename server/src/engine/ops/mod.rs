//! The arithmetic of a decoder layer, each operation with its own backward pass.
//!
//! On the CPU in f32 every operation is one fused kernel: a chain of small tensor operations would
//! spend most of a training step on fresh memory. Elsewhere the same functions fall back to a
//! composition of candle's operations ([`composite`]), which is also what the kernels are tested
//! against. Nothing in here knows of layers, checkpoints or adapters.

pub mod attention;
pub mod composite;
mod cross_entropy;
mod denormals;
mod head;
mod host;
mod lanes;
mod linear;
pub mod lora;
mod product;
mod rms_norm;
mod swiglu;

use candle_core::{Result, Tensor};

pub use self::{
    attention::{AttentionPlan, Heads, HostKeys},
    denormals::flush_denormals,
};
use self::{
    cross_entropy::{CrossEntropy, LinearCrossEntropy},
    host::{fits, targets as classes},
    linear::{Linear, LinearAdd},
    rms_norm::RmsNorm,
    swiglu::Swiglu,
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

/// `residual + x · weightᵀ`: `[n, out]`, `[n, in]` and `[out, in]` to `[n, out]`.
pub fn linear_add(residual: &Tensor, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if fits(residual) && fits(x) && fits(weight) {
        residual.contiguous()?.apply_op3(&x.contiguous()?, &weight.contiguous()?, LinearAdd)
    } else {
        residual + composite::linear(x, weight)?
    }
}

/// `silu(gate) * up` of rows that hold both halves: `[n, 2 f]` to `[n, f]`.
pub fn swiglu(gate_up: &Tensor) -> Result<Tensor> {
    if fits(gate_up) { gate_up.contiguous()?.apply_op1(Swiglu) } else { composite::swiglu(gate_up) }
}

/// Mean negative log-likelihood of `targets` (`[n]`, u32) under `logits` (`[n, vocab]`), a scalar.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    if fits(logits) {
        let targets = classes(targets, logits.dim(1)?)?;
        logits.contiguous()?.apply_op1(CrossEntropy { targets })
    } else {
        composite::cross_entropy(logits, targets)
    }
}

/// [`cross_entropy`] of `hidden · headᵀ` without ever holding all logits:
/// `[n, hidden]`, `[vocab, hidden]` and `[n]` to a scalar.
pub fn linear_cross_entropy(hidden: &Tensor, head: &Tensor, targets: &Tensor) -> Result<Tensor> {
    if fits(hidden) && fits(head) {
        let targets = classes(targets, head.dim(0)?)?;
        let loss = LinearCrossEntropy::new(hidden, head, targets);
        hidden.contiguous()?.apply_op2(&head.contiguous()?, loss)
    } else {
        composite::cross_entropy(&composite::linear(hidden, head)?, targets)
    }
}

#[cfg(test)]
mod tests;
