//! The endless stream of documents, and the corpus as a file with its statistics.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use domain::prompt::{Message, Role};
use domain::random::SplitMix64;
use serde::Serialize;

use super::{
    Answer, Document, Kind, Mix, Part, Stress, beyond, generation, life, opinion, survey, talk,
};
use crate::starter::world::world;

/// Documents without end, the same for the same seed, part and mix.
#[derive(Debug, Clone)]
pub struct Documents {
    rng: SplitMix64,
    part: Part,
    mix: Mix,
    written: [usize; Kind::ALL.len()],
}

/// The documents of `seed`. Held-out text wants a seed that no training uses; survey and
/// generation documents never hold a held-out question in either part.
pub fn documents(seed: u64, part: Part, mix: Mix) -> Documents {
    Documents { rng: SplitMix64::new(seed), part, mix, written: [0; Kind::ALL.len()] }
}

impl Iterator for Documents {
    type Item = Document;

    fn next(&mut self) -> Option<Document> {
        let kind = self.mix.next(self.written)?;
        // Each document has its own stream, so that a change in one kind leaves the others alone.
        let mut rng = SplitMix64::new(self.rng.next_u64());
        let document = match kind {
            Kind::Survey => survey::document(&mut rng, world()),
            Kind::Talk => talk::document(&mut rng, self.part),
            Kind::Generation => generation::document(&mut rng, world()),
            Kind::Beyond => beyond::document(&mut rng, self.part),
            Kind::Opinion => opinion::document(&mut rng, world()),
            Kind::Life => life::document(&mut rng, self.part),
        };
        self.written[kind as usize] += document.characters();
        Some(document)
    }
}

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WriteOptions {
    /// Seed of the documents.
    pub seed: u64,
    /// Training or held-out text.
    pub part: Part,
    /// Share of each kind.
    pub mix: Mix,
    /// Number of documents.
    pub documents: usize,
}

/// What a corpus holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// Documents per kind, in the order of [`Kind::ALL`].
    pub documents: [usize; Kind::ALL.len()],
    /// Characters per kind, in the same order.
    pub characters: [usize; Kind::ALL.len()],
    /// Words, runs of letters and apostrophes.
    pub words: usize,
    /// Distinct words, case ignored.
    pub distinct_words: usize,
    /// Replies in conversations and refusals.
    pub replies: usize,
    /// Distinct ones among them.
    pub distinct_replies: usize,
}

/// The corpus could not be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "the corpus cannot be written to `{path}`: {source}\nChoose a folder that exists and has room."
)]
pub struct WriteError {
    path: PathBuf,
    source: std::io::Error,
}

/// Writes one JSON object per document, `{"kind": ..., "messages": [...]}`, to the file `path`; where
/// other answers were possible also `"answers": [{"message": ..., "shares": [[text, share], ...]}]`,
/// and where words are stressed `"stressed": [{"message": ..., "range": {"start": ..., "end": ...}}]`.
/// `progress` hears the number of documents so far, every thousand.
///
/// # Errors
/// Where the file cannot be created or written; what was written until then stays.
pub fn write(
    path: &Path,
    options: WriteOptions,
    mut progress: impl FnMut(usize),
) -> Result<Statistics, WriteError> {
    let failed = |source| WriteError { path: path.to_owned(), source };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    let mut counter = Counter::default();
    let stream = documents(options.seed, options.part, options.mix).take(options.documents);
    for (index, document) in stream.enumerate() {
        counter.add(&document);
        let row = Row {
            kind: document.kind.as_str(),
            messages: &document.messages,
            answers: &document.answers,
            stressed: &document.stressed,
        };
        serde_json::to_writer(&mut file, &row).map_err(|error| failed(error.into()))?;
        file.write_all(b"\n").map_err(failed)?;
        if (index + 1).is_multiple_of(1000) {
            progress(index + 1);
        }
    }
    file.flush().map_err(failed)?;
    Ok(counter.finish())
}

#[derive(Serialize)]
struct Row<'a> {
    kind: &'static str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    answers: &'a [Answer],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stressed: &'a [Stress],
}

/// Counts while documents go by.
#[derive(Debug, Default)]
pub struct Counter {
    statistics: Statistics,
    words: HashSet<String>,
    replies: HashSet<String>,
}

impl Counter {
    /// Counts one document.
    pub fn add(&mut self, document: &Document) {
        let kind = document.kind as usize;
        self.statistics.documents[kind] += 1;
        self.statistics.characters[kind] += document.characters();
        for message in &document.messages {
            self.add_words(&message.content);
            let spoken = matches!(document.kind, Kind::Talk | Kind::Beyond);
            if spoken && message.role == Role::Assistant {
                self.statistics.replies += 1;
                self.replies.insert(message.content.clone());
            }
        }
    }

    fn add_words(&mut self, text: &str) {
        let words = text.split(|c: char| !c.is_alphabetic() && c != '\'');
        for word in words.filter(|word| !word.is_empty()) {
            self.statistics.words += 1;
            self.words.insert(word.to_lowercase());
        }
    }

    /// What was counted.
    pub fn finish(mut self) -> Statistics {
        self.statistics.distinct_words = self.words.len();
        self.statistics.distinct_replies = self.replies.len();
        self.statistics
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.characters.iter().sum();
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let (documents, characters) = (self.documents[index], self.characters[index]);
            let share = 100.0 * characters as f64 / total.max(1) as f64;
            writeln!(
                f,
                "{kind:<11} {documents:>9} documents {characters:>12} characters {share:>5.1} %",
                kind = kind.as_str()
            )?;
        }
        writeln!(f, "words       {:>9}, {} distinct", self.words, self.distinct_words)?;
        write!(f, "replies     {:>9}, {} distinct", self.replies, self.distinct_replies)
    }
}
