//! The whole way of a first visit: talk, compare, survey, another metric, reload.

use tests::{Page, all, journey};

use super::survey::{ask_one_culture, ranking, until_ranking_differs};
use super::talk::answered;

#[tokio::test]
async fn a_first_visit() {
    journey("whole", |page| async move {
        page.open("/?voices=unaware,THA,NGA&seed=7").await;
        compare_three_voices(&page).await;
        ask_one_culture(&page, "THA").await;
        page.until_quiet().await;
        let (before, requests) = (ranking(&page).await, page.requests().await);
        page.choose("metric", "earth-mover").await;
        until_ranking_differs(&page, &before).await;
        page.until_quiet().await;
        assert_eq!(page.requests().await, requests, "the metric is changed in the browser alone");
        page.reload().await;
        page.until_there("ranking-row").await;
        assert_eq!(ranking(&page).await, before, "a reload shows the same answers");
    })
    .await;
}

/// Sends one message to three voices and watches the comparison while the replies arrive.
async fn compare_three_voices(page: &Page) {
    watch_comparison(page).await;
    page.fill("message", "What matters most in your life?").await;
    // Text arrives bit by bit, however busy the machine is.
    page.slow_down(Some(2000)).await;
    page.click("send").await;
    page.until("three voices have answered", &answered(3)).await;
    page.slow_down(None).await;
    assert_eq!(page.data("voice-card", "voice").await, ["unaware", "THA", "NGA"]);
    for meta in page.texts("reply-meta").await {
        assert!(meta.contains("seed 7"), "every reply says its seed: {meta}");
    }
    page.until(
        "the comparison has nine cells",
        &format!("{}.length === 9", all("similarity-cell")),
    )
    .await;
    let seen = page.eval("window.comparisonsSeen.size").await.as_u64().unwrap();
    assert!(seen > 2, "the comparison changes while text arrives, and was seen {seen} times");
    assert!(page.path().await.contains("voices="), "the address opens the same again");
}

/// Notes every different state of the comparison from now on.
async fn watch_comparison(page: &Page) {
    page.eval(&format!(
        "(() => {{
           window.comparisonsSeen = new Set();
           const note = () => {}.forEach(e => window.comparisonsSeen.add(e.innerText));
           new MutationObserver(note).observe(document.body,
             {{ childList: true, subtree: true, characterData: true }});
         }})()",
        all("comparison")
    ))
    .await;
}
