//! People judge instances together: in three windows, by keys alone, in a large project, and without a
//! network.

use std::fs;

use fantoccini::key::Key;
use serde_json::json;
use tempfile::TempDir;
use tests::{Page, all, journey, journey_of};

use super::keyboard::tab_to;

/// A file of `count` items about these cultures in turn.
fn file(folder: &TempDir, count: usize, cultures: &[&str]) -> String {
    let lines = (0..count).map(|number| {
        json!({
            "id": format!("t{number}"),
            "culture": cultures[number % cultures.len()],
            "topic": "food",
            "question": format!("How often should a family eat dish {number} together?"),
            "options": ["Never", "Sometimes", "Every day"],
            "unaware": 1,
            "aware": 3,
            "aware_probabilities": [0.1, 0.3, 0.6],
            "people": { "shares": [0.05, 0.35, 0.6], "mode": 3 },
        })
        .to_string()
    });
    let path = folder.path().join("items.jsonl");
    fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Makes a project of `items` items about Thailand, each judged by `overlap` people; the page shows its
/// people.
pub(super) async fn make_project(page: &Page, items: usize, overlap: usize) {
    make_project_of(page, items, &["THA"], overlap).await;
}

/// Makes a project of `items` items about these cultures in turn; its owner knows Thailand.
pub(super) async fn make_project_of(page: &Page, items: usize, cultures: &[&str], overlap: usize) {
    let folder = tempfile::tempdir().unwrap();
    page.open("/annotate").await;
    page.fill("project-title", "Meals").await;
    page.fill("project-guidelines", "Think of **people you know**.").await;
    page.fill("source-file", &file(&folder, items, cultures)).await;
    let read = format!("{}[0].innerText.includes('{items} lines')", all("file-read"));
    page.until("the file is read", &read).await;
    page.eval(&format!("{}[0].value = ''", all("overlap"))).await;
    page.fill("overlap", &overlap.to_string()).await;
    page.fill("owner-name", "Olu").await;
    page.click("know-culture[value=THA]").await;
    page.click("make-project").await;
    page.until_there("member").await;
    in_step(page).await;
}

pub(super) async fn in_step(page: &Page) {
    let state = format!("{}.some(e => e.dataset.state === 'in-step')", all("connection"));
    page.until("everything is saved", &state).await;
}

/// Makes an invite for somebody with this role and returns the path of its link.
pub(super) async fn invite(page: &Page, role: &str) -> String {
    page.click("tab[data-view=people]").await;
    page.until_there("invite").await;
    let shown = format!("({}[0]?.value ?? '')", all("invite-link"));
    let before = page.string(&shown).await;
    page.choose("invite-role", role).await;
    page.click("invite").await;
    page.until("there is a new link", &format!("{shown} !== '{before}'")).await;
    page.string(&format!("new URL({shown}).pathname")).await
}

pub(super) async fn join(page: &Page, invite: &str, name: &str) {
    page.open(invite).await;
    page.fill("join-name", name).await;
    page.click("know-culture[value=THA]").await;
    page.click("join-send").await;
    in_step(page).await;
}

/// Judges the item that must be the current one, and waits for the next.
pub(super) async fn judge(page: &Page, item: &str, label: &str) {
    // A tap in the first moment is taken for the second of a double one.
    page.until_there(&format!("item[data-item={item}][data-seen=true]")).await;
    page.click(&format!("label[data-label={label}]")).await;
    let gone = format!("!{}.some(e => e.dataset.item === '{item}')", all("item"));
    page.until("the next item is there", &gone).await;
}

pub(super) async fn at(page: &Page, item: &str) {
    let there = format!("{}.some(e => e.dataset.item === '{item}')", all("item"));
    page.until(&format!("the item {item} is there"), &there).await;
}

/// The value of percent agreement on the page.
fn percent() -> String {
    let row = all("coefficient[data-coefficient=percent]");
    format!("({row}[0]?.querySelector('td').innerText ?? '')")
}

#[tokio::test]
async fn three_people_judge_disagree_and_see_the_decision() {
    journey_of("annotate-together", 4, |pages| async move {
        let [olu, ann, bob, eve] = [0, 1, 2, 3].map(|person| pages[person].clone());
        make_project(&olu, 2, 3).await;
        let link = invite(&olu, "annotator").await;
        join(&ann, &link, "Ann").await;
        join(&bob, &link, "Bob").await;
        try_own_link(&olu, &link).await;
        for page in [&olu, &ann, &bob] {
            page.until_there("present[data-count=\"3\"]").await;
        }
        olu.click("tab[data-view=judge]").await;
        for (page, label) in [(&olu, "right"), (&ann, "right"), (&bob, "wrong")] {
            judge(page, "t0", label).await;
        }
        for page in [&olu, &ann, &bob] {
            page.click("tab[data-view=agreement]").await;
            page.until("one item of three opinions", &format!("{} === '0.33'", percent())).await;
        }
        olu.click("tab[data-view=judge]").await;
        ann.click("tab[data-view=judge]").await;
        bob.click("tab[data-view=judge]").await;
        judge(&olu, "t1", "right").await;
        judge(&ann, "t1", "right").await;
        ann.click("tab[data-view=agreement]").await;
        olu.click("tab[data-view=agreement]").await;
        judge(&bob, "t1", "right").await;
        bob.click("tab[data-view=agreement]").await;
        for page in [&olu, &ann, &bob] {
            page.until("agreement changes by itself", &format!("{} === '0.67'", percent())).await;
        }
        rename(&olu, &[&ann, &bob]).await;
        ann.click("tab[data-view=items]").await;
        let link = invite(&olu, "adjudicator").await;
        join(&eve, &link, "Eve").await;
        decide(&eve, &ann).await;
        export_holds_it_all(&eve).await;
    })
    .await;
}

/// The owner follows a link into their own project: they are led back to it, and stay its owner.
async fn try_own_link(owner: &Page, link: &str) {
    owner.open(link).await;
    owner.until_there("already-in").await;
    assert_eq!(owner.eval(&format!("{}.length", all("join"))).await, 0, "not by accident");
    owner.click("open-membership").await;
    in_step(owner).await;
    owner.click("tab[data-view=people]").await;
    owner.until_there("invite").await;
}

/// The owner gives the project another title, which the others see.
async fn rename(owner: &Page, others: &[&Page]) {
    owner.click("tab[data-view=people]").await;
    owner.click("change-project").await;
    owner.until_there("save-project").await;
    owner.fill("project-title", " together").await;
    owner.click("save-project").await;
    for page in others {
        let title = "document.querySelector('h1').innerText === 'Meals together'";
        page.until("the title changes by itself", title).await;
    }
}

/// An adjudicator discusses and decides the disagreement; a comment and the decision show at the others'.
async fn decide(adjudicator: &Page, other: &Page) {
    adjudicator.click("tab[data-view=items]").await;
    for page in [adjudicator, other] {
        page.click("disagreement[data-item=t0] [href]").await;
        page.until("three opinions", &format!("{}.length === 3", all("opinion"))).await;
    }
    other.fill("comment-text", "<b>Some</b> families do.").await;
    other.click("comment-send").await;
    adjudicator.until_there("comment").await;
    assert!(adjudicator.text("comment").await.contains("<b>Some</b>"), "a comment is plain text");
    adjudicator.click("answer").await;
    adjudicator.type_text("Most don’t.").await;
    adjudicator.press(&[Key::Enter]).await;
    other.until_there("comment[class~=answer]").await;
    adjudicator.click("decide[data-label=depends]").await;
    let decided = format!("{}[0].innerText.includes('Depends')", all("verdict"));
    for page in [adjudicator, other] {
        page.until("the decision shows", &decided).await;
        let none = format!("{}.length === 0", all("disagreement"));
        page.until("the queue is empty", &none).await;
    }
}

async fn export_holds_it_all(adjudicator: &Page) {
    adjudicator.click("tab[data-view=people]").await;
    adjudicator
        .eval(
            "(() => { const make = URL.createObjectURL; URL.createObjectURL = blob => {
               blob.text().then(text => { window.exported = text; }); return make(blob); }; })()",
        )
        .await;
    adjudicator.click("export[data-format=jsonl]").await;
    adjudicator.until("the file is made", "window.exported !== undefined").await;
    let found = adjudicator
        .eval(
            "window.exported.trim().split('\\n').map(JSON.parse)
               .map(i => [i.id, i.judgements.length, i.verdict.label, i.comments.length])",
        )
        .await;
    assert_eq!(found, json!([["t0", 3, "depends", 2], ["t1", 3, "right", 0]]));
}

#[tokio::test]
async fn keys_alone_judge_skip_and_take_back() {
    journey("annotate-keys", |page| async move {
        make_project_by_keys(&page, 5).await;
        open_by_keys(&page, "judge").await;
        at(&page, "t0").await;
        page.type_text("1").await;
        at(&page, "t1").await;
        page.press(&[Key::Down, Key::Down]).await;
        page.type_text("2").await;
        at(&page, "t2").await;
        page.type_text("u").await;
        at(&page, "t1").await;
        page.type_text("4").await;
        at(&page, "t2").await;
        page.type_text("s").await;
        page.until_there("skip-reason").await;
        page.type_text("c").await;
        page.type_text("1?").await;
        let kept = page.string(&format!("{}[0].value", all("comment-text"))).await;
        assert_eq!(kept, "1?", "a key that belongs to a text judges nothing");
        page.press(&[Key::Enter]).await;
        page.until_there("comment").await;
        tab_to(&page, "document.activeElement.dataset.testid === 'skip-reason'").await;
        page.press(&[Key::Enter]).await;
        at(&page, "t3").await;
        page.type_text("3").await;
        at(&page, "t4").await;
        skip_by_a_key_of_ones_own(&page, "x").await;
        page.until_there("nothing-to-judge").await;
        in_step(&page).await;
        open_by_keys(&page, "mine").await;
        tab_to(&page, "document.activeElement.closest('[data-item=t0]') !== null").await;
        page.press(&[Key::Enter]).await;
        tab_to(&page, "document.activeElement.dataset.label === 'wrong'").await;
        page.press(&[Key::Enter]).await;
        page.until("the word is replaced", &said("Wrong")).await;
        in_step(&page).await;
        open_by_keys(&page, "people").await;
        page.until_there("member").await;
        let row = page.text("member").await;
        let numbers: Vec<&str> = row.split_whitespace().collect();
        assert!(numbers.windows(2).any(|pair| pair == ["3", "2"]), "3 judged, 2 skipped: {row}");
    })
    .await;
}

/// Gives skipping another key, and skips the current item by it and by the number of a reason.
async fn skip_by_a_key_of_ones_own(page: &Page, key: &str) {
    let show = "document.activeElement.dataset.testid === 'show-keys'";
    page.type_text("?").await;
    tab_to(page, "(document.activeElement.ariaLabel ?? '').startsWith('Key for skip')").await;
    page.type_text(key).await;
    // Leaving the field changes the key; and a key that is pressed in a field is only written there.
    tab_to(page, show).await;
    page.press(&[Key::Enter]).await;
    page.type_text(key).await;
    page.until_there("skip-reason").await;
    page.type_text("2").await;
}

/// Makes a project of `items` items without a click. The file is given to its field: the dialog in which
/// one is chosen is the system's.
async fn make_project_by_keys(page: &Page, items: usize) {
    let folder = tempfile::tempdir().unwrap();
    page.open("/annotate").await;
    let at = |hook: &str| format!("document.activeElement.dataset.testid === '{hook}'");
    tab_to(page, &at("project-title")).await;
    page.type_text("Meals by keys").await;
    tab_to(page, &at("source-file")).await;
    page.fill("source-file", &file(&folder, items, &["THA"])).await;
    let read = format!("{}[0].innerText.includes('{items} lines')", all("file-read"));
    page.until("the file is read", &read).await;
    tab_to(page, &at("overlap")).await;
    // What was there is selected when the field is reached.
    page.type_text("1").await;
    tab_to(page, &at("owner-name")).await;
    page.type_text("Olu").await;
    tab_to(page, "document.activeElement.value === 'THA'").await;
    page.type_text(" ").await;
    tab_to(page, &at("make-project")).await;
    page.press(&[Key::Enter]).await;
    page.until_there("member").await;
    in_step(page).await;
}

/// Goes to a view of the project by its tab.
async fn open_by_keys(page: &Page, view: &str) {
    tab_to(page, &format!("document.activeElement.dataset.view === '{view}'")).await;
    page.press(&[Key::Enter]).await;
}

/// Whether the member's own word names this label.
fn said(label: &str) -> String {
    format!("{}.some(e => e.innerText.includes('{label}'))", all("my-word"))
}

#[tokio::test]
async fn in_a_large_project_the_next_item_shows_within_a_frame() {
    journey_of("annotate-large", 2, |pages| async move {
        let [olu, ann] = [0, 1].map(|person| pages[person].clone());
        make_project(&olu, 5_000, 2).await;
        let link = invite(&olu, "annotator").await;
        join(&ann, &link, "Ann").await;
        // Ann judges all the time, and Olu’s browser hears of it.
        ann.until_there("item").await;
        let press =
            "window.dispatchEvent(new KeyboardEvent('keydown', { key: '1', code: 'Digit1' }))";
        ann.eval(&format!("setInterval(() => {press}, 100)")).await;
        olu.click("tab[data-view=judge]").await;
        let item = format!("{}[0]?.dataset.item", all("item"));
        for _ in 0..5 {
            olu.until_there("item").await;
            let next = format!(
                "new Promise(done => requestAnimationFrame(() => {{
                   const before = {item};
                   {press};
                   requestAnimationFrame(() => done(before !== undefined && {item} !== before));
                 }}))"
            );
            assert_eq!(olu.eval(&next).await, true, "the next item is there in the next frame");
        }
        in_step(&olu).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_judged_without_a_network_is_handed_in_later() {
    journey("annotate-offline", |page| async move {
        make_project(&page, 4, 1).await;
        page.click("tab[data-view=judge]").await;
        at(&page, "t0").await;
        page.cut_off(true).await;
        for (item, label) in [("t0", "right"), ("t1", "wrong"), ("t2", "depends")] {
            judge(&page, item, label).await;
        }
        let kept = "Object.keys(localStorage).filter(k => k.includes('.outbox.')).length";
        assert_eq!(page.eval(kept).await, 3, "the browser keeps what it can't hand in");
        page.cut_off(false).await;
        in_step(&page).await;
        page.until("nothing is left", &format!("{kept} === 0")).await;
        page.reload().await;
        at(&page, "t3").await;
        let counted = format!("{}[0].dataset.judgements === '3'", all("progress"));
        page.until("the server has all three", &counted).await;
        // What the browser says of a network that was taken away is as it should be.
        let said = page.console().await;
        assert!(said.iter().all(|line| line.contains("ERR_INTERNET_DISCONNECTED")), "{said:?}");
    })
    .await;
}
