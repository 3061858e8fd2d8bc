//! Countries by code and by the names that data files use, with their demonyms.
//!
//! The names are in `assets/cultures.tsv`. A survey may declare others; nothing but imports looks
//! here.

use std::collections::HashMap;
use std::sync::LazyLock;

use domain::culture::{Culture, CultureCode};

const COUNTRIES: &str = include_str!("../../../assets/cultures.tsv");

struct Countries {
    by_code: HashMap<CultureCode, Culture>,
    by_name: HashMap<String, CultureCode>,
}

static KNOWN: LazyLock<Countries> = LazyLock::new(|| {
    let mut known = Countries { by_code: HashMap::new(), by_name: HashMap::new() };
    for line in COUNTRIES.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t').map(str::trim);
        let (Some(code), Some(name), Some(demonym)) =
            (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        let Ok(code) = code.parse::<CultureCode>() else { continue };
        let others = columns.next().unwrap_or_default().split(';');
        for name in std::iter::once(name).chain(others).filter(|name| !name.is_empty()) {
            known.by_name.insert(name.to_lowercase(), code);
        }
        let culture = Culture { code, name: name.to_owned(), demonym: demonym.to_owned() };
        known.by_code.insert(code, culture);
    }
    known
});

/// The culture that `text` names: a code, a country's name, or one of them with a group, as in
/// `USA-rural` or `India (Non-national sample)`. `None` where the country isn't known.
pub fn culture(text: &str) -> Option<Culture> {
    if let Ok(code) = text.parse::<CultureCode>() {
        let country = KNOWN.by_code.get(&code.country())?;
        return Some(match code.group() {
            None => country.clone(),
            Some(group) => within(country, code, group),
        });
    }
    let (name, group) = match text.trim().strip_suffix(')').and_then(|text| text.split_once('(')) {
        Some((name, group)) => (name, group.trim()),
        None => (text, ""),
    };
    let country = KNOWN.by_code.get(KNOWN.by_name.get(&name.trim().to_lowercase())?)?;
    let letters = group.to_lowercase().replace("sample", "");
    let letters: String = letters.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    // A sample of the whole nation is the country itself.
    if letters.is_empty() || group.to_lowercase().starts_with("current national") {
        return Some(country.clone());
    }
    let code = format!("{}-{letters}", country.code).parse().ok()?;
    Some(within(country, code, group))
}

fn within(country: &Culture, code: CultureCode, group: &str) -> Culture {
    let name = format!("{} ({group})", country.name);
    Culture { code, name, demonym: format!("{group} {}", country.demonym) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_and_groups_are_known_by_code_and_name() {
        for (text, expect) in [
            ("THA", Some(("THA", "Thailand", "Thai"))),
            ("USA-rural", Some(("USA-rural", "United States (rural)", "rural American"))),
            ("Britain", Some(("GBR", "Great Britain", "British"))),
            ("s. korea", Some(("KOR", "South Korea", "South Korean"))),
            ("India (Current national sample)", Some(("IND", "India", "Indian"))),
            (
                "China (Non-national sample)",
                Some((
                    "CHN-nonnational",
                    "China (Non-national sample)",
                    "Non-national sample Chinese",
                )),
            ),
            ("XYZ", None),
            ("Atlantis", None),
            ("", None),
        ] {
            let found = culture(text);
            let found =
                found.as_ref().map(|c| (c.code.as_str(), c.name.as_str(), c.demonym.as_str()));
            assert_eq!(found, expect, "{text}");
        }
    }

    #[test]
    fn every_line_is_a_country() {
        let lines = COUNTRIES.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(KNOWN.by_code.len(), lines);
        assert!(lines > 180);
        assert!(KNOWN.by_code.values().all(|c| !c.name.is_empty() && !c.demonym.is_empty()));
    }
}
