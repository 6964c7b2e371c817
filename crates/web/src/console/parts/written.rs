//! What a language model wrote, as it is shown: paragraphs and lists of plain text. Nothing in it is markup, and no link is made
//! of it but of the ids of records that tools returned.

use domain::conversation::Named;
use maud::{Markup, html};

use super::conversation::inside;
use crate::assistant::pieces;

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
enum Part<'t> {
    Heading(&'t str),
    Paragraph(Vec<&'t str>),
    List(Vec<&'t str>),
}

/// Takes a text apart by its lines. Whatever is no list or heading is a paragraph.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut apart = true;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.bytes().all(|byte| matches!(byte, b'-' | b'*' | b'_' | b'=')) {
            apart = true;
        } else if let Some(heading) = heading(line) {
            parts.push(Part::Heading(heading));
            apart = true;
        } else if let Some(item) = item(line) {
            match parts.last_mut() {
                Some(Part::List(items)) => items.push(item),
                _ => parts.push(Part::List(vec![item])),
            }
            apart = true;
        } else {
            match parts.last_mut() {
                Some(Part::Paragraph(lines)) if !apart => lines.push(line),
                _ => parts.push(Part::Paragraph(vec![line])),
            }
            apart = false;
        }
    }
    parts
}

/// `# Heading`, `**Heading**`, `**Heading:**`.
fn heading(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix('#') {
        let rest = rest.trim_start_matches('#').trim();
        return (!rest.is_empty()).then_some(rest);
    }
    let inside = line.strip_prefix("**")?.trim_end_matches(':').strip_suffix("**")?;
    (!inside.is_empty() && !inside.contains("**")).then_some(inside.trim_end_matches(':'))
}

/// `- item`, `* item`, `• item`, `3. item`, `3) item`.
fn item(line: &str) -> Option<&str> {
    for mark in ["- ", "* ", "• ", "– "] {
        if let Some(rest) = line.strip_prefix(mark) {
            return Some(rest.trim());
        }
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = line.get(digits..).filter(|_| (1..=3).contains(&digits))?;
    let rest = rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") "))?;
    Some(rest.trim())
}

/// A line without marks of emphasis, its ids as links.
fn line(text: &str, named: &[Named]) -> Markup {
    let text = text.replace("**", "").replace('`', "");
    html! {
        @for piece in pieces(&text) {
            @match named.iter().find(|one| one.id == piece).and_then(|one| inside(Some(&one.to))) {
                Some(to) => a.mono href=(to) { (piece) },
                None => (piece),
            }
        }
    }
}

/// The text, and whose it is.
pub fn written(text: &str, model: &str, named: &[Named]) -> Markup {
    html! {
        div.written {
            @for part in parts(text) {
                @match part {
                    Part::Heading(heading) => p { strong { (line(heading, named)) } },
                    Part::Paragraph(lines) => p { @for (place, one) in lines.iter().enumerate() { @if place > 0 { br; } (line(one, named)) } },
                    Part::List(items) => ul { @for one in items { li { (line(one, named)) } } },
                }
            }
            p.hint { "Written by the language model " (model) ". It may be wrong: what counts is in the records." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_paragraphs_lists_and_headings() {
        let text = "Two things:\n- **one**\n- two\n\n# Next\nDo it\nnow.\n\n1. first\n2) second\n---\n**Risks:**\nEnd";
        assert_eq!(
            parts(text),
            [
                Part::Paragraph(vec!["Two things:"]),
                Part::List(vec!["**one**", "two"]),
                Part::Heading("Next"),
                Part::Paragraph(vec!["Do it", "now."]),
                Part::List(vec!["first", "second"]),
                Part::Heading("Risks"),
                Part::Paragraph(vec!["End"]),
            ]
        );
    }

    #[test]
    fn nothing_in_it_is_markup_and_only_known_records_are_links() {
        let id = "rel_00000000000000000000000004";
        let known = |to: &str| [Named { id: id.into(), to: to.into() }];
        let text = format!("<img src=x> [x](https://evil.example) {id}");
        let shown = written(&text, "m", &known(&format!("/app/releases/{id}"))).into_string();
        assert!(shown.contains("&lt;img") && !shown.contains("<img"), "{shown}");
        assert_eq!(shown.matches("href").count(), 1, "{shown}");
        let outside = written(&text, "m", &known("https://evil.example/app/")).into_string();
        assert!(!outside.contains("href"), "{outside}");
    }
}
