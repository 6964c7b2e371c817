//! Names of attributes, and the paths of PATCH operations (RFC 7644, section 3.5.2, figure 7): `userName`,
//! `name.givenName`, `emails[type eq "work"].value`, each perhaps after the URN of a schema.

use super::filter::{Filter, read_filter};
use super::{FILTER_BYTES_MAX, GROUP, ScimType, USER, Wrong, wrong};

/// Where an operation works. Names are in lower case, because they ignore case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Whether it is of a schema that is not kept here, for example of the enterprise extension.
    pub foreign: bool,
    pub attribute: String,
    pub filter: Option<Filter>,
    pub sub: Option<String>,
}

fn bad() -> Wrong {
    wrong(
        ScimType::InvalidPath,
        "path names an attribute, perhaps with a filter in brackets and a part of it",
    )
}

impl Path {
    /// # Errors
    /// `invalidPath` for what is no path or longer than [`FILTER_BYTES_MAX`]; `invalidFilter` for what stands in its
    /// brackets.
    pub fn parse(text: &str) -> Result<Path, Wrong> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(bad());
        }
        let (path, rest) = Path::read(text.trim()).ok_or(bad())?;
        let Some(rest) = rest.strip_prefix('[') else {
            return if rest.is_empty() { Ok(path) } else { Err(bad()) };
        };
        if path.sub.is_some() {
            return Err(bad());
        }
        let (filter, rest) = read_filter(rest)?;
        let rest = rest.trim_start().strip_prefix(']').ok_or(bad())?;
        let sub = match rest.strip_prefix('.') {
            None if rest.is_empty() => None,
            Some(sub) if is_name(sub) => Some(sub.to_ascii_lowercase()),
            _ => return Err(bad()),
        };
        Ok(Path { filter: Some(filter), sub, ..path })
    }

    /// The name of an attribute at the start of a text, and what comes after it.
    pub(super) fn read(text: &str) -> Option<(Path, &str)> {
        let end = text
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '$')))
            .unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        // A URN has points of its own; what follows its last colon is the attribute.
        let (schema, name) = name.rsplit_once(':').map_or((None, name), |(urn, name)| (Some(urn), name));
        if schema.is_some_and(|urn| !urn.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))) {
            return None;
        }
        let kept = |urn: &str| urn.eq_ignore_ascii_case(USER) || urn.eq_ignore_ascii_case(GROUP);
        let (attribute, sub) = name.split_once('.').map_or((name, None), |(name, sub)| (name, Some(sub)));
        if !is_name(attribute) || sub.is_some_and(|sub| !is_name(sub)) {
            return None;
        }
        let path = Path {
            foreign: schema.is_some_and(|urn| !kept(urn)),
            attribute: attribute.to_ascii_lowercase(),
            filter: None,
            sub: sub.map(str::to_ascii_lowercase),
        };
        Some((path, rest))
    }
}

/// `ATTRNAME` of RFC 7643, section 2.1, and `$ref`.
fn is_name(text: &str) -> bool {
    let plain = text.strip_prefix('$').unwrap_or(text);
    plain.starts_with(|c: char| c.is_ascii_alphabetic())
        && plain.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
