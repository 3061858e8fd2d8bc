//! Mean negative log-likelihood straight from hidden rows.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{
    host::floats,
    lanes,
    product::{Matrix, MatrixMut, Threads, product},
};

/// Logits per chunk of [`LinearCrossEntropy`]: 4 MiB, which stays in the second-level cache.
const CHUNK: usize = 1 << 20;

/// Turns each row of logits into the gradient of its share of the mean; gives that mean.
fn row_gradients(logits: &mut [f32], targets: &[u32], shares: &[f32]) -> f64 {
    let classes = logits.len() / targets.len();
    let losses: Vec<f64> = logits
        .par_chunks_mut(classes)
        .zip(targets.par_iter().zip(shares))
        .map(|(row, (&target, &share))| {
            let chosen = row[target as usize];
            let normaliser = lanes::dispatch(|| {
                let normaliser = lanes::softmax(row);
                row.iter_mut().for_each(|value| *value *= share);
                normaliser
            });
            row[target as usize] -= share;
            f64::from(normaliser - chosen) * f64::from(share)
        })
        .collect();
    losses.iter().sum()
}

/// Gradients of the hidden rows and of the head, each where it leads to a variable.
type Gradients = (Option<Vec<f32>>, Option<Vec<f32>>);

/// Loss of `hidden · headᵀ`. The forward pass walks over the logits once, chunk by chunk, and takes
/// the gradients along, since each chunk's logits are gone afterwards.
pub struct LinearCrossEntropy {
    targets: Vec<u32>,
    shares: Vec<f32>,
    tracked: (bool, bool),
    gradients: Mutex<Gradients>,
}

impl LinearCrossEntropy {
    /// One target and one share per row of `hidden`, checked by the caller; shares sum to one.
    pub fn new(hidden: &Tensor, head: &Tensor, targets: Vec<u32>, shares: Vec<f32>) -> Self {
        let tracked = (hidden.track_op(), head.track_op());
        Self { targets, shares, tracked, gradients: Mutex::default() }
    }

    /// The mean loss and its gradients.
    fn run(&self, hidden: &[f32], head: &[f32], width: usize) -> (f64, Gradients) {
        let (rows, classes) = (self.targets.len(), head.len() / width);
        let mut d_hidden = self.tracked.0.then(|| vec![0.0; hidden.len()]);
        let mut d_head = self.tracked.1.then(|| vec![0.0; head.len()]);
        let step = (CHUNK / classes).clamp(16, rows.max(16));
        let mut buffer = vec![0.0; step.min(rows) * classes];
        let mut loss = 0.0;
        for start in (0..rows).step_by(step) {
            let count = step.min(rows - start);
            let range = start * width..(start + count) * width;
            let chunk = Matrix::new(&hidden[range.clone()], count, width, width);
            let weight = Matrix::new(head, classes, width, width);
            let logits = &mut buffer[..count * classes];
            let target = MatrixMut::new(logits, count, classes, classes);
            product(target, chunk, weight.t(), false, Threads::Pool);
            let (targets, shares) = (&self.targets[start..], &self.shares[start..]);
            loss += row_gradients(logits, &targets[..count], &shares[..count]);
            let logits = Matrix::new(logits, count, classes, classes);
            if let Some(d_hidden) = &mut d_hidden {
                let target = MatrixMut::new(&mut d_hidden[range], count, width, width);
                product(target, logits, weight, false, Threads::Pool);
            }
            if let Some(d_head) = &mut d_head {
                let target = MatrixMut::new(d_head, classes, width, width);
                product(target, logits.t(), chunk, true, Threads::Pool);
            }
        }
        (loss, (d_hidden, d_head))
    }
}

impl CustomOp2 for LinearCrossEntropy {
    fn name(&self) -> &'static str {
        "linear-cross-entropy"
    }

    fn cpu_fwd(
        &self,
        hidden: &CpuStorage,
        hidden_layout: &Layout,
        head: &CpuStorage,
        head_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((_, width), (_, given)) =
            (hidden_layout.shape().dims2()?, head_layout.shape().dims2()?);
        if width != given {
            bail!("a head of width {given} can't take rows of {width}");
        }
        let (hidden, head) = (floats(hidden, hidden_layout)?, floats(head, head_layout)?);
        let (loss, gradients) = self.run(hidden, head, width);
        *self.gradients.lock().unwrap_or_else(PoisonError::into_inner) = gradients;
        Ok((CpuStorage::F32(vec![loss as f32]), ().into()))
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        head: &Tensor,
        _result: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let scale = f64::from(grad.to_scalar::<f32>()?);
        let mut gradients = self.gradients.lock().unwrap_or_else(PoisonError::into_inner);
        let (d_hidden, d_head) = std::mem::take(&mut *gradients);
        let tensor = |values: Option<Vec<f32>>, like: &Tensor| match values {
            None if like.track_op() => bail!("a loss's gradient can be taken only once"),
            None => Ok(None),
            Some(values) => {
                let gradient = Tensor::from_vec(values, like.shape(), like.device())?;
                Ok(Some(if scale == 1.0 { gradient } else { (gradient * scale)? }))
            }
        };
        Ok((tensor(d_hidden, hidden)?, tensor(d_head, head)?))
    }
}
