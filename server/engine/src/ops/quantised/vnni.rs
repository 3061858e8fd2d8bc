//! The product with AVX-512 VNNI: one instruction multiplies and adds four columns of 16 output rows.
//!
//! A tile's quants are unsigned and stay in registers while several rows of activations pass, each
//! value of which is broadcast from memory.
#![expect(unsafe_code, reason = "vector instructions, and loads through pointers")]

use std::arch::x86_64::*;

use super::activations::{Activations, Row};
use super::layout::{Format, LANES, QuantisedMatrix, STEP, SUPER, Tile, VECTOR};

/// Most rows that share a tile's registers: beside eight vectors of quants, a scale and what a row needs
/// in passing there is room for ten sums.
const ROWS: usize = 10;

/// Whether this processor has the instructions.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}

/// As [`super::portable::tile`]; only where [`available`] is true.
pub(super) fn tile(
    matrix: &QuantisedMatrix,
    tile: usize,
    x: &Activations,
    rows: std::ops::Range<usize>,
    write: impl FnMut(usize, [f32; LANES]),
) {
    assert!(available(), "the processor lacks AVX-512 VNNI");
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

/// How a format's steps are taken apart in registers. Every function needs the instructions that
/// [`available`] asks for and a tile that has the step.
pub(super) trait Steps {
    /// What is taken off every quant.
    const ZERO: i32;
    /// Whether a byte in memory holds more than one quant.
    const PACKED: bool;
    /// Whether the two halves of a step have scales of their own.
    const HALVES: bool;
    /// Whether there are minima.
    const MINIMA: bool;
    /// Four columns of all rows per vector.
    unsafe fn quants(tile: Tile<'_>, step: usize) -> [__m512i; 8];
    /// Scales of the two halves; the same twice without [`Self::HALVES`].
    unsafe fn scales(tile: Tile<'_>, step: usize) -> [__m512; 2];
    /// Minima; zero without [`Self::MINIMA`].
    unsafe fn minima(tile: Tile<'_>, step: usize) -> __m512;
}

pub(super) struct Q8_0;
pub(super) struct Q4K;
pub(super) struct Q6K;

impl Steps for Q8_0 {
    const ZERO: i32 = 128;
    const PACKED: bool = false;
    const HALVES: bool = false;
    const MINIMA: bool = false;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn quants(tile: Tile<'_>, step: usize) -> [__m512i; 8] {
        // SAFETY: the tile holds 512 bytes per step.
        let at = unsafe { tile.quants.as_ptr().add(step * 8 * VECTOR).cast::<__m512i>() };
        // SAFETY: as above; tiles begin where cache lines do.
        std::array::from_fn(|group| unsafe { _mm512_load_si512(at.add(group)) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn scales(tile: Tile<'_>, step: usize) -> [__m512; 2] {
        // SAFETY: the tile holds 32 bytes of scales per step.
        let scales = unsafe { halves(tile.scales.as_ptr().add(step * 2 * LANES)) };
        [scales, scales]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn minima(_tile: Tile<'_>, _step: usize) -> __m512 {
        _mm512_setzero_ps()
    }
}

impl Steps for Q4K {
    const ZERO: i32 = 0;
    const PACKED: bool = true;
    const HALVES: bool = false;
    const MINIMA: bool = true;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn quants(tile: Tile<'_>, step: usize) -> [__m512i; 8] {
        // SAFETY: the tile holds 256 bytes per step.
        unsafe { nibbles(tile.quants.as_ptr().add(step * 4 * VECTOR)) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn scales(tile: Tile<'_>, step: usize) -> [__m512; 2] {
        // SAFETY: a block of eight steps has the scales of `Format::scale_bytes`.
        let scales = unsafe { k_factors(tile, step, Format::Q4K, 0, 0) };
        [scales, scales]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn minima(tile: Tile<'_>, step: usize) -> __m512 {
        // SAFETY: as for the scales, which the minima follow.
        unsafe { k_factors(tile, step, Format::Q4K, 2 * LANES, 8) }
    }
}

impl Steps for Q6K {
    const ZERO: i32 = 32;
    const PACKED: bool = true;
    const HALVES: bool = true;
    const MINIMA: bool = false;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn quants(tile: Tile<'_>, step: usize) -> [__m512i; 8] {
        // SAFETY: the tile holds 384 bytes per step: lower bits, then upper ones.
        let (low, high) = unsafe {
            let at = tile.quants.as_ptr().add(step * 6 * VECTOR);
            let high = at.add(4 * VECTOR).cast::<__m512i>();
            (nibbles(at), [_mm512_load_si512(high), _mm512_load_si512(high.add(1))])
        };
        let mask = _mm512_set1_epi8(0x30);
        std::array::from_fn(|group| {
            let bits = high[group / 4];
            let bits = match group % 4 {
                0 => _mm512_slli_epi16::<4>(bits),
                1 => _mm512_slli_epi16::<2>(bits),
                2 => bits,
                _ => _mm512_srli_epi16::<2>(bits),
            };
            _mm512_or_si512(low[group], _mm512_and_si512(bits, mask))
        })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn scales(tile: Tile<'_>, step: usize) -> [__m512; 2] {
        let (block, within) = (step / (SUPER / STEP), step % (SUPER / STEP));
        // SAFETY: a block has one f16 and 16 signed bytes per row.
        unsafe {
            let at = tile.scales.as_ptr().add(block * Format::Q6K.scale_bytes());
            let scale = halves(at);
            let factor = |half: usize| {
                let at = at.add(2 * LANES + (2 * within + half) * LANES);
                let factor = _mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast()));
                _mm512_mul_ps(scale, _mm512_cvtepi32_ps(factor))
            };
            [factor(0), factor(1)]
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn minima(_tile: Tile<'_>, _step: usize) -> __m512 {
        _mm512_setzero_ps()
    }
}

/// Sixteen f16 at `at`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn halves(at: *const u8) -> __m512 {
    // SAFETY: the caller has 32 bytes there.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(at.cast()) })
}

/// Eight vectors of four bits each from four at `at`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn nibbles(at: *const u8) -> [__m512i; 8] {
    let mask = _mm512_set1_epi8(15);
    std::array::from_fn(|group| {
        // SAFETY: the caller has four vectors there, which begin where cache lines do.
        let both = unsafe { _mm512_load_si512(at.cast::<__m512i>().add(group / 2)) };
        let bits = if group % 2 == 0 { both } else { _mm512_srli_epi16::<4>(both) };
        _mm512_and_si512(bits, mask)
    })
}

/// The f16 at `float` of the step's block times the byte of its step, counted from the `first` run.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn k_factors(
    tile: Tile<'_>,
    step: usize,
    format: Format,
    float: usize,
    first: usize,
) -> __m512 {
    let (block, within) = (step / (SUPER / STEP), step % (SUPER / STEP));
    // SAFETY: a block of Q4_K has two f16 and 16 bytes per row.
    unsafe {
        let at = tile.scales.as_ptr().add(block * format.scale_bytes());
        let bytes = _mm_loadu_si128(at.add(4 * LANES + (first + within) * LANES).cast());
        let factor = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
        _mm512_mul_ps(halves(at.add(float)), factor)
    }
}

/// Sums of the two halves of a row's step.
///
/// # Safety
/// The row has the step.
#[inline(always)]
pub(super) unsafe fn totals(row: &Row<'_>, step: usize) -> [i32; 2] {
    // SAFETY: the caller's promise.
    unsafe { [*row.sums.get_unchecked(2 * step), *row.sums.get_unchecked(2 * step + 1)] }
}

/// Adds a step's products to a row's sums, with their scales: of both halves, or of the whole step and nothing
/// where its halves have the same scales.
///
/// # Safety
/// The instructions of [`available`] are there, and the row has the step.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn add<S: Steps>(
    sum: __m512,
    [first, second]: [__m512i; 2],
    scales: [__m512; 2],
    minima: __m512,
    row: &Row<'_>,
    step: usize,
) -> __m512 {
    let mut product = _mm512_mul_ps(_mm512_cvtepi32_ps(first), scales[0]);
    if S::HALVES {
        product = _mm512_fmadd_ps(_mm512_cvtepi32_ps(second), scales[1], product);
    }
    if S::MINIMA {
        // SAFETY: the caller's promise.
        let [first, second] = unsafe { totals(row, step) };
        product = _mm512_fnmadd_ps(_mm512_set1_ps((first + second) as f32), minima, product);
    }
    // SAFETY: as above.
    let scale = _mm512_set1_ps(unsafe { *row.scales.get_unchecked(step) });
    _mm512_fmadd_ps(product, scale, sum)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn all_rows<S: Steps>(
    tile: Tile<'_>,
    steps: usize,
    x: &Activations,
    rows: std::ops::Range<usize>,
    mut write: impl FnMut(usize, [f32; LANES]),
) {
    // Passes of about the same number of rows: a pass of few takes nearly as long as one of many.
    let passes = rows.len().div_ceil(ROWS);
    let mut next = rows.start;
    for pass in 0..passes {
        let count = (rows.end - next).div_ceil(passes - pass);
        // SAFETY: the caller's promises; every row lies in `x`.
        let taken = unsafe {
            match count {
                1 => some_rows::<S, 1>(tile, steps, x, next, &mut write),
                2 => some_rows::<S, 2>(tile, steps, x, next, &mut write),
                3 => some_rows::<S, 3>(tile, steps, x, next, &mut write),
                4 => some_rows::<S, 4>(tile, steps, x, next, &mut write),
                5 => some_rows::<S, 5>(tile, steps, x, next, &mut write),
                6 => some_rows::<S, 6>(tile, steps, x, next, &mut write),
                7 => some_rows::<S, 7>(tile, steps, x, next, &mut write),
                8 => some_rows::<S, 8>(tile, steps, x, next, &mut write),
                9 => some_rows::<S, 9>(tile, steps, x, next, &mut write),
                _ => some_rows::<S, ROWS>(tile, steps, x, next, &mut write),
            }
        };
        next += taken;
    }
}

/// The rows from `first` on, `N` of them; gives `N`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn some_rows<S: Steps, const N: usize>(
    tile: Tile<'_>,
    steps: usize,
    x: &Activations,
    first: usize,
    write: &mut impl FnMut(usize, [f32; LANES]),
) -> usize {
    let rows: [Row<'_>; N] = std::array::from_fn(|row| x.row(first + row));
    let mut sums = [_mm512_setzero_ps(); N];
    for step in 0..steps {
        // SAFETY: the caller's promises: tile and rows have `steps` steps.
        unsafe {
            let quants = S::quants(tile, step);
            let scales = S::scales(tile, step);
            let minima = S::minima(tile, step);
            for (sum, row) in sums.iter_mut().zip(&rows) {
                let values = row.values.as_ptr().add(step * STEP).cast::<i32>();
                let [first, second] = totals(row, step);
                let mut low = _mm512_setzero_si512();
                let mut high = _mm512_setzero_si512();
                if S::HALVES {
                    low = _mm512_set1_epi32(-S::ZERO * first);
                    high = _mm512_set1_epi32(-S::ZERO * second);
                } else if S::ZERO != 0 {
                    low = _mm512_set1_epi32(-S::ZERO * (first + second));
                }
                for group in 0..4 {
                    let four = |group: usize| _mm512_set1_epi32(values.add(group).read_unaligned());
                    low = _mm512_dpbusd_epi32(low, quants[group], four(group));
                    high = _mm512_dpbusd_epi32(high, quants[4 + group], four(4 + group));
                }
                if !S::HALVES {
                    (low, high) = (_mm512_add_epi32(low, high), _mm512_setzero_si512());
                }
                *sum = add::<S>(*sum, [low, high], scales, minima, row, step);
            }
        }
    }
    for (row, sum) in sums.into_iter().enumerate() {
        let mut values = [0.0; LANES];
        // SAFETY: 16 values are 64 bytes.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), sum) };
        write(first + row, values);
    }
    N
}
