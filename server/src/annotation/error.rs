//! What can go wrong in a room. Rules of annotation and failures of the store pass through unchanged.

use domain::annotation::{AnnotationError, ItemId, MemberId, MemberRole, SubmissionId};

use crate::jobs::JobError;
use crate::store::StoreError;

/// Why a room refuses or fails.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// Something can't be kept.
    #[error(transparent)]
    Store(#[from] StoreError),

    /// A rule of annotation.
    #[error(transparent)]
    Rule(#[from] AnnotationError),

    /// The run that was to give items.
    #[error(transparent)]
    Job(#[from] JobError),

    /// No such project, or the caller is not in it: both are told alike.
    #[error(
        "there is no project `{0}` for you\nOpen the link by which you were invited, in the browser \
         in which you joined."
    )]
    UnknownProject(String),

    /// No invite has this token.
    #[error("this invite is unknown\nCheck that the link is whole, or ask for a new one.")]
    UnknownInvite,

    /// The invite's time is over.
    #[error("this invite has expired\nAsk the project's owner for a new one.")]
    ExpiredInvite,

    /// An owner has revoked the invite.
    #[error("this invite was revoked\nAsk the project's owner for a new one.")]
    RevokedInvite,

    /// The member's role doesn't suffice.
    #[error("a member with the role `{role}` can't {what}\nAsk the project's owner.")]
    Forbidden {
        /// Their role.
        role: MemberRole,
        /// What they tried.
        what: &'static str,
    },

    /// The project has no such item.
    #[error("the project has no item `{0}`\nGo on with the next item.")]
    UnknownItem(ItemId),

    /// The project has no such member.
    #[error("the project has no member `{0}`\nReload the page to see who takes part.")]
    UnknownMember(MemberId),

    /// Without an owner nobody could change the project.
    #[error("the last owner can't leave\nInvite another owner first.")]
    LastOwner,

    /// Two owners change the project at once.
    #[error("the project was changed meanwhile\nLook at what it asks for now, and change that.")]
    ChangedMeanwhile,

    /// Another member's act has this identifier.
    #[error("the submission `{0}` is somebody else's\nGive yours an identifier of its own.")]
    SubmissionTaken(SubmissionId),

    /// A value of a request breaks a rule.
    #[error("{rule}\n{hint}")]
    Refused {
        /// The rule and the given value.
        rule: String,
        /// A way out.
        hint: String,
    },

    /// The system has no source of random numbers.
    #[error("the system gives no random numbers: {0}\nLook at the server's log.")]
    Random(String),
}

impl RoomError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Rule(error) => error.code(),
            Self::Job(error) => error.code(),
            Self::UnknownProject(_) => "unknown-project",
            Self::UnknownInvite => "unknown-invite",
            Self::ExpiredInvite => "expired-invite",
            Self::RevokedInvite => "revoked-invite",
            Self::Forbidden { .. } => "role",
            Self::UnknownItem(_) => "unknown-item",
            Self::UnknownMember(_) => "unknown-member",
            Self::LastOwner => "last-owner",
            Self::ChangedMeanwhile => "changed-meanwhile",
            Self::SubmissionTaken(_) => "submission-taken",
            Self::Refused { .. } => "invalid-request",
            Self::Random(_) => "no-random-numbers",
        }
    }

    /// A refusal with a way out.
    pub fn refused(rule: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { rule: rule.into(), hint: hint.into() }
    }
}
