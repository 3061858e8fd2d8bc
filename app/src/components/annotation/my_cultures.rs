//! The cultures that this member knows, to choose anew.

use std::collections::BTreeSet;

use domain::culture::CultureCode;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::culture_choice::CultureChoice;
use super::desk::Desk;
use crate::api::ApiError;
use crate::components::ErrorNote;
use crate::shell::WorldResource;

/// The project's cultures; items of those that are chosen are given to this member from then on.
#[component]
pub fn MyCultures(
    /// The project.
    desk: Desk,
) -> impl IntoView {
    let own = untrack(|| desk.member()).map(|member| member.cultures).unwrap_or_default();
    let mut codes: BTreeSet<CultureCode> =
        untrack(|| desk.with_items(|_, items| items.iter().map(|item| item.culture).collect()));
    codes.extend(&own);
    let codes = StoredValue::new(codes.into_iter().collect::<Vec<_>>());
    let chosen = RwSignal::new(own.into_iter().collect::<BTreeSet<_>>());
    let (refusal, busy) = (RwSignal::new(None::<ApiError>), RwSignal::new(false));
    let save = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        busy.set(true);
        refusal.set(None);
        let cultures = chosen.get_untracked();
        spawn_local(async move {
            let (annotation, key) = (desk.annotation.get_value(), desk.key.get_value());
            let known = annotation.know(key, cultures).await;
            // The form may be gone by now.
            let _ = busy.try_set(false);
            match known {
                Ok(member) => desk.knows_now(member),
                Err(error) => drop(refusal.try_set(Some(error))),
            }
        });
    };
    let WorldResource(world) = expect_context();
    view! {
        <form class="my-cultures" aria-label="Cultures that you know" on:submit=save>
            <Suspense>
                {move || Suspend::new(async move {
                    let known = world.await.map(|world| world.cultures).unwrap_or_default();
                    view! {
                        <CultureChoice codes=codes.get_value() known chosen
                            legend="Which cultures do you know from living in them?"/>
                    }
                })}
            </Suspense>
            {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
            <p class="start">
                <button type="submit" class="outlined" data-testid="save-cultures" disabled=move || busy.get()>
                    "Judge items of these"
                </button>
            </p>
        </form>
    }
    .into_any()
}
