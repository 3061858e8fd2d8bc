//! Blocks of GGUF tensors, as the format's description lays them out (ggml, `ggml-common.h`: block_q4_K,
//! block_q6_K; block_q8_0 is a scale and 32 bytes, which need no reading).

use super::layout::{Format, SUPER};

/// One block of one row: what its values are, not where its bits were.
#[derive(Debug)]
pub(super) struct Block {
    /// Unsigned, see [`Format::zero`].
    pub quants: [u8; SUPER],
    /// f16, little endian.
    pub scale: [u8; 2],
    /// f16, little endian; Q4_K only.
    pub minimum: [u8; 2],
    /// Q4_K: 8 scales, then 8 minima. Q6_K: 16 signed scales.
    pub scales: [u8; 16],
}

/// Reads a block of Q4_K or Q6_K; `bytes` is as long as the format's blocks are.
pub(super) fn block(format: Format, bytes: &[u8]) -> Block {
    let mut block = Block { quants: [0; SUPER], scale: [0; 2], minimum: [0; 2], scales: [0; 16] };
    debug_assert!(format != Format::Q8_0, "its blocks are no larger than a step");
    match format {
        Format::Q4K => {
            block.scale.copy_from_slice(&bytes[..2]);
            block.minimum.copy_from_slice(&bytes[2..4]);
            six_bits(&bytes[4..16], &mut block.scales);
            // 64 values share 32 bytes: the first half has the lower four bits.
            for (quants, bytes) in block.quants.chunks_exact_mut(64).zip(bytes[16..].chunks(32)) {
                for (at, byte) in bytes.iter().enumerate() {
                    quants[at] = byte & 15;
                    quants[32 + at] = byte >> 4;
                }
            }
        }
        Format::Q6K | Format::Q8_0 => {
            let (low, rest) = bytes.split_at(128);
            let (high, rest) = rest.split_at(64);
            block.scales.copy_from_slice(&rest[..16]);
            block.scale.copy_from_slice(&rest[16..18]);
            let halves = low.chunks_exact(64).zip(high.chunks_exact(32));
            for (quants, (low, high)) in block.quants.chunks_exact_mut(128).zip(halves) {
                for (at, high) in high.iter().enumerate() {
                    quants[at] = low[at] & 15 | (high & 3) << 4;
                    quants[32 + at] = low[32 + at] & 15 | (high >> 2 & 3) << 4;
                    quants[64 + at] = low[at] >> 4 | (high >> 4 & 3) << 4;
                    quants[96 + at] = low[32 + at] >> 4 | high >> 6 << 4;
                }
            }
        }
    }
    block
}

/// Eight scales and eight minima of six bits in twelve bytes.
fn six_bits(packed: &[u8], scales: &mut [u8; 16]) {
    for at in 0..4 {
        scales[at] = packed[at] & 63;
        scales[8 + at] = packed[4 + at] & 63;
        scales[4 + at] = packed[8 + at] & 15 | packed[at] >> 6 << 4;
        scales[12 + at] = packed[8 + at] >> 4 | packed[4 + at] >> 6 << 4;
    }
}
