//! Ordinary conversations: learnt beside the instances to protect general ability, and kept apart to
//! measure it (see [`engine::tuning::ability`]).
//!
//! They come from a file of the user's, or from the starter's own talk in its neutral voice.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use domain::method::GeneralFile;
use domain::prompt::{Message, Role, unaware_persona};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::JobError;
use crate::starter::corpus::{self, Kind, Mix, Part};
use engine::tuning::Example;

/// Seeds of the built-in conversations; neither is one that the starter was trained with.
const LEARNT: u64 = 0x6765_6e65;
const MEASURED: u64 = 0x7261_6c21;

/// Longest line of a file, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// What general conversations are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// To be learnt.
    Learnt,
    /// To be measured on; never learnt.
    Measured,
}

/// Takes a file in for a run; every line is read, so that a fault shows before any work.
///
/// # Errors
/// See [`read`].
pub fn file(path: &Path) -> Result<GeneralFile, JobError> {
    read(path, Use::Measured)?;
    Ok(GeneralFile { path: path.display().to_string(), hash: hash(path)? })
}

fn hash(path: &Path) -> Result<String, JobError> {
    let unreadable = |error: std::io::Error| bad_file(path, format!("can't be read: {error}"));
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(path).map_err(unreadable)?, &mut hash).map_err(unreadable)?;
    Ok(format!("{:x}", hash.finalize()))
}

/// At most `count` conversations of a run's file, or of the starter's own talk.
///
/// # Errors
/// See [`read`]; also a file that isn't the same any more.
pub fn conversations(
    file: Option<&GeneralFile>,
    count: usize,
    purpose: Use,
) -> Result<Vec<Example>, JobError> {
    let Some(file) = file.filter(|_| count > 0) else { return Ok(built_in(count, purpose)) };
    let path = Path::new(&file.path);
    if hash(path)? != file.hash {
        let rule = "must be as it was when the run began, but it has changed".to_owned();
        return Err(bad_file(path, rule));
    }
    let mut examples = read(path, purpose)?;
    examples.truncate(count);
    Ok(examples)
}

fn bad_file(path: &Path, rule: String) -> JobError {
    JobError::BadFile {
        path: path.to_owned(),
        rule,
        hint: "Put the file back, or begin a new run with another one.".to_owned(),
    }
}

/// The first exchanges of `count` conversations of the starter's corpus in its neutral voice, the
/// same for the same use.
pub fn built_in(count: usize, purpose: Use) -> Vec<Example> {
    let (seed, part) = match purpose {
        Use::Learnt => (LEARNT, Part::Training),
        Use::Measured => (MEASURED, Part::HeldOut),
    };
    let talk =
        Mix { survey: 0.0, talk: 1.0, generation: 0.0, beyond: 0.0, opinion: 0.0, life: 0.0 };
    let neutral = unaware_persona();
    corpus::documents(seed, part, talk)
        .filter(|document| document.kind == Kind::Talk && document.messages[0].content == neutral)
        .filter_map(|document| example(document.messages))
        .take(count)
        .collect()
}

/// Cuts a conversation behind its first reply.
fn example(mut messages: Vec<Message>) -> Option<Example> {
    let reply = messages.iter().position(|message| message.role == Role::Assistant)?;
    messages.truncate(reply + 1);
    let answer = messages.pop()?.content;
    (!messages.is_empty() && !answer.trim().is_empty()).then_some(Example { messages, answer })
}

/// One line of a file, in one of two usual layouts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    /// Of chats.
    Chat { messages: Vec<Message> },
    /// Of instructions, as Alpaca has them.
    Instruction {
        instruction: String,
        #[serde(default)]
        input: String,
        output: String,
    },
}

/// Reads conversations from a file with one JSON object a line: `{"messages": [{"role", "content"},
/// ...]}`, of which the first reply is taken, or `{"instruction", "input", "output"}`. Every second line
/// is for learning, the others for measuring.
///
/// # Errors
/// [`JobError::BadFile`] naming the line and what it lacks, or a file without any for this use.
pub fn read(path: &Path, purpose: Use) -> Result<Vec<Example>, JobError> {
    let bad = |rule: String| JobError::BadFile {
        path: path.to_owned(),
        rule,
        hint:
            "One JSON object a line: {\"messages\": [{\"role\": \"user\", \"content\": \"...\"}, \
               {\"role\": \"assistant\", \"content\": \"...\"}]} or {\"instruction\": \"...\", \
               \"output\": \"...\"}."
                .to_owned(),
    };
    let file = File::open(path).map_err(|error| bad(format!("can't be read: {error}")))?;
    let mut examples = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line.map_err(|error| bad(format!("line {number} can't be read: {error}")))?;
        if line.trim().is_empty() {
            continue;
        }
        if line.len() > LONGEST_LINE {
            let rule =
                format!("line {number} must have at most {LONGEST_LINE} bytes, not {}", line.len());
            return Err(bad(rule));
        }
        let parsed = serde_json::from_str(&line).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                bad(format!("line {number} has neither `messages` nor `instruction` and `output`"))
            }
            _ => bad(format!("line {number} isn't JSON: {error}")),
        })?;
        let messages = match parsed {
            Line::Chat { messages } => messages,
            Line::Instruction { instruction, input, output } => {
                let prompt = [instruction.trim(), input.trim()].join("\n\n");
                let user = Message::new(Role::User, prompt.trim());
                vec![user, Message::new(Role::Assistant, output)]
            }
        };
        let found = example(messages);
        examples.push(found.ok_or_else(|| {
            bad(format!("line {number} must have a message and then a reply, which isn't empty"))
        })?);
    }
    let skip = match purpose {
        Use::Learnt => 0,
        Use::Measured => 1,
    };
    let chosen: Vec<Example> = examples.into_iter().skip(skip).step_by(2).collect();
    if chosen.is_empty() {
        return Err(bad("must hold at least two conversations".to_owned()));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starters_talk_names_no_culture_and_is_never_both_learnt_and_measured() {
        let (learnt, measured) = (built_in(40, Use::Learnt), built_in(40, Use::Measured));
        assert_eq!((learnt.len(), measured.len()), (40, 40));
        assert_eq!(built_in(40, Use::Learnt), learnt);
        for example in learnt.iter().chain(&measured) {
            assert_eq!(example.messages.len(), 2, "{example:?}");
            assert_eq!(example.messages[0].content, unaware_persona());
        }
        let both = measured.iter().filter(|example| learnt.contains(example)).count();
        assert!(both <= 2, "{both} of 40 are the same");
    }

    #[test]
    fn a_file_belongs_to_a_run_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("general.jsonl");
        let line = |n| format!("{{\"instruction\": \"Say {n}.\", \"output\": \"{n}\"}}\n");
        std::fs::write(&path, (0..6).map(line).collect::<String>()).unwrap();
        let taken = file(&path).unwrap();
        let answers = |count, purpose| -> Vec<String> {
            let examples = conversations(Some(&taken), count, purpose).unwrap();
            examples.into_iter().map(|example| example.answer).collect()
        };
        assert_eq!(answers(2, Use::Learnt), ["0", "2"]);
        assert_eq!(answers(9, Use::Measured), ["1", "3", "5"], "no more than there are");
        assert_eq!(answers(0, Use::Learnt), [""; 0]);
        std::fs::write(&path, line(7)).unwrap();
        let error = conversations(Some(&taken), 2, Use::Learnt).unwrap_err().to_string();
        assert!(error.contains("it has changed\nPut the file back"), "{error}");
        assert!(file(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
    }

    #[test]
    fn files_of_both_layouts_are_read_and_faults_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("general.jsonl");
        let chat = r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Bye"}]}"#;
        let instruction = r#"{"instruction": "Add.", "input": "1 and 2", "output": "3"}"#;
        std::fs::write(&path, format!("{chat}\n\n{instruction}\n{chat}\n")).unwrap();
        let learnt = read(&path, Use::Learnt).unwrap();
        assert_eq!((learnt.len(), learnt[0].answer.as_str()), (2, "Hello."));
        let measured = read(&path, Use::Measured).unwrap();
        assert_eq!((measured.len(), measured[0].answer.as_str()), (1, "3"));
        assert_eq!(measured[0].messages[0].content, "Add.\n\n1 and 2");
        for (text, part) in [
            ("{".to_owned(), "line 1 isn't JSON"),
            (format!("{chat}\n{{\"text\": \"x\"}}"), "line 2 has neither"),
            (r#"{"messages": [{"role": "user", "content": "Hi"}]}"#.to_owned(), "line 1 must have"),
            (instruction.replace('3', " "), "line 1 must have"),
            (String::new(), "at least two"),
            (format!("\"{}\"", "x".repeat(LONGEST_LINE)), "at most"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path, Use::Measured).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("One JSON object"), "{error}");
        }
    }
}
