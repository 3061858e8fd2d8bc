//! Judging on a phone: nothing is out of reach, tapped by accident, or lost.

use tests::{Page, all, journey, journey_of};

use super::annotate::{at, in_step, invite, join, judge, make_project, make_project_of};

#[tokio::test]
async fn a_phone_shows_all_of_it() {
    journey("annotate-narrow", |page| async move {
        page.look_through(360, 740, false).await;
        make_project(&page, 3, 1).await;
        assert_eq!(page.overflowing().await, Vec::<String>::new(), "people");
        page.click("tab[data-view=judge]").await;
        at(&page, "t0").await;
        assert_eq!(page.overflowing().await, Vec::<String>::new(), "judge");
        page.click("overview").await;
        page.until_there("present-member").await;
        page.click("guidelines :is(summary)").await;
        assert_eq!(page.overflowing().await, Vec::<String>::new(), "what was folded");
        assert!(page.text("label-meanings").await.contains("A cliché"), "labels are explained");
        judge(&page, "t0", "stereotype").await;
        page.click("last-judged").await;
        page.until_there("opinion").await;
        assert_eq!(page.overflowing().await, Vec::<String>::new(), "one item");
        page.click("tab[data-view=mine]").await;
        page.click("my-judgement [href]").await;
        page.until_there("judge-again").await;
        assert_eq!(page.overflowing().await, Vec::<String>::new(), "mine");
        page.click("tab[data-view=adapter]").await;
        page.until_there("no-source").await;
        assert_eq!(page.overflowing().await, Vec::<String>::new(), "adapter");
        page.click("tab[data-view=agreement]").await;
        page.until_there("no-agreement").await;
        assert_eq!(page.overflowing().await, Vec::<String>::new(), "agreement");
        page.open("/annotate").await;
        page.until_there("project").await;
        assert_eq!(page.overflowing().await, Vec::<String>::new(), "projects");
    })
    .await;
}

#[tokio::test]
async fn a_phone_keeps_what_is_judged_within_reach() {
    journey_of("annotate-phone", 2, |pages| async move {
        let [olu, ann] = [0, 1].map(|person| pages[person].clone());
        olu.look_through(360, 740, false).await;
        let cultures = ["THA", "NGA", "KEN", "IND", "BRA", "DEU"];
        make_project_of(&olu, 18, &cultures, 2).await;
        let link = invite(&olu, "annotator").await;
        join(&ann, &link, "Ann").await;
        olu.until_there("present[data-count=\"2\"]").await;
        olu.click("tab[data-view=judge]").await;
        olu.until_there("item[data-item=t0][data-seen=true]").await;
        for hook in ["item-question", "label", "skip"] {
            assert_eq!(olu.eval(&reachable(hook)).await, true, "{hook} is in sight");
        }
        olu.click("skip").await;
        olu.until_there("skip-reason").await;
        assert_eq!(olu.eval(&reachable("skip-reason")).await, true, "reasons are in sight");
        assert_eq!(olu.overflowing().await, Vec::<String>::new(), "reasons");
        olu.click("skip-reason").await;
        olu.until_there("item[data-item=t6][data-seen=true]").await;
        tap_twice(&olu).await;
        assert_eq!(olu.data("item", "item").await, ["t12"], "a double tap is one judgement");
        keep_what_is_written(&olu).await;
    })
    .await;
}

/// Whether all such elements can be tapped without scrolling.
fn reachable(hook: &str) -> String {
    format!(
        "{}.every(e => {{
           const b = e.getBoundingClientRect();
           const hit = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2);
           return hit !== null && (e.contains(hit));
         }})",
        all(hook)
    )
}

/// Taps the place of the first label in this frame and in the next.
async fn tap_twice(page: &Page) {
    let label = all("label");
    let taps = format!(
        "new Promise(done => {{
           {label}[0].click();
           requestAnimationFrame(() => {{
             {label}[0]?.click();
             requestAnimationFrame(() => requestAnimationFrame(done));
           }});
         }})"
    );
    page.eval(&taps).await;
}

/// What is written about the current item is there after a look elsewhere, and is said with the judgement.
async fn keep_what_is_written(page: &Page) {
    page.fill("comment-text", "In the south only.").await;
    page.click("tab[data-view=mine]").await;
    page.until_there("mine-size").await;
    page.click("tab[data-view=judge]").await;
    page.until_there("comment-text").await;
    let draft = page.string(&format!("{}[0].value", all("comment-text"))).await;
    assert_eq!(draft, "In the south only.");
    judge(page, "t12", "right").await;
    page.click("last-judged").await;
    page.until_there("comment").await;
    assert!(page.text("comment").await.contains("In the south only."));
    in_step(page).await;
}
