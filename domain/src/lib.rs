//! The data and arithmetic of self-pluralising culture alignment (CultureSPA, arXiv 2410.12971).
//!
//! Everything here is pure: the same code runs in the server and, compiled to WebAssembly, in the
//! browser. **Invariant:** no async, no input or output, no clock, no source of randomness other
//! than a seed handed in, and no knowledge of tokio, leptos, axum, candle or SQL.
//!
//! Modules in the order in which the method meets them:
//! - [`culture`], [`question`], [`survey`]: who is asked what, and what people answered;
//! - [`prompt`], [`generation`], [`filter`], [`answer`]: what a model is told, what it says, and which
//!   of its questions are kept;
//! - [`instance`]: where unaware and aware answers differ (step 3 of the method);
//! - [`training_set`]: which of these pairs are learnt (step 4);
//! - [`method`]: the steps of a run and its settings;
//! - [`model`], [`adapter`], [`sampling`]: what speaks, and how its tokens are drawn;
//! - [`voice`], [`comparison`]: who speaks in a chat, and how the replies differ;
//! - [`score`]: how close answers are to people, with intervals and baselines;
//! - [`annotation`]: people of the cultures judge the instances together;
//! - [`agreement`]: how far they agree, with intervals;
//! - [`random`], [`xml`]: seeded draws; words inside XML.

pub mod culture;
pub mod question;
pub mod survey;

pub mod answer;
pub mod filter;
pub mod generation;
pub mod prompt;

pub mod instance;
pub mod training_set;

pub mod method;

pub mod adapter;
pub mod model;
pub mod sampling;

pub mod comparison;
pub mod voice;

pub mod score;

pub mod agreement;
pub mod annotation;

pub mod random;
pub mod xml;
