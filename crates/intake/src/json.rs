//! What the JSON formats share: recognition, parsing with a bounded depth into structs of only the members that are
//! used, and the tolerances that real tools need: raw control characters inside strings, members given twice, numbers
//! where text belongs. A list or an object of the wrong type is never tolerated, because what it hides is not known.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::limits::{DEPTH_MAX, RAW_CONTROLS_MAX};
use crate::{Format, IntakeError, text};

/// Recognises a JSON format by the members of its outermost object, wherever they stand in it.
pub fn detect(bytes: &[u8]) -> Option<Format> {
    let mut outline = Outline::new(bytes);
    while let Some(mark) = outline.next_mark() {
        match mark {
            Mark::OutermostMember(b"bomFormat") => return Some(Format::CyclonedxJson),
            Mark::OutermostMember(b"runs") => return Some(Format::Sarif),
            Mark::OutermostMember(_) | Mark::Opened(_) => {}
        }
    }
    None
}

/// What was read, and what had to be tolerated for it.
pub struct Parsed<T> {
    pub document: T,
    /// In full sentences.
    pub notes: Vec<String>,
    /// Members stand in it more than once, so what was read may not be all that was meant.
    pub ambiguous: bool,
}

/// Parses a document. `repaired` is room for a copy of it, needed only when raw control characters are tolerated.
pub fn parse<'a, T: Deserialize<'a> + Repeats>(
    bytes: &'a [u8],
    repaired: &'a mut Vec<u8>,
    format: Format,
) -> Result<Parsed<T>, IntakeError> {
    let bytes = text::without_bom(bytes);
    check_depth(bytes)?;
    let mut notes = Vec::new();
    let document: T = match serde_json::from_slice(bytes) {
        Ok(document) => document,
        Err(error) if error.is_data() => return Err(refusal(&error, format)),
        Err(error) => {
            let tolerated = escape_raw_controls(bytes, repaired);
            if tolerated == 0 || tolerated > RAW_CONTROLS_MAX {
                return Err(refusal(&error, format));
            }
            notes.push(format!("{tolerated} raw control characters inside strings were tolerated."));
            serde_json::from_slice(repaired).map_err(|error| refusal(&error, format))?
        }
    };
    let repeats = document.repeats();
    if repeats > 0 {
        notes.push(format!(
            "{repeats} members stand more than once in their object; the last of each was read."
        ));
    }
    Ok(Parsed { document, notes, ambiguous: repeats > 0 })
}

fn check_depth(bytes: &[u8]) -> Result<(), IntakeError> {
    let mut outline = Outline::new(bytes);
    while let Some(mark) = outline.next_mark() {
        if matches!(mark, Mark::Opened(depth) if depth > DEPTH_MAX) {
            return Err(IntakeError::TooDeep { limit: DEPTH_MAX });
        }
    }
    Ok(())
}

fn refusal(error: &serde_json::Error, format: Format) -> IntakeError {
    use serde_json::error::Category;
    let reason = match error.classify() {
        Category::Eof => "the file ends in the middle",
        Category::Data => "a member has the wrong type",
        Category::Syntax | Category::Io => "the file is not valid JSON",
    };
    IntakeError::Malformed { format, reason }
}

/// What [`Outline`] stops at.
enum Mark<'a> {
    /// An object or a list begins; the number is its depth.
    Opened(usize),
    /// A name, as written, of a member of the outermost object.
    OutermostMember(&'a [u8]),
}

/// Walks over the structure of a JSON text in one pass without recursion. It does not care whether the text is valid:
/// the parser does that afterwards.
struct Outline<'a> {
    bytes: &'a [u8],
    position: usize,
    depth: usize,
    member_expected: bool,
}

impl<'a> Outline<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Outline { bytes, position: 0, depth: 0, member_expected: false }
    }

    fn next_mark(&mut self) -> Option<Mark<'a>> {
        loop {
            let byte = *self.bytes.get(self.position)?;
            self.position += 1;
            match byte {
                b'{' | b'[' => {
                    self.depth += 1;
                    self.member_expected = byte == b'{' && self.depth == 1;
                    return Some(Mark::Opened(self.depth));
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b',' if self.depth == 1 => self.member_expected = true,
                b'"' => {
                    let string = self.string()?;
                    if self.depth == 1 && std::mem::take(&mut self.member_expected) {
                        return Some(Mark::OutermostMember(string));
                    }
                }
                _ => {}
            }
        }
    }

    /// The raw content of the string that begins here.
    fn string(&mut self) -> Option<&'a [u8]> {
        let begin = self.position;
        loop {
            let byte = *self.bytes.get(self.position)?;
            self.position += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return self.bytes.get(begin..self.position - 1);
            }
        }
    }
}

/// Copies `bytes` with raw control characters inside strings escaped, and says how many there were. After a backslash
/// nothing is escaped: what that was to mean is not known.
fn escape_raw_controls(bytes: &[u8], copy: &mut Vec<u8>) -> usize {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    copy.clear();
    copy.reserve(bytes.len());
    let (mut inside, mut after_backslash, mut found) = (false, false, 0);
    for &byte in bytes {
        let control = inside && !after_backslash && byte < 0x20;
        if control {
            found += 1;
            if found > RAW_CONTROLS_MAX {
                return found;
            }
            let low = HEX.get(usize::from(byte & 0xf)).copied().unwrap_or(b'0');
            copy.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), low]);
            continue;
        }
        if byte == b'"' && !after_backslash {
            inside = !inside;
        }
        after_backslash = inside && byte == b'\\' && !after_backslash;
        copy.push(byte);
    }
    found
}

/// How many members of what was read stood more than once in their object.
pub trait Repeats {
    fn repeats(&self) -> u64 {
        0
    }
}

impl<T: Repeats> Repeats for Option<T> {
    fn repeats(&self) -> u64 {
        self.as_ref().map_or(0, Repeats::repeats)
    }
}

impl<T: Repeats> Repeats for Vec<T> {
    fn repeats(&self) -> u64 {
        self.iter().map(Repeats::repeats).sum()
    }
}

impl<K, T: Repeats> Repeats for BTreeMap<K, T> {
    fn repeats(&self) -> u64 {
        self.values().map(Repeats::repeats).sum()
    }
}

/// Declares an object of which only these members are read. Unlike a derived one it tolerates a member that stands
/// twice: the last one is read, as by most parsers, and it is counted.
macro_rules! members {
    ($(#[$doc:meta])* $name:ident<$life:lifetime> { $($key:literal => $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Default)]
        struct $name<$life> {
            $($field: $kind,)*
            repeated: u64,
            text: std::marker::PhantomData<&$life ()>,
        }

        impl<'de> serde::Deserialize<'de> for $name<'de> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members<'de>(std::marker::PhantomData<&'de ()>);
                impl<'de> serde::de::Visitor<'de> for Members<'de> {
                    type Value = $name<'de>;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut repeated = 0;
                        $(let mut $field = None;)*
                        while let Some(key) = map.next_key::<$crate::json::Text<'de>>()? {
                            match key.find().unwrap_or_default() {
                                $($key => repeated += u64::from($field.replace(map.next_value()?).is_some()),)*
                                _ => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                }
                            }
                        }
                        let text = std::marker::PhantomData;
                        Ok($name { $($field: $field.unwrap_or_default(),)* repeated, text })
                    }
                }
                deserializer.deserialize_map(Members(std::marker::PhantomData))
            }
        }

        impl $crate::json::Repeats for $name<'_> {
            fn repeats(&self) -> u64 {
                self.repeated $(+ $crate::json::Repeats::repeats(&self.$field))*
            }
        }
    };
}
pub(crate) use members;

/// A scalar of any type, read leniently: what does not fit counts as absent.
macro_rules! lenient {
    ($visitor:ident, $value:ty, { $($method:tt)* }) => {
        struct $visitor;
        impl<'de> Visitor<'de> for $visitor {
            type Value = $value;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }

            $($method)*

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Self::Value::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Self::Value::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Self::Value::default())
            }
        }
    };
}

/// Text, borrowed where it is written without escapes. A whole number is taken as its digits (rules and versions are
/// sometimes written so); anything else is no text.
#[derive(Debug, Default, Clone)]
pub struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    pub fn find(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub fn cleaned(&self) -> Option<String> {
        self.find().and_then(text::cleaned)
    }

    /// The beginning of a text that says something.
    pub fn non_blank(&self) -> Option<&str> {
        self.find().filter(|text| !text::is_blank(text)).map(text::head)
    }
}

impl Repeats for Text<'_> {}
impl Repeats for IgnoredAny {}

lenient!(TextVisitor, Text<'de>, {
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Text(None))
    }
});

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A number, also where it is written as text, as scores often are. Never infinite, never "not a number".
#[derive(Debug, Default, Clone, Copy)]
pub struct Number(Option<f64>);

impl Number {
    pub fn find(self) -> Option<f64> {
        self.0.filter(|number| number.is_finite())
    }

    /// The number if it is whole and exact.
    pub fn whole(self) -> Option<i64> {
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        self.find()
            .filter(|number| number.fract() == 0.0 && number.abs() <= EXACT_MAX)
            .map(|number| number as i64)
    }

    pub fn index(self) -> Option<usize> {
        self.whole().and_then(|number| usize::try_from(number).ok())
    }
}

impl Repeats for Number {}

lenient!(NumberVisitor, Number, {
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Number(text.trim().parse().ok()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Number(Some(number as f64)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Number(Some(number as f64)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Number(Some(number)))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Number(None))
    }
});

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// Yes or no; absent when it is neither.
#[derive(Debug, Default, Clone, Copy)]
pub struct Flag(pub Option<bool>);

impl Repeats for Flag {}

lenient!(FlagVisitor, Flag, {
    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Flag(Some(flag)))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Flag(None))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Flag(None))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Flag(None))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Flag(None))
    }
});

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FlagVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    members! {
        Sample<'a> {
            "text" => text_member: Text<'a>,
            "number" => number: Number,
            "list" => list: Option<Vec<Sample<'a>>>,
        }
    }

    /// Text, number and notes.
    type Read = (Option<String>, Option<i64>, Vec<String>);

    fn parsed(text: &str) -> Result<Read, IntakeError> {
        let mut repaired = Vec::new();
        let parsed = parse::<Sample<'_>>(text.as_bytes(), &mut repaired, Format::Sarif)?;
        let sample = parsed.document;
        Ok((sample.text_member.find().map(str::to_owned), sample.number.whole(), parsed.notes))
    }

    #[test]
    fn scalars_are_lenient_and_structure_is_not() {
        assert_eq!(parsed(r#"{"text":7,"number":"4"}"#).unwrap(), (Some("7".to_owned()), Some(4), vec![]));
        assert_eq!(parsed(r#"{"text":{"a":[1]},"number":2.5}"#).unwrap(), (None, None, vec![]));
        assert_eq!(parsed(r#"{"number":1e300}"#).unwrap().1, None);
        assert!(parsed(r#"{"list":{}}"#).is_err() && parsed("[]").is_err());
    }

    #[test]
    fn a_member_given_twice_is_read_once_and_told() {
        let (text, _, notes) = parsed(r#"{"text":"a","text":"b","list":[{"number":1,"number":2}]}"#).unwrap();
        assert_eq!(text.as_deref(), Some("b"));
        assert_eq!(notes, ["2 members stand more than once in their object; the last of each was read."]);
    }

    #[test]
    fn raw_control_characters_are_escaped_only_inside_strings() {
        let (text, _, notes) = parsed("{\n\"text\": \"a\u{1f}\\\"\nb\"\n}").unwrap();
        assert_eq!(text.as_deref(), Some("a\u{1f}\"\nb"));
        assert_eq!(notes.len(), 1);
        assert!(parsed("{\"text\": \"a\\\n\"}").is_err(), "an escaped line break has no meaning");
        assert!(parsed(&format!("{{\"text\": \"{}\"}}", "\n".repeat(RAW_CONTROLS_MAX + 1))).is_err());
    }

    #[test]
    fn depth_is_bounded_also_in_what_is_not_read() {
        let nested = |levels: usize| format!("{{\"other\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(parsed(&nested(DEPTH_MAX - 1)).is_ok());
        assert_eq!(parsed(&nested(DEPTH_MAX)).unwrap_err(), IntakeError::TooDeep { limit: DEPTH_MAX });
        assert_eq!(parsed(&nested(1_000_000)).unwrap_err(), IntakeError::TooDeep { limit: DEPTH_MAX });
    }

    #[test]
    fn only_members_of_the_outermost_object_name_a_format() {
        assert_eq!(detect(br#"{"a":{"runs":[]},"b":"runs","c":["bomFormat"]}"#), None);
        assert_eq!(detect(br#"{"a":[{"b":"}\""}],"runs":[]}"#), Some(Format::Sarif));
        assert_eq!(detect(br#"{"runs""#), Some(Format::Sarif));
        assert_eq!(detect(br#"["runs"]"#), None);
        assert_eq!(detect(br#""\"#), None);
    }
}
