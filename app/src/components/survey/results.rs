//! Everything shown of a run's raw answers; metric and topics are chosen here, and nothing is asked
//! of the server.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::culture::CultureCode;
use domain::question::{QuestionId, TopicId};
use domain::score::Metric;
use domain::survey::{Provenance, Survey};
use leptos::prelude::*;

use super::filters::Filters;
use super::heat::TopicMap;
use super::question::QuestionBars;
use super::ranking::Ranking;
use super::scores;
use crate::api::SurveyRun;

/// What is shown and how; a handle that can be copied.
#[derive(Clone, Copy)]
pub struct View {
    /// The survey with its reference.
    pub survey: StoredValue<Arc<Survey>>,
    /// The run with its raw answers.
    pub run: StoredValue<Arc<SurveyRun>>,
    /// How closeness is measured.
    pub metric: RwSignal<Metric>,
    /// Chosen topics; all of them at first.
    pub topics: RwSignal<BTreeSet<TopicId>>,
    /// The culture whose answers are looked at.
    pub culture: RwSignal<Option<CultureCode>>,
    /// The question that is looked at.
    pub question: RwSignal<Option<QuestionId>>,
}

impl View {
    fn new(survey: Arc<Survey>, run: Arc<SurveyRun>) -> Self {
        let asked: BTreeSet<&QuestionId> =
            run.answers.iter().flatten().map(|a| &a.question).collect();
        let topics: BTreeSet<TopicId> = survey
            .questions
            .iter()
            .filter(|question| asked.contains(&question.id))
            .map(|question| question.topic.clone())
            .collect();
        let first = survey.questions.iter().find(|question| asked.contains(&question.id));
        Self {
            metric: RwSignal::new(Metric::Alignment),
            topics: RwSignal::new(topics),
            culture: RwSignal::new(scores::cultures(&survey, &run.info.voices).first().copied()),
            question: RwSignal::new(first.map(|question| question.id.clone())),
            survey: StoredValue::new(survey),
            run: StoredValue::new(run),
        }
    }

    /// Whether nobody was asked.
    pub fn simulated(self) -> bool {
        self.survey.with_value(|survey| survey.provenance.is_simulated())
    }
}

/// Filters and charts.
#[component]
pub fn Results(
    /// The survey with its reference.
    survey: Arc<Survey>,
    /// The run with its raw answers.
    run: Arc<SurveyRun>,
) -> impl IntoView {
    let provenance = match &survey.provenance {
        Provenance::Simulated(source) => format!("Simulated reference: {source}"),
        Provenance::Respondents(source) => format!("Reference: {source}"),
    };
    let empty = run.answers.iter().all(Vec::is_empty);
    if empty {
        return view! { <p class="meta">"This run has no answers."</p> }.into_any();
    }
    let view = View::new(survey, run);
    let none = move || view.topics.with(BTreeSet::is_empty);
    view! {
        <section class="results" aria-label="Results" data-testid="results">
            <p class="meta provenance">{provenance}</p>
            <Filters view/>
            <Show when=move || !none() fallback=|| view! {
                <p class="meta" role="status">"Choose at least one topic."</p>
            }>
                <Ranking view/>
                <TopicMap view/>
            </Show>
            <QuestionBars view/>
        </section>
    }
    .into_any()
}
