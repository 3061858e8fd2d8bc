//! Causal attention over the segments of a packed batch, rotary embedding included.

use std::{ops::Range, sync::Arc};

use candle_core::{DType, Device, Result, Tensor};

use super::composite::{self, DeviceKeys};

/// Numbers of heads and their width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key and value heads; a divisor of `query`.
    pub kv: usize,
    /// Width of each head; even.
    pub width: usize,
}

impl Heads {
    /// Width of a row that holds queries, keys and values.
    pub fn row(self) -> usize {
        (self.query + 2 * self.kv) * self.width
    }
}

/// What every layer's attention over one batch has in common.
#[derive(Debug, Clone)]
pub struct AttentionPlan {
    /// The heads.
    pub heads: Heads,
    /// Each segment's rows.
    pub spans: Vec<Range<usize>>,
    /// Cosines of the rotary angles, `[rows, width / 2]`.
    pub cos: Vec<f32>,
    /// Sines of the rotary angles, `[rows, width / 2]`.
    pub sin: Vec<f32>,
}

impl AttentionPlan {
    /// Lays `(length, position of the first token)` of each segment end to end.
    pub fn new(heads: Heads, theta: f64, segments: impl Iterator<Item = (usize, usize)>) -> Self {
        let half = heads.width / 2;
        // As Hugging Face computes them: frequencies and angles in f32.
        let frequency = |i| 1.0 / (theta as f32).powf(2.0 * i as f32 / heads.width as f32);
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
        let mut plan = Self { heads, spans: Vec::new(), cos: Vec::new(), sin: Vec::new() };
        let mut start = 0;
        for (len, position) in segments {
            plan.spans.push(start..start + len);
            start += len;
            for at in position..position + len {
                for frequency in &frequencies {
                    let (sin, cos) = (at as f32 * frequency).sin_cos();
                    plan.cos.push(cos);
                    plan.sin.push(sin);
                }
            }
        }
        plan
    }

    /// The angles as tensors `[rows, 1, width / 2]`.
    pub fn angles(&self, device: &Device, dtype: DType) -> Result<(Tensor, Tensor)> {
        let half = self.heads.width / 2;
        let shape = (self.cos.len() / half, 1, half);
        let tensor = |x: &[f32]| Tensor::from_slice(x, shape, device)?.to_dtype(dtype);
        Ok((tensor(&self.cos)?, tensor(&self.sin)?))
    }
}

/// Keys and values of one layer of one sequence in host memory, rows of `kv heads * width`.
#[derive(Debug, Clone, Default)]
pub struct HostKeys {
    /// Keys, rotated.
    pub keys: Vec<f32>,
    /// Values.
    pub values: Vec<f32>,
}

/// Causal attention within each segment: rows of queries, keys and values `[n, Heads::row]` to
/// `[n, query heads * width]`. Differentiable.
pub fn attention(qkv: &Tensor, plan: &Arc<AttentionPlan>) -> Result<Tensor> {
    composite::attention(qkv, plan, None)
}

/// [`attention`] with the keys and values of earlier tokens, which takes the new ones in; without
/// gradients.
pub fn attention_cached(
    qkv: &Tensor,
    plan: &AttentionPlan,
    past: &mut [&mut DeviceKeys],
) -> Result<Tensor> {
    composite::attention(qkv, plan, Some(past))
}
