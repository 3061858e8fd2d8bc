//! Who is here, how far the project is, and whether this browser is in step.

use std::collections::BTreeMap;

use domain::culture::CultureCode;
use leptos::prelude::*;

use super::calm::calm;
use super::desk::Desk;
use super::item::CultureTag;
use super::refused::RefusedActs;
use super::summary::{Progress, progress, total};
use crate::api::annotation::Present;
use crate::components::ErrorNote;

/// One line over every view of a project; the rest, which may be long and changes all the time, only when
/// somebody asks for it.
#[component]
pub fn Presence(
    /// The project.
    desk: Desk,
) -> impl IntoView {
    view! {
        <div class="presence">
            <Connection desk/>
            <Overview desk/>
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
    let words = move || connection(state.get(), waiting(), desk.kept.get());
    view! {
        <p class="connection" role="status" data-testid="connection" data-state=state>
            <span class="dot" aria-hidden="true"></span>{words}
        </p>
    }
}

/// What is said of the connection while so many acts wait; `kept` says whether the browser keeps them.
fn connection(state: &str, waiting: usize, kept: bool) -> String {
    const NOT_KEPT: &str = "This browser keeps nothing, so leave the page open";
    match (state, waiting, kept) {
        ("in-step", ..) => "Everything is saved".to_owned(),
        ("handing-in", count, true) => format!("Saving {count}"),
        ("handing-in", count, false) => format!("Saving {count}. {NOT_KEPT}"),
        (_, 0, _) => "Connecting".to_owned(),
        (_, count, true) => format!("No connection: {count} kept here, handed in when it is back"),
        (_, count, false) => format!("No connection: {count} to be handed in. {NOT_KEPT}"),
    }
}

/// How many are here and how far one's own cultures are; opened, who is where, and every culture.
#[component]
fn Overview(desk: Desk) -> impl IntoView {
    let all = calm(desk, progress);
    let open = RwSignal::new(false);
    let here = move || desk.present.with(Vec::len);
    let line = Memo::new(move |_| {
        let own = desk.member().map(|member| member.cultures).unwrap_or_default();
        all.with(|all| summed(&total(all, |culture| own.contains(culture))))
    });
    let toggled = move |event: leptos::ev::Event| {
        open.set(event_target::<leptos::web_sys::Element>(&event).has_attribute("open"));
    };
    view! {
        <details class="overview" on:toggle=toggled>
            <summary data-testid="overview">
                <span data-testid="present" data-count=move || here().to_string()>
                    {move || format!("{} here", here())}
                </span>
                {move || format!(" · {}", line.get())}
            </summary>
            <Show when=move || open.get()><Here desk/></Show>
            <CultureProgress all/>
        </details>
    }
    .into_any()
}

/// The progress of some cultures in a few words.
fn summed((cultures, progress): &(Vec<CultureCode>, Progress)) -> String {
    let of = match &cultures[..] {
        [] => String::new(),
        [one] => format!(" in {one}"),
        _ => " in your cultures".to_owned(),
    };
    format!("{} of {} complete{of}", progress.complete, progress.wanted)
}

/// Who is here, and on which item.
#[component]
fn Here(desk: Desk) -> impl IntoView {
    let one = move |present: Present| {
        let name = desk.name_of(&present.member);
        let on = present.item.map(|item| format!(" · {item}")).unwrap_or_default();
        view! {
            <li class="chip" data-testid="present-member">
                {name}<span class="meta">{on}</span>
            </li>
        }
    };
    view! {
        <ul class="here" aria-label="Here now">
            {move || desk.present.get().into_iter().map(one).collect_view()}
        </ul>
    }
}

#[component]
fn CultureProgress(all: RwSignal<BTreeMap<CultureCode, Progress>>) -> impl IntoView {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_close_the_page_is_told() {
        for (state, waiting, kept, says) in [
            ("in-step", 0, false, "Everything is saved"),
            ("handing-in", 3, true, "Saving 3"),
            ("handing-in", 3, false, "leave the page open"),
            ("cut-off", 0, true, "Connecting"),
            ("cut-off", 2, true, "2 kept here"),
            ("cut-off", 2, false, "2 to be handed in. This browser keeps nothing"),
        ] {
            let words = connection(state, waiting, kept);
            assert!(words.contains(says), "{words}");
        }
    }

    #[test]
    fn progress_is_a_few_words() {
        let progress = Progress { items: 9, wanted: 5, complete: 2, judgements: 7 };
        let codes = ["THA", "NGA"].map(|code| code.parse().unwrap());
        for (count, words) in [
            (0, "2 of 5 complete"),
            (1, "2 of 5 complete in THA"),
            (2, "2 of 5 complete in your cultures"),
        ] {
            assert_eq!(summed(&(codes[..count].to_vec(), progress)), words);
        }
    }
}
