//! Where naming a culture changes the answer: counts, a map of cultures by topics, some instances.

use domain::instance::CollectionRule;
use leptos::prelude::*;

use super::follow::Followed;
use crate::api::method_run::{CollectSummary, Drawn, InconsistencyRow, InstanceSample, Replies};
use crate::charts::{Figure, HeatMap, HeatRow, NumberTable};
use crate::color;
use crate::components::words::grouped;

/// The body of the third step.
#[component]
pub fn Collected(
    /// The run.
    followed: Followed,
) -> impl IntoView {
    let summary = Memo::new(move |_| {
        followed.run.with(|run| run.as_ref().and_then(|run| run.collect.clone()))
    });
    move || summary.get().map(body)
}

fn body(summary: CollectSummary) -> impl IntoView {
    let counts = [
        ("instances", summary.instances),
        ("not kept", summary.consistent),
        ("unreadable", summary.unreadable),
    ];
    let counts = counts.into_iter().enumerate().map(|(place, (name, count))| {
        let class = if place == 0 { "main" } else { "" };
        view! { <div class=class><dt>{name}</dt><dd>{grouped(count)}</dd></div> }
    });
    let floor = sentences(&summary);
    let samples = summary.samples.clone();
    view! {
        <dl class="counts" data-testid="collect-counts">{counts.collect_view()}</dl>
        <p data-testid="noise-floor">{floor}</p>
        <div class="map-and-samples">
            <InconsistencyMap summary=StoredValue::new(summary)/>
            <section aria-labelledby="instances" data-testid="instance-samples">
                <h3 id="instances">"Some instances"</h3>
                <ul class="samples">{samples.into_iter().map(sample).collect_view()}</ul>
            </section>
        </div>
    }
}

/// When a pair was kept, and what of that is noise.
fn sentences(summary: &CollectSummary) -> String {
    let mut text = match (summary.rule, summary.floor) {
        (CollectionRule::Different, _) => "A pair is kept where the two answers differ.".to_owned(),
        (CollectionRule::Shift, Some(floor)) => format!(
            "A pair is kept where the probabilities shift by more than {:.1}: 95 % of the unaware \
             voice’s own shifts between two wordings of its persona are smaller (Jensen–Shannon \
             distance × 100).",
            100.0 * floor
        ),
        (CollectionRule::Shift, None) => {
            "No noise floor was measured, so nothing is kept.".to_owned()
        }
    };
    if let Some(Drawn { differ, noise }) = summary.drawn {
        // Option probabilities are those of temperature 1; replies are drawn at a lower one.
        let temperature = if summary.replies.is_none() { " at temperature 1" } else { "" };
        text.push_str(&format!(
            " Noise floor: drawn once{temperature}, two unaware answers would differ in {:.1} % of the \
             questions; an unaware and an aware one in {:.1} %.",
            100.0 * noise,
            100.0 * differ
        ));
    }
    if let Some(redrawn) = summary.redrawn {
        text.push_str(&format!(
            " Noise floor of this run’s own answers: asked unaware once more with the same words, {:.1} % \
             of the questions get another answer.",
            100.0 * redrawn
        ));
    }
    if summary.drawn.is_none() && summary.redrawn.is_none() {
        text.push_str(
            " The noise floor isn’t known: this run drew one unaware reply to a question, or none that can \
             be read.",
        );
    }
    if let Some(Replies { drawn, unreadable }) = summary.replies {
        text.push_str(&format!(
            " {} of {} drawn replies name no option.",
            grouped(unreadable),
            grouped(drawn)
        ));
    }
    text
}

/// What the map shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Instances,
    Differ,
    Noise,
    Redrawn,
}

impl Shown {
    const ALL: [Self; 4] = [Self::Instances, Self::Differ, Self::Noise, Self::Redrawn];

    /// Whether this run knows of it.
    fn is_known(self, summary: &CollectSummary) -> bool {
        match self {
            Self::Instances => true,
            Self::Differ | Self::Noise => summary.drawn.is_some(),
            Self::Redrawn => summary.redrawn.is_some(),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Instances => "How often naming the culture changes the answer",
            Self::Differ => "How often answers drawn once would differ",
            Self::Noise => "Noise floor: how often two unaware answers drawn would differ",
            Self::Redrawn => "Noise floor: how often the unaware answer differs when asked again",
        }
    }

    fn of(self, row: &InconsistencyRow) -> &[Option<f64>] {
        match self {
            Self::Instances => &row.shares,
            Self::Differ => &row.differ,
            Self::Noise => &row.noise,
            Self::Redrawn => &row.redrawn,
        }
    }
}

#[component]
fn InconsistencyMap(summary: StoredValue<CollectSummary>) -> impl IntoView {
    let shown = RwSignal::new(Shown::Instances);
    let columns = summary.with_value(|summary| summary.topics.clone());
    let rows = Memo::new(move |_| {
        let row = |row: &InconsistencyRow| HeatRow {
            culture: row.culture,
            values: shown.get().of(row).to_vec(),
        };
        summary.with_value(|summary| summary.rows.iter().map(row).collect::<Vec<_>>())
    });
    let table = summary.with_value(table);
    let title = move || shown.get().title();
    let choose = move |event| {
        let place = event_target_value(&event).parse::<usize>().ok();
        shown.set(
            place.and_then(|place| Shown::ALL.get(place).copied()).unwrap_or(Shown::Instances),
        );
    };
    let known: Vec<(usize, Shown)> = summary.with_value(|summary| {
        let all = Shown::ALL.into_iter().enumerate();
        all.filter(|(_, option)| option.is_known(summary)).collect()
    });
    let choice = (known.len() > 1).then(|| {
        let option = |(place, option): (usize, Shown)| {
            view! { <option value=place.to_string()>{option.title()}</option> }
        };
        let options = known.into_iter().map(option).collect_view();
        view! {
            <label class="field">
                "Shown"
                <select data-testid="inconsistency-kind" on:change=choose>{options}</select>
            </label>
        }
    });
    view! {
        <Figure id="inconsistency" title=Signal::derive(title) simulated=false
            table=Signal::stored(table)
            description="Per readable pair, × 100, cultures by topics; the darker, the more often. \
                Arrow keys move.">
            {choice}
            <HeatMap label=Signal::derive(title) columns=Signal::stored(columns) rows on_pick=|_| {}/>
        </Figure>
    }
    .into_any()
}

fn sample(sample: InstanceSample) -> impl IntoView {
    view! {
        <li style=color::style(Some(sample.culture))>
            <p>
                <span class="swatch" aria-hidden="true"></span>
                " "<strong>{sample.culture.to_string()}</strong>" "{sample.question}
            </p>
            <p class="meta">
                "without a culture: "{sample.unaware}" → as "{sample.culture.to_string()}": "
                <strong>{sample.aware}</strong>
            </p>
        </li>
    }
}

/// Instances by topic, then what is known of each culture as a whole.
fn table(summary: &CollectSummary) -> NumberTable {
    let share = |share: &Option<f64>| share.map_or(String::new(), |s| format!("{:.1}", s * 100.0));
    let mut columns: Vec<String> =
        std::iter::once("culture".to_owned()).chain(summary.topics.clone()).collect();
    let noise = summary.drawn.is_some();
    if noise {
        columns.extend(summary.topics.iter().map(|topic| format!("{topic}: noise floor")));
    }
    let redrawn = summary.redrawn.is_some();
    if redrawn {
        columns
            .extend(summary.topics.iter().map(|topic| format!("{topic}: noise when asked again")));
    }
    columns.push("unreadable pairs".to_owned());
    let row = |row: &InconsistencyRow| {
        let mut cells = vec![row.culture.to_string()];
        cells.extend(row.shares.iter().map(share));
        if noise {
            cells.extend(row.noise.iter().map(share));
        }
        if redrawn {
            cells.extend(row.redrawn.iter().map(share));
        }
        cells.push(row.unreadable.to_string());
        cells
    };
    NumberTable { columns, rows: summary.rows.iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(drawn: Option<Drawn>) -> CollectSummary {
        let known = |share: f64| vec![drawn.map(|_| share), None];
        CollectSummary {
            pairs: 4,
            instances: 1,
            consistent: 2,
            unreadable: 1,
            rule: CollectionRule::Different,
            drawn,
            redrawn: None,
            floor: None,
            replies: None,
            topics: vec!["Work".to_owned(), "Trust".to_owned()],
            rows: vec![InconsistencyRow {
                culture: "THA".parse().unwrap(),
                shares: vec![Some(0.5), None],
                differ: known(0.4),
                noise: known(0.25),
                redrawn: vec![None, None],
                unreadable: 1,
            }],
            samples: vec![],
        }
    }

    #[test]
    fn the_noise_floor_is_told_or_why_it_is_not_known() {
        let drawn = Some(Drawn { differ: 0.4, noise: 0.25 });
        let text = sentences(&summary(drawn));
        assert!(
            text.contains("differ in 25.0 %") && text.contains("aware one in 40.0 %"),
            "{text}"
        );
        assert!(text.contains("drawn once at temperature 1, two unaware"), "{text}");
        assert!(sentences(&summary(None)).contains("noise floor isn’t known"));
        let once = CollectSummary { redrawn: Some(0.3), ..summary(None) };
        let text = sentences(&once);
        assert!(text.contains("once more") && text.contains("30.0 %"), "{text}");
        assert!(!text.contains("isn’t known") && !text.contains("temperature"), "{text}");
        let options: Vec<Shown> =
            Shown::ALL.into_iter().filter(|option| option.is_known(&once)).collect();
        assert_eq!(options, [Shown::Instances, Shown::Redrawn]);
        let replies = Some(Replies { drawn: 1200, unreadable: 7 });
        let text = sentences(&CollectSummary { replies, ..summary(None) });
        assert!(text.contains("7 of 1,200 drawn replies name no option"), "{text}");
        let shift =
            CollectSummary { rule: CollectionRule::Shift, floor: Some(0.123), ..summary(drawn) };
        assert!(sentences(&shift).contains("more than 12.3"));
    }

    #[test]
    fn the_table_has_a_cell_per_column() {
        for (drawn, expect) in [
            (None, vec!["THA", "50.0", "", "1"]),
            (Some(Drawn { differ: 0.4, noise: 0.25 }), vec!["THA", "50.0", "", "25.0", "", "1"]),
        ] {
            let found = table(&summary(drawn));
            assert_eq!(found.rows[0], expect);
            assert_eq!(found.rows[0].len(), found.columns.len());
        }
        let mut once = CollectSummary { redrawn: Some(0.3), ..summary(None) };
        once.rows[0].redrawn = vec![Some(0.3), None];
        let found = table(&once);
        assert_eq!(found.rows[0], ["THA", "50.0", "", "30.0", "", "1"]);
        assert_eq!(found.columns[3], "Work: noise when asked again");
    }
}
