//! Progress of a job on standard error: one moving line on a terminal, a line per twentieth
//! elsewhere; and the interrupt that stops it between two batches.

use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use app::api::method_run::Whole;

use super::serve::stopped;
use crate::jobs::Progress;

/// Prints progress and hears an interrupt.
pub(super) struct Reporter {
    stop: Arc<AtomicBool>,
    terminal: bool,
    last: Option<(String, usize)>,
}

impl Reporter {
    /// Listens for an interrupt from now on; call it inside the runtime.
    pub(super) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        tokio::spawn(async move {
            stopped().await;
            eprintln!("\nstopping after what is at work; a second interrupt ends at once");
            flag.store(true, Ordering::Relaxed);
            stopped().await;
            std::process::exit(130);
        });
        Self { stop, terminal: std::io::stderr().is_terminal(), last: None }
    }

    /// Tells where a step stands; breaks after an interrupt.
    pub(super) fn tell(&mut self, progress: &Progress) -> ControlFlow<()> {
        let twentieth = progress.done * 20 / progress.total.max(1);
        let told = Some((progress.step.clone(), twentieth));
        if self.terminal {
            let end = if progress.done == progress.total { "\n" } else { "" };
            eprint!("\r\x1b[K{}{end}", line(progress));
            let _ = std::io::stderr().flush();
        } else if self.last != told {
            eprintln!("{}", line(progress));
        }
        self.last = told;
        match self.stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// `elicit: 120 of 900, 1:30 left`; where a step has parts: `tune joint: 3 of 9, 0:20 left; 0 of 4 adapters
/// done, 21 updates left, 1:10`.
fn line(progress: &Progress) -> String {
    let Progress { step, done, total, .. } = progress;
    let mut line = format!("{step}: {done} of {total}");
    if let Some(seconds) = progress.remaining_seconds.filter(|_| done < total) {
        line.push_str(&format!(", {} left", clock(seconds)));
    }
    if let Some(whole) = &progress.whole {
        let Whole { parts_done, parts, rest, remaining_seconds } = whole;
        line.push_str(&format!("; {parts_done} of {parts} adapters done, {rest} updates left"));
        if let Some(seconds) = remaining_seconds {
            line.push_str(&format!(", {}", clock(*seconds)));
        }
    }
    line
}

/// `1:30`.
fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_how_long_it_takes() {
        for (done, remaining_seconds, expect) in [
            (0, None, "elicit: 0 of 9"),
            (3, Some(95.2), "elicit: 3 of 9, 1:35 left"),
            (9, Some(0.0), "elicit: 9 of 9"),
        ] {
            let step = "elicit".to_owned();
            let progress =
                Progress { step, done, total: 9, remaining_seconds, update: None, whole: None };
            assert_eq!(line(&progress), expect);
        }
        let whole =
            Some(Whole { parts_done: 1, parts: 4, rest: 21, remaining_seconds: Some(70.0) });
        let step = "tune THA".to_owned();
        let progress =
            Progress { step, done: 9, total: 9, remaining_seconds: Some(0.0), update: None, whole };
        assert_eq!(
            line(&progress),
            "tune THA: 9 of 9; 1 of 4 adapters done, 21 updates left, 1:10"
        );
    }
}
