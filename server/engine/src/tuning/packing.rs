//! Sequences laid end to end for one forward pass, and what is to be learnt of them.

use crate::decoder::{Dropout, Segment};

/// A token to be predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// Place of the predicted token in the sequence.
    pub position: usize,
    /// The token that is right there. Where several are, each has a target of its own.
    pub token: u32,
    /// Its part in the loss, above zero.
    pub weight: f32,
}

/// One sequence with what is to be learnt of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sequence {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// What to predict, in the order of positions; the first token never can be.
    pub targets: Vec<Target>,
}

impl Sequence {
    /// Appends tokens that all are to be learnt, with weight one, or none.
    pub fn extend(&mut self, tokens: &[u32], learnt: bool) {
        for &token in tokens {
            if learnt {
                self.expect(token, 1.0);
            }
            self.tokens.push(token);
        }
    }

    /// Notes that `token` may come next, with its `weight` in the loss.
    pub fn expect(&mut self, token: u32, weight: f32) {
        let position = self.tokens.len();
        if position > 0 {
            self.targets.push(Target { position, token, weight });
        }
    }

    /// Cuts the sequence to at most `length` tokens.
    pub fn truncate(&mut self, length: usize) {
        self.tokens.truncate(length);
        self.targets.retain(|target| target.position < length);
    }

    /// Tokens that enter the model: all up to the last one that is followed by a target.
    pub fn inputs(&self) -> usize {
        self.targets.last().map_or(0, |target| target.position)
    }
}

/// Sequences end to end, without padding.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    /// Input tokens of all sequences.
    pub tokens: Vec<u32>,
    /// One segment per sequence.
    pub segments: Vec<Segment>,
    /// Rows (positions in `tokens`) after which something is to be predicted, in order; one with
    /// several targets stands here several times.
    pub rows: Vec<u32>,
    /// A token that is right after each of `rows`.
    pub targets: Vec<u32>,
    /// The part of each target in the loss.
    pub weights: Vec<f32>,
    /// What adapters don't see of these rows; `None` outside of tuning with dropout.
    pub dropout: Option<Dropout>,
}

impl Packed {
    /// Packs sequences; one without any target contributes nothing. `adapter` is the index
    /// that every segment carries.
    pub fn new<'a>(
        sequences: impl IntoIterator<Item = &'a Sequence>,
        adapter: Option<usize>,
    ) -> Self {
        let mut packed = Self::default();
        for sequence in sequences {
            packed.push(sequence, adapter);
        }
        packed
    }

    fn push(&mut self, sequence: &Sequence, adapter: Option<usize>) {
        let len = sequence.inputs();
        if len == 0 {
            return;
        }
        let start = self.tokens.len();
        self.tokens.extend_from_slice(&sequence.tokens[..len]);
        self.segments.push(Segment { len, position: 0, adapter });
        for target in &sequence.targets {
            self.rows.push((start + target.position - 1) as u32);
            self.targets.push(target.token);
            self.weights.push(target.weight);
        }
    }

    /// Sum of all weights.
    pub fn weight(&self) -> f64 {
        self.weights.iter().copied().map(f64::from).sum()
    }

    /// The least weighted sum of losses that any model can have: the entropy of the rows with
    /// several right tokens, in nats.
    pub fn entropy(&self) -> f64 {
        let mut sum = 0.0;
        let mut start = 0;
        for same in self.rows.chunk_by(|a, b| a == b) {
            let weights = &self.weights[start..start + same.len()];
            start += same.len();
            let total: f64 = weights.iter().copied().map(f64::from).sum();
            sum -=
                weights.iter().map(|w| f64::from(*w) * (f64::from(*w) / total).ln()).sum::<f64>();
        }
        sum
    }

    /// Whether there is nothing to learn.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Cuts sequences, in order, into an even number of micro-batches of about equal length, each of
/// about `limit` input tokens or fewer. The cut depends on nothing else, so gradients add up in the
/// same order on every machine.
pub fn micro_batches(sequences: &[Sequence], limit: usize, adapter: Option<usize>) -> Vec<Packed> {
    let total: usize = sequences.iter().map(Sequence::inputs).sum();
    let parts = total.div_ceil(limit.max(1)).next_multiple_of(2).max(2);
    let mut batches = vec![Packed::default(); parts];
    let mut before = 0;
    for sequence in sequences {
        // A sequence goes where its middle lies.
        let middle = before + sequence.inputs() / 2;
        let part = (middle * parts / total.max(1)).min(parts - 1);
        batches[part].push(sequence, adapter);
        before += sequence.inputs();
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(parts: &[(&[u32], bool)]) -> Sequence {
        let mut sequence = Sequence::default();
        for (tokens, counted) in parts {
            sequence.extend(tokens, *counted);
        }
        sequence
    }

    #[test]
    fn rows_point_at_the_token_before_a_target() {
        let first = sequence(&[(&[10, 11], false), (&[12, 13], true), (&[14], false)]);
        let second = sequence(&[(&[20], true), (&[21], true)]);
        let packed = Packed::new([&first, &second], Some(3));
        assert_eq!(packed.tokens, [10, 11, 12, 20], "nothing after the last row with a target");
        assert_eq!(packed.rows, [1, 2, 3]);
        assert_eq!(packed.targets, [12, 13, 21]);
        assert_eq!((packed.weights.as_slice(), packed.entropy()), (&[1.0; 3][..], 0.0));
        let shape: Vec<_> =
            packed.segments.iter().map(|s| (s.len, s.position, s.adapter)).collect();
        assert_eq!(shape, [(3, 0, Some(3)), (1, 0, Some(3))]);
    }

    #[test]
    fn one_place_may_have_several_targets() {
        let mut sequence = sequence(&[(&[10, 11], false)]);
        sequence.expect(7, 3.0);
        sequence.expect(8, 1.0);
        sequence.extend(&[7], false);
        let packed = Packed::new([&sequence], None);
        assert_eq!(packed.tokens, [10, 11]);
        assert_eq!((packed.rows.as_slice(), packed.targets.as_slice()), (&[1, 1][..], &[7, 8][..]));
        assert_eq!(packed.weight(), 4.0);
        let entropy = -(3.0 * 0.75f64.ln() + 0.25f64.ln());
        assert!((packed.entropy() - entropy).abs() < 1e-12);
        sequence.truncate(2);
        assert!(sequence.targets.is_empty());
    }

    #[test]
    fn sequences_without_targets_vanish() {
        let silent = sequence(&[(&[1, 2, 3], false)]);
        let lone = sequence(&[(&[1], true)]);
        assert!(Packed::new([&silent, &lone], None).is_empty());
        assert!(micro_batches(&[silent, lone], 8, None).is_empty());
    }

    #[test]
    fn micro_batches_keep_the_order_and_are_about_equal() {
        let sequences: Vec<_> = (1..=12u32).map(|id| sequence(&[(&[id; 11], true)])).collect();
        let batches = micro_batches(&sequences, 40, None);
        let sizes: Vec<usize> = batches.iter().map(|batch| batch.tokens.len()).collect();
        assert_eq!(sizes, [30, 30, 30, 30]);
        let order: Vec<u32> = batches.iter().flat_map(|batch| batch.tokens.clone()).collect();
        assert!(order.is_sorted());
        let one = micro_batches(&sequences[..1], 40, Some(0));
        assert_eq!(one.len(), 1, "empty parts vanish");
    }
}
