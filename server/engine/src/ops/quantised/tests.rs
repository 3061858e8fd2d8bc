//! Products with quantised matrices, of every format and by every kernel, against exact sums.

use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{Device, Tensor, Var};
use domain::random::SplitMix64;

use super::linear::multiply;
use super::*;

fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut random = SplitMix64::new(seed);
    (0..count).map(|_| (random.unit() * 2.0 - 1.0) as f32).collect()
}

/// A random matrix, and its values as candle takes them out of the same blocks.
fn matrix(format: Format, rows: usize, columns: usize) -> (QuantisedMatrix, Vec<f32>) {
    let values = Tensor::from_vec(random(3, rows * columns), (rows, columns), &Device::Cpu);
    let quantised = QTensor::quantize(&values.unwrap(), format.dtype()).unwrap();
    let expected = quantised.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap();
    let bytes = quantised.data().unwrap();
    let matrix = QuantisedMatrix::from_blocks(format, rows, columns, &bytes).unwrap();
    (matrix, expected.to_vec1().unwrap())
}

/// `x · weightᵀ` in f64.
fn exact(x: &[f32], weight: &[f32], columns: usize) -> Vec<f64> {
    let dot = |x: &[f32], w: &[f32]| -> f64 {
        x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
    };
    let rows = x.chunks_exact(columns);
    rows.flat_map(|x| weight.chunks_exact(columns).map(move |w| dot(x, w))).collect()
}

fn product(weight: &QuantisedMatrix, x: &[f32], kernel: Kernel) -> Vec<f32> {
    let (rows, columns) = weight.shape();
    let mut dst = vec![f32::NAN; x.len() / columns * rows];
    multiply(&mut dst, x, weight, false, kernel);
    dst
}

/// What the tests of this file say nothing of on another processor.
#[test]
fn the_tested_kernels_are_named() {
    let covered = Kernel::available();
    let names: Vec<&str> = covered.iter().map(|kernel| kernel.name()).collect();
    println!("kernels of this processor, all of which are tested: {}", names.join(", "));
    assert_eq!(covered[0], Kernel::Portable);
    // Of the last two one may be left out for its time, see `Kernel::best`.
    let tried = usize::from(names.last() == Some(&"AMX"));
    assert!(covered[covered.len() - 1 - tried..].contains(&Kernel::best()));
}

#[test]
fn values_are_those_of_the_blocks() {
    for format in Format::ALL {
        // Rows beyond a tile, and two blocks.
        let (matrix, expected) = matrix(format, 21, 512);
        assert_eq!(matrix.shape(), (21, 512));
        for (index, (value, expected)) in matrix.values().iter().zip(&expected).enumerate() {
            assert!((value - expected).abs() <= 1e-6 * expected.abs(), "{format:?} {index}");
        }
    }
}

#[test]
fn only_whole_blocks_with_all_their_bytes_are_taken() {
    for (rows, columns, bytes) in [(2, 32, 67), (2, 48, 102), (0, 32, 0), (2, 32, 69), (1, 0, 0)] {
        let bytes = vec![0; bytes];
        assert!(QuantisedMatrix::from_blocks(Format::Q8_0, rows, columns, &bytes).is_none());
    }
    assert!(QuantisedMatrix::from_blocks(Format::Q8_0, 2, 32, &[0; 68]).is_some());
}

#[test]
fn every_kernel_multiplies_whole_numbers_exactly() {
    // Activations that rounding leaves alone: whole numbers up to 127, which every block has.
    for format in Format::ALL {
        let (weight, values) = matrix(format, 37, 768);
        let mut x: Vec<f32> =
            random(5, 19 * 768).iter().map(|x| (x * 127.0).round_ties_even()).collect();
        x.iter_mut().step_by(32).for_each(|x| *x = 127.0);
        let exact = exact(&x, &values, 768);
        for kernel in Kernel::available() {
            for (given, exact) in product(&weight, &x, kernel).iter().zip(&exact) {
                let error = (f64::from(*given) - exact).abs();
                assert!(error < 2e-3, "{format:?} {kernel:?}: {given} for {exact}");
            }
        }
    }
}

#[test]
fn rounding_the_rows_costs_less_than_a_hundredth() {
    for format in Format::ALL {
        let (weight, values) = matrix(format, 64, 1024);
        let x = random(7, 9 * 1024);
        let exact = exact(&x, &values, 1024);
        let scale = (exact.iter().map(|x| x * x).sum::<f64>() / exact.len() as f64).sqrt();
        for kernel in Kernel::available() {
            let given = product(&weight, &x, kernel);
            let squares = given.iter().zip(&exact).map(|(a, b)| (f64::from(*a) - b).powi(2));
            let error = (squares.sum::<f64>() / exact.len() as f64).sqrt() / scale;
            assert!(error < 0.01, "{format:?} {kernel:?}: {error}");
        }
    }
}

#[test]
fn a_row_does_not_depend_on_its_company() {
    for format in Format::ALL {
        let (weight, _) = matrix(format, 48, 256);
        let x = random(9, 27 * 256);
        for kernel in Kernel::available() {
            let together = product(&weight, &x, kernel);
            for (row, x) in x.chunks_exact(256).enumerate() {
                let alone = product(&weight, x, kernel);
                assert_eq!(alone, together[row * 48..(row + 1) * 48], "{format:?} {kernel:?}");
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn tiles_and_vectors_give_the_same_bits() {
    if !Kernel::available().contains(&Kernel::Amx) {
        println!("this processor has no AMX");
        return;
    }
    for format in Format::ALL {
        let (weight, _) = matrix(format, 53, 768);
        // Fewer than a pass, one, parts of a second, what passes at a time, and more.
        for rows in [1, 15, 16, 17, 23, 24, 31, 64, 65, 90] {
            let x = random(11, rows * 768);
            let given = product(&weight, &x, Kernel::Amx);
            assert_eq!(given, product(&weight, &x, Kernel::Vnni), "{format:?}, {rows} rows");
            let mut twice = given.clone();
            multiply(&mut twice, &x, &weight, true, Kernel::Amx);
            assert!(twice.iter().zip(&given).all(|(twice, once)| *twice == 2.0 * once));
        }
    }
}

#[test]
fn a_value_that_is_no_number_is_not_rounded_away() {
    let (weight, _) = matrix(Format::Q8_0, 16, 64);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = random(1, 2 * 64);
        x[70] = bad;
        for kernel in Kernel::available() {
            let given = product(&weight, &x, kernel);
            assert!(given[..16].iter().all(|x| x.is_finite()));
            assert!(given[16..].iter().all(|x| x.is_nan()), "{bad} {kernel:?}");
        }
    }
}

#[test]
fn gradients_are_those_of_the_dense_product() {
    let (weight, values) = matrix(Format::Q4K, 24, 256);
    let dense = Tensor::from_vec(values, (24, 256), &Device::Cpu).unwrap();
    let weight = Arc::new(weight);
    let x = Var::from_vec(random(2, 3 * 256), (3, 256), &Device::Cpu).unwrap();
    let residual = Var::from_vec(random(4, 3 * 24), (3, 24), &Device::Cpu).unwrap();
    let pull = Tensor::from_vec(random(6, 3 * 24), (3, 24), &Device::Cpu).unwrap();
    let gradients = |y: Tensor| {
        let store = (y * &pull).unwrap().sum_all().unwrap().backward().unwrap();
        let of = |x: &Var| store.get(x).map(|x| x.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        (of(&x).unwrap(), of(&residual))
    };
    let expected = gradients(x.matmul(&dense.t().unwrap()).unwrap());
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(close(&gradients(linear(&x, &weight).unwrap()).0, &expected.0));
    let (to_x, to_residual) = gradients(linear_add(&residual, &x, &weight).unwrap());
    assert!(close(&to_x, &expected.0));
    assert_eq!(to_residual.unwrap(), pull.flatten_all().unwrap().to_vec1::<f32>().unwrap());
}

#[test]
fn a_stack_multiplies_as_its_parts_do() {
    let parts = [
        matrix(Format::Q6K, 32, 256).0,
        matrix(Format::Q6K, 16, 256).0,
        matrix(Format::Q6K, 5, 256).0,
    ];
    let stack = QuantisedMatrix::stack(&parts.each_ref()).unwrap();
    assert_eq!(stack.shape(), (53, 256));
    let x = random(8, 256);
    let apart: Vec<f32> = parts.iter().flat_map(|part| product(part, &x, Kernel::best())).collect();
    assert_eq!(product(&stack, &x, Kernel::best()), apart);
    assert!(QuantisedMatrix::stack(&[&parts[2], &parts[0]]).is_none(), "a tile would be split");
    assert!(QuantisedMatrix::stack(&[&parts[0], &matrix(Format::Q4K, 16, 256).0]).is_none());
    assert!(QuantisedMatrix::stack(&[]).is_none());
}
