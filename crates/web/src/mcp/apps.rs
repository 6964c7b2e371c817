//! Pages for hosts that show them beside a conversation (MCP Apps, SEP-1865): the approval card of a write, and a release with
//! its evidence graph. Each is one file without outside parts. It shows what the tool's result says and opens the console for
//! a decision: a page in somebody else's program approves nothing.

use engine::Tool;
use serde_json::{Value, json};

/// The kind of such a page.
pub const MIME: &str = "text/html;profile=mcp-app";

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum App {
    /// A governed action: what would change, who must approve, how it stands.
    Action,
    /// A release or certification with its evidence graph.
    Release,
}

impl App {
    const ALL: [App; 2] = [App::Action, App::Release];

    /// Its address.
    pub const fn uri(self) -> &'static str {
        match self {
            App::Action => "ui://loopiq/action",
            App::Release => "ui://loopiq/release",
        }
    }

    /// The page at this address.
    pub fn at(uri: &str) -> Option<App> {
        App::ALL.into_iter().find(|app| app.uri() == uri)
    }

    pub const fn html(self) -> &'static str {
        match self {
            App::Action => concat!(include_str!("apps/frame.html"), include_str!("apps/action.js")),
            App::Release => concat!(include_str!("apps/frame.html"), include_str!("apps/release.js")),
        }
    }

    /// The page that shows this tool's results.
    pub fn of(tool: &Tool) -> Option<App> {
        match tool.name() {
            "loopiq_get_action" => Some(App::Action),
            "loopiq_get_release"
            | "loopiq_get_release_certification"
            | "loopiq_get_release_certification_evidence_graph" => Some(App::Release),
            _ if tool.is_read() => None,
            _ => Some(App::Action),
        }
    }
}

/// What a host is to know of every page: it loads nothing and asks for no permission.
pub fn meta() -> Value {
    json!({ "ui": {
        "csp": { "connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": [] },
        "permissions": {},
        "prefersBorder": true,
    }})
}
