//! Questions and people's answers of the release, row by row, as a survey of the store.

use std::path::{Path, PathBuf};

use domain::culture::CultureCode;
use domain::question::{Question, QuestionId};
use domain::survey::{Provenance, Survey};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{CONTENT_HINT, JobError, LAYOUT_HINT, broken, layout};
use crate::jobs::import::draft::Draft;
use crate::jobs::import::lines::{Document, Members, members, shares, value};
use crate::jobs::import::rejections::{Place, Rejections};

/// Identifier of the imported survey.
pub const SURVEY_ID: &str = "culturespa";

const QUESTIONS: &str = "wvs_questions.json";
const PEOPLE: &str = "proportions_group_by_country.json";
const SIMILARITY: &str = "country_similarity.json";
const NEIGHBOURS: &str = "self_alignment_examples.json";

#[derive(Deserialize)]
struct RawQuestion {
    #[serde(rename = "Q_id")]
    id: String,
    question: String,
    option_lst: Value,
}

/// Whether `dir` holds the release's survey, in its `data` folder or side by side.
pub fn is_layout(dir: &Path) -> bool {
    data_file(dir, QUESTIONS).is_file()
}

/// A file of the release's `data` folder; an upload brings its files without folders.
fn data_file(dir: &Path, name: &str) -> PathBuf {
    let inside = dir.join("data").join(name);
    let beside = dir.join(name);
    if beside.is_file() && !inside.is_file() { beside } else { inside }
}

/// Reads and checks the release's survey under `dir`; every row must keep the rules.
///
/// # Errors
/// [`JobError::BadFile`] naming the file, the line and the broken rule.
pub fn read_survey(dir: &Path) -> Result<Survey, JobError> {
    let mut draft = Draft::new(dir, Rejections::default());
    fill(dir, &mut draft)?;
    let (survey, rejections) = draft.finish()?;
    match rejections.listed.first() {
        Some(row) => {
            let rule = format!("line {}: {}", row.line, row.reason);
            Err(broken(&data_file(dir, &row.file), rule))
        }
        None => Ok(survey),
    }
}

/// Fills `draft` from the release under `dir`. Of questions that nobody evaluates only the texts are
/// kept.
///
/// # Errors
/// [`JobError::BadFile`] where a file can't be read or isn't JSON.
pub fn fill(dir: &Path, draft: &mut Draft) -> Result<(), JobError> {
    SURVEY_ID.clone_into(&mut draft.id);
    draft.title = "World Values Survey 7 (CultureSPA release)".to_owned();
    draft.provenance = Provenance::Respondents(
        "World Values Survey wave 7, as released with CultureSPA (arXiv 2410.12971)".to_owned(),
    );
    for topic in layout::topics() {
        draft.topic(topic).map_err(|rule| broken(dir, rule))?;
    }
    questions(&data_file(dir, QUESTIONS), draft)?;
    people(&data_file(dir, PEOPLE), draft)?;
    // Both tables are computed where the copy lacks them.
    let (similarity, neighbours) = (data_file(dir, SIMILARITY), data_file(dir, NEIGHBOURS));
    if similarity.is_file() {
        fill_similarity(&similarity, draft)?;
    }
    if neighbours.is_file() {
        fill_neighbours(&neighbours, draft)?;
    }
    Ok(())
}

fn questions(path: &Path, draft: &mut Draft) -> Result<(), JobError> {
    let document = Document::read(path, LAYOUT_HINT)?;
    for part in document.parse::<Vec<&RawValue>>(path, CONTENT_HINT)? {
        let place = document.place(part);
        if let Err(reason) = question(part, &place, draft) {
            draft.reject(&place, reason);
        }
    }
    Ok(())
}

fn question(part: &RawValue, place: &Place, draft: &mut Draft) -> Result<(), String> {
    let RawQuestion { id, question, option_lst } = value(part)?;
    let number = layout::number(&id)
        .ok_or_else(|| format!("`Q_id` must be `Q` and a number, not `{id}`"))?;
    let Some(topic) = layout::topic(number).filter(|_| layout::is_evaluated(number)) else {
        draft.unasked(&question);
        return Ok(());
    };
    let options = option_lst.as_array().into_iter().flatten();
    let options: Option<Vec<String>> = options.map(|o| o.as_str().map(str::to_owned)).collect();
    let options = options
        .filter(|_| option_lst.is_array())
        .ok_or_else(|| format!("`option_lst` of `{id}` must be a list of texts"))?;
    draft.question(
        place,
        Question {
            id: QuestionId(id),
            topic: topic.into(),
            text: question.trim().to_owned(),
            options,
            first_number: layout::first_number(number),
            scale: layout::scale(number),
            dont_know: vec![],
            held_out: false,
        },
    );
    Ok(())
}

fn people(path: &Path, draft: &mut Draft) -> Result<(), JobError> {
    let document = Document::read(path, LAYOUT_HINT)?;
    let Members(mut cultures) = document.parse(path, CONTENT_HINT)?;
    // The paper's cultures first, in its order; the sort is stable.
    cultures.sort_by_key(|(code, _)| layout::place(code));
    for (code, part) in cultures {
        match members(part) {
            Err(fault) => draft.reject(&document.place(part), format!("`{code}` {fault}")),
            Ok(Members(answers)) => {
                for (id, part) in answers {
                    if layout::number(&id).is_some_and(|number| !layout::is_evaluated(number)) {
                        continue;
                    }
                    let place = document.place(part);
                    match shares(part) {
                        Ok(shares) => draft.people(&place, &code, QuestionId(id), shares),
                        Err(fault) => draft.reject(&place, format!("`{code}/{id}`: {fault}")),
                    }
                }
            }
        }
    }
    Ok(())
}

fn fill_similarity(path: &Path, draft: &mut Draft) -> Result<(), JobError> {
    let document = Document::read(path, LAYOUT_HINT)?;
    let Members(rows) = document.parse(path, CONTENT_HINT)?;
    for (code, part) in rows {
        let place = document.place(part);
        match culture_code(&code).and_then(|code| Ok((code, similarities(part)?))) {
            Ok((code, to)) => draft.similarity(&place, code, to),
            Err(fault) => draft.reject(&place, fault),
        }
    }
    Ok(())
}

fn culture_code(text: &str) -> Result<CultureCode, String> {
    text.parse().map_err(|_| format!("`{text}` must be a culture code"))
}

/// A row of the table, an object of numbers by culture.
fn similarities(part: &RawValue) -> Result<Vec<(CultureCode, f64)>, String> {
    let Members(cells) = members(part)?;
    let cell = |(code, part): (String, &RawValue)| Ok((culture_code(&code)?, value::<f64>(part)?));
    cells.into_iter().map(cell).collect()
}

fn fill_neighbours(path: &Path, draft: &mut Draft) -> Result<(), JobError> {
    let document = Document::read(path, LAYOUT_HINT)?;
    let Members(rows) = document.parse(path, CONTENT_HINT)?;
    let is_asked = |id: &str| layout::number(id).is_none_or(layout::is_evaluated);
    for (id, part) in rows.into_iter().filter(|(id, _)| is_asked(id)) {
        let place = document.place(part);
        match value::<Vec<QuestionId>>(part) {
            Ok(mut nearest) => {
                nearest.retain(|id| is_asked(id.as_str()));
                draft.neighbours(&place, QuestionId(id), nearest);
            }
            Err(fault) => draft.reject(&place, format!("`{id}`: {fault}")),
        }
    }
    Ok(())
}
