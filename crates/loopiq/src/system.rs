//! The outside that everything else takes as parameters: the clock, randomness, ids. The only place that reads them.

use domain::id::Ids;
use domain::time::{Clock, Timestamp};
use store::Entropy;
use uuid::Uuid;

/// The machine's clock, in UTC.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            // A system without randomness can keep no secret; going on would be worse than stopping.
            tracing::error!("the operating system gives no randomness");
            std::process::abort();
        }
    }
}

/// UUID v7 from clock and randomness.
pub struct SystemIds;

impl Ids for SystemIds {
    fn next(&self) -> Uuid {
        let now = SystemClock.now().0;
        let mut random = [0_u8; 10];
        SystemEntropy.fill(&mut random);
        let millis = u64::try_from(now / 1_000).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
