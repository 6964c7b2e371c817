//! Values that are texts in JSON, read where the text lies: nothing is copied that is only looked at.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Reads a text and parses it.
///
/// # Errors
/// What is no text, and what `parse` says of one.
pub fn read<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    from: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    from.deserialize_str(Parsed(parse, PhantomData))
}

struct Parsed<F, T, E>(F, PhantomData<(T, E)>);

impl<T, E: fmt::Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Parsed<F, T, E> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_str<R: Error>(self, text: &str) -> Result<T, R> {
        (self.0)(text).map_err(R::custom)
    }
}
