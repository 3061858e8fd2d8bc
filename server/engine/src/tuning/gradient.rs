//! Losses and gradients of micro-batches, computed side by side.
//!
//! Each worker is one thread with a pool of one thread of its own: element-wise operations, which
//! candle runs on one core, then fill all cores too. Gradients are added in the order of the
//! micro-batches, so the sum does not depend on the number of workers; they are added as soon as every
//! worker has one, so that memory doesn't depend on the number of micro-batches.

use std::borrow::Cow;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::TuningError;
use super::optimizer::{AdamW, Gradients};
use super::packing::Packed;
use crate::decoder::{Decoder, LoraAdapter, PackedBatch};
use crate::ops;

/// Threads that compute micro-batches.
pub struct Workers {
    pools: Vec<ThreadPool>,
}

impl Workers {
    /// `count` workers; 0 takes one per core on the CPU and one on any other device.
    pub fn new(count: usize, device: &candle_core::Device) -> Result<Self, TuningError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = match (count, device.is_cpu()) {
            (0, true) => cores,
            (0, false) => 1,
            (count, _) => count,
        };
        let build = |_| {
            let pool = ThreadPoolBuilder::new().num_threads(1).build().map_err(|error| {
                TuningError::Setting {
                    name: "workers",
                    problem: format!("can't be `{count}`: {error}"),
                    hint: "Use fewer, or 0 for one on every core.",
                }
            })?;
            pool.install(ops::flush_denormals);
            Ok(pool)
        };
        Ok(Self { pools: (0..count).map(build).collect::<Result<_, TuningError>>()? })
    }

    /// How many there are; at least one.
    fn count(&self) -> usize {
        self.pools.len().max(1)
    }

    /// Runs `work` on every item, in parallel; results come back in the items' order.
    fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
        let next = AtomicUsize::new(0);
        // Of more items than workers, one that another program holds up takes fewer.
        let take = || {
            let mut done = Vec::new();
            while let Some((index, item)) =
                Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, items.get(i)?)))
            {
                done.push((index, work(item)));
            }
            done
        };
        let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
            let take = &take;
            let start = |pool| scope.spawn(move || ThreadPool::install(pool, take));
            let handles: Vec<_> = self.pools.iter().map(start).collect();
            handles
                .into_iter()
                .flat_map(|handle| handle.join().unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        });
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

/// Weighted mean loss over the targets of all micro-batches, and its gradients.
#[derive(Debug, Clone)]
pub struct Learned {
    /// Mean negative log-likelihood per unit of weight, in nats.
    pub loss: f64,
    /// Gradients of that mean.
    pub gradients: Gradients,
}

/// A model, frozen or not, and the adapters that the segments may name.
pub struct Learner<'a> {
    /// The model.
    pub decoder: &'a Decoder,
    /// Adapters by index.
    pub adapters: &'a [Arc<LoraAdapter>],
    /// Keeps the layers' inputs only and computes each layer a second time for its gradients
    /// (gradient checkpointing): about a third more work for a fraction of the memory. The
    /// gradients are the same.
    pub checkpointing: bool,
}

impl Learner<'_> {
    /// Weighted mean loss of one micro-batch, a scalar tensor.
    pub fn loss(&self, packed: &Packed) -> Result<Tensor, TuningError> {
        let adapters = self.adapters_for(packed);
        let batch = batch(packed, &adapters);
        let hidden = match wanted(packed) {
            Some(wanted) => self.decoder.forward_at(&batch, None, &wanted)?,
            None => self.decoder.forward(&batch, None)?,
        };
        self.loss_of(&hidden, packed)
    }

    /// The adapters with what they don't see of this micro-batch.
    fn adapters_for(&self, packed: &Packed) -> Cow<'_, [Arc<LoraAdapter>]> {
        match packed.dropout {
            None => Cow::Borrowed(self.adapters),
            Some(dropout) => {
                let unseeing = |adapter: &Arc<LoraAdapter>| Arc::new(adapter.with_dropout(dropout));
                Cow::Owned(self.adapters.iter().map(unseeing).collect())
            }
        }
    }

    /// The loss of what came out of the last layer, for all rows or for the wanted ones.
    fn loss_of(&self, hidden: &Tensor, packed: &Packed) -> Result<Tensor, TuningError> {
        let rows = match wanted(packed) {
            // A row with several targets came out once.
            Some(wanted) => {
                let place = |row| wanted.partition_point(|wanted| wanted < row) as u32;
                packed.rows.iter().map(place).collect()
            }
            None => packed.rows.clone(),
        };
        let rows = Tensor::new(rows, hidden.device())?;
        let hidden = hidden.index_select(&rows, 0)?;
        Ok(self.decoder.loss(&hidden, &packed.targets, &packed.weights)?)
    }

    /// Loss and gradients of micro-batches for the variables of `optimizer`.
    pub fn learn(
        &self,
        batches: &[Packed],
        optimizer: &AdamW,
        workers: &Workers,
    ) -> Result<Learned, TuningError> {
        let weight: f64 = batches.iter().map(Packed::weight).sum();
        let learn_from = |batch: &Packed| -> Result<(f64, Gradients), TuningError> {
            let (loss, stores) = match self.checkpointing {
                true => self.checkpointed(batch)?,
                false => {
                    let loss = self.loss(batch)?;
                    let store = loss.backward()?;
                    (loss, vec![store])
                }
            };
            Ok((f64::from(loss.to_scalar::<f32>()?), optimizer.collect(&stores)?))
        };
        let (mut total, mut sum): (f64, Gradients) = (0.0, Vec::new());
        for wave in batches.chunks(workers.count()) {
            for (batch, part) in wave.iter().zip(workers.map(wave, learn_from)) {
                let (loss, gradients) = part?;
                let share = batch.weight() / weight;
                total += loss * share;
                add_scaled(&mut sum, gradients, share as f32);
            }
        }
        Ok(Learned { loss: total, gradients: sum })
    }

    /// Loss and gradients of one micro-batch, layer by layer from the last to the first.
    fn checkpointed(&self, packed: &Packed) -> Result<(Tensor, Vec<GradStore>), TuningError> {
        let adapters = self.adapters_for(packed);
        let batch = batch(packed, &adapters);
        let wanted = wanted(packed);
        let stages = self.decoder.stages(&batch, wanted.as_deref())?;
        let embedded = stages.embed()?;
        let mut inputs = vec![embedded.detach()];
        for index in 0..stages.layers() {
            inputs.push(stages.layer(index, &inputs[index])?.detach());
        }
        let mut stores = Vec::with_capacity(inputs.len() + 1);
        // Where the rest of the pass begins, and the gradient of the loss for it.
        let start = |input: Option<Tensor>| Var::from_tensor(&input.unwrap_or(embedded.detach()));
        let mut point = start(inputs.pop())?;
        let loss = self.loss_of(&stages.finish(&point)?, packed)?;
        let mut store = loss.backward()?;
        for index in (0..stages.layers()).rev() {
            let gradient = store.remove(&point);
            stores.push(store);
            let Some(gradient) = gradient else { return Ok((loss, stores)) };
            point = start(inputs.pop())?;
            store = (stages.layer(index, &point)? * gradient)?.sum_all()?.backward()?;
        }
        if let Some(gradient) = store.remove(&point)
            && embedded.track_op()
        {
            stores.push((embedded * gradient)?.sum_all()?.backward()?);
        }
        stores.push(store);
        Ok((loss, stores))
    }

    /// Weighted mean loss over the targets of all micro-batches, without gradients.
    pub fn evaluate(&self, batches: &[Packed], workers: &Workers) -> Result<f64, TuningError> {
        let weight: f64 = batches.iter().map(Packed::weight).sum();
        let total: f64 = self.losses(batches, workers)?.into_iter().sum();
        Ok(total / weight.max(f64::MIN_POSITIVE))
    }

    /// Weighted sum of the losses of every micro-batch, in nats, without gradients.
    pub fn losses(&self, batches: &[Packed], workers: &Workers) -> Result<Vec<f64>, TuningError> {
        let losses = workers.map(batches, |batch| -> Result<f64, TuningError> {
            let loss = self.loss(batch)?.to_scalar::<f32>()?;
            Ok(f64::from(loss) * batch.weight())
        });
        losses.into_iter().collect()
    }
}

/// The rows whose loss counts, once each, where the last layer may leave the others out. With dropout it may
/// not: what an adapter doesn't see of a row goes by the row's place in the whole batch.
fn wanted(packed: &Packed) -> Option<Vec<u32>> {
    let mut rows = packed.rows.clone();
    rows.dedup();
    packed.dropout.is_none().then_some(rows)
}

fn batch<'a>(packed: &'a Packed, adapters: &'a [Arc<LoraAdapter>]) -> PackedBatch<'a> {
    PackedBatch { tokens: &packed.tokens, segments: &packed.segments, adapters }
}

fn add_scaled(sum: &mut Gradients, gradients: Gradients, scale: f32) {
    if sum.is_empty() {
        *sum = gradients;
        sum.iter_mut().flatten().for_each(|value| *value *= scale);
        return;
    }
    for (sum, gradient) in sum.iter_mut().zip(gradients) {
        sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value * scale);
    }
}

#[cfg(test)]
#[path = "gradient_tests.rs"]
mod tests;
