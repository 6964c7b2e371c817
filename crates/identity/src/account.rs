//! Passwords: Argon2id with the parameters OWASP recommends as a minimum (19 MiB, 2 passes, 1 lane), on the blocking
//! pool, a few at a time so that a burst of sign-ins cannot exhaust memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use domain::refusal::{Code, Refusal};
use tokio::sync::OwnedSemaphorePermit;

use crate::{AuthError, HASHES_WAITING_MAX, Identity};

/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The shortest password people may choose.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// The longest; bounds the work of hashing.
pub const PASSWORD_CHARS_MAX: usize = 256;

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// # Errors
/// `validation_failed` for a password that is too short or too long.
pub fn check_password(password: &str) -> Result<(), Refusal> {
    let length = password.chars().count();
    if (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&length) {
        return Ok(());
    }
    Err(Refusal::invalid("password", "must have 12 to 256 characters"))
}

/// Counts a waiting hash for as long as it lives, also when its caller goes away.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Identity {
    /// Waits until this hash may run. A long queue is refused at once rather than served late.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, AuthError> {
        let waiting = &self.parts.hashes_waiting;
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let _place = Waiting(waiting);
        if before >= HASHES_WAITING_MAX {
            let mut refusal = Refusal::new(
                Code::RateLimited,
                "too many sign-ins at the same moment",
                "Wait a few seconds and try again.",
            );
            refusal.retry_after_seconds = Some(5);
            return Err(AuthError::Refused(refusal));
        }
        let hashing = Arc::clone(&self.parts.hashing);
        hashing.acquire_owned().await.map_err(|_| store::Fault::Stopped.into())
    }

    /// Hashes a password for storage.
    pub(crate) async fn hash_password(&self, password: &str) -> Result<String, AuthError> {
        let password = password.to_owned();
        let salt: [u8; 16] = self.random();
        let permit = self.turn().await?;
        let hashed = tokio::task::spawn_blocking(move || {
            let _permit = permit; // held until the work ends, also when nobody waits for it any more
            argon2().hash_password_with_salt(password.as_bytes(), &salt).map(|hash| hash.to_string())
        })
        .await;
        match hashed {
            Ok(Ok(text)) => Ok(text),
            _ => Err(store::Fault::Bug("Argon2 with fixed parameters cannot fail").into()),
        }
    }

    /// Checks a password against a stored hash. With none stored, the same work is done in vain, so that an unknown
    /// e-mail cannot be told from a wrong password by the time it takes.
    pub(crate) async fn verify_password(
        &self,
        password: &str,
        stored: Option<String>,
    ) -> Result<bool, AuthError> {
        let too_long = password.len() > PASSWORD_CHARS_MAX * 4;
        let Some(stored) = stored.filter(|_| !too_long) else {
            self.hash_password("").await?;
            return Ok(false);
        };
        let password = password.to_owned();
        let permit = self.turn().await?;
        let matched = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            PasswordHash::new(&stored)
                .is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await;
        Ok(matched.unwrap_or(false))
    }
}
