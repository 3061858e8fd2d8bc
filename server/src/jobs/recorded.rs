//! Answers that somebody recorded, as voices that can be looked at and compared but not asked.
//!
//! The files are in the layout of the paper's release; a recorded run is a finished survey run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use app::api::JobState;
use app::api::import::RecordedRun;
use domain::question::QuestionId;
use domain::survey::Survey;
use domain::voice::Voice;

use super::culturespa::results::{Answers, ResultFile, read_answers, result_files};
use super::import::rules::slug;
use super::survey_run::{self, ANSWERS, Settings};
use super::{JobError, culturespa};
use crate::store::{NewRun, RunKind, Store, Unit};

/// The recorded answers of one model in one repetition, read and checked.
#[derive(Debug, Clone)]
pub struct Recording {
    id: String,
    model: String,
    voices: Vec<Voice>,
    units: Vec<Unit<Vec<f64>>>,
    unreadable: usize,
}

/// Reads the recorded answers to `survey` under `dir`, by model and repetition.
///
/// # Errors
/// [`JobError::BadFile`] for a file that breaks a rule.
pub fn read(survey: &Survey, dir: &Path) -> Result<Vec<Recording>, JobError> {
    let mut groups: BTreeMap<(PathBuf, String), Vec<(ResultFile, Answers)>> = BTreeMap::new();
    for file in result_files(&culturespa::result_folder(dir))? {
        let answers = read_answers(&file.path, survey)?;
        let folder = file.path.parent().unwrap_or(dir).to_owned();
        groups.entry((folder, file.repetition.clone())).or_default().push((file, answers));
    }
    let recording = |((folder, repetition), files): ((PathBuf, String), _)| {
        // Files that were uploaded lie in no folder that has the model's name.
        let name = folder.file_name().and_then(|name| name.to_str()).filter(|_| folder != dir);
        Recording::new(survey, name.unwrap_or("an upload"), &repetition, files)
    };
    groups.into_iter().map(recording).collect()
}

impl Recording {
    fn new(
        survey: &Survey,
        model: &str,
        repetition: &str,
        mut files: Vec<(ResultFile, Answers)>,
    ) -> Result<Self, JobError> {
        let place = |file: &ResultFile| {
            file.culture.map(|code| survey.cultures.iter().position(|culture| culture.code == code))
        };
        files.sort_by_key(|(file, _)| place(file));
        let voice = |file: &ResultFile| file.culture.map_or_else(Voice::unaware, Voice::aware);
        let voices: Vec<Voice> = files.iter().map(|(file, _)| voice(file)).collect();
        survey_run::check(survey, &voices)?;
        let (mut units, mut unreadable) = (Vec::new(), 0);
        for (number, (_, answers)) in files.iter().enumerate() {
            for (question, answer) in answers {
                match chosen(survey, question, *answer) {
                    Some(result) => {
                        let key = survey_run::key(number, question.as_str());
                        units.push(Unit { key, result });
                    }
                    None => unreadable += 1,
                }
            }
        }
        let id = format!("{}-{}-{repetition}", survey.id, slug(model));
        Ok(Self { id, model: model.to_owned(), voices, units, unreadable })
    }

    /// Stores it as a finished survey run. The same recording again changes nothing.
    ///
    /// # Errors
    /// [`crate::store::StoreError::RunExists`] where the run's name is taken by other voices.
    pub async fn store(&self, store: &Store, survey: &Survey) -> Result<RecordedRun, JobError> {
        let total = survey.evaluated().len() * self.voices.len();
        let settings = Settings::recorded(&survey.id, self.voices.clone(), &self.model);
        let new = NewRun { id: Some(&self.id), kind: RunKind::Survey, settings: &settings, total };
        let run = store.create_run(new).await?;
        if run.state != JobState::Done {
            store.record_units(&run.id, ANSWERS, &self.units).await?;
            store.set_state(&run.id, JobState::Done, None).await?;
        }
        Ok(RecordedRun {
            run: run.id,
            model: self.model.clone(),
            voices: self.voices.len(),
            answers: self.units.len(),
            unreadable: self.unreadable,
        })
    }
}

/// All of the probability on the option that was named; `None` where it isn't one of the question's.
fn chosen(survey: &Survey, question: &QuestionId, answer: Option<u32>) -> Option<Vec<f64>> {
    let asked = survey.question(question)?;
    let index = asked.index_of(answer?)?;
    let mut shares = vec![0.0; asked.options.len()];
    shares[index] = 1.0;
    Some(shares)
}

#[cfg(test)]
mod tests {
    use domain::answer::SurveyAnswer;
    use domain::culture::CultureCode;
    use domain::score::{Metric, evaluate};

    use super::super::culturespa::read_survey;
    use super::super::culturespa::results::tests::{folder, release};
    use super::super::import::{ImportOptions, import};
    use super::*;

    async fn recorded(dir: &Path) -> (Store, Survey, Vec<RecordedRun>, tempfile::TempDir) {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).await.unwrap();
        let survey = read_survey(dir).unwrap();
        store.put_survey(&survey).await.unwrap();
        let runs = stored(&store, &survey, dir).await;
        (store, survey, runs, data)
    }

    async fn stored(store: &Store, survey: &Survey, dir: &Path) -> Vec<RecordedRun> {
        let mut runs = Vec::new();
        for recording in read(survey, dir).unwrap() {
            runs.push(recording.store(store, survey).await.unwrap());
        }
        runs
    }

    #[tokio::test]
    async fn recorded_answers_become_a_finished_run() {
        let folder = folder(&[]);
        let (store, survey, runs, _data) = recorded(folder.path()).await;
        assert_eq!(runs.len(), 1);
        let run = &runs[0];
        assert_eq!((run.run.as_str(), run.model.as_str()), ("culturespa-model-0", "model"));
        assert_eq!((run.voices, run.answers, run.unreadable), (2, 5, 1));
        let kept = store.run(&run.run).await.unwrap();
        assert_eq!((kept.kind, kept.state), (RunKind::Survey, JobState::Done));
        assert_eq!((kept.answered, kept.total), (5, 6));
        // The same files again change nothing.
        assert_eq!(stored(&store, &survey, folder.path()).await, runs);
        assert_eq!(store.runs(RunKind::Survey).await.unwrap(), [kept]);
    }

    #[tokio::test]
    async fn a_broken_file_stops_the_whole_import() {
        let broken = ("result/model/wvs_result_culture_aware_USA_1.json", "{");
        let folder = folder(&[broken]);
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).await.unwrap();
        let error = import(&store, folder.path().to_owned(), ImportOptions::default()).await;
        assert!(error.unwrap_err().to_string().contains("aware_USA_1.json"));
        assert!(store.runs(RunKind::Survey).await.unwrap().is_empty());
        assert!(store.surveys().await.unwrap().is_empty(), "not even the survey is stored");
    }

    /// The scores that the paper's rule gives for the files are those that a page computes.
    #[tokio::test]
    async fn the_released_answers_open_with_their_published_scores() {
        let Some(dir) = release() else { return };
        let (store, survey, runs, _data) = recorded(&dir).await;
        assert_eq!((runs.len(), runs[0].voices), (1, 13));
        assert_eq!(runs[0].model, "Meta-Llama-3-8B-Instruct");
        let units: BTreeMap<String, Vec<f64>> = store.units(&runs[0].run, ANSWERS).await.unwrap();
        // The unaware voice comes first, then the cultures in the survey's order.
        for (voice, code, expect) in [(0, "USA", 68.34), (1, "USA", 71.12), (0, "ZWE", 53.13)] {
            let answer = |question: &domain::question::Question| {
                let key = survey_run::key(voice, question.id.as_str());
                let probabilities = units.get(&key)?.clone();
                Some(SurveyAnswer { question: question.id.clone(), probabilities })
            };
            let answers: Vec<SurveyAnswer> = survey.questions.iter().filter_map(answer).collect();
            let code: CultureCode = code.parse().unwrap();
            let metric = Metric::Alignment;
            let score = evaluate(&survey, code, &answers, metric, &Default::default()).unwrap();
            assert!((100.0 * score.score - expect).abs() < 0.01, "{code} {voice}: {}", score.score);
        }
    }
}
