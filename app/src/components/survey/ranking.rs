//! Who is closest to people: means over cultures beside the baselines, then every voice.

use std::collections::BTreeMap;

use domain::culture::CultureCode;
use domain::score::{Baseline, Interval, Refusals};
use leptos::prelude::*;

use super::results::View;
use super::scores::{self, Entry, Mean};
use super::speaker::Group;
use crate::charts::{Figure, IntervalPlot, IntervalRow, NumberTable, Tick};
use crate::components::words::counted;

type Baselines = BTreeMap<CultureCode, Vec<(Baseline, f64)>>;

/// Two charts: means and voices.
#[component]
pub fn Ranking(
    /// What is shown.
    view: View,
) -> impl IntoView {
    let entries = view.computed(scores::ranking);
    let baselines = view.computed(scores::baselines);
    view! {
        <Means view entries baselines/>
        <Voices view entries baselines/>
    }
}

#[component]
fn Means(view: View, entries: Memo<Vec<Entry>>, baselines: Memo<Baselines>) -> impl IntoView {
    let rows = Memo::new(move |_| {
        let means = entries.with(|entries| scores::means(entries, view.metric.get()));
        let kinds = means.into_iter().map(mean_row);
        let base = baselines.with(scores::baseline_means).into_iter().map(|(baseline, mean)| {
            plain_row(baseline.title(), mean, format!("{:.1} · baseline", mean * 100.0))
        });
        let mut rows: Vec<IntervalRow> = kinds.chain(base).collect();
        rows.sort_by(|a, b| b.value.total_cmp(&a.value));
        rows
    });
    let table = Memo::new(move |_| NumberTable {
        columns: ["voices", "mean", "low", "high"].map(str::to_owned).to_vec(),
        rows: rows.with(|rows| {
            let row = |r: &IntervalRow| {
                let (low, high) = (r.interval.map(|i| i.low), r.interval.map(|i| i.high));
                let numbers = [Some(r.value), low, high].map(number);
                std::iter::once(r.label.clone()).chain(numbers).collect()
            };
            rows.iter().map(row).collect()
        }),
    });
    let title = move || format!("Mean over cultures: {}", view.metric.get().title());
    view! {
        <Figure id="means" title=Signal::derive(title) simulated=view.simulated() table
            description="Plain mean over the cultures of this run, × 100, with 95 % bootstrap \
                intervals over questions, which all cultures share; beside what answering without any \
                knowledge of people reaches.">
            <IntervalPlot rows testid="mean-row"/>
        </Figure>
    }
    .into_any()
}

fn mean_row(mean: Mean) -> IntervalRow {
    let Mean { group, score, interval, cultures, shown } = mean;
    let interval_text = interval.map_or(String::new(), |i| format!(" ({})", range(i, false)));
    let shown = rests_on(shown, &group).map_or_else(String::new, |rests| format!(" · {rests}"));
    let text =
        format!("{:.1}{interval_text} · {}{shown}", score * 100.0, counted(cultures, "culture"));
    IntervalRow { interval, ..plain_row(group.to_string(), score, text) }
}

/// What of people's answers a voice knows, by its prompt (`shown`) or by what its adapter learnt.
fn rests_on(shown: bool, group: &Group) -> Option<&'static str> {
    match (shown, group.uses_reference) {
        (true, _) => Some("shown people’s answers"),
        (false, true) => Some("learnt from people’s answers"),
        (false, false) => None,
    }
}

/// Two decimals, × 100; empty for nothing.
fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| format!("{:.2}", value * 100.0))
}

fn plain_row(label: String, value: f64, text: String) -> IntervalRow {
    IntervalRow {
        key: label.clone(),
        label,
        culture: None,
        value,
        interval: None,
        ticks: Vec::new(),
        text,
        note: None,
    }
}

#[component]
fn Voices(view: View, entries: Memo<Vec<Entry>>, baselines: Memo<Baselines>) -> impl IntoView {
    let rows = Memo::new(move |_| {
        entries.with(|entries| {
            baselines.with(|baselines| {
                entries.iter().map(|e| voice_row(e, baselines)).collect::<Vec<_>>()
            })
        })
    });
    let table = Memo::new(move |_| entries.with(|entries| voice_table(entries)));
    let title = move || format!("Every voice against its people: {}", view.metric.get().title());
    let legend = scores::all_baselines().into_iter().enumerate().map(|(style, baseline)| {
        let class = format!("tick tick-{style}");
        view! {
            <li>
                <svg width="12" height="20" aria-hidden="true">
                    <line class=class x1="6" x2="6" y1="2" y2="18"/>
                </svg>
                {baseline.title()}
            </li>
        }
    });
    view! {
        <Figure id="ranking" title=Signal::derive(title) simulated=view.simulated() table
            description="Best first, × 100. Lines: 95 % bootstrap interval over questions. The \
                gain is against the unaware voice on the same questions, with its paired interval. No \
                opinion: the answer can’t be read, or says “don’t know”.">
            <ul class="legend" aria-label="Baselines">{legend.collect_view()}</ul>
            <IntervalPlot rows testid="ranking-row"/>
        </Figure>
    }
    .into_any()
}

fn voice_row(entry: &Entry, baselines: &Baselines) -> IntervalRow {
    let order = scores::all_baselines();
    let ticks = baselines.get(&entry.culture).into_iter().flatten().map(|(baseline, value)| Tick {
        label: baseline.title(),
        value: *value,
        style: order.iter().position(|b| b == baseline).unwrap_or_default(),
    });
    IntervalRow {
        key: key(entry),
        label: format!("{} · {}", entry.culture, entry.group),
        culture: Some(entry.culture),
        value: entry.evaluation.score,
        interval: entry.evaluation.interval,
        ticks: ticks.collect(),
        text: in_words(entry),
        note: note(entry),
    }
}

fn key(entry: &Entry) -> String {
    let voice = format!("{}:{}", entry.culture, entry.voice.slug());
    match &entry.group.source {
        None => voice,
        Some(source) => format!("{source}:{voice}"),
    }
}

/// The gain, what has no opinion, and a warning where the voice knows of people's answers.
fn note(entry: &Entry) -> Option<String> {
    let gain = entry
        .gain
        .map(|(gain, interval)| format!("gain {:+.1} ({})", gain * 100.0, range(interval, true)));
    let Refusals { asked, .. } = entry.refusals;
    let refused = entry.refusals.total();
    let refused = (refused > 0).then(|| format!("no opinion on {refused} of {asked}"));
    let shown = rests_on(entry.voice.uses_reference(), &entry.group).map(str::to_owned);
    let parts: Vec<String> = gain.into_iter().chain(refused).chain(shown).collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

fn in_words(entry: &Entry) -> String {
    let mut text = format!("{:.1}", entry.evaluation.score * 100.0);
    if let Some(interval) = entry.evaluation.interval {
        text.push_str(&format!(" ({})", range(interval, false)));
    }
    text
}

fn range(interval: Interval, signed: bool) -> String {
    let (low, high) = (interval.low * 100.0, interval.high * 100.0);
    if signed { format!("{low:+.1} to {high:+.1}") } else { format!("{low:.1} to {high:.1}") }
}

fn voice_table(entries: &[Entry]) -> NumberTable {
    let columns = [
        "voice",
        "score",
        "low",
        "high",
        "questions",
        "gain",
        "gain low",
        "gain high",
        "unreadable",
        "don’t know",
    ];
    let row = |entry: &Entry| {
        let interval = entry.evaluation.interval;
        vec![
            format!("{} · {}", entry.culture, entry.group),
            number(Some(entry.evaluation.score)),
            number(interval.map(|i| i.low)),
            number(interval.map(|i| i.high)),
            entry.evaluation.questions.to_string(),
            number(entry.gain.map(|(gain, _)| gain)),
            number(entry.gain.map(|(_, i)| i.low)),
            number(entry.gain.map(|(_, i)| i.high)),
            entry.refusals.unreadable.to_string(),
            entry.refusals.dont_know.to_string(),
        ]
    };
    NumberTable {
        columns: columns.map(str::to_owned).to_vec(),
        rows: entries.iter().map(row).collect(),
    }
}
