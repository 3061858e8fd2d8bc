//! The form that makes a project.

use std::collections::BTreeSet;

use domain::annotation::project::LONGEST_NAME;
use domain::annotation::{MemberRole, ProjectSettings};
use domain::culture::{Culture, CultureCode};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::culture_choice::CultureChoice;
use super::membership::Membership;
use super::settings_form::{SettingsDraft, SettingsRules, SettingsWords};
use crate::api::ApiError;
use crate::api::annotation::{ItemFile, ItemSource, Joining, NewProject, SourceInfo};
use crate::backend::annotation::{Key, use_annotation};
use crate::browser;
use crate::components::{ErrorNote, OnceAlive};

/// What is being written.
#[derive(Clone, Copy)]
struct Draft {
    settings: SettingsDraft,
    run: RwSignal<String>,
    file: RwSignal<Option<(String, String)>>,
    /// Attention checks for the run's instances.
    gold: RwSignal<Option<(String, String)>>,
    name: RwSignal<String>,
    cultures: RwSignal<BTreeSet<CultureCode>>,
}

impl Draft {
    fn new() -> Self {
        Self {
            settings: SettingsDraft::of(&ProjectSettings::new("")),
            run: RwSignal::default(),
            file: RwSignal::default(),
            gold: RwSignal::default(),
            name: RwSignal::default(),
            cultures: RwSignal::default(),
        }
    }

    fn finished(self) -> NewProject {
        let source = match self.file.get_untracked() {
            Some((name, text)) if is_csv(&name) => ItemSource::Csv { text },
            Some((_, text)) => ItemSource::Jsonl { text },
            None => ItemSource::Run {
                run: self.run.get_untracked(),
                cultures: Vec::new(),
                gold: self.gold.get_untracked().map(|(name, text)| match is_csv(&name) {
                    true => ItemFile::Csv { text },
                    false => ItemFile::Jsonl { text },
                }),
            },
        };
        NewProject {
            settings: self.settings.finished(),
            source,
            owner: Joining {
                name: self.name.get_untracked(),
                cultures: self.cultures.get_untracked().into_iter().collect(),
            },
        }
    }
}

fn is_csv(name: &str) -> bool {
    name.to_lowercase().ends_with(".csv")
}

/// Makes a project; `on_made` gets its identifier.
#[component]
pub fn NewProjectForm(
    /// Cultures with their names.
    known: Vec<Culture>,
    /// Told about the project that was made.
    #[prop(into)]
    on_made: Callback<String>,
) -> impl IntoView {
    let draft = Draft::new();
    let annotation = StoredValue::new(use_annotation());
    let (refusal, busy) = (RwSignal::new(None::<ApiError>), RwSignal::new(false));
    let make = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(annotation) = annotation.get_value() else { return };
        // A second press would make a second project.
        if busy.get_untracked() {
            return;
        }
        let new = draft.finished();
        let (title, name) = (new.settings.title.clone(), new.owner.name.clone());
        busy.set(true);
        refusal.set(None);
        spawn_local(async move {
            match annotation.create(new).await {
                Ok(joined) => {
                    let key = Key { project: joined.project.clone(), token: joined.token };
                    let role = MemberRole::Owner;
                    let membership = Membership { key, member: joined.member, role, title, name };
                    membership.keep_as_current();
                    on_made.run(joined.project);
                }
                Err(error) => drop(refusal.try_set(Some(error))),
            }
            // The form may be gone by now.
            let _ = busy.try_set(false);
        });
    };
    let codes = known.iter().map(|culture| culture.code).collect::<Vec<_>>();
    view! {
        <form class="new-run new-project" aria-label="New project" autocomplete="off" on:submit=make
            data-testid="new-project">
            <OnceAlive>
                <SettingsWords draft=draft.settings/>
                <Source draft/>
                <SettingsRules draft=draft.settings new=true/>
                <label class="field">
                    "Your name in the project"
                    <input type="text" required maxlength=LONGEST_NAME.to_string() data-testid="owner-name"
                        on:input=move |event| draft.name.set(event_target_value(&event))/>
                </label>
                <CultureChoice codes known chosen=draft.cultures legend="Cultures you know and judge yourself, if any"/>
                {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
                <p class="start">
                    <button type="submit" class="primary" data-testid="make-project" disabled=move || busy.get()>
                        "Make the project"
                    </button>
                </p>
            </OnceAlive>
        </form>
    }
    .into_any()
}

/// A run, or a file.
#[component]
fn Source(draft: Draft) -> impl IntoView {
    let sources = RwSignal::new(Vec::<SourceInfo>::new());
    let annotation = StoredValue::new(use_annotation());
    // An effect runs in the browser only, which alone has the list.
    Effect::new(move |_| {
        let Some(annotation) = annotation.get_value() else { return };
        spawn_local(async move {
            let found = annotation.sources().await.unwrap_or_default();
            let first = found.first().map(|source| source.run.clone()).unwrap_or_default();
            if draft.run.try_set(first).is_none() {
                sources.set(found);
            }
        });
    });
    let choose = |place: RwSignal<Option<(String, String)>>| {
        move |event: leptos::ev::Event| {
            spawn_local(async move {
                let chosen = browser::chosen_file(event).await;
                let _ = place.try_set(chosen);
            });
        }
    };
    view! {
        <fieldset class="stack">
            <legend>"What is judged"</legend>
            <Show when=move || !sources.with(Vec::is_empty) fallback=|| view! {
                <p class="meta">"No run of the method has collected instances yet: a file will do."</p>
            }>
                <label class="field">
                    "The instances of a run, or a file below"
                    <select data-testid="source-run"
                        on:change=move |event| draft.run.set(event_target_value(&event))>
                        {move || sources.get().into_iter().map(|source| {
                            let label = format!("{} ({} instances)", source.run, source.instances);
                            view! { <option value=source.run>{label}</option> }
                        }).collect_view()}
                    </select>
                </label>
                <label class="field">
                    "Attention checks for that run, if any: a file as below"
                    <span class="meta">"Its records with a "<code>"gold"</code>" become checks, others are left out.
                        A line with the "<code>"id"</code>" of an instance makes that one a check: save the JSONL
                        file of a project of the run, and add "<code>"gold"</code>" to lines of it. Checks
                        are not learnt."</span>
                    <input type="file" accept=".jsonl,.ndjson,.json,.csv" data-testid="gold-file"
                        on:change=choose(draft.gold)/>
                </label>
                <FileRead file=draft.gold testid="gold-read"/>
            </Show>
            <label class="field">
                "A file: JSON lines or CSV with culture, question, options, unaware, aware"
                <span class="meta">"A record may have a "<code>"gold"</code>": the label that an attentive person
                    gives. Such items are attention checks, which annotators are not told of. No adapter can be
                    tuned here on what a file brought: it has no survey."</span>
                <input type="file" accept=".jsonl,.ndjson,.json,.csv" data-testid="source-file"
                    on:change=choose(draft.file)/>
            </label>
            <FileRead file=draft.file testid="file-read"/>
        </fieldset>
    }
    .into_any()
}

/// What was read of a chosen file.
#[component]
fn FileRead(file: RwSignal<Option<(String, String)>>, testid: &'static str) -> impl IntoView {
    view! {
        <p class="meta" role="status" data-testid=testid>
            {move || file.with(|file| file.as_ref().map(|(name, text)| {
                format!("{name}: {} lines", text.lines().count())
            }))}
        </p>
    }
    .into_any()
}
