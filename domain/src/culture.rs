//! Cultures: the majority culture of a country, or a group within it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest code: three letters, a hyphen and a group of twelve characters.
const LONGEST: usize = 16;

/// An ISO 3166-1 alpha-3 code such as `THA`, or a group within that country such as `USA-rural`: the
/// code, a hyphen, then 1 to 12 lower-case letters and digits.
///
/// As small as two pointers, so that it is copied and compared like a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CultureCode(
    /// ASCII, filled up with zeros.
    [u8; LONGEST],
);

/// The given text is not shaped like a culture code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a culture code\nA culture is named by three capital letters (ISO 3166-1 alpha-3), \
     such as `THA`, a group within it as in `THA-north`: a hyphen, then up to 12 small letters and \
     digits."
)]
pub struct BadCultureCode(pub String);

impl CultureCode {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(LONGEST);
        // Only ASCII passes the constructor, so this never takes the fall-back.
        std::str::from_utf8(&self.0[..end]).unwrap_or("???")
    }

    /// The country: the code itself unless it names a group.
    pub fn country(&self) -> Self {
        let mut country = [0; LONGEST];
        country[..3].copy_from_slice(&self.0[..3]);
        Self(country)
    }

    /// The group within the country, as `rural`; `None` for the country's majority culture.
    pub fn group(&self) -> Option<&str> {
        self.as_str().get(4..)
    }
}

impl FromStr for CultureCode {
    type Err = BadCultureCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let (country, group) = bytes.split_at_checked(3).unwrap_or((bytes, &[]));
        let country_fits = country.len() == 3 && country.iter().all(u8::is_ascii_uppercase);
        let fits = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let group_fits = match group {
            [] => true,
            [b'-', name @ ..] => !name.is_empty() && name.iter().all(fits),
            _ => false,
        };
        if !country_fits || !group_fits || bytes.len() > LONGEST {
            return Err(BadCultureCode(text.to_owned()));
        }
        let mut code = [0; LONGEST];
        code[..bytes.len()].copy_from_slice(bytes);
        Ok(Self(code))
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
    /// Its code, unique within the survey.
    pub code: CultureCode,
    /// Name for people, in the survey's language: `Thailand`, `Northern Thailand`.
    pub name: String,
    /// Adjective used in personas: `Thai` in "a Thai cultural background".
    pub demonym: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_a_country_and_a_group_within_it() {
        for (text, ok) in [
            ("THA", true),
            ("USA-rural", true),
            ("IND-18to29", true),
            ("USA-abcdefghijkl", true),
            ("USA-abcdefghijklm", false),
            ("USA-", false),
            ("USA-Rural", false),
            ("USA.rural", false),
            ("USA-a-b", false),
            ("tha", false),
            ("TH", false),
            ("THAI", false),
            ("T1A", false),
            ("", false),
            ("ÄÖ", false),
            ("THA-ä", false),
        ] {
            assert_eq!(text.parse::<CultureCode>().is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn a_group_knows_its_country_and_stands_behind_it() {
        let country: CultureCode = "USA".parse().unwrap();
        let group: CultureCode = "USA-rural".parse().unwrap();
        assert_eq!((group.country(), group.group()), (country, Some("rural")));
        assert_eq!((country.country(), country.group()), (country, None));
        assert!(country < group && group < "ZWE".parse().unwrap());
    }

    #[test]
    fn travels_as_plain_text() {
        for text in ["NGA", "NGA-kano"] {
            let json = format!("\"{text}\"");
            let code: CultureCode = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&code).unwrap(), json);
        }
        let error = serde_json::from_str::<CultureCode>("\"nga\"").unwrap_err();
        assert!(error.to_string().contains("`nga`"), "{error}");
    }
}
