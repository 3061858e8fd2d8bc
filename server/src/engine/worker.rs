//! The one thread that computes. Requests come over a channel; each has a channel of its own for
//! what goes back, and closing that one cancels it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::load::Load;
use super::loading::LoadedModel;
use super::ops;
use super::option_scorer::{ScoreJob, ScoreQueue};
use super::pass;
use super::scheduler::{NewRow, Scheduler};

/// Tokens of prompts that are scored per step while nobody waits for a reply.
const SCORING_ALONE: usize = 2048;
/// The same while replies stream: small, so that their tokens keep coming.
const SCORING_BESIDE: usize = 256;

/// A request, checked and encoded.
#[derive(Debug)]
pub enum Command {
    /// Replies wanted, as one batch.
    Generate(Vec<NewRow>),
    /// Options to score.
    Score(ScoreJob),
}

/// Works until every sender of commands is gone and everything asked for is done.
pub fn run(model: &Arc<LoadedModel>, load: &Arc<Load>, commands: &Receiver<Command>) {
    // A confident model's tiny probabilities would slow every product down.
    ops::flush_denormals();
    let mut replies = Scheduler::new(Arc::clone(model), Arc::clone(load));
    let mut scores = ScoreQueue::default();
    loop {
        let idle = replies.is_idle() && scores.is_empty();
        let mut command = match idle {
            true => match commands.recv() {
                Ok(command) => Ok(command),
                Err(_) => return,
            },
            false => commands.try_recv(),
        };
        while let Ok(received) = command {
            match received {
                Command::Generate(rows) => replies.push(rows),
                Command::Score(job) => scores.push(job),
            }
            command = commands.try_recv();
        }
        // Without any handle left, what was begun is still finished.
        debug_assert!(matches!(command, Err(TryRecvError::Empty | TryRecvError::Disconnected)));
        step(model, &mut replies, &mut scores);
    }
}

/// One step of the replies, then one chunk of the scores.
fn step(model: &LoadedModel, replies: &mut Scheduler, scores: &mut ScoreQueue) {
    let stepped = pass::guard(|| {
        replies.step();
        Ok(())
    });
    if let Err(error) = stepped {
        // Beyond the pass itself nothing is meant to panic; if it does, the rows are lost, not the
        // engine.
        replies.fail(&error);
    }
    let budget = if replies.is_idle() { SCORING_ALONE } else { SCORING_BESIDE };
    scores.step(model, budget);
}
