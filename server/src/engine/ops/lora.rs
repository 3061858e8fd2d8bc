//! Low-rank changes of a linear layer's output for rows that each have their own adapter, without
//! gradients: what serving many voices from one batch costs beyond the base model.
//!
//! Every row is computed by itself and in a fixed order, so that it depends neither on the adapters
//! of its neighbours nor on their number.

use std::ops::Range;

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::{host::lend, lanes};

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

/// Rows per task.
const ROWS: usize = 16;

/// Adds the changes to `base` `[n, out]`, given the layer's input `[n, in]`; f32 on the CPU.
pub fn add_changes(base: &Tensor, x: &Tensor, changes: &[Change<'_>]) -> Result<Tensor> {
    let ((rows, outer), (given, inner)) = (base.dims2()?, x.dims2()?);
    if rows != given {
        bail!("{rows} rows of output need as many of input, got {given}");
    }
    let mut dst = lend(base, |base| Ok(base.to_vec()))?;
    lend(x, |x| {
        for change in changes {
            change.check(rows, inner, outer)?;
            let range = change.rows.start * outer..change.rows.end * outer;
            let x = &x[change.rows.start * inner..change.rows.end * inner];
            let dst = dst[range].par_chunks_mut(ROWS * outer).zip(x.par_chunks(ROWS * inner));
            lend(change.a, |a| {
                lend(change.b, |b| {
                    dst.for_each(|(dst, x)| change.add(dst, x, a, b, (inner, outer)));
                    Ok(())
                })
            })?;
        }
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

    fn add(&self, dst: &mut [f32], x: &[f32], a: &[f32], b: &[f32], sizes: (usize, usize)) {
        let (inner, outer) = sizes;
        let rank = a.len() / inner;
        let mut low = vec![0.0; rank];
        lanes::dispatch(|| {
            for (dst, x) in dst.chunks_exact_mut(outer).zip(x.chunks_exact(inner)) {
                for (low, a) in low.iter_mut().zip(a.chunks_exact(inner)) {
                    *low = lanes::sum2(a, x, |a, x| a * x) * self.scale;
                }
                for (dst, b) in dst[self.column..].iter_mut().zip(b.chunks_exact(rank)) {
                    *dst += b.iter().zip(&low).map(|(b, low)| b * low).sum::<f32>();
                }
            }
        });
    }
}
