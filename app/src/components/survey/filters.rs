//! Metric and topics of what is shown.

use std::collections::BTreeSet;

use domain::question::{Topic, TopicId};
use domain::score::Metric;
use leptos::prelude::*;

use super::new_run::toggle;
use super::results::View;

/// Chooses metric and topics.
#[component]
pub fn Filters(
    /// What is shown.
    view: View,
) -> impl IntoView {
    let options = Metric::ALL
        .map(|metric| view! { <option value=metric.as_str()>{metric.title()}</option> })
        .collect_view();
    let choose = move |event| {
        if let Ok(metric) = event_target_value(&event).parse() {
            view.metric.set(metric);
        }
    };
    view! {
        <div class="filters">
            <div class="metric">
                <label class="field">
                    "Metric"
                    <select data-testid="metric" on:change=choose>{options}</select>
                </label>
                <details class="note">
                    <summary>"How is this computed?"</summary>
                    <p>{move || view.metric.get().explanation()}</p>
                    <p>
                        "Shown × 100, in your browser, from the raw answers. Intervals: 95 %,
                        bootstrap over questions; differences are paired."
                    </p>
                </details>
            </div>
            <Topics view/>
        </div>
    }
    .into_any()
}

#[component]
fn Topics(view: View) -> impl IntoView {
    // Topics that the run never asked about are not offered.
    let offered = StoredValue::new(view.topics.get_untracked());
    let topics: Vec<Topic> = view.survey.with_value(|survey| {
        let asked = |topic: &&Topic| offered.with_value(|offered| offered.contains(&topic.id));
        survey.topics.iter().filter(asked).cloned().collect()
    });
    let boxes = topics.into_iter().map(|topic| {
        let (id, here) = (topic.id.clone(), topic.id.clone());
        view! {
            <label>
                <input type="checkbox" value=topic.id.to_string() data-testid="topic"
                    prop:checked=move || view.topics.with(|chosen| chosen.contains(&here))
                    on:change=move |_| toggle(view.topics, id.clone())/>
                {topic.name}
            </label>
        }
    });
    let set = move |topics: BTreeSet<TopicId>| view.topics.set(topics);
    view! {
        <fieldset class="topics">
            <legend>"Topics"</legend>
            <p class="presets">
                <button type="button" class="quiet" data-testid="all-topics"
                    on:click=move |_| set(offered.get_value())>"All"</button>
                <button type="button" class="quiet" data-testid="no-topics"
                    on:click=move |_| set(BTreeSet::new())>"None"</button>
            </p>
            <div class="topic-list">{boxes.collect_view()}</div>
        </fieldset>
    }
    .into_any()
}
