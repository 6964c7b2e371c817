//! Places at which a test ends the process at once, as a power cut would: before and after every step of a write. Which one is
//! told by the variable `LOOPIQ_CRASH_AT` as `kind/place/n`: the n-th time that a write of this kind comes by there.
//! Builds without debug assertions have none of it.

use crate::write::Ready;

/// Places of a write, in their order. [`STEP`] is passed after each of its statements.
pub const RECEIVED: &str = "received";
pub const BEGUN: &str = "begun";
pub const STEP: &str = "step";
pub const APPLIED: &str = "applied";
pub const COMMITTED: &str = "committed";
pub const TOLD: &str = "told";

#[cfg(debug_assertions)]
mod plan {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    pub struct Plan {
        pub kind: String,
        place: String,
        nth: u32,
        passed: AtomicU32,
    }

    #[expect(clippy::disallowed_methods, reason = "a setting that no user has: tests of debug builds only")]
    pub static PLAN: LazyLock<Option<Plan>> = LazyLock::new(|| {
        let text = std::env::var("LOOPIQ_CRASH_AT").ok()?;
        let mut parts = text.split('/').map(str::to_owned);
        let (kind, place) = (parts.next()?, parts.next()?);
        Some(Plan { kind, place, nth: parts.next()?.parse().ok()?, passed: AtomicU32::new(0) })
    });

    impl Plan {
        pub fn pass(&self, place: &str) {
            if self.place == place && self.passed.fetch_add(1, Ordering::Relaxed) + 1 == self.nth {
                std::process::abort();
            }
        }
    }
}

/// Whether something that is being written is what a test waits for.
#[derive(Debug, Clone, Copy)]
pub struct Watch(bool);

impl Watch {
    /// A write is called by the kind of its last record, or else by its first statement.
    pub fn of(write: &Ready) -> Watch {
        let first = || write.steps.first().map_or("", |s| s.sql.name.trim_start_matches("store::tables::"));
        Watch::named(write.entries.last().map_or_else(first, |entry| entry.kind.as_str()))
    }

    /// The writes of a group pass its places together.
    pub fn group<'a>(mut writes: impl Iterator<Item = &'a Ready>) -> Watch {
        Watch(writes.any(|write| Watch::of(write).0))
    }

    #[cfg(debug_assertions)]
    pub fn named(kind: &str) -> Watch {
        Watch(plan::PLAN.as_ref().is_some_and(|plan| plan.kind == kind))
    }
    #[cfg(not(debug_assertions))]
    pub const fn named(_: &str) -> Watch {
        Watch(false)
    }

    #[cfg(debug_assertions)]
    pub fn pass(self, place: &str) {
        if let Some(plan) = plan::PLAN.as_ref().filter(|_| self.0) {
            plan.pass(place);
        }
    }
    #[cfg(not(debug_assertions))]
    #[expect(clippy::unused_self, reason = "the same call in every build")]
    pub const fn pass(self, _: &str) {}
}
