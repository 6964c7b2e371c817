//! What the JSON formats share: recognition, parsing with a bounded depth, and the one tolerance real tools need (raw
//! control characters inside strings).

use serde::Deserialize;

use crate::limits::{DEPTH_MAX, SNIFF_BYTES_MAX};
use crate::{Format, IntakeError, text};

/// Recognises a JSON format by the member names near its beginning.
pub fn sniff(bytes: &[u8]) -> Option<Format> {
    let head = bytes.get(..bytes.len().min(SNIFF_BYTES_MAX)).unwrap_or(bytes);
    let has = |needle: &[u8]| head.windows(needle.len()).any(|w| w == needle);
    if has(b"\"bomFormat\"") {
        return Some(Format::CyclonedxJson);
    }
    if has(b"\"runs\"") || has(b"sarif") {
        return Some(Format::Sarif);
    }
    // Members may come in any order: a long first member can push the telling one out of the head.
    let tail = bytes.get(bytes.len().saturating_sub(SNIFF_BYTES_MAX)..).unwrap_or(bytes);
    let ends = |needle: &[u8]| tail.windows(needle.len()).any(|w| w == needle);
    if ends(b"\"bomFormat\"") {
        return Some(Format::CyclonedxJson);
    }
    ends(b"\"runs\"").then_some(Format::Sarif)
}

/// Parses a document. The flag says that raw control characters inside strings had to be tolerated.
pub fn parse<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    repaired: &'a mut Vec<u8>,
    format: Format,
) -> Result<(T, bool), IntakeError> {
    let bytes = text::without_bom(bytes);
    let error = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok((value, false)),
        Err(error) => error,
    };
    if !escape_controls(bytes, repaired) {
        return Err(refusal(&error, format));
    }
    match serde_json::from_slice(repaired) {
        Ok(value) => Ok((value, true)),
        Err(error) => Err(refusal(&error, format)),
    }
}

fn refusal(error: &serde_json::Error, format: Format) -> IntakeError {
    use serde_json::error::Category;
    if error.to_string().starts_with("recursion limit exceeded") {
        return IntakeError::TooDeep { limit: DEPTH_MAX };
    }
    let reason = match error.classify() {
        Category::Eof => "the file ends in the middle",
        Category::Data => "a member has the wrong type",
        Category::Syntax | Category::Io => "the file is not valid JSON",
    };
    IntakeError::Malformed { format, reason }
}

/// Copies `bytes` with raw control characters inside strings escaped. False when there were none.
fn escape_controls(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    out.reserve(bytes.len() + 16);
    let (mut inside, mut escaped, mut found) = (false, false, false);
    for byte in bytes {
        if inside && *byte < 0x20 {
            found = true;
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            escaped = false;
            continue;
        }
        if inside {
            match (*byte, escaped) {
                (_, true) => escaped = false,
                (b'\\', false) => escaped = true,
                (b'"', false) => inside = false,
                _ => {}
            }
        } else if *byte == b'"' {
            inside = true;
        }
        out.push(*byte);
    }
    found
}
