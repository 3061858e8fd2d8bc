//! Recorded answers of the release, scored by the paper's rule (method, "Score").

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use domain::answer::{LARGEST_SCORED, first_integer};
use domain::culture::CultureCode;
use domain::prompt::PromptStyle;
use domain::question::{Question, QuestionId};
use domain::score::{Metric, Scored, alignment};
use domain::survey::Survey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{JobError, LAYOUT_HINT, bad, broken, layout, survey::read_survey};
use crate::jobs::evaluate::Baselines;
use crate::jobs::import::lines::{Document, value};

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
    /// What answering the same questions without looking reaches, x 100. Not part of the JSON lines, whose
    /// keys are fixed.
    #[serde(skip)]
    pub baselines: Baselines,
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
    let folder = result_folder(dir);
    let ResultFiles { files, misnamed } = result_files(&folder)?;
    if let Some((file, rule)) = misnamed.into_iter().next() {
        return Err(broken(&file, rule));
    }
    if files.is_empty() {
        let rule = "holds no file named like `wvs_result_culture_aware_THA_0.json`";
        return Err(bad(&folder, rule, LAYOUT_HINT));
    }
    let mut rows = Vec::new();
    for ResultFile { path: file, culture, .. } in files {
        let mut faults = Vec::new();
        let answers = read_answers(&file, &survey, &mut |line, rule| faults.push((line, rule)))?;
        if let Some((line, rule)) = faults.into_iter().next() {
            return Err(broken(&file, format!("line {line}: {rule}")));
        }
        let answers = answers.unwrap_or_default();
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

/// The files of recorded answers in a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultFiles {
    /// Those whose name can be understood.
    pub files: Vec<ResultFile>,
    /// The others that begin like them, each with the rule that its name breaks.
    pub misnamed: Vec<(PathBuf, String)>,
}

/// The release's `result` folder, or the folder itself where an upload brought files alone.
pub fn result_folder(dir: &Path) -> PathBuf {
    let inside = dir.join("result");
    if inside.is_dir() { inside } else { dir.to_owned() }
}

/// Reads one file's answers to questions of `survey`. `fault` hears of every row that breaks a rule, by
/// its line: it isn't among the answers. `None` where the file is no list at all.
///
/// # Errors
/// [`JobError::BadFile`] where the file can't be read as text.
pub fn read_answers(
    file: &Path,
    survey: &Survey,
    fault: &mut dyn FnMut(usize, String),
) -> Result<Option<Answers>, JobError> {
    let document = Document::read(file, LAYOUT_HINT)?;
    let mut answers = Answers::new();
    let parts = match document.list() {
        Ok(parts) => parts,
        Err((line, rule)) => {
            fault(line, rule);
            return Ok(None);
        }
    };
    for part in parts {
        if let Err(rule) = take(part, survey, &mut answers) {
            fault(document.place(part).line, rule);
        }
    }
    Ok(Some(answers))
}

/// Adds the answer in a part of a file.
fn take(part: &RawValue, survey: &Survey, answers: &mut Answers) -> Result<(), String> {
    let RawAnswer { id, answer } = value(part)?;
    let id = QuestionId(id);
    if survey.question(&id).is_none() {
        // Answers to questions that nobody evaluates may stand beside the others.
        let number = layout::number(id.as_str());
        return match number.is_some_and(|number| !layout::is_evaluated(number)) {
            true => Ok(()),
            false => Err(format!("`{id}` must be a question of the survey `{}`", survey.id)),
        };
    }
    if answers.contains_key(&id) {
        return Err(format!("`{id}` must be answered once, not twice"));
    }
    let text = match answer {
        Value::String(text) => text,
        other => other.to_string(),
    };
    answers.insert(id, first_integer(&text, LARGEST_SCORED));
    Ok(())
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
    let readable = answers.iter().filter(|(_, answer)| answer.is_some());
    let questions: Vec<&Question> = readable.filter_map(|(id, _)| survey.question(id)).collect();
    ScoreRow {
        culture,
        style,
        score: alignment(&scored).map(|score| (score * 1e6).round() / 1e4),
        answered: scored.len(),
        unreadable: answers.values().filter(|answer| answer.is_none()).count(),
        baselines: Baselines::of(Metric::Alignment, survey, culture, &questions),
        file: file.to_owned(),
    }
}

/// Every `wvs_result_culture_*.json` below `folder`, by path; none is no error.
///
/// # Errors
/// [`JobError::BadFile`] for a folder that can't be read.
pub fn result_files(folder: &Path) -> Result<ResultFiles, JobError> {
    let mut found = ResultFiles::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .map_err(|error| bad(&folder, format!("can't be read: {error}"), LAYOUT_HINT))?;
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                match result_file(&path) {
                    Ok(file) => found.files.extend(file),
                    Err(rule) => found.misnamed.push((path, rule)),
                }
            }
        }
    }
    found.files.sort();
    found.misnamed.sort();
    Ok(found)
}

/// `None` for another file; the broken rule where a name can't be understood.
fn result_file(path: &Path) -> Result<Option<ResultFile>, String> {
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
            (Some(code.parse().map_err(|_| rule)?), rest)
        }
        _ => {
            let rule = "its name must go on with `unaware` or `aware_` and a culture code";
            return Err(rule.to_owned());
        }
    };
    let repetition = if rest.is_empty() { "0".to_owned() } else { rest.join("-") };
    Ok(Some(ResultFile { culture, repetition, path: path.to_owned() }))
}

#[cfg(test)]
pub(in crate::jobs) mod tests;
