//! What happens in a project: immutable events.

use serde::{Deserialize, Serialize};

use super::error::AnnotationError;
use super::item::{Item, ItemId};
use super::label::LabelId;
use super::member::{Member, MemberId};
use super::project::{ProjectSettings, characters};
use crate::question::text_id;

text_id!(
    /// Identifies what one person did once. The client makes it up before it sends, so that sending
    /// again changes nothing.
    SubmissionId
);

/// Longest comment, in characters as [`characters`] counts them.
pub const LONGEST_COMMENT: usize = 4 * 1024;

/// Longest submission identifier, in bytes.
pub const LONGEST_SUBMISSION: usize = 64;

/// Something that somebody did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Event {
    /// Which act this is; the same one twice is one.
    pub submission: SubmissionId,
    /// Who did it.
    pub author: MemberId,
    /// When it reached the server, by the clock that all servers share: milliseconds since 1970 (UTC).
    /// Later than every earlier event of the project, even where that clock was set back. A client's
    /// clock is never believed.
    pub at: i64,
    /// The item it is about; `None` for [`Act::Changed`] and [`Act::Left`].
    pub item: Option<ItemId>,
    /// The act that this one takes the place of, as the server found it. Counts only for an act of the
    /// same kind: the own judgement of this item, or the item's adjudication.
    pub replaces: Option<SubmissionId>,
    /// What was done.
    pub act: Act,
}

/// What can be done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Act {
    /// The author judged the item.
    Judged(Judgement),
    /// The author took their judgement or skip back.
    Undone,
    /// The author won't judge the item.
    Skipped {
        /// Why.
        reason: SkipReason,
    },
    /// The author said something about the item.
    Commented {
        /// Plain text.
        text: String,
        /// The comment that this one answers.
        answers: Option<SubmissionId>,
    },
    /// An adjudicator decided the item.
    Adjudicated(Judgement),
    /// An adjudicator took a decision back.
    Reopened,
    /// An owner changed what the project asks for.
    Changed(ProjectSettings),
    /// The author has left for good.
    Left,
    /// An act whose content isn't shown yet; the real one takes its place when it arrives.
    Hidden {
        /// What kind of act it is.
        kind: HiddenKind,
    },
}

/// What may be known of a hidden act: enough to count progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HiddenKind {
    /// A judgement.
    Judged,
    /// A comment.
    Commented,
}

/// A choice of label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Judgement {
    /// The label.
    pub label: LabelId,
    /// Number of the option that people of the culture would choose, where the annotator says so.
    #[serde(default)]
    pub option: Option<u32>,
    /// Milliseconds that the item was looked at, by the client's own measure.
    #[serde(default)]
    pub milliseconds: u32,
}

/// Why an item was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// The annotator doesn't know the culture well enough here.
    UnknownCulture,
    /// The annotator can't decide.
    Undecided,
    /// The annotator would rather not judge this.
    Unwilling,
    /// The item is broken.
    Broken,
}

impl SkipReason {
    /// All reasons, in the order in which they are offered.
    pub const ALL: [Self; 4] =
        [Self::UnknownCulture, Self::Undecided, Self::Unwilling, Self::Broken];

    /// Name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::UnknownCulture => "I don’t know the culture well enough",
            Self::Undecided => "I can’t decide",
            Self::Unwilling => "I would rather not judge this",
            Self::Broken => "The item is broken",
        }
    }
}

impl Act {
    /// Whether it says what its author thinks of the item, so that one of them takes the place of
    /// another.
    pub(super) fn is_judging(&self) -> bool {
        let hidden = Self::Hidden { kind: HiddenKind::Judged };
        matches!(self, Self::Judged(_) | Self::Undone | Self::Skipped { .. }) || *self == hidden
    }

    /// Whether it decides the item or takes a decision back.
    pub(super) fn is_adjudicating(&self) -> bool {
        matches!(self, Self::Adjudicated(_) | Self::Reopened)
    }

    /// Refuses what `member` may not do, and what can't be done to `item`.
    ///
    /// # Errors
    /// [`AnnotationError::Role`], or the rule that the content breaks.
    pub fn check(
        &self,
        settings: &ProjectSettings,
        member: &Member,
        item: &Item,
    ) -> Result<(), AnnotationError> {
        let allowed = match self {
            Self::Adjudicated(_) | Self::Reopened => member.role.adjudicates(),
            Self::Changed(_) | Self::Left | Self::Hidden { .. } => false,
            _ => member.role.judges(),
        };
        if !allowed {
            return Err(AnnotationError::Role { role: member.role, act: self.name() });
        }
        match self {
            Self::Judged(judgement) | Self::Adjudicated(judgement) => {
                judgement.check(settings, item)
            }
            Self::Commented { text, .. } => check_comment(text),
            _ => Ok(()),
        }
    }

    /// What it is called in messages and exports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Judged(_) => "judged",
            Self::Undone => "undone",
            Self::Skipped { .. } => "skipped",
            Self::Commented { .. } => "commented",
            Self::Adjudicated(_) => "adjudicated",
            Self::Reopened => "reopened",
            Self::Changed(_) => "changed",
            Self::Left => "left",
            Self::Hidden { .. } => "hidden",
        }
    }
}

/// Refuses a comment that is empty or too long.
///
/// # Errors
/// [`AnnotationError::Comment`].
pub fn check_comment(text: &str) -> Result<(), AnnotationError> {
    let given = characters(text);
    match text.trim().is_empty() || given > LONGEST_COMMENT {
        true => Err(AnnotationError::Comment { longest: LONGEST_COMMENT, given }),
        false => Ok(()),
    }
}

impl Judgement {
    /// A choice of this label alone.
    pub fn of(label: LabelId) -> Self {
        Self { label, option: None, milliseconds: 0 }
    }

    fn check(&self, settings: &ProjectSettings, item: &Item) -> Result<(), AnnotationError> {
        if settings.label(&self.label).is_none() {
            let known = settings.labels.iter().map(|label| label.id.to_string()).collect();
            return Err(AnnotationError::UnknownLabel { label: self.label.clone(), known });
        }
        match self.option {
            Some(option) if item.question.index_of(option).is_none() => {
                let last = item.question.number_of(item.question.options.len().saturating_sub(1));
                let first = item.question.first_number;
                Err(AnnotationError::UnknownOption { option, first, last })
            }
            _ => Ok(()),
        }
    }
}
