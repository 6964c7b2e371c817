//! What all lists share: limit and cursor in, cursor out.

use domain::digest::Digest;
use serde::Serialize;

use crate::stop::Stop;
use crate::tool::Cx;

/// One page to read, with its position opened and its size bounded.
pub struct Wanted {
    limit: u32,
    after: Option<String>,
    list: String,
}

impl Wanted {
    /// `filters` must hold everything that decides which records the list has, so that a cursor cannot be carried
    /// to another list.
    ///
    /// # Errors
    /// `validation_failed` for a cursor that is not of this list.
    pub fn new<F: Serialize>(
        cx: &Cx<'_>,
        tool: &str,
        filters: &F,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Wanted, Stop> {
        let list = format!("{tool}:{}", Digest::of(&serde_json::to_vec(filters)?));
        let after = match cursor {
            None => None,
            Some(cursor) => Some(cx.cursors.open(cx.organization.id, &list, cursor)?),
        };
        let limit = limit.unwrap_or(cx.settings.page_size_default).clamp(1, cx.settings.page_size_max);
        Ok(Wanted { limit, after, list })
    }
    pub fn page(&self) -> store::Page<'_> {
        store::Page { limit: self.limit, after: self.after.as_deref() }
    }
    pub fn next(&self, cx: &Cx<'_>, next: Option<String>) -> Option<String> {
        next.map(|position| cx.cursors.seal(cx.organization.id, &self.list, &position))
    }
}

/// `3 of 12 items. More: call again with the nextCursor.` and one line per item.
pub fn say<T>(noun: &str, items: &[T], total: u32, more: bool, line: impl Fn(&T) -> String) -> String {
    let mut text = format!("{} of {total} {noun}.", items.len());
    if more {
        text.push_str(" More: call again with nextCursor as cursor.");
    }
    for item in items {
        text.push_str("\n- ");
        text.push_str(&line(item));
    }
    text
}
