//! Who judges what next: overlap stays exact, leases end, cultures and targets hold.

use proptest::prelude::*;

use super::*;
use crate::annotation::assignment::{GOLD_EVERY, Moment, check_lease};

fn infos(items: &[(&str, &str)]) -> Vec<ItemInfo> {
    items.iter().map(|(id, culture)| item(id, culture).info()).collect()
}

fn names(items: &[ItemId]) -> Vec<&str> {
    items.iter().map(ItemId::as_str).collect()
}

#[test]
fn members_get_the_cultures_they_know_and_viewers_nothing() {
    let (settings, items) = (settings(1), infos(&[("a", "THA"), ("b", "USA"), ("c", "NGA")]));
    let (state, leases) = (State::default(), Leases::default());
    let moment =
        Moment { settings: &settings, items: &items, state: &state, leases: &leases, now: 0 };
    let next = |role| next_items(moment, &member("ann", role), 9);
    assert_eq!(names(&next(MemberRole::Annotator)), ["a", "c"]);
    assert_eq!(names(&next(MemberRole::Viewer)), Vec::<&str>::new());
    let gone = Member { left: true, ..member("ann", MemberRole::Annotator) };
    assert!(next_items(moment, &gone, 9).is_empty());
}

#[test]
fn a_lease_keeps_an_item_and_its_end_gives_it_back() {
    let (settings, items) = (settings(1), infos(&[("a", "THA"), ("b", "THA")]));
    let (ann, bob) = (member("ann", MemberRole::Annotator), member("bob", MemberRole::Annotator));
    let (state, mut leases) = (State::default(), Leases::default());
    leases.take(&"a".into(), &ann.id, 0);
    let at =
        |now| Moment { settings: &settings, items: &items, state: &state, leases: &leases, now };
    assert_eq!(names(&next_items(at(1), &bob, 9)), ["b"]);
    assert_eq!(names(&next_items(at(1), &ann, 9)), ["a", "b"]);
    assert_eq!(names(&next_items(at(LEASE_MILLISECONDS), &bob, 9)), ["a", "b"]);
    let check = |now, who| check_lease(at(now), who, &items[0]);
    assert_eq!(check(1, &ann), Ok(()));
    assert_eq!(check(LEASE_MILLISECONDS, &ann), Ok(()), "there is still room");
    assert!(matches!(check(1, &bob), Err(AnnotationError::NotLeased { .. })));
}

#[test]
fn a_lease_that_ran_out_is_of_no_use_once_others_have_judged() {
    let (settings, items) = (settings(1), infos(&[("a", "THA")]));
    let ann = member("ann", MemberRole::Annotator);
    let mut leases = Leases::default();
    leases.take(&"a".into(), &ann.id, 0);
    let state = State::of([&event("s", "bob", 5, "a", judged("right"))]);
    let late = Moment {
        settings: &settings,
        items: &items,
        state: &state,
        leases: &leases,
        now: LEASE_MILLISECONDS + 1,
    };
    assert!(check_lease(late, &ann, &items[0]).is_err());
    let bob = member("bob", MemberRole::Annotator);
    assert_eq!(check_lease(late, &bob, &items[0]), Ok(()), "who has judged may judge again");
}

#[test]
fn a_lease_is_renewed_once_half_of_it_is_over() {
    let (item, ann): (ItemId, MemberId) = ("a".into(), "ann".into());
    let mut leases = Leases::default();
    leases.take(&item, &ann, 0);
    for (now, expected) in [
        (0, vec![]),
        (LEASE_MILLISECONDS / 2 - 1, vec![]),
        (LEASE_MILLISECONDS / 2, vec![item.clone()]),
        (LEASE_MILLISECONDS, vec![]),
    ] {
        assert_eq!(leases.half_over(&ann, now), expected, "{now}");
    }
    leases.take(&item, &ann, LEASE_MILLISECONDS / 2);
    assert!(leases.holds(&item, &ann, LEASE_MILLISECONDS));
}

#[test]
fn begun_items_come_first_and_targets_stop_new_ones() {
    let items = infos(&[("a", "THA"), ("b", "THA"), ("c", "THA"), ("d", "NGA")]);
    let settings = ProjectSettings { target: Some(1), ..settings(2) };
    let state = State::of([&event("s", "bob", 0, "b", judged("right"))]);
    let leases = Leases::default();
    let moment =
        Moment { settings: &settings, items: &items, state: &state, leases: &leases, now: 0 };
    let next = next_items(moment, &member("ann", MemberRole::Annotator), 9);
    assert_eq!(names(&next), ["b", "d"]);
}

#[test]
fn a_skipped_item_goes_to_others_only() {
    let (settings, items) = (settings(1), infos(&[("a", "THA")]));
    let skip = Act::Skipped { reason: SkipReason::Unwilling };
    let state = State::of([&event("s", "ann", 0, "a", skip)]);
    let leases = Leases::default();
    let moment =
        Moment { settings: &settings, items: &items, state: &state, leases: &leases, now: 0 };
    assert!(next_items(moment, &member("ann", MemberRole::Annotator), 9).is_empty());
    assert_eq!(next_items(moment, &member("bob", MemberRole::Annotator), 9).len(), 1);
}

#[test]
fn gold_items_come_in_between_and_have_room_for_all() {
    let mut items: Vec<ItemInfo> =
        (0..25).map(|n| item(&format!("p{n:02}"), "THA").info()).collect();
    let gold = Item { gold: Some("right".into()), ..item("gold", "THA") };
    items.push(gold.info());
    let (settings, state) = (settings(1), State::default());
    let mut leases = Leases::default();
    leases.take(&"gold".into(), &"bob".into(), 0);
    let moment =
        Moment { settings: &settings, items: &items, state: &state, leases: &leases, now: 1 };
    let next = next_items(moment, &member("ann", MemberRole::Annotator), 20);
    assert_eq!(next[GOLD_EVERY].as_str(), "gold");
    assert_eq!(next.len(), 20);
}

proptest! {
    /// People come in any order, take a few items, judge some of them, and may go away for good.
    #[test]
    fn no_item_ever_gets_more_judgements_than_the_overlap(
        overlap in 1usize..4,
        visits in prop::collection::vec((0usize..5, 1usize..4, 0usize..4, 0i64..LEASE_MILLISECONDS), 0..60),
    ) {
        let settings = settings(overlap);
        let items: Vec<ItemInfo> = (0..6).map(|n| item(&format!("i{n}"), "THA").info()).collect();
        let (mut state, mut leases, mut now) = (State::default(), Leases::default(), 0);
        for (visit, (who, wanted, judges, pause)) in visits.into_iter().enumerate() {
            now += pause;
            let member = member(&format!("m{who}"), MemberRole::Annotator);
            let moment = Moment { settings: &settings, items: &items, state: &state, leases: &leases, now };
            let given = next_items(moment, &member, wanted);
            for item in &given {
                leases.take(item, &member.id, now);
            }
            for item in given.iter().take(judges) {
                let info = items.iter().find(|info| info.id == *item).unwrap();
                let moment = Moment { settings: &settings, items: &items, state: &state, leases: &leases, now };
                prop_assert_eq!(check_lease(moment, &member, info), Ok(()));
                let submission = format!("{visit}-{item}");
                state.apply(&event(&submission, member.id.as_str(), now, item.as_str(), judged("right")));
                leases.release(item, &member.id);
            }
            for info in &items {
                prop_assert!(state.judged_by(&info.id) <= overlap);
            }
        }
    }
}
