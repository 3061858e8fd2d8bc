//! Projects for other annotation tools: Argilla and Label Studio. Each is a zip file with the tool's
//! settings and the items with what was said of them.

use domain::annotation::{Item, MemberId};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::archive::zip;
use super::{Line, Said, Snapshot, unwritable};
use crate::annotation::RoomError;

/// The texts of an item that are shown, by the name of their field and their title.
const FIELDS: [(&str, &str); 5] = [
    ("question", "Question"),
    ("options", "Options"),
    ("unaware", "Answer without a culture"),
    ("aware", "Answer as the culture: is it right?"),
    ("culture", "Culture"),
];

impl Snapshot {
    /// `settings.json` for Argilla's `Settings.from_json`, and `records.json` for `records.from_json`.
    ///
    /// # Errors
    /// [`RoomError::Refused`] where a value can't be written in that form.
    pub(super) fn argilla(&self) -> Result<Vec<u8>, RoomError> {
        let records: Vec<Value> = self.lines().iter().map(record).collect();
        zip(&[
            ("settings.json", text(&self.argilla_settings())?),
            ("records.json", text(&records)?),
        ])
    }

    /// `config.xml`, a labelling configuration, and `tasks.json`, tasks with their annotations.
    ///
    /// # Errors
    /// As [`Self::argilla`].
    pub(super) fn label_studio(&self) -> Result<Vec<u8>, RoomError> {
        let tasks: Vec<Value> = self.lines().iter().map(|line| self.task(line)).collect();
        zip(&[("config.xml", self.config().into_bytes()), ("tasks.json", text(&tasks)?)])
    }

    fn argilla_settings(&self) -> Value {
        let settings = &self.settings;
        let options: Vec<Value> = settings
            .labels
            .iter()
            .map(|label| json!({ "value": label.id, "text": label.name }))
            .collect();
        let explained = settings.labels.iter().filter(|label| !label.explanation.is_empty());
        let description: Vec<String> =
            explained.map(|label| format!("{}: {}", label.name, label.explanation)).collect();
        let field = |(name, title): (&str, &str)| {
            let settings = json!({ "type": "text", "use_markdown": false });
            json!({ "name": name, "title": title, "required": true, "settings": settings })
        };
        let metadata = |name: &str| {
            json!({ "name": name, "title": name, "visible_for_annotators": true,
                    "settings": { "type": "terms", "values": null, "visible_for_annotators": true } })
        };
        json!({
            "guidelines": (!settings.guidelines.is_empty()).then_some(&settings.guidelines),
            "fields": FIELDS.map(field),
            "questions": [{
                "name": "label",
                "title": "Is the answer as the culture right?",
                "description": description.join("\n"),
                "required": true,
                "settings": { "type": "label_selection", "options": options },
            }],
            "vectors": [],
            "metadata": (["code", "topic"].map(metadata)),
            "allow_extra_metadata": false,
            "distribution": { "strategy": "overlap", "min_submitted": settings.overlap },
        })
    }

    /// The choices are written by their identifiers: names may be given twice.
    fn config(&self) -> String {
        let mut text = "<View>\n".to_owned();
        for (name, title) in FIELDS {
            text += &format!(
                "  <Header value=\"{title}\"/>\n  <Text name=\"{name}\" value=\"${name}\"/>\n"
            );
        }
        text +=
            "  <Choices name=\"label\" toName=\"question\" choice=\"single\" required=\"true\">\n";
        for label in &self.settings.labels {
            let (id, name, hint) =
                (label.id.as_str(), escaped(&label.name), escaped(&label.explanation));
            text += &format!("    <Choice value=\"{name}\" alias=\"{id}\" hint=\"{hint}\"/>\n");
        }
        text + "  </Choices>\n</View>\n"
    }

    fn task(&self, line: &Line<'_>) -> Value {
        // Label Studio numbers people.
        let number = |member: &MemberId| self.members.iter().position(|m| m.id == *member);
        let annotation = |said: &Said<'_, _>| {
            let judgement: &domain::annotation::Judgement = said.said;
            json!({
                "completed_by": number(said.member).map(|place| place + 1),
                "result": [{
                    "from_name": "label",
                    "to_name": "question",
                    "type": "choices",
                    "value": { "choices": [judgement.label] },
                }],
            })
        };
        let mut data = fields(line.item);
        data["id"] = json!(line.item.id);
        let annotations: Vec<Value> = line.judgements.iter().map(annotation).collect();
        json!({ "data": data, "annotations": annotations })
    }
}

/// A record as Argilla's own `to_json` writes it.
fn record(line: &Line<'_>) -> Value {
    let response = |said: &Said<'_, &domain::annotation::Judgement>| json!({ "value": said.said.label, "user_id": user_id(said.member), "status": "submitted" });
    let responses: Vec<Value> = line.judgements.iter().map(response).collect();
    let mut record = json!({
        "id": line.item.id,
        "fields": fields(line.item),
        "metadata": { "code": line.item.culture, "topic": line.item.question.topic },
        "suggestions": {},
        "responses": { "label": responses },
    });
    if let Some(verdict) = &line.verdict {
        record["suggestions"] = json!({ "label": { "value": verdict.label } });
    }
    record
}

/// Argilla knows people by UUIDs: one of version 8, out of the member's identifier.
fn user_id(member: &MemberId) -> String {
    let hash = format!("{:x}", Sha256::digest(member.as_str()));
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
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
        "culture": item.culture,
    })
}

fn text(value: &impl Serialize) -> Result<Vec<u8>, RoomError> {
    serde_json::to_vec_pretty(value).map_err(unwritable)
}

/// A text as the value of an XML attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            // XML 1.0 has no other control characters, not even escaped.
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_holds_any_name() {
        assert_eq!(escaped("a<b> & \"c\"\n\u{7}é"), "a&lt;b&gt; &amp; &quot;c&quot;  é");
    }

    #[test]
    fn a_member_has_one_uuid_of_their_own() {
        let id = user_id(&"ann".into());
        assert_eq!(id, user_id(&"ann".into()));
        assert_ne!(id, user_id(&"bob".into()));
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert!(id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()), "{id}");
    }
}
