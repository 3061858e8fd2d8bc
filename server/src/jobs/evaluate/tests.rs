//! Evaluations of runs of a tiny random model.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use domain::culture::CultureCode;
use domain::method::MethodRequest;
use domain::score::Metric;
use domain::survey::Survey;

use crate::jobs::manifest::Manifest;
use crate::jobs::testing::{
    Fixture, SURVEY, fixture, go_on, run_with_questions, survey, write_questions,
};
use crate::jobs::{Method, Opening, Progress};

#[tokio::test]
async fn the_steps_follow_each_other_and_are_scored() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let method = run_with_questions(&store, &engine, "r", 6, 1).await;
    assert_eq!(method.collect().await.unwrap_err().code(), "step-missing");
    assert_eq!(method.elicit(&mut go_on).await.unwrap(), 12 * 3);
    let collection = method.collect().await.unwrap();
    assert_eq!(collection.counts.pairs, 24);
    assert!(!collection.instances.is_empty(), "the tiny model has to differ somewhere");
    let tuned = method.tune(&mut go_on).await.unwrap();
    assert_eq!(tuned.len(), 3);
    let report = method.evaluate(Metric::Alignment, &mut go_on).await.unwrap();
    assert_eq!((report.rows.len(), report.questions, report.simulated), (2, 4, true));
    assert!(report.adapters.contains_key("joint"));
    let row = &report.rows[1];
    assert!(row.scores.unaware.is_some() && row.scores.joint.is_some());
    assert!(row.gains.joint_over_aware.unwrap().interval.is_some());
    assert!(row.baselines.like_usa.is_some() && report.rows[0].baselines.like_usa.is_none());
    let mean = report.rows.iter().map(|row| row.scores.aware.unwrap()).sum::<f64>() / 2.0;
    assert!((report.mean.scores.aware.unwrap() - mean).abs() < 1e-9);
    // Option probabilities always name one; the unaware voice is one for all cultures.
    let asked: Vec<usize> = report.refusals.values().map(|refusals| refusals.asked).collect();
    assert_eq!((asked, report.refusals["unaware"].asked), (vec![8, 8, 8, 4], 4));
    assert!(report.refusals.values().all(|refusals| refusals.total() == 0), "{report:?}");
    assert_eq!(store.adapters(engine.base_hash()).await.unwrap().len(), tuned.len());
    // Everything is stored: the second call asks nothing and says the same.
    let again = method.evaluate(Metric::Alignment, &mut go_on).await.unwrap();
    assert_eq!(again, report);
}

#[tokio::test]
async fn adapters_are_asked_as_other_cultures() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let method = run_with_questions(&store, &engine, "r", 6, 1).await;
    method.elicit(&mut go_on).await.unwrap();
    method.collect().await.unwrap();
    method.tune(&mut go_on).await.unwrap();
    let report = method.evaluate(Metric::EarthMover, &mut go_on).await.unwrap();
    assert_eq!(report.with_specific().len(), 2);
    let before = Manifest::of(&store, "r").await.unwrap();
    let cross = method.cross(Metric::EarthMover, &mut go_on).await.unwrap();
    assert_eq!((cross.adapters.len(), cross.cultures.len()), (2, 2));
    for (place, row) in report.rows.iter().enumerate() {
        let own = cross.values[place][place].unwrap();
        assert!((own - row.scores.specific.unwrap()).abs() < 1e-9, "{cross:?}");
    }
    let value = |row: usize, column: usize| cross.values[row][column].unwrap();
    let own = cross.own_gain.unwrap();
    let mean = (value(0, 0) - value(1, 0) + value(1, 1) - value(0, 1)) / 2.0;
    assert!((own.gain - mean).abs() < 1e-9 && own.cultures == 2, "{own:?}");
    // Every answer is stored once, and the run is the same as without them.
    let asked: BTreeMap<String, Vec<f64>> = store.units("r", "cross").await.unwrap();
    assert_eq!(asked.len(), 2 * 4, "each adapter as the other culture");
    let mut calls = 0;
    let mut count = |_: &Progress| {
        calls += 1;
        ControlFlow::Continue(())
    };
    assert_eq!(method.cross(Metric::EarthMover, &mut count).await.unwrap(), cross);
    assert_eq!((calls, Manifest::of(&store, "r").await.unwrap()), (1, before));
}

#[tokio::test]
async fn one_adapter_can_not_be_crossed() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let request = MethodRequest {
        run: Some("r".to_owned()),
        survey: Some(SURVEY.to_owned()),
        per_topic: Some(6),
        accumulation: Some(1),
        adapters: Some(vec!["joint".parse().unwrap(), "THA".parse().unwrap()]),
        ..MethodRequest::default()
    };
    let method = Method::open(&store, &engine, &request, Opening::Begin).await.unwrap();
    write_questions(&method, 6).await;
    method.elicit(&mut go_on).await.unwrap();
    method.collect().await.unwrap();
    method.tune(&mut go_on).await.unwrap();
    let report = method.evaluate(Metric::Alignment, &mut go_on).await.unwrap();
    // The mean of specific voices is over the only culture that has one.
    let thai: Vec<CultureCode> = vec!["THA".parse().unwrap()];
    assert_eq!(report.with_specific(), thai);
    let row = report.rows.iter().find(|row| row.culture == Some(thai[0])).unwrap();
    assert_eq!(report.mean.scores.specific, row.scores.specific);
    assert_eq!(
        report.mean.gains.specific_over_aware.unwrap().gain,
        row.gains.specific_over_aware.unwrap().gain
    );
    let error = method.cross(Metric::Alignment, &mut go_on).await.unwrap_err();
    assert!(error.to_string().contains("in the run `r` only one has"), "{error}");
    assert!(error.to_api().hint.unwrap().contains("--adapters"));
}

#[tokio::test]
async fn a_run_is_evaluated_on_another_survey_than_it_learnt_from() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let method = run_with_questions(&store, &engine, "r", 6, 1).await;
    method.elicit(&mut go_on).await.unwrap();
    method.collect().await.unwrap();
    method.tune(&mut go_on).await.unwrap();
    let home = method.evaluate(Metric::EarthMover, &mut go_on).await.unwrap();
    let before = Manifest::of(&store, "r").await.unwrap();
    // The same questions of other words, none held out, to one culture that the run knows.
    let thai: CultureCode = "THA".parse().unwrap();
    let mut other = Survey { id: "other".to_owned(), ..survey() };
    other.cultures.retain(|culture| culture.code == thai);
    other.reference.retain(|code, _| *code == thai);
    for question in &mut other.questions {
        let text = format!("Which colour has number {} of all?", question.id);
        (question.held_out, question.text) = (false, text);
    }
    store.put_survey(&other).await.unwrap();
    let away = method.on("other").await.unwrap();
    let report = away.evaluate(Metric::EarthMover, &mut go_on).await.unwrap();
    let told = (report.survey.as_str(), report.questions, report.held_out);
    assert_eq!(told, ("other", 8, None));
    assert_eq!((report.seen, home.seen), (Some(0), None), "the words are others");
    assert_eq!(report.rows.len(), 1, "{:?}", report.rows);
    let row = &report.rows[0];
    assert_eq!((row.culture, row.questions), (Some(thai), 8));
    assert!(row.scores.joint.is_some() && row.scores.specific.is_some(), "{row:?}");
    assert_eq!(report.adapters["joint"], home.adapters["joint"]);
    let robust = away.robustness(Metric::EarthMover, &mut go_on).await.unwrap();
    assert!((robust["aware"].layouts["as-written"] - row.scores.aware.unwrap()).abs() < 1e-9);
    // Both are kept apart: at home nothing has changed, and neither is asked again.
    let mut calls = 0;
    let mut count = |_: &Progress| {
        calls += 1;
        ControlFlow::Continue(())
    };
    assert_eq!(method.evaluate(Metric::EarthMover, &mut count).await.unwrap(), home);
    assert_eq!(away.evaluate(Metric::EarthMover, &mut count).await.unwrap(), report);
    assert_eq!((calls, Manifest::of(&store, "r").await.unwrap()), (2, before));
    // Other words are asked anew: those of a question, and those by which people are called.
    other.questions[0].text = method.survey.questions[0].text.clone();
    let mut named = other.clone();
    named.cultures[0].demonym = "Siamese".to_owned();
    for changed in [other, named] {
        store.put_survey(&changed).await.unwrap();
        let mut told = Vec::new();
        let mut tell = |progress: &Progress| {
            told.push(progress.done);
            ControlFlow::Continue(())
        };
        let changed = method.on("other").await.unwrap();
        let report = changed.evaluate(Metric::EarthMover, &mut tell).await.unwrap();
        assert_eq!(told.first(), Some(&0), "{told:?}");
        assert_eq!(report.seen, Some(1), "a seed of the run");
    }
}

#[tokio::test]
async fn a_survey_without_the_runs_cultures_is_refused() {
    let Fixture { folder: _folder, engine, store } = fixture().await;
    let method = run_with_questions(&store, &engine, "r", 6, 1).await;
    let error = method.on("nowhere").await.err().unwrap();
    assert!(error.to_string().contains("there is no survey `nowhere`"), "{error}");
    let mut other = Survey { id: "other".to_owned(), ..survey() };
    for culture in &mut other.cultures {
        culture.code =
            if culture.code == "THA".parse().unwrap() { "KEN" } else { "BOL" }.parse().unwrap();
    }
    (other.reference, other.similarity) = (BTreeMap::new(), BTreeMap::new());
    store.put_survey(&other).await.unwrap();
    let error = method.on("other").await.err().unwrap();
    let told = "the survey `other` knows none of the cultures of the run `r`";
    assert!(error.to_string().contains(told), "{error}");
}
