//! Sign-ins per key (an e-mail, an address) in a fixed window. An attempt is counted before the password is checked, so
//! that many at once cannot slip by, and given back when it succeeds. In memory and per node: it slows guessing down
//! and must not cost a write; what stops guessing for good is the cost of a hash.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::time::Timestamp;

/// The window in which attempts count.
const WINDOW_SECONDS: i64 = 900;
/// Keys remembered at most. Beyond that, keys whose window has passed are forgotten, and then everything is: better a
/// fresh start than memory without bound.
const KEYS_MAX: usize = 50_000;

/// Attempts of one window, per key.
pub struct Throttle {
    attempts_max: u32,
    attempts: Mutex<HashMap<String, Window>>,
}

#[derive(Clone, Copy)]
struct Window {
    since: Timestamp,
    count: u32,
    /// Whether an attempt of this window was refused already.
    refused: bool,
}

/// Why an attempt is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Full {
    /// Seconds to wait before another.
    pub seconds: u32,
    /// Whether it is the first refused one of the window.
    pub first: bool,
}

impl Throttle {
    /// `attempts_max` of 0 means no limit.
    pub fn new(attempts_max: u32) -> Throttle {
        Throttle { attempts_max, attempts: Mutex::default() }
    }

    /// Counts an attempt, or says how long to wait before another.
    pub fn attempt(&self, key: &str, now: Timestamp) -> Result<(), Full> {
        if self.attempts_max == 0 {
            return Ok(());
        }
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= KEYS_MAX {
            attempts.retain(|_, window| now.seconds_since(window.since) < WINDOW_SECONDS);
            if attempts.len() >= KEYS_MAX {
                attempts.clear();
            }
        }
        let window =
            attempts.entry(key.to_owned()).or_insert(Window { since: now, count: 0, refused: false });
        let passed = now.seconds_since(window.since);
        if passed >= WINDOW_SECONDS {
            *window = Window { since: now, count: 0, refused: false };
        } else if window.count >= self.attempts_max {
            let first = !std::mem::replace(&mut window.refused, true);
            return Err(Full { seconds: u32::try_from(WINDOW_SECONDS - passed).unwrap_or(1), first });
        }
        window.count += 1;
        Ok(())
    }

    /// Gives one attempt back, which was none in hindsight.
    pub fn refund(&self, key: &str) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = attempts.get_mut(key) {
            window.count = window.count.saturating_sub(1);
        }
    }

    /// Gives one attempt back that was refused for the sake of another key; whether it is the first refused one of the window,
    /// where attempts are counted.
    pub fn refuse(&self, key: &str) -> Option<bool> {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let window = attempts.get_mut(key)?;
        window.count = window.count.saturating_sub(1);
        Some(!std::mem::replace(&mut window.refused, true))
    }

    /// Forgets a key: its owner has shown who they are.
    pub fn forget(&self, key: &str) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::{Full, Throttle, WINDOW_SECONDS};
    use domain::time::Timestamp;

    #[test]
    fn counts_within_the_window_only() {
        let throttle = Throttle::new(2);
        let start = Timestamp(0);
        assert_eq!(throttle.attempt("a", start), Ok(()));
        assert_eq!(throttle.attempt("a", start), Ok(()));
        assert_eq!(throttle.attempt("a", start.plus_seconds(100)), Err(Full { seconds: 800, first: true }));
        assert_eq!(throttle.attempt("a", start.plus_seconds(100)), Err(Full { seconds: 800, first: false }));
        assert_eq!(throttle.attempt("b", start), Ok(()), "keys do not share");
        throttle.refund("a");
        assert_eq!(throttle.attempt("a", start), Ok(()));
        assert!(throttle.attempt("a", start).is_err());
        assert_eq!(throttle.attempt("a", start.plus_seconds(WINDOW_SECONDS)), Ok(()));
        throttle.forget("a");
        assert_eq!(throttle.attempt("a", start), Ok(()));
    }

    #[test]
    fn what_is_refused_for_another_key_counts_for_nothing_and_is_first_once() {
        let throttle = Throttle::new(1);
        let start = Timestamp(0);
        for first in [true, false] {
            assert_eq!(throttle.attempt("a", start), Ok(()));
            assert_eq!(throttle.refuse("a"), Some(first));
        }
        assert_eq!(throttle.attempt("a", start), Ok(()));
        assert_eq!(throttle.attempt("a", start), Err(Full { seconds: 900, first: false }));
    }

    #[test]
    fn zero_is_no_limit() {
        let throttle = Throttle::new(0);
        for _ in 0..1000 {
            assert_eq!(throttle.attempt("a", Timestamp(0)), Ok(()));
        }
    }
}
