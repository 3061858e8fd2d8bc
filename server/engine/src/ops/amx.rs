//! Advanced Matrix Extensions (AMX): eight tiles of registers, 16 rows of 64 bytes each, and their products.
//!
//! Linux gives a process the tiles when it asks; elsewhere they aren't used.
#![expect(unsafe_code, reason = "instructions that have no functions in stable Rust")]

use std::arch::asm;
use std::marker::PhantomData;
use std::sync::LazyLock;

/// Bytes of a tile's row, and between rows that lie side by side.
pub const ROW: usize = 64;
/// Rows of a tile.
pub const ROWS: usize = 16;
/// Number of tiles.
const TILES: usize = 8;

/// Whether this processor multiplies bytes by tiles, and the system lets this process do so.
pub fn available() -> bool {
    static AVAILABLE: LazyLock<bool> = LazyLock::new(|| has_tiles() && permitted());
    *AVAILABLE
}

/// Whether the processor has AMX-TILE and AMX-INT8, and the system saves the tiles of a thread (Intel's manual,
/// CPUID leaf 7 and XCR0).
fn has_tiles() -> bool {
    const TILE_AND_INT8: u32 = 1 << 24 | 1 << 25;
    const SAVED: u64 = 1 << 17 | 1 << 18;
    // Without AVX the register that is read next needn't be there.
    if !is_x86_feature_detected!("avx512f") {
        return false;
    }
    #[allow(unused_unsafe, reason = "compilers before 1.94 want it")]
    // SAFETY: every processor of this kind has the instruction, and one with AVX-512 the leaf.
    let features = unsafe { std::arch::x86_64::__cpuid_count(7, 0) }.edx;
    let (low, high): (u32, u32);
    // SAFETY: a processor whose AVX-512 is usable has the register, and reading it changes nothing.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    let saved = u64::from(high) << 32 | u64::from(low);
    features & TILE_AND_INT8 == TILE_AND_INT8 && saved & SAVED == SAVED
}

/// Asks the system for the tiles, for all threads of this process.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    /// `ARCH_REQ_XCOMP_PERM` of Linux' `asm/prctl.h`.
    const REQUEST: libc::c_ulong = 0x1023;
    /// The tiles among the parts of a thread's state that a system saves.
    const TILE_DATA: libc::c_ulong = 18;
    // SAFETY: the call takes two numbers and changes what instructions this process may use.
    unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// The calling thread's tiles in the shapes that were asked for, until this is dropped.
#[derive(Debug)]
pub struct Tiles {
    /// Tiles belong to a thread.
    thread: PhantomData<*const ()>,
}

/// What the instruction that shapes tiles reads.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    /// Bytes of a row.
    bytes: [u16; 16],
    rows: [u8; 16],
}

impl Tiles {
    /// Gives the first tiles `(rows, bytes of a row)`, at most [`ROWS`] and [`ROW`], the bytes whole fours; the
    /// others can't be used.
    ///
    /// # Panics
    /// Where AMX isn't [`available`], there are more than [`TILES`], or a shape is empty, too large or ends
    /// within four bytes.
    pub fn shape(shapes: &[(usize, usize)]) -> Self {
        assert!(available(), "the processor lacks AMX, or the system keeps it");
        assert!(shapes.len() <= TILES, "{} tiles are more than there are", shapes.len());
        let mut given =
            Shapes { palette: 1, start: 0, reserved: [0; 14], bytes: [0; 16], rows: [0; 16] };
        for (tile, &(rows, bytes)) in shapes.iter().enumerate() {
            let fits = (1..=ROWS).contains(&rows) && (4..=ROW).contains(&bytes);
            assert!(fits && bytes.is_multiple_of(4), "{rows} rows of {bytes} bytes are no tile");
            (given.rows[tile], given.bytes[tile]) = (rows as u8, bytes as u16);
        }
        // SAFETY: the instruction is there and reads 64 bytes, and the shapes are within palette 1.
        unsafe {
            asm!("ldtilecfg [{0}]", in(reg) &raw const given, options(nostack, preserves_flags, readonly));
        }
        Self { thread: PhantomData }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: tiles were shaped, so the instruction is there.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}

/// Multiplies and adds bytes `rounds` times in tiles that stay where they are: four sums of two tiles with two.
/// Returns how many multiplications and additions that was.
///
/// # Panics
/// Where AMX isn't [`available`].
pub fn multiply_and_add(rounds: usize) -> usize {
    let _tiles = Tiles::shape(&[(ROWS, ROW); TILES]);
    // SAFETY: tiles are shaped; what is in them doesn't matter.
    unsafe {
        for _ in 0..rounds {
            asm!(
                "tdpbsud tmm0, tmm4, tmm6",
                "tdpbsud tmm1, tmm4, tmm7",
                "tdpbsud tmm2, tmm5, tmm6",
                "tdpbsud tmm3, tmm5, tmm7",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                options(nomem, nostack, preserves_flags),
            );
        }
    }
    rounds * 4 * (ROWS * ROWS * ROW) * 2
}
