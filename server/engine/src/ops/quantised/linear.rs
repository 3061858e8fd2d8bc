//! The product as an operation on tensors, with a gradient for the rows: the weight is frozen.

use std::fmt;
use std::sync::{Arc, LazyLock};

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::activations::Activations;
use super::layout::{LANES, QuantisedMatrix};
use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, vnni};
use crate::ops::{
    host::{floats, lend},
    product::{Matrix, MatrixMut, Threads, product},
    shared::Columns,
};

/// Rows that pass a run of tiles at a time: they stay in a core's nearest cache.
const ROWS: usize = 20;

/// Bytes of weights that stay in a core's cache while rows pass.
const CACHED: usize = 256 << 10;

/// `x · weightᵀ`: `[n, columns]` to `[n, rows]`, f32 on the CPU.
pub fn linear(x: &Tensor, weight: &Arc<QuantisedMatrix>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(QuantisedLinear(Arc::clone(weight)))
}

/// `residual + x · weightᵀ`.
pub fn linear_add(residual: &Tensor, x: &Tensor, weight: &Arc<QuantisedMatrix>) -> Result<Tensor> {
    let add = QuantisedLinear(Arc::clone(weight));
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
struct QuantisedLinear(Arc<QuantisedMatrix>);

impl QuantisedLinear {
    fn rows(&self, x: &Layout) -> Result<usize> {
        let ((rows, given), (_, columns)) = (x.shape().dims2()?, self.0.shape());
        if given != columns {
            bail!("a linear layer of {columns} inputs can't take rows of {given}");
        }
        Ok(rows)
    }

    /// `grad · weight`.
    fn backward(&self, x: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        if !x.track_op() {
            return Ok(None);
        }
        let (rows, (outer, inner)) = (x.dim(0)?, self.0.shape());
        let weight = self.0.values();
        let mut dx = vec![0.0; rows * inner];
        lend(grad, |grad| {
            let grad = Matrix::new(grad, rows, outer, outer);
            let weight = Matrix::new(&weight, outer, inner, inner);
            let target = MatrixMut::new(&mut dx, rows, inner, inner);
            product(target, grad, weight, false, Threads::Pool);
            Ok(())
        })?;
        Ok(Some(Tensor::from_vec(dx, (rows, inner), x.device())?))
    }
}

impl CustomOp1 for QuantisedLinear {
    fn name(&self) -> &'static str {
        "quantised-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, (width, _)) = (self.rows(layout)?, self.0.shape());
        let mut dst = vec![0.0; rows * width];
        multiply(&mut dst, floats(x, layout)?, &self.0, false, Kernel::best());
        Ok((CpuStorage::F32(dst), (rows, width).into()))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        self.backward(x, grad)
    }
}

impl CustomOp2 for QuantisedLinear {
    fn name(&self) -> &'static str {
        "quantised-linear-add"
    }

    fn cpu_fwd(
        &self,
        residual: &CpuStorage,
        residual_layout: &Layout,
        x: &CpuStorage,
        layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, (width, _)) = (self.rows(layout)?, self.0.shape());
        if residual_layout.dims() != [rows, width] {
            bail!("rows of {width} can't be added to {:?}", residual_layout.dims());
        }
        let mut dst = floats(residual, residual_layout)?.to_vec();
        multiply(&mut dst, floats(x, layout)?, &self.0, true, Kernel::best());
        Ok((CpuStorage::F32(dst), (rows, width).into()))
    }

    fn bwd(
        &self,
        residual: &Tensor,
        x: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((residual.track_op().then(|| grad.clone()), self.backward(x, grad)?))
    }
}
