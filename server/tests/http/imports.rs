//! Surveys and recorded answers that are uploaded.

use app::api::import::{ImportOutcome, ImportReport, RejectedRow};
use domain::survey::Survey;

use super::*;

/// A form with these files, as a browser sends it.
fn form(files: &[(&str, &str)]) -> (String, String) {
    let boundary = "xxxxxxxx";
    let mut body = String::new();
    for (name, text) in files {
        body.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n{text}\r\n"
        ));
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    (format!("multipart/form-data; boundary={boundary}"), body)
}

async fn upload(app: &TestApp, files: &[(&str, &str)], query: &str) -> Response {
    send(app, &format!("/api/surveys/import{query}"), files).await
}

async fn send(app: &TestApp, path: &str, files: &[(&str, &str)]) -> Response {
    let (kind, body) = form(files);
    let request = app.client.post(app.address(path)).header("content-type", kind);
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn an_uploaded_survey_can_be_asked_as_its_own_cultures() {
    let app = TestApp::start().await;
    let example = app.get("/api/surveys/example.jsonl").await;
    assert!(example.headers()["content-disposition"].to_str().unwrap().contains("survey.jsonl"));
    let example = example.text().await.unwrap();
    let upload = async |files: &[(&str, &str)], query: &str| upload(&app, files, query).await;
    let report: ImportReport =
        upload(&[("../../tea.jsonl", &example)], "").await.json().await.unwrap();
    assert_eq!((report.outcome, report.survey.as_str()), (ImportOutcome::Stored, "tea-and-rain"));
    let world: World = app.get("/api/world").await.json().await.unwrap();
    let info = world.surveys.iter().find(|survey| survey.id == "tea-and-rain").unwrap();
    assert_eq!(info.cultures.len(), 3);
    assert!(world.cultures.iter().any(|culture| culture.code.as_str() == "THA-north"));
    // A group within a country talks and answers like every culture.
    let group = Voice::aware("THA-north".parse().unwrap());
    app.chat(&request(std::slice::from_ref(&group), "Hello?")).await;
    let neighbours = Voice::styled(group.culture.unwrap(), PromptStyle::SelfAlignment);
    let run = SurveyRunRequest {
        survey: "tea-and-rain".to_owned(),
        voices: vec![group, neighbours],
        templates: None,
    };
    let response = app.post("/api/survey-runs", &json!(run)).await;
    assert_eq!(response.status(), StatusCode::CREATED, "{:?}", response.text().await);

    let again: ImportReport = upload(&[("tea.jsonl", &example)], "").await.json().await.unwrap();
    assert_eq!(again.outcome, ImportOutcome::Unchanged);
    let bad = format!("{example}{{\"record\": \"nothing\"}}\n");
    let refused: ImportReport = upload(&[("tea.jsonl", &bad)], "").await.json().await.unwrap();
    assert_eq!((refused.outcome, refused.rejected[0].line), (ImportOutcome::Refused, 18));
    let left_out = upload(&[("tea.jsonl", &bad)], "?skip_rejected=true&id=other").await;
    let left_out: ImportReport = left_out.json().await.unwrap();
    assert_eq!((left_out.outcome, left_out.survey.as_str()), (ImportOutcome::Stored, "other"));
    for (files, status) in [
        (&[][..], StatusCode::BAD_REQUEST),
        (&[("notes.txt", "hello")][..], StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let response = upload(files, "").await;
        assert_eq!(response.status(), status);
        let error: ApiError = response.json().await.unwrap();
        assert!(error.hint.is_some(), "{error:?}");
        assert!(!error.message.contains("/tmp"), "no path of the server is told: {error:?}");
    }
}

const QUESTIONS: (&str, &str) = (
    "wvs_questions.json",
    r#"[{"Q_id": "Q1", "question": "Is tea good?", "option_lst": ["Yes", "Rather", "No"]},
        {"Q_id": "Q2", "question": "Is rain good?", "option_lst": ["Yes", "No"]},
        {"Q_id": "Q260", "question": "Who are you?", "option_lst": []}]"#,
);
const PEOPLE: (&str, &str) = (
    "proportions_group_by_country.json",
    r#"{"USA": {"Q1": {"3": 0.5, "1": 0.3}, "Q2": {"2": 0.6, "1": 0.4}},
        "THA": {"Q1": {"1": 0.6, "2": 0.4}, "Q2": {"1": 1.0}}}"#,
);
const AWARE: &str = "wvs_result_culture_aware_USA_0.json";
const UNAWARE: (&str, &str) = (
    "wvs_result_culture_unaware_0.json",
    r#"[{"Q_id": "Q1", "answer": "1"}, {"Q_id": "Q2", "answer": "2. No"}]"#,
);

#[tokio::test]
async fn a_release_uploaded_file_by_file_opens_with_its_recorded_voices() {
    let app = TestApp::start().await;
    let aware = (AWARE, r#"[{"Q_id": "Q1", "answer": "3"}, {"Q_id": "Q2", "answer": "no idea"}]"#);
    let files = [QUESTIONS, PEOPLE, UNAWARE, aware];
    let report: ImportReport = upload(&app, &files, "").await.json().await.unwrap();
    assert_eq!((report.outcome, report.questions), (ImportOutcome::Stored, 2), "{report:?}");
    let run = &report.recorded[0];
    assert_eq!((run.voices, run.answers, run.unreadable), (2, 3, 1), "{report:?}");
    let shown: SurveyRun =
        app.get(&format!("/api/survey-runs/{}", run.run)).await.json().await.unwrap();
    assert_eq!((shown.info.state, shown.info.outdated), (JobState::Done, false));
    assert_eq!(shown.answers.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    // The same again changes nothing; another model's are another run, under a name if one is given.
    let again: ImportReport = upload(&app, &files, "").await.json().await.unwrap();
    assert_eq!((again.outcome, again.recorded[0].unchanged), (ImportOutcome::Unchanged, true));
    let other = [QUESTIONS, PEOPLE, UNAWARE, (AWARE, r#"[{"Q_id": "Q1", "answer": "1"}]"#)];
    let named: ImportReport = upload(&app, &other, "?name=Other").await.json().await.unwrap();
    assert_eq!(named.recorded[0].run, "culturespa-other-0");
    let response = upload(&app, &files, "?name=Other").await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    let error: ApiError = response.json().await.unwrap();
    assert!(error.message.contains("`culturespa-other-0` holds 3 recorded answers"), "{error:?}");
    let runs: Vec<SurveyRunInfo> = app.get("/api/survey-runs").await.json().await.unwrap();
    assert_eq!(runs.len(), 2);

    // Another wording: what was answered to the one before isn't held against it.
    let reworded = (QUESTIONS.0, QUESTIONS.1.replace("tea good", "tea bad"));
    let changed = [(reworded.0, reworded.1.as_str()), PEOPLE];
    let report: ImportReport = upload(&app, &changed, "").await.json().await.unwrap();
    assert_eq!(report.outcome, ImportOutcome::Stored);
    let runs: Vec<SurveyRunInfo> = app.get("/api/survey-runs").await.json().await.unwrap();
    assert!(runs.iter().all(|run| run.outdated), "{runs:?}");
    let shown: SurveyRun =
        app.get(&format!("/api/survey-runs/{}", run.run)).await.json().await.unwrap();
    assert!(shown.info.outdated && shown.answers.iter().all(Vec::is_empty), "{shown:?}");
    // With the survey as it was they count again, and other people's answers change nothing.
    let people = (PEOPLE.0, PEOPLE.1.replace("0.6", "0.5"));
    upload(&app, &[QUESTIONS, (people.0, people.1.as_str())], "").await;
    let shown: SurveyRun =
        app.get(&format!("/api/survey-runs/{}", run.run)).await.json().await.unwrap();
    assert!(!shown.info.outdated && shown.answers[0].len() == 2, "{shown:?}");
}

#[tokio::test]
async fn two_files_of_one_name_are_refused() {
    let app = TestApp::start().await;
    let twice = [QUESTIONS, PEOPLE, UNAWARE, (UNAWARE.0, "[]")];
    let response = upload(&app, &twice, "").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let error: ApiError = response.json().await.unwrap();
    assert!(error.code == "same-file-name" && error.message.contains(UNAWARE.0), "{error:?}");
    let response = app.get("/api/surveys/culturespa").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND, "nothing was stored");
}

#[tokio::test]
async fn two_uploads_at_once_leave_one_of_them_whole() {
    let app = TestApp::start().await;
    let people = (PEOPLE.0, PEOPLE.1.replace("0.6", "0.5"));
    let first = [QUESTIONS, PEOPLE, UNAWARE];
    let second = [QUESTIONS, (people.0, people.1.as_str()), (UNAWARE.0, "[]")];
    let (a, b) =
        tokio::join!(upload(&app, &first, "?name=same"), upload(&app, &second, "?name=same"));
    let stored = [a.status(), b.status()];
    let survey: Survey = app.get("/api/surveys/culturespa").await.json().await.unwrap();
    let share = survey.people("THA".parse().unwrap(), &"Q1".into()).unwrap().shares[0];
    let run: SurveyRun = app.get("/api/survey-runs/culturespa-same-0").await.json().await.unwrap();
    let (share, answers) = ((share * 10.0).round() as u32, run.answers[0].len());
    match stored.map(|status| status.as_u16()) {
        [200, 409] => assert_eq!((share, answers), (6, 2)),
        [409, 200] => assert_eq!((share, answers), (5, 0)),
        other => panic!("one is stored and the other refused, not {other:?}"),
    }
}

#[tokio::test]
async fn every_rejected_row_of_an_upload_can_be_had() {
    let app = TestApp::start().await;
    let example = app.get("/api/surveys/example.jsonl").await.text().await.unwrap();
    let bad = format!("{example}{}", "{\"record\": \"nothing\"}\n".repeat(5_000));
    let report: ImportReport = upload(&app, &[("tea.jsonl", &bad)], "").await.json().await.unwrap();
    assert_eq!((report.rejected.len(), report.rejected_total), (200, 5_000));
    let response = send(&app, "/api/surveys/import/rejected", &[("tea.jsonl", &bad)]).await;
    assert_eq!(response.status(), StatusCode::OK);
    let all = response.text().await.unwrap();
    let rows: Vec<RejectedRow> =
        all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), rows[4_999].line), (5_000, 17 + 5_000));
    assert_eq!(rows[..200], report.rejected);
    let response = app.get("/api/surveys/tea-and-rain").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND, "nothing was stored");
}
