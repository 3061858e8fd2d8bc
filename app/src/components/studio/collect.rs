//! Where naming a culture changes the answer: counts, a map of cultures by topics, some instances.

use leptos::prelude::*;

use super::follow::Followed;
use crate::api::method_run::{CollectSummary, InstanceSample};
use crate::charts::{Figure, HeatMap, HeatRow, NumberTable};
use crate::color;
use crate::components::words::grouped;

/// The body of the third step.
#[component]
pub fn Collected(
    /// The run.
    followed: Followed,
) -> impl IntoView {
    let summary = Memo::new(move |_| {
        followed.run.with(|run| run.as_ref().and_then(|run| run.collect.clone()))
    });
    move || summary.get().map(body)
}

fn body(summary: CollectSummary) -> impl IntoView {
    let counts = [
        ("instances", summary.instances),
        ("same answer", summary.consistent),
        ("unreadable", summary.unreadable),
    ];
    let counts = counts.into_iter().enumerate().map(|(place, (name, count))| {
        let class = if place == 0 { "main" } else { "" };
        view! { <div class=class><dt>{name}</dt><dd>{grouped(count)}</dd></div> }
    });
    let columns = summary.topics.clone();
    let rows: Vec<HeatRow> = summary
        .rows
        .iter()
        .map(|row| HeatRow { culture: row.culture, values: row.shares.clone() })
        .collect();
    let table = table(&summary);
    let title = "How often naming the culture changes the answer";
    view! {
        <dl class="counts" data-testid="collect-counts">{counts.collect_view()}</dl>
        <div class="map-and-samples">
            <Figure id="inconsistency" title simulated=false table=Signal::stored(table)
                description="Instances per readable pair, × 100; the darker, the more often the two \
                    answers differ. Arrow keys move.">
                <HeatMap label=title columns=Signal::stored(columns) rows=Signal::stored(rows)
                    on_pick=|_| {}/>
            </Figure>
            <section aria-labelledby="instances" data-testid="instance-samples">
                <h3 id="instances">"Some instances"</h3>
                <ul class="samples">{summary.samples.into_iter().map(sample).collect_view()}</ul>
            </section>
        </div>
    }
}

fn sample(sample: InstanceSample) -> impl IntoView {
    view! {
        <li style=color::style(Some(sample.culture))>
            <p>
                <span class="swatch" aria-hidden="true"></span>
                " "<strong>{sample.culture.to_string()}</strong>" "{sample.question}
            </p>
            <p class="meta">
                "without a culture: "{sample.unaware}" → as "{sample.culture.to_string()}": "
                <strong>{sample.aware}</strong>
            </p>
        </li>
    }
}

fn table(summary: &CollectSummary) -> NumberTable {
    let share = |share: &Option<f64>| share.map_or(String::new(), |s| format!("{:.1}", s * 100.0));
    let row = |row: &crate::api::method_run::InconsistencyRow| {
        std::iter::once(row.culture.to_string()).chain(row.shares.iter().map(share)).collect()
    };
    NumberTable {
        columns: std::iter::once("culture".to_owned()).chain(summary.topics.clone()).collect(),
        rows: summary.rows.iter().map(row).collect(),
    }
}
