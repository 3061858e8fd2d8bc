//! The product with a frozen weight as an operation on tensors, whatever multiplies: only the rows, and what the
//! product is added to, have gradients.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::host::{floats, lend};

/// A frozen weight `[rows, columns]` of a linear layer, with the products of its own. Slices hold whole rows.
pub trait Product: Send + Sync + 'static {
    /// What the operation is called, without and with something that it is added to.
    const NAMES: [&'static str; 2];

    /// `(rows, columns)`.
    fn shape(&self) -> (usize, usize);

    /// Writes `x · weightᵀ` to `dst`, or adds it.
    ///
    /// # Errors
    /// A weight that can't be read.
    fn forward(&self, dst: &mut [f32], x: &[f32], add: bool) -> Result<()>;

    /// Writes `gradient · weight` to `dst`.
    ///
    /// # Errors
    /// A weight that can't be read.
    fn back(&self, dst: &mut [f32], gradient: &[f32]) -> Result<()>;
}

/// `x · weightᵀ`, or that added to what is given first.
pub struct FrozenLinear<P>(pub P);

impl<P: Product> FrozenLinear<P> {
    fn rows(&self, x: &Layout) -> Result<usize> {
        let ((rows, given), (_, columns)) = (x.shape().dims2()?, self.0.shape());
        if given != columns {
            bail!("a linear layer of {columns} inputs can't take rows of {given}");
        }
        Ok(rows)
    }

    fn backward(&self, x: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        if !x.track_op() {
            return Ok(None);
        }
        let (rows, columns) = x.dims2()?;
        let mut dx = vec![0.0; rows * columns];
        lend(grad, |grad| self.0.back(&mut dx, grad))?;
        Ok(Some(Tensor::from_vec(dx, (rows, columns), x.device())?))
    }
}

impl<P: Product> CustomOp1 for FrozenLinear<P> {
    fn name(&self) -> &'static str {
        P::NAMES[0]
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, (width, _)) = (self.rows(layout)?, self.0.shape());
        let mut dst = vec![0.0; rows * width];
        self.0.forward(&mut dst, floats(x, layout)?, false)?;
        Ok((CpuStorage::F32(dst), (rows, width).into()))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        self.backward(x, grad)
    }
}

impl<P: Product> CustomOp2 for FrozenLinear<P> {
    fn name(&self) -> &'static str {
        P::NAMES[1]
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
        self.0.forward(&mut dst, floats(x, layout)?, true)?;
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
