//! All comparisons on a tiny random model: what is measured is nothing, that it is measured counts.

use std::ops::ControlFlow;

use domain::method::Step;
use domain::score::Metric;

use crate::experiments;
use crate::jobs::Progress;
use crate::jobs::testing::{Fixture, fixture, go_on, run_with_questions};
use crate::store::RunKind;

#[tokio::test]
async fn every_comparison_is_made_once_and_kept() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let base = run_with_questions(&store, &engine, "base", 6, 1).await;
    let steps = [Step::Elicit, Step::Collect, Step::Tune, Step::Evaluate];
    base.run_steps(&steps, Metric::Alignment, &mut go_on, &mut |_| {}, &mut |_| {}).await.unwrap();

    let report = experiments::run(&base, &mut go_on, &mut |_| {}).await.unwrap();
    let keys: Vec<&str> = report.sections.iter().map(|section| section.key).collect();
    let expect = [
        "strategy",
        "quality",
        "quantity",
        "collection",
        "styles",
        "layouts",
        "topics",
        "relations",
        "cross",
        "ability",
    ];
    assert_eq!(keys, expect);
    let labels = |key: &str| -> Vec<String> {
        let section = report.sections.iter().find(|section| section.key == key).unwrap();
        section.entries.iter().map(|entry| entry.label.clone()).collect()
    };
    assert_eq!(labels("quality").len(), 3);
    assert_eq!(labels("quantity").len(), 4);
    // Two cultures have no similarity table, so that nobody can think across them.
    assert!(labels("collection").iter().all(|label| !label.contains("P2")), "{report:?}");
    let collection = report.sections.iter().find(|section| section.key == "collection").unwrap();
    assert!(collection.measure.contains("Not run: collected with cross-culture"), "{collection:?}");
    assert!(labels("styles").iter().any(|label| label.starts_with("self-alignment")));
    assert_eq!(labels("layouts").len(), 8);
    let written = &report.sections[5].entries[0];
    assert!(
        written.difference.abs() < 1e-9,
        "the same questions as in the evaluation: {written:?}"
    );
    assert_eq!(labels("ability").len(), 8);
    assert_eq!(labels("cross"), ["adapter of USA", "adapter of THA"]);
    let cross = report.sections.iter().find(|section| section.key == "cross").unwrap();
    assert_eq!(cross.claims.len(), 1, "{cross:?}");

    // Arms are runs; a second call finds everything done.
    let runs = store.runs(RunKind::Method).await.unwrap();
    assert!(runs.iter().any(|run| run.id == "base.random"), "{runs:?}");
    let mut asked = 0;
    let mut count = |progress: &Progress| {
        asked += usize::from(progress.done < progress.total);
        ControlFlow::Continue(())
    };
    let again = experiments::run(&base, &mut count, &mut |_| {}).await.unwrap();
    assert_eq!((again, asked), (report, 0));
}
