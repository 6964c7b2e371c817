//! Failed sign-ins per key (an e-mail, an address) in a sliding window. In memory and per node: it slows guessing down
//! and must not cost a write; what stops guessing for good is the cost of a hash.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::time::Timestamp;

/// The window in which failures count.
const WINDOW_SECONDS: i64 = 900;
/// Keys remembered at most; beyond that the memory is cleared rather than grown.
const KEYS_MAX: usize = 50_000;

pub struct Throttle {
    failures_max: u32,
    failures: Mutex<HashMap<String, (Timestamp, u32)>>,
}

impl Throttle {
    pub fn new(failures_max: u32) -> Throttle {
        Throttle { failures_max, failures: Mutex::default() }
    }

    /// Seconds to wait before another try under this key; 0 when one is allowed.
    pub fn wait_seconds(&self, key: &str, now: Timestamp) -> u32 {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get(key) {
            Some((since, count)) if *count >= self.failures_max => {
                let left = WINDOW_SECONDS - now.seconds_since(*since);
                u32::try_from(left).unwrap_or(0)
            }
            _ => 0,
        }
    }

    pub fn failed(&self, key: &str, now: Timestamp) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= KEYS_MAX {
            failures.clear();
        }
        let entry = failures.entry(key.to_owned()).or_insert((now, 0));
        if now.seconds_since(entry.0) >= WINDOW_SECONDS {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }

    pub fn succeeded(&self, key: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
