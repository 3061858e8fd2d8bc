//! AdamW (Loshchilov and Hutter, arXiv 1711.05101) with clipping by the global norm.
//!
//! Master weights and moments lie on the host in f32, whatever the device: they can be saved and
//! restored bit for bit, and one loop serves every device.

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::TuningError;

/// Settings of [`AdamW`], the learning rate apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Keeps the division finite.
    pub epsilon: f64,
    /// Decoupled decay, on matrices only.
    pub weight_decay: f64,
    /// Gradients whose global norm is larger are scaled down to it.
    pub max_norm: f64,
}

/// One variable with its moments.
#[derive(Debug)]
struct Slot {
    name: String,
    var: Var,
    decay: bool,
    weight: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
}

/// The optimiser and the variables that it moves, in a fixed order.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    steps: u64,
    slots: Vec<Slot>,
}

/// Gradients on the host, one vector per variable in the optimiser's order.
pub type Gradients = Vec<Vec<f32>>;

impl AdamW {
    /// An optimiser of `variables` (name, variable); moments start at zero.
    pub fn new(variables: Vec<(String, Var)>, config: AdamWConfig) -> Result<Self, TuningError> {
        let slot = |(name, var): (String, Var)| -> Result<Slot, TuningError> {
            let weight = host(var.as_tensor())?;
            let (first, second) = (vec![0.0; weight.len()], vec![0.0; weight.len()]);
            Ok(Slot { name, decay: var.rank() >= 2, var, weight, first, second })
        };
        let slots = variables.into_iter().map(slot).collect::<Result<_, _>>()?;
        Ok(Self { config, steps: 0, slots })
    }

    /// Updates made so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The variables in order.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.slots.iter().map(|slot| (slot.name.as_str(), &slot.var))
    }

    /// Brings the gradients of all variables to the host, summed over the stores; one that the loss
    /// does not depend on is zero.
    pub fn collect(&self, stores: &[GradStore]) -> Result<Gradients, TuningError> {
        let gradient = |slot: &Slot| {
            let mut parts = stores.iter().filter_map(|store| store.get(&slot.var));
            let Some(first) = parts.next() else { return Ok(vec![0.0; slot.weight.len()]) };
            let mut sum = host(first)?;
            for part in parts {
                sum.iter_mut().zip(host(part)?).for_each(|(sum, value)| *sum += value);
            }
            Ok(sum)
        };
        self.slots.iter().map(gradient).collect()
    }

    /// One update with learning rate `rate`; returns the global norm before clipping.
    ///
    /// # Errors
    /// Gradients that are not finite, as a finite loss can have them: no clipping bounds them, and one
    /// would spoil every weight. Nothing is changed.
    pub fn update(&mut self, gradients: &Gradients, rate: f64) -> Result<f64, TuningError> {
        let squares = gradients.iter().flatten().map(|g| f64::from(*g).powi(2));
        let norm = squares.sum::<f64>().sqrt();
        if !norm.is_finite() {
            let (step, learning_rate) = (self.steps + 1, rate);
            return Err(TuningError::NotFinite { step, norm, learning_rate });
        }
        let clip = if norm > self.config.max_norm { self.config.max_norm / norm } else { 1.0 };
        self.steps += 1;
        let power = self.steps.min(i32::MAX as u64) as i32;
        let constants = Constants {
            clip: clip as f32,
            beta1: self.config.beta1 as f32,
            beta2: self.config.beta2 as f32,
            correct1: (1.0 / (1.0 - self.config.beta1.powi(power))) as f32,
            correct2: (1.0 / (1.0 - self.config.beta2.powi(power))) as f32,
            epsilon: self.config.epsilon as f32,
            rate: rate as f32,
        };
        for (slot, gradient) in self.slots.iter_mut().zip(gradients) {
            let decay = if slot.decay { rate * self.config.weight_decay } else { 0.0 };
            constants.apply(slot, gradient, 1.0 - decay as f32);
            slot.publish()?;
        }
        Ok(norm)
    }

    /// Weights and moments by name: what [`Self::restore`] takes.
    pub fn state(&self) -> impl Iterator<Item = (String, &[usize], &[f32])> {
        self.slots.iter().flat_map(|slot| {
            let parts =
                [("weight", &slot.weight), ("first", &slot.first), ("second", &slot.second)];
            parts.map(|(part, values)| {
                (format!("{part}.{}", slot.name), slot.var.dims(), values.as_slice())
            })
        })
    }

    /// Takes up a saved state: `read` gives the values saved under a name.
    pub fn restore(
        &mut self,
        steps: u64,
        mut read: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, TuningError>,
    ) -> Result<(), TuningError> {
        self.steps = steps;
        for slot in &mut self.slots {
            let dims = slot.var.dims().to_vec();
            slot.weight = read(&format!("weight.{}", slot.name), &dims)?;
            slot.first = read(&format!("first.{}", slot.name), &dims)?;
            slot.second = read(&format!("second.{}", slot.name), &dims)?;
            slot.publish()?;
        }
        Ok(())
    }
}

impl Slot {
    /// Copies the master weights into the variable that the model computes with.
    fn publish(&self) -> Result<(), TuningError> {
        let tensor = Tensor::from_slice(&self.weight, self.var.shape(), self.var.device())?;
        Ok(self.var.set(&tensor.to_dtype(self.var.dtype())?)?)
    }
}

/// What one update has in common for all weights.
struct Constants {
    clip: f32,
    beta1: f32,
    beta2: f32,
    correct1: f32,
    correct2: f32,
    epsilon: f32,
    rate: f32,
}

impl Constants {
    fn apply(&self, slot: &mut Slot, gradient: &[f32], keep: f32) {
        let moments = slot.first.iter_mut().zip(slot.second.iter_mut());
        for ((weight, (first, second)), gradient) in
            slot.weight.iter_mut().zip(moments).zip(gradient)
        {
            let gradient = gradient * self.clip;
            *first = self.beta1 * *first + (1.0 - self.beta1) * gradient;
            *second = self.beta2 * *second + (1.0 - self.beta2) * gradient * gradient;
            let scale = (*second * self.correct2).sqrt() + self.epsilon;
            *weight = *weight * keep - self.rate * (*first * self.correct1) / scale;
        }
    }
}

fn host(tensor: &Tensor) -> Result<Vec<f32>, TuningError> {
    Ok(tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    const CONFIG: AdamWConfig =
        AdamWConfig { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, max_norm: 1.0 };

    fn optimizer() -> AdamW {
        let matrix = Var::new(&[[0.5f32, -0.25]], &Device::Cpu).unwrap();
        let vector = Var::new(&[1.0f32], &Device::Cpu).unwrap();
        AdamW::new(vec![("matrix".into(), matrix), ("vector".into(), vector)], CONFIG).unwrap()
    }

    fn weights(optimizer: &AdamW) -> Vec<f32> {
        optimizer
            .variables()
            .flat_map(|(_, var)| var.flatten_all().unwrap().to_vec1::<f32>().unwrap())
            .collect()
    }

    #[test]
    fn gradients_that_are_no_numbers_change_nothing() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut optimizer = optimizer();
            let before = weights(&optimizer);
            let error = optimizer.update(&vec![vec![0.1, bad], vec![0.0]], 0.1).unwrap_err();
            assert!(error.to_string().contains("at step 1\nLower the learning rate"), "{error}");
            assert_eq!((weights(&optimizer), optimizer.steps()), (before, 0));
        }
    }

    #[test]
    fn two_updates_by_hand() {
        let mut optimizer = optimizer();
        // Norm 0.5: not clipped. Step 1: m/(1-b1) = g and v/(1-b2) = g^2, so every weight moves by
        // rate * sign(g); matrices shrink by 1 - 0.1 * 0.1 first.
        let norm = optimizer.update(&vec![vec![0.3, -0.4], vec![0.0]], 0.1).unwrap();
        assert!((norm - 0.5).abs() < 1e-7);
        for (is, should) in weights(&optimizer).iter().zip([0.395f32, -0.1475, 1.0]) {
            assert!((is - should).abs() < 1e-6, "{is} {should}");
        }
        // Step 2, gradient (3, 0 | 4), norm 5, clipped to (0.6, 0 | 0.8):
        // matrix[0]: m = 0.9*0.03+0.1*0.6 = 0.087, v = 0.95*0.0045+0.05*0.36 = 0.022275,
        //   m/0.19 = 0.457895, v/0.0975 = 0.228462, step = 0.1*0.457895/0.477977 = 0.0957985
        // matrix[1]: m = 0.9*-0.04 = -0.036, v = 0.95*0.008 = 0.0076,
        //   -0.189474 / sqrt(0.0779487) = -0.678650 -> step -0.0678650
        // vector: m = 0.08, v = 0.032; 0.421053 / sqrt(0.328205) = 0.734961 -> 0.0734961
        let norm = optimizer.update(&vec![vec![3.0, 0.0], vec![4.0]], 0.1).unwrap();
        assert!((norm - 5.0).abs() < 1e-6);
        let expected = [0.395 * 0.99 - 0.095_798_5, -0.1475 * 0.99 + 0.067_865, 1.0 - 0.073_496_1];
        for (is, should) in weights(&optimizer).iter().zip(expected) {
            assert!((is - should).abs() < 2e-6, "{is} {should}");
        }
    }

    #[test]
    fn a_restored_optimizer_goes_on_bit_for_bit() {
        let gradients = vec![vec![0.1, 0.2], vec![-0.3]];
        let mut whole = optimizer();
        whole.update(&gradients, 0.1).unwrap();
        let saved: Vec<(String, Vec<f32>)> =
            whole.state().map(|(name, _, values)| (name, values.to_vec())).collect();
        let mut resumed = optimizer();
        let find = |name: &str, _: &[usize]| {
            Ok(saved.iter().find(|(saved, _)| saved == name).unwrap().1.clone())
        };
        resumed.restore(whole.steps(), find).unwrap();
        whole.update(&gradients, 0.1).unwrap();
        resumed.update(&gradients, 0.1).unwrap();
        assert_eq!(weights(&whole), weights(&resumed));
    }

    #[test]
    fn gradients_follow_the_variables_order() {
        let optimizer = optimizer();
        let (_, matrix) = optimizer.variables().next().unwrap();
        let store = (matrix.as_tensor() * 2.0).unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(optimizer.collect(&[store]).unwrap(), vec![vec![2.0, 2.0], vec![0.0]]);
    }
}
