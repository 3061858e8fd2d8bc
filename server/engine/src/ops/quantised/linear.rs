//! The product as an operation on tensors, with a gradient for the rows: the weight is frozen.

use std::fmt;
use std::sync::{Arc, LazyLock};

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::activations::Activations;
use super::layout::{LANES, QuantisedMatrix};
use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, vnni};
use crate::ops::{
    frozen::{FrozenLinear, Product},
    product::{Matrix, MatrixMut, Threads, product},
    shared::Columns,
};

/// Rows that pass a run of tiles at a time: they stay in a core's nearest cache.
const ROWS: usize = 20;

/// Bytes of weights that stay in a core's cache while rows pass.
const CACHED: usize = 256 << 10;

/// `x · weightᵀ`: `[n, columns]` to `[n, rows]`, f32 on the CPU.
pub fn linear(x: &Tensor, weight: &Arc<QuantisedMatrix>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(FrozenLinear(Quantised(Arc::clone(weight))))
}

/// `residual + x · weightᵀ`.
pub fn linear_add(residual: &Tensor, x: &Tensor, weight: &Arc<QuantisedMatrix>) -> Result<Tensor> {
    let add = FrozenLinear(Quantised(Arc::clone(weight)));
    residual.contiguous()?.apply_op2(&x.contiguous()?, add)
}

/// Which instructions multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Vnni,
}

impl Kernel {
    /// Those that this processor has, the best one last.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "there are no others"))]
        let mut kernels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            kernels.extend(avx2::available().then_some(Self::Avx2));
            kernels.extend(vnni::available().then_some(Self::Vnni));
        }
        kernels
    }

    /// The best that this processor has.
    pub fn best() -> Self {
        static BEST: LazyLock<Kernel> =
            LazyLock::new(|| Kernel::available().pop().unwrap_or(Kernel::Portable));
        *BEST
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => "AVX-512 VNNI",
        })
    }
}

/// The instructions that matrices of few bits are multiplied by on this processor: `portable`, `AVX2` or
/// `AVX-512 VNNI`.
pub fn kernel() -> String {
    Kernel::best().to_string()
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
    let few = x.rows() <= ROWS;
    let share = weight.tiles().div_ceil(if few { threads } else { 4 * threads });
    let run = share.clamp(1, if few { usize::MAX } else { cached });
    let tiles = weight.tiles();
    (0..tiles.div_ceil(run)).into_par_iter().for_each(|task| {
        let dst = &dst;
        for first in (0..x.rows()).step_by(ROWS) {
            let rows = first..(first + ROWS).min(x.rows());
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
                match kernel {
                    Kernel::Portable => portable::tile(weight, tile, &x, rows.clone(), write),
                    #[cfg(target_arch = "x86_64")]
                    Kernel::Avx2 => avx2::tile(weight, tile, &x, rows.clone(), write),
                    #[cfg(target_arch = "x86_64")]
                    Kernel::Vnni => vnni::tile(weight, tile, &x, rows.clone(), write),
                }
            }
        }
    });
}

/// The weight of the operation.
struct Quantised(Arc<QuantisedMatrix>);

impl Product for Quantised {
    const NAMES: [&'static str; 2] = ["quantised-linear", "quantised-linear-add"];

    fn shape(&self) -> (usize, usize) {
        self.0.shape()
    }

    fn forward(&self, dst: &mut [f32], x: &[f32], add: bool) -> Result<()> {
        multiply(dst, x, &self.0, add, Kernel::best());
        Ok(())
    }

    fn back(&self, dst: &mut [f32], gradient: &[f32]) -> Result<()> {
        let (outer, inner) = self.0.shape();
        let (rows, weight) = (gradient.len() / outer, self.0.values());
        let gradient = Matrix::new(gradient, rows, outer, outer);
        let weight = Matrix::new(&weight, outer, inner, inner);
        product(MatrixMut::new(dst, rows, inner, inner), gradient, weight, false, Threads::Pool);
        Ok(())
    }
}
