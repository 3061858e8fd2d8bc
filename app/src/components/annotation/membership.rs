//! The projects of which this browser holds a key. The server never lists projects: who has lost the
//! key asks an owner for a new invite. So no key is ever overwritten: who joins a project once more is
//! two members of it in this browser, one of whom opens it.

use domain::annotation::{MemberId, MemberRole};
use serde::{Deserialize, Serialize};

use crate::backend::annotation::Key;
use crate::storage;

const PREFIX: &str = "polylogue.annotation.member.";

/// Which of several members of a project opens it.
const CURRENT: &str = "polylogue.annotation.current.";

/// A project that opens here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// What opens it.
    pub key: Key,
    /// Who this browser is there.
    pub member: MemberId,
    /// What they may do.
    pub role: MemberRole,
    /// Its title, for lists.
    pub title: String,
    /// What they wanted to be called; empty where an earlier version kept it.
    #[serde(default)]
    pub name: String,
}

impl Membership {
    /// The one that opens `project`.
    pub fn of(project: &str) -> Option<Self> {
        let all = Self::all().into_iter().filter(|known| known.key.project == project).collect();
        current(all, storage::read(&format!("{CURRENT}{project}")).as_deref())
    }

    /// All of them.
    pub fn all() -> Vec<Self> {
        let read = |name: &String| serde_json::from_str(&storage::read(name)?).ok();
        let mut all: Vec<Self> = storage::names(PREFIX).iter().filter_map(read).collect();
        // Names without a member, of earlier versions, come first: what was kept later counts.
        all.reverse();
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|known| seen.insert((known.key.project.clone(), known.member.clone())));
        all.reverse();
        all
    }

    /// Keeps it beside all others. Returns whether the browser did.
    pub fn keep(&self) -> bool {
        storage::write(&self.storage_name(), &serde_json::to_string(self).unwrap_or_default())
    }

    /// Keeps it, and lets it be the one that opens its project.
    pub fn keep_as_current(&self) -> bool {
        storage::write(&format!("{CURRENT}{}", self.key.project), self.member.as_str());
        self.keep()
    }

    /// Who it is, in a few words.
    pub fn who(&self) -> String {
        match self.name.is_empty() {
            true => self.role.to_string(),
            false => format!("{}, {}", self.name, self.role),
        }
    }

    /// Forgets the key of `member` of `project`.
    pub fn forget(project: &str, member: &MemberId) {
        for known in Self::all() {
            if known.key.project == project && known.member == *member {
                storage::forget(&known.storage_name());
                let old = format!("{PREFIX}{project}");
                let kept = storage::read(&old).and_then(|text| serde_json::from_str(&text).ok());
                if kept.is_some_and(|kept: Self| kept.member == *member) {
                    storage::forget(&old);
                }
            }
        }
    }

    fn storage_name(&self) -> String {
        format!("{PREFIX}{}.{}", self.key.project, self.member)
    }
}

/// The one of a project's members that is named, or else any.
fn current(all: Vec<Membership>, named: Option<&str>) -> Option<Membership> {
    let place = all.iter().position(|known| Some(known.member.as_str()) == named);
    all.into_iter().nth(place.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership(member: &str) -> Membership {
        Membership {
            key: Key { project: "p".to_owned(), token: format!("token of {member}") },
            member: member.into(),
            role: MemberRole::Annotator,
            title: "t".to_owned(),
            name: String::new(),
        }
    }

    #[test]
    fn two_members_of_one_project_have_places_of_their_own() {
        let (ann, bob) = (membership("ann"), membership("bob"));
        assert_ne!(ann.storage_name(), bob.storage_name(), "neither overwrites the other");
        let all = || vec![ann.clone(), bob.clone()];
        for (named, expected) in [(None, "ann"), (Some("bob"), "bob"), (Some("gone"), "ann")] {
            assert_eq!(current(all(), named).unwrap().member.as_str(), expected);
        }
        assert_eq!(current(vec![], Some("ann")), None);
    }

    #[test]
    fn what_an_earlier_version_kept_still_opens() {
        let old = r#"{"key":{"project":"p","token":"t"},"member":"m","role":"owner","title":"x"}"#;
        let read: Membership = serde_json::from_str(old).unwrap();
        assert_eq!((read.who().as_str(), read.name.as_str()), ("owner", ""));
    }
}
