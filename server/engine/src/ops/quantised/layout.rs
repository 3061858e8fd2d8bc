//! How a quantised matrix lies in memory: tiles of 16 output rows, so that one vector holds the same
//! four columns of all of them.
//!
//! A tile holds its quants first, then its scales, each for one run of columns after the other:
//!
//! | format | columns | bytes of quants per 32 columns | scales |
//! |---|---|---|---|
//! | [`Format::Q8_0`] | 32 | 8 vectors of 4 columns x 16 rows, one byte each | f16 x 16 |
//! | [`Format::Q4K`] | 256 | 4 vectors, the next four columns in the upper halves of the bytes | f16 scale x 16, f16 minimum x 16, then 8 times 16 bytes of scales and of minima |
//! | [`Format::Q6K`] | 256 | 4 vectors as above, then 2 with the upper two bits of four groups each | f16 x 16, then 16 times 16 signed bytes |
//!
//! Quants are unsigned; what they stand for is `scale * (quant - zero) - minimum`.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Result;
use candle_core::quantized::GgmlDType;
use half::f16;
use rayon::prelude::*;

use super::lines::{Line, Lines};
use super::read::{self, Block};
use crate::ops::int16::Frozen;

/// Output rows of a tile.
pub const LANES: usize = 16;
/// Columns of a step of the product.
pub const STEP: usize = 32;
/// Columns of a block of the K formats.
pub const SUPER: usize = 256;
/// Bytes of a vector.
pub const VECTOR: usize = 64;

/// How the values of a block are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// 32 signed bytes with one scale: 8.5 bits per value.
    Q8_0,
    /// 256 values of 4 bits; every 32 have a scale and a minimum of 6 bits: 4.5 bits per value.
    Q4K,
    /// 256 values of 6 bits; every 16 have a scale of 8 bits: 6.56 bits per value.
    Q6K,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Q8_0, Self::Q4K, Self::Q6K];

    /// The format of tensors of this kind; `None` where no product of ours takes them.
    pub fn of(dtype: GgmlDType) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.dtype() == dtype)
    }

    /// Its name in GGUF files.
    pub fn dtype(self) -> GgmlDType {
        match self {
            Self::Q8_0 => GgmlDType::Q8_0,
            Self::Q4K => GgmlDType::Q4K,
            Self::Q6K => GgmlDType::Q6K,
        }
    }

    /// Columns of a block; a matrix has whole blocks only.
    pub fn columns(self) -> usize {
        match self {
            Self::Q8_0 => STEP,
            Self::Q4K | Self::Q6K => SUPER,
        }
    }

    /// Bytes that a value takes in memory.
    pub fn bytes_per_value(self) -> f64 {
        let quants = self.columns() / STEP * self.step_bytes();
        (quants + self.scale_bytes()) as f64 / (LANES * self.columns()) as f64
    }

    /// Bytes of a tile's quants for one step.
    pub(super) const fn step_bytes(self) -> usize {
        match self {
            Self::Q8_0 => 8 * VECTOR,
            Self::Q4K => 4 * VECTOR,
            Self::Q6K => 6 * VECTOR,
        }
    }

    /// Bytes of a tile's scales for one block.
    pub(super) fn scale_bytes(self) -> usize {
        match self {
            Self::Q8_0 => 2 * LANES,
            Self::Q4K => 4 * LANES + 16 * LANES,
            // The last 32 are not used; they keep whole vectors together.
            Self::Q6K => 2 * LANES + 16 * LANES + 2 * LANES,
        }
    }

    /// What is taken off every quant.
    pub(super) fn zero(self) -> i32 {
        match self {
            Self::Q8_0 => 128,
            Self::Q4K => 0,
            Self::Q6K => 32,
        }
    }
}

/// A frozen `[rows, columns]` weight of a linear layer.
pub struct QuantisedMatrix {
    format: Format,
    rows: usize,
    columns: usize,
    /// Whole tiles each, one below the other.
    parts: Vec<Arc<Lines>>,
}

impl std::fmt::Debug for QuantisedMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} [{}, {}]", self.format, self.rows, self.columns)
    }
}

/// Where the parts of one tile are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile<'a> {
    pub quants: &'a [u8],
    pub scales: &'a [u8],
}

impl QuantisedMatrix {
    /// Lays out the blocks of a GGUF tensor, rows one after the other; `None` unless the columns make
    /// whole blocks and there are as many bytes as they need.
    pub fn from_blocks(format: Format, rows: usize, columns: usize, bytes: &[u8]) -> Option<Self> {
        let block_bytes = format.dtype().type_size();
        let row_bytes = columns / format.columns() * block_bytes;
        let whole = columns.is_multiple_of(format.columns()) && rows > 0 && columns > 0;
        if !whole || rows.checked_mul(row_bytes) != Some(bytes.len()) {
            return None;
        }
        let empty = Self { format, rows, columns, parts: Vec::new() };
        let tile_lines = empty.tile_bytes() / VECTOR;
        let mut lines = Lines::zeroed(rows.div_ceil(LANES) * tile_lines);
        let of_tiles = bytes.par_chunks(LANES * row_bytes);
        lines.par_chunks_mut(tile_lines).zip(of_tiles).for_each(|(tile, rows)| {
            let (quants, scales) = tile.as_flattened_mut_bytes().split_at_mut(empty.quant_bytes());
            if format == Format::Q8_0 {
                return put_bytes(rows, row_bytes, quants, scales);
            }
            for (lane, row) in rows.chunks_exact(row_bytes).enumerate() {
                for (index, block) in row.chunks_exact(block_bytes).enumerate() {
                    let block = read::block(format, block);
                    put(format, &block, (quants, scales), index, lane);
                }
            }
        });
        Some(Self { parts: vec![Arc::new(lines)], ..empty })
    }

    /// A matrix that is good for nothing but to see how long a product takes.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn zeros(format: Format, rows: usize, columns: usize) -> Self {
        let empty = Self { format, rows, columns, parts: Vec::new() };
        let lines = Lines::zeroed(empty.tiles() * empty.tile_bytes() / VECTOR);
        Self { parts: vec![Arc::new(lines)], ..empty }
    }

    /// Several matrices with the same input, one below the other, in the memory that they have; `None` unless
    /// their formats and columns agree and all but the last one fill their tiles.
    pub fn stack(parts: &[&Self]) -> Option<Self> {
        let (first, rest) = (parts.first()?, parts.get(..parts.len() - 1)?);
        let alike = |part: &&Self| (part.format, part.columns) == (first.format, first.columns);
        if !parts.iter().all(alike) || rest.iter().any(|part| !part.rows.is_multiple_of(LANES)) {
            return None;
        }
        Some(Self {
            format: first.format,
            rows: parts.iter().map(|part| part.rows).sum(),
            columns: first.columns,
            parts: parts.iter().flat_map(|part| &part.parts).cloned().collect(),
        })
    }

    /// Its format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// `(rows, columns)`.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Steps of a row.
    pub(super) fn steps(&self) -> usize {
        self.columns / STEP
    }

    /// Number of tiles.
    pub(super) fn tiles(&self) -> usize {
        self.rows.div_ceil(LANES)
    }

    /// Bytes of a tile, whole vectors.
    pub(super) fn tile_bytes(&self) -> usize {
        let scales = self.columns / self.format.columns() * self.format.scale_bytes();
        self.quant_bytes() + scales.next_multiple_of(VECTOR)
    }

    fn quant_bytes(&self) -> usize {
        self.steps() * self.format.step_bytes()
    }

    /// One tile; `index` is below [`Self::tiles`].
    pub(super) fn tile(&self, index: usize) -> Tile<'_> {
        let lines = self.tile_bytes() / VECTOR;
        let (mut parts, mut from) = (self.parts.as_slice(), index * lines);
        while let [first, rest @ ..] = parts
            && from >= first.len()
        {
            (parts, from) = (rest, from - first.len());
        }
        let bytes = parts[0][from..from + lines].as_flattened_bytes();
        let (quants, scales) = bytes.split_at(self.quant_bytes());
        Tile { quants, scales }
    }

    /// The values of one row.
    pub fn row(&self, row: usize) -> Vec<f32> {
        let (tile, lane) = (self.tile(row / LANES), row % LANES);
        let mut values = Vec::with_capacity(self.columns);
        for step in 0..self.steps() {
            let step = unpack(self.format, tile, step);
            values.extend((0..STEP).map(|column| step.value(self.format, lane, column)));
        }
        values
    }

    /// All values, row by row.
    pub fn values(&self) -> Vec<f32> {
        (0..self.rows).into_par_iter().flat_map_iter(|row| self.row(row)).collect()
    }
}

impl Frozen for QuantisedMatrix {
    fn shape(&self) -> (usize, usize) {
        self.shape()
    }

    fn read(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        into: &mut [f32],
        stride: usize,
    ) -> Result<()> {
        let width = columns.len();
        for tile in rows.start / LANES..rows.end.div_ceil(LANES) {
            let parts = self.tile(tile);
            for index in columns.start / STEP..columns.end.div_ceil(STEP) {
                let step = unpack(self.format, parts, index);
                for lane in 0..LANES {
                    let row = tile * LANES + lane;
                    if !rows.contains(&row) {
                        continue;
                    }
                    let into = &mut into[(row - rows.start) * stride..][..width];
                    for column in 0..STEP {
                        if let Some(at) = (index * STEP + column).checked_sub(columns.start)
                            && at < width
                        {
                            into[at] = step.value(self.format, lane, column);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// 32 columns of a tile as they count.
#[derive(Debug)]
pub(super) struct Step {
    /// `[group of 4 columns][row, column in the group]`.
    pub quants: [[u8; VECTOR]; 8],
    /// Scales of the first and the second 16 columns.
    pub scales: [[f32; LANES]; 2],
    /// Minima of all 32 columns.
    pub minima: [f32; LANES],
}

impl Step {
    /// What stands in a column of a row.
    #[inline(always)]
    fn value(&self, format: Format, lane: usize, column: usize) -> f32 {
        let quant = i32::from(self.quants[column / 4][4 * lane + column % 4]);
        let centred = (quant - format.zero()) as f32;
        centred * self.scales[column / 16][lane] - self.minima[lane]
    }
}

/// Takes one step of a tile apart.
#[inline(always)]
pub(super) fn unpack(format: Format, tile: Tile<'_>, step: usize) -> Step {
    let bytes = format.step_bytes();
    let packed = tile.quants[step * bytes..(step + 1) * bytes].as_chunks::<VECTOR>().0;
    let mut quants = [[0; VECTOR]; 8];
    for (group, quants) in quants.iter_mut().enumerate() {
        for (at, quant) in quants.iter_mut().enumerate() {
            *quant = match format {
                Format::Q8_0 => packed[group][at],
                Format::Q4K => nibble(packed, group, at),
                Format::Q6K => {
                    let high = packed[4 + group / 4][at] >> (2 * (group % 4)) & 3;
                    nibble(packed, group, at) | high << 4
                }
            };
        }
    }
    let block = step * STEP / format.columns();
    let scales = &tile.scales[block * format.scale_bytes()..(block + 1) * format.scale_bytes()];
    let floats = |at: usize| -> [f32; LANES] {
        std::array::from_fn(|lane| {
            let at = at + 2 * lane;
            f16::from_le_bytes([scales[at], scales[at + 1]]).to_f32()
        })
    };
    let within = step % (SUPER / STEP);
    let (first, minima) = (floats(0), [0.0; LANES]);
    match format {
        Format::Q8_0 => Step { quants, scales: [first, first], minima },
        Format::Q4K => {
            let times = |floats: [f32; LANES], at: usize| -> [f32; LANES] {
                std::array::from_fn(|lane| {
                    floats[lane] * f32::from(scales[4 * LANES + at * LANES + lane])
                })
            };
            let scales = times(first, within);
            Step { quants, scales: [scales, scales], minima: times(floats(2 * LANES), 8 + within) }
        }
        Format::Q6K => {
            let half = |half: usize| -> [f32; LANES] {
                std::array::from_fn(|lane| {
                    let at = 2 * LANES + (2 * within + half) * LANES + lane;
                    first[lane] * f32::from(scales[at] as i8)
                })
            };
            Step { quants, scales: [half(0), half(1)], minima }
        }
    }
}

fn nibble(packed: &[[u8; VECTOR]], group: usize, at: usize) -> u8 {
    packed[group / 2][at] >> (4 * (group % 2)) & 15
}

/// Puts rows of Q8_0 blocks into their tile: four columns at a time, as they lie there.
fn put_bytes(rows: &[u8], row_bytes: usize, quants: &mut [u8], scales: &mut [u8]) {
    const BLOCK: usize = 2 + STEP;
    let quants = quants.as_chunks_mut::<4>().0;
    for index in 0..row_bytes / BLOCK {
        for (lane, row) in rows.chunks_exact(row_bytes).enumerate() {
            let block = &row[index * BLOCK..(index + 1) * BLOCK];
            let at = (index * LANES + lane) * 2;
            scales[at..at + 2].copy_from_slice(&block[..2]);
            for (group, four) in block[2..].as_chunks::<4>().0.iter().enumerate() {
                quants[(index * 8 + group) * LANES + lane] = four.map(|byte| byte ^ 0x80);
            }
        }
    }
}

/// Puts a block of one row of Q4_K or Q6_K into its tile.
fn put(
    format: Format,
    block: &Block,
    (quants, scales): (&mut [u8], &mut [u8]),
    index: usize,
    lane: usize,
) {
    let steps = format.columns() / STEP;
    for (column, quant) in block.quants.iter().enumerate() {
        let step = (index * steps + column / STEP) * format.step_bytes();
        let (group, at) = (column % STEP / 4, 4 * lane + column % 4);
        quants[step + group / 2 * VECTOR + at] |= (quant & 15) << (4 * (group % 2));
        if format == Format::Q6K {
            quants[step + (4 + group / 4) * VECTOR + at] |= quant >> 4 << (2 * (group % 4));
        }
    }
    let scales = &mut scales[index * format.scale_bytes()..(index + 1) * format.scale_bytes()];
    scales[2 * lane..2 * lane + 2].copy_from_slice(&block.scale);
    let mut from = 2 * LANES;
    if format == Format::Q4K {
        scales[from + 2 * lane..from + 2 * lane + 2].copy_from_slice(&block.minimum);
        from = 4 * LANES;
    }
    for (at, scale) in block.scales.iter().enumerate() {
        scales[from + at * LANES + lane] = *scale;
    }
}

/// Lines as one run of bytes.
trait Bytes {
    fn as_flattened_bytes(&self) -> &[u8];
    fn as_flattened_mut_bytes(&mut self) -> &mut [u8];
}

impl Bytes for [Line] {
    fn as_flattened_bytes(&self) -> &[u8] {
        #[expect(unsafe_code, reason = "a slice of lines is a slice of their bytes")]
        // SAFETY: a line is 64 bytes without padding, and bytes have no alignment of their own.
        unsafe {
            std::slice::from_raw_parts(self.as_ptr().cast(), size_of_val(self))
        }
    }

    fn as_flattened_mut_bytes(&mut self) -> &mut [u8] {
        #[expect(unsafe_code, reason = "a slice of lines is a slice of their bytes")]
        // SAFETY: as above; the borrow is exclusive.
        unsafe {
            std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), size_of_val(self))
        }
    }
}
