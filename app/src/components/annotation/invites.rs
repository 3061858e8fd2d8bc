//! Invites: links that let people into a project for a while.

use domain::annotation::MemberRole;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::desk::Desk;
use crate::api::ApiError;
use crate::api::annotation::{Invite, NewInvite};
use crate::browser;
use crate::components::ErrorNote;

/// Roles that an invite can give, the usual one first.
const ROLES: [MemberRole; 4] =
    [MemberRole::Annotator, MemberRole::Adjudicator, MemberRole::Viewer, MemberRole::Owner];

/// Makes invites and takes them back. For owners.
#[component]
pub fn Invites(
    /// The project.
    desk: Desk,
) -> impl IntoView {
    let all = RwSignal::new(Vec::<Invite>::new());
    let refusal = RwSignal::new(None::<ApiError>);
    let link = RwSignal::new(None::<String>);
    let (role, hours) = (RwSignal::new(MemberRole::Annotator), RwSignal::new(7 * 24u32));
    let show = move |found: Result<Vec<Invite>, ApiError>| {
        match found {
            Ok(found) => drop(all.try_set(found)),
            Err(error) => drop(refusal.try_set(Some(error))),
        };
    };
    spawn_local(async move {
        show(desk.annotation.get_value().invites(desk.key.get_value()).await);
    });
    let make = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        refusal.set(None);
        let new = NewInvite { role: role.get_untracked(), hours: hours.get_untracked() };
        spawn_local(async move {
            let (annotation, key) = (desk.annotation.get_value(), desk.key.get_value());
            match annotation.invite(key.clone(), new).await {
                Ok(made) => {
                    let address = format!("/annotate/join/{}", made.token);
                    link.set(Some(browser::absolute(&address)));
                    show(annotation.invites(key).await);
                }
                Err(error) => refusal.set(Some(error)),
            }
        });
    };
    let revoke = move |invite: String| {
        spawn_local(async move {
            show(desk.annotation.get_value().revoke(desk.key.get_value(), invite).await);
        });
    };
    view! {
        <section aria-labelledby="invites">
            <h2 id="invites">"Invite"</h2>
            <form class="invite-form" on:submit=make>
                <Choices role hours/>
                <button type="submit" class="outlined" data-testid="invite">"Make a link"</button>
            </form>
            {move || link.get().map(|address| view! { <NewLink address/> })}
            {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
            <ul class="invite-list">
                {move || all.get().into_iter().map(|invite| entry(invite, revoke)).collect_view()}
            </ul>
        </section>
    }
    .into_any()
}

#[component]
fn Choices(role: RwSignal<MemberRole>, hours: RwSignal<u32>) -> impl IntoView {
    view! {
        <label class="field">
            "As"
            <select data-testid="invite-role" on:change=move |event| {
                role.set(event_target_value(&event).parse().unwrap_or(MemberRole::Annotator));
            }>
                {ROLES.map(|role| view! { <option value=role.as_str()>{role.as_str()}</option> }).collect_view()}
            </select>
        </label>
        <label class="field">
            "For"
            <select on:change=move |event| hours.set(event_target_value(&event).parse().unwrap_or(24))>
                <option value="168">"a week"</option>
                <option value="24">"a day"</option>
                <option value="2160">"90 days"</option>
            </select>
        </label>
    }
}

/// The link, which is shown this once.
#[component]
fn NewLink(address: String) -> impl IntoView {
    let said = RwSignal::new("Copy");
    let text = address.clone();
    let copy = move |_| {
        let text = text.clone();
        spawn_local(async move {
            said.set(if browser::copy(text).await { "Copied" } else { "Copy it by hand" });
        });
    };
    view! {
        <p class="new-link">
            <input type="text" readonly aria-label="Invite link" data-testid="invite-link" value=address/>
            <button type="button" class="outlined" on:click=copy>{said}</button>
            <span class="meta">"Shown once: whoever has it can join."</span>
        </p>
    }
}

fn entry(invite: Invite, revoke: impl Fn(String) + 'static) -> impl IntoView {
    let hours = (invite.expires - browser::wall_clock()) / 3_600_000;
    let state = match (invite.revoked, hours) {
        (true, _) => "revoked".to_owned(),
        (false, ..0) => "expired".to_owned(),
        (false, ..48) => format!("open for {hours} h"),
        (false, _) => format!("open for {} days", (hours + 12) / 24),
    };
    let open = !invite.revoked && hours >= 0;
    let id = invite.id;
    view! {
        <li data-testid="invite-entry">
            <span>{invite.role.to_string()}</span><span class="meta">{state}</span>
            {open.then(|| view! {
                <button type="button" class="quiet" data-testid="revoke" on:click=move |_| revoke(id.clone())>
                    "Revoke"
                </button>
            })}
        </li>
    }
}
