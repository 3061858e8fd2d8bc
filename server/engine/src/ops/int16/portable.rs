//! What [`super::avx2`] does, in plain loops: for processors of other kinds, and to test it against.

use super::panel::{Panel, WIDTH};
use super::rows::RowTile;
use super::{Sums, TILE};

/// Adds to `sums` what the first `pairs` pairs of the block's values give.
pub(super) fn multiply(rows: RowTile<'_>, panel: &Panel, pairs: usize, sums: &mut Sums) {
    let low = |pair: i32| i32::from(pair as i16);
    let high = |pair: i32| pair >> 16;
    for (row, sums) in sums.iter_mut().enumerate() {
        for (output, sum) in sums.iter_mut().enumerate() {
            let product = |pair: usize| {
                let (x, w) = (rows.pairs[pair * TILE + row], panel.pairs[pair][output]);
                (low(x) * low(w)).wrapping_add(high(x) * high(w))
            };
            // Only of what is worth NaN could it be too large.
            let whole = (0..pairs).map(product).fold(0, i32::wrapping_add);
            *sum = (whole as f32 * rows.scales[row]).mul_add(panel.scales[output], *sum);
        }
    }
}

/// Turns `[outputs, depth]` to `[depth, WIDTH]`; what belongs to no output is left as it is.
pub(super) fn turn(values: &[f32], depth: usize, turned: &mut [[f32; WIDTH]]) {
    for (output, row) in values.chunks_exact(depth).enumerate() {
        for (value, turned) in row.iter().zip(turned.iter_mut()) {
            turned[output] = *value;
        }
    }
}
