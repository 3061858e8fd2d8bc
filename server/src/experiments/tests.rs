//! All comparisons on a tiny random model: what is measured is nothing, that it is measured counts.

use std::ops::ControlFlow;

use app::api::method_run::{StepInfo, StepState};
use domain::method::{AdapterTarget, MethodRequest, Step};
use domain::score::Metric;
use domain::training_set::Source;

use crate::experiments;
use crate::jobs::testing::{Fixture, SURVEY, fixture, go_on, run_with_questions, write_questions};
use crate::jobs::{Method, MethodRuns, Opening, Progress};
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
    let strategy = labels("strategy");
    assert_eq!(strategy[..3], ["unaware", "joint adapter", "specific adapters"]);
    assert_eq!(strategy[3..], ["random option", "always the middle", "everybody like USA"]);
    let like = &report.sections[0].entries[5];
    assert_eq!(like.note, "over 1 of 2 cultures", "nobody is like themselves");
    assert_eq!(report.baselines, report.sections[0].entries[3..]);
    assert!(report.baselines.iter().all(|entry| entry.score.is_some()), "{:?}", report.baselines);
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
    // The studio shows them as it shows any run.
    let shown = MethodRuns::new(engine.clone(), store.clone()).get("base.random").await.unwrap();
    let done = |step: &StepInfo| step.state == StepState::Done;
    assert!(shown.info.steps.iter().all(done), "{:?}", shown.info.steps);
    assert!(shown.generate.is_some() && shown.elicit.is_some(), "{shown:?}");
    assert!(shown.collect.is_some() && shown.evaluate.is_some(), "{shown:?}");
    assert!(!shown.tune[0].curve.is_empty() && shown.tune[0].sample.is_some(), "{shown:?}");
    let mut asked = 0;
    let mut count = |progress: &Progress| {
        asked += usize::from(progress.done < progress.total);
        ControlFlow::Continue(())
    };
    let again = experiments::run(&base, &mut count, &mut |_| {}).await.unwrap();
    assert_eq!((again, asked), (report, 0));
}

#[tokio::test]
async fn voices_that_a_base_run_lacks_are_left_out() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let request = MethodRequest {
        run: Some("base".to_owned()),
        survey: Some(SURVEY.to_owned()),
        per_topic: Some(6),
        epochs: Some(1),
        accumulation: Some(1),
        adapters: Some(vec![AdapterTarget::Joint]),
        ..MethodRequest::default()
    };
    let base = Method::open(&store, &engine, &request, Opening::Base).await.unwrap();
    write_questions(&base, 6).await;
    let (recorded, done) = (&mut |_: &_| {}, &mut |_: &_| {});
    base.run_steps(&Step::ALL, Metric::Alignment, &mut go_on, recorded, done).await.unwrap();
    let report = experiments::run(&base, &mut go_on, &mut |_| {}).await.unwrap();
    let strategy = &report.sections[0];
    assert!(strategy.entries.iter().all(|e| e.label != "specific adapters"), "{strategy:?}");
    let texts: Vec<&str> = strategy.claims.iter().map(|claim| claim.text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(report.sections.iter().all(|section| section.key != "cross"));
    let relations = report.sections.iter().find(|section| section.key == "relations").unwrap();
    assert!(relations.measure.contains("over 0 of 2 cultures: specific adapters"), "{relations:?}");
    let page = report.markdown("images");
    assert!(!page.contains("+0.00:"), "{page}");
}

#[test]
fn a_base_run_learns_all_instances_and_has_room_in_its_name() {
    let none = MethodRequest::default;
    let thai: AdapterTarget = "THA".parse().unwrap();
    let long = "x".repeat(46);
    for (request, names) in [
        (MethodRequest { source: Some(Source::Random), ..none() }, "`source`"),
        (MethodRequest { share: Some(0.5), ..none() }, "`share`"),
        (MethodRequest { matched: Some(true), ..none() }, "`matched`"),
        (MethodRequest { adapters: Some(vec![thai]), ..none() }, "`adapters` must name `joint`"),
        (MethodRequest { run: Some(long.clone()), ..none() }, ".consistent-matched`"),
    ] {
        let error = experiments::check_base(&request).unwrap_err();
        assert!(error.to_string().contains(names), "{error}");
        assert!(error.to_api().hint.is_some(), "{error} has no way out");
    }
    let joint = Some(vec![AdapterTarget::Joint, thai]);
    for request in [
        none(),
        MethodRequest { run: Some(long[..45].to_owned()), adapters: joint, ..none() },
        MethodRequest { share: Some(1.0), source: Some(Source::Inconsistent), ..none() },
    ] {
        experiments::check_base(&request).unwrap();
        let arm = request.run.map(|run| format!("{run}.consistent-matched"));
        MethodRequest { run: arm, ..none() }.check().unwrap();
    }
}
