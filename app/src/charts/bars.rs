//! Shares per option, one bar per series, each bar labelled by itself.

use domain::culture::CultureCode;
use leptos::prelude::*;

use super::percent;
use crate::color;

/// One answerer's shares.
#[derive(Debug, Clone, PartialEq)]
pub struct BarSeries {
    /// Name for people, short.
    pub label: String,
    /// Gives the colour; the label or the chart's title must carry its code.
    pub culture: Option<CultureCode>,
    /// Whether these are people; drawn in ink.
    pub people: bool,
    /// Whether a model answered without an adapter; drawn lighter.
    pub plain: bool,
    /// A share per option, in 0..=1.
    pub shares: Vec<f64>,
}

/// Options in order, each with one bar per series.
#[component]
pub fn Bars(
    /// Option texts.
    #[prop(into)]
    options: Signal<Vec<String>>,
    /// Who answered how; every one has a share per option.
    #[prop(into)]
    series: Signal<Vec<BarSeries>>,
) -> impl IntoView {
    let group = move |index: usize, option: &String| {
        let bars = series
            .with(|series| series.iter().map(|series| bar_view(series, index)).collect::<Vec<_>>());
        view! { <li class="option" data-testid="option"><p>{option.clone()}</p><ul>{bars}</ul></li> }
    };
    view! {
        <ol class="bars">
            {move || options.with(|options| {
                options.iter().enumerate().map(|(i, option)| group(i, option)).collect_view()
            })}
        </ol>
    }
}

fn bar_view(series: &BarSeries, index: usize) -> impl IntoView + use<> {
    let share = series.shares.get(index).copied().unwrap_or_default();
    let class = match (series.people, series.plain) {
        (true, _) => "bar-row people",
        (false, true) => "bar-row plain",
        (false, false) => "bar-row",
    };
    view! {
        <li class=class style=color::style(series.culture) data-testid="bar">
            <span class="label">{series.label.clone()}</span>
            <svg class="track" height="14" width="100%" aria-hidden="true">
                <rect class="rail" x="0" y="0" width="100%" height="14" rx="2"/>
                <rect class="mark" x="0" y="0" width=percent(share, 0.0, 1.0) height="14" rx="2"/>
            </svg>
            <span class="value">{format!("{:.0} %", share * 100.0)}</span>
        </li>
    }
}
