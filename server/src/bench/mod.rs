//! Measures of speed and memory beside the tools that people would use instead, in the same run.
//!
//! Every measure is a process of its own, ours and a peer's alike, with the same number of threads
//! and the same work: [`workload`] writes it down once. [`shape`] says what the model looks like,
//! [`checkpoint`] makes it, [`ours`] does the work with the engine, [`peers`] asks a Python with the peers
//! to do it, [`roofline`] measures what the machine could do, [`limits`] says which rate that allows,
//! [`error`] what quantised matrices change in the scores, [`goal`] what is aimed at, [`engine`] puts it
//! all in a table. [`tune`] does the same for tuning, and [`product`] measures what multiplies there. [`watch`]
//! runs the processes. [`method`] measures what the method does beside the engine, in this process.
//! [`annotation`] puts a load on a server of its own and kills it in the middle.

pub mod annotation;
mod annotation_live;
mod annotation_server;
pub mod checkpoint;
pub mod engine;
mod error;
mod goal;
mod limits;
pub mod method;
mod ours;
mod peers;
mod product;
mod roofline;
pub mod shape;
pub mod tune;
mod watch;
mod workload;

pub use self::{
    annotation::AnnotationBench,
    engine::EngineBench,
    method::{MethodBench, MethodOptions},
    ours::part,
    tune::TuneBench,
};

use std::path::PathBuf;

/// A measure could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file of the bench can't be written or read.
    #[error("`{}` can't be used: {source}\nGive a folder with 4 GB of room with `--folder`.", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The model of the bench can't be made or run.
    #[error("the model of the bench failed: {0}\nRemove the folder of the bench and try again.")]
    Model(String),
    /// A step of the method failed.
    #[error("{0}")]
    Method(String),
    /// A measure's process ended without a result.
    #[error(
        "the measure `{measure}` of {whose} failed: {reason}\nRun the bench again with nothing else at work; if it stays, the reason is in what is said above."
    )]
    Process {
        /// The measure.
        measure: String,
        /// `ours`, or the peer.
        whose: String,
        /// Its last words.
        reason: String,
    },
}

impl BenchError {
    fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    fn method(error: impl std::fmt::Display) -> Self {
        Self::Method(error.to_string())
    }

    fn model(error: impl std::fmt::Display) -> Self {
        Self::Model(error.to_string())
    }
}
