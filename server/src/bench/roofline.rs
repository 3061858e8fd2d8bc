//! What the machine could do at best: how fast it reads memory and multiplies.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};
use rayon::prelude::*;
use serde::Serialize;

use super::BenchError;
use engine::ops::{
    self,
    quantised::{self, Format, QuantisedMatrix},
};

/// Measured limits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Roofline {
    /// Reading memory that no cache holds, in GB/s.
    pub read_gb_s: f64,
    /// Products of f32 matrices, in GFLOP/s.
    pub f32_gflop_s: f64,
    /// Products with Q8_0 matrices, in billions of multiplications and additions per second.
    pub q8_0_gop_s: f64,
    /// The same with candle's product.
    pub candle_q8_0_gop_s: f64,
}

/// Bytes that are read; more than caches hold.
const BYTES: usize = 512 << 20;
/// Size of the matrices.
const SIZE: usize = 1024;

impl Roofline {
    /// Measures for about two seconds.
    pub fn measure() -> Result<Self, BenchError> {
        let memory = vec![1_u64; BYTES / 8];
        let read = || -> u64 {
            memory
                .par_chunks(1 << 16)
                .map(|chunk| chunk.iter().copied().fold(0, u64::wrapping_add))
                .sum()
        };
        let read_gb_s = BYTES as f64 / fastest(read) / 1e9;
        let operations = 2.0 * (SIZE * SIZE * SIZE) as f64 / 1e9;
        let products = || -> candle_core::Result<[f64; 3]> {
            let x = Tensor::randn(0_f32, 1.0, (SIZE, SIZE), &Device::Cpu)?;
            let blocks = QTensor::quantize(&x, Format::Q8_0.dtype())?;
            let matrix = QuantisedMatrix::from_blocks(Format::Q8_0, SIZE, SIZE, &blocks.data()?);
            let Some(matrix) = matrix.map(Arc::new) else { candle_core::bail!("no whole blocks") };
            let dense = fastest(|| ops::linear(&x, &x));
            let quantised = fastest(|| quantised::linear(&x, &matrix));
            let candle = QMatMul::from_arc(Arc::new(blocks))?;
            let candle = fastest(|| candle.forward(&x));
            Ok([dense, quantised, candle].map(|seconds| operations / seconds))
        };
        let [f32_gflop_s, q8_0_gop_s, candle_q8_0_gop_s] = products().map_err(BenchError::model)?;
        Ok(Self { read_gb_s, f32_gflop_s, q8_0_gop_s, candle_q8_0_gop_s })
    }
}

/// Seconds of the fastest of some runs.
fn fastest<T>(run: impl Fn() -> T) -> f64 {
    let seconds = |_| {
        let started = Instant::now();
        drop(black_box(run()));
        started.elapsed().as_secs_f64()
    };
    (0..7).map(seconds).fold(f64::INFINITY, f64::min)
}
