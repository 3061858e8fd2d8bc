//! One forward pass over parts of several sequences, guarded against panics.
//!
//! Who takes part is decided by [`super::scheduler`] and [`super::option_scorer`]; this turns their
//! parts into a packed batch and hands back the scores they asked for.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::adapters::NamedAdapter;
use super::decoder::{Decoder, DecoderError, KvCache, LoraAdapter, PackedBatch, Segment};
use super::error::EngineError;

/// Which tokens of a part need scores for what follows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// None: the part only fills its cache.
    Nothing,
    /// The last one.
    Last,
}

/// Tokens that continue one sequence.
#[derive(Debug)]
pub struct Part<'a> {
    /// The new tokens; at least one.
    pub tokens: &'a [u32],
    /// What the sequence has seen; takes the new tokens in.
    pub cache: &'a mut KvCache,
    /// The sequence's adapter. Parts with the same one should be neighbours: they then share a
    /// product.
    pub adapter: Option<&'a Arc<NamedAdapter>>,
    /// Which scores to hand back.
    pub want: Want,
    /// Sequences that each go on from the last token, in the same pass, with scores after every one
    /// of their tokens. The cache keeps none of them.
    pub paths: &'a [Vec<u32>],
}

/// Scores of every token of the vocabulary, one row per wanted token in the order of the parts, each
/// part's paths behind it.
#[derive(Debug)]
pub struct Logits {
    values: Vec<f32>,
    width: usize,
}

impl Logits {
    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }
}

/// Runs the parts through the decoder in one pass.
///
/// # Errors
/// [`EngineError::Compute`] if it fails or panics; the parts' caches are then of no use.
pub fn run(decoder: &Decoder, parts: &mut [Part<'_>]) -> Result<Logits, EngineError> {
    let mut compute = || compute(decoder, parts).map_err(|error| failed(&error.to_string()));
    // On a worker of the pool: from elsewhere each of the many products of a pass would wake the pool anew.
    guard(|| if decoder.device().is_cpu() { rayon::scope(|_| compute()) } else { compute() })
}

/// Runs `work`; a panic becomes an error.
pub fn guard<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    // What a panic may have left half-done belongs to the rows that fail with it.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(failed(message(&*panic))))
}

/// The error of a pass that failed for that reason.
pub(super) fn failed(reason: &str) -> EngineError {
    EngineError::Compute { reason: reason.lines().next().unwrap_or_default().to_owned() }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic without a message")
}

fn compute(decoder: &Decoder, parts: &mut [Part<'_>]) -> Result<Logits, DecoderError> {
    let mut tokens = Vec::new();
    let mut segments = Vec::with_capacity(parts.len());
    let mut adapters: Vec<Arc<LoraAdapter>> = Vec::new();
    let mut wanted: Vec<u32> = Vec::new();
    let mut branches: Vec<Vec<KvCache>> = Vec::with_capacity(parts.len());
    for part in &*parts {
        let adapter = part.adapter.map(|named| index_of(&mut adapters, &named.adapter));
        let trunk = segments.len();
        segments.push(Segment { len: part.tokens.len(), position: part.cache.len(), adapter });
        tokens.extend_from_slice(part.tokens);
        if part.want == Want::Last {
            wanted.push(tokens.len() as u32 - 1);
        }
        let branch = part.cache.branch(trunk, part.tokens.len());
        for path in part.paths {
            segments.push(Segment { len: path.len(), position: branch.len(), adapter });
            wanted.extend(tokens.len() as u32..(tokens.len() + path.len()) as u32);
            tokens.extend_from_slice(path);
        }
        let count = part.paths.len();
        branches.push(std::iter::repeat_with(|| branch.branch(trunk, 0)).take(count).collect());
    }
    let batch = PackedBatch { tokens: &tokens, segments: &segments, adapters: &adapters };
    let mut caches: Vec<&mut KvCache> = Vec::with_capacity(segments.len());
    for (part, branches) in parts.iter_mut().zip(&mut branches) {
        caches.push(&mut *part.cache);
        caches.extend(branches);
    }
    let hidden = decoder.forward_at(&batch, Some(&mut caches), &wanted)?;
    let width = decoder.config().vocab_size;
    if wanted.is_empty() {
        return Ok(Logits { values: Vec::new(), width });
    }
    let logits = decoder.logits(&hidden)?;
    Ok(Logits { values: logits.flatten_all()?.to_vec1()?, width })
}

fn index_of(adapters: &mut Vec<Arc<LoraAdapter>>, adapter: &Arc<LoraAdapter>) -> usize {
    adapters.iter().position(|known| Arc::ptr_eq(known, adapter)).unwrap_or_else(|| {
        adapters.push(Arc::clone(adapter));
        adapters.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        let caught = guard::<()>(|| panic!("row {} is odd", 3));
        assert_eq!(caught, Err(EngineError::Compute { reason: "row 3 is odd".to_owned() }));
        assert_eq!(guard(|| Ok(5)), Ok(5));
    }
}
