//! Who may queue work: a fixed number of places in all, and fewer for a single client.
//!
//! A request takes its places before anything else is done for it, or is refused at once; so what
//! waits is bounded however many ask. In which order it is served is [`super::turns`]' work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::EngineError;
use super::request::ClientId;

/// Places for one kind of work.
#[derive(Debug)]
pub struct Places {
    limit: usize,
    client_limit: usize,
    unit: &'static str,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    /// Clients that hold a place, and how many.
    clients: HashMap<ClientId, usize>,
}

impl Places {
    /// `limit` places, of which one client gets at most `client_limit`. `unit` names what takes
    /// them: `replies`.
    pub fn new(limit: usize, client_limit: usize, unit: &'static str) -> Arc<Self> {
        Arc::new(Self { limit, client_limit, unit, taken: Mutex::default() })
    }

    /// Takes `count` places, or none.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`] or [`EngineError::ClientBusy`], which hand on `retry_after`.
    pub fn take(
        self: &Arc<Self>,
        client: &ClientId,
        count: usize,
        retry_after: Duration,
    ) -> Result<Vec<Place>, EngineError> {
        let unit = self.unit;
        let mut taken = self.lock();
        let own = taken.clients.get(client).copied().unwrap_or_default();
        if own + count > self.client_limit {
            let limit = self.client_limit;
            return Err(EngineError::ClientBusy { retry_after, limit, unit });
        }
        if taken.total + count > self.limit {
            return Err(EngineError::Overloaded { retry_after, limit: self.limit, unit });
        }
        if count > 0 {
            taken.total += count;
            taken.clients.insert(client.clone(), own + count);
        }
        let place = || Place { places: Arc::clone(self), client: client.clone() };
        Ok(std::iter::repeat_with(place).take(count).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Places that nobody holds.
    #[cfg(test)]
    pub fn free(&self) -> usize {
        self.limit - self.lock().total
    }
}

/// A place held; it is given back when this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    client: ClientId,
}

impl Place {
    /// Who holds it.
    pub fn client(&self) -> &ClientId {
        &self.client
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.total -= 1;
        if let Some(own) = taken.clients.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                taken.clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_leaves_places_to_others() {
        let places = Places::new(5, 3, "replies");
        let (one, other) = (ClientId::new("one"), ClientId::new("other"));
        let third = ClientId::new("third");
        let take = |client, count| places.take(client, count, Duration::from_secs(2));
        let held = take(&one, 3).unwrap();
        match take(&one, 1).unwrap_err() {
            EngineError::ClientBusy { limit: 3, unit: "replies", .. } => {}
            error => panic!("{error}"),
        }
        let others = take(&other, 2).unwrap();
        match take(&third, 1).unwrap_err() {
            EngineError::Overloaded { limit: 5, .. } => {}
            error => panic!("{error}"),
        }
        drop((held, others));
        assert_eq!(places.free(), 5);
        assert!(places.lock().clients.is_empty(), "clients that left are forgotten");
        assert!(take(&one, 3).is_ok());
    }

    #[test]
    fn a_request_gets_all_of_its_places_or_none() {
        let places = Places::new(4, 4, "replies");
        let client = ClientId::new("one");
        assert!(places.take(&client, 5, Duration::ZERO).is_err());
        assert_eq!(places.free(), 4);
        let mut held = places.take(&client, 4, Duration::ZERO).unwrap();
        assert!(held.pop().is_some_and(|place| *place.client() == client));
        assert_eq!(places.free(), 1);
    }
}
