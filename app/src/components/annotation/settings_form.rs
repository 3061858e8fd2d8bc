//! The fields of what a project asks for: for a new one, and for its owner later.

use domain::annotation::project::{LONGEST_GUIDELINES, LONGEST_TITLE, MOST_OVERLAP};
use domain::annotation::{Label, ProjectSettings};
use domain::question::Scale;
use leptos::prelude::*;

/// What is being written; a handle that can be copied.
#[derive(Clone, Copy)]
pub struct SettingsDraft {
    title: RwSignal<String>,
    guidelines: RwSignal<String>,
    labels: RwSignal<String>,
    ordered: RwSignal<bool>,
    overlap: RwSignal<usize>,
    target: RwSignal<Option<usize>>,
    blind: RwSignal<bool>,
}

impl SettingsDraft {
    /// A draft that begins with `settings`.
    pub fn of(settings: &ProjectSettings) -> Self {
        let lines = settings.labels.iter().map(line_of).collect::<Vec<_>>();
        Self {
            title: RwSignal::new(settings.title.clone()),
            guidelines: RwSignal::new(settings.guidelines.clone()),
            labels: RwSignal::new(lines.join("\n")),
            ordered: RwSignal::new(settings.scale == Scale::Ordered),
            overlap: RwSignal::new(settings.overlap),
            target: RwSignal::new(settings.target),
            blind: RwSignal::new(settings.blind),
        }
    }

    /// What has been written. Rules are for the server to check.
    pub fn finished(self) -> ProjectSettings {
        let scale = if self.ordered.get_untracked() { Scale::Ordered } else { Scale::Nominal };
        ProjectSettings {
            title: self.title.get_untracked(),
            guidelines: self.guidelines.get_untracked(),
            labels: self.labels.with_untracked(|text| labels_of(text)),
            scale,
            overlap: self.overlap.get_untracked(),
            target: self.target.get_untracked(),
            blind: self.blind.get_untracked(),
        }
    }
}

/// A label as a line of the form: `right = Right: Most people would say so. +`.
fn line_of(label: &Label) -> String {
    let accepts = if label.accepts { " +" } else { "" };
    format!("{} = {}: {}{accepts}", label.id, label.name, label.explanation)
}

/// The labels of the form's lines; what is left out stays empty, for the server to refuse by its name.
fn labels_of(text: &str) -> Vec<Label> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (line, accepts) = match line.strip_suffix('+') {
                Some(line) => (line.trim_end(), true),
                None => (line, false),
            };
            let (id, rest) = line.split_once('=').unwrap_or((line, ""));
            let (name, explanation) = rest.split_once(':').unwrap_or((rest, ""));
            Label {
                id: id.trim().into(),
                name: name.trim().to_owned(),
                explanation: explanation.trim().to_owned(),
                accepts,
            }
        })
        .collect()
}

/// Title and guidelines.
#[component]
pub fn SettingsWords(
    /// What is being written.
    draft: SettingsDraft,
) -> impl IntoView {
    view! {
        <label class="field">
            "Title"
            <input type="text" required maxlength=LONGEST_TITLE.to_string() data-testid="project-title"
                prop:value=move || draft.title.get()
                on:input=move |event| draft.title.set(event_target_value(&event))/>
        </label>
        <label class="field">
            "Guidelines for annotators (Markdown)"
            <textarea rows="4" maxlength=LONGEST_GUIDELINES.to_string() data-testid="project-guidelines"
                prop:value=move || draft.guidelines.get()
                on:input=move |event| draft.guidelines.set(event_target_value(&event))></textarea>
        </label>
    }
    .into_any()
}

/// How many people and items, who sees what, and the labels.
#[component]
pub fn SettingsRules(
    /// What is being written.
    draft: SettingsDraft,
    /// Whether nobody works in the project yet, so that everything can be chosen.
    new: bool,
) -> impl IntoView {
    let overlap = move |event| {
        draft.overlap.set(event_target_value(&event).trim().parse().unwrap_or(0));
    };
    let target = move |event| draft.target.set(event_target_value(&event).trim().parse().ok());
    let wanted = move || draft.target.get().map(|target| target.to_string()).unwrap_or_default();
    let blind = move || {
        view! {
            <label>
                <input type="checkbox" data-testid="blind" checked=draft.blind.get_untracked()
                    prop:checked=move || draft.blind.get()
                    on:change=move |event| draft.blind.set(event_target_checked(&event))/>
                "Blind: nobody sees others’ judgements of an item until it is complete"
            </label>
        }
    };
    let kept =
        if new { "" } else { " Once items are judged, labels can only be added or renamed." };
    view! {
        <div class="choices">
            <label class="field">
                "People per item"
                <input type="number" min="1" max=MOST_OVERLAP.to_string() data-testid="overlap"
                    value=draft.overlap.get_untracked().to_string()
                    prop:value=move || draft.overlap.get().to_string() on:change=overlap/>
            </label>
            <label class="field">
                "Items per culture (empty: all)"
                <input type="number" min="1" data-testid="target" prop:value=wanted on:change=target/>
            </label>
        </div>
        {new.then(blind)}
        <details class="note">
            <summary>"Labels"</summary>
            <label class="field">
                "One per line: identifier = Name: when to choose it. A + at the end puts instances with
                this verdict into the training set."{kept}
                <textarea rows="6" data-testid="labels" prop:value=move || draft.labels.get()
                    on:input=move |event| draft.labels.set(event_target_value(&event))></textarea>
            </label>
            <label>
                <input type="checkbox" data-testid="ordered" prop:checked=move || draft.ordered.get()
                    on:change=move |event| draft.ordered.set(event_target_checked(&event))/>
                "The labels are in an order that means something"
            </label>
        </details>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::annotation::label::default_labels;

    #[test]
    fn labels_survive_their_lines() {
        let labels = default_labels();
        let text = labels.iter().map(line_of).collect::<Vec<_>>().join("\n");
        assert_eq!(labels_of(&text), labels);
        let short = labels_of("yes = Yes +\n\nno");
        assert!(short[0].accepts && short[0].name == "Yes");
        assert_eq!((short[1].id.as_str(), short[1].name.as_str()), ("no", ""));
    }

    #[test]
    fn a_draft_that_nobody_touched_changes_nothing() {
        let owner = Owner::new();
        owner.set();
        let mut settings = ProjectSettings::new("Meals");
        settings.guidelines = "Think.".to_owned();
        settings.target = Some(3);
        assert_eq!(SettingsDraft::of(&settings).finished(), settings);
    }
}
