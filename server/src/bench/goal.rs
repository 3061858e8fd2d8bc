//! What a ratio of ours to a peer's should be, and by how much it isn't.

use std::fmt;

use serde::Serialize;

/// A bound for a ratio or a difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Goal {
    /// The bound.
    pub bound: f64,
    /// Whether what is measured should be at most as large; otherwise at least.
    pub at_most: bool,
    /// By what share of the bound it is missed: 0 where it is reached, null where no peer was measured.
    pub missed_by: Option<f64>,
}

impl Goal {
    /// To have at least `bound`.
    pub fn at_least(bound: f64, measured: Option<f64>) -> Self {
        let missed_by = finite(measured).map(|measured| ((bound - measured) / bound).max(0.0));
        Self { bound, at_most: false, missed_by }
    }

    /// To have at most `bound`.
    pub fn at_most(bound: f64, measured: Option<f64>) -> Self {
        let missed_by = finite(measured).map(|measured| ((measured - bound) / bound).max(0.0));
        Self { bound, at_most: true, missed_by }
    }
}

/// What is no number was not measured.
fn finite(measured: Option<f64>) -> Option<f64> {
    measured.filter(|measured| measured.is_finite())
}

/// Such as `≥ 5, missed by 12 %`.
impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.at_most { "≤" } else { "≥" }, self.bound)?;
        match self.missed_by {
            None => Ok(()),
            Some(0.0) => f.write_str(", reached"),
            // One that is just missed isn't missed by nothing.
            Some(share) => write!(f, ", missed by {:.0} %", (100.0 * share).max(1.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_says_whether_and_by_how_much_it_is_missed() {
        for (goal, missed_by, text) in [
            (Goal::at_least(5.0, Some(5.0)), Some(0.0), "≥ 5, reached"),
            (Goal::at_least(5.0, Some(4.0)), Some(0.2), "≥ 5, missed by 20 %"),
            (Goal::at_least(5.0, Some(4.3)), Some(0.14), "≥ 5, missed by 14 %"),
            (Goal::at_least(2.0, Some(9.0)), Some(0.0), "≥ 2, reached"),
            (Goal::at_most(1.0, Some(1.25)), Some(0.25), "≤ 1, missed by 25 %"),
            (Goal::at_most(0.01, Some(0.001)), Some(0.0), "≤ 0.01, reached"),
            (Goal::at_most(1.0, Some(1.001)), None, "≤ 1, missed by 1 %"),
            (Goal::at_least(1.0, None), None, "≥ 1"),
            (Goal::at_most(1.0, Some(f64::NAN)), None, "≤ 1"),
        ] {
            assert_eq!(goal.to_string(), text);
            if let Some(missed_by) = missed_by {
                assert!((goal.missed_by.unwrap() - missed_by).abs() < 1e-12, "{text}");
            }
        }
    }
}
