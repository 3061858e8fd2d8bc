//! The form that starts a run: survey, cultures, kinds of voices.

use std::collections::BTreeSet;

use domain::culture::{Culture, CultureCode};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::plan::{Kind, default_cultures, default_kinds, kinds, voices};
use crate::api::{ApiError, SurveyRunInfo, SurveyRunRequest, TemplateInfo, World};
use crate::backend::use_live;
use crate::color;
use crate::components::ErrorNote;

/// Chooses who is asked what, and asks.
#[component]
pub fn NewRun(
    /// What can be chosen from.
    world: StoredValue<World>,
    /// Told about a run that the server has accepted.
    #[prop(into)]
    on_start: Callback<SurveyRunInfo>,
) -> impl IntoView {
    let survey = RwSignal::new(
        world.with_value(|w| w.surveys.first().map(|survey| survey.id.clone()).unwrap_or_default()),
    );
    let offered =
        Memo::new(move |_| world.with_value(|w| survey.with(|id| w.cultures_of(id).to_vec())));
    let cultures = RwSignal::new(offered.with_untracked(|offered| default_cultures(offered)));
    // Another survey has other cultures.
    let change = move |id: String| {
        survey.set(id);
        cultures.set(offered.with_untracked(|offered| default_cultures(offered)));
    };
    let chosen = RwSignal::new(world.with_value(default_kinds));
    let templates = RwSignal::new(None::<String>);
    let asked = Memo::new(move |_| {
        world.with_value(|w| cultures.with(|c| chosen.with(|kinds| voices(w, c, kinds))))
    });
    let questions = move || {
        let of_survey = |w: &World| {
            w.surveys.iter().find(|s| survey.with(|id| *id == s.id)).map_or(0, |s| s.evaluated)
        };
        world.with_value(of_survey)
    };
    let refusal = RwSignal::new(None::<ApiError>);
    let busy = RwSignal::new(false);
    let live = StoredValue::new(use_live());
    let start = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(live) = live.get_value() else { return };
        let request = SurveyRunRequest {
            survey: survey.get_untracked(),
            voices: asked.get_untracked(),
            templates: templates.get_untracked(),
        };
        busy.set(true);
        refusal.set(None);
        spawn_local(async move {
            match live.start_survey_run(request).await {
                Ok(info) => on_start.run(info),
                Err(error) => refusal.set(Some(error)),
            }
            busy.set(false);
        });
    };
    view! {
        <form class="new-run" aria-label="New run" autocomplete="off" on:submit=start data-testid="new-run">
            <SurveyChoice world on_change=change/>
            <CultureChoice offered cultures/>
            <KindChoice world chosen/>
            <TemplateChoice world templates/>
            {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
            <p class="start">
                <button type="submit" class="primary" data-testid="survey-run"
                    disabled=move || busy.get() || asked.with(Vec::is_empty)>
                    "Ask the survey"
                </button>
                <span class="meta" data-testid="survey-size">{move || {
                    let (voices, questions) = (asked.with(Vec::len), questions());
                    format!("{voices} voices × {questions} questions = {} answers", voices * questions)
                }}</span>
            </p>
        </form>
    }
    .into_any()
}

#[component]
fn SurveyChoice(
    world: StoredValue<World>,
    #[prop(into)] on_change: Callback<String>,
) -> impl IntoView {
    let options = world.with_value(|world| {
        let option = |info: &crate::api::SurveyInfo| {
            let simulated = if info.provenance.is_simulated() { " (simulated people)" } else { "" };
            let label = format!("{}{simulated}", info.title);
            view! { <option value=info.id.clone()>{label}</option> }
        };
        world.surveys.iter().map(option).collect_view()
    });
    view! {
        <label class="field">
            "Survey"
            <select data-testid="survey-choice"
                on:change=move |event| on_change.run(event_target_value(&event))>{options}</select>
        </label>
    }
}

#[component]
fn CultureChoice(
    offered: Memo<Vec<Culture>>,
    cultures: RwSignal<BTreeSet<CultureCode>>,
) -> impl IntoView {
    let boxes = move || {
        let one = |culture: &Culture| {
            let code = culture.code;
            view! {
                <label class="chip" style=color::style(Some(code))>
                    <input type="checkbox" value=code.to_string() data-testid="culture"
                        checked=cultures.with_untracked(|chosen| chosen.contains(&code))
                        prop:checked=move || cultures.with(|chosen| chosen.contains(&code))
                        on:change=move |_| toggle(cultures, code)/>
                    <span class="swatch" aria-hidden="true"></span>
                    {format!("{code} · {}", culture.name)}
                </label>
            }
        };
        offered.with(|offered| offered.iter().map(one).collect_view())
    };
    let all = move || offered.with(|offered| offered.iter().map(|c| c.code).collect());
    let few = move || offered.with(|offered| default_cultures(offered));
    let total = move || offered.with(Vec::len);
    view! {
        <fieldset>
            <legend>"Cultures"</legend>
            <p class="presets">
                <button type="button" class="quiet" data-testid="few-cultures"
                    on:click=move |_| cultures.set(few())>"Three far apart"</button>
                <button type="button" class="quiet" data-testid="all-cultures"
                    on:click=move |_| cultures.set(all())>{move || format!("All {}", total())}</button>
                <button type="button" class="quiet" data-testid="no-cultures"
                    on:click=move |_| cultures.set(BTreeSet::new())>"None"</button>
            </p>
            <div class="chips">{boxes}</div>
        </fieldset>
    }
}

#[component]
fn KindChoice(world: StoredValue<World>, chosen: RwSignal<BTreeSet<Kind>>) -> impl IntoView {
    let boxes = world.with_value(kinds).into_iter().map(|kind| {
        let (shown, here) = (StoredValue::new(kind.clone()), kind.clone());
        view! {
            <label>
                <input type="checkbox" value=kind.to_string() data-testid="kind"
                    checked=chosen.with_untracked(|chosen| chosen.contains(&kind))
                    prop:checked=move || chosen.with(|chosen| chosen.contains(&here))
                    on:change=move |_| toggle(chosen, shown.get_value())/>
                {kind.explanation()}
            </label>
        }
    });
    view! {
        <fieldset>
            <legend>"Voices of each culture"</legend>
            <div class="stack">{boxes.collect_view()}</div>
        </fieldset>
    }
}

/// Which prompts are used; shown where there is a choice.
#[component]
fn TemplateChoice(world: StoredValue<World>, templates: RwSignal<Option<String>>) -> impl IntoView {
    let sets = world.with_value(|world| world.templates.clone());
    if sets.len() < 2 {
        return ().into_any();
    }
    let option = |set: &TemplateInfo| {
        let name = format!("{}@{}", set.id, set.version);
        let label = format!("{} {} ({})", set.id, set.version, set.language);
        view! { <option value=name>{label}</option> }
    };
    view! {
        <label class="field">
            "Prompts"
            <select data-testid="templates"
                on:change=move |event| templates.set(Some(event_target_value(&event)))>
                {sets.iter().map(option).collect_view()}
            </select>
        </label>
    }
    .into_any()
}

/// Takes `item` in, or out if it was in.
pub fn toggle<T: Ord + Send + Sync + 'static>(set: RwSignal<BTreeSet<T>>, item: T) {
    set.update(|set| {
        if !set.remove(&item) {
            set.insert(item);
        }
    });
}
