//! Survey (`/survey`): how close voices are to people.

use leptos::prelude::*;
use leptos_meta::Title;

/// The Survey page.
#[component]
pub fn SurveyPage() -> impl IntoView {
    view! {
        <Title text="Survey"/>
        <div class="page"><h1>"Survey"</h1></div>
    }
}
