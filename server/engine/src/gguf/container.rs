//! A GGUF file in memory, and its metadata by type: a value of the wrong type is a fault of the file
//! that names the key.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::header::{self, Fault, Header, TensorInfo};
use super::reader::{Kind, Reader, Value};
use crate::error::EngineError;

/// A mapped file with a sound header.
#[derive(Debug)]
pub struct Container {
    path: PathBuf,
    map: Mmap,
    header: Header,
}

impl Container {
    /// Maps the file and checks its header.
    ///
    /// # Errors
    /// [`EngineError::FileMissing`], [`EngineError::FileBroken`], or
    /// [`EngineError::ModelRefused`] for what isn't supported.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let map = map(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => EngineError::FileMissing {
                path: path.to_owned(),
                hint: "Name a GGUF file that is there, a model folder, or a model of the Hugging \
                       Face hub as `owner/name`."
                    .to_owned(),
            },
            _ => broken(path, error),
        })?;
        let header = header::read(&map).map_err(|fault| match fault {
            Fault::Broken(reason) => broken(path, reason),
            Fault::Unsupported(reason) => refused(path, reason),
        })?;
        let container = Self { path: path.to_owned(), map, header };
        let parts = container.number("split.count")?.unwrap_or(1);
        if parts > 1 {
            return Err(container.refused(format!(
                "it is one of {parts} parts, and must be whole\nJoin them with `llama-gguf-split \
                 --merge`, or use a file in one part."
            )));
        }
        Ok(container)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the tensors, in order.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.header.tensors.keys().map(String::as_str)
    }

    /// Number of tensors.
    pub fn tensor_count(&self) -> usize {
        self.header.tensors.len()
    }

    /// A tensor and its bytes.
    pub fn tensor(&self, name: &str) -> Option<(&TensorInfo, &[u8])> {
        let info = self.header.tensors.get(name)?;
        Some((info, self.map.get(info.bytes.clone())?))
    }

    /// Lets the memory go in which the bytes of a tensor lie; the system reads them again if they are wanted.
    pub fn release(&self, name: &str) {
        #[cfg(unix)]
        if let Some(info) = self.header.tensors.get(name) {
            let (from, len) = (info.bytes.start, info.bytes.len());
            #[expect(unsafe_code, reason = "pages of another kind of map would be lost")]
            // SAFETY: the map is of a file and nobody writes to it, so its pages come back as they were.
            let _ = unsafe {
                self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, from, len)
            };
        }
        #[cfg(not(unix))]
        let _ = name;
    }

    /// The file is damaged, or says what can't be.
    pub fn broken(&self, reason: impl std::fmt::Display) -> EngineError {
        broken(&self.path, reason)
    }

    /// The file isn't supported; `reason` has a way out on its second line.
    pub fn refused(&self, reason: impl std::fmt::Display) -> EngineError {
        refused(&self.path, reason)
    }

    /// A whole number from 0 to 4294967295.
    ///
    /// # Errors
    /// [`EngineError::FileBroken`] for any other value; so do the methods below.
    pub fn number(&self, key: &str) -> Result<Option<usize>, EngineError> {
        match self.header.values.get(key) {
            None => Ok(None),
            Some(Value::Integer(number)) if u32::try_from(*number).is_ok() => {
                Ok(usize::try_from(*number).ok())
            }
            Some(other) => Err(self.wrong(key, "a whole number from 0 to 4294967295", other)),
        }
    }

    /// A number with or without fraction.
    pub fn float(&self, key: &str) -> Result<Option<f64>, EngineError> {
        match self.header.values.get(key) {
            None => Ok(None),
            Some(Value::Integer(number)) => Ok(Some(*number as f64)),
            Some(Value::Float(number)) => Ok(Some(*number)),
            Some(other) => Err(self.wrong(key, "a number", other)),
        }
    }

    /// True or false.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, EngineError> {
        match self.header.values.get(key) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(key, "true or false", other)),
        }
    }

    /// A text.
    pub fn text(&self, key: &str) -> Result<Option<&str>, EngineError> {
        match self.header.values.get(key) {
            None => Ok(None),
            Some(Value::Text(place)) => match std::str::from_utf8(&self.map[place.clone()]) {
                Ok(text) => Ok(Some(text)),
                Err(error) => Err(self.broken(format!("`{key}` isn't UTF-8 ({error})"))),
            },
            Some(other) => Err(self.wrong(key, "a text", other)),
        }
    }

    /// Texts.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&str>>, EngineError> {
        let (count, bytes) = match self.header.values.get(key) {
            None => return Ok(None),
            Some(Value::Array { kind: Kind::Text, count, bytes }) => {
                (*count, &self.map[bytes.clone()])
            }
            Some(other) => return Err(self.wrong(key, "an array of texts", other)),
        };
        let mut reader = Reader::new(bytes);
        let mut texts = Vec::with_capacity(count);
        for index in 0..count {
            let place = reader.text().map_err(|reason| self.broken(reason))?;
            let text = std::str::from_utf8(&bytes[place]);
            texts.push(
                text.map_err(|_| self.broken(format!("number {index} of `{key}` isn't UTF-8")))?,
            );
        }
        Ok(Some(texts))
    }

    /// Numbers.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>, EngineError> {
        let (kind, bytes) = match self.header.values.get(key) {
            None => return Ok(None),
            Some(Value::Array { kind, bytes, .. }) => (*kind, &self.map[bytes.clone()]),
            Some(other) => return Err(self.wrong(key, "an array of numbers", other)),
        };
        let Some(width) = kind.width() else {
            return Err(self.broken(format!("`{key}` must be an array of numbers, not of texts")));
        };
        let number = |bytes| match kind.decode(bytes)? {
            Value::Integer(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            Value::Flag(flag) => Some(f64::from(u8::from(flag))),
            Value::Text(_) | Value::Array { .. } => None,
        };
        Ok(Some(bytes.chunks_exact(width).filter_map(number).collect()))
    }

    /// Whether the metadata has an array under `key`.
    pub fn is_array(&self, key: &str) -> bool {
        matches!(self.header.values.get(key), Some(Value::Array { .. }))
    }

    /// The value, if there.
    ///
    /// # Errors
    /// [`EngineError::FileBroken`] if it isn't.
    pub fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, EngineError> {
        value.ok_or_else(|| self.broken(format!("its metadata has no `{key}`")))
    }

    fn wrong(&self, key: &str, rule: &str, value: &Value) -> EngineError {
        let given = match value {
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Text(place) => format!("a text of {} bytes", place.len()),
            Value::Array { count, .. } => format!("an array of {count}"),
        };
        self.broken(format!("`{key}` must be {rule}, and is {given}"))
    }
}

fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    #[expect(
        unsafe_code,
        reason = "weights larger than memory must be mapped; who keeps a tensor copies it out"
    )]
    // SAFETY: sound as long as nobody shortens the file while the model is loaded from it.
    unsafe {
        Mmap::map(&file)
    }
}

fn broken(path: &Path, reason: impl std::fmt::Display) -> EngineError {
    EngineError::FileBroken { path: path.to_owned(), reason: reason.to_string().replace('\n', " ") }
}

fn refused(path: &Path, reason: impl std::fmt::Display) -> EngineError {
    EngineError::ModelRefused { path: path.to_owned(), reason: reason.to_string() }
}
