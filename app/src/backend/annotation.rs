//! How the annotation pages reach the server. Only a browser has it: who somebody is, is known there.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::annotation::{Item, ItemId, Member, MemberId, ProjectSettings};
use domain::culture::CultureCode;
use leptos::prelude::use_context;
use serde::{Deserialize, Serialize};

use super::{Answer, Events};
use crate::api::MethodRunInfo;
use crate::api::annotation::{
    AcceptedRun, ClientMessage, ExportFormat, Invitation, Joined, Joining, ListedInvite, NewInvite,
    NewProject, NewlyInvited, NextRequest, Outcome, Project, RoomMessage, SettingsChange,
    SourceInfo, Submission,
};

/// What opens a project to one of its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The project.
    pub project: String,
    /// The member's token.
    pub token: String,
}

/// Says something to a room; what can't be said because the connection has ended is lost.
pub type Speaker = Arc<dyn Fn(ClientMessage) + Send + Sync>;

/// Annotation over the public API.
pub trait Annotation: Send + Sync {
    /// The runs whose instances can be judged.
    fn sources(&self) -> Answer<Vec<SourceInfo>>;
    /// Makes a project.
    fn create(&self, new: NewProject) -> Answer<Joined>;
    /// What an invite says.
    fn invitation(&self, token: String) -> Answer<Invitation>;
    /// Follows an invite.
    fn join(&self, token: String, joining: Joining) -> Answer<Joined>;
    /// A project.
    fn project(&self, key: Key) -> Answer<Project>;
    /// Changes what it asks for; returns that.
    fn change(&self, key: Key, change: SettingsChange) -> Answer<ProjectSettings>;
    /// Notes which cultures the member knows.
    fn know(&self, key: Key, cultures: BTreeSet<CultureCode>) -> Answer<Member>;
    /// Items to judge, kept for the member.
    fn next(&self, key: Key, request: NextRequest) -> Answer<Vec<Item>>;
    /// One item.
    fn item(&self, key: Key, item: ItemId) -> Answer<Item>;
    /// Hands in what the member did.
    fn submit(&self, key: Key, submissions: Vec<Submission>) -> Answer<Vec<Outcome>>;
    /// All invites.
    fn invites(&self, key: Key) -> Answer<Vec<ListedInvite>>;
    /// Makes an invite.
    fn invite(&self, key: Key, new: NewInvite) -> Answer<NewlyInvited>;
    /// Revokes an invite; returns all of them.
    fn revoke(&self, key: Key, invite: String) -> Answer<Vec<ListedInvite>>;
    /// Lets a member leave for good.
    fn leave(&self, key: Key, member: MemberId) -> Answer<()>;
    /// The runs that tune on what is accepted, newest first.
    fn method_runs(&self, key: Key) -> Answer<Vec<AcceptedRun>>;
    /// Starts one on what is accepted now.
    fn start_method_run(&self, key: Key) -> Answer<MethodRunInfo>;
    /// A file with everything that was said.
    fn export(&self, key: Key, format: ExportFormat) -> Answer<Vec<u8>>;
    /// Enters the room, going on after the event numbered `since`; dropping the stream leaves it.
    fn enter(&self, key: Key, since: u64) -> Answer<(Events<RoomMessage>, Speaker)>;
}

/// The context under which an [`Annotation`] is provided; absent while the server renders.
#[derive(Clone)]
pub struct SharedAnnotation(pub Arc<dyn Annotation>);

/// The annotation of the current context, in the browser.
pub fn use_annotation() -> Option<Arc<dyn Annotation>> {
    use_context::<SharedAnnotation>().map(|shared| shared.0)
}
