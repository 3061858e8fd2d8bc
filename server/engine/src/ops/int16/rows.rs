//! Rows of activations or gradients, rounded and laid out in tiles.

use rayon::prelude::*;

use super::{BLOCK, TILE, pair, scale, share};
use crate::ops::lanes;

/// Pairs of values in a block.
const PAIRS: usize = BLOCK / 2;

/// Rounded rows.
#[derive(Debug)]
pub(super) struct Rows {
    count: usize,
    blocks: usize,
    /// `[tile, block, pair, row of the tile]`.
    pairs: Vec<i32>,
    /// What a value is worth, `[tile, block, row of the tile]`.
    scales: Vec<f32>,
}

/// The rows of a tile within one block.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowTile<'a> {
    /// `[pair, row]`.
    pub pairs: &'a [i32],
    /// One for every row.
    pub scales: &'a [f32],
}

impl Rows {
    /// Rounds `[rows, width]`.
    pub fn new(x: &[f32], width: usize) -> Self {
        let (count, blocks) = (x.len() / width, width.div_ceil(BLOCK));
        let tiles = count.div_ceil(TILE);
        let mut pairs = vec![0; tiles * blocks * PAIRS * TILE];
        let mut scales = vec![0.0; tiles * blocks * TILE];
        x.par_chunks(TILE * width)
            .zip(pairs.par_chunks_mut(blocks * PAIRS * TILE))
            .zip(scales.par_chunks_mut(blocks * TILE))
            .for_each(|((x, pairs), scales)| {
                lanes::dispatch(
                    #[inline(always)]
                    || round_tile(x, width, pairs, scales),
                );
            });
        Self { count, blocks, pairs, scales }
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// One tile within one block; rows beyond the last one are zero.
    pub fn tile(&self, tile: usize, block: usize) -> RowTile<'_> {
        let at = tile * self.blocks + block;
        RowTile {
            pairs: &self.pairs[at * PAIRS * TILE..(at + 1) * PAIRS * TILE],
            scales: &self.scales[at * TILE..(at + 1) * TILE],
        }
    }
}

#[inline(always)]
fn round_tile(x: &[f32], width: usize, pairs: &mut [i32], scales: &mut [f32]) {
    for (row, x) in x.chunks_exact(width).enumerate() {
        let blocks = pairs.chunks_exact_mut(PAIRS * TILE).zip(scales.chunks_exact_mut(TILE));
        for (x, (pairs, scales)) in x.chunks(BLOCK).zip(blocks) {
            let largest = lanes::largest(x);
            let share = share(largest);
            let squares = lanes::sum2(x, x, |a, b| (a * share) * (b * share));
            let (factor, worth) = scale(largest, squares);
            scales[row] = worth;
            let (two, rest) = x.as_chunks::<2>();
            for (pairs, two) in pairs.chunks_exact_mut(TILE).zip(two) {
                pairs[row] = pair(two[0], two[1], factor);
            }
            if let [last] = rest {
                pairs[two.len() * TILE + row] = pair(*last, 0.0, factor);
            }
        }
    }
}
