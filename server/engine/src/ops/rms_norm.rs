//! Root-mean-square norm (Zhang and Sennrich, 2019), fused.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{
    host::{floats, lend},
    lanes,
};

/// Rows per task; fixed, so that the weight's gradient is summed in the same order everywhere.
const ROWS: usize = 64;

/// `x / rms(x) * weight` over the last dimension.
pub struct RmsNorm {
    /// Added to the mean square.
    pub eps: f32,
}

impl RmsNorm {
    #[inline(always)]
    fn inverse(&self, x: &[f32]) -> f32 {
        1.0 / (lanes::sum2(x, x, |a, b| a * b) / x.len() as f32 + self.eps).sqrt()
    }

    #[inline(always)]
    fn forward_row(&self, dst: &mut [f32], x: &[f32], weight: &[f32]) {
        let inverse = self.inverse(x);
        for ((dst, &x), &weight) in dst.iter_mut().zip(x).zip(weight) {
            *dst = x * inverse * weight;
        }
    }

    /// Writes the gradient of `x` and adds the row's part of the weight's.
    #[inline(always)]
    fn backward_row(&self, dx: &mut [f32], dw: &mut [f32], x: &[f32], w: &[f32], g: &[f32]) {
        let inverse = self.inverse(x);
        for (((dx, dw), (&x, &w)), &g) in
            dx.iter_mut().zip(dw.iter_mut()).zip(x.iter().zip(w)).zip(g)
        {
            *dw += g * x * inverse;
            *dx = g * w;
        }
        let along = lanes::sum2(dx, x, |a, b| a * b) * inverse * inverse / x.len() as f32;
        for (dx, &x) in dx.iter_mut().zip(x) {
            *dx = (*dx - x * along) * inverse;
        }
    }

    fn backward(&self, x: &[f32], w: &[f32], g: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let width = w.len();
        let mut dx = vec![0.0; x.len()];
        let parts: Vec<Vec<f32>> = dx
            .par_chunks_mut(ROWS * width)
            .zip(x.par_chunks(ROWS * width).zip(g.par_chunks(ROWS * width)))
            .map(|(dx, (x, g))| {
                let mut dw = vec![0.0; width];
                lanes::dispatch(|| {
                    let rows = x.chunks_exact(width).zip(g.chunks_exact(width));
                    for (dx, (x, g)) in dx.chunks_exact_mut(width).zip(rows) {
                        self.backward_row(dx, &mut dw, x, w, g);
                    }
                });
                dw
            })
            .collect();
        let mut dw = vec![0.0; width];
        for part in &parts {
            dw.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
        (dx, dw)
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (floats(x, x_layout)?, floats(weight, weight_layout)?);
        let width = weight.len();
        if x_layout.dims().last() != Some(&width) {
            bail!("a norm of {width} weights can't take {:?}", x_layout.dims());
        }
        let mut dst = vec![0.0; x.len()];
        dst.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * width)).for_each(|(dst, x)| {
            lanes::dispatch(|| {
                for (dst, x) in dst.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                    self.forward_row(dst, x, weight);
                }
            });
        });
        Ok((CpuStorage::F32(dst), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = lend(x, |x| lend(weight, |w| lend(grad, |g| Ok(self.backward(x, w, g)))))?;
        let dw = weight.track_op().then(|| Tensor::from_vec(dw, weight.shape(), x.device()));
        Ok((Some(Tensor::from_vec(dx, x.shape(), x.device())?), dw.transpose()?))
    }
}
