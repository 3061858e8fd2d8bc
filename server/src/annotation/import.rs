//! Items of a new project: from a run, or from a file of JSON lines or comma-separated values.
//!
//! A record has `culture`, `question`, `options`, `unaware` and `aware`; `id`, `topic`,
//! `first_number`, `scale`, `people`, the probabilities and `gold` may be left out. In a CSV file the
//! options stand in one cell, parted by `|`.

use std::collections::BTreeSet;
use std::fmt::Display;

use app::api::annotation::{ItemSource, MOST_ITEMS};
use domain::annotation::{Item, ItemId, LabelId, ProjectSettings};
use domain::culture::CultureCode;
use domain::question::{Question, Scale};
use domain::survey::Distribution;
use serde::Deserialize;

use super::RoomError;
use crate::jobs::annotation::items_of_run;
use crate::store::Store;
use engine::Engine;

/// Longest identifier of an item, in bytes.
const LONGEST_ID: usize = 100;

/// Longest question or option, in bytes.
const LONGEST_TEXT: usize = 4 * 1024;

/// Most options of a question.
const MOST_OPTIONS: usize = 30;

/// One record of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record<Options> {
    #[serde(default)]
    id: Option<String>,
    culture: CultureCode,
    #[serde(default)]
    topic: Option<String>,
    question: String,
    options: Options,
    #[serde(default)]
    first_number: Option<u32>,
    #[serde(default)]
    scale: Option<Scale>,
    unaware: u32,
    aware: u32,
    #[serde(default)]
    unaware_probabilities: Vec<f64>,
    #[serde(default)]
    aware_probabilities: Vec<f64>,
    #[serde(default)]
    people: Option<Distribution>,
    #[serde(default)]
    gold: Option<String>,
}

/// Reads the items that `source` means.
///
/// # Errors
/// A line that breaks a rule, by its number; an unknown run.
pub async fn items(
    store: &Store,
    engine: &Engine,
    source: ItemSource,
) -> Result<Vec<Item>, RoomError> {
    match source {
        ItemSource::Run { run, cultures } => {
            let mut items = items_of_run(store, engine, &run).await?;
            items.retain(|item| cultures.is_empty() || cultures.contains(&item.culture));
            Ok(items)
        }
        ItemSource::Jsonl { text } => from_jsonl(&text),
        ItemSource::Csv { text } => from_csv(&text),
    }
}

/// Refuses items that a project with these settings can't have.
///
/// # Errors
/// No items or too many, the same identifier twice, a gold label that isn't one.
pub fn check(settings: &ProjectSettings, items: &[Item]) -> Result<(), RoomError> {
    if items.is_empty() || items.len() > MOST_ITEMS {
        return Err(RoomError::refused(
            format!("a project must have 1 to {MOST_ITEMS} items, not {}", items.len()),
            "Choose other cultures or another run, or split the file.",
        ));
    }
    let mut seen = BTreeSet::new();
    for item in items {
        if !seen.insert(&item.id) {
            return Err(RoomError::refused(
                format!("the item `{}` occurs twice", item.id),
                "Give every item an identifier of its own.",
            ));
        }
        if let Some(gold) = item.gold.as_ref().filter(|gold| settings.label(gold).is_none()) {
            return Err(RoomError::refused(
                format!("the gold label `{gold}` of `{}` isn't a label", item.id),
                "Use one of the project's labels, or add it.",
            ));
        }
    }
    Ok(())
}

fn from_jsonl(text: &str) -> Result<Vec<Item>, RoomError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let record: Record<Vec<String>> =
                serde_json::from_str(line).map_err(|error| broken(index + 1, error))?;
            item(index + 1, record)
        })
        .collect()
}

fn from_csv(text: &str) -> Result<Vec<Item>, RoomError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    reader
        .deserialize()
        .enumerate()
        .map(|(index, record)| {
            // The heading is line 1.
            let record: Record<String> = record.map_err(|error| broken(index + 2, error))?;
            let options = record.options.split('|').map(|o| o.trim().to_owned()).collect();
            item(index + 2, with_options(record, options))
        })
        .collect()
}

fn with_options<O>(record: Record<O>, options: Vec<String>) -> Record<Vec<String>> {
    let Record { id, culture, topic, question, options: _, first_number, scale, .. } = record;
    let Record { unaware, aware, unaware_probabilities, aware_probabilities, .. } = record;
    let Record { people, gold, .. } = record;
    Record {
        id,
        culture,
        topic,
        question,
        options,
        first_number,
        scale,
        unaware,
        aware,
        unaware_probabilities,
        aware_probabilities,
        people,
        gold,
    }
}

fn broken(line: usize, reason: impl Display) -> RoomError {
    RoomError::refused(
        format!("line {line} can't be read: {reason}"),
        "A record needs culture, question, options, unaware and aware.",
    )
}

/// An item of a record that follows all rules; others are refused by the line's number.
fn item(line: usize, record: Record<Vec<String>>) -> Result<Item, RoomError> {
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let id = filled(record.id).unwrap_or_else(|| format!("item-{line:05}"));
    if id.len() > LONGEST_ID {
        return Err(broken(line, format!("`id` has {} bytes, over {LONGEST_ID}", id.len())));
    }
    if !(2..=MOST_OPTIONS).contains(&record.options.len()) {
        let given = record.options.len();
        return Err(broken(
            line,
            format!("there must be 2 to {MOST_OPTIONS} options, not {given}"),
        ));
    }
    let texts = || record.options.iter().chain([&record.question]);
    if texts().any(|text| text.trim().is_empty() || text.len() > LONGEST_TEXT) {
        return Err(broken(
            line,
            format!("the question and each option must have 1 to {LONGEST_TEXT} bytes"),
        ));
    }
    let mut question = Question {
        id: id.as_str().into(),
        topic: filled(record.topic).as_deref().unwrap_or("all").into(),
        text: record.question,
        first_number: record.first_number.unwrap_or(1),
        scale: record.scale.unwrap_or(Scale::Ordered),
        options: record.options,
        held_out: false,
        dont_know: Vec::new(),
    };
    question.flag_dont_know();
    for (name, number) in [("unaware", record.unaware), ("aware", record.aware)] {
        if question.index_of(number).is_none() {
            return Err(broken(line, format!("`{name}` is {number}, which is no option's number")));
        }
    }
    let count = question.options.len();
    let people = record.people.as_ref().map_or(&[][..], |people| &people.shares);
    for shares in [&record.unaware_probabilities[..], &record.aware_probabilities, people] {
        if !shares.is_empty() && shares.len() != count {
            return Err(broken(line, format!("{} shares for {count} options", shares.len())));
        }
        if shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err(broken(line, "a share is not between 0 and 1"));
        }
    }
    Ok(Item {
        id: ItemId(id),
        culture: record.culture,
        question,
        unaware: record.unaware,
        aware: record.aware,
        unaware_probabilities: record.unaware_probabilities,
        aware_probabilities: record.aware_probabilities,
        people: record.people,
        gold: filled(record.gold).map(LabelId),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"culture":"THA","question":"Well?","options":["No","Yes"],"unaware":1,"aware":2,"gold":"right"}"#;

    #[test]
    fn both_kinds_of_files_give_the_same_items() {
        let jsonl = from_jsonl(&format!("{LINE}\n\n")).unwrap();
        let csv = "culture,question,options,unaware,aware,gold\nTHA,Well?,No|Yes,1,2,right\n";
        let mut csv = from_csv(csv).unwrap();
        assert_eq!(csv[0].id.as_str(), "item-00002");
        csv[0].id = jsonl[0].id.clone();
        csv[0].question.id = jsonl[0].question.id.clone();
        assert_eq!(jsonl, csv);
        assert_eq!(check(&ProjectSettings::new("t"), &jsonl).map_err(|e| e.to_string()), Ok(()));
    }

    #[test]
    fn a_broken_line_is_named() {
        for (from, to, says) in [
            ("\"THA\"", "\"tha\"", "`tha`"),
            ("\"aware\":2", "\"aware\":3", "`aware` is 3"),
            ("[\"No\",\"Yes\"]", "[\"No\"]", "2 to 30 options"),
            ("Well?", " ", "1 to 4096 bytes"),
            ("\"gold\"", "\"glod\"", "glod"),
            ("\"gold\":\"right\"", "\"aware_probabilities\":[1.0]", "1 shares for 2 options"),
            ("\"gold\":\"right\"", "\"aware_probabilities\":[2.0,0.0]", "between 0 and 1"),
        ] {
            let text = format!("{LINE}\n{}", LINE.replace(from, to));
            let error = from_jsonl(&text).unwrap_err().to_string();
            assert!(error.contains("line 2") && error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_project_needs_items_of_different_names_with_known_labels() {
        let settings = ProjectSettings::new("t");
        let named = LINE.replace("{\"culture\"", "{\"id\":\"a\",\"culture\"");
        let twice = from_jsonl(&format!("{named}\n{named}")).unwrap();
        let unknown = from_jsonl(&LINE.replace("\"right\"", "\"fine\"")).unwrap();
        for (items, says) in [(vec![], "not 0"), (twice, "`a` occurs twice"), (unknown, "`fine`")] {
            let error = check(&settings, &items).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
