//! Pictures of how things went: readiness on the page of what is certified, decisions beside the approvals, growth beside
//! the log. Each asks one question and is left out for those who may not have the answer.

use domain::certification::Verdict;
use domain::id::CertificationId;
use domain::period::Period;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use engine::tools::get_approval_figures::{Decider, Tally};
use maud::{Markup, html};

use super::parts::chart::{self, Column, Series, Step};
use super::parts::pill::{self, Tone};
use super::parts::table::{cell, lead, table};
use super::parts::{list, text};
use super::visit::Visit;
use super::{data, paths};

const fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Ready => Tone::Good,
        Verdict::ReadyWithExceptions => Tone::Warn,
        Verdict::NotReady => Tone::Bad,
    }
}

/// How ready a certification was found over time.
pub async fn readiness(visit: &Visit, id: CertificationId) -> Result<Markup, Refusal> {
    let Some(history) = data::optional(data::readiness(visit, id).await)? else { return Ok(html! {}) };
    let now = visit.now;
    let (Some(first), Some(last)) = (history.points.first(), history.points.last()) else {
        return Ok(html! {});
    };
    let steps: Vec<Step> = history
        .points
        .iter()
        .map(|p| Step {
            at: p.at.0,
            value: p.score.into(),
            says: Some(format!(
                "{}: {} of 100, {}",
                text::absolute(p.at),
                p.score,
                pill::human(p.verdict.as_str()).to_lowercase()
            )),
            tone: tone(p.verdict),
        })
        .collect();
    let says = format!(
        "From {} to {} of 100, now {}.",
        first.score,
        last.score,
        pill::human(last.verdict.as_str()).to_lowercase()
    );
    let since = text::relative(first.at, now);
    Ok(list::panel(
        "over-time",
        "Readiness over time",
        None,
        html! {
            div.panel-body {
                (chart::steps("Readiness over time", &says, 100, (&since, "now"), &steps))
                details.fold {
                    summary { (text::count(history.points.len(), "change")) ", the latest " (text::brief_time(last.at, now)) }
                    ul.points {
                        @for p in history.points.iter().rev() {
                            li {
                                span { b { (p.score) } " " (pill::toned(tone(p.verdict), &pill::human(p.verdict.as_str()))) }
                                span.small.muted { (text::count(p.open_gap_count as usize, "gap")) ", " (text::count(p.open_blocker_count as usize, "blocker")) " open" }
                                (text::brief_time(p.at, now))
                            }
                        }
                    }
                }
            }
        },
    ))
}

/// The periods to choose from, by links that say which is shown. `address` makes the address of this page with one.
fn periods(shown: Period, address: impl Fn(&str) -> String) -> Markup {
    html! {
        nav.tabs aria-label="Period" {
            @for period in Period::ALL {
                a href=(address(period.as_str())) aria-current=[(*period == shown).then_some("true")] {
                    @match period { Period::Day => "24 hours", Period::Month => "30 days", Period::Year => "52 weeks" }
                }
            }
        }
    }
}

/// The beginning of a part, as short as the period allows.
fn when(period: Period, start: Timestamp) -> String {
    let text = text::absolute(start);
    let part = if period == Period::Day { text.get(11..16) } else { text.get(..10) };
    part.unwrap_or(&text).to_owned()
}

const DECIDED: [Series; 5] = [
    Series { word: "approved", tone: Tone::Good },
    Series { word: "rejected", tone: Tone::Bad },
    Series { word: "past the rules or by a rule", tone: Tone::Warn },
    Series { word: "withdrawn", tone: Tone::Quiet },
    Series { word: "expired", tone: Tone::Info },
];

fn numbers(t: &Tally) -> Vec<u32> {
    vec![t.approved, t.rejected, t.broken_glass + t.by_rule, t.withdrawn, t.expired]
}

/// Approvals and refusals over time, and for administrators who decides how fast.
pub async fn decisions(visit: &Visit, period: &str) -> Result<Markup, Refusal> {
    let Some(figures) = data::approval_figures(visit, Period::parse(period)).await? else {
        return Ok(html! {});
    };
    let period = figures.period;
    let columns: Vec<Column> = figures
        .parts
        .iter()
        .map(|part| Column { when: when(period, part.start), numbers: numbers(&part.tally) })
        .collect();
    let sums = numbers(&figures.total);
    let none = sums.iter().all(|sum| *sum == 0);
    let address = |word: &str| paths::with_query(paths::APPROVALS, &[("period", word)]) + "#decisions";
    Ok(list::panel_with(
        "decisions",
        "Decisions over time",
        None,
        periods(period, address),
        html! {
            @if none { (text::empty("Nothing was decided in this time", "Choose a longer period.")) }
            @else {
                div.panel-body {
                    (chart::columns("Decisions over time", &DECIDED, &columns))
                    (chart::legend(&DECIDED, &sums))
                    @if let Some(median) = figures.median_seconds {
                        p.hint { "Half of the decisions took no longer than " (duration(median)) " from the proposal." }
                    }
                    @if figures.truncated { p.hint { "There were more decisions; the oldest are left out." } }
                    (as_table(period, &figures.parts.iter().map(|p| (p.start, numbers(&p.tally))).collect::<Vec<_>>()))
                }
                @if let Some(people) = &figures.people { (deciders(people)) }
            }
        },
    ))
}

fn as_table(period: Period, parts: &[(Timestamp, Vec<u32>)]) -> Markup {
    let filled = parts.iter().rev().filter(|(_, numbers)| numbers.iter().any(|n| *n > 0));
    let rows = filled
        .map(|(start, numbers)| {
            let mut cells = vec![lead(html! { (when(period, *start)) })];
            cells.extend(DECIDED.iter().zip(numbers).map(|(series, n)| cell(series.word, html! { (n) })));
            (None, cells)
        })
        .collect();
    let mut head = vec!["From"];
    head.extend(DECIDED.iter().map(|series| series.word));
    html! { details.fold { summary { "The same as a table" } (table("Decisions over time", &head, rows)) } }
}

/// Decisions of one person that are so many and so fast that nobody can have read what was asked.
fn looks_unread(person: &Decider) -> bool {
    const DECISIONS_MIN: u32 = 10;
    const SECONDS_MAX: i64 = 10;
    person.decisions >= DECISIONS_MIN
        && person.approved_percent == 100
        && person.median_seconds <= SECONDS_MAX
}

fn deciders(people: &[Decider]) -> Markup {
    let rows = people
        .iter()
        .map(|person| {
            let name = html! {
                @if let Some(email) = &person.email { (email) } @else { span.mono { (person.user_id) } }
                @if looks_unread(person) { " " (pill::toned(Tone::Warn, "Approves everything at once")) }
            };
            let cells = vec![
                lead(name),
                cell("Decisions", html! { (person.decisions) }),
                cell("Approved", html! { (person.approved_percent) " %" }),
                cell("Median time", html! { (duration(person.median_seconds)) }),
            ];
            (None, cells)
        })
        .collect();
    html! {
        @if !people.is_empty() {
            div.panel-note { h3 { "By person" } p.hint { "Who approves everything within seconds does not read what they approve. Only administrators see this." } }
            (table("Decisions by person", &["Person", "Decisions", "Approved", "Median time"], rows))
        }
    }
}

/// `40 s`, `12 min`, `3 h`, `2 d`. Never nothing: somebody has decided.
fn duration(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{} s", seconds.max(1)),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How the log grew, and the heads that prove it.
pub async fn log(visit: &Visit, period: &str) -> Result<Markup, Refusal> {
    let growth = data::log_growth(visit, Period::parse(period)).await?;
    let period = growth.period;
    let signed = growth.parts.last().map_or(0, |part| part.signed);
    let heads: u32 = growth.parts.iter().map(|part| part.heads).sum();
    let steps: Vec<Step> = growth
        .parts
        .iter()
        .map(|part| Step {
            at: part.start.0,
            value: part.signed,
            says: (part.heads > 0).then(|| {
                let heads = text::count(part.heads as usize, "checkpoint");
                format!("{}: {} records, {heads}", when(period, part.start), part.signed)
            }),
            tone: Tone::Good,
        })
        .collect();
    let says = format!("{signed} records under {}.", text::count(heads as usize, "checkpoint"));
    let first = growth.parts.first().map(|part| when(period, part.start)).unwrap_or_default();
    let address = |word: &str| paths::with_query(paths::AUDIT, &[("period", word)]) + "#growth";
    Ok(list::panel_with(
        "growth",
        "Growth and checkpoints",
        None,
        periods(period, address),
        html! {
            div.panel-body {
                (chart::steps("Growth of the log", &says, growth.records.max(1), (&first, "now"), &steps))
                p.legend {
                    span { b { (growth.records) } " records" }
                    span { b { (signed) } " under a signed head" }
                    span { svg.swatch viewBox="0 0 10 10" aria-hidden="true" { circle.good-fill cx="5" cy="5" r="4" {} } b { (heads) } " checkpoints in this time" }
                }
                details.fold {
                    summary { "The same as a list" }
                    ul.points {
                        @for part in growth.parts.iter().rev().filter(|part| part.heads > 0) {
                            li { span { b { (part.signed) } " records" } span.small.muted { (text::count(part.heads as usize, "checkpoint")) } span { (when(period, part.start)) } }
                        }
                    }
                }
            }
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_the_unit_that_tells_most() {
        for (seconds, words) in [(0, "1 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 d")]
        {
            assert_eq!(duration(seconds), words);
        }
    }

    #[test]
    fn only_many_fast_approvals_without_a_refusal_look_unread() {
        let person = |decisions, approved_percent, median_seconds| Decider {
            user_id: domain::id::UserId::from_uuid(uuid::Uuid::from_u128(1)),
            email: None,
            decisions,
            approved_percent,
            median_seconds,
            hidden: Vec::new(),
        };
        assert!(looks_unread(&person(10, 100, 4)));
        for attentive in [person(9, 100, 4), person(10, 90, 4), person(10, 100, 60)] {
            assert!(!looks_unread(&attentive));
        }
    }
}
