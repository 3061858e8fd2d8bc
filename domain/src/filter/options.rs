//! What an option list looks like: plain texts, numbers, numbered labels, or a mixture (method,
//! step 1, rules b to d).

use crate::question::declines;

/// The form of an option list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Options {
    /// At least one option begins with no digit, or every option names a range such as `1-3 times`.
    Plain,
    /// Every option is only digits.
    Numbers,
    /// Every option is a number and a label, as `1. Agree`: the labels.
    Labelled(Vec<String>),
    /// Only the first and the last number carry a label, and both labels are answers.
    EndsLabelled {
        /// What the labels say, to stand behind the question: `(1 = Never, 5 = Always)`.
        note: String,
        /// The numbers.
        numbers: Vec<String>,
    },
    /// Every option begins with a digit in some other way.
    Mixed,
}

/// How one option begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning<'a> {
    Text,
    Number,
    Label { number: &'a str, label: &'a str },
    Range,
    Digit,
}

/// The form of `options`.
pub fn form(options: &[String]) -> Options {
    let found: Vec<Beginning> = options.iter().map(|option| beginning(option.trim())).collect();
    let all = |fits: fn(&Beginning) -> bool| found.iter().all(fits);
    if found.is_empty()
        || found.contains(&Beginning::Text)
        || all(|b| matches!(b, Beginning::Range))
    {
        return Options::Plain;
    }
    if all(|b| matches!(b, Beginning::Number)) {
        return Options::Numbers;
    }
    let labels: Vec<String> = found.iter().filter_map(Beginning::label).collect();
    if labels.len() == found.len() {
        return Options::Labelled(labels);
    }
    ends_labelled(&found, options).unwrap_or(Options::Mixed)
}

fn ends_labelled(found: &[Beginning], options: &[String]) -> Option<Options> {
    let [
        Beginning::Label { number: low, label: first },
        between @ ..,
        Beginning::Label { number: high, label: last },
    ] = found
    else {
        return None;
    };
    let is_number = |beginning: &Beginning| matches!(beginning, Beginning::Number);
    if !between.iter().all(is_number) || declines(first) || declines(last) {
        return None;
    }
    let between = &options[1..options.len() - 1];
    let numbers = std::iter::once((*low).to_owned())
        .chain(between.iter().map(|option| option.trim().to_owned()))
        .chain(std::iter::once((*high).to_owned()))
        .collect();
    Some(Options::EndsLabelled { note: format!("({low} = {first}, {high} = {last})"), numbers })
}

impl Beginning<'_> {
    fn label(&self) -> Option<String> {
        match self {
            Self::Label { label, .. } => Some((*label).to_owned()),
            _ => None,
        }
    }
}

fn beginning(option: &str) -> Beginning<'_> {
    let digits = option.find(|c: char| !c.is_ascii_digit()).unwrap_or(option.len());
    let (number, rest) = option.split_at(digits);
    if number.is_empty() {
        return Beginning::Text;
    }
    if rest.is_empty() {
        return Beginning::Number;
    }
    if rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return Beginning::Range;
    }
    match rest.trim_start().split_at_checked(1) {
        Some(("-" | ".", label)) => Beginning::Label { number, label: label.trim() },
        Some(("(", label)) => {
            let label = label.trim();
            Beginning::Label { number, label: label.strip_suffix(')').unwrap_or(label) }
        }
        _ => Beginning::Digit,
    }
}

/// Whether a question tells what its numbers mean, by the phrases of the paper's released code.
pub fn explains_scale(question: &str) -> bool {
    const PHRASES: [&str; 4] = ["on a scale", "with 1 being", "where 1 means", "which 1 means"];
    let text = question.to_lowercase();
    PHRASES.iter().any(|phrase| text.contains(phrase))
}

/// Number of the first of `options` where all of them are numbers that count up by one; 1 for any
/// other list.
pub fn first_number(options: &[String]) -> u32 {
    let numbers: Option<Vec<u32>> =
        options.iter().map(|option| option.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some([first @ (0 | 1), rest @ ..])
            if rest.iter().zip(first + 1..).all(|(a, b)| *a == b) =>
        {
            *first
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(options: &[&str]) -> Vec<String> {
        options.iter().map(|option| (*option).to_owned()).collect()
    }

    #[test]
    fn option_lists_have_a_form() {
        let labelled = |labels: &[&str]| Options::Labelled(list(labels));
        for (options, expect) in [
            (vec!["Yes", "No"], Options::Plain),
            (vec!["None", "1-2", "3 or more"], Options::Plain),
            (vec!["1-3: slow", "4-6: right"], Options::Plain),
            (vec!["1", "2", "10"], Options::Numbers),
            (vec!["1. Yes", "2. No"], labelled(&["Yes", "No"])),
            (vec!["1 (Often)", "2 - Rarely", "3-Never"], labelled(&["Often", "Rarely", "Never"])),
            (vec!["0", "1-2", "3-4"], Options::Mixed),
            (vec!["1 - No", "2", "3 - Rather", "4"], Options::Mixed),
            (vec!["1 - No", "2", "3 - Refused"], Options::Mixed),
            (vec!["1 day", "2 days"], Options::Mixed),
            (
                vec!["1 (Never)", "2", "3 (Always)"],
                Options::EndsLabelled {
                    note: "(1 = Never, 3 = Always)".to_owned(),
                    numbers: list(&["1", "2", "3"]),
                },
            ),
            (vec![], Options::Plain),
        ] {
            assert_eq!(form(&list(&options)), expect, "{options:?}");
        }
    }

    #[test]
    fn numbers_keep_their_meaning() {
        for (options, expect) in [
            (vec!["0", "1", "2"], 0),
            (vec!["1", "2"], 1),
            (vec!["0", "5", "10"], 1),
            (vec!["Yes", "No"], 1),
            (vec![], 1),
        ] {
            assert_eq!(first_number(&list(&options)), expect, "{options:?}");
        }
    }
}
