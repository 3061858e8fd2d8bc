//! Distances between two answer distributions over the same options.

/// Jensen-Shannon distance with base-2 logarithms: the square root of the divergence, in 0..=1
/// (Lin 1991; Endres and Schindelin 2003). Inputs need not sum to one; each is normalised.
///
/// `None` where the lengths differ or a side has no mass.
pub fn jensen_shannon(p: &[f64], q: &[f64]) -> Option<f64> {
    let (p, q) = normalised_pair(p, q)?;
    let divergence: f64 = p
        .iter()
        .zip(&q)
        .map(|(&a, &b)| {
            let middle = 0.5 * (a + b);
            0.5 * (relative(a, middle) + relative(b, middle))
        })
        .sum();
    Some(divergence.clamp(0.0, 1.0).sqrt())
}

/// Earth mover's distance over equally spaced ordered options, divided by its largest value
/// (all mass moved from the first to the last option), in 0..=1.
///
/// `None` where the lengths differ, a side has no mass, or there are fewer than two options.
pub fn earth_mover(p: &[f64], q: &[f64]) -> Option<f64> {
    let (p, q) = normalised_pair(p, q)?;
    if p.len() < 2 {
        return None;
    }
    let mut carried = 0.0;
    let moved: f64 = p
        .iter()
        .zip(&q)
        .map(|(a, b)| {
            carried += a - b;
            f64::abs(carried)
        })
        .sum();
    Some(moved / (p.len() - 1) as f64)
}

/// Total variation distance, in 0..=1: the earth mover's distance where every move costs the same.
/// Used for nominal options. `None` as for [`jensen_shannon`].
pub fn total_variation(p: &[f64], q: &[f64]) -> Option<f64> {
    let (p, q) = normalised_pair(p, q)?;
    Some(0.5 * p.iter().zip(&q).map(|(a, b)| (a - b).abs()).sum::<f64>())
}

fn relative(part: f64, whole: f64) -> f64 {
    if part > 0.0 { part * (part / whole).log2() } else { 0.0 }
}

fn normalised_pair(p: &[f64], q: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    let (sum_p, sum_q): (f64, f64) = (p.iter().sum(), q.iter().sum());
    let usable = p.len() == q.len() && sum_p > 0.0 && sum_q > 0.0;
    usable.then(|| (p.iter().map(|x| x / sum_p).collect(), q.iter().map(|x| x / sum_q).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_answers() {
        // Two distributions, then the three distances: Jensen-Shannon, earth mover's, total variation.
        let table = [
            ([1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
            ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]),
            ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.5, 1.0]),
            // H(0.75, 0.25) - (H(1, 0) + H(0.5, 0.5)) / 2 = 0.811278 - 0.5 bits.
            ([1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.557_923, 0.25, 0.5]),
        ];
        for (p, q, [js, em, tv]) in table {
            assert!((jensen_shannon(&p, &q).unwrap() - js).abs() < 1e-5, "{p:?} {q:?}");
            assert!((earth_mover(&p, &q).unwrap() - em).abs() < 1e-12, "{p:?} {q:?}");
            assert!((total_variation(&p, &q).unwrap() - tv).abs() < 1e-12, "{p:?} {q:?}");
        }
    }

    #[test]
    fn nothing_to_compare_is_none() {
        let cases: [(&[f64], &[f64]); 3] =
            [(&[], &[]), (&[1.0], &[0.5, 0.5]), (&[0.0, 0.0], &[1.0, 0.0])];
        for (p, q) in cases {
            assert_eq!(jensen_shannon(p, q), None);
            assert_eq!(earth_mover(p, q), None);
        }
    }

    fn shares() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
        (2usize..8).prop_flat_map(|n| {
            let side = prop::collection::vec(0.01f64..1.0, n);
            (side.clone(), side)
        })
    }

    proptest! {
        #[test]
        fn bounded_symmetric_and_blind_to_total_mass((p, q) in shares(), factor in 0.1f64..10.0) {
            for distance in [jensen_shannon, earth_mover, total_variation] {
                let d = distance(&p, &q).unwrap();
                prop_assert!((-1e-12..=1.0 + 1e-12).contains(&d));
                prop_assert!((d - distance(&q, &p).unwrap()).abs() < 1e-9);
                let scaled: Vec<f64> = p.iter().map(|x| x * factor).collect();
                prop_assert!((d - distance(&scaled, &q).unwrap()).abs() < 1e-6);
            }
        }
    }
}
