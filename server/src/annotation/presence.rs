//! Who is in a room: connected to this server or, where several share a database, to another one.

use std::collections::BTreeMap;

use app::api::annotation::Present;
use domain::annotation::{ItemId, Lease, MemberId};

use super::room::attention;
use super::{Notice, Room, RoomError};
use crate::store::StoreError;

/// Who is connected.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Connections of each member with this server, with the item that each looks at.
    here: BTreeMap<MemberId, BTreeMap<u64, Option<ItemId>>>,
    /// Who is connected to other servers, as the store last said.
    elsewhere: Vec<Present>,
    connections: u64,
}

impl Presence {
    /// Of a member's connections the newest that looks at something counts.
    fn here(&self, member: &MemberId) -> Option<Present> {
        let connections = self.here.get(member)?;
        let item = connections.values().rev().find_map(Clone::clone);
        Some(Present { member: member.clone(), item })
    }
}

impl Room {
    /// Notes that a member has connected. Returns the connection's number.
    pub async fn arrive(&mut self, member: &MemberId) -> u64 {
        self.presence.connections += 1;
        let connection = self.presence.connections;
        self.presence.here.entry(member.clone()).or_default().insert(connection, None);
        self.tell(Notice::Presence);
        self.publish(member, true).await;
        connection
    }

    /// Notes what a connected member looks at, and renews what is kept for them as far as they seem to be
    /// at work.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn look(
        &mut self,
        member: &MemberId,
        connection: u64,
        item: Option<ItemId>,
        idle_seconds: u32,
    ) -> Result<(), RoomError> {
        let item = item.filter(|item| self.places.contains_key(item));
        let here = &mut self.presence.here;
        if let Some(place) = here.get_mut(member).and_then(|all| all.get_mut(&connection)) {
            let moved = *place != item;
            place.clone_from(&item);
            if moved {
                self.tell(Notice::Presence);
            }
            self.publish(member, moved).await;
        }
        let attention = attention(idle_seconds);
        let now = self.clock.now();
        if self.leases.to_renew(member, attention, item.as_ref(), now).is_empty() {
            return Ok(());
        }
        let turn = self.turn().await?;
        let held = self.leases.to_renew(member, attention, item.as_ref(), turn.now());
        let renewed = held.iter().map(|item| Lease::new(item, member, turn.now())).collect();
        self.take(turn, renewed).await
    }

    /// Notes that a connection has ended.
    pub async fn depart(&mut self, member: &MemberId, connection: u64) {
        if let Some(connections) = self.presence.here.get_mut(member) {
            connections.remove(&connection);
            if connections.is_empty() {
                self.presence.here.remove(member);
            }
        }
        self.tell(Notice::Presence);
        self.publish(member, true).await;
    }

    /// Who is here.
    pub fn present(&self) -> Vec<Present> {
        let Presence { here, elsewhere, .. } = &self.presence;
        let here = here.keys().filter_map(|member| self.presence.here(member));
        let mut all: BTreeMap<MemberId, Option<ItemId>> = BTreeMap::new();
        for Present { member, item } in here.chain(elsewhere.iter().cloned()) {
            let place = all.entry(member).or_default();
            *place = place.take().or(item);
        }
        all.into_iter().map(|(member, item)| Present { member, item }).collect()
    }

    /// Looks up who is connected to other servers.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn refresh_presence(&mut self) -> Result<(), StoreError> {
        let elsewhere = self.store.annotation_presence(&self.id).await?;
        if elsewhere != self.presence.elsewhere {
            self.presence.elsewhere = elsewhere;
            self.tell(Notice::Presence);
        }
        Ok(())
    }

    /// Tells other servers of a member's connections with this one. A failure is only noted: who is
    /// there is of less weight than that everything else goes on.
    async fn publish(&self, member: &MemberId, new: bool) {
        let told = match self.presence.here(member) {
            Some(present) => self.store.put_annotation_presence(&self.id, &present, new).await,
            None => self.store.drop_annotation_presence(&self.id, member).await,
        };
        if let Err(error) = told {
            tracing::warn!(project = self.id, code = error.code(), "{error}");
        }
    }
}
