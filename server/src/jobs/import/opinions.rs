//! CSV as GlobalOpinionQA has it (Durmus et al. 2023, arXiv 2306.16388): one row per question with
//! the shares of every country, lists and objects written as Python prints them.
//!
//! Columns: `question`, `selections` (country to shares), `options`, `source`. Countries are known
//! by name; samples of part of a country become groups within it. Whether options have an order the file
//! doesn't say: all are taken as ordered, and the survey's provenance says so.

use std::path::Path;

use domain::generation::repair;
use domain::question::{Question, QuestionId, Scale};
use domain::survey::Provenance;
use serde_json::Value;

use super::draft::Draft;
use super::rejections::Place;
use super::rules::one_for_each;
use super::table::{Rows, rows};
use crate::jobs::JobError;

const COLUMNS: [&str; 4] = ["question", "selections", "options", "source"];

/// Whether the file has this format's columns.
///
/// # Errors
/// [`JobError::BadFile`] where it can't be read.
pub fn has_columns(path: &Path) -> Result<bool, JobError> {
    let mut reader = csv::Reader::from_path(path).map_err(|error| JobError::BadFile {
        path: path.to_owned(),
        rule: format!("can't be read: {error}"),
        hint: "Give a CSV file with a line of column names.".to_owned(),
    })?;
    let headers = reader.headers().cloned().unwrap_or_default();
    Ok(COLUMNS[..3].iter().all(|column| headers.iter().any(|header| header.trim() == *column)))
}

/// Reads the file row by row.
///
/// # Errors
/// [`JobError::BadFile`] where the file can't be read or lacks a column.
pub fn fill(path: &Path, draft: &mut Draft) -> Result<(), JobError> {
    let Rows { headers, records } = rows(path)?;
    let column = |name: &str| headers.iter().position(|header| header == name);
    let (Some(question), Some(selections), Some(options)) =
        (column(COLUMNS[0]), column(COLUMNS[1]), column(COLUMNS[2]))
    else {
        return Err(JobError::BadFile {
            path: path.to_owned(),
            rule: "must have the columns `question`, `selections` and `options`".to_owned(),
            hint: "Give the file as it is published.".to_owned(),
        });
    };
    let source = column(COLUMNS[3]);
    draft.provenance = Provenance::Respondents(
        "World Values Survey and Pew Global Attitudes Survey, as in GlobalOpinionQA (arXiv 2306.16388); \
         all options are taken as ordered, which the file doesn't say"
            .to_owned(),
    );
    for (index, (place, record)) in records.into_iter().enumerate() {
        let taken = record.and_then(|record| {
            let field = |at: usize| record.get(at).unwrap_or_default();
            let topic = source.map_or("", field);
            let row = Row {
                id: QuestionId(format!("O{}", index + 1)),
                topic: if topic.is_empty() { "Opinions" } else { topic },
                question: field(question),
                options: field(options),
                selections: field(selections),
            };
            take(&row, &place, draft)
        });
        if let Err(reason) = taken {
            draft.reject(&place, reason);
        }
    }
    Ok(())
}

struct Row<'a> {
    id: QuestionId,
    topic: &'a str,
    question: &'a str,
    options: &'a str,
    selections: &'a str,
}

fn take(row: &Row, place: &Place, draft: &mut Draft) -> Result<(), String> {
    let options = texts(row.options)?;
    let selections = countries(row.selections)?;
    let topic = draft.topic_named(row.topic)?;
    let count = options.len();
    draft.question(
        place,
        Question {
            id: row.id.clone(),
            topic,
            text: row.question.trim().to_owned(),
            options,
            first_number: 1,
            scale: Scale::Ordered,
            dont_know: vec![],
            held_out: false,
        },
    );
    if draft.question_named(&row.id).is_some() {
        for (country, shares) in selections {
            // Without one share for each option nobody knows which belongs to which.
            if let Err(reason) = one_for_each(&row.id, count, shares.len()) {
                draft.reject(place, format!("{country}: {reason}"));
                continue;
            }
            draft.people(place, &country, row.id.clone(), (1..).zip(shares).collect());
        }
    }
    Ok(())
}

fn texts(list: &str) -> Result<Vec<String>, String> {
    let value = repair::object(list).ok();
    let items = value.as_ref().and_then(Value::as_array);
    let text = |item: &Value| match item {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let texts = items.and_then(|items| items.iter().map(text).collect::<Option<Vec<_>>>());
    texts.ok_or_else(|| "`options` must be a list of texts".to_owned())
}

/// Shares by country, from `defaultdict(<class 'list'>, {'Brazil': [0.1, 0.9]})` or a plain object.
fn countries(text: &str) -> Result<Vec<(String, Vec<f64>)>, String> {
    let fault = || "`selections` must be an object of shares by country".to_owned();
    let start = text.find('{').ok_or_else(fault)?;
    let value = repair::object(&text[start..]).map_err(|_| fault())?;
    let members = value.as_object().ok_or_else(fault)?;
    let shares = |value: &Value| -> Option<Vec<f64>> {
        value.as_array()?.iter().map(Value::as_f64).collect()
    };
    members
        .iter()
        .map(|(country, value)| Some((country.clone(), shares(value)?)))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(fault)
}
