//! How much of step 4 lies ahead: all adapters together, from the updates that each will take.

use app::api::method_run::Whole;
use domain::method::AdapterTarget;

/// Adapters that aren't tuned yet.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Adapters of the run.
    pub parts: usize,
    /// Those to come with their updates, the one at work included.
    pub waiting: Vec<(AdapterTarget, usize)>,
    /// Seconds an update takes, as last measured.
    pub pace: Option<f64>,
}

impl Ahead {
    /// An adapter is tuned now: it stands first.
    pub fn begin(&mut self, target: AdapterTarget) {
        self.waiting.sort_by_key(|(waiting, _)| *waiting != target);
    }

    /// An adapter is done.
    pub fn end(&mut self, target: AdapterTarget) {
        self.waiting.retain(|(waiting, _)| *waiting != target);
    }

    /// All parts, when the one at work has done so many of its updates and estimates its rest at so many
    /// seconds. Updates of other adapters are taken to be as long as its own.
    pub fn at(&mut self, done: usize, total: usize, remaining_seconds: Option<f64>) -> Whole {
        let own = total.saturating_sub(done);
        if let Some(seconds) = remaining_seconds.filter(|_| own > 0) {
            self.pace = Some(seconds / own as f64);
        }
        let others: usize = self.waiting.iter().skip(1).map(|(_, updates)| updates).sum();
        let rest = own + others;
        Whole {
            parts_done: self.parts - self.waiting.len(),
            parts: self.parts,
            rest,
            remaining_seconds: self.pace.map(|pace| pace * rest as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_counts_every_adapter_to_come() {
        let specific = |code: &str| AdapterTarget::Specific(code.parse().unwrap());
        let (joint, thai, kenyan) = (AdapterTarget::Joint, specific("THA"), specific("KEN"));
        let waiting = vec![(joint, 100), (thai, 10), (kenyan, 20)];
        let mut ahead = Ahead { parts: 4, waiting, pace: None };
        ahead.begin(joint);
        let whole = ahead.at(0, 100, None);
        assert_eq!((whole.parts_done, whole.parts, whole.rest), (1, 4, 130));
        assert_eq!(whole.remaining_seconds, None, "nothing is known before the first update");
        let whole = ahead.at(50, 100, Some(100.0));
        assert_eq!((whole.rest, whole.remaining_seconds), (80, Some(160.0)));
        // The last update leaves the pace for the next adapter.
        assert_eq!(ahead.at(100, 100, Some(0.0)).remaining_seconds, Some(60.0));
        ahead.end(joint);
        ahead.begin(kenyan);
        let whole = ahead.at(5, 20, Some(15.0));
        assert_eq!((whole.parts_done, whole.rest), (2, 25));
        assert_eq!(whole.remaining_seconds, Some(25.0));
    }
}
