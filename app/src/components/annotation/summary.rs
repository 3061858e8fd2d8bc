//! From judgements to the rows of the agreement page. Arithmetic is in [`domain::agreement`]; here rows
//! are only chosen and ordered. Plain functions, no view.

use std::collections::{BTreeMap, BTreeSet};

use domain::agreement::{Agreement, Coefficient, PairAgreement, Tallies, agreement};
use domain::annotation::visibility::is_complete;
use domain::annotation::{ItemInfo, Label, MemberId, ProjectSettings, State, ratings};
use domain::culture::CultureCode;

/// What rows of parts show: one coefficient that corrects for chance two ways each, and none.
const OF_PARTS: [Coefficient; 3] =
    [Coefficient::Percent, Coefficient::AlphaNominal, Coefficient::Ac1];

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
        (label.name.clone(), agreement(&all.one_against_rest(place), &OF_PARTS))
    };
    let cultures: BTreeSet<CultureCode> = items.iter().map(|item| item.culture).collect();
    let topics: BTreeSet<_> = items.iter().map(|item| &item.topic).collect();
    Summary {
        labels: labels.map(of_label).collect(),
        cultures: parts(cultures.into_iter().map(|culture| {
            let of = |item: &ItemInfo| item.culture == culture;
            (culture.to_string(), ratings::tallies(settings, state, items, of))
        })),
        topics: parts(topics.into_iter().map(|topic| {
            let of = |item: &ItemInfo| item.topic == *topic;
            (topic.to_string(), ratings::tallies(settings, state, items, of))
        })),
        pairs: pairs(settings, state, items),
        all: agreement(&all, &ratings::coefficients(settings)),
    }
}

/// The parts about which something is known.
fn parts(all: impl Iterator<Item = (String, Tallies)>) -> Vec<(String, Agreement)> {
    all.filter(|(_, tallies)| tallies.shared_items() > 0)
        .map(|(name, tallies)| (name, agreement(&tallies, &OF_PARTS)))
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
        progress.judgements += state.judged_by(&item.id);
        progress.complete += usize::from(is_complete(settings, state, item));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::annotation::{Act, Event, Judgement};

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
}
