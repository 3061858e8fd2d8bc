//! Annotate (`/annotate`, `/annotate/{project}`, `/annotate/join/{token}`): people of the cultures judge
//! instances together.
//!
//! Hooks for tests (`data-testid`): `projects`, in it `project`; `new-project`, in it `project-title`,
//! `project-guidelines`, `source-run`, `source-file`, `file-read`, `overlap`, `target`, `blind`, `labels`,
//! `ordered`, `owner-name`, `know-culture`, `make-project`; `join`, in it `join-name`, `know-culture`,
//! `join-send`; `tab` (with `data-view`); `connection` (with `data-state`: in-step, handing-in, cut-off),
//! `present-member`, `progress` (with `data-complete`, `data-judgements`); `item` (with `data-item`), in it
//! `item-question`, `item-option`; `label` (with `data-label`), `skip`, `skip-reason`, `undo`,
//! `last-judged`, `show-keys`, `keys`, `key`, `nothing-to-judge`, `guidelines`; `comment`, `answer`,
//! `comment-text`, `comment-send`; `mine-size`, `my-judgement` (with `data-item`), `my-word`, `judge-again`
//! (with `data-label`), `take-back`; `change-project`, in it fields of `new-project` and `save-project`;
//! `queue-size`, `disagreement` (with `data-item`), `one-item`, `opinion`, `verdict`, `decide` (with
//! `data-label`), `reopen`; `agreement-size`, `coefficient` (with `data-coefficient`), `agreement-part`,
//! `pair`; `accepted-count`, `tune-accepted`, `accepted-run` (with `data-run`), `tuning` (with
//! `data-state`), in it the Studio’s `step`, `talk-to` and `evaluation-table`; `member`, `leave`,
//! `invite-role`, `invite`, `invite-link`, `invite-entry`, `revoke`, `export` (with `data-format`); `error`
//! (with `data-code`).

use std::collections::BTreeSet;

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_params_map, use_query_map};

use crate::api::ApiError;
use crate::api::annotation::{Invitation, Joining};
use crate::backend::annotation::{Key, use_annotation};
use crate::components::ErrorNote;
use crate::components::annotation::desk::Desk;
use crate::components::annotation::live::keep_in_step;
use crate::components::annotation::markdown::Markdown;
use crate::components::annotation::membership::Membership;
use crate::components::annotation::{
    AdapterView, AgreementView, CultureChoice, Items, Judge, MyJudgements, NewProjectForm, People,
    Presence, ProjectList,
};
use crate::link;
use crate::shell::WorldResource;

/// The list of projects, and a new one.
#[component]
pub fn AnnotatePage() -> impl IntoView {
    let WorldResource(world) = expect_context();
    let navigate = use_navigate();
    let open = Callback::new(move |project: String| {
        let address = format!("/annotate/{}?view=people", link::escape(&project));
        navigate(&address, NavigateOptions::default());
    });
    view! {
        <Title text="Annotate"/>
        <div class="page annotate">
            <header class="intro">
                <h1>"Annotate"</h1>
                <p class="meta">
                    "People of the cultures judge whether a model’s answers are right for them, together
                    and without overwriting each other."
                </p>
            </header>
            <div class="start-or-reopen">
                <section aria-labelledby="new">
                    <h2 id="new">"New project"</h2>
                    <Suspense fallback=|| view! { <p class="meta">"Loading"</p> }>
                        {move || Suspend::new(async move {
                            match world.await {
                                Ok(world) => {
                                    view! { <NewProjectForm known=world.cultures on_made=open/> }.into_any()
                                }
                                Err(error) => view! { <ErrorNote error/> }.into_any(),
                            }
                        })}
                    </Suspense>
                </section>
                <ProjectList/>
            </div>
        </div>
    }
    .into_any()
}

/// An invite, before it is followed.
#[component]
pub fn JoinPage() -> impl IntoView {
    let params = use_params_map();
    let token = Memo::new(move |_| params.with(|params| params.get("token")).unwrap_or_default());
    let annotation = StoredValue::new(use_annotation());
    let invitation = RwSignal::new(None::<Result<Invitation, ApiError>>);
    Effect::new(move |_| {
        let token = token.get();
        let Some(annotation) = annotation.get_value() else { return };
        spawn_local(async move {
            let found = annotation.invitation(token).await;
            let _ = invitation.try_set(Some(found));
        });
    });
    view! {
        <Title text="Join"/>
        <div class="page annotate">
            {move || match invitation.get() {
                None => view! { <p class="meta">"Reading the invite"</p> }.into_any(),
                Some(Err(error)) => view! { <h1>"Join"</h1><ErrorNote error/> }.into_any(),
                Some(Ok(invitation)) => view! { <JoinForm invitation token/> }.into_any(),
            }}
        </div>
    }
    .into_any()
}

#[component]
fn JoinForm(invitation: Invitation, token: Memo<String>) -> impl IntoView {
    let annotation = StoredValue::new(use_annotation());
    let Invitation { title, guidelines, role, cultures } = invitation;
    let name = RwSignal::new(String::new());
    let chosen = RwSignal::new(BTreeSet::new());
    let refusal = RwSignal::new(None::<ApiError>);
    let navigate = use_navigate();
    let heading = title.clone();
    let join = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(annotation) = annotation.get_value() else { return };
        let (navigate, title) = (navigate.clone(), title.clone());
        let cultures = chosen.get_untracked().into_iter().collect();
        let joining = Joining { name: name.get_untracked(), cultures };
        spawn_local(async move {
            match annotation.join(token.get_untracked(), joining).await {
                Ok(joined) => {
                    let key = Key { project: joined.project, token: joined.token };
                    let address = format!("/annotate/{}", link::escape(&key.project));
                    Membership { key, member: joined.member, role, title }.keep();
                    navigate(&address, NavigateOptions::default());
                }
                Err(error) => refusal.set(Some(error)),
            }
        });
    };
    view! {
        <header class="intro">
            <h1>{heading}</h1>
            <p class="meta">{format!("You are invited as {role}. No account is needed.")}</p>
        </header>
        <Markdown text=guidelines/>
        <form class="new-run" aria-label="Join" autocomplete="off" data-testid="join" on:submit=join>
            <label class="field">
                "What do you want to be called?"
                <input type="text" required maxlength="100" data-testid="join-name"
                    on:input=move |event| name.set(event_target_value(&event))/>
            </label>
            <CultureChoice codes=cultures known=Vec::new() chosen
                legend="Which cultures do you know from living in them?"/>
            {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
            <p class="start">
                <button type="submit" class="primary" data-testid="join-send">"Join"</button>
            </p>
        </form>
    }
    .into_any()
}

/// A project at work.
#[component]
pub fn ProjectPage() -> impl IntoView {
    let params = use_params_map();
    let project =
        Memo::new(move |_| params.with(|params| params.get("project")).unwrap_or_default());
    let annotation = StoredValue::new(use_annotation());
    let desk = RwSignal::new(None::<Result<Desk, ApiError>>);
    let owner = StoredValue::new(Owner::current());
    Effect::new(move |_| {
        let id = project.get();
        let Some(annotation) = annotation.get_value() else { return };
        let Some(membership) = Membership::of(&id) else {
            desk.set(Some(Err(no_key(&id))));
            return;
        };
        spawn_local(async move {
            let found = annotation.project(membership.key.clone()).await;
            let open = move || {
                let found = found.map(|project| {
                    let (desk, woken) = Desk::new(project, membership.key, annotation);
                    keep_in_step(desk, woken);
                    desk
                });
                let _ = desk.try_set(Some(found));
            };
            // What is made here lives as long as the page.
            match owner.try_get_value().flatten() {
                Some(owner) => owner.with(open),
                None => drop(open),
            }
        });
    });
    view! {
        <div class="page annotate">
            {move || match desk.get() {
                None => view! { <p class="meta">"Opening the project"</p> }.into_any(),
                Some(Err(error)) => view! { <h1>"Annotate"</h1><ErrorNote error/> }.into_any(),
                Some(Ok(desk)) => view! { <Opened desk/> }.into_any(),
            }}
        </div>
    }
    .into_any()
}

fn no_key(project: &str) -> ApiError {
    ApiError {
        code: "no-key".to_owned(),
        message: format!("this browser has no key for the project `{project}`"),
        hint: Some("Open the link by which you were invited, or ask for a new one.".to_owned()),
    }
}

/// The views of a project, by their name in the address.
const VIEWS: [(&str, &str); 6] = [
    ("judge", "Judge"),
    ("mine", "Mine"),
    ("items", "Disagreements"),
    ("agreement", "Agreement"),
    ("adapter", "Adapter"),
    ("people", "People"),
];

#[component]
fn Opened(desk: Desk) -> impl IntoView {
    let query = use_query_map();
    let view = Memo::new(move |_| {
        let wanted = query.with(|query| query.get("view"));
        VIEWS
            .iter()
            .map(|(name, _)| *name)
            .find(|name| Some(*name) == wanted.as_deref())
            .unwrap_or("judge")
    });
    let shown = Memo::new(move |_| query.with(|query| query.get("item")));
    let title = Memo::new(move |_| desk.settings.with(|settings| settings.title.clone()));
    // The list of projects in this browser names it too.
    Effect::new(move |_| {
        let title = title.get();
        let known = Membership::of(&desk.project.with_value(|project| project.id.clone()));
        if let Some(membership) = known.filter(|known| known.title != title) {
            Membership { title, ..membership }.keep();
        }
    });
    let tab = move |(name, words): (&'static str, &'static str)| {
        view! {
            <a href=format!("?view={name}") data-testid="tab" data-view=name
                aria-current=move || (view.get() == name).then_some("page")>{words}</a>
        }
    };
    view! {
        <Title text=move || title.get()/>
        <header class="intro">
            <h1>{move || title.get()}</h1>
            <nav class="tabs" aria-label="Views of the project">{VIEWS.map(tab).collect_view()}</nav>
        </header>
        <Presence desk/>
        {move || match view.get() {
            "mine" => view! { <MyJudgements desk shown/> }.into_any(),
            "items" => view! { <Items desk shown/> }.into_any(),
            "agreement" => view! { <AgreementView desk/> }.into_any(),
            "adapter" => view! { <AdapterView desk/> }.into_any(),
            "people" => view! { <People desk/> }.into_any(),
            _ => view! { <Judge desk/> }.into_any(),
        }}
    }
    .into_any()
}
