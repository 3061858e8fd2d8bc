//! The projects that open in this browser.

use leptos::prelude::*;

use super::membership::Membership;
use crate::link;

/// A link per project.
#[component]
pub fn ProjectList() -> impl IntoView {
    // Known in the browser only: the server renders an empty list.
    let all = RwSignal::new(Vec::new());
    Effect::new(move |_| all.set(Membership::all()));
    let entry = |membership: Membership| {
        let address = format!("/annotate/{}", link::escape(&membership.key.project));
        let (project, title, who) =
            (membership.key.project.clone(), membership.title.clone(), membership.who());
        // Which of several members of a project opens it, is the one that was chosen last.
        let choose = move |_| {
            membership.keep_as_current();
        };
        view! {
            <li data-testid="project" data-project=project>
                <a href=address on:click=choose>{title}</a>
                <span class="meta">{who}</span>
            </li>
        }
    };
    view! {
        <section class="runs" aria-labelledby="projects">
            <h2 id="projects">"Your projects"</h2>
            {move || match all.with(Vec::is_empty) {
                true => view! {
                    <p class="meta">"None in this browser yet. Make one, or open the link by which you
                        were invited."</p>
                }.into_any(),
                false => view! {
                    <ul data-testid="projects">{all.get().into_iter().map(entry).collect_view()}</ul>
                }.into_any(),
            }}
        </section>
    }
    .into_any()
}
