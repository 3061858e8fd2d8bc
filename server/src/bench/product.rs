//! The product by which tuning multiplies frozen weights on a processor, beside the one in f32.

use candle_core::{Device, Result, Tensor};
use serde::{Deserialize, Serialize};

use super::roofline::fastest;
use engine::ops::{self, int16};

/// Rows, inputs and outputs: half a batch of `bench tune`, and half the widest layer of its model.
const SHAPE: (usize, usize, usize) = (512, 896, 4864);

/// Both, measured on the same matrices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Int16Product {
    /// In whole numbers of 16 bits, in billions of multiplications and additions per second.
    pub int16_gop_s: f64,
    /// In f32, in the same unit.
    pub f32_gop_s: f64,
    /// Length (2-norm) of what the first differs by from the second, as a share of the second's.
    pub error: f64,
}

impl Int16Product {
    /// Measures for about a second; `None` where tuning multiplies in f32 or on another device.
    pub fn measure(device: &Device) -> Result<Option<Self>> {
        let (rows, inputs, outputs) = SHAPE;
        let random = |shape: (usize, usize)| Tensor::randn(0_f32, 1.0, shape, device);
        let x = random((rows, inputs))?;
        if !int16::pays(&x, (outputs, inputs)) {
            return Ok(None);
        }
        let weight = random((outputs, inputs))?;
        let exact = ops::linear(&x, &weight)?;
        let length = |x: &Tensor| x.sqr()?.sum_all()?.to_scalar::<f32>();
        let difference = length(&(int16::linear(&x, weight.clone())? - &exact)?)?;
        let operations = 2.0 * (rows * inputs * outputs) as f64 / 1e9;
        Ok(Some(Self {
            int16_gop_s: operations / fastest(|| int16::linear(&x, weight.clone())),
            f32_gop_s: operations / fastest(|| ops::linear(&x, &weight)),
            error: f64::from(difference / length(&exact)?).sqrt(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_tuning_uses_it_little_is_rounded_away() {
        if let Some(product) = Int16Product::measure(&Device::Cpu).unwrap() {
            assert!(product.int16_gop_s > 0.0 && product.f32_gop_s > 0.0);
            assert!(product.error > 0.0 && product.error < 3e-4, "{product:?}");
        }
    }
}
