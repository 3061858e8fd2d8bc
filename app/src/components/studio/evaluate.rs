//! How close the run's voices are to people: the gains in a sentence, then the whole table.

use leptos::prelude::*;

use super::follow::Followed;
use crate::api::method_run::{EvaluateRow, EvaluateSummary, Gain};
use crate::charts::{Figure, IntervalPlot, IntervalRow, NumberTable};

/// The body of the last step.
#[component]
pub fn Evaluated(
    /// The run.
    followed: Followed,
) -> impl IntoView {
    let summary = Memo::new(move |_| {
        followed.run.with(|run| run.as_ref().and_then(|run| run.evaluate.clone()))
    });
    move || summary.get().map(body)
}

fn body(summary: EvaluateSummary) -> impl IntoView {
    let title = format!("Mean over cultures: {}", summary.metric.title());
    let people = if summary.simulated { "simulated people" } else { "people" };
    let description = format!(
        "Closeness to {people} on {} held-out questions, × 100, beside what answering without any \
         knowledge of people reaches.",
        summary.questions
    );
    let rows = means(&summary);
    let (simulated, table) = (summary.simulated, table(&summary));
    view! {
        <ul class="gains" data-testid="gains">{gains(&summary.mean)}</ul>
        <Figure id="evaluation" title=Signal::stored(title) simulated table=Signal::stored(table)
            description=Signal::stored(description)>
            <IntervalPlot rows=Signal::stored(rows) testid="evaluation-row"/>
            {cultures(&summary)}
        </Figure>
    }
}

/// What each part of the method brings, as sentences.
fn gains(mean: &EvaluateRow) -> impl IntoView + use<> {
    let parts = [
        ("Naming the culture brings", mean.aware_gain),
        ("The joint adapter adds", mean.joint_gain),
        ("The culture’s own adapter adds", mean.specific_gain),
    ];
    let one = |(what, gain): (&'static str, Option<Gain>)| {
        let gain = gain?;
        let sure = match gain.interval {
            Some(interval) if interval.low > 0.0 => "better than chance",
            Some(interval) if interval.high < 0.0 => "worse, and not by chance",
            Some(_) => "could be chance",
            None => "too few questions for an interval",
        };
        Some(view! {
            <li><span>{what}</span>" "<strong>{gain_text(Some(gain))}</strong>" "
                <span class="meta">{sure}</span></li>
        })
    };
    parts.into_iter().filter_map(one).collect_view()
}

/// The mean of the specific voices, if all cultures have one: of a few cultures it would stand beside
/// means of others.
fn specific_mean(summary: &EvaluateSummary) -> Option<f64> {
    let all = summary.rows.iter().all(|row| row.specific.is_some());
    summary.mean.specific.filter(|_| all)
}

fn means(summary: &EvaluateSummary) -> Vec<IntervalRow> {
    let mean = &summary.mean;
    let values = [
        ("unaware", mean.unaware),
        ("aware", mean.aware),
        ("joint", mean.joint),
        ("specific", specific_mean(summary)),
        ("random option", mean.random),
        ("middle option", mean.middle),
        ("like the USA", mean.like_usa),
    ];
    let row = |(place, (label, value)): (usize, (&str, Option<f64>))| {
        let value = value?;
        let kind = if place < 4 { "voice" } else { "baseline" };
        Some(IntervalRow {
            key: label.to_owned(),
            label: label.to_owned(),
            culture: None,
            value: value / 100.0,
            interval: None,
            ticks: Vec::new(),
            text: format!("{value:.1} · {kind}"),
            note: None,
        })
    };
    values.into_iter().enumerate().filter_map(row).collect()
}

/// Every culture's scores and gains, as `polylogue evaluate` prints them.
fn cultures(summary: &EvaluateSummary) -> impl IntoView + use<> {
    let table = table(summary);
    let heads: Vec<_> =
        table.columns.iter().map(|head| view! { <th scope="col">{head.clone()}</th> }).collect();
    let last = table.rows.len() - 1;
    let rows: Vec<_> = table
        .rows
        .into_iter()
        .enumerate()
        .map(|(place, mut cells)| {
            let name = cells.remove(0);
            let cells: Vec<_> = cells.into_iter().map(|c| view! { <td>{c}</td> }).collect();
            let class = if place == last { "total" } else { "" };
            view! { <tr class=class><th scope="row">{name}</th>{cells}</tr> }
        })
        .collect();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label="Scores of every culture">
            <table class="numbers" data-testid="evaluation-table">
                <thead><tr>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <p class="meta">"In brackets: 95 % paired bootstrap intervals over questions."</p>
    }
}

fn table(summary: &EvaluateSummary) -> NumberTable {
    let columns = [
        "culture",
        "unaware",
        "aware",
        "joint",
        "specific",
        "aware − unaware",
        "joint − aware",
        "specific − aware",
        "random",
        "middle",
        "like USA",
    ];
    let mean = EvaluateRow { specific: specific_mean(summary), ..summary.mean.clone() };
    NumberTable {
        columns: columns.map(str::to_owned).to_vec(),
        rows: summary.rows.iter().chain([&mean]).map(cells).collect(),
    }
}

fn cells(row: &EvaluateRow) -> Vec<String> {
    let name = row.culture.map_or_else(|| "mean".to_owned(), |code| code.to_string());
    let scores = [row.unaware, row.aware, row.joint, row.specific].map(number);
    let gains = [row.aware_gain, row.joint_gain, row.specific_gain].map(gain_text);
    let baselines = [row.random, row.middle, row.like_usa].map(number);
    std::iter::once(name).chain(scores).chain(gains).chain(baselines).collect()
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"))
}

fn gain_text(gain: Option<Gain>) -> String {
    let Some(Gain { gain, interval }) = gain else { return "–".to_owned() };
    match interval {
        Some(interval) => format!("{gain:+.1} [{:+.1}, {:+.1}]", interval.low, interval.high),
        None => format!("{gain:+.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_cell_per_column() {
        let row = EvaluateRow { unaware: Some(66.66), ..EvaluateRow::default() };
        let mut summary = EvaluateSummary {
            metric: domain::score::Metric::Alignment,
            questions: 1,
            simulated: true,
            rows: vec![row.clone()],
            mean: EvaluateRow { specific: Some(50.0), ..row },
        };
        let found = table(&summary);
        assert!(found.rows.iter().all(|row| row.len() == found.columns.len()));
        assert_eq!(found.rows[0][..5], ["mean", "66.7", "–", "–", "–"]);
        assert_eq!(means(&summary).len(), 1);
        assert_eq!(found.rows[1][4], "–", "one culture has no specific voice");
        summary.rows[0].specific = Some(50.0);
        assert_eq!(table(&summary).rows[1][4], "50.0");
        assert_eq!(means(&summary).len(), 2);
    }
}
