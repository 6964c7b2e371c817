//! Canonical JSON (RFC 8785): members sorted by the UTF-16 code units of their names, the shortest form of numbers, no
//! white space. Every record of the log and every digest is made of it, several times for each governed write.
//!
//! Nearly all that is written so has plain names and whole numbers. That is written in one pass, and the members of an
//! object are put into order where they lie. For anything else there is the library, which knows all of the rule, and for that
//! copies each member once for every object around it.

use std::cell::RefCell;
use std::io;
use std::ops::Range;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// Whole numbers up to here are their own shortest form; above, RFC 8785 writes them as the nearest double.
const INTEGER_MAX: u64 = 1 << 53;

/// Room for a text from the start: most records of the log fit.
const TEXT_BYTES: usize = 1_024;

/// The canonical bytes of a value.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn canonical_json<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    plain(value).or_else(|_| serde_json_canonicalizer::to_vec(value))
}

/// An error where the value is not plain.
fn plain<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let text = Text(RefCell::new(Vec::with_capacity(TEXT_BYTES)));
    let order = Order { text: &text, members: Vec::new(), open: Vec::new() };
    value.serialize(&mut Serializer::with_formatter(&text, order))?;
    Ok(text.0.into_inner())
}

/// What has been written so far, by the serializer and by the one who puts it in order.
struct Text(RefCell<Vec<u8>>);

impl Text {
    fn end(&self) -> usize {
        self.0.borrow().len()
    }
}

impl io::Write for &Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a member lies in the text.
struct Member {
    /// Without its quotation marks.
    name: Range<usize>,
    end: usize,
}

impl Member {
    fn name<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.name.clone()).unwrap_or_default()
    }
    fn whole<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.name.start - 1..self.end).unwrap_or_default()
    }
}

struct Order<'a> {
    text: &'a Text,
    /// Those of the objects that are being written, the innermost last.
    members: Vec<Member>,
    /// For each of those objects, where its members begin.
    open: Vec<usize>,
}

fn not_plain() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Formatter for Order<'_> {
    fn write_i64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        if value.unsigned_abs() > INTEGER_MAX { not_plain() } else { write!(writer, "{value}") }
    }
    fn write_u64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        if value > INTEGER_MAX { not_plain() } else { write!(writer, "{value}") }
    }
    fn write_i128<W: ?Sized + io::Write>(&mut self, _: &mut W, _: i128) -> io::Result<()> {
        not_plain()
    }
    fn write_u128<W: ?Sized + io::Write>(&mut self, _: &mut W, _: u128) -> io::Result<()> {
        not_plain()
    }
    fn write_f32<W: ?Sized + io::Write>(&mut self, _: &mut W, _: f32) -> io::Result<()> {
        not_plain()
    }
    fn write_f64<W: ?Sized + io::Write>(&mut self, _: &mut W, _: f64) -> io::Result<()> {
        not_plain()
    }
    fn write_number_str<W: ?Sized + io::Write>(&mut self, _: &mut W, _: &str) -> io::Result<()> {
        not_plain()
    }
    fn write_raw_fragment<W: ?Sized + io::Write>(&mut self, _: &mut W, _: &str) -> io::Result<()> {
        not_plain()
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open.push(self.members.len());
        writer.write_all(b"{")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        let start = self.text.end() + 1;
        self.members.push(Member { name: start..start, end: start });
        Ok(())
    }

    fn end_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        let Some(member) = self.members.last_mut() else { return not_plain() };
        member.name.end = self.text.end() - 1;
        // As bytes such names are in the order of their UTF-16 code units.
        let name_is_plain = member.name(&self.text.0.borrow()).iter().all(|b| b.is_ascii() && *b != b'\\');
        if name_is_plain { Ok(()) } else { not_plain() }
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        let Some(member) = self.members.last_mut() else { return not_plain() };
        member.end = self.text.end();
        Ok(())
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let from = self.open.pop().unwrap_or_default();
        let members = self.members.get_mut(from..).unwrap_or_default();
        if let Some(first) = members.first() {
            let (start, mut text) = (first.name.start - 1, self.text.0.borrow_mut());
            if !members.is_sorted_by(|a, b| a.name(&text) < b.name(&text)) {
                members.sort_by(|a, b| a.name(&text).cmp(b.name(&text)));
                if !members.is_sorted_by(|a, b| a.name(&text) < b.name(&text)) {
                    return not_plain(); // a name that is there twice
                }
                let parts: Vec<&[u8]> = members.iter().map(|member| member.whole(&text)).collect();
                let sorted = parts.join(&b","[..]);
                text.truncate(start);
                text.extend_from_slice(&sorted);
            }
        }
        self.members.truncate(from);
        writer.write_all(b"}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn plain_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-(1_i64 << 53)..=1 << 53).prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec(("[ -!#-\\[\\]-~]{0,6}", inner), 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_plain_is_written_as_the_library_writes_it(value in plain_value()) {
            prop_assert_eq!(plain(&value).ok(), serde_json_canonicalizer::to_vec(&value).ok());
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_library() {
        for value in [
            json!({ "a": 0.5 }),
            json!({ "ä": 1 }),
            json!({ "a\n": 1 }),
            json!([{ "b": (1_i64 << 53) + 1 }]),
            json!({ "a": u64::MAX }),
        ] {
            assert!(plain(&value).is_err(), "{value}");
            assert_eq!(canonical_json(&value).ok(), serde_json_canonicalizer::to_vec(&value).ok());
        }
    }
}
