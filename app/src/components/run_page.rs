//! What pages of runs have in common: the run that the address names, earlier ones to open, and how the
//! list keeps up. What a run is, and how it is followed, is its page's own.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{ApiError, JobState};
use crate::backend::{Answer, Backend, use_backend};
use crate::components::ErrorNote;
use crate::link;

/// What a run has to be, to come with the page from the server.
pub trait Listed: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Listed for T {}

/// A page at `path` with `?run=ID`; a handle that can be copied.
pub struct RunPage<T: Listed> {
    /// The run that the address names.
    pub shown: Memo<Option<String>>,
    /// All runs, newest first.
    pub runs: Resource<Result<Vec<T>, ApiError>>,
    path: &'static str,
    go: Callback<String>,
}

impl<T: Listed> Clone for RunPage<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Listed> Copy for RunPage<T> {}

/// A run among others.
#[derive(Debug, Clone, PartialEq)]
pub struct RunLink {
    /// Its identifier.
    pub id: String,
    /// What the link says.
    pub name: String,
    /// What else there is to say of it.
    pub line: String,
}

impl<T: Listed> RunPage<T> {
    /// The page at `path`, whose runs `fetch` reads.
    pub fn new(path: &'static str, fetch: fn(Arc<dyn Backend>) -> Answer<Vec<T>>) -> Self {
        let backend = StoredValue::new(use_backend());
        let runs = Resource::new(
            || (),
            move |()| {
                let backend = backend.get_value();
                async move { fetch(backend?).await }
            },
        );
        let navigate = use_navigate();
        let go = Callback::new(move |address: String| {
            navigate(&address, NavigateOptions { scroll: false, ..Default::default() });
        });
        Self { shown: Self::named("run"), runs, path, go }
    }

    /// The run that a field of the address names.
    pub fn named(field: &'static str) -> Memo<Option<String>> {
        let query = use_query_map();
        Memo::new(move |_| query.with(|query| query.get(field).filter(|id| !id.is_empty())))
    }

    /// The address that shows a run.
    fn address(self, id: &str) -> String {
        format!("{}?run={}", self.path, link::escape(id))
    }

    /// Shows a run, which may be a new one.
    pub fn open(self, id: &str) {
        self.go.run(self.address(id));
        self.runs.refetch();
    }

    /// Shows a run with another one beside it, or alone.
    pub fn open_beside(self, id: &str, beside: Option<&str>) {
        let beside = beside.map(|other| format!("&beside={}", link::escape(other)));
        self.go.run(format!("{}{}", self.address(id), beside.unwrap_or_default()));
    }

    /// Reads the list anew when the shown run's state has changed: it looks different there.
    pub fn keep_up_with(self, state: Memo<Option<JobState>>) {
        Effect::new(move |before: Option<Option<JobState>>| {
            let now = state.get();
            if before.flatten().is_some_and(|before| Some(before) != now) {
                self.runs.refetch();
            }
            now
        });
    }
}

/// The runs in the store, each a link that opens it.
#[component]
pub fn RunLinks<T: Listed>(
    /// The page.
    page: RunPage<T>,
    /// What is said of a run.
    entry: fn(&T) -> RunLink,
    /// What is said while there is none.
    none: &'static str,
) -> impl IntoView {
    let list = move |runs: Vec<T>| {
        let entries = runs.iter().map(|run| shown_entry(page, entry(run))).collect_view();
        view! { <ul data-testid="runs">{entries}</ul> }
    };
    view! {
        <Transition fallback=|| view! { <p class="meta">"Loading"</p> }>
            {move || Suspend::new(async move {
                match page.runs.await {
                    Ok(runs) if runs.is_empty() => view! { <p class="meta">{none}</p> }.into_any(),
                    Ok(runs) => list(runs).into_any(),
                    Err(error) => view! { <ErrorNote error/> }.into_any(),
                }
            })}
        </Transition>
    }
    .into_any()
}

fn shown_entry<T: Listed>(page: RunPage<T>, RunLink { id, name, line }: RunLink) -> impl IntoView {
    let (address, own) = (page.address(&id), id.clone());
    let here = move || page.shown.with(|shown| shown.as_ref() == Some(&own)).then_some("true");
    view! {
        <li data-testid="run" data-run=id>
            <a href=address aria-current=here>{name}</a>
            <span class="meta">{line}</span>
        </li>
    }
}
