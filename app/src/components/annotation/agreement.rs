//! How far the annotators agree, computed in the browser by the same lines as on the server.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::agreement::{Agreement, Estimate, PairAgreement};
use domain::annotation::MemberId;
use domain::score::Interval;
use leptos::prelude::*;

use super::calm::calm;
use super::desk::Desk;
use super::summary::{Summary, pair_interval, summary};

/// Pairs of members whose interval was asked for.
type Asked = RwSignal<BTreeSet<(MemberId, MemberId)>>;

/// All coefficients, and those of labels, cultures, topics and pairs of annotators.
#[component]
pub fn AgreementView(
    /// The project.
    desk: Desk,
) -> impl IntoView {
    let found = calm(desk, |settings, state, items| Arc::new(summary(settings, state, items)));
    let asked = Asked::default();
    view! {
        <section class="agreement" aria-labelledby="agreement">
            <h2 id="agreement">"Agreement"</h2>
            {move || {
                let summary = found.get();
                match summary.all.shared_items {
                    0 => view! {
                        <p class="meta" data-testid="no-agreement">
                            "No item has two judgements that you can see yet."
                        </p>
                    }.into_any(),
                    _ => view! { <Tables desk summary asked/> }.into_any(),
                }
            }}
        </section>
    }
    .into_any()
}

#[component]
fn Tables(desk: Desk, summary: Arc<Summary>, asked: Asked) -> impl IntoView {
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
        <Pairs desk summary asked/>
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
fn Pairs(desk: Desk, summary: Arc<Summary>, asked: Asked) -> impl IntoView {
    let row = move |(first, second, found): (MemberId, MemberId, PairAgreement)| {
        let pair = (first.clone(), second.clone());
        view! {
            <tr data-testid="pair">
                <th scope="row">{move || format!("{} and {}", desk.name_of(&first), desk.name_of(&second))}</th>
                <td>{found.items}</td>
                <td>{number(found.percent)}</td>
                <td>{number(found.kappa)}</td>
                <td><PairInterval desk pair asked/></td>
            </tr>
        }
    };
    let rows = summary.pairs.clone();
    let more = summary.pair_count.saturating_sub(rows.len());
    let more = (more > 0).then(|| view! {
        <p class="meta" data-testid="more-pairs">
            {format!("The {} pairs with the most shared items, of {}.", rows.len(), summary.pair_count)}
        </p>
    });
    (!rows.is_empty()).then(|| {
        view! {
            <h3>"By pair of annotators"</h3>
            <div class="scroll" tabindex="0" role="region" aria-label="Agreement by pair">
                <table class="numbers">
                    <thead><tr>
                        <th scope="col">"Pair"</th><th scope="col">"Shared items"</th>
                        <th scope="col">"Percent agreement"</th><th scope="col">"Cohen’s kappa"</th>
                        <th scope="col">"95 % interval"</th>
                    </tr></thead>
                    <tbody>{rows.into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
            {more}
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

/// The interval of a pair: resampling takes a moment, so it waits until somebody wants to know it.
#[component]
fn PairInterval(desk: Desk, pair: (MemberId, MemberId), asked: Asked) -> impl IntoView {
    let known = pair.clone();
    let wanted = Memo::new(move |_| asked.with(|asked| asked.contains(&known)));
    move || {
        let pair = pair.clone();
        if !wanted.get() {
            let ask = move |_| {
                asked.update(|asked| {
                    asked.insert(pair.clone());
                });
            };
            return view! {
                <button type="button" class="quiet" data-testid="pair-interval" on:click=ask>
                    "Show"
                </button>
            }
            .into_any();
        }
        let found = untrack(|| {
            desk.state.with(|state| {
                desk.with_items(|settings, items| {
                    pair_interval(settings, state, items, (&pair.0, &pair.1))
                })
            })
        });
        match found {
            Some(_) => interval(found).into_any(),
            None => "–".into_any(),
        }
    }
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
