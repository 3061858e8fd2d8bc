//! On a phone: nothing stands out to the right.

use tests::journey;

use super::survey::ask_one_culture;
use super::talk::answered;

/// The narrowest phone that we promise, in CSS pixels.
const NARROW: u32 = 360;

#[tokio::test]
async fn both_pages_fit_a_phone() {
    journey("narrow", |page| async move {
        page.look_through(NARROW, 740, false).await;
        page.open("/?voices=unaware,THA,NGA&seed=7&q=Tell%20me%20about%20your%20family.").await;
        page.until("three voices have answered", &answered(3)).await;
        assert_eq!(page.overflowing().await, Vec::<String>::new(), "talk");
        ask_one_culture(&page, "THA").await;
        assert_eq!(page.overflowing().await, Vec::<String>::new(), "survey");
    })
    .await;
}
