//! Times, durations and states in words, the same on every page. Plain functions, no view.

use crate::api::JobState;

/// A word for the state of a run, for styles and tests.
pub fn state_name(state: Option<JobState>) -> &'static str {
    match state {
        None => "loading",
        Some(JobState::Running) => "running",
        Some(JobState::Paused) => "paused",
        Some(JobState::Done) => "done",
        Some(JobState::Cancelled) => "cancelled",
        Some(JobState::Failed) => "failed",
    }
}

/// Seconds, rounded for people: `12 s`, `2 min`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "a second".to_owned(),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// `2026-11-20T19:40:11Z` as `2026-11-20 19:40 UTC`; anything else as it is.
pub fn minutes(created: &str) -> String {
    match (created.get(..10), created.get(10..11), created.get(11..16)) {
        (Some(day), Some("T"), Some(time)) => format!("{day} {time} UTC"),
        _ => created.to_owned(),
    }
}

/// `1 question`, `2 questions`; thousands are set apart: `12,847 questions`.
pub fn counted(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(number))
}

/// `12847` as `12,847`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_for_people() {
        for (seconds, expect) in
            [(0.2, "a second"), (12.4, "12 s"), (150.0, "2 min"), (9000.0, "2.5 h")]
        {
            assert_eq!(duration(seconds), expect);
        }
    }

    #[test]
    fn times_are_cut_to_minutes() {
        assert_eq!(minutes("2026-11-20T19:40:11.5Z"), "2026-11-20 19:40 UTC");
        assert_eq!(minutes("yesterday"), "yesterday");
    }

    #[test]
    fn numbers_are_counted() {
        for (number, expect) in [
            (0, "0 answers"),
            (1, "1 answer"),
            (999, "999 answers"),
            (1234567, "1,234,567 answers"),
        ] {
            assert_eq!(counted(number, "answer"), expect);
        }
    }
}
