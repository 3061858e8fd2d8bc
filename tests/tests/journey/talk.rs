//! Talking with several voices at once.

use tests::{Page, all, journey};

/// A conversation that is over: as many replies as voices, none of them open.
pub fn answered(voices: usize) -> String {
    let ends = all("reply-end");
    format!("{ends}.length === {voices} && {ends}.every(e => e.dataset.phase === 'done')")
}

#[tokio::test]
async fn the_same_link_gives_the_same_replies() {
    journey("talk-link", |page| async move {
        page.open("/?voices=unaware,THA,NGA&seed=11&q=What%20matters%20most%20to%20you%3F").await;
        page.until("three voices have answered", &answered(3)).await;
        let first = page.texts("reply-text").await;
        assert!(first.iter().all(|text| !text.is_empty()), "{first:?}");
        page.reload().await;
        page.until("three voices have answered again", &answered(3)).await;
        assert_eq!(page.texts("reply-text").await, first);
    })
    .await;
}

#[tokio::test]
async fn one_reply_can_be_drawn_again() {
    journey("talk-again", |page| async move {
        page.open("/?voices=unaware,THA&seed=3&q=Tell%20me%20about%20your%20family.").await;
        page.until("two voices have answered", &answered(2)).await;
        let before = page.texts("reply-text").await;
        let seeds = page.texts("reply-meta").await;
        page.click("regenerate").await;
        page.until(
            "the seed has changed",
            &format!("{} && {}[0].innerText !== {:?}", answered(2), all("reply-meta"), seeds[0]),
        )
        .await;
        assert_eq!(page.texts("reply-text").await[1], before[1], "the other voice is left alone");
        too_long(&page).await;
        stopped(&page).await;
    })
    .await;
}

/// A message of a megabyte is refused in the page and stays, and the next one is answered.
async fn too_long(page: &Page) {
    let write = |text: &str| {
        let box_ = all("message");
        format!(
            "(() => {{ const box = {box_}[0]; box.value = {text}; \
             box.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
        )
    };
    page.eval(&write("'a'.repeat(1 << 20)")).await;
    page.click("send").await;
    page.until_there("error[data-code=message-too-long]").await;
    let kept = page.eval(&format!("{}[0].value.length", all("message"))).await;
    assert_eq!(kept.as_u64(), Some(1 << 20), "what was written stays");
    page.eval(&write("'And your friends?'")).await;
    page.click("send").await;
    page.until("the refusal is gone", &format!("{}.length === 0", all("error"))).await;
    page.until("both have answered again", &answered(4)).await;
}

/// What is stopped says how it came to be, too.
async fn stopped(page: &Page) {
    let (texts, stop) = (all("reply-text"), all("stop"));
    // As soon as there is a first word: a person's finger would come too late for short replies.
    page.eval(&format!(
        "new MutationObserver((_, observer) => {{ \
           const late = {texts}.slice(4); \
           if (!late.some(e => e.innerText.trim() && !e.querySelector('.waiting'))) return; \
           observer.disconnect(); {stop}[0].click(); \
         }}).observe(document.body, {{ childList: true, subtree: true, characterData: true }})"
    ))
    .await;
    page.fill("message", "Tell me more about the place where you live.").await;
    page.click("send").await;
    let ends = all("reply-end");
    let over = format!("{ends}.length === 6 && {ends}.every(e => e.dataset.phase !== 'open')");
    page.until("the voices are silent", &over).await;
    let phases = page.data("reply-end", "phase").await;
    assert!(phases[4..].iter().any(|phase| phase == "stopped"), "{phases:?}");
    let metas = page.texts("reply-meta").await;
    for (meta, phase) in metas.iter().zip(&phases).skip(4) {
        assert!(meta.contains("no adapter · seed 3"), "{meta}");
        assert_eq!(meta.contains("stopped"), phase == "stopped", "{meta}");
    }
}

#[tokio::test]
async fn adapters_speak_beside_the_voices_without() {
    journey("talk-adapters", |page| async move {
        let voices = "voices=unaware,THA,THA%2Bjoint,THA%2Bspecific-THA,NGA%2Bjoint";
        page.open(&format!("/?{voices}&seed=5&q=What%20do%20you%20eat%20for%20breakfast%3F")).await;
        page.until("five voices have answered", &answered(5)).await;
        let texts = page.texts("reply-text").await;
        assert!(texts.iter().all(|text| !text.is_empty()), "{texts:?}");
        let metas = page.texts("reply-meta").await;
        let adapters = [None, None, Some("joint"), Some("specific-THA"), Some("joint")];
        for (meta, adapter) in metas.iter().zip(adapters) {
            match adapter {
                Some(name) => assert!(meta.contains(name), "{name}: {meta}"),
                None => assert!(!meta.contains("joint") && !meta.contains("specific"), "{meta}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_adapter_is_an_error_and_never_the_base_model() {
    journey("talk-unknown-adapter", |page| async move {
        page.open("/?voices=unaware,THA%2Bnowhere&q=Hello").await;
        page.until_there("error").await;
        let said = page.text("error").await;
        assert!(said.contains("nowhere"), "{said}");
        // The browser itself notes the refused request; nothing else may be in its log.
        let console = page.console().await;
        assert!(console.iter().all(|line| line.contains("/api/chat")), "{console:?}");
    })
    .await;
}
