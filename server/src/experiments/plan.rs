//! Which comparisons there are, in the order of the page.

use std::collections::BTreeSet;

use domain::instance::CollectionRule;
use domain::prompt::PromptStyle;
use domain::score::{Metric, Movement, Parts, Relations, movement, parts};
use domain::training_set::Source;
use domain::voice::Voice;

use super::arm::Arm;
use super::ask::{Layout, answers};
use super::report::Report;
use super::section::{Claim, CultureParts, Entry, Section, Verdict};
use crate::jobs::ask::check_style;
use crate::jobs::evaluate::{CultureAnswers, VoiceKind};
use crate::jobs::work::Watcher;
use crate::jobs::{JobError, Method};

/// Instances and controls (paper, data quality).
const QUALITY: [Arm; 2] = [
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

/// Parts of the instances (paper, data quantity).
const QUANTITY: [Arm; 3] = [
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
const COLLECTION: [Arm; 2] = [
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

/// Mixes in general conversations.
const GENERAL: Arm = Arm {
    key: "general",
    title: "one general conversation to four instances",
    change: |request| request.general = Some(0.25),
    same_answers: true,
};

const METRIC: Metric = Metric::Alignment;

/// Runs every comparison on top of `base`, whose steps must be done. `told` hears what comes next.
///
/// # Errors
/// See [`JobError`]; what was done before is kept, and the same call goes on from there.
pub async fn run(
    base: &Method,
    watcher: &mut Watcher<'_>,
    told: &mut (dyn FnMut(&str) + Send),
) -> Result<Report, JobError> {
    let mut bench = Bench::open(base).await?;
    let mut sections = vec![bench.strategy().await?];
    for (section, arms) in [
        (Shape::QUALITY, &QUALITY[..]),
        (Shape::QUANTITY, &QUANTITY[..]),
        (Shape::COLLECTION, &COLLECTION[..]),
    ] {
        sections.push(bench.arms(section, arms, watcher, told).await?);
    }
    told("prompt styles before and after tuning");
    sections.push(bench.styles(watcher).await?);
    told("options in other orders and under other numbers");
    sections.push(bench.layouts(watcher).await?);
    sections.push(bench.topics());
    sections.push(bench.relations().await?);
    told("general ability");
    sections.push(bench.ability(watcher, told).await?);
    Ok(bench.report(sections))
}

/// What sets a section of arms apart.
struct Shape {
    key: &'static str,
    title: &'static str,
    measure: &'static str,
    /// What the paper says of the base run beside each arm; empty where it says nothing.
    claim: fn(&Arm) -> Option<String>,
}

impl Shape {
    const QUALITY: Self = Self {
        key: "quality",
        title: "Data quality: which pairs are learnt",
        measure: "A joint adapter tuned on the collected instances (pairs whose answers differ), \
                  beside adapters tuned on as many other pairs of each culture.",
        claim: |arm| Some(format!("Instances teach more culture than {}.", arm.title)),
    };
    const QUANTITY: Self = Self {
        key: "quantity",
        title: "Data quantity: how many instances are learnt",
        measure: "A joint adapter tuned on all instances, beside adapters tuned on a part of every \
                  culture's; a smaller part is contained in a larger one. The same number of epochs, \
                  so fewer updates.",
        claim: |arm| match arm.key {
            "share-10" => Some("All instances teach more than a tenth of them.".to_owned()),
            _ => None,
        },
    };
    const COLLECTION: Self = Self {
        key: "collection",
        title: "How instances are collected",
        measure: "Joint adapters tuned on instances that were collected in other ways; all are asked \
                  with the plain aware prompt (P1) afterwards.",
        claim: |_| None,
    };
}

/// The base run's voices, measured once.
struct Bench<'a> {
    base: &'a Method,
    unaware: CultureParts,
    aware: CultureParts,
    joint: CultureParts,
    instances: usize,
    /// Arms that have been run, for the measures that come last.
    done: Vec<(&'static str, Method)>,
}

impl<'a> Bench<'a> {
    async fn open(base: &'a Method) -> Result<Self, JobError> {
        let of = async |kind| {
            Ok::<_, JobError>(culture_parts(base, &base.evaluated_answers(kind).await?))
        };
        Ok(Self {
            base,
            unaware: of(VoiceKind::Unaware).await?,
            aware: of(VoiceKind::Aware).await?,
            joint: of(VoiceKind::Joint).await?,
            instances: base.collection().await?.instances.len(),
            done: Vec::new(),
        })
    }

    /// Whether the survey has what a style needs.
    fn can_ask(&self, style: PromptStyle) -> bool {
        let codes = &self.base.settings.cultures;
        codes
            .iter()
            .all(|code| check_style(&self.base.survey, &Voice::styled(*code, style)).is_ok())
    }

    async fn strategy(&self) -> Result<Section, JobError> {
        let specific = self.base.evaluated_answers(VoiceKind::Specific).await?;
        let specific = culture_parts(self.base, &specific);
        let entry = |label: &str, voice: &CultureParts| {
            Entry::closer(label, METRIC, voice, &self.aware, String::new())
        };
        let claim = |text: &str, first, second| Claim::closer(text, METRIC, first, second);
        Ok(Section {
            key: "strategy",
            title: "One joint adapter or one per culture",
            measure: "Voices on the held-out questions beside the aware voice without an adapter."
                .to_owned(),
            unit: "alignment x 100 beyond the aware voice",
            entries: vec![
                entry("unaware", &self.unaware),
                entry("joint adapter", &self.joint),
                entry("specific adapters", &specific),
            ],
            claims: vec![
                claim(
                    "Naming a culture brings answers closer to its people.",
                    &self.aware,
                    &self.unaware,
                ),
                claim("A joint adapter brings them closer still.", &self.joint, &self.aware),
                claim("So do specific adapters.", &specific, &self.aware),
                claim("A joint adapter does more than specific ones.", &self.joint, &specific),
            ],
        })
    }

    async fn arms(
        &mut self,
        shape: Shape,
        arms: &[Arm],
        watcher: &mut Watcher<'_>,
        told: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Section, JobError> {
        let note = |count: usize| format!("{count} instances");
        let all =
            Entry::closer("all instances", METRIC, &self.joint, &self.aware, note(self.instances));
        let (mut entries, mut claims) = (vec![all], Vec::new());
        let cross_culture = self.can_ask(PromptStyle::CrossCulture);
        for arm in arms.iter().filter(|arm| arm.same_answers || cross_culture) {
            told(arm.title);
            let method = arm.run(self.base, watcher).await?;
            let answers = method.evaluated_answers(VoiceKind::Joint).await?;
            let parts = culture_parts(&method, &answers);
            let learnt = method.tuned_on().await?;
            entries.push(Entry::closer(arm.title, METRIC, &parts, &self.aware, note(learnt)));
            if let Some(text) = (shape.claim)(arm) {
                claims.push(Claim::closer(&text, METRIC, &self.joint, &parts));
            }
            self.done.push((arm.title, method));
        }
        Ok(Section {
            key: shape.key,
            title: shape.title,
            measure: shape.measure.to_owned(),
            unit: "alignment x 100 beyond the aware voice",
            entries,
            claims,
        })
    }

    async fn styles(&self, watcher: &mut Watcher<'_>) -> Result<Section, JobError> {
        let joint = self.base.loaded_adapter("joint").await?;
        let (mut entries, mut claims) = (Vec::new(), Vec::new());
        let styles = PromptStyle::ALL.into_iter().filter(|style| style.has_culture());
        for style in styles.filter(|style| self.can_ask(*style)) {
            let note = if style.uses_reference() { "shows people's answers" } else { "" };
            let mut of = async |adapter| {
                let asked = answers(self.base, style, adapter, Layout::AsWritten, watcher).await?;
                Ok::<_, JobError>(culture_parts(self.base, &asked))
            };
            let before = of(None).await?;
            let label = format!("{style}, base");
            entries.push(Entry::closer(label, METRIC, &before, &self.aware, note.to_owned()));
            let Some((name, hash)) = &joint else { continue };
            let after = of(Some((name, hash))).await?;
            let label = format!("{style}, joint");
            entries.push(Entry::closer(label, METRIC, &after, &self.aware, note.to_owned()));
            if style == PromptStyle::CrossCulture {
                let text = "Tuning helps under a stronger prompt (P2), too.";
                claims.push(Claim::closer(text, METRIC, &after, &before));
            }
        }
        Ok(Section {
            key: "styles",
            title: "Prompt styles before and after tuning",
            measure:
                "The held-out questions asked in every style, of the base model and with the joint \
                      adapter (tuned on P1 prompts). Styles with self-alignment (P3) show people's \
                      answers to neighbouring questions, so they are no fair test of the model."
                    .to_owned(),
            unit: "alignment x 100 beyond the aware voice (P1, base)",
            entries,
            claims,
        })
    }

    async fn layouts(&self, watcher: &mut Watcher<'_>) -> Result<Section, JobError> {
        let joint = self.base.loaded_adapter("joint").await?;
        let mut entries = Vec::new();
        for layout in [Layout::AsWritten, Layout::Reversed, Layout::Renumbered] {
            let voices = [("base", None), ("joint", joint.as_ref())];
            for (label, adapter) in voices.into_iter().filter(|(l, a)| *l == "base" || a.is_some())
            {
                let adapter = adapter.map(|(name, hash)| (name.as_str(), hash.as_str()));
                let asked =
                    answers(self.base, PromptStyle::Aware, adapter, layout, watcher).await?;
                let parts = culture_parts(self.base, &asked);
                let beside = if label == "base" { &self.aware } else { &self.joint };
                let label = format!("{}, {label}", layout.as_str());
                entries.push(Entry::closer(label, METRIC, &parts, beside, String::new()));
            }
        }
        Ok(Section {
            key: "layouts",
            title: "Order and numbers of the options",
            measure: "The held-out questions with the options as written, in reverse order, and numbered \
                      from 0 instead of 1 or the other way round. What changes beyond zero is no \
                      opinion."
                .to_owned(),
            unit: "alignment x 100 beyond the same voice, options as written",
            entries,
            claims: vec![],
        })
    }

    fn topics(&self) -> Section {
        let survey = &self.base.survey;
        let of_topic = |voice: &CultureParts, topic: &str| -> CultureParts {
            let keep = |parts: &Parts| -> Parts {
                let belongs = |id| survey.question(id).is_some_and(|q| q.topic.as_str() == topic);
                parts.iter().filter(|(id, _)| belongs(id)).map(|(id, p)| (id.clone(), *p)).collect()
            };
            voice.iter().map(|(code, parts)| (*code, keep(parts))).collect()
        };
        let entry = |topic: &domain::question::Topic| {
            let (joint, aware) = (
                of_topic(&self.joint, topic.id.as_str()),
                of_topic(&self.aware, topic.id.as_str()),
            );
            let questions = aware.values().map(Parts::len).max().unwrap_or(0);
            let note = format!("{questions} questions");
            Entry::closer(topic.name.clone(), METRIC, &joint, &aware, note)
        };
        Section {
            key: "topics",
            title: "By topic",
            measure:
                "What the joint adapter adds to the aware voice, topic by topic. A topic has few \
                      held-out questions, so intervals are wide."
                    .to_owned(),
            unit: "alignment x 100 beyond the aware voice",
            entries: survey.topics.iter().map(entry).collect(),
            claims: vec![],
        }
    }

    async fn relations(&self) -> Result<Section, JobError> {
        let method = self.base;
        let people = Relations::of_people(&method.survey, &method.settings.cultures, METRIC);
        let mut entries = Vec::new();
        for (label, kind) in [
            ("aware", VoiceKind::Aware),
            ("joint adapter", VoiceKind::Joint),
            ("specific adapters", VoiceKind::Specific),
        ] {
            let answers = method.evaluated_answers(kind).await?;
            let lent: Vec<_> = answers.iter().map(|(code, a)| (*code, a.as_slice())).collect();
            let model = Relations::of_answers(&method.survey, &lent, METRIC);
            let Some(correlation) = model.correlation(&people) else { continue };
            let moved = self.moved(&answers).await?;
            entries.push(Entry {
                label: label.to_owned(),
                score: None,
                difference: correlation.r,
                interval: None,
                note: format!(
                    "p = {:.4} (Mantel); mean likeness {:.1}, people {:.1}; changed answers move {:.0} % \
                     toward people, {:.0} % away",
                    correlation.p_value,
                    100.0 * model.mean().unwrap_or(f64::NAN),
                    100.0 * people.mean().unwrap_or(f64::NAN),
                    percent(moved.toward, moved.changed()),
                    percent(moved.away, moved.changed()),
                ),
            });
        }
        Ok(Section {
            key: "relations",
            title: "Relations between cultures",
            measure: "How alike every two cultures answer, in the model and among people, and how both \
                      matrices correlate. A mean likeness above people's means that the model draws \
                      cultures together."
                .to_owned(),
            unit: "correlation with people's matrix",
            entries,
            claims: vec![],
        })
    }

    /// Which way answers move from the unaware voice.
    async fn moved(&self, answers: &CultureAnswers) -> Result<Movement, JobError> {
        let unaware = self.base.evaluated_answers(VoiceKind::Unaware).await?;
        let moved = unaware
            .iter()
            .zip(answers)
            .map(|((code, before), (_, after))| movement(&self.base.survey, *code, before, after));
        Ok(moved.fold(Movement::default(), Movement::plus))
    }

    async fn ability(
        &mut self,
        watcher: &mut Watcher<'_>,
        told: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Section, JobError> {
        told(GENERAL.title);
        let general = GENERAL.run(self.base, watcher).await?;
        let parts = culture_parts(&general, &general.evaluated_answers(VoiceKind::Joint).await?);
        let beside = Entry::closer("", METRIC, &parts, &self.aware, String::new());
        self.done.push((GENERAL.title, general));
        let base = std::iter::once(("all instances", self.base));
        let arms = base.chain(self.done.iter().map(|(title, method)| (*title, method)));
        let mut entries = Vec::new();
        for (title, method) in arms {
            let Some(ability) = method.ability("joint").await? else { continue };
            let gained = if title == GENERAL.title {
                format!("; alignment {:+.2} beyond the aware voice", beside.difference)
            } else {
                String::new()
            };
            entries.push(Entry {
                label: title.to_owned(),
                score: None,
                difference: ability.after - ability.before,
                interval: ability.interval,
                note: format!(
                    "{:.3} to {:.3} nats a token, {} replies{gained}",
                    ability.before, ability.after, ability.replies
                ),
            });
        }
        let claims = entries.first().map(|entry| Claim {
            text: "Tuning doesn't cost general ability.".to_owned(),
            difference: -entry.difference,
            interval: entry.interval.map(|interval| interval.times(-1.0)),
            verdict: kept(entry),
        });
        Ok(Section {
            key: "ability",
            title: "General ability",
            measure: "The loss on replies of ordinary conversations that no step has learnt, with the \
                      joint adapter beside the base model; above zero the adapter predicts them worse."
                .to_owned(),
            unit: "nats per token beyond the base model",
            entries,
            claims: claims.into_iter().collect(),
        })
    }

    fn report(&self, sections: Vec<Section>) -> Report {
        let info = self.base.engine.info();
        Report {
            run: self.base.run.clone(),
            model: info.name.clone(),
            model_hash: info.hash.clone(),
            survey: self.base.survey.title.clone(),
            simulated: self.base.survey.provenance.is_simulated(),
            questions: self.base.survey.evaluated().len(),
            cultures: self.base.settings.cultures.len(),
            options: self.base.settings.request().options(),
            instances: self.instances,
            sections,
        }
    }
}

/// Nothing is lost where the loss doesn't rise.
fn kept(entry: &Entry) -> Verdict {
    match entry.interval {
        Some(interval) if interval.low > 0.0 => Verdict::Disagrees,
        Some(_) => Verdict::Agrees,
        None => Verdict::Undecided,
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

fn culture_parts(method: &Method, answers: &CultureAnswers) -> CultureParts {
    let of = |(code, answers): &(_, Vec<_>)| {
        (*code, parts(&method.survey, *code, answers, METRIC, &BTreeSet::new()))
    };
    answers.iter().map(of).filter(|(_, parts)| !parts.is_empty()).collect()
}
