//! What tuning costs: how well the model still predicts the replies of ordinary conversations.
//!
//! Culture alignment is worth little where the model forgets how to talk; so the loss on replies that
//! have nothing to do with a survey is measured with and without an adapter. Where such conversations
//! come from is a matter of the steps that evaluate.

use std::sync::Arc;

use domain::score::{Ability, Part, paired_mean_interval};

use super::TuningError;
use super::examples::{Example, encode};
use super::gradient::{Learner, Workers};
use super::packing::{Packed, Sequence};
use crate::decoder::{Decoder, LoraAdapter};
use crate::tokenizer::ModelTokenizer;

/// General conversations, and the base model's loss on each.
pub struct Guard<'a> {
    base: &'a Decoder,
    sequences: Vec<Sequence>,
    before: Vec<Part>,
    workers: Workers,
}

impl<'a> Guard<'a> {
    /// Measures the base model.
    ///
    /// # Errors
    /// An example that is empty or longer than the model's context.
    pub fn new(
        base: &'a Decoder,
        tokenizer: &ModelTokenizer,
        examples: &[Example],
    ) -> Result<Self, TuningError> {
        let limit = base.config().max_position_embeddings;
        let sequences = examples
            .iter()
            .enumerate()
            .map(|(index, example)| encode(tokenizer, example, index, limit))
            .collect::<Result<_, _>>()?;
        let workers = Workers::new(0, base.device())?;
        let mut guard = Self { base, sequences, before: Vec::new(), workers };
        guard.before = guard.parts(&[])?;
        Ok(guard)
    }

    /// Measures an adapter on the same replies.
    ///
    /// # Errors
    /// An adapter that doesn't fit the model.
    pub fn measure(&self, adapter: &Arc<LoraAdapter>) -> Result<Ability, TuningError> {
        let after = self.parts(std::slice::from_ref(adapter))?;
        let tokens: f64 = after.iter().map(|part| part.scale).sum();
        let mean = |parts: &[Part]| {
            parts.iter().map(|part| part.amount).sum::<f64>() / tokens.max(f64::MIN_POSITIVE)
        };
        Ok(Ability {
            replies: after.len(),
            tokens: tokens as usize,
            before: mean(&self.before),
            after: mean(&after),
            interval: paired_mean_interval(&after, &self.before),
        })
    }

    /// Loss and tokens of every reply.
    fn parts(&self, adapters: &[Arc<LoraAdapter>]) -> Result<Vec<Part>, TuningError> {
        let adapter = (!adapters.is_empty()).then_some(0);
        let batches: Vec<Packed> =
            self.sequences.iter().map(|sequence| Packed::new([sequence], adapter)).collect();
        let learner = Learner { decoder: self.base, adapters, checkpointing: false };
        let losses = learner.losses(&batches, &self.workers)?;
        let part = |(batch, amount): (&Packed, f64)| Part { amount, scale: batch.weight() };
        Ok(batches.iter().zip(losses).map(part).collect())
    }
}

#[cfg(test)]
mod tests {
    use domain::prompt::{Message, Role};

    use super::*;
    use crate::decoder::LoraConfig;
    use crate::testing::{tiny_adapter, tiny_model_dir};
    use crate::{LoadedModel, ModelSource};

    #[test]
    fn an_adapter_that_does_nothing_costs_nothing() {
        let folder = tiny_model_dir();
        let source = ModelSource::Folder(folder.path().to_owned());
        let model = LoadedModel::load(&source, &candle_core::Device::Cpu).unwrap();
        let example = |question: &str, answer: &str| Example {
            messages: vec![Message::new(Role::User, question)],
            answer: answer.to_owned(),
        };
        let examples = [
            example("How are you?", "Fine."),
            example("And you?", "I am well."),
            example("What is it?", "A tree."),
        ];
        let guard = Guard::new(&model.decoder, &model.tokenizer, &examples).unwrap();
        let config = model.decoder.config();
        let fresh =
            LoraAdapter::init(config, LoraConfig::default(), 1, &candle_core::Device::Cpu).unwrap();
        let same = guard.measure(&Arc::new(fresh)).unwrap();
        assert_eq!((same.replies, same.before), (3, same.after));
        assert!(same.tokens > 6 && same.before > 0.0, "{same:?}");
        assert_eq!(same.interval.map(|interval| (interval.low, interval.high)), Some((0.0, 0.0)));
        let other = guard.measure(&Arc::new(tiny_adapter(config, 1))).unwrap();
        assert_eq!(other.before, same.before);
        assert_ne!(other.after, same.after);
    }
}
