//! Every setting of a new run, for those who open them.

use domain::culture::Culture;
use domain::method::AdapterTarget;
use leptos::prelude::*;

use super::fields::{CHOICES, Choice, NUMBERS, Number, VARIANTS, shown};
use super::form::Form;
use crate::api::World;
use crate::color;

/// The settings of the form.
#[component]
pub fn Settings(
    /// What is chosen.
    form: RwSignal<Form>,
    /// What can be chosen from.
    world: StoredValue<World>,
) -> impl IntoView {
    view! {
        <div class="settings-form">
            <div class="fields">
                <NameField form/>
                <SurveyField form world/>
                {NUMBERS.map(|number| view! { <NumberField number form/> }).collect_view()}
            </div>
            <Cultures form world/>
            <Adapters form world/>
            <fieldset>
                <legend>"Variants that the paper compares"</legend>
                <div class="fields">
                    {CHOICES.map(|choice| view! { <ChoiceField choice form/> }).collect_view()}
                    {VARIANTS.map(|number| view! { <NumberField number form/> }).collect_view()}
                </div>
            </fieldset>
        </div>
    }
    .into_any()
}

#[component]
fn NameField(form: RwSignal<Form>) -> impl IntoView {
    let typed = move |event| {
        let name = event_target_value(&event).trim().to_owned();
        form.update(|form| form.request.run = Some(name).filter(|name| !name.is_empty()));
    };
    view! {
        <label class="field">
            "Name"
            <input type="text" data-testid="name" placeholder="given by the server" spellcheck="false"
                prop:value=move || form.with(|form| shown(&form.request.run)) on:input=typed/>
        </label>
    }
}

#[component]
fn SurveyField(form: RwSignal<Form>, world: StoredValue<World>) -> impl IntoView {
    let options = world.with_value(|world| {
        let option = |survey: &crate::api::SurveyInfo| {
            view! { <option value=survey.id.clone()>{survey.title.clone()}</option> }
        };
        world.surveys.iter().map(option).collect_view()
    });
    let first = world.with_value(|world| world.surveys.first().map(|survey| survey.id.clone()));
    let chosen = move |event| {
        let id = Some(event_target_value(&event));
        form.update(|form| form.request.survey = id.filter(|id| Some(id) != first.as_ref()));
    };
    view! {
        <label class="field">
            "Survey"
            <select data-testid="survey" on:change=chosen>{options}</select>
        </label>
    }
}

#[component]
fn NumberField(number: Number, form: RwSignal<Form>) -> impl IntoView {
    let Number { testid, label, explanation, step, show, read } = number;
    view! {
        <label class="field">
            {label}
            <input type="number" data-testid=testid step=step min="0"
                prop:value=move || form.with(|form| show(&form.request))
                on:change=move |event| {
                    let text = event_target_value(&event);
                    form.update(|form| read(&mut form.request, &text));
                }/>
            <span>{explanation}</span>
        </label>
    }
}

#[component]
fn ChoiceField(choice: Choice, form: RwSignal<Form>) -> impl IntoView {
    let Choice { testid, label, explanation, options, show, read } = choice;
    let usual = options.first().map(|(value, _)| *value).unwrap_or_default();
    let value = move || {
        let own = form.with(|form| show(&form.request));
        if own.is_empty() { usual.to_owned() } else { own }
    };
    let chosen = move |event| {
        let text = event_target_value(&event);
        form.update(|form| read(&mut form.request, if text == usual { "" } else { &text }));
    };
    let option = |(value, name): &(&'static str, &'static str)| {
        view! { <option value=*value>{*name}</option> }
    };
    view! {
        <label class="field">
            {label}
            <select data-testid=testid prop:value=value on:change=chosen>
                {options.iter().map(option).collect_view()}
            </select>
            <span>{explanation}</span>
        </label>
    }
}

#[component]
fn Cultures(form: RwSignal<Form>, world: StoredValue<World>) -> impl IntoView {
    let one = move |culture: &Culture| {
        let code = culture.code;
        let has = move |form: &Form| form.has_culture(code);
        view! {
            <label class="chip" style=color::style(Some(code)) title=culture.name.clone()>
                <input type="checkbox" value=code.to_string() data-testid="culture"
                    checked=form.with_untracked(has) prop:checked=move || form.with(has)
                    on:change=move |_| world.with_value(|world| {
                        form.update(|form| form.toggle_culture(world, code));
                    })/>
                <span class="swatch" aria-hidden="true"></span>
                {code.to_string()}
            </label>
        }
    };
    view! {
        <fieldset>
            <legend>"Cultures that are asked"</legend>
            <div class="chips codes">
                {world.with_value(|world| world.cultures.iter().map(one).collect_view())}
            </div>
        </fieldset>
    }
}

#[component]
fn Adapters(form: RwSignal<Form>, world: StoredValue<World>) -> impl IntoView {
    let one = move |target: AdapterTarget| {
        let has = move |form: &Form| form.has_adapter(target);
        let out = move |form: &Form| target.culture().is_some_and(|code| !form.has_culture(code));
        let swatch =
            target.culture().map(|_| view! { <span class="swatch" aria-hidden="true"></span> });
        view! {
            <label class="chip" style=color::style(target.culture())>
                <input type="checkbox" value=target.to_string() data-testid="adapter"
                    checked=form.with_untracked(has) prop:checked=move || form.with(has)
                    disabled=move || form.with(out)
                    on:change=move |_| form.update(|form| form.toggle_adapter(target))/>
                {swatch}
                {target.to_string()}
            </label>
        }
    };
    let targets = world.with_value(|world| {
        let specific = world.cultures.iter().map(|culture| AdapterTarget::Specific(culture.code));
        std::iter::once(AdapterTarget::Joint).chain(specific).collect::<Vec<_>>()
    });
    view! {
        <fieldset>
            <legend>"Adapters that are tuned"</legend>
            <p class="meta">"The joint one learns from all cultures, a specific one from its own."</p>
            <div class="chips codes">{targets.into_iter().map(one).collect_view()}</div>
        </fieldset>
    }
}
