//! Items of a new project: from a run, or from a file of JSON lines or comma-separated values.
//!
//! A record has `culture`, `question`, `options`, `unaware` and `aware`; `id`, `topic`,
//! `first_number`, `scale`, `people`, the probabilities and `gold` may be left out. A line of the JSONL
//! export is a record too: so a run's items get gold labels, in a file beside the run. In a CSV file each
//! list stands in one cell, parted by `|` or as JSON, and so do `people`'s shares: `0.2|0.8`, `[0.2, 0.8]`
//! or `{"shares": [0.2, 0.8], "mode": 2}`. Without a `mode` it is the option with the greatest share.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;

use app::api::annotation::{ItemFile, ItemSource, MOST_ITEMS};
use domain::annotation::{Item, ItemId, LabelId, ProjectSettings};
use domain::culture::CultureCode;
use domain::question::{Question, Scale};
use domain::survey::Distribution;
use serde::Deserialize;
use serde_json::Value;

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

/// One record of a file: a line of JSON, or a line of CSV whose lists are still text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(deserialize = "Texts: Deserialize<'de>, Shares: Deserialize<'de> + Default, \
                             People: Deserialize<'de>"))]
struct Record<Texts, Shares, People> {
    #[serde(default)]
    id: Option<String>,
    culture: CultureCode,
    #[serde(default)]
    topic: Option<String>,
    question: String,
    options: Texts,
    #[serde(default)]
    first_number: Option<u32>,
    #[serde(default)]
    scale: Option<Scale>,
    unaware: u32,
    aware: u32,
    #[serde(default)]
    unaware_probabilities: Shares,
    #[serde(default)]
    aware_probabilities: Shares,
    #[serde(default)]
    people: Option<People>,
    #[serde(default)]
    gold: Option<String>,
}

/// A record with its lists.
type Whole = Record<Vec<String>, Vec<f64>, Distribution>;

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
        ItemSource::Run { run, cultures, gold } => {
            let mut items = items_of_run(store, engine, &run).await?;
            if let Some(file) = gold {
                add_checks(&mut items, file)?;
            }
            items.retain(|item| cultures.is_empty() || cultures.contains(&item.culture));
            Ok(items)
        }
        ItemSource::Jsonl { text } => from_jsonl(&text),
        ItemSource::Csv { text } => from_csv(&text),
    }
}

/// Makes attention checks of a file part of a run's items. Records without `gold` are left out: a file
/// may be the whole export of a project, with labels added to some lines.
fn add_checks(items: &mut Vec<Item>, file: ItemFile) -> Result<(), RoomError> {
    let read = match file {
        ItemFile::Jsonl { text } => from_jsonl(&text)?,
        ItemFile::Csv { text } => from_csv(&text)?,
    };
    let checks: Vec<Item> = read.into_iter().filter(|item| item.gold.is_some()).collect();
    if checks.is_empty() {
        return Err(RoomError::refused(
            "no record of the file of attention checks has a `gold` label",
            "Add `gold` with the label that an attentive person gives, or leave the file out.",
        ));
    }
    let places: HashMap<ItemId, usize> =
        items.iter().enumerate().map(|(place, item)| (item.id.clone(), place)).collect();
    for check in checks {
        let Some(known) = places.get(&check.id).and_then(|place| items.get_mut(*place)) else {
            items.push(check);
            continue;
        };
        let (a, b) = (&known.question, &check.question);
        let asks = known.culture == check.culture && a.text == b.text && a.options == b.options;
        if !asks || (known.unaware, known.aware) != (check.unaware, check.aware) {
            return Err(RoomError::refused(
                format!(
                    "the attention check `{}` isn't what the run has under that name",
                    check.id
                ),
                "Give it another `id`, or change nothing but `gold` in the run's own line.",
            ));
        }
        if known.gold.is_some() {
            return Err(RoomError::refused(
                format!("the attention check `{}` occurs twice", check.id),
                "Leave one of the two out.",
            ));
        }
        known.gold = check.gold;
    }
    Ok(())
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
            let record = whole(line).map_err(|error| broken(index + 1, error))?;
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
            let record: Record<String, String, String> =
                record.map_err(|error| broken(index + 2, error))?;
            item(index + 2, with_lists(record).map_err(|error| broken(index + 2, error))?)
        })
        .collect()
}

/// A line of JSON: a record, or an item as the JSONL export has it, whose judgements are left behind.
fn whole(line: &str) -> Result<Whole, serde_json::Error> {
    let value: Value = serde_json::from_str(line)?;
    if !value.get("question").is_some_and(Value::is_object) {
        return serde_json::from_value(value);
    }
    let item: Item = serde_json::from_value(value)?;
    let question = item.question;
    Ok(Record {
        id: Some(item.id.0),
        culture: item.culture,
        topic: Some(question.topic.0),
        question: question.text,
        options: question.options,
        first_number: Some(question.first_number),
        scale: Some(question.scale),
        unaware: item.unaware,
        aware: item.aware,
        unaware_probabilities: item.unaware_probabilities,
        aware_probabilities: item.aware_probabilities,
        people: item.people,
        gold: item.gold.map(|gold| gold.0),
    })
}

/// Reads the lists in a CSV record's cells.
fn with_lists(record: Record<String, String, String>) -> Result<Whole, String> {
    let first_number = record.first_number.unwrap_or(1);
    let people = record.people.filter(|cell| !cell.is_empty());
    Ok(Record {
        id: record.id,
        culture: record.culture,
        topic: record.topic,
        question: record.question,
        options: options_in(&record.options),
        first_number: record.first_number,
        scale: record.scale,
        unaware: record.unaware,
        aware: record.aware,
        unaware_probabilities: shares_in("unaware_probabilities", &record.unaware_probabilities)?,
        aware_probabilities: shares_in("aware_probabilities", &record.aware_probabilities)?,
        people: people.map(|cell| people_in(&cell, first_number)).transpose()?,
        gold: record.gold,
    })
}

fn options_in(cell: &str) -> Vec<String> {
    serde_json::from_str(cell)
        .unwrap_or_else(|_| cell.split('|').map(|option| option.trim().to_owned()).collect())
}

/// Shares as JSON, or parted by `|` as options are, or by `;`.
fn shares_in(name: &str, cell: &str) -> Result<Vec<f64>, String> {
    if cell.is_empty() {
        return Ok(Vec::new());
    }
    if let Ok(shares) = serde_json::from_str(cell) {
        return Ok(shares);
    }
    let shares = cell.split(['|', ';']).map(|share| share.trim().parse());
    shares.collect::<Result<_, _>>().map_err(|_| {
        format!("`{name}` is `{cell}`, and must be numbers parted by `|`, such as `0.2|0.8`")
    })
}

fn people_in(cell: &str, first_number: u32) -> Result<Distribution, String> {
    if cell.starts_with('{') {
        return serde_json::from_str(cell)
            .map_err(|error| format!("`people` is `{cell}`: {error}"));
    }
    let shares = shares_in("people", cell)?;
    // The first of equals.
    let mode =
        (0..shares.len()).rev().max_by(|a, b| shares[*a].total_cmp(&shares[*b])).unwrap_or(0);
    let mode = first_number.saturating_add(u32::try_from(mode).unwrap_or(u32::MAX));
    Ok(Distribution { shares, mode })
}

fn broken(line: usize, reason: impl Display) -> RoomError {
    RoomError::refused(
        format!("line {line} can't be read: {reason}"),
        "A record needs culture, question, options, unaware and aware.",
    )
}

/// An item of a record that follows all rules; others are refused by the line's number.
fn item(line: usize, record: Whole) -> Result<Item, RoomError> {
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
    fn a_csv_cell_holds_a_list() {
        const HEAD: &str = "culture,question,options,unaware,aware,unaware_probabilities,aware_probabilities,people,gold";
        let jsonl = from_jsonl(concat!(
            r#"{"culture":"THA","question":"Well?","options":["No","Yes"],"unaware":1,"aware":2,"#,
            r#""unaware_probabilities":[0.75,0.25],"aware_probabilities":[0.25,0.75],"#,
            r#""people":{"shares":[0.25,0.5],"mode":2},"gold":"right"}"#
        ))
        .unwrap();
        for (options, unaware, aware, people) in [
            ("No|Yes", "0.75|0.25", "0.25|0.75", "0.25|0.5"),
            ("No | Yes", "0.75 ; 0.25", "0.25;0.75", "0.25;0.5"),
            (r#""[""No"",""Yes""]""#, r#""[0.75,0.25]""#, r#""[0.25,0.75]""#, r#""[0.25,0.5]""#),
            ("No|Yes", "0.75|0.25", "0.25|0.75", r#""{""shares"":[0.25,0.5],""mode"":2}""#),
        ] {
            let line = format!("THA,Well?,{options},1,2,{unaware},{aware},{people},right");
            let mut csv = from_csv(&format!("{HEAD}\n{line}\n")).unwrap();
            csv[0].id = jsonl[0].id.clone();
            csv[0].question.id = jsonl[0].question.id.clone();
            assert_eq!(csv, jsonl, "{line}");
        }
        let bare = from_csv(&format!("{HEAD}\nTHA,Well?,No|Yes,1,2,,,,\n")).unwrap();
        assert!(bare[0].aware_probabilities.is_empty() && bare[0].people.is_none());
        for (cells, says) in [
            ("0.2|much,,", "`unaware_probabilities` is `0.2|much`"),
            (",,{", "`people` is `{`"),
            (",0.2,", "1 shares for 2 options"),
        ] {
            let file = format!("{HEAD}\nTHA,Well?,No|Yes,1,2,{cells},right\n");
            let error = from_csv(&file).unwrap_err().to_string();
            assert!(error.contains("line 2") && error.contains(says), "{error}");
        }
    }

    #[test]
    fn an_exported_item_is_read_back() {
        let items = from_jsonl(LINE).unwrap();
        let mut line = serde_json::to_value(&items[0]).unwrap();
        line["judgements"] = serde_json::json!([{ "member": "ann" }]);
        line["gold"] = "wrong".into();
        let again = from_jsonl(&line.to_string()).unwrap();
        assert_eq!(again[0], Item { gold: Some("wrong".into()), ..items[0].clone() });
    }

    #[test]
    fn a_runs_items_become_checks_or_get_some_beside_them() {
        let line =
            |id: &str| LINE.replace("{\"culture\"", &format!("{{\"id\":\"{id}\",\"culture\""));
        let plain = |id: &str| line(id).replace(",\"gold\":\"right\"", "");
        let run = from_jsonl(&format!("{}\n{}", plain("a"), plain("b"))).unwrap();
        let file = |lines: &[String]| ItemFile::Jsonl { text: lines.join("\n") };
        let mut items = run.clone();
        add_checks(&mut items, file(&[plain("a"), line("b"), line("c"), plain("d")])).unwrap();
        let found: Vec<(&str, bool)> =
            items.iter().map(|item| (item.id.as_str(), item.gold.is_some())).collect();
        assert_eq!(found, [("a", false), ("b", true), ("c", true)]);
        let csv = "id,culture,question,options,unaware,aware,gold\na,THA,Well?,No|Yes,1,2,right\n";
        let mut items = run.clone();
        add_checks(&mut items, ItemFile::Csv { text: csv.to_owned() }).unwrap();
        assert!(items.len() == 2 && items[0].gold.is_some());
        for (lines, says) in [
            (vec![plain("a")], "no record"),
            (vec![line("a"), line("a")], "`a` occurs twice"),
            (vec![line("a").replace("Well?", "Why?")], "`a` isn't what the run has"),
            (vec![line("a").replace("\"aware\":2", "\"aware\":1")], "`a` isn't what the run has"),
        ] {
            let error = add_checks(&mut run.clone(), file(&lines)).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains('\n'), "{error}");
        }
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
