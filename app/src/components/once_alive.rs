//! What must not be typed into before the page is alive.

use leptos::prelude::*;

/// Fields that can be used once the page is alive. Before, the browser alone would keep what is typed, and
/// would send the form as a page's address.
#[component]
pub fn OnceAlive(children: Children) -> impl IntoView {
    let alive = RwSignal::new(false);
    // An effect runs in the browser only, when the page comes alive.
    Effect::new(move |_| alive.set(true));
    view! { <fieldset class="once-alive" disabled=move || !alive.get()>{children()}</fieldset> }
}
