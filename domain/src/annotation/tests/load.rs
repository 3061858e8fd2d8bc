//! What tables cost with many people and items, counted in looks at items rather than in time.

use std::collections::BTreeMap;

use super::*;
use crate::annotation::state::LOOKS;
use crate::annotation::visibility::is_complete;

const MEMBERS: usize = 200;
const ITEMS: usize = 5_000;
const EVENTS: usize = 10_000;

/// 200 people and 5,000 items, each judged by two neighbours in a ring: so there are 200 pairs of
/// co-judges, of the 19,900 that could be.
fn project() -> (Vec<ItemInfo>, State) {
    let items = (0..ITEMS).map(|number| item(&format!("i{number}"), "THA").info()).collect();
    let events = (0..EVENTS).map(|number| {
        let (of, side) = (number / 2, number % 2);
        let author = format!("m{:03}", (of + side) % MEMBERS);
        let label = if (of + side) % 3 == 0 { "wrong" } else { "right" };
        event(&format!("s{number}"), &author, 0, &format!("i{of}"), judged(label))
    });
    (items, State::of(&events.collect::<Vec<_>>()))
}

/// How often `work` read all words of an item.
fn looks<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LOOKS.get();
    let result = work();
    (result, LOOKS.get() - before)
}

#[test]
fn agreement_reads_every_item_once_and_compares_co_judges_only() {
    let (settings, (items, state)) = (settings(2), project());
    let (ratings, cost) = looks(|| Ratings::of(&settings, &state, &items));
    assert_eq!(cost, ITEMS);
    let (pairs, cost) = looks(|| ratings.co_judges());
    assert_eq!((pairs.len(), cost), (MEMBERS, 0));
    assert_eq!(pairs.iter().map(|(.., shared)| shared).sum::<usize>(), ITEMS);
    assert!(pairs.is_sorted_by_key(|(.., shared)| std::cmp::Reverse(*shared)));
    let (parts, cost) = looks(|| ratings.by(|item| item.culture));
    assert_eq!((parts.len(), cost), (1, 0));
    assert_eq!(parts.into_values().next(), Some(ratings.all()));
    let (values, cost) = looks(|| {
        let pair = |(first, second, _): &(&MemberId, &MemberId, usize)| {
            Some(ratings.pair(first, second)?.values())
        };
        pairs.iter().filter_map(pair).collect::<Vec<_>>()
    });
    assert_eq!((values.len(), cost), (MEMBERS, 0));
    assert!(values.iter().zip(&pairs).all(|(found, (.., shared))| found.items == *shared));
}

#[test]
fn reports_of_everybody_read_every_item_twice() {
    let (settings, (items, state)) = (settings(2), project());
    let (reports, cost) = looks(|| annotator_reports(&settings, &state, &items));
    // Once for its verdict, once for who said what.
    assert_eq!((reports.len(), cost), (MEMBERS, 2 * ITEMS));
    assert_eq!(reports.values().map(|report| report.judged).sum::<usize>(), EVENTS);
}

#[test]
fn progress_reads_no_words() {
    let (settings, (items, state)) = (settings(2), project());
    let (complete, cost) = looks(|| {
        let complete = |item: &&ItemInfo| is_complete(&settings, &state, item);
        items.iter().filter(complete).count()
    });
    assert_eq!((complete, cost), (ITEMS, 0));
    let judged: usize = items.iter().map(|item| state.judged_by(&item.id)).sum();
    assert_eq!((judged, looks(|| state.judged_by(&items[0].id)).1), (EVENTS, 0));
}

#[test]
fn what_is_kept_of_a_record_is_what_its_events_say() {
    let skip = Act::Skipped { reason: SkipReason::Undecided };
    let hidden = Act::Hidden { kind: event::HiddenKind::Judged };
    let acts = [
        event("a", "ann", 1, "i", judged("right")),
        event("b", "bob", 2, "i", hidden),
        replacing(event("c", "ann", 3, "i", skip), "a"),
        event("b", "bob", 2, "i", judged("wrong")),
        replacing(event("d", "ann", 4, "i", judged("wrong")), "c"),
    ];
    let mut state = State::default();
    let mut seen = Vec::new();
    for act in &acts {
        state.apply(act);
        let record = state.record(&"i".into()).unwrap();
        seen.push((record.judged_by(), record.judgements().len()));
    }
    assert_eq!(seen, [(1, 1), (2, 1), (1, 0), (1, 1), (2, 2)]);
    // Refused after all: the skip stands again.
    state.retract(&"i".into(), &"d".into());
    let record = state.record(&"i".into()).unwrap();
    assert_eq!(record.judged_by(), 1);
    assert_eq!(record.last_act(&"ann".into()).map(|act| act.submission.as_str()), Some("c"));
    assert!(matches!(record.word(&"ann".into()), Some((_, state::Word::Skipped(_)))));
    let words: BTreeMap<_, _> = record.words();
    assert_eq!(words.len(), 2);
}
