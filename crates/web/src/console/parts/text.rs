//! Small pieces of text: times, identifiers to copy, sizes, counts.

use domain::time::Timestamp;
use maud::{Markup, html};

use super::icon;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// `2026-11-23 14:40 UTC`.
pub fn absolute(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
        _ => text,
    }
}

/// `in 3 h`, `5 min ago`. Days are said from 48 hours on, so that a deadline keeps its hours.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.seconds_since(now);
    let size = seconds.abs();
    let (count, word) = match size {
        s if s >= 2 * DAY => (s / DAY, "d"),
        s if s >= HOUR => (s / HOUR, "h"),
        s if s >= MINUTE => (s / MINUTE, "min"),
        _ => return if at <= now { "just now".into() } else { "in less than a minute".into() },
    };
    if seconds < 0 { format!("{count} {word} ago") } else { format!("in {count} {word}") }
}

/// A time: relative for the eye, absolute beside it, exact for machines.
pub fn time(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at) {
            span.relative { (relative(at, now)) } " " span.absolute { "(" (absolute(at)) ")" }
        }
    }
}

/// A time where there is little room: relative, the absolute one on hover.
pub fn brief_time(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title=(absolute(at)) { span.relative { (relative(at, now)) } } }
}

/// Something people paste elsewhere. `name` says what it is; the script adds a button.
pub fn copyable(name: &str, value: impl std::fmt::Display) -> Markup {
    html! { span.copyable { span data-copy=(name) { (value.to_string()) } } }
}

/// The text with a capital first letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A field's name as people say it: `remediationWorkItem` → `Remediation work item`.
pub fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    capital(&words)
}

/// `1 gap`, `3 gaps`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        return format!("1 {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number} {stem}ies"),
        _ => format!("{number} {noun}s"),
    }
}

/// `12.4 kB`.
pub fn bytes(size: u64) -> String {
    match size {
        0..=999 => format!("{size} B"),
        1_000..=999_999 => format!("{}.{} kB", size / 1_000, size % 1_000 / 100),
        _ => format!("{}.{} MB", size / 1_000_000, size % 1_000_000 / 100_000),
    }
}

/// Nothing there, and what that means or what to do.
pub fn empty(what: &str, hint: &str) -> Markup {
    html! { div.empty { strong { (what) } span { (hint) } } }
}

/// The copy icon, kept in the page once for the script.
pub fn copy_template() -> Markup {
    html! { template id="copy-icon" { (icon::COPY) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        let now = Timestamp(1_795_000_000_000_000);
        for (seconds, words) in [
            (0, "just now"),
            (-59, "just now"),
            (30, "in less than a minute"),
            (-60, "1 min ago"),
            (3_600, "in 1 h"),
            (47 * HOUR, "in 47 h"),
            (-49 * HOUR, "2 d ago"),
        ] {
            assert_eq!(relative(now.plus_seconds(seconds), now), words);
        }
        assert_eq!(absolute(Timestamp(0)), "1970-01-01 00:00 UTC");
    }

    #[test]
    fn counts_sizes_and_names() {
        assert_eq!(words("remediationWorkItem"), "Remediation work item");
        assert_eq!(count(1, "gap"), "1 gap");
        assert_eq!(count(2, "story"), "2 stories");
        assert_eq!(count(7, "day"), "7 days");
        assert_eq!(bytes(12_450), "12.4 kB");
    }
}
