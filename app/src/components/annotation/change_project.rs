//! The owner changes what a project asks for while people work in it.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::desk::Desk;
use super::settings_form::{SettingsDraft, SettingsRules, SettingsWords};
use crate::api::ApiError;
use crate::api::annotation::SettingsChange;
use crate::components::ErrorNote;

/// The form, closed at first. For owners.
#[component]
pub fn ChangeProject(
    /// The project.
    desk: Desk,
) -> impl IntoView {
    let open = RwSignal::new(false);
    view! {
        <section aria-label="What the project asks for">
            <button type="button" class="outlined" data-testid="change-project"
                aria-expanded=move || open.get().to_string()
                on:click=move |_| open.update(|open| *open = !*open)>"Change the project"</button>
            // Anew whenever somebody has changed it: what is written begins with what holds.
            {move || open.get().then(|| {
                let from = desk.settings.get();
                view! { <ChangeForm desk from/> }
            })}
        </section>
    }
    .into_any()
}

#[component]
fn ChangeForm(desk: Desk, from: domain::annotation::ProjectSettings) -> impl IntoView {
    let draft = SettingsDraft::of(&from);
    let (refusal, busy) = (RwSignal::new(None::<ApiError>), RwSignal::new(false));
    let save = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        busy.set(true);
        refusal.set(None);
        let change = SettingsChange { from: from.clone(), to: draft.finished() };
        spawn_local(async move {
            let (annotation, key) = (desk.annotation.get_value(), desk.key.get_value());
            let changed = annotation.change(key, change).await;
            // The form is gone as soon as this browser hears of the change.
            let _ = busy.try_set(false);
            if let Err(error) = changed {
                let _ = refusal.try_set(Some(error));
            }
        });
    };
    view! {
        <form class="new-run" aria-label="Change the project" autocomplete="off" on:submit=save>
            <SettingsWords draft/>
            <SettingsRules draft new=false/>
            {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
            <p class="start">
                <button type="submit" class="primary" data-testid="save-project" disabled=move || busy.get()>
                    "Change it for everybody"
                </button>
            </p>
        </form>
    }
    .into_any()
}
