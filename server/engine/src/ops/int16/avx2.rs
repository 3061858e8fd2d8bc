//! The product of a tile of rows with a panel of outputs, with AVX2.
#![expect(unsafe_code, reason = "vector instructions, and loads through pointers")]

use std::arch::x86_64::*;

use super::panel::{Panel, WIDTH};
use super::rows::RowTile;
use super::{BLOCK, Sums, TILE};

/// Whether this processor has the instructions.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// As [`super::portable::multiply`]; only where [`available`] is true.
pub(super) fn multiply(rows: RowTile<'_>, panel: &Panel, pairs: usize, sums: &mut Sums) {
    assert!(available(), "the processor lacks AVX2");
    // SAFETY: the instructions are there.
    unsafe { multiply_tile(rows, panel, pairs, sums) }
}

/// As [`super::portable::turn`]; only where [`available`] is true.
pub(super) fn turn(values: &[f32], depth: usize, turned: &mut [[f32; WIDTH]]) {
    assert!(available(), "the processor lacks AVX2");
    // SAFETY: the instructions are there.
    unsafe { turn_eights(values, depth, turned) }
}

#[target_feature(enable = "avx2,fma")]
fn multiply_tile(rows: RowTile<'_>, panel: &Panel, pairs: usize, sums: &mut Sums) {
    assert!(pairs <= BLOCK / 2 && rows.pairs.len() >= pairs * TILE && rows.scales.len() >= TILE);
    let mut whole = [[_mm256_setzero_si256(); 2]; TILE];
    for index in 0..pairs {
        // SAFETY: a panel has 16 values for each pair, which begin where a cache line does.
        let outputs = unsafe { halves(panel.pairs.as_ptr().add(index).cast()) };
        for (row, whole) in whole.iter_mut().enumerate() {
            // SAFETY: the length was checked.
            let two = unsafe { *rows.pairs.get_unchecked(index * TILE + row) };
            let two = _mm256_set1_epi32(two);
            for (whole, outputs) in whole.iter_mut().zip(outputs) {
                *whole = _mm256_add_epi32(*whole, _mm256_madd_epi16(two, outputs));
            }
        }
    }
    let scales = panel.scales.as_ptr();
    for ((sums, whole), scale) in sums.iter_mut().zip(whole).zip(rows.scales) {
        let scale = _mm256_set1_ps(*scale);
        for (half, whole) in whole.into_iter().enumerate() {
            // SAFETY: sums and scales are 16 values.
            unsafe {
                let at = sums.as_mut_ptr().add(8 * half);
                let worth = _mm256_loadu_ps(scales.add(8 * half));
                let product = _mm256_mul_ps(_mm256_cvtepi32_ps(whole), scale);
                _mm256_storeu_ps(at, _mm256_fmadd_ps(product, worth, _mm256_loadu_ps(at)));
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn turn_eights(values: &[f32], depth: usize, turned: &mut [[f32; WIDTH]]) {
    /// Values that a register holds.
    const LANES: usize = 8;
    let outputs = values.len() / depth;
    assert!(outputs <= WIDTH && depth <= turned.len());
    let (whole_outputs, whole_depth) = (outputs / LANES * LANES, depth / LANES * LANES);
    for output in (0..whole_outputs).step_by(LANES) {
        for value in (0..whole_depth).step_by(LANES) {
            // SAFETY: eight values of eight rows, which `values` and `turned` have.
            unsafe {
                let from = values.as_ptr().add(output * depth + value);
                let rows = std::array::from_fn(|row| _mm256_loadu_ps(from.add(row * depth)));
                for (row, column) in turned8(rows).into_iter().enumerate() {
                    _mm256_storeu_ps(turned[value + row].as_mut_ptr().add(output), column);
                }
            }
        }
    }
    for (output, row) in values.chunks_exact(depth).enumerate() {
        let from = if output < whole_outputs { whole_depth } else { 0 };
        for (value, turned) in row.iter().zip(turned.iter_mut()).skip(from) {
            turned[output] = *value;
        }
    }
}

/// Eight rows of eight values as eight columns.
#[inline]
#[target_feature(enable = "avx2")]
fn turned8(rows: [__m256; 8]) -> [__m256; 8] {
    let couples: [[__m256; 2]; 4] = std::array::from_fn(|at| {
        let (a, b) = (rows[2 * at], rows[2 * at + 1]);
        [_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)]
    });
    let fours: [[__m256; 4]; 2] = std::array::from_fn(|at| {
        std::array::from_fn(|column| {
            let (a, b) = (couples[2 * at][column / 2], couples[2 * at + 1][column / 2]);
            match column % 2 {
                0 => _mm256_shuffle_ps::<0b01_00_01_00>(a, b),
                _ => _mm256_shuffle_ps::<0b11_10_11_10>(a, b),
            }
        })
    });
    std::array::from_fn(|column| {
        let (a, b) = (fours[0][column % 4], fours[1][column % 4]);
        match column / 4 {
            0 => _mm256_permute2f128_ps::<0x20>(a, b),
            _ => _mm256_permute2f128_ps::<0x31>(a, b),
        }
    })
}

/// The two halves of 64 bytes at `at`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn halves(at: *const __m256i) -> [__m256i; 2] {
    // SAFETY: the caller has 64 bytes there, which begin where a cache line does.
    unsafe { [_mm256_load_si256(at), _mm256_load_si256(at.add(1))] }
}
