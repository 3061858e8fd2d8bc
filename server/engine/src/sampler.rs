//! Draws the next token of a row.
//!
//! candle-transformers' `LogitsProcessor` isn't used: its generator's stream may change with the
//! version of a library, and it draws along the sorted list, where two nearly equal tokens may swap
//! places when rounding differs. Here a row's text depends on its seed and its prompt alone.

use domain::random::SplitMix64;
use domain::sampling::Sampling;

use super::error::EngineError;

/// One row's way of drawing tokens, with a generator of its own.
#[derive(Debug, Clone)]
pub struct Sampler {
    temperature: f64,
    top_p: f64,
    random: SplitMix64,
}

impl Sampler {
    /// Takes settings that are in range.
    ///
    /// # Errors
    /// [`EngineError::InvalidRequest`] naming the setting.
    pub fn new(sampling: &Sampling) -> Result<Self, EngineError> {
        let Sampling { temperature, top_p, seed, max_tokens } = *sampling;
        if !(0.0..=10.0).contains(&temperature) {
            let rule = format!("`temperature` must be between 0 and 10, not {temperature}");
            return Err(EngineError::invalid(
                rule,
                "Use 0 for the most probable text, 0.6 for variety.",
            ));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            let rule = format!("`top_p` must be above 0 and at most 1, not {top_p}");
            return Err(EngineError::invalid(
                rule,
                "Use 1 to leave every token in, 0.9 to drop the tail.",
            ));
        }
        if max_tokens == 0 {
            let rule = "`max_tokens` must be at least 1, not 0";
            return Err(EngineError::invalid(rule, "Use 128 for a short reply."));
        }
        Ok(Self { temperature, top_p, random: SplitMix64::new(seed) })
    }

    /// A token drawn from `logits` (one per token of the vocabulary).
    ///
    /// # Errors
    /// [`EngineError::Compute`] if they aren't numbers, as broken weights make them.
    pub fn sample(&mut self, logits: &[f32]) -> Result<u32, EngineError> {
        let best = most_probable(logits)?;
        if self.temperature == 0.0 {
            return Ok(best as u32);
        }
        let top = f64::from(logits[best]);
        let weights: Vec<f64> = logits
            .iter()
            .map(|&logit| ((f64::from(logit) - top) / self.temperature).exp())
            .collect();
        let mut kept = nucleus(&weights, self.top_p);
        // By number, not by probability: see the module's comment.
        kept.sort_unstable();
        let total: f64 = kept.iter().map(|&token| weights[token]).sum();
        let mut left = self.random.unit() * total;
        for &token in &kept {
            left -= weights[token];
            if left < 0.0 {
                return Ok(token as u32);
            }
        }
        Ok(best as u32)
    }
}

/// The first token of the largest logit.
fn most_probable(logits: &[f32]) -> Result<usize, EngineError> {
    let mut best = 0;
    for (token, &logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            break;
        }
        if logit > logits[best] {
            best = token;
        }
    }
    if logits.is_empty() || logits.iter().any(|logit| logit.is_nan()) || logits[best].is_infinite()
    {
        let reason = "a logit isn't a number, as damaged weights make them".to_owned();
        return Err(EngineError::Compute { reason });
    }
    Ok(best)
}

/// The smallest set of tokens whose share of the weight reaches `top_p`.
fn nucleus(weights: &[f64], top_p: f64) -> Vec<usize> {
    if top_p >= 1.0 {
        return (0..weights.len()).collect();
    }
    let total: f64 = weights.iter().sum();
    // Tokens below this weigh less than `1 - top_p` together, so none of them is needed; few are
    // left to sort.
    let least = (1.0 - top_p) * total / weights.len() as f64;
    let mut kept: Vec<usize> =
        (0..weights.len()).filter(|&token| weights[token] >= least).collect();
    kept.sort_unstable_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
    let mut reached = 0.0;
    let needed = kept.iter().position(|&token| {
        reached += weights[token];
        reached >= top_p * total
    });
    kept.truncate(needed.map_or(kept.len(), |last| last + 1));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sampling(temperature: f64, top_p: f64, seed: u64) -> Sampling {
        Sampling { temperature, top_p, seed, max_tokens: 8 }
    }

    #[test]
    fn temperature_zero_takes_the_first_of_the_best() {
        let mut sampler = Sampler::new(&sampling(0.0, 0.9, 1)).unwrap();
        assert_eq!(sampler.sample(&[0.5, 2.0, -1.0, 2.0]), Ok(1));
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let mut sampler = Sampler::new(&sampling(2.0, 1.0, 3)).unwrap();
        // At temperature 2 these are 0.5, 0.3 and 0.2.
        let logits: Vec<f32> = [0.5f32, 0.3, 0.2].iter().map(|p| 2.0 * p.ln()).collect();
        let mut counts = [0; 3];
        for _ in 0..20_000 {
            counts[sampler.sample(&logits).unwrap() as usize] += 1;
        }
        for (count, share) in counts.into_iter().zip([0.5, 0.3, 0.2]) {
            // Four standard deviations of a binomial count.
            assert!((f64::from(count) / 20_000.0 - share).abs() < 0.0142, "{counts:?}");
        }
    }

    #[test]
    fn refuses_settings_out_of_range_and_broken_logits() {
        for (sampling, name) in [
            (sampling(-0.1, 0.9, 1), "temperature"),
            (sampling(f64::NAN, 0.9, 1), "temperature"),
            (sampling(f64::INFINITY, 0.9, 1), "temperature"),
            (sampling(0.6, 0.0, 1), "top_p"),
            (sampling(0.6, 1.1, 1), "top_p"),
            (Sampling { max_tokens: 0, ..Sampling::default() }, "max_tokens"),
        ] {
            let error = Sampler::new(&sampling).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{name}` must")) && error.contains('\n'),
                "{error}"
            );
        }
        let mut sampler = Sampler::new(&Sampling::default()).unwrap();
        for logits in [vec![0.0, f32::NAN], vec![f32::NAN, 0.0], vec![f32::INFINITY], vec![]] {
            assert!(sampler.sample(&logits).is_err(), "{logits:?}");
        }
    }

    proptest! {
        #[test]
        fn the_nucleus_is_the_smallest_set_that_reaches_top_p(
            weights in prop::collection::vec(0.001f64..1.0, 1..40),
            top_p in 0.01f64..1.0,
        ) {
            let mut sorted = weights.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let total: f64 = weights.iter().sum();
            let kept = nucleus(&weights, top_p);
            let share = |count: usize| sorted[..count].iter().sum::<f64>() / total;
            prop_assert!(share(kept.len()) >= top_p - 1e-9);
            prop_assert!(share(kept.len() - 1) < top_p + 1e-9);
        }
    }
}
