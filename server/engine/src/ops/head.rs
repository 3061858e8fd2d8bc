//! Attention of the query heads that share one key head, within one segment.
//!
//! Queries go block by block, so that scores never take more than a block times the segment's
//! length; the backward pass computes them again instead of keeping them (Dao et al., 2022).

use super::{
    attention::{Heads, HostKeys, LayerRule, Scoring},
    lanes,
    product::{Matrix, MatrixMut, Threads, product},
};

/// Queries per block.
const BLOCK: usize = 64;

/// The angles of one segment's rows, `[rows, width / 2]` each.
#[derive(Debug, Clone, Copy)]
pub struct Rotary<'a> {
    pub cos: &'a [f32],
    pub sin: &'a [f32],
}

/// What the heads of one segment of one layer have in common.
#[derive(Debug, Clone, Copy)]
pub struct HeadPlan<'a> {
    pub heads: Heads,
    pub scoring: Scoring,
    pub rule: LayerRule,
    /// Angles of the segment's rows; `None` where the layer turns nothing.
    pub rotary: Option<Rotary<'a>>,
}

/// One head's rotated keys and its values, each in rows of its own stride.
#[derive(Debug)]
pub struct HeadKeys<'a> {
    keys: &'a [f32],
    values: &'a [f32],
    key_stride: usize,
    value_stride: usize,
}

impl<'a> HeadKeys<'a> {
    /// Rows begin at the slices' beginnings.
    pub fn new(keys: &'a [f32], values: &'a [f32], key_stride: usize, value_stride: usize) -> Self {
        Self { keys, values, key_stride, value_stride }
    }

    /// The keys that a block sees, `[seen, width]`.
    fn keys(&self, block: &Block, width: usize) -> Matrix<'a> {
        let from = &self.keys[block.first * self.key_stride..];
        Matrix::new(from, block.seen(), width, self.key_stride)
    }

    /// The values that a block sees, `[seen, width]`.
    fn values(&self, block: &Block, width: usize) -> Matrix<'a> {
        let from = &self.values[block.first * self.value_stride..];
        Matrix::new(from, block.seen(), width, self.value_stride)
    }
}

/// Copies one head out of rows of `stride`, rotated and scaled: `[rows, width]`.
pub fn rotated(
    rows: &[f32],
    stride: usize,
    at: usize,
    width: usize,
    rotary: Option<Rotary<'_>>,
    scale: f32,
) -> Vec<f32> {
    let half = width / 2;
    let mut dst = vec![0.0; rows.len() / stride * width];
    let Some(rotary) = rotary else {
        for (dst, row) in dst.chunks_exact_mut(width).zip(rows.chunks_exact(stride)) {
            dst.iter_mut().zip(&row[at..at + width]).for_each(|(dst, x)| *dst = x * scale);
        }
        return dst;
    };
    lanes::dispatch(|| {
        let angles = rotary.cos.chunks_exact(half).zip(rotary.sin.chunks_exact(half));
        let rows = rows.chunks_exact(stride).zip(angles);
        for (dst, (row, (cos, sin))) in dst.chunks_exact_mut(width).zip(rows) {
            let (left, right) = row[at..at + width].split_at(half);
            let (dst_left, dst_right) = dst.split_at_mut(half);
            for i in 0..half {
                dst_left[i] = (left[i] * cos[i] - right[i] * sin[i]) * scale;
                dst_right[i] = (right[i] * cos[i] + left[i] * sin[i]) * scale;
            }
        }
    });
    dst
}

/// Undoes [`rotated`] on a gradient, in place.
fn rotate_back(grad: &mut [f32], width: usize, rotary: Option<Rotary<'_>>, scale: f32) {
    let half = width / 2;
    let Some(rotary) = rotary else {
        grad.iter_mut().for_each(|x| *x *= scale);
        return;
    };
    lanes::dispatch(|| {
        let angles = rotary.cos.chunks_exact(half).zip(rotary.sin.chunks_exact(half));
        for (row, (cos, sin)) in grad.chunks_exact_mut(width).zip(angles) {
            let (left, right) = row.split_at_mut(half);
            for i in 0..half {
                let (l, r) = (left[i], right[i]);
                left[i] = (l * cos[i] + r * sin[i]) * scale;
                right[i] = (r * cos[i] - l * sin[i]) * scale;
            }
        }
    });
}

/// Appends a segment's keys, rotated, and its values.
pub fn append(past: &mut HostKeys, rows: &[f32], plan: &HeadPlan<'_>) {
    let heads = plan.heads;
    let (stride, width) = (heads.row(), heads.kv * heads.width);
    let (first, more) = (past.keys.len(), rows.len() / stride * width);
    make_room(&mut past.keys, more, width);
    make_room(&mut past.values, more, width);
    past.keys.resize(first + more, 0.0);
    for head in 0..heads.kv {
        let at = (heads.query + head) * heads.width;
        let keys = rotated(rows, stride, at, heads.width, plan.rotary, 1.0);
        let targets = past.keys[first..].chunks_exact_mut(width);
        for (target, key) in targets.zip(keys.chunks_exact(heads.width)) {
            target[head * heads.width..(head + 1) * heads.width].copy_from_slice(key);
        }
    }
    for row in rows.chunks_exact(stride) {
        past.values.extend_from_slice(&row[(heads.query + heads.kv) * heads.width..]);
    }
}

/// Tokens to come that there is room for at least. Memory is the system's until it is written to, but every
/// size that a cache has had stays with the allocator for a while.
const AHEAD: usize = 64;

/// Makes room for `more` values, and for some tokens of `width` values to come. A vector would double
/// by itself, and so take up to twice the memory that was reserved for its row.
fn make_room(values: &mut Vec<f32>, more: usize, width: usize) {
    if values.capacity() - values.len() < more {
        values.reserve_exact(more.max(values.len() / 8).max(AHEAD * width));
    }
}

/// A block of queries and the keys that any of them sees.
struct Block {
    /// Its first query.
    start: usize,
    /// Number of queries.
    rows: usize,
    /// First key seen.
    first: usize,
    /// One past the key that the last query sees last: its own.
    end: usize,
}

/// Blocks of `rows` queries that are the last of `tokens` tokens.
fn blocks(rows: usize, tokens: usize, rule: LayerRule) -> impl Iterator<Item = Block> {
    let earlier = tokens - rows;
    (0..rows).step_by(BLOCK).map(move |start| {
        let count = BLOCK.min(rows - start);
        let first = rule.first(earlier + start + 1);
        Block { start, rows: count, first, end: earlier + start + count }
    })
}

impl Block {
    /// Number of keys seen.
    fn seen(&self) -> usize {
        self.end - self.first
    }

    /// Attention shares of the block's queries, `[rows, seen]`; zero where a query doesn't see a key.
    /// `slopes`, where given, takes the derivative of the soft cap, of the same shape.
    fn shares(
        &self,
        scores: &mut [f32],
        slopes: Option<&mut [f32]>,
        queries: &[f32],
        keys: &HeadKeys<'_>,
        plan: &HeadPlan<'_>,
    ) {
        let (seen, width) = (self.seen(), plan.heads.width);
        let queries = &queries[self.start * width..];
        product(
            MatrixMut::new(scores, self.rows, seen, seen),
            Matrix::new(queries, self.rows, width, width),
            keys.keys(self, width).t(),
            false,
            Threads::One,
        );
        if let Some(cap) = plan.scoring.softcap {
            bend(scores, slopes, cap);
        }
        lanes::dispatch(|| {
            for (index, row) in scores.chunks_exact_mut(seen).enumerate() {
                let end = self.end - self.rows + index + 1;
                let (row, later) = row.split_at_mut(end - self.first);
                let (earlier, visible) = row.split_at_mut(plan.rule.first(end) - self.first);
                lanes::softmax(visible);
                earlier.fill(0.0);
                later.fill(0.0);
            }
        });
    }
}

/// `cap * tanh(score / cap)` in place, and its slope.
fn bend(scores: &mut [f32], slopes: Option<&mut [f32]>, cap: f32) {
    for score in scores.iter_mut() {
        *score = (*score / cap).tanh();
    }
    for (slope, bent) in slopes.into_iter().flatten().zip(scores.iter()) {
        *slope = 1.0 - bent * bent;
    }
    scores.iter_mut().for_each(|score| *score *= cap);
}

/// The mixed values of the query heads of key head `head`: `[rows, group * width]`.
pub fn forward(
    rows: &[f32],
    plan: &HeadPlan<'_>,
    head: usize,
    keys: &HeadKeys<'_>,
    tokens: usize,
) -> Vec<f32> {
    let heads = plan.heads;
    let (width, group, stride) = (heads.width, heads.group(), heads.row());
    let count = rows.len() / stride;
    let mut dst = vec![0.0; count * group * width];
    let mut buffer = vec![0.0; BLOCK.min(count) * tokens];
    for member in 0..group {
        let at = (head * group + member) * width;
        let queries = rotated(rows, stride, at, width, plan.rotary, plan.scoring.scale);
        for block in blocks(count, tokens, plan.rule) {
            let scores = &mut buffer[..block.rows * block.seen()];
            block.shares(scores, None, &queries, keys, plan);
            let target = &mut dst[block.start * group * width + member * width..];
            product(
                MatrixMut::new(target, block.rows, width, group * width),
                Matrix::new(scores, block.rows, block.seen(), block.seen()),
                keys.values(&block, width),
                false,
                Threads::One,
            );
        }
    }
    dst
}

/// Gradients of one key head and of the query heads that share it.
#[derive(Debug)]
pub struct HeadGradient {
    /// One `[rows, width]` per query head.
    queries: Vec<Vec<f32>>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl HeadGradient {
    /// Copies the gradients to their places in rows of queries, keys and values.
    pub fn write(&self, dst: &mut [f32], heads: Heads, head: usize) {
        let (width, group) = (heads.width, heads.group());
        let put = |dst: &mut [f32], at: usize, part: &[f32]| {
            let rows = dst.chunks_exact_mut(heads.row());
            for (row, values) in rows.zip(part.chunks_exact(width)) {
                row[at * width..(at + 1) * width].copy_from_slice(values);
            }
        };
        for (member, queries) in self.queries.iter().enumerate() {
            put(dst, head * group + member, queries);
        }
        put(dst, heads.query + head, &self.keys);
        put(dst, heads.query + heads.kv + head, &self.values);
    }
}

/// The gradients of [`forward`] without earlier tokens, from `grad` `[rows, query heads * width]`.
pub fn backward(
    rows: &[f32],
    grad: &[f32],
    plan: &HeadPlan<'_>,
    head: usize,
    keys: &HeadKeys<'_>,
) -> HeadGradient {
    let (heads, rotary, scale) = (plan.heads, plan.rotary, plan.scoring.scale);
    let (width, stride) = (heads.width, heads.row());
    let count = rows.len() / stride;
    let zeros = || vec![0.0; count * width];
    let mut gradient = HeadGradient { queries: Vec::new(), keys: zeros(), values: zeros() };
    let mut shares = vec![0.0; BLOCK.min(count) * count];
    let mut d_scores = shares.clone();
    let mut slopes = if plan.scoring.softcap.is_some() { shares.clone() } else { vec![] };
    for at in (head * heads.group()..(head + 1) * heads.group()).map(|head| head * width) {
        let queries = rotated(rows, stride, at, width, rotary, scale);
        let mut d_queries = zeros();
        for block in blocks(count, count, plan.rule) {
            let size = block.rows * block.seen();
            let (shares, d_scores) = (&mut shares[..size], &mut d_scores[..size]);
            let mut slopes = slopes.get_mut(..size);
            block.shares(shares, slopes.as_deref_mut(), &queries, keys, plan);
            let grad = &grad[block.start * heads.query * width + at..];
            let grad = Matrix::new(grad, block.rows, width, heads.query * width);
            block.d_scores(d_scores, shares, grad, keys, width);
            for (d, slope) in d_scores.iter_mut().zip(slopes.into_iter().flatten()) {
                *d *= *slope;
            }
            let (seen, start, first) = (block.seen(), block.start * width, block.first * width);
            let scores = |x| Matrix::new(x, block.rows, seen, seen);
            let block_queries = Matrix::new(&queries[start..], block.rows, width, width);
            let d_values = MatrixMut::new(&mut gradient.values[first..], seen, width, width);
            product(d_values, scores(shares).t(), grad, true, Threads::One);
            let d_keys = MatrixMut::new(&mut gradient.keys[first..], seen, width, width);
            product(d_keys, scores(d_scores).t(), block_queries, true, Threads::One);
            let d_block = MatrixMut::new(&mut d_queries[start..], block.rows, width, width);
            product(d_block, scores(d_scores), keys.keys(&block, width), false, Threads::One);
        }
        rotate_back(&mut d_queries, width, rotary, scale);
        gradient.queries.push(d_queries);
    }
    rotate_back(&mut gradient.keys, width, rotary, 1.0);
    gradient
}

impl Block {
    /// Gradients of the scores from those of the mixed values.
    fn d_scores(
        &self,
        d_scores: &mut [f32],
        shares: &[f32],
        grad: Matrix<'_>,
        keys: &HeadKeys<'_>,
        width: usize,
    ) {
        let values = keys.values(self, width).t();
        let seen = self.seen();
        let target = MatrixMut::new(d_scores, self.rows, seen, seen);
        product(target, grad, values, false, Threads::One);
        lanes::dispatch(|| {
            let rows = shares.chunks_exact(seen);
            for (row, shares) in d_scores.chunks_exact_mut(seen).zip(rows) {
                let mean = lanes::sum2(row, shares, |d, share| d * share);
                for (d, &share) in row.iter_mut().zip(shares) {
                    *d = (*d - mean) * share;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_takes_little_more_than_its_tokens() {
        let (mut values, width) = (Vec::new(), 4);
        let mut moves = 0;
        for tokens in 1..=2000 {
            let before = values.capacity();
            make_room(&mut values, width, width);
            values.resize(tokens * width, 0.0);
            moves += usize::from(values.capacity() != before);
            assert!(values.capacity() <= (tokens + tokens / 8 + AHEAD) * width, "{tokens} tokens");
        }
        assert!(moves < 25, "{moves} times moved");
        make_room(&mut values, 10_000 * width, width);
        assert!(values.capacity() >= 12_000 * width, "a long prompt at once");
    }
}
