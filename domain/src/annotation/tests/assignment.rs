//! Who judges what next: overlap stays exact, leases end, cultures and targets hold.

use proptest::prelude::*;

use super::*;
use crate::annotation::assignment::{GOLD_EVERY, Moment, check_turn};
use crate::annotation::lease::{ACTIVE_MILLISECONDS, FARTHEST_END, READING_MILLISECONDS};
use crate::annotation::state::Word;

fn infos(items: &[(&str, &str)]) -> Vec<ItemInfo> {
    items.iter().map(|(id, culture)| item(id, culture).info()).collect()
}

/// As somebody at work asks.
fn next_items(moment: Moment<'_>, member: &Member, wanted: usize) -> Vec<ItemId> {
    crate::annotation::next_items(moment, member, Attention::Active, wanted)
}

fn skipped() -> Act {
    Act::Skipped { reason: SkipReason::Undecided }
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
    let check = |now, who| check_turn(at(now), who, &items[0], &judged("right"), None);
    assert_eq!(check(1, &ann), Ok(LeaseChange::End));
    assert_eq!(check(LEASE_MILLISECONDS, &ann), Ok(LeaseChange::End), "there is still room");
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
    let check = |who, act: Act| check_turn(late, who, &items[0], &act, None);
    assert!(check(&ann, judged("right")).is_err());
    assert_eq!(check(&ann, skipped()), Ok(LeaseChange::End), "a skip takes no place");
    let bob = member("bob", MemberRole::Annotator);
    assert_eq!(
        check(&bob, judged("wrong")),
        Ok(LeaseChange::End),
        "who has judged may judge again"
    );
    let cem = member("cem", MemberRole::Annotator);
    assert!(check(&cem, skipped()).is_err(), "it was never given to Cem");
}

#[test]
fn only_ones_own_word_that_stands_can_be_taken_back() {
    let (settings, items) = (settings(2), infos(&[("a", "THA"), ("b", "THA")]));
    let events = [
        event("first", "ann", 0, "a", judged("right")),
        replacing(event("second", "ann", 1, "a", judged("wrong")), "first"),
        event("bobs", "bob", 0, "a", judged("right")),
    ];
    let (state, leases) = (State::of(&events), Leases::default());
    let moment =
        Moment { settings: &settings, items: &items, state: &state, leases: &leases, now: 9 };
    let ann = member("ann", MemberRole::Annotator);
    let undo = |item: &ItemInfo, replaces: Option<&str>| {
        let replaces = replaces.map(SubmissionId::from);
        check_turn(moment, &ann, item, &Act::Undone, replaces.as_ref())
    };
    for (item, replaces) in [
        (0, Some("first")),
        (0, Some("bobs")),
        (0, Some("unheard")),
        (0, None),
        (1, None),
        (1, Some("second")),
    ] {
        let refused = undo(&items[item], replaces);
        assert!(matches!(refused, Err(AnnotationError::NothingToUndo { .. })), "{replaces:?}");
    }
    let lease = Lease::new(&items[0].id, &ann.id, 9);
    assert_eq!(undo(&items[0], Some("second")), Ok(LeaseChange::Take(lease)));
}

#[test]
fn who_skips_leaves_the_place_to_others() {
    let (settings, items) = (settings(1), infos(&[("a", "THA")]));
    let (ann, bob) = (member("ann", MemberRole::Annotator), member("bob", MemberRole::Annotator));
    let mut state = State::of([&event("s", "ann", 0, "a", skipped())]);
    let (mut leases, skip) = (Leases::default(), SubmissionId::from("s"));
    let check = |state: &State, leases: &Leases, act: &Act| {
        let moment = Moment { settings: &settings, items: &items, state, leases, now: 9 };
        check_turn(moment, &ann, &items[0], act, Some(&skip))
    };
    assert_eq!(check(&state, &leases, &judged("right")), Ok(LeaseChange::End), "nobody has it");
    let lease = LeaseChange::Take(Lease::new(&items[0].id, &ann.id, 9));
    assert_eq!(check(&state, &leases, &Act::Undone), Ok(lease));
    leases.take(&items[0].id, &bob.id, 5);
    for act in [judged("right"), Act::Undone] {
        assert!(check(&state, &leases, &act).is_err(), "Bob has it: {act:?}");
    }
    leases.release(&items[0].id, &bob.id);
    state.apply(&event("b", "bob", 6, "a", judged("right")));
    for act in [judged("right"), Act::Undone] {
        assert!(check(&state, &leases, &act).is_err(), "Bob has judged it: {act:?}");
    }
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
        assert_eq!(leases.to_renew(&ann, Attention::Active, None, now), expected, "{now}");
    }
    leases.take(&item, &ann, LEASE_MILLISECONDS / 2);
    assert!(leases.holds(&item, &ann, LEASE_MILLISECONDS));
}

#[test]
fn who_reads_slowly_keeps_the_item_on_the_screen_and_a_forgotten_tab_nothing() {
    let ann: MemberId = "ann".into();
    let mut leases = Leases::default();
    let items: Vec<ItemId> = ["a", "b", "c"].map(ItemId::from).to_vec();
    items.iter().for_each(|item| drop(leases.take(item, &ann, 0)));
    let now = LEASE_MILLISECONDS / 2;
    for (idle, expected) in [
        (0, &items[..]),
        (ACTIVE_MILLISECONDS - 1, &items[..]),
        (ACTIVE_MILLISECONDS, &items[1..2]),
        (READING_MILLISECONDS - 1, &items[1..2]),
        (READING_MILLISECONDS, &[]),
        (i64::MAX, &[]),
    ] {
        let attention = Attention::after(idle);
        assert_eq!(leases.to_renew(&ann, attention, Some(&items[1]), now), expected, "{idle}");
    }
}

/// Somebody opens the page and goes away. The page goes on as it does: it says that it is there, and asks
/// for more when it has few items.
#[test]
fn a_forgotten_tab_gives_everything_back() {
    let (settings, items) = (settings(1), infos(&[("a", "THA"), ("b", "THA"), ("c", "THA")]));
    let (ann, bob) = (member("ann", MemberRole::Annotator), member("bob", MemberRole::Annotator));
    let (state, mut leases) = (State::default(), Leases::default());
    let at = |leases: &Leases, who: &Member, attention: Attention, now| {
        let moment = Moment { settings: &settings, items: &items, state: &state, leases, now };
        crate::annotation::next_items(moment, who, attention, 9)
    };
    for now in (0..).step_by(20_000).take_while(|now| *now < READING_MILLISECONDS * 2) {
        let attention = Attention::after(now);
        let looking = Some(ItemId::from("a"));
        for item in leases.to_renew(&ann.id, attention, looking.as_ref(), now) {
            leases.take(&item, &ann.id, now);
        }
        for item in at(&leases, &ann, attention, now) {
            if !leases.holds(&item, &ann.id, now) {
                leases.take(&item, &ann.id, now);
            }
        }
        let free = at(&leases, &bob, Attention::Active, now).len();
        let expected = match now {
            ..LEASE_MILLISECONDS => 0,
            // The prefetched ones were renewed once, while she was active.
            _ if leases.holds(&"b".into(), &ann.id, now) => 0,
            _ if leases.holds(&"a".into(), &ann.id, now) => 2,
            _ => 3,
        };
        assert_eq!(free, expected, "{now}");
    }
    let late = READING_MILLISECONDS * 2;
    assert_eq!(at(&leases, &bob, Attention::Active, late).len(), 3);
    assert!(!leases.holds(&"b".into(), &ann.id, ACTIVE_MILLISECONDS + LEASE_MILLISECONDS));
    assert!(!leases.holds(&"a".into(), &ann.id, READING_MILLISECONDS + LEASE_MILLISECONDS));
    assert_eq!(at(&leases, &ann, Attention::Active, late).len(), 3, "until she comes back");
}

/// A project's end: Ann's tab was forgotten with few items in it, so that its page asks for more.
#[test]
fn who_is_away_gets_nothing_that_becomes_free() {
    let names_of: Vec<String> = (0..12).map(|n| format!("i{n:02}")).collect();
    let pairs: Vec<(&str, &str)> = names_of.iter().map(|name| (name.as_str(), "THA")).collect();
    let (settings, items) = (settings(1), infos(&pairs));
    let (ann, bob) = (member("ann", MemberRole::Annotator), member("bob", MemberRole::Annotator));
    let (state, mut leases) = (State::default(), Leases::default());
    items[..2].iter().for_each(|item| drop(leases.take(&item.id, &ann.id, 0)));
    items[2..].iter().for_each(|item| drop(leases.take(&item.id, &bob.id, 0)));
    leases.release(&items[7].id, &bob.id);
    let next = |leases: &Leases, who, attention, now| {
        let moment = Moment { settings: &settings, items: &items, state: &state, leases, now };
        names(&crate::annotation::next_items(moment, who, attention, 9)).join(" ")
    };
    for (attention, expected) in [
        (Attention::Active, "i00 i01 i07"),
        (Attention::Reading, "i00 i01 i07"),
        (Attention::Away, "i00 i01"),
    ] {
        assert_eq!(next(&leases, &ann, attention, 1), expected, "{attention:?}");
    }
    let late = LEASE_MILLISECONDS;
    assert_eq!(next(&leases, &ann, Attention::Away, late), "", "what she had is free as well");
    assert_eq!(next(&leases, &ann, Attention::Reading, late).split(' ').count(), 9);
    assert_eq!(next(&leases, &bob, Attention::Active, late).split(' ').count(), 9);
}

/// A server's clock ran a day ahead for a moment.
#[test]
fn a_lease_that_ends_too_late_keeps_an_item_from_nobody() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let (settings, items) = (settings(1), infos(&[("a", "THA")]));
    let (ann, bob) = (member("ann", MemberRole::Annotator), member("bob", MemberRole::Annotator));
    let (state, mut leases) = (State::default(), Leases::default());
    leases.take(&items[0].id, &ann.id, DAY);
    let at = |leases: &Leases, who, now| {
        let moment = Moment { settings: &settings, items: &items, state: &state, leases, now };
        let judges = check_turn(moment, who, &items[0], &judged("right"), None).is_ok();
        (next_items(moment, who, 9).len(), judges)
    };
    assert_eq!(at(&leases, &bob, 0), (1, false), "it is free");
    assert_eq!(at(&leases, &ann, 0), (1, true), "and Ann may judge it as long as nobody has it");
    leases.take(&items[0].id, &ann.id, 0);
    assert!(leases.holds(&items[0].id, &ann.id, 1), "a lease by the right clock takes its place");
    assert_eq!(at(&leases, &bob, 1), (0, false));
    assert!(!leases.holds(&items[0].id, &ann.id, LEASE_MILLISECONDS));
    let set_back = LEASE_MILLISECONDS - FARTHEST_END;
    assert!(leases.holds(&items[0].id, &ann.id, set_back), "a clock that is set back a little");
    assert!(!leases.holds(&items[0].id, &ann.id, set_back - 1));
}

#[test]
fn the_end_of_a_lease_is_noticed_once() {
    let (item, ann): (ItemId, MemberId) = ("a".into(), "ann".into());
    let mut leases = Leases::default();
    leases.take(&item, &ann, 0);
    let end = LEASE_MILLISECONDS;
    for (since, now, ended) in
        [(0, end - 1, false), (end - 1, end, true), (0, 2 * end, true), (end, 2 * end, false)]
    {
        assert_eq!(leases.ended(since, now), ended, "{since} to {now}");
    }
}

/// Ann is cut off for 30 s: she goes on with what she has, while others work, and then hands it in.
#[test]
fn who_is_cut_off_for_30_seconds_loses_nothing() {
    const CUT: i64 = 30_000;
    let names: Vec<String> = (0..12).map(|n| format!("i{n:02}")).collect();
    let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "THA")).collect();
    let (settings, items) = (settings(2), infos(&pairs));
    let (mut state, mut leases) = (State::default(), Leases::default());
    let ann = member("ann", MemberRole::Annotator);
    let give = |state: &State, leases: &mut Leases, who: &Member, wanted, now| {
        let moment = Moment { settings: &settings, items: &items, state, leases, now };
        let given = next_items(moment, who, wanted);
        given.iter().for_each(|item| drop(leases.take(item, &who.id, now)));
        given
    };
    let hand_in = |state: &mut State, leases: &mut Leases, who: &Member, item: &ItemId, now| {
        let info = items.iter().find(|info| info.id == *item).unwrap();
        let moment = Moment { settings: &settings, items: &items, state, leases, now };
        check_turn(moment, who, info, &judged("right"), None)?;
        let submission = format!("{}-{item}", who.id);
        state.apply(&event(&submission, who.id.as_str(), now, item.as_str(), judged("right")));
        leases.release(item, &who.id);
        Ok::<_, AnnotationError>(())
    };
    let kept = give(&state, &mut leases, &ann, 10, 0);
    for (place, name) in ["bob", "cem", "dan"].into_iter().enumerate() {
        let other = member(name, MemberRole::Annotator);
        let now = 1_000 + 9_000 * place as i64;
        for item in give(&state, &mut leases, &other, 20, now) {
            assert_eq!(hand_in(&mut state, &mut leases, &other, &item, now + 5_000), Ok(()));
        }
    }
    for item in &kept {
        assert_eq!(hand_in(&mut state, &mut leases, &ann, item, CUT), Ok(()), "{item}");
    }
    assert!(items.iter().all(|item| state.judged_by(&item.id) <= 2));
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
fn a_target_is_kept_within_one_request_and_over_leases_that_ran_out() {
    let items = infos(&[("a", "THA"), ("b", "THA"), ("c", "THA"), ("d", "THA")]);
    let settings = ProjectSettings { target: Some(2), ..settings(2) };
    let (ann, bob) = (member("ann", MemberRole::Annotator), member("bob", MemberRole::Annotator));
    let (mut state, mut leases) = (State::default(), Leases::default());
    let next = |leases: &Leases, who: &Member| {
        let state = &State::default();
        next_items(Moment { settings: &settings, items: &items, state, leases, now: 1 }, who, 9)
    };
    assert_eq!(names(&next(&leases, &ann)), ["a", "b"]);
    leases.take(&"a".into(), &ann.id, 0);
    assert_eq!(names(&next(&leases, &bob)), ["a", "b"], "a is begun");
    // Ann's lease runs out, and others begin two other items.
    for item in ["b", "c"] {
        state.apply(&event(item, "bob", 1, item, judged("right")));
    }
    let check = |state: &State| {
        let (leases, now) = (&leases, LEASE_MILLISECONDS + 1);
        let late = Moment { settings: &settings, items: &items, state, leases, now };
        check_turn(late, &ann, &items[0], &judged("right"), None)
    };
    assert!(check(&state).is_err(), "a third item of the culture");
    state.apply(&event("a", "cem", 2, "a", judged("right")));
    assert_eq!(check(&state), Ok(LeaseChange::End), "it is begun anyway");
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

/// What somebody tries: on any item, whether it was given to them or not.
#[derive(Debug, Clone, Copy)]
enum Try {
    Fetch(usize),
    Judge(usize),
    Skip(usize),
    /// Takes back what stands, or what stood before.
    Undo(usize, bool),
}

fn tries() -> impl Strategy<Value = Vec<(usize, Try, i64, Option<usize>)>> {
    let what = prop_oneof![
        3 => (1usize..4).prop_map(Try::Fetch),
        4 => (0usize..7).prop_map(Try::Judge),
        2 => (0usize..7).prop_map(Try::Skip),
        3 => (0usize..7, prop::bool::weighted(0.8)).prop_map(|(item, own)| Try::Undo(item, own)),
    ];
    // Most pauses are short: leases hold, and sometimes run out.
    let pause = prop_oneof![4 => 0i64..1000, 1 => 0..LEASE_MILLISECONDS * 2];
    // What a broken client says that its act takes the place of: an act from before, or one to come.
    let claim = prop::option::of(0usize..120);
    prop::collection::vec((0usize..5, what, pause, claim), 0..120)
}

proptest! {
    /// People come in any order, take items, judge, skip, take back, judge again, and may go away for
    /// good; what the rules allow is done, whatever their clients say that it takes the place of.
    #[test]
    fn no_item_ever_gets_more_judgements_than_the_overlap(
        overlap in 1usize..4,
        target in prop::option::of(1usize..4),
        tries in tries(),
    ) {
        let settings = ProjectSettings { target, ..settings(overlap) };
        let mut items: Vec<ItemInfo> = (0..6).map(|n| item(&format!("i{n}"), "THA").info()).collect();
        items.push(Item { gold: Some("right".into()), ..item("gold", "THA") }.info());
        let (mut state, mut leases, mut now) = (State::default(), Leases::default(), 0);
        let mut given = std::collections::BTreeSet::new();
        for (number, (who, what, pause, claim)) in tries.into_iter().enumerate() {
            now += pause;
            let member = member(&format!("m{who}"), MemberRole::Annotator);
            let moment = Moment { settings: &settings, items: &items, state: &state, leases: &leases, now };
            let (place, act) = match what {
                Try::Fetch(wanted) => {
                    for item in next_items(moment, &member, wanted) {
                        leases.take(&item, &member.id, now);
                        let info = items.iter().find(|info| info.id == item).unwrap();
                        let moment =
                            Moment { settings: &settings, items: &items, state: &state, leases: &leases, now };
                        let allowed = check_turn(moment, &member, info, &judged("right"), None);
                        prop_assert_eq!(allowed, Ok(LeaseChange::End), "what is given may be judged");
                        given.insert((item, member.id.clone()));
                    }
                    continue;
                }
                Try::Judge(place) => (place, judged("right")),
                Try::Skip(place) => (place, skipped()),
                Try::Undo(place, _) => (place, Act::Undone),
            };
            let info = &items[place];
            let claimed = match what {
                Try::Undo(_, true) => state.replaced_by(&info.id, &member.id, &act).cloned(),
                // Numbers in reverse: of two acts at one time the later has the lesser identifier.
                _ => claim.map(|claim| SubmissionId::from(format!("s{:03}", 120 - claim).as_str())),
            };
            let judged_before = state.judged_by(&info.id);
            let word = |state: &State| {
                let record = state.record(&info.id)?;
                record.word(&member.id).map(|(_, word)| matches!(word, Word::Judged(_)))
            };
            let before = word(&state);
            match check_turn(moment, &member, info, &act, claimed.as_ref()) {
                Err(_) => {
                    let own_judgement = before == Some(true);
                    prop_assert!(!own_judgement || act == Act::Undone, "one may change one's mind");
                    continue;
                }
                Ok(change) => {
                    let submission = format!("s{:03}", 120 - number);
                    let at = now + number as i64;
                    let new = event(&submission, member.id.as_str(), at, info.id.as_str(), act.clone());
                    let replaces = state.replaced_by(&info.id, &member.id, &act).cloned();
                    state.apply(&Event { replaces, ..new });
                    match change {
                        LeaseChange::Take(lease) => leases.put(lease),
                        LeaseChange::End => leases.release(&info.id, &member.id),
                        LeaseChange::None => {}
                    }
                }
            }
            prop_assert!(given.contains(&(info.id.clone(), member.id.clone())), "never given");
            if act == Act::Undone {
                prop_assert!(before.is_some() && word(&state).is_none());
                let taken_back = usize::from(before == Some(true));
                prop_assert_eq!(state.judged_by(&info.id) + taken_back, judged_before);
            }
            let plain = items.iter().filter(|info| info.gold.is_none());
            let mut begun = 0;
            for info in plain {
                let judged = state.judged_by(&info.id);
                let nobody = MemberId::from("nobody");
                let words = state.record(&info.id).map(|record| record.judgements()).unwrap_or_default();
                let at_work =
                    leases.others(&info.id, &nobody, now).filter(|who| !words.contains_key(who)).count();
                prop_assert!(judged + at_work <= overlap, "{} of {}", judged, info.id);
                begun += usize::from(judged + at_work > 0);
            }
            prop_assert!(target.is_none_or(|target| begun <= target), "{begun} are begun");
        }
    }
}
