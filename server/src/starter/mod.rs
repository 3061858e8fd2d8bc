//! The built-in starter: its world, the corpus it learns from, and the report on what it learned.

pub mod corpus;
pub mod world;

pub mod tokenizer;
pub mod train;

pub mod report;
