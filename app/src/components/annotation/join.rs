//! An invite, before it is followed.

use std::collections::BTreeSet;

use domain::annotation::project::LONGEST_NAME;
use domain::culture::Culture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use super::culture_choice::CultureChoice;
use super::markdown::Markdown;
use super::membership::Membership;
use crate::api::ApiError;
use crate::api::annotation::{Invitation, Joining};
use crate::backend::annotation::{Key, use_annotation};
use crate::components::{ErrorNote, OnceAlive};
use crate::link;

/// What the invite says, and the way in. Who is in the project already, in this browser, is asked first
/// whether they mean to be there once more.
#[component]
pub fn Invited(
    /// What the invite says.
    invitation: Invitation,
    /// What opens it.
    token: Memo<String>,
    /// Cultures with their names.
    known: Vec<Culture>,
) -> impl IntoView {
    let another = RwSignal::new(Membership::of(&invitation.project).is_none());
    let (heading, role) = (invitation.title.clone(), invitation.role);
    let guidelines = invitation.guidelines.clone();
    let project = invitation.project.clone();
    let form = StoredValue::new((invitation, known));
    let member = move || {
        Membership::of(&project).map(|membership| view! { <AlreadyIn membership another/> })
    };
    view! {
        <header class="intro">
            <h1>{heading}</h1>
            <p class="meta">{format!("You are invited as {role}. No account is needed.")}</p>
        </header>
        {member}
        <Show when=move || another.get()>
            <Markdown text=guidelines.clone()/>
            {move || {
                let (invitation, known) = form.get_value();
                view! { <JoinForm invitation token known/> }
            }}
        </Show>
    }
    .into_any()
}

/// Leads back to the member that this browser is.
#[component]
fn AlreadyIn(membership: Membership, another: RwSignal<bool>) -> impl IntoView {
    let address = format!("/annotate/{}", link::escape(&membership.key.project));
    let who = membership.who();
    view! {
        <section class="stack" aria-label="Already in the project" data-testid="already-in">
            <p>{format!("You are in this project already, in this browser ({who}).")}</p>
            <p class="start">
                <a class="primary" href=address data-testid="open-membership">"Open the project"</a>
                <button type="button" class="quiet" data-testid="join-as-another"
                    hidden=move || another.get() on:click=move |_| another.set(true)>
                    "Join once more, as another person"
                </button>
            </p>
            <p class="meta">
                "Who joins once more keeps both: the list of projects opens either."
            </p>
        </section>
    }
    .into_any()
}

#[component]
fn JoinForm(invitation: Invitation, token: Memo<String>, known: Vec<Culture>) -> impl IntoView {
    let annotation = StoredValue::new(use_annotation());
    let Invitation { title, role, cultures, .. } = invitation;
    let name = RwSignal::new(String::new());
    let chosen = RwSignal::new(BTreeSet::new());
    let (refusal, busy) = (RwSignal::new(None::<ApiError>), RwSignal::new(false));
    let navigate = use_navigate();
    let join = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(annotation) = annotation.get_value() else { return };
        // A second press would make a second member.
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        refusal.set(None);
        let (navigate, title) = (navigate.clone(), title.clone());
        let cultures = chosen.get_untracked().into_iter().collect();
        let joining = Joining { name: name.get_untracked(), cultures };
        spawn_local(async move {
            let name = joining.name.trim().to_owned();
            let joined = annotation.join(token.get_untracked(), joining).await;
            // The form may be gone by now.
            let _ = busy.try_set(false);
            match joined {
                Ok(joined) => {
                    let key = Key { project: joined.project, token: joined.token };
                    let address = format!("/annotate/{}", link::escape(&key.project));
                    let membership = Membership { key, member: joined.member, role, title, name };
                    membership.keep_as_current();
                    navigate(&address, NavigateOptions::default());
                }
                Err(error) => drop(refusal.try_set(Some(error))),
            }
        });
    };
    view! {
        <form class="new-run" aria-label="Join" autocomplete="off" data-testid="join" on:submit=join>
            <OnceAlive>
                <label class="field">
                    "What do you want to be called?"
                    <input type="text" required maxlength=LONGEST_NAME.to_string() data-testid="join-name"
                        on:input=move |event| name.set(event_target_value(&event))/>
                </label>
                {role.judges().then(|| view! {
                    <CultureChoice codes=cultures known chosen
                        legend="Which cultures do you know from living in them?"/>
                })}
                {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
                <p class="start">
                    <button type="submit" class="primary" data-testid="join-send"
                        disabled=move || busy.get()>"Join"</button>
                </p>
            </OnceAlive>
        </form>
    }
    .into_any()
}
