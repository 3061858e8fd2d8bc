//! A packed batch: rows of different sequences laid end to end, and the checks on it.

use std::{ops::Range, sync::Arc};

use super::{DecoderConfig, DecoderError, KvCache, LoraAdapter};

/// A run of tokens of one sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Number of tokens; above zero.
    pub len: usize,
    /// Position of the first token in its sequence, which is the length of its cache.
    pub position: usize,
    /// Index into the batch's adapters; `None` for the base model.
    pub adapter: Option<usize>,
}

/// Segments of any lengths laid end to end without padding: whole prompts and single new tokens
/// mix freely.
#[derive(Debug, Clone, Copy)]
pub struct PackedBatch<'a> {
    /// Every segment's tokens in order.
    pub tokens: &'a [u32],
    /// The segments; their lengths add up to the tokens.
    pub segments: &'a [Segment],
    /// The adapters that segments name.
    pub adapters: &'a [Arc<LoraAdapter>],
}

/// The rows of a pass, and how they are multiplied.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    /// Whose they are, in order.
    pub groups: Vec<AdapterRows<'a>>,
    /// Whether an adapter is tuned: frozen weights may then be multiplied in whole numbers of 16 bits. It goes
    /// by the whole pass, so that layers, passes that are computed twice, and batches of any size agree.
    pub tuned: bool,
}

/// Neighbouring rows with the same adapter.
#[derive(Debug)]
pub(super) struct AdapterRows<'a> {
    pub rows: Range<usize>,
    pub adapter: Option<&'a LoraAdapter>,
}

impl<'a> PackedBatch<'a> {
    /// Refuses a batch that the decoder can't compute.
    pub(super) fn validate(
        &self,
        config: &DecoderConfig,
        caches: Option<&[&mut KvCache]>,
        wanted: Option<&[u32]>,
    ) -> Result<(), DecoderError> {
        let wrong = |what, expected: String, given: String| {
            Err(DecoderError::Batch { what, expected, given })
        };
        let total: usize = self.segments.iter().map(|segment| segment.len).sum();
        if total != self.tokens.len() || total == 0 {
            let expected = format!("as many as the segments' {total} and above zero");
            return wrong("tokens", expected, self.tokens.len().to_string());
        }
        let wanted = wanted.unwrap_or_default();
        if !wanted.is_sorted() || wanted.last().is_some_and(|&last| last as usize >= total) {
            let expected = format!("in ascending order and below {total}");
            return wrong("wanted rows", expected, format!("{wanted:?}"));
        }
        if let Some(caches) = caches
            && caches.len() != self.segments.len()
        {
            let expected = format!("one for each of {} segments", self.segments.len());
            return wrong("caches", expected, caches.len().to_string());
        }
        for (index, segment) in self.segments.iter().enumerate() {
            if segment.len == 0 {
                return wrong("segment length", "above zero".to_owned(), "0".to_owned());
            }
            let past = caches.map_or(0, |caches| caches[index].len());
            if segment.position != past {
                let expected = format!("its cache's length {past}");
                return wrong("segment position", expected, segment.position.to_string());
            }
            if segment.adapter.is_some_and(|adapter| adapter >= self.adapters.len()) {
                let expected = format!("below {}", self.adapters.len());
                return wrong("adapter index", expected, format!("{:?}", segment.adapter));
            }
            let (needed, limit) = (past + segment.len, config.max_position_embeddings);
            if needed > limit {
                return Err(DecoderError::TooLong { needed, limit });
            }
        }
        let vocab_size = config.vocab_size;
        match self.tokens.iter().find(|&&token| token as usize >= vocab_size) {
            Some(&token) => Err(DecoderError::Token { token, vocab_size }),
            None => Ok(()),
        }
    }

    /// The rows grouped by adapter, in order; neighbours with the same adapter form one group.
    pub(super) fn rows(&self) -> Rows<'a> {
        let mut groups: Vec<AdapterRows<'a>> = Vec::new();
        let mut last = None;
        let mut start = 0;
        for segment in self.segments {
            let end = start + segment.len;
            match groups.last_mut() {
                Some(group) if last == Some(segment.adapter) => group.rows.end = end,
                _ => groups.push(AdapterRows {
                    rows: start..end,
                    adapter: segment.adapter.map(|index| self.adapters[index].as_ref()),
                }),
            }
            last = Some(segment.adapter);
            start = end;
        }
        let tuned = self.adapters.iter().any(|adapter| adapter.is_tuned());
        Rows { groups, tuned }
    }
}

impl<'a> Rows<'a> {
    /// The rows at `wanted`, in ascending order and perhaps repeated, counted among these.
    pub(super) fn at(&self, wanted: &[u32]) -> Self {
        let before = |row: usize| wanted.partition_point(|&wanted| (wanted as usize) < row);
        let within = self.groups.iter().map(|group| {
            let rows = before(group.rows.start)..before(group.rows.end);
            AdapterRows { rows, adapter: group.adapter }
        });
        Self { groups: within.filter(|group| !group.rows.is_empty()).collect(), tuned: self.tuned }
    }
}
