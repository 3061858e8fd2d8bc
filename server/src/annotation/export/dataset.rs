//! The Hugging Face `datasets` folder: two Parquet tables and the card that says what they are, as one zip
//! file.

use std::fmt::Write as _;

use domain::agreement::{Agreement, agreement};
use domain::annotation::{Item, Judgement, Verdict, ratings};
use domain::survey::Provenance;

use super::archive::zip;
use super::table::{Column, Values, parquet};
use super::{Line, Said, Snapshot, unwritable};
use crate::annotation::RoomError;
use crate::jobs::annotation::Origin;

/// Name, place in the folder, columns.
type Table = (&'static str, &'static str, Vec<Column>);

impl Snapshot {
    /// Every item with its verdict, and every judgement.
    fn tables(&self, lines: &[Line<'_>]) -> [Table; 2] {
        [
            ("items", "data/items.parquet", items(lines)),
            ("judgements", "data/judgements.parquet", judgements(&rows(lines, false))),
        ]
    }

    /// The judgements as one table, each with its item and what is held of that; an item that was decided
    /// without any has a row all the same.
    ///
    /// # Errors
    /// [`RoomError::Refused`] where a value can't be written in that form.
    pub(super) fn judgements_table(&self) -> Result<Vec<u8>, RoomError> {
        let lines = self.lines();
        let rows = rows(&lines, true);
        let mut columns = judgements(&rows);
        columns.extend(verdicts(&rows));
        parquet(&columns).map_err(unwritable)
    }

    /// The folder as a zip file.
    ///
    /// # Errors
    /// As [`Self::judgements_table`].
    pub(super) fn dataset(&self) -> Result<Vec<u8>, RoomError> {
        let tables = self.tables(&self.lines());
        let mut files = vec![("README.md", self.card(&tables).into_bytes())];
        for (_, path, columns) in &tables {
            files.push((path, parquet(columns).map_err(unwritable)?));
        }
        zip(&files)
    }

    /// What Hugging Face calls a dataset card: a head that programs read, and words.
    fn card(&self, tables: &[Table]) -> String {
        let mut text = head(&self.settings.title, tables);
        let _ = write!(text, "\n# {}\n\n", one_line(&self.settings.title));
        text += "People who say that they know a culture judged whether a language model's answers are \
                 right for it. The tables were written by Polylogue.\n";
        text += &answers(self.origin.as_ref());
        if self.origin.is_some() && self.items.iter().any(|item| item.gold.is_some()) {
            text += "Attention checks (`gold`) may come from a file instead.\n";
        }
        text += &self.labels();
        text += &self.agreement();
        if !self.settings.guidelines.trim().is_empty() {
            let _ = write!(text, "\n## Guidelines\n\n{}\n", self.settings.guidelines.trim());
        }
        text += &meanings(tables);
        text
    }

    /// How labels came to be.
    fn labels(&self) -> String {
        let settings = &self.settings;
        let judges = ratings::judges(&self.state).len();
        let gold = self.items.iter().filter(|item| item.gold.is_some()).count();
        let others = match settings.blind {
            true => "did not see others' judgements before an item was complete",
            false => "could see each other's judgements",
        };
        let mut text = format!(
            "\n## How the labels came to be\n\n{judges} members judged; {} were asked for each item, and \
             they {others}. {gold} items were attention checks (`gold`), which no verdict is of. A verdict \
             is an adjudicator's decision (`adjudicated`), else the label of all (`unanimous`) or more than \
             half (`majority`) of a complete item's judgements; otherwise there is none. Members are named \
             by identifiers that say nothing about the person.\n\n| label | name | when | accepts |\n\
             |---|---|---|---|\n",
            settings.overlap
        );
        for label in &settings.labels {
            let (name, when) = (cell(&label.name), cell(&label.explanation));
            let accepts = if label.accepts { "yes" } else { "no" };
            let _ = writeln!(text, "| `{}` | {name} | {when} | {accepts} |", label.id);
        }
        text += "\nAn item whose verdict is a label that accepts belongs to the training set.\n";
        text
    }

    fn agreement(&self) -> String {
        let tallies = ratings::tallies(&self.settings, &self.state, &self.infos, |_| true);
        let found: Agreement = agreement(&tallies, &ratings::coefficients(&self.settings));
        let mut text = format!(
            "\n## Agreement\n\nAttention checks aside, {} of {} judged items have two judgements or more.\n\n\
             | coefficient | value | 95 % interval |\n|---|---:|---|\n",
            found.shared_items, found.items
        );
        for estimate in &found.estimates {
            let value = estimate.value.map_or("–".to_owned(), |value| format!("{value:.3}"));
            let interval = estimate.interval.map_or("–".to_owned(), |interval| {
                format!("{:.3} to {:.3}", interval.low, interval.high)
            });
            let _ = writeln!(text, "| {} | {value} | {interval} |", estimate.coefficient.title());
        }
        text += "\nIntervals are bootstrapped over items.\n";
        text
    }
}

/// The card's head. The licence is the owner's to choose.
fn head(title: &str, tables: &[Table]) -> String {
    // A JSON string is a YAML string too, whatever is in the title.
    let title = serde_json::Value::from(title);
    let mut text = format!(
        "---\npretty_name: {title}\n# license: choose one before you publish\ntags:\n- polylogue\n- culture\n\
         configs:\n"
    );
    for (place, (name, path, _)) in tables.iter().enumerate() {
        let _ = writeln!(text, "- config_name: {name}");
        if place == 0 {
            text += "  default: true\n";
        }
        let _ = writeln!(text, "  data_files:\n  - split: train\n    path: {path}");
    }
    text += "dataset_info:\n";
    for (name, _, columns) in tables {
        let _ = writeln!(text, "- config_name: {name}\n  features:");
        for column in columns {
            let kind = match column.values {
                Values::Text(_) => "dtype: string",
                Values::Number(_) => "dtype: int64",
                Values::Time(_) => "dtype: timestamp[ms, tz=UTC]",
                Values::Texts(_) => "sequence: string",
                Values::Shares(_) => "sequence: float64",
            };
            let _ = writeln!(text, "  - name: {}\n    {kind}", column.name);
        }
    }
    text + "---\n"
}

/// Whose answers were judged, and what is known of people.
fn answers(origin: Option<&Origin>) -> String {
    let mut text = "\n## Where the answers come from\n\n".to_owned();
    let Some(origin) = origin else {
        return text
            + "The items came from a file; this program knows neither the model nor, where people's shares \
               are given, whether anybody was asked.\n";
    };
    let model = origin.model.as_deref().unwrap_or("an unnamed model");
    let _ = write!(
        text,
        "The answers are those of the model {} in the run `{}`, with and without the persona of a culture; \
         they were not given by people. The questions were written by that model after the survey \"{}\". ",
        one_line(model),
        origin.run,
        one_line(&origin.survey),
    );
    let (kind, source) = match &origin.provenance {
        Provenance::Simulated(source) => {
            ("**People's shares (`people`) are simulated**: nobody was asked", source)
        }
        Provenance::Respondents(source) => ("People's shares (`people`) are respondents'", source),
    };
    let _ = writeln!(text, "{kind} ({}).", one_line(source));
    text
}

fn meanings(tables: &[Table]) -> String {
    let mut text = String::new();
    for (name, _, columns) in tables {
        let _ = write!(text, "\n## Columns of `{name}`\n\n");
        for column in columns {
            let _ = writeln!(text, "- `{}`: {}", column.name, column.meaning);
        }
    }
    text
}

fn items(lines: &[Line<'_>]) -> Vec<Column> {
    let text = |of: fn(&Line<'_>) -> Option<String>| Values::Text(lines.iter().map(of).collect());
    let number = |of: fn(&Line<'_>) -> Option<i64>| Values::Number(lines.iter().map(of).collect());
    let shares = |of: fn(&Line<'_>) -> Vec<f64>| Values::Shares(lines.iter().map(of).collect());
    let options = lines.iter().map(|line| line.item.question.options.clone()).collect();
    vec![
        Column::new("item", "identifier", text(|l| Some(l.item.id.to_string()))),
        Column::new("culture", "code of the culture", text(|l| Some(l.item.culture.to_string()))),
        Column::new(
            "topic",
            "topic of the question",
            text(|l| Some(l.item.question.topic.to_string())),
        ),
        Column::new("question", "the question", text(|l| Some(l.item.question.text.clone()))),
        Column::new("options", "its options, in order", Values::Texts(options)),
        Column::new(
            "first_number",
            "number of the first option",
            number(|l| Some(l.item.question.first_number.into())),
        ),
        Column::new(
            "unaware",
            "number of the option answered without a culture",
            number(|l| Some(l.item.unaware.into())),
        ),
        Column::new(
            "aware",
            "number of the option answered as the culture: what is judged",
            number(|l| Some(l.item.aware.into())),
        ),
        Column::new(
            "unaware_probabilities",
            "probability per option without a culture; empty where unknown",
            shares(|l| l.item.unaware_probabilities.clone()),
        ),
        Column::new(
            "aware_probabilities",
            "probability per option as the culture; empty where unknown",
            shares(|l| l.item.aware_probabilities.clone()),
        ),
        Column::new(
            "people",
            "share of people per option; empty where unknown",
            shares(|l| {
                l.item.people.as_ref().map(|people| people.shares.clone()).unwrap_or_default()
            }),
        ),
        Column::new(
            "gold",
            "label of an attention check",
            text(|l| l.item.gold.as_ref().map(ToString::to_string)),
        ),
        Column::new(
            "judgements",
            "number of judgements",
            number(|l| i64::try_from(l.judgements.len()).ok()),
        ),
        Column::new(
            "verdict",
            "label that is held of the item",
            text(|l| l.verdict.as_ref().map(|verdict| verdict.label.to_string())),
        ),
        Column::new(
            "verdict_option",
            "number of the option that people would choose, where most say the same",
            number(|l| l.verdict.as_ref()?.option.map(Into::into)),
        ),
        Column::new(
            "verdict_basis",
            "why: adjudicated, unanimous or majority",
            text(|l| l.verdict.as_ref().map(|verdict| verdict.basis.as_str().to_owned())),
        ),
    ]
}

/// A judgement with its item; `None` for an item that was decided without any.
type Row<'a> = (&'a Line<'a>, Option<&'a Said<'a, &'a Judgement>>);

/// The rows of a table of judgements, perhaps with those of items that were `decided` without any.
fn rows<'a>(lines: &'a [Line<'a>], decided: bool) -> Vec<Row<'a>> {
    let rows = lines.iter().flat_map(|line| line.rows().into_iter().map(move |row| (line, row)));
    rows.filter(|(_, row)| decided || row.is_some()).collect()
}

fn judgements(rows: &[Row<'_>]) -> Vec<Column> {
    let of_item = |of: fn(&Item) -> String| {
        Values::Text(rows.iter().map(|(line, _)| Some(of(line.item))).collect())
    };
    let text = |of: fn(&Said<'_, &Judgement>) -> String| {
        Values::Text(rows.iter().map(|(_, said)| said.map(of)).collect())
    };
    let number = |of: fn(&Judgement) -> Option<u32>| {
        let of_row = |said: &Said<'_, &Judgement>| of(said.said).map(i64::from);
        Values::Number(rows.iter().map(|(_, said)| said.and_then(of_row)).collect())
    };
    vec![
        Column::new("item", "the item", of_item(|item| item.id.to_string())),
        Column::new("culture", "code of its culture", of_item(|item| item.culture.to_string())),
        Column::new("question", "its question", of_item(|item| item.question.text.clone())),
        Column::new("member", "who judged", text(|said| said.member.to_string())),
        Column::new("label", "the label", text(|said| said.said.label.to_string())),
        Column::new(
            "option",
            "number of the option that people would choose, where the member says so",
            number(|judgement| judgement.option),
        ),
        Column::new(
            "milliseconds",
            "how long the item was looked at, by the browser's own measure",
            number(|judgement| Some(judgement.milliseconds)),
        ),
        Column::new(
            "at",
            "when the server stored it",
            Values::Time(rows.iter().map(|(_, said)| said.map(|said| said.at)).collect()),
        ),
    ]
}

/// What is held of each row's item.
fn verdicts(rows: &[Row<'_>]) -> [Column; 2] {
    let text = |of: fn(&Verdict) -> String| {
        Values::Text(rows.iter().map(|(line, _)| line.verdict.as_ref().map(of)).collect())
    };
    [
        Column::new(
            "verdict",
            "label that is held of the item",
            text(|verdict| verdict.label.to_string()),
        ),
        Column::new(
            "verdict_basis",
            "why: adjudicated, unanimous or majority",
            text(|verdict| verdict.basis.as_str().to_owned()),
        ),
    ]
}

/// A text that breaks no line of the card.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text that breaks no table of the card.
fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}
