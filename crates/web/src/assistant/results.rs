//! Results of tools as the rules read them: short ways to their members, and from records to lines of an answer. What a
//! result lacks is empty; nothing here can fail.

use domain::conversation::{Block, Fact, Item};
use serde_json::Value;

use super::limits;

/// The text at a path, or nothing.
pub fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

pub fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

pub fn flag(value: &Value, path: &str) -> bool {
    value.pointer(path).and_then(Value::as_bool).unwrap_or_default()
}

/// The list at a path.
pub fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The records of a list.
pub fn items(value: &Value) -> &[Value] {
    list(value, "/items")
}

pub fn total(value: &Value) -> u32 {
    u32::try_from(number(value, "/total")).unwrap_or(u32::MAX)
}

/// The path of a record's page: its address without the host, under which the server may have other names.
pub fn page(record: &Value) -> Option<String> {
    let url = text(record, "/url");
    url.rfind("/app/").and_then(|at| url.get(at..)).map(str::to_owned)
}

/// A word of a closed vocabulary, as it is said in a sentence.
pub fn word(text: &str) -> String {
    text.replace('_', " ")
}

/// `1 gap`, `3 gaps`.
pub fn count(number: usize, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {noun}s"),
    }
}

/// The text with a capital first letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

pub fn said(text: impl Into<String>) -> Block {
    Block::Said { text: text.into() }
}

pub fn fact(label: &str, value: impl Into<String>) -> Fact {
    Fact { label: label.to_owned(), value: value.into() }
}

/// A list of records, cut to what an answer shows.
pub fn records(title: &str, items: Vec<Item>, total: u32, to: Option<String>) -> Block {
    let mut items = items;
    let total = total.max(u32::try_from(items.len()).unwrap_or(u32::MAX));
    items.truncate(limits::ITEMS_MAX);
    Block::Records { title: title.to_owned(), items, total, to }
}

pub fn release(r: &Value) -> Item {
    Item {
        title: text(r, "/name").to_owned(),
        to: page(r),
        state: Some(text(r, "/status").to_owned()),
        note: format!("version {}, team {}", text(r, "/releaseVersion"), text(r, "/team/name")),
    }
}

pub fn certification(c: &Value) -> Item {
    Item {
        title: text(c, "/title").to_owned(),
        to: page(c),
        state: Some(text(c, "/status").to_owned()),
        note: format!(
            "{}: {}, score {}, {}, {}",
            text(c, "/release/name"),
            word(text(c, "/readiness/verdict")),
            number(c, "/readiness/score"),
            count(number(c, "/openGapCount") as usize, "open gap"),
            count(number(c, "/openBlockerCount") as usize, "open blocker"),
        ),
    }
}

pub fn gap(g: &Value) -> Item {
    let blocking = if flag(g, "/blocking") { "blocks the release" } else { "does not block" };
    Item {
        title: format!("{} · {}", text(g, "/control/code"), text(g, "/control/title")),
        to: page(g),
        state: Some(text(g, "/status").to_owned()),
        note: format!("{}; {blocking}, severity {}", reason(text(g, "/reason")), text(g, "/severity")),
    }
}

/// What is wrong with the evidence, and what closes the gap.
fn reason(word: &str) -> &'static str {
    match word {
        "missing" => "no evidence yet: push what the control asks for",
        "stale" => "too old to count: collect it again and push the new file",
        "failed" => "the newest evidence failed: only new, passing evidence closes it",
        "unverified" => "not verified: push it with a signature that can be checked",
        _ => "not closed",
    }
}

pub fn blocker(b: &Value) -> Item {
    let component = text(b, "/component");
    let place = if component.is_empty() { String::new() } else { format!(" in {component}") };
    Item {
        title: text(b, "/title").to_owned(),
        to: page(b),
        state: Some(text(b, "/severity").to_owned()),
        note: format!("{} {}{place}, {}", text(b, "/provider"), text(b, "/rule"), word(text(b, "/status"))),
    }
}

pub fn evidence(e: &Value) -> Item {
    Item {
        title: text(e, "/title").to_owned(),
        to: page(e),
        state: Some(text(e, "/status").to_owned()),
        note: format!(
            "{}, {}{}",
            word(text(e, "/type")),
            text(e, "/freshness"),
            e.pointer("/control/code")
                .and_then(Value::as_str)
                .map(|c| format!(", for {c}"))
                .unwrap_or_default()
        ),
    }
}

pub fn work_item(w: &Value) -> Item {
    Item {
        title: text(w, "/title").to_owned(),
        to: page(w),
        state: Some(text(w, "/status").to_owned()),
        note: format!(
            "{}, priority {}, team {}",
            text(w, "/type"),
            text(w, "/priority"),
            text(w, "/team/name")
        ),
    }
}

pub fn action(a: &Value) -> Item {
    let who = if flag(a, "/awaitsYou") { "waits for you" } else { "waits for others" };
    Item {
        title: text(a, "/title").to_owned(),
        to: page(a),
        state: Some(text(a, "/status").to_owned()),
        note: format!("{who}, asked by {}", text(a, "/requestedBy/email")),
    }
}

/// Anything with a name, a state and a page.
pub fn found(hit: &Value) -> Item {
    let state = Some(text(hit, "/status").to_owned()).filter(|state| !state.is_empty());
    Item { title: text(hit, "/title").to_owned(), to: page(hit), state, note: word(text(hit, "/type")) }
}
