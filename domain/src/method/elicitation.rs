//! How answers of step 2 are read, and the word or number by which people choose it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How answers of step 2 are read from the model. As text: the number of replies, or `off`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "samples")]
pub enum Elicitation {
    /// The probability of every option; nothing is drawn.
    #[default]
    Probabilities,
    /// So many replies drawn at temperature 0.6 and top-p 0.9, each read by its first integer. The
    /// paper draws one (section 3.2).
    Samples(usize),
}

impl fmt::Display for Elicitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probabilities => f.pad("off"),
            Self::Samples(count) => f.pad(&count.to_string()),
        }
    }
}

impl FromStr for Elicitation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Probabilities);
        }
        text.parse().map(Self::Samples).map_err(|_| {
            format!(
                "`samples` must be a number of replies or `off`, not `{text}`\n\
                 Use 1 for the paper's one reply per question, `off` to read option probabilities."
            )
        })
    }
}

/// [`Elicitation`] as a request has it: a number of replies, or the text `off`.
pub(super) mod as_requested {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Elicitation;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Count(usize),
        Word(String),
    }

    pub fn serialize<S: Serializer>(
        value: &Option<Elicitation>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let written = value.map(|value| match value {
            Elicitation::Samples(count) => Written::Count(count),
            off => Written::Word(off.to_string()),
        });
        written.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Elicitation>, D::Error> {
        let written = Option::<Written>::deserialize(deserializer)
            .map_err(|_| D::Error::custom("`samples` must be a number of replies or `off`"))?;
        match written {
            None => Ok(None),
            Some(Written::Count(count)) => Ok(Some(Elicitation::Samples(count))),
            Some(Written::Word(word)) => word.parse().map(Some).map_err(D::Error::custom),
        }
    }
}
