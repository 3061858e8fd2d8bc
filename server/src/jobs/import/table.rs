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
use super::rules::{NumberedShares, one_for_each, topic_id};
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
    match draft.question_named(&id).cloned() {
        Some(known) => same_question(&row, &known, draft)?,
        None => {
            let question = question(&row, draft)?;
            draft.question(place, question);
        }
    }
    let Some(known) = draft.question_named(&id) else {
        // Its row has been rejected already, the people in it with it.
        return Ok(());
    };
    let (first_number, options) = (known.first_number, known.options.len());
    if row.culture.is_empty() {
        let somebody = [&row.shares, &row.culture_name, &row.demonym];
        return match somebody.into_iter().find(|cell| !cell.is_empty()) {
            Some(cell) => Err(format!("`{cell}` stands there without a culture in `culture`")),
            None => Ok(()),
        };
    }
    let shares = shares(&row.shares, first_number)?;
    if !row.shares.is_empty() {
        one_for_each(&id, options, row.shares.split('|').count())?;
    }
    if !row.culture_name.is_empty() || !row.demonym.is_empty() {
        let code = row.culture.parse().map_err(|error| format!("{error}").replace('\n', "; "))?;
        draft.culture(place, Culture { code, name: row.culture_name, demonym: row.demonym });
    }
    draft.people(place, &row.culture, id, shares);
    Ok(())
}

/// The shares of a cell by option number. An empty one stands for an option that nobody was counted for.
fn shares(cell: &str, first_number: u32) -> Result<NumberedShares, String> {
    let mut shares = Vec::new();
    for (number, share) in (first_number..).zip(cell.split('|').map(str::trim)) {
        if !share.is_empty() {
            let share = share.parse();
            shares.push((
                number,
                share.map_err(|_| format!("`{cell}` must be shares such as `0.2|0.8`"))?,
            ));
        }
    }
    Ok(shares)
}

/// Whether a later row of a question says nothing else of it than the first: which of the two is right, nobody
/// knows, and shares would go to other options.
fn same_question(row: &Row, known: &Question, draft: &mut Draft) -> Result<(), String> {
    let id = &known.id;
    let before = |column: &str| format!("`{id}` stands there before with another `{column}`");
    if !row.question.is_empty() && row.question != known.text {
        return Err(format!("`{id}` stands there before with another text"));
    }
    if !row.topic.is_empty() {
        if topic_id(&row.topic) != known.topic {
            let name = draft.topic_name(&known.topic).unwrap_or_default();
            return Err(format!("{}, `{name}`, not `{}`", before("topic"), row.topic));
        }
        draft.topic_named(&row.topic)?;
    }
    if !row.options.is_empty() && list(&row.options) != known.options {
        let options = known.options.join("|");
        return Err(format!("{}, `{options}`, not `{}`", before("options"), row.options));
    }
    if let Some(number) = row.first_number.filter(|number| *number != known.first_number) {
        return Err(format!("{}, {}, not {number}", before("first_number"), known.first_number));
    }
    if !row.scale.is_empty() && scale(&row.scale)? != known.scale {
        return Err(format!("{}, not `{}`", before("scale"), row.scale));
    }
    if !row.dont_know.is_empty() {
        // The known question's options were flagged beside those that its own row named.
        let mut again = Question { dont_know: numbers(&row.dont_know)?, ..known.clone() };
        again.flag_dont_know();
        if again.dont_know != known.dont_know {
            return Err(format!("{}, not `{}`", before("dont_know"), row.dont_know));
        }
    }
    if !row.held_out.is_empty() && held_out(&row.held_out)? != known.held_out {
        return Err(format!("{}, not `{}`", before("held_out"), row.held_out));
    }
    Ok(())
}

fn question(row: &Row, draft: &mut Draft) -> Result<Question, String> {
    Ok(Question {
        id: QuestionId(row.question_id.clone()),
        topic: draft.topic_named(&row.topic)?,
        text: row.question.clone(),
        options: list(&row.options),
        first_number: row.first_number.unwrap_or(1),
        scale: scale(&row.scale)?,
        dont_know: numbers(&row.dont_know)?,
        held_out: held_out(&row.held_out)?,
    })
}

/// The parts of a cell.
fn list(cell: &str) -> Vec<String> {
    let parts = cell.split('|').map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

fn scale(cell: &str) -> Result<Scale, String> {
    match cell {
        "" | "ordered" => Ok(Scale::Ordered),
        "nominal" => Ok(Scale::Nominal),
        other => Err(format!("`scale` must be `ordered` or `nominal`, not `{other}`")),
    }
}

fn numbers(cell: &str) -> Result<Vec<u32>, String> {
    let numbers = list(cell).iter().map(|number| number.parse()).collect::<Result<_, _>>();
    numbers.map_err(|_| format!("`dont_know` must be option numbers, not `{cell}`"))
}

fn held_out(cell: &str) -> Result<bool, String> {
    match cell {
        "" | "no" | "false" => Ok(false),
        "yes" | "true" => Ok(true),
        other => Err(format!("`held_out` must be `yes` or `no`, not `{other}`")),
    }
}
