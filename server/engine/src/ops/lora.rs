//! Low-rank changes of a linear layer's output.
//!
//! [`add_changes`] is for serving: rows that each have their own adapter, without gradients. Every row is
//! computed by itself and in a fixed order, so that it depends neither on the adapters of its neighbours nor
//! on their number. [`add_low`] is for tuning: all rows have one adapter, which gets gradients.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use super::{
    host::{floats, lend},
    lanes,
    linear::{self, Strided},
    product::{Matrix, MatrixMut, Threads, product},
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

/// What one linear layer of several has of their common output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// First column of the output.
    pub column: usize,
    /// Columns of the output.
    pub width: usize,
    /// Rank of its change.
    pub rank: usize,
}

/// Adds `low · bᵀ` of every part to its columns of `base`: `[n, sum of outs]`, `[n, sum of ranks]` and the
/// parts' `[out, r]` one after the other as one row of values. f32 on the CPU, with gradients of all three.
pub fn add_low(base: &Tensor, low: &Tensor, b: &Tensor, parts: Vec<Part>) -> Result<Tensor> {
    base.contiguous()?.apply_op3(&low.contiguous()?, &b.contiguous()?, AddLow(parts))
}

struct AddLow(Vec<Part>);

/// One part of three matrices.
struct Place {
    part: Part,
    /// Where its columns of `low` begin.
    low: usize,
    /// Where its values of `b` begin.
    b: usize,
}

impl AddLow {
    /// Where the parts are, for these shapes of `base`, `low` and `b`: `(rows, width, sum of ranks)` too.
    fn places(
        &self,
        base: &Shape,
        low: &Shape,
        b: &Shape,
    ) -> Result<(Vec<Place>, (usize, usize, usize))> {
        let ((rows, width), (given, ranks), values) = (base.dims2()?, low.dims2()?, b.dims1()?);
        let (mut low_at, mut b_at) = (0, 0);
        let mut places = Vec::with_capacity(self.0.len());
        let mut fits = rows == given;
        for &part in &self.0 {
            places.push(Place { part, low: low_at, b: b_at });
            fits &= part.column + part.width <= width;
            low_at += part.rank;
            b_at += part.rank * part.width;
        }
        if !fits || (low_at, b_at) != (ranks, values) {
            bail!("changes of {:?} don't fit {base:?}, {low:?} and {b:?}", self.0);
        }
        Ok((places, (rows, width, ranks)))
    }
}

impl CustomOp3 for AddLow {
    fn name(&self) -> &'static str {
        "add-low"
    }

    fn cpu_fwd(
        &self,
        base: &CpuStorage,
        base_layout: &Layout,
        low: &CpuStorage,
        low_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (places, (rows, width, ranks)) =
            self.places(base_layout.shape(), low_layout.shape(), b_layout.shape())?;
        let mut dst = floats(base, base_layout)?.to_vec();
        let (low, b) = (floats(low, low_layout)?, floats(b, b_layout)?);
        for Place { part, low: low_at, b: b_at } in places {
            let b = &b[b_at..][..part.width * part.rank];
            if rows < linear::rows_needed(part.width) {
                // A row must not depend on its company.
                let low: Vec<f32> = low
                    .chunks_exact(ranks)
                    .flat_map(|low| &low[low_at..][..part.rank])
                    .copied()
                    .collect();
                let columns = part.column..part.column + part.width;
                let old = dst.chunks_exact(width).flat_map(|dst| &dst[columns.clone()]);
                let mut sums: Vec<f32> = old.copied().collect();
                linear::forward(&mut sums, &low, b, (rows, part.rank, part.width), true);
                for (dst, sums) in dst.chunks_exact_mut(width).zip(sums.chunks_exact(part.width)) {
                    dst[columns.clone()].copy_from_slice(sums);
                }
                continue;
            }
            let dst = Strided { data: &mut dst[part.column..], stride: width };
            let low = Strided { data: &low[low_at..], stride: ranks };
            linear::multiply(dst, low, b, (rows, part.rank, part.width), true);
        }
        Ok((CpuStorage::F32(dst), (rows, width).into()))
    }

    fn bwd(
        &self,
        base: &Tensor,
        low: &Tensor,
        b: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (places, (rows, width, ranks)) = self.places(base.shape(), low.shape(), b.shape())?;
        let mut to_low = low.track_op().then(|| vec![0.0; rows * ranks]);
        let mut to_b = b.track_op().then(|| vec![0.0; b.elem_count()]);
        lend(grad, |grad| {
            lend(low, |low| {
                lend(b, |b| {
                    for Place { part, low: low_at, b: b_at } in places {
                        let grad = Matrix::new(&grad[part.column..], rows, part.width, width);
                        if let Some(to_low) = &mut to_low {
                            let b = Matrix::new(&b[b_at..], part.width, part.rank, part.rank);
                            let dst = MatrixMut::new(&mut to_low[low_at..], rows, part.rank, ranks);
                            product(dst, grad, b, false, Threads::Pool);
                        }
                        if let Some(to_b) = &mut to_b {
                            let low = Matrix::new(&low[low_at..], rows, part.rank, ranks);
                            let dst = &mut to_b[b_at..];
                            let dst = MatrixMut::new(dst, part.width, part.rank, part.rank);
                            product(dst, grad.t(), low, false, Threads::Pool);
                        }
                    }
                    Ok(())
                })
            })
        })?;
        let tensor = |values: Option<Vec<f32>>, shape: &Shape| {
            values.map(|values| Tensor::from_vec(values, shape, base.device())).transpose()
        };
        Ok((
            base.track_op().then(|| grad.clone()),
            tensor(to_low, low.shape())?,
            tensor(to_b, b.shape())?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use domain::random::SplitMix64;

    use super::*;

    fn random(seed: u64, shape: (usize, usize)) -> Var {
        let mut random = SplitMix64::new(seed);
        let draw = |_| (random.unit() * 2.0 - 1.0) as f32;
        let values: Vec<f32> = (0..shape.0 * shape.1).map(draw).collect();
        Var::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_row_does_not_depend_on_its_company() {
        // The library adds small ranks one by one, and large ones in portions.
        for rank in [1, 2, 8, 700] {
            let (base, low, b) = (random(1, (80, 9)), random(2, (80, rank)), random(3, (5, rank)));
            let b = b.flatten_all().unwrap();
            let parts = vec![Part { column: 3, width: 5, rank }];
            let of = |from: usize, rows: usize| {
                let at = |x: &Var| x.narrow(0, from, rows).unwrap();
                list(&add_low(&at(&base), &at(&low), &b, parts.clone()).unwrap())
            };
            let together = of(0, 80);
            for row in [0, 1, 79] {
                assert_eq!(of(row, 1), together[row * 9..(row + 1) * 9], "rank {rank} row {row}");
            }
        }
    }

    fn list(x: &Tensor) -> Vec<f32> {
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Two of three layers have a change, of different ranks; rows that are few for the library, and many.
    #[test]
    fn low_parts_are_added_to_their_columns_with_their_gradients() {
        parts_are_added(7);
        parts_are_added(80);
    }

    fn parts_are_added(rows: usize) {
        let (widths, ranks) = ([5, 4, 9], [3, 0, 2]);
        let (base, pull) = (random(1, (rows, 18)), random(2, (rows, 18)));
        let low = [random(3, (rows, 3)), random(4, (rows, 2))];
        let b = [random(5, (5, 3)), random(6, (9, 2))];
        let parts = vec![
            Part { column: 0, width: widths[0], rank: ranks[0] },
            Part { column: 9, width: widths[2], rank: ranks[2] },
        ];
        let all = |y: Tensor| {
            let store = (&y * pull.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
            let of = |x: &Var| list(store.get(x).unwrap());
            [list(&y), of(&base), of(&low[0]), of(&low[1]), of(&b[0]), of(&b[1])]
        };
        let lows = Tensor::cat(&[low[0].as_tensor(), low[1].as_tensor()], 1).unwrap();
        let flat = |b: &Var| b.flatten_all().unwrap();
        let factors = Tensor::cat(&[flat(&b[0]), flat(&b[1])], 0).unwrap();
        let given = all(add_low(&base, &lows, &factors, parts.clone()).unwrap());
        let nothing = Tensor::zeros((rows, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
        let change = |at: usize| low[at].matmul(&b[at].t().unwrap()).unwrap();
        let changes = Tensor::cat(&[change(0), nothing, change(1)], 1).unwrap();
        let expected = all((base.as_tensor() + changes).unwrap());
        for (given, expected) in given.iter().zip(&expected) {
            assert_eq!(given.len(), expected.len());
            assert!(given.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
        }
        // What doesn't fit is refused.
        assert!(add_low(&base, &lows, &factors, parts[..1].to_vec()).is_err());
        assert!(add_low(&base.narrow(1, 0, 17).unwrap(), &lows, &factors, parts).is_err());
    }
}
