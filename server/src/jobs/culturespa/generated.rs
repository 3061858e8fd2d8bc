//! The questions that the paper's model wrote: 13 files of 1,000, one per topic, before any filter.

use std::path::{Path, PathBuf};

use domain::filter::{Filter, FilterCounts, FilterRules};
use domain::generation::GeneratedQuestion;
use domain::survey::Survey;
use serde::Deserialize;
use serde_json::Value;

use super::survey::read_survey;
use super::{JobError, bad, read};

/// Topics of the release; the files are numbered from 0.
const TOPICS: usize = 13;

const HINT: &str = "Give the folder that holds `data/` and, in it, a folder with \
                    `generated_questions_topic_0_from_all_seed.json` and the other topics.";

/// The generated questions with what a filter needs to judge them.
#[derive(Debug, Clone)]
pub struct GeneratedFiles {
    /// Questions in the order of the files; `None` where an option or the question isn't a text.
    pub questions: Vec<Option<GeneratedQuestion>>,
    /// The survey with the texts that nobody evaluates.
    survey: Survey,
}

#[derive(Deserialize)]
struct Raw {
    question: Value,
    option_lst: Value,
}

/// Reads the generated questions under `dir`.
///
/// # Errors
/// [`JobError::BadFile`] naming the file and the broken rule.
pub fn read_generated(dir: &Path) -> Result<GeneratedFiles, JobError> {
    let survey = read_survey(dir)?;
    let folder = folder_of(&dir.join("data"))?;
    let mut questions = Vec::new();
    for topic in 0..TOPICS {
        let raw: Vec<Raw> = read(&folder.join(file_name(topic)))?;
        questions.extend(raw.into_iter().map(question));
    }
    Ok(GeneratedFiles { questions, survey })
}

impl GeneratedFiles {
    /// Filters all questions in order. Returns the kept ones with their place in the files, and what
    /// became of all of them; an unreadable one isn't seen by the filter.
    pub fn filtered(&self, rules: FilterRules) -> (Vec<(usize, GeneratedQuestion)>, FilterCounts) {
        let mut filter = Filter::new(&self.survey, rules);
        let mut kept = Vec::new();
        for (place, question) in self.questions.iter().enumerate() {
            if let Some(Ok(question)) = question.as_ref().map(|question| filter.admit(question)) {
                kept.push((place, question));
            }
        }
        (kept, filter.counts().clone())
    }
}

fn question(raw: Raw) -> Option<GeneratedQuestion> {
    let options =
        raw.option_lst.as_array()?.iter().map(|option| option.as_str().map(str::to_owned));
    Some(GeneratedQuestion {
        question: raw.question.as_str()?.to_owned(),
        options: options.collect::<Option<_>>()?,
    })
}

fn file_name(topic: usize) -> String {
    format!("generated_questions_topic_{topic}_from_all_seed.json")
}

/// The first folder in `data` that holds the files of a model, by name.
fn folder_of(data: &Path) -> Result<PathBuf, JobError> {
    let entries = std::fs::read_dir(data)
        .map_err(|error| bad(data, format!("can't be read: {error}"), HINT))?;
    let folders = entries.filter_map(Result::ok).map(|entry| entry.path());
    let found = folders.filter(|folder| folder.join(file_name(0)).is_file()).min();
    found.ok_or_else(|| bad(data, "holds no folder with generated questions", HINT))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::filter::{DropReason, Rewrite};

    use super::super::results::tests::release;
    use super::*;

    /// Every count that the method's description gives for the released questions (step 1).
    #[test]
    fn the_released_questions_are_filtered_as_published() {
        let Some(dir) = release() else { return };
        let files = read_generated(&dir).unwrap();
        assert_eq!(files.questions.iter().flatten().count(), 13_000);
        let (kept, counts) = files.filtered(FilterRules::PAPER);
        assert_eq!((counts.seen, counts.kept, kept.len()), (13_000, 12_847, 12_847));
        let dropped = |reason| counts.dropped.get(&reason).copied().unwrap_or_default();
        assert_eq!(dropped(DropReason::Duplicate) + dropped(DropReason::InSurvey), 109);
        assert_eq!(dropped(DropReason::NumbersOnly), 31);
        assert_eq!(dropped(DropReason::MixedLabels), 13);
        let rewritten =
            BTreeMap::from([(Rewrite::NumbersStripped, 2_833), (Rewrite::LabelsMoved, 23)]);
        assert_eq!(counts.rewritten, rewritten);
        // The one list of ranges stays as it is.
        let (_, ranges) = kept.iter().find(|(place, _)| *place == 1_879).unwrap();
        assert!(ranges.options[0].starts_with("1-3"), "{ranges:?}");
    }

    #[test]
    fn the_careful_rules_drop_more_of_the_released_questions() {
        let Some(dir) = release() else { return };
        let files = read_generated(&dir).unwrap();
        let (_, counts) = files.filtered(FilterRules::CAREFUL);
        assert_eq!(counts.kept, 12_681, "{counts:?}");
        let long = counts.dropped[&DropReason::TooManyOptions];
        assert!((1..=9).contains(&long), "nine lists have eleven options, {long} are left here");
        // All of them are English: whatever the rule drops here is a mistake.
        assert_eq!(counts.dropped.get(&DropReason::OtherLanguage), None);
        let near = counts.dropped[&DropReason::NearDuplicate];
        assert!((50..500).contains(&near), "{near}");
    }
}
