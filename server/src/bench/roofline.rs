//! What the machine could do at best: how fast it reads memory and multiplies.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{DType, Device, Module, Tensor};
use rayon::prelude::*;
use serde::Serialize;

use super::BenchError;
use engine::ops::{
    self,
    peak::{Loop, multiply_and_add_bytes},
    quantised::{self, Format, Kernel, QuantisedMatrix},
};

/// Measured limits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Roofline {
    /// What was measured: `cpu` or `cuda:0`.
    pub device: String,
    /// Reading memory that no cache holds, in GB/s.
    pub read_gb_s: f64,
    /// Products of dense matrices (f32 on the CPU, bf16 on a GPU), in GFLOP/s.
    pub dense_gflop_s: f64,
    /// Products of bytes that stay in registers, in billions of multiplications and additions per second:
    /// what no product with quantised matrices exceeds. CPU only, where there are instructions for it.
    pub byte_gop_s: Option<f64>,
    /// Our products with Q8_0 matrices, in the same unit; CPU only.
    pub q8_0_gop_s: Option<f64>,
    /// The same by all instructions that this processor has products for.
    pub q8_0_gop_s_by_kernel: BTreeMap<&'static str, f64>,
    /// The same with candle's product.
    pub candle_q8_0_gop_s: Option<f64>,
    /// The instructions of our products, see [`Kernel::best`]; CPU only.
    pub kernel: Option<&'static str>,
}

impl Roofline {
    /// Whether it is the processor's.
    pub fn on_cpu(&self) -> bool {
        self.device == "cpu"
    }

    /// Measures for some seconds.
    pub fn measure(device: &Device) -> Result<Self, BenchError> {
        let measured = match device {
            Device::Cpu => on_cpu(),
            device => on_gpu(device),
        };
        measured.map_err(BenchError::model)
    }
}

fn on_cpu() -> candle_core::Result<Roofline> {
    /// Bytes that are read; more than caches hold.
    const BYTES: usize = 512 << 20;
    /// Size of the matrices.
    const SIZE: usize = 1024;
    let memory = vec![1_u64; BYTES / 8];
    let read = || -> u64 {
        memory
            .par_chunks(1 << 16)
            .map(|chunk| chunk.iter().copied().fold(0, u64::wrapping_add))
            .sum()
    };
    let read_gb_s = BYTES as f64 / fastest(read) / 1e9;
    let operations = 2.0 * (SIZE * SIZE * SIZE) as f64 / 1e9;
    let x = Tensor::randn(0_f32, 1.0, (SIZE, SIZE), &Device::Cpu)?;
    let blocks = QTensor::quantize(&x, Format::Q8_0.dtype())?;
    let matrix = QuantisedMatrix::from_blocks(Format::Q8_0, SIZE, SIZE, &blocks.data()?);
    let Some(matrix) = matrix.map(Arc::new) else { candle_core::bail!("no whole blocks") };
    let dense = fastest(|| ops::linear(&x, &x));
    let by = |kernel| operations / fastest(|| quantised::linear_by(kernel, &x, &matrix));
    let by_kernel: BTreeMap<_, _> =
        Kernel::available().into_iter().map(|kernel| (kernel.name(), by(kernel))).collect();
    let kernel = Kernel::best().name();
    let bytes = multiply_and_add_bytes().into_iter().map(all_threads).reduce(f64::max);
    let candle = QMatMul::from_arc(Arc::new(blocks))?;
    let candle = fastest(|| candle.forward(&x));
    Ok(Roofline {
        device: "cpu".to_owned(),
        read_gb_s,
        dense_gflop_s: operations / dense,
        byte_gop_s: bytes,
        q8_0_gop_s: by_kernel.get(kernel).copied(),
        q8_0_gop_s_by_kernel: by_kernel,
        candle_q8_0_gop_s: Some(operations / candle),
        kernel: Some(kernel),
    })
}

fn on_gpu(device: &Device) -> candle_core::Result<Roofline> {
    /// Values that are copied.
    const VALUES: usize = 512 << 20;
    /// Size of the matrices.
    const SIZE: usize = 8192;
    let seconds = |run: &dyn Fn() -> candle_core::Result<Tensor>| -> candle_core::Result<f64> {
        run()?;
        device.synchronize()?;
        Ok(fastest(|| run().and_then(|_| device.synchronize())))
    };
    let memory = Tensor::zeros(VALUES, DType::BF16, device)?;
    let copied = seconds(&|| memory.copy())?;
    let x = Tensor::randn(0_f32, 1.0, (SIZE, SIZE), device)?.to_dtype(DType::BF16)?;
    let product = seconds(&|| x.matmul(&x))?;
    Ok(Roofline {
        device: engine::device::name(device),
        // A copy reads and writes every byte.
        read_gb_s: 2.0 * (2 * VALUES) as f64 / copied / 1e9,
        dense_gflop_s: 2.0 * (SIZE as f64).powi(3) / product / 1e9,
        byte_gop_s: None,
        q8_0_gop_s: None,
        q8_0_gop_s_by_kernel: BTreeMap::new(),
        candle_q8_0_gop_s: None,
        kernel: None,
    })
}

/// Billions of operations per second of all threads together, of a loop that counts its operations.
fn all_threads(work: Loop) -> f64 {
    const ROUNDS: usize = 4_000_000;
    let all = || rayon::broadcast(|_| work(black_box(ROUNDS)));
    let operations: usize = all().into_iter().sum();
    operations as f64 / fastest(all) / 1e9
}

/// Seconds of the fastest of some runs.
pub(super) fn fastest<T>(run: impl Fn() -> T) -> f64 {
    let seconds = |_| {
        let started = Instant::now();
        drop(black_box(run()));
        started.elapsed().as_secs_f64()
    };
    (0..7).map(seconds).fold(f64::INFINITY, f64::min)
}
