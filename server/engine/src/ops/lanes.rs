//! Loops over slices that the compiler turns into vector instructions, and the dispatch to the widest
//! ones that the processor has.
//!
//! Sums run in a fixed order on a fixed number of lanes, so that a row's result depends neither on
//! the processor's width nor on how rows were shared out.

/// Independent accumulators per loop: one AVX-512 register, two of AVX2, four of SSE2.
const LANES: usize = 16;

/// Runs `f` compiled for the widest vector instructions of this processor.
pub fn dispatch<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// The exponential, within 2 units in the last place; zero below -87.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    /// ln 2 in two parts: the first has zeros at its end, so its product with a small integer is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    /// Adding it leaves the nearest integer in the lowest bits.
    const MAGIC: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped * LOG2_E + MAGIC;
    let whole = shifted - MAGIC;
    let rest = clamped - whole * LN2_HIGH - whole * LN2_LOW;
    // Taylor's series to the seventh power: 5e-9 at |rest| = ln 2 / 2.
    let mut series = 1.0 / 5040.0;
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series * rest + factor;
    }
    let exponent = shifted.to_bits().wrapping_sub(MAGIC.to_bits()).wrapping_add(127) << 23;
    let value = series * f32::from_bits(exponent);
    if x < -87.0 { 0.0 } else { value }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Sum of `f(a[i], b[i])`.
#[inline(always)]
pub fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(&a, &b)| f(a, b)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// The largest value; negative infinity for none.
#[inline(always)]
pub fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The largest absolute value; zero for none. A value that is no number counts as none.
#[inline(always)]
pub fn largest(x: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            let size = chunk[lane].abs();
            lanes[lane] = if size > lanes[lane] { size } else { lanes[lane] };
        }
    }
    rest.iter().map(|x| x.abs()).chain(lanes).fold(0.0, f32::max)
}

/// Replaces every value by `e^(value - shift)` and gives their sum.
#[inline(always)]
pub fn exp_sum(x: &mut [f32], shift: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = x.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            chunk[lane] = exp(chunk[lane] - shift);
            lanes[lane] += chunk[lane];
        }
    }
    let mut total = lanes.iter().sum::<f32>();
    for value in rest {
        *value = exp(*value - shift);
        total += *value;
    }
    total
}

/// Turns scores into shares that add up to one; gives the logarithm of their normaliser.
#[inline(always)]
pub fn softmax(x: &mut [f32]) -> f32 {
    let largest = max(x);
    let total = exp_sum(x, largest);
    let share = 1.0 / total;
    for value in x {
        *value *= share;
    }
    largest + total.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_two_units() {
        for step in -8700..8800 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "exp({x}) is off by {error}");
        }
        assert_eq!((exp(-100.0), exp(f32::NEG_INFINITY), exp(0.0)), (0.0, 0.0, 1.0));
    }

    #[test]
    fn a_softmax_adds_up_at_every_length() {
        for len in [1, 5, 16, 33] {
            let mut x: Vec<f32> = (0..len).map(|i| (i as f32 * 0.7).sin() * 30.0).collect();
            let exact: f64 = x.iter().map(|&x| f64::from(x).exp()).sum();
            let normaliser = dispatch(|| softmax(&mut x));
            assert!((f64::from(normaliser) - exact.ln()).abs() < 1e-5);
            assert!((x.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn sums_and_maxima_see_every_value() {
        let x: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(sum2(&x, &x, |a, b| a + b), 37.0 * 36.0);
        assert_eq!(max(&x), 36.0);
        assert_eq!(max(&[]), f32::NEG_INFINITY);
        let mixed: Vec<f32> = x.iter().map(|x| if x % 2.0 == 0.0 { *x } else { -x }).collect();
        assert_eq!((largest(&mixed), largest(&mixed[..36]), largest(&[])), (36.0, 35.0, 0.0));
        assert_eq!(largest(&[f32::NAN, -2.0]), 2.0);
    }
}
