//! The product as an operation on tensors, with a gradient for the rows: the weight is frozen.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::activations::Activations;
use super::kernel::Kernel;
use super::layout::{LANES, QuantisedMatrix};
use crate::ops::{
    frozen::{FrozenLinear, Product},
    product::{Matrix, MatrixMut, Threads, product},
    shared::Columns,
};

/// Rows that are so few that there is one task per thread.
const FEW: usize = 20;

/// Bytes of weights that stay in a core's cache while rows pass.
const CACHED: usize = 256 << 10;

/// `x · weightᵀ`: `[n, columns]` to `[n, rows]`, f32 on the CPU.
pub fn linear(x: &Tensor, weight: &Arc<QuantisedMatrix>) -> Result<Tensor> {
    linear_by(Kernel::best(), x, weight)
}

/// [`linear`] by instructions of one's choice.
///
/// # Panics
/// Where the processor lacks them, see [`Kernel::available`].
pub fn linear_by(kernel: Kernel, x: &Tensor, weight: &Arc<QuantisedMatrix>) -> Result<Tensor> {
    let weight = Arc::clone(weight);
    x.contiguous()?.apply_op1(FrozenLinear(Quantised { weight, kernel }))
}

/// `residual + x · weightᵀ`.
pub fn linear_add(residual: &Tensor, x: &Tensor, weight: &Arc<QuantisedMatrix>) -> Result<Tensor> {
    let add = Quantised { weight: Arc::clone(weight), kernel: Kernel::best() };
    residual.contiguous()?.apply_op2(&x.contiguous()?, FrozenLinear(add))
}

/// Writes `x · weightᵀ` to `dst`, or adds it.
pub(super) fn multiply(
    dst: &mut [f32],
    x: &[f32],
    weight: &QuantisedMatrix,
    add: bool,
    kernel: Kernel,
) {
    let (width, columns) = weight.shape();
    let x = Activations::new(x, columns);
    let dst = Columns::new(dst, width);
    assert_eq!(dst.rows(), x.rows(), "room for the product");
    // Few rows want as few tasks as there are threads; many want tiles that stay in the cache.
    let threads = rayon::current_num_threads().max(1);
    let cached = (CACHED / weight.tile_bytes()).max(1);
    let few = x.rows() <= FEW;
    let share = weight.tiles().div_ceil(if few { threads } else { 4 * threads });
    let run = share.clamp(1, if few { usize::MAX } else { cached });
    let tiles = weight.tiles();
    (0..tiles.div_ceil(run)).into_par_iter().for_each(|task| {
        let dst = &dst;
        for first in (0..x.rows()).step_by(kernel.rows()) {
            let rows = first..(first + kernel.rows()).min(x.rows());
            for tile in task * run..((task + 1) * run).min(tiles) {
                let from = tile * LANES;
                let count = LANES.min(width - from);
                let write = |row: usize, values: [f32; LANES]| {
                    #[expect(unsafe_code, reason = "tasks write columns of the same rows")]
                    // SAFETY: no two tasks have a tile in common, and each writes one row at a time.
                    let dst = unsafe { dst.row(row, from..from + count) };
                    for (dst, value) in dst.iter_mut().zip(values) {
                        *dst = if add { *dst + value } else { value };
                    }
                };
                kernel.tile(weight, tile, &x, rows.clone(), write);
            }
        }
    });
}

/// The weight of the operation, and what multiplies it.
struct Quantised {
    weight: Arc<QuantisedMatrix>,
    kernel: Kernel,
}

impl Product for Quantised {
    const NAMES: [&'static str; 2] = ["quantised-linear", "quantised-linear-add"];

    fn shape(&self) -> (usize, usize) {
        self.weight.shape()
    }

    fn forward(&self, dst: &mut [f32], x: &[f32], add: bool) -> Result<()> {
        multiply(dst, x, &self.weight, add, self.kernel);
        Ok(())
    }

    fn back(&self, dst: &mut [f32], gradient: &[f32]) -> Result<()> {
        let (outer, inner) = self.weight.shape();
        let (rows, weight) = (gradient.len() / outer, self.weight.values());
        let gradient = Matrix::new(gradient, rows, outer, outer);
        let weight = Matrix::new(&weight, outer, inner, inner);
        product(MatrixMut::new(dst, rows, inner, inner), gradient, weight, false, Threads::Pool);
        Ok(())
    }
}
