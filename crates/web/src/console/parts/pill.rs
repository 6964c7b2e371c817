//! Words of the closed vocabularies as people see them: a pill with an icon and a word, never colour alone.

use maud::{Markup, html};

use super::icon::{self, Icon};
use super::text;

/// What a state means to somebody who looks for trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Warn,
    Bad,
    Info,
    Quiet,
}

impl Tone {
    /// Class name in the stylesheet.
    pub const fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
            Tone::Info => "info",
            Tone::Quiet => "quiet",
        }
    }
    const fn icon(self) -> Icon {
        match self {
            Tone::Good => icon::CHECK,
            Tone::Warn => icon::ALERT,
            Tone::Bad => icon::CROSS,
            Tone::Info => icon::PROGRESS,
            Tone::Quiet => icon::MINUS,
        }
    }
}

/// The tone of a word. The vocabularies share their words on purpose, so one table serves them all.
pub fn tone(word: &str) -> Tone {
    match word {
        "ready" | "released" | "certified" | "passed" | "pass" | "fresh" | "executed" | "done"
        | "resolved" | "approved" | "completed" | "mitigated" | "closed" | "finalized" => Tone::Good,
        "ready_with_exceptions"
        | "certified_with_exceptions"
        | "stale"
        | "unverified"
        | "pending_approval"
        | "pending"
        | "medium"
        | "missing"
        | "expired"
        | "waived"
        | "excepted"
        | "accepted" => Tone::Warn,
        "not_ready" | "blocked" | "rejected" | "revoked" | "failed" | "fail" | "rolled_back" | "critical"
        | "high" | "decided_rollback" | "open" => Tone::Bad,
        "in_progress" | "in_validation" | "in_review" | "in_remediation" | "collecting_evidence" => {
            Tone::Info
        }
        _ => Tone::Quiet,
    }
}

/// `in_remediation` → `In remediation`.
pub fn human(word: &str) -> String {
    if word == "todo" {
        return "To do".into();
    }
    text::capital(&word.replace('_', " "))
}

/// A state.
pub fn pill(word: &str) -> Markup {
    toned(tone(word), &human(word))
}

/// A pill with words of its own.
pub fn toned(tone: Tone, words: &str) -> Markup {
    let icon = match words {
        "Pending approval" | "Waits for you" | "Waits for others" | "Expired" | "Stale" | "Pending" => {
            icon::CLOCK
        }
        "Critical" | "High" | "Medium" | "Open" => icon::ALERT,
        "Blocking" | "Closed gate" => icon::LOCK,
        _ => tone.icon(),
    };
    html! { span class={ "pill " (tone.class()) } { (icon) (words) } }
}

/// A severity: the word says what it is about.
pub fn severity(severity: domain::severity::Severity) -> Markup {
    toned(tone(severity.as_str()), &human(severity.as_str()))
}

/// Something holds the release.
pub fn blocking() -> Markup {
    toned(Tone::Bad, "Blocking")
}

/// A priority. Only the urgent ones stand out, because a priority is no trouble by itself.
pub fn priority(priority: domain::work::Priority) -> Markup {
    use domain::work::Priority as P;
    let tone = if matches!(priority, P::Critical | P::High) { Tone::Warn } else { Tone::Quiet };
    let icon = if tone == Tone::Warn { icon::ALERT } else { icon::MINUS };
    html! { span class={ "pill " (tone.class()) } { (icon) (human(priority.as_str())) } }
}
