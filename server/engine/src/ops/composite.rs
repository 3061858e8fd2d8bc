//! The operations as compositions of candle's own: any device and data type, gradients by candle.

use candle_core::{D, DType, Result, Tensor};

use super::{
    Activation,
    attention::{AttentionPlan, LayerRule, Scoring},
};

/// Scores of one segment that are computed at once, 256 MB in f32 for each of the few forms that they take
/// on the way. A long prompt behind a long conversation has many times more.
const SCORES: usize = 64 << 20;

/// Tokens that buffers of keys have room for at least when they have grown.
const SPARE: usize = 32;

/// See [`super::rms_norm`]; multiplies in the weight's data type.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let wide = x.to_dtype(DType::F32)?;
    let mean = (wide.sqr()?.sum_keepdim(D::Minus1)? / x.dim(D::Minus1)? as f64)?;
    let normed = wide.broadcast_div(&(mean + eps)?.sqrt()?)?.to_dtype(weight.dtype())?;
    normed.broadcast_mul(weight)?.to_dtype(x.dtype())
}

/// See [`super::linear`].
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.matmul(&weight.t()?)
}

/// See [`super::linear_biased`]. On the CPU half precision is rounded once, as a GPU's kernels do.
pub fn linear_biased(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() && x.dtype().size_in_bytes() == 2 {
        let [wide, weight, bias] = [x, weight, bias].map(|x| x.to_dtype(DType::F32));
        return linear(&wide?, &weight?)?.broadcast_add(&bias?)?.to_dtype(x.dtype());
    }
    linear(x, weight)?.broadcast_add(bias)
}

/// See [`super::gated`].
pub fn gated(gate_up: &Tensor, activation: Activation) -> Result<Tensor> {
    let width = gate_up.dim(1)? / 2;
    let (gate, up) = (gate_up.narrow(1, 0, width)?, gate_up.narrow(1, width, width)?);
    let opened = precisely(&gate, |gate| match activation {
        Activation::Silu => gate.silu(),
        Activation::GeluTanh => gate.gelu(),
    });
    opened? * up
}

/// Computes in f32 what candle would round at every step in half precision.
fn precisely(x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    match x.dtype() {
        DType::BF16 | DType::F16 => f(&x.to_dtype(DType::F32)?)?.to_dtype(x.dtype()),
        _ => f(x),
    }
}

/// See [`super::softcap`].
pub fn softcap(x: &Tensor, cap: f64) -> Result<Tensor> {
    let bent = precisely(x, |x| x / cap)?;
    precisely(&precisely(&bent, Tensor::tanh)?, |bent| bent * cap)
}

/// Mean negative log-likelihood of `targets` (`[n]`, u32) under `logits` (`[n, vocab]`), a scalar. The
/// `shares` (`[n]`, f32, of sum one) say how much each row enters.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor, shares: &Tensor) -> Result<Tensor> {
    let logits = logits.to_dtype(DType::F32)?;
    let largest = logits.detach().max_keepdim(1)?;
    let shifted = logits.broadcast_sub(&largest)?;
    let total = shifted.exp()?.sum_keepdim(1)?.log()?;
    let chosen = shifted.gather(&targets.unsqueeze(1)?, 1)?;
    ((total - chosen)?.squeeze(1)? * shares)?.sum_all()
}

/// See [`super::attention::attention`]; `past` holds each segment's earlier keys and values as
/// `[tokens, kv heads, width]` and takes the new ones in.
pub fn attention(
    qkv: &Tensor,
    plan: &AttentionPlan,
    rule: LayerRule,
    mut past: Option<&mut [&mut DeviceKeys]>,
) -> Result<Tensor> {
    let (heads, kv, width) = (plan.heads.query, plan.heads.kv, plan.heads.width);
    let rows = qkv.dim(0)?;
    let part = |start, count: usize| {
        qkv.narrow(1, start * width, count * width)?.reshape((rows, count, width))
    };
    let (mut queries, mut keys) = (part(0, heads)?, part(heads, kv)?);
    if let Some((cos, sin)) = plan.angles(rule, qkv.device(), qkv.dtype())? {
        queries = rotate(&queries, &cos, &sin)?;
        keys = rotate(&keys, &cos, &sin)?;
    }
    let values = part(heads + kv, kv)?;
    let mut outputs = Vec::with_capacity(plan.spans.len());
    for (index, span) in plan.spans.iter().enumerate() {
        let take = |x: &Tensor| x.narrow(0, span.start, span.len());
        let (mut k, mut v) = (take(&keys)?, take(&values)?);
        if let Some(past) = past.as_deref_mut() {
            (k, v) = past[index].append(&k, &v)?;
        }
        outputs.push(attend(&take(&queries)?, &k, &v, plan.scoring, rule)?);
    }
    Tensor::cat(&outputs, 0)
}

/// Rotates pairs `(i, i + width / 2)` of every head: `[n, heads, width]`, angles `[n, 1, width / 2]`.
fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let half = x.dim(2)? / 2;
    let (first, second) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
    let left = (first.broadcast_mul(cos)? - second.broadcast_mul(sin)?)?;
    let right = (second.broadcast_mul(cos)? + first.broadcast_mul(sin)?)?;
    Tensor::cat(&[left, right], 2)
}

/// Causal attention of one segment: queries `[n, heads, width]` are the last n of the keys' tokens.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, scoring: Scoring, rule: LayerRule) -> Result<Tensor> {
    attend_in_blocks(q, k, v, (scoring, rule), SCORES)
}

/// The same in blocks of rows with at most `most` scores each, or one row's if that is more.
fn attend_in_blocks(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    (scoring, rule): (Scoring, LayerRule),
    most: usize,
) -> Result<Tensor> {
    let (rows, heads, width) = q.dims3()?;
    let (total, kv, _) = k.dims3()?;
    let by_head = |x: &Tensor| x.transpose(0, 1)?.contiguous();
    let (keys, values) = (by_head(k)?.t()?, by_head(v)?);
    let scale = f64::from(scoring.scale);
    let block = (most / (heads * total).max(1)).clamp(1, rows.max(1));
    let mut outputs = Vec::with_capacity(rows.div_ceil(block));
    for start in (0..rows).step_by(block) {
        let count = block.min(rows - start);
        // Heads that share keys and values are further rows of the same product, so that keys needn't
        // be copied for each.
        let shared = (kv, heads / kv * count, width);
        let q = by_head(&q.narrow(0, start, count)?)?.reshape(shared)?;
        let mut scores = precisely(&q.matmul(&keys)?, |scores| scores * scale)?;
        if let Some(cap) = scoring.softcap {
            scores = softcap(&scores, cap.into())?;
        }
        let scores = scores.to_dtype(DType::F32)?.reshape((heads, count, total))?;
        let hidden = |row: usize, column| {
            let end = start + row + total - rows + 1;
            column >= end || column < rule.first(end)
        };
        let mask = (0..count * total).map(|at| match hidden(at / total, at % total) {
            true => f32::NEG_INFINITY,
            false => 0.0,
        });
        let mask = Tensor::from_iter(mask, q.device())?.reshape((1, count, total))?;
        let shares = candle_nn::ops::softmax(&scores.broadcast_add(&mask)?, D::Minus1)?;
        let shares = shares.to_dtype(q.dtype())?.reshape((kv, heads / kv * count, total))?;
        let mixed = shares.matmul(&values)?.reshape((heads, count, width))?;
        outputs.push(mixed.transpose(0, 1)?.contiguous()?.reshape((count, heads * width))?);
    }
    Tensor::cat(&outputs, 0)
}

/// Keys and values of one layer of one sequence as tensors, in buffers that grow by an eighth when they
/// are full: doubling would take up to twice the memory that was reserved for the sequence.
#[derive(Debug, Clone, Default)]
pub struct DeviceKeys {
    buffers: Option<(Tensor, Tensor)>,
    len: usize,
}

impl DeviceKeys {
    /// Keeps the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Tokens that its buffers have room for.
    pub fn capacity(&self) -> usize {
        self.buffers.as_ref().map_or(0, |(keys, _)| keys.dims()[0])
    }

    /// A copy that shares no memory with this one: appending writes into the buffers in place.
    pub fn fork(&self) -> Result<Self> {
        let copy = |x: &Tensor| x.narrow(0, 0, self.len)?.copy();
        let buffers = match &self.buffers {
            Some((k, v)) => Some((copy(k)?, copy(v)?)),
            None => None,
        };
        Ok(Self { buffers, len: self.len })
    }

    /// Appends `[n, kv heads, width]` and gives everything back.
    fn append(&mut self, k: &Tensor, v: &Tensor) -> Result<(Tensor, Tensor)> {
        let (rows, heads, width) = k.dims3()?;
        let total = self.len + rows;
        if self.buffers.is_none() || self.capacity() < total {
            let capacity = total + (total / 8).max(SPARE);
            let grow = |old: Option<&Tensor>| {
                let new = Tensor::zeros((capacity, heads, width), k.dtype(), k.device())?;
                if let Some(old) = old.filter(|_| self.len > 0) {
                    new.slice_set(&old.narrow(0, 0, self.len)?.contiguous()?, 0, 0)?;
                }
                Result::Ok(new)
            };
            let old = self.buffers.as_ref();
            self.buffers = Some((grow(old.map(|b| &b.0))?, grow(old.map(|b| &b.1))?));
        }
        let Some((all_k, all_v)) = &self.buffers else {
            candle_core::bail!("key buffers were just made")
        };
        all_k.slice_set(&k.detach().contiguous()?, 0, self.len)?;
        all_v.slice_set(&v.detach().contiguous()?, 0, self.len)?;
        self.len = total;
        Ok((all_k.narrow(0, 0, total)?, all_v.narrow(0, 0, total)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use domain::random::SplitMix64;

    use super::*;

    fn random(shape: (usize, usize, usize), seed: u64) -> Var {
        let mut random = SplitMix64::new(seed);
        let count = shape.0 * shape.1 * shape.2;
        let values = (0..count).map(|_| random.unit() as f32 * 2.0 - 1.0).collect();
        Var::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn values(x: &Tensor) -> Vec<f32> {
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[track_caller]
    fn close(found: &Tensor, expected: &Tensor, tolerance: f32) {
        assert_eq!(found.dims(), expected.dims());
        let pairs = values(found).into_iter().zip(values(expected));
        for (at, (found, expected)) in pairs.enumerate() {
            assert!((found - expected).abs() < tolerance, "{at}: {found} for {expected}");
        }
    }

    #[test]
    fn blocks_of_rows_give_what_all_rows_give() {
        // The last 7 of 20 tokens, 6 heads of which 3 share keys.
        let (q, k, v) = (random((7, 6, 4), 1), random((20, 2, 4), 2), random((20, 2, 4), 3));
        for (softcap, window) in
            [(None, None), (Some(0.7), None), (None, Some(3)), (Some(2.0), Some(9))]
        {
            let rule = (Scoring { scale: 0.5, softcap }, LayerRule { angles: None, window });
            let attend = |most| attend_in_blocks(&q, &k, &v, rule, most).unwrap();
            let gradients = |x: &Tensor| (x * x).unwrap().sum_all().unwrap().backward().unwrap();
            let whole = attend(usize::MAX);
            // One row, two rows, and as many as just don't suffice for all.
            for most in [0, 6 * 20 * 2, 6 * 20 * 7 - 1] {
                let blocks = attend(most);
                close(&blocks, &whole, 1e-5);
                let (whole, blocks) = (gradients(&whole), gradients(&blocks));
                for part in [&q, &k, &v] {
                    close(blocks.get(part).unwrap(), whole.get(part).unwrap(), 1e-4);
                }
            }
        }
    }

    #[test]
    fn buffers_take_little_more_than_their_tokens() {
        let (mut keys, mut expected) = (DeviceKeys::default(), Vec::new());
        for seed in 0..400 {
            let new = random((1, 2, 4), seed).as_detached_tensor();
            expected.extend(values(&new));
            let (all, _) = keys.append(&new, &new).unwrap();
            let tokens = seed as usize + 1;
            assert!(keys.capacity() <= tokens + tokens / 8 + SPARE, "{tokens} tokens");
            if tokens.is_multiple_of(50) {
                assert_eq!(values(&all), expected);
            }
        }
        assert_eq!(keys.fork().unwrap().capacity(), 400);
    }

    #[test]
    fn heads_that_share_keys_are_as_with_keys_of_their_own() {
        let (q, k, v) = (random((5, 6, 4), 1), random((9, 2, 4), 2), random((9, 2, 4), 3));
        let rule = (Scoring { scale: 0.5, softcap: None }, LayerRule::default());
        let shared = attend_in_blocks(&q, &k, &v, rule, usize::MAX).unwrap();
        let heads = |x: &Tensor| {
            let each = (0..6).map(|head| x.narrow(1, head / 3, 1).unwrap());
            Tensor::cat(&each.collect::<Vec<_>>(), 1).unwrap()
        };
        let own = attend_in_blocks(&q, &heads(&k), &heads(&v), rule, usize::MAX).unwrap();
        close(&shared, &own, 1e-5);
    }
}
