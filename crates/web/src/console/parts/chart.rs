//! Small charts: functions from numbers to SVG. A chart is as wide as its place; words stand beside it as text of the
//! page, so that they keep their size on a phone, and every chart has its numbers as words too.

use maud::{Markup, html};

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
    fn a_flow_says_its_numbers_and_draws_only_what_there_is() {
        let svg = flow("Gaps", Flow { gone: 0, still: 5_000, new: 1 }).into_string();
        assert!(svg.contains("aria-label=\"Gaps: 0 gone, 5000 still there, 1 new.\""), "{svg}");
        assert!(!svg.contains("band good") && svg.contains("band warn") && svg.contains("band bad"));
        assert!(flow("Gaps", Flow { gone: 0, still: 0, new: 0 }).into_string().contains("</svg>"));
    }
}
