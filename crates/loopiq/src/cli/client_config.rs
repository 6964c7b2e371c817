//! `loopiq client-config`: what to paste into an AI client.

use clap::{Args, ValueEnum};
use serde_json::json;
use web::connect::{Program, Way, snippet};

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
    /// For a token of LOOPIQ_TOKEN, instead of signing in in the browser.
    #[arg(long)]
    with_token: bool,
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

impl From<Client> for Program {
    fn from(client: Client) -> Program {
        match client {
            Client::ClaudeCode => Program::ClaudeCode,
            Client::ClaudeDesktop => Program::ClaudeDesktop,
            Client::Cursor => Program::Cursor,
            Client::Vscode => Program::Vscode,
            Client::Chatgpt => Program::Chatgpt,
            Client::Generic => Program::Generic,
        }
    }
}

impl ClientConfig {
    pub fn run(self) -> anyhow::Result<()> {
        let named = self.url.or_else(|| system::environment("LOOPIQ_URL"));
        let base = http::base_url(Some(named.as_deref().unwrap_or("http://127.0.0.1:8484")))?;
        let base = base.as_str().trim_end_matches('/');
        let way = if self.with_token { Way::Token } else { Way::SignIn };
        let found = snippet(self.client.into(), base, way).ok_or_else(|| {
            Failure::new("this client takes no token", "Leave --with-token out: it signs in in the browser.")
        })?;
        let name = self.client.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
        let json = json!({
            "client": name, "mcpUrl": format!("{base}/mcp"), "place": found.place, "snippet": found.text,
        });
        let lines = vec![format!("# {}\n", found.place), found.text];
        Report { lines, json: vec![json], failure: None }.print(self.json)
    }
}
