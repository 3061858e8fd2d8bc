//! Examples to tune on: a prompt and the answer that it should get. Here they become tokens; the
//! updates are in [`super::trainer`].

use domain::prompt::Message;
use domain::random::SplitMix64;

use super::TuningError;
use super::packing::Sequence;
use crate::tokenizer::ModelTokenizer;

/// One example of supervised tuning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The prompt: the persona as a system message, then the user's.
    pub messages: Vec<Message>,
    /// The wanted reply; only this and its end token count towards the loss.
    pub answer: String,
}

/// The example's tokens; refuses one that is empty or longer than `limit` tokens, because a cut
/// prompt asks something else.
pub fn encode(
    tokenizer: &ModelTokenizer,
    example: &Example,
    index: usize,
    limit: usize,
) -> Result<Sequence, TuningError> {
    let fail = |error: crate::error::EngineError| TuningError::Tokenizer(error.to_string());
    let answer = example.answer.trim();
    if answer.is_empty() || example.messages.is_empty() {
        let what = if answer.is_empty() { "answer" } else { "prompt" };
        return Err(TuningError::Example {
            index,
            problem: format!("has an empty {what}"),
            hint: "Remove it or fill it in.".to_owned(),
        });
    }
    let mut sequence = Sequence::default();
    sequence.extend(&tokenizer.encode_chat(&example.messages).map_err(fail)?, false);
    sequence.extend(&tokenizer.encode(answer).map_err(fail)?, true);
    sequence.extend(&[tokenizer.eos()], true);
    if sequence.tokens.len() > limit {
        return Err(TuningError::Example {
            index,
            problem: format!("has {} tokens, more than {limit}", sequence.tokens.len()),
            hint: "Shorten it, or raise `cutoff` if the model's context allows.".to_owned(),
        });
    }
    Ok(sequence)
}

/// The order in which `count` examples are learnt in `epoch` (from 0).
pub fn order(count: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    // Streams of neighbouring seeds are unrelated after one output.
    let mut random = SplitMix64::new(SplitMix64::new(seed).next_u64() ^ epoch);
    random.shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_has_each_example_once_in_an_order_of_its_own() {
        let first = order(50, 1, 0);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_eq!(first, order(50, 1, 0));
        assert_ne!(first, order(50, 1, 1));
        assert_ne!(first, order(50, 2, 0));
    }
}
