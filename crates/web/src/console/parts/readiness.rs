//! Readiness as a picture: a ring for the score, shares for the controls, and the same facts in words.

use domain::certification::{Readiness, Verdict};
use maud::{Markup, html};

use super::pill::{self, Tone};

/// Length of the ring's line: 2π · 42.
const RING: f64 = 263.89;

const fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Ready => Tone::Good,
        Verdict::ReadyWithExceptions => Tone::Warn,
        Verdict::NotReady => Tone::Bad,
    }
}

/// The ring. Starts at twelve o'clock; the drawn part is the score.
pub fn donut(readiness: Readiness) -> Markup {
    let drawn = RING * f64::from(readiness.score.min(100)) / 100.0;
    html! {
        svg.donut viewBox="0 0 100 100" role="img" aria-labelledby="readiness-title readiness-desc" {
            title id="readiness-title" { "Readiness " (readiness.score) " of 100" }
            desc id="readiness-desc" {
                "A ring filled to " (readiness.score) " percent. Verdict: " (pill::human(readiness.verdict.as_str())) "."
            }
            circle.track cx="50" cy="50" r="42" fill="none" stroke-width="10" {}
            @if readiness.score > 0 {
                circle class={ "part " (tone(readiness.verdict).class()) } cx="50" cy="50" r="42" fill="none"
                    stroke-width="10" stroke-linecap="round" transform="rotate(-90 50 50)"
                    stroke-dasharray={ (format!("{drawn:.2}")) " " (RING) } {}
            }
            text.score x="50" y="57" text-anchor="middle" { (readiness.score) }
            text.unit x="50" y="71" text-anchor="middle" { "of 100" }
        }
    }
}

/// A small bar with the score, for tables.
pub fn bar(readiness: Readiness) -> Markup {
    html! {
        span.meter {
            svg.mini viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
                rect.track width="100" height="8" rx="4" {}
                rect class={ (tone(readiness.verdict).class()) "-fill" } width=(readiness.score.min(100)) height="8" rx="4" {}
            }
            span.small { (readiness.score) }
        }
    }
}

/// One part of a whole.
#[derive(Debug)]
pub struct Share {
    pub word: &'static str,
    pub count: usize,
    pub tone: Tone,
}

/// A bar cut into shares, with a legend that says the numbers.
pub fn shares(name: &str, shares: &[Share]) -> Markup {
    let total: usize = shares.iter().map(|s| s.count).sum();
    let mut at = 0;
    html! {
        @if total > 0 {
            svg.shares viewBox={ "0 0 " (total * 100) " 10" } preserveAspectRatio="none" role="img" aria-label=(name) {
                @for share in shares.iter().filter(|s| s.count > 0) {
                    rect class={ (share.tone.class()) "-fill" } x=(at * 100) width=(share.count * 100) height="10" {}
                    @let () = { at += share.count; };
                }
            }
        }
        p.legend {
            @for share in shares.iter().filter(|s| s.count > 0) { span { b { (share.count) } " " (share.word) } }
        }
    }
}
