//! Which pairs a run learns from: the instances, or a control of the same size; all or a part of
//! them; only what people have accepted (method, step 4; paper, section 5: data quality and quantity).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::culture::CultureCode;
use crate::instance::{AnswerPair, Instance};
use crate::question::QuestionId;
use crate::random::SplitMix64;

/// What kind of pairs is learnt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The collected instances.
    #[default]
    Inconsistent,
    /// As many pairs of every culture, drawn from all readable ones: a control.
    Random,
    /// As many pairs of every culture, drawn from those that aren't instances: a control. Where a
    /// culture has fewer, all of them; see [`Selection::matched`].
    Consistent,
}

impl Source {
    /// All sources.
    pub const ALL: [Self; 3] = [Self::Inconsistent, Self::Random, Self::Consistent];

    /// Name in files and commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inconsistent => "inconsistent",
            Self::Random => "random",
            Self::Consistent => "consistent",
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|source| source.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join("`, `");
            format!("`{text}` is not a source of training pairs\nUse one of `{known}`.")
        })
    }
}

/// Which pairs are learnt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// What kind.
    pub source: Source,
    /// Which share of every culture's pairs, above 0 and at most 1. A smaller share of the same seed
    /// is a part of a larger one.
    pub share: f64,
    /// Seed of what is drawn.
    pub seed: u64,
    /// Whether every culture learns only as many pairs as every source can give, so that sets of
    /// different sources have the same size ([`Sizes::common`]).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub matched: bool,
}

impl Default for Selection {
    fn default() -> Self {
        Self { source: Source::default(), share: 1.0, seed: 7, matched: false }
    }
}

/// How many pairs of one culture there are to learn from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Instances: what [`Source::Inconsistent`] can give. [`Source::Random`] can always give as many.
    pub instances: usize,
    /// Readable pairs that weren't collected: what [`Source::Consistent`] can give.
    pub consistent: usize,
}

impl Sizes {
    /// As many as every source can give.
    pub fn common(self) -> usize {
        self.instances.min(self.consistent)
    }
}

/// What people accepted of a run's instances, as it stood when the run that learns it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The annotation project in which they judged.
    pub project: String,
    /// The run whose instances they judged.
    pub source_run: String,
    /// The questions whose aware answer was accepted, by culture.
    pub instances: BTreeMap<CultureCode, BTreeSet<QuestionId>>,
}

impl Accepted {
    /// These instances of `source_run`, as judged in `project`.
    pub fn new(project: &str, source_run: &str, instances: &[Instance]) -> Self {
        let mut by_culture: BTreeMap<CultureCode, BTreeSet<QuestionId>> = BTreeMap::new();
        for instance in instances {
            by_culture.entry(instance.culture).or_default().insert(instance.question.clone());
        }
        let (project, source_run) = (project.to_owned(), source_run.to_owned());
        Self { project, source_run, instances: by_culture }
    }

    /// Number of instances.
    pub fn count(&self) -> usize {
        self.instances.values().map(BTreeSet::len).sum()
    }

    /// Whether this pair was accepted.
    pub fn holds(&self, question: &QuestionId, culture: CultureCode) -> bool {
        self.instances.get(&culture).is_some_and(|questions| questions.contains(question))
    }

    /// SHA-256 of the instances, in hexadecimal.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (culture, questions) in &self.instances {
            for question in questions {
                hash.update(format!("{culture}\t{}:{question}\n", question.as_str().len()));
            }
        }
        format!("{:x}", hash.finalize())
    }
}

/// Chooses from `pairs`, of which `instances` were collected. Where `accepted` is given, only what is
/// in it counts as an instance. The result is in the order of the pairs.
pub fn select(
    pairs: &[AnswerPair],
    instances: &[Instance],
    selection: Selection,
    accepted: Option<&Accepted>,
) -> Vec<Instance> {
    let collected: BTreeSet<(&QuestionId, CultureCode)> =
        instances.iter().map(|instance| (&instance.question, instance.culture)).collect();
    let passes = |instance: &Instance| {
        accepted.is_none_or(|accepted| accepted.holds(&instance.question, instance.culture))
    };
    let mut candidates: BTreeMap<CultureCode, Vec<(usize, Instance)>> = BTreeMap::new();
    let mut sizes: BTreeMap<CultureCode, Sizes> = BTreeMap::new();
    for (place, pair) in pairs.iter().enumerate() {
        let Some((unaware, aware)) = pair.unaware.zip(pair.aware) else { continue };
        let culture = pair.culture;
        let instance = Instance { question: pair.question.clone(), culture, unaware, aware };
        let is_collected = collected.contains(&(&pair.question, culture));
        let is_instance = is_collected && passes(&instance);
        let size = sizes.entry(culture).or_default();
        size.instances += usize::from(is_instance);
        size.consistent += usize::from(!is_collected);
        let wanted = match selection.source {
            Source::Inconsistent => is_instance,
            Source::Random => true,
            Source::Consistent => !is_collected,
        };
        if wanted {
            candidates.entry(culture).or_default().push((place, instance));
        }
    }
    let mut chosen = Vec::new();
    for (culture, mut candidates) in candidates {
        // A culture's draw doesn't depend on which other cultures there are.
        SplitMix64::new(selection.seed ^ fnv(culture.as_str())).shuffle(&mut candidates);
        let sizes = sizes.get(&culture).copied().unwrap_or_default();
        let size = if selection.matched { sizes.common() } else { sizes.instances };
        let size = (selection.share.clamp(0.0, 1.0) * size as f64).ceil() as usize;
        candidates.truncate(size);
        chosen.extend(candidates);
    }
    chosen.sort_by_key(|(place, _)| *place);
    chosen.into_iter().map(|(_, instance)| instance).collect()
}

/// How many pairs every culture has to learn from, among `pairs`, of which `instances` were collected.
pub fn sizes(
    pairs: &[AnswerPair],
    instances: &[Instance],
    accepted: Option<&Accepted>,
) -> BTreeMap<CultureCode, Sizes> {
    let mut sizes: BTreeMap<CultureCode, Sizes> = BTreeMap::new();
    for pair in pairs.iter().filter(|pair| pair.unaware.is_some() && pair.aware.is_some()) {
        sizes.entry(pair.culture).or_default().consistent += 1;
    }
    for Instance { question, culture, .. } in instances {
        let size = sizes.entry(*culture).or_default();
        size.consistent = size.consistent.saturating_sub(1);
        let passes = accepted.is_none_or(|accepted| accepted.holds(question, *culture));
        size.instances += usize::from(passes);
    }
    sizes
}

/// FNV-1a, 64 bits: a number for a name.
fn fnv(name: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::{CollectionRule, collect};
    use proptest::prelude::*;

    fn pairs() -> Vec<AnswerPair> {
        let cultures: [CultureCode; 2] = ["THA".parse().unwrap(), "USA".parse().unwrap()];
        (0..100u32)
            .map(|number| AnswerPair {
                question: QuestionId(format!("Q{}", number / 2)),
                topic: "t".into(),
                culture: cultures[number as usize % 2],
                unaware: Some(1),
                // Thailand differs in three of five questions, the USA in one of ten.
                aware: Some(match number % 2 {
                    0 if number / 2 % 5 < 3 => 2,
                    1 if number / 2 % 10 == 0 => 2,
                    _ => 1,
                }),
                shift: None,
                redrawn: None,
            })
            .collect()
    }

    fn chosen(selection: Selection) -> Vec<Instance> {
        let pairs = pairs();
        let instances = collect(&pairs, CollectionRule::Different, None).instances;
        select(&pairs, &instances, selection, None)
    }

    fn sizes(instances: &[Instance]) -> [usize; 2] {
        ["THA", "USA"].map(|code| instances.iter().filter(|i| i.culture.as_str() == code).count())
    }

    #[test]
    fn controls_have_the_same_size_per_culture() {
        let of = |source| chosen(Selection { source, ..Selection::default() });
        let instances = of(Source::Inconsistent);
        assert_eq!(sizes(&instances), [30, 5]);
        assert!(instances.iter().all(|instance| instance.unaware != instance.aware));
        let random = of(Source::Random);
        assert_eq!(sizes(&random), [30, 5]);
        assert!(random.iter().any(|instance| instance.unaware == instance.aware));
        // Thailand has only twenty consistent pairs.
        let consistent = of(Source::Consistent);
        assert_eq!(sizes(&consistent), [20, 5]);
        assert!(consistent.iter().all(|instance| instance.unaware == instance.aware));
    }

    #[test]
    fn matched_sets_of_all_sources_have_the_same_size() {
        let pairs = pairs();
        let collected = collect(&pairs, CollectionRule::Different, None).instances;
        for accepted in [None, Some(Accepted::new("p", "r", &collected[..9]))] {
            let all = super::sizes(&pairs, &collected, accepted.as_ref());
            let common: Vec<usize> = all.values().map(|sizes| sizes.common()).collect();
            for source in Source::ALL {
                let selection = Selection { source, matched: true, ..Selection::default() };
                let chosen = select(&pairs, &collected, selection, accepted.as_ref());
                assert_eq!(sizes(&chosen)[..], common, "{source}");
                // And a part of what is learnt without that.
                let whole = Selection { matched: false, ..selection };
                let whole = select(&pairs, &collected, whole, accepted.as_ref());
                assert!(chosen.iter().all(|instance| whole.contains(instance)), "{source}");
            }
        }
        let all = super::sizes(&pairs, &collected, None);
        let of = |code: &str| all[&code.parse().unwrap()];
        assert_eq!(of("THA"), Sizes { instances: 30, consistent: 20 });
        assert_eq!(of("USA"), Sizes { instances: 5, consistent: 45 });
    }

    #[test]
    fn settings_of_older_versions_are_read_and_written_as_they_were() {
        let old = r#"{"source":"random","share":0.5,"seed":3}"#;
        let selection: Selection = serde_json::from_str(old).unwrap();
        assert_eq!((selection.source, selection.matched), (Source::Random, false));
        assert_eq!(serde_json::to_string(&selection).unwrap(), old);
    }

    #[test]
    fn only_what_people_accepted_is_learnt() {
        let pairs = pairs();
        let instances = collect(&pairs, CollectionRule::Different, None).instances;
        let some: Vec<Instance> = instances.iter().step_by(3).cloned().collect();
        let accepted = Accepted::new("p", "r", &some);
        let of = |source| {
            select(
                &pairs,
                &instances,
                Selection { source, ..Selection::default() },
                Some(&accepted),
            )
        };
        let kept = Accepted::new("p", "r", &of(Source::Inconsistent));
        assert_eq!((&kept, kept.count()), (&accepted, some.len()));
        assert_eq!(of(Source::Random).len(), some.len());
        // What people refused isn't consistent for that.
        assert!(of(Source::Consistent).iter().all(|instance| instance.unaware == instance.aware));
    }

    #[test]
    fn the_hash_is_of_the_instances_alone() {
        let instances = collect(&pairs(), CollectionRule::Different, None).instances;
        let accepted = Accepted::new("p", "r", &instances);
        assert_eq!(accepted.hash(), Accepted::new("other", "run", &instances).hash());
        assert_ne!(accepted.hash(), Accepted::new("p", "r", &instances[1..]).hash());
        let json = serde_json::to_string(&accepted).unwrap();
        assert_eq!(serde_json::from_str::<Accepted>(&json).unwrap(), accepted);
    }

    proptest! {
        #[test]
        fn a_smaller_share_is_a_part_of_a_larger_one(small in 0.01f64..1.0, large in 0.01f64..1.0, seed: u64) {
            let (small, large) = if small < large { (small, large) } else { (large, small) };
            for source in Source::ALL {
                let of = |share| chosen(Selection { source, share, seed, matched: false });
                let (part, whole) = (of(small), of(large));
                prop_assert!(part.iter().all(|instance| whole.contains(instance)));
                prop_assert!(!part.is_empty());
                prop_assert!(of(1.0).windows(2).all(|two| two[0] != two[1]));
            }
        }
    }
}
