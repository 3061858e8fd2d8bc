//! Every culture's own adapter asked as every culture: does what it has learnt belong to its culture?

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::RESAMPLES;
use super::bootstrap::{Columns, Interval, resample};
use super::evaluation::Parts;
use super::metric::Metric;
use crate::culture::CultureCode;
use crate::question::QuestionId;

/// The parts of the adapter of the first culture, asked as the second and held against the second's
/// people.
pub type CrossParts = BTreeMap<(CultureCode, CultureCode), Parts>;

/// Adapter i on culture j: its closeness to the people of culture j under the persona of culture j.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossScores {
    /// Cultures whose adapters were asked: the rows.
    pub adapters: Vec<CultureCode>,
    /// Cultures whose personas were named: the columns.
    pub cultures: Vec<CultureCode>,
    /// Scores, row by row; `None` where nothing could be scored.
    pub values: Vec<Vec<Option<f64>>>,
    /// How much closer a culture's own adapter is than the others on the same questions; `None` where
    /// no culture has both.
    pub own_gain: Option<OwnGain>,
    /// How much closer each adapter is under its own culture than under the others, in the order of the
    /// rows; `None` where one of them is missing, and empty where that wasn't computed. Cultures differ in
    /// how close any voice comes to them, which is in this difference too.
    #[serde(default)]
    pub home_gains: Vec<Option<OwnGain>>,
}

/// The score of a culture's own adapter beyond a mean score: of the other adapters as that culture, mean
/// over cultures, or of the same adapter as other cultures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OwnGain {
    /// The difference.
    pub gain: f64,
    /// 95 % paired bootstrap interval over questions, which all cultures share; `None` for fewer
    /// than two questions.
    pub interval: Option<Interval>,
    /// Cultures in the mean.
    pub cultures: usize,
}

/// The adapters of one column: the own one, and the others.
type Column<T> = (T, Vec<T>);

impl CrossScores {
    /// From the parts of all pairs that were asked, rows and columns in the order given.
    pub fn new(
        metric: Metric,
        adapters: &[CultureCode],
        cultures: &[CultureCode],
        parts: &CrossParts,
    ) -> Self {
        let score = |adapter: &CultureCode, culture: &CultureCode| {
            metric.score(parts.get(&(*adapter, *culture))?.values())
        };
        let row = |adapter| cultures.iter().map(|culture| score(adapter, culture)).collect();
        let columns: Vec<Column<&Parts>> =
            cultures.iter().filter_map(|culture| column(adapters, *culture, parts)).collect();
        Self {
            adapters: adapters.to_vec(),
            cultures: cultures.to_vec(),
            values: adapters.iter().map(row).collect(),
            own_gain: own_gain(metric, &columns),
            home_gains: Vec::new(),
        }
    }

    /// The same with [`CrossScores::home_gains`], of the same parts.
    pub fn with_home_gains(mut self, metric: Metric, parts: &CrossParts) -> Self {
        let of = |adapter: &CultureCode| home_gain(metric, *adapter, &self.cultures, parts);
        self.home_gains = self.adapters.iter().map(of).collect();
        self
    }

    /// The same x 100, as people read it.
    pub fn in_percent(mut self) -> Self {
        self.values.iter_mut().flatten().flatten().for_each(|value| *value *= 100.0);
        let gains = self.own_gain.iter_mut().chain(self.home_gains.iter_mut().flatten());
        gains.for_each(|own| {
            own.gain *= 100.0;
            own.interval = own.interval.map(|interval| interval.times(100.0));
        });
        self
    }
}

fn column<'a>(
    adapters: &[CultureCode],
    culture: CultureCode,
    parts: &'a CrossParts,
) -> Option<Column<&'a Parts>> {
    let own = parts.get(&(culture, culture))?;
    let others = adapters.iter().filter(|adapter| **adapter != culture);
    let others: Vec<&Parts> =
        others.filter_map(|adapter| parts.get(&(*adapter, culture))).collect();
    (!others.is_empty()).then_some((own, others))
}

fn own_gain(metric: Metric, columns: &[Column<&Parts>]) -> Option<OwnGain> {
    let questions: BTreeSet<&QuestionId> = columns.iter().flat_map(|(own, _)| own.keys()).collect();
    let laid_out: Vec<Column<Columns>> = columns
        .iter()
        .map(|(own, others)| {
            // What one of them has not answered says nothing of the difference.
            let answered =
                |id: &QuestionId| own.contains_key(id) && others.iter().all(|o| o.contains_key(id));
            let of = |parts: &Parts| {
                let part = |id: &&QuestionId| parts.get(*id).copied().filter(|_| answered(id));
                Columns::new(questions.iter().map(part))
            };
            (of(own), others.iter().map(|other| of(other)).collect())
        })
        .collect();
    let gains = |counts: &[f64]| -> Vec<f64> {
        let gain = |(own, others): &Column<Columns>| {
            let own = own.score(metric, counts)?;
            let others: Option<Vec<f64>> =
                others.iter().map(|other| other.score(metric, counts)).collect();
            Some(own - mean(&others?)?)
        };
        laid_out.iter().filter_map(gain).collect()
    };
    let whole = gains(&vec![1.0; questions.len()]);
    Some(OwnGain {
        gain: mean(&whole)?,
        interval: resample(questions.len(), RESAMPLES, |counts| mean(&gains(counts))),
        cultures: whole.len(),
    })
}

/// One adapter's score as its own culture minus its mean score as the others, each on all questions that it
/// answered so: every resample draws the same questions for all.
fn home_gain(
    metric: Metric,
    adapter: CultureCode,
    cultures: &[CultureCode],
    parts: &CrossParts,
) -> Option<OwnGain> {
    let own = parts.get(&(adapter, adapter))?;
    let others: Vec<&Parts> = cultures
        .iter()
        .filter(|culture| **culture != adapter)
        .filter_map(|culture| parts.get(&(adapter, *culture)))
        .collect();
    let questions: BTreeSet<&QuestionId> =
        others.iter().flat_map(|parts| parts.keys()).chain(own.keys()).collect();
    let of = |parts: &Parts| Columns::new(questions.iter().map(|id| parts.get(*id).copied()));
    let (own, others): (_, Vec<Columns>) = (of(own), others.iter().map(|p| of(p)).collect());
    let gain = |counts: &[f64]| {
        let others: Vec<f64> =
            others.iter().filter_map(|other| other.score(metric, counts)).collect();
        Some(own.score(metric, counts)? - mean(&others)?)
    };
    Some(OwnGain {
        gain: gain(&vec![1.0; questions.len()])?,
        interval: resample(questions.len(), RESAMPLES, gain),
        cultures: others.len(),
    })
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Part;

    fn codes(text: &str) -> Vec<CultureCode> {
        text.split(',').map(|code| code.parse().unwrap()).collect()
    }

    fn parts(values: &[f64]) -> Parts {
        let numbered = values.iter().enumerate();
        numbered.map(|(i, v)| (format!("Q{i}").as_str().into(), Part::closeness(*v))).collect()
    }

    #[test]
    fn an_adapter_that_fits_its_own_culture_gains_there() {
        let (adapters, cultures) = (codes("THA,KEN"), codes("THA,KEN,USA"));
        let (tha, ken, usa) = (cultures[0], cultures[1], cultures[2]);
        let asked = CrossParts::from([
            ((tha, tha), parts(&[0.9, 0.7])),
            ((tha, ken), parts(&[0.4, 0.4])),
            ((tha, usa), parts(&[0.5, 0.5])),
            ((ken, tha), parts(&[0.5, 0.3])),
            ((ken, ken), parts(&[0.6, 0.6])),
        ]);
        let cross = CrossScores::new(Metric::ExactMode, &adapters, &cultures, &asked)
            .with_home_gains(Metric::ExactMode, &asked);
        let rounded = |row: &Vec<Option<f64>>| -> Vec<Option<i64>> {
            row.iter().map(|value| value.map(|v| (100.0 * v).round() as i64)).collect()
        };
        assert_eq!(rounded(&cross.values[0]), [Some(80), Some(40), Some(50)]);
        assert_eq!(rounded(&cross.values[1]), [Some(40), Some(60), None]);
        // 0.4 for THA and 0.2 for KEN, whichever questions are drawn; nobody's own is asked as USA.
        let own = cross.own_gain.unwrap();
        assert!((own.gain - 0.3).abs() < 1e-12 && own.cultures == 2, "{own:?}");
        let interval = own.interval.unwrap();
        assert!((interval.low - 0.3).abs() < 1e-12 && (interval.high - 0.3).abs() < 1e-12);
        // THA's adapter: 0.8 at home, 0.45 as KEN and USA; its questions decide how much more.
        let home = cross.home_gains[0].unwrap();
        assert!((home.gain - 0.35).abs() < 1e-12 && home.cultures == 2, "{home:?}");
        let interval = home.interval.unwrap();
        assert!((interval.low - 0.25).abs() < 1e-12 && (interval.high - 0.45).abs() < 1e-12);
        assert!((cross.home_gains[1].unwrap().gain - 0.2).abs() < 1e-12, "{cross:?}");
        let percent = cross.in_percent();
        assert!((percent.home_gains[0].unwrap().gain - 35.0).abs() < 1e-9);
        assert!((percent.values[0][0].unwrap() - 80.0).abs() < 1e-9);
        assert!((percent.own_gain.unwrap().interval.unwrap().low - 30.0).abs() < 1e-9);
    }

    #[test]
    fn only_questions_that_all_answered_are_compared() {
        let cultures = codes("THA,KEN");
        let (tha, ken) = (cultures[0], cultures[1]);
        let asked =
            CrossParts::from([((tha, tha), parts(&[0.9, 0.1])), ((ken, tha), parts(&[0.4]))]);
        let own = CrossScores::new(Metric::ExactMode, &cultures, &cultures, &asked).own_gain;
        assert!((own.unwrap().gain - 0.5).abs() < 1e-12, "{own:?}");
    }

    #[test]
    fn nothing_to_compare_is_none() {
        let cultures = codes("THA,KEN");
        let (tha, ken) = (cultures[0], cultures[1]);
        for asked in [
            CrossParts::new(),
            CrossParts::from([((tha, tha), parts(&[0.9]))]),
            CrossParts::from([((tha, ken), parts(&[0.9]))]),
        ] {
            let cross = CrossScores::new(Metric::Alignment, &cultures, &cultures, &asked);
            assert_eq!(cross.own_gain, None, "{asked:?}");
            assert_eq!(cross.values.len(), 2);
        }
    }
}
