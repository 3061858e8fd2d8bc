//! Which voices a chart is about.

use leptos::prelude::*;

use super::speaker::Group;

/// Chooses one of the groups.
#[component]
pub fn GroupChoice(
    /// Goes to `data-testid`.
    testid: &'static str,
    /// What can be chosen.
    groups: Memo<Vec<Group>>,
    /// What is shown.
    group: Memo<Option<Group>>,
    /// What somebody has chosen.
    picked: RwSignal<Option<Group>>,
) -> impl IntoView {
    let options = move || {
        let one = |(index, option): (usize, &Group)| {
            let own = option.clone();
            let selected = move || group.with(|group| group.as_ref() == Some(&own));
            view! {
                <option value=index.to_string() prop:selected=selected>{option.to_string()}</option>
            }
        };
        groups.with(|groups| groups.iter().enumerate().map(one).collect_view())
    };
    let choose = move |event| {
        let index = event_target_value(&event).parse::<usize>().ok();
        picked.set(index.and_then(|index| groups.with_untracked(|g| g.get(index).cloned())));
    };
    view! {
        <label class="field">
            "Voices"
            <select data-testid=testid on:change=choose>{options}</select>
        </label>
    }
}
