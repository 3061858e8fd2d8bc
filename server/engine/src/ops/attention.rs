//! Causal attention over the segments of a packed batch, rotary embedding included: what is computed
//! ([`AttentionPlan`]) and the operation itself. The kernels for one head are in `head`.

use std::{ops::Range, sync::Arc};

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{
    composite,
    head::{self, HeadKeys, HeadPlan, Rotary},
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

/// Rotary angles of a batch's rows (Su et al., 2021).
#[derive(Debug, Clone, Default)]
pub struct Angles {
    /// Cosines, `[rows, width / 2]`.
    pub cos: Vec<f32>,
    /// Sines, `[rows, width / 2]`.
    pub sin: Vec<f32>,
}

/// How scores become shares, the same in every layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scoring {
    /// What products of queries and keys are multiplied by.
    pub scale: f32,
    /// Scores are bent to stay within this by a hyperbolic tangent.
    pub softcap: Option<f32>,
}

/// What sets one layer's attention apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerRule {
    /// Which of the plan's angles turn queries and keys; `None` leaves them as they are.
    pub angles: Option<usize>,
    /// Number of tokens that a token sees, itself included; `None` sees all.
    pub window: Option<usize>,
}

impl LayerRule {
    /// The first of `seen` tokens that the last of them sees.
    pub fn first(self, seen: usize) -> usize {
        self.window.map_or(0, |window| seen.saturating_sub(window))
    }
}

/// What every layer's attention over one batch has in common.
#[derive(Debug, Clone)]
pub struct AttentionPlan {
    /// The heads.
    pub heads: Heads,
    /// From scores to shares.
    pub scoring: Scoring,
    /// Each segment's rows.
    pub spans: Vec<Range<usize>>,
    /// The angles that [`LayerRule::angles`] chooses from.
    pub angles: Vec<Angles>,
}

impl AttentionPlan {
    /// Lays `(length, position of the first token)` of each segment end to end. Every set of
    /// `frequencies` (in radians per token, `width / 2` of them) gives a set of angles.
    pub fn new(
        heads: Heads,
        scoring: Scoring,
        frequencies: &[Vec<f32>],
        segments: impl Iterator<Item = (usize, usize)>,
    ) -> Self {
        let angles = vec![Angles::default(); frequencies.len()];
        let mut plan = Self { heads, scoring, spans: Vec::new(), angles };
        let mut start = 0;
        for (len, position) in segments {
            plan.spans.push(start..start + len);
            start += len;
            for (angles, frequencies) in plan.angles.iter_mut().zip(frequencies) {
                for at in position..position + len {
                    for frequency in frequencies {
                        // As Hugging Face computes them: angles in f32.
                        let (sin, cos) = (at as f32 * frequency).sin_cos();
                        angles.cos.push(cos);
                        angles.sin.push(sin);
                    }
                }
            }
        }
        plan
    }

    /// The angles of a layer as tensors `[rows, 1, width / 2]`.
    pub fn angles(
        &self,
        rule: LayerRule,
        device: &Device,
        dtype: DType,
    ) -> Result<Option<(Tensor, Tensor)>> {
        let Some(angles) = rule.angles.and_then(|index| self.angles.get(index)) else {
            return Ok(None);
        };
        let half = self.heads.width / 2;
        let shape = (angles.cos.len() / half, 1, half);
        let tensor = |x: &[f32]| Tensor::from_slice(x, shape, device)?.to_dtype(dtype);
        Ok(Some((tensor(&angles.cos)?, tensor(&angles.sin)?)))
    }

    fn rows(&self) -> usize {
        self.spans.last().map_or(0, |span| span.end)
    }

    fn rotary(&self, rule: LayerRule, span: &Range<usize>) -> Option<Rotary<'_>> {
        let angles = self.angles.get(rule.angles?)?;
        let half = self.heads.width / 2;
        let rows = span.start * half..span.end * half;
        Some(Rotary { cos: &angles.cos[rows.clone()], sin: &angles.sin[rows] })
    }

    /// What one head of one segment needs beside its rows.
    fn head(&self, rule: LayerRule, span: &Range<usize>) -> HeadPlan<'_> {
        let (heads, scoring) = (self.heads, self.scoring);
        HeadPlan { heads, scoring, rule, rotary: self.rotary(rule, span) }
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
pub fn attention(qkv: &Tensor, plan: &Arc<AttentionPlan>, rule: LayerRule) -> Result<Tensor> {
    if fits(qkv) {
        qkv.contiguous()?.apply_op1(Attention { plan: plan.clone(), rule })
    } else {
        composite::attention(qkv, plan, rule, None)
    }
}

/// [`attention`] with the keys and values of earlier tokens (one per segment), which takes the new
/// ones in; on the CPU in f32 and without gradients.
pub fn attention_cached(
    qkv: &Tensor,
    plan: &AttentionPlan,
    rule: LayerRule,
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
            let head_plan = plan.head(rule, span);
            head::append(past, rows, &head_plan);
            let past = &**past;
            let output = |head: usize| {
                let at = head * heads.width;
                let keys = HeadKeys::new(&past.keys[at..], &past.values[at..], width, width);
                head::forward(rows, &head_plan, head, &keys, past.keys.len() / width)
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
    rule: LayerRule,
}

impl Attention {
    /// The rows of a segment, and the keys and values of one of its heads, freshly rotated.
    fn keys(&self, rows: &[f32], span: &Range<usize>, head: usize) -> Vec<f32> {
        let heads = self.plan.heads;
        let at = (heads.query + head) * heads.width;
        let rotary = self.plan.rotary(self.rule, span);
        head::rotated(rows, heads.row(), at, heads.width, rotary, 1.0)
    }

    fn forward(&self, qkv: &[f32]) -> Vec<Vec<Vec<f32>>> {
        let (heads, row) = (self.plan.heads, self.plan.heads.row());
        self.plan.per_head(|span, head| {
            let rows = &qkv[span.start * row..span.end * row];
            let keys = self.keys(rows, span, head);
            let values = &rows[(heads.query + heads.kv + head) * heads.width..];
            let keys = HeadKeys::new(&keys, values, heads.width, row);
            head::forward(rows, &self.plan.head(self.rule, span), head, &keys, span.len())
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
            head::backward(rows, grad, &self.plan.head(self.rule, span), head, &keys)
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
