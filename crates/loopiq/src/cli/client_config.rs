//! `loopiq client-config`: what to paste into an AI client. The token stays in the environment or in a prompt of the
//! client, never in a file that others can see.

use clap::{Args, ValueEnum};

use crate::cli;
use crate::system;

/// Print the configuration to paste into an AI client.
#[derive(Args)]
#[command(after_help = "Example:\n  loopiq client-config --client cursor --url https://loopiq.example.com")]
pub struct ClientConfig {
    /// Which client.
    #[arg(long)]
    client: Client,
    /// Base URL of the server [default: LOOPIQ_URL, or http://127.0.0.1:8484].
    #[arg(long)]
    url: Option<String>,
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
    pub fn run(self) {
        let url = self
            .url
            .or_else(|| system::environment("LOOPIQ_URL"))
            .unwrap_or_else(|| "http://127.0.0.1:8484".into());
        cli::print(snippet(self.client, url.trim_end_matches('/')));
    }
}

/// The snippet for a client, with the token left in LOOPIQ_TOKEN.
pub fn snippet(client: Client, base: &str) -> String {
    match client {
        Client::ClaudeCode => format!(
            "  claude mcp add --transport http loopiq {base}/mcp --header \"Authorization: Bearer $LOOPIQ_TOKEN\""
        ),
        Client::ClaudeDesktop => format!(
            r#"{{
  "mcpServers": {{
    "loopiq": {{
      "command": "npx",
      "args": ["-y", "mcp-remote", "{base}/mcp", "--header", "Authorization:${{LOOPIQ_AUTHORIZATION}}"],
      "env": {{ "LOOPIQ_AUTHORIZATION": "Bearer <your token; this file is yours alone>" }}
    }}
  }}
}}"#
        ),
        Client::Cursor => format!(
            r#"{{
  "mcpServers": {{
    "loopiq": {{ "url": "{base}/mcp", "headers": {{ "Authorization": "Bearer ${{env:LOOPIQ_TOKEN}}" }} }}
  }}
}}"#
        ),
        Client::Vscode => format!(
            r#"{{
  "inputs": [{{ "type": "promptString", "id": "loopiq-token", "description": "LoopIQ token", "password": true }}],
  "servers": {{
    "loopiq": {{
      "type": "http", "url": "{base}/mcp", "headers": {{ "Authorization": "Bearer ${{input:loopiq-token}}" }}
    }}
  }}
}}"#
        ),
        Client::Chatgpt => {
            "ChatGPT connects by OAuth only, which this server does not offer yet. Use one of the other \
                            clients with a bearer token."
                .into()
        }
        Client::Generic => format!(
            "URL        {base}/mcp   (base URL {base} works too)\nTransport  Streamable HTTP\nHeader     \
             Authorization: Bearer $LOOPIQ_TOKEN"
        ),
    }
}
