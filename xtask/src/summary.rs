//! What test runners say at their end, as numbers.

use std::ops::AddAssign;

/// How many tests passed and how many did not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Reads the last summary line of nextest:
/// `     Summary [   1.234s] 9/10 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 3 skipped`.
/// Tests which were selected and did not run count as failed.
pub fn nextest(said: &str) -> Option<Count> {
    let line = said.lines().rev().map(str::trim).find(|line| line.starts_with("Summary ["))?;
    let (run, counts) = line.split_once("] ")?.1.split_once(": ")?;
    let run = run.split_whitespace().next()?;
    let (ran, selected) = run.split_once('/').unwrap_or((run, run));
    let (ran, selected): (u64, u64) = (ran.parse().ok()?, selected.parse().ok()?);
    let passed = counts.split(", ").find_map(|part| number(part, "passed")).unwrap_or(0);
    let failed = selected.max(ran).checked_sub(passed)?;
    Some(Count { passed, failed })
}

/// Adds up the result lines of cargo's own runner: `test result: ok. 3 passed; 0 failed; 0 ignored; ...`.
pub fn libtest(said: &str) -> Count {
    let mut total = Count::default();
    for line in said.lines().filter_map(|line| line.trim().strip_prefix("test result: ")) {
        for part in line.split(['.', ';']) {
            total.passed += number(part, "passed").unwrap_or(0);
            total.failed += number(part, "failed").unwrap_or(0);
        }
    }
    total
}

fn number(part: &str, word: &str) -> Option<u64> {
    let mut words = part.split_whitespace();
    let count = words.next()?.parse().ok()?;
    (words.next()? == word).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::{Count, libtest, nextest};

    #[test]
    fn nextest_lines() {
        let cases = [
            ("     Summary [   0.012s] 5 tests run: 5 passed, 0 skipped", Some((5, 0))),
            ("Summary [  1.2s] 1 test run: 1 passed (1 slow), 3 skipped", Some((1, 0))),
            (
                "  Summary [1.2s] 10 tests run: 7 passed (1 leaky), 2 failed, 1 timed out, 3 skipped",
                Some((7, 3)),
            ),
            ("  Summary [1.2s] 4/10 tests run: 3 passed, 1 failed, 0 skipped", Some((3, 7))),
            ("  Summary [1.2s] 2 tests run: 0 passed, 2 failed, 0 skipped", Some((0, 2))),
            ("  Summary [1.2s] 0 tests run: 0 passed, 4 skipped", Some((0, 0))),
            ("error: could not compile `web`", None),
        ];
        for (line, expected) in cases {
            let count = nextest(&format!("------\n{line}\n  FAIL something\n"));
            assert_eq!(count, expected.map(|(passed, failed)| Count { passed, failed }), "{line}");
        }
    }

    #[test]
    fn libtest_lines_add_up() {
        let said = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\
                    x\ntest result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(libtest(said), Count { passed: 4, failed: 2 });
        assert_eq!(libtest(""), Count::default());
    }
}
