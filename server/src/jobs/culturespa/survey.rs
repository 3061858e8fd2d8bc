//! Questions and people's answers of the release, checked, as a survey of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use domain::culture::CultureCode;
use domain::question::{Question, QuestionId};
use domain::survey::{Distribution, Provenance, Reference, Survey};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{JobError, broken, layout, read};

/// Identifier of the imported survey.
pub const SURVEY_ID: &str = "culturespa";

#[derive(Deserialize)]
pub(super) struct RawQuestion {
    #[serde(rename = "Q_id")]
    id: String,
    pub(super) question: String,
    option_lst: Vec<String>,
}

/// Shares by option number, in the order of the file: it decides ties (method, fault 2).
struct Shares(Vec<(String, f64)>);

impl<'de> Deserialize<'de> for Shares {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Shares;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of shares by option number")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shares, A::Error> {
                let mut shares = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    shares.push(entry);
                }
                Ok(Shares(shares))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Reads and checks the release's survey under `dir`.
///
/// # Errors
/// [`JobError::BadFile`] naming the file, the key and the broken rule.
pub fn read_survey(dir: &Path) -> Result<Survey, JobError> {
    let questions = read_questions(&dir.join("data/wvs_questions.json"))?;
    let path = dir.join("data/proportions_group_by_country.json");
    let reference = read_reference(&path, &questions)?;
    let mut cultures: Vec<_> = reference
        .keys()
        .map(|code| {
            layout::culture(*code).ok_or_else(|| {
                let known = layout::PAPER_CULTURES.join(", ");
                broken(&path, format!("key `{code}` must be one of {known} or MEX"))
            })
        })
        .collect::<Result<_, _>>()?;
    cultures.sort_by_key(|(place, _)| *place);
    Ok(Survey {
        id: SURVEY_ID.to_owned(),
        title: "World Values Survey 7 (CultureSPA release)".to_owned(),
        language: "eng".to_owned(),
        provenance: Provenance::Respondents(
            "World Values Survey wave 7, as released with CultureSPA (arXiv 2410.12971)".to_owned(),
        ),
        cultures: cultures.into_iter().map(|(_, culture)| culture).collect(),
        topics: layout::topics(),
        questions,
        reference,
        similarity: BTreeMap::new(),
        neighbours: BTreeMap::new(),
    })
}

fn read_questions(path: &Path) -> Result<Vec<Question>, JobError> {
    let raw: Vec<RawQuestion> = read(path)?;
    let mut seen = BTreeSet::new();
    let mut questions = Vec::new();
    for RawQuestion { id, question, option_lst } in raw {
        let Some(number) = layout::number(&id) else {
            return Err(broken(path, format!("`Q_id` must be `Q` and a number, not `{id}`")));
        };
        if !seen.insert(id.clone()) {
            return Err(broken(
                path,
                format!("`Q_id` must be unique, but `{id}` stands there twice"),
            ));
        }
        let Some(topic) = layout::topic(number).filter(|_| layout::is_evaluated(number)) else {
            continue;
        };
        if question.trim().is_empty() || option_lst.len() < 2 {
            let rule =
                format!("`{id}` must have a text and at least 2 options, not {}", option_lst.len());
            return Err(broken(path, rule));
        }
        questions.push(Question {
            id: QuestionId(id),
            topic: topic.into(),
            text: question.trim().to_owned(),
            options: option_lst,
            first_number: layout::first_number(number),
            scale: layout::scale(number),
            dont_know: vec![],
            held_out: false,
        });
    }
    if questions.is_empty() {
        return Err(broken(path, "must hold at least one evaluated question (Q1 to Q259)"));
    }
    Ok(questions)
}

fn read_reference(path: &Path, questions: &[Question]) -> Result<Reference, JobError> {
    let raw: BTreeMap<String, BTreeMap<String, Shares>> = read(path)?;
    let known: BTreeMap<&str, &Question> = questions.iter().map(|q| (q.id.as_str(), q)).collect();
    let mut reference = Reference::new();
    for (code, answers) in raw {
        let code: CultureCode = code.parse().map_err(|_| {
            broken(path, format!("key `{code}` must be three capital letters such as `THA`"))
        })?;
        let people = reference.entry(code).or_default();
        for (id, shares) in answers {
            let Some(question) = known.get(id.as_str()) else {
                if layout::number(&id).is_some_and(|number| !layout::is_evaluated(number)) {
                    continue;
                }
                let rule = format!("key `{code}/{id}` must be a question of wvs_questions.json");
                return Err(broken(path, rule));
            };
            if let Some(answers) = distribution(question, &shares)
                .map_err(|rule| broken(path, format!("key `{code}/{id}{rule}")))?
            {
                people.insert(question.id.clone(), answers);
            }
        }
    }
    Ok(reference)
}

/// `None` where the culture wasn't asked. An error goes on from the key: "/7` must be ...".
fn distribution(question: &Question, raw: &Shares) -> Result<Option<Distribution>, String> {
    let mut shares = vec![0.0; question.options.len()];
    let (first, last) = (question.number_of(0), question.number_of(shares.len() - 1));
    let mut mode = None;
    for (option, share) in &raw.0 {
        let number: Option<u32> = option.parse().ok();
        let Some((number, index)) = number.and_then(|n| Some((n, question.index_of(n)?))) else {
            return Err(format!("/{option}` must be an option from {first} to {last}"));
        };
        if !(0.0..=1.0).contains(share) {
            return Err(format!("/{option}` must be a share from 0 to 1, not {share}"));
        }
        shares[index] = *share;
        // The file's order resolves ties: a later, equal share doesn't displace an earlier one.
        if mode.is_none_or(|(_, top)| *share > top) {
            mode = Some((number, *share));
        }
    }
    let sum: f64 = shares.iter().sum();
    match mode {
        None => Ok(None),
        Some(_) if sum <= 0.0 || sum > 1.0 + 1e-6 => {
            Err(format!("` must have shares that sum to more than 0 and at most 1, not {sum}"))
        }
        Some((mode, _)) => Ok(Some(Distribution { shares, mode })),
    }
}
