//! Cultures by topics, for one kind of voice. A picked cell opens a question of that topic.

use std::collections::BTreeSet;

use domain::question::Topic;
use leptos::prelude::*;

use super::group_choice::GroupChoice;
use super::plan::Kind;
use super::results::View;
use super::scores;
use super::speaker::Group;
use crate::browser;
use crate::charts::{Figure, HeatMap, HeatRow, NumberTable};

/// The heat map with the choice of kind.
#[component]
pub fn TopicMap(
    /// What is shown.
    view: View,
) -> impl IntoView {
    let groups = Memo::new(move |_| {
        view.speakers.with(|speakers| {
            let shown = speakers.iter().filter(|speaker| !speaker.is_crossed());
            let groups: BTreeSet<Group> = shown.map(|speaker| speaker.group.clone()).collect();
            groups.into_iter().collect::<Vec<_>>()
        })
    });
    let picked = RwSignal::new(None::<Group>);
    // The tuned voices are what people come to see.
    let group = Memo::new(move |_| {
        let picked = picked.get();
        groups.with(|groups| {
            let tuned = groups.iter().rev().find(|group| group.kind != Kind::Unaware);
            picked.filter(|picked| groups.contains(picked)).or(tuned.or(groups.last()).cloned())
        })
    });
    let topics = Memo::new(move |_| {
        view.topics.with(|chosen| {
            view.survey.with_value(|survey| {
                survey.topics.iter().filter(|t| chosen.contains(&t.id)).cloned().collect::<Vec<_>>()
            })
        })
    });
    let rows = Memo::new(move |_| topics.with(|topics| heat_rows(view, group.get(), topics)));
    let columns =
        Memo::new(move |_| topics.with(|t| t.iter().map(|t| t.name.clone()).collect::<Vec<_>>()));
    let table = Memo::new(move |_| rows.with(|rows| columns.with(|columns| table(rows, columns))));
    let title = move || {
        let group = group.get().map_or_else(String::new, |group| group.to_string());
        format!("Cultures by topics, {group}: {}", view.metric.get().title())
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
    view! {
        <Figure id="heat-map" title=Signal::derive(title) simulated=view.simulated() table
            description="× 100; the darker a cell, the closer to people. Arrow keys move, Enter or a \
                click opens a question of that topic below.">
            <GroupChoice testid="heat-kind" groups group picked/>
            <HeatMap label=Signal::derive(title) columns rows on_pick=pick/>
        </Figure>
    }
    .into_any()
}

fn heat_rows(view: View, group: Option<Group>, topics: &[Topic]) -> Vec<HeatRow> {
    let Some(group) = group else { return Vec::new() };
    let scored = view.survey.with_value(|survey| {
        let metric = view.metric.get();
        view.speakers.with(|speakers| scores::by_topic(survey, speakers, metric, &group))
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
