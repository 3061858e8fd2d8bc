//! An item as it is read: whose answer, the question, the options with what the model said.

use domain::annotation::Item;
use domain::culture::CultureCode;
use leptos::prelude::*;

use crate::color;

/// A culture's code with its colour.
#[component]
pub fn CultureTag(
    /// Which.
    culture: CultureCode,
) -> impl IntoView {
    view! {
        <span class="voice-tag" style=color::style(Some(culture))>
            <span class="swatch" aria-hidden="true"></span>
            {culture.to_string()}
        </span>
    }
}

/// The question and what the model answered.
#[component]
pub fn ItemText(
    /// The item.
    item: Item,
) -> impl IntoView {
    view! {
        <div class="item-text">
            <p class="item-head">
                <CultureTag culture=item.culture/>
                <span class="meta">{item.question.topic.to_string()}</span>
            </p>
            <p class="question" data-testid="item-question">{item.question.text.clone()}</p>
        </div>
    }
}

/// The options, to choose the one that people of the culture would choose.
#[component]
pub fn Options(
    /// The item.
    item: Item,
    /// Number of the chosen option.
    chosen: RwSignal<Option<u32>>,
) -> impl IntoView {
    let rows = (0..item.question.options.len()).map(|index| option(&item, index, chosen));
    view! {
        <fieldset class="item-options">
            <legend class="meta">"If you know: what would most people there answer?"</legend>
            {rows.collect_view()}
        </fieldset>
    }
    .into_any()
}

fn option(item: &Item, index: usize, chosen: RwSignal<Option<u32>>) -> impl IntoView + use<> {
    let number = item.question.number_of(index);
    let text = item.question.options.get(index).cloned().unwrap_or_default();
    let said = |name: &'static str, answer: u32, probabilities: &[f64]| {
        let share = probabilities.get(index).map(|share| format!(" {:.0} %", share * 100.0));
        let here = answer == number;
        (here || share.is_some()).then(|| {
            let class = if here { "said here" } else { "said" };
            let share = share.unwrap_or_default();
            view! { <span class=class>{format!("{name}{share}")}</span> }
        })
    };
    let people = item.people.as_ref().and_then(|people| people.shares.get(index)).map(|share| {
        view! { <span class="said people">{format!("people {:.0} %", share * 100.0)}</span> }
    });
    view! {
        <label class="item-option" class:aware=item.aware == number data-testid="item-option">
            <input type="radio" name="option" value=number.to_string()
                prop:checked=move || chosen.get() == Some(number)
                on:change=move |_| chosen.set(Some(number))/>
            <span class="option-text">{format!("{number}. {text}")}</span>
            {said("aware", item.aware, &item.aware_probabilities)}
            {said("unaware", item.unaware, &item.unaware_probabilities)}
            {people}
        </label>
    }
}
