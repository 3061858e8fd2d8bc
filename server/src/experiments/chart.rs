//! A chart of values with their intervals as an SVG file, for a page of documentation. The app's own
//! charts are components of the browser; this one stands alone, in light and in dark.

use std::fmt::Write;

use domain::score::Interval;
use domain::xml::escaped;

/// Height of a row, and where the axis and its labels stand, in pixels.
const ROW: f64 = 28.0;
const TOP: f64 = 12.0;
const AXIS: f64 = 34.0;
/// Width of the labels, of the plot, and of the numbers behind it.
const LABELS: f64 = 230.0;
const PLOT: f64 = 360.0;
const NUMBERS: f64 = 150.0;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}.quiet{fill:#57606a}\
    .line{stroke:#d0d7de}.zero{stroke:#57606a}.mark{stroke:#1f6feb;fill:#1f6feb;stroke-width:2}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.quiet{fill:#9198a1}.line{stroke:#3d444d}\
    .zero{stroke:#9198a1}.mark{stroke:#4493f8;fill:#4493f8}}";

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What it is.
    pub label: String,
    /// Its value.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
}

/// Draws `bars` from top to bottom over an axis that holds zero; `title` is read out by screen
/// readers, `unit` stands under the axis. Values that are no numbers are left out.
pub fn draw(title: &str, unit: &str, bars: &[Bar]) -> String {
    let bars: Vec<&Bar> = bars.iter().filter(|bar| bar.value.is_finite()).collect();
    let ends = bars.iter().flat_map(|bar| {
        let interval = bar.interval.unwrap_or(Interval { low: bar.value, high: bar.value });
        [interval.low, interval.high, bar.value]
    });
    let ticks = ticks(ends.fold((0.0, 0.0), |(low, high), end| (end.min(low), end.max(high))));
    let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
    let x = |value: f64| LABELS + PLOT * (value - low) / (high - low);
    let digits = (-(ticks[1] - ticks[0]).log10()).ceil().max(0.0) as usize;
    let plot_height = ROW * bars.len() as f64;
    let (width, height) = (LABELS + PLOT + NUMBERS, TOP + plot_height + AXIS);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\"><title>{}</title><style>{STYLE}</style>\n",
        escaped(title)
    );
    for tick in &ticks {
        let (class, x) = (if *tick == 0.0 { "zero" } else { "line" }, x(*tick));
        let bottom = TOP + plot_height;
        let _ = writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text class=\"quiet\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            bottom + 16.0,
            signed(*tick, digits)
        );
    }
    for (row, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        svg.push_str(&drawn_row(bar, y, x));
    }
    let _ = writeln!(
        svg,
        "<text class=\"quiet\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n</svg>",
        LABELS + PLOT / 2.0,
        height - 3.0,
        escaped(unit)
    );
    svg
}

fn drawn_row(bar: &Bar, y: f64, x: impl Fn(f64) -> f64) -> String {
    let baseline = y + 4.5;
    let mut row = format!(
        "<text text-anchor=\"end\" x=\"{:.1}\" y=\"{baseline:.1}\">{}</text>",
        LABELS - 12.0,
        escaped(&bar.label)
    );
    if let Some(Interval { low, high }) = bar.interval {
        let _ = write!(
            row,
            "<line class=\"mark\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
            x(low),
            x(high)
        );
    }
    let interval = bar.interval.map_or(String::new(), |interval| {
        format!(" [{}, {}]", signed(interval.low, 1), signed(interval.high, 1))
    });
    let _ = writeln!(
        row,
        "<circle class=\"mark\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"/>\
         <text x=\"{:.1}\" y=\"{baseline:.1}\">{}{interval}</text>",
        x(bar.value),
        LABELS + PLOT + 12.0,
        signed(bar.value, 1)
    );
    row
}

/// Round numbers from below `low` to above `high`, zero among them; at least two.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let span = (high - low).max(1e-9);
    let power = 10f64.powf((span / 4.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| span / step <= 5.0).unwrap_or(10.0 * power);
    let (first, last) = ((low / step - 1e-9).floor(), (high / step + 1e-9).ceil());
    let last = if last <= first { first + 1.0 } else { last };
    (0..=(last - first) as usize).map(|tick| (first + tick as f64) * step).collect()
}

fn signed(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let zero = text.chars().all(|c| c == '0' || c == '.');
    match value {
        _ if zero => text,
        value if value < 0.0 => format!("−{text}"),
        _ => format!("+{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_both_ends_and_zero() {
        for (low, high) in [(0.0, 0.0), (-1.4, 4.2), (0.0, 37.0), (-0.02, 0.005), (-120.0, -3.0)] {
            let ticks = ticks((f64::min(low, 0.0), f64::max(high, 0.0)));
            assert!(ticks[0] <= low && ticks[ticks.len() - 1] >= high, "{low} {high} {ticks:?}");
            assert!(ticks.iter().any(|tick| tick.abs() < 1e-12), "{ticks:?}");
            assert!((2..=8).contains(&ticks.len()), "{ticks:?}");
        }
    }

    #[test]
    fn rows_stand_where_their_values_are() {
        let bar =
            |label: &str, value: f64, interval| Bar { label: label.to_owned(), value, interval };
        let svg = draw(
            "gains",
            "points",
            &[
                bar("joint <1>", 2.5, Some(Interval { low: -0.1, high: 5.0 })),
                bar("nothing", f64::NAN, None),
                bar("specific", -2.5, None),
            ],
        );
        assert_eq!(svg.matches("<circle").count(), 2);
        assert_eq!(svg.matches("class=\"mark\" x1").count(), 1);
        assert!(svg.contains("joint &lt;1&gt;") && svg.contains("+2.5 [−0.1, +5.0]"), "{svg}");
        let at = |value: &str| -> f64 {
            let (before, _) = svg.split_once(value).unwrap();
            let start = before.rfind("cx=\"").unwrap() + 4;
            before[start..].split('"').next().unwrap().parse().unwrap()
        };
        let middle = f64::midpoint(at(">+2.5"), at(">−2.5"));
        let zero: f64 = {
            let (_, rest) = svg.split_once("class=\"zero\" x1=\"").unwrap();
            rest.split('"').next().unwrap().parse().unwrap()
        };
        assert!((middle - zero).abs() < 0.2, "{middle} {zero}");
    }
}
