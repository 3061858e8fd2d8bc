//! What an owner may change of a project that people work in.

use std::collections::BTreeSet;

use super::error::AnnotationError;
use super::item::ItemInfo;
use super::label::LabelId;
use super::project::ProjectSettings;
use super::state::State;

/// Refuses a change after which something that was said would have lost its meaning: labels can be
/// added and renamed, and taken away only as long as nothing was said by them.
///
/// # Errors
/// [`AnnotationError::Setting`] with the first rule that is broken.
pub fn check_change(
    old: &ProjectSettings,
    new: &ProjectSettings,
    state: &State,
    items: &[ItemInfo],
) -> Result<(), AnnotationError> {
    new.check()?;
    let refuse = |setting, rule: String| Err(AnnotationError::Setting { setting, rule });
    if new.blind != old.blind {
        let now = if old.blind { "blind" } else { "open" };
        return refuse(
            "blind",
            format!("can't change: people have begun in a project that is {now}"),
        );
    }
    let needed = match state.is_judged() {
        true => old.labels.iter().map(|label| &label.id).collect(),
        false => items.iter().filter_map(|item| item.gold.as_ref()).collect::<BTreeSet<&LabelId>>(),
    };
    match needed.into_iter().find(|id| new.label(id).is_none()) {
        Some(id) => refuse(
            "labels",
            format!(
                "must keep `{id}`: items are judged by the labels that there are, so they can only be added or renamed"
            ),
        ),
        None => Ok(()),
    }
}
