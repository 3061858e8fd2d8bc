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
