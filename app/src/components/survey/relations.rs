//! How alike cultures are in the model and among people: two matrices in one order, and how well they
//! agree.

use domain::score::Relations;
use leptos::prelude::*;

use super::group_choice::GroupChoice;
use super::matrices::{self, Likeness};
use super::results::View;
use super::speaker::Group;
use crate::charts::{Figure, HeatMap, HeatRow, NumberTable};

/// The matrices of one group of voices; nothing where no group has voices of three cultures.
#[component]
pub fn RelationMaps(
    /// What is shown.
    view: View,
) -> impl IntoView {
    let groups =
        Memo::new(move |_| view.speakers.with(|speakers| matrices::related_groups(speakers)));
    let some = move || groups.with(|groups| !groups.is_empty());
    view! { <Show when=some><Maps view groups/></Show> }
}

#[component]
fn Maps(view: View, groups: Memo<Vec<Group>>) -> impl IntoView {
    let picked = RwSignal::new(None::<Group>);
    let group = Memo::new(move |_| {
        let picked = picked.get();
        groups.with(|groups| {
            picked.filter(|picked| groups.contains(picked)).or(groups.last().cloned())
        })
    });
    let likeness = view.computed(move |survey, speakers, metric, topics| {
        let group = group.get()?;
        Some(matrices::likeness(survey, speakers, metric, topics, &group))
    });
    let of = move |pick: fn(&Likeness) -> &Relations| {
        let columns = Memo::new(move |_| {
            likeness
                .with(|found| found.as_ref().map(|found| columns(pick(found))))
                .unwrap_or_default()
        });
        let rows = Memo::new(move |_| {
            likeness.with(|found| found.as_ref().map(|found| rows(pick(found)))).unwrap_or_default()
        });
        (columns, rows)
    };
    let (columns, voices) = of(|likeness| &likeness.voices);
    let (_, people) = of(|likeness| &likeness.people);
    // One scale for both, and a culture's likeness to itself doesn't stretch it.
    let scale = Memo::new(move |_| likeness.with(|found| found.as_ref().and_then(ends)));
    let table =
        Memo::new(move |_| likeness.with(|found| found.as_ref().map(table).unwrap_or_default()));
    let title = move || format!("How alike cultures are: {}", view.metric.get().title());
    let description = move || {
        let name = group.with(|group| group.as_ref().map(Group::to_string).unwrap_or_default());
        likeness.with(|found| found.as_ref().map(|f| sentence(f, &name)).unwrap_or_default())
    };
    let who = if view.simulated() { "Simulated people" } else { "People" };
    let name = move || group.with(|group| group.as_ref().map(Group::to_string).unwrap_or_default());
    let of_voices = move || format!("Voices: {}", name());
    view! {
        <Figure id="relations" title=Signal::derive(title) simulated=view.simulated() table
            description=Signal::derive(description)>
            <GroupChoice testid="relations-kind" groups group picked/>
            <details class="note">
                <summary>"How is this computed?"</summary>
                <p>
                    "One culture’s answers are scored as if another’s were people’s, by the chosen metric
                    over the chosen topics, × 100. r is Pearson’s correlation of both matrices over all
                    pairs of cultures; p is the share of 2,000 relabellings of the cultures that correlate
                    at least as strongly (Mantel’s test). Cultures whose people are alike stand together
                    (average linkage)."
                </p>
            </details>
            <div class="matrices">
                <section>
                    <h4>{of_voices}</h4>
                    <HeatMap label=Signal::derive(of_voices) columns rows=voices scale on_pick=|_| {}/>
                </section>
                <section>
                    <h4>{who}</h4>
                    <HeatMap label=who columns rows=people scale on_pick=|_| {}/>
                </section>
            </div>
        </Figure>
    }
    .into_any()
}

fn columns(relations: &Relations) -> Vec<String> {
    relations.cultures.iter().map(ToString::to_string).collect()
}

fn rows(relations: &Relations) -> Vec<HeatRow> {
    let row =
        |(culture, values): (&_, &Vec<_>)| HeatRow { culture: *culture, values: values.clone() };
    relations.cultures.iter().zip(&relations.values).map(row).collect()
}

/// Every pair of different cultures with both likenesses.
fn pairs(likeness: &Likeness) -> impl Iterator<Item = (String, Option<f64>, Option<f64>)> {
    let cultures = &likeness.people.cultures;
    (0..cultures.len()).flat_map(move |a| {
        (a + 1..cultures.len()).map(move |b| {
            let name = format!("{}–{}", cultures[a], cultures[b]);
            (name, likeness.voices.values[a][b], likeness.people.values[a][b])
        })
    })
}

fn ends(likeness: &Likeness) -> Option<(f64, f64)> {
    let values = pairs(likeness).flat_map(|(_, voices, people)| [voices, people]).flatten();
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    (low < high).then_some((low, high))
}

fn sentence(likeness: &Likeness, name: &str) -> String {
    let agreement = match likeness.correlation {
        Some(found) => format!(
            "The matrices correlate with r = {:.2} (p = {:.4}, {} pairs of cultures).",
            found.r, found.p_value, found.pairs
        ),
        None => "The matrices can’t be correlated: too few pairs, or one doesn’t vary.".to_owned(),
    };
    let means = likeness.voices.mean().zip(likeness.people.mean());
    let drawn = means.map_or_else(String::new, |(voices, people)| {
        let verdict = match voices > people {
            true => "the voices draw cultures together",
            false => "the voices keep cultures at least as far apart as people are",
        };
        format!(
            " On average two cultures are {:.1} alike in {name} and {:.1} among people: {verdict}.",
            100.0 * voices,
            100.0 * people
        )
    });
    format!("{agreement}{drawn} The darker, the more alike; arrow keys move.")
}

fn table(likeness: &Likeness) -> NumberTable {
    let number =
        |value: Option<f64>| value.map_or_else(String::new, |v| format!("{:.2}", 100.0 * v));
    NumberTable {
        columns: ["cultures", "voices", "people"].map(str::to_owned).to_vec(),
        rows: pairs(likeness)
            .map(|(name, voices, people)| vec![name, number(voices), number(people)])
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::score::MatrixCorrelation;

    fn relations(near: f64) -> Relations {
        let pair = |a: usize, b: usize| if a == b { 1.0 } else { near + 0.1 * (a + b) as f64 };
        Relations {
            cultures: ["USA", "CAN", "THA"].map(|code| code.parse().unwrap()).into(),
            values: (0..3).map(|a| (0..3).map(|b| Some(pair(a, b))).collect()).collect(),
        }
    }

    #[test]
    fn the_words_say_what_the_matrices_show() {
        let correlation = Some(MatrixCorrelation { r: 0.632, p_value: 0.0005, pairs: 3 });
        let found = Likeness { voices: relations(0.5), people: relations(0.3), correlation };
        let text = sentence(&found, "joint");
        assert!(text.contains("r = 0.63 (p = 0.0005, 3 pairs"), "{text}");
        assert!(
            text.contains("70.0 alike in joint and 50.0 among people: the voices draw"),
            "{text}"
        );
        let (low, high) = ends(&found).unwrap();
        assert!((low - 0.4).abs() < 1e-9 && (high - 0.8).abs() < 1e-9, "{low} {high}");
        let table = table(&found);
        assert_eq!(table.rows[0], ["USA–CAN", "60.00", "40.00"]);
        assert_eq!(table.rows.len(), 3);
        let alone = Likeness { correlation: None, voices: relations(0.2), ..found };
        let text = sentence(&alone, "joint");
        assert!(text.contains("can’t be correlated") && text.contains("at least as far"), "{text}");
    }
}
