//! The evaluation as a table that can stand in a document as it is printed.

use crate::jobs::evaluate::{Baselines, EvaluationReport, Gain, Gains, Row, Scores};

/// Two decimals, or a dash for nothing.
pub(super) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
}

fn gain(gain: Option<Gain>) -> String {
    let Some(Gain { gain, interval }) = gain else { return "–".to_owned() };
    match interval {
        Some(interval) => format!("{gain:+.2} [{:+.2}, {:+.2}]", interval.low, interval.high),
        None => format!("{gain:+.2}"),
    }
}

/// The whole report in Markdown.
pub(super) fn table(report: &EvaluationReport) -> String {
    let mut lines = vec![
        format!(
            "{} `{}` on the {} held-out questions of the survey `{}`, metric {} x 100{}",
            report.model,
            report.model_hash,
            report.questions,
            report.survey,
            report.metric,
            if report.simulated { "; the reference is simulated, nobody was asked" } else { "" },
        ),
        adapters(report),
        String::new(),
        "| culture | unaware | aware | joint | specific | aware − unaware | joint − aware \
         | specific − aware | random | middle | like USA |"
            .to_owned(),
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|".to_owned(),
    ];
    lines.extend(report.rows.iter().chain([&report.mean]).map(row));
    lines.push(String::new());
    lines.push(
        "In brackets: 95 % paired bootstrap intervals over questions; for the mean, all cultures \
         are scored on the same draw."
            .to_owned(),
    );
    lines.join("\n")
}

fn adapters(report: &EvaluationReport) -> String {
    let named: Vec<String> =
        report.adapters.iter().map(|(name, hash)| format!("{name} `{hash}`")).collect();
    match named.is_empty() {
        true => "No adapter is loaded: run `polylogue tune` first.".to_owned(),
        false => format!("Adapters: {}", named.join(", ")),
    }
}

fn row(row: &Row) -> String {
    let name = row.culture.map_or_else(|| "**mean**".to_owned(), |code| code.to_string());
    let Scores { unaware, aware, joint, specific } = row.scores;
    let Gains { aware_over_unaware, joint_over_aware, specific_over_aware } = row.gains;
    let Baselines { random, middle, like_usa } = row.baselines;
    let mut cells = vec![name];
    cells.extend([unaware, aware, joint, specific].map(number));
    cells.extend([aware_over_unaware, joint_over_aware, specific_over_aware].map(gain));
    cells.extend([random, middle, like_usa].map(number));
    format!("| {} |", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::score::Interval;

    #[test]
    fn cells_are_short_and_honest() {
        assert_eq!(number(None), "–");
        assert_eq!(number(Some(66.666)), "66.67");
        let interval = Some(Interval { low: -0.5, high: 2.0 });
        assert_eq!(gain(Some(Gain { gain: 1.0, interval })), "+1.00 [-0.50, +2.00]");
        assert_eq!(gain(None), "–");
    }
}
