//! Rows of activations, rounded to signed bytes with one scale per 32 values.

use rayon::prelude::*;

use super::layout::{STEP, VECTOR};
use crate::ops::lanes;

/// Rows that one thread rounds rather than all.
const FEW: usize = 8;

/// Values from one row to the next: an odd number of cache lines. Rows that are a multiple of 4,096 apart would
/// have the same few places in a core's cache, and 16 of them would drive each other out.
fn stride_of(columns: usize) -> usize {
    (columns.div_ceil(VECTOR) | 1) * VECTOR
}

/// 1.5 * 2^23: its lowest bits are zero, and a number below 2^22 that is added to it lands in them.
const MAGIC: f32 = 12_582_912.0;

/// Rows to be multiplied with a quantised matrix.
#[derive(Debug)]
pub(super) struct Activations {
    rows: usize,
    columns: usize,
    /// Values from one row to the next, see [`stride_of`].
    stride: usize,
    /// `[rows, stride]`.
    values: Vec<i8>,
    /// What a value is worth, `[rows, columns / 32]`.
    scales: Vec<f32>,
    /// Sums of 16 values, `[rows, columns / 16]`.
    sums: Vec<i32>,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub values: &'a [i8],
    pub scales: &'a [f32],
    pub sums: &'a [i32],
}

impl Activations {
    /// Rounds `[rows, columns]`; the columns are a multiple of 32.
    pub fn new(x: &[f32], columns: usize) -> Self {
        let (rows, stride) = (x.len() / columns, stride_of(columns));
        let mut values = vec![0; rows * stride];
        let mut scales = vec![0.0; x.len() / STEP];
        let mut sums = vec![0; x.len() / 16];
        let task = |(((x, values), scales), sums): Parts<'_>| {
            lanes::dispatch(
                #[inline(always)]
                || round(x, &mut values[..columns], scales, sums),
            );
        };
        let (x, values_of) = (x.par_chunks(columns), values.par_chunks_mut(stride));
        x.zip(values_of)
            .zip(scales.par_chunks_mut(columns / STEP))
            .zip(sums.par_chunks_mut(columns / 16))
            .with_min_len(FEW)
            .for_each(task);
        Self { rows, columns, stride, values, scales, sums }
    }

    /// Rows that are good for nothing but to see how long a product takes.
    #[cfg(target_arch = "x86_64")]
    pub fn of_ones(rows: usize, columns: usize) -> Self {
        let stride = stride_of(columns);
        let (values, scales) = (vec![1; rows * stride], vec![1.0; rows * columns / STEP]);
        Self { rows, columns, stride, values, scales, sums: vec![16; rows * columns / 16] }
    }

    /// The values of some rows, and how many there are from one row to the next.
    #[cfg(target_arch = "x86_64")]
    pub fn values_of(&self, rows: std::ops::Range<usize>) -> (&[i8], usize) {
        (&self.values[rows.start * self.stride..rows.end * self.stride], self.stride)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// One row.
    pub fn row(&self, row: usize) -> Row<'_> {
        let part = |width: usize| row * width..(row + 1) * width;
        Row {
            values: &self.values[row * self.stride..][..self.columns],
            scales: &self.scales[part(self.columns / STEP)],
            sums: &self.sums[part(self.columns / 16)],
        }
    }
}

type Parts<'a> = (((&'a [f32], &'a mut [i8]), &'a mut [f32]), &'a mut [i32]);

#[inline(always)]
fn round(x: &[f32], values: &mut [i8], scales: &mut [f32], sums: &mut [i32]) {
    let (x, values) = (x.as_chunks::<STEP>().0, values.as_chunks_mut::<STEP>().0);
    let sums = sums.as_chunks_mut::<2>().0;
    for (((x, values), scale), sums) in x.iter().zip(values).zip(scales).zip(sums) {
        let (mut largest, mut broken) = ([0.0_f32; 16], [0.0_f32; 16]);
        for lane in 0..16 {
            let (a, b) = (x[lane].abs(), x[16 + lane].abs());
            largest[lane] = if a > b { a } else { b };
            // Not a number where one of them is infinite or none: it must not be rounded away.
            broken[lane] = (a + b) * 0.0;
        }
        let largest = lanes::max(&largest);
        *scale = largest / 127.0 + broken.iter().sum::<f32>();
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        for (value, x) in values.iter_mut().zip(x) {
            // The nearest whole number, ties to even, is in the lowest bits.
            *value = (x * inverse + MAGIC).to_bits() as i8;
        }
        for (sum, values) in sums.iter_mut().zip(values.as_chunks::<16>().0) {
            *sum = values.iter().map(|value| i32::from(*value)).sum();
        }
    }
}
