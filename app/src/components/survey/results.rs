//! Everything shown of a run's raw answers; metric and topics are chosen here, and nothing is asked
//! of the server.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::culture::CultureCode;
use domain::question::{QuestionId, TopicId};
use domain::score::Metric;
use domain::survey::{Provenance, Survey};
use leptos::prelude::*;

use super::cross::CrossMap;
use super::filters::Filters;
use super::follow::Followed;
use super::heat::TopicMap;
use super::question::QuestionBars;
use super::ranking::Ranking;
use super::relations::RelationMaps;
use super::scores;
use super::speaker::{Speaker, reference_note, speakers};
use crate::api::SurveyRun;

/// What is shown and how; a handle that can be copied.
#[derive(Clone, Copy)]
pub struct View {
    /// The survey with its reference.
    pub survey: StoredValue<Arc<Survey>>,
    /// The voices with their raw answers, those of the run beside included.
    pub speakers: Memo<Arc<Vec<Speaker>>>,
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
    fn new(survey: Arc<Survey>, run: Arc<SurveyRun>, beside: Followed) -> Self {
        let asked: BTreeSet<&QuestionId> =
            run.answers.iter().flatten().map(|a| &a.question).collect();
        let topics: BTreeSet<TopicId> = survey
            .questions
            .iter()
            .filter(|question| asked.contains(&question.id))
            .map(|question| question.topic.clone())
            .collect();
        let first = survey.questions.iter().find(|question| asked.contains(&question.id));
        let question = first.map(|question| question.id.clone());
        let culture = scores::cultures(&survey, &speakers(&run, None)).first().copied();
        let together = Memo::new(move |_| {
            beside.data.with(|beside| {
                let beside = beside.as_ref().map(|(_, beside)| beside.as_ref());
                let same = beside.filter(|beside| beside.info.survey == run.info.survey);
                Arc::new(speakers(&run, same))
            })
        });
        Self {
            metric: RwSignal::new(Metric::Alignment),
            topics: RwSignal::new(topics),
            culture: RwSignal::new(culture),
            question: RwSignal::new(question),
            survey: StoredValue::new(survey),
            speakers: together,
        }
    }

    /// Whether nobody was asked.
    pub fn simulated(self) -> bool {
        self.survey.with_value(|survey| survey.provenance.is_simulated())
    }

    /// What follows from survey, voices, metric and topics, computed anew when one changes.
    pub fn computed<T: PartialEq + Send + Sync + 'static>(
        self,
        compute: impl Fn(&Survey, &[Speaker], Metric, &BTreeSet<TopicId>) -> T + Send + Sync + 'static,
    ) -> Memo<T> {
        Memo::new(move |_| {
            self.survey.with_value(|survey| {
                self.speakers.with(|speakers| {
                    self.topics.with(|topics| compute(survey, speakers, self.metric.get(), topics))
                })
            })
        })
    }
}

/// Filters and charts.
#[component]
pub fn Results(
    /// The survey with its reference.
    survey: Arc<Survey>,
    /// The run with its raw answers.
    run: Arc<SurveyRun>,
    /// Another run of the survey, shown beside it.
    beside: Followed,
) -> impl IntoView {
    let provenance = match &survey.provenance {
        Provenance::Simulated(source) => format!("Simulated reference: {source}"),
        Provenance::Respondents(source) => format!("Reference: {source}"),
    };
    if run.info.outdated {
        return view! {
            <p class="note" data-testid="outdated">
                "The questions of this survey have changed since they were asked here. Answers to the
                earlier ones can’t be held against the present ones, so that nothing is scored. They are
                kept: import the earlier survey again to see them, or ask anew."
            </p>
        }
        .into_any();
    }
    let empty = run.answers.iter().all(Vec::is_empty);
    if empty {
        return view! { <p class="meta">"This run has no answers."</p> }.into_any();
    }
    let view = View::new(survey, run, beside);
    let nominal = view.computed(scores::nominal_note);
    let reference = Memo::new(move |_| view.speakers.with(|speakers| reference_note(speakers)));
    let none = move || view.topics.with(BTreeSet::is_empty);
    view! {
        <section class="results" aria-label="Results" data-testid="results">
            <p class="meta provenance">{provenance}</p>
            <Filters view/>
            {move || reference.get().map(|text| view! {
                <p class="meta" role="status" data-testid="reference-note">{text}</p>
            })}
            <Show when=move || !none() fallback=|| view! {
                <p class="meta" role="status">"Choose at least one topic."</p>
            }>
                {move || nominal.get().map(|text| view! {
                    <p class="meta" role="status" data-testid="nominal-note">{text}</p>
                })}
                <Ranking view/>
                <TopicMap view/>
                <RelationMaps view/>
                <CrossMap view/>
            </Show>
            <QuestionBars view/>
        </section>
    }
    .into_any()
}
