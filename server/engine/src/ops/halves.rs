//! Frozen weights of 16 bits each, multiplied in f32: half the memory, and exact where the checkpoint
//! has 16 bits.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};
use half::{bf16, f16, slice::HalfFloatSliceExt};
use rayon::prelude::*;

use super::{
    host::{floats, lend},
    int16::Frozen,
    linear as dense,
    product::{Matrix, MatrixMut, Threads, product},
};

/// Output rows that are widened at a time: their f32 values stay in a core's cache.
const PANEL: usize = 64;

/// A frozen `[rows, columns]` weight of a linear layer.
#[derive(Debug)]
pub struct HalfMatrix {
    rows: usize,
    columns: usize,
    values: Values,
}

#[derive(Debug)]
enum Values {
    F16(Vec<f16>),
    BF16(Vec<bf16>),
}

impl HalfMatrix {
    /// Takes a matrix of f16 or bf16 in host memory.
    ///
    /// # Errors
    /// Another data type or shape.
    pub fn new(matrix: &Tensor) -> Result<Self> {
        let (rows, columns) = matrix.dims2()?;
        let flat = matrix.flatten_all()?;
        let values = match matrix.dtype() {
            DType::F16 => Values::F16(flat.to_vec1()?),
            DType::BF16 => Values::BF16(flat.to_vec1()?),
            other => bail!("a matrix of 16 bits can't be made of {other:?}"),
        };
        Ok(Self { rows, columns, values })
    }

    /// `(rows, columns)`.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// The values of some rows.
    pub fn values(&self, rows: Range<usize>) -> Vec<f32> {
        let range = rows.start * self.columns..rows.end * self.columns;
        let mut wide = vec![0.0; range.len()];
        self.widen(range, &mut wide);
        wide
    }

    /// Writes what `range` of all values is.
    fn widen(&self, range: Range<usize>, wide: &mut [f32]) {
        match &self.values {
            Values::F16(values) => values[range].convert_to_f32_slice(wide),
            Values::BF16(values) => {
                for (wide, value) in wide.iter_mut().zip(&values[range]) {
                    *wide = f32::from_bits(u32::from(value.to_bits()) << 16);
                }
            }
        }
    }

    fn multiply(&self, x: &[f32], rows: usize) -> Vec<f32> {
        // A panel less wide than others would be summed in another order.
        let panels: Vec<Vec<f32>> = (0..self.rows.div_ceil(PANEL))
            .into_par_iter()
            .map(|panel| {
                let from = panel * PANEL;
                let mut wide = self.values(from..self.rows.min(from + PANEL));
                wide.resize(PANEL * self.columns, 0.0);
                let mut dst = vec![0.0; rows * PANEL];
                dense::forward(&mut dst, x, &wide, (rows, self.columns, PANEL), false);
                dst
            })
            .collect();
        let mut dst = vec![0.0; rows * self.rows];
        dst.par_chunks_mut(self.rows).enumerate().for_each(|(row, dst)| {
            for (dst, panel) in dst.chunks_mut(PANEL).zip(&panels) {
                dst.copy_from_slice(&panel[row * PANEL..][..dst.len()]);
            }
        });
        dst
    }
}

impl Frozen for HalfMatrix {
    fn shape(&self) -> (usize, usize) {
        self.shape()
    }

    fn read(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        into: &mut [f32],
        stride: usize,
    ) -> Result<()> {
        for (row, into) in rows.zip(into.chunks_mut(stride)) {
            let from = row * self.columns;
            self.widen(from + columns.start..from + columns.end, &mut into[..columns.len()]);
        }
        Ok(())
    }
}

/// `x · weightᵀ`: `[n, columns]` to `[n, rows]`, f32 on the CPU.
pub fn linear(x: &Tensor, weight: &Arc<HalfMatrix>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(HalfLinear(Arc::clone(weight)))
}

struct HalfLinear(Arc<HalfMatrix>);

impl CustomOp1 for HalfLinear {
    fn name(&self) -> &'static str {
        "half-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let ((rows, given), (width, columns)) = (layout.shape().dims2()?, self.0.shape());
        if given != columns {
            bail!("a linear layer of {columns} inputs can't take rows of {given}");
        }
        let dst = self.0.multiply(floats(x, layout)?, rows);
        Ok((CpuStorage::F32(dst), (rows, width).into()))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        if !x.track_op() {
            return Ok(None);
        }
        let (rows, (outer, inner)) = (x.dim(0)?, self.0.shape());
        let mut dx = vec![0.0; rows * inner];
        lend(grad, |grad| {
            for from in (0..outer).step_by(PANEL * 16) {
                let to = outer.min(from + PANEL * 16);
                let weight = self.0.values(from..to);
                let grad = Matrix::new(&grad[from..], rows, to - from, outer);
                let weight = Matrix::new(&weight, to - from, inner, inner);
                let target = MatrixMut::new(&mut dx, rows, inner, inner);
                product(target, grad, weight, true, Threads::Pool);
            }
            Ok(())
        })?;
        Ok(Some(Tensor::from_vec(dx, (rows, inner), x.device())?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use domain::random::SplitMix64;

    use super::*;

    fn random(seed: u64, shape: (usize, usize)) -> Tensor {
        let mut random = SplitMix64::new(seed);
        let draw = |_| (random.unit() * 2.0 - 1.0) as f32;
        let values: Vec<f32> = (0..shape.0 * shape.1).map(draw).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn list(x: &Tensor) -> Vec<f32> {
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn products_and_gradients_are_those_of_the_widened_matrix() {
        for dtype in [DType::F16, DType::BF16] {
            // Rows beyond a panel, and beyond a run of panels.
            for outer in [70, 1100] {
                let half = random(1, (outer, 48)).to_dtype(dtype).unwrap();
                let wide = half.to_dtype(DType::F32).unwrap();
                let matrix = Arc::new(HalfMatrix::new(&half).unwrap());
                assert_eq!(matrix.values(0..outer), list(&wide));
                let x = Var::from_tensor(&random(2, (7, 48))).unwrap();
                let pull = random(3, (7, outer));
                let both = |y: Tensor| {
                    let store = (&y * &pull).unwrap().sum_all().unwrap().backward().unwrap();
                    (list(&y), list(store.get(&x).unwrap()))
                };
                let (given, expected) = (
                    both(linear(&x, &matrix).unwrap()),
                    both(x.matmul(&wide.t().unwrap()).unwrap()),
                );
                let close =
                    |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
                assert!(close(&given.0, &expected.0) && close(&given.1, &expected.1), "{dtype:?}");
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_its_company() {
        // So wide that the library takes the columns in portions, which it sizes by the rows too.
        let (rows, columns) = (80, 1100);
        let half = random(1, (70, columns)).to_dtype(DType::BF16).unwrap();
        let matrix = Arc::new(HalfMatrix::new(&half).unwrap());
        let x = random(2, (rows, columns));
        let together = list(&linear(&x, &matrix).unwrap());
        for row in [0, 1, 40, rows - 1] {
            let alone = list(&linear(&x.narrow(0, row, 1).unwrap(), &matrix).unwrap());
            assert_eq!(alone, together[row * 70..(row + 1) * 70]);
        }
    }

    #[test]
    fn other_kinds_are_refused() {
        assert!(HalfMatrix::new(&random(1, (2, 2))).is_err());
    }
}
