//! Which run a command goes on with, on the tiny model.

use domain::method::{AdapterTarget, Preset};
use domain::score::Metric;

use super::*;
use crate::jobs::Method;
use crate::jobs::testing::{Fixture, SURVEY, fixture, go_on, survey, write_questions};
use crate::store::NewRun;

fn small() -> MethodRequest {
    MethodRequest { survey: Some(SURVEY.to_owned()), ..MethodRequest::default() }
}

fn named(run: &str) -> MethodRequest {
    MethodRequest { run: Some(run.to_owned()), ..small() }
}

async fn open(fixture: &Fixture, request: &MethodRequest, opening: Opening) -> Method {
    Method::open(&fixture.store, &fixture.engine, request, opening).await.unwrap()
}

async fn state(method: &Method) -> JobState {
    method.store.run(&method.run).await.unwrap().state
}

/// Runs steps as a command does.
async fn command(method: &Method, steps: &[Step]) {
    let before = method.store.run(&method.run).await.unwrap();
    method.set_state(None).await.unwrap();
    let (recorded, done) = (&mut |_: &_| {}, &mut |_: &_| {});
    method.run_steps(steps, Metric::Alignment, &mut go_on, recorded, done).await.unwrap();
    method.settle(steps, &before).await.unwrap();
}

#[tokio::test]
async fn an_unfinished_variant_is_gone_on_with_only_where_it_is_asked_for() {
    let fixture = fixture().await;
    let accepted = Accepted::new("p", "r", &[]);
    let codes: Vec<_> = survey().cultures.iter().map(|culture| culture.code).collect();
    let quick = MethodRequest {
        samples: None,
        filter: None,
        tuning: None,
        ..small().or(Preset::Quick.request(&codes))
    };
    for (name, variant) in [
        ("style", MethodRequest { style: Some(PromptStyle::SelfAlignment), ..small() }),
        ("samples", MethodRequest { samples: Some(Elicitation::Samples(3)), ..small() }),
        ("rule", MethodRequest { rule: Some(CollectionRule::Shift), ..small() }),
        ("source", MethodRequest { source: Some(Source::Random), ..small() }),
        ("share", MethodRequest { share: Some(0.5), ..small() }),
        ("matched", MethodRequest { matched: Some(true), ..small() }),
        ("general", MethodRequest { general: Some(0.25), ..small() }),
        ("seeds", MethodRequest { seeds_per_topic: Some(1), ..small() }),
        ("accepted", MethodRequest { accepted: Some(accepted), ..small() }),
    ] {
        // Sizes as the preset's, so that only the variant tells them apart.
        let run = MethodRequest { run: Some(name.to_owned()), ..variant.clone() };
        let run = run.or(quick.clone());
        let run = open(&fixture, &run, Opening::Begin).await.run;
        for request in [small(), quick.clone()] {
            let found = find(&fixture.store, &fixture.engine, &request, Opening::Begin).await;
            assert_eq!(found.unwrap().map(|run| run.id), None, "`{name}` wasn't asked for");
        }
        let found = find(&fixture.store, &fixture.engine, &variant, Opening::Begin).await;
        assert_eq!(found.unwrap().map(|found| found.id), Some(run), "`{name}` was asked for");
    }
}

#[tokio::test]
async fn sizes_that_are_not_named_are_the_unfinished_runs() {
    let fixture = fixture().await;
    let sized = MethodRequest { per_topic: Some(3), learning_rate: Some(1e-3), ..small() };
    let begun = open(&fixture, &sized, Opening::Begin).await;
    assert_eq!(open(&fixture, &small(), Opening::Begin).await.run, begun.run);
    let other = MethodRequest { per_topic: Some(4), ..small() };
    assert_ne!(open(&fixture, &other, Opening::Begin).await.run, begun.run);
}

#[test]
fn the_usual_variant_is_what_a_new_run_gets() {
    let request = with_usual_variant(&MethodRequest::default());
    assert_eq!(request.samples, Some(Elicitation::Probabilities));
    assert_eq!(
        (request.rule, request.source),
        (Some(CollectionRule::Different), Some(Source::Inconsistent))
    );
}

#[tokio::test]
async fn a_cancelled_run_is_gone_on_with_only_by_its_name() {
    let fixture = fixture().await;
    let cancelled = open(&fixture, &named("mine"), Opening::Begin).await;
    fixture.store.set_state("mine", JobState::Cancelled, None).await.unwrap();
    for opening in [Opening::Begin, Opening::GoOn, Opening::Look, Opening::Base] {
        let found = find(&fixture.store, &fixture.engine, &small(), opening).await.unwrap();
        assert_eq!(found.map(|run| run.id), None, "{opening:?}");
    }
    let by_name = open(&fixture, &named("mine"), Opening::Begin).await;
    assert_eq!(by_name.run, cancelled.run);
}

#[tokio::test]
async fn comparisons_go_on_with_their_own_base_and_never_with_an_arm() {
    let fixture = fixture().await;
    let sized = MethodRequest { per_topic: Some(3), ..small() };
    let base = open(&fixture, &sized, Opening::Base).await;
    assert_eq!(open(&fixture, &sized, Opening::Base).await.run, base.run, "killed in the base run");
    base.set_state(Some(Ok(()))).await.unwrap();
    assert_eq!(open(&fixture, &sized, Opening::Base).await.run, base.run, "killed between arms");

    let joint = Some(vec![AdapterTarget::Joint]);
    let arm = |key: &str, change: MethodRequest| MethodRequest {
        run: Some(format!("{}.{key}", base.run)),
        adapters: joint.clone(),
        ..change.or(sized.clone())
    };
    let random = MethodRequest { source: Some(Source::Random), ..MethodRequest::default() };
    open(&fixture, &arm("random", random), Opening::Begin).await;
    // One without any change, as none is: its name alone says that it is an arm.
    open(&fixture, &arm("same", MethodRequest::default()), Opening::Begin).await;
    for request in [sized.clone(), MethodRequest { adapters: joint, ..sized.clone() }] {
        let found = find(&fixture.store, &fixture.engine, &request, Opening::Base).await.unwrap();
        let expect = request.adapters.is_none().then(|| base.run.clone());
        assert_eq!(found.map(|run| run.id), expect, "killed in an arm");
    }
    assert!(open(&fixture, &small(), Opening::Base).await.run != base.run, "other sizes");
    assert!(open(&fixture, &small(), Opening::Begin).await.run != base.run, "it is done");

    // A later run of the same settings has no arms yet.
    let later = MethodRequest { run: Some("later".to_owned()), ..sized.clone() };
    let later = open(&fixture, &later, Opening::Begin).await;
    later.set_state(Some(Ok(()))).await.unwrap();
    assert_eq!(open(&fixture, &sized, Opening::Base).await.run, base.run);
}

#[tokio::test]
async fn looking_at_a_run_on_the_way_leaves_it_to_be_gone_on_with() {
    let fixture = fixture().await;
    let sized =
        MethodRequest { per_topic: Some(6), epochs: Some(1), accumulation: Some(1), ..small() };
    let method = open(&fixture, &sized, Opening::Begin).await;
    write_questions(&method, 6).await;
    command(&method, &[Step::Generate]).await;
    assert_eq!(state(&method).await, JobState::Paused);
    let looked = open(&fixture, &sized, Opening::Look).await;
    assert_eq!(looked.run, method.run);
    command(&looked, &[Step::Evaluate]).await;
    assert_eq!(state(&method).await, JobState::Paused, "it has neither answers nor adapters");
    let on = open(&fixture, &sized, Opening::Begin).await;
    assert_eq!(on.run, method.run, "the pipeline goes on with it");
    command(&on, &Step::ALL).await;
    assert_eq!(state(&method).await, JobState::Done);
    for steps in [&[Step::Evaluate][..], &[Step::Tune][..]] {
        command(&method, steps).await;
        assert_eq!(state(&method).await, JobState::Done, "{steps:?} of a run that is done");
    }
}

#[tokio::test]
async fn an_evaluation_keeps_why_a_run_stopped() {
    let fixture = fixture().await;
    let method = open(&fixture, &named("r"), Opening::Begin).await;
    write_questions(&method, 2).await;
    fixture.store.set_state("r", JobState::Failed, Some("why")).await.unwrap();
    command(&method, &[Step::Evaluate]).await;
    let run = fixture.store.run("r").await.unwrap();
    assert_eq!((run.state, run.error.as_deref()), (JobState::Failed, Some("why")));
    // Nobody is at work on what was killed.
    fixture.store.set_state("r", JobState::Running, None).await.unwrap();
    command(&method, &[Step::Evaluate]).await;
    assert_eq!(state(&method).await, JobState::Paused);
}

#[tokio::test]
async fn what_came_with_the_model_is_evaluated_in_a_run_of_its_own() {
    let fixture = fixture().await;
    let begun = open(&fixture, &small(), Opening::Begin).await;
    write_questions(&begun, 2).await;
    let shipped = open(&fixture, &small(), Opening::Shipped).await;
    assert_ne!(shipped.run, begun.run, "that one writes questions");
    command(&shipped, &[Step::Evaluate]).await;
    assert_eq!(state(&shipped).await, JobState::Done, "nothing else was wanted of it");
    assert_eq!(open(&fixture, &small(), Opening::Shipped).await.run, shipped.run);
    assert_eq!(open(&fixture, &small(), Opening::Begin).await.run, begun.run);
}

#[tokio::test]
async fn other_kinds_of_runs_are_refused_by_name() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let new = NewRun { id: Some("asked"), kind: RunKind::Survey, settings: &1, total: 1 };
    store.create_run(new).await.unwrap();
    let error = find(&store, &engine, &named("asked"), Opening::Base).await.unwrap_err();
    assert!(error.to_string().contains("it is a survey run"), "{error}");
}
