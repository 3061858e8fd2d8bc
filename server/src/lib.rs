//! The Polylogue server: jobs, store and HTTP around the [`engine`], which is a crate of its own.
//!
//! - [`jobs`]: the steps of the method as resumable work;
//! - [`annotation`]: the rooms in which people judge instances together;
//! - [`store`]: everything that is kept;
//! - [`http`]: the API and the pages;
//! - [`starter`]: the built-in world, corpus and model;
//! - [`bench`]: speed and memory beside peers;
//! - [`pages`]: what happens to freed memory;
//! - [`cli`]: the commands; [`config`]: the arguments they share; [`telemetry`]: the log.

pub mod annotation;
pub mod bench;
pub mod cli;
pub mod config;
pub mod experiments;
pub mod http;
pub mod jobs;
pub mod pages;
pub mod starter;
pub mod state;
pub mod store;
pub mod telemetry;
