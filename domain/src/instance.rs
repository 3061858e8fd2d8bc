//! Step 3 of the method: (question, culture) pairs whose aware answer differs from the unaware one.
//!
//! Here: the pairs with what is known of both answers, the rules by which pairs become instances,
//! and the tables of what was found. Which instances a run learns from is [`crate::training_set`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::culture::CultureCode;
use crate::question::{QuestionId, TopicId};
use crate::score::distance::jensen_shannon;

/// Share of the unaware voice's own shifts that the noise floor lies above.
pub const FLOOR_QUANTILE: f64 = 0.95;

/// The answers of one model to one question, unaware and under one culture's persona.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerPair {
    /// The question.
    pub question: QuestionId,
    /// Its topic.
    pub topic: TopicId,
    /// The culture the aware persona named.
    pub culture: CultureCode,
    /// Option number answered without a culture; `None` where unreadable.
    pub unaware: Option<u32>,
    /// Option number answered under the culture's persona; `None` where unreadable.
    pub aware: Option<u32>,
    /// What the probabilities say beyond the chosen numbers; `None` where there are none.
    pub shift: Option<Shift>,
    /// Whether the question, drawn unaware a second time with the same persona, got another answer: what
    /// drawing alone makes inconsistent. `None` where nothing was drawn, or one of both is unreadable.
    #[serde(default)]
    pub redrawn: Option<bool>,
}

/// How far apart two answers are as distributions over the options.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// Jensen-Shannon distance of aware from unaware, from 0 to 1.
    pub distance: f64,
    /// Probability that one drawn aware and one drawn unaware answer differ: at temperature 1 where it comes
    /// from option probabilities, at the run's own temperature where it comes from draws.
    pub differ: f64,
    /// Probability that two drawn unaware answers differ: what drawing alone makes inconsistent.
    pub noise: f64,
}

impl Shift {
    /// From the probabilities of both sides over the same options; `None` where they don't fit.
    pub fn new(unaware: &[f64], aware: &[f64]) -> Option<Self> {
        let distance = jensen_shannon(unaware, aware)?;
        let same = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        Some(Self {
            distance,
            differ: (1.0 - same(unaware, aware)).clamp(0.0, 1.0),
            noise: (1.0 - same(unaware, unaware)).clamp(0.0, 1.0),
        })
    }
}

impl Shift {
    /// From numbers drawn on both sides, estimated without bias; `None` for fewer than two readable
    /// ones on either side.
    pub fn of_samples(unaware: &[Option<u32>], aware: &[Option<u32>]) -> Option<Self> {
        let count = |numbers: &[Option<u32>]| {
            let mut counts: BTreeMap<u32, f64> = BTreeMap::new();
            numbers.iter().flatten().for_each(|number| *counts.entry(*number).or_default() += 1.0);
            counts
        };
        let (mut first, mut second) = (count(unaware), count(aware));
        let (drawn, others): (f64, f64) = (first.values().sum(), second.values().sum());
        if drawn < 2.0 || others < 2.0 {
            return None;
        }
        // Two different draws out of those that there are.
        let same: f64 =
            first.values().map(|n| n * (n - 1.0)).sum::<f64>() / (drawn * (drawn - 1.0));
        let numbers: Vec<u32> = first.keys().chain(second.keys()).copied().collect();
        for number in numbers {
            first.entry(number).or_default();
            second.entry(number).or_default();
        }
        let shares = |counts: &BTreeMap<u32, f64>, all: f64| -> Vec<f64> {
            counts.values().map(|n| n / all).collect()
        };
        let shift = Self::new(&shares(&first, drawn), &shares(&second, others))?;
        Some(Self { noise: 1.0 - same, ..shift })
    }
}

/// When a pair becomes an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CollectionRule {
    /// The two answers differ (paper, section 3.3). With one drawn answer per side this is the
    /// paper's rule, with several it is their majorities', with probabilities the most probable ones'.
    #[default]
    Different,
    /// The probabilities shift by more than the unaware voice's own shift between two wordings of its
    /// persona (see [`noise_floor`]), whether or not another option comes out on top.
    Shift,
}

impl CollectionRule {
    /// Whether what is known of a pair is enough to keep it or not: two readable answers, and for
    /// [`Self::Shift`] a shift, which takes two readable draws on either side.
    pub fn decides(self, pair: &AnswerPair) -> bool {
        let readable = pair.unaware.is_some() && pair.aware.is_some();
        match self {
            Self::Different => readable,
            Self::Shift => readable && pair.shift.is_some(),
        }
    }
}

impl std::fmt::Display for CollectionRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Different => "different",
            Self::Shift => "shift",
        })
    }
}

impl std::str::FromStr for CollectionRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Different, Self::Shift].into_iter().find(|rule| rule.to_string() == text).ok_or_else(
            || format!("`{text}` is not a rule of collection\nUse `different` or `shift`."),
        )
    }
}

/// A training instance: the culture's persona and the question, labelled with the aware answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Instance {
    /// The question.
    pub question: QuestionId,
    /// The culture.
    pub culture: CultureCode,
    /// Option number answered without a culture.
    pub unaware: u32,
    /// Option number answered under the persona: the label.
    pub aware: u32,
}

/// What became of candidate pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CollectionCounts {
    /// All candidate pairs.
    pub pairs: usize,
    /// Pairs that the rule keeps: the instances.
    pub inconsistent: usize,
    /// Pairs that it doesn't keep.
    pub consistent: usize,
    /// Pairs that the rule can't decide, see [`CollectionRule::decides`]: an answer on either side can't be
    /// read.
    pub unreadable: usize,
    /// Sum of [`Shift::differ`] over pairs with probabilities.
    pub expected: f64,
    /// Sum of [`Shift::noise`] over them: the noise floor of drawn answers.
    pub noise: f64,
    /// Pairs with probabilities.
    pub shifts: usize,
    /// Pairs whose question was drawn unaware a second time, with a readable answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redrawn: usize,
    /// Those of them in which the second unaware answer is another one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redrawn_otherwise: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl CollectionCounts {
    /// Share of the readable pairs that the rule keeps; `None` for no readable pair.
    pub fn share(&self) -> Option<f64> {
        let readable = self.inconsistent + self.consistent;
        (readable > 0).then(|| self.inconsistent as f64 / readable as f64)
    }

    /// Share of the pairs that would differ if each side were drawn once, and share of them by
    /// drawing alone; `None` without probabilities.
    pub fn drawn(&self) -> Option<(f64, f64)> {
        let count = self.shifts as f64;
        (self.shifts > 0).then(|| (self.expected / count, self.noise / count))
    }

    /// Share of the pairs whose question gets another unaware answer when it is drawn again: the noise floor
    /// of the answers as this run draws them. `None` where that wasn't done.
    pub fn redrawn_share(&self) -> Option<f64> {
        (self.redrawn > 0).then(|| self.redrawn_otherwise as f64 / self.redrawn as f64)
    }

    fn add(&mut self, pair: &AnswerPair, kept: Option<bool>) {
        self.pairs += 1;
        match kept {
            Some(true) => self.inconsistent += 1,
            Some(false) => self.consistent += 1,
            None => self.unreadable += 1,
        }
        if let Some(shift) = pair.shift {
            self.expected += shift.differ;
            self.noise += shift.noise;
            self.shifts += 1;
        }
        if let Some(otherwise) = pair.redrawn {
            self.redrawn += 1;
            self.redrawn_otherwise += usize::from(otherwise);
        }
    }
}

/// The instances among the pairs, and what became of all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Collection {
    /// The training instances, in the order of the pairs.
    pub instances: Vec<Instance>,
    /// Over all pairs.
    pub counts: CollectionCounts,
    /// The floor that [`CollectionRule::Shift`] used.
    pub floor: Option<f64>,
    /// Per culture and topic.
    pub table: Vec<CollectionRow>,
}

/// What became of the pairs of one culture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectionRow {
    /// The culture.
    pub culture: CultureCode,
    /// By topic.
    pub topics: BTreeMap<TopicId, CollectionCounts>,
    /// Over all topics.
    pub all: CollectionCounts,
}

/// Applies `rule` to every pair that it can decide. [`CollectionRule::Shift`] keeps what lies above `floor`, and
/// nothing without one.
pub fn collect(pairs: &[AnswerPair], rule: CollectionRule, floor: Option<f64>) -> Collection {
    let mut collection = Collection { floor, ..Collection::default() };
    let mut rows: BTreeMap<CultureCode, CollectionRow> = BTreeMap::new();
    for pair in pairs {
        let instance = pair.unaware.zip(pair.aware).map(|(unaware, aware)| Instance {
            question: pair.question.clone(),
            culture: pair.culture,
            unaware,
            aware,
        });
        let instance = instance.filter(|_| rule.decides(pair));
        let kept = instance.as_ref().map(|instance| match rule {
            CollectionRule::Different => instance.unaware != instance.aware,
            CollectionRule::Shift => {
                let above = |(shift, floor): (Shift, f64)| shift.distance > floor;
                pair.shift.zip(floor).is_some_and(above)
            }
        });
        collection.counts.add(pair, kept);
        let row = rows.entry(pair.culture).or_insert_with(|| CollectionRow {
            culture: pair.culture,
            topics: BTreeMap::new(),
            all: CollectionCounts::default(),
        });
        row.all.add(pair, kept);
        row.topics.entry(pair.topic.clone()).or_default().add(pair, kept);
        collection.instances.extend(instance.filter(|_| kept == Some(true)));
    }
    collection.table = rows.into_values().collect();
    collection
}

/// The shift that the unaware voice reaches against itself in [`FLOOR_QUANTILE`] of the questions,
/// from the Jensen-Shannon distances of its answers under two wordings of the same persona. `None`
/// without distances.
pub fn noise_floor(mut distances: Vec<f64>) -> Option<f64> {
    distances.sort_by(f64::total_cmp);
    let last = distances.len().checked_sub(1)?;
    distances.get((FLOOR_QUANTILE * last as f64).ceil() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(culture: &str, topic: &str, unaware: Option<u32>, aware: Option<u32>) -> AnswerPair {
        AnswerPair {
            question: "Q1".into(),
            topic: topic.into(),
            culture: culture.parse().unwrap(),
            unaware,
            aware,
            shift: None,
            redrawn: None,
        }
    }

    #[test]
    fn keeps_exactly_the_readable_differences() {
        let collection = collect(
            &[
                pair("KEN", "a", Some(1), Some(2)),
                pair("KEN", "b", Some(2), Some(2)),
                pair("THA", "a", None, Some(1)),
                pair("THA", "a", Some(0), None),
            ],
            CollectionRule::Different,
            None,
        );
        assert_eq!(collection.instances.len(), 1);
        assert_eq!((collection.instances[0].unaware, collection.instances[0].aware), (1, 2));
        let counts = collection.counts;
        assert_eq!((counts.pairs, counts.inconsistent, counts.consistent), (4, 1, 1));
        assert_eq!((counts.unreadable, counts.share(), counts.drawn()), (2, Some(0.5), None));
        let [kenya, thailand] = &collection.table[..] else { panic!("{:?}", collection.table) };
        assert_eq!((kenya.all.inconsistent, kenya.topics[&"a".into()].inconsistent), (1, 1));
        assert_eq!((thailand.all.share(), thailand.all.unreadable), (None, 2));
    }

    #[test]
    fn shifts_count_above_the_floor_only() {
        // The first option comes out on top where it has at least a half.
        let of = |aware: [f64; 2]| AnswerPair {
            shift: Shift::new(&[0.9, 0.1], &aware),
            ..pair("KEN", "a", Some(1), Some(if aware[0] >= 0.5 { 1 } else { 2 }))
        };
        let pairs = [of([0.9, 0.1]), of([0.6, 0.4]), of([0.1, 0.9])];
        let distances: Vec<f64> = pairs.iter().map(|pair| pair.shift.unwrap().distance).collect();
        assert!(distances[0] < 1e-6 && distances[1] < distances[2], "{distances:?}");
        for (floor, kept) in [(0.0, 2), (distances[1], 1), (1.0, 0)] {
            let collection = collect(&pairs, CollectionRule::Shift, Some(floor));
            assert_eq!(collection.instances.len(), kept, "{floor}");
        }
        assert_eq!(collect(&pairs, CollectionRule::Shift, None).instances, []);
        assert_eq!(collect(&pairs, CollectionRule::Different, None).instances.len(), 1);
        // 1 - (0.81 + 0.01), and its mean with 1 - (0.54 + 0.04) and 1 - (0.09 + 0.09).
        let (differ, noise) = collect(&pairs, CollectionRule::Shift, None).counts.drawn().unwrap();
        assert!(
            (noise - 0.18).abs() < 1e-12 && (differ - (0.18 + 0.42 + 0.82) / 3.0).abs() < 1e-12
        );
    }

    #[test]
    fn a_pair_without_a_shift_is_not_consistent() {
        let shift = Shift::of_samples(&[Some(1), Some(1)], &[Some(2), Some(2)]);
        let far = AnswerPair { shift, ..pair("KEN", "a", Some(1), Some(2)) };
        // One readable draw on a side names an answer, and says nothing of how far it lies from the other.
        let unknown = pair("KEN", "a", Some(1), Some(2));
        let pairs = [far, unknown.clone()];
        for (floor, kept) in [(Some(0.5), 1), (Some(1.0), 0), (None, 0)] {
            let counts = collect(&pairs, CollectionRule::Shift, floor).counts;
            let found = (counts.inconsistent, counts.consistent, counts.unreadable);
            assert_eq!(found, (kept, 1 - kept, 1), "{floor:?}");
        }
        assert!(!CollectionRule::Shift.decides(&unknown));
        assert!(CollectionRule::Different.decides(&unknown));
        assert_eq!(collect(&pairs, CollectionRule::Different, None).counts.inconsistent, 2);
    }

    #[test]
    fn a_second_unaware_draw_measures_the_noise() {
        let of =
            |topic: &str, redrawn| AnswerPair { redrawn, ..pair("KEN", topic, Some(1), Some(2)) };
        let pairs =
            [of("a", Some(true)), of("a", Some(false)), of("b", Some(false)), of("b", None)];
        let collection = collect(&pairs, CollectionRule::Different, None);
        assert_eq!(collection.counts.redrawn_share(), Some(1.0 / 3.0));
        let topics = &collection.table[0].topics;
        assert_eq!(topics[&"a".into()].redrawn_share(), Some(0.5));
        assert_eq!(topics[&"b".into()].redrawn_share(), Some(0.0));
        let none = collect(&[of("a", None)], CollectionRule::Different, None).counts;
        assert_eq!(none.redrawn_share(), None);
        // What earlier versions stored has no such counts, and what has none is stored as by them.
        let json = serde_json::to_string(&none).unwrap();
        assert!(!json.contains("redrawn"), "{json}");
        assert_eq!(serde_json::from_str::<CollectionCounts>(&json).unwrap(), none);
    }

    #[test]
    fn draws_say_how_often_they_differ_by_chance() {
        let numbers = |numbers: &[u32]| -> Vec<Option<u32>> {
            numbers.iter().copied().map(Some).chain([None]).collect()
        };
        let shift = Shift::of_samples(&numbers(&[1, 1, 2]), &numbers(&[2, 2, 2])).unwrap();
        // Of the three pairs of unaware draws two differ; of all nine mixed pairs six do.
        assert!((shift.noise - 2.0 / 3.0).abs() < 1e-12, "{shift:?}");
        assert!((shift.differ - 2.0 / 3.0).abs() < 1e-12, "{shift:?}");
        assert!(shift.distance > 0.3, "{shift:?}");
        assert_eq!(Shift::of_samples(&numbers(&[1]), &numbers(&[1, 2])), None);
    }

    #[test]
    fn the_floor_lies_above_most_of_the_noise() {
        assert_eq!(noise_floor(vec![]), None);
        assert_eq!(noise_floor(vec![0.3]), Some(0.3));
        let floor = noise_floor((0..=100).rev().map(f64::from).collect());
        assert_eq!(floor, Some(95.0));
    }

    proptest! {
        #[test]
        fn every_pair_is_counted_once(answers in prop::collection::vec((0usize..3, 0usize..2, prop::option::of(0u32..4), prop::option::of(0u32..4)), 0..60)) {
            let pairs: Vec<AnswerPair> = answers
                .iter()
                .map(|(culture, topic, unaware, aware)| {
                    pair(["USA", "THA", "KEN"][*culture], ["a", "b"][*topic], *unaware, *aware)
                })
                .collect();
            let collection = collect(&pairs, CollectionRule::Different, None);
            let counts = collection.counts;
            prop_assert_eq!(counts.pairs, pairs.len());
            prop_assert_eq!(counts.inconsistent + counts.consistent + counts.unreadable, pairs.len());
            prop_assert_eq!(counts.inconsistent, collection.instances.len());
            let rows: usize = collection.table.iter().map(|row| row.all.pairs).sum();
            let cells: usize =
                collection.table.iter().flat_map(|row| row.topics.values()).map(|c| c.pairs).sum();
            prop_assert_eq!((rows, cells), (pairs.len(), pairs.len()));
        }
    }
}
