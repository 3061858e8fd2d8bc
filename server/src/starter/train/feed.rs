//! Documents become packed training steps on a thread of their own, a few steps ahead of the model.

use std::sync::mpsc::{Receiver, sync_channel};

use tokenizers::Tokenizer;

use crate::starter::corpus::{Document, Kind};
use crate::starter::tokenizer::sequence;
use engine::tuning::TuningError;
use engine::tuning::packing::{Packed, Sequence, micro_batches};

/// Endless documents.
pub type Documents = Box<dyn Iterator<Item = Document> + Send>;

/// Steps that wait at most.
const AHEAD: usize = 8;

/// What one update learns from.
#[derive(Debug, Clone)]
pub struct Step {
    /// Micro-batches.
    pub batches: Vec<Packed>,
    /// Input tokens.
    pub tokens: u64,
    /// Documents taken since the start of the run, these included.
    pub documents: u64,
}

/// How documents become steps.
#[derive(Debug, Clone, Copy)]
pub struct FeedOptions {
    /// Input tokens per step; the document that reaches it is the step's last.
    pub step_tokens: usize,
    /// Input tokens per micro-batch, about.
    pub micro_tokens: usize,
    /// Longest sequence; what is beyond is cut.
    pub context: usize,
    /// Documents that an earlier part of the run has taken.
    pub skip: u64,
}

/// Starts the thread; it ends with the documents, with an error, or when the receiver is dropped.
pub fn start(
    documents: Documents,
    tokenizer: Tokenizer,
    options: FeedOptions,
) -> Receiver<Result<Step, TuningError>> {
    let (sender, receiver) = sync_channel(AHEAD);
    std::thread::spawn(move || {
        let mut documents = documents.skip(options.skip as usize);
        let mut taken = options.skip;
        while let Some(step) =
            next_step(&mut documents, &tokenizer, options, &mut taken).transpose()
        {
            let failed = step.is_err();
            if sender.send(step).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

fn next_step(
    documents: &mut impl Iterator<Item = Document>,
    tokenizer: &Tokenizer,
    options: FeedOptions,
    taken: &mut u64,
) -> Result<Option<Step>, TuningError> {
    let (mut sequences, mut tokens): (Vec<Sequence>, usize) = (vec![], 0);
    while tokens < options.step_tokens {
        let Some(document) = documents.next() else { return Ok(None) };
        *taken += 1;
        let mut sequence = sequence(tokenizer, &document)?;
        sequence.truncate(options.context);
        tokens += sequence.inputs();
        sequences.push(sequence);
    }
    let batches = micro_batches(&sequences, options.micro_tokens, None);
    Ok(Some(Step { batches, tokens: tokens as u64, documents: *taken }))
}

/// About `tokens` of held-out text as micro-batches per kind, in the order of [`Kind::ALL`]; kinds
/// that the documents lack are left out.
pub fn held_out(
    documents: Documents,
    tokenizer: &Tokenizer,
    tokens: usize,
    options: FeedOptions,
) -> Result<Vec<(Kind, Vec<Packed>)>, TuningError> {
    let mut kinds: Vec<(Kind, Vec<Sequence>)> = Kind::ALL.map(|kind| (kind, vec![])).into();
    let mut taken = 0;
    for document in documents {
        let mut sequence = sequence(tokenizer, &document)?;
        sequence.truncate(options.context);
        taken += sequence.inputs();
        if let Some((_, list)) = kinds.iter_mut().find(|(kind, _)| *kind == document.kind) {
            list.push(sequence);
        }
        if taken >= tokens {
            break;
        }
    }
    let pack = |list: Vec<Sequence>| micro_batches(&list, options.micro_tokens, None);
    Ok(kinds
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(kind, list)| (kind, pack(list)))
        .collect())
}
