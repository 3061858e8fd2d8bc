//! A small survey of our own and a tiny random model, for tests of jobs and commands.
//!
//! Always compiled, as [`engine::testing`] is: tests of the command live in a crate of their
//! own. Nothing of the product uses it.
#![expect(clippy::expect_used, reason = "a test that can't make its own input has to stop")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use domain::culture::{Culture, CultureCode};
use domain::generation::GeneratedQuestion;
use domain::question::{Question, QuestionId, Scale, Topic};
use domain::survey::{Distribution, Provenance, Reference, Survey};
use tempfile::TempDir;

use super::generate::Written;
use super::{Method, MethodRequest, Opening, Progress};
use crate::store::{Store, Unit};
use engine::decoder::DecoderConfig;
use engine::testing::{tiny_config, write_model};
use engine::{DeviceChoice, Engine, EngineConfig, ModelSource};

/// The tiny model at work in a data folder of its own that has [`survey`].
pub struct Fixture {
    /// Holds the model in `model` and the data in `data`, and goes away with this.
    pub folder: TempDir,
    /// The model.
    pub engine: Engine,
    /// The data folder.
    pub store: Store,
}

/// Makes one.
pub async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    write_tiny_model(&folder.path().join("model"));
    let engine = engine(&folder.path().join("model"));
    let store = Store::open(&folder.path().join("data")).await.expect("a data folder");
    store.put_survey(&survey()).await.expect("the survey");
    Fixture { folder, engine, store }
}

/// A watcher that lets everything go on.
pub fn go_on(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Identifier of [`survey`].
pub const SURVEY: &str = "small";

/// Two topics of four questions each, half of them held out; the people of two cultures.
pub fn survey() -> Survey {
    let culture = |code: &str, name: &str, demonym: &str| Culture {
        code: code.parse().expect("a code"),
        name: name.to_owned(),
        demonym: demonym.to_owned(),
    };
    let cultures =
        vec![culture("USA", "United States", "American"), culture("THA", "Thailand", "Thai")];
    let topics: Vec<Topic> =
        ["food", "work"].map(|id| Topic { id: id.into(), name: id.to_owned() }).into();
    let questions: Vec<Question> = (0..8)
        .map(|number| Question {
            id: QuestionId(format!("S{number}")),
            topic: topics[number % 2].id.clone(),
            text: format!("How good is thing {number}?"),
            options: ["Bad", "Fair", "Good"].map(str::to_owned)[..2 + number % 2].to_vec(),
            first_number: 1,
            scale: Scale::Ordered,
            dont_know: vec![],
            held_out: number >= 4,
        })
        .collect();
    let people = |code: CultureCode, shift: usize| {
        let answers = questions.iter().enumerate().map(|(number, question)| {
            let mut shares = vec![0.2; question.options.len()];
            let mode = (number + shift) % shares.len();
            shares[mode] = 0.5;
            (question.id.clone(), Distribution { shares, mode: question.number_of(mode) })
        });
        (code, answers.collect::<BTreeMap<_, _>>())
    };
    let reference: Reference =
        cultures.iter().enumerate().map(|(shift, c)| people(c.code, shift)).collect();
    let mut survey = Survey {
        id: SURVEY.to_owned(),
        title: "Small".to_owned(),
        language: "eng".to_owned(),
        provenance: Provenance::Simulated("made up for tests".to_owned()),
        cultures,
        topics,
        questions,
        reference,
        similarity: BTreeMap::new(),
        neighbours: BTreeMap::new(),
        unasked: vec![],
    };
    survey.complete_relations();
    survey
}

/// Writes the tiny model with room for long prompts to `folder`.
pub fn write_tiny_model(folder: &Path) {
    let config = DecoderConfig { max_position_embeddings: 4096, ..tiny_config() };
    write_model(folder, &config, 1);
}

/// Writes another tiny model to `folder`, random by `seed`, and starts an engine on it.
pub fn tiny_engine(folder: &Path, seed: u64) -> Engine {
    let config = DecoderConfig { max_position_embeddings: 4096, ..tiny_config() };
    write_model(folder, &config, seed);
    engine(folder)
}

/// Starts an engine on the model in `folder`.
pub fn engine(folder: &Path) -> Engine {
    let source = ModelSource::Folder(folder.to_owned());
    Engine::start(EngineConfig::new(source, DeviceChoice::Cpu)).expect("the tiny model")
}

/// A run named `run` that has written `questions` questions per topic, as a real model would have;
/// a random one writes none. Tuning takes `epochs` passes.
pub async fn run_with_questions(
    store: &Store,
    engine: &Engine,
    run: &str,
    questions: usize,
    epochs: usize,
) -> Method {
    store.put_survey(&survey()).await.expect("the survey");
    let request = MethodRequest {
        run: Some(run.to_owned()),
        survey: Some(SURVEY.to_owned()),
        per_topic: Some(questions),
        accumulation: Some(1),
        epochs: Some(epochs),
        learning_rate: Some(1e-2),
        ..MethodRequest::default()
    };
    let method = Method::open(store, engine, &request, Opening::Begin).await.expect("a run");
    write_questions(&method, questions).await;
    method
}

/// Lets a run have written `questions` questions per topic.
pub async fn write_questions(method: &Method, questions: usize) {
    let mut units = Vec::new();
    for topic in &method.survey.topics {
        for index in 0..questions {
            let question = GeneratedQuestion {
                question: format!("Is {} number {index} fine?", topic.name),
                options: ["Yes", "Rather", "Hardly", "No"].map(str::to_owned).into(),
            };
            let result = Written { question: Some(question), attempts: 1, fault: None };
            units.push(Unit { key: format!("{}/{index:04}", topic.id), result });
        }
    }
    method.store.record_units(&method.run, "generate", &units).await.expect("questions");
}
