//! Which language a question is in, by its script and its trigrams (the whatlang library).

use whatlang::Lang;

use crate::generation::GeneratedQuestion;

/// English words that no other language shares; three of them make a question English. Looking for
/// them is a hundred times faster than trigrams and surer on short texts.
const ENGLISH: [&str; 18] = [
    "the", "you", "your", "how", "what", "which", "that", "this", "of", "with", "should", "would",
    "have", "their", "they", "think", "agree", "people",
];

/// A language that can be recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language(Lang);

impl Language {
    /// The language with this ISO 639-3 code, such as `eng`; `None` where it can't be recognised.
    pub fn from_code(code: &str) -> Option<Self> {
        Lang::from_code(code).map(Self)
    }

    /// Whether the question with its options is certainly in another language: its letters are of
    /// another script, or its trigrams leave no doubt. Short texts are rarely certain, so that doubt
    /// keeps a question.
    pub fn is_not_of(self, question: &GeneratedQuestion) -> bool {
        let text = format!("{} {}", question.question, question.options.join(" "));
        if self.0 == Lang::Eng && speaks_english(&text) {
            return false;
        }
        let Some(found) = whatlang::detect(&text) else { return false };
        !found.script().langs().contains(&self.0) || (found.is_reliable() && found.lang() != self.0)
    }
}

fn speaks_english(text: &str) -> bool {
    let is_word = |known: &&&str| {
        text.split(|c: char| !c.is_alphanumeric()).any(|word| word.eq_ignore_ascii_case(known))
    };
    ENGLISH.iter().filter(is_word).take(3).count() == 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_certain_is_told() {
        let question = |text: &str, options: &[&str]| GeneratedQuestion {
            question: text.to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        };
        let english = Language::from_code("eng").unwrap();
        for (text, options, expect) in [
            ("How important is your family to you?", ["Very", "Not at all"], false),
            ("Tea?", ["Yes", "No"], false),
            (
                "To what extent do you agree that religious leaders should publicly speak out on \
                 political issues?",
                ["Strongly disagree", "Strongly agree"],
                false,
            ),
            ("Насколько важна для вас семья в вашей жизни?", ["Очень важна", "Не важна"], true),
            ("你觉得家庭在生活中有多重要？", ["非常重要", "不重要"], true),
            (
                "Wie wichtig ist Ihnen die Familie in Ihrem Leben, verglichen mit der Arbeit?",
                ["Sehr wichtig", "Überhaupt nicht wichtig"],
                true,
            ),
        ] {
            assert_eq!(english.is_not_of(&question(text, &options)), expect, "{text}");
        }
        assert_eq!(Language::from_code("xxx"), None);
    }
}
