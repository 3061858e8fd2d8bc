//! The projects of which this browser holds a key. The server never lists projects: who has lost the
//! key asks an owner for a new invite.

use domain::annotation::{MemberId, MemberRole};
use serde::{Deserialize, Serialize};

use crate::backend::annotation::Key;
use crate::storage;

const PREFIX: &str = "polylogue.annotation.member.";

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
}

impl Membership {
    /// The one for `project`.
    pub fn of(project: &str) -> Option<Self> {
        serde_json::from_str(&storage::read(&name(project))?).ok()
    }

    /// All of them.
    pub fn all() -> Vec<Self> {
        let read = |name: &String| serde_json::from_str(&storage::read(name)?).ok();
        storage::names(PREFIX).iter().filter_map(read).collect()
    }

    /// Keeps it. Returns whether the browser did.
    pub fn keep(&self) -> bool {
        let text = serde_json::to_string(self).unwrap_or_default();
        storage::write(&name(&self.key.project), &text)
    }

    /// Forgets the key of `project`.
    pub fn forget(project: &str) {
        storage::forget(&name(project));
    }
}

fn name(project: &str) -> String {
    format!("{PREFIX}{project}")
}
