//! The two ways a call can end badly: refused (the caller is told why) or broken (the caller is told a request
//! id, the log gets the chain). The question mark lifts either; they part again in one place, `Engine::call`.

use domain::refusal::Refusal;

/// Something inside broke. The message says what was attempted; the cause is the source.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("storage failed")]
    Store(#[from] store::Fault),
    #[error("a value could not be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("a background computation was cancelled")]
    Cancelled,
    /// Somebody wrote into the storage past this program, or a disk did.
    #[error("what is stored was altered past this program: {0}")]
    Altered(&'static str),
    /// A broken invariant, named.
    #[error("invariant broken: {0}")]
    Bug(&'static str),
}

#[derive(Debug)]
pub enum Stop {
    Refused(Refusal),
    Broken(Fault),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}
impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Broken(fault)
    }
}
impl From<store::Fault> for Stop {
    fn from(fault: store::Fault) -> Stop {
        Stop::Broken(fault.into())
    }
}
impl From<serde_json::Error> for Stop {
    fn from(error: serde_json::Error) -> Stop {
        Stop::Broken(error.into())
    }
}
