//! Projects and invites, and which rooms are open.

use std::collections::BTreeSet;
use std::sync::Arc;

use app::api::annotation::{
    Invitation, Invite, ItemSource, Joined, Joining, ListedInvite, MOST_INVITE_HOURS, NewInvite,
    NewProject, NewlyInvited,
};
use domain::annotation::project::{LONGEST_NAME, characters};
use domain::annotation::{Item, Member, MemberRole};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::follow::{Open, follow, watch_leases};
use super::token::random_text;
use super::{Room, RoomError, Token, import};
use crate::store::{Store, StoredInvite, StoredMember};
use engine::Engine;

/// All rooms; clones share them.
#[derive(Debug, Clone)]
pub struct Rooms {
    store: Store,
    open: Arc<Open>,
    /// Ends with the last clone.
    _followers: Arc<JoinSet<()>>,
}

impl Rooms {
    /// No room is open yet. Within a Tokio runtime.
    pub fn new(store: Store) -> Self {
        let open: Arc<Open> = Arc::default();
        let mut followers = JoinSet::new();
        followers.spawn(watch_leases(Arc::downgrade(&open)));
        if let Some(news) = store.listen() {
            followers.spawn(follow(Arc::downgrade(&open), news));
        }
        Self { store, open, _followers: Arc::new(followers) }
    }

    /// The room of a project, opened where needed and up to date.
    ///
    /// # Errors
    /// [`RoomError::UnknownProject`]; a failure of the store.
    pub async fn room(&self, project: &str) -> Result<Arc<Mutex<Room>>, RoomError> {
        let mut open = self.open.lock().await;
        if let Some(room) = open.get(project).cloned() {
            drop(open);
            if self.store.is_shared() {
                room.lock().await.refresh().await?;
            }
            return Ok(room);
        }
        let room = Room::open(&self.store, project).await?;
        let room = room.ok_or_else(|| RoomError::UnknownProject(project.to_owned()))?;
        let room = Arc::new(Mutex::new(room));
        open.insert(project.to_owned(), Arc::clone(&room));
        Ok(room)
    }

    /// Makes a project and its owner.
    ///
    /// # Errors
    /// Settings or items that break a rule; see [`RoomError`] for the rest.
    pub async fn create(&self, engine: &Engine, new: NewProject) -> Result<Joined, RoomError> {
        new.settings.check()?;
        let source_run = match &new.source {
            ItemSource::Run { run, .. } => Some(run.clone()),
            ItemSource::Jsonl { .. } | ItemSource::Csv { .. } => None,
        };
        let items = import::items(&self.store, engine, new.source).await?;
        import::check(&new.settings, &items)?;
        let id = random_text(8)?;
        let (owner, token) = member(new.owner, MemberRole::Owner)?;
        let (settings, source_run) = (&new.settings, source_run.as_deref());
        self.store.create_annotation_project(&id, settings, source_run, &items, &owner).await?;
        Ok(Joined { project: id, member: owner.member.id, token: token.into_text() })
    }

    /// Makes an invite into `project`.
    ///
    /// # Errors
    /// A life that is too short or too long; a failure of the store.
    pub async fn invite(&self, project: &str, new: NewInvite) -> Result<NewlyInvited, RoomError> {
        if !(1..=MOST_INVITE_HOURS).contains(&new.hours) {
            return Err(RoomError::refused(
                format!("`hours` must be 1 to {MOST_INVITE_HOURS}, not {}", new.hours),
                "Make another invite when this one has expired.",
            ));
        }
        let token = Token::random()?;
        let expires = self.store.clock().await? + i64::from(new.hours) * 3_600_000;
        let invite = Invite { id: random_text(8)?, role: new.role, expires, revoked: false };
        self.store.add_annotation_invite(project, &invite, &token.hash()).await?;
        Ok(NewlyInvited { invite, token: token.into_text() })
    }

    /// The invites of `project`, the last to expire first, each with the time that is left: a browser's
    /// clock may be wrong, and a server's as well.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn invites(&self, project: &str) -> Result<Vec<ListedInvite>, RoomError> {
        let now = self.store.clock().await?;
        let listed = |invite: Invite| {
            let left = if invite.revoked { 0 } else { (invite.expires - now).max(0) };
            ListedInvite { invite, left }
        };
        Ok(self.store.annotation_invites(project).await?.into_iter().map(listed).collect())
    }

    /// What an invite says before somebody joins.
    ///
    /// # Errors
    /// [`RoomError::UnknownInvite`], [`RoomError::ExpiredInvite`], [`RoomError::RevokedInvite`].
    pub async fn invitation(&self, token: &Token) -> Result<Invitation, RoomError> {
        let StoredInvite { project, invite } = self.valid_invite(token).await?;
        let room = self.room(&project).await?;
        let room = room.lock().await;
        let cultures: BTreeSet<_> = room.items.iter().map(|item: &Item| item.culture).collect();
        Ok(Invitation {
            project,
            title: room.settings.title.clone(),
            guidelines: room.settings.guidelines.clone(),
            role: invite.role,
            cultures: cultures.into_iter().collect(),
        })
    }

    /// Lets somebody with an invite in.
    ///
    /// # Errors
    /// As [`Rooms::invitation`]; a name that is empty or too long.
    pub async fn join(&self, token: &Token, joining: Joining) -> Result<Joined, RoomError> {
        let StoredInvite { project, invite } = self.valid_invite(token).await?;
        let (stored, token) = member(joining, invite.role)?;
        let id = stored.member.id.clone();
        self.room(&project).await?.lock().await.join(stored).await?;
        Ok(Joined { project, member: id, token: token.into_text() })
    }

    async fn valid_invite(&self, token: &Token) -> Result<StoredInvite, RoomError> {
        let found = self.store.annotation_invite(&token.hash()).await?;
        let (found, now) = (found.ok_or(RoomError::UnknownInvite)?, self.store.clock().await?);
        match &found.invite {
            invite if invite.revoked => Err(RoomError::RevokedInvite),
            invite if invite.expires <= now => Err(RoomError::ExpiredInvite),
            _ => Ok(found),
        }
    }
}

fn member(joining: Joining, role: MemberRole) -> Result<(StoredMember, Token), RoomError> {
    let name = joining.name.trim().to_owned();
    if name.is_empty() || characters(&name) > LONGEST_NAME {
        let given = characters(&name);
        return Err(RoomError::refused(
            format!("a name must have 1 to {LONGEST_NAME} characters, not {given}"),
            "A first name or an invented one is enough.",
        ));
    }
    let cultures: BTreeSet<_> = joining.cultures.into_iter().collect();
    let token = Token::random()?;
    let member = Member {
        id: random_text(8)?.as_str().into(),
        name,
        role,
        cultures: cultures.into_iter().collect(),
        left: false,
    };
    Ok((StoredMember { member, token_hash: Some(token.hash()) }, token))
}
