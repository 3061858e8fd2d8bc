//! Which cultures somebody knows.

use std::collections::BTreeSet;

use domain::culture::{Culture, CultureCode};
use leptos::prelude::*;

use crate::color;

/// Cultures to choose from, each with its name where the server knows it.
#[component]
pub fn CultureChoice(
    /// What can be chosen.
    codes: Vec<CultureCode>,
    /// Names.
    known: Vec<Culture>,
    /// What is chosen.
    chosen: RwSignal<BTreeSet<CultureCode>>,
    /// What the choice means.
    legend: &'static str,
) -> impl IntoView {
    let one = move |code: CultureCode| {
        let named = known.iter().find(|culture| culture.code == code);
        let label = named.map_or_else(|| code.to_string(), |c| format!("{code} · {}", c.name));
        let toggle = move |_| {
            chosen.update(|chosen| {
                if !chosen.remove(&code) {
                    chosen.insert(code);
                }
            });
        };
        view! {
            <label class="chip" style=color::style(Some(code))>
                <input type="checkbox" value=code.to_string() data-testid="know-culture"
                    prop:checked=move || chosen.with(|chosen| chosen.contains(&code)) on:change=toggle/>
                <span class="swatch" aria-hidden="true"></span>
                {label}
            </label>
        }
    };
    view! {
        <fieldset>
            <legend>{legend}</legend>
            <div class="chips">{codes.into_iter().map(one).collect_view()}</div>
        </fieldset>
    }
    .into_any()
}
