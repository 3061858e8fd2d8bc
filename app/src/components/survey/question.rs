//! One question: how people and each voice of a culture answered it.

use domain::culture::CultureCode;
use domain::question::{Question, QuestionId, Scale};
use leptos::prelude::*;

use super::results::View;
use super::scores;
use crate::charts::{BarSeries, Bars, Figure, NumberTable};

/// The question's bars with the choice of question and culture.
#[component]
pub fn QuestionBars(
    /// What is shown.
    view: View,
) -> impl IntoView {
    let question = Memo::new(move |_| {
        let id = view.question.get()?;
        view.survey.with_value(|survey| survey.question(&id).cloned())
    });
    let options = Memo::new(move |_| question.with(|q| q.as_ref().map(labels).unwrap_or_default()));
    let series = Memo::new(move |_| {
        let all = question
            .with(|question| Some(all_series(view, question.as_ref()?, view.culture.get()?)));
        all.unwrap_or_default()
    });
    let table =
        Memo::new(move |_| options.with(|options| series.with(|series| table(options, series))));
    let title = move || question.with(|q| q.as_ref().map(|q| q.text.clone()).unwrap_or_default());
    let description = move || {
        let code = view.culture.get().map(|code| code.to_string()).unwrap_or_default();
        let people = if view.simulated() { "simulated people" } else { "people" };
        let nominal = question.with(|q| q.as_ref().is_some_and(|q| q.scale == Scale::Nominal));
        let order = if nominal { " Nominal: the options have no order." } else { "" };
        format!("{code}: shares of {people} and each voice’s probability, per option.{order}")
    };
    view! {
        <Figure id="question" title=Signal::derive(title) simulated=view.simulated() table
            description=Signal::derive(description)>
            <div class="choices">
                <QuestionChoice view/>
                <CultureChoice view/>
            </div>
            <Bars options series/>
        </Figure>
    }
    .into_any()
}

fn labels(question: &Question) -> Vec<String> {
    let number = |(index, option): (usize, &String)| {
        let flag = if question.is_dont_know(index) { " (no answer)" } else { "" };
        format!("{}. {option}{flag}", question.number_of(index))
    };
    question.options.iter().enumerate().map(number).collect()
}

/// People first, then the voices in the run's order. Shares are divided by their sum: missing
/// answers are left out of both sides.
fn all_series(view: View, question: &Question, culture: CultureCode) -> Vec<BarSeries> {
    let people = view.survey.with_value(|survey| {
        let shares = normalised(&survey.people(culture, &question.id)?.shares);
        let label = format!("{culture} people");
        Some(BarSeries { label, culture: Some(culture), people: true, plain: false, shares })
    });
    let voices = view.speakers.with(|speakers| {
        let of_culture = speakers.iter().filter(|s| s.speaks_for(culture) && !s.is_crossed());
        of_culture
            .filter_map(|speaker| {
                let answer =
                    speaker.answers.iter().find(|answer| answer.question == question.id)?;
                Some(BarSeries {
                    label: speaker.group.to_string(),
                    culture: speaker.voice.culture,
                    people: false,
                    plain: speaker.voice.adapter.is_none(),
                    shares: answer.probabilities.clone(),
                })
            })
            .collect::<Vec<_>>()
    });
    people.into_iter().chain(voices).collect()
}

fn normalised(shares: &[f64]) -> Vec<f64> {
    let sum: f64 = shares.iter().sum();
    shares.iter().map(|share| if sum > 0.0 { share / sum } else { 0.0 }).collect()
}

fn table(options: &[String], series: &[BarSeries]) -> NumberTable {
    let share = |s: &BarSeries, index: usize| {
        s.shares.get(index).map_or(String::new(), |v| format!("{v:.4}"))
    };
    let row = |(index, option): (usize, &String)| {
        std::iter::once(option.clone()).chain(series.iter().map(|s| share(s, index))).collect()
    };
    NumberTable {
        columns: std::iter::once("option".to_owned())
            .chain(series.iter().map(|series| series.label.clone()))
            .collect(),
        rows: options.iter().enumerate().map(row).collect(),
    }
}

#[component]
fn QuestionChoice(view: View) -> impl IntoView {
    let option = move |question: &&Question| {
        let id = question.id.clone();
        let selected = move || view.question.with(|chosen| chosen.as_ref() == Some(&id));
        let value = question.id.to_string();
        view! { <option value=value prop:selected=selected>{question.text.clone()}</option> }
    };
    let groups = view.survey.with_value(|survey| {
        let evaluated = survey.evaluated();
        let group = |topic: &domain::question::Topic| {
            let own: Vec<_> =
                evaluated.iter().filter(|q| q.topic == topic.id).map(option).collect();
            (!own.is_empty()).then(|| view! { <optgroup label=topic.name.clone()>{own}</optgroup> })
        };
        survey.topics.iter().filter_map(group).collect_view()
    });
    let choose = move |event| view.question.set(Some(QuestionId(event_target_value(&event))));
    view! {
        <label class="field">
            "Question"
            <select data-testid="question-choice" on:change=choose>{groups}</select>
        </label>
    }
}

#[component]
fn CultureChoice(view: View) -> impl IntoView {
    let options = move || {
        let cultures = view
            .survey
            .with_value(|survey| view.speakers.with(|speakers| scores::cultures(survey, speakers)));
        let option = |code: CultureCode| {
            let selected = move || view.culture.get() == Some(code);
            view! { <option value=code.to_string() prop:selected=selected>{code.to_string()}</option> }
        };
        cultures.into_iter().map(option).collect_view()
    };
    view! {
        <label class="field">
            "Culture"
            <select data-testid="question-culture"
                on:change=move |event| view.culture.set(event_target_value(&event).parse().ok())>
                {options}
            </select>
        </label>
    }
}
