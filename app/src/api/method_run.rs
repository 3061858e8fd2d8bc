//! Wire types of a run of the method: where its steps stand, and what each has to show.
//!
//! Its settings and the request that starts one are [`domain::method`]'s.

use std::collections::BTreeMap;

use domain::culture::CultureCode;
use domain::generation::GeneratedQuestion;
use domain::instance::CollectionRule;
use domain::method::{MethodSettings, Step};
use domain::question::QuestionId;
use domain::score::{Ability, Interval, Metric, Movement, Refusals};
use serde::{Deserialize, Serialize};

use super::{ApiError, JobState};

/// Where a run of the method stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodRunInfo {
    /// Its name.
    pub id: String,
    /// What it does.
    pub settings: MethodSettings,
    /// Where it stands as a whole.
    pub state: JobState,
    /// All steps in order.
    pub steps: Vec<StepInfo>,
    /// Grows whenever there is something new to show; see [`MethodRun`].
    pub revision: u64,
    /// Why it failed, or why it can't go on.
    pub error: Option<ApiError>,
    /// When it was asked for, RFC 3339 in UTC.
    pub created: String,
}

impl MethodRunInfo {
    /// The step that is at work, or would be next.
    pub fn current(&self) -> Option<&StepInfo> {
        self.steps.iter().find(|step| step.state != StepState::Done)
    }
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepInfo {
    /// Which step.
    pub step: Step,
    /// Whether it has begun or ended.
    pub state: StepState,
    /// What of it is at work, where it has parts: the name of an adapter.
    pub part: Option<String>,
    /// Units done, of this part.
    pub done: usize,
    /// Units wanted; 0 before that is known.
    pub total: usize,
    /// Seconds that the rest will take, when known.
    pub remaining_seconds: Option<f64>,
    /// All its parts together, while one of them is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Whole>,
}

/// Where a step that has parts stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Whole {
    /// Parts done: adapters.
    pub parts_done: usize,
    /// Parts wanted.
    pub parts: usize,
    /// Units left in all parts: updates.
    pub rest: usize,
    /// Seconds that they will take, when known.
    pub remaining_seconds: Option<f64>,
}

impl StepInfo {
    /// A step that hasn't begun.
    pub fn waiting(step: Step) -> Self {
        let state = StepState::Waiting;
        Self { step, state, part: None, done: 0, total: 0, remaining_seconds: None, whole: None }
    }
}

/// Whether a step has begun or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Begun and not done; whether it is at work right now, the run's state says.
    Begun,
    /// Done.
    Done,
}

/// A run with what its steps have to show so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodRun {
    /// Where it stands.
    pub info: MethodRunInfo,
    /// Questions written.
    pub generate: Option<GenerateSummary>,
    /// Questions asked.
    #[serde(default)]
    pub elicit: Option<ElicitSummary>,
    /// Instances found.
    pub collect: Option<CollectSummary>,
    /// Adapters tuned, in order, from the first update on.
    pub tune: Vec<AdapterSummary>,
    /// How close the voices are to people.
    pub evaluate: Option<EvaluateSummary>,
}

/// What the model wrote.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GenerateSummary {
    /// Questions asked for so far.
    pub written: usize,
    /// Questions kept.
    pub kept: usize,
    /// Questions dropped, by reason.
    pub dropped: BTreeMap<String, usize>,
    /// Some that were kept, from all topics.
    pub kept_samples: Vec<QuestionSample>,
    /// Some that were dropped, from all reasons.
    pub dropped_samples: Vec<QuestionSample>,
}

/// A generated question to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuestionSample {
    /// The topic's name.
    pub topic: String,
    /// The question; `None` where no reply held one.
    pub question: Option<GeneratedQuestion>,
    /// Why it was dropped; `None` for a kept one.
    pub reason: Option<String>,
}

/// What was answered, without a culture and as each culture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ElicitSummary {
    /// Pairs of an unaware and an aware answer so far.
    pub pairs: usize,
    /// Pairs of which both answers can be read.
    pub readable: usize,
    /// Pairs in which an answer gives no opinion: it can't be read, or says "don't know".
    pub no_opinion: usize,
    /// Some pairs, from all cultures.
    pub samples: Vec<PairSample>,
}

/// A pair of answers to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairSample {
    /// The culture.
    pub culture: CultureCode,
    /// What was asked.
    pub question: String,
    /// What was chosen without a culture; `None` where no reply can be read.
    pub unaware: Option<ChosenOption>,
    /// What was chosen as the culture.
    pub aware: Option<ChosenOption>,
}

/// The option that counts as an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChosenOption {
    /// Its text, or the number that was named where there is no such option.
    pub text: String,
    /// Its probability, or its share of the drawn replies, from 0 to 1.
    pub share: f64,
}

/// Where unaware and aware answers differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectSummary {
    /// Candidate pairs.
    pub pairs: usize,
    /// Pairs whose answers differ: the instances.
    pub instances: usize,
    /// Pairs whose answers agree.
    pub consistent: usize,
    /// Pairs that can't be decided, since an answer is unreadable.
    pub unreadable: usize,
    /// When a pair became an instance.
    #[serde(default)]
    pub rule: CollectionRule,
    /// How often drawn answers would differ; `None` where nothing is known of that.
    #[serde(default)]
    pub drawn: Option<Drawn>,
    /// Share of the pairs whose question gets another unaware answer when it is drawn again; `None` where
    /// nothing is drawn, and in runs of older versions.
    #[serde(default)]
    pub redrawn: Option<f64>,
    /// Jensen-Shannon distance above which a pair is an instance, from 0 to 1, if the rule has one.
    #[serde(default)]
    pub floor: Option<f64>,
    /// The replies, where they were drawn.
    #[serde(default)]
    pub replies: Option<Replies>,
    /// Names of the topics, in order.
    pub topics: Vec<String>,
    /// One row per culture.
    pub rows: Vec<InconsistencyRow>,
    /// Some instances, from all cultures.
    pub samples: Vec<InstanceSample>,
}

/// Shares of pairs that differ if each side is drawn once: at temperature 1 where they come from option
/// probabilities, as the run draws where they come from draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// Aware against unaware.
    pub differ: f64,
    /// Unaware against unaware: the noise floor.
    pub noise: f64,
}

/// Replies that were drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replies {
    /// All of them.
    pub drawn: usize,
    /// Those that name no option: refusals, and whatever else can't be read.
    pub unreadable: usize,
}

/// How often one culture's aware answer differs from the unaware one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InconsistencyRow {
    /// The culture.
    pub culture: CultureCode,
    /// Instances per readable pair, per topic; `None` where there is no such pair.
    pub shares: Vec<Option<f64>>,
    /// [`Drawn::differ`] per topic; `None` where nothing is known of that.
    #[serde(default)]
    pub differ: Vec<Option<f64>>,
    /// [`Drawn::noise`] per topic.
    #[serde(default)]
    pub noise: Vec<Option<f64>>,
    /// [`CollectSummary::redrawn`] per topic.
    #[serde(default)]
    pub redrawn: Vec<Option<f64>>,
    /// Pairs with an unreadable answer, over all topics.
    #[serde(default)]
    pub unreadable: usize,
}

/// An instance to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceSample {
    /// The culture.
    pub culture: CultureCode,
    /// What was asked.
    pub question: String,
    /// The option chosen without a culture.
    pub unaware: String,
    /// The option chosen as the culture.
    pub aware: String,
}

/// An adapter while it is tuned, and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdapterSummary {
    /// Its name within the run: `joint`, `specific-THA`.
    pub name: String,
    /// The culture; `None` for the joint one.
    pub culture: Option<CultureCode>,
    /// Instances it was tuned on, once it is done.
    pub instances: Option<usize>,
    /// First 12 hexadecimal digits of its hash, once it is done; `None` also where there was nothing
    /// to learn from.
    pub hash: Option<String>,
    /// One point per update.
    pub curve: Vec<LossPoint>,
    /// What it answers to a question of the survey as it learns.
    pub sample: Option<AnswerSample>,
}

/// One update of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossPoint {
    /// Updates made, from 1.
    pub step: usize,
    /// Updates of the whole adapter.
    pub total: usize,
    /// Mean loss of the update's answer tokens, in nats.
    pub loss: f64,
    /// Its learning rate.
    pub learning_rate: f64,
}

/// One evaluated question, answered before tuning and now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerSample {
    /// Which question.
    pub id: QuestionId,
    /// Whom the persona names.
    pub culture: CultureCode,
    /// What is asked.
    pub question: String,
    /// Option texts in order.
    pub options: Vec<String>,
    /// Share of people per option.
    pub people: Option<Vec<f64>>,
    /// Whether these people were not asked.
    pub simulated: bool,
    /// Whether no training step sees the question.
    #[serde(default)]
    pub held_out: bool,
    /// Whether the adapter learns answers that were given after seeing people's (P3).
    #[serde(default)]
    pub uses_reference: bool,
    /// Probability per option of the base model under the culture's persona.
    pub before: Vec<f64>,
    /// The same with the adapter after [`Self::step`] updates.
    pub now: Vec<f64>,
    /// Updates made by then.
    pub step: usize,
}

/// All voices on the evaluated questions; scores and gains x 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluateSummary {
    /// How closeness is measured.
    pub metric: Metric,
    /// Questions asked.
    pub questions: usize,
    /// Whether these are held out; where not, they were seeds too. `None` in runs of older versions.
    #[serde(default)]
    pub held_out: Option<bool>,
    /// Kinds of voices whose results rest on people's answers, see
    /// [`domain::prompt::PromptStyle::uses_reference`].
    #[serde(default)]
    pub uses_reference: Vec<String>,
    /// Whether nobody was asked.
    pub simulated: bool,
    /// One per culture.
    pub rows: Vec<EvaluateRow>,
    /// The mean over the cultures that have such a voice.
    pub mean: EvaluateRow,
    /// The same mean topic by topic; none in runs of older versions.
    #[serde(default)]
    pub topics: Vec<EvaluateTopic>,
    /// What each kind of voice gave no opinion on, over all cultures.
    #[serde(default)]
    pub refusals: BTreeMap<String, Refusals>,
    /// Which way each kind of voice's answers move from the unaware voice's, over all cultures; none in
    /// runs of older versions.
    #[serde(default)]
    pub movement: BTreeMap<String, Movement>,
    /// What an adapter costs in general ability, with its name; `None` where the run has tuned none.
    #[serde(default)]
    pub ability: Option<(String, Ability)>,
}

/// The mean over cultures on one topic's questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluateTopic {
    /// The topic's name.
    pub name: String,
    /// Its questions with a reference.
    pub questions: usize,
    /// Its numbers; of no culture.
    pub row: EvaluateRow,
}

/// One line of the evaluation; the parts that a run doesn't have are `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EvaluateRow {
    /// The culture; `None` in the mean.
    pub culture: Option<CultureCode>,
    /// Base model, no culture named.
    pub unaware: Option<f64>,
    /// Base model, the culture named.
    pub aware: Option<f64>,
    /// Joint adapter, the culture named.
    pub joint: Option<f64>,
    /// The culture's own adapter, the culture named.
    pub specific: Option<f64>,
    /// What naming the culture brings.
    pub aware_gain: Option<Gain>,
    /// What the joint adapter brings on top.
    pub joint_gain: Option<Gain>,
    /// What the culture's own adapter brings on top.
    pub specific_gain: Option<Gain>,
    /// A random option.
    pub random: Option<f64>,
    /// Always the middle of the scale.
    pub middle: Option<f64>,
    /// Like people in the USA.
    pub like_usa: Option<f64>,
}

/// How much better one voice is than another on the same questions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// The difference.
    pub gain: f64,
    /// 95 % paired bootstrap interval over questions.
    pub interval: Option<Interval>,
}
