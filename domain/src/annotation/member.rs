//! Who takes part in a project, and what they may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::item::ItemInfo;
use crate::culture::CultureCode;
use crate::question::text_id;

text_id!(
    /// Identifies a member within its project; says nothing about the person.
    MemberId
);

/// What a member may do; each role may do what the later ones may, except that a viewer judges
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberRole {
    /// Changes the project, invites and sends away.
    Owner,
    /// Decides disagreements.
    Adjudicator,
    /// Judges items.
    Annotator,
    /// Looks on.
    Viewer,
}

impl MemberRole {
    /// All roles, the most powerful first.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Adjudicator, Self::Annotator, Self::Viewer];

    /// Name in the store and in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Adjudicator => "adjudicator",
            Self::Annotator => "annotator",
            Self::Viewer => "viewer",
        }
    }

    /// Whether items may be judged, skipped and commented on.
    pub fn judges(self) -> bool {
        self != Self::Viewer
    }

    /// Whether disagreements may be decided.
    pub fn adjudicates(self) -> bool {
        matches!(self, Self::Owner | Self::Adjudicator)
    }

    /// Whether the project, its invites and its members may be changed.
    pub fn manages(self) -> bool {
        self == Self::Owner
    }
}

impl fmt::Display for MemberRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for MemberRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            format!("`{text}` is not a role\nUse owner, adjudicator, annotator or viewer.")
        })
    }
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Identifier.
    pub id: MemberId,
    /// What they want to be called; empty once they have left.
    pub name: String,
    /// What they may do.
    pub role: MemberRole,
    /// The cultures they say they know; only items of these are given to them.
    pub cultures: Vec<CultureCode>,
    /// Whether they have left for good.
    #[serde(default)]
    pub left: bool,
}

impl Member {
    /// Whether `item` may be given to them.
    pub fn knows(&self, item: &ItemInfo) -> bool {
        self.cultures.contains(&item.culture)
    }

    /// Their name, or what stands for it once they have left.
    pub fn shown_name(&self) -> String {
        match self.left {
            true => format!("Former member {}", self.id.as_str().get(..4).unwrap_or("")),
            false => self.name.clone(),
        }
    }
}
