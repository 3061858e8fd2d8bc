//! Values of a GGUF file, read from bytes that may end anywhere.

use std::ops::Range;

/// Longest name or key in bytes; so the format says.
const LONGEST_NAME: usize = 65_535;

/// A value of the metadata; texts and arrays stay in the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number of any width.
    Integer(i128),
    /// A number of 4 or 8 bytes.
    Float(f64),
    /// True or false.
    Flag(bool),
    /// Where the text's bytes are.
    Text(Range<usize>),
    /// Values of one kind.
    Array {
        /// The kind of every value.
        kind: Kind,
        /// How many there are.
        count: usize,
        /// Where they are.
        bytes: Range<usize>,
    },
}

/// A kind of value, with its bytes where they are always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number without sign.
    Unsigned(usize),
    /// A whole number with sign.
    Signed(usize),
    /// A number of 4 or 8 bytes.
    Float(usize),
    /// True or false.
    Flag,
    /// Text in UTF-8 behind its length.
    Text,
    /// An array.
    Array,
}

impl Kind {
    /// Bytes of one value, where that is always the same.
    pub fn width(self) -> Option<usize> {
        match self {
            Self::Unsigned(width) | Self::Signed(width) | Self::Float(width) => Some(width),
            Self::Flag => Some(1),
            Self::Text | Self::Array => None,
        }
    }

    /// One value out of its bytes; `None` for a kind without a fixed width.
    pub fn decode(self, bytes: &[u8]) -> Option<Value> {
        let negative = bytes.last().is_some_and(|byte| *byte > 127);
        let filler = if matches!(self, Self::Signed(_)) && negative { 255 } else { 0 };
        let mut wide = [filler; 16];
        wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
        match self {
            Self::Unsigned(_) | Self::Signed(_) => Some(Value::Integer(i128::from_le_bytes(wide))),
            Self::Float(4) => Some(Value::Float(f32::from_le_bytes(*bytes.first_chunk()?).into())),
            Self::Float(_) => Some(Value::Float(f64::from_le_bytes(*bytes.first_chunk()?))),
            Self::Flag => Some(Value::Flag(*bytes.first()? != 0)),
            Self::Text | Self::Array => None,
        }
    }
}

/// The bytes of a file and how far they have been read.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How far they have been read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next bytes.
    ///
    /// # Errors
    /// A sentence that says where the file ends too early; so do the methods below, or they name
    /// what is wrong.
    pub fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match usize::try_from(length).ok().and_then(|length| rest.get(..length)) {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => Err(format!(
                "it is cut off: its header needs {length} bytes at byte {}, and {} are left",
                self.at,
                rest.len()
            )),
        }
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let taken = self.take(N as u64)?;
        // `take` gives as many as it was asked for.
        Ok(taken.first_chunk().copied().unwrap_or([0; N]))
    }

    /// The next number of 4 bytes.
    pub fn u32(&mut self) -> Result<u32, String> {
        self.chunk().map(u32::from_le_bytes)
    }

    /// The next number of 8 bytes.
    pub fn u64(&mut self) -> Result<u64, String> {
        self.chunk().map(u64::from_le_bytes)
    }

    /// Where the next text is; it isn't read as UTF-8 yet.
    pub fn text(&mut self) -> Result<Range<usize>, String> {
        let length = self.u64()?;
        self.take(length)?;
        Ok(self.at - length as usize..self.at)
    }

    /// The next text as a name.
    pub fn name(&mut self) -> Result<String, String> {
        let place = self.text()?;
        if place.len() > LONGEST_NAME {
            return Err(format!(
                "the name at byte {} has {} bytes, and may have at most {LONGEST_NAME}",
                place.start,
                place.len()
            ));
        }
        let text = std::str::from_utf8(&self.bytes[place.clone()]);
        text.map(str::to_owned).map_err(|_| {
            format!("the name of {} bytes at byte {} isn't UTF-8", place.len(), place.start)
        })
    }

    /// The kind of the value under `key`.
    pub fn kind(&mut self, key: &str) -> Result<Kind, String> {
        Ok(match self.u32()? {
            0 => Kind::Unsigned(1),
            1 => Kind::Signed(1),
            2 => Kind::Unsigned(2),
            3 => Kind::Signed(2),
            4 => Kind::Unsigned(4),
            5 => Kind::Signed(4),
            6 => Kind::Float(4),
            7 => Kind::Flag,
            8 => Kind::Text,
            9 => Kind::Array,
            10 => Kind::Unsigned(8),
            11 => Kind::Signed(8),
            12 => Kind::Float(8),
            other => return Err(format!("`{key}` has a value of the unknown type {other}")),
        })
    }

    /// The value under `key`.
    pub fn value(&mut self, kind: Kind, key: &str) -> Result<Value, String> {
        match kind {
            Kind::Text => self.text().map(Value::Text),
            Kind::Array => {
                let kind = self.kind(key)?;
                let count = self.u64()?;
                self.array(kind, count, key)
            }
            other => {
                let taken = self.take(other.width().unwrap_or(1) as u64)?;
                other.decode(taken).ok_or_else(|| format!("`{key}` can't be read"))
            }
        }
    }

    fn array(&mut self, kind: Kind, count: u64, key: &str) -> Result<Value, String> {
        let start = self.at;
        match kind.width() {
            Some(width) => {
                let length = count.checked_mul(width as u64);
                let length = length.ok_or_else(|| format!("`{key}` has {count} values"))?;
                self.take(length)?;
            }
            None if kind == Kind::Text => {
                for _ in 0..count {
                    self.text()?;
                }
            }
            None => return Err(format!("`{key}` is an array of arrays, which no model needs")),
        }
        // What has been read lies in memory, so its count fits.
        let count = usize::try_from(count).unwrap_or(0);
        Ok(Value::Array { kind, count, bytes: start..self.at })
    }
}
