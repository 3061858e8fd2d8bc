//! Invites: links that let people into a project for a while.

use domain::annotation::MemberRole;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::desk::Desk;
use crate::api::ApiError;
use crate::api::annotation::{ListedInvite, NewInvite};
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
    let all = RwSignal::new(Vec::<ListedInvite>::new());
    let refusal = RwSignal::new(None::<ApiError>);
    let link = RwSignal::new(None::<String>);
    let (role, hours) = (RwSignal::new(MemberRole::Annotator), RwSignal::new(7 * 24u32));
    let show = move |found: Result<Vec<ListedInvite>, ApiError>| {
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

fn entry(listed: ListedInvite, revoke: impl Fn(String) + 'static) -> impl IntoView {
    let state = state(&listed);
    let open = listed.left > 0;
    let ListedInvite { invite, .. } = listed;
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

/// How long an invite is open, by the server's clock: this browser's may be wrong.
fn state(ListedInvite { invite, left }: &ListedInvite) -> String {
    match (invite.revoked, left / 3_600_000) {
        (true, _) => "revoked".to_owned(),
        (false, _) if *left <= 0 => "expired".to_owned(),
        (false, 0) => "open for less than an hour".to_owned(),
        (false, hours @ ..48) => format!("open for {hours} h"),
        (false, hours) => format!("open for {} days", (hours + 12) / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::annotation::Invite;

    #[test]
    fn an_invite_is_open_as_the_server_says() {
        const HOUR: i64 = 3_600_000;
        let invite = |revoked| Invite {
            id: "i".to_owned(),
            role: MemberRole::Viewer,
            // Long ago by this clock, whatever it says.
            expires: 1,
            revoked,
        };
        for (revoked, left, expected) in [
            (false, 7 * 24 * HOUR, "open for 7 days"),
            (false, 23 * HOUR + 1, "open for 23 h"),
            (false, 1, "open for less than an hour"),
            (false, 0, "expired"),
            (true, 0, "revoked"),
        ] {
            assert_eq!(state(&ListedInvite { invite: invite(revoked), left }), expected);
        }
    }
}
