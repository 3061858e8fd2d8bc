//! Judgements as files. Members are named by their identifiers, which say nothing about the person.

use std::collections::HashMap;

use app::api::annotation::ExportFormat;
use domain::annotation::{
    Act, Item, ItemInfo, Judgement, MemberId, Record, SkipReason, Verdict, accepted, verdict,
};
use domain::culture::Culture;
use domain::instance::Instance;
use domain::prompt::{Message, PromptStyle, PromptTemplates, Role};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Room, RoomError};

/// One item with everything that was said of it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    item: &'a Item,
    verdict: Option<Verdict>,
    judgements: Vec<Said<'a, &'a Judgement>>,
    adjudication: Option<Said<'a, &'a Judgement>>,
    skips: Vec<Said<'a, SkipReason>>,
    comments: Vec<Said<'a, &'a str>>,
}

/// Who said what when.
#[derive(Debug, Serialize)]
struct Said<'a, T> {
    member: &'a MemberId,
    /// Milliseconds since 1970 (UTC).
    at: i64,
    said: T,
}

impl Room {
    /// Everything that was said, as a file. Personas are of `cultures`.
    ///
    /// # Errors
    /// [`RoomError::Refused`] where a value can't be written in that form.
    pub fn export(&self, format: ExportFormat, cultures: &[Culture]) -> Result<String, RoomError> {
        match format {
            ExportFormat::Jsonl => json_lines(&self.lines()),
            ExportFormat::Training => json_lines(&self.examples(cultures)?),
            ExportFormat::Csv => self.csv(),
            ExportFormat::Argilla => self.json(argilla),
            ExportFormat::LabelStudio => self.json(label_studio),
        }
    }

    /// The accepted instances as chats: the culture's persona asks, the aware answer is given.
    fn examples(&self, cultures: &[Culture]) -> Result<Vec<Value>, RoomError> {
        let items: HashMap<_, _> =
            self.items.iter().map(|item| ((&item.question.id, item.culture), item)).collect();
        let instances = accepted(&self.settings, &self.state, &self.items);
        let found = instances.iter().filter_map(|instance| {
            let item = items.get(&(&instance.question, instance.culture))?;
            Some(example(item, instance, cultures))
        });
        found.collect()
    }

    fn json(&self, record: fn(&Room, &Line<'_>) -> Value) -> Result<String, RoomError> {
        let records: Vec<Value> = self.lines().iter().map(|line| record(self, line)).collect();
        serde_json::to_string_pretty(&records).map_err(unwritable)
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
            Act::Commented { text, .. } => {
                Some(Said { member: &event.author, at: event.at, said: text.as_str() })
            }
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
        }
    }

    /// One line per judgement; an item that nobody has judged has none.
    fn csv(&self) -> Result<String, RoomError> {
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
            for Said { member, at, said } in &line.judgements {
                writer.write_record(cells(&line, member, *at, said)).map_err(unwritable)?;
            }
        }
        let bytes = writer.into_inner().map_err(unwritable)?;
        String::from_utf8(bytes).map_err(unwritable)
    }
}

/// A chat in the form that trainers take: messages by role.
fn example(item: &Item, instance: &Instance, cultures: &[Culture]) -> Result<Value, RoomError> {
    let culture = cultures.iter().find(|culture| culture.code == instance.culture);
    let culture = culture.ok_or_else(|| {
        RoomError::refused(
            format!("there is no persona for `{}` of `{}`", instance.culture, item.id),
            "Import a survey that has this culture.",
        )
    })?;
    let prompts = PromptTemplates::builtin();
    let messages = [
        Message::new(Role::System, prompts.persona(PromptStyle::Aware, Some(culture), None)),
        Message::new(Role::User, prompts.question(&item.question)),
        Message::new(Role::Assistant, instance.aware.to_string()),
    ];
    Ok(json!({ "item": item.id, "culture": instance.culture, "messages": messages }))
}

fn json_lines(values: &[impl Serialize]) -> Result<String, RoomError> {
    let mut text = String::new();
    for value in values {
        text += &serde_json::to_string(value).map_err(unwritable)?;
        text.push('\n');
    }
    Ok(text)
}

fn cells(line: &Line<'_>, member: &MemberId, at: i64, said: &Judgement) -> Vec<String> {
    let (item, verdict) = (line.item, line.verdict.as_ref());
    let cells = [
        item.id.to_string(),
        item.culture.to_string(),
        item.question.topic.to_string(),
        item.question.text.clone(),
        item.question.options.join("|"),
        item.unaware.to_string(),
        item.aware.to_string(),
        member.to_string(),
        said.label.to_string(),
        said.option.map(|option| option.to_string()).unwrap_or_default(),
        said.milliseconds.to_string(),
        at.to_string(),
        verdict.map(|verdict| verdict.label.to_string()).unwrap_or_default(),
        verdict.map(|verdict| verdict.basis.as_str().to_owned()).unwrap_or_default(),
    ];
    cells.map(harmless).into()
}

/// Spreadsheets run a cell that begins like a formula; a quote in front makes it text (OWASP, "CSV
/// Injection").
fn harmless(cell: String) -> String {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{cell}"),
        false => cell,
    }
}

/// A record for Argilla's `Dataset.records.log`: fields, responses and metadata by name.
fn argilla(_: &Room, line: &Line<'_>) -> Value {
    let responses: Vec<Value> = line
        .judgements
        .iter()
        .map(|said| json!({ "user_id": said.member, "label": said.said.label }))
        .collect();
    json!({
        "id": line.item.id,
        "fields": fields(line.item),
        "metadata": { "culture": line.item.culture, "topic": line.item.question.topic },
        "suggestions": { "label": line.verdict.as_ref().map(|verdict| &verdict.label) },
        "responses": responses,
    })
}

/// A task for Label Studio's import, with `Choices` named `label` over a `Text` named `question`.
fn label_studio(room: &Room, line: &Line<'_>) -> Value {
    let result = |judgement: &Judgement| {
        let name = room.settings.label(&judgement.label).map(|label| &label.name);
        json!([{
            "from_name": "label",
            "to_name": "question",
            "type": "choices",
            "value": { "choices": [name] },
        }])
    };
    let place = |member: &MemberId| room.members.iter().position(|known| known.id == *member);
    let annotations: Vec<Value> = line
        .judgements
        .iter()
        .map(|said| json!({ "completed_by": place(said.member), "result": result(said.said) }))
        .collect();
    let mut data = fields(line.item);
    data["id"] = json!(line.item.id);
    data["culture"] = json!(line.item.culture);
    json!({ "data": data, "annotations": annotations })
}

/// The texts of an item, as a person reads them.
fn fields(item: &Item) -> Value {
    let option = |number: u32| {
        let index = item.question.index_of(number);
        index.and_then(|index| item.question.options.get(index))
    };
    json!({
        "question": item.question.text,
        "options": item.question.options.join("\n"),
        "unaware": option(item.unaware),
        "aware": option(item.aware),
    })
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
            ("plain = fine", "plain = fine"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell.to_owned()), expected);
        }
    }
}
