//! Linear layers whose backward pass takes transposed operands by their strides.
//!
//! candle's own product of `x` and a transposed weight hands the weight's gradient back transposed
//! and then turns it around, and it computes the gradient of a frozen weight too.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{
    host::{floats, lend},
    product::{Matrix, MatrixMut, Threads, product},
};

/// `x · weightᵀ`.
pub struct Linear;

/// `residual + x · weightᵀ`.
pub struct LinearAdd;

/// Rows, inner and outer width of `[n, in]` and `[out, in]`.
fn sizes(x: &Shape, weight: &Shape) -> Result<(usize, usize, usize)> {
    let ((rows, inner), (outer, given)) = (x.dims2()?, weight.dims2()?);
    if inner != given {
        bail!("a linear layer of {given} inputs can't take rows of {inner}");
    }
    Ok((rows, inner, outer))
}

/// Outputs up to which the library sums a product in another order than that of larger ones.
const SMALL_PRODUCT: usize = 256;

/// Rows that a product of so many outputs must have, so that none is summed in another order than in a larger
/// one.
pub(super) fn rows_needed(outputs: usize) -> usize {
    (SMALL_PRODUCT / outputs.max(1) + 1).max(2)
}

/// Outputs up to which the library portions the inputs by the number of rows too.
const FEW_OUTPUTS: usize = 64;

/// Inputs that the library takes in one portion, whatever the product's size.
const PORTION: usize = 512;

/// Rows of values inside of a slice, so far apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strided<T> {
    pub data: T,
    pub stride: usize,
}

/// Adds `x · weightᵀ` to `dst`, or writes it there, for `(rows, inputs, outputs)`; at least [`rows_needed`] rows.
pub(super) fn multiply(
    dst: Strided<&mut [f32]>,
    x: Strided<&[f32]>,
    w: &[f32],
    (n, i, o): (usize, usize, usize),
    add: bool,
) {
    let portions = if o > FEW_OUTPUTS { 1 } else { i.div_ceil(PORTION).max(1) };
    let portion = i.div_ceil(portions);
    for from in (0..portions).map(|index| index * portion) {
        let width = portion.min(i - from);
        let x = Matrix::new(&x.data[from..], n, width, x.stride);
        let weight = Matrix::new(&w[from..], o, width, i).t();
        let target = MatrixMut::new(dst.data, n, o, dst.stride);
        product(target, x, weight, add || from > 0, Threads::Pool);
    }
}

/// Adds `x · weightᵀ` to `dst`, or writes it there.
///
/// A row must not depend on its company: neither a lone row nor a small product may be summed in
/// another order than a large one. Such rows are repeated until the product is large enough.
pub(super) fn forward(
    dst: &mut [f32],
    x: &[f32],
    w: &[f32],
    (n, i, o): (usize, usize, usize),
    add: bool,
) {
    if n == 0 {
        return;
    }
    let needed = rows_needed(o);
    if n >= needed {
        let (dst, x) = (Strided { data: dst, stride: o }, Strided { data: x, stride: i });
        return multiply(dst, x, w, (n, i, o), add);
    }
    let padded: Vec<f32> = x.iter().copied().cycle().take(needed * i).collect();
    // What is added to takes part: of wide rows the library adds one portion after the other to it.
    let mut sums: Vec<f32> = match add {
        true => dst.iter().copied().cycle().take(needed * o).collect(),
        false => vec![0.0; needed * o],
    };
    let target = Strided { data: sums.as_mut_slice(), stride: o };
    multiply(target, Strided { data: &padded, stride: i }, w, (needed, i, o), add);
    dst.copy_from_slice(&sums[..n * o]);
}

/// Gradients of `x` and of the weight, each only where it leads to a variable.
fn backward(
    x: &Tensor,
    weight: &Tensor,
    grad: &Tensor,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    let (n, i, o) = sizes(x.shape(), weight.shape())?;
    lend(grad, |g| {
        let g = Matrix::new(g, n, o, o);
        let to_x = || {
            let mut dx = vec![0.0; n * i];
            lend(weight, |w| {
                let target = MatrixMut::new(&mut dx, n, i, i);
                product(target, g, Matrix::new(w, o, i, i), false, Threads::Pool);
                Ok(())
            })?;
            Tensor::from_vec(dx, (n, i), x.device())
        };
        let to_weight = || {
            let mut dw = vec![0.0; o * i];
            lend(x, |x| {
                let target = MatrixMut::new(&mut dw, o, i, i);
                product(target, g.t(), Matrix::new(x, n, i, i), false, Threads::Pool);
                Ok(())
            })?;
            Tensor::from_vec(dw, (o, i), x.device())
        };
        let dx = x.track_op().then(to_x).transpose()?;
        Ok((dx, weight.track_op().then(to_weight).transpose()?))
    })
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, i, o) = sizes(x_layout.shape(), weight_layout.shape())?;
        let mut dst = vec![0.0; n * o];
        let (x, weight) = (floats(x, x_layout)?, floats(weight, weight_layout)?);
        forward(&mut dst, x, weight, (n, i, o), false);
        Ok((CpuStorage::F32(dst), (n, o).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        backward(x, weight, grad)
    }
}

impl CustomOp3 for LinearAdd {
    fn name(&self) -> &'static str {
        "linear-add"
    }

    fn cpu_fwd(
        &self,
        residual: &CpuStorage,
        residual_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, i, o) = sizes(x_layout.shape(), weight_layout.shape())?;
        if residual_layout.dims() != [n, o] {
            bail!("rows of {o} can't be added to {:?}", residual_layout.dims());
        }
        let mut dst = floats(residual, residual_layout)?.to_vec();
        let (x, weight) = (floats(x, x_layout)?, floats(weight, weight_layout)?);
        forward(&mut dst, x, weight, (n, i, o), true);
        Ok((CpuStorage::F32(dst), (n, o).into()))
    }

    fn bwd(
        &self,
        residual: &Tensor,
        x: &Tensor,
        weight: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = backward(x, weight, grad)?;
        Ok((residual.track_op().then(|| grad.clone()), dx, dw))
    }
}
