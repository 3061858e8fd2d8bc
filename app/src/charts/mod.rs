//! Charts of our own: marks in SVG, words in HTML, the same numbers as a table and as CSV.
//!
//! A chart takes finished numbers; nothing is computed here. **Invariant:** no chart knows where its
//! numbers come from.

mod bars;
mod curve;
mod figure;
mod heat_map;
mod intervals;

pub use bars::{BarSeries, Bars};
pub use curve::{Curve, CurvePoint};
pub use figure::{Figure, NumberTable};
pub use heat_map::{HeatMap, HeatRow};
pub use intervals::{IntervalPlot, IntervalRow, Tick};

/// Where `value` lies between `low` and `high`, as a percentage for SVG lengths, kept inside.
fn percent(value: f64, low: f64, high: f64) -> String {
    let share = if high > low { (value - low) / (high - low) } else { 0.0 };
    format!("{:.2}%", share.clamp(0.0, 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn percentages_stay_inside() {
        for (value, expect) in
            [(0.5, "50.00%"), (-1.0, "0.00%"), (9.0, "100.00%"), (f64::NAN, "NaN%")]
        {
            assert_eq!(percent(value, 0.0, 1.0), expect);
        }
        assert_eq!(percent(1.0, 1.0, 1.0), "0.00%");
    }
}
