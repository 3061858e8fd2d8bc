//! Good files become surveys; of bad ones every row is told and nothing is stored.

use std::fs;
use std::io::Read;

use app::api::import::RejectedRow;
use domain::question::Scale;
use domain::survey::Provenance;
use tempfile::TempDir;

use super::*;

mod contradictions;

fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn read_text(name: &str, text: &str) -> Result<(Survey, Rejections), JobError> {
    let (_folder, path) = file(name, text);
    read(&path, &ImportOptions::default())
}

async fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("data")).await.unwrap();
    (folder, store)
}

#[test]
fn both_templates_mean_the_same_survey() {
    let (from_lines, rejected) = read_text("tea.jsonl", EXAMPLE_JSONL).unwrap();
    assert_eq!(rejected.total, 0, "{rejected:?}");
    let (from_table, rejected) = read_text("tea-and-rain.csv", EXAMPLE_CSV).unwrap();
    assert_eq!(rejected.total, 0, "{rejected:?}");
    assert_eq!((from_lines.id.as_str(), from_table.id.as_str()), ("tea-and-rain", "tea-and-rain"));
    assert_eq!(from_lines.questions, from_table.questions);
    assert_eq!(from_lines.reference, from_table.reference);
    let question = |id: &str| from_lines.question(&id.into()).unwrap();
    assert_eq!(question("T1").dont_know, [5]);
    assert_eq!((question("T2").scale, question("T3").first_number), (Scale::Nominal, 0));
    assert_eq!(from_lines.evaluated().len(), 1);
    let group = from_lines.culture("THA-north".parse().unwrap()).unwrap();
    assert_eq!(group.demonym, "Northern Thai");
    let known = from_table.culture("GBR".parse().unwrap()).unwrap();
    assert_eq!(known.demonym, "British");
    assert!(from_lines.provenance.is_simulated());
    assert!(matches!(from_table.provenance, Provenance::Respondents(_)));
    // The file's own row stays, the others are computed.
    assert_eq!(from_lines.similarity.len(), 3);
    assert_eq!(from_lines.kin("THA".parse().unwrap()).unwrap().similar, ["Northern Thailand"]);
    assert_eq!(from_lines.neighbours[&"T3".into()], ["T1".into(), "T2".into()]);
}

const OPINIONS: &str = r#"question,selections,options,source
"How good is your life?","defaultdict(<class 'list'>, {'Brazil': [0.5, 0.3, 0.2], 'S. Korea': [0.1, 0.4, 0.5], 'India (Non-national sample)': [0.2, 0.2, 0.6]})","['Good', 'Bad', ""Don't know""]",GAS
"Do you vote?","{'Brazil': [0.7, 0.3]}","['Yes', 'No']",WVS
"#;

#[test]
fn opinions_of_many_countries_are_read_as_published() {
    let (survey, rejected) = read_text("opinions.csv", OPINIONS).unwrap();
    assert_eq!(rejected.total, 0, "{rejected:?}");
    let codes: Vec<&str> = survey.cultures.iter().map(|culture| culture.code.as_str()).collect();
    assert_eq!(codes.len(), 3);
    for code in ["BRA", "KOR", "IND-nonnational"] {
        assert!(codes.contains(&code), "{codes:?}");
    }
    assert_eq!(survey.questions[0].options[2], "Don't know");
    assert_eq!(survey.questions[0].dont_know, [3]);
    assert_eq!(survey.topics.len(), 2);
    assert_eq!(survey.people("KOR".parse().unwrap(), &"O1".into()).unwrap().mode, 3);
}

/// A question and somebody's answer, so that the survey holds something beside the bad row.
const GOOD: &str = r#"{"record": "question", "id": "A", "topic": "t", "question": "Well?", "options": ["Yes", "No"]}
{"record": "people", "culture": "THA", "question": "A", "shares": {"1": 0.5, "2": 0.5}}
"#;

#[test]
fn every_rejected_line_is_told() {
    for (line, expect) in [
        ("{\"record\": \"question\"", "EOF while parsing"),
        (r#"{"id": "B"}"#, "missing field `record`"),
        (r#"{"record": "questions"}"#, "unknown variant `questions`"),
        (
            r#"{"record": "question", "id": "B", "topic": "t", "question": "?", "options": "Yes, No"}"#,
            "`options` must be a list of texts",
        ),
        (
            r#"{"record": "question", "id": "A", "topic": "t", "question": "?", "options": ["1", "2"]}"#,
            "`A` stands in line 1 already",
        ),
        (
            r#"{"record": "question", "id": "B", "topic": "t", "question": "?", "options": ["1"]}"#,
            "2 to 100 options, not 1",
        ),
        (
            r#"{"record": "question", "id": "B", "topic": "t", "question": "?", "options": ["1", " "]}"#,
            "option 2 of `B` is empty",
        ),
        (
            r#"{"record": "question", "id": "B", "topic": "t", "question": "?", "options": ["1", "2"], "dont_know": [3]}"#,
            "names the option 3",
        ),
        (
            r#"{"record": "question", "id": "B", "topic": "t", "question": "?", "options": ["1", "2"], "colour": 1}"#,
            "unknown field `colour`",
        ),
        (
            r#"{"record": "people", "culture": "XYZ", "question": "A", "shares": {"1": 1}}"#,
            "`XYZ` is no known country",
        ),
        (
            r#"{"record": "people", "culture": "Atlantis", "question": "A", "shares": {"1": 1}}"#,
            "`Atlantis` must be a culture code",
        ),
        (
            r#"{"record": "people", "culture": "KEN", "question": "B", "shares": {"1": 1}}"#,
            "there is no question `B`",
        ),
        (
            r#"{"record": "people", "culture": "KEN", "question": "A", "shares": {"1": 0.9, "2": 0.9}}"#,
            "must sum to more than 0 and at most 1, not 1.8",
        ),
        (
            r#"{"record": "people", "culture": "KEN", "question": "A", "shares": {"3": 1}}"#,
            "options from 1 to 2, not 3",
        ),
        (
            r#"{"record": "people", "culture": "KEN", "question": "A", "shares": {"1": -1}}"#,
            "from 0 to 1, not -1",
        ),
        (
            r#"{"record": "people", "culture": "THA", "question": "A", "shares": {"1": 1}}"#,
            "to `A` stand there twice",
        ),
        (
            r#"{"record": "culture", "code": "tha", "name": "x", "demonym": "y"}"#,
            "`tha` is not a culture code",
        ),
        (
            r#"{"record": "similarity", "culture": "THA", "to": {"KEN": 140}}"#,
            "from 0 to 100, not 140",
        ),
        (
            r#"{"record": "similarity", "culture": "THA", "to": {"KEN": 40}}"#,
            "`KEN` is no culture of this survey",
        ),
        (
            r#"{"record": "neighbours", "question": "A", "nearest": ["B"]}"#,
            "there is no question `B`",
        ),
    ] {
        let (survey, rejected) = read_text("mine.jsonl", &format!("{GOOD}\n{line}\n")).unwrap();
        assert_eq!(rejected.total, 1, "{line}: {rejected:?}");
        let row = &rejected.listed[0];
        assert_eq!((row.file.as_str(), row.line), ("mine.jsonl", 4), "{line}");
        assert!(row.reason.contains(expect), "{}", row.reason);
        assert_eq!((survey.questions.len(), survey.cultures.len()), (1, 1), "{line}");
    }
}

#[test]
fn every_rejected_row_of_a_table_is_told() {
    let table = "question_id,topic,question,options,scale,dont_know,held_out,culture,shares\n\
                 A,t,Well?,Yes|No,,,,THA,0.5|0.5\n";
    for (row, expect) in [
        ("A,t,Other?,Yes|No,,,,KEN,1|0", "with another text"),
        ("B,t,?,Yes|No,sideways,,,KEN,1|0", "not `sideways`"),
        ("B,t,?,Yes|No,,second,,KEN,1|0", "not `second`"),
        ("B,t,?,Yes|No,,,maybe,KEN,1|0", "not `maybe`"),
        ("B,t,?,Yes,,,,KEN,1", "2 to 100 options, not 1"),
        ("A,,,,,,,KEN,half|half", "`half|half` must be shares"),
        ("A,,,,,,,KEN,0.7|0.7", "not 1.4"),
        ("A,t,Well?", "found record with 3 fields"),
    ] {
        let (_, rejected) = read_text("mine.csv", &format!("{table}{row}\n")).unwrap();
        assert_eq!(rejected.listed.len(), 1, "{row}: {rejected:?}");
        assert_eq!(rejected.listed[0].line, 3, "{row}");
        assert!(rejected.listed[0].reason.contains(expect), "{}", rejected.listed[0].reason);
    }
}

#[test]
fn files_that_hold_no_survey_are_refused() {
    let question = GOOD.lines().next().unwrap();
    let starter = format!("{GOOD}{}\n", r#"{"record": "survey", "id": "starter", "title": "S"}"#);
    for (name, text, expect) in [
        ("mine.jsonl", question, "holds nobody's answers"),
        ("mine.jsonl", "", "holds no question"),
        ("mine.jsonl", &starter, "`starter` is the built-in survey's"),
        ("mine.csv", "a,b\n1,2\n", "must have the column `question_id`"),
        ("mine.xlsx", "", "must end in `.jsonl` or `.csv`"),
    ] {
        let error = read_text(name, text).unwrap_err().to_string();
        assert!(error.contains(expect) && error.contains('\n'), "{error}");
    }
    // Where rejected rows are the reason, they are told instead.
    let (_, rejected) = read_text("mine.jsonl", "\u{0}").unwrap();
    assert!(rejected.all && rejected.listed[0].line == 1);
    assert!(read(Path::new("/nowhere/at/all.csv"), &ImportOptions::default()).is_err());
}

#[tokio::test]
async fn one_bad_row_stops_an_import_unless_it_is_left_out() {
    let (_data, store) = store().await;
    let bad = r#"{"record": "people", "culture": "KEN", "question": "A", "shares": {"1": 2}}"#;
    let (_folder, path) = file("mine.jsonl", &format!("{GOOD}{bad}\n"));
    let import = async |skip_rejected| {
        let options = ImportOptions { skip_rejected, ..ImportOptions::default() };
        import(&store, path.clone(), options).await.unwrap()
    };
    let report = import(false).await;
    assert_eq!((report.outcome, report.rejected_total), (ImportOutcome::Refused, 1));
    assert!(store.surveys().await.unwrap().is_empty(), "nothing is half-imported");
    let report = import(true).await;
    assert_eq!((report.outcome, report.questions, report.answers), (ImportOutcome::Stored, 1, 1));
    let once = store.survey("mine").await.unwrap();
    assert_eq!(import(true).await.outcome, ImportOutcome::Unchanged);
    assert_eq!(store.survey("mine").await.unwrap(), once);
}

#[tokio::test]
async fn two_imports_at_once_leave_one_of_them_whole() {
    let (_data, store) = store().await;
    let other = GOOD.replace("Well?", "Truly?").replace("0.5", "0.25");
    let ((_a, first), (_b, second)) = (file("mine.jsonl", GOOD), file("mine.jsonl", &other));
    let import = |path: &PathBuf| import(&store, path.clone(), ImportOptions::default());
    let (a, b) = tokio::join!(import(&first), import(&second));
    assert_eq!(
        (a.unwrap().outcome, b.unwrap().outcome),
        (ImportOutcome::Stored, ImportOutcome::Stored)
    );
    let kept = store.survey("mine").await.unwrap();
    let whole = |path: &Path| read(path, &ImportOptions::default()).unwrap().0;
    assert!(kept == whole(&first) || kept == whole(&second), "{kept:?}");
}

/// Lines that are made up while they are read, one after another.
struct Made<F> {
    line: F,
    number: usize,
    left: std::io::Cursor<Vec<u8>>,
}

impl<F: FnMut(usize) -> Option<Vec<u8>>> Read for Made<F> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.left.read(into)?;
        match read {
            0 => match (self.line)(self.number) {
                Some(line) => {
                    (self.number, self.left) = (self.number + 1, std::io::Cursor::new(line));
                    self.left.read(into)
                }
                None => Ok(0),
            },
            read => Ok(read),
        }
    }
}

#[test]
fn a_fault_inside_100_megabytes_costs_its_line_alone() {
    // Long lines, so that there are few of them: what is counted here is bytes.
    let (lines, mut bytes) = (400, GOOD.len());
    let long = format!(
        "{{\"record\": \"topic\", \"id\": \"t\", \"name\": \"{}\"}}\n",
        "x".repeat(270_000)
    );
    let line = |number: usize| {
        let line = match number {
            200 => b"{\"record\": \"topic\", \"id\": \n".to_vec(),
            number if number < lines => long.clone().into_bytes(),
            _ => return None,
        };
        bytes += line.len();
        Some(line)
    };
    let left = std::io::Cursor::new(GOOD.as_bytes().to_vec());
    let reader = std::io::BufReader::new(Made { line, number: 0, left });
    let mut draft = Draft::new(Path::new("big.jsonl"), Rejections::default());
    records::fill_from(reader, "big.jsonl", &mut draft).unwrap();
    assert!(bytes > 100 * 1024 * 1024, "{bytes}");
    let (survey, rejected) = draft.finish().unwrap();
    assert_eq!((survey.questions.len(), rejected.total), (1, 1));
    assert_eq!((rejected.listed[0].line, rejected.listed[0].file.as_str()), (203, "big.jsonl"));
}

#[test]
fn a_file_without_line_ends_is_refused_and_not_held() {
    let whole = format!("{GOOD}{}\n{GOOD}", "[{\"record\": ".repeat(500_000));
    assert!(whole.len() > 5_000_000);
    let (survey, rejected) = read_text("mine.jsonl", &whole).unwrap();
    // The two lines after it are the first two once more.
    assert_eq!((survey.questions.len(), rejected.total), (1, 3));
    assert_eq!((rejected.listed[0].line, rejected.listed[1].line), (3, 4));
    assert!(rejected.listed[0].reason.contains("longer than 1 MB"), "{rejected:?}");
}

#[test]
fn a_line_in_another_encoding_is_told() {
    let (_folder, path) = file("mine.jsonl", "");
    let latin = b"{\"record\": \"topic\", \"id\": \"t\", \"name\": \"caf\xe9\"}\n";
    fs::write(&path, [GOOD.as_bytes(), latin].concat()).unwrap();
    let (_, rejected) = read(&path, &ImportOptions::default()).unwrap();
    assert_eq!((rejected.total, rejected.listed[0].line), (1, 3));
    assert!(rejected.listed[0].reason.contains("not UTF-8"), "{rejected:?}");
}

#[test]
fn a_fault_inside_a_large_document_is_found_by_its_line() {
    let question = |id: usize| {
        format!(
            "{{\"Q_id\": \"Q{id}\", \"question\": \"{}\",\n \"option_lst\": [\"Yes\", \"No\"]}},\n",
            "Well? ".repeat(400)
        )
    };
    let many: String = (1..2_100).map(|number| question(number % 45 + 1)).collect();
    let text = format!("[{many}{{\"Q_id\": \"Q1\" \"question\"}}]");
    assert!(text.len() > 5_000_000);
    let folder = culturespa::results::tests::folder(&[("data/wvs_questions.json", &text)]);
    let error = read(folder.path(), &ImportOptions::default()).unwrap_err().to_string();
    assert!(error.contains("wvs_questions.json") && error.contains("line 4199 column"), "{error}");
    // A whole document whose rows break rules: each is told with its own line.
    let text = format!("[{}{}null]", question(1), question(1));
    let folder = culturespa::results::tests::folder(&[("data/wvs_questions.json", &text)]);
    let (_, rejected) = read(folder.path(), &ImportOptions::default()).unwrap();
    let told = |line: usize| rejected.listed.iter().find(|row| row.line == line);
    assert!(told(3).unwrap().reason.contains("`Q1` stands in line 1 already"), "{rejected:?}");
    assert!(told(5).is_some(), "{rejected:?}");
    let text = text.replace("[\"Yes\", \"No\"]", "\"Yes, No\"");
    let folder = culturespa::results::tests::folder(&[("data/wvs_questions.json", &text)]);
    let (_, rejected) = read(folder.path(), &ImportOptions::default()).unwrap();
    assert!(
        rejected.listed[0].reason.contains("`option_lst` of `Q1` must be a list"),
        "{rejected:?}"
    );
}

#[test]
fn many_rejected_rows_are_counted_the_first_listed_and_all_written_down() {
    let bad = "{\"record\": \"topic\"}\n".repeat(1_000);
    let (folder, path) = file("mine.jsonl", &format!("{GOOD}{bad}"));
    let log = folder.path().join("rejected.jsonl");
    let options = ImportOptions { rejected: Some(log.clone()), ..ImportOptions::default() };
    let (_, rejected, _) = read_all(&path, &options).unwrap();
    assert_eq!((rejected.total, rejected.listed.len()), (1_000, 200));
    assert_eq!(rejected.listed[199].line, 202);
    let written = fs::read_to_string(&log).unwrap();
    let rows: Vec<RejectedRow> =
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), rows[999].line), (1_000, 1_002));
    assert_eq!(rows[..200], rejected.listed);
    // Neither a place that can't be written nor the survey itself takes them.
    for (place, expect) in [
        (folder.path().join("no/such/folder"), "can't be written"),
        (path.clone(), "survey itself"),
    ] {
        let options = ImportOptions { rejected: Some(place), ..ImportOptions::default() };
        let error = read_all(&path, &options).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    }
    assert!(fs::metadata(&path).unwrap().len() > 1_000, "the survey is still there");
}

#[test]
fn a_name_without_recorded_answers_is_told() {
    let (_folder, path) = file("mine.jsonl", GOOD);
    let options = ImportOptions { name: Some("Llama".to_owned()), ..ImportOptions::default() };
    let error = read_all(&path, &options).unwrap_err().to_string();
    assert!(error.contains("`Llama` names nothing"), "{error}");
}

#[tokio::test]
async fn two_imports_at_once_with_recordings_leave_one_of_them_whole() {
    let (_data, store) = store().await;
    let aware = "result/model/wvs_result_culture_aware_USA_0.json";
    let people = r#"{"USA": {"Q1": {"1": 0.9}}, "THA": {"Q1": {"1": 0.6}}}"#;
    let first = culturespa::results::tests::folder(&[]);
    let second = culturespa::results::tests::folder(&[
        (aware, r#"[{"Q_id": "Q1", "answer": "1"}]"#),
        ("data/proportions_group_by_country.json", people),
    ]);
    let import =
        |folder: &TempDir| import(&store, folder.path().to_owned(), ImportOptions::default());
    let (a, b) = tokio::join!(import(&first), import(&second));
    let (won, lost) = match (a, b) {
        (Ok(won), Err(lost)) => (won, lost),
        (Err(lost), Ok(won)) => (won, lost),
        both => panic!("one of two that name different answers alike is refused: {both:?}"),
    };
    assert!(lost.to_string().contains("`culturespa-model-0` holds"), "{lost}");
    let survey = store.survey("culturespa").await.unwrap();
    let whole = |folder: &TempDir| read(folder.path(), &ImportOptions::default()).unwrap().0;
    let winner = if survey == whole(&first) { &first } else { &second };
    assert_eq!(survey, whole(winner), "the survey of the one that was stored");
    assert_eq!(won.recorded[0].answers, if survey == whole(&first) { 5 } else { 4 });
    let run = store.run("culturespa-model-0").await.unwrap();
    assert_eq!(run.answered, won.recorded[0].answers);
}

#[test]
fn questions_that_nobody_is_asked_are_kept_for_the_filter() {
    let folder = culturespa::results::tests::folder(&[]);
    let (survey, _) = read(folder.path(), &ImportOptions::default()).unwrap();
    assert_eq!(survey.unasked, ["Who are you?"]);
    assert_eq!(survey.evaluated().len(), 3, "and not asked");
}
