//! One comparison: what the paper says, what was measured, and whether both agree.

use std::collections::BTreeMap;

use domain::culture::CultureCode;
use domain::score::{Interval, Metric, Part, Parts, mean_paired_interval};
use serde::Serialize;

/// One voice's parts for every culture.
pub type CultureParts = BTreeMap<CultureCode, Parts>;

/// One side of a comparison, measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// What it is.
    pub label: String,
    /// Mean score over cultures x 100; `None` where the measure isn't a score.
    pub score: Option<f64>,
    /// The difference to what the section compares with.
    pub difference: f64,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
    /// What else there is to say: instances, refusals.
    pub note: String,
}

/// Whether a claim of the paper holds here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The interval lies on the claim's side of its threshold.
    Agrees,
    /// It lies on the other side.
    Disagrees,
    /// It holds the threshold.
    Undecided,
}

impl Verdict {
    /// Of the claim that a difference is above `threshold`.
    pub fn above(threshold: f64, interval: Option<Interval>) -> Self {
        match interval {
            Some(interval) if interval.low > threshold => Self::Agrees,
            Some(interval) if interval.high < threshold => Self::Disagrees,
            _ => Self::Undecided,
        }
    }

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees with the paper",
            Self::Disagrees => "disagrees with the paper",
            Self::Undecided => "decides nothing",
        }
    }
}

/// A claim with the difference that decides it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// What the paper says, in our words.
    pub text: String,
    /// The difference, which the claim says is above the threshold.
    pub difference: f64,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
    /// Zero; for a claim that nothing is lost minus the loss that would not matter (non-inferiority).
    pub threshold: f64,
    /// What follows.
    pub verdict: Verdict,
}

impl Claim {
    /// The claim that a difference is above `threshold`.
    pub fn above(threshold: f64, text: &str, difference: f64, interval: Option<Interval>) -> Self {
        let verdict = Verdict::above(threshold, interval);
        Self { text: text.to_owned(), difference, interval, threshold, verdict }
    }

    /// The claim that `first` is closer to people than `second`.
    pub fn closer(text: &str, metric: Metric, first: &CultureParts, second: &CultureParts) -> Self {
        let (difference, interval) = difference(metric, first, second);
        Self::above(0.0, text, difference, interval)
    }
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// Names its chart's file.
    pub key: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What is compared with what, in one or two sentences.
    pub measure: String,
    /// What [`Entry::difference`] counts, for the chart's axis.
    pub unit: &'static str,
    /// All sides.
    pub entries: Vec<Entry>,
    /// What the paper says about it.
    pub claims: Vec<Claim>,
}

impl Section {
    /// Whether its numbers hold voices against people: only the loss on conversations doesn't.
    pub fn compares_with_people(&self) -> bool {
        self.key != "ability"
    }
}

impl Entry {
    /// A voice beside another one.
    pub fn closer(
        label: impl Into<String>,
        metric: Metric,
        voice: &CultureParts,
        other: &CultureParts,
        note: String,
    ) -> Self {
        let (difference, interval) = difference(metric, voice, other);
        Self { label: label.into(), score: mean_score(metric, voice), difference, interval, note }
    }
}

/// Mean score over cultures x 100; `None` without any.
pub fn mean_score(metric: Metric, voice: &CultureParts) -> Option<f64> {
    let scores: Vec<f64> =
        voice.values().filter_map(|parts| metric.score(parts.values())).collect();
    (!scores.is_empty()).then(|| 100.0 * scores.iter().sum::<f64>() / scores.len() as f64)
}

/// Mean over cultures of `first - second` on the questions that both have, x 100, with its interval.
pub fn difference(
    metric: Metric,
    first: &CultureParts,
    second: &CultureParts,
) -> (f64, Option<Interval>) {
    let pairs: Vec<(&Parts, &Parts)> =
        first.iter().filter_map(|(code, parts)| Some((parts, second.get(code)?))).collect();
    let gain = |(first, second): &(&Parts, &Parts)| {
        let (first, second): (Vec<Part>, Vec<Part>) =
            first.iter().filter_map(|(id, part)| Some((*part, *second.get(id)?))).unzip();
        Some(metric.score(&first)? - metric.score(&second)?)
    };
    let gains: Vec<f64> = pairs.iter().filter_map(gain).collect();
    let mean = 100.0 * gains.iter().sum::<f64>() / gains.len().max(1) as f64;
    (mean, mean_paired_interval(metric, &pairs).map(|interval| interval.times(100.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(values: &[f64]) -> CultureParts {
        let parts = |shift: f64| -> Parts {
            let named = values.iter().enumerate();
            named
                .map(|(i, v)| (format!("Q{i}").as_str().into(), Part::closeness(v + shift)))
                .collect()
        };
        BTreeMap::from([("USA".parse().unwrap(), parts(0.0)), ("THA".parse().unwrap(), parts(0.1))])
    }

    #[test]
    fn claims_are_decided_by_their_interval() {
        let (low, high) = (voice(&[0.1, 0.2, 0.3, 0.4]), voice(&[0.3, 0.4, 0.5, 0.6]));
        let claim = Claim::closer("c", Metric::ExactMode, &high, &low);
        assert!((claim.difference - 20.0).abs() < 1e-9, "{claim:?}");
        assert_eq!(claim.verdict, Verdict::Agrees);
        let against = Claim::closer("c", Metric::ExactMode, &low, &high);
        assert_eq!(against.verdict, Verdict::Disagrees);
        let mixed = voice(&[0.4, 0.1, 0.4, 0.1]);
        assert_eq!(Claim::closer("c", Metric::ExactMode, &mixed, &low).verdict, Verdict::Undecided);
        assert_eq!(mean_score(Metric::ExactMode, &low).map(|s| s.round()), Some(30.0));
        assert_eq!(Verdict::above(0.0, None), Verdict::Undecided);
    }

    #[test]
    fn a_claim_of_no_loss_is_decided_by_its_margin() {
        for (low, high, expect) in [
            (-0.04, 0.02, Verdict::Agrees),
            (-0.04, -0.01, Verdict::Agrees),
            (-0.06, 0.02, Verdict::Undecided),
            (-0.06, -0.04, Verdict::Undecided),
            (-0.09, -0.06, Verdict::Disagrees),
        ] {
            let claim = Claim::above(-0.05, "c", 0.0, Some(Interval { low, high }));
            assert_eq!(claim.verdict, expect, "{low} to {high}");
        }
    }
}
