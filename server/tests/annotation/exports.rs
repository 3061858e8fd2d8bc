//! Files for other programs: what is in them, and the same written to a folder where those programs read
//! them (`read_exports.py`).

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::{env, fs};

use app::api::annotation::ExportFormat;
use domain::annotation::{Act, Judgement, MemberRole, ProjectSettings, SkipReason};
use serde_json::Value;
use zip::ZipArchive;

use super::app::{Person, TestApp, judged, submission};

/// A project of a run's instances with everything that can be said, and words that need care.
async fn talkative(app: &TestApp) -> Person<'_> {
    let mut settings = ProjectSettings::new("Meals: \"what's\" good? ไทย\n---");
    settings.guidelines = "# Think\n\n---\nof *people*.".to_owned();
    settings.labels[0].name = "Right & \"fine\" <so>".to_owned();
    settings.labels[1].explanation = "a | b".to_owned();
    let (_, owner) = app.project_of_run(settings).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    let items = owner.next(20).await;
    let (last, others) = items.split_last().unwrap();
    for (number, item) in others.iter().enumerate() {
        let label = if number % 3 == 0 { "right" } else { "wrong" };
        let option = (number % 2 == 0).then_some(1);
        let judgement = Judgement { option, milliseconds: 1200, ..Judgement::of(label.into()) };
        let act = Act::Judged(judgement);
        owner.submit(submission(&format!("o{number}"), item.id.as_str(), act)).await;
    }
    let given = ann.next(20).await;
    for (number, item) in given.iter().filter(|item| item.id != last.id).enumerate() {
        let act = match number {
            0 => Act::Skipped { reason: SkipReason::Undecided },
            _ => judged("wrong"),
        };
        ann.submit(submission(&format!("a{number}"), item.id.as_str(), act)).await;
    }
    let first = items[0].id.as_str();
    let text = "=1+1, \"so\"\n<b>ไทย</b>".to_owned();
    owner.submit(submission("c", first, Act::Commented { text, answers: None })).await;
    let text = "Why?".to_owned();
    let answer = Act::Commented { text, answers: Some("c".into()) };
    ann.submit(submission("e", first, answer)).await;
    let decision = Act::Adjudicated(Judgement::of("right".into()));
    owner.submit(submission("d", first, decision.clone())).await;
    // Nobody has judged this one.
    owner.submit(submission("f", last.id.as_str(), decision)).await;
    owner
}

async fn export(owner: &Person<'_>, format: ExportFormat) -> Vec<u8> {
    let response = owner.get(&format!("/export/{}", format.as_str())).await;
    assert_eq!(response.headers()["content-type"], format.media_type());
    response.bytes().await.unwrap().to_vec()
}

fn file(zip: &[u8], name: &str) -> Vec<u8> {
    let mut content = Vec::new();
    let mut archive = ZipArchive::new(Cursor::new(zip)).unwrap();
    archive.by_name(name).unwrap().read_to_end(&mut content).unwrap();
    content
}

#[tokio::test]
async fn a_dataset_folder_says_where_everything_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = talkative(&app).await;
    let zip = export(&owner, ExportFormat::Dataset).await;
    let card = String::from_utf8(file(&zip, "README.md")).unwrap();
    let (head, body) = card.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
    assert!(head.contains("pretty_name: \"Meals: \\\"what's\\\" good? ไทย\\n---\""), "{head}");
    assert!(head.contains("# license: choose one"), "{head}");
    assert!(
        body.contains("**People's shares (`people`) are simulated**: nobody was asked"),
        "{body}"
    );
    assert!(body.contains("in the run `r`") && body.contains("2 members judged"), "{body}");
    assert!(body.contains("| `wrong` | Wrong | a \\| b | no |"), "{body}");
    assert!(body.contains("| Krippendorff’s alpha |") && !body.contains("Olu"), "{body}");
    for name in ["data/items.parquet", "data/judgements.parquet"] {
        assert_eq!(&file(&zip, name)[..4], b"PAR1");
    }
    assert_eq!(export(&owner, ExportFormat::Dataset).await, zip, "the same again is the same");
    assert_eq!(&export(&owner, ExportFormat::Parquet).await[..4], b"PAR1");
}

#[tokio::test]
async fn other_tools_get_their_settings_beside_the_items() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(ProjectSettings { overlap: 1, ..ProjectSettings::new("t") }, 2).await;
    owner.next(2).await;
    owner.judge("a", "t0", "right").await;
    let json = |zip: &[u8], name: &str| serde_json::from_slice::<Value>(&file(zip, name)).unwrap();
    let argilla = export(&owner, ExportFormat::Argilla).await;
    let records = json(&argilla, "records.json");
    assert_eq!(records[0]["suggestions"]["label"]["value"], "right");
    assert_eq!(records[0]["fields"]["aware"], "Fair");
    assert_eq!(records[0]["metadata"]["votes_right"], 1);
    assert_eq!(records[1]["metadata"]["votes_right"], 0);
    assert_eq!(records[0]["responses"], Value::Object(Default::default()), "nobody has an account");
    assert_eq!(records[1]["suggestions"], Value::Object(Default::default()));
    let settings = json(&argilla, "settings.json");
    assert_eq!(settings["distribution"]["min_submitted"], 1);
    assert_eq!(settings["metadata"][2]["name"], "votes_right");
    assert_eq!(settings["metadata"][2]["settings"]["type"], "integer");
    let studio = export(&owner, ExportFormat::LabelStudio).await;
    let tasks = json(&studio, "tasks.json");
    let annotation = &tasks[0]["annotations"][0];
    assert_eq!(annotation["result"][0]["value"]["choices"][0], "right");
    assert_eq!(annotation["result"][0]["meta"]["text"][0], owner.joined.member.as_str());
    assert_eq!(annotation.get("completed_by"), None, "nobody has an account");
    assert_eq!(tasks[1]["annotations"], Value::Array(vec![]));
    let config = String::from_utf8(file(&studio, "config.xml")).unwrap();
    assert!(config.contains("alias=\"right\""), "{config}");
}

/// Where `cargo xtask test` wants the files.
const FOLDER: &str = "POLYLOGUE_EXPORTS";

#[tokio::test]
#[ignore = "`cargo xtask test` runs it and reads the files with the packages that they are made for"]
async fn exports_are_written_for_other_programs() {
    let target = PathBuf::from(env::var(FOLDER).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = talkative(&app).await;
    for format in ExportFormat::ALL {
        let content = export(&owner, format).await;
        let place = target.join(format.as_str());
        fs::create_dir_all(&place).unwrap();
        match format.extension() {
            "zip" => unpack(&content, &place),
            ending => fs::write(place.join(format!("all.{ending}")), content).unwrap(),
        }
    }
    let project = serde_json::to_vec(&owner.project().await).unwrap();
    fs::write(target.join("project.json"), project).unwrap();
}

fn unpack(zip: &[u8], place: &Path) {
    ZipArchive::new(Cursor::new(zip)).unwrap().extract(place).unwrap();
}
