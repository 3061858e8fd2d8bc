//! Dropout before an adapter's first factor, while it is tuned (PEFT's `lora_dropout`).
//!
//! What is left out depends on a seed and on places alone, and on no generator that runs along: a run that
//! was killed leaves out the same when it goes on, a layer that is computed a second time for its gradients
//! does too, and the cut into micro-batches changes nothing.

use candle_core::{Result, Tensor};
use domain::random::SplitMix64;

use super::Module;

/// Which values of its inputs an adapter doesn't see in one pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Share of the values, from 0 to below 1.
    share: f64,
    /// State that the update has, see [`mixed`].
    state: u64,
    /// Rows of the update that stand before those of this pass.
    first_row: usize,
}

impl Dropout {
    /// Leaves out this share of the values in update `step` of a run with this seed.
    pub fn new(share: f64, seed: u64, step: u64) -> Self {
        Self { share, state: mixed(mixed(0, seed), step), first_row: 0 }
    }

    /// The same for a pass whose first row is the update's row `row`.
    pub fn from_row(self, row: usize) -> Self {
        Self { first_row: row, ..self }
    }

    /// `x` (`[n, in]`, of the pass's rows from `row` on) with values left out and the others scaled up, so
    /// that their mean stays. Every module of every layer has an own choice, as in PEFT.
    pub(super) fn apply(
        &self,
        x: &Tensor,
        row: usize,
        (layer, module): (usize, Module),
    ) -> Result<Tensor> {
        let (rows, columns) = x.dims2()?;
        let kept = (1.0 / (1.0 - self.share)) as f32;
        let place = mixed(mixed(self.state, layer as u64), module as u64);
        let mut mask = Vec::with_capacity(rows * columns);
        for row in (self.first_row + row..).take(rows) {
            let mut random = SplitMix64::new(mixed(place, row as u64));
            mask.extend((0..columns).map(|_| if random.unit() < self.share { 0.0 } else { kept }));
        }
        let mask = Tensor::from_vec(mask, (rows, columns), x.device())?;
        x * mask.to_dtype(x.dtype())?
    }
}

/// A state that follows from another one and a number; neighbouring numbers give unrelated states.
fn mixed(state: u64, number: u64) -> u64 {
    SplitMix64::new(state ^ SplitMix64::new(number).next_u64()).next_u64()
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    fn values(dropout: Dropout, rows: usize, place: (usize, Module)) -> Vec<f32> {
        let x = Tensor::ones((rows, 50), DType::F32, &Device::Cpu).unwrap();
        dropout.apply(&x, 0, place).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_share_is_left_out_and_the_mean_stays() {
        let values = values(Dropout::new(0.2, 7, 0), 200, (0, Module::Query));
        let zeros = values.iter().filter(|value| **value == 0.0).count() as f64;
        assert!((zeros / values.len() as f64 - 0.2).abs() < 0.02, "{zeros}");
        assert!(values.iter().all(|value| *value == 0.0 || (*value - 1.25).abs() < 1e-6));
    }

    #[test]
    fn places_decide_and_the_cut_does_not() {
        let (dropout, place) = (Dropout::new(0.5, 7, 3), (1, Module::Down));
        let whole = values(dropout, 6, place);
        let parts = [values(dropout, 2, place), values(dropout.from_row(2), 4, place)].concat();
        assert_eq!(whole, parts);
        let x = Tensor::ones((4, 50), DType::F32, &Device::Cpu).unwrap();
        let rest = dropout.apply(&x, 2, place).unwrap().flatten_all().unwrap();
        assert_eq!(rest.to_vec1::<f32>().unwrap(), whole[2 * 50..]);
        for (other, place) in [
            (Dropout::new(0.5, 8, 3), place),
            (Dropout::new(0.5, 7, 4), place),
            (dropout.from_row(1), place),
            (dropout, (0, Module::Down)),
            (dropout, (1, Module::Up)),
        ] {
            assert_ne!(values(other, 6, place), whole, "{other:?} {place:?}");
        }
    }
}
