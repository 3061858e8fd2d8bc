//! One value over another as a line, with the ends of both scales.

use leptos::prelude::*;

/// Width and height of the drawing, in its own units: it is stretched to the room there is.
const SIZE: (f64, f64) = (600.0, 200.0);

/// A point of the line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// From left to right.
    pub x: f64,
    /// From bottom to top.
    pub y: f64,
}

/// A line from left to right; the vertical scale begins at 0, where losses end.
#[component]
pub fn Curve(
    /// In order of `x`.
    #[prop(into)]
    points: Signal<Vec<CurvePoint>>,
    /// Right end of the horizontal scale, which begins at 0.
    #[prop(into)]
    end: Signal<f64>,
    /// What goes from left to right.
    x_label: &'static str,
    /// What goes from bottom to top, with its unit.
    y_label: &'static str,
    /// The line in words, for screen readers.
    #[prop(into)]
    label: Signal<String>,
) -> impl IntoView {
    let path = move || points.with(|points| path(points, end.get()));
    let top = move || points.with(|points| format!("{:.1}", top(points)));
    view! {
        <div class="curve">
            <p class="meta y"><span>{top}</span><span>{y_label}</span><span>"0"</span></p>
            <svg role="img" aria-label=label preserveAspectRatio="none"
                viewBox=format!("0 0 {} {}", SIZE.0, SIZE.1)>
                <line class="rail" x1="0" x2=SIZE.0 y1=SIZE.1 y2=SIZE.1 vector-effect="non-scaling-stroke"/>
                <line class="rail" x1="0" x2="0" y1="0" y2=SIZE.1 vector-effect="non-scaling-stroke"/>
                <path d=path fill="none" vector-effect="non-scaling-stroke"/>
            </svg>
            <p class="meta x"><span>"0"</span><span>{x_label}</span><span>{move || end.get().to_string()}</span></p>
        </div>
    }
    .into_any()
}

/// Upper end of the vertical scale: a step of half a unit above everything drawn.
fn top(points: &[CurvePoint]) -> f64 {
    let highest = points.iter().map(|point| point.y).filter(|y| y.is_finite()).fold(0.0, f64::max);
    ((highest * 2.0).floor() + 1.0) / 2.0
}

fn path(points: &[CurvePoint], end: f64) -> String {
    let top = top(points);
    let mut path = String::new();
    for point in points.iter().filter(|point| point.y.is_finite()) {
        let x = (point.x / end.max(1.0)).clamp(0.0, 1.0) * SIZE.0;
        let y = (1.0 - point.y / top) * SIZE.1;
        let command = if path.is_empty() { 'M' } else { 'L' };
        path.push_str(&format!("{command}{x:.1} {y:.1}"));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_stays_inside() {
        let point = |x: f64, y: f64| CurvePoint { x, y };
        assert_eq!(path(&[], 4.0), "");
        let points = [point(1.0, 1.2), point(2.0, f64::NAN), point(4.0, 0.0)];
        assert_eq!(top(&points), 1.5);
        assert_eq!(path(&points, 4.0), "M150.0 40.0L600.0 200.0");
    }
}
