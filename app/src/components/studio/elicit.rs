//! What was answered: how many pairs, how many say something, and some to read.

use leptos::prelude::*;

use super::follow::Followed;
use crate::api::method_run::{ChosenOption, ElicitSummary, PairSample};
use crate::color;
use crate::components::words::grouped;

/// The body of the second step.
#[component]
pub fn Elicited(
    /// The run.
    followed: Followed,
) -> impl IntoView {
    let summary = Memo::new(move |_| {
        followed.run.with(|run| run.as_ref().and_then(|run| run.elicit.clone()))
    });
    let samples = Memo::new(move |_| {
        summary.with(|summary| summary.as_ref().map(|s| s.samples.clone()).unwrap_or_default())
    });
    let some = Memo::new(move |_| samples.with(|samples| !samples.is_empty()));
    view! {
        {move || summary.get().map(counts)}
        // Apart from the counts: a list that is being read stays open while they change.
        <Show when=move || some.get()>
            <details class="note" data-testid="elicit-samples">
                <summary>"Read some answers"</summary>
                <ul class="samples">{move || samples.get().into_iter().map(sample).collect_view()}</ul>
            </details>
        </Show>
    }
    .into_any()
}

fn counts(summary: ElicitSummary) -> impl IntoView {
    view! {
        <dl class="counts" data-testid="elicit-counts">
            <div class="main"><dt>"pairs asked"</dt><dd>{grouped(summary.pairs)}</dd></div>
            <div><dt>"readable"</dt><dd>{grouped(summary.readable)}</dd></div>
            <div><dt>"without an opinion"</dt><dd>{grouped(summary.no_opinion)}</dd></div>
        </dl>
        <p class="meta">
            "A pair is one question, answered without a culture and as one. Without an opinion: one of the two
            can’t be read, or says “don’t know”."
        </p>
    }
}

fn sample(sample: PairSample) -> impl IntoView {
    let code = sample.culture.to_string();
    view! {
        <li style=color::style(Some(sample.culture))>
            <p>
                <span class="swatch" aria-hidden="true"></span>
                " "<strong>{code.clone()}</strong>" "{sample.question}
            </p>
            <p class="meta">
                "without a culture: "{chosen(sample.unaware.as_ref())}" → as "{code}": "
                <strong>{chosen(sample.aware.as_ref())}</strong>
            </p>
        </li>
    }
}

/// `Agree (72 %)`.
fn chosen(option: Option<&ChosenOption>) -> String {
    match option {
        Some(ChosenOption { text, share }) => format!("{text} ({:.0} %)", share * 100.0),
        None => "no readable reply".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_its_share_or_says_that_there_is_none() {
        let agree = ChosenOption { text: "Agree".to_owned(), share: 0.7249 };
        assert_eq!(chosen(Some(&agree)), "Agree (72 %)");
        assert_eq!(chosen(None), "no readable reply");
    }
}
