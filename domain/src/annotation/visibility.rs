//! What a blind project keeps from annotators until an item is done.

use super::event::{Act, Event, HiddenKind};
use super::item::ItemInfo;
use super::member::Member;
use super::project::ProjectSettings;
use super::state::State;

/// Whether `item` has as many judgements as the project asks for, or a decision. A gold item never
/// is: everybody judges it unseen.
pub fn is_complete(settings: &ProjectSettings, state: &State, item: &ItemInfo) -> bool {
    let Some(record) = state.record(&item.id) else { return false };
    item.gold.is_none()
        && (record.judged_by() >= settings.overlap || record.adjudication().is_some())
}

/// Whether `viewer` may see what others say of `item`.
pub fn sees_others(
    settings: &ProjectSettings,
    state: &State,
    item: &ItemInfo,
    viewer: &Member,
) -> bool {
    viewer.role.adjudicates() || !settings.blind || is_complete(settings, state, item)
}

/// The event as `viewer` gets it now: what others say of an item that isn't theirs to see yet loses
/// its content, and the real event has to be sent once it is.
pub fn shown(
    settings: &ProjectSettings,
    state: &State,
    item: Option<&ItemInfo>,
    viewer: &Member,
    event: &Event,
) -> Event {
    let Some(item) = item else { return event.clone() };
    if event.author == viewer.id || sees_others(settings, state, item, viewer) {
        return event.clone();
    }
    let kind = match event.act {
        Act::Judged(_) => HiddenKind::Judged,
        Act::Commented { .. } => HiddenKind::Commented,
        _ => return event.clone(),
    };
    Event { act: Act::Hidden { kind }, ..event.clone() }
}
