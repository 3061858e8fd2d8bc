//! How fast one core multiplies and adds at best: what other arithmetic is held against.

use std::hint::black_box;

#[cfg(target_arch = "x86_64")]
use super::amx;

/// Sums that don't wait for each other: more than two units with the longest latency need, and as many as
/// fit into the registers.
const SUMS: usize = 12;

/// Multiplies and adds `rounds` times on values that stay in registers, by the widest instructions that this
/// processor has. Returns how many multiplications and additions of `f64` that was.
pub fn multiply_and_add(rounds: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            #[expect(unsafe_code, reason = "the processor has the instructions")]
            // SAFETY: just detected.
            return unsafe { x86::avx512(rounds) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            #[expect(unsafe_code, reason = "the processor has the instructions")]
            // SAFETY: just detected.
            return unsafe { x86::fma(rounds) };
        }
    }
    portable(rounds)
}

/// Multiplies and adds so many times, and returns how many multiplications and additions that was.
pub type Loop = fn(usize) -> usize;

/// The same on bytes, whose products are added up in 32 bits: what products of quantised matrices are made of,
/// without loads, scales and sums of rows. One loop for each kind of instructions that this processor has.
pub fn multiply_and_add_bytes() -> Vec<Loop> {
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "there are none"))]
    let mut loops: Vec<Loop> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") {
            #[expect(unsafe_code, reason = "the processor has the instructions")]
            // SAFETY: just detected.
            loops.push(|rounds| unsafe { x86::avx2_bytes(rounds) });
        }
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni") {
            #[expect(unsafe_code, reason = "the processor has the instructions")]
            // SAFETY: just detected.
            loops.push(|rounds| unsafe { x86::vnni(rounds) });
        }
        if amx::available() {
            loops.push(amx::multiply_and_add);
        }
    }
    loops
}

/// What the compiler makes of it. The sum is multiplied, so that no product can be taken out of the loop.
fn portable(rounds: usize) -> usize {
    let (factor, term) = black_box(([0.999_999_f64; 2], [1.000_001_f64; 2]));
    let mut sums = [[0.0_f64; 2]; SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            for ((sum, factor), term) in sum.iter_mut().zip(&factor).zip(&term) {
                *sum = *sum * factor + term;
            }
        }
    }
    black_box(sums);
    rounds * SUMS * 2 * 2
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::SUMS;

    /// A loop over sums in registers: the instructions it needs, the two values that go in, the first sum,
    /// what makes a new sum of the old one and the values, and the pairs that it multiplies and adds.
    macro_rules! sums {
        ($name:ident, $features:literal, $values:expr, $zero:expr, $step:expr, $pairs:literal) => {
            #[target_feature(enable = $features)]
            pub fn $name(rounds: usize) -> usize {
                let (factor, term) = black_box($values);
                let mut sums = [$zero; SUMS];
                for _ in 0..rounds {
                    for sum in &mut sums {
                        *sum = $step(*sum, factor, term);
                    }
                }
                black_box(sums);
                rounds * SUMS * $pairs * 2
            }
        };
    }

    sums!(
        fma,
        "avx2,fma",
        (_mm256_set1_pd(0.999_999), _mm256_set1_pd(1.000_001)),
        _mm256_setzero_pd(),
        |sum, factor, term| _mm256_fmadd_pd(sum, factor, term),
        4
    );
    sums!(
        avx512,
        "avx512f",
        (_mm512_set1_pd(0.999_999), _mm512_set1_pd(1.000_001)),
        _mm512_setzero_pd(),
        |sum, factor, term| _mm512_fmadd_pd(sum, factor, term),
        8
    );
    // The sum takes part in the product, so that none can be taken out of the loop.
    sums!(
        avx2_bytes,
        "avx2",
        (_mm256_set1_epi8(3), _mm256_set1_epi16(1)),
        _mm256_setzero_si256(),
        |sum, bytes, ones| {
            let pairs = _mm256_maddubs_epi16(bytes, sum);
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones))
        },
        32
    );
    sums!(
        vnni,
        "avx512f,avx512bw,avx512vnni",
        (_mm512_set1_epi8(3), _mm512_set1_epi8(5)),
        _mm512_setzero_si512(),
        |sum, first, second| _mm512_dpbusd_epi32(sum, first, second),
        64
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_counted_by_rounds() {
        let once = multiply_and_add(1);
        assert!(once >= SUMS * 2 * 2 && once.is_multiple_of(SUMS * 2), "{once}");
        assert_eq!(multiply_and_add(1000), 1000 * once);
        for bytes in multiply_and_add_bytes() {
            let once = bytes(1);
            assert!(once >= SUMS * 32 * 2, "{once}");
            assert_eq!(bytes(1000), 1000 * once);
        }
    }
}
