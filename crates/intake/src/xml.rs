//! What XML formats share: the encoding, which is found once for the whole document so that the parser sees UTF-8 only,
//! and the rule that a document brings its own meaning: no type definition, no entity but the five that XML has.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::encoding::detect_encoding;
use quick_xml::events::{BytesDecl, BytesRef, Event};

use crate::limits::SNIFF_BYTES_MAX;

/// The name of the root element, without its prefix, if the bytes begin like XML. Nothing after the name is looked at.
pub fn root(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..SNIFF_BYTES_MAX).unwrap_or(bytes);
    // The two bytes of UTF-16 of every character that a declaration or a name here can have are it and a zero byte.
    let plain: Vec<u8> = head.iter().copied().filter(|byte| *byte != 0).collect();
    let begin = plain.iter().position(|byte| *byte == b'<')?;
    let (before, markup) = plain.split_at_checked(begin)?;
    if before.iter().any(u8::is_ascii_graphic) {
        return None;
    }
    let text = String::from_utf8_lossy(markup);
    let mut rest: &str = &text;
    loop {
        rest = rest.trim_start();
        let skipped = [("<?", "?>"), ("<!--", "-->")].into_iter().find(|(open, _)| rest.starts_with(open));
        match skipped {
            Some((_, close)) => rest = rest.split_once(close)?.1,
            None => break,
        }
    }
    let name = rest.strip_prefix('<')?.split(|c: char| c.is_whitespace() || c == '>' || c == '/').next()?;
    let local = name.rsplit(':').next()?;
    (!local.is_empty() && !local.starts_with('!')).then(|| local.to_owned())
}

const INVALID: &str = "it is not valid in its encoding";

/// The document as text. Byte order marks, UTF-16 and every encoding of the web that the declaration may name are
/// understood; what is not valid in its encoding is refused, never replaced.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    let Some(found) = detect_encoding(bytes) else { return utf8(bytes) };
    let body = bytes.get(found.bom_len()..).unwrap_or_default();
    if !found.encoding().is_ascii_compatible() {
        return found.encoding().decode_without_bom_handling_and_without_replacement(body).ok_or(INVALID);
    }
    let Some(declaration) = declaration(body).filter(|_| found.bom_len() == 0) else { return utf8(body) };
    match (declaration.encoding(), declaration.encoder()) {
        (Some(_), None) => Err("it names an encoding that is not known"),
        // A declaration that could not be read in the encoding it names is wrong: the file was converted after it was
        // written, to UTF-8 in practice.
        (_, Some(encoding)) if encoding.is_ascii_compatible() => {
            encoding.decode_without_bom_handling_and_without_replacement(body).ok_or(INVALID)
        }
        _ => utf8(body),
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| INVALID)
}

/// The XML declaration, if the document begins with one.
fn declaration(bytes: &[u8]) -> Option<BytesDecl<'_>> {
    let head = bytes.get(..SNIFF_BYTES_MAX).unwrap_or(bytes);
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let text = std::str::from_utf8(head.get(..end + 2)?).ok()?;
    match Reader::from_str(text).read_event() {
        Ok(Event::Decl(declaration)) => Some(declaration),
        _ => None,
    }
}

/// Whether a reference stands for a character by its number or for one of the five that XML predefines.
pub fn is_predefined(reference: &BytesRef<'_>) -> bool {
    if reference.is_char_ref() {
        return reference.resolve_char_ref().is_ok();
    }
    matches!(&**reference, "lt" | "gt" | "amp" | "quot" | "apos")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_behind_declarations_and_comments_and_in_utf_16() {
        let text = "\u{feff}<?xml version='1.0'?>\n<!-- <bom> -->\n<j:testsuites a='b'/>";
        assert_eq!(root(text.as_bytes()).as_deref(), Some("testsuites"));
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(root(&wide).as_deref(), Some("testsuites"));
        for other in ["", "{\"a\":\"<testsuite>\"}", "<!DOCTYPE a><testsuite/>", "<", "<!-- <testsuite/>"] {
            assert_eq!(root(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn encodings_are_decoded_or_refused_and_never_replaced() {
        let latin = b"<?xml version='1.0' encoding='ISO-8859-15'?><a b='\xa4'/>";
        assert!(decode(latin).unwrap().contains("b='\u{20ac}'"));
        let text = "<?xml version='1.0' encoding='UTF-16'?><a b='\u{1f600}'/>";
        let mut wide = vec![0xfe, 0xff];
        wide.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
        assert_eq!(decode(&wide).unwrap(), text);
        assert_eq!(decode(text.as_bytes()).unwrap(), text, "converted to UTF-8 afterwards");
        assert!(decode(b"<?xml version='1.0' encoding='klingon'?><a/>").is_err());
        assert!(decode(b"<a b='\xa4'/>").is_err());
        wide.push(0);
        assert!(decode(&wide).is_err());
    }
}
