//! How far the annotators agree, computed in the browser by the same lines as on the server.

use std::sync::Arc;
use std::time::Duration;

use domain::agreement::{Agreement, Estimate, PairAgreement};
use domain::score::Interval;
use leptos::prelude::*;

use super::desk::Desk;
use super::summary::{Summary, summary};

/// Intervals of thousands of items take a moment: they are computed at most this often.
const PAUSE: Duration = Duration::from_millis(700);

/// All coefficients, and those of labels, cultures, topics and pairs of annotators.
#[component]
pub fn AgreementView(
    /// The project.
    desk: Desk,
) -> impl IntoView {
    let found = calm_summary(desk);
    view! {
        <section class="agreement" aria-labelledby="agreement">
            <h2 id="agreement">"Agreement"</h2>
            {move || found.get().map(|summary| match summary.all.shared_items {
                0 => view! {
                    <p class="meta" data-testid="no-agreement">
                        "No item has two judgements that you can see yet."
                    </p>
                }.into_any(),
                _ => view! { <Tables desk summary/> }.into_any(),
            })}
        </section>
    }
    .into_any()
}

/// The summary of the newest state, computed again a while after a change rather than at each.
fn calm_summary(desk: Desk) -> RwSignal<Option<Arc<Summary>>> {
    let compute = move || {
        let found = untrack(|| {
            desk.state
                .with(|state| desk.with_items(|settings, items| summary(settings, state, items)))
        });
        Some(Arc::new(found))
    };
    let found = RwSignal::new(compute());
    let waiting = StoredValue::new(false);
    Effect::new(move |before: Option<()>| {
        desk.state.track();
        if before.is_none() || waiting.get_value() {
            return;
        }
        waiting.set_value(true);
        set_timeout(
            move || {
                // The page may have been left meanwhile.
                if waiting.try_set_value(false).is_none() {
                    let _ = found.try_set(compute());
                }
            },
            PAUSE,
        );
    });
    found
}

#[component]
fn Tables(desk: Desk, summary: Arc<Summary>) -> impl IntoView {
    let all = summary.all.clone();
    let counted = format!(
        "{} judgements of {} items, {} of them judged by two people or more.",
        all.ratings, all.items, all.shared_items
    );
    view! {
        <p class="meta" data-testid="agreement-size">{counted}</p>
        <div class="scroll" tabindex="0" role="region" aria-label="Coefficients">
            <table class="numbers">
                <thead><tr><th scope="col">"Coefficient"</th><th scope="col">"Value"</th>
                    <th scope="col">"95 % interval"</th></tr></thead>
                <tbody>{all.estimates.iter().map(coefficient).collect_view()}</tbody>
            </table>
        </div>
        <Notes all/>
        <Parts name="Label" rows=summary.labels.clone()/>
        <Parts name="Culture" rows=summary.cultures.clone()/>
        <Parts name="Topic" rows=summary.topics.clone()/>
        <Pairs desk rows=summary.pairs.clone()/>
    }
    .into_any()
}

fn coefficient(estimate: &Estimate) -> impl IntoView + use<> {
    let name = serde_json::to_value(estimate.coefficient).unwrap_or_default();
    let name = name.as_str().unwrap_or_default().to_owned();
    view! {
        <tr data-testid="coefficient" data-coefficient=name>
            <th scope="row">{estimate.coefficient.title()}</th>
            <td>{number(estimate.value)}</td>
            <td>{interval(estimate.interval)}</td>
        </tr>
    }
}

/// How each is computed.
#[component]
fn Notes(all: Agreement) -> impl IntoView {
    let entry = |estimate: &Estimate| {
        let (title, text) = (estimate.coefficient.title(), estimate.coefficient.explanation());
        view! { <p><strong>{title}</strong>": "{text}</p> }
    };
    view! {
        <details class="note">
            <summary>"How is this computed?"</summary>
            {all.estimates.iter().map(entry).collect_view()}
            <p>"Intervals are percentiles of 2,000 resamples of the items. Where people judged different
                items, only shared ones tell about agreement."</p>
        </details>
    }
    .into_any()
}

#[component]
fn Parts(name: &'static str, rows: Vec<(String, Agreement)>) -> impl IntoView {
    let heads: Vec<&str> = rows
        .first()
        .map(|(_, first)| first.estimates.iter().map(|e| e.coefficient.title()).collect())
        .unwrap_or_default();
    let row = |(part, found): (String, Agreement)| {
        let cell = |estimate: &Estimate| {
            view! { <td>{format!("{} {}", number(estimate.value), interval(estimate.interval))}</td> }
        };
        let name = part.clone();
        view! {
            <tr data-testid="agreement-part" data-part=name>
                <th scope="row">{part}</th>
                <td>{found.shared_items}</td>
                {found.estimates.iter().map(cell).collect_view()}
            </tr>
        }
    };
    (!rows.is_empty()).then(|| view! {
        <h3>{format!("By {}", name.to_lowercase())}</h3>
        <div class="scroll" tabindex="0" role="region" aria-label=format!("Agreement by {name}")>
            <table class="numbers">
                <thead><tr>
                    <th scope="col">{name}</th><th scope="col">"Shared items"</th>
                    {heads.into_iter().map(|head| view! { <th scope="col">{head}</th> }).collect_view()}
                </tr></thead>
                <tbody>{rows.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    })
}

#[component]
fn Pairs(
    desk: Desk,
    rows: Vec<(domain::annotation::MemberId, domain::annotation::MemberId, PairAgreement)>,
) -> impl IntoView {
    let row = move |(first, second, found): (_, _, PairAgreement)| {
        view! {
            <tr data-testid="pair">
                <th scope="row">{move || format!("{} and {}", desk.name_of(&first), desk.name_of(&second))}</th>
                <td>{found.items}</td>
                <td>{number(found.percent)}</td>
                <td>{format!("{} {}", number(found.kappa), interval(found.kappa_interval))}</td>
            </tr>
        }
    };
    (!rows.is_empty()).then(|| {
        view! {
            <h3>"By pair of annotators"</h3>
            <div class="scroll" tabindex="0" role="region" aria-label="Agreement by pair">
                <table class="numbers">
                    <thead><tr>
                        <th scope="col">"Pair"</th><th scope="col">"Shared items"</th>
                        <th scope="col">"Percent agreement"</th><th scope="col">"Cohen’s kappa"</th>
                    </tr></thead>
                    <tbody>{rows.into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
            <details class="note">
                <summary>"How is this computed?"</summary>
                <p>
                    <strong>"Cohen’s kappa"</strong>": of the items that both have judged, (observed − expected)
                    / (1 − expected), where observed is the share on which they agree, and expected is how
                    often they would by chance, each using every label as often as they do. 1 is full
                    agreement, 0 is chance. A dash stands where both use one label only."
                </p>
                <p>"Attention checks are left out, here and in all other numbers of this page."</p>
            </details>
        }
    })
}

/// Two decimals, or a dash for what isn't defined.
fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
}

fn interval(interval: Option<Interval>) -> String {
    interval.map_or_else(String::new, |found| format!("[{:.2}, {:.2}]", found.low, found.high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_defined_is_a_dash() {
        assert_eq!((number(Some(0.714)).as_str(), number(None).as_str()), ("0.71", "–"));
        let found = Interval { low: -0.1, high: 1.0 };
        assert_eq!(interval(Some(found)), "[-0.10, 1.00]");
        assert_eq!(interval(None), "");
    }
}
