//! The header of a GGUF file: what it says of the model, and where its tensors lie.
//!
//! The layout is that of the GGUF specification of the ggml project, versions 2 and 3. No number of
//! the file is trusted: nothing is allocated for a count before its entries have been seen, and
//! every tensor is known to lie within the file before anything reads it. What a key means is not
//! known here.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::quantized::GgmlDType;

use super::blocks::{self, SUPPORTED};
use super::reader::{Reader, Value};

/// Where tensors begin is a multiple of this, unless the file says otherwise.
const ALIGNMENT: u64 = 32;
/// Most dimensions of a tensor in the format.
const DIMENSIONS: u32 = 4;

/// A checked header.
#[derive(Debug)]
pub struct Header {
    /// Values by their keys.
    pub values: BTreeMap<String, Value>,
    /// Tensors by their names.
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// A tensor in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// How its numbers are stored.
    pub dtype: GgmlDType,
    /// Its shape, rows before columns.
    pub shape: Vec<usize>,
    /// Where its bytes are in the file.
    pub bytes: Range<usize>,
}

/// Why a header can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The file is damaged: the reason.
    Broken(String),
    /// The file may be sound, but holds what isn't supported: the reason, and a way out on a
    /// second line.
    Unsupported(String),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Broken(reason)
    }
}

/// A tensor whose place isn't known yet, for the header goes on.
struct Entry {
    name: String,
    dtype: GgmlDType,
    shape: Vec<usize>,
    offset: u64,
    size: u64,
}

/// Reads the header at the start of `bytes`, which are the whole file.
///
/// # Errors
/// [`Fault`].
pub fn read(bytes: &[u8]) -> Result<Header, Fault> {
    let mut reader = Reader::new(bytes);
    if reader.take(4)? != b"GGUF" {
        return Err("it isn't a GGUF file: it doesn't begin with `GGUF`".to_owned().into());
    }
    let version = reader.u32()?;
    if !(2..=3).contains(&version) {
        return Err(Fault::Unsupported(format!(
            "it has the version {version} of GGUF, and must have 2 or 3 in little-endian order\n\
             Convert the model again with a current converter."
        )));
    }
    let (tensor_count, value_count) = (reader.u64()?, reader.u64()?);
    let mut values = BTreeMap::new();
    for _ in 0..value_count {
        let key = reader.name()?;
        let kind = reader.kind(&key)?;
        let value = reader.value(kind, &key)?;
        if values.insert(key.clone(), value).is_some() {
            return Err(format!("its metadata has the key `{key}` twice").into());
        }
    }
    let mut entries = Vec::new();
    for _ in 0..tensor_count {
        entries.push(entry(&mut reader)?);
    }
    let alignment = alignment(&values)?;
    // A position in memory is far below where this would overflow.
    let start = (reader.at() as u64).next_multiple_of(alignment);
    let mut tensors = BTreeMap::new();
    for entry in entries {
        let (name, info) = place(entry, start, alignment, bytes.len())?;
        if tensors.insert(name.clone(), info).is_some() {
            return Err(format!("it has two tensors of the name `{name}`").into());
        }
    }
    Ok(Header { values, tensors })
}

fn alignment(values: &BTreeMap<String, Value>) -> Result<u64, String> {
    match values.get("general.alignment") {
        None => Ok(ALIGNMENT),
        // Blocks are read in place, so they must lie where numbers of 8 bytes may.
        Some(Value::Integer(given)) if *given % 8 == 0 && (8..=65_536).contains(given) => {
            Ok(u64::try_from(*given).unwrap_or(ALIGNMENT))
        }
        Some(other) => Err(format!(
            "`general.alignment` must be a multiple of 8 up to 65536, and is {other:?}"
        )),
    }
}

/// The place of a tensor within a file of `size` bytes whose tensors begin at `start`.
fn place(
    entry: Entry,
    start: u64,
    alignment: u64,
    size: usize,
) -> Result<(String, TensorInfo), String> {
    let Entry { name, dtype, shape, offset, size: needed } = entry;
    if !offset.is_multiple_of(alignment) {
        return Err(format!(
            "tensor `{name}` begins at {offset}, which must be a multiple of {alignment}"
        ));
    }
    let begin = start.checked_add(offset);
    let end = begin.and_then(|begin| begin.checked_add(needed));
    let places = begin.zip(end).filter(|(_, end)| *end <= size as u64);
    let Some((begin, end)) = places else {
        return Err(format!(
            "it is cut off: tensor `{name}` has {needed} bytes at {offset} behind the header, \
             which ends at {start}, but the file has {size} bytes"
        ));
    };
    // Both are at most `size`, so they fit.
    let bytes = usize::try_from(begin).unwrap_or(size)..usize::try_from(end).unwrap_or(size);
    Ok((name, TensorInfo { dtype, shape, bytes }))
}

/// The next tensor's name, type, shape and place.
fn entry(reader: &mut Reader<'_>) -> Result<Entry, Fault> {
    let name = reader.name()?;
    let count = reader.u32()?;
    if !(1..=DIMENSIONS).contains(&count) {
        let reason = format!("tensor `{name}` must have 1 to {DIMENSIONS} dimensions, not {count}");
        return Err(reason.into());
    }
    let mut shape = Vec::new();
    for _ in 0..count {
        shape.push(reader.u64()?);
    }
    // The file names the width of a row first.
    shape.reverse();
    let number = reader.u32()?;
    let dtype = blocks::dtype(number).ok_or_else(|| {
        Fault::Unsupported(format!(
            "tensor `{name}` is stored as {}, and must be {SUPPORTED}\nUse a file of the same \
             model in one of these types, such as Q8_0, Q4_K_M or Q6_K.",
            blocks::type_name(number)
        ))
    })?;
    let size = byte_size(&name, dtype, &shape)?;
    let offset = reader.u64()?;
    let shape = shape.into_iter().map(|width| usize::try_from(width).unwrap_or(0)).collect();
    Ok(Entry { name, dtype, shape, offset, size })
}

/// Bytes of a tensor.
fn byte_size(name: &str, dtype: GgmlDType, shape: &[u64]) -> Result<u64, String> {
    let elements = shape.iter().try_fold(1u64, |product, width| product.checked_mul(*width));
    let size = |elements: u64| {
        (elements / dtype.block_size() as u64).checked_mul(dtype.type_size() as u64)
    };
    let impossible = || format!("tensor `{name}` has the impossible shape {shape:?}");
    let (elements, size) = elements.and_then(|n| Some((n, size(n)?))).ok_or_else(impossible)?;
    if elements == 0 {
        return Err(impossible());
    }
    let columns = shape.last().copied().unwrap_or(0);
    if !columns.is_multiple_of(dtype.block_size() as u64) {
        return Err(format!(
            "tensor `{name}` has rows of {columns} numbers, which must be a multiple of the {} in \
             a block of {dtype:?}",
            dtype.block_size()
        ));
    }
    Ok(size)
}
