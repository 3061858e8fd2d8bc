//! Reads what a model meant as JSON: the faults that models make are repaired, nothing is guessed.
//!
//! Repaired: quotes of other kinds or none around keys, quotes inside a text that aren't escaped,
//! line breaks inside a text, commas too many or, behind a list or a number, too few, words of Python for `null`, `true` and
//! `false`, and closing braces that are missing at the very end. A text that breaks off stays
//! broken: its rest can't be known.

use serde_json::{Map, Value};

/// Why a text can't be read even so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It ends in the middle of a text or a list.
    Truncated,
    /// Something stands where a value or a key should.
    Malformed,
}

/// Deepest nesting that is followed; generated questions have two levels.
const DEPTH: usize = 16;

/// The object that `text` begins with.
///
/// # Errors
/// See [`Fault`].
pub fn object(text: &str) -> Result<Value, Fault> {
    let mut reader = Reader { rest: text };
    reader.value(0)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        match self.peek().ok_or(Fault::Truncated)? {
            _ if depth > DEPTH => Err(Fault::Malformed),
            '{' => self.members(depth),
            '[' => self.elements(depth),
            quote if closing(quote).is_some() => self.text().map(Value::String),
            _ => self.word(),
        }
    }

    fn members(&mut self, depth: usize) -> Result<Value, Fault> {
        self.take();
        let mut members = Map::new();
        loop {
            match self.peek() {
                // Every member so far is whole, so that only the brace is missing.
                None => return Ok(Value::Object(members)),
                Some('}') => {
                    self.take();
                    return Ok(Value::Object(members));
                }
                Some(',') => {
                    self.take();
                }
                Some(quote) => {
                    let key = match closing(quote) {
                        Some(_) => self.text()?,
                        None => self.bare(),
                    };
                    if key.is_empty() || self.peek().ok_or(Fault::Truncated)? != ':' {
                        return Err(Fault::Malformed);
                    }
                    self.take();
                    let value = self.value(depth + 1)?;
                    members.insert(key, value);
                }
            }
        }
    }

    fn elements(&mut self, depth: usize) -> Result<Value, Fault> {
        self.take();
        let mut elements = Vec::new();
        loop {
            match self.peek().ok_or(Fault::Truncated)? {
                ']' => {
                    self.take();
                    return Ok(Value::Array(elements));
                }
                ',' => {
                    self.take();
                }
                '}' => return Err(Fault::Malformed),
                _ => elements.push(self.value(depth + 1)?),
            }
        }
    }

    /// A text in quotes. A quote ends it only where JSON could go on behind it.
    fn text(&mut self) -> Result<String, Fault> {
        let end = self.take().and_then(closing).ok_or(Fault::Malformed)?;
        let mut text = String::new();
        while let Some(next) = self.take() {
            match next {
                '\\' => text.push(self.escaped()?),
                quote if quote == end && self.may_end() => return Ok(text),
                '\n' | '\r' | '\t' => text.push(' '),
                other => text.push(other),
            }
        }
        Err(Fault::Truncated)
    }

    fn may_end(&self) -> bool {
        let next = self.rest.trim_start().chars().next();
        next.is_none_or(|next| matches!(next, ',' | ']' | '}' | ':'))
    }

    fn escaped(&mut self) -> Result<char, Fault> {
        match self.take().ok_or(Fault::Truncated)? {
            'n' | 'r' | 't' => Ok(' '),
            'u' => {
                let digits = self.rest.get(..4).ok_or(Fault::Truncated)?;
                let code = u32::from_str_radix(digits, 16).map_err(|_| Fault::Malformed)?;
                self.rest = &self.rest[4..];
                Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            other => Ok(other),
        }
    }

    /// A run of letters, digits and signs outside quotes; may be empty.
    fn bare(&mut self) -> String {
        let part_of_word = |c: char| c.is_alphanumeric() || "_+-.".contains(c);
        let end = self.rest.find(|c| !part_of_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn word(&mut self) -> Result<Value, Fault> {
        let word = self.bare();
        match word.as_str() {
            "null" | "None" => Ok(Value::Null),
            "true" | "True" => Ok(Value::Bool(true)),
            "false" | "False" => Ok(Value::Bool(false)),
            number => {
                let number: Option<serde_json::Number> = number.parse().ok();
                number.map(Value::Number).ok_or(Fault::Malformed)
            }
        }
    }
}

/// The quote that ends a text which begins with `quote`; `None` where it is no quote.
fn closing(quote: char) -> Option<char> {
    match quote {
        '"' | '\'' => Some(quote),
        '“' => Some('”'),
        '‘' => Some('’'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn faults_of_models_are_repaired() {
        for (text, expect) in [
            (r#"{'a': ['x', 'don't', "y"]}"#, json!({"a": ["x", "don't", "y"]})),
            (r#"{a: "x", b: [1, 2,],}"#, json!({"a": "x", "b": [1, 2]})),
            (
                r#"{"a": "the "good" life", "b": null}"#,
                json!({"a": "the \"good\" life", "b": null}),
            ),
            ("{\"a\": \"two\nlines\"}", json!({"a": "two lines"})),
            (r#"{“a”: [“x”, “y”] "b": None"#, json!({"a": ["x", "y"], "b": null})),
            (r#"{"a": "\u00fc\"\/"}"#, json!({"a": "ü\"/"})),
        ] {
            assert_eq!(object(text), Ok(expect), "{text}");
        }
    }

    #[test]
    fn what_breaks_off_stays_broken() {
        for (text, fault) in [
            (r#"{"a": "x"#, Fault::Truncated),
            (r#"{"a": ["x", "y""#, Fault::Truncated),
            (r#"{"a": ["x"}"#, Fault::Malformed),
            (r#"{"a" "x"}"#, Fault::Malformed),
            ("{]", Fault::Malformed),
            ("{\"a\": nothing}", Fault::Malformed),
        ] {
            assert_eq!(object(text), Err(fault), "{text}");
        }
        assert!(object(&"[".repeat(10_000)).is_err());
    }

    proptest! {
        #[test]
        fn json_means_what_it_means(texts in prop::collection::vec("[a-z ,:\\[{ü]{0,8}", 0..6), n in any::<i32>()) {
            let value = json!({"texts": texts, "n": n, "deep": {"yes": true}});
            prop_assert_eq!(object(&value.to_string()), Ok(value));
        }

        #[test]
        fn it_always_ends(text in "[\\[\\]{}\"',:a0\\\\ ]{0,60}") {
            let _ = object(&text);
        }
    }
}
