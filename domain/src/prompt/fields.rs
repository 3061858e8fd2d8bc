//! Fields of templates: `{{name}}`, checked once and filled in one pass.

/// What is wrong with a template's fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadField {
    /// There is no such field here.
    #[error("has the unknown field `{{{{{name}}}}}`\nIts fields: {known}.")]
    Unknown {
        /// What stands in the braces.
        name: String,
        /// The fields of this template, joined by commas.
        known: String,
    },
    /// The template makes no sense without this field.
    #[error("must have the field `{{{{{0}}}}}`\nWithout it the model isn't told what it is asked.")]
    Missing(String),
    /// Two braces open a field that nothing closes.
    #[error(
        "opens a field with two braces and doesn't close it\nWrite it as in `{{{{question}}}}`."
    )]
    Open,
}

/// Refuses a field that isn't in `known`, and a template without one of `needed`.
///
/// # Errors
/// See [`BadField`].
pub fn check(template: &str, known: &[&str], needed: &[&str]) -> Result<(), BadField> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some(start) = rest.find("{{") {
        let length = rest[start..].find("}}").ok_or(BadField::Open)?;
        let name = &rest[start + 2..start + length];
        if !known.contains(&name) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(BadField::Unknown { name: name.to_owned(), known });
        }
        found.push(name);
        rest = &rest[start + length + 2..];
    }
    match needed.iter().find(|name| !found.contains(name)) {
        Some(name) => Err(BadField::Missing((*name).to_owned())),
        None => Ok(()),
    }
}

/// Replaces every `{{name}}` in one pass, so that a value may itself hold braces.
pub fn fill(template: &str, fields: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template.trim();
    while let Some(start) = rest.find("{{") {
        let Some(length) = rest[start..].find("}}") else { break };
        let name = &rest[start + 2..start + length];
        out.push_str(&rest[..start]);
        match fields.iter().find(|(field, _)| *field == name) {
            Some((_, value)) => out.push_str(value),
            None => out.push_str(&rest[start..start + length + 2]),
        }
        rest = &rest[start + length + 2..];
    }
    out.push_str(rest);
    out
}

/// `a` or `an` before an English word, by its sound as far as demonyms need it: "a Ukrainian", "an
/// Ethiopian".
pub fn indefinite_article(word: &str) -> &'static str {
    let lower = word.to_lowercase();
    let vowel = lower.starts_with(['a', 'e', 'i', 'o', 'u']);
    if vowel && !["uk", "uni", "eu", "us"].iter().any(|start| lower.starts_with(start)) {
        "an"
    } else {
        "a"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_field_stays_visible() {
        assert_eq!(fill("a {{b}} {{c}}", &[("b", "1")]), "a 1 {{c}}");
        assert_eq!(fill("open {{b", &[("b", "1")]), "open {{b");
    }

    #[test]
    fn fields_are_checked_by_name() {
        let check = |template| check(template, &["a", "b"], &["a"]).map_err(|e| e.to_string());
        assert_eq!(check("{{b}} and {{a}}, {single}"), Ok(()));
        for (template, expect) in [
            ("{{a}} {{nation}}", "unknown field `{{nation}}`\nIts fields: a, b."),
            ("{{b}}", "must have the field `{{a}}`"),
            ("{{a}} {{b", "doesn't close it"),
        ] {
            let error = check(template).unwrap_err();
            assert!(error.contains(expect), "{error}");
        }
    }

    #[test]
    fn articles_follow_the_sound() {
        for (demonym, article) in [
            ("Thai", "a"),
            ("Ethiopian", "an"),
            ("Ukrainian", "a"),
            ("Indian", "an"),
            ("US American", "a"),
        ] {
            assert_eq!(indefinite_article(demonym), article, "{demonym}");
        }
    }
}
