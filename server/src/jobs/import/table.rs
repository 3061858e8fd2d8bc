//! Our template as CSV: one row per question and culture; later rows of a question may leave its
//! columns empty.
//!
//! `assets/import/example.csv` shows every column. Options and shares are separated by `|`.

use std::path::Path;

use csv::StringRecord;
use domain::culture::Culture;
use domain::question::{Question, QuestionId, Scale};
use serde::Deserialize;

use super::draft::Draft;
use super::rejections::Place;
use crate::jobs::JobError;

#[derive(Deserialize)]
struct Row {
    question_id: String,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    question: String,
    #[serde(default)]
    options: String,
    #[serde(default)]
    first_number: Option<u32>,
    #[serde(default)]
    scale: String,
    #[serde(default)]
    dont_know: String,
    #[serde(default)]
    held_out: String,
    #[serde(default)]
    culture: String,
    #[serde(default)]
    culture_name: String,
    #[serde(default)]
    demonym: String,
    #[serde(default)]
    shares: String,
}

const HINT: &str = "Compare its first line with the template.";

/// A CSV file whose rows know their line.
pub(super) struct Rows {
    /// The columns.
    pub headers: StringRecord,
    /// Rows, or why one can't be read.
    pub records: Vec<(Place, Result<StringRecord, String>)>,
}

/// Reads a CSV file with a line of column names.
///
/// # Errors
/// [`JobError::BadFile`] where there is no such line.
pub(super) fn rows(path: &Path) -> Result<Rows, JobError> {
    let bad =
        |rule: String| JobError::BadFile { path: path.to_owned(), rule, hint: HINT.to_owned() };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|error| bad(format!("can't be read: {error}")))?;
    let headers = reader.headers().map_err(|error| bad(format!("can't be read: {error}")))?.clone();
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut records = Vec::new();
    for record in reader.records() {
        let line = match &record {
            Ok(record) => record.position().map_or(0, csv::Position::line),
            Err(error) => error.position().map_or(0, csv::Position::line),
        };
        let place = Place { file: file.clone(), line: line as usize };
        records.push((place, record.map_err(|error| error.to_string())));
    }
    Ok(Rows { headers, records })
}

/// Reads the file row by row.
///
/// # Errors
/// [`JobError::BadFile`] where the file can't be read or lacks a column.
pub fn fill(path: &Path, draft: &mut Draft) -> Result<(), JobError> {
    let Rows { headers, records } = rows(path)?;
    for column in ["question_id", "topic", "question", "options", "culture", "shares"] {
        if !headers.iter().any(|header| header == column) {
            let rule = format!("must have the column `{column}`");
            return Err(JobError::BadFile { path: path.to_owned(), rule, hint: HINT.to_owned() });
        }
    }
    for (place, record) in records {
        let row = record.and_then(|record| {
            record.deserialize::<Row>(Some(&headers)).map_err(|error| error.to_string())
        });
        if let Err(reason) = row.and_then(|row| take(row, &place, draft)) {
            draft.reject(&place, reason);
        }
    }
    Ok(())
}

fn take(row: Row, place: &Place, draft: &mut Draft) -> Result<(), String> {
    let id = QuestionId(row.question_id.clone());
    let first_number = match draft.question_named(&id) {
        Some(known) if row.question.is_empty() || known.text == row.question => known.first_number,
        Some(_) => return Err(format!("`{id}` stands there before with another text")),
        None => {
            let question = question(&row, draft)?;
            let first_number = question.first_number;
            draft.question(place, question);
            if draft.question_named(&id).is_none() {
                // Its row has been rejected already, the people in it with it.
                return Ok(());
            }
            first_number
        }
    };
    if row.culture.is_empty() {
        return Ok(());
    }
    if !row.culture_name.is_empty() || !row.demonym.is_empty() {
        let code = row.culture.parse().map_err(|error| format!("{error}").replace('\n', "; "))?;
        draft.culture(place, Culture { code, name: row.culture_name, demonym: row.demonym });
    }
    let mut shares = Vec::new();
    for (number, share) in (first_number..).zip(row.shares.split('|')) {
        // An empty share stands for an option that nobody was counted for.
        if !share.trim().is_empty() {
            let share = share.trim().parse();
            shares.push((
                number,
                share.map_err(|_| format!("`{}` must be shares such as `0.2|0.8`", row.shares))?,
            ));
        }
    }
    draft.people(place, &row.culture, id, shares);
    Ok(())
}

fn question(row: &Row, draft: &mut Draft) -> Result<Question, String> {
    let list = |text: &str| -> Vec<String> {
        let parts = text.split('|').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let numbers =
        list(&row.dont_know).iter().map(|number| number.parse()).collect::<Result<_, _>>();
    Ok(Question {
        id: QuestionId(row.question_id.clone()),
        topic: draft.topic_named(&row.topic),
        text: row.question.clone(),
        options: list(&row.options),
        first_number: row.first_number.unwrap_or(1),
        scale: match row.scale.as_str() {
            "" | "ordered" => Scale::Ordered,
            "nominal" => Scale::Nominal,
            other => return Err(format!("`scale` must be `ordered` or `nominal`, not `{other}`")),
        },
        dont_know: numbers
            .map_err(|_| format!("`dont_know` must be option numbers, not `{}`", row.dont_know))?,
        held_out: match row.held_out.as_str() {
            "" | "no" | "false" => false,
            "yes" | "true" => true,
            other => return Err(format!("`held_out` must be `yes` or `no`, not `{other}`")),
        },
    })
}
