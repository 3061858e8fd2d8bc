//! Answers that somebody recorded, as voices that can be looked at and compared but not asked.
//!
//! The files are in the layout of the paper's release; a recorded run is a finished survey run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use app::api::import::RecordedRun;
use domain::culture::CultureCode;
use domain::question::QuestionId;
use domain::survey::Survey;
use domain::voice::Voice;
use sha2::{Digest, Sha256};

use super::culturespa::results::{Answers, ResultFile, ResultFiles, read_answers, result_files};
use super::import::rejections::{Place, Rejections};
use super::import::rules::slug;
use super::survey_run::{self, ANSWERS, Settings};
use super::{JobError, culturespa};
use crate::store::{FinishedRun, Unit};

/// The answers of one model in one repetition, by the culture that was named; `None`: none was.
type Voices = BTreeMap<Option<CultureCode>, Answers>;

/// The recorded answers of one model in one repetition, read and checked.
#[derive(Debug, Clone)]
pub struct Recording {
    id: String,
    model: String,
    voices: Vec<Voice>,
    units: Vec<Unit<Vec<f64>>>,
    unreadable: usize,
}

/// Reads the recorded answers to `survey` under `dir`, by model and repetition. `name` names the model;
/// otherwise its folder does, and files that lie in none are named after what they hold.
///
/// Files and rows that break a rule are rejected and left out.
///
/// # Errors
/// [`JobError::BadFile`] for a file that can't be read as text, a refusal of a name that can't be used.
pub fn read(
    survey: &Survey,
    dir: &Path,
    name: Option<&str>,
    rejections: &mut Rejections,
) -> Result<Vec<Recording>, JobError> {
    let top = culturespa::result_folder(dir);
    let ResultFiles { files, misnamed } = result_files(&top)?;
    let place = |file: &Path, line| {
        let file = file.strip_prefix(dir).unwrap_or(file).display().to_string();
        Place { file, line }
    };
    for (file, rule) in misnamed {
        rejections.push(&place(&file, 1), rule);
    }
    let mut models: BTreeMap<PathBuf, BTreeMap<String, Voices>> = BTreeMap::new();
    for ResultFile { path, culture, repetition } in files {
        if let Some(code) = culture.filter(|code| survey.culture(*code).is_none()) {
            let rule = format!("its name has `{code}`, which is no culture of the survey");
            rejections.push(&place(&path, 1), rule);
            continue;
        }
        let mut fault = |line, rule: String| rejections.push(&place(&path, line), rule);
        let Some(answers) = read_answers(&path, survey, &mut fault)? else { continue };
        let folder = path.parent().unwrap_or(dir).to_owned();
        let voices = models.entry(folder).or_default().entry(repetition).or_default();
        if voices.contains_key(&culture) {
            fault(1, "another file has the answers of this voice already".to_owned());
            continue;
        }
        voices.insert(culture, answers);
    }
    let several = models.len() > 1;
    let mut recordings = Vec::new();
    for (folder, repetitions) in models {
        let model = match name {
            Some(name) if several => {
                return Err(JobError::refused(
                    format!("`{name}` can't name the answers of several models"),
                    "Import each model's folder for itself, or leave the name to the folders.",
                ));
            }
            Some(name) => name.trim().to_owned(),
            None => {
                let own = folder.file_name().and_then(|name| name.to_str());
                let own = own.filter(|own| folder != top && !slug(own).is_empty());
                own.map_or_else(|| content_name(&repetitions), str::to_owned)
            }
        };
        if slug(&model).is_empty() {
            return Err(JobError::refused(
                format!("`{model}` can't name recorded answers: it holds no Latin letter or digit"),
                "Add one.",
            ));
        }
        for (repetition, voices) in repetitions {
            recordings.push(Recording::new(survey, &model, &repetition, voices)?);
        }
    }
    for (place, Recording { id, model, .. }) in recordings.iter().enumerate() {
        if recordings[..place].iter().any(|other| other.id == *id) {
            return Err(JobError::refused(
                format!(
                    "two folders of answers would become the run `{id}`, one of them `{model}`"
                ),
                "Rename one of the folders.",
            ));
        }
    }
    Ok(recordings)
}

/// A name for answers that came without one: the same for the same answers.
fn content_name(repetitions: &BTreeMap<String, Voices>) -> String {
    let mut hash = Sha256::new();
    for (repetition, voices) in repetitions {
        hash.update(format!("{}:{repetition}\n", repetition.len()));
        for (culture, answers) in voices {
            let code = culture.as_ref().map_or("unaware", |code| code.as_str());
            hash.update(format!("{code} {}\n", answers.len()));
            for (question, answer) in answers {
                hash.update(format!("{}:{question} {answer:?}\n", question.as_str().len()));
            }
        }
    }
    let hash = format!("{:x}", hash.finalize());
    format!("recording-{}", &hash[..8])
}

impl Recording {
    fn new(
        survey: &Survey,
        model: &str,
        repetition: &str,
        voices: Voices,
    ) -> Result<Self, JobError> {
        let place = |culture: &Option<CultureCode>| {
            culture.map(|code| survey.cultures.iter().position(|culture| culture.code == code))
        };
        let mut voices: Vec<(Option<CultureCode>, Answers)> = voices.into_iter().collect();
        voices.sort_by_key(|(culture, _)| place(culture));
        let (mut units, mut unreadable) = (Vec::new(), 0);
        for (number, (_, answers)) in voices.iter().enumerate() {
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
        let voices: Vec<Voice> = voices
            .into_iter()
            .map(|(culture, _)| culture.map_or_else(Voice::unaware, Voice::aware))
            .collect();
        survey_run::check(survey, &voices)?;
        let id = format!("{}-{}-{}", survey.id, slug(model), slug(repetition));
        Ok(Self { id, model: model.to_owned(), voices, units, unreadable })
    }

    /// What a report says of it, and the finished survey run that it becomes.
    pub(super) fn finished(
        self,
        survey: &Survey,
    ) -> (RecordedRun, FinishedRun<Settings, Vec<f64>>) {
        let Self { id, model, voices, units, unreadable } = self;
        let told = RecordedRun {
            run: id.clone(),
            model: model.clone(),
            voices: voices.len(),
            answers: units.len(),
            unreadable,
            unchanged: false,
        };
        let total = survey.evaluated().len() * voices.len();
        let settings = Settings::recorded(survey, voices, &model);
        (told, FinishedRun { id, settings, total, step: ANSWERS, units })
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
    use std::collections::BTreeSet;
    use std::fs;

    use app::api::JobState;
    use app::api::import::{ImportOutcome, ImportReport};
    use domain::answer::SurveyAnswer;
    use domain::score::{Metric, evaluate};

    use super::super::culturespa::results::tests::{folder, release};
    use super::super::import::{ImportOptions, import};
    use super::*;
    use crate::store::{RunKind, Store};

    const AWARE: &str = "result/model/wvs_result_culture_aware_USA_0.json";

    async fn store() -> (tempfile::TempDir, Store) {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).await.unwrap();
        (data, store)
    }

    async fn try_import(
        store: &Store,
        dir: &Path,
        options: ImportOptions,
    ) -> Result<ImportReport, JobError> {
        import(store, dir.to_owned(), options).await
    }

    async fn imported(store: &Store, dir: &Path) -> ImportReport {
        try_import(store, dir, ImportOptions::default()).await.unwrap()
    }

    fn named(name: &str) -> ImportOptions {
        ImportOptions { name: Some(name.to_owned()), ..ImportOptions::default() }
    }

    /// The made-up folder's files side by side, as an upload brings them.
    fn side_by_side(changes: &[(&str, &str)]) -> tempfile::TempDir {
        let (from, to) = (folder(changes), tempfile::tempdir().unwrap());
        for place in ["data", "result/model"] {
            for file in fs::read_dir(from.path().join(place)).unwrap() {
                let file = file.unwrap().path();
                fs::copy(&file, to.path().join(file.file_name().unwrap())).unwrap();
            }
        }
        to
    }

    #[tokio::test]
    async fn recorded_answers_become_a_finished_run() {
        let folder = folder(&[]);
        let (_data, store) = store().await;
        let report = imported(&store, folder.path()).await;
        assert_eq!((report.outcome, report.recorded.len()), (ImportOutcome::Stored, 1));
        let run = &report.recorded[0];
        assert_eq!((run.run.as_str(), run.model.as_str()), ("culturespa-model-0", "model"));
        assert_eq!((run.voices, run.answers, run.unreadable), (2, 5, 1));
        let kept = store.run(&run.run).await.unwrap();
        assert_eq!((kept.kind, kept.state), (RunKind::Survey, JobState::Done));
        assert_eq!((kept.answered, kept.total), (5, 6));
        // The same files again change nothing.
        let again = imported(&store, folder.path()).await;
        assert_eq!((again.outcome, again.recorded[0].unchanged), (ImportOutcome::Unchanged, true));
        assert_eq!(store.runs(RunKind::Survey).await.unwrap(), [kept]);
    }

    #[tokio::test]
    async fn other_answers_under_the_same_name_are_refused_and_can_be_named() {
        let first = folder(&[]);
        let (_data, store) = store().await;
        let run = imported(&store, first.path()).await.recorded.remove(0).run;
        let kept = store.units::<Vec<f64>>(&run, ANSWERS).await.unwrap();
        for (file, answers, expect) in [
            (
                AWARE,
                r#"[{"Q_id": "Q1", "answer": "2"}, {"Q_id": "Q2", "answer": "2"}]"#,
                "1 answers",
            ),
            // One more answer, and one less.
            (
                AWARE,
                r#"[{"Q_id": "Q1", "answer": "3"}, {"Q_id": "Q2", "answer": 2}, {"Q_id": "Q94", "answer": "0"}]"#,
                "1 answers aren't the same",
            ),
            (AWARE, r#"[{"Q_id": "Q1", "answer": "3"}]"#, "1 answers aren't the same"),
            (
                "result/model/wvs_result_culture_aware_THA_0.json",
                "[]",
                "the voices aren't the same",
            ),
        ] {
            // Another title of the survey would show if it were stored without them.
            let people = r#"{"USA": {"Q1": {"4": 0.9}}}"#;
            let other =
                folder(&[(file, answers), ("data/proportions_group_by_country.json", people)]);
            let survey = store.survey("culturespa").await.unwrap();
            if file.contains("THA") {
                // A culture that the changed survey doesn't have would be rejected before.
                fs::copy(
                    first.path().join("data/proportions_group_by_country.json"),
                    other.path().join("data/proportions_group_by_country.json"),
                )
                .unwrap();
            }
            let error = try_import(&store, other.path(), ImportOptions::default()).await;
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains(expect) && error.contains("5 recorded answers of `model`"),
                "{error}"
            );
            assert!(error.contains("`culturespa-model-0`") && error.contains("--name"), "{error}");
            assert_eq!(
                store.survey("culturespa").await.unwrap(),
                survey,
                "nothing is half-imported"
            );
            assert_eq!(store.units::<Vec<f64>>(&run, ANSWERS).await.unwrap(), kept);
        }
        let other = folder(&[(AWARE, r#"[{"Q_id": "Q1", "answer": "2"}]"#)]);
        let report = try_import(&store, other.path(), named("Model, corrected")).await.unwrap();
        assert_eq!(report.recorded[0].run, "culturespa-model-corrected-0");
        assert_eq!(store.runs(RunKind::Survey).await.unwrap().len(), 2);
        for (name, expect) in [("语言", "no Latin letter"), ("  ", "no Latin letter")] {
            let error = try_import(&store, other.path(), named(name)).await.unwrap_err();
            assert!(error.to_string().contains(expect), "{error}");
        }
    }

    #[tokio::test]
    async fn uploads_of_two_models_are_two_runs() {
        let (_data, store) = store().await;
        let (first, second) = (side_by_side(&[]), side_by_side(&[(AWARE, "[]")]));
        let mut runs = BTreeSet::new();
        for folder in [&first, &second, &first] {
            let report = imported(&store, folder.path()).await;
            assert!(report.recorded[0].model.starts_with("recording-"), "{report:?}");
            runs.insert(report.recorded[0].run.clone());
        }
        assert_eq!(runs.len(), 2, "the same files have the same name");
        let report = try_import(&store, first.path(), named("Llama")).await.unwrap();
        assert_eq!(report.recorded[0].run, "culturespa-llama-0");
        assert_eq!(store.runs(RunKind::Survey).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn one_name_is_not_for_several_models() {
        let (_data, store) = store().await;
        let other = AWARE.replace("/model/", "/other/");
        let several = folder(&[(other.as_str(), "[]")]);
        let error = try_import(&store, several.path(), named("both")).await.unwrap_err();
        assert!(error.to_string().contains("several models"), "{error}");
        assert_eq!(imported(&store, several.path()).await.recorded.len(), 2);
        let other = AWARE.replace("/model/", "/MODEL/");
        let alike = folder(&[(other.as_str(), "[]")]);
        let error = try_import(&store, alike.path(), ImportOptions::default()).await.unwrap_err();
        assert!(error.to_string().contains("would become the run `culturespa-model-0`"), "{error}");
    }

    #[tokio::test]
    async fn every_fault_of_result_files_is_told_and_stops_the_import() {
        let (_data, store) = store().await;
        let folder = folder(&[
            ("result/model/wvs_result_culture_aware_usa_0.json", "[]"),
            ("result/model/wvs_result_culture_0.json", "[]"),
            ("result/model/wvs_result_culture_aware_KEN_0.json", "[]"),
            ("result/model/wvs_result_culture_aware_THA_0.json", "[\n{\n"),
            (
                AWARE,
                "[{\"Q_id\": \"Q1\", \"answer\": \"3\"},\n{\"Q_id\": \"Q1\", \"answer\": 2},\n\
                 {\"Q_id\": \"Q7\", \"answer\": 2},\n{\"Q_id\": \"Q2\"}]",
            ),
        ]);
        let report = imported(&store, folder.path()).await;
        assert_eq!((report.outcome, report.rejected_total), (ImportOutcome::Refused, 7));
        for (file, line, expect) in [
            ("aware_usa_0", 1, "`usa` in its name must be a culture code"),
            ("culture_0", 1, "must go on with `unaware`"),
            ("aware_KEN_0", 1, "`KEN`, which is no culture"),
            ("aware_THA_0", 3, "doesn't have its shape"),
            ("aware_USA_0", 2, "`Q1` must be answered once"),
            ("aware_USA_0", 3, "`Q7` must be a question"),
            ("aware_USA_0", 4, "missing field `answer`"),
        ] {
            let told = report.rejected.iter().any(|row| {
                let named = row.file.starts_with("result/model/") && row.file.contains(file);
                named && row.line == line && row.reason.contains(expect)
            });
            assert!(told, "{expect}: {:?}", report.rejected);
        }
        assert!(store.runs(RunKind::Survey).await.unwrap().is_empty());
        assert!(store.surveys().await.unwrap().is_empty(), "not even the survey is stored");
        let skip = ImportOptions { skip_rejected: true, ..ImportOptions::default() };
        let report = try_import(&store, folder.path(), skip).await.unwrap();
        assert_eq!(report.outcome, ImportOutcome::Stored);
        assert_eq!(report.recorded[0].answers, 4, "what keeps the rules: {report:?}");
    }

    /// The scores that the paper's rule gives for the files are those that a page computes.
    #[tokio::test]
    async fn the_released_answers_open_with_their_published_scores() {
        let Some(dir) = release() else { return };
        let (_data, store) = store().await;
        let runs = imported(&store, &dir).await.recorded;
        let survey = store.survey("culturespa").await.unwrap();
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
