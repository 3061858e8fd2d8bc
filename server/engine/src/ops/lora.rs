//! Low-rank changes of a linear layer's output for rows that each have their own adapter, without
//! gradients: what serving many voices from one batch costs beyond the base model.
//!
//! Every row is computed by itself and in a fixed order, so that it depends neither on the adapters
//! of its neighbours nor on their number.

use std::ops::Range;

use candle_core::{Result, Storage, Tensor, bail};
use rayon::prelude::*;

use super::{
    host::{floats, lend},
    lanes,
};

/// The change of some columns of some rows: `scale * (x · aᵀ) · bᵀ`.
#[derive(Debug)]
pub struct Change<'a> {
    /// Rows of the input and of the output.
    pub rows: Range<usize>,
    /// First column of the output; there are as many as `b` has rows.
    pub column: usize,
    /// `[r, in]`.
    pub a: &'a Tensor,
    /// `[out, r]`.
    pub b: &'a Tensor,
    /// Factor of the change.
    pub scale: f32,
}

/// Rows per task where there are many.
const ROWS: usize = 16;

/// A change with its factors as slices.
struct Lent<'a> {
    change: &'a Change<'a>,
    a: &'a [f32],
    b: &'a [f32],
}

/// Adds the changes to `base` `[n, out]`, given the layer's input `[n, in]`; f32 on the CPU.
pub fn add_changes(base: &Tensor, x: &Tensor, changes: &[Change<'_>]) -> Result<Tensor> {
    let ((rows, outer), (given, inner)) = (base.dims2()?, x.dims2()?);
    if rows != given {
        bail!("{rows} rows of output need as many of input, got {given}");
    }
    for change in changes {
        change.check(rows, inner, outer)?;
    }
    let mut dst = lend(base, |base| Ok(base.to_vec()))?;
    // Few rows are shared out one by one: they are most often those of different adapters.
    let together = if rows < ROWS * rayon::current_num_threads() { 1 } else { ROWS };
    let storages: Vec<_> =
        changes.iter().flat_map(|c| [&c.a, &c.b]).map(|t| t.storage_and_layout()).collect();
    let slices = storages.iter().map(|(storage, layout)| match &**storage {
        Storage::Cpu(storage) => floats(storage, layout),
        _ => bail!("a change needs factors in host memory"),
    });
    let slices: Vec<&[f32]> = slices.collect::<Result<_>>()?;
    let lent: Vec<Lent<'_>> = changes
        .iter()
        .zip(slices.as_chunks::<2>().0)
        .map(|(change, [a, b])| Lent { change, a, b })
        .collect();
    lend(x, |x| {
        let tasks = dst.par_chunks_mut(together * outer).zip(x.par_chunks(together * inner));
        tasks.enumerate().for_each(|(task, (dst, x))| {
            let first = task * together;
            for lent in &lent {
                let rows = &lent.change.rows;
                let end = rows.end.min(first + dst.len() / outer);
                let start = rows.start.max(first);
                if start < end {
                    let dst = &mut dst[(start - first) * outer..(end - first) * outer];
                    lent.add(
                        dst,
                        &x[(start - first) * inner..(end - first) * inner],
                        (inner, outer),
                    );
                }
            }
        });
        Ok(())
    })?;
    Tensor::from_vec(dst, (rows, outer), base.device())
}

impl Change<'_> {
    fn check(&self, rows: usize, inner: usize, outer: usize) -> Result<()> {
        let ((rank, a_inner), (b_outer, b_rank)) = (self.a.dims2()?, self.b.dims2()?);
        let fits = a_inner == inner && b_rank == rank && self.column + b_outer <= outer;
        if !fits || self.rows.end > rows || rank == 0 {
            bail!("a change of {self:?} doesn't fit {rows} rows from {inner} to {outer}");
        }
        Ok(())
    }
}

impl Lent<'_> {
    fn add(&self, dst: &mut [f32], x: &[f32], (inner, outer): (usize, usize)) {
        let Self { change, a, b } = *self;
        let rank = a.len() / inner;
        let mut low = vec![0.0; rank];
        lanes::dispatch(|| {
            for (dst, x) in dst.chunks_exact_mut(outer).zip(x.chunks_exact(inner)) {
                for (low, a) in low.iter_mut().zip(a.chunks_exact(inner)) {
                    *low = lanes::sum2(a, x, |a, x| a * x) * change.scale;
                }
                for (dst, b) in dst[change.column..].iter_mut().zip(b.chunks_exact(rank)) {
                    *dst += b.iter().zip(&low).map(|(b, low)| b * low).sum::<f32>();
                }
            }
        });
    }
}
