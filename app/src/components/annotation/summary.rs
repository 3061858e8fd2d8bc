//! From judgements to the rows of the agreement page. Arithmetic is in [`domain::agreement`]; here rows
//! are only chosen and ordered. Plain functions, no view.

use std::collections::BTreeMap;

use domain::agreement::{Agreement, Coefficient, PairAgreement, Tallies, agreement};
use domain::annotation::visibility::is_complete;
use domain::annotation::{ItemInfo, Label, MemberId, ProjectSettings, Ratings, State, ratings};
use domain::culture::CultureCode;
use domain::score::Interval;

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

/// Most pairs of members that are shown.
pub const MOST_PAIRS: usize = 50;

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
    /// The pairs of members who have judged the most items both, up to [`MOST_PAIRS`], without intervals.
    pub pairs: Vec<(MemberId, MemberId, PairAgreement)>,
    /// How many pairs have judged an item both.
    pub pair_count: usize,
}

/// Agreement over everything that can be seen.
pub fn summary(settings: &ProjectSettings, state: &State, items: &[ItemInfo]) -> Summary {
    let ratings = Ratings::of(settings, state, items);
    let all = ratings.all();
    let used = |place: usize| all.times(place) > 0;
    let labels = settings.labels.iter().enumerate().filter(|(place, _)| used(*place));
    let of_label = |(place, label): (usize, &Label)| {
        (label.name.clone(), agreement(&all.one_against_rest(place), &OF_LABELS))
    };
    let shown = of_parts(settings);
    let together = ratings.co_judges();
    let pair = |(first, second, _): &(&MemberId, &MemberId, usize)| {
        let found = ratings.pair(first, second)?.values();
        Some((MemberId::clone(first), MemberId::clone(second), found))
    };
    Summary {
        labels: labels.map(of_label).collect(),
        cultures: parts(&shown, ratings.by(|item| item.culture)),
        topics: parts(&shown, ratings.by(|item| &item.topic)),
        pairs: together.iter().take(MOST_PAIRS).filter_map(pair).collect(),
        pair_count: together.len(),
        all: agreement(&all, &ratings::coefficients(settings)),
    }
}

/// The parts about which something is known.
fn parts<K: ToString>(
    shown: &[Coefficient],
    all: BTreeMap<K, Tallies>,
) -> Vec<(String, Agreement)> {
    all.into_iter()
        .filter(|(_, tallies)| tallies.shared_items() > 0)
        .map(|(name, tallies)| (name.to_string(), agreement(&tallies, shown)))
        .collect()
}

/// The interval of Cohen's kappa of two members, which takes a moment.
pub fn pair_interval(
    settings: &ProjectSettings,
    state: &State,
    items: &[ItemInfo],
    (first, second): (&MemberId, &MemberId),
) -> Option<Interval> {
    Ratings::of(settings, state, items).pair(first, second)?.kappa_interval()
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

impl Progress {
    /// Both together.
    fn and(self, other: Self) -> Self {
        Self {
            items: self.items + other.items,
            wanted: self.wanted + other.wanted,
            complete: self.complete + other.complete.min(other.wanted),
            judgements: self.judgements + other.judgements,
        }
    }
}

/// The progress of the cultures that `own` lets through, as one; of all where that is none of them.
pub fn total(
    all: &BTreeMap<CultureCode, Progress>,
    own: impl Fn(&CultureCode) -> bool,
) -> (Vec<CultureCode>, Progress) {
    let mine: Vec<CultureCode> = all.keys().filter(|culture| own(culture)).copied().collect();
    let counted = |culture: &CultureCode| mine.is_empty() || mine.contains(culture);
    let of = all.iter().filter(|(culture, _)| counted(culture)).map(|(_, progress)| *progress);
    let sum = of.fold(Progress::default(), Progress::and);
    (mine, sum)
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
        assert_eq!((found.pair_count, found.pairs[0].2.kappa_interval), (1, None));
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
    fn the_pairs_with_the_most_items_are_shown() {
        let settings = ProjectSettings { overlap: 20, ..ProjectSettings::new("t") };
        let items = [item("a", "THA"), item("b", "THA")];
        let people = (0..20).map(|number| (number, format!("m{number:02}")));
        let mut events: Vec<Event> =
            people.map(|(number, who)| judged(number, &who, "a", "right")).collect();
        events.extend([judged(20, "m18", "b", "right"), judged(21, "m19", "b", "wrong")]);
        let state = State::of(&events);
        let found = summary(&settings, &state, &items);
        assert_eq!((found.pair_count, found.pairs.len()), (190, MOST_PAIRS));
        let (first, second, most) = &found.pairs[0];
        assert_eq!((first.as_str(), second.as_str(), most.items), ("m18", "m19", 2));
        assert!(pair_interval(&settings, &state, &items, (first, second)).is_some());
    }

    #[test]
    fn progress_is_summed_over_the_cultures_that_somebody_knows() {
        let of = |wanted, complete| Progress { items: 9, wanted, complete, judgements: 4 };
        let all: BTreeMap<CultureCode, Progress> =
            [("THA", of(5, 2)), ("NGA", of(3, 4)), ("KEN", of(1, 0))]
                .map(|(code, progress)| (code.parse().unwrap(), progress))
                .into();
        for (own, count, sum) in [("THA NGA", 2, (8, 5)), ("KEN", 1, (1, 0)), ("", 0, (9, 5))] {
            let (mine, found) = total(&all, |culture| own.contains(culture.as_str()));
            assert_eq!((mine.len(), (found.wanted, found.complete)), (count, sum), "{own}");
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
