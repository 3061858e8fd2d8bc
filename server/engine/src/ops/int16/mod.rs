//! Products with frozen weights while an adapter is tuned, in whole numbers of 16 bits.
//!
//! Both factors are rounded, every 256 values with a scale of their own, and the products are added up exactly
//! in 32 bits: AVX2 multiplies sixteen such numbers in the time of eight of f32. What is rounded away is about
//! a ten-thousandth of a block's length, whether its values are alike or not: less than the TF32 of graphics
//! cards, and a tenth of bf16. A block is scaled so that neither its largest value nor its length goes beyond
//! what fits (|x · y| <= |x| |y|, Cauchy and Schwarz). Values below 1e-34 may count as zero. Sums over whole
//! numbers have no order, and blocks are added in theirs, so a row's result depends on nothing but the row.
//!
//! [`rows`] rounds the one factor, [`panel`] the other one block by block, [`avx2`] multiplies ([`portable`]
//! shows how), and [`linear`] makes tensor operations of it. Processors without AVX2 use the products of
//! [`crate::ops`] instead, and so do those with AVX-512, whose products of f32 are as wide.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod linear;
mod panel;
mod portable;
mod rows;

#[cfg(test)]
mod tests;

use self::{
    panel::{Panel, WIDTH},
    rows::RowTile,
};

pub use self::linear::{Frozen, linear, linear_add, pays};

/// Values that share a scale.
const BLOCK: usize = 256;
/// Rows of a tile, whose sums stay in registers with those of a panel.
const TILE: usize = 6;
/// Outputs of a panel: two registers.
const PANEL: usize = 16;

/// The sums of a tile's rows with a panel's outputs.
type Sums = [[f32; PANEL]; TILE];

/// Which instructions multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Kernel {
    /// The best that this processor has.
    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if avx2::available() && !is_x86_feature_detected!("avx512f") {
            return Self::Avx2;
        }
        Self::Portable
    }

    /// Adds to `sums` what the first `pairs` pairs of a block's values give.
    fn multiply(self, rows: RowTile<'_>, panel: &Panel, pairs: usize, sums: &mut Sums) {
        match self {
            Self::Portable => portable::multiply(rows, panel, pairs, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::multiply(rows, panel, pairs, sums),
        }
    }

    /// Turns `[outputs, depth]` to `[depth, WIDTH]`.
    fn turn(self, values: &[f32], depth: usize, turned: &mut [[f32; WIDTH]]) {
        match self {
            Self::Portable => portable::turn(values, depth, turned),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::turn(values, depth, turned),
        }
    }
}

/// Largest length (2-norm) of a rounded block before rounding, which adds half of one for each value, at most
/// 8 in all. Two lengths of 46,340 multiply to less than 2^31.
const LENGTH: f32 = 46_331.0;
/// Largest rounded value.
const LARGEST: f32 = 32_767.0;

/// What a block's values are multiplied by before they are rounded, and what a rounded one is worth: for the
/// largest value of the block and the sum of the squares of the values as shares of it ([`share`]). A block
/// with a value that is no number or infinite, or beyond 1e32, is worth NaN, so that every product with it is
/// NaN.
#[inline(always)]
fn scale(largest: f32, squares: f32) -> (f32, f32) {
    let factor = LARGEST.min(LENGTH / squares.sqrt()) / largest;
    if squares.is_nan() || largest > 1e32 {
        (0.0, f32::NAN)
    } else if factor.is_finite() {
        (factor, factor.recip())
    } else {
        // Nothing but zeros, or what is as good as zero in f32.
        (0.0, 0.0)
    }
}

/// What makes values shares of the largest one.
#[inline(always)]
fn share(largest: f32) -> f32 {
    if largest >= f32::MIN_POSITIVE { largest.recip() } else { 0.0 }
}

/// 1.5 * 2^23: its lowest bits are zero, and a number below 2^22 that is added to it lands in them, rounded to
/// the nearest, ties to even.
const MAGIC: f32 = 12_582_912.0;

/// Two values, rounded, as the instructions take them: the first in the lower half.
#[inline(always)]
fn pair(first: f32, second: f32, factor: f32) -> i32 {
    let round = |value: f32| (value * factor + MAGIC).to_bits();
    (round(first) & 0xffff | round(second) << 16) as i32
}
