//! Annotate (`/annotate`, `/annotate/{project}`, `/annotate/join/{token}`): people of the cultures judge
//! instances together.
//!
//! Hooks for tests (`data-testid`): `projects`, in it `project`; `new-project`, in it `project-title`,
//! `project-guidelines`, `source-run`, `source-file`, `file-read`, `overlap`, `target`, `blind`, `labels`,
//! `ordered`, `owner-name`, `know-culture`, `make-project`; `join`, in it `join-name`, `know-culture`,
//! `join-send`; `already-in`, in it `open-membership` and
//! `join-as-another`; `tab` (with `data-view`); `connection` (with `data-state`: in-step, handing-in, cut-off),
//! `overview`, in it `present` (with `data-count`), once opened `present-member`, and `progress` (with
//! `data-complete`, `data-judgements`); `item` (with `data-item`, and `data-seen`: whether taps judge it yet), in
//! it `item-question`, `item-option`; `label` (with `data-label`), `skip`, `skip-reason`, `undo`,
//! `last-judged`, `show-keys`, `keys`, `key`, `reset-keys`, `nothing-to-judge`, `my-cultures`,
//! `save-cultures`, `guidelines`, in it `label-meanings`; `refused-acts`, in it `refused` (with `data-item`) and `discard`; `comment`, `answer`,
//! `comment-text`, `comment-send`; `mine-size`, `my-judgement` (with `data-item`), `my-word`, `judge-again`
//! (with `data-label`), `take-back`; `change-project`, in it fields of `new-project` and `save-project`;
//! `queue-size`, `disagreement` (with `data-item`), `one-item`, `opinion`, `verdict`, `decide` (with
//! `data-label`), `reopen`; `agreement-size`, `coefficient` (with `data-coefficient`), `agreement-part`,
//! `pair`, in it `pair-interval`; `more-pairs`; `accepted-count`, `tune-accepted`, `accepted-run` (with `data-run`), `tuning` (with
//! `data-state`), in it the Studio’s `step`, `talk-to` and `evaluation-table`; `member`, `leave`,
//! `invite-role`, `invite`, `invite-link`, `invite-entry`, `revoke`, `export` (with `data-format`); `error`
//! (with `data-code`).

use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_params_map, use_query_map};

use crate::api::ApiError;
use crate::api::annotation::{Invitation, Project};
use crate::backend::Answer;
use crate::backend::annotation::use_annotation;
use crate::browser;
use crate::components::ErrorNote;
use crate::components::annotation::desk::Desk;
use crate::components::annotation::live::{PAUSES, keep_in_step};
use crate::components::annotation::membership::Membership;
use crate::components::annotation::{
    AdapterView, AgreementView, Invited, Items, Judge, MyJudgements, NewProjectForm, People,
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
    let WorldResource(world) = expect_context();
    let params = use_params_map();
    let token = Memo::new(move |_| params.with(|params| params.get("token")).unwrap_or_default());
    let annotation = StoredValue::new(use_annotation());
    let invitation = RwSignal::new(None::<Result<Invitation, ApiError>>);
    Effect::new(move |_| {
        let wanted = token.get();
        let Some(annotation) = annotation.get_value() else { return };
        spawn_local(patiently(
            invitation,
            move || token.try_get_untracked().as_ref() == Some(&wanted),
            move || annotation.invitation(token.get_untracked()),
        ));
    });
    let invited = move |invitation: Invitation| {
        view! {
            <Suspense fallback=|| view! { <p class="meta">"Reading the invite"</p> }>
                {move || {
                    let invitation = invitation.clone();
                    Suspend::new(async move {
                        // Without the server's names the codes must do.
                        let known = world.await.map(|world| world.cultures).unwrap_or_default();
                        view! { <Invited invitation token known/> }
                    })
                }}
            </Suspense>
        }
    };
    view! {
        <Title text="Join"/>
        <div class="page annotate">
            {move || match invitation.get() {
                None => view! { <p class="meta">"Reading the invite"</p> }.into_any(),
                Some(Err(error)) => view! { <h1>"Join"</h1><Failed error/> }.into_any(),
                Some(Ok(invitation)) => invited(invitation).into_any(),
            }}
        </div>
    }
    .into_any()
}

/// Asks until there is an answer: while the network or the server is in trouble, `found` says so. Ends
/// without one when the page is left or `wanted` no more.
async fn patiently<T: Send + Sync + 'static>(
    found: RwSignal<Option<Result<T, ApiError>>>,
    wanted: impl Fn() -> bool,
    ask: impl Fn() -> Answer<T>,
) {
    let mut wait = PAUSES.0;
    loop {
        let answer = ask().await;
        let again = answer.as_ref().is_err_and(ApiError::is_passing);
        if !wanted() || found.try_set(Some(answer)).is_some() || !again {
            return;
        }
        browser::pause(wait).await;
        wait = (wait * 2).min(PAUSES.1);
    }
}

/// What went wrong, and whether the page goes on trying.
#[component]
fn Failed(error: ApiError) -> impl IntoView {
    let again = error.is_passing();
    view! {
        <ErrorNote error/>
        {again.then(|| view! { <p class="meta">"This page tries again by itself."</p> })}
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
    let found = RwSignal::new(None::<Result<Project, ApiError>>);
    let desk = RwSignal::new(None::<Desk>);
    let owner = StoredValue::new(Owner::current());
    Effect::new(move |_| {
        let id = project.get();
        found.set(None);
        desk.set(None);
        let Some(annotation) = annotation.get_value() else { return };
        let Some(membership) = Membership::of(&id) else {
            found.set(Some(Err(no_key(&id))));
            return;
        };
        spawn_local(async move {
            let (asked, key) = (Arc::clone(&annotation), membership.key.clone());
            let wanted = move || project.try_get_untracked().as_ref() == Some(&id);
            patiently(found, &wanted, move || asked.project(key.clone())).await;
            if !wanted() {
                return;
            }
            let Some(Some(Ok(opened))) = found.try_get_untracked() else { return };
            let open = move || {
                let (opened, woken) = Desk::new(opened, membership.key, annotation);
                keep_in_step(opened, woken);
                let _ = desk.try_set(Some(opened));
            };
            // What is made here lives as long as the page.
            match owner.try_get_value().flatten() {
                Some(owner) => owner.with(open),
                None => drop(open),
            }
        });
    });
    let failed = Memo::new(move |_| found.with(|found| found.as_ref()?.as_ref().err().cloned()));
    view! {
        <div class="page annotate">
            {move || match (desk.get(), failed.get()) {
                (Some(desk), _) => view! { <Opened desk/> }.into_any(),
                (None, Some(error)) => view! { <h1>"Annotate"</h1><Failed error/> }.into_any(),
                (None, None) => view! { <p class="meta">"Opening the project"</p> }.into_any(),
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
        status: None,
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
    let judges = Memo::new(move |_| desk.member().is_none_or(|member| member.role.judges()));
    let view = Memo::new(move |_| {
        let wanted = query.with(|query| query.get("view"));
        VIEWS
            .iter()
            .map(|(name, _)| *name)
            .find(|name| Some(*name) == wanted.as_deref())
            .unwrap_or(if judges.get() { "judge" } else { "people" })
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
            <nav class="tabs" aria-label="Views of the project">{move || {
                // Who looks on has nothing to judge.
                let own = |(name, _): &(&str, _)| judges.get() || !["judge", "mine"].contains(name);
                VIEWS.into_iter().filter(own).map(tab).collect_view()
            }}</nav>
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
