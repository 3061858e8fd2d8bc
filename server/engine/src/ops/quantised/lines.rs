//! Memory for a matrix: large ones in pages of two megabytes where the system has them. A product reads all
//! of its matrix, and small pages cost it time to find, and the loader time to get.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

use super::layout::VECTOR;

/// Bytes of a large page on most processors; where they are others, nothing but speed is lost.
const PAGE: usize = 2 << 20;

/// 64 bytes that begin where a cache line does.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; VECTOR]);

/// Lines that lie one after the other.
#[derive(Debug)]
pub(super) struct Lines(Memory);

#[derive(Debug)]
enum Memory {
    /// Less than a large page.
    Few(Vec<Line>),
    /// Memory of the system's own, in which they begin where a large page does.
    Many { map: MmapMut, from: usize, count: usize },
}

impl Lines {
    /// So many, all zero.
    pub fn zeroed(count: usize) -> Self {
        let bytes = count * VECTOR;
        let map = if bytes < PAGE { None } else { MmapMut::map_anon(bytes + PAGE).ok() };
        let Some(map) = map else { return Self(Memory::Few(vec![Line([0; VECTOR]); count])) };
        let from = map.as_ptr().align_offset(PAGE);
        assert!(from < PAGE, "bytes have an offset to any alignment");
        // Only a wish; and not for the end, or it would get a page that it doesn't fill.
        #[cfg(target_os = "linux")]
        let _ = map.advise_range(memmap2::Advice::HugePage, from, bytes / PAGE * PAGE);
        Self(Memory::Many { map, from, count })
    }
}

impl Deref for Lines {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        match &self.0 {
            Memory::Few(lines) => lines,
            #[expect(unsafe_code, reason = "mapped bytes are lines where they are aligned")]
            // SAFETY: `count` lines from `from` on are inside of the map, which is a page longer; a large
            // page begins where a line may; any bytes are a line, and the map lives as long as `self`.
            Memory::Many { map, from, count } => unsafe {
                std::slice::from_raw_parts(map.as_ptr().add(*from).cast(), *count)
            },
        }
    }
}

impl DerefMut for Lines {
    fn deref_mut(&mut self) -> &mut [Line] {
        match &mut self.0 {
            Memory::Few(lines) => lines,
            #[expect(unsafe_code, reason = "mapped bytes are lines where they are aligned")]
            // SAFETY: as above; the borrow is exclusive, and nobody else maps this memory.
            Memory::Many { map, from, count } => unsafe {
                std::slice::from_raw_parts_mut(map.as_mut_ptr().add(*from).cast(), *count)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_lines_are_zero_aligned_and_hold_what_is_written() {
        for count in [0, 1, PAGE / VECTOR - 1, PAGE / VECTOR, 3 * PAGE / VECTOR + 5] {
            let mut lines = Lines::zeroed(count);
            assert_eq!(lines.len(), count);
            assert!(lines.iter().all(|line| line.0 == [0; VECTOR]));
            let large = count >= PAGE / VECTOR;
            assert_eq!(matches!(lines.0, Memory::Many { .. }), large);
            assert!(lines.as_ptr().is_aligned());
            assert!(!large || lines.as_ptr().addr().is_multiple_of(PAGE));
            for (index, line) in lines.iter_mut().enumerate() {
                line.0[index % VECTOR] = index as u8;
            }
            let kept = |(index, line): (usize, &Line)| line.0[index % VECTOR] == index as u8;
            assert!(lines.iter().enumerate().all(kept), "{count}");
        }
    }
}
