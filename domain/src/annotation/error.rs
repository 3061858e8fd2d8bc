//! What is refused in annotation, and why.

use super::item::ItemId;
use super::label::LabelId;
use super::member::MemberRole;

/// A rule that a project, an item or an act breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// A setting of a project.
    #[error("`{setting}` {rule}\nChange it and save the project again.")]
    Setting {
        /// Which.
        setting: &'static str,
        /// The rule and the given value.
        rule: String,
    },

    /// The member may not do that.
    #[error("a member with the role `{role}` can't make the act `{act}`\nAsk the project's owner.")]
    Role {
        /// Their role.
        role: MemberRole,
        /// What they tried.
        act: &'static str,
    },

    /// The project has no such label.
    #[error("`{label}` is not a label of this project\nLabels: {}.", known.join(", "))]
    UnknownLabel {
        /// The label given.
        label: LabelId,
        /// Those there are.
        known: Vec<String>,
    },

    /// The question has no such option.
    #[error("the question has no option `{option}`\nIts options are numbered {first} to {last}.")]
    UnknownOption {
        /// The number given.
        option: u32,
        /// Number of the first option.
        first: u32,
        /// Number of the last one.
        last: u32,
    },

    /// A comment that is empty or too long.
    #[error(
        "a comment must have 1 to {longest} characters, not {given}\nShorten it or write more."
    )]
    Comment {
        /// Most characters.
        longest: usize,
        /// Characters given.
        given: usize,
    },

    /// The item was given to others meanwhile, or never to this member.
    #[error(
        "the item `{item}` isn't yours to judge: others have judged it meanwhile, or it was never \
         given to you\nGo on with the next item."
    )]
    NotLeased {
        /// The item.
        item: ItemId,
    },

    /// There is no own word that stands, or another one than was meant.
    #[error(
        "this takes back no word of yours on `{item}`: it was replaced or taken back already, perhaps \
         in another window\nReload the page to see what you said last."
    )]
    NothingToUndo {
        /// The item.
        item: ItemId,
    },
}

impl AnnotationError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "project-setting",
            Self::Role { .. } => "role",
            Self::UnknownLabel { .. } => "unknown-label",
            Self::UnknownOption { .. } => "unknown-option",
            Self::Comment { .. } => "comment-length",
            Self::NotLeased { .. } => "item-not-leased",
            Self::NothingToUndo { .. } => "nothing-to-undo",
        }
    }
}
