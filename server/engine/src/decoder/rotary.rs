//! Rotary frequencies (Su et al., 2021) and how checkpoints stretch them to longer texts.

use std::sync::Arc;

use serde_json::Value;

use super::DecoderError;
use super::config::{DecoderConfig, MEND_CONFIG, OTHER_MODEL, refuse};

/// One rotary embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    /// Base of the frequencies.
    pub theta: f64,
    /// How they are stretched.
    pub stretch: Stretch,
}

/// How frequencies are slowed down.
#[derive(Debug, Clone, PartialEq)]
pub enum Stretch {
    /// Not at all.
    None,
    /// All by the same factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Slow ones by a factor, fast ones not, those between in proportion (Llama 3.1).
    Llama3 {
        /// The factor.
        factor: f64,
        /// Turns within the original context below which a frequency is slow.
        low: f64,
        /// Turns within the original context above which a frequency is fast.
        high: f64,
        /// The original context in tokens.
        context: f64,
    },
    /// Each by a factor of its own; GGUF files say it so.
    Factors(Arc<[f32]>),
}

impl Rotation {
    /// The rotary embedding of layers of the given `kind`. The kind's own `rope_parameters` come
    /// first, then shared ones, then `rope_scaling` (where `scaled`) and `theta`.
    pub(super) fn new(
        config: &DecoderConfig,
        kind: &str,
        theta: f64,
        scaled: bool,
    ) -> Result<Self, DecoderError> {
        let newer = config.rope_parameters.as_ref().filter(|settings| settings.is_object());
        let by_kind = newer.is_some_and(|all| all.get("full_attention").is_some());
        let (field, settings) = match newer {
            Some(all) if by_kind => ("rope_parameters", all.get(kind)),
            Some(all) => ("rope_parameters", Some(all)),
            None => ("rope_scaling", config.rope_scaling.as_ref().filter(|_| scaled)),
        };
        let settings = settings.filter(|settings| !settings.is_null());
        let given = settings.and_then(|settings| settings.get("rope_theta")?.as_f64());
        let theta = given.unwrap_or(theta);
        if !(theta.is_finite() && theta > 0.0) {
            return Err(refuse("rope_theta", "be a number above zero", theta, MEND_CONFIG));
        }
        let stretch =
            settings.map_or(Ok(Stretch::None), |settings| stretch(field, settings, config))?;
        Ok(Self { theta, stretch })
    }

    /// `width / 2` frequencies in radians per token, in f32 as Hugging Face computes them.
    pub fn frequencies(&self, width: usize) -> Vec<f32> {
        let theta = self.theta as f32;
        let frequency = |i| 1.0 / theta.powf(2.0 * i as f32 / width as f32);
        (0..width / 2).map(|i| self.stretch.apply(i, frequency(i))).collect()
    }
}

impl Stretch {
    fn apply(&self, index: usize, frequency: f32) -> f32 {
        match *self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor as f32,
            Self::Factors(ref factors) => frequency / factors.get(index).unwrap_or(&1.0),
            Self::Llama3 { factor, low, high, context } => {
                let turns = context as f32 * frequency / std::f32::consts::TAU;
                let (slow, low, high) = (frequency / factor as f32, low as f32, high as f32);
                let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 - smooth) * slow + smooth * frequency
            }
        }
    }
}

/// Reads `{"rope_type": ..., "factor": ...}`.
fn stretch(
    field: &'static str,
    settings: &Value,
    config: &DecoderConfig,
) -> Result<Stretch, DecoderError> {
    let kind = settings.get("rope_type").or_else(|| settings.get("type"));
    let number = |name: &str| {
        let value = settings.get(name).and_then(Value::as_f64);
        value.filter(|value| value.is_finite() && *value > 0.0).ok_or_else(|| {
            refuse(field, &format!("give `{name}` as a number above zero"), settings, MEND_CONFIG)
        })
    };
    match kind.and_then(Value::as_str) {
        None if kind.is_none() => Ok(Stretch::None),
        Some("default") => Ok(Stretch::None),
        Some("linear") => Ok(Stretch::Linear { factor: number("factor")? }),
        Some("llama3") => {
            let original = settings.get("original_max_position_embeddings").and_then(Value::as_f64);
            let (low, high) = (number("low_freq_factor")?, number("high_freq_factor")?);
            if low >= high {
                let rule = "have a `low_freq_factor` below `high_freq_factor`";
                return Err(refuse(field, rule, settings, MEND_CONFIG));
            }
            let context = original.unwrap_or(config.max_position_embeddings as f64);
            Ok(Stretch::Llama3 { factor: number("factor")?, low, high, context })
        }
        Some("factors") => factors(field, settings, config),
        _ => {
            let rule = "be of the type `default`, `linear` or `llama3`";
            Err(refuse(field, rule, settings, OTHER_MODEL))
        }
    }
}

/// Reads `{"factors": [...]}`, one for each frequency.
fn factors(
    field: &'static str,
    settings: &Value,
    config: &DecoderConfig,
) -> Result<Stretch, DecoderError> {
    let given = settings.get("factors").and_then(Value::as_array);
    let numbers = given.into_iter().flatten().filter_map(Value::as_f64);
    let sound = |factor: &f32| factor.is_finite() && *factor > 0.0;
    let factors: Vec<f32> = numbers.map(|factor| factor as f32).filter(sound).collect();
    let count = config.head_width() / 2;
    if factors.len() != count {
        let rule = format!("have {count} `factors` above zero");
        return Err(refuse(field, &rule, factors.len(), MEND_CONFIG));
    }
    Ok(Stretch::Factors(factors.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rotation(settings: Value) -> Result<Rotation, DecoderError> {
        let config = DecoderConfig { rope_scaling: Some(settings), ..DecoderConfig::default() };
        Rotation::new(&config, "full_attention", 500_000.0, true)
    }

    #[test]
    fn llama3_slows_slow_frequencies_alone() {
        let settings = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192});
        let stretched = rotation(settings).unwrap().frequencies(128);
        let plain = Rotation { theta: 500_000.0, stretch: Stretch::None }.frequencies(128);
        let ratio: Vec<f32> = plain.iter().zip(&stretched).map(|(a, b)| a / b).collect();
        assert_eq!((ratio[0], ratio[63]), (1.0, 8.0));
        assert!(ratio.is_sorted());
        assert!(ratio.iter().any(|ratio| *ratio > 1.5 && *ratio < 7.0), "{ratio:?}");
        let linear = rotation(json!({"type": "linear", "factor": 2.0})).unwrap().frequencies(4);
        assert_eq!(linear[0], 0.5);
        // As a GGUF file says the same.
        let given = json!({"rope_type": "factors", "factors": ratio});
        for (ours, theirs) in rotation(given).unwrap().frequencies(128).iter().zip(&stretched) {
            assert!((ours - theirs).abs() <= 2.0 * f32::EPSILON * theirs, "{ours} {theirs}");
        }
    }

    #[test]
    fn each_kind_of_layer_finds_its_own_settings() {
        let mut config = DecoderConfig {
            rope_parameters: Some(json!({
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}
            })),
            ..DecoderConfig::default()
        };
        let full = Rotation::new(&config, "full_attention", 1.0, true).unwrap();
        assert_eq!(full, Rotation { theta: 1e6, stretch: Stretch::Linear { factor: 8.0 } });
        let sliding = Rotation::new(&config, "sliding_attention", 1.0, false).unwrap();
        assert_eq!(sliding, Rotation { theta: 1e4, stretch: Stretch::None });
        config.rope_parameters = None;
        config.rope_scaling = Some(json!({"rope_type": "linear", "factor": 8.0}));
        let sliding = Rotation::new(&config, "sliding_attention", 7.0, false).unwrap();
        assert_eq!(sliding, Rotation { theta: 7.0, stretch: Stretch::None });
    }

    #[test]
    fn unknown_stretches_and_missing_numbers_are_refused() {
        for (settings, said) in [
            (json!({"rope_type": "yarn", "factor": 4.0}), "`default`, `linear` or `llama3`"),
            (json!({"rope_type": "linear"}), "`factor`"),
            (json!({"rope_type": "factors"}), "have 64 `factors` above zero, got `0`"),
            (json!({"rope_type": "factors", "factors": [1.0, 0.0]}), "got `1`"),
            (
                json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0,
                "high_freq_factor": 4.0}),
                "below `high_freq_factor`",
            ),
            (json!({"rope_theta": -1.0}), "`rope_theta`"),
        ] {
            let error = rotation(settings.clone()).unwrap_err().to_string();
            assert!(error.contains(said), "{settings}: {error}");
        }
    }
}
