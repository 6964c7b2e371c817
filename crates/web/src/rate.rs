//! How often one credential may call: all requests together, and tools that write on their own. Limits are per
//! process and per credential, so that one runaway client cannot starve others; sign-in has its own limits in the
//! identity crate.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::id::{IdentityProviderId, SessionId, TokenId, UserId};
use domain::refusal::{Code, Refusal};
use domain::time::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use identity::{Actor, Credential};

use crate::Settings;

/// Credentials that have been quiet are forgotten after this many checks.
const SWEEP_EVERY: u32 = 4096;

/// The credential that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    Token(TokenId),
    Outside(IdentityProviderId, UserId),
    Session(SessionId),
    Local(UserId),
}

impl Key {
    pub fn of(actor: &Actor) -> Key {
        match actor.credential {
            Credential::Token(id) | Credential::Client(id) => Key::Token(id),
            Credential::Outside(id) => Key::Outside(id, actor.user_id),
            Credential::Session { id } => Key::Session(id),
            Credential::Local => Key::Local(actor.user_id),
        }
    }
}

/// The injected clock, as the limiter wants it.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl governor::clock::Clock for Ticks {
    type Instant = Nanos;
    fn now(&self) -> Nanos {
        Nanos::new(u64::try_from(self.0.now().0).unwrap_or(0).saturating_mul(1000))
    }
}

type Limiter = RateLimiter<Key, DashMapStateStore<Key>, Ticks, NoOpMiddleware<Nanos>>;

/// The two limits.
pub struct Rate {
    calls: Option<Limiter>,
    writes: Option<Limiter>,
    clock: Ticks,
    checks: AtomicU32,
}

impl Rate {
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Rate {
        let clock = Ticks(clock);
        let limiter = |per_minute: u32| {
            let quota = Quota::per_minute(NonZeroU32::new(per_minute)?);
            Some(RateLimiter::dashmap_with_clock(quota, clock.clone()))
        };
        Rate {
            calls: limiter(settings.calls_per_minute),
            writes: limiter(settings.writes_per_minute),
            clock: clock.clone(),
            checks: AtomicU32::new(0),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// `rate_limited` with the seconds to wait.
    pub fn call(&self, actor: &Actor) -> Result<(), Refusal> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            for limiter in [&self.calls, &self.writes].into_iter().flatten() {
                limiter.retain_recent();
                limiter.shrink_to_fit();
            }
        }
        self.check(self.calls.as_ref(), actor, "requests")
    }

    /// Counts a call of a tool that writes.
    ///
    /// # Errors
    /// `rate_limited` with the seconds to wait.
    pub fn write(&self, actor: &Actor) -> Result<(), Refusal> {
        self.check(self.writes.as_ref(), actor, "writes")
    }

    fn check(&self, limiter: Option<&Limiter>, actor: &Actor, what: &str) -> Result<(), Refusal> {
        let Some(limiter) = limiter else { return Ok(()) };
        let Err(not_until) = limiter.check_key(&Key::of(actor)) else { return Ok(()) };
        let wait = not_until.wait_time_from(governor::clock::Clock::now(&self.clock));
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let mut refusal = Refusal::new(
            Code::RateLimited,
            format!("too many {what} in one minute under this credential"),
            "Wait as long as Retry-After says, then repeat the request.",
        );
        refusal.retry_after_seconds = Some(seconds);
        Err(refusal)
    }
}
