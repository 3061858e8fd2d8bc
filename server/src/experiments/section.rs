//! One comparison: what the paper says, what was measured, and whether both agree.

use std::collections::{BTreeMap, BTreeSet};

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
    /// What else there is to say: instances, refusals, that some cultures have no such voice.
    pub note: String,
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Says {
    /// The paper (arXiv 2410.12971) reports it.
    Paper,
    /// Nobody yet: what one would expect if the method works.
    Expectation,
}

/// Whether a claim holds here.
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

    /// For people, of what somebody `says`.
    pub fn as_str(self, says: Says) -> &'static str {
        match (self, says) {
            (Self::Agrees, Says::Paper) => "agrees with the paper",
            (Self::Agrees, Says::Expectation) => "as expected",
            (Self::Disagrees, Says::Paper) => "disagrees with the paper",
            (Self::Disagrees, Says::Expectation) => "not as expected",
            (Self::Undecided, _) => "decides nothing",
        }
    }
}

/// A claim with the difference that decides it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// What is claimed, in our words.
    pub text: String,
    /// By whom.
    pub says: Says,
    /// The difference, which the claim says is above the threshold.
    pub difference: f64,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
    /// Zero; for a claim that nothing is lost minus the loss that would not matter (non-inferiority).
    pub threshold: f64,
    /// What follows.
    pub verdict: Verdict,
    /// That the difference is over some cultures only, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
}

impl Claim {
    /// The claim that a difference is above `threshold`.
    pub fn above(threshold: f64, text: &str, difference: f64, interval: Option<Interval>) -> Self {
        let verdict = Verdict::above(threshold, interval);
        let (text, says) = (text.to_owned(), Says::Paper);
        Self { text, says, difference, interval, threshold, verdict, over: None }
    }

    /// The same where the paper doesn't say so.
    pub fn expected(self) -> Self {
        Self { says: Says::Expectation, ..self }
    }

    /// The claim that `first` is closer to people than `second`; `None` where no culture has both.
    pub fn closer(
        text: &str,
        metric: Metric,
        first: &CultureParts,
        second: &CultureParts,
    ) -> Option<Self> {
        let found = Difference::of(metric, first, second)?;
        let over = found.over();
        Some(Self { over, ..Self::above(0.0, text, found.mean, found.interval) })
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
    /// A voice beside another one; `None` where no culture has both, so that nothing was measured.
    pub fn closer(
        label: impl Into<String>,
        metric: Metric,
        voice: &CultureParts,
        other: &CultureParts,
        note: String,
    ) -> Option<Self> {
        let found = Difference::of(metric, voice, other)?;
        Some(Self {
            label: label.into(),
            score: mean_score(metric, voice),
            difference: found.mean,
            interval: found.interval,
            note: joined(note, found.over()),
        })
    }
}

/// Two things to say, of which each may be nothing.
pub fn joined(first: String, second: Option<String>) -> String {
    match second {
        Some(second) if first.is_empty() => second,
        Some(second) => format!("{first}; {second}"),
        None => first,
    }
}

/// `over 3 of 18 cultures`; `None` for all of them.
pub fn over_some(some: usize, all: usize) -> Option<String> {
    (some < all).then(|| format!("over {some} of {all} cultures"))
}

/// Mean score over cultures x 100; `None` without any.
pub fn mean_score(metric: Metric, voice: &CultureParts) -> Option<f64> {
    let scores: Vec<f64> =
        voice.values().filter_map(|parts| metric.score(parts.values())).collect();
    (!scores.is_empty()).then(|| 100.0 * scores.iter().sum::<f64>() / scores.len() as f64)
}

/// How much closer to people one voice is than another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Mean over the cultures that have both voices, on the questions that both have, x 100.
    pub mean: f64,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
    /// How many cultures have both.
    pub both: usize,
    /// How many have one or the other.
    pub any: usize,
}

impl Difference {
    /// Of `first - second`; `None` where no culture has both.
    pub fn of(metric: Metric, first: &CultureParts, second: &CultureParts) -> Option<Self> {
        let gain = |(first, second): (&Parts, &Parts)| {
            let (first, second): (Vec<Part>, Vec<Part>) =
                first.iter().filter_map(|(id, part)| Some((*part, *second.get(id)?))).unzip();
            Some(metric.score(&first)? - metric.score(&second)?)
        };
        let (pairs, gains): (Vec<(&Parts, &Parts)>, Vec<f64>) = first
            .iter()
            .filter_map(|(code, parts)| Some((parts, second.get(code)?)))
            .filter_map(|pair| Some((pair, gain(pair)?)))
            .unzip();
        let any: BTreeSet<&CultureCode> = first.keys().chain(second.keys()).collect();
        let interval = mean_paired_interval(metric, &pairs);
        (!gains.is_empty()).then(|| Self {
            mean: 100.0 * gains.iter().sum::<f64>() / gains.len() as f64,
            interval: interval.map(|interval| interval.times(100.0)),
            both: gains.len(),
            any: any.len(),
        })
    }

    /// That some cultures lack one of the voices, if some do.
    pub fn over(&self) -> Option<String> {
        over_some(self.both, self.any)
    }
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
        let claim = Claim::closer("c", Metric::ExactMode, &high, &low).unwrap();
        assert!((claim.difference - 20.0).abs() < 1e-9, "{claim:?}");
        assert_eq!(claim.verdict, Verdict::Agrees);
        let verdict =
            |first, second| Claim::closer("c", Metric::ExactMode, first, second).unwrap().verdict;
        assert_eq!(verdict(&low, &high), Verdict::Disagrees);
        let mixed = voice(&[0.4, 0.1, 0.4, 0.1]);
        assert_eq!(verdict(&mixed, &low), Verdict::Undecided);
        assert_eq!(mean_score(Metric::ExactMode, &low).map(|s| s.round()), Some(30.0));
        assert_eq!(Verdict::above(0.0, None), Verdict::Undecided);
    }

    #[test]
    fn what_no_culture_has_is_not_compared_and_what_few_have_says_so() {
        let (low, high) = (voice(&[0.1, 0.2, 0.3]), voice(&[0.3, 0.4, 0.5]));
        let metric = Metric::ExactMode;
        let nobody = CultureParts::new();
        for (first, second) in [(&nobody, &low), (&low, &nobody), (&nobody, &nobody)] {
            assert_eq!(Entry::closer("e", metric, first, second, String::new()), None);
            assert_eq!(Claim::closer("c", metric, first, second), None);
        }
        let thai: CultureCode = "THA".parse().unwrap();
        let some = CultureParts::from([(thai, high[&thai].clone())]);
        for (note, expect) in
            [("", "over 1 of 2 cultures"), ("9 pairs", "9 pairs; over 1 of 2 cultures")]
        {
            let entry = Entry::closer("e", metric, &some, &low, note.to_owned()).unwrap();
            assert_eq!(entry.note, expect);
            assert!((entry.difference - 20.0).abs() < 1e-9, "{entry:?}");
        }
        for (first, second) in [(&some, &low), (&low, &some)] {
            let claim = Claim::closer("c", metric, first, second).unwrap();
            assert_eq!(claim.over.as_deref(), Some("over 1 of 2 cultures"));
        }
        assert_eq!(Claim::closer("c", metric, &high, &low).unwrap().over, None);
        // A culture without a question in common is one without such a voice.
        let apart = CultureParts::from([(thai, Parts::new())]);
        assert_eq!(Difference::of(metric, &apart, &low), None);
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
