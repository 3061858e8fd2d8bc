//! JSON documents whose parts know the line they stand in.

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::rejections::Place;
use crate::jobs::JobError;

/// A JSON file, read whole.
pub struct Document {
    file: String,
    text: String,
    /// Byte offset of every line's end.
    ends: Vec<usize>,
}

/// The members of an object in the order of the file.
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl Document {
    /// Reads the file; its JSON is looked at only by [`Self::parse`].
    ///
    /// # Errors
    /// [`JobError::BadFile`] where it can't be read as text.
    pub fn read(path: &Path, hint: &str) -> Result<Self, JobError> {
        let text = std::fs::read_to_string(path).map_err(|error| JobError::BadFile {
            path: path.to_owned(),
            rule: format!("can't be read: {error}"),
            hint: hint.to_owned(),
        })?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at);
        Ok(Self { file, ends: ends.collect(), text })
    }

    /// The whole document; parts that stay [`RawValue`]s are looked at later, one by one.
    ///
    /// # Errors
    /// [`JobError::BadFile`] with the line and column of the first fault.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self, path: &Path, hint: &str) -> Result<T, JobError> {
        serde_json::from_str(&self.text).map_err(|error| JobError::BadFile {
            path: path.to_owned(),
            rule: format!("doesn't have its shape: {error}"),
            hint: hint.to_owned(),
        })
    }

    /// The parts of a document that is a list, or the line and what is wrong there.
    pub fn list(&self) -> Result<Vec<&RawValue>, (usize, String)> {
        serde_json::from_str(&self.text)
            .map_err(|error| (error.line().max(1), format!("doesn't have its shape: {error}")))
    }

    /// Where a part of this document stands.
    pub fn place(&self, part: &RawValue) -> Place {
        // A raw value borrows from the text, so that its address tells its offset.
        let offset = (part.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let line = self.ends.partition_point(|end| *end < offset) + 1;
        Place { file: self.file.clone(), line }
    }
}

/// A part's value, or what is wrong with it: without the position, which would be within the part.
pub fn value<T: DeserializeOwned>(part: &RawValue) -> Result<T, String> {
    serde_json::from_str(part.get()).map_err(|error| {
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or_default().to_owned()
    })
}

/// An object's members as parts of their own.
pub fn members(part: &RawValue) -> Result<Members<'_>, String> {
    serde_json::from_str(part.get()).map_err(|_| "must be an object".to_owned())
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Shares by option number, in the order of the file.
pub fn shares(part: &RawValue) -> Result<Vec<(u32, f64)>, String> {
    let Members(members) = members(part).map_err(|fault| format!("`shares` {fault}"))?;
    members
        .into_iter()
        .map(|(option, share)| {
            let number = option
                .parse()
                .map_err(|_| format!("`{option}` must be the number of an option"))?;
            let share = value(share)
                .map_err(|_| format!("the share of option {option} must be a number"))?;
            Ok((number, share))
        })
        .collect()
}
