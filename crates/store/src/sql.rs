//! Statements and values as both engines will understand them: portable text with `?1` placeholders, organization
//! first in every key, ids as text, times as integer microseconds, documents as JSON text, lists as `,a,b,`.

use std::fmt::Display;

/// One statement. All of them are constants in one list (`tables::all`), which a test prepares.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    pub name: &'static str,
    pub text: &'static str,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    /// Sequence, leaf hash, time and text of the n-th audit draft of the same write; known only inside the commit.
    ReceiptSequence(usize),
    ReceiptLeaf(usize),
    ReceiptTime(usize),
    ReceiptEntry(usize),
}

impl From<i64> for Value {
    fn from(v: i64) -> Value {
        Value::Int(v)
    }
}
impl From<bool> for Value {
    fn from(v: bool) -> Value {
        Value::Int(i64::from(v))
    }
}
impl From<&str> for Value {
    fn from(v: &str) -> Value {
        Value::Text(v.to_owned())
    }
}
impl From<String> for Value {
    fn from(v: String) -> Value {
        Value::Text(v)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Value {
        v.map_or(Value::Null, Into::into)
    }
}

/// Text of anything that displays (ids, words).
pub fn text(v: impl Display) -> Value {
    Value::Text(v.to_string())
}

/// Text of an optional thing that displays.
pub fn maybe(v: Option<impl Display>) -> Value {
    v.map_or(Value::Null, text)
}

/// A list parameter: `,a,b,`; null means no restriction.
pub fn list<T: Display>(items: &[T]) -> Value {
    if items.is_empty() { Value::Null } else { joined(items) }
}

/// Like [`list`], for visible teams, where an empty list means that nothing is visible.
pub fn teams<T: Display>(items: Option<&[T]>) -> Value {
    items.map_or(Value::Null, joined)
}

fn joined<T: Display>(items: &[T]) -> Value {
    let mut out = String::from(",");
    for item in items {
        out.push_str(&item.to_string());
        out.push(',');
    }
    Value::Text(out)
}

/// A page of a list: how many, and after which position.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    pub limit: u32,
    pub after: Option<&'a str>,
}

/// One page, newest first unless the function says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    pub items: Vec<T>,
    /// Position to go on from; absent at the end.
    pub next: Option<String>,
    /// How many there are in all pages.
    pub total: u32,
}

/// A row as a reader of both engines needs it. Columns count from 0.
pub trait Row {
    fn text(&self, column: usize) -> String;
    fn maybe_text(&self, column: usize) -> Option<String>;
    fn int(&self, column: usize) -> i64;
    fn maybe_int(&self, column: usize) -> Option<i64>;
    fn bytes(&self, column: usize) -> Vec<u8>;
    /// Whatever the column holds, to be written elsewhere.
    fn value(&self, column: usize) -> Value;
    /// A document column, read into its struct.
    fn with_text(&self, column: usize, read: &mut dyn FnMut(&str));
}
