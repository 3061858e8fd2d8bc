//! Causal attention over the segments of a packed batch, rotary embedding included: what is computed
//! ([`AttentionPlan`]) and the operation itself. The kernels for one head are in `head`.

use std::{ops::Range, sync::Arc};

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{
    composite,
    head::{self, HeadKeys, Rotary},
    host::{fits, floats, lend},
};

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

    /// Query heads that share a key head.
    pub fn group(self) -> usize {
        self.query / self.kv
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

    fn rows(&self) -> usize {
        self.spans.last().map_or(0, |span| span.end)
    }

    fn rotary(&self, span: &Range<usize>) -> Rotary<'_> {
        let half = self.heads.width / 2;
        let rows = span.start * half..span.end * half;
        Rotary { cos: &self.cos[rows.clone()], sin: &self.sin[rows] }
    }

    /// Lends each segment its rows of `data`, which has `width` values per row.
    fn split<'a>(&self, mut data: &'a mut [f32], width: usize) -> Vec<&'a mut [f32]> {
        let mut parts = Vec::with_capacity(self.spans.len());
        for span in &self.spans {
            let (part, rest) = data.split_at_mut(span.len() * width);
            parts.push(part);
            data = rest;
        }
        parts
    }

    fn check(&self, shape: &Shape) -> Result<()> {
        let expected = [self.rows(), self.heads.row()];
        if shape.dims() != expected {
            bail!("attention over {expected:?} can't take {:?}", shape.dims());
        }
        Ok(())
    }

    /// Every segment's and key head's result of `f`, spread over the thread pool.
    fn per_head<R: Send>(&self, f: impl Fn(&Range<usize>, usize) -> R + Sync) -> Vec<Vec<R>> {
        let segment = |span| (0..self.heads.kv).into_par_iter().map(|head| f(span, head)).collect();
        self.spans.par_iter().map(segment).collect()
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
    if fits(qkv) {
        qkv.contiguous()?.apply_op1(Attention { plan: plan.clone() })
    } else {
        composite::attention(qkv, plan, None)
    }
}

/// [`attention`] with the keys and values of earlier tokens (one per segment), which takes the new
/// ones in; on the CPU in f32 and without gradients.
pub fn attention_cached(
    qkv: &Tensor,
    plan: &AttentionPlan,
    past: &mut [&mut HostKeys],
) -> Result<Tensor> {
    plan.check(qkv.shape())?;
    if past.len() != plan.spans.len() {
        bail!("{} segments can't use the keys of {} sequences", plan.spans.len(), past.len());
    }
    let (heads, row) = (plan.heads, plan.heads.row());
    let width = heads.kv * heads.width;
    let outputs = lend(qkv, |qkv| {
        let segments: Vec<_> = plan.spans.iter().zip(past.iter_mut()).collect();
        let outputs = segments.into_par_iter().map(|(span, past)| {
            let rows = &qkv[span.start * row..span.end * row];
            head::append(past, rows, heads, plan.rotary(span));
            let past = &**past;
            let output = |head: usize| {
                let at = head * heads.width;
                let keys = HeadKeys::new(&past.keys[at..], &past.values[at..], width, width);
                head::forward(rows, heads, head, &keys, past.keys.len() / width, plan.rotary(span))
            };
            (0..heads.kv).into_par_iter().map(output).collect::<Vec<_>>()
        });
        Ok(outputs.collect::<Vec<_>>())
    })?;
    let mut dst = vec![0.0; plan.rows() * heads.query * heads.width];
    join(&mut dst, plan, &outputs);
    Tensor::from_vec(dst, (plan.rows(), heads.query * heads.width), qkv.device())
}

/// Puts the heads' outputs side by side.
fn join(dst: &mut [f32], plan: &AttentionPlan, outputs: &[Vec<Vec<f32>>]) {
    let width = plan.heads.group() * plan.heads.width;
    let parts = plan.split(dst, plan.heads.kv * width);
    parts.into_par_iter().zip(outputs).for_each(|(part, heads)| {
        for (head, output) in heads.iter().enumerate() {
            let rows = part.chunks_exact_mut(plan.heads.kv * width);
            for (row, values) in rows.zip(output.chunks_exact(width)) {
                row[head * width..(head + 1) * width].copy_from_slice(values);
            }
        }
    });
}

struct Attention {
    plan: Arc<AttentionPlan>,
}

impl Attention {
    /// The rows of a segment, and the keys and values of one of its heads, freshly rotated.
    fn keys(&self, rows: &[f32], span: &Range<usize>, head: usize) -> Vec<f32> {
        let heads = self.plan.heads;
        let at = (heads.query + head) * heads.width;
        head::rotated(rows, heads.row(), at, heads.width, self.plan.rotary(span), 1.0)
    }

    fn forward(&self, qkv: &[f32]) -> Vec<Vec<Vec<f32>>> {
        let (heads, row) = (self.plan.heads, self.plan.heads.row());
        self.plan.per_head(|span, head| {
            let rows = &qkv[span.start * row..span.end * row];
            let keys = self.keys(rows, span, head);
            let values = &rows[(heads.query + heads.kv + head) * heads.width..];
            let keys = HeadKeys::new(&keys, values, heads.width, row);
            head::forward(rows, heads, head, &keys, span.len(), self.plan.rotary(span))
        })
    }

    fn backward(&self, qkv: &[f32], grad: &[f32]) -> Vec<f32> {
        let (heads, row) = (self.plan.heads, self.plan.heads.row());
        let wide = heads.query * heads.width;
        let parts = self.plan.per_head(|span, head| {
            let rows = &qkv[span.start * row..span.end * row];
            let grad = &grad[span.start * wide..span.end * wide];
            let keys = self.keys(rows, span, head);
            let values = &rows[(heads.query + heads.kv + head) * heads.width..];
            let keys = HeadKeys::new(&keys, values, heads.width, row);
            head::backward(rows, grad, heads, head, &keys, self.plan.rotary(span))
        });
        let mut dst = vec![0.0; qkv.len()];
        self.plan.split(&mut dst, row).into_par_iter().zip(&parts).for_each(|(dst, parts)| {
            for (head, part) in parts.iter().enumerate() {
                part.write(dst, heads, head);
            }
        });
        dst
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.plan.check(layout.shape())?;
        let shape = (self.plan.rows(), self.plan.heads.query * self.plan.heads.width);
        let mut dst = vec![0.0; shape.0 * shape.1];
        join(&mut dst, &self.plan, &self.forward(floats(qkv, layout)?));
        Ok((CpuStorage::F32(dst), shape.into()))
    }

    fn bwd(&self, qkv: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let dst = lend(qkv, |qkv| lend(grad, |grad| Ok(self.backward(qkv, grad))))?;
        Tensor::from_vec(dst, qkv.shape(), qkv.device()).map(Some)
    }
}
