//! How close the run's voices are to people: the gains in a sentence, then the whole table.

use domain::score::Movement;
use domain::survey::evaluated_in_words;
use leptos::prelude::*;

use super::follow::Followed;
use crate::api::method_run::{EvaluateRow, EvaluateSummary, EvaluateTopic, Gain};
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
        "Closeness to {people} on {}, × 100, beside what answering without any knowledge of people \
         reaches.",
        evaluated_in_words(summary.questions, summary.held_out)
    );
    let rows = means(&summary);
    let (simulated, table) = (summary.simulated, table(&summary));
    let few = few_specific(&summary);
    let (refused, rests) = (refusals(&summary), rests_on_people(&summary));
    let (moved, guard) = (movement(&summary), guard(&summary));
    view! {
        <ul class="gains" data-testid="gains">{gains(&summary.mean)}</ul>
        {few.map(|text| view! { <p class="meta" data-testid="few-specific">{text}</p> })}
        {rests.map(|text| view! { <p class="meta" data-testid="uses-reference">{text}</p> })}
        {refused.map(|text| view! { <p class="meta" data-testid="refusals">{text}</p> })}
        {moved.map(|text| view! { <p class="meta" data-testid="movement">{text}</p> })}
        {guard.map(|text| view! { <p class="meta" data-testid="ability">{text}</p> })}
        <Figure id="evaluation" title=Signal::stored(title) simulated table=Signal::stored(table)
            description=Signal::stored(description)>
            <IntervalPlot rows=Signal::stored(rows) testid="evaluation-row"/>
            {cultures(&summary)}
            {topics(&summary)}
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

/// What an adapter costs in general ability.
fn guard(summary: &EvaluateSummary) -> Option<String> {
    let (name, ability) = summary.ability.as_ref()?;
    let interval = ability.interval.map_or_else(String::new, |interval| {
        format!(" ({:+.3} to {:+.3})", interval.low, interval.high)
    });
    let verdict = match ability.is_worse() {
        true => "It talks worse for it; general conversations learnt beside protect that.",
        false => "That could be chance, or a gain.",
    };
    Some(format!(
        "General ability: beside the base model, the adapter {name} predicts {} replies of ordinary \
         conversations with a loss of {:+.3} nats per token{interval}. {verdict}",
        ability.replies,
        ability.cost()
    ))
}

/// The cultures that have a specific voice, where not all of them have one.
fn some_specific(summary: &EvaluateSummary) -> Option<Vec<String>> {
    let own = summary.rows.iter().filter(|row| row.specific.is_some());
    let codes: Vec<String> = own.filter_map(|row| Some(row.culture?.to_string())).collect();
    (!codes.is_empty() && codes.len() < summary.rows.len()).then_some(codes)
}

/// A mean over some cultures must not pass for one over all.
fn few_specific(summary: &EvaluateSummary) -> Option<String> {
    let codes = some_specific(summary)?;
    Some(format!(
        "Means of specific voices are over the {} of {} cultures that have an adapter of their own: {}.",
        codes.len(),
        summary.rows.len(),
        codes.join(", ")
    ))
}

/// Marks what rests on people's answers.
fn marked(summary: &EvaluateSummary, kind: &str) -> String {
    match summary.uses_reference.iter().any(|marked| marked == kind) {
        true => format!("{kind} †"),
        false => kind.to_owned(),
    }
}

/// What the mark means, where there is one.
fn rests_on_people(summary: &EvaluateSummary) -> Option<String> {
    (!summary.uses_reference.is_empty()).then(|| {
        format!(
            "† Shown people’s answers: {} learnt answers that were given after seeing people’s answers to \
             neighbouring questions (P3). Comparing that with people is no fair test.",
            summary.uses_reference.join(" and ")
        )
    })
}

/// Which voices gave no opinion, and how often.
fn refusals(summary: &EvaluateSummary) -> Option<String> {
    let told = summary.refusals.iter().filter(|(_, refusals)| refusals.total() > 0);
    let told: Vec<String> = told
        .map(|(voice, refusals)| format!("{voice} {} of {}", refusals.total(), refusals.asked))
        .collect();
    (!told.is_empty()).then(|| format!("Answers without an opinion: {}.", told.join(", ")))
}

/// Whether answers that differ from the unaware voice's are nearer to people's: a voice may change much and
/// gain nothing.
fn movement(summary: &EvaluateSummary) -> Option<String> {
    let one = |(voice, moved): (&String, &Movement)| {
        let share = |part: usize| 100.0 * part as f64 / moved.changed() as f64;
        (moved.changed() > 0).then(|| {
            format!(
                "{} {:.0} % toward, {:.0} % away",
                marked(summary, voice),
                share(moved.toward),
                share(moved.away)
            )
        })
    };
    let told: Vec<String> = summary.movement.iter().filter_map(one).collect();
    let people = if summary.simulated { "simulated people" } else { "people" };
    (!told.is_empty()).then(|| {
        format!(
            "Where an answer differs from the unaware voice’s, it moves toward {people} or away: {}.",
            told.join("; ")
        )
    })
}

fn means(summary: &EvaluateSummary) -> Vec<IntervalRow> {
    let mean = &summary.mean;
    let values = [
        ("unaware", mean.unaware),
        ("aware", mean.aware),
        ("joint", mean.joint),
        ("specific", mean.specific),
        ("random option", mean.random),
        ("middle option", mean.middle),
        ("like the USA", mean.like_usa),
    ];
    let all = summary.rows.len();
    let row = |(place, (label, value)): (usize, (&str, Option<f64>))| {
        let value = value?;
        let kind = match (label, some_specific(summary)) {
            ("specific", Some(codes)) => format!("voice, {} of {all} cultures", codes.len()),
            _ if place < 4 => "voice".to_owned(),
            _ => "baseline".to_owned(),
        };
        Some(IntervalRow {
            key: label.to_owned(),
            label: marked(summary, label),
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
    view! {
        {numbers(table(summary), true, "Scores of every culture", "evaluation-table")}
        <p class="meta">"In brackets: 95 % paired bootstrap intervals over questions."</p>
    }
}

/// The means topic by topic; nothing where they weren't stored.
fn topics(summary: &EvaluateSummary) -> Option<impl IntoView + use<>> {
    let table = topic_table(summary)?;
    Some(view! {
        <details class="note">
            <summary>"By topic"</summary>
            <p class="meta">
                "Means over cultures. A topic has few questions, so that its intervals are wide."
            </p>
            {numbers(table, false, "Scores of every topic", "topic-table")}
        </details>
    })
}

fn topic_table(summary: &EvaluateSummary) -> Option<NumberTable> {
    if summary.topics.is_empty() {
        return None;
    }
    let mut columns = table(summary).columns;
    columns.splice(..1, ["topic", "questions"].map(str::to_owned));
    let row = |topic: &EvaluateTopic| {
        let mut cells = cells(&topic.row);
        cells.splice(..1, [topic.name.clone(), topic.questions.to_string()]);
        cells
    };
    Some(NumberTable { columns, rows: summary.topics.iter().map(row).collect() })
}

/// A table as it is printed; its last row may be a total.
fn numbers(
    table: NumberTable,
    total: bool,
    label: &'static str,
    testid: &'static str,
) -> impl IntoView + use<> {
    let heads: Vec<_> =
        table.columns.iter().map(|head| view! { <th scope="col">{head.clone()}</th> }).collect();
    let last = table.rows.len().checked_sub(1).filter(|_| total);
    let rows: Vec<_> = table
        .rows
        .into_iter()
        .enumerate()
        .map(|(place, mut cells)| {
            let name = cells.remove(0);
            let cells: Vec<_> = cells.into_iter().map(|c| view! { <td>{c}</td> }).collect();
            let class = if Some(place) == last { "total" } else { "" };
            view! { <tr class=class><th scope="row">{name}</th>{cells}</tr> }
        })
        .collect();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label=label>
            <table class="numbers" data-testid=testid>
                <thead><tr>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

fn table(summary: &EvaluateSummary) -> NumberTable {
    let (joint, specific) = (marked(summary, "joint"), marked(summary, "specific"));
    let (joint_gain, specific_gain) = (format!("{joint} − aware"), format!("{specific} − aware"));
    let columns = [
        "culture",
        "unaware",
        "aware",
        &joint,
        &specific,
        "aware − unaware",
        &joint_gain,
        &specific_gain,
        "random",
        "middle",
        "like USA",
    ];
    NumberTable {
        columns: columns.map(str::to_owned).to_vec(),
        rows: summary.rows.iter().chain([&summary.mean]).map(cells).collect(),
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
    use domain::score::Refusals;

    use super::*;

    #[test]
    fn a_row_has_a_cell_per_column() {
        let row = EvaluateRow { unaware: Some(66.66), ..EvaluateRow::default() };
        let of = |code: &str, specific: Option<f64>| EvaluateRow {
            culture: code.parse().ok(),
            specific,
            ..row.clone()
        };
        let mut summary = EvaluateSummary {
            metric: domain::score::Metric::Alignment,
            questions: 1,
            held_out: Some(true),
            uses_reference: vec![],
            ability: None,
            simulated: true,
            rows: vec![of("THA", Some(50.0)), of("KEN", None)],
            mean: EvaluateRow { specific: Some(50.0), ..row.clone() },
            topics: vec![],
            refusals: [("aware".to_owned(), Refusals { asked: 9, unreadable: 0, dont_know: 2 })]
                .into(),
            movement: [
                ("aware".to_owned(), Movement { questions: 20, toward: 6, away: 3, level: 1 }),
                ("joint".to_owned(), Movement { questions: 20, ..Movement::default() }),
            ]
            .into(),
        };
        let moved = movement(&summary).unwrap();
        assert!(
            moved.ends_with("simulated people or away: aware 60 % toward, 30 % away."),
            "{moved}"
        );
        assert_eq!(guard(&summary), None, "nothing was tuned");
        let ability = |low| domain::score::Ability {
            replies: 200,
            tokens: 900,
            before: 1.0,
            after: 1.25,
            interval: Some(domain::score::Interval { low, high: 0.5 }),
        };
        for (low, verdict) in [(0.125, "It talks worse"), (-0.125, "could be chance")] {
            let told = EvaluateSummary {
                ability: Some(("joint".to_owned(), ability(low))),
                ..summary.clone()
            };
            let told = guard(&told).unwrap();
            assert!(told.contains("adapter joint predicts 200 replies"), "{told}");
            assert!(told.contains("+0.250 nats") && told.contains(verdict), "{told}");
        }
        assert_eq!(topic_table(&summary), None, "an older version stored none");
        let of_topic = EvaluateTopic { name: "Work".to_owned(), questions: 3, row: row.clone() };
        let told = EvaluateSummary { topics: vec![of_topic], ..summary.clone() };
        let found = topic_table(&told).unwrap();
        assert_eq!(found.columns[..3], ["topic", "questions", "unaware"]);
        assert_eq!(found.rows[0][..3], ["Work", "3", "66.7"]);
        assert_eq!(found.rows[0].len(), found.columns.len());
        let found = table(&summary);
        assert!(found.rows.iter().all(|row| row.len() == found.columns.len()));
        assert_eq!(found.rows[0][..5], ["THA", "66.7", "–", "–", "50.0"]);
        let text = few_specific(&summary).unwrap();
        assert!(text.contains("1 of 2 cultures") && text.contains(": THA."), "{text}");
        let means = means(&summary);
        assert_eq!(means[1].text, "50.0 · voice, 1 of 2 cultures");
        assert_eq!(refusals(&summary).unwrap(), "Answers without an opinion: aware 2 of 9.");
        assert_eq!(rests_on_people(&summary), None);
        summary.uses_reference = vec!["joint".to_owned()];
        assert!(rests_on_people(&summary).unwrap().contains("joint learnt answers"));
        let columns = super::table(&summary).columns;
        assert_eq!((columns[3].as_str(), columns[4].as_str()), ("joint †", "specific"));
        assert_eq!(columns[6], "joint † − aware");
        summary.rows[1].specific = Some(40.0);
        assert_eq!(few_specific(&summary), None);
        (summary.refusals, summary.movement) = Default::default();
        assert_eq!((refusals(&summary), movement(&summary)), (None, None));
    }
}
