//! Waiting work of several clients, who take turns: however much one has asked for, another one's
//! single request is next but for one item of each client before it.

use std::collections::VecDeque;

use super::request::ClientId;

/// A queue per client that has something to do; the client at the front is next.
#[derive(Debug)]
pub struct Turns<T> {
    queues: VecDeque<(ClientId, VecDeque<T>)>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { queues: VecDeque::new() }
    }
}

impl<T> Turns<T> {
    /// Puts `item` behind the client's others, and a client who has none behind the other clients.
    pub fn push(&mut self, client: &ClientId, item: T) {
        match self.queues.iter_mut().find(|(other, _)| other == client) {
            Some((_, queue)) => queue.push_back(item),
            None => self.queues.push_back((client.clone(), VecDeque::from([item]))),
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Number of items that wait.
    pub fn len(&self) -> usize {
        self.queues.iter().map(|(_, queue)| queue.len()).sum()
    }

    /// Number of clients that have an item here.
    pub fn clients(&self) -> usize {
        self.queues.len()
    }

    /// Each client with the next of its items, in the order of their turns. Where an item stands here
    /// is its number for [`Self::take`].
    pub fn fronts(&self) -> impl Iterator<Item = (&ClientId, &T)> {
        self.queues.iter().filter_map(|(client, queue)| Some((client, queue.front()?)))
    }

    /// The item with that number.
    pub fn front_mut(&mut self, turn: usize) -> Option<&mut T> {
        self.queues.get_mut(turn)?.1.front_mut()
    }

    /// Takes the item with that number out; its client goes to the back.
    pub fn take(&mut self, turn: usize) -> Option<T> {
        let (client, mut queue) = self.queues.remove(turn)?;
        let item = queue.pop_front();
        if !queue.is_empty() {
            self.queues.push_back((client, queue));
        }
        item
    }

    /// Takes the first item that `may` go, of the first client who has one; that client goes to the
    /// back.
    pub fn take_first(&mut self, may: impl Fn(&T) -> bool) -> Option<T> {
        let place_in = |(_, queue): &(ClientId, VecDeque<T>)| queue.iter().position(&may);
        let mut places = self.queues.iter().map(place_in).enumerate();
        let (turn, place) = places.find_map(|(turn, place)| Some((turn, place?)))?;
        let (client, mut queue) = self.queues.remove(turn)?;
        let item = queue.remove(place);
        if !queue.is_empty() {
            self.queues.push_back((client, queue));
        }
        item
    }

    /// All items, in no order that means anything.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.queues.iter().flat_map(|(_, queue)| queue)
    }

    /// Takes every item out that is `gone`; the others keep their order.
    pub fn extract(&mut self, gone: impl Fn(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for (_, queue) in &mut self.queues {
            for item in std::mem::take(queue) {
                if gone(&item) { taken.push(item) } else { queue.push_back(item) }
            }
        }
        self.queues.retain(|(_, queue)| !queue.is_empty());
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clients(count: usize) -> Vec<ClientId> {
        (0..count).map(|number| ClientId::new(&number.to_string())).collect()
    }

    #[test]
    fn one_item_waits_for_one_of_each_other_client() {
        let mut turns = Turns::default();
        let names = clients(2);
        (0..200).for_each(|number| turns.push(&names[0], (0, number)));
        turns.push(&names[1], (1, 0));
        let order: Vec<_> = std::iter::from_fn(|| turns.take(0)).collect();
        assert_eq!(order[..3], [(0, 0), (1, 0), (0, 1)]);
        assert_eq!(order.len(), 201);
        assert!(turns.is_empty());
    }

    #[test]
    fn a_client_that_is_passed_over_stays_in_front() {
        let mut turns = Turns::default();
        let names = clients(2);
        turns.push(&names[0], 'a');
        turns.push(&names[1], 'b');
        turns.push(&names[1], 'c');
        assert_eq!(turns.fronts().collect::<Vec<_>>(), [(&names[0], &'a'), (&names[1], &'b')]);
        assert_eq!(turns.take(1), Some('b'));
        assert_eq!(turns.fronts().collect::<Vec<_>>(), [(&names[0], &'a'), (&names[1], &'c')]);
        *turns.front_mut(0).unwrap() = 'd';
        assert_eq!(turns.front_mut(2), None);
        assert_eq!(turns.take(7), None);
        assert_eq!((turns.take(0), turns.clients(), turns.len()), (Some('d'), 1, 1));
    }

    #[test]
    fn an_item_that_may_not_go_yet_lets_others_of_its_client_go() {
        let mut turns = Turns::default();
        let names = clients(2);
        for (client, item) in [(0, 1), (0, 2), (1, 3), (0, 4)] {
            turns.push(&names[client], item);
        }
        assert_eq!(turns.take_first(|item| *item != 1), Some(2));
        assert_eq!(turns.take_first(|item| *item != 1), Some(3), "the other client's turn");
        assert_eq!(turns.take_first(|item| *item != 1), Some(4));
        assert_eq!(turns.take_first(|item| *item != 1), None);
        assert_eq!(turns.all().collect::<Vec<_>>(), [&1]);
        assert_eq!(turns.take_first(|_| true), Some(1));
        assert!(turns.is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_client_waits_for_two_of_another(
            pushed in prop::collection::vec(0_usize..5, 1..60),
            dropped in 0_usize..7,
        ) {
            let names = clients(5);
            let mut turns = Turns::default();
            for (number, &client) in pushed.iter().enumerate() {
                turns.push(&names[client], (client, number));
            }
            let gone = turns.extract(|(_, number)| number % 7 == dropped);
            prop_assert!(gone.iter().all(|(_, number)| number % 7 == dropped));
            prop_assert_eq!(gone.len() + turns.len(), pushed.len());
            let order: Vec<_> = std::iter::from_fn(|| turns.take(0)).collect();
            prop_assert_eq!(gone.len() + order.len(), pushed.len());
            for client in 0..5 {
                let places: Vec<usize> =
                    (0..order.len()).filter(|&place| order[place].0 == client).collect();
                for pair in places.windows(2) {
                    prop_assert!(order[pair[0]].1 < order[pair[1]].1, "own order");
                    let between = &order[pair[0] + 1..pair[1]];
                    for other in (0..5).filter(|other| *other != client) {
                        prop_assert!(between.iter().filter(|item| item.0 == other).count() <= 1);
                    }
                }
            }
        }
    }
}
