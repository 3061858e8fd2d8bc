//! What the model wrote: how many questions were kept, why others were dropped, and some of both.

use leptos::prelude::*;

use super::follow::Followed;
use crate::api::method_run::{GenerateSummary, QuestionSample};
use crate::components::words::grouped;

/// The body of the first step.
#[component]
pub fn Generated(
    /// The run.
    followed: Followed,
) -> impl IntoView {
    let summary = Memo::new(move |_| {
        followed.run.with(|run| run.as_ref().and_then(|run| run.generate.clone()))
    });
    let read = move |of: fn(&GenerateSummary) -> Vec<QuestionSample>| {
        Memo::new(move |_| summary.with(|summary| summary.as_ref().map(of).unwrap_or_default()))
    };
    let (kept, dropped) = (read(|s| s.kept_samples.clone()), read(|s| s.dropped_samples.clone()));
    let some = Memo::new(move |_| summary.with(Option::is_some));
    view! {
        <Show when=move || some.get()>
            {move || summary.get().map(counts)}
            // Apart from the counts: a list that is being read stays open while they change.
            <div class="columns">
                <Samples heading="Read some that were kept" samples=kept testid="kept-samples"/>
                <Samples heading="Read some that were dropped" samples=dropped testid="dropped-samples"/>
            </div>
        </Show>
    }
    .into_any()
}

fn counts(summary: GenerateSummary) -> impl IntoView {
    let reasons = summary.dropped.into_iter().map(|(reason, count)| {
        view! { <div><dt>{why(&reason)}</dt><dd>{grouped(count)}</dd></div> }
    });
    view! {
        <dl class="counts" data-testid="generate-counts">
            <div class="main"><dt>"kept"</dt><dd>{grouped(summary.kept)}</dd></div>
            {reasons.collect_view()}
        </dl>
    }
}

#[component]
fn Samples(
    heading: &'static str,
    samples: Memo<Vec<QuestionSample>>,
    testid: &'static str,
) -> impl IntoView {
    let some = Memo::new(move |_| samples.with(|samples| !samples.is_empty()));
    view! {
        <Show when=move || some.get()>
            <details class="note" data-testid=testid>
                <summary>{heading}</summary>
                <ul class="samples">{move || samples.get().into_iter().map(sample).collect_view()}</ul>
            </details>
        </Show>
    }
    .into_any()
}

fn sample(sample: QuestionSample) -> impl IntoView {
    let (text, options) = match sample.question {
        Some(question) => (question.question, question.options.join(" · ")),
        None => ("No reply could be read as a question.".to_owned(), String::new()),
    };
    let about = match sample.reason {
        Some(reason) => format!("{}: {}", sample.topic, why(&reason)),
        None => sample.topic,
    };
    view! {
        <li>
            <p>{text}</p>
            <p class="meta">{options}</p>
            <p class="meta">{about}</p>
        </li>
    }
}

/// A reason for dropping a question, in words.
fn why(reason: &str) -> String {
    match reason {
        "held-out" => "asks a held-out question".to_owned(),
        "in-survey" => "is in the survey".to_owned(),
        "duplicate" => "was written before".to_owned(),
        "numbers-only" => "has bare numbers as options".to_owned(),
        "unreadable" => "no reply was readable".to_owned(),
        other => other.replace('-', " "),
    }
}
