//! What a single row of a survey must keep, whatever format it comes from.

use std::collections::BTreeSet;

use domain::question::{Question, QuestionId, TopicId};
use domain::survey::Distribution;

/// How far shares may sum above 1: published ones are rounded.
const ROUNDING: f64 = 0.02;

/// Most options of a question.
const MOST_OPTIONS: usize = 100;

/// Shares by option number in the order of the file, which decides ties.
pub type NumberedShares = Vec<(u32, f64)>;

/// Whether a question can be asked.
///
/// # Errors
/// The broken rule with the given value.
pub fn check_question(question: &Question) -> Result<(), String> {
    let id = &question.id;
    if id.as_str().is_empty() || id.as_str().len() > 64 {
        return Err(format!("the question's id must have 1 to 64 characters, not `{id}`"));
    }
    if question.text.trim().is_empty() {
        return Err(format!("the question `{id}` has no text"));
    }
    if question.topic.as_str().trim().is_empty() {
        return Err(format!("the question `{id}` has no topic"));
    }
    let count = question.options.len();
    if !(2..=MOST_OPTIONS).contains(&count) {
        return Err(format!("`{id}` must have 2 to {MOST_OPTIONS} options, not {count}"));
    }
    if let Some(index) = question.options.iter().position(|option| option.trim().is_empty()) {
        return Err(format!("option {} of `{id}` is empty", index + 1));
    }
    let unknown = question.dont_know.iter().find(|n| question.index_of(**n).is_none());
    match unknown {
        Some(number) => {
            Err(format!("`dont_know` of `{id}` names the option {number}, which isn't there"))
        }
        None => Ok(()),
    }
}

/// What people answered to `question`; `None` where nobody did.
///
/// # Errors
/// The broken rule with the given value.
pub fn distribution(
    question: &Question,
    given: &NumberedShares,
) -> Result<Option<Distribution>, String> {
    let id = &question.id;
    if let Some(number) = twice(given.iter().map(|(number, _)| number)) {
        return Err(format!("the share of option {number} of `{id}` stands there twice"));
    }
    let mut shares = vec![0.0; question.options.len()];
    let mut mode: Option<(u32, f64)> = None;
    for &(number, share) in given {
        let index = question.index_of(number).ok_or_else(|| {
            let (first, last) = (question.number_of(0), question.number_of(shares.len() - 1));
            format!("`{id}` has options from {first} to {last}, not {number}")
        })?;
        if !(0.0..=1.0).contains(&share) {
            return Err(format!(
                "the share of option {number} of `{id}` must be from 0 to 1, not {share}"
            ));
        }
        shares[index] = share;
        // The file's order resolves ties: a later, equal share doesn't displace an earlier one.
        if mode.is_none_or(|(_, top)| share > top) {
            mode = Some((number, share));
        }
    }
    let Some((mode, _)) = mode else { return Ok(None) };
    let sum: f64 = shares.iter().sum();
    if sum <= 0.0 || sum > 1.0 + ROUNDING {
        return Err(format!(
            "the shares of `{id}` must sum to more than 0 and at most 1, not {sum:.4}"
        ));
    }
    if sum > 1.0 {
        shares.iter_mut().for_each(|share| *share /= sum);
    }
    Ok(Some(Distribution { shares, mode }))
}

/// Whether a list of shares has one for each of a question's options, or none, where nobody was asked.
///
/// # Errors
/// The rule with both numbers.
pub fn one_for_each(id: &QuestionId, options: usize, shares: usize) -> Result<(), String> {
    if options == shares || shares == 0 {
        return Ok(());
    }
    Err(format!("`{id}` has {options} options, so there must be {options} shares, not {shares}"))
}

/// The first of these that comes a second time.
pub fn twice<'a, T: Ord>(items: impl IntoIterator<Item = &'a T>) -> Option<&'a T> {
    let mut seen = BTreeSet::new();
    items.into_iter().find(|item| !seen.insert(*item))
}

/// The identifier of the topic with this name: its [`slug`], or, where it has no letter or digit that one
/// keeps, the name itself.
pub fn topic_id(name: &str) -> TopicId {
    match slug(name) {
        slug if slug.is_empty() => TopicId(name.trim().to_owned()),
        slug => TopicId(slug),
    }
}

/// Small letters, digits and hyphens; at most 64.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            c if c.is_ascii_alphanumeric() || c == '_' => slug.push(c),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.truncate(64);
    slug.trim_end_matches('-').to_owned()
}
