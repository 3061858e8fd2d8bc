//! Which comparisons there are, in the order of the page. Each is measured in a file of its own.

mod ability;
mod arms;
mod baselines;
mod cross;
mod layouts;
mod relations;
mod strategy;
mod styles;
mod topics;

use std::collections::BTreeSet;

use domain::method::{AdapterTarget, LONGEST_NAME, MethodRequest};
use domain::prompt::PromptStyle;
use domain::score::{Metric, parts};
use domain::training_set::Source;

use self::arms::{COLLECTION, QUANTITY, Shape};
use super::report::Report;
use super::section::{CultureParts, Section};
use crate::jobs::ask::check_cultures;
use crate::jobs::evaluate::{CultureAnswers, VoiceKind};
use crate::jobs::work::Watcher;
use crate::jobs::{JobError, Method};

const METRIC: Metric = Metric::Alignment;

/// Runs every comparison on top of `base`, whose steps must be done. `told` hears what comes next.
///
/// # Errors
/// See [`check_base`] and [`JobError`]; what was done before is kept, and the same call goes on from there.
pub async fn run(
    base: &Method,
    watcher: &mut Watcher<'_>,
    told: &mut (dyn FnMut(&str) + Send),
) -> Result<Report, JobError> {
    check_base(&base.request())?;
    let mut bench = Bench::open(base).await?;
    let mut sections = vec![bench.strategy().await?, bench.quality(watcher, told).await?];
    for (section, arms) in [(Shape::QUANTITY, &QUANTITY[..]), (Shape::COLLECTION, &COLLECTION[..])]
    {
        sections.push(bench.arms(section, arms, watcher, told).await?);
    }
    told("prompt styles before and after tuning");
    sections.push(bench.styles(watcher).await?);
    told("options in other orders and under other numbers");
    sections.push(bench.layouts(watcher).await?);
    sections.push(bench.topics());
    sections.push(bench.relations().await?);
    told("specific adapters as other cultures");
    sections.extend(bench.cross(watcher).await?);
    told("general ability");
    sections.push(bench.ability(watcher, told).await?);
    Ok(bench.report(sections))
}

/// Whether comparisons can be made on top of a run that `request` opens. They hold a joint adapter that
/// learnt all instances against others, and set for themselves what those learn.
///
/// # Errors
/// Names the setting that is in the way.
pub fn check_base(request: &MethodRequest) -> Result<(), JobError> {
    let asks = |refused: bool, setting: &'static str| refused.then_some(setting);
    let set = asks(request.source.is_some_and(|source| source != Source::Inconsistent), "source")
        .or(asks(request.share.is_some_and(|share| share < 1.0), "share"))
        .or(asks(request.matched == Some(true), "matched"))
        .or(asks(request.accepted.is_some(), "accepted"));
    if let Some(setting) = set {
        return Err(JobError::refused(
            format!(
                "`{setting}` can't be set for `experiments`: its base run learns all instances"
            ),
            "Leave it out; the comparisons choose other pairs by themselves.",
        ));
    }
    let joint = AdapterTarget::Joint;
    if request.adapters.as_ref().is_some_and(|adapters| !adapters.contains(&joint)) {
        return Err(JobError::refused(
            "`adapters` must name `joint` for `experiments`: every arm is held against the joint adapter",
            "Add `joint`, or leave `--adapters` out.",
        ));
    }
    let longest = arms::keys().chain([ability::GENERAL.key]).max_by_key(|key| key.len());
    let most = LONGEST_NAME - 1 - longest.map_or(0, str::len);
    match request.run.as_ref().filter(|name| name.len() > most) {
        Some(name) => Err(JobError::refused(
            format!(
                "`{name}` is too long a name for the base run of `experiments`: arms are named after \
                 it, as in `{name}.{}`, and a name has at most {LONGEST_NAME} letters",
                longest.unwrap_or_default()
            ),
            format!("Use a name of at most {most} letters."),
        )),
        None => Ok(()),
    }
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
        check_cultures(&self.base.survey, &self.base.settings.cultures, style).is_ok()
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
            held_out: self.base.survey.holds_out(),
            cultures: self.base.settings.cultures.len(),
            options: self.base.settings.request().options(),
            instances: self.instances,
            uses_reference: self.base.settings.style.uses_reference(),
            baselines: self.baselines(),
            sections,
        }
    }
}

fn culture_parts(method: &Method, answers: &CultureAnswers) -> CultureParts {
    let of = |(code, answers): &(_, Vec<_>)| {
        (*code, parts(&method.survey, *code, answers, METRIC, &BTreeSet::new()))
    };
    answers.iter().map(of).filter(|(_, parts)| !parts.is_empty()).collect()
}
