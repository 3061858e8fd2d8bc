//! From judgements to the rows of the agreement page. Arithmetic is in [`domain::agreement`]; here rows
//! are only chosen and ordered. Plain functions, no view.

use std::collections::{BTreeMap, BTreeSet};

use domain::agreement::{Agreement, Coefficient, PairAgreement, Tallies, agreement};
use domain::annotation::visibility::is_complete;
use domain::annotation::{ItemInfo, Label, MemberId, ProjectSettings, State, ratings};
use domain::culture::CultureCode;

/// What rows of labels show, each against the rest: one coefficient that corrects for chance two ways
/// each, and none.
const OF_LABELS: [Coefficient; 3] =
    [Coefficient::Percent, Coefficient::AlphaNominal, Coefficient::Ac1];

/// What rows of cultures and topics show: the same, and where labels are ordered what heeds the order.
fn of_parts(settings: &ProjectSettings) -> Vec<Coefficient> {
    let shown = |coefficient: &Coefficient| {
        OF_LABELS.contains(coefficient) || *coefficient == Coefficient::AlphaOrdinal
    };
    ratings::coefficients(settings).into_iter().filter(shown).collect()
}

/// Everything that the agreement page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Over all items.
    pub all: Agreement,
    /// Each label that was used against the rest, by its name.
    pub labels: Vec<(String, Agreement)>,
    /// Each culture.
    pub cultures: Vec<(String, Agreement)>,
    /// Each topic.
    pub topics: Vec<(String, Agreement)>,
    /// Each pair of members who have judged the same items.
    pub pairs: Vec<(MemberId, MemberId, PairAgreement)>,
}

/// Agreement over everything that can be seen.
pub fn summary(settings: &ProjectSettings, state: &State, items: &[ItemInfo]) -> Summary {
    let all = ratings::tallies(settings, state, items, |_| true);
    let used = |place: usize| all.times(place) > 0;
    let labels = settings.labels.iter().enumerate().filter(|(place, _)| used(*place));
    let of_label = |(place, label): (usize, &Label)| {
        (label.name.clone(), agreement(&all.one_against_rest(place), &OF_LABELS))
    };
    let cultures: BTreeSet<CultureCode> = items.iter().map(|item| item.culture).collect();
    let topics: BTreeSet<_> = items.iter().map(|item| &item.topic).collect();
    let shown = of_parts(settings);
    Summary {
        labels: labels.map(of_label).collect(),
        cultures: parts(
            &shown,
            cultures.into_iter().map(|culture| {
                let of = |item: &ItemInfo| item.culture == culture;
                (culture.to_string(), ratings::tallies(settings, state, items, of))
            }),
        ),
        topics: parts(
            &shown,
            topics.into_iter().map(|topic| {
                let of = |item: &ItemInfo| item.topic == *topic;
                (topic.to_string(), ratings::tallies(settings, state, items, of))
            }),
        ),
        pairs: pairs(settings, state, items),
        all: agreement(&all, &ratings::coefficients(settings)),
    }
}

/// The parts about which something is known.
fn parts(
    shown: &[Coefficient],
    all: impl Iterator<Item = (String, Tallies)>,
) -> Vec<(String, Agreement)> {
    all.filter(|(_, tallies)| tallies.shared_items() > 0)
        .map(|(name, tallies)| (name, agreement(&tallies, shown)))
        .collect()
}

fn pairs(
    settings: &ProjectSettings,
    state: &State,
    items: &[ItemInfo],
) -> Vec<(MemberId, MemberId, PairAgreement)> {
    let judges: Vec<MemberId> = ratings::judges(state).into_iter().collect();
    let mut pairs = Vec::new();
    for (place, first) in judges.iter().enumerate() {
        for second in &judges[place + 1..] {
            let pair = ratings::pair(settings, state, items, first, second);
            let found = pair.map(|pair| pair.agreement()).filter(|found| found.items > 0);
            pairs.extend(found.map(|found| (first.clone(), second.clone(), found)));
        }
    }
    pairs.sort_by_key(|(.., found)| std::cmp::Reverse(found.items));
    pairs
}

/// How far one culture's items are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// All items, gold items aside.
    pub items: usize,
    /// How many of them are to be judged: the project's target, if it is smaller.
    pub wanted: usize,
    /// Items that are complete.
    pub complete: usize,
    /// Judgements so far.
    pub judgements: usize,
}

/// The progress of every culture.
pub fn progress(
    settings: &ProjectSettings,
    state: &State,
    items: &[ItemInfo],
) -> BTreeMap<CultureCode, Progress> {
    let mut all: BTreeMap<CultureCode, Progress> = BTreeMap::new();
    for item in items.iter().filter(|item| item.gold.is_none()) {
        let progress = all.entry(item.culture).or_default();
        progress.items += 1;
        progress.wanted = settings.target.map_or(progress.items, |most| most.min(progress.items));
        progress.judgements += state.judged_by(&item.id);
        progress.complete += usize::from(is_complete(settings, state, item));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::annotation::{Act, Event, Judgement};
    use domain::question::Scale;

    fn item(id: &str, culture: &str) -> ItemInfo {
        let culture = culture.parse().unwrap();
        ItemInfo { id: id.into(), culture, topic: "food".into(), gold: None }
    }

    fn judged(number: usize, author: &str, item: &str, label: &str) -> Event {
        Event {
            submission: number.to_string().as_str().into(),
            author: author.into(),
            at: 0,
            item: Some(item.into()),
            replaces: None,
            act: Act::Judged(Judgement::of(label.into())),
        }
    }

    #[test]
    fn parts_without_shared_items_are_left_out() {
        let settings = ProjectSettings::new("t");
        let items = [item("a", "THA"), item("b", "NGA"), item("c", "NGA")];
        let events = [
            judged(0, "ann", "a", "right"),
            judged(1, "bob", "a", "right"),
            judged(2, "ann", "b", "right"),
        ];
        let state = State::of(&events);
        let found = summary(&settings, &state, &items);
        assert_eq!(found.all.items, 2);
        assert_eq!(found.cultures.len(), 1);
        assert_eq!((found.cultures[0].0.as_str(), found.labels.len()), ("THA", 1), "one is used");
        assert_eq!((found.pairs.len(), found.pairs[0].2.percent), (1, Some(1.0)));
        let progress = progress(&settings, &state, &items);
        let thai = progress[&"THA".parse().unwrap()];
        assert_eq!((thai.items, thai.complete, thai.judgements), (1, 1, 2));
        let nigerian = progress[&"NGA".parse().unwrap()];
        assert_eq!((nigerian.items, nigerian.complete, nigerian.judgements), (2, 0, 1));
    }

    #[test]
    fn ordered_labels_have_an_ordinal_coefficient_in_every_part() {
        let settings = ProjectSettings::new("t");
        let ordered = ProjectSettings { scale: Scale::Ordered, ..settings.clone() };
        let items = [item("a", "THA")];
        let state = State::of(&[judged(0, "ann", "a", "right"), judged(1, "bob", "a", "wrong")]);
        for (settings, expected) in [(settings, 3), (ordered, 4)] {
            let found = summary(&settings, &state, &items);
            for (_, part) in found.cultures.iter().chain(&found.topics) {
                assert_eq!(part.estimates.len(), expected);
            }
        }
    }

    #[test]
    fn progress_counts_against_the_target_and_without_attention_checks() {
        let settings = ProjectSettings { target: Some(2), ..ProjectSettings::new("t") };
        let gold = ItemInfo { gold: Some("right".into()), ..item("g", "THA") };
        let items = [item("a", "THA"), item("b", "THA"), item("c", "THA"), item("d", "NGA"), gold];
        let state = State::of(&[judged(0, "ann", "g", "right")]);
        let found = progress(&settings, &state, &items);
        let of = |code: &str| found[&code.parse().unwrap()];
        assert_eq!((of("THA").wanted, of("THA").items, of("THA").judgements), (2, 3, 0));
        assert_eq!(of("NGA").wanted, 1, "there is only one");
    }
}
