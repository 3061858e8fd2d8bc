//! Disagreements and single items: what everybody said, and the decision.

use domain::annotation::{
    Act, Basis, Item, ItemId, Judgement, LabelId, Verdict, disagreements, verdict,
};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::calm::calm;
use super::comments::Comments;
use super::desk::Desk;
use super::item::{ItemText, Options};
use crate::api::ApiError;
use crate::components::ErrorNote;
use crate::link;

/// Most disagreements that are listed at once: each follows what is said of its item.
const MOST_LISTED: usize = 100;

/// The queue of disagreements beside the item that the address names.
#[component]
pub fn Items(
    /// The project.
    desk: Desk,
    /// The item that the address names.
    shown: Memo<Option<String>>,
) -> impl IntoView {
    let queue = calm(desk, disagreements);
    let listed =
        move || queue.with(|queue| queue.iter().take(MOST_LISTED).cloned().collect::<Vec<_>>());
    let count = move || match queue.with(Vec::len) {
        0 => "No disagreement waits for a decision.".to_owned(),
        1 => "One item waits for a decision.".to_owned(),
        count if count > MOST_LISTED => {
            format!("{count} items wait for a decision. Here are the {MOST_LISTED} most divided.")
        }
        count => format!("{count} items wait for a decision, the most divided first."),
    };
    view! {
        <div class="items">
            <section aria-labelledby="queue">
                <h2 id="queue">"Disagreements"</h2>
                <p class="meta" role="status" data-testid="queue-size">{count}</p>
                <ul class="queue">
                    <For each=listed key=|item| item.clone() let:item>
                        <QueueEntry desk item shown/>
                    </For>
                </ul>
            </section>
            {move || shown.get().map(|id| {
                view! { <OneItem desk id=ItemId(id) body=whole/> }
            })}
        </div>
    }
    .into_any()
}

#[component]
fn QueueEntry(desk: Desk, item: ItemId, shown: Memo<Option<String>>) -> impl IntoView {
    let address = format!("?view=items&item={}", link::escape(item.as_str()));
    let name = item.to_string();
    let here = move || (shown.get().as_deref() == Some(name.as_str())).then_some("true");
    let of = item.clone();
    let opinions = move || {
        desk.state.with(|state| {
            let judgements = state.record(&of).map(|record| record.judgements());
            let labels = judgements.into_iter().flatten().map(|(_, judgement)| &judgement.label);
            labels.map(|label| label_name(desk, label)).collect::<Vec<_>>().join(" · ")
        })
    };
    view! {
        <li data-testid="disagreement" data-item=item.to_string()>
            <a href=address aria-current=here>{item.to_string()}</a>
            <span class="meta">{opinions}</span>
        </li>
    }
}

/// The name of a label; its identifier where the project has no such label.
pub(super) fn label_name(desk: Desk, label: &LabelId) -> String {
    desk.settings.with(|settings| {
        let known = settings.label(label);
        known.map_or_else(|| label.to_string(), |label| label.name.clone())
    })
}

/// An item, fetched by its identifier.
#[component]
pub(super) fn OneItem(
    /// The project.
    desk: Desk,
    /// Which item.
    id: ItemId,
    /// What is shown of it.
    body: fn(Desk, Item) -> AnyView,
) -> impl IntoView {
    let item = RwSignal::new(None::<Result<Item, ApiError>>);
    let (annotation, key) = (desk.annotation.get_value(), desk.key.get_value());
    let wanted = id.clone();
    spawn_local(async move {
        let found = annotation.item(key, wanted).await;
        // The view may be gone by now.
        let _ = item.try_set(Some(found));
    });
    view! {
        <section class="one-item" aria-label=format!("Item {id}") data-testid="one-item" data-item=id.to_string()>
            {move || match item.get() {
                None => view! { <p class="meta">"Loading the item"</p> }.into_any(),
                Some(Err(error)) => view! { <ErrorNote error/> }.into_any(),
                Some(Ok(item)) => body(desk, item),
            }}
        </section>
    }
    .into_any()
}

/// An item with everything that was said of it.
fn whole(desk: Desk, item: Item) -> AnyView {
    let (chosen, id) = (RwSignal::new(None), item.id.clone());
    let decides = move || desk.member().is_some_and(|member| member.role.adjudicates());
    let (of_words, of_verdict, of_decision) =
        (id.clone(), id.clone(), StoredValue::new(id.clone()));
    view! {
        <article class="item">
            <ItemText item=item.clone()/>
            <Options item chosen/>
        </article>
        <Opinions desk item=of_words/>
        <p data-testid="verdict">{move || verdict_of(desk, &of_verdict)}</p>
        <Show when=decides><Decision desk item=of_decision.get_value() chosen/></Show>
        <Comments desk item=id/>
    }
    .into_any()
}

fn verdict_of(desk: Desk, item: &ItemId) -> String {
    let found = desk.state.with(|state| {
        desk.with_items(|settings, items| {
            verdict(settings, state, items.iter().find(|info| info.id == *item)?)
        })
    });
    match found {
        None => "No verdict yet.".to_owned(),
        Some(Verdict { label, basis, .. }) => {
            let why = match basis {
                Basis::Adjudicated => "decided by an adjudicator",
                Basis::Unanimous => "unanimous",
                Basis::Majority => "by majority",
            };
            format!("Verdict: {}, {why}.", label_name(desk, &label))
        }
    }
}

/// Who said what.
#[component]
fn Opinions(desk: Desk, item: ItemId) -> impl IntoView {
    let opinions = Memo::new(move |_| {
        desk.state.with(|state| {
            let judgements = state.record(&item).map(|record| record.judgements());
            let owned =
                judgements.into_iter().flatten().map(|(who, said)| (who.clone(), said.clone()));
            owned.collect::<Vec<_>>()
        })
    });
    let row = move |(who, said): (domain::annotation::MemberId, Judgement)| {
        let option = said.option.map(|option| format!(", people would say {option}"));
        view! {
            <li data-testid="opinion">
                <span class="who">{move || desk.name_of(&who)}</span>
                {move || label_name(desk, &said.label)}{option.unwrap_or_default()}
            </li>
        }
    };
    view! {
        <ul class="opinions" aria-label="Judgements">
            {move || opinions.get().into_iter().map(row).collect_view()}
        </ul>
    }
    .into_any()
}

/// The decision of an adjudicator.
#[component]
fn Decision(desk: Desk, item: ItemId, chosen: RwSignal<Option<u32>>) -> impl IntoView {
    let item = StoredValue::new(item);
    let button = move |label: domain::annotation::Label| {
        let id = label.id.clone();
        view! {
            <button type="button" class="outlined" data-testid="decide" data-label=label.id.to_string()
                on:click=move |_| {
                    let option = chosen.get_untracked();
                    let judgement = Judgement { option, ..Judgement::of(id.clone()) };
                    desk.act(&item.get_value(), Act::Adjudicated(judgement));
                }>{label.name}</button>
        }
    };
    let decided = move || {
        desk.state.with(|state| {
            item.with_value(|item| state.record(item).is_some_and(|r| r.adjudication().is_some()))
        })
    };
    view! {
        <div class="decision" role="group" aria-label="Decide">
            <p class="meta">"Decide for all:"</p>
            {move || desk.labels().into_iter().map(button).collect_view()}
            <Show when=decided>
                <button type="button" class="quiet" data-testid="reopen"
                    on:click=move |_| desk.act(&item.get_value(), Act::Reopened)>
                    "Take the decision back"
                </button>
            </Show>
        </div>
    }
    .into_any()
}
