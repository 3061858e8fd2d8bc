//! An order in which cultures that are alike stand beside each other, for matrices that people read.

use super::relation::Relations;

impl Relations {
    /// Places of the cultures, so that clusters stand together: the two most alike clusters are joined
    /// until one is left (average linkage), each time with the ends that are most alike in the
    /// middle. Pairs without a value count as unlike.
    pub fn clustered_order(&self) -> Vec<usize> {
        let alike = |a: usize, b: usize| self.values[a][b].unwrap_or(f64::NEG_INFINITY);
        let between = |first: &[usize], second: &[usize]| {
            let pairs = first.iter().flat_map(|a| second.iter().map(move |b| alike(*a, *b)));
            pairs.sum::<f64>() / (first.len() * second.len()) as f64
        };
        let mut clusters: Vec<Vec<usize>> = (0..self.cultures.len()).map(|i| vec![i]).collect();
        while clusters.len() > 1 {
            let pairs = (0..clusters.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
            // Of equals the first, so that the order depends on the values alone.
            let best = pairs.fold(None, |best: Option<((usize, usize), f64)>, (a, b)| {
                let likeness = between(&clusters[a], &clusters[b]);
                match best {
                    Some((_, most)) if most >= likeness => best,
                    _ => Some(((a, b), likeness)),
                }
            });
            let Some(((a, b), _)) = best else { break };
            let second = clusters.remove(b);
            let first = std::mem::take(&mut clusters[a]);
            clusters[a] = joined(first, second, alike);
        }
        clusters.pop().unwrap_or_default()
    }

    /// The same with its cultures in this order of places.
    pub fn in_order(&self, places: &[usize]) -> Self {
        let row = |a: &usize| places.iter().map(|b| self.values[*a][*b]).collect();
        Self {
            cultures: places.iter().map(|place| self.cultures[*place]).collect(),
            values: places.iter().map(row).collect(),
        }
    }
}

/// Both lists as one, turned so that the ends that meet are as alike as they can be.
fn joined(
    mut first: Vec<usize>,
    mut second: Vec<usize>,
    alike: impl Fn(usize, usize) -> f64,
) -> Vec<usize> {
    let ends = |list: &[usize]| Some((*list.first()?, *list.last()?));
    if let (Some((head, tail)), Some((start, end))) = (ends(&first), ends(&second)) {
        let ways = [(tail, start), (tail, end), (head, start), (head, end)];
        let mut best = 0;
        for (way, (a, b)) in ways.iter().enumerate() {
            if alike(*a, *b) > alike(ways[best].0, ways[best].1) {
                best = way;
            }
        }
        if best >= 2 {
            first.reverse();
        }
        if best % 2 == 1 {
            second.reverse();
        }
    }
    first.append(&mut second);
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn relations(places: &[f64]) -> Relations {
        let codes = ["USA", "CAN", "THA", "KEN", "NGA", "DEU", "RUS", "CHN"];
        let value = |a: &f64, b: &f64| Some(1.0 - (a - b).abs());
        Relations {
            cultures: codes[..places.len()].iter().map(|code| code.parse().unwrap()).collect(),
            values: places.iter().map(|a| places.iter().map(|b| value(a, b)).collect()).collect(),
        }
    }

    #[test]
    fn cultures_on_a_line_come_out_in_its_order() {
        // Two far groups, mixed up.
        let mixed = relations(&[0.0, 0.9, 0.05, 1.0, 0.12, 0.94]);
        let order = mixed.clustered_order();
        let places: Vec<f64> = {
            let line = [0.0, 0.9, 0.05, 1.0, 0.12, 0.94];
            order.iter().map(|place| line[*place]).collect()
        };
        let mut sorted = places.clone();
        sorted.sort_by(f64::total_cmp);
        let reversed: Vec<f64> = sorted.iter().rev().copied().collect();
        assert!(places == sorted || places == reversed, "{places:?}");
        let ordered = mixed.in_order(&order);
        assert_eq!(ordered.values[0][0], Some(1.0));
        assert_eq!(ordered.cultures[0], mixed.cultures[order[0]]);
        assert_eq!(ordered.values[0][1], mixed.values[order[0]][order[1]]);
        assert_eq!(relations(&[]).clustered_order(), [] as [usize; 0]);
    }

    proptest! {
        #[test]
        fn every_culture_has_one_place(places in prop::collection::vec(0.0f64..1.0, 0..8), gap in 0usize..64) {
            let mut relations = relations(&places);
            let count = places.len();
            if count > 1 {
                let (a, b) = (gap % count, (gap / count) % count);
                (relations.values[a][b], relations.values[b][a]) = (None, None);
            }
            let mut order = relations.clustered_order();
            order.sort_unstable();
            prop_assert_eq!(order, (0..count).collect::<Vec<_>>());
        }
    }
}
