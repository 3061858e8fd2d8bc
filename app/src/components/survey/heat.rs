//! Cultures by topics, for one kind of voice. A picked cell opens a question of that topic.

use std::collections::BTreeSet;

use domain::question::Topic;
use leptos::prelude::*;

use super::plan::Kind;
use super::results::View;
use super::scores;
use crate::browser;
use crate::charts::{Figure, HeatMap, HeatRow, NumberTable};

/// The heat map with the choice of kind.
#[component]
pub fn TopicMap(
    /// What is shown.
    view: View,
) -> impl IntoView {
    let kinds: Vec<Kind> = view.run.with_value(|run| {
        let kinds: BTreeSet<Kind> = run.info.voices.iter().map(Kind::of).collect();
        kinds.into_iter().collect()
    });
    // The tuned voices are what people come to see.
    let kind =
        RwSignal::new(kinds.iter().rev().find(|k| **k != Kind::Unaware).or(kinds.last()).cloned());
    let topics = Memo::new(move |_| {
        view.topics.with(|chosen| {
            view.survey.with_value(|survey| {
                survey.topics.iter().filter(|t| chosen.contains(&t.id)).cloned().collect::<Vec<_>>()
            })
        })
    });
    let rows = Memo::new(move |_| topics.with(|topics| heat_rows(view, kind.get(), topics)));
    let columns =
        Memo::new(move |_| topics.with(|t| t.iter().map(|t| t.name.clone()).collect::<Vec<_>>()));
    let table = Memo::new(move |_| rows.with(|rows| columns.with(|columns| table(rows, columns))));
    let title = move || {
        let kind = kind.get().map_or_else(String::new, |kind| kind.to_string());
        format!("Cultures by topics, {kind}: {}", view.metric.get().title())
    };
    let pick = move |(row, column): (usize, usize)| {
        let culture = rows.with_untracked(|rows| rows.get(row).map(|row| row.culture));
        let topic = topics.with_untracked(|topics| topics.get(column).map(|t| t.id.clone()));
        let question = view.survey.with_value(|survey| {
            let first = survey.evaluated().into_iter().find(|q| Some(&q.topic) == topic.as_ref());
            first.map(|question| question.id.clone())
        });
        view.culture.set(culture);
        view.question.set(question);
        browser::reveal("question");
    };
    let options = StoredValue::new(kinds.clone());
    let choose = move |event| {
        let index = event_target_value(&event).parse::<usize>().ok();
        kind.set(index.and_then(|index| options.with_value(|kinds| kinds.get(index).cloned())));
    };
    view! {
        <Figure id="heat-map" title=Signal::derive(title) simulated=view.simulated() table
            description="× 100; the darker a cell, the closer to people. Arrow keys move, Enter or a \
                click opens a question of that topic below.">
            <label class="field">
                "Voices"
                <select data-testid="heat-kind" on:change=choose>
                    {kinds.into_iter().enumerate().map(|(index, option)| {
                        let selected = kind.get_untracked().as_ref() == Some(&option);
                        view! { <option value=index.to_string() selected=selected>{option.to_string()}</option> }
                    }).collect_view()}
                </select>
            </label>
            <HeatMap label=Signal::derive(title) columns rows on_pick=pick/>
        </Figure>
    }
    .into_any()
}

fn heat_rows(view: View, kind: Option<Kind>, topics: &[Topic]) -> Vec<HeatRow> {
    let Some(kind) = kind else { return Vec::new() };
    let scored = view.survey.with_value(|survey| {
        view.run.with_value(|run| scores::by_topic(survey, run, view.metric.get(), &kind))
    });
    scored
        .into_iter()
        .map(|(culture, by_topic)| HeatRow {
            culture,
            values: topics.iter().map(|topic| by_topic.get(&topic.id).copied()).collect(),
        })
        .collect()
}

fn table(rows: &[HeatRow], columns: &[String]) -> NumberTable {
    let value = |v: &Option<f64>| v.map_or(String::new(), |v| format!("{:.2}", v * 100.0));
    let row = |row: &HeatRow| {
        std::iter::once(row.culture.to_string()).chain(row.values.iter().map(value)).collect()
    };
    NumberTable {
        columns: std::iter::once("culture".to_owned()).chain(columns.iter().cloned()).collect(),
        rows: rows.iter().map(row).collect(),
    }
}
