//! The product with AMX: one instruction multiplies a step of 16 rows with that of a tile's 16 outputs; two do
//! where its halves have scales of their own.
//!
//! The sums of a step are whole numbers, which go through memory to vectors and get their scales there as in
//! [`super::vnni`], so both give the same bits.
#![expect(
    unsafe_code,
    reason = "instructions without functions, vectors, and loads through pointers"
)]

use std::arch::asm;
use std::arch::x86_64::*;
use std::ops::Range;

use super::activations::{Activations, Row};
use super::layout::{Format, LANES, QuantisedMatrix, STEP, Tile, VECTOR};
use super::vnni::{self, Q4K, Q6K, Q8_0, Steps};
use crate::ops::amx::{self, ROW, Tiles};

/// Rows of a pass.
pub(super) const ROWS: usize = amx::ROWS;

/// Rows that take vectors no longer than a pass with tiles takes for all of its own.
const FEW: usize = 7;

/// Whether this processor has the instructions, and the system lets them be used.
pub(super) fn available() -> bool {
    vnni::available() && amx::available()
}

/// As [`super::portable::tile`]; only where [`available`] is true.
pub(super) fn tile(
    matrix: &QuantisedMatrix,
    tile: usize,
    x: &Activations,
    rows: Range<usize>,
    mut write: impl FnMut(usize, [f32; LANES]),
) {
    assert!(available(), "the processor lacks AMX, or the system keeps it");
    // The rows of the last pass that are new: if there are few, they aren't worth one.
    let rest = rows.len() % ROWS;
    let end = if rows.len() < ROWS || rest <= FEW { rows.end - rest } else { rows.end };
    if end < rows.end {
        vnni::tile(matrix, tile, x, end..rows.end, &mut write);
    }
    if end == rows.start {
        return;
    }
    let (rows, steps, tile) = (rows.start..end, matrix.steps(), matrix.tile(tile));
    // SAFETY: the instructions are there, and `Tile` and `Row` cover `steps` steps.
    unsafe {
        match matrix.format() {
            Format::Q8_0 => all_rows::<Q8_0>(tile, steps, x, rows, write),
            Format::Q4K => all_rows::<Q4K>(tile, steps, x, rows, write),
            Format::Q6K => all_rows::<Q6K>(tile, steps, x, rows, write),
        }
    }
}

/// Parts of a step that are multiplied apart: its halves, where these have scales of their own.
const fn parts<S: Steps>() -> usize {
    if S::HALVES { 2 } else { 1 }
}

/// As [`tile`], with tiles alone: for at least [`ROWS`] rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn all_rows<S: Steps>(
    tile: Tile<'_>,
    steps: usize,
    x: &Activations,
    rows: Range<usize>,
    mut write: impl FnMut(usize, [f32; LANES]),
) {
    let columns = STEP / parts::<S>();
    // Of products, rows and quants, in the order of `multiply`.
    let _tiles = Tiles::shape(&[(ROWS, 4 * LANES), (ROWS, columns), (columns / 4, ROW)]);
    for first in rows.clone().step_by(ROWS) {
        // The last pass takes rows once more that were there before it, rather than fewer.
        let from = first.min(rows.end - ROWS);
        // SAFETY: the caller's promises; tiles have their shapes, and the rows lie in `x`.
        let sums = unsafe { sums_of::<S>(tile, steps, x, from) };
        for (row, sums) in (from..).zip(sums).skip(first - from) {
            write(row, sums);
        }
    }
}

/// A step's products before scales: of its halves, where these have scales of their own, by row and output.
#[repr(align(64))]
struct Products([[[i32; LANES]; ROWS]; 2]);

/// The products of [`ROWS`] rows of `x` from `first` on with all steps of a tile.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn sums_of<S: Steps>(
    tile: Tile<'_>,
    steps: usize,
    x: &Activations,
    first: usize,
) -> [[f32; LANES]; ROWS] {
    let rows: [Row<'_>; ROWS] = std::array::from_fn(|row| x.row(first + row));
    let (values, stride) = x.values_of(first..first + ROWS);
    let values = values.as_ptr();
    let mut sums = [_mm512_setzero_ps(); ROWS];
    // Two of each, so that a step needn't wait for the one before it.
    let mut products = [const { Products([[[0; LANES]; ROWS]; 2]) }; 2];
    let mut unpacked = [[_mm512_setzero_si512(); STEP / 4]; 2];
    if S::PACKED {
        // SAFETY: the caller's promises; a tile has a step at least.
        unpacked[0] = unsafe { S::quants(tile, 0) };
    }
    for step in 0..steps {
        let products = &mut products[step % 2].0;
        // SAFETY: the caller's promises: tile and rows have `steps` steps, and `products` has room for two tiles
        // of sums.
        unsafe {
            let quants: *const u8 = if S::PACKED {
                // The next step's, since tiles can't be loaded from what is just being written.
                if step + 1 < steps {
                    unpacked[(step + 1) % 2] = S::quants(tile, step + 1);
                }
                unpacked[step % 2].as_ptr().cast()
            } else {
                tile.quants.as_ptr().add(step * STEP / 4 * VECTOR)
            };
            let values = values.add(step * STEP);
            for (part, products) in products.iter_mut().enumerate().take(parts::<S>()) {
                let values = values.add(part * STEP / parts::<S>());
                let quants = quants.add(part * STEP / 4 / parts::<S>() * VECTOR);
                multiply(values, stride, quants, products.as_mut_ptr().cast());
            }
            let scales = S::scales(tile, step);
            let minima = S::minima(tile, step);
            for (at, (sum, row)) in sums.iter_mut().zip(&rows).enumerate() {
                let totals = vnni::totals(row, step);
                let half = |half: usize, total: i32| {
                    let products = _mm512_load_si512(products[half][at].as_ptr().cast());
                    _mm512_sub_epi32(products, _mm512_set1_epi32(S::ZERO * total))
                };
                let products = if S::HALVES {
                    [half(0, totals[0]), half(1, totals[1])]
                } else {
                    [half(0, totals[0] + totals[1]), _mm512_setzero_si512()]
                };
                *sum = vnni::add::<S>(*sum, products, scales, minima, row, step);
            }
        }
    }
    sums.map(|sum| {
        let mut values = [0.0; LANES];
        // SAFETY: 16 values are 64 bytes.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), sum) };
        values
    })
}

/// Writes the products of a step's part to `products`.
///
/// # Safety
/// Tiles are shaped as [`all_rows`] shapes them; `values` has 16 rows of the part that are `stride` bytes apart,
/// `quants` its vectors, and `products` room for a tile.
#[inline(always)]
unsafe fn multiply(values: *const i8, stride: usize, quants: *const u8, products: *mut i32) {
    // SAFETY: the caller's promises.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tileloadd tmm1, [{values} + {stride}*1]",
            "tileloadd tmm2, [{quants} + {row}*1]",
            "tdpbsud tmm0, tmm1, tmm2",
            "tilestored [{products} + {row}*1], tmm0",
            values = in(reg) values,
            stride = in(reg) stride,
            quants = in(reg) quants,
            products = in(reg) products,
            row = in(reg) ROW,
            out("tmm0") _, out("tmm1") _, out("tmm2") _,
            options(nostack, preserves_flags),
        );
    }
}
