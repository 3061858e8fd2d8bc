//! Talk (`/`): one message to several voices, side by side.

use leptos::prelude::*;
use leptos_meta::Title;

/// The Talk page.
#[component]
pub fn TalkPage() -> impl IntoView {
    view! {
        <Title text="Talk"/>
        <div class="page"><h1>"Talk"</h1></div>
    }
}
