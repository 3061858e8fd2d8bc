//! Events in any order, any number of times, leave the same state; nobody's word replaces another's.

use proptest::prelude::*;

use super::*;
use crate::annotation::state::Word;
use crate::random::SplitMix64;

fn label_of(state: &State, member: &str) -> Option<String> {
    let record = state.record(&"i".into())?;
    record.judgements().get(&MemberId::from(member)).map(|judgement| judgement.label.to_string())
}

#[test]
fn a_word_is_replaced_by_its_author_alone() {
    let first = event("a", "ann", 1, "i", judged("right"));
    let other = replacing(event("b", "bob", 2, "i", judged("wrong")), "a");
    let state = State::of([&first, &other]);
    assert_eq!(label_of(&state, "ann").as_deref(), Some("right"));
    assert_eq!(label_of(&state, "bob").as_deref(), Some("wrong"));
    let second = replacing(event("c", "ann", 0, "i", judged("depends")), "a");
    let state = State::of([&second, &first, &other]);
    assert_eq!(label_of(&state, "ann").as_deref(), Some("depends"), "an early clock is nothing");
}

#[test]
fn a_word_replaced_on_another_item_stays() {
    let first = event("a", "ann", 1, "i", judged("right"));
    let elsewhere = replacing(event("b", "ann", 2, "j", judged("wrong")), "a");
    assert_eq!(label_of(&State::of([&first, &elsewhere]), "ann").as_deref(), Some("right"));
}

#[test]
fn an_undone_judgement_leaves_nothing_and_a_skip_no_judgement() {
    let first = event("a", "ann", 1, "i", judged("right"));
    let undone = replacing(event("b", "ann", 2, "i", Act::Undone), "a");
    let state = State::of([&undone, &first]);
    assert_eq!(state.record(&"i".into()).unwrap().words().len(), 0);
    let skip = Act::Skipped { reason: SkipReason::Undecided };
    let skipped = replacing(event("c", "ann", 3, "i", skip), "b");
    let state = State::of([&undone, &skipped, &first]);
    let record = state.record(&"i".into()).unwrap();
    assert_eq!(record.word(&"ann".into()).unwrap().1, Word::Skipped(SkipReason::Undecided));
    assert_eq!((record.judged_by(), record.judgements().len()), (0, 0));
}

#[test]
fn the_next_act_replaces_the_last_one_even_a_withdrawal() {
    let first = event("a", "ann", 1, "i", judged("right"));
    let undone = replacing(event("b", "ann", 2, "i", Act::Undone), "a");
    let mut state = State::of([&first, &undone]);
    let last = |state: &State| {
        let record = state.record(&"i".into()).unwrap();
        record.last_act(&"ann".into()).map(|event| event.submission.to_string())
    };
    assert_eq!(last(&state).as_deref(), Some("b"));
    state.retract(&"i".into(), &"b".into());
    assert_eq!(last(&state).as_deref(), Some("a"), "an event that was never stored is gone");
    assert_eq!(label_of(&state, "ann").as_deref(), Some("right"));
}

#[test]
fn an_act_takes_the_place_of_the_last_one_of_its_kind_and_author() {
    let decided = Act::Adjudicated(Judgement::of("wrong".into()));
    let events = [
        event("a", "ann", 1, "i", judged("right")),
        replacing(event("b", "ann", 2, "i", Act::Undone), "a"),
        event("c", "bob", 3, "i", judged("wrong")),
        event("d", "eve", 4, "i", decided.clone()),
        replacing(event("e", "eve", 5, "i", Act::Reopened), "d"),
    ];
    let state = State::of(&events);
    let skipped = Act::Skipped { reason: SkipReason::Undecided };
    let comment = Act::Commented { text: "Hm".to_owned(), answers: Some("a".into()) };
    for (author, item, act, expected) in [
        ("ann", "i", judged("right"), Some("b")),
        ("ann", "i", skipped, Some("b")),
        ("bob", "i", Act::Undone, Some("c")),
        ("cem", "i", judged("right"), None),
        ("ann", "j", judged("right"), None),
        ("ann", "i", comment, None),
        ("fay", "i", decided, Some("e")),
        ("fay", "i", Act::Reopened, Some("e")),
    ] {
        let found = state.replaced_by(&item.into(), &author.into(), &act);
        assert_eq!(found.map(SubmissionId::as_str), expected, "{author}: {act:?}");
    }
}

#[test]
fn two_windows_of_one_person_come_to_the_later_word() {
    let one = event("a", "ann", 1, "i", judged("right"));
    let two = event("b", "ann", 5, "i", judged("wrong"));
    for state in [State::of([&one, &two]), State::of([&two, &one])] {
        assert_eq!(label_of(&state, "ann").as_deref(), Some("wrong"));
    }
}

#[test]
fn a_hidden_act_counts_and_gives_way_to_the_real_one() {
    let real = event("a", "ann", 1, "i", judged("right"));
    let hidden = Event { act: Act::Hidden { kind: event::HiddenKind::Judged }, ..real.clone() };
    let state = State::of([&hidden]);
    assert_eq!((state.judged_by(&"i".into()), label_of(&state, "ann")), (1, None));
    assert_eq!(State::of([&hidden, &real]), State::of([&real]));
    assert_eq!(State::of([&real, &hidden]), State::of([&real]));
}

#[test]
fn answers_follow_what_they_answer() {
    let comment = |id: &str, at, answers: Option<&str>| {
        let answers = answers.map(SubmissionId::from);
        event(id, "ann", at, "i", Act::Commented { text: id.to_owned(), answers })
    };
    let events = [
        comment("late", 9, None),
        comment("first", 1, None),
        comment("answer", 2, Some("first")),
        comment("deeper", 3, Some("answer")),
        comment("lost", 4, Some("nothing")),
        comment("after-lost", 6, Some("lost")),
        comment("itself", 5, Some("itself")),
    ];
    let state = State::of(&events);
    let threads = state.record(&"i".into()).unwrap().threads();
    let found: Vec<(&str, bool)> =
        threads.iter().map(|(event, answer)| (event.submission.as_str(), *answer)).collect();
    let expected = [
        ("first", false),
        ("answer", true),
        ("deeper", true),
        ("lost", false),
        ("after-lost", true),
        ("itself", false),
        ("late", false),
    ];
    assert_eq!(found, expected);
}

#[test]
fn decisions_replace_each_other_and_can_be_taken_back() {
    let decided = |id, author, at, label: &str| {
        event(id, author, at, "i", Act::Adjudicated(Judgement::of(label.into())))
    };
    let first = decided("a", "ann", 1, "right");
    let second = replacing(decided("b", "bob", 2, "wrong"), "a");
    let label = |state: &State| {
        let record = state.record(&"i".into()).unwrap();
        record.adjudication().map(|(_, judgement)| judgement.label.to_string())
    };
    assert_eq!(label(&State::of([&second, &first])).as_deref(), Some("wrong"));
    let reopened = replacing(event("c", "ann", 3, "i", Act::Reopened), "b");
    assert_eq!(label(&State::of([&reopened, &second, &first])), None);
}

#[test]
fn the_latest_change_is_what_the_project_asks_for() {
    let changed = |id, at, overlap| Event {
        item: None,
        ..event(id, "ann", at, "i", Act::Changed(settings(overlap)))
    };
    let overlap = |state: &State| state.change().map(|(_, settings)| settings.overlap);
    assert_eq!(overlap(&State::default()), None);
    let (first, second) = (changed("b", 1, 2), changed("a", 2, 3));
    assert_eq!(overlap(&State::of([&first, &second])), Some(3));
    assert_eq!(overlap(&State::of([&second, &first])), Some(3));
    assert!(!State::of([&first]).is_judged());
}

/// Few names, so that acts meet, replace each other and collide.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let act = prop_oneof![
        4 => prop::sample::select(vec!["right", "wrong", "depends"]).prop_map(judged),
        1 => Just(Act::Undone),
        1 => Just(Act::Skipped { reason: SkipReason::Undecided }),
        1 => prop::option::of(prop::sample::select(vec!["s0", "s1", "s2"])).prop_map(|answered| {
            let answers = answered.map(SubmissionId::from);
            Act::Commented { text: "Hm".to_owned(), answers }
        }),
        1 => Just(Act::Adjudicated(Judgement::of("wrong".into()))),
        1 => Just(Act::Reopened),
        1 => (1usize..4).prop_map(|overlap| Act::Changed(settings(overlap))),
        1 => Just(Act::Hidden { kind: event::HiddenKind::Judged }),
    ];
    let name = |names: &'static [&'static str]| prop::sample::select(names);
    let one = (
        name(&["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"]),
        name(&["ann", "bob", "cem"]),
        0i64..4,
        name(&["i", "j"]),
        prop::option::of(name(&["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"])),
        act,
    );
    let event = one.prop_map(|(submission, author, at, item, old, act)| Event {
        replaces: old.map(SubmissionId::from),
        item: (!matches!(act, Act::Changed(_))).then(|| item.into()),
        ..event(submission, author, at, item, act)
    });
    prop::collection::vec(event, 0..20)
}

/// Everything that pages and exports read of a state.
fn seen(state: &State) -> Vec<String> {
    let of_item = |(item, record): (&ItemId, &Record)| {
        format!("{item} {:?} {:?} {:?}", record.words(), record.adjudication(), record.threads())
    };
    let change = format!("{:?}", state.change());
    state.records().map(of_item).chain([change]).collect()
}

proptest! {
    #[test]
    fn any_order_and_any_number_of_arrivals_leave_the_same(
        events in events(),
        seed in any::<u64>(),
    ) {
        let mut random = SplitMix64::new(seed);
        let mut arrivals = [events.clone(), events.clone()].concat();
        random.shuffle(&mut arrivals);
        let (once, again) = (State::of(&events), State::of(&arrivals));
        prop_assert_eq!(seen(&once), seen(&again));
        for (_, record) in once.records() {
            prop_assert_eq!(record.threads().len(), record.comments().len(), "none is left out");
        }
        prop_assert_eq!(once, again);
    }

    #[test]
    fn an_event_that_is_there_changes_nothing(events in events()) {
        let mut state = State::of(&events);
        let unchanged = state.clone();
        for event in events.iter().filter(|event| {
            let records = event.item.as_ref().and_then(|item| unchanged.record(item));
            records.is_some_and(|record| record.events().any(|known| known == *event))
        }) {
            prop_assert!(!state.apply(event));
        }
        prop_assert_eq!(state, unchanged);
    }

    #[test]
    fn nobody_speaks_for_another(events in events()) {
        // A member's word is the same whether others act or not, if no two acts share a submission.
        let mut unique = events;
        unique.sort_by(|a, b| a.submission.cmp(&b.submission));
        unique.dedup_by(|a, b| a.submission == b.submission);
        let alone: Vec<&Event> = unique.iter().filter(|e| e.author.as_str() == "ann").collect();
        let (all, alone) = (State::of(&unique), State::of(alone));
        let ann = MemberId::from("ann");
        for item in ["i", "j"].map(ItemId::from) {
            let word = |state: &State| Some(state.record(&item)?.word(&ann)?.0.clone());
            prop_assert_eq!(word(&all), word(&alone));
        }
    }
}
