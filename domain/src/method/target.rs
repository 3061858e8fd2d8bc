//! Which adapters a run tunes: the joint one and one per culture.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::culture::CultureCode;

/// Whose instances an adapter is tuned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AdapterTarget {
    /// All cultures'.
    Joint,
    /// One culture's.
    Specific(CultureCode),
}

impl AdapterTarget {
    /// The adapter's name within its run: `joint`, `specific-THA`.
    pub fn name(self) -> String {
        match self {
            Self::Joint => "joint".to_owned(),
            Self::Specific(code) => format!("specific-{code}"),
        }
    }

    /// The culture, for a specific one.
    pub fn culture(self) -> Option<CultureCode> {
        match self {
            Self::Joint => None,
            Self::Specific(code) => Some(code),
        }
    }
}

impl fmt::Display for AdapterTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joint => f.pad("joint"),
            Self::Specific(code) => f.pad(code.as_str()),
        }
    }
}

impl FromStr for AdapterTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "joint" => Ok(Self::Joint),
            code => code.parse().map(Self::Specific).map_err(|_| {
                format!(
                    "`{code}` names no adapter\nUse `joint`, or a culture's code such as `THA`."
                )
            }),
        }
    }
}

impl TryFrom<String> for AdapterTarget {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AdapterTarget> for String {
    fn from(target: AdapterTarget) -> Self {
        target.to_string()
    }
}
