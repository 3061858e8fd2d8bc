//! Sequences laid end to end for one forward pass, and which of their tokens are learnt.

use candle_core::{Device, Tensor};

use crate::engine::decoder::Segment;

/// One sequence with the tokens that count towards the loss.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sequence {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Whether each token is to be predicted; the first one never can be.
    pub counted: Vec<bool>,
}

impl Sequence {
    /// Appends tokens that all count or all don't.
    pub fn extend(&mut self, tokens: &[u32], counted: bool) {
        self.tokens.extend_from_slice(tokens);
        self.counted.resize(self.tokens.len(), counted);
    }

    /// Cuts the sequence to at most `length` tokens.
    pub fn truncate(&mut self, length: usize) {
        self.tokens.truncate(length);
        self.counted.truncate(length);
    }

    /// Tokens that enter the model: all up to the last one that is followed by a counted token.
    pub fn inputs(&self) -> usize {
        self.counted.iter().rposition(|counted| *counted).unwrap_or(0)
    }
}

/// Sequences end to end, without padding.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    /// Input tokens of all sequences.
    pub tokens: Vec<u32>,
    /// One segment per sequence.
    pub segments: Vec<Segment>,
    /// Rows (positions in `tokens`) whose next token counts.
    pub rows: Vec<u32>,
    /// The token that follows each of `rows`.
    pub targets: Vec<u32>,
}

impl Packed {
    /// Packs sequences; one without any counted token contributes nothing. `adapter` is the index
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
        for row in 0..len {
            if sequence.counted[row + 1] {
                self.rows.push((start + row) as u32);
                self.targets.push(sequence.tokens[row + 1]);
            }
        }
    }

    /// Whether there is nothing to learn.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// `rows` and `targets` as tensors, each of shape [counted], u32.
    pub fn row_tensors(&self, device: &Device) -> candle_core::Result<(Tensor, Tensor)> {
        let rows = Tensor::from_slice(&self.rows, self.rows.len(), device)?;
        let targets = Tensor::from_slice(&self.targets, self.targets.len(), device)?;
        Ok((rows, targets))
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
    fn rows_point_at_the_token_before_a_counted_one() {
        let first = sequence(&[(&[10, 11], false), (&[12, 13], true), (&[14], false)]);
        let second = sequence(&[(&[20], true), (&[21], true)]);
        let packed = Packed::new([&first, &second], Some(3));
        assert_eq!(packed.tokens, [10, 11, 12, 20], "nothing after the last row that counts");
        assert_eq!(packed.rows, [1, 2, 3]);
        assert_eq!(packed.targets, [12, 13, 21]);
        let shape: Vec<_> =
            packed.segments.iter().map(|s| (s.len, s.position, s.adapter)).collect();
        assert_eq!(shape, [(3, 0, Some(3)), (1, 0, Some(3))]);
    }

    #[test]
    fn sequences_without_counted_tokens_vanish() {
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
