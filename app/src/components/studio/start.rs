//! Starting a run: one button for the preset as it is, and the settings for those who want others.

use domain::method::{BadSetting, Preset};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::form::Form;
use super::settings::Settings;
use crate::api::{ApiError, MethodRunInfo, World};
use crate::backend::use_live;
use crate::components::ErrorNote;

/// The form that starts a run.
#[component]
pub fn StartRun(
    /// What can be chosen from.
    world: StoredValue<World>,
    /// Told about a run that the server has accepted.
    #[prop(into)]
    on_start: Callback<MethodRunInfo>,
) -> impl IntoView {
    let form = RwSignal::new(world.with_value(|world| Form::new(world, Preset::Quick)));
    let refusal = RwSignal::new(None::<ApiError>);
    let busy = RwSignal::new(false);
    let live = StoredValue::new(use_live());
    let start = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(live) = live.get_value() else { return };
        let request = form.with_untracked(|form| form.request.clone());
        // The same rules as on the server, without the way there.
        if let Err(BadSetting { rule, hint, .. }) = request.check() {
            let (code, hint) = ("invalid-request".to_owned(), Some(hint));
            return refusal.set(Some(ApiError { code, message: rule, hint, status: None }));
        }
        busy.set(true);
        refusal.set(None);
        spawn_local(async move {
            match live.start_method_run(request).await {
                Ok(info) => on_start.run(info),
                Err(error) => refusal.set(Some(error)),
            }
            busy.set(false);
        });
    };
    let button = move || format!("Start a {} run", form.with(|form| form.preset));
    view! {
        <form class="panel start-run" aria-label="New run" autocomplete="off" novalidate on:submit=start
            data-testid="new-run">
            <fieldset class="segments">
                <legend class="visually-hidden">"Preset"</legend>
                {Preset::ALL.map(|preset| view! { <PresetChoice preset form world/> }).collect_view()}
            </fieldset>
            <p data-testid="summary">{move || form.with(Form::summary)}"."</p>
            <p class="meta">{move || world.with_value(|world| note(form.with(|f| f.preset), world))}</p>
            {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
            <p class="start">
                <button type="submit" class="primary" data-testid="start" disabled=move || busy.get()>
                    {button}
                </button>
            </p>
            <details class="note" data-testid="change-settings">
                <summary>"Change settings"</summary>
                <Settings form world/>
            </details>
            <details class="note">
                <summary>"The same as a command"</summary>
                <p class="scroll"><code class="command" data-testid="command">
                    {move || world.with_value(|world| form.with(|form| form.command(world)))}
                </code></p>
            </details>
        </form>
    }
    .into_any()
}

#[component]
fn PresetChoice(preset: Preset, form: RwSignal<Form>, world: StoredValue<World>) -> impl IntoView {
    view! {
        <label class="segment">
            <input type="radio" name="preset" value=preset.as_str() data-testid="preset"
                checked=form.with_untracked(|form| form.preset == preset)
                prop:checked=move || form.with(|form| form.preset == preset)
                on:change=move |_| world.with_value(|world| {
                    form.update(|form| form.take(world, preset));
                })/>
            <span>{preset.as_str()}</span>
        </label>
    }
}

/// What to expect of a preset, in a sentence.
fn note(preset: Preset, world: &World) -> String {
    match (preset, world.model.starter) {
        (Preset::Quick, true) => {
            "The built-in model takes a few minutes for all five steps on two processor cores.".into()
        }
        (Preset::Quick, false) => format!(
            "All five steps on {}; how long they take depends on the machine.",
            world.model.name
        ),
        (Preset::Paper, true) => {
            "The paper’s values are made for a model of 8 billion parameters: the built-in one takes \
             hours, and learns little from so few updates."
                .into()
        }
        (Preset::Paper, false) => {
            "The paper’s values: a long run, which can be paused and goes on after a restart.".into()
        }
    }
}
