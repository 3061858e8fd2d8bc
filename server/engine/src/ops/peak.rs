//! How fast one core multiplies and adds at best: what other arithmetic is held against.

use std::hint::black_box;

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
    use std::arch::x86_64::{_mm256_fmadd_pd, _mm256_set1_pd, _mm512_fmadd_pd, _mm512_set1_pd};
    use std::hint::black_box;

    use super::SUMS;

    #[target_feature(enable = "avx2,fma")]
    pub fn fma(rounds: usize) -> usize {
        let (factor, term) = black_box((0.999_999, 1.000_001));
        let (factor, term) = (_mm256_set1_pd(factor), _mm256_set1_pd(term));
        let mut sums = [_mm256_set1_pd(0.0); SUMS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm256_fmadd_pd(*sum, factor, term);
            }
        }
        black_box(sums);
        rounds * SUMS * 4 * 2
    }

    #[target_feature(enable = "avx512f")]
    pub fn avx512(rounds: usize) -> usize {
        let (factor, term) = black_box((0.999_999, 1.000_001));
        let (factor, term) = (_mm512_set1_pd(factor), _mm512_set1_pd(term));
        let mut sums = [_mm512_set1_pd(0.0); SUMS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_fmadd_pd(*sum, factor, term);
            }
        }
        black_box(sums);
        rounds * SUMS * 8 * 2
    }
}
