//! The gated activation of the feed-forward layer (Shazeer, 2020), fused.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{
    host::{floats, lend},
    lanes,
};

/// Rows per task.
const ROWS: usize = 16;

/// What a feed-forward layer's gate is put through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// The Gaussian error linear unit by its hyperbolic tangent formula (Hendrycks and Gimpel, 2016).
    GeluTanh,
}

impl Activation {
    /// Both activations are `x * sigmoid(a(x))`: `sigmoid(a(x))` and the slope of `a`.
    #[inline(always)]
    fn open(self, x: f32) -> (f32, f32) {
        /// 2 √(2/π).
        const SCALE: f32 = 1.595_769;
        const CUBE: f32 = 0.044_715;
        match self {
            Self::Silu => (lanes::sigmoid(x), 1.0),
            Self::GeluTanh => {
                let square = CUBE * x * x;
                (lanes::sigmoid(SCALE * x * (1.0 + square)), SCALE * (1.0 + 3.0 * square))
            }
        }
    }
}

/// `activation(gate) * up` of rows `[gate, up]`.
pub struct Gated(pub Activation);

impl CustomOp1 for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, both) = layout.shape().dims2()?;
        let (x, width, activation) = (floats(x, layout)?, both / 2, self.0);
        let mut dst = vec![0.0; rows * width];
        dst.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * both)).for_each(|(dst, x)| {
            lanes::dispatch(|| {
                for (dst, x) in dst.chunks_exact_mut(width).zip(x.chunks_exact(both)) {
                    let (gate, up) = x.split_at(width);
                    for ((dst, &gate), &up) in dst.iter_mut().zip(gate).zip(up) {
                        *dst = gate * activation.open(gate).0 * up;
                    }
                }
            });
        });
        Ok((CpuStorage::F32(dst), (rows, width).into()))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (rows, both) = x.dims2()?;
        let mut dx = vec![0.0; rows * both];
        lend(x, |x| {
            lend(grad, |g| {
                backward(&mut dx, x, g, both, self.0);
                Ok(())
            })
        })?;
        Tensor::from_vec(dx, (rows, both), x.device()).map(Some)
    }
}

fn backward(dx: &mut [f32], x: &[f32], g: &[f32], both: usize, activation: Activation) {
    let width = both / 2;
    let rows = x.par_chunks(ROWS * both).zip(g.par_chunks(ROWS * width));
    dx.par_chunks_mut(ROWS * both).zip(rows).for_each(|(dx, (x, g))| {
        lanes::dispatch(|| {
            let rows = x.chunks_exact(both).zip(g.chunks_exact(width));
            for (dx, (x, g)) in dx.chunks_exact_mut(both).zip(rows) {
                let ((d_gate, d_up), (gate, up)) = (dx.split_at_mut(width), x.split_at(width));
                for (((d_gate, d_up), (&gate, &up)), &g) in
                    d_gate.iter_mut().zip(d_up).zip(gate.iter().zip(up)).zip(g)
                {
                    let (open, slope) = activation.open(gate);
                    *d_up = g * gate * open;
                    *d_gate = g * up * open * (1.0 + gate * (1.0 - open) * slope);
                }
            }
        });
    });
}
