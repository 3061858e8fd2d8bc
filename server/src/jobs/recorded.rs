//! Answers that somebody recorded, as voices that can be looked at and compared but not asked.
//!
//! The files are in the layout of the paper's release; a recorded run is a finished survey run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use app::api::JobState;
use domain::survey::Survey;
use domain::voice::Voice;

use super::culturespa::results::{Answers, ResultFile, read_answers, result_files};
use super::import::draft::slug;
use super::survey_run::{self, ANSWERS, Settings};
use super::{JobError, culturespa};
use crate::store::{NewRun, RunKind, Store, Unit};

/// A recorded run as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRun {
    /// The run's name.
    pub id: String,
    /// The model's name, as its folder is called.
    pub model: String,
    /// Voices.
    pub voices: usize,
    /// Answers.
    pub answers: usize,
    /// Answers that name no option: refusals for instance. They are left out and counted.
    pub unreadable: usize,
}

/// Stores the recorded answers under `dir` as finished survey runs of `survey`, one per model and
/// repetition. The same files again change nothing.
///
/// # Errors
/// [`JobError::BadFile`] for a file that breaks a rule; then none is stored.
pub async fn record(
    store: &Store,
    survey: &Survey,
    dir: &Path,
) -> Result<Vec<RecordedRun>, JobError> {
    let mut groups: BTreeMap<(PathBuf, String), Vec<(ResultFile, Answers)>> = BTreeMap::new();
    for file in result_files(&culturespa::result_folder(dir))? {
        let answers = read_answers(&file.path, survey)?;
        let folder = file.path.parent().unwrap_or(dir).to_owned();
        groups.entry((folder, file.repetition.clone())).or_default().push((file, answers));
    }
    // Everything is read before anything is stored.
    let mut runs = Vec::new();
    for ((folder, repetition), files) in groups {
        let name = folder.file_name().and_then(|name| name.to_str());
        let model = name.filter(|_| folder != dir).unwrap_or("Recorded answers").to_owned();
        runs.push(store_run(store, survey, &model, &repetition, files).await?);
    }
    Ok(runs)
}

async fn store_run(
    store: &Store,
    survey: &Survey,
    model: &str,
    repetition: &str,
    mut files: Vec<(ResultFile, Answers)>,
) -> Result<RecordedRun, JobError> {
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
            let asked = survey.question(question);
            let chosen = asked.and_then(|asked| Some((asked, asked.index_of((*answer)?)?)));
            let Some((asked, index)) = chosen else {
                unreadable += 1;
                continue;
            };
            let mut shares = vec![0.0; asked.options.len()];
            shares[index] = 1.0;
            let key = survey_run::key(number, question.as_str());
            units.push(Unit { key, result: shares });
        }
    }
    let id = format!("{}-{}-{repetition}", survey.id, slug(model));
    let total = survey.evaluated().len() * voices.len();
    let settings = Settings::recorded(&survey.id, voices, model);
    let new = NewRun { id: Some(&id), kind: RunKind::Survey, settings: &settings, total };
    let run = store.create_run(new).await?;
    if run.state != JobState::Done {
        store.record_units(&run.id, ANSWERS, &units).await?;
        store.set_state(&run.id, JobState::Done, None).await?;
    }
    Ok(RecordedRun {
        id: run.id,
        model: model.to_owned(),
        voices: files.len(),
        answers: units.len(),
        unreadable,
    })
}

#[cfg(test)]
mod tests {
    use domain::answer::SurveyAnswer;
    use domain::culture::CultureCode;
    use domain::score::{Metric, evaluate};

    use super::super::culturespa::read_survey;
    use super::super::culturespa::results::tests::{folder, release};
    use super::*;

    async fn recorded(dir: &Path) -> (Store, Survey, Vec<RecordedRun>, tempfile::TempDir) {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).await.unwrap();
        let survey = read_survey(dir).unwrap();
        store.put_survey(&survey).await.unwrap();
        let runs = record(&store, &survey, dir).await.unwrap();
        (store, survey, runs, data)
    }

    #[tokio::test]
    async fn recorded_answers_become_a_finished_run() {
        let folder = folder(&[]);
        let (store, survey, runs, _data) = recorded(folder.path()).await;
        assert_eq!(runs.len(), 1);
        let run = &runs[0];
        assert_eq!((run.id.as_str(), run.model.as_str()), ("culturespa-model-0", "model"));
        assert_eq!((run.voices, run.answers, run.unreadable), (2, 5, 1));
        let stored = store.run(&run.id).await.unwrap();
        assert_eq!((stored.kind, stored.state), (RunKind::Survey, JobState::Done));
        assert_eq!((stored.answered, stored.total), (5, 6));
        // The same files again change nothing.
        assert_eq!(record(&store, &survey, folder.path()).await.unwrap(), runs);
        assert_eq!(store.runs(RunKind::Survey).await.unwrap(), [stored]);
    }

    #[tokio::test]
    async fn a_broken_file_leaves_no_run_behind() {
        let broken = ("result/model/wvs_result_culture_aware_USA_1.json", "{");
        let folder = folder(&[broken]);
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).await.unwrap();
        let survey = read_survey(folder.path()).unwrap();
        assert!(record(&store, &survey, folder.path()).await.is_err());
        assert!(store.runs(RunKind::Survey).await.unwrap().is_empty());
    }

    /// The scores that the paper's rule gives for the files are those that a page computes.
    #[tokio::test]
    async fn the_released_answers_open_with_their_published_scores() {
        let Some(dir) = release() else { return };
        let (store, survey, runs, _data) = recorded(&dir).await;
        assert_eq!((runs.len(), runs[0].voices), (1, 13));
        assert_eq!(runs[0].model, "Meta-Llama-3-8B-Instruct");
        let units: BTreeMap<String, Vec<f64>> = store.units(&runs[0].id, ANSWERS).await.unwrap();
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
