//! Mean negative log-likelihood, of logits or straight from hidden rows.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{
    host::{floats, lend},
    lanes,
    product::{Matrix, MatrixMut, Threads, product},
};

/// Logits per chunk of [`LinearCrossEntropy`]: 4 MiB, which stays in the second-level cache.
const CHUNK: usize = 1 << 20;

/// Turns each row of logits into its gradient times `scale`; gives the summed losses.
fn row_gradients(logits: &mut [f32], targets: &[u32], scale: f32) -> f64 {
    let classes = logits.len() / targets.len();
    let losses: Vec<f64> = logits
        .par_chunks_mut(classes)
        .zip(targets)
        .map(|(row, &target)| {
            let chosen = row[target as usize];
            let normaliser = lanes::dispatch(|| {
                let normaliser = lanes::softmax(row);
                row.iter_mut().for_each(|share| *share *= scale);
                normaliser
            });
            row[target as usize] -= scale;
            f64::from(normaliser - chosen)
        })
        .collect();
    losses.iter().sum()
}

/// Loss of logits `[n, vocab]`.
pub struct CrossEntropy {
    /// One class per row, checked against the vocabulary.
    pub targets: Vec<u32>,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, classes) = layout.shape().dims2()?;
        check(rows, &self.targets)?;
        let logits = floats(logits, layout)?;
        let loss = |(row, &target): (&[f32], &u32)| {
            let normaliser = lanes::dispatch(|| lanes::softmax(&mut row.to_vec()));
            f64::from(normaliser - row[target as usize])
        };
        let rows = logits.par_chunks(classes).zip(&self.targets);
        let losses: Vec<f64> = rows.map(loss).collect();
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        Ok((CpuStorage::F32(vec![mean as f32]), ().into()))
    }

    fn bwd(&self, logits: &Tensor, _result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut dst = lend(logits, |logits| Ok(logits.to_vec()))?;
        row_gradients(
            &mut dst,
            &self.targets,
            grad.to_scalar::<f32>()? / self.targets.len() as f32,
        );
        Tensor::from_vec(dst, logits.shape(), logits.device()).map(Some)
    }
}

/// Gradients of the hidden rows and of the head, each where it leads to a variable.
type Gradients = (Option<Vec<f32>>, Option<Vec<f32>>);

/// Loss of `hidden · headᵀ`. The forward pass walks over the logits once, chunk by chunk, and takes
/// the gradients along, since each chunk's logits are gone afterwards.
pub struct LinearCrossEntropy {
    targets: Vec<u32>,
    tracked: (bool, bool),
    gradients: Mutex<Gradients>,
}

impl LinearCrossEntropy {
    /// `targets` are checked against the vocabulary.
    pub fn new(hidden: &Tensor, head: &Tensor, targets: Vec<u32>) -> Self {
        let tracked = (hidden.track_op(), head.track_op());
        Self { targets, tracked, gradients: Mutex::default() }
    }

    /// The summed loss and the gradients of the mean.
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
            let targets = &self.targets[start..start + count];
            loss += row_gradients(logits, targets, 1.0 / rows as f32);
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
        let ((rows, width), (_, given)) =
            (hidden_layout.shape().dims2()?, head_layout.shape().dims2()?);
        check(rows, &self.targets)?;
        if width != given {
            bail!("a head of width {given} can't take rows of {width}");
        }
        let (hidden, head) = (floats(hidden, hidden_layout)?, floats(head, head_layout)?);
        let (loss, gradients) = self.run(hidden, head, width);
        *self.gradients.lock().unwrap_or_else(PoisonError::into_inner) = gradients;
        Ok((CpuStorage::F32(vec![(loss / rows as f64) as f32]), ().into()))
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

fn check(rows: usize, targets: &[u32]) -> Result<()> {
    if rows != targets.len() || rows == 0 {
        bail!("{rows} rows of logits need as many targets and at least one, got {}", targets.len());
    }
    Ok(())
}
