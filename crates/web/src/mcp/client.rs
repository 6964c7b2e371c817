//! What the client of a stateless request can do, as the request says. Older revisions said it once, in a handshake of which
//! nothing is kept: of their clients nothing is assumed.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The identifier of the tasks extension (SEP-2663).
pub const TASKS: &str = "io.modelcontextprotocol/tasks";
/// The identifier of the apps extension (SEP-1865).
pub const APPS: &str = "io.modelcontextprotocol/ui";
/// The identifier of the skills extension (SEP-2640).
pub const SKILLS: &str = "io.modelcontextprotocol/skills";

/// What a client can do that matters here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Shows a form and gives back what was entered.
    pub forms: bool,
    /// Opens an address for its person.
    pub urls: bool,
    pub sampling: bool,
    pub roots: bool,
    pub tasks: bool,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Said {
    elicitation: Option<Value>,
    sampling: Option<Value>,
    roots: Option<Value>,
    extensions: Option<Value>,
}

impl Abilities {
    /// Reads `clientCapabilities`; what has another shape than the revision gives it counts for nothing.
    pub fn read(raw: Option<&RawValue>) -> Abilities {
        let said = raw.map(RawValue::get).filter(|text| *text != "{}");
        let said: Said = said.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let object = |value: &Option<Value>| value.as_ref().is_some_and(Value::is_object);
        let modes = said.elicitation.as_ref().and_then(Value::as_object);
        let urls = modes.is_some_and(|modes| modes.get("url").is_some_and(Value::is_object));
        let extension =
            |name: &str| said.extensions.as_ref().and_then(|all| all.get(name)).is_some_and(Value::is_object);
        Abilities {
            // A client that names no mode shows forms (chapter on elicitation, capabilities).
            forms: modes.is_some_and(|modes| modes.contains_key("form") || !modes.contains_key("url")),
            urls,
            sampling: object(&said.sampling),
            roots: object(&said.roots),
            tasks: extension(TASKS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Abilities {
        let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
        Abilities::read(Some(&raw))
    }

    #[test]
    fn only_what_is_declared_is_there() {
        assert_eq!(Abilities::read(None), Abilities::default());
        assert_eq!(read("{}"), Abilities::default());
        assert_eq!(read("[1]"), Abilities::default());
        assert_eq!(read(r#"{"elicitation":{}}"#), Abilities { forms: true, ..Abilities::default() });
        assert_eq!(read(r#"{"elicitation":{"url":{}}}"#), Abilities { urls: true, ..Abilities::default() });
        let both = read(r#"{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}"#);
        assert!(both.forms && both.urls && both.sampling && both.roots && !both.tasks);
        assert!(read(r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#).tasks);
        assert!(!read(r#"{"extensions":{"io.modelcontextprotocol/tasks":null}}"#).tasks);
    }
}
