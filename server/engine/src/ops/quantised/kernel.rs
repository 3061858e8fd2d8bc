//! Which instructions multiply: what the processor has, and what is quickest of it.

use std::ops::Range;
use std::sync::LazyLock;

use super::activations::Activations;
use super::layout::{LANES, QuantisedMatrix};
use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{amx, avx2, vnni};

/// Instructions that a product with a quantised matrix is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// What the compiler makes of plain Rust.
    Portable,
    /// AVX2: 32 bytes at a time, signs taken off and put on again.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 VNNI: 64 bytes at a time.
    #[cfg(target_arch = "x86_64")]
    Vnni,
    /// AMX for 16 rows at a time, AVX-512 VNNI for what is left of them: both give the same bits.
    #[cfg(target_arch = "x86_64")]
    Amx,
}

impl Kernel {
    /// Those that this processor has, the one that should be quickest last.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "there are no others"))]
        let mut kernels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            kernels.extend(avx2::available().then_some(Self::Avx2));
            kernels.extend(vnni::available().then_some(Self::Vnni));
            kernels.extend(amx::available().then_some(Self::Amx));
        }
        kernels
    }

    /// The one that products are computed with: the last one that is [`Self::available`], but AMX only if it was
    /// quicker than AVX-512 VNNI when both were tried. Tiles are saved and restored by systems, shared by the
    /// threads of a core and slowed down to save power, so that their gain isn't the same everywhere; what
    /// comes out is.
    pub fn best() -> Self {
        static BEST: LazyLock<Kernel> = LazyLock::new(|| match Kernel::available().as_slice() {
            #[cfg(target_arch = "x86_64")]
            [.., vnni @ Kernel::Vnni, amx @ Kernel::Amx] => quicker(*vnni, *amx),
            [.., best] => *best,
            [] => Kernel::Portable,
        });
        *BEST
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => "AVX-512 VNNI",
            #[cfg(target_arch = "x86_64")]
            Self::Amx => "AMX",
        }
    }

    /// Rows that pass a run of tiles at a time. They stay in a core's cache: the nearest one, or, since a tile's
    /// weights pass from there once for every 16 rows, the one behind it.
    pub(super) fn rows(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => 4 * amx::ROWS,
            _ => 20,
        }
    }

    /// The product of some rows with one tile of a matrix, handed to `write` row by row. The processor must have
    /// the instructions.
    pub(super) fn tile(
        self,
        matrix: &QuantisedMatrix,
        tile: usize,
        x: &Activations,
        rows: Range<usize>,
        write: impl FnMut(usize, [f32; LANES]),
    ) {
        match self {
            Self::Portable => portable::tile(matrix, tile, x, rows, write),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::tile(matrix, tile, x, rows, write),
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => vnni::tile(matrix, tile, x, rows, write),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => amx::tile(matrix, tile, x, rows, write),
        }
    }
}

/// The quicker one of two, of which each gets its best time in some tries on the calling thread: less than a
/// millisecond in all.
#[cfg(target_arch = "x86_64")]
fn quicker(first: Kernel, second: Kernel) -> Kernel {
    use std::hint::black_box;
    use std::time::{Duration, Instant};

    use super::layout::Format;

    const COLUMNS: usize = 1024;
    const TRIES: usize = 20;
    // Without the pool: this may be run by one of its threads, which must take up no other work meanwhile.
    let matrix = QuantisedMatrix::zeros(Format::Q8_0, LANES, COLUMNS);
    let x = Activations::of_ones(second.rows(), COLUMNS);
    let time = |kernel: Kernel| {
        let started = Instant::now();
        for first in (0..x.rows()).step_by(kernel.rows()) {
            let rows = first..(first + kernel.rows()).min(x.rows());
            kernel.tile(&matrix, 0, &x, rows, |_, values| {
                black_box(values);
            });
        }
        started.elapsed()
    };
    let mut best = [Duration::MAX; 2];
    for _ in 0..TRIES {
        for (best, kernel) in best.iter_mut().zip([first, second]) {
            *best = time(kernel).min(*best);
        }
    }
    if best[1] < best[0] { second } else { first }
}
