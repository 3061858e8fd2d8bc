//! The importer and the paper's rule: on a small made-up folder, and on the release where a copy
//! of it lies.

use std::collections::BTreeMap;

use domain::question::Scale;

use super::*;
use crate::store::Store;

/// Three questions of our own under the release's file names; USA has a tie on Q2, THA misses Q94.
pub(in crate::jobs) fn folder(changes: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        (
            "data/wvs_questions.json",
            r#"[{"Q_id": "Q1", "question": "Is tea good?", "option_lst": ["Yes", "Rather", "Hardly", "No"]},
                {"Q_id": "Q2", "question": "Is rain good?", "option_lst": ["Yes", "No"]},
                {"Q_id": "Q94", "question": "Do you sing?", "option_lst": ["No", "Alone", "In a choir"]},
                {"Q_id": "Q260", "question": "Who are you?", "option_lst": []}]"#,
        ),
        (
            "data/proportions_group_by_country.json",
            r#"{"USA": {"Q1": {"4": 0.5, "1": 0.3}, "Q2": {"2": 0.4, "1": 0.4}, "Q94": {"0": 0.9}},
                "THA": {"Q1": {"1": 0.6, "2": 0.4}, "Q2": {"1": 1.0}, "Q94": {}}}"#,
        ),
        (
            "result/model/wvs_result_culture_aware_USA_0.json",
            r#"[{"Q_id": "Q1", "answer": "3"}, {"Q_id": "Q2", "answer": 2},
                {"Q_id": "Q94", "answer": "I can't say."}]"#,
        ),
        (
            "result/model/wvs_result_culture_unaware_0.json",
            r#"[{"Q_id": "Q1", "answer": "1. Yes"}, {"Q_id": "Q2", "answer": "1"},
                {"Q_id": "Q94", "answer": "2"}]"#,
        ),
    ];
    let mut files: BTreeMap<&str, &str> = files.into();
    files.extend(changes.iter().copied());
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn reads_the_layout_with_its_oddities() {
    let folder = folder(&[]);
    let survey = read_survey(folder.path()).unwrap();
    assert_eq!(survey.questions.len(), 3, "demographic questions are left out");
    assert_eq!(survey.questions[2].first_number, 0);
    assert_eq!(survey.questions[2].scale, Scale::Ordered);
    let usa = "USA".parse().unwrap();
    let tie = survey.people(usa, &"Q2".into()).unwrap();
    assert_eq!((tie.mode, &tie.shares), (2, &vec![0.4, 0.4]), "the file's order resolves a tie");
    assert_eq!(survey.people(usa, &"Q94".into()).unwrap().mode, 0);
    assert_eq!(survey.people("THA".parse().unwrap(), &"Q94".into()), None);
    let codes: Vec<_> = survey.cultures.iter().map(|c| c.code.to_string()).collect();
    assert_eq!(codes, ["USA", "THA"]);
}

#[test]
fn scores_aware_once_and_unaware_per_culture() {
    let folder = folder(&[]);
    let rows = score_results(folder.path()).unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row.culture.to_string(), row.style, row.answered, row.unreadable))
        .collect();
    let (aware, unaware) = (PromptStyle::Aware, PromptStyle::Unaware);
    assert_eq!(
        found,
        [
            ("USA".to_owned(), aware, 2, 1),
            ("USA".to_owned(), unaware, 3, 0),
            ("THA".to_owned(), unaware, 2, 0),
        ]
    );
    // Errors 1 and 0 on widths 3 and 1; errors 3, 1 and 2 on widths 3, 1 and 2; no error at all.
    for (row, expect) in rows.iter().zip([1.0 - (1.0f64 / 10.0).sqrt(), 0.0, 1.0]) {
        assert!((row.score.unwrap() - 100.0 * expect).abs() < 1e-3, "{row:?}");
    }
    // Of the same questions: on Q1 the middle is 1.5 from people's 4 and 1, on Q2 and Q94 half an option
    // and one from theirs.
    for (row, middle) in rows.iter().zip([
        1.0 - (2.5f64 / 10.0).sqrt(),
        1.0 - (3.5f64 / 14.0).sqrt(),
        1.0 - (2.5f64 / 10.0).sqrt(),
    ]) {
        assert!((row.baselines.middle.unwrap() - 100.0 * middle).abs() < 1e-9, "{row:?}");
        assert_eq!(row.baselines.like_usa.is_none(), row.culture.as_str() == "USA", "{row:?}");
    }
    let json = serde_json::to_value(&rows[0]).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
}

#[tokio::test]
async fn importing_twice_changes_nothing() {
    let (folder, data) = (folder(&[]), tempfile::tempdir().unwrap());
    let store = Store::open(data.path()).await.unwrap();
    let survey = read_survey(folder.path()).unwrap();
    assert!(store.put_survey(&survey).await.unwrap());
    assert!(!store.put_survey(&read_survey(folder.path()).unwrap()).await.unwrap());
    assert_eq!(store.survey("culturespa").await.unwrap(), survey);
}

#[test]
fn refusals_name_file_key_and_rule() {
    let reference = "data/proportions_group_by_country.json";
    let questions = "data/wvs_questions.json";
    let aware = "result/model/wvs_result_culture_aware_USA_0.json";
    for (file, content, expect) in [
        (questions, "[", "EOF"),
        (questions, r#"[{"Q_id": "Q1", "question": "?"}]"#, "option_lst"),
        (questions, r#"[{"Q_id": "X", "question": "?", "option_lst": []}]"#, "not `X`"),
        (questions, r#"[{"Q_id": "Q1", "question": "?", "option_lst": ["a"]}]"#, "not 1"),
        (questions, r#"[{"Q_id": "Q1", "question": "?", "option_lst": "a, b"}]"#, "list of texts"),
        (reference, "{\n\"usa\": {\"Q1\": {\"1\": 1}}}", "line 2: `usa` must be a culture"),
        (reference, r#"{"XYZ": {"Q1": {"1": 1}}}"#, "`XYZ` is no known country"),
        (reference, r#"{"USA": {"Q3": {"1": 1.0}}}"#, "no question `Q3`"),
        (
            reference,
            "{\"USA\": {\"Q1\": {\"1\": 1},\n\n\"Q2\":\n{\"5\": 1.0}}}",
            "line 4: `Q2` has options from 1 to 2, not 5",
        ),
        (reference, r#"{"USA": {"Q94": {"3": 1.0}}}"#, "from 0 to 2"),
        (reference, r#"{"USA": {"Q1": {"1": 1.5}}}"#, "not 1.5"),
        (reference, r#"{"USA": {"Q1": {"1": 0.7, "2": 0.7}}}"#, "shares of `Q1` must sum"),
        (reference, r#"{"USA": {"Q1": {"1": "many"}}}"#, "must be a number"),
        (reference, r#"{"USA": {"Q1": {}}}"#, "holds nobody's answers"),
        (aware, r#"[{"Q_id": "Q3", "answer": "1"}]"#, "`Q3`"),
        (aware, r#"{}"#, "shape"),
    ] {
        let folder = folder(&[(file, content)]);
        let error = score_results(folder.path()).unwrap_err().to_string();
        let (message, hint) = error.split_once('\n').unwrap();
        let place = if expect.contains("nobody") { "" } else { file };
        assert!(message.contains(place) && message.contains(expect), "{error}");
        assert!(!hint.is_empty());
    }
    let empty = tempfile::tempdir().unwrap();
    let error = score_results(empty.path()).unwrap_err().to_string();
    assert!(error.contains("wvs_questions.json") && error.contains("Give the folder"), "{error}");
}

/// The release, where a copy of it lies: beside the workspace, or where the variable says.
pub(in crate::jobs) fn release() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference");
    let root = std::env::var_os("POLYLOGUE_REFERENCE").map_or(beside, PathBuf::from);
    let dir = root.join("culturespa");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: no copy of the release at `{}` (POLYLOGUE_REFERENCE)", root.display());
    None
}

#[test]
fn the_release_gives_the_published_reading() {
    let Some(dir) = release() else { return };
    let survey = read_survey(&dir).unwrap();
    assert_eq!((survey.questions.len(), survey.cultures.len(), survey.topics.len()), (259, 19, 13));
    let missing = |code: &str| 259 - survey.reference[&code.parse().unwrap()].len();
    for (code, expect) in [("CHN", 37), ("GBR", 13), ("USA", 2), ("BOL", 1), ("MEX", 0)] {
        assert_eq!(missing(code), expect, "{code}");
    }
    let codes: Vec<&str> = survey.cultures.iter().map(|culture| culture.code.as_str()).collect();
    assert_eq!((codes[0], codes[17], codes[18]), ("USA", "NZL", "MEX"));
    // Its own tables where it has them, ours for the culture that it leaves out.
    assert_eq!(survey.similarity[&"USA".parse().unwrap()][&"CAN".parse().unwrap()], 71.3);
    assert!(survey.kin("MEX".parse().unwrap()).is_some());
    assert_eq!(survey.neighbours[&"Q1".into()][..2], ["Q5".into(), "Q4".into()]);
    let hard_to_say = survey.questions.iter().filter(|q| !q.dont_know.is_empty()).count();
    assert_eq!(hard_to_say, 9);
    let rows = score_results(&dir).unwrap();
    for (code, aware, unaware) in
        [("USA", 71.12, 68.34), ("ZWE", 65.53, 53.13), ("CHN", 66.54, 62.19)]
    {
        for (style, expect) in [(PromptStyle::Aware, aware), (PromptStyle::Unaware, unaware)] {
            let row = rows.iter().find(|row| row.culture.as_str() == code && row.style == style);
            let score = row.unwrap().score.unwrap();
            assert!((score - expect).abs() < 0.01, "{code} {style}: {score}, not {expect}");
        }
    }
}
