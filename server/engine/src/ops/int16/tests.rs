//! Products in whole numbers of 16 bits against exact sums, by every kernel and from every kind of weight.

use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{DType, Device, Tensor, Var};
use domain::random::SplitMix64;

use super::linear::{Way, multiply};
use super::*;
use crate::ops::halves::HalfMatrix;
use crate::ops::quantised::{Format, QuantisedMatrix};

fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut random = SplitMix64::new(seed);
    (0..count).map(|_| (random.unit() * 2.0 - 1.0) as f32).collect()
}

fn matrix(values: Vec<f32>, shape: (usize, usize)) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn list(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn kernels() -> Vec<Kernel> {
    let mut kernels = vec![Kernel::Portable];
    #[cfg(target_arch = "x86_64")]
    kernels.extend(avx2::available().then_some(Kernel::Avx2));
    kernels
}

fn product(x: &[f32], weight: &Tensor, way: Way, kernel: Kernel) -> Vec<f32> {
    let (inner, outer) = way.widths(Frozen::shape(weight));
    let mut dst = vec![f32::NAN; x.len() / inner * outer];
    multiply(&mut dst, x, (weight, way), false, kernel).unwrap();
    dst
}

/// The product in f64, and the product of the lengths of its factors.
fn exact(x: &[f32], weight: &Tensor, way: Way) -> Vec<(f64, f64)> {
    let weight = if way == Way::Forward { weight.clone() } else { weight.t().unwrap() };
    let (columns, weight) = (weight.dim(1).unwrap(), list(&weight.contiguous().unwrap()));
    let dot = |x: &[f32], w: &[f32]| -> f64 {
        x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
    };
    let both = |x: &[f32], w: &[f32]| (dot(x, w), (dot(x, x) * dot(w, w)).sqrt());
    let rows = x.chunks_exact(columns);
    rows.flat_map(|x| weight.chunks_exact(columns).map(move |w| both(x, w))).collect()
}

/// `(rows, inner, outer)`: whole tiles, panels and blocks, and what is left of them.
const SHAPES: [(usize, usize, usize); 7] = [
    (6, 256, 64),
    (1, 1, 1),
    (7, 31, 17),
    (13, 300, 70),
    (250, 512, 65),
    (5, 769, 130),
    // Rows beyond those that pass a panel at a time.
    (600, 40, 70),
];

#[test]
fn every_kernel_gives_the_same_bits() {
    for (rows, inner, outer) in SHAPES {
        let x = random(1, rows * inner);
        for way in [Way::Forward, Way::Back] {
            let shape = if way == Way::Forward { (outer, inner) } else { (inner, outer) };
            let weight = matrix(random(2, outer * inner), shape);
            let expected = product(&x, &weight, way, Kernel::Portable);
            for kernel in kernels() {
                let given = product(&x, &weight, way, kernel);
                assert_eq!(given, expected, "{kernel:?} {way:?} {:?}", (rows, inner, outer));
                let mut added = given.clone();
                multiply(&mut added, &x, (&weight, way), true, kernel).unwrap();
                let twice = given.iter().map(|value| value + value);
                assert!(added.iter().zip(twice).all(|(a, b)| *a == b), "{kernel:?} {way:?}");
            }
        }
    }
}

#[test]
fn little_is_rounded_away_whatever_the_values() {
    /// Where all roundings go the same way: half of one in each of 256 values, twice.
    const MOST: f64 = 2.0 * 8.0 / 46_331.0;
    let spread = |seed, count, kind: usize| -> Vec<f32> {
        let mut values = random(seed, count);
        for (index, value) in values.iter_mut().enumerate() {
            match kind {
                // As even as can be, which is what could make a sum too large.
                0 => *value = 0.7,
                // A few values that the others are nothing beside.
                1 if index % 97 == 0 => *value *= 1e4,
                // What f32 has no squares of.
                2 => *value *= 1e-25,
                3 => *value *= 1e15,
                _ => {}
            }
        }
        values
    };
    for (rows, inner, outer) in SHAPES {
        for (x_kind, w_kind) in [(9, 9), (0, 0), (1, 9), (9, 1), (1, 1), (2, 9), (3, 2), (0, 1)] {
            let x = spread(1, rows * inner, x_kind);
            for way in [Way::Forward, Way::Back] {
                let shape = if way == Way::Forward { (outer, inner) } else { (inner, outer) };
                let weight = matrix(spread(2, outer * inner, w_kind), shape);
                let exact = exact(&x, &weight, way);
                let given = product(&x, &weight, way, Kernel::best());
                let errors = given.iter().zip(&exact);
                let errors: Vec<f64> = errors
                    .map(|(given, (exact, lengths))| (f64::from(*given) - exact).abs() / lengths)
                    .collect();
                let largest = errors.iter().copied().fold(0.0, f64::max);
                let squares = errors.iter().map(|error| error * error).sum::<f64>();
                let typical = (squares / errors.len() as f64).sqrt();
                let case = ((rows, inner, outer), way, x_kind, w_kind);
                assert!(largest < MOST, "{case:?}: {largest}");
                // Equal values are all rounded the same way.
                assert!(typical < 2e-5 || x_kind == 0, "{case:?}: {typical}");
            }
        }
    }
}

#[test]
fn a_row_does_not_depend_on_its_company() {
    let (x, weight) = (random(1, 250 * 300), matrix(random(2, 70 * 300), (70, 300)));
    let together = product(&x, &weight, Way::Forward, Kernel::best());
    for (row, x) in x.chunks_exact(300).enumerate() {
        let alone = product(x, &weight, Way::Forward, Kernel::best());
        assert_eq!(alone, together[row * 70..(row + 1) * 70]);
    }
}

#[test]
fn what_is_no_number_stays_none_and_zeros_stay_zero() {
    let mut x = random(1, 3 * 300);
    x[..300].fill(0.0);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        x[310] = bad;
        let mut weight = random(2, 20 * 300);
        weight[..300].fill(0.0);
        weight[4 * 300 + 299] = bad;
        for kernel in kernels() {
            let given = product(&x, &matrix(weight.clone(), (20, 300)), Way::Forward, kernel);
            for (index, value) in given.iter().enumerate() {
                let (row, output) = (index / 20, index % 20);
                let none = row == 1 || output == 4;
                assert_eq!(value.is_nan(), none, "{bad} {kernel:?} {row} {output}");
                assert!(none || row != 0 || *value == 0.0);
                assert!(none || output != 0 || *value == 0.0);
            }
        }
    }
}

/// Every kind of weight gives what the dense product with its values gives, forward and back.
#[test]
fn products_and_gradients_are_those_of_the_dense_weight() {
    // Outputs that end inside of a tile of quantised rows.
    let (rows, inner, outer) = (9, 512, 165);
    let dense = matrix(random(1, outer * inner), (outer, inner));
    let x = Var::from_vec(random(2, rows * inner), (rows, inner), &Device::Cpu).unwrap();
    let residual = Var::from_vec(random(3, rows * outer), (rows, outer), &Device::Cpu).unwrap();
    let pull = matrix(random(4, rows * outer), (rows, outer));
    let all = |y: Tensor| {
        let store = (&y * &pull).unwrap().sum_all().unwrap().backward().unwrap();
        [list(&y), list(store.get(&x).unwrap()), list(store.get(&residual).unwrap())]
    };
    let close = |given: Tensor, values: &Tensor| {
        let expected = x.matmul(&values.t().unwrap()).unwrap();
        let expected = all((expected + residual.as_tensor()).unwrap());
        for (given, expected) in all(given).iter().zip(&expected) {
            for (given, expected) in given.iter().zip(expected) {
                assert!((given - expected).abs() < 5e-3, "{given} for {expected}");
            }
        }
    };
    close(linear_add(&residual, &x, dense.clone()).unwrap(), &dense);
    let alone = linear(&x, dense.clone()).unwrap();
    close((alone + residual.as_tensor()).unwrap(), &dense);
    for dtype in [DType::BF16, DType::F16] {
        let half = dense.to_dtype(dtype).unwrap();
        let (matrix, values) =
            (HalfMatrix::new(&half).unwrap(), half.to_dtype(DType::F32).unwrap());
        close(linear_add(&residual, &x, Arc::new(matrix)).unwrap(), &values);
    }
    for format in Format::ALL {
        let blocks = QTensor::quantize(&dense, format.dtype()).unwrap();
        let bytes = blocks.data().unwrap();
        let matrix = QuantisedMatrix::from_blocks(format, outer, inner, &bytes).unwrap();
        let values = blocks.dequantize(&Device::Cpu).unwrap();
        close(linear_add(&residual, &x, Arc::new(matrix)).unwrap(), &values);
    }
}

/// Any part of a weight is what stands there, wherever it begins and ends.
#[test]
fn parts_of_weights_are_read_as_they_stand() {
    let (rows, columns) = (37, 256);
    let dense = matrix(random(1, rows * columns), (rows, columns));
    let blocks = QTensor::quantize(&dense, Format::Q6K.dtype()).unwrap();
    let quantised =
        QuantisedMatrix::from_blocks(Format::Q6K, rows, columns, &blocks.data().unwrap()).unwrap();
    let half = dense.to_dtype(DType::F16).unwrap();
    let kinds: [(Box<dyn Frozen>, Tensor); 3] = [
        (Box::new(dense.clone()), dense.clone()),
        (Box::new(quantised), blocks.dequantize(&Device::Cpu).unwrap()),
        (Box::new(HalfMatrix::new(&half).unwrap()), half.to_dtype(DType::F32).unwrap()),
    ];
    for (weight, values) in kinds {
        for (rows, columns, stride) in
            [(0..37, 0..256, 256), (5..33, 40..77, 40), (16..17, 3..4, 9)]
        {
            let mut read = vec![f32::NAN; rows.len() * stride];
            weight.read(rows.clone(), columns.clone(), &mut read, stride).unwrap();
            for (row, read) in rows.zip(read.chunks(stride)) {
                let expected = list(&values.get(row).unwrap());
                let expected = &expected[columns.clone()];
                let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * b.abs();
                assert!(read.iter().zip(expected).all(close), "row {row}");
                assert!(read[expected.len()..].iter().all(|value| value.is_nan()), "row {row}");
            }
        }
    }
}

#[test]
fn only_large_weights_are_multiplied_this_way() {
    let x = matrix(random(1, 4), (1, 4));
    assert_eq!(pays(&x, (1024, 512)), Kernel::best() != Kernel::Portable);
    assert!(!pays(&x, (1024, 511)));
    assert!(!pays(&x.to_dtype(DType::F16).unwrap(), (1024, 512)));
}

/// What f32 holds, but not what becomes of it in between.
#[test]
fn values_at_the_ends_of_f32_give_no_nonsense() {
    let ones = matrix(vec![1.0; 256], (1, 256));
    for (value, expected) in
        [(1e-39, 0.0), (1e38, f32::NAN), (1e-30, 2.56e-28), (1e30, 2.56e32), (1e36, f32::NAN)]
    {
        for kernel in kernels() {
            let given = product(&[value; 256], &ones, Way::Forward, kernel)[0];
            let close = (given - expected).abs() <= 1e-3 * expected.abs();
            assert!(close || given.is_nan() && expected.is_nan(), "{value}: {given}");
        }
    }
}
