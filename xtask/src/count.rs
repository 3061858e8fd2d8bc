//! Reading how many tests passed and failed out of what the test runners print.

/// A number of passed and of failed tests or checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Passed.
    pub passed: usize,
    /// Failed, timed out or died.
    pub failed: usize,
}

impl Count {
    /// A single check.
    pub fn one(passed: bool) -> Self {
        Self { passed: usize::from(passed), failed: usize::from(!passed) }
    }

    /// Both counts together.
    pub fn plus(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

/// The tests counted in the output of `cargo nextest run`, `cargo test` or our own table runner.
///
/// nextest shows what a failed test printed, which is the other harness's summary of that one test:
/// where nextest summarises, only its own words count.
pub fn tests(lines: &[String]) -> Count {
    let nextest = lines.iter().any(|line| line.trim().starts_with(NEXTEST_SUMMARY));
    let counted = lines.iter().filter(|line| !nextest || line.trim().starts_with(NEXTEST_SUMMARY));
    counted.filter_map(|line| summary(line)).fold(Count::default(), Count::plus)
}

/// How nextest's summary begins.
const NEXTEST_SUMMARY: &str = "Summary [";

/// The counts of a summary line: `Summary [ 1.0s] 3 tests run: 2 passed, 1 failed, 0 skipped` of
/// nextest or `test result: ok. 2 passed; 0 failed; ...` of the standard harness.
fn summary(line: &str) -> Option<Count> {
    let line = line.trim();
    let counts = match line.strip_prefix("test result:") {
        Some(rest) => rest.split_once(". ")?.1,
        None => line.strip_prefix(NEXTEST_SUMMARY)?.split_once(" run: ")?.1,
    };
    let mut count = Count::default();
    for part in counts.split([',', ';']) {
        let mut words = part.split_whitespace();
        let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        match what {
            "passed" => count.passed += number,
            "failed" | "timed" | "exec" => count.failed += number,
            _ => {}
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_are_understood() {
        let table = [
            ("     Summary [   0.010s] 5 tests run: 4 passed, 1 failed, 2 skipped", 4, 1),
            (
                "Summary [ 61.0s] 9 tests run: 7 passed (1 slow), 1 failed, 1 timed out, 0 skipped",
                7,
                2,
            ),
            ("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out", 12, 0),
            ("test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured", 2, 3),
            ("   Compiling passed v0.1.0", 0, 0),
        ];
        for (line, passed, failed) in table {
            assert_eq!(tests(&[line.to_owned()]), Count { passed, failed }, "{line}");
        }
    }

    #[test]
    fn a_failed_test_is_not_counted_again_from_its_own_output() {
        let lines = [
            "test result: FAILED. 0 passed; 1 failed;",
            "Summary [ 1.0s] 2 tests run: 1 passed, 1 failed",
        ];
        assert_eq!(tests(&lines.map(str::to_owned)), Count { passed: 1, failed: 1 });
    }
}
