//! Cultures: the majority culture of a country, named by its ISO 3166-1 alpha-3 code.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An ISO 3166-1 alpha-3 code such as `THA`: three upper-case ASCII letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CultureCode([u8; 3]);

/// The given text is not shaped like an ISO 3166-1 alpha-3 code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a culture code\nA culture is named by three capital letters (ISO 3166-1 alpha-3), such as `THA`."
)]
pub struct BadCultureCode(pub String);

impl CultureCode {
    /// The code as text, always three characters.
    pub fn as_str(&self) -> &str {
        // Only ASCII letters pass the constructor, so this never takes the fall-back.
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl FromStr for CultureCode {
    type Err = BadCultureCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(BadCultureCode(text.to_owned())),
        }
    }
}

impl TryFrom<String> for CultureCode {
    type Error = BadCultureCode;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CultureCode> for String {
    fn from(code: CultureCode) -> Self {
        code.as_str().to_owned()
    }
}

impl fmt::Display for CultureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for CultureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A culture as a survey lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Culture {
    /// ISO 3166-1 alpha-3 code.
    pub code: CultureCode,
    /// Country name in English, for people: `Thailand`.
    pub name: String,
    /// Adjective used in personas: `Thai` in "a Thai cultural background".
    pub demonym: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_three_capital_letters() {
        for (text, ok) in [
            ("THA", true),
            ("tha", false),
            ("TH", false),
            ("THAI", false),
            ("T1A", false),
            ("", false),
            ("ÄÖ", false),
        ] {
            assert_eq!(text.parse::<CultureCode>().is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn travels_as_plain_text() {
        let code: CultureCode = serde_json::from_str("\"NGA\"").unwrap();
        assert_eq!(serde_json::to_string(&code).unwrap(), "\"NGA\"");
        let error = serde_json::from_str::<CultureCode>("\"nga\"").unwrap_err();
        assert!(error.to_string().contains("`nga`"), "{error}");
    }
}
