//! A survey of one's own: a bad row is told and stores nothing; then it can be asked.

use std::fs;

use tests::{all, journey};

use super::survey::ask_one_culture;

const SURVEY: &str = r#"{"record": "survey", "id": "tea", "title": "All about tea"}
{"record": "culture", "code": "THA-north", "name": "Northern Thailand", "demonym": "Northern Thai"}
{"record": "question", "id": "T1", "topic": "drinks", "question": "How important is tea in your life?", "options": ["Very important", "Rather important", "Not very important", "Not at all important"]}
{"record": "question", "id": "T2", "topic": "drinks", "question": "How often do you drink tea?", "options": ["Often", "Sometimes", "Never"]}
{"record": "people", "culture": "THA-north", "question": "T1", "shares": {"1": 0.4, "2": 0.3, "3": 0.2, "4": 0.1}}
{"record": "people", "culture": "THA-north", "question": "T2", "shares": {"1": 0.2, "2": 0.7, "3": 0.1}}
"#;

#[tokio::test]
async fn a_survey_of_ones_own_is_imported_and_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("tea.jsonl"), folder.path().join("bad.jsonl"));
    fs::write(&good, SURVEY).unwrap();
    fs::write(&bad, SURVEY.replace("0.7", "1.7")).unwrap();
    journey("import", |page| async move {
        page.open("/survey").await;
        page.eval("document.querySelectorAll('details').forEach(d => d.open = true)").await;
        page.fill("import-files", bad.to_str().unwrap()).await;
        page.click("import-send").await;
        page.until_there("rejected-row").await;
        assert_eq!(page.data("import-report", "state").await, ["refused"]);
        let row = page.text("rejected-row").await;
        assert!(row.contains("bad.jsonl") && row.contains("not 1.7"), "{row}");

        // A second choice would stand beside the first: the input takes several files.
        page.eval(&format!("{}[0].value = ''", all("import-files"))).await;
        page.fill("import-files", good.to_str().unwrap()).await;
        page.click("import-send").await;
        let stored = format!("{}.some(e => e.dataset.state === 'stored')", all("import-report"));
        page.until("the survey is stored", &stored).await;
        page.choose("survey-choice", "tea").await;
        let offered = format!("{}.map(e => e.value).join() === 'THA-north'", all("culture"));
        page.until("its cultures are offered", &offered).await;
        page.click("survey-run").await;
        page.until_there("ranking-row").await;
        let rows = page.texts("ranking-row").await;
        assert!(rows.iter().any(|row| row.contains("THA-north")), "{rows:?}");
        assert!(page.texts("simulated").await.is_empty(), "these are no simulated people");

        // The starter is still there for everybody else.
        ask_one_culture(&page, "NGA").await;
    })
    .await;
}
