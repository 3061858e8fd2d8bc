//! Pictures of the pages for the README: `cargo xtask screenshots`.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use tests::{Page, all, journey, setting};

/// Wide enough for four voices.
const WIDE: (u32, u32) = (1280, 1000);

/// A phone.
const NARROW: (u32, u32) = (390, 844);

#[tokio::test]
#[ignore = "takes pictures; `cargo xtask screenshots` runs it"]
async fn pictures_for_the_readme() {
    journey("screenshots", |page| async move {
        page.look_through(WIDE.0, WIDE.1, false).await;
        let voices = "voices=unaware,THA%2Bjoint,NGA%2Bjoint";
        page.open(&format!("/?{voices}&seed=7&q=What%20do%20you%20do%20on%20weekends%3F")).await;
        let ends = all("reply-end");
        let done = format!("{ends}.length > 0 && {ends}.every(e => e.dataset.phase === 'done')");
        page.until("all voices have answered", &done).await;
        pictures(&page, "talk").await;
        page.look_through(WIDE.0, WIDE.1, false).await;
        page.open("/survey").await;
        page.click("survey-run").await;
        page.until_there("ranking-row").await;
        page.eval(&format!("{}[0].scrollIntoView()", all("results"))).await;
        pictures(&page, "survey").await;
    })
    .await;
}

#[tokio::test]
#[ignore = "takes pictures; `cargo xtask screenshots` runs it"]
async fn pictures_of_the_studio() {
    journey("screenshots-studio", |page| async move {
        page.look_through(WIDE.0, WIDE.1, false).await;
        page.open("/studio").await;
        looks(&page, "studio-start").await;
        page.click("change-settings :is(summary)").await;
        looks(&page, "studio-settings").await;
        page.eval(&format!("{}[0].select()", all("per-topic"))).await;
        page.type_text("3").await;
        for culture in ["DEU", "NGA", "THA"] {
            page.click(&format!("adapter[value={culture}]")).await;
        }
        page.click("start").await;
        for step in ["generate", "elicit", "collect"] {
            until_done(&page, step).await;
        }
        page.until_there("sample option").await;
        page.eval(&format!("{}[0].scrollIntoView()", all("shown-run"))).await;
        pictures(&page, "studio").await;
        page.look_through(WIDE.0, WIDE.1, false).await;
        until_done(&page, "evaluate").await;
        for step in ["generate", "collect", "tune", "evaluate"] {
            let card = all(&format!("step[data-step={step}]"));
            page.eval(&format!("{card}[0].scrollIntoView()")).await;
            looks(&page, &format!("studio-{step}")).await;
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "takes pictures; `cargo xtask screenshots` runs it"]
async fn pictures_of_annotation() {
    journey("screenshots-annotation", |page| async move {
        page.look_through(WIDE.0, WIDE.1, false).await;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("items.jsonl");
        write(&path, ITEMS.as_bytes());
        page.open("/annotate").await;
        looks(&page, "annotate-new").await;
        page.fill("project-title", "Family and work").await;
        page.fill("project-guidelines", "Think of **people you know**, not of yourself.").await;
        page.fill("source-file", path.to_str().expect("a path")).await;
        let read = format!("{}[0].innerText.includes('2 lines')", all("file-read"));
        page.until("the file is read", &read).await;
        page.fill("owner-name", "Olu").await;
        page.click("know-culture[value=NGA]").await;
        page.click("make-project").await;
        page.until_there("member").await;
        page.click("invite").await;
        page.until_there("invite-link").await;
        looks(&page, "annotate-people").await;
        page.click("tab[data-view=judge]").await;
        page.until_there("item").await;
        page.click("show-keys").await;
        pictures(&page, "annotate").await;
        page.look_through(WIDE.0, WIDE.1, false).await;
        page.until_there("item[data-seen=true]").await;
        page.click("label[data-label=right]").await;
        page.click("last-judged").await;
        page.until_there("opinion").await;
        looks(&page, "annotate-item").await;
    })
    .await;
}

async fn until_done(page: &Page, step: &str) {
    let done = all(&format!("step[data-step={step}][data-state=done]"));
    page.until(&format!("`{step}` is done"), &format!("{done}.length > 0")).await;
}

/// Pictures for whoever works on a page; they go to the results alone.
async fn looks(page: &Page, name: &str) {
    for (kind, (width, height), dark) in
        [("wide", WIDE, false), ("dark", WIDE, true), ("narrow", NARROW, false)]
    {
        page.look_through(width, height, dark).await;
        write(&setting::results().join(format!("{name}-{kind}.png")), &page.picture().await);
    }
    page.look_through(WIDE.0, WIDE.1, false).await;
}

/// Two made-up instances.
const ITEMS: &str = concat!(
    r#"{"id":"NGA-17","culture":"NGA","topic":"family","question":"When parents grow old, who should "#,
    r#"decide where they live?","options":["The parents alone","Parents and children together","#,
    r#""The eldest child","The whole family"],"unaware":1,"aware":4,"unaware_probabilities":"#,
    r#"[0.52,0.31,0.05,0.12],"aware_probabilities":[0.08,0.27,0.14,0.51],"people":{"shares":"#,
    r#"[0.1,0.3,0.15,0.45],"mode":4}}"#,
    "\n",
    r#"{"id":"THA-4","culture":"THA","topic":"work","question":"How important is it to agree with a "#,
    r#"superior in public?","options":["Not at all","Somewhat","Very"],"unaware":1,"aware":3}"#,
    "\n",
);

/// The wide light picture goes to the documents, dark and narrow ones to the results.
async fn pictures(page: &Page, name: &str) {
    write(&setting::screenshots().join(format!("{name}.png")), &page.picture().await);
    for (kind, (width, height), dark) in [("dark", WIDE, true), ("narrow", NARROW, false)] {
        page.look_through(width, height, dark).await;
        write(&setting::results().join(format!("{name}-{kind}.png")), &page.picture().await);
    }
}

fn write(path: &Path, picture: &[u8]) {
    fs::create_dir_all(path.parent().expect("a picture lies in a folder")).expect("a folder");
    fs::write(path, picture).expect("a picture can be written");
}
