//! Cleaning of foreign text: it stays data, bounded, on one line.

use crate::limits::TEXT_CHARS_MAX;

/// Without a UTF-8 byte order mark.
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// One line of at most [`TEXT_CHARS_MAX`] characters, without control characters and without the invisible ones that
/// change reading direction.
pub fn clean(text: &str) -> String {
    let mut out = String::new();
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            space = !out.is_empty();
            continue;
        }
        if matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        {
            continue;
        }
        if space {
            out.push(' ');
            space = false;
        }
        out.push(c);
        if out.chars().count() >= TEXT_CHARS_MAX {
            break;
        }
    }
    out
}

/// Like [`clean`]; nothing for text that is empty after it.
pub fn some(text: &str) -> Option<String> {
    Some(clean(text)).filter(|t| !t.is_empty())
}
