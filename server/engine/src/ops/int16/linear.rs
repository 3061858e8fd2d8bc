//! The product as an operation on tensors, and its gradient, which is such a product too.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::panel::{PANELS, Panel, WIDTH};
use super::rows::Rows;
use super::{BLOCK, Kernel, PANEL, Sums, TILE};
use crate::ops::frozen::{FrozenLinear, Product};
use crate::ops::host::{fits, lend};
use crate::ops::{lanes, shared::Columns};

/// Most tiles of rows that pass a panel at a time: with their sums they stay in a core's second cache.
const TILES: usize = 96;

/// Values of a weight from which the product is worth what it takes around it.
const VALUES: usize = 1 << 19;

/// A frozen weight `[rows, columns]` of a linear layer, parts of which can be read as f32.
pub trait Frozen: Send + Sync {
    /// `(rows, columns)`.
    fn shape(&self) -> (usize, usize);

    /// Writes the values of these rows and columns, row by row, `stride` apart, which is at least the number of
    /// columns; `into` has room for that.
    ///
    /// # Errors
    /// Values that aren't in host memory.
    fn read(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        into: &mut [f32],
        stride: usize,
    ) -> Result<()>;
}

/// Whether products of rows like these with a frozen weight of this shape are quicker this way: it is large,
/// and the processor has the instructions. How many rows there are plays no part, so that they can be shared
/// out in any way.
pub fn pays(x: &Tensor, (rows, columns): (usize, usize)) -> bool {
    rows * columns >= VALUES && Kernel::best() != Kernel::Portable && fits(x)
}

/// `x · weightᵀ`: `[n, columns]` to `[n, rows]`; where [`pays`] is true.
pub fn linear<W: Frozen + 'static>(x: &Tensor, weight: W) -> Result<Tensor> {
    x.contiguous()?.apply_op1(FrozenLinear(Int16(weight)))
}

/// `residual + x · weightᵀ`; where [`pays`] is true.
pub fn linear_add<W: Frozen + 'static>(residual: &Tensor, x: &Tensor, weight: W) -> Result<Tensor> {
    residual.contiguous()?.apply_op2(&x.contiguous()?, FrozenLinear(Int16(weight)))
}

impl Frozen for Tensor {
    fn shape(&self) -> (usize, usize) {
        self.dims2().unwrap_or_default()
    }

    fn read(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        into: &mut [f32],
        stride: usize,
    ) -> Result<()> {
        let width = Frozen::shape(self).1;
        lend(self, |values| {
            for (row, into) in rows.zip(into.chunks_mut(stride)) {
                into[..columns.len()].copy_from_slice(&values[row * width..][columns.clone()]);
            }
            Ok(())
        })
    }
}

impl<W: Frozen> Frozen for Arc<W> {
    fn shape(&self) -> (usize, usize) {
        W::shape(self)
    }

    fn read(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        into: &mut [f32],
        stride: usize,
    ) -> Result<()> {
        W::read(self, rows, columns, into, stride)
    }
}

/// Which way a weight is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `x · weightᵀ`.
    Forward,
    /// `gradient · weight`.
    Back,
}

impl Way {
    /// Width of what comes in and of what goes out.
    pub(super) fn widths(self, (rows, columns): (usize, usize)) -> (usize, usize) {
        match self {
            Self::Forward => (columns, rows),
            Self::Back => (rows, columns),
        }
    }
}

/// Room for one part of a product.
struct Desk {
    /// A block of the weight as it is read.
    read: Vec<f32>,
    /// The same, `[depth, WIDTH]`.
    turned: Vec<[f32; WIDTH]>,
    panels: Vec<Panel>,
    /// `[panel, tile]`.
    sums: Vec<Sums>,
}

impl Desk {
    fn new() -> Self {
        Self {
            read: vec![0.0; BLOCK * WIDTH],
            turned: vec![[0.0; WIDTH]; BLOCK],
            panels: vec![Panel::EMPTY; PANELS],
            sums: vec![[[0.0; PANEL]; TILE]; PANELS * TILES],
        }
    }

    /// Rounds what belongs to these outputs within one block. Outputs beyond the last one are made of what was
    /// there before, and never written out.
    fn make_panels<W: Frozen>(
        &mut self,
        weight: &W,
        way: Way,
        (outputs, block): (&Range<usize>, &Range<usize>),
        kernel: Kernel,
    ) -> Result<()> {
        let depth = block.len();
        match way {
            Way::Forward => {
                let read = &mut self.read[..depth * outputs.len()];
                weight.read(outputs.clone(), block.clone(), read, depth)?;
                kernel.turn(read, depth, &mut self.turned);
            }
            Way::Back => {
                let turned = self.turned.as_flattened_mut();
                weight.read(block.clone(), outputs.clone(), turned, WIDTH)?;
            }
        }
        let (turned, panels) = (&self.turned[..depth], &mut self.panels);
        lanes::dispatch(
            #[inline(always)]
            || {
                for (index, panel) in panels.iter_mut().enumerate() {
                    panel.fill(turned, index * PANEL);
                }
            },
        );
        Ok(())
    }
}

/// Writes `x · weightᵀ`, or `x · weight` on the way back, to `dst`, or adds it.
pub(super) fn multiply<W: Frozen>(
    dst: &mut [f32],
    x: &[f32],
    (weight, way): (&W, Way),
    add: bool,
    kernel: Kernel,
) -> Result<()> {
    let (inner, outer) = way.widths(weight.shape());
    let x = Rows::new(x, inner);
    let dst = Columns::new(dst, outer);
    assert_eq!(dst.rows(), x.count(), "room for the product");
    let tiles = x.count().div_ceil(TILE);
    // As few passes as can be, of the same length.
    let together = tiles.div_ceil(tiles.div_ceil(TILES).max(1)).max(1);
    (0..outer.div_ceil(WIDTH)).into_par_iter().try_for_each_init(Desk::new, |desk, task| {
        let outputs = task * WIDTH..outer.min((task + 1) * WIDTH);
        let panels = outputs.len().div_ceil(PANEL);
        for first in (0..tiles).step_by(together) {
            let here = first..tiles.min(first + together);
            desk.sums.fill([[0.0; PANEL]; TILE]);
            for block in 0..inner.div_ceil(BLOCK) {
                let values = block * BLOCK..inner.min((block + 1) * BLOCK);
                desk.make_panels(weight, way, (&outputs, &values), kernel)?;
                let sums = desk.sums.chunks_exact_mut(TILES);
                for (panel, sums) in desk.panels[..panels].iter().zip(sums) {
                    for (tile, sums) in here.clone().zip(sums) {
                        let pairs = values.len().div_ceil(2);
                        kernel.multiply(x.tile(tile, block), panel, pairs, sums);
                    }
                }
            }
            for row in here.start * TILE..x.count().min(here.end * TILE) {
                let (tile, within) = (row / TILE - here.start, row % TILE);
                #[expect(unsafe_code, reason = "tasks write columns of the same rows")]
                // SAFETY: no two tasks have outputs in common, and none borrows a row twice.
                let dst = unsafe { dst.row(row, outputs.clone()) };
                for (panel, dst) in dst.chunks_mut(PANEL).enumerate() {
                    let sums = &desk.sums[panel * TILES + tile][within];
                    if add {
                        dst.iter_mut().zip(sums).for_each(|(dst, value)| *dst += value);
                    } else {
                        dst.copy_from_slice(&sums[..dst.len()]);
                    }
                }
            }
        }
        Ok(())
    })
}

/// The weight of the operation.
struct Int16<W>(W);

impl<W: Frozen + 'static> Product for Int16<W> {
    const NAMES: [&'static str; 2] = ["int16-linear", "int16-linear-add"];

    fn shape(&self) -> (usize, usize) {
        self.0.shape()
    }

    fn forward(&self, dst: &mut [f32], x: &[f32], add: bool) -> Result<()> {
        multiply(dst, x, (&self.0, Way::Forward), add, Kernel::best())
    }

    fn back(&self, dst: &mut [f32], gradient: &[f32]) -> Result<()> {
        multiply(dst, gradient, (&self.0, Way::Back), false, Kernel::best())
    }
}
