//! Our template as JSON lines: one record a line, in any order.
//!
//! `assets/import/example.jsonl` shows every kind of record.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use domain::culture::{Culture, CultureCode};
use domain::question::{Question, QuestionId, Scale, Topic, TopicId};
use domain::survey::Provenance;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::draft::{Description, Draft, Similarities};
use super::lines;
use super::rejections::Place;
use crate::jobs::JobError;

/// One line.
#[derive(Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case", deny_unknown_fields)]
enum Record {
    Survey {
        id: String,
        title: String,
        #[serde(default)]
        language: Option<String>,
        #[serde(default)]
        source: Option<String>,
        #[serde(default)]
        simulated: bool,
    },
    Culture {
        code: CultureCode,
        name: String,
        demonym: String,
    },
    Topic {
        id: TopicId,
        name: String,
    },
    Question {
        id: QuestionId,
        topic: TopicId,
        question: String,
        options: Vec<String>,
        #[serde(default = "one")]
        first_number: u32,
        #[serde(default = "ordered")]
        scale: Scale,
        #[serde(default)]
        dont_know: Vec<u32>,
        #[serde(default)]
        held_out: bool,
    },
    People {
        culture: String,
        question: QuestionId,
        shares: Box<RawValue>,
    },
    Similarity {
        culture: CultureCode,
        to: Likenesses,
    },
    Neighbours {
        question: QuestionId,
        nearest: Vec<QuestionId>,
    },
}

/// How alike a culture is to others, all members as they stand there: a map would keep only the last of
/// two for the same culture.
struct Likenesses(Similarities);

impl<'de> Deserialize<'de> for Likenesses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Likenesses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of numbers by culture")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Likenesses, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Likenesses(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn one() -> u32 {
    1
}

fn ordered() -> Scale {
    Scale::Ordered
}

/// Longest line that is looked at, in bytes: a large file that is all one line is no list of records,
/// and isn't held in memory.
const LONGEST_LINE: usize = 1024 * 1024;

/// Reads the file line by line, so that one broken line costs only itself.
///
/// # Errors
/// [`JobError::BadFile`] where the file can't be read.
pub fn fill(path: &Path, draft: &mut Draft) -> Result<(), JobError> {
    let unreadable = |error: std::io::Error| JobError::BadFile {
        path: path.to_owned(),
        rule: format!("can't be read: {error}"),
        hint: "Check that the file is there and may be read.".to_owned(),
    };
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    File::open(path)
        .and_then(|opened| fill_from(BufReader::new(opened), &file, draft))
        .map_err(unreadable)
}

/// Reads records from `reader`, which `file` names in reports. Holds one line at a time.
///
/// # Errors
/// A failure of `reader`.
pub(super) fn fill_from(
    mut reader: impl BufRead,
    file: &str,
    draft: &mut Draft,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let longest = LONGEST_LINE as u64 + 1;
        if reader.by_ref().take(longest).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        let place = Place { file: file.to_owned(), line: number };
        if bytes.len() > LONGEST_LINE && bytes.last() != Some(&b'\n') {
            draft.reject(&place, "the line is longer than 1 MB; a record is one line".to_owned());
            reader.skip_until(b'\n')?;
            continue;
        }
        let taken = match std::str::from_utf8(&bytes) {
            Ok(line) if line.trim().is_empty() => continue,
            Ok(line) => record(line),
            Err(_) => Err("the line is not UTF-8 text".to_owned()),
        };
        match taken {
            Ok(record) => take(record, &place, draft),
            Err(reason) => draft.reject(&place, reason),
        }
    }
    Ok(())
}

fn record(line: &str) -> Result<Record, String> {
    // A tag keeps raw values from being read in place; so people are read by themselves.
    #[derive(Deserialize)]
    struct Tag<'a> {
        record: &'a str,
        #[serde(borrow)]
        options: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct People {
        #[serde(rename = "record")]
        _record: String,
        culture: String,
        question: QuestionId,
        shares: Box<RawValue>,
    }
    let told = |error: serde_json::Error| {
        let text = error.to_string();
        text.replace(" at line 1 column ", ", at column ")
    };
    let tag: Tag = serde_json::from_str(line).map_err(told)?;
    if tag.options.is_some_and(|options| !options.get().starts_with('[')) {
        return Err("`options` must be a list of texts".to_owned());
    }
    if tag.record == "people" {
        let People { culture, question, shares, .. } = serde_json::from_str(line).map_err(told)?;
        return Ok(Record::People { culture, question, shares });
    }
    serde_json::from_str(line).map_err(told)
}

fn take(record: Record, place: &Place, draft: &mut Draft) {
    match record {
        Record::Survey { id, title, language, source, simulated } => {
            let source = source.unwrap_or_else(|| title.clone());
            let language = language.unwrap_or_else(|| "eng".to_owned());
            let provenance = match simulated {
                true => Provenance::Simulated(source),
                false => Provenance::Respondents(source),
            };
            draft.describe(place, Description { id, title, language, provenance });
        }
        Record::Culture { code, name, demonym } => {
            draft.culture(place, Culture { code, name, demonym });
        }
        Record::Topic { id, name } => {
            if let Err(reason) = draft.topic(Topic { id, name }) {
                draft.reject(place, reason);
            }
        }
        Record::Question {
            id,
            topic,
            question,
            options,
            first_number,
            scale,
            dont_know,
            held_out,
        } => {
            let text = question.trim().to_owned();
            draft.question(
                place,
                Question { id, topic, text, options, first_number, scale, dont_know, held_out },
            );
        }
        Record::People { culture, question, shares } => match lines::shares(&shares) {
            Ok(shares) => draft.people(place, &culture, question, shares),
            Err(reason) => draft.reject(place, reason),
        },
        Record::Similarity { culture, to } => {
            let Likenesses(to) = to;
            match to.iter().find(|(_, value)| !(0.0..=100.0).contains(value)) {
                Some((_, value)) => {
                    draft.reject(place, format!("a similarity must be from 0 to 100, not {value}"));
                }
                None => draft.similarity(place, culture, to),
            }
        }
        Record::Neighbours { question, nearest } => draft.neighbours(place, question, nearest),
    }
}
