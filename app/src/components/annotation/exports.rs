//! Judgements as files.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::desk::Desk;
use crate::api::ApiError;
use crate::api::annotation::ExportFormat;
use crate::browser;
use crate::components::ErrorNote;

/// A button per format. For those who may see every judgement.
#[component]
pub fn Exports(
    /// The project.
    desk: Desk,
) -> impl IntoView {
    let refusal = RwSignal::new(None::<ApiError>);
    let save = move |format: ExportFormat| {
        refusal.set(None);
        spawn_local(async move {
            match desk.annotation.get_value().export(desk.key.get_value(), format).await {
                Ok(content) => {
                    let name = format!("{}.{}", format.as_str(), format.extension());
                    browser::save_file(&format!("annotation-{name}"), &content);
                }
                Err(error) => refusal.set(Some(error)),
            }
        });
    };
    let button = move |format: ExportFormat| {
        view! {
            <button type="button" class="outlined" data-testid="export" data-format=format.as_str()
                on:click=move |_| save(format)>{format.title()}</button>
        }
    };
    view! {
        <section aria-labelledby="exports">
            <h2 id="exports">"Save as a file"</h2>
            <p class="meta">"Members are named by identifiers that say nothing about the person."</p>
            <div class="chips">{ExportFormat::ALL.map(button).collect_view()}</div>
            {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
        </section>
    }
    .into_any()
}
