//! Recorded answers of the release, scored by the paper's rule (method, "Score").

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use domain::answer::{LARGEST_SCORED, first_integer};
use domain::culture::CultureCode;
use domain::prompt::PromptStyle;
use domain::question::QuestionId;
use domain::score::{Scored, alignment};
use domain::survey::Survey;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{JobError, LAYOUT_HINT, bad, broken, layout, read, survey::read_survey};

/// One result file's score against one culture's people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreRow {
    /// Whose people it was compared with.
    pub culture: CultureCode,
    /// How the model was asked.
    pub style: PromptStyle,
    /// The paper's alignment score x 100; `None` where nothing could be scored.
    pub score: Option<f64>,
    /// Questions scored: the answer was readable and people's answers are known.
    pub answered: usize,
    /// Answers without a readable option number, refusals for instance.
    pub unreadable: usize,
    /// The file that was scored.
    #[serde(skip)]
    pub file: PathBuf,
}

#[derive(Deserialize)]
struct RawAnswer {
    #[serde(rename = "Q_id")]
    id: String,
    answer: Value,
}

/// Scores every result file under `dir/result`: an aware file against its own culture, an unaware
/// one against every culture whose people's answers are known. Ordered by file, then by culture.
///
/// # Errors
/// [`JobError::BadFile`] naming the file and the broken rule.
pub fn score_results(dir: &Path) -> Result<Vec<ScoreRow>, JobError> {
    let survey = read_survey(dir)?;
    let files = result_files(&result_folder(dir))?;
    let mut rows = Vec::new();
    for ResultFile { path: file, culture, .. } in files {
        let answers = read_answers(&file, &survey)?;
        match culture {
            Some(code) if survey.culture(code).is_none() => {
                let rule =
                    format!("names the culture `{code}`, whose people's answers are missing");
                return Err(broken(&file, rule));
            }
            Some(code) => rows.push(score(&survey, &answers, code, PromptStyle::Aware, &file)),
            None => rows.extend(
                survey
                    .cultures
                    .iter()
                    .map(|c| score(&survey, &answers, c.code, PromptStyle::Unaware, &file)),
            ),
        }
    }
    Ok(rows)
}

/// The option number per question; `None` where the answer holds none.
pub type Answers = BTreeMap<QuestionId, Option<u32>>;

/// A file of recorded answers, by what its name says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResultFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The culture that was named; `None` for the unaware voice.
    pub culture: Option<CultureCode>,
    /// Which of several repetitions: `0`.
    pub repetition: String,
}

/// The release's `result` folder, or the folder itself where an upload brought files alone.
pub fn result_folder(dir: &Path) -> PathBuf {
    let inside = dir.join("result");
    if inside.is_dir() { inside } else { dir.to_owned() }
}

/// Whether there are recorded answers under `dir`.
pub fn has_results(dir: &Path) -> bool {
    dir.is_dir() && result_files(&result_folder(dir)).is_ok()
}

/// Reads one file's answers to questions of `survey`.
///
/// # Errors
/// [`JobError::BadFile`] for an unknown question or one that is answered twice.
pub fn read_answers(file: &Path, survey: &Survey) -> Result<Answers, JobError> {
    let raw: Vec<RawAnswer> = read(file)?;
    let mut answers = Answers::new();
    for RawAnswer { id, answer } in raw {
        let id = QuestionId(id);
        // Answers to questions that nobody evaluates may stand beside the others.
        if layout::number(id.as_str()).is_some_and(|number| !layout::is_evaluated(number)) {
            continue;
        }
        if survey.question(&id).is_none() {
            let rule = format!("`{id}` must be a question of wvs_questions.json");
            return Err(broken(file, rule));
        }
        let text = match answer {
            Value::String(text) => text,
            other => other.to_string(),
        };
        if answers.insert(id.clone(), first_integer(&text, LARGEST_SCORED)).is_some() {
            return Err(broken(file, format!("`{id}` must be answered once, not twice")));
        }
    }
    Ok(answers)
}

fn score(
    survey: &Survey,
    answers: &Answers,
    culture: CultureCode,
    style: PromptStyle,
    file: &Path,
) -> ScoreRow {
    let scored: Vec<Scored> = answers
        .iter()
        .filter_map(|(id, answer)| {
            let people = survey.people(culture, id)?;
            Some(Scored {
                answer: f64::from((*answer)?),
                reference: f64::from(people.mode),
                options: survey.question(id)?.options.len(),
            })
        })
        .collect();
    ScoreRow {
        culture,
        style,
        score: alignment(&scored).map(|score| (score * 1e6).round() / 1e4),
        answered: scored.len(),
        unreadable: answers.values().filter(|answer| answer.is_none()).count(),
        file: file.to_owned(),
    }
}

/// Every `wvs_result_culture_*.json` below `folder`, by path.
///
/// # Errors
/// [`JobError::BadFile`] where there is none, or a name that can't be understood.
pub fn result_files(folder: &Path) -> Result<Vec<ResultFile>, JobError> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .map_err(|error| bad(&folder, format!("can't be read: {error}"), LAYOUT_HINT))?;
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.extend(result_file(path)?);
            }
        }
    }
    files.sort();
    if files.is_empty() {
        let rule = "holds no file named like `wvs_result_culture_aware_THA_0.json`";
        return Err(bad(folder, rule, LAYOUT_HINT));
    }
    Ok(files)
}

/// `None` for another file.
fn result_file(path: PathBuf) -> Result<Option<ResultFile>, JobError> {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let Some(rest) = name.strip_prefix("wvs_result_culture_").filter(|_| is_json) else {
        return Ok(None);
    };
    let parts: Vec<&str> = rest.split('_').collect();
    let (culture, rest) = match parts.as_slice() {
        ["unaware", rest @ ..] => (None, rest),
        ["aware", code, rest @ ..] => {
            let rule = format!("`{code}` in its name must be a culture code such as `THA`");
            (Some(code.parse().map_err(|_| broken(&path, rule))?), rest)
        }
        _ => {
            let rule = "its name must go on with `unaware` or `aware_` and a culture code";
            return Err(broken(&path, rule));
        }
    };
    let repetition = if rest.is_empty() { "0".to_owned() } else { rest.join("-") };
    Ok(Some(ResultFile { culture, repetition, path }))
}

#[cfg(test)]
pub(in crate::jobs) mod tests;
