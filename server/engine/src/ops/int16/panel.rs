//! A block of the weight, rounded and laid out for the product while that runs.

use super::{BLOCK, PANEL, pair, scale, share};

/// Panels that are made at a time, from whole cache lines of the weight.
pub(super) const PANELS: usize = 4;
/// Outputs of as many panels.
pub(super) const WIDTH: usize = PANELS * PANEL;

/// 16 outputs within one block.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Panel {
    /// `[pair of values, output]`.
    pub pairs: [[i32; PANEL]; BLOCK / 2],
    /// What a value of each output is worth.
    pub scales: [f32; PANEL],
}

impl Panel {
    /// All zero.
    pub const EMPTY: Self = Self { pairs: [[0; PANEL]; BLOCK / 2], scales: [0.0; PANEL] };

    /// Rounds the values `[depth, WIDTH]` of the outputs from `from` on.
    #[inline(always)]
    pub fn fill(&mut self, values: &[[f32; WIDTH]], from: usize) {
        let of = |values: &[f32; WIDTH]| -> [f32; PANEL] {
            std::array::from_fn(|output| values[from + output])
        };
        let (mut largest, mut squares) = ([0.0_f32; PANEL], [0.0_f32; PANEL]);
        for values in values {
            let values = of(values);
            for output in 0..PANEL {
                let size = values[output].abs();
                largest[output] = if size > largest[output] { size } else { largest[output] };
            }
        }
        let shares = largest.map(share);
        for values in values {
            let values = of(values);
            for output in 0..PANEL {
                let share = values[output] * shares[output];
                squares[output] += share * share;
            }
        }
        let mut factors = [0.0; PANEL];
        for output in 0..PANEL {
            (factors[output], self.scales[output]) = scale(largest[output], squares[output]);
        }
        let (two, rest) = values.as_chunks::<2>();
        for (pairs, [first, second]) in self.pairs.iter_mut().zip(two) {
            let (first, second) = (of(first), of(second));
            for output in 0..PANEL {
                pairs[output] = pair(first[output], second[output], factors[output]);
            }
        }
        if let [last] = rest {
            let last = of(last);
            for output in 0..PANEL {
                self.pairs[two.len()][output] = pair(last[output], 0.0, factors[output]);
            }
        }
    }
}
