//! The one thread that computes. Requests come over a channel; each has a channel of its own for
//! what goes back, and closing that one cancels it.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use super::load::Load;
use super::loading::LoadedModel;
use super::ops;
use super::option_scorer::{Budget, ScoreJob, ScoreQueue};
use super::pass;
use super::prefixes::Prefixes;
use super::row::NewRow;
use super::scheduler::Scheduler;

/// A request, checked and encoded.
#[derive(Debug)]
pub enum Command {
    /// Replies wanted, as one batch.
    Generate(Vec<NewRow>),
    /// Options to score.
    Score(Box<ScoreJob>),
}

/// Works until every sender of commands is gone and everything asked for is done.
pub fn run(
    model: &Arc<LoadedModel>,
    load: &Arc<Load>,
    prefixes: &Arc<Prefixes>,
    commands: &Receiver<Command>,
) {
    // A confident model's tiny probabilities would slow every product down.
    ops::flush_denormals();
    let mut replies = Scheduler::new(Arc::clone(model), Arc::clone(load), Arc::clone(prefixes));
    let mut scores = ScoreQueue::default();
    loop {
        if replies.is_idle() && scores.is_empty() {
            match commands.recv() {
                Ok(command) => accept(command, &mut replies, &mut scores),
                Err(_) => return,
            }
        }
        // Without any handle left, what was begun is still finished.
        while let Ok(command) = commands.try_recv() {
            accept(command, &mut replies, &mut scores);
        }
        step(model, prefixes, &mut replies, &mut scores);
    }
}

fn accept(command: Command, replies: &mut Scheduler, scores: &mut ScoreQueue) {
    match command {
        Command::Generate(rows) => replies.push(rows),
        Command::Score(job) => scores.push(*job),
    }
}

/// One step of the replies, then one chunk of the scores.
fn step(
    model: &LoadedModel,
    prefixes: &Prefixes,
    replies: &mut Scheduler,
    scores: &mut ScoreQueue,
) {
    let stepped = pass::guard(|| {
        replies.step(Instant::now());
        Ok(())
    });
    if let Err(error) = stepped {
        // Beyond the pass itself nothing is meant to panic; if it does, the rows are lost, not the
        // engine.
        replies.fail(&error);
    }
    let budget = if replies.is_idle() { Budget::ALONE } else { Budget::BESIDE };
    scores.step(model, prefixes, budget);
}
