//! What the question numbers of the World Values Survey, wave 7, mean; and the order of cultures.
//!
//! Facts about the questionnaire, not copies of it (its codebook; method, "Known faults").

use domain::question::{Scale, Topic};

/// Number and suffix of an identifier such as `Q12` or `Q234A`.
pub fn number(id: &str) -> Option<u32> {
    let digits = id.strip_prefix('Q')?;
    digits.strip_suffix('A').unwrap_or(digits).parse().ok()
}

/// Whether the paper evaluates the question: all but the demographic ones (260 to 290) and the
/// party one, whose options differ by country (223).
pub fn is_evaluated(number: u32) -> bool {
    number != 223 && number < 260
}

/// Number of the first option: 0 for memberships, "hard to say" first, and 0..10 scales.
pub fn first_number(number: u32) -> u32 {
    match number {
        94..=105 | 119 | 122..=129 | 241..=249 => 0,
        _ => 1,
    }
}

/// Whether the options are kinds rather than steps: knowledge questions, priorities.
pub fn scale(number: u32) -> Scale {
    match number {
        91..=93 | 111 | 152..=157 => Scale::Nominal,
        _ => Scale::Ordered,
    }
}

/// Last question number, identifier and name of every topic, in order.
const TOPICS: [(u32, &str, &str); 13] = [
    (45, "social-values", "Social values, norms and stereotypes"),
    (56, "happiness", "Happiness and wellbeing"),
    (105, "social-capital", "Social capital, trust and memberships"),
    (111, "economic-values", "Economic values"),
    (120, "corruption", "Corruption"),
    (130, "migration", "Migration"),
    (151, "security", "Security"),
    (157, "postmaterialism", "Postmaterialist index"),
    (163, "science", "Science and technology"),
    (175, "religion", "Religious values"),
    (198, "ethics", "Ethical values and norms"),
    (234, "political-interest", "Political interest and participation"),
    (259, "political-culture", "Political culture and regimes"),
];

/// All topics in the order of the questionnaire.
pub fn topics() -> Vec<Topic> {
    TOPICS
        .iter()
        .map(|(_, id, name)| Topic { id: (*id).into(), name: (*name).to_owned() })
        .collect()
}

/// Identifier of the topic a question belongs to.
pub fn topic(number: u32) -> Option<&'static str> {
    TOPICS.iter().find(|(last, ..)| number <= *last).map(|(_, id, _)| *id)
}

/// The 18 cultures that the paper averages over, in its order.
pub const PAPER_CULTURES: [&str; 18] = [
    "USA", "CAN", "BOL", "BRA", "GBR", "NLD", "DEU", "UKR", "CHN", "RUS", "IND", "THA", "KEN",
    "NGA", "ETH", "ZWE", "AUS", "NZL",
];

/// Place of a culture in display order: the paper's first, then all others.
pub fn place(code: &str) -> usize {
    PAPER_CULTURES.iter().position(|known| *known == code).unwrap_or(PAPER_CULTURES.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fall_into_their_topics() {
        for (id, topic_id, first) in [
            ("Q1", "social-values", 1),
            ("Q45", "social-values", 1),
            ("Q46", "happiness", 1),
            ("Q94", "social-capital", 0),
            ("Q105", "social-capital", 0),
            ("Q106", "economic-values", 1),
            ("Q119", "corruption", 0),
            ("Q121", "migration", 1),
            ("Q130", "migration", 1),
            ("Q151", "security", 1),
            ("Q158", "science", 1),
            ("Q234", "political-interest", 1),
            ("Q234A", "political-interest", 1),
            ("Q241", "political-culture", 0),
            ("Q250", "political-culture", 1),
        ] {
            let number = number(id).unwrap();
            assert_eq!((topic(number), first_number(number)), (Some(topic_id), first), "{id}");
        }
        assert_eq!(number("S1"), None);
        assert_eq!(number("Q1B"), None);
        assert_eq!((1..=290).filter(|n| is_evaluated(*n)).count() + 1, 259);
    }

    #[test]
    fn the_papers_cultures_come_first() {
        assert_eq!((place("USA"), place("NZL"), place("MEX")), (0, 17, 18));
    }
}
