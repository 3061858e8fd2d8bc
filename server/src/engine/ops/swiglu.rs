//! The gated activation of the feed-forward layer (Shazeer, 2020), fused.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{
    host::{floats, lend},
    lanes,
};

/// Rows per task.
const ROWS: usize = 16;

/// `silu(gate) * up` of rows `[gate, up]`.
pub struct Swiglu;

impl CustomOp1 for Swiglu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, both) = layout.shape().dims2()?;
        let (x, width) = (floats(x, layout)?, both / 2);
        let mut dst = vec![0.0; rows * width];
        dst.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * both)).for_each(|(dst, x)| {
            lanes::dispatch(|| {
                for (dst, x) in dst.chunks_exact_mut(width).zip(x.chunks_exact(both)) {
                    let (gate, up) = x.split_at(width);
                    for ((dst, &gate), &up) in dst.iter_mut().zip(gate).zip(up) {
                        *dst = gate * lanes::sigmoid(gate) * up;
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
                backward(&mut dx, x, g, both);
                Ok(())
            })
        })?;
        Tensor::from_vec(dx, (rows, both), x.device()).map(Some)
    }
}

fn backward(dx: &mut [f32], x: &[f32], g: &[f32], both: usize) {
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
                    let open = lanes::sigmoid(gate);
                    *d_up = g * gate * open;
                    *d_gate = g * up * open * (1.0 + gate * (1.0 - open));
                }
            }
        });
    });
}
