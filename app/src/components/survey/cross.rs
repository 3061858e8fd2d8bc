//! Adapter i on culture j: every culture's own adapter asked as every culture.

use domain::score::{CrossScores, OwnGain};
use leptos::prelude::*;

use super::group_choice::GroupChoice;
use super::matrices;
use super::results::View;
use super::speaker::Group;
use crate::charts::{Figure, HeatMap, HeatRow, NumberTable};

/// The map; nothing where no adapter was asked as another culture.
#[component]
pub fn CrossMap(
    /// What is shown.
    view: View,
) -> impl IntoView {
    let groups =
        Memo::new(move |_| view.speakers.with(|speakers| matrices::crossed_groups(speakers)));
    let some = move || groups.with(|groups| !groups.is_empty());
    view! { <Show when=some><Map view groups/></Show> }
}

#[component]
fn Map(view: View, groups: Memo<Vec<Group>>) -> impl IntoView {
    let picked = RwSignal::new(None::<Group>);
    let group = Memo::new(move |_| {
        let picked = picked.get();
        groups.with(|groups| {
            picked.filter(|picked| groups.contains(picked)).or(groups.first().cloned())
        })
    });
    let cross = view.computed(move |survey, speakers, metric, topics| {
        Some(matrices::cross(survey, speakers, metric, topics, &group.get()?))
    });
    let columns = Memo::new(move |_| {
        let names = |cross: &CrossScores| cross.cultures.iter().map(ToString::to_string).collect();
        cross.with(|cross| cross.as_ref().map(names)).unwrap_or_else(Vec::new)
    });
    let rows = Memo::new(move |_| cross.with(|cross| cross.as_ref().map(rows)).unwrap_or_default());
    let table =
        Memo::new(move |_| cross.with(|cross| cross.as_ref().map(table)).unwrap_or_default());
    let title = move || {
        let marked = group.with(|group| group.as_ref().is_some_and(|group| group.uses_reference));
        let mark = if marked { " †" } else { "" };
        format!("Adapters on cultures{mark}: {}", view.metric.get().title())
    };
    let description = move || {
        let own = cross.with(|cross| cross.as_ref().and_then(|cross| cross.own_gain));
        sentence(own)
    };
    let pick = move |(_, column): (usize, usize)| {
        let culture = cross.with_untracked(|cross| cross.as_ref()?.cultures.get(column).copied());
        view.culture.set(culture);
    };
    view! {
        <Figure id="cross" title=Signal::derive(title) simulated=view.simulated() table
            description=Signal::derive(description)>
            <GroupChoice testid="cross-kind" groups group picked/>
            <details class="note">
                <summary>"How is this computed?"</summary>
                <p>
                    "Row: whose adapter. Column: which culture the persona names, and whose people the
                    answers are held against. The mean compares, on every culture, its own adapter with
                    the others on the same questions; the interval draws questions, the same for all
                    cultures."
                </p>
            </details>
            <HeatMap label=Signal::derive(title) columns rows on_pick=pick/>
        </Figure>
    }
    .into_any()
}

fn rows(cross: &CrossScores) -> Vec<HeatRow> {
    let row =
        |(culture, values): (&_, &Vec<_>)| HeatRow { culture: *culture, values: values.clone() };
    cross.adapters.iter().zip(&cross.values).map(row).collect()
}

fn sentence(own: Option<OwnGain>) -> String {
    let gain = match own {
        None => "No culture’s own adapter can be compared with others here.".to_owned(),
        Some(OwnGain { gain, interval, cultures }) => {
            let (many, mean) = match cultures {
                1 => ("culture", ""),
                _ => ("cultures", "mean "),
            };
            let interval = interval.map_or_else(String::new, |interval| {
                let verdict = match interval.excludes_zero() {
                    true => "",
                    false => ", which could be chance",
                };
                format!(" ({:+.1} to {:+.1}{verdict})", 100.0 * interval.low, 100.0 * interval.high)
            });
            format!(
                "A culture’s own adapter is {:+.1} closer to its people than the others{interval}; \
                 {mean}over {cultures} {many}.",
                100.0 * gain
            )
        }
    };
    format!(
        "{gain} Row: whose adapter; column: asked as whom, × 100; the darker, the closer to people."
    )
}

fn table(cross: &CrossScores) -> NumberTable {
    let value =
        |value: &Option<f64>| value.map_or_else(String::new, |v| format!("{:.2}", 100.0 * v));
    let row = |(adapter, values): (&domain::culture::CultureCode, &Vec<Option<f64>>)| {
        std::iter::once(adapter.to_string()).chain(values.iter().map(value)).collect()
    };
    NumberTable {
        columns: std::iter::once("adapter".to_owned())
            .chain(cross.cultures.iter().map(ToString::to_string))
            .collect(),
        rows: cross.adapters.iter().zip(&cross.values).map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::score::Interval;

    #[test]
    fn the_sentence_says_how_sure_it_is() {
        let own =
            |low| OwnGain { gain: 0.05, interval: Some(Interval { low, high: 0.1 }), cultures: 2 };
        let sure = sentence(Some(own(0.01)));
        assert!(
            sure.contains("+5.0 closer") && sure.contains("(+1.0 to +10.0); mean over 2"),
            "{sure}"
        );
        assert!(sentence(Some(own(-0.01))).contains("could be chance"));
        assert!(sentence(None).starts_with("No culture’s own adapter"));
    }
}
