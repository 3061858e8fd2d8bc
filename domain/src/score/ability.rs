//! What an adapter costs in general ability: how well it predicts ordinary replies beside the base model.

use serde::{Deserialize, Serialize};

use super::Interval;

/// An adapter's loss on general replies beside the base model's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ability {
    /// Replies.
    pub replies: usize,
    /// Their tokens.
    pub tokens: usize,
    /// Mean loss of the base model, in nats per token.
    pub before: f64,
    /// Mean loss with the adapter.
    pub after: f64,
    /// 95 % paired bootstrap interval of `after - before` over replies.
    pub interval: Option<Interval>,
}

impl Ability {
    /// What the adapter costs, in nats per token; below zero it predicts the replies better.
    pub fn cost(&self) -> f64 {
        self.after - self.before
    }

    /// Whether the adapter predicts the replies worse beyond chance: the interval lies above zero.
    pub fn is_worse(&self) -> bool {
        self.interval.is_some_and(|interval| interval.low > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worse_is_what_lies_above_zero_as_a_whole() {
        let ability = |low, high| Ability {
            replies: 2,
            tokens: 9,
            before: 1.0,
            after: 1.25,
            interval: Some(Interval { low, high }),
        };
        assert_eq!(ability(0.1, 0.4).cost(), 0.25);
        assert!(ability(0.1, 0.4).is_worse());
        assert!(!ability(-0.1, 0.6).is_worse());
        assert!(!Ability { interval: None, ..ability(0.1, 0.4) }.is_worse());
    }
}
