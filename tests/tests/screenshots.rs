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
