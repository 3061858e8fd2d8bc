//! The wire types of annotation: projects, members, submissions, and what a live room says.
//!
//! Addresses (all under `/api/annotation`). Whoever acts in a project sends the member's token as
//! `Authorization: Bearer TOKEN`; a token is told once, when its owner joins.
//! - `GET  /sources` -> list of [`SourceInfo`]: the runs whose instances can be judged;
//! - `POST /projects` [`NewProject`] -> [`Joined`]: makes a project, and its owner;
//! - `GET  /projects/{id}` -> [`Project`];
//! - `POST /projects/{id}/settings` [`SettingsChange`] -> the settings now, for owners; everybody hears of
//!   it as an event;
//! - `POST /projects/{id}/cultures` list of culture codes -> the [`Member`]: those that the member knows
//!   from now on;
//! - `POST /projects/{id}/next` [`NextRequest`] -> list of [`Item`](domain::annotation::Item)s, kept for the member;
//! - `POST /projects/{id}/submissions` list of [`Submission`] -> list of [`Outcome`], in that order;
//! - `GET  /projects/{id}/items/{item}` -> [`Item`](domain::annotation::Item);
//! - `GET  /projects/{id}/events?since=N` -> list of [`Numbered`] events;
//! - `GET  /projects/{id}/socket`: a WebSocket that takes [`ClientMessage`]s, the first of them
//!   [`ClientMessage::Hello`], and sends [`RoomMessage`]s, all as JSON;
//! - `GET  /projects/{id}/invites` -> list of [`ListedInvite`]; `POST` [`NewInvite`] -> [`NewlyInvited`];
//! - `POST /projects/{id}/invites/{invite}/revoke` -> list of [`ListedInvite`];
//! - `POST /projects/{id}/members/{member}/leave`: for good, by the member or an owner;
//! - `POST /projects/{id}/method-runs` -> [`MethodRunInfo`](super::MethodRunInfo): starts the run that
//!   tunes on what is accepted now; `GET` -> list of [`AcceptedRun`]s, newest first;
//! - `GET  /projects/{id}/export/{format}`: a file, see [`ExportFormat`];
//! - `GET  /invites/{token}` -> [`Invitation`]; `POST /invites/{token}` [`Joining`] -> [`Joined`].

use domain::annotation::{
    Act, Event, ItemId, ItemInfo, Member, MemberId, MemberRole, ProjectSettings, SubmissionId,
};
use domain::culture::CultureCode;
use serde::{Deserialize, Serialize};

use super::{ApiError, JobState};

/// A run whose collected instances can be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// Name of the run.
    pub run: String,
    /// Instances it has collected.
    pub instances: usize,
    /// When the run was begun, RFC 3339 in UTC.
    pub created: String,
}

/// A run that tunes adapters on what a project has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedRun {
    /// Name of the run.
    pub run: String,
    /// Instances that it learns.
    pub instances: usize,
    /// Where it stands.
    pub state: JobState,
    /// When it was asked for, RFC 3339 in UTC.
    pub created: String,
}

/// Where a new project's items come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ItemSource {
    /// The instances of a run.
    Run {
        /// Its name.
        run: String,
        /// Only these cultures; all where empty.
        #[serde(default)]
        cultures: Vec<CultureCode>,
        /// Attention checks: those records of a file that have a `gold` label. One with the identifier of
        /// an item of the run makes that item a check, others are items of their own.
        #[serde(default)]
        gold: Option<ItemFile>,
    },
    /// A file: one JSON object per line.
    Jsonl {
        /// The whole file.
        text: String,
    },
    /// A file: comma-separated values with a heading.
    Csv {
        /// The whole file.
        text: String,
    },
}

/// A file of items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ItemFile {
    /// One JSON object per line.
    Jsonl {
        /// The whole file.
        text: String,
    },
    /// Comma-separated values with a heading.
    Csv {
        /// The whole file.
        text: String,
    },
}

/// A project to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewProject {
    /// What it asks for.
    pub settings: ProjectSettings,
    /// What is to be judged.
    pub source: ItemSource,
    /// Who makes it.
    pub owner: Joining,
}

/// A change of what a project asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsChange {
    /// What it asks for, as far as the owner knows: two who change it at once notice.
    pub from: ProjectSettings,
    /// What it is to ask for.
    pub to: ProjectSettings,
}

/// Somebody who joins a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joining {
    /// What they want to be called.
    pub name: String,
    /// The cultures they know.
    pub cultures: Vec<CultureCode>,
}

/// Somebody has joined; the only answer that holds the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The project.
    pub project: String,
    /// Who they are there.
    pub member: MemberId,
    /// What proves it.
    pub token: String,
}

/// A project as one of its members gets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Identifier.
    pub id: String,
    /// What it asks for.
    pub settings: ProjectSettings,
    /// The run whose instances are judged; `None` where the items came from a file.
    #[serde(default)]
    pub source_run: Option<String>,
    /// All items without their texts; for those who decide nothing without the attention checks, which
    /// no number counts.
    pub items: Vec<ItemInfo>,
    /// Everybody who takes or took part.
    pub members: Vec<Member>,
    /// Who asks.
    pub me: MemberId,
    /// When it was made, RFC 3339 in UTC.
    pub created: String,
}

/// Asks for items to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextRequest {
    /// At most so many, up to [`MOST_NEXT`].
    pub wanted: usize,
    /// How long the person has done nothing, by the browser's own measure: a page asks unasked.
    #[serde(default)]
    pub idle_seconds: u32,
}

/// Most items kept for one member at a time.
pub const MOST_NEXT: usize = 20;

/// Most submissions in one request.
pub const MOST_SUBMISSIONS: usize = 200;

/// Most items of a project.
pub const MOST_ITEMS: usize = 20_000;

/// Largest body of a request that makes a project, in bytes.
pub const MAX_PROJECT_BYTES: usize = 32 * 1024 * 1024;

/// Something that a member did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Made up by the client, once per act: sending it again changes nothing.
    pub id: SubmissionId,
    /// The item.
    pub item: ItemId,
    /// The act that this one takes the place of, as far as the client knows. It is needed to take a word
    /// back: it says which. Otherwise the server finds out by itself.
    #[serde(default)]
    pub replaces: Option<SubmissionId>,
    /// What was done.
    pub act: Act,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Outcome {
    /// It is stored, now or before.
    Accepted {
        /// The event that it became.
        event: Numbered,
    },
    /// It will never be.
    Refused {
        /// Why.
        error: ApiError,
    },
}

/// An event with its place in the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    /// 1, 2, 3 and so on; a client asks for what comes after the greatest it has.
    pub sequence: u64,
    /// What happened.
    pub event: Event,
}

/// An invite to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewInvite {
    /// What those who follow it may do.
    pub role: MemberRole,
    /// How long it can be followed, in hours, up to [`MOST_INVITE_HOURS`].
    pub hours: u32,
}

/// Longest life of an invite, in hours: 90 days.
pub const MOST_INVITE_HOURS: u32 = 90 * 24;

/// An invite, without the token that opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Identifier, of use to revoke it only.
    pub id: String,
    /// What those who follow it may do.
    pub role: MemberRole,
    /// Until when: milliseconds since 1970 (UTC).
    pub expires: i64,
    /// Whether an owner has revoked it.
    pub revoked: bool,
}

/// An invite as its project's owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedInvite {
    /// The invite.
    #[serde(flatten)]
    pub invite: Invite,
    /// How long it is still open by the server's clock, in milliseconds; 0 where it has expired or was
    /// revoked.
    pub left: i64,
}

/// A new invite; the only answer that holds the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewlyInvited {
    /// The invite.
    pub invite: Invite,
    /// What opens it: the address is `/annotate/join/TOKEN`.
    pub token: String,
}

/// What somebody with an invite sees before they join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The project: somebody may be in it already.
    pub project: String,
    /// Title of the project.
    pub title: String,
    /// How to judge, in Markdown.
    pub guidelines: String,
    /// What they may do.
    pub role: MemberRole,
    /// The cultures of the project's items.
    pub cultures: Vec<CultureCode>,
}

/// In which form judgements leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportFormat {
    /// One JSON object per item, with all judgements, comments and the verdict.
    Jsonl,
    /// One line per judgement, and one for each item that was decided without any.
    Csv,
    /// The same rows as a Parquet table.
    Parquet,
    /// A folder that Hugging Face `datasets` loads, with its card, as a zip file.
    Dataset,
    /// Settings and records for Argilla, as a zip file.
    Argilla,
    /// Configuration and tasks for Label Studio, as a zip file.
    LabelStudio,
    /// The accepted instances as chats, one JSON object per line: what an adapter is tuned on.
    Training,
}

impl ExportFormat {
    /// All formats.
    pub const ALL: [Self; 7] = [
        Self::Jsonl,
        Self::Csv,
        Self::Parquet,
        Self::Dataset,
        Self::Argilla,
        Self::LabelStudio,
        Self::Training,
    ];

    /// Name in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Dataset => "dataset",
            Self::Argilla => "argilla",
            Self::LabelStudio => "label-studio",
            Self::Training => "training",
        }
    }

    /// Name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Jsonl => "JSONL",
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
            Self::Dataset => "Hugging Face dataset",
            Self::Argilla => "Argilla",
            Self::LabelStudio => "Label Studio",
            Self::Training => "Training set of what is accepted",
        }
    }

    /// Ending of the file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jsonl | Self::Training => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Dataset | Self::Argilla | Self::LabelStudio => "zip",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jsonl | Self::Training => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Dataset | Self::Argilla | Self::LabelStudio => "application/zip",
        }
    }
}

/// What a browser tells a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ClientMessage {
    /// The first message.
    Hello {
        /// Who it is.
        token: String,
        /// The greatest sequence number it has; 0 for none.
        since: u64,
    },
    /// What the member looks at now, answered by [`RoomMessage::Heard`]. Sent now and then even without a
    /// change: it renews leases, as long as the person is at work.
    Looking {
        /// The item; `None` for none.
        item: Option<ItemId>,
        /// How long the person has done nothing, by the browser's own measure.
        #[serde(default)]
        idle_seconds: u32,
    },
}

/// What a room tells a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum RoomMessage {
    /// Events. An event that was hidden may come again, with its content.
    Events {
        /// In the order of their numbers.
        events: Vec<Numbered>,
        /// What to ask for after a reconnection.
        sequence: u64,
    },
    /// Everybody who takes or took part.
    Members {
        /// All of them.
        members: Vec<Member>,
    },
    /// Who is here, on which item.
    Presence {
        /// One entry per member who is connected.
        present: Vec<Present>,
    },
    /// An item may have become free of which no event tells: who waits for one may ask again.
    Items,
    /// The answer to every [`ClientMessage::Looking`]. Where none comes the connection is broken, whatever
    /// the browser believes.
    Heard,
    /// The room doesn't let this client in; the connection ends.
    Refused {
        /// Why.
        error: ApiError,
    },
}

/// A member who is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// Who.
    pub member: MemberId,
    /// On which item.
    pub item: Option<ItemId>,
}
