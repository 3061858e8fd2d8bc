//! Who is here, how far the project is, and whether this browser is in step.

use domain::culture::CultureCode;
use leptos::prelude::*;

use super::desk::Desk;
use super::item::CultureTag;
use super::refused::RefusedActs;
use super::summary::{Progress, progress};
use crate::components::ErrorNote;

/// One line over every view of a project.
#[component]
pub fn Presence(
    /// The project.
    desk: Desk,
) -> impl IntoView {
    view! {
        <div class="presence">
            <Connection desk/>
            <ul class="here" aria-label="Here now" data-testid="present">
                {move || desk.present.get().into_iter().map(|present| {
                    let name = desk.name_of(&present.member);
                    let on = present.item.map(|item| format!(" · {item}")).unwrap_or_default();
                    view! {
                        <li class="chip" data-testid="present-member">
                            {name}<span class="meta">{on}</span>
                        </li>
                    }
                }).collect_view()}
            </ul>
            <CultureProgress desk/>
            <Refusals desk/>
            <RefusedActs desk/>
        </div>
    }
    .into_any()
}

/// In step, handing in, or cut off.
#[component]
fn Connection(desk: Desk) -> impl IntoView {
    let waiting = move || desk.outbox.with(Vec::len);
    let state = Memo::new(move |_| match (desk.connected.get(), waiting()) {
        (true, 0) => "in-step",
        (true, _) => "handing-in",
        (false, _) => "cut-off",
    });
    let words = move || match (state.get(), waiting()) {
        ("in-step", _) => "Everything is saved".to_owned(),
        ("handing-in", count) => format!("Saving {count}"),
        (_, 0) => "Connecting".to_owned(),
        (_, count) => format!("No connection: {count} kept here, handed in when it is back"),
    };
    view! {
        <p class="connection" role="status" data-testid="connection" data-state=state>
            <span class="dot" aria-hidden="true"></span>{words}
        </p>
    }
}

#[component]
fn CultureProgress(desk: Desk) -> impl IntoView {
    let all = Memo::new(move |_| {
        desk.state.with(|state| {
            let rows = desk.with_items(|settings, items| progress(settings, state, items));
            rows.into_iter().collect::<Vec<(CultureCode, Progress)>>()
        })
    });
    let row = |(culture, progress): (CultureCode, Progress)| {
        let Progress { wanted, complete, judgements, .. } = progress;
        view! {
            <li data-testid="progress" data-complete=complete.to_string()
                data-judgements=judgements.to_string()>
                <CultureTag culture/>
                <progress max=wanted.to_string() value=complete.min(wanted).to_string()
                    aria-label=format!("{culture}: complete items")></progress>
                <span class="meta">{format!("{complete} of {wanted} complete, {}", counted(judgements))}</span>
            </li>
        }
    };
    view! { <ul class="culture-progress">{move || all.get().into_iter().map(row).collect_view()}</ul> }
}

fn counted(judgements: usize) -> String {
    if judgements == 1 { "1 judgement".to_owned() } else { format!("{judgements} judgements") }
}

#[component]
fn Refusals(desk: Desk) -> impl IntoView {
    view! {
        {move || desk.refusals.with(|all| all.last().cloned()).map(|error| view! {
            <div class="refusal">
                <ErrorNote error/>
                <button type="button" class="quiet" on:click=move |_| desk.refusals.set(Vec::new())>
                    "Understood"
                </button>
            </div>
        })}
    }
}
