//! Values on their way into the library and out of it.

use std::borrow::Cow;

use domain::compact;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::sql::{Row, Value};
use crate::tables::audit::Placed;

/// A row as the library gives it.
pub struct SqliteRow<'a, 'b>(pub &'a rusqlite::Row<'b>);

impl SqliteRow<'_, '_> {
    /// A text, also one that lies packed, as leaves of the log do; those of earlier versions lie as they are.
    fn texts(&self, column: usize) -> Option<Cow<'_, str>> {
        match self.0.get_ref(column).ok()? {
            ValueRef::Text(text) => std::str::from_utf8(text).ok().map(Cow::Borrowed),
            ValueRef::Blob(packed) => compact::unpack(packed).map(Cow::Owned),
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
        }
    }

    /// Whether the column is one of texts, so that bytes in it are one that was packed.
    fn holds_texts(&self, column: usize) -> bool {
        let column = self.0.as_ref().columns().nth(column);
        let of = column.as_ref().and_then(|column| column.decl_type());
        of.is_some_and(|kind| kind.eq_ignore_ascii_case("text"))
    }
}

impl Row for SqliteRow<'_, '_> {
    fn text(&self, column: usize) -> String {
        self.maybe_text(column).unwrap_or_default()
    }
    fn maybe_text(&self, column: usize) -> Option<String> {
        self.texts(column).map(Cow::into_owned)
    }
    fn int(&self, column: usize) -> i64 {
        self.0.get(column).unwrap_or_default()
    }
    fn maybe_int(&self, column: usize) -> Option<i64> {
        self.0.get(column).unwrap_or_default()
    }
    fn bytes(&self, column: usize) -> Vec<u8> {
        self.0.get(column).unwrap_or_default()
    }
    fn value(&self, column: usize) -> Value {
        match self.0.get_ref(column) {
            Ok(ValueRef::Integer(number)) => Value::Int(number),
            Ok(ValueRef::Text(text)) => Value::Text(String::from_utf8_lossy(text).into_owned()),
            Ok(ValueRef::Blob(_)) if self.holds_texts(column) => Value::from(self.maybe_text(column)),
            Ok(ValueRef::Blob(bytes)) => Value::Bytes(bytes.to_vec()),
            Ok(ValueRef::Null | ValueRef::Real(_)) | Err(_) => Value::Null,
        }
    }
    fn with_text(&self, column: usize, read: &mut dyn FnMut(&str)) {
        if let Some(text) = self.texts(column) {
            read(&text);
        }
    }
}

/// A value, and where the audit records of its write came to lie.
pub struct Bound<'a>(pub &'a Value, pub &'a [Placed]);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let placed = |index: &usize| {
            self.1.get(*index).ok_or_else(|| {
                rusqlite::Error::ToSqlConversionFailure("a receipt of a draft the write does not have".into())
            })
        };
        Ok(match self.0 {
            Value::Null => ToSqlOutput::from(rusqlite::types::Null),
            Value::Int(v) => ToSqlOutput::from(*v),
            Value::Text(v) => ToSqlOutput::from(v.as_str()),
            Value::Bytes(v) => ToSqlOutput::from(v.as_slice()),
            Value::ReceiptSequence(n) => ToSqlOutput::from(placed(n)?.receipt.sequence),
            Value::ReceiptLeaf(n) => ToSqlOutput::from(placed(n)?.leaf.as_str()),
            Value::ReceiptTime(n) => ToSqlOutput::from(placed(n)?.receipt.recorded_at.0),
            Value::ReceiptEntry(n) => ToSqlOutput::from(placed(n)?.entry.as_slice()),
        })
    }
}
