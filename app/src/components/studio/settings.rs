//! Every setting of a new run, for those who open them.

use domain::culture::Culture;
use domain::method::{AdapterTarget, MODULES};
use leptos::prelude::*;

use super::fields::{
    Choice, FILTER_NUMBERS, FILTER_SETS, FILTER_SWITCHES, NUMBERS, Number, PAIR_CHOICES,
    PAIR_NUMBERS, SAMPLES, SCHEDULE, SEEDS_PER_TOPIC, STYLE, Switch, TUNING_NUMBERS,
    TUNING_SWITCHES, has_module, shown, toggle_module,
};
use super::form::Form;
use crate::api::{TemplateInfo, World};
use crate::{browser, color};

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
            <Group name="Prompts and answers" testid="prompt-settings">
                <div class="fields">
                    <PromptsField form world/>
                    <ChoiceField choice=STYLE form/>
                    <NumberField number=SAMPLES form/>
                    <NumberField number=SEEDS_PER_TOPIC form/>
                </div>
            </Group>
            <Group name="Which questions are kept" testid="filter-settings">
                <div class="fields">
                    <ChoiceField choice=FILTER_SETS form/>
                    {FILTER_NUMBERS.map(|number| view! { <NumberField number form/> }).collect_view()}
                </div>
                <div class="fields">
                    {FILTER_SWITCHES.map(|switch| view! { <SwitchField switch form/> }).collect_view()}
                </div>
            </Group>
            <Group name="Which pairs are learnt" testid="pair-settings">
                <div class="fields">
                    {PAIR_CHOICES.map(|choice| view! { <ChoiceField choice form/> }).collect_view()}
                    {PAIR_NUMBERS.map(|number| view! { <NumberField number form/> }).collect_view()}
                </div>
            </Group>
            <Group name="How adapters are tuned" testid="tuning-settings">
                <Fault setting="tuning" form/>
                <div class="fields">
                    <ChoiceField choice=SCHEDULE form/>
                    {TUNING_NUMBERS.map(|number| view! { <NumberField number form/> }).collect_view()}
                    {TUNING_SWITCHES.map(|switch| view! { <SwitchField switch form/> }).collect_view()}
                </div>
                <Modules form/>
            </Group>
        </div>
    }
    .into_any()
}

/// Settings that few people change, folded away under a name.
#[component]
fn Group(name: &'static str, testid: &'static str, children: Children) -> impl IntoView {
    view! {
        <details class="group" data-testid=testid>
            <summary>{name}</summary>
            {children()}
        </details>
    }
    .into_any()
}

/// What is wrong with a setting, beside it.
#[component]
fn Fault(#[prop(into)] setting: String, form: RwSignal<Form>) -> impl IntoView {
    let fault = Memo::new(move |_| form.with(|form| form.fault(&setting)));
    move || {
        fault.get().map(
            |text| view! { <span class="fault" role="status" data-testid="fault">{text}</span> },
        )
    }
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
            <Fault setting="run" form/>
        </label>
    }
}

#[component]
fn SurveyField(form: RwSignal<Form>, world: StoredValue<World>) -> impl IntoView {
    let options = world.with_value(|world| {
        let option = |survey: &crate::api::SurveyInfo| {
            let own = survey.id.clone();
            let selected = move || form.with(|form| form.survey() == own);
            view! {
                <option value=survey.id.clone() prop:selected=selected>{survey.title.clone()}</option>
            }
        };
        world.surveys.iter().map(option).collect_view()
    });
    // Another survey has other cultures.
    let chosen = move |event| {
        let id = event_target_value(&event);
        world.with_value(|world| form.update(|form| form.choose_survey(world, &id)));
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
    let Number { testid, label, explanation, step, place } = number;
    let value = move |form: &Form| place.show(&form.request);
    let typed = move |event| {
        let text = event_target_value(&event);
        form.update(|form| form.read(place, text.trim()));
        browser::show_in_field(&event, &form.with_untracked(value));
    };
    view! {
        <label class="field">
            {label}
            <input type="number" data-testid=testid step=step min="0"
                prop:value=move || form.with(value) on:change=typed/>
            <span>{explanation}</span>
            <Fault setting=testid.replace('-', "_") form/>
        </label>
    }
    .into_any()
}

#[component]
fn SwitchField(switch: Switch, form: RwSignal<Form>) -> impl IntoView {
    let Switch { testid, label, explanation, place } = switch;
    let on = move |form: &Form| place.show(&form.request) == "on";
    let change = move |_| {
        form.update(|form| {
            let text = if on(form) { "off" } else { "on" };
            form.read(place, text);
        });
    };
    view! {
        <label class="field switch">
            <span>
                <input type="checkbox" data-testid=testid checked=form.with_untracked(on)
                    prop:checked=move || form.with(on) on:change=change/>
                " "{label}
            </span>
            <span>{explanation}</span>
        </label>
    }
    .into_any()
}

/// The set of prompt templates, by its name; the built-in one comes first.
#[component]
fn PromptsField(form: RwSignal<Form>, world: StoredValue<World>) -> impl IntoView {
    let name = |set: &TemplateInfo| format!("{}@{}", set.id, set.version);
    let usual = world.with_value(|world| world.templates.first().map(name)).unwrap_or_default();
    let first = usual.clone();
    let options = world.with_value(|world| {
        let option = |set: &TemplateInfo| {
            let (own, usual) = (name(set), first.clone());
            let selected =
                move || form.with(|form| *form.request.prompts.as_ref().unwrap_or(&usual) == own);
            let text = format!("{}, version {} ({})", set.id, set.version, set.language);
            view! { <option value=name(set) prop:selected=selected>{text}</option> }
        };
        world.templates.iter().map(option).collect_view()
    });
    let chosen = move |event| {
        let name = Some(event_target_value(&event)).filter(|name| *name != usual);
        form.update(|form| form.request.prompts = name);
    };
    view! {
        <label class="field">
            "Prompt templates"
            <select data-testid="prompts" on:change=chosen>{options}</select>
            <span>"the wording of every prompt; a server knows more with --templates"</span>
        </label>
    }
    .into_any()
}

#[component]
fn Modules(form: RwSignal<Form>) -> impl IntoView {
    let one = move |module: &'static str| {
        let has = move |form: &Form| has_module(&form.request, module);
        view! {
            <label class="chip">
                <input type="checkbox" value=module data-testid="module"
                    checked=form.with_untracked(has) prop:checked=move || form.with(has)
                    on:change=move |_| form.update(|form| toggle_module(&mut form.request, module))/>
                {module}
            </label>
        }
    };
    view! {
        <fieldset>
            <legend>"Layers that adapters change"</legend>
            <div class="chips codes">{MODULES.map(one).collect_view()}</div>
        </fieldset>
    }
    .into_any()
}

#[component]
fn ChoiceField(choice: Choice, form: RwSignal<Form>) -> impl IntoView {
    let Choice { testid, label, explanation, options, place } = choice;
    let usual = options.first().map(|(value, _)| *value).unwrap_or_default();
    let value = move || {
        let own = form.with(|form| place.show(&form.request));
        if own.is_empty() { usual.to_owned() } else { own }
    };
    let chosen = move |event| {
        let text = event_target_value(&event);
        form.update(|form| form.read(place, &text));
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
            <Fault setting=testid form/>
        </label>
    }
    .into_any()
}

/// What the form's survey offers, computed anew when another is chosen.
fn of_survey<T: Clone + PartialEq + Send + Sync + 'static>(
    form: RwSignal<Form>,
    world: StoredValue<World>,
    read: fn(&[Culture]) -> Vec<T>,
) -> Memo<Vec<T>> {
    Memo::new(move |_| world.with_value(|world| form.with(|form| read(form.cultures(world)))))
}

#[component]
fn Cultures(form: RwSignal<Form>, world: StoredValue<World>) -> impl IntoView {
    let offered = of_survey(form, world, <[Culture]>::to_vec);
    let one = move |culture: Culture| {
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
                {move || offered.get().into_iter().map(one).collect_view()}
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
    let targets = of_survey(form, world, |cultures| {
        let specific = cultures.iter().map(|culture| AdapterTarget::Specific(culture.code));
        std::iter::once(AdapterTarget::Joint).chain(specific).collect()
    });
    view! {
        <fieldset>
            <legend>"Adapters that are tuned"</legend>
            <p class="meta">"The joint one learns from all cultures, a specific one from its own."</p>
            <div class="chips codes">
                {move || targets.get().into_iter().map(one).collect_view()}
            </div>
        </fieldset>
    }
}
