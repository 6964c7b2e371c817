//! Pictures beside names: where a client finds the icon of a thing (`assets/icon-….svg`).

use serde_json::{Value, json};

/// `icons` of one entry, as JSON.
pub fn of(base: &str, name: &str) -> Value {
    json!([{ "src": src(base, name), "mimeType": "image/svg+xml", "sizes": ["any"] }])
}

fn src(base: &str, name: &str) -> String {
    format!("{base}/assets/icon-{name}.svg")
}
