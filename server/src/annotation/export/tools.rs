//! Projects for other annotation tools: Argilla and Label Studio. Each is a zip file with the tool's
//! settings and the items with what was said of them. People of a project have no account there, and both
//! tools refuse a file that names accounts which they don't have; so nobody is named as one.

use domain::annotation::{Item, Judgement, LabelId};
use domain::xml::escaped;
use serde::Serialize;
use serde_json::{Value, json};

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
    /// `settings.json` for Argilla's `Settings.from_json`, and `records.json` for `records.from_json`. The
    /// verdict is a suggestion and the votes are metadata: a response would need an account.
    ///
    /// # Errors
    /// [`RoomError::Refused`] where a value can't be written in that form.
    pub(super) fn argilla(&self) -> Result<Vec<u8>, RoomError> {
        let records: Vec<Value> = self.lines().iter().map(|line| self.record(line)).collect();
        zip(&[
            ("settings.json", text(&self.argilla_settings())?),
            ("records.json", text(&records)?),
        ])
    }

    /// `config.xml`, a labelling configuration, and `tasks.json`, tasks with their annotations. Each says
    /// which member made it in its `meta`: whoever imports the file becomes the author of all.
    ///
    /// # Errors
    /// As [`Self::argilla`].
    pub(super) fn label_studio(&self) -> Result<Vec<u8>, RoomError> {
        let tasks: Vec<Value> = self.lines().iter().map(task).collect();
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
        let terms = |name: &str| {
            json!({ "name": name, "title": name, "visible_for_annotators": true,
                    "settings": { "type": "terms", "values": null, "visible_for_annotators": true } })
        };
        let votes = settings.labels.iter().map(|label| {
            json!({ "name": votes_for(&label.id), "title": format!("Votes for {}", label.name),
                    "visible_for_annotators": true,
                    "settings": { "type": "integer", "min": null, "max": null,
                                  "visible_for_annotators": true } })
        });
        let metadata: Vec<Value> = ["code", "topic"].map(terms).into_iter().chain(votes).collect();
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
            "metadata": metadata,
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

    /// A record as Argilla's own `to_json` writes it.
    fn record(&self, line: &Line<'_>) -> Value {
        let mut metadata = json!({ "code": line.item.culture, "topic": line.item.question.topic });
        for label in &self.settings.labels {
            let votes = line.judgements.iter().filter(|said| said.said.label == label.id).count();
            metadata[votes_for(&label.id)] = votes.into();
        }
        let suggestions = match &line.verdict {
            Some(verdict) => json!({ "label": { "value": verdict.label } }),
            None => json!({}),
        };
        json!({
            "id": line.item.id,
            "fields": fields(line.item),
            "metadata": metadata,
            "suggestions": suggestions,
            "responses": {},
        })
    }
}

/// A task with its annotations.
fn task(line: &Line<'_>) -> Value {
    let annotation = |said: &Said<'_, &Judgement>| {
        json!({
            "result": [{
                "from_name": "label",
                "to_name": "question",
                "type": "choices",
                "value": { "choices": [said.said.label] },
                "meta": { "text": [said.member] },
            }],
        })
    };
    let mut data = fields(line.item);
    data["id"] = json!(line.item.id);
    let annotations: Vec<Value> = line.judgements.iter().map(annotation).collect();
    json!({ "data": data, "annotations": annotations })
}

/// The name of the metadata with a label's votes.
fn votes_for(label: &LabelId) -> String {
    format!("votes_{label}")
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
