//! Running the method from the studio: settings, five cards, a reload in the middle, pause, cancel and
//! resume, the manifest, and a talk with what came out.

use serde_json::Value;
use tests::{Page, all, journey};

/// Chooses a run that is done within a minute: one culture, one adapter, few questions.
async fn choose_a_short_run(page: &Page, name: &str) {
    page.open("/studio").await;
    page.click("change-settings :is(summary)").await;
    page.fill("name", name).await;
    set(page, "per-topic", "2").await;
    set(page, "epochs", "60").await;
    set(page, "accumulation", "1").await;
    let cultures = page.eval(&format!("{}.map(e => e.value)", all("culture"))).await;
    let cultures: Vec<String> = serde_json::from_value(cultures).unwrap();
    for culture in cultures.iter().filter(|culture| *culture != "THA") {
        page.click(&format!("culture[value={culture}]")).await;
    }
    page.click("adapter[value=THA]").await;
}

/// Replaces the number in a field, as somebody does who goes there by the tab key.
async fn set(page: &Page, hook: &str, number: &str) {
    page.eval(&format!("(e => {{ e.focus(); e.select(); }})({}[0])", all(hook))).await;
    page.type_text(number).await;
}

/// A script that is true when the run is in this state.
fn run_is(state: &str) -> String {
    format!("{}.some(e => e.dataset.state === '{state}')", all("shown-run"))
}

/// A script that is true when the step is in this state.
fn step_is(step: &str, state: &str) -> String {
    format!("{}.length === 1", all(&format!("step[data-step={step}][data-state={state}]")))
}

#[tokio::test]
async fn a_run_is_watched_paused_cancelled_and_ends() {
    journey("studio", |page| async move {
        choose_a_short_run(&page, "short").await;
        // It is in a part of the form that is closed.
        let command = page.eval(&format!("{}[0].textContent.trim()", all("command"))).await;
        assert_eq!(
            command,
            "polylogue run --preset quick --run short --per-topic 2 --cultures THA \
             --adapters joint --epochs 60 --accumulation 1"
        );
        page.click("start").await;
        page.until("the questions are written", &step_is("generate", "done")).await;
        assert!(page.path().await.ends_with("run=short"), "the address opens the same again");
        page.until_there("generate-counts").await;

        page.click("pause").await;
        page.until("it is paused", &run_is("paused")).await;
        page.click("cancel").await;
        page.until("it is cancelled", &run_is("cancelled")).await;
        page.reload().await;
        page.until("a reload shows the same", &run_is("cancelled")).await;
        assert_eq!(page.data("runs run", "run").await, ["short"]);
        page.click("resume").await;
        // A reload would take back a click that hasn't reached the server yet.
        page.until("it goes on", &format!("{} || {}", run_is("running"), run_is("done"))).await;

        page.until("the instances are collected", &step_is("collect", "done")).await;
        page.reload().await;
        page.until_there("collect-counts").await;
        let line = format!("{}.some(e => e.getAttribute('d').length > 0)", all("loss :is(path)"));
        page.until("a loss is shown", &line).await;
        page.until("it is done", &run_is("done")).await;
        let states = page.data("step", "state").await;
        assert_eq!(states, ["done"; 5], "every card has finished");
        page.until_there("evaluation-table").await;
        everything_is_shown(&page).await;
        the_adapter_can_be_talked_to(&page).await;
        what_people_accept_makes_another_adapter(&page).await;
    })
    .await;
}

async fn everything_is_shown(page: &Page) {
    let shown = page.text("generate-counts").await;
    let table = page.texts("evaluation-table :is(tr)").await;
    assert_eq!(table.len(), 3, "head, one culture, mean: {table:?}");
    page.reload().await;
    page.until_there("evaluation-table").await;
    assert_eq!(page.texts("evaluation-table :is(tr)").await, table, "a reload shows the same");
    assert_eq!(page.text("generate-counts").await, shown);
    page.until_there("sample option").await;
    page.look_through(360, 740, false).await;
    assert_eq!(page.overflowing().await, Vec::<String>::new(), "it fits a phone");
    page.look_through(1280, 900, false).await;
    let manifest = manifest(page).await;
    assert_eq!(manifest["run"], "short");
    assert_eq!(manifest["settings"]["per_topic"], 2);
    let steps = manifest["steps"].as_object().unwrap();
    assert!(steps.values().all(|step| step["sha256"].as_str().unwrap().len() == 64));
    assert_eq!(steps.len(), 5);
    assert!(manifest["adapters"]["joint"].is_string());
}

/// What the link to the manifest leads to.
async fn manifest(page: &Page) -> Value {
    let link = format!("{}[0]", all("manifest"));
    page.eval(&format!(
        "(() => {{ window.manifest = null;
           fetch({link}.href).then(r => r.json()).then(m => {{ window.manifest = m; }}); }})()"
    ))
    .await;
    page.until("the manifest has arrived", "window.manifest !== null").await;
    page.eval("window.manifest").await
}

async fn the_adapter_can_be_talked_to(page: &Page) {
    page.click("talk-to").await;
    page.until("its voice is there", &format!("{}.length === 3", all("voice-chip"))).await;
    let voices = page.data("voice-chip", "voice").await;
    assert_eq!(voices, ["unaware", "THA", "THA+short/joint"]);
    page.fill("message", "What matters most in your life?").await;
    page.click("send").await;
    page.until("three voices have answered", &super::talk::answered(3)).await;
}

/// A project of the run's instances: two are accepted, tuned on, and compared with people.
async fn what_people_accept_makes_another_adapter(page: &Page) {
    page.open("/annotate").await;
    page.fill("project-title", "Short").await;
    page.until_there("source-run").await;
    set(page, "overlap", "1").await;
    page.fill("owner-name", "Olu").await;
    page.click("know-culture[value=THA]").await;
    page.click("make-project").await;
    page.until_there("member").await;
    page.click("tab[data-view=judge]").await;
    for _ in 0..2 {
        page.until_there("item").await;
        let item = page.data("item", "item").await.remove(0);
        page.until_there("item[data-seen=true]").await;
        page.click("label[data-label=right]").await;
        let gone = format!("!{}.some(e => e.dataset.item === '{item}')", all("item"));
        page.until("the next item is there", &gone).await;
    }
    page.click("tab[data-view=adapter]").await;
    let counted = format!("{}[0]?.innerText === '2 instances'", all("accepted-count"));
    page.until("two are accepted", &counted).await;
    page.click("tune-accepted").await;
    let done = format!("{}[0]?.dataset.state === 'done'", all("tuning"));
    page.until("the adapter is tuned and compared", &done).await;
    page.until_there("evaluation-table").await;
    let table = page.texts("evaluation-table :is(tr)").await;
    assert!(table.len() == 3 && table[2].contains('['), "differences have intervals: {table:?}");
    page.look_through(360, 740, false).await;
    assert_eq!(page.overflowing().await, Vec::<String>::new(), "it fits a phone");
}

#[tokio::test]
async fn a_bad_setting_is_told_beside_the_button() {
    journey("studio-refusal", |page| async move {
        page.open("/studio").await;
        page.click("change-settings :is(summary)").await;
        page.fill("name", "../x").await;
        page.click("start").await;
        page.until_there("error").await;
        assert!(page.text("error").await.contains("../x"));
        assert_eq!(page.path().await, "/studio");
    })
    .await;
}
