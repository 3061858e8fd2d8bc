//! The product with AVX2: eight output rows to a register, four columns of each.
//!
//! The one instruction that multiplies bytes here takes unsigned times signed ones and adds two
//! neighbouring products to 16 bits, saturating. Quants of four and six bits are small enough for that
//! as they are. Those of eight bits take their sign from the activation: 128 x 127 twice is 32,512.
#![expect(unsafe_code, reason = "vector instructions, and loads through pointers")]

use std::arch::x86_64::*;

use super::activations::{Activations, Row};
use super::layout::{Format, LANES, QuantisedMatrix, STEP, SUPER, Tile, VECTOR};

/// Most rows that pass a tile at a time: eight sums of whole numbers, and what they are made of, fill the
/// sixteen registers.
const ROWS: usize = 4;

/// How many bytes before they are needed quants are asked for: about what a core reads from memory in the
/// time that memory takes to answer.
const AHEAD: usize = 512;

/// The 16 output rows of a tile.
type Pair<T> = [T; 2];

/// Whether this processor has the instructions.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

/// As [`super::portable::tile`]; only where [`available`] is true.
pub(super) fn tile(
    matrix: &QuantisedMatrix,
    tile: usize,
    x: &Activations,
    rows: std::ops::Range<usize>,
    write: impl FnMut(usize, [f32; LANES]),
) {
    assert!(available(), "the processor lacks AVX2");
    let (steps, tile) = (matrix.steps(), matrix.tile(tile));
    // SAFETY: the instructions are there, and `Tile` and `Row` cover `steps` steps.
    unsafe {
        match matrix.format() {
            Format::Q8_0 => all_rows::<Q8_0>(tile, steps, x, rows, write),
            Format::Q4K => all_rows::<Q4K>(tile, steps, x, rows, write),
            Format::Q6K => all_rows::<Q6K>(tile, steps, x, rows, write),
        }
    }
}

/// The products of one step. Every function needs the instructions that [`available`] asks for, a tile
/// that has the step, and rows whose 32 values begin at the pointers.
trait Steps {
    /// Bytes of a tile's quants for one step.
    const BYTES: usize;

    /// Adds a step's products to the sums, each times the row's scale.
    unsafe fn add<const N: usize>(
        tile: Tile<'_>,
        step: usize,
        values: [*const i32; N],
        rows: &[Row<'_>; N],
        sums: &mut [Pair<__m256>; N],
    );
}

struct Q8_0;
struct Q4K;
struct Q6K;

impl Steps for Q8_0 {
    const BYTES: usize = Format::Q8_0.step_bytes();

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn add<const N: usize>(
        tile: Tile<'_>,
        step: usize,
        values: [*const i32; N],
        rows: &[Row<'_>; N],
        sums: &mut [Pair<__m256>; N],
    ) {
        let (sign, ones) = (_mm256_set1_epi8(-128), _mm256_set1_epi16(1));
        let mut whole = [[_mm256_setzero_si256(); 2]; N];
        for group in 0..8 {
            // SAFETY: the tile holds 512 bytes per step.
            let unsigned =
                unsafe { vectors(tile.quants.as_ptr().add((step * 8 + group) * VECTOR)) };
            let signed = unsigned.map(|quants| _mm256_xor_si256(quants, sign));
            let sizes = signed.map(|quants| _mm256_abs_epi8(quants));
            for (whole, values) in whole.iter_mut().zip(values) {
                // SAFETY: the caller's rows.
                let four = unsafe { four(values, group) };
                for half in 0..2 {
                    let turned = _mm256_sign_epi8(four, signed[half]);
                    let pairs = _mm256_maddubs_epi16(sizes[half], turned);
                    whole[half] = _mm256_add_epi32(whole[half], _mm256_madd_epi16(pairs, ones));
                }
            }
        }
        // SAFETY: the tile holds 32 bytes of scales per step.
        let scales = unsafe { floats(tile.scales.as_ptr().add(step * 2 * LANES)) };
        for ((sums, whole), row) in sums.iter_mut().zip(whole).zip(rows) {
            // SAFETY: the caller's rows have this step.
            let scale = _mm256_set1_ps(unsafe { *row.scales.get_unchecked(step) });
            for half in 0..2 {
                let product = _mm256_mul_ps(_mm256_cvtepi32_ps(whole[half]), scales[half]);
                sums[half] = _mm256_fmadd_ps(product, scale, sums[half]);
            }
        }
    }
}

impl Steps for Q4K {
    const BYTES: usize = Format::Q4K.step_bytes();

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn add<const N: usize>(
        tile: Tile<'_>,
        step: usize,
        values: [*const i32; N],
        rows: &[Row<'_>; N],
        sums: &mut [Pair<__m256>; N],
    ) {
        let (mask, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
        // Sixteen bits are enough: eight times 2 x 15 x 127 is 30,480.
        let mut pairs = [[_mm256_setzero_si256(); 2]; N];
        for both in 0..4 {
            // SAFETY: the tile holds 256 bytes per step.
            let packed = unsafe { vectors(tile.quants.as_ptr().add((step * 4 + both) * VECTOR)) };
            let low = packed.map(|bits| _mm256_and_si256(bits, mask));
            let high = packed.map(|bits| _mm256_and_si256(_mm256_srli_epi16::<4>(bits), mask));
            for (pairs, values) in pairs.iter_mut().zip(values) {
                // SAFETY: the caller's rows.
                let (first, second) =
                    unsafe { (four(values, 2 * both), four(values, 2 * both + 1)) };
                for half in 0..2 {
                    let first = _mm256_maddubs_epi16(low[half], first);
                    let second = _mm256_maddubs_epi16(high[half], second);
                    pairs[half] = _mm256_add_epi16(pairs[half], _mm256_add_epi16(first, second));
                }
            }
        }
        // SAFETY: a block of eight steps has the scales of `Format::scale_bytes`.
        let (scales, minima) =
            unsafe { (k_factors(tile, step, 0, 0), k_factors(tile, step, 2 * LANES, 8)) };
        for ((sums, pairs), row) in sums.iter_mut().zip(pairs).zip(rows) {
            // SAFETY: the caller's rows have this step.
            let (scale, total) = unsafe {
                let counts =
                    *row.sums.get_unchecked(2 * step) + row.sums.get_unchecked(2 * step + 1);
                (_mm256_set1_ps(*row.scales.get_unchecked(step)), _mm256_set1_ps(counts as f32))
            };
            for half in 0..2 {
                let whole = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs[half], ones));
                let product = _mm256_mul_ps(whole, scales[half]);
                let product = _mm256_fnmadd_ps(total, minima[half], product);
                sums[half] = _mm256_fmadd_ps(product, scale, sums[half]);
            }
        }
    }
}

impl Steps for Q6K {
    const BYTES: usize = Format::Q6K.step_bytes();

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn add<const N: usize>(
        tile: Tile<'_>,
        step: usize,
        values: [*const i32; N],
        rows: &[Row<'_>; N],
        sums: &mut [Pair<__m256>; N],
    ) {
        let (mask, upper) = (_mm256_set1_epi8(15), _mm256_set1_epi8(0x30));
        let ones = _mm256_set1_epi16(1);
        let mut products = [[_mm256_setzero_ps(); 2]; N];
        for columns in 0..2 {
            // SAFETY: the tile holds 384 bytes per step: lower bits, then upper ones.
            let at = unsafe { tile.quants.as_ptr().add(step * 6 * VECTOR) };
            // SAFETY: as above.
            let bits = unsafe { vectors(at.add((4 + columns) * VECTOR)) };
            let mut whole = [[_mm256_setzero_si256(); 2]; N];
            for both in 0..2 {
                // SAFETY: as above.
                let packed = unsafe { vectors(at.add((2 * columns + both) * VECTOR)) };
                let quants: [Pair<__m256i>; 2] = std::array::from_fn(|group| {
                    std::array::from_fn(|half| {
                        let (low, bits) = (packed[half], bits[half]);
                        let low = if group == 0 { low } else { _mm256_srli_epi16::<4>(low) };
                        let high = match 2 * both + group {
                            0 => _mm256_slli_epi16::<4>(bits),
                            1 => _mm256_slli_epi16::<2>(bits),
                            2 => bits,
                            _ => _mm256_srli_epi16::<2>(bits),
                        };
                        _mm256_or_si256(_mm256_and_si256(low, mask), _mm256_and_si256(high, upper))
                    })
                });
                for (whole, values) in whole.iter_mut().zip(values) {
                    let group = 4 * columns + 2 * both;
                    // SAFETY: the caller's rows.
                    let (first, second) = unsafe { (four(values, group), four(values, group + 1)) };
                    for half in 0..2 {
                        // Twice 2 x 63 x 127 is 32,004.
                        let pairs = _mm256_add_epi16(
                            _mm256_maddubs_epi16(quants[0][half], first),
                            _mm256_maddubs_epi16(quants[1][half], second),
                        );
                        whole[half] = _mm256_add_epi32(whole[half], _mm256_madd_epi16(pairs, ones));
                    }
                }
            }
            // SAFETY: a block has one f16 and 16 signed bytes per row.
            let scales = unsafe { signed_factors(tile, step, columns) };
            for ((products, whole), row) in products.iter_mut().zip(whole).zip(rows) {
                // SAFETY: the caller's rows have this step.
                let count = unsafe { *row.sums.get_unchecked(2 * step + columns) };
                let zero = _mm256_set1_epi32(-32 * count);
                for half in 0..2 {
                    let whole = _mm256_cvtepi32_ps(_mm256_add_epi32(whole[half], zero));
                    products[half] = _mm256_fmadd_ps(whole, scales[half], products[half]);
                }
            }
        }
        for ((sums, products), row) in sums.iter_mut().zip(products).zip(rows) {
            // SAFETY: the caller's rows have this step.
            let scale = _mm256_set1_ps(unsafe { *row.scales.get_unchecked(step) });
            for half in 0..2 {
                sums[half] = _mm256_fmadd_ps(products[half], scale, sums[half]);
            }
        }
    }
}

/// The two halves of 64 bytes at `at`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn vectors(at: *const u8) -> Pair<__m256i> {
    let at = at.cast::<__m256i>();
    // SAFETY: the caller has 64 bytes there, which begin where a cache line does.
    unsafe { [_mm256_load_si256(at), _mm256_load_si256(at.add(1))] }
}

/// Four values of a row, for every output row.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn four(values: *const i32, group: usize) -> __m256i {
    // SAFETY: the caller has 32 bytes there, and groups are below 8.
    _mm256_set1_epi32(unsafe { values.add(group).read_unaligned() })
}

/// Sixteen f16 at `at`.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn floats(at: *const u8) -> Pair<__m256> {
    let at = at.cast::<__m128i>();
    // SAFETY: the caller has 32 bytes there.
    unsafe { [_mm256_cvtph_ps(_mm_loadu_si128(at)), _mm256_cvtph_ps(_mm_loadu_si128(at.add(1)))] }
}

/// Q4_K: the f16 at `float` of the step's block times the byte of its step, counted from the `first` run.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn k_factors(tile: Tile<'_>, step: usize, float: usize, first: usize) -> Pair<__m256> {
    let (block, within) = (step / (SUPER / STEP), step % (SUPER / STEP));
    // SAFETY: a block of Q4_K has two f16 and 16 bytes per row.
    unsafe {
        let at = tile.scales.as_ptr().add(block * Format::Q4K.scale_bytes());
        let bytes = at.add(4 * LANES + (first + within) * LANES);
        let scales = floats(at.add(float));
        std::array::from_fn(|half| {
            let bytes = _mm_loadl_epi64(bytes.add(8 * half).cast());
            _mm256_mul_ps(scales[half], _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)))
        })
    }
}

/// Q6_K: the f16 of the step's block times the signed byte of half a step's columns.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn signed_factors(tile: Tile<'_>, step: usize, columns: usize) -> Pair<__m256> {
    let (block, within) = (step / (SUPER / STEP), step % (SUPER / STEP));
    // SAFETY: a block of Q6_K has one f16 and 16 signed bytes per row.
    unsafe {
        let at = tile.scales.as_ptr().add(block * Format::Q6K.scale_bytes());
        let bytes = at.add(2 * LANES + (2 * within + columns) * LANES);
        let scales = floats(at);
        std::array::from_fn(|half| {
            let bytes = _mm_loadl_epi64(bytes.add(8 * half).cast());
            _mm256_mul_ps(scales[half], _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)))
        })
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn all_rows<S: Steps>(
    tile: Tile<'_>,
    steps: usize,
    x: &Activations,
    rows: std::ops::Range<usize>,
    mut write: impl FnMut(usize, [f32; LANES]),
) {
    let mut next = rows.start;
    while next < rows.end {
        // The first rows bring the tile from memory.
        let fetch = next == 0;
        // SAFETY: the caller's promises; every row lies in `x`.
        next += unsafe {
            match rows.end - next {
                1 => some_rows::<S, 1>(tile, steps, x, (next, fetch), &mut write),
                2 => some_rows::<S, 2>(tile, steps, x, (next, fetch), &mut write),
                3 => some_rows::<S, 3>(tile, steps, x, (next, fetch), &mut write),
                _ => some_rows::<S, ROWS>(tile, steps, x, (next, fetch), &mut write),
            }
        };
    }
}

/// The rows from `first` on, `N` of them; gives `N`. Where they are to `fetch` the tile, its quants are asked
/// for ahead.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn some_rows<S: Steps, const N: usize>(
    tile: Tile<'_>,
    steps: usize,
    x: &Activations,
    (first, fetch): (usize, bool),
    write: &mut impl FnMut(usize, [f32; LANES]),
) -> usize {
    let rows: [Row<'_>; N] = std::array::from_fn(|row| x.row(first + row));
    let mut sums = [[_mm256_setzero_ps(); 2]; N];
    for step in 0..steps {
        if fetch {
            let from = tile.quants.as_ptr().wrapping_add(step * S::BYTES + AHEAD);
            for line in 0..S::BYTES / VECTOR {
                // What lies behind the tile is asked for too, whatever it is: asking touches nothing.
                _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(line * VECTOR).cast());
            }
        }
        // SAFETY: the caller's promises: tile and rows have `steps` steps.
        unsafe {
            let values = rows.each_ref().map(|row| row.values.as_ptr().add(step * STEP).cast());
            S::add::<N>(tile, step, values, &rows, &mut sums);
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        let mut values = [0.0; LANES];
        // SAFETY: 16 values are 64 bytes.
        unsafe {
            _mm256_storeu_ps(values.as_mut_ptr(), sums[0]);
            _mm256_storeu_ps(values.as_mut_ptr().add(8), sums[1]);
        }
        write(first + row, values);
    }
    N
}
