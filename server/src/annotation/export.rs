//! Judgements as files. Members are named by their identifiers, which say nothing about the person.
//!
//! - here: lines and cells, and chats to train on;
//! - [`table`], [`dataset`]: Parquet, and the Hugging Face folder; [`tools`]: other annotation tools;
//! - [`archive`]: several files in one.

use std::collections::HashMap;
use std::sync::Arc;

use app::api::annotation::ExportFormat;
use domain::annotation::{
    Act, Event, Item, ItemInfo, Judgement, MemberId, ProjectSettings, Record, SkipReason, State,
    SubmissionId, Verdict, accepted, verdict,
};
use domain::culture::Culture;
use domain::instance::Instance;
use domain::prompt::{Message, PromptStyle, PromptTemplates, Role};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Room, RoomError};
use crate::jobs::annotation::{Origin, origin, templates};

mod archive;
mod dataset;
mod table;
mod tools;

/// One item with everything that was said of it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    item: &'a Item,
    verdict: Option<Verdict>,
    judgements: Vec<Said<'a, &'a Judgement>>,
    adjudication: Option<Said<'a, &'a Judgement>>,
    skips: Vec<Said<'a, SkipReason>>,
    comments: Vec<Remark<'a>>,
    /// All that was judged, skipped and decided, oldest first, with what no longer stands.
    history: Vec<Past<'a>>,
}

/// A project as it was at a moment, with what files need beside it. Making one is quick; making a file of it
/// takes a while, for which the room is open to others.
#[derive(Debug)]
pub struct Snapshot {
    settings: ProjectSettings,
    items: Arc<[Item]>,
    infos: Vec<ItemInfo>,
    state: State,
    /// What is known of the items' run.
    origin: Option<Origin>,
    /// The wording by which an adapter learns.
    templates: PromptTemplates,
}

/// Who said what when.
#[derive(Debug, Serialize)]
struct Said<'a, T> {
    member: &'a MemberId,
    /// Milliseconds since 1970 (UTC).
    at: i64,
    said: T,
}

/// An event as it was stored.
#[derive(Debug, Serialize)]
struct Past<'a> {
    submission: &'a SubmissionId,
    member: &'a MemberId,
    /// Milliseconds since 1970 (UTC).
    at: i64,
    /// The act that this one took the place of.
    replaces: Option<&'a SubmissionId>,
    #[serde(flatten)]
    act: &'a Act,
}

impl<'a> From<&'a Event> for Past<'a> {
    fn from(event: &'a Event) -> Self {
        let Event { submission, author: member, at, replaces, act, .. } = event;
        Self { submission, member, at: *at, replaces: replaces.as_ref(), act }
    }
}

/// A comment, with what makes threads of them.
#[derive(Debug, Serialize)]
struct Remark<'a> {
    submission: &'a SubmissionId,
    /// The comment that this one answers.
    answers: Option<&'a SubmissionId>,
    #[serde(flatten)]
    said: Said<'a, &'a str>,
}

impl Room {
    /// The project as it is now.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn snapshot(&self) -> Result<Snapshot, RoomError> {
        let source = self.source_run.as_deref();
        Ok(Snapshot {
            settings: self.settings.clone(),
            items: Arc::clone(&self.items),
            infos: self.infos.clone(),
            state: self.state.clone(),
            origin: match source {
                Some(run) => origin(&self.store, run).await?,
                None => None,
            },
            templates: match source {
                Some(run) => templates(&self.store, run).await?,
                None => PromptTemplates::builtin().clone(),
            },
        })
    }
}

impl Snapshot {
    /// Everything that was said, as a file. Personas are of `cultures`. Takes a while.
    ///
    /// # Errors
    /// [`RoomError::Refused`] where a value can't be written in that form.
    pub fn export(&self, format: ExportFormat, cultures: &[Culture]) -> Result<Vec<u8>, RoomError> {
        match format {
            ExportFormat::Jsonl => json_lines(&self.lines()),
            ExportFormat::Csv => self.csv(),
            ExportFormat::Parquet => self.judgements_table(),
            ExportFormat::Dataset => self.dataset(),
            ExportFormat::Argilla => self.argilla(),
            ExportFormat::LabelStudio => self.label_studio(),
            ExportFormat::Training => json_lines(&self.examples(cultures)?),
        }
    }

    /// The accepted instances as chats: the culture's persona asks, in the words of the instances' run, and
    /// the aware answer is given.
    fn examples(&self, cultures: &[Culture]) -> Result<Vec<Value>, RoomError> {
        let items: HashMap<_, _> =
            self.items.iter().map(|item| ((&item.question.id, item.culture), item)).collect();
        let instances = accepted(&self.settings, &self.state, &self.items);
        let found = instances.iter().filter_map(|instance| {
            let item = items.get(&(&instance.question, instance.culture))?;
            Some(example(&self.templates, item, instance, cultures))
        });
        found.collect()
    }

    fn lines(&self) -> Vec<Line<'_>> {
        self.items.iter().zip(&self.infos).map(|(item, info)| self.line(item, info)).collect()
    }

    fn line<'a>(&'a self, item: &'a Item, info: &ItemInfo) -> Line<'a> {
        let record = self.state.record(&item.id);
        let words = record.map(Record::words).unwrap_or_default();
        let (mut judgements, mut skips) = (Vec::new(), Vec::new());
        for (event, _) in words.into_values() {
            let (member, at) = (&event.author, event.at);
            match &event.act {
                Act::Judged(said) => judgements.push(Said { member, at, said }),
                Act::Skipped { reason } => skips.push(Said { member, at, said: *reason }),
                _ => {}
            }
        }
        let comments = record.map(Record::comments).unwrap_or_default();
        let comments = comments.into_iter().filter_map(|event| match &event.act {
            Act::Commented { text, answers } => Some(Remark {
                submission: &event.submission,
                answers: answers.as_ref(),
                said: Said { member: &event.author, at: event.at, said: text.as_str() },
            }),
            _ => None,
        });
        let decided = record.and_then(Record::adjudication);
        Line {
            item,
            verdict: verdict(&self.settings, &self.state, info),
            judgements,
            adjudication: decided.map(|(event, said)| Said {
                member: &event.author,
                at: event.at,
                said,
            }),
            skips,
            comments: comments.collect(),
            history: record
                .map(Record::history)
                .unwrap_or_default()
                .into_iter()
                .map(Past::from)
                .collect(),
        }
    }

    /// One line per judgement, and one for each item that was decided without any.
    fn csv(&self) -> Result<Vec<u8>, RoomError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let heading = [
            "item",
            "culture",
            "topic",
            "question",
            "options",
            "unaware",
            "aware",
            "member",
            "label",
            "option",
            "milliseconds",
            "at",
            "verdict",
            "basis",
        ];
        writer.write_record(heading).map_err(unwritable)?;
        for line in self.lines() {
            for said in line.rows() {
                writer.write_record(cells(&line, said)).map_err(unwritable)?;
            }
        }
        writer.into_inner().map_err(unwritable)
    }
}

impl<'a> Line<'a> {
    /// What tables with a row per judgement have of the item: a decision without judgements has a row
    /// without one.
    fn rows(&self) -> Vec<Option<&Said<'a, &'a Judgement>>> {
        match self.judgements.is_empty() && self.verdict.is_some() {
            true => vec![None],
            false => self.judgements.iter().map(Some).collect(),
        }
    }
}

/// A chat in the form that trainers take: messages by role.
fn example(
    prompts: &PromptTemplates,
    item: &Item,
    instance: &Instance,
    cultures: &[Culture],
) -> Result<Value, RoomError> {
    let culture = cultures.iter().find(|culture| culture.code == instance.culture);
    let culture = culture.ok_or_else(|| {
        RoomError::refused(
            format!("there is no persona for `{}` of `{}`", instance.culture, item.id),
            "Import a survey that has this culture.",
        )
    })?;
    let messages = [
        Message::new(Role::System, prompts.persona(PromptStyle::Aware, Some(culture), None)),
        Message::new(Role::User, prompts.question(&item.question)),
        Message::new(Role::Assistant, instance.aware.to_string()),
    ];
    Ok(json!({ "item": item.id, "culture": instance.culture, "messages": messages }))
}

fn json_lines(values: &[impl Serialize]) -> Result<Vec<u8>, RoomError> {
    let mut text = Vec::new();
    for value in values {
        serde_json::to_writer(&mut text, value).map_err(unwritable)?;
        text.push(b'\n');
    }
    Ok(text)
}

fn cells(line: &Line<'_>, row: Option<&Said<'_, &Judgement>>) -> Vec<String> {
    let (item, verdict) = (line.item, line.verdict.as_ref());
    let of_row = |cell: fn(&Said<'_, &Judgement>) -> String| row.map(cell).unwrap_or_default();
    let cells = [
        item.id.to_string(),
        item.culture.to_string(),
        item.question.topic.to_string(),
        item.question.text.clone(),
        item.question.options.join("|"),
        item.unaware.to_string(),
        item.aware.to_string(),
        of_row(|row| row.member.to_string()),
        of_row(|row| row.said.label.to_string()),
        of_row(|row| row.said.option.map(|option| option.to_string()).unwrap_or_default()),
        of_row(|row| row.said.milliseconds.to_string()),
        of_row(|row| row.at.to_string()),
        verdict.map(|verdict| verdict.label.to_string()).unwrap_or_default(),
        verdict.map(|verdict| verdict.basis.as_str().to_owned()).unwrap_or_default(),
    ];
    cells.map(harmless).into()
}

/// Spreadsheets run a cell that begins like a formula; a quote in front makes it text (OWASP, "CSV
/// Injection"). Some leave out white space before they look, and some take the full-width characters of
/// Chinese and Japanese keyboards for the same.
fn harmless(cell: String) -> String {
    const BEGINNINGS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    let begins = cell.trim_start().starts_with(BEGINNINGS);
    match begins || cell.starts_with(['\t', '\r', '\n']) {
        true => format!("'{cell}"),
        false => cell,
    }
}

fn unwritable(error: impl std::fmt::Display) -> RoomError {
    RoomError::refused(format!("the file can't be written: {error}"), "Try another format.")
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn no_cell_begins_like_a_formula() {
        for (cell, expected) in [
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("+1", "'+1"),
            ("-1+2", "'-1+2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r1", "'\r1"),
            ("\n1", "'\n1"),
            (" \u{a0}=1", "' \u{a0}=1"),
            ("＝1", "'＝1"),
            ("＋1", "'＋1"),
            ("－1", "'－1"),
            ("\u{3000}＠SUM(A1)", "'\u{3000}＠SUM(A1)"),
            (" plain", " plain"),
            ("１＋１", "１＋１"),
            ("plain = fine", "plain = fine"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell.to_owned()), expected);
        }
    }
}
