//! Which comparisons there are, in the order of the page. Each is measured in a file of its own.

mod ability;
mod arms;
mod cross;
mod layouts;
mod relations;
mod strategy;
mod styles;
mod topics;

use std::collections::BTreeSet;

use domain::prompt::PromptStyle;
use domain::score::{Metric, parts};
use domain::voice::Voice;

use self::arms::{COLLECTION, QUANTITY, Shape};
use super::report::Report;
use super::section::{CultureParts, Section};
use crate::jobs::ask::check_style;
use crate::jobs::evaluate::{CultureAnswers, VoiceKind};
use crate::jobs::work::Watcher;
use crate::jobs::{JobError, Method};

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
