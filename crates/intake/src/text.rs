//! Cleaning of foreign text, in one place: it stays data, on one line, bounded, and shows what it is.

use crate::limits::{TEXT_BYTES_READ_MAX, TEXT_CHARS_MAX, WORD_CHARS_MAX};

/// Without a UTF-8 byte order mark.
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The beginning of a text, as much as is looked at.
pub fn head(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_READ_MAX)).unwrap_or(text)
}

/// Whether a text says nothing.
pub fn is_blank(text: &str) -> bool {
    head(text).trim().is_empty()
}

/// One line of at most [`TEXT_CHARS_MAX`] characters, without control characters and without the invisible ones that
/// change what a reader sees. Nothing for text that is empty after it.
pub fn cleaned(text: &str) -> Option<String> {
    Some(one_line(text, TEXT_CHARS_MAX)).filter(|line| !line.is_empty())
}

/// A foreign word that becomes part of the name of a count.
pub fn word(text: &str) -> String {
    one_line(text, WORD_CHARS_MAX)
}

fn one_line(text: &str, chars_max: usize) -> String {
    let mut line = String::new();
    let mut chars_left = chars_max;
    let mut gap = false;
    for character in head(text).chars().filter(|c| !is_deceptive(*c)) {
        if character.is_whitespace() || character.is_control() {
            gap = !line.is_empty();
            continue;
        }
        if std::mem::take(&mut gap) {
            // A space is kept only together with what it separates, so no line ends with one.
            if chars_left < 2 {
                break;
            }
            line.push(' ');
            chars_left -= 1;
        }
        if chars_left == 0 {
            break;
        }
        line.push(character);
        chars_left -= 1;
    }
    line
}

/// Characters that are not seen but change what is: direction controls, zero-width characters, tags (Unicode
/// Technical Report 36, section 2). Joiners go with them; a title reads well without.
fn is_deceptive(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_becomes_one_plain_line() {
        assert_eq!(cleaned("  a\r\n\tb\u{7}c \u{202e}d\u{200b}e  "), Some("a b c de".to_owned()));
        assert_eq!(cleaned(" \n\u{feff}\u{0} "), None);
        assert_eq!(cleaned("\u{1f600} ü"), Some("\u{1f600} ü".to_owned()));
    }

    #[test]
    fn long_texts_are_looked_at_only_at_their_beginning() {
        assert_eq!(head(&"ü".repeat(5_000)).len(), TEXT_BYTES_READ_MAX);
        assert_eq!(cleaned(&format!("{}a", " ".repeat(TEXT_BYTES_READ_MAX))), None);
        assert!(is_blank(" \n") && !is_blank(" a"));
    }

    #[test]
    fn a_line_is_cut_by_characters_and_never_ends_with_a_space() {
        assert_eq!(cleaned(&"ü".repeat(1000)).unwrap().chars().count(), TEXT_CHARS_MAX);
        let words = cleaned(&"ab ".repeat(1000)).unwrap();
        assert!(words.chars().count() <= TEXT_CHARS_MAX && !words.ends_with(' '));
    }
}
