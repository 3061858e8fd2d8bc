//! What judgements come to: verdicts, the queue, reports, what is seen, what is refused.

use super::*;
use crate::agreement::Coefficient;
use crate::annotation::event::{HiddenKind, LONGEST_COMMENT, check_comment};
use crate::annotation::{ratings, visibility};
use crate::question::Scale;

fn state(judgements: &[(&str, &str, &str)]) -> State {
    let events: Vec<Event> = judgements
        .iter()
        .enumerate()
        .map(|(n, (who, item, label))| event(&format!("s{n}"), who, 0, item, judged(label)))
        .collect();
    State::of(&events)
}

#[test]
fn verdicts_need_more_than_half() {
    let settings = settings(3);
    let info = item("a", "THA").info();
    for (labels, expected) in [
        (["right", "right", "right"], Some(("right", Basis::Unanimous))),
        (["right", "wrong", "right"], Some(("right", Basis::Majority))),
        (["right", "wrong", "depends"], None),
    ] {
        let people = ["ann", "bob", "cem"].into_iter().zip(labels);
        let judgements: Vec<_> = people.map(|(who, label)| (who, "a", label)).collect();
        let found = verdict(&settings, &state(&judgements), &info);
        let found = found.as_ref().map(|v| (v.label.as_str(), v.basis));
        assert_eq!(found, expected, "{labels:?}");
    }
    let incomplete = state(&[("ann", "a", "right"), ("bob", "a", "right")]);
    assert_eq!(verdict(&settings, &incomplete, &info), None);
    // One's own word completes a blind item before the others' can be seen.
    let hidden = |who: &str| {
        let kind = HiddenKind::Judged;
        event(&format!("h{who}"), who, 0, "a", Act::Hidden { kind })
    };
    let mut blind = state(&[("ann", "a", "right")]);
    blind.apply(&hidden("bob"));
    blind.apply(&hidden("cem"));
    assert_eq!(verdict(&settings, &blind, &info), None);
}

#[test]
fn the_queue_begins_with_the_most_divided_and_ends_with_a_decision() {
    let settings = settings(3);
    let items: Vec<ItemInfo> = ["a", "b", "c"].map(|id| item(id, "THA").info()).to_vec();
    let mut state = state(&[
        ("ann", "a", "right"),
        ("bob", "a", "right"),
        ("cem", "a", "wrong"),
        ("ann", "b", "right"),
        ("bob", "b", "wrong"),
        ("cem", "b", "depends"),
        ("ann", "c", "right"),
        ("bob", "c", "right"),
        ("cem", "c", "right"),
    ]);
    let queue = |state: &State| -> Vec<String> {
        disagreements(&settings, state, &items).iter().map(ToString::to_string).collect()
    };
    assert_eq!(queue(&state), ["b", "a"]);
    let decision = Judgement { option: Some(3), ..Judgement::of("wrong".into()) };
    state.apply(&event("d", "eve", 9, "b", Act::Adjudicated(decision)));
    assert_eq!(queue(&state), ["a"]);
    let decided = verdict(&settings, &state, &items[1]).unwrap();
    assert_eq!((decided.option, decided.basis), (Some(3), Basis::Adjudicated));
}

#[test]
fn what_a_verdict_accepts_is_an_instance() {
    let settings = settings(1);
    let gold = Item { gold: Some("right".into()), ..item("g", "THA") };
    let items = [item("a", "THA"), item("b", "NGA"), item("c", "THA"), gold];
    let state = state(&[("ann", "a", "right"), ("ann", "b", "stereotype"), ("ann", "g", "right")]);
    let found = accepted(&settings, &state, &items);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].question.as_str(), found[0].unaware, found[0].aware), ("a", 1, 2));
}

#[test]
fn a_report_counts_gold_and_verdicts() {
    let settings = settings(1);
    let gold = Item { gold: Some("right".into()), ..item("g", "THA") };
    let items = [item("a", "THA").info(), item("b", "THA").info(), gold.info()];
    let mut state = state(&[("ann", "a", "wrong"), ("ann", "g", "wrong")]);
    let skip = Act::Skipped { reason: SkipReason::Undecided };
    state.apply(&event("k", "ann", 0, "b", skip));
    let report = &annotator_reports(&settings, &state, &items)[&"ann".into()];
    assert_eq!((report.judged, report.skipped), (1, 1));
    assert_eq!((report.gold, report.gold_right), (1, 0));
    assert_eq!((report.with_verdict, report.as_verdict), (1, 1));
    assert_eq!(report.labels[&"wrong".into()], 1);
    assert_eq!(report.median_milliseconds, None);
}

#[test]
fn who_has_left_still_counts_in_agreement() {
    let settings = settings(2);
    let items = [item("a", "THA").info(), item("b", "NGA").info()];
    let mut state = state(&[
        ("ann", "a", "right"),
        ("bob", "a", "right"),
        ("ann", "b", "wrong"),
        ("bob", "b", "right"),
    ]);
    let left = Event { item: None, ..event("l", "bob", 9, "a", Act::Left) };
    assert!(state.apply(&left) && !state.apply(&left));
    assert!(state.has_left(&"bob".into()));
    let all = ratings::tallies(&settings, &state, &items, |_| true);
    assert_eq!(Coefficient::Percent.value(&all), Some(0.5));
    let thai = ratings::tallies(&settings, &state, &items, |i| i.culture.as_str() == "THA");
    assert_eq!(Coefficient::Percent.value(&thai), Some(1.0));
    let read = Ratings::of(&settings, &state, &items);
    let pair = read.pair(&"ann".into(), &"bob".into()).unwrap();
    assert_eq!((pair.agreement().items, pair.agreement().percent), (2, Some(0.5)));
    let names: Vec<String> = ratings::judges(&state).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["ann", "bob"]);
    let gone = Member { left: true, ..member("b0b1b2", MemberRole::Annotator) };
    assert_eq!(gone.shown_name(), "Former member b0b1");
}

#[test]
fn attention_checks_are_no_agreement() {
    let settings = settings(2);
    let gold = Item { gold: Some("right".into()), ..item("g", "THA") };
    let items = [item("a", "THA").info(), gold.info()];
    let state = state(&[
        ("ann", "a", "right"),
        ("bob", "a", "wrong"),
        ("ann", "g", "right"),
        ("bob", "g", "right"),
    ]);
    // As for those who don't know which items they are: without them.
    for items in [&items[..], &items[..1]] {
        let all = ratings::tallies(&settings, &state, items, |_| true);
        assert_eq!(Coefficient::Percent.value(&all), Some(0.0));
        let read = Ratings::of(&settings, &state, items);
        let pair = read.pair(&"ann".into(), &"bob".into()).unwrap();
        assert_eq!(pair.agreement().items, 1);
        let report = &annotator_reports(&settings, &state, items)[&"ann".into()];
        assert_eq!((report.judged, report.with_verdict), (1, 0));
    }
}

#[test]
fn a_text_is_as_long_as_a_browser_counts() {
    let thai = "ก".repeat(LONGEST_COMMENT);
    assert!(check_comment(&thai).is_ok(), "three bytes each, one unit each");
    assert!(check_comment(&format!("{thai}x")).is_err());
    assert!(check_comment(&"😀".repeat(LONGEST_COMMENT / 2 + 1)).is_err(), "two units each");
    let title = "ก".repeat(project::LONGEST_TITLE);
    assert_eq!(ProjectSettings::new(title).check(), Ok(()));
}

#[test]
fn ordinal_coefficients_are_for_ordered_labels() {
    let nominal = settings(2);
    let ordered = ProjectSettings { scale: Scale::Ordered, ..nominal.clone() };
    assert!(ratings::coefficients(&nominal).iter().all(|c| !c.needs_order()));
    assert_eq!(ratings::coefficients(&ordered), Coefficient::ALL);
}

#[test]
fn a_blind_project_shows_others_words_once_the_item_is_complete() {
    let settings = settings(2);
    let info = item("a", "THA").info();
    let (ann, eve) = (member("ann", MemberRole::Annotator), member("eve", MemberRole::Adjudicator));
    let theirs = event("s0", "bob", 0, "a", judged("right"));
    let shown = |state: &State, viewer: &Member| {
        visibility::shown(&settings, state, Some(&info), viewer, &theirs).act
    };
    let half = State::of([&theirs]);
    assert_eq!(shown(&half, &ann), Act::Hidden { kind: HiddenKind::Judged });
    assert_eq!(shown(&half, &eve), theirs.act);
    assert_eq!(shown(&half, &member("bob", MemberRole::Annotator)), theirs.act);
    let done = State::of([&theirs, &event("s1", "ann", 0, "a", judged("wrong"))]);
    assert_eq!(shown(&done, &ann), theirs.act);
    let open = ProjectSettings { blind: false, ..settings.clone() };
    assert!(visibility::sees_others(&open, &half, &info, &ann));
}

#[test]
fn an_item_is_shown_without_what_would_give_it_away() {
    let people = crate::survey::Distribution { shares: vec![1.0], mode: 1 };
    let full = Item { people: Some(people), gold: Some("right".into()), ..item("a", "THA") };
    let (before, after) = (full.clone().shown(false), full.shown(true));
    assert_eq!((before.people, before.gold), (None, None));
    assert!(after.people.is_some() && after.gold.is_none());
}

#[test]
fn acts_are_checked_against_role_and_project() {
    let settings = settings(2);
    let (item, ann) = (item("a", "THA"), member("ann", MemberRole::Annotator));
    let decided = Act::Adjudicated(Judgement::of("right".into()));
    let option =
        |option| Act::Judged(Judgement { option: Some(option), ..Judgement::of("right".into()) });
    let comment = |text: String| Act::Commented { text, answers: None };
    for (act, who, code) in [
        (judged("right"), &ann, None),
        (option(3), &ann, None),
        (option(4), &ann, Some("unknown-option")),
        (judged("maybe"), &ann, Some("unknown-label")),
        (decided.clone(), &ann, Some("role")),
        (decided, &member("eve", MemberRole::Adjudicator), None),
        (judged("right"), &member("vic", MemberRole::Viewer), Some("role")),
        (Act::Left, &ann, Some("role")),
        (comment("x".repeat(LONGEST_COMMENT + 1)), &ann, Some("comment-length")),
        (comment(" \n".to_owned()), &ann, Some("comment-length")),
        (comment("Why?".to_owned()), &ann, None),
    ] {
        let refused = act.check(&settings, who, &item).err();
        assert_eq!(refused.as_ref().map(AnnotationError::code), code, "{act:?} {refused:?}");
        if let Some(error) = refused {
            assert!(error.to_string().contains('\n'), "a way out: {error}");
        }
    }
}

#[test]
fn settings_are_checked() {
    let good = ProjectSettings::new("Fine");
    assert_eq!(good.check(), Ok(()));
    let label = |id: &str| Label { id: id.into(), ..good.labels[0].clone() };
    for (bad, setting) in [
        (ProjectSettings { title: " ".to_owned(), ..good.clone() }, "title"),
        (ProjectSettings { overlap: 0, ..good.clone() }, "overlap"),
        (ProjectSettings { target: Some(0), ..good.clone() }, "target"),
        (ProjectSettings { guidelines: "x".repeat(1 << 20), ..good.clone() }, "guidelines"),
        (ProjectSettings { labels: vec![label("one")], ..good.clone() }, "labels"),
        (ProjectSettings { labels: vec![label("a"), label("a")], ..good.clone() }, "labels"),
        (ProjectSettings { labels: vec![label("a"), label("=B()")], ..good.clone() }, "labels"),
    ] {
        let error = bad.check().unwrap_err();
        assert!(error.to_string().contains(&format!("`{setting}`")), "{error}");
    }
}
