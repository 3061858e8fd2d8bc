//! Learning rates over a run. A schedule is a pure function of the position, so a resumed run needs
//! no state, and a run may be given another end while it is under way.

use domain::method::Schedule;
use serde::{Deserialize, Serialize};

/// Linear warm-up, then what the schedule says, counted in updates. The paper tunes with a cosine after a
/// tenth of warm-up (section 4.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WarmedUp {
    /// What comes after the warm-up.
    pub schedule: Schedule,
    /// Updates in the whole run.
    pub steps: u64,
    /// Share of the updates that warm up, 0..1.
    pub warmup: f64,
}

impl WarmedUp {
    /// Factor of the peak rate for update `step`, counted from 0. The first update of a warm-up of
    /// w updates has factor 1/w (not 0, which would waste it) and the first one after it 1.
    pub fn factor(&self, step: u64) -> f64 {
        let warmup = (self.steps as f64 * self.warmup).ceil() as u64;
        if step < warmup {
            return (step + 1) as f64 / warmup as f64;
        }
        let done = (step - warmup) as f64 / (self.steps - warmup).max(1) as f64;
        let done = done.min(1.0);
        match self.schedule {
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Schedule::Linear => 1.0 - done,
            Schedule::Constant => 1.0,
        }
    }
}

/// Warm-up, a stable part, and a decay to zero, counted in tokens (training from scratch).
///
/// The stable part has no planned end: a decay may start from any checkpoint, so that a run can be
/// cut to the time there is. The decay is 1 - sqrt(share done), after Hägele et al., "Scaling Laws
/// and Compute-Optimal Training Beyond Fixed Training Durations", arXiv 2405.18392, section 3.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WarmupStableDecay {
    /// Tokens of linear warm-up.
    pub warmup: u64,
    /// Tokens after which the decay begins.
    pub decay_from: u64,
    /// Tokens of the whole run; the rate is zero there.
    pub tokens: u64,
}

impl WarmupStableDecay {
    /// Factor of the peak rate after `seen` tokens.
    pub fn factor(&self, seen: u64) -> f64 {
        if seen < self.warmup {
            return (seen as f64 / self.warmup as f64).max(0.01);
        }
        if seen < self.decay_from {
            return 1.0;
        }
        let length = self.tokens.saturating_sub(self.decay_from).max(1) as f64;
        1.0 - ((seen - self.decay_from) as f64 / length).min(1.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_by_table() {
        let after = |schedule, steps, warmup| WarmedUp { schedule, steps, warmup };
        let schedule = after(Schedule::Cosine, 12, 0.1);
        for (step, factor) in [
            (0, 0.5),
            (1, 1.0),
            (2, 1.0),
            (7, 0.5),
            (11, 0.024_471_741_852_423_234),
            (12, 0.0),
            (99, 0.0),
        ] {
            assert!((schedule.factor(step) - factor).abs() < 1e-12, "{step}");
        }
        for schedule in Schedule::ALL {
            assert_eq!(after(schedule, 1, 0.1).factor(0), 1.0);
            assert_eq!(after(schedule, 3, 0.0).factor(0), 1.0);
            assert_eq!(after(schedule, 12, 0.1).factor(0), 0.5, "all warm up alike");
        }
        let (linear, constant) =
            (after(Schedule::Linear, 12, 0.1), after(Schedule::Constant, 12, 0.1));
        for (step, line) in [(2, 1.0), (7, 0.5), (12, 0.0), (99, 0.0)] {
            assert!((linear.factor(step) - line).abs() < 1e-12, "{step}");
            assert_eq!(constant.factor(step), 1.0);
        }
    }

    #[test]
    fn warmup_stable_decay_by_table() {
        let schedule = WarmupStableDecay { warmup: 100, decay_from: 600, tokens: 1000 };
        for (seen, factor) in [
            (0, 0.01),
            (50, 0.5),
            (100, 1.0),
            (599, 1.0),
            (600, 1.0),
            (700, 0.5),
            (1000, 0.0),
            (2000, 0.0),
        ] {
            assert!((schedule.factor(seen) - factor).abs() < 1e-12, "{seen}");
        }
    }
}
