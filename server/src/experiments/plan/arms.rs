//! Runs that differ from the base run in one setting: data quality, data quantity, ways to collect.

use std::fmt::Write;

use domain::instance::CollectionRule;
use domain::prompt::PromptStyle;
use domain::training_set::Source;

use super::{Bench, METRIC, culture_parts};
use crate::experiments::arm::Arm;
use crate::experiments::section::{Claim, Entry, Says, Section};
use crate::jobs::JobError;
use crate::jobs::evaluate::VoiceKind;
use crate::jobs::work::Watcher;

/// Instances and controls (paper, data quality).
pub(super) const QUALITY: [Arm; 2] = [
    Arm {
        key: "random",
        title: "as many random pairs",
        change: |request| request.source = Some(Source::Random),
        same_answers: true,
    },
    Arm {
        key: "consistent",
        title: "as many consistent pairs",
        change: |request| request.source = Some(Source::Consistent),
        same_answers: true,
    },
];

/// The same where some culture has fewer consistent pairs than instances: all three learn as many pairs of
/// every culture as the smallest of them can give.
pub(super) const MATCHED: [Arm; 3] = [
    Arm {
        key: "matched",
        title: "instances",
        change: |request| request.matched = Some(true),
        same_answers: true,
    },
    Arm {
        key: "random-matched",
        title: "as many random pairs",
        change: |request| (request.source, request.matched) = (Some(Source::Random), Some(true)),
        same_answers: true,
    },
    Arm {
        key: "consistent-matched",
        title: "as many consistent pairs",
        change: |request| {
            (request.source, request.matched) = (Some(Source::Consistent), Some(true));
        },
        same_answers: true,
    },
];

/// Parts of the instances (paper, data quantity).
pub(super) const QUANTITY: [Arm; 3] = [
    Arm {
        key: "share-10",
        title: "10 % of the instances",
        change: |request| request.share = Some(0.1),
        same_answers: true,
    },
    Arm {
        key: "share-25",
        title: "25 %",
        change: |request| request.share = Some(0.25),
        same_answers: true,
    },
    Arm {
        key: "share-50",
        title: "50 %",
        change: |request| request.share = Some(0.5),
        same_answers: true,
    },
];

/// Other ways to collect.
pub(super) const COLLECTION: [Arm; 2] = [
    Arm {
        key: "cross-culture",
        title: "collected with cross-culture thinking (P2)",
        change: |request| request.style = Some(PromptStyle::CrossCulture),
        same_answers: false,
    },
    Arm {
        key: "shift",
        title: "collected by shift above the noise floor",
        change: |request| request.rule = Some(CollectionRule::Shift),
        same_answers: true,
    },
];

/// The ends of all these arms' names.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    let all = QUALITY.iter().chain(&MATCHED).chain(&QUANTITY).chain(&COLLECTION);
    all.map(|arm| arm.key)
}

/// What sets a section of arms apart.
pub(super) struct Shape {
    key: &'static str,
    title: &'static str,
    measure: &'static str,
    /// The arm that the claims hold against the others; the base run where none is named.
    beside: Option<&'static str>,
    /// What is claimed of it beside each other arm, and by whom; `None` where nothing is.
    claim: fn(&Arm) -> Option<(Says, String)>,
}

fn teach_more(arm: &Arm) -> Option<(Says, String)> {
    Some((Says::Paper, format!("Instances teach more culture than {}.", arm.title)))
}

impl Shape {
    pub(super) const QUALITY: Self = Self {
        key: "quality",
        title: "Data quality: which pairs are learnt",
        measure: "A joint adapter tuned on the collected instances (pairs whose answers differ), \
                  beside adapters tuned on as many other pairs of each culture.",
        beside: None,
        claim: teach_more,
    };
    pub(super) const MATCHED: Self = Self {
        measure: "Joint adapters tuned on collected instances (pairs whose answers differ) and on as many \
                  other pairs of each culture. Where a culture has fewer consistent pairs than \
                  instances, all three learn that many.",
        beside: Some("matched"),
        ..Self::QUALITY
    };
    pub(super) const QUANTITY: Self = Self {
        key: "quantity",
        title: "Data quantity: how many instances are learnt",
        measure: "A joint adapter tuned on all instances, beside adapters tuned on a part of every \
                  culture's; a smaller part is contained in a larger one. The same number of epochs, \
                  so fewer updates.",
        beside: None,
        claim: |arm| match arm.key {
            "share-10" => {
                let text = "All instances teach more than a tenth of them.";
                Some((Says::Expectation, text.to_owned()))
            }
            _ => None,
        },
    };
    pub(super) const COLLECTION: Self = Self {
        key: "collection",
        title: "How instances are collected",
        measure: "Joint adapters tuned on instances that were collected in other ways; all are asked \
                  with the plain aware prompt (P1) afterwards.",
        beside: None,
        claim: |_| None,
    };
}

impl Bench<'_> {
    /// Instances beside controls of the same size.
    pub(super) async fn quality(
        &mut self,
        watcher: &mut Watcher<'_>,
        told: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Section, JobError> {
        let sizes = self.base.sizes().await?;
        let short: Vec<String> = sizes
            .iter()
            .filter(|(_, sizes)| sizes.consistent < sizes.instances)
            .map(|(code, sizes)| format!("{code} {} of {}", sizes.consistent, sizes.instances))
            .collect();
        if short.is_empty() {
            return self.arms(Shape::QUALITY, &QUALITY, watcher, told).await;
        }
        let mut section = self.arms(Shape::MATCHED, &MATCHED, watcher, told).await?;
        let _ = write!(section.measure, " So did: {}.", short.join(", "));
        Ok(section)
    }

    /// The base run beside each of `arms`.
    pub(super) async fn arms(
        &mut self,
        shape: Shape,
        arms: &[Arm],
        watcher: &mut Watcher<'_>,
        told: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Section, JobError> {
        let note = |count: usize| format!("{count} pairs learnt");
        let learnt = note(self.base.tuned_on().await?);
        let all = Entry::closer("all instances", METRIC, &self.joint, &self.aware, learnt);
        let (mut entries, mut claims) = (Vec::from_iter(all), Vec::new());
        let mut beside = self.joint.clone();
        let mut measure = shape.measure.to_owned();
        for arm in arms {
            if let Some(obstacle) = arm.obstacle(self.base) {
                let _ = write!(measure, " Not run: {}, since {obstacle}.", arm.title);
                continue;
            }
            told(arm.title);
            let method = arm.run(self.base, watcher).await?;
            let answers = method.evaluated_answers(VoiceKind::Joint).await?;
            let parts = culture_parts(&method, &answers);
            let learnt = method.tuned_on().await?;
            entries.extend(Entry::closer(arm.title, METRIC, &parts, &self.aware, note(learnt)));
            if shape.beside == Some(arm.key) {
                beside = parts;
            } else if let Some((says, text)) = (shape.claim)(arm) {
                let claim = Claim::closer(&text, METRIC, &beside, &parts);
                claims.extend(claim.map(|claim| Claim { says, ..claim }));
            }
            self.done.push((arm.title, method));
        }
        Ok(Section {
            key: shape.key,
            title: shape.title,
            measure,
            unit: "alignment x 100 beyond the aware voice",
            entries,
            claims,
        })
    }
}
