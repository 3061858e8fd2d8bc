//! With the keyboard alone.

use fantoccini::key::Key;
use tests::{Page, journey};

use super::talk::answered;

/// More stops than any page has.
const STOPS: usize = 80;

#[tokio::test]
async fn a_message_is_sent_and_the_survey_reached_without_a_mouse() {
    journey("keyboard", |page| async move {
        page.open("/?voices=unaware,THA&seed=7").await;
        tab_to(&page, "document.activeElement.dataset.testid === 'message'").await;
        page.type_text("What do you eat in the morning?").await;
        page.press(&[Key::Enter]).await;
        page.until("two voices have answered", &answered(2)).await;
        tab_to(&page, "document.activeElement.matches('a[href=\"/survey\"]')").await;
        page.press(&[Key::Enter]).await;
        page.until_there("new-run").await;
    })
    .await;
}

/// Presses Tab until the focus is there; the focus must be visible at every stop.
pub(super) async fn tab_to(page: &Page, there: &str) {
    let visible = "(() => {
        const e = document.activeElement, s = getComputedStyle(e), b = e.getBoundingClientRect();
        return e === document.body || (b.width > 0 && b.height > 0 && s.visibility === 'visible');
    })()";
    for _ in 0..STOPS {
        page.press(&[Key::Tab]).await;
        let who = page.string("document.activeElement.outerHTML.slice(0, 80)").await;
        assert_eq!(page.eval(visible).await, true, "the focus is lost on {who}");
        if page.eval(there).await == true {
            return;
        }
    }
    panic!("{STOPS} times Tab did not lead to {there}");
}
