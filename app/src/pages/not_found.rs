//! What an unknown address shows.

use leptos::prelude::*;
use leptos_meta::Title;

/// Says that there is no such page, and where to go.
#[component]
pub fn NotFound() -> impl IntoView {
    view! {
        <Title text="Not found"/>
        <div class="page">
            <h1>"There is no such page"</h1>
            <p><a href="/">"Talk with voices"</a>" or "<a href="/survey">"run a survey"</a>"."</p>
        </div>
    }
}
