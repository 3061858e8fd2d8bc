//! Asking a survey and reading how close voices are to people.

use tests::{Page, all};

use tests::journey;

/// Starts a short run (one culture) and waits for its results.
pub async fn ask_one_culture(page: &Page, culture: &str) {
    page.open("/survey").await;
    page.click("no-cultures").await;
    page.click(&format!("culture[value={culture}]")).await;
    page.click("survey-run").await;
    page.until_there("results").await;
    let done = format!("{}.some(e => e.dataset.state === 'done')", all("survey-progress"));
    page.until("the run is done", &done).await;
    page.until_there("ranking-row").await;
}

/// Voices and their numbers, best first.
pub async fn ranking(page: &Page) -> Vec<String> {
    page.texts("ranking-row").await
}

#[tokio::test]
async fn every_choice_recomputes_in_the_browser() {
    journey("survey-choices", |page| async move {
        ask_one_culture(&page, "NGA").await;
        assert!(!page.texts("simulated").await.is_empty(), "a simulated reference says so");
        let columns = "getComputedStyle(e).gridTemplateColumns";
        let columns = page.strings(&format!("{}.map(e => {columns})", all("bar"))).await;
        assert!(columns.len() > 1, "people and voices have bars");
        assert!(columns.iter().all(|of| *of == columns[0] && of.contains("px")), "{columns:?}");
        page.until_quiet().await;
        let requests = page.requests().await;
        let mut shown = vec![ranking(&page).await];
        for metric in ["alignment-per-question", "jensen-shannon", "earth-mover", "exact-mode"] {
            page.choose("metric", metric).await;
            until_ranking_differs(&page, &shown[shown.len() - 1]).await;
            shown.push(ranking(&page).await);
        }
        page.click("topic").await;
        until_ranking_differs(&page, &shown[shown.len() - 1]).await;
        page.until_quiet().await;
        assert_eq!(page.requests().await, requests, "no choice asks the server");
        saved_as_pictures(&page).await;
    })
    .await;
}

/// Keeps in `window.saved` what the page would save as files.
const KEEP_FILES: &str = "(() => {
  window.saved = { texts: [], links: [] };
  const make = URL.createObjectURL;
  URL.createObjectURL = blob => {
    blob.text().then(text => window.saved.texts.push(text));
    return make.call(URL, blob);
  };
  HTMLAnchorElement.prototype.click = function() {
    window.saved.links.push(this.download + ' ' + this.href.slice(0, 22));
  };
})()";

/// A chart is saved as SVG and as PNG, with its words in it.
async fn saved_as_pictures(page: &Page) {
    page.eval(KEEP_FILES).await;
    page.click("ranking save-svg").await;
    page.until("there is an SVG", "window.saved.texts.length === 1").await;
    let parsed = "new DOMParser().parseFromString(window.saved.texts[0], 'image/svg+xml')";
    let facts = format!(
        "(() => {{ const d = {parsed}; return [d.documentElement.localName,
           String(d.querySelectorAll('parsererror').length),
           String(d.querySelectorAll('circle').length > 1),
           String(d.documentElement.textContent.includes('Nigeria')
             || d.documentElement.textContent.includes('NGA')),
           String(d.documentElement.textContent.includes('simulated reference'))]; }})()"
    );
    assert_eq!(page.strings(&facts).await, ["svg", "0", "true", "true", "true"]);
    page.click("ranking save-png").await;
    page.until("there is a PNG", "window.saved.links.length === 2").await;
    let links = page.strings("window.saved.links").await;
    assert!(links[0].starts_with("ranking.svg blob:"), "{links:?}");
    assert_eq!(links[1], "ranking.png data:image/png;base64,");
}

/// Waits until the ranking is another one.
pub async fn until_ranking_differs(page: &Page, before: &[String]) {
    let now = format!("{}.map(e => e.innerText).join('|')", all("ranking-row"));
    let before = serde_json::to_string(&before.join("|")).unwrap();
    page.until("the ranking has changed", &format!("{now} !== {before}")).await;
}

#[tokio::test]
async fn cultures_adapters_and_runs_are_held_against_each_other() {
    journey("survey-matrices", |page| async move {
        ask_one_culture(&page, "NGA").await;
        page.open("/survey").await;
        page.click("few-cultures").await;
        page.click("kind[value=crossed]").await;
        page.click("survey-run").await;
        page.until_there("cross").await;
        // Three cultures: two matrices of how alike they are, and three adapters on three cultures.
        let cells = |chart: &str| format!("{}.length", all(&format!("{chart} heat-cell")));
        assert_eq!(page.eval(&cells("relations")).await, 18);
        assert_eq!(page.eval(&cells("cross")).await, 9);
        assert!(page.text("relations").await.contains("The matrices"), "how well both agree");
        assert!(page.text("cross").await.contains("closer to its people than the others"));
        // A picture has what the matrix has, however it is scrolled, and nothing that is folded away.
        let relations = format!("{}[0]", all("relations"));
        let folded = format!("{relations}.textContent.includes('Mantel')");
        assert_eq!(page.eval(&folded).await, true, "the page explains it on demand");
        page.eval(KEEP_FILES).await;
        page.eval(&format!(
            "{relations}.querySelectorAll('.scroll').forEach(box => {{
               box.style.width = '160px'; box.scrollLeft = 80; }})"
        ))
        .await;
        page.click("relations save-svg").await;
        page.until("there is an SVG", "window.saved.texts.length === 1").await;
        let facts = "(() => {
          const d = new DOMParser().parseFromString(window.saved.texts[0], 'image/svg+xml').documentElement;
          const left = d.viewBox.baseVal.x;
          const places = [...d.querySelectorAll('text[x], svg[x], rect[x]')].map(e => Number(e.getAttribute('x')));
          return [String(d.textContent.includes('Mantel')), String(places.every(x => x >= left))];
        })()";
        assert_eq!(page.strings(facts).await, ["false", "true"]);

        let alone = ranking(&page).await;
        let runs = page.data("runs run", "run").await;
        page.choose("beside", &runs[1]).await;
        until_ranking_differs(&page, &alone).await;
        let together = ranking(&page).await;
        assert_eq!(together.len(), alone.len() + 5, "unaware with three, aware and joint with one");
        let of =
            |run: &String| together.iter().filter(|row| row.contains(&format!("{run}: "))).count();
        assert_eq!((of(&runs[0]), of(&runs[1])), (alone.len(), 5));
        assert!(page.path().await.ends_with(&format!("beside={}", runs[1])));
        page.reload().await;
        let both = format!("{}.length === {}", all("ranking-row"), together.len());
        page.until("a reload shows both", &both).await;
        page.look_through(360, 740, false).await;
        assert_eq!(page.overflowing().await, Vec::<String>::new(), "it fits a phone");
    })
    .await;
}
