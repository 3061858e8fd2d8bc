//! Coefficients of agreement against values of other people's packages (`agreement/known.json`,
//! written by `agreement/make.py`), and what must hold for every table.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use domain::agreement::{Coefficient, Pair, Tallies, agreement};
use proptest::prelude::*;
use serde::Deserialize;

/// Items by raters; `None` where a rater left an item out.
type Table = Vec<Vec<Option<usize>>>;

#[derive(Deserialize)]
struct Known {
    name: String,
    categories: usize,
    table: Table,
    expected: BTreeMap<Coefficient, f64>,
    cohen: BTreeMap<String, Option<f64>>,
}

fn known() -> Vec<Known> {
    serde_json::from_str(include_str!("agreement/known.json")).unwrap()
}

fn tallies(categories: usize, table: &Table) -> Tallies {
    Tallies::new(categories, table.iter().map(|row| row.iter().copied().flatten())).unwrap()
}

fn pair(categories: usize, table: &Table, first: usize, second: usize) -> Pair {
    Pair::new(categories, table.iter().filter_map(|row| Some((row[first]?, row[second]?)))).unwrap()
}

#[test]
fn other_packages_find_the_same() {
    for case in known() {
        let tallies = tallies(case.categories, &case.table);
        assert_eq!(case.expected.len(), Coefficient::ALL.len(), "{}", case.name);
        for (coefficient, expected) in case.expected {
            let found = coefficient.value(&tallies).unwrap();
            let name = &case.name;
            assert!((found - expected).abs() < 1e-9, "{name}: {coefficient} {found} {expected}");
        }
        for (raters, expected) in case.cohen {
            let (first, second) = raters.split_once('-').unwrap();
            let (first, second) = (first.parse().unwrap(), second.parse().unwrap());
            let found = pair(case.categories, &case.table, first, second).agreement().kappa;
            let close = found.zip(expected).is_some_and(|(a, b)| (a - b).abs() < 1e-9);
            assert!(close || found == expected, "{} {raters}: {found:?} {expected:?}", case.name);
        }
    }
}

#[test]
fn printed_values_of_the_literature_are_met() {
    let value = |name: &str, coefficient: Coefficient| {
        let case = known().into_iter().find(|case| case.name.starts_with(name)).unwrap();
        coefficient.value(&tallies(case.categories, &case.table)).unwrap()
    };
    for (name, coefficient, printed) in [
        ("Krippendorff 2011", Coefficient::AlphaNominal, 0.743),
        ("Krippendorff 2011", Coefficient::AlphaOrdinal, 0.815),
        ("Fleiss 1971", Coefficient::Fleiss, 0.210),
        ("Fleiss 1971", Coefficient::Percent, 0.378),
    ] {
        assert!((value(name, coefficient) - printed).abs() < 5e-4, "{name} {coefficient}");
    }
    let cohen = known().into_iter().find(|case| case.name.starts_with("Cohen")).unwrap();
    let kappa = pair(3, &cohen.table, 0, 1).agreement().kappa.unwrap();
    assert!((kappa - 0.492).abs() < 5e-4, "{kappa}");
}

#[test]
fn intervals_hold_the_value_and_shrink_with_more_items() {
    let case = known().into_iter().find(|case| case.name == "drawn, complete").unwrap();
    let few = agreement(&tallies(case.categories, &case.table), &Coefficient::ALL);
    let many: Table = case.table.iter().cycle().take(30 * case.table.len()).cloned().collect();
    let many = agreement(&tallies(case.categories, &many), &Coefficient::ALL);
    assert_eq!((few.items, few.shared_items, few.ratings), (30, 30, 90));
    for (few, many) in few.estimates.iter().zip(&many.estimates) {
        let (value, wide, narrow) =
            (few.value.unwrap(), few.interval.unwrap(), many.interval.unwrap());
        assert!(wide.low < value && value < wide.high, "{few:?}");
        assert!(3.0 * (narrow.high - narrow.low) < wide.high - wide.low, "{few:?} {many:?}");
    }
}

#[test]
fn too_little_has_no_value() {
    let alone = tallies(3, &vec![vec![Some(0), None], vec![None, Some(1)]]);
    assert!(Coefficient::ALL.iter().all(|c| c.value(&alone).is_none()));
    let empty = agreement(&tallies(3, &vec![]), &[Coefficient::Percent]);
    assert_eq!((empty.items, empty.estimates[0].value), (0, None));
    let one = agreement(&tallies(2, &vec![vec![Some(0), Some(1)]]), &[Coefficient::Percent]);
    assert_eq!((one.estimates[0].value, one.estimates[0].interval), (Some(0.0), None));
}

#[test]
fn one_label_for_everything_is_perfect_only_where_chance_is_less() {
    let same = tallies(3, &vec![vec![Some(1), Some(1)]; 4]);
    for (coefficient, expected) in [
        (Coefficient::Percent, Some(1.0)),
        (Coefficient::Fleiss, None),
        (Coefficient::AlphaNominal, None),
        (Coefficient::AlphaOrdinal, None),
        (Coefficient::Ac1, Some(1.0)),
        (Coefficient::Ac2, Some(1.0)),
    ] {
        assert_eq!(coefficient.value(&same), expected, "{coefficient}");
    }
}

const CATEGORIES: usize = 4;

fn table() -> impl Strategy<Value = Table> {
    (1usize..6).prop_flat_map(|raters| {
        let rating = prop::option::weighted(0.8, 0..CATEGORIES);
        prop::collection::vec(prop::collection::vec(rating, raters), 0..25)
    })
}

/// All values, rounded so that another order of summing makes no difference.
fn values(table: &Table) -> Vec<Option<i64>> {
    let tallies = tallies(CATEGORIES, table);
    let rounded = |value: f64| (value * 1e9).round() as i64;
    Coefficient::ALL.iter().map(|c| c.value(&tallies).map(rounded)).collect()
}

fn relabelled(table: &Table, label: impl Fn(usize) -> usize) -> Table {
    let row = |row: &Vec<Option<usize>>| row.iter().map(|r| r.map(&label)).collect();
    table.iter().map(row).collect()
}

proptest! {
    #[test]
    fn the_order_of_items_and_raters_is_nothing(table in table(), seed in any::<u64>()) {
        let mut random = domain::random::SplitMix64::new(seed);
        let mut shuffled = table.clone();
        random.shuffle(&mut shuffled);
        shuffled.iter_mut().for_each(|row| random.shuffle(row));
        prop_assert_eq!(values(&table), values(&shuffled));
    }

    #[test]
    fn names_of_labels_are_nothing_and_so_is_the_direction_of_a_scale(
        table in table(),
        shift in 0..CATEGORIES,
    ) {
        let (all, reversed) = (values(&table), values(&relabelled(&table, |c| CATEGORIES - 1 - c)));
        prop_assert_eq!(&all, &reversed);
        let renamed = values(&relabelled(&table, |c| (c + shift) % CATEGORIES));
        for (place, coefficient) in Coefficient::ALL.iter().enumerate() {
            if !coefficient.needs_order() {
                prop_assert_eq!(all[place], renamed[place], "{}", coefficient);
            }
        }
    }

    #[test]
    fn values_are_at_most_one_and_percent_is_a_share(table in table()) {
        let tallies = tallies(CATEGORIES, &table);
        for coefficient in Coefficient::ALL {
            if let Some(value) = coefficient.value(&tallies) {
                prop_assert!(value.is_finite() && value <= 1.0 + 1e-9, "{} {}", coefficient, value);
            }
        }
        if let Some(percent) = Coefficient::Percent.value(&tallies) {
            prop_assert!((0.0..=1.0).contains(&percent));
        }
    }

    #[test]
    fn perfect_agreement_is_one(labels in prop::collection::vec(0..CATEGORIES, 2..20), raters in 2usize..5) {
        let table: Table = labels.iter().map(|label| vec![Some(*label); raters]).collect();
        let several = labels.iter().any(|label| *label != labels[0]);
        for (value, coefficient) in values(&table).into_iter().zip(Coefficient::ALL) {
            let defined = several || matches!(
                coefficient,
                Coefficient::Percent | Coefficient::Ac1 | Coefficient::Ac2
            );
            prop_assert_eq!(value, defined.then_some(1_000_000_000), "{}", coefficient);
        }
    }

    #[test]
    fn who_rates_alone_changes_neither_percent_nor_alpha(table in table(), label in 0..CATEGORIES) {
        let mut more = table.clone();
        more.push(vec![Some(label)]);
        let (before, after) = (values(&table), values(&more));
        prop_assert_eq!(&before[0], &after[0]);
        prop_assert_eq!(&before[2..4], &after[2..4]);
    }

    #[test]
    fn two_raters_agree_as_much_as_each_other(
        items in prop::collection::vec((0..CATEGORIES, 0..CATEGORIES), 0..40),
    ) {
        let there = Pair::new(CATEGORIES, items.clone()).unwrap().agreement();
        let back = Pair::new(CATEGORIES, items.into_iter().map(|(a, b)| (b, a))).unwrap().agreement();
        let rounded = |value: Option<f64>| value.map(|value| (value * 1e9).round() as i64);
        prop_assert_eq!(rounded(there.kappa), rounded(back.kappa));
        prop_assert_eq!(there.percent, back.percent);
    }

    #[test]
    fn a_label_against_the_rest_keeps_all_ratings(table in table(), label in 0..CATEGORIES) {
        let all = tallies(CATEGORIES, &table);
        let one = all.one_against_rest(label);
        prop_assert_eq!((all.items(), all.ratings()), (one.items(), one.ratings()));
        let percents = (Coefficient::Percent.value(&all), Coefficient::Percent.value(&one));
        if let (Some(all), Some(one)) = percents {
            prop_assert!(one >= all - 1e-12, "fewer categories can't disagree more");
        }
    }
}
