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
                low(x) * low(w) + high(x) * high(w)
            };
            let whole: i32 = (0..pairs).map(product).sum();
            let worth = rows.scales[row] * panel.scales[output];
            *sum = (whole as f32).mul_add(worth, *sum);
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
