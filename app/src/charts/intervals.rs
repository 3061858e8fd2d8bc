//! A dot per row on a common scale, with its interval and reference ticks.

use domain::culture::CultureCode;
use domain::score::Interval;
use leptos::prelude::*;

use super::percent;
use crate::color;

/// A reference value on a row's scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// What it is, for people.
    pub label: String,
    /// Where it is.
    pub value: f64,
    /// Which of the three tick styles, 0..=2; the legend shows the same.
    pub style: usize,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalRow {
    /// Unique among the rows; goes to `data-row`.
    pub key: String,
    /// Name for people.
    pub label: String,
    /// Gives the colour; the label must carry its code.
    pub culture: Option<CultureCode>,
    /// The dot.
    pub value: f64,
    /// Around the dot.
    pub interval: Option<Interval>,
    /// References of this row.
    pub ticks: Vec<Tick>,
    /// The dot and its interval in words.
    pub text: String,
    /// More to say about the row.
    pub note: Option<String>,
}

/// Rows in the order given, on a scale that fits them all. Values are shares; shown x 100.
#[component]
pub fn IntervalPlot(
    /// What to draw.
    #[prop(into)]
    rows: Signal<Vec<IntervalRow>>,
    /// Goes to every row's `data-testid`.
    testid: &'static str,
) -> impl IntoView {
    // The scale is worked out where it is used: an effect that reads a memo of `rows` before `rows`
    // sleeps through a change of `rows` that leaves the memo as it was.
    let end = move |pick: fn((f64, f64)) -> f64| {
        move || rows.with(|rows| format!("{:.0}", pick(scale(rows)) * 100.0))
    };
    view! {
        <ol class="intervals">
            {move || rows.with(|rows| {
                let (low, high) = scale(rows);
                rows.iter().map(|row| row_view(row, low, high, testid)).collect_view()
            })}
        </ol>
        <p class="axis meta" aria-hidden="true">
            <span></span>
            <span class="ends">
                <span>{end(|ends| ends.0)}</span>
                <span>{end(|ends| ends.1)}</span>
            </span>
        </p>
    }
    .into_any()
}

/// Ends of the common scale: multiples of 10 % around everything drawn.
fn scale(rows: &[IntervalRow]) -> (f64, f64) {
    let values = rows.iter().flat_map(|row| {
        let ends = row.interval.map(|i| [i.low, i.high]).into_iter().flatten();
        ends.chain(row.ticks.iter().map(|tick| tick.value)).chain([row.value])
    });
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    // A little beyond, so that rounding never lets a tenth pass for the next.
    ((low * 10.0 + 1e-9).floor() / 10.0, (high * 10.0 - 1e-9).ceil() / 10.0)
}

fn row_view(row: &IntervalRow, low: f64, high: f64, testid: &'static str) -> impl IntoView + use<> {
    let at = |value| percent(value, low, high);
    let interval = row.interval.map(|interval| {
        view! { <line class="whisker" x1=at(interval.low) x2=at(interval.high) y1="12" y2="12"/> }
    });
    let ticks: Vec<_> = row
        .ticks
        .iter()
        .map(|tick| {
            let class = format!("tick tick-{}", tick.style);
            let title = format!("{}: {:.1}", tick.label, tick.value * 100.0);
            view! {
                <line class=class x1=at(tick.value) x2=at(tick.value) y1="4" y2="20">
                    <title>{title}</title>
                </line>
            }
        })
        .collect();
    view! {
        <li class="interval" data-testid=testid data-row=row.key.clone() style=color::style(row.culture)>
            <span class="label">
                {row.culture.map(|_| view! { <span class="swatch" aria-hidden="true"></span> })}
                {row.label.clone()}
            </span>
            <svg class="track" height="24" width="100%" aria-hidden="true">
                <line class="rail" x1="0%" x2="100%" y1="12" y2="12"/>
                {ticks}
                {interval}
                <circle class="mark" cx=at(row.value) cy="12" r="5"/>
            </svg>
            <span class="value">{row.text.clone()}" "<span>{row.note.clone()}</span></span>
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: f64, low: f64, high: f64) -> IntervalRow {
        IntervalRow {
            key: String::new(),
            label: String::new(),
            culture: None,
            value,
            interval: Some(Interval { low, high }),
            ticks: vec![Tick { label: String::new(), value: 0.46, style: 0 }],
            text: String::new(),
            note: None,
        }
    }

    #[test]
    fn the_scale_holds_everything() {
        for (rows, expect) in [
            (vec![row(0.7, 0.65, 0.72)], (0.4, 0.8)),
            (vec![row(0.7, -0.05, 0.72)], (-0.1, 0.8)),
            (vec![row(0.7, 0.5, 0.7)], (0.4, 0.7)),
            (vec![], (0.0, 1.0)),
        ] {
            let (low, high) = scale(&rows);
            assert!(
                (low - expect.0).abs() < 1e-9 && (high - expect.1).abs() < 1e-9,
                "{low} {high}"
            );
        }
    }
}
