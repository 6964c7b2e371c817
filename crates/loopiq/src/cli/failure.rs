//! Errors of a command as people read them: one sentence, then what to do about it. Exit code 2 for wrong usage, which
//! includes wrong settings, 1 for everything else.

use std::process::ExitCode;

use domain::refusal::Refusal;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;

/// An error somebody can act on.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// One sentence, lower case, no full stop.
    pub message: String,
    /// What to do, full sentences.
    pub remedy: String,
    /// Whether the command was used wrongly.
    pub usage: bool,
}

impl Failure {
    /// Something did not work.
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Failure {
        Failure { message: message.into(), remedy: remedy.into(), usage: false }
    }

    /// The command was given something it cannot take.
    pub fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Failure {
        Failure { usage: true, ..Failure::new(message, remedy) }
    }

    /// What people are shown.
    pub fn text(&self) -> String {
        if self.remedy.is_empty() {
            return format!("error: {}", self.message);
        }
        format!("error: {}\nremedy: {}", self.message, self.remedy)
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.usage { 2 } else { 1 })
    }
}

/// The chain of causes as one sentence, with the remedy of the first cause that knows one.
pub fn describe(error: &anyhow::Error) -> Failure {
    let mut message = String::new();
    // A failure given as context is found by anyhow alone, not in the chain.
    let outer = error.downcast_ref::<Failure>();
    let mut remedy = outer.map(|failure| failure.remedy.clone());
    let mut usage = outer.is_some_and(|failure| failure.usage);
    for cause in error.chain() {
        let text = cause.to_string();
        if !message.ends_with(&text) {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&text);
        }
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            remedy = remedy.or_else(|| Some(failure.remedy.clone()));
            usage |= failure.usage;
        } else if let Some(wrong) = cause.downcast_ref::<ConfigError>() {
            remedy = remedy.or_else(|| Some(wrong.remedy()));
            usage = true;
        } else if let Some(fault) = cause.downcast_ref::<store::Fault>() {
            remedy = remedy.or_else(|| remedy_of_fault(fault).map(str::to_owned));
        } else if let Some(refusal) = refusal_in(cause) {
            for detail in &refusal.details {
                message.push_str(&format!("; {} {}", detail.field, detail.message));
            }
            remedy = remedy.or_else(|| Some(remedy_of(refusal)));
            break;
        }
    }
    Failure { message, remedy: remedy.unwrap_or_default(), usage }
}

fn refusal_in<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a Refusal> {
    match cause.downcast_ref::<identity::AuthError>() {
        Some(identity::AuthError::Refused(refusal)) => Some(refusal),
        _ => cause.downcast_ref::<Refusal>(),
    }
}

/// What can be done about a folder or a backup that cannot be used.
fn remedy_of_fault(fault: &store::Fault) -> Option<&'static str> {
    Some(match fault {
        store::Fault::Backup(_) => {
            "Use another backup, or another copy of this one: nothing of it was put in place."
        }
        store::Fault::NotEmpty { .. } => "Name a new or empty folder; nothing is written over.",
        store::Fault::NotWritable { .. } | store::Fault::File { .. } => {
            "Check that the folder is there, that this user may use it, and that the disk is not full."
        }
        _ => return None,
    })
}

/// Remedies of the domain speak to agents; on the command line, the flags are what can be corrected.
fn remedy_of(refusal: &Refusal) -> String {
    use domain::refusal::Code;
    match refusal.code {
        Code::ValidationFailed if !refusal.details.is_empty() => {
            "Correct what is named; --help shows how.".into()
        }
        Code::NotFound => {
            "Check the spelling; `loopiq org list` and `loopiq user list` show what there is.".into()
        }
        _ => refusal.remedy.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, describe};
    use anyhow::Context as _;
    use domain::refusal::Refusal;

    #[test]
    fn the_first_remedy_wins_and_causes_are_one_sentence() {
        let inner: Result<(), Failure> = Err(Failure::usage("no such role", "Use another."));
        let error = inner.context("the member cannot be added").unwrap_err();
        let failure = describe(&error);
        assert_eq!(failure.message, "the member cannot be added: no such role");
        assert_eq!(failure.text().lines().last(), Some("remedy: Use another."));
        assert!(failure.usage);
        let cause = anyhow::Error::new(std::io::Error::other("it rained"));
        let failure = describe(&cause.context(Failure::new("no picnic", "Wait.")));
        assert_eq!(failure.text(), "error: no picnic: it rained\nremedy: Wait.");
        let refusal = Refusal::invalid("days", "must be 1 to 365 days");
        let failure = describe(&identity::AuthError::Refused(refusal).into());
        assert_eq!(failure.message, "the arguments do not fit; days must be 1 to 365 days");
        assert!(!failure.usage);
    }
}
