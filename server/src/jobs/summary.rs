//! What each step of a run has to show, put together from what it has stored.

use std::collections::{BTreeMap, BTreeSet};

use app::api::method_run::{
    AdapterSummary, AnswerSample, ChosenOption, CollectSummary, Drawn, ElicitSummary, EvaluateRow,
    EvaluateSummary, EvaluateTopic, Gain, GenerateSummary, InconsistencyRow, InstanceSample,
    LossPoint, PairSample, QuestionSample,
};
use domain::culture::CultureCode;
use domain::instance::{Collection, CollectionCounts, Instance};
use domain::method::{AdapterTarget, MethodSettings};
use domain::question::{Question, QuestionId, Topic, TopicId};
use domain::survey::Survey;

use super::elicit::Answered;
use super::evaluate::{self, EvaluationReport, Row, TopicRow};
use super::generate::Written;
use super::sample::{LOSS, Loss, SAMPLE, by_adapter, sample_question};
use super::tune::TunedAdapter;
use super::{JobError, Method};
use crate::store::Store;

/// Questions and instances that are shown to read, of each kind.
const SAMPLES: usize = 12;

/// Places from which samples of pairs and instances are taken: a prime number, so that they don't fall into
/// step with cultures or topics.
const SPREAD: usize = 97;

/// Collects samples from all kinds evenly: few of each, the kinds in the order in which they come.
struct Samples<K, T> {
    kinds: BTreeMap<K, Vec<T>>,
}

impl<K: Ord, T> Samples<K, T> {
    fn new() -> Self {
        Self { kinds: BTreeMap::new() }
    }

    fn offer(&mut self, kind: K, sample: impl FnOnce() -> T) {
        let kept = self.kinds.entry(kind).or_default();
        if kept.len() < SAMPLES {
            kept.push(sample());
        }
    }

    /// The first of every kind, then the second, until there are enough.
    fn take(self) -> Vec<T> {
        let mut kinds: Vec<_> = self.kinds.into_values().map(Vec::into_iter).collect();
        let mut taken = Vec::new();
        while taken.len() < SAMPLES {
            let before = taken.len();
            taken.extend(kinds.iter_mut().filter_map(Iterator::next));
            if taken.len() == before {
                break;
            }
        }
        taken.truncate(SAMPLES);
        taken
    }
}

/// The questions written so far.
///
/// # Errors
/// A failure of the store.
pub(super) async fn generate(method: &Method) -> Result<GenerateSummary, JobError> {
    let (mut kept, mut dropped) = (Samples::new(), Samples::new());
    let counts = method
        .judged(&mut |topic: &Topic, written: &Written, reason: Option<&str>| {
            let sample = || QuestionSample {
                topic: topic.name.clone(),
                question: written.question.clone(),
                reason: reason.map(str::to_owned),
            };
            match reason {
                None => kept.offer(topic.id.clone(), sample),
                Some(reason) => dropped.offer(reason.to_owned(), sample),
            }
        })
        .await?;
    Ok(GenerateSummary {
        written: counts.wanted,
        kept: counts.kept,
        dropped: counts.dropped,
        kept_samples: kept.take(),
        dropped_samples: dropped.take(),
    })
}

/// The pairs answered so far.
///
/// # Errors
/// A missing step, or a failure of the store.
pub(super) async fn elicit(method: &Method) -> Result<ElicitSummary, JobError> {
    let elicited = method.elicited().await?;
    let mut summary = ElicitSummary::default();
    let mut samples = Samples::new();
    let all = elicited.asked().count();
    // A stride, so that a culture's samples aren't all of the first topic.
    let stride = (all / SPREAD).max(1);
    for (place, (culture, question, unaware, aware)) in elicited.asked().enumerate() {
        let chosen = [unaware.chosen(question), aware.chosen(question)];
        let opinion = |number: u32| {
            question.index_of(number).is_none_or(|index| !question.is_dont_know(index))
        };
        summary.pairs += 1;
        summary.readable += usize::from(chosen.iter().all(Option::is_some));
        summary.no_opinion += usize::from(!chosen.iter().all(|c| c.is_some_and(opinion)));
        if place % stride == 0 {
            samples.offer(culture, || PairSample {
                culture,
                question: question.text.clone(),
                unaware: chosen_option(question, unaware),
                aware: chosen_option(question, aware),
            });
        }
    }
    summary.samples = samples.take();
    Ok(summary)
}

fn chosen_option(question: &Question, answered: &Answered) -> Option<ChosenOption> {
    let number = answered.chosen(question)?;
    let option = question.index_of(number).and_then(|index| question.options.get(index));
    let text = option.cloned().unwrap_or_else(|| number.to_string());
    Some(ChosenOption { text, share: answered.share(question, number) })
}

/// The instances, by topic and culture.
///
/// # Errors
/// A missing step, or a failure of the store.
pub(super) async fn collect(method: &Method) -> Result<CollectSummary, JobError> {
    let collection = method.collection().await?;
    let elicited = method.elicited().await?;
    let questions: BTreeMap<&QuestionId, &Question> =
        elicited.questions.iter().map(|question| (&question.id, question)).collect();
    let topics: Vec<&Topic> = {
        let asked: BTreeSet<&TopicId> = questions.values().map(|q| &q.topic).collect();
        method.survey.topics.iter().filter(|topic| asked.contains(&topic.id)).collect()
    };
    let counts = &collection.counts;
    let drawn = |(differ, noise)| Drawn { differ, noise };
    Ok(CollectSummary {
        pairs: counts.pairs,
        instances: counts.inconsistent,
        consistent: counts.consistent,
        unreadable: counts.unreadable,
        rule: method.settings.rule,
        drawn: counts.drawn().map(drawn),
        redrawn: counts.redrawn_share(),
        floor: collection.floor,
        replies: elicited.replies(),
        topics: topics.iter().map(|topic| topic.name.clone()).collect(),
        rows: inconsistency(&method.settings.cultures, &topics, &collection),
        samples: instance_samples(&collection.instances, &questions),
    })
}

/// A row per culture, a column per topic.
fn inconsistency(
    cultures: &[CultureCode],
    topics: &[&Topic],
    collection: &Collection,
) -> Vec<InconsistencyRow> {
    let nothing = CollectionCounts::default();
    let row = |culture: &CultureCode| {
        let found = collection.table.iter().find(|row| row.culture == *culture);
        let of = |value: fn(&CollectionCounts) -> Option<f64>| {
            let counts = |topic: &&Topic| value(found?.topics.get(&topic.id)?);
            topics.iter().map(counts).collect()
        };
        InconsistencyRow {
            culture: *culture,
            shares: of(CollectionCounts::share),
            differ: of(|counts| Some(counts.drawn()?.0)),
            noise: of(|counts| Some(counts.drawn()?.1)),
            redrawn: of(CollectionCounts::redrawn_share),
            unreadable: found.map_or(&nothing, |row| &row.all).unreadable,
        }
    };
    cultures.iter().map(row).collect()
}

fn instance_samples(
    instances: &[Instance],
    questions: &BTreeMap<&QuestionId, &Question>,
) -> Vec<InstanceSample> {
    let option = |question: &Question, number: u32| {
        let index = number.checked_sub(question.first_number).map(|index| index as usize);
        index.and_then(|index| question.options.get(index)).cloned().unwrap_or_default()
    };
    let mut samples = Samples::new();
    // A stride, so that a culture's samples aren't all of the first topic.
    let stride = (instances.len() / SPREAD).max(1);
    for instance in instances.iter().step_by(stride) {
        let Some(question) = questions.get(&instance.question) else { continue };
        samples.offer(instance.culture, || InstanceSample {
            culture: instance.culture,
            question: question.text.clone(),
            unaware: option(question, instance.unaware),
            aware: option(question, instance.aware),
        });
    }
    samples.take()
}

/// The adapters that have begun, with their curves and samples. Needs neither the run's model nor,
/// except for samples, its survey.
///
/// # Errors
/// A failure of the store.
pub(super) async fn tune(
    store: &Store,
    run: &str,
    settings: &MethodSettings,
    survey: Option<&Survey>,
) -> Result<Vec<AdapterSummary>, JobError> {
    let mut tuned: BTreeMap<String, TunedAdapter> = store.units(run, "tune").await?;
    let mut losses = by_adapter::<Loss>(store, run, LOSS).await?;
    let samples = by_adapter::<Vec<f64>>(store, run, SAMPLE).await?;
    let mut adapters = Vec::new();
    for (_, target) in settings.adapters() {
        let name = target.name();
        let (done, curve) = (tuned.remove(&name), losses.remove(&name));
        if done.is_none() && curve.is_none() {
            continue;
        }
        let point = |(step, loss): (usize, Loss)| LossPoint {
            step,
            total: loss.total,
            loss: loss.loss,
            learning_rate: loss.learning_rate,
        };
        adapters.push(AdapterSummary {
            culture: target.culture(),
            instances: done.as_ref().map(|adapter| adapter.instances),
            hash: done.and_then(|adapter| Some(adapter.hash?.chars().take(12).collect())),
            curve: curve.unwrap_or_default().into_iter().map(point).collect(),
            sample: survey
                .and_then(|survey| answer_sample(survey, settings, target, samples.get(&name)?)),
            name,
        });
    }
    Ok(adapters)
}

fn answer_sample(
    survey: &Survey,
    settings: &MethodSettings,
    target: AdapterTarget,
    answers: &[(usize, Vec<f64>)],
) -> Option<AnswerSample> {
    let (culture, question) = sample_question(survey, &settings.cultures, target)?;
    let ((_, before), (step, now)) = (answers.first()?, answers.last()?);
    Some(AnswerSample {
        id: question.id.clone(),
        culture,
        question: question.text.clone(),
        options: question.options.clone(),
        people: survey.people(culture, &question.id).map(|people| people.shares.clone()),
        simulated: survey.provenance.is_simulated(),
        held_out: question.held_out,
        uses_reference: settings.style.uses_reference(),
        before: before.clone(),
        now: now.clone(),
        step: *step,
    })
}

/// The evaluation as the page shows it.
pub(super) fn evaluate(report: &EvaluationReport) -> EvaluateSummary {
    EvaluateSummary {
        metric: report.metric,
        questions: report.questions,
        held_out: report.held_out,
        uses_reference: report.uses_reference.clone(),
        simulated: report.simulated,
        rows: report.rows.iter().map(evaluate_row).collect(),
        mean: evaluate_row(&report.mean),
        topics: report.topics.iter().map(evaluate_topic).collect(),
        refusals: report.refusals.clone(),
        movement: report.movement.clone(),
        ability: report.ability.clone(),
    }
}

fn evaluate_topic(topic: &TopicRow) -> EvaluateTopic {
    let TopicRow { name, questions, scores, gains, baselines, .. } = topic.clone();
    let row = Row { culture: None, questions, scores, gains, baselines };
    EvaluateTopic { name, questions, row: evaluate_row(&row) }
}

fn evaluate_row(row: &Row) -> EvaluateRow {
    let gain = |gain: Option<evaluate::Gain>| {
        gain.map(|evaluate::Gain { gain, interval }| Gain { gain, interval })
    };
    EvaluateRow {
        culture: row.culture,
        unaware: row.scores.unaware,
        aware: row.scores.aware,
        joint: row.scores.joint,
        specific: row.scores.specific,
        aware_gain: gain(row.gains.aware_over_unaware),
        joint_gain: gain(row.gains.joint_over_aware),
        specific_gain: gain(row.gains.specific_over_aware),
        random: row.baselines.random,
        middle: row.baselines.middle,
        like_usa: row.baselines.like_usa,
    }
}

#[cfg(test)]
mod tests {
    use super::Samples;

    #[test]
    fn samples_come_from_all_kinds() {
        let mut samples = Samples::new();
        for number in 0..50 {
            samples.offer("often", || number);
        }
        samples.offer("rare", || 100);
        let taken = samples.take();
        assert_eq!(taken[..3], [0, 100, 1]);
        assert_eq!(taken.len(), 12);
    }
}
