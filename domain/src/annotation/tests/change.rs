//! What an owner may change, and what not any more.

use super::*;

#[test]
fn labels_can_be_added_and_renamed_and_taken_away_only_before_they_are_used() {
    let old = settings(2);
    let items = [ItemInfo { gold: Some("wrong".into()), ..item("a", "THA").info() }];
    let without = |id: &str| {
        let mut new = old.clone();
        new.labels.retain(|label| label.id.as_str() != id);
        new
    };
    let mut renamed = old.clone();
    renamed.labels[0].name = "Fine".to_owned();
    renamed.labels.push(Label { id: "rude".into(), ..renamed.labels[0].clone() });
    let blind = ProjectSettings { blind: false, ..old.clone() };
    let narrow = ProjectSettings { overlap: 0, ..old.clone() };
    let wide = ProjectSettings { overlap: 3, target: Some(1), ..old.clone() };
    let fresh = State::default();
    let judged = State::of([&event("s", "ann", 1, "a", judged("right"))]);
    for (new, before, after) in [
        (&renamed, None, None),
        (&wide, None, None),
        (&without("depends"), None, Some("labels")),
        (&without("wrong"), Some("labels"), Some("labels")),
        (&blind, Some("blind"), Some("blind")),
        (&narrow, Some("overlap"), Some("overlap")),
    ] {
        for (state, expected) in [(&fresh, before), (&judged, after)] {
            let refused = match check_change(&old, new, state, &items) {
                Ok(()) => None,
                Err(AnnotationError::Setting { setting, .. }) => Some(setting),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(refused, expected, "{:?}", new.labels);
        }
    }
}
