//! `loopiq client-config`: what to paste into an AI client. The token stays in the environment or in a prompt of the
//! client, never in a file that others can see.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Failure, Report, http};
use crate::system;

/// Print the configuration to paste into an AI client.
#[derive(Args)]
#[command(after_help = "Example:\n  loopiq client-config --client cursor --url https://loopiq.example.com")]
pub struct ClientConfig {
    /// The AI client; generic for any other.
    #[arg(long, value_enum)]
    client: Client,
    /// Base URL of the server [default: LOOPIQ_URL, or http://127.0.0.1:8484].
    #[arg(long)]
    url: Option<String>,
    /// Print one JSON value.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Client {
    ClaudeCode,
    ClaudeDesktop,
    Cursor,
    Vscode,
    Chatgpt,
    Generic,
}

impl ClientConfig {
    pub fn run(self) -> anyhow::Result<()> {
        let named = self.url.or_else(|| system::environment("LOOPIQ_URL"));
        let base = http::base_url(Some(named.as_deref().unwrap_or("http://127.0.0.1:8484")))?;
        let base = base.as_str().trim_end_matches('/');
        let (place, snippet) = snippet(self.client, base);
        let name = self.client.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
        let json =
            json!({ "client": name, "mcpUrl": format!("{base}/mcp"), "place": place, "snippet": snippet });
        let failure = (self.client == Client::Chatgpt).then(|| {
            let message = "ChatGPT connects by OAuth, which this server does not offer yet";
            Failure::new(message, "Use one of the other clients with a bearer token.")
        });
        let lines = if failure.is_some() { Vec::new() } else { vec![format!("# {place}\n"), snippet] };
        Report { lines, json: vec![json], failure }.print(self.json)
    }
}

/// The command that connects Claude Code, with the token of the environment.
pub fn claude_code(base: &str) -> String {
    format!(
        "claude mcp add --transport http loopiq {base}/mcp --header \"Authorization: Bearer $LOOPIQ_TOKEN\""
    )
}

/// Where a client's configuration goes, and what it is.
fn snippet(client: Client, base: &str) -> (&'static str, String) {
    match client {
        Client::ClaudeCode => (
            "run this in a shell where LOOPIQ_TOKEN is set; it is kept in settings that are yours alone. For a team, \
             commit the file .mcp.json below instead: each member's LOOPIQ_TOKEN is read when Claude Code starts",
            format!(
                r#"{}

{{
  "mcpServers": {{
    "loopiq": {{
      "type": "http", "url": "{base}/mcp", "headers": {{ "Authorization": "Bearer ${{LOOPIQ_TOKEN}}" }}
    }}
  }}
}}"#,
                claude_code(base)
            ),
        ),
        Client::ClaudeDesktop => (
            "claude_desktop_config.json (Settings, Developer, Edit Config); start Claude Desktop with LOOPIQ_TOKEN in its \
             environment",
            format!(
                r#"{{
  "mcpServers": {{
    "loopiq": {{
      "command": "npx",
      "args": ["-y", "mcp-remote", "{base}/mcp", "--header", "Authorization:Bearer ${{LOOPIQ_TOKEN}}"]
    }}
  }}
}}"#
            ),
        ),
        Client::Cursor => (
            ".cursor/mcp.json in the project, or ~/.cursor/mcp.json; LOOPIQ_TOKEN is read from the environment",
            format!(
                r#"{{
  "mcpServers": {{
    "loopiq": {{ "url": "{base}/mcp", "headers": {{ "Authorization": "Bearer ${{env:LOOPIQ_TOKEN}}" }} }}
  }}
}}"#
            ),
        ),
        Client::Vscode => (
            ".vscode/mcp.json; the token is asked for once and kept in the editor's secret storage",
            format!(
                r#"{{
  "inputs": [{{ "type": "promptString", "id": "loopiq-token", "description": "LoopIQ token", "password": true }}],
  "servers": {{
    "loopiq": {{
      "type": "http", "url": "{base}/mcp", "headers": {{ "Authorization": "Bearer ${{input:loopiq-token}}" }}
    }}
  }}
}}"#
            ),
        ),
        Client::Chatgpt => ("not offered yet: ChatGPT connects by OAuth only", String::new()),
        Client::Generic => (
            "any MCP client that speaks Streamable HTTP and can send a header",
            format!(
                "URL        {base}/mcp\nread only  {base}/mcp/readonly\nTransport  Streamable HTTP\nHeader     \
                 Authorization: Bearer $LOOPIQ_TOKEN"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::{Client, snippet};

    #[test]
    fn snippets_name_the_server_and_hold_no_secret() {
        for client in Client::value_variants().iter().filter(|c| **c != Client::Chatgpt) {
            let (_, text) = snippet(*client, "https://a.example");
            assert!(text.contains("https://a.example/mcp") && !text.contains("liq_"), "{client:?}");
            if let Some(start) = text.find('{').filter(|_| *client != Client::Generic) {
                let (_, document) = text.split_at(start);
                serde_json::from_str::<serde_json::Value>(document).unwrap();
            }
        }
    }
}
