//! Small charts: functions from numbers to SVG. A chart is as wide as its place; words stand beside it as text of the
//! page, so that they keep their size on a phone, and every chart has its numbers as words too.

use maud::{Markup, html};

use super::pill::Tone;

/// Width and height of a drawing before it is stretched over its place.
const WIDTH: i64 = 1_000;
const HEIGHT: i64 = 100;

/// One part of a whole, by its word and tone.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    pub word: &'static str,
    pub tone: Tone,
}

/// What happened in one part of the time: a number for each series.
#[derive(Debug)]
pub struct Column {
    /// When, as people say it.
    pub when: String,
    pub numbers: Vec<u32>,
}

/// Columns side by side, each cut by series, the first at the bottom.
pub fn columns(title: &str, series: &[Series], columns: &[Column]) -> Markup {
    let total = |column: &Column| column.numbers.iter().map(|n| i64::from(*n)).sum::<i64>();
    let most = columns.iter().map(total).max().unwrap_or(0).max(1);
    let step = WIDTH / i64::try_from(columns.len().max(1)).unwrap_or(1);
    let drawn = |column: &Column| {
        let mut below = 0;
        let mut rects = Vec::new();
        for (series, number) in series.iter().zip(&column.numbers).filter(|(_, n)| **n > 0) {
            let (from, to) = (below * HEIGHT / most, (below + i64::from(*number)) * HEIGHT / most);
            below += i64::from(*number);
            rects.push((series.tone, HEIGHT - to, (to - from).max(1)));
        }
        rects
    };
    let said: Vec<String> = series
        .iter()
        .enumerate()
        .map(|(at, series)| {
            let sum: u32 = columns.iter().filter_map(|c| c.numbers.get(at)).sum();
            format!("{sum} {}", series.word)
        })
        .collect();
    frame(
        title,
        &format!("{}.", said.join(", ")),
        &most.to_string(),
        (columns.first().map_or("", |c| &c.when), columns.last().map_or("", |c| &c.when)),
        html! {
            @for (at, column) in (0..).zip(columns) {
                g {
                    title { (column.when) @for (series, number) in series.iter().zip(&column.numbers) { ", " (number) " " (series.word) } }
                    rect.hit x=(at * step) y="0" width=(step) height=(HEIGHT) {}
                    @for (tone, y, height) in drawn(column) {
                        rect class={ (tone.class()) "-fill" } x=(at * step + step / 8) y=(y) width=(step - step / 4) height=(height) {}
                    }
                }
            }
        },
    )
}

/// A value from some moment on.
#[derive(Debug)]
pub struct Step {
    /// On any scale.
    pub at: i64,
    pub value: u64,
    /// Whether a dot marks it, and what it says when it is pointed at.
    pub says: Option<String>,
    pub tone: Tone,
}

/// A line that keeps its height from step to step, and the last one to the end. `when` are words for beginning and end.
pub fn steps(title: &str, says: &str, most: u64, when: (&str, &str), steps: &[Step]) -> Markup {
    // The last step keeps a little room, to show that it lasts.
    let room = WIDTH * 94 / 100;
    let first = steps.first().map_or(0, |s| s.at);
    let span = steps.last().map_or(0, |s| s.at - first).max(1);
    let x =
        |at: i64| i64::try_from(i128::from(at - first) * i128::from(room) / i128::from(span)).unwrap_or(0);
    // Neither the top nor the bottom of the frame hides half of the line.
    let y = |value: u64| {
        let share = i128::from(value.min(most)) * i128::from(HEIGHT - 6) / i128::from(most.max(1));
        HEIGHT - 3 - i64::try_from(share).unwrap_or(0)
    };
    let mut line = String::new();
    for step in steps {
        let (x, y) = (x(step.at), y(step.value));
        line.push_str(&if line.is_empty() { format!("M{x} {y}") } else { format!("H{x}V{y}") });
    }
    frame(
        title,
        says,
        &most.to_string(),
        when,
        html! {
            @if !steps.is_empty() {
                path.under d={ (line) "H" (WIDTH) "V" (HEIGHT) "H0Z" } {}
                path.line d={ (line) "H" (WIDTH) } {}
                @for step in steps {
                    @if let Some(says) = &step.says {
                        path class={ "dot " (step.tone.class()) } d={ "M" (x(step.at).max(6)) " " (y(step.value)) "h0" } { title { (says) } }
                    }
                }
            }
        },
    )
}

/// What every chart has around it: its greatest number above, beginning and end below.
fn frame(title: &str, says: &str, most: &str, (from, to): (&str, &str), drawn: Markup) -> Markup {
    html! {
        figure.chart {
            span.chart-most aria-hidden="true" { (most) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label={ (title) ". " (says) } {
                path.grid d={ "M0 .5H" (WIDTH) "M0 " (HEIGHT / 2) "H" (WIDTH) "M0 " (HEIGHT) "H" (WIDTH) } {}
                (drawn)
            }
            div.chart-when aria-hidden="true" { span { (from) } span { (to) } }
        }
    }
}

/// What the series of a chart mean, with their sums.
pub fn legend(series: &[Series], sums: &[u32]) -> Markup {
    html! {
        p.legend {
            @for (series, sum) in series.iter().zip(sums) {
                span { svg.swatch viewBox="0 0 10 10" aria-hidden="true" { rect class={ (series.tone.class()) "-fill" } width="10" height="10" rx="2" {} } b { (sum) } " " (series.word) }
            }
        }
    }
}

/// What went, stayed and came between two sides, as bands from left to right.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    pub gone: u32,
    pub still: u32,
    pub new: u32,
}

const FLOW_WIDTH: i64 = 360;
const FLOW_HEIGHT: i64 = 132;
/// The tallest that one thing is drawn, so that two things do not look like a crowd.
const FLOW_UNIT_MAX: i64 = 16;
/// Room for the line of words above the bands.
const FLOW_TOP: i64 = 8;
const BAR: i64 = 10;

/// The bands, with their numbers written on them. `title` says what flows.
pub fn flow(title: &str, flow: Flow) -> Markup {
    let Flow { gone, still, new } = flow;
    let [gone, still, new] = [gone, still, new].map(i64::from);
    let most = (gone + still).max(still + new).max(1);
    // In tenths, so that large numbers still have a height.
    let unit = ((FLOW_HEIGHT - 2 * FLOW_TOP) * 10 / most).min(FLOW_UNIT_MAX * 10);
    let tall = |count: i64| if count == 0 { 0 } else { (count * unit / 10).max(3) };
    let (gone_tall, still_tall, new_tall) = (tall(gone), tall(still), tall(new));
    let (left, right, mid) = (BAR, FLOW_WIDTH - BAR, FLOW_WIDTH / 2);
    let (a, b) = (FLOW_TOP + gone_tall, FLOW_TOP);
    let (a_end, b_end) = (a + still_tall, b + still_tall);
    let end = b_end + new_tall;
    let word = |x: i64, from: i64, height: i64, anchor: &str, count: i64, word: &str| {
        html! { @if count > 0 { text x=(x) y=(from + height / 2 + 4) text-anchor=(anchor) { (count) " " (word) } } }
    };
    html! {
        svg.flow viewBox={ "0 0 " (FLOW_WIDTH) " " (FLOW_HEIGHT) } role="img"
            aria-label={ (title) ": " (gone) " gone, " (still) " still there, " (new) " new." } {
            @if gone > 0 {
                path.band.good d={ "M" (left) " " (FLOW_TOP) "C" (mid / 2) " " (FLOW_TOP) " " (mid / 2) " " (FLOW_TOP + gone_tall / 2) " " (mid - 30) " " (FLOW_TOP + gone_tall / 2)
                    "C" (mid / 2) " " (FLOW_TOP + gone_tall / 2) " " (mid / 2) " " (a) " " (left) " " (a) "Z" } {}
                rect.good-fill x="0" y=(FLOW_TOP) width=(BAR) height=(gone_tall) {}
            }
            @if still > 0 {
                path.band.warn d={ "M" (left) " " (a) "C" (mid) " " (a) " " (mid) " " (b) " " (right) " " (b)
                    "V" (b_end) "C" (mid) " " (b_end) " " (mid) " " (a_end) " " (left) " " (a_end) "Z" } {}
                rect.warn-fill x="0" y=(a) width=(BAR) height=(still_tall) {}
                rect.warn-fill x=(right) y=(b) width=(BAR) height=(still_tall) {}
            }
            @if new > 0 {
                path.band.bad d={ "M" (right) " " (b_end) "C" (right - mid / 2) " " (b_end) " " (right - mid / 2) " " (b_end + new_tall / 2) " " (mid + 30) " " (b_end + new_tall / 2)
                    "C" (right - mid / 2) " " (b_end + new_tall / 2) " " (right - mid / 2) " " (end) " " (right) " " (end) "Z" } {}
                rect.bad-fill x=(right) y=(b_end) width=(BAR) height=(new_tall) {}
            }
            (word(left + 6, FLOW_TOP, gone_tall, "start", gone, "gone"))
            (word(mid, i64::midpoint(a, b), still_tall, "middle", still, "still there"))
            (word(right - 6, b_end, new_tall, "end", new, "new"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_high_as_their_numbers() {
        let series =
            [Series { word: "approved", tone: Tone::Good }, Series { word: "rejected", tone: Tone::Bad }];
        let made = [
            Column { when: "Monday".into(), numbers: vec![3, 1] },
            Column { when: "Tuesday".into(), numbers: vec![0, 2] },
        ];
        let svg = columns("Decisions", &series, &made).into_string();
        assert!(svg.contains("aria-label=\"Decisions. 3 approved, 3 rejected.\""), "{svg}");
        for rect in [
            r#"y="25" width="375" height="75""#,
            r#"y="0" width="375" height="25""#,
            r#"y="50" width="375" height="50""#,
        ] {
            assert!(svg.contains(rect), "{rect}: {svg}");
        }
        assert!(!svg.contains("style="), "the content security policy forbids it");
    }

    #[test]
    fn steps_hold_their_height_and_stay_within_the_frame() {
        let step = |at, value| Step { at, value, says: Some(format!("{value} <of 100>")), tone: Tone::Good };
        let svg =
            steps("Readiness", "Now 100.", 100, ("", ""), &[step(i64::MAX - 2, 0), step(i64::MAX, 400)]);
        let svg = svg.into_string();
        assert!(svg.contains("d=\"M0 97H940V3H1000\""), "{svg}");
        assert!(svg.contains("400 &lt;of 100&gt;"));
        assert!(steps("Readiness", "", 0, ("", ""), &[]).into_string().contains("<svg"));
    }

    #[test]
    fn a_flow_says_its_numbers_and_draws_only_what_there_is() {
        let svg = flow("Gaps", Flow { gone: 0, still: 5_000, new: 1 }).into_string();
        assert!(svg.contains("aria-label=\"Gaps: 0 gone, 5000 still there, 1 new.\""), "{svg}");
        assert!(!svg.contains("band good") && svg.contains("band warn") && svg.contains("band bad"));
        assert!(flow("Gaps", Flow { gone: 0, still: 0, new: 0 }).into_string().contains("</svg>"));
    }
}
