//! The filters that are answered (RFC 7644, section 3.4.2.2): comparisons by `eq`, joined by `and`. That is what
//! directories ask to find the person or the group they mean; everything else is refused by name, not guessed at.

use super::path::Path;
use super::{FILTER_BYTES_MAX, ScimType, TERMS_MAX, Wrong, wrong};

/// Comparisons that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    /// In lower case, with a part after a point.
    attribute: String,
    value: Literal,
}

/// What is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    Text(String),
    Flag(bool),
}

const fn bad(detail: &'static str) -> Wrong {
    wrong(ScimType::InvalidFilter, detail)
}

const FORM: Wrong = bad("a filter is attribute eq \"value\", or several of these joined by and");

impl Filter {
    /// # Errors
    /// `invalidFilter` for any other form, for more than [`TERMS_MAX`] comparisons, and over [`FILTER_BYTES_MAX`].
    pub fn parse(text: &str) -> Result<Filter, Wrong> {
        let (filter, rest) = read_filter(text)?;
        if rest.trim().is_empty() { Ok(filter) } else { Err(FORM) }
    }

    /// Whether every comparison holds. `of` compares an attribute, named in lower case, with a value; `None`: the
    /// attribute cannot be asked for.
    ///
    /// # Errors
    /// `invalidFilter` for such an attribute.
    pub fn matches(&self, of: impl Fn(&str, &Literal) -> Option<bool>) -> Result<bool, Wrong> {
        // All are asked, so that a filter is refused or not whatever is there.
        let mut all = true;
        for term in &self.0 {
            all &= of(&term.attribute, &term.value).ok_or(bad("this attribute cannot be filtered by"))?;
        }
        Ok(all)
    }
}

impl Literal {
    /// Equal letter by letter.
    pub fn is(&self, text: &str) -> bool {
        matches!(self, Literal::Text(own) if own == text)
    }
    /// Equal but for case.
    pub fn is_like(&self, text: &str) -> bool {
        matches!(self, Literal::Text(own) if own.to_lowercase() == text.to_lowercase())
    }
    /// Equal as a truth value; some directories write it as a text.
    pub fn is_flag(&self, flag: bool) -> bool {
        match self {
            Literal::Flag(own) => *own == flag,
            Literal::Text(own) => own.eq_ignore_ascii_case(if flag { "true" } else { "false" }),
        }
    }
}

/// A filter at the start of a text, and what comes after it.
pub(super) fn read_filter(text: &str) -> Result<(Filter, &str), Wrong> {
    if text.len() > FILTER_BYTES_MAX {
        return Err(bad("a filter has at most 1024 bytes"));
    }
    let mut terms = Vec::new();
    let mut rest = text;
    loop {
        let (term, after) = read_term(rest.trim_start())?;
        if terms.len() >= TERMS_MAX {
            return Err(bad("a filter joins at most 8 comparisons"));
        }
        terms.push(term);
        match word(after.trim_start(), "and") {
            Some(next) => rest = next,
            None => return Ok((Filter(terms), after)),
        }
    }
}

fn read_term(text: &str) -> Result<(Term, &str), Wrong> {
    let (path, rest) = Path::read(text).ok_or(FORM)?;
    let value = word(rest.trim_start(), "eq").ok_or(FORM)?.trim_start();
    let (value, rest) = read_literal(value).ok_or(FORM)?;
    if path.foreign {
        return Err(bad("this attribute cannot be filtered by"));
    }
    let attribute = match path.sub {
        Some(sub) => format!("{}.{sub}", path.attribute),
        None => path.attribute,
    };
    Ok((Term { attribute, value }, rest))
}

/// What follows a word, which ends where no letter goes on.
fn word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(word.len())?;
    (start.eq_ignore_ascii_case(word) && !rest.starts_with(|c: char| c.is_alphanumeric())).then_some(rest)
}

/// A text as JSON writes it, or `true` or `false`.
fn read_literal(text: &str) -> Option<(Literal, &str)> {
    if text.starts_with('"') {
        let mut read = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let own = read.next()?.ok()?;
        return Some((Literal::Text(own), text.get(read.byte_offset()..)?));
    }
    let flag = |flag: bool, name| word(text, name).map(|rest| (Literal::Flag(flag), rest));
    flag(true, "true").or_else(|| flag(false, "false"))
}
