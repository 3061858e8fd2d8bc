//! The product in plain Rust, for every processor.

use super::activations::Activations;
use super::layout::{Format, LANES, QuantisedMatrix, unpack};
use crate::ops::lanes;

/// The first `width` columns of the product of rows `first..first + count` with one tile, handed to
/// `write` row by row.
pub(super) fn tile(
    matrix: &QuantisedMatrix,
    tile: usize,
    x: &Activations,
    rows: std::ops::Range<usize>,
    mut write: impl FnMut(usize, [f32; LANES]),
) {
    let (format, steps, tile) = (matrix.format(), matrix.steps(), matrix.tile(tile));
    let mut sums = vec![[0.0_f32; LANES]; rows.len()];
    lanes::dispatch(
        #[inline(always)]
        || {
            for step in 0..steps {
                let weights = unpack(format, tile, step);
                for (sums, row) in sums.iter_mut().zip(rows.clone()) {
                    let row = x.row(row);
                    let values = &row.values[step * 32..(step + 1) * 32];
                    let counts = [row.sums[2 * step], row.sums[2 * step + 1]];
                    let mut products = [[0_i32; LANES]; 2];
                    for (group, quants) in weights.quants.iter().enumerate() {
                        let products = &mut products[group / 4];
                        for lane in 0..LANES {
                            for at in 0..4 {
                                products[lane] += i32::from(quants[4 * lane + at])
                                    * i32::from(values[4 * group + at]);
                            }
                        }
                    }
                    let zero = format.zero();
                    let scale = row.scales[step];
                    for lane in 0..LANES {
                        let half = |half: usize| products[half][lane] - zero * counts[half];
                        let product = match format {
                            Format::Q6K => {
                                half(0) as f32 * weights.scales[0][lane]
                                    + half(1) as f32 * weights.scales[1][lane]
                            }
                            Format::Q8_0 | Format::Q4K => {
                                (half(0) + half(1)) as f32 * weights.scales[0][lane]
                                    - (counts[0] + counts[1]) as f32 * weights.minima[lane]
                            }
                        };
                        sums[lane] += product * scale;
                    }
                }
            }
        },
    );
    for (row, sums) in rows.zip(sums) {
        write(row, sums);
    }
}
