//! How each AI client is told about this server: what to paste where. Signing in needs nothing but the address; where a
//! client is to send a token instead, the token stays in the environment or in a prompt of the client, never in a file that
//! others can see.

/// A client that people use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    ClaudeCode,
    ClaudeDesktop,
    Cursor,
    Vscode,
    Chatgpt,
    Generic,
}

impl Program {
    pub const ALL: [Program; 6] = [
        Program::ClaudeCode,
        Program::ClaudeDesktop,
        Program::Cursor,
        Program::Vscode,
        Program::Chatgpt,
        Program::Generic,
    ];

    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Program::ClaudeCode => "Claude Code",
            Program::ClaudeDesktop => "Claude (desktop and web)",
            Program::Cursor => "Cursor",
            Program::Vscode => "VS Code",
            Program::Chatgpt => "ChatGPT",
            Program::Generic => "Any other client",
        }
    }
}

/// How the client proves for whom it acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A person signs in in the browser.
    SignIn,
    /// A LoopIQ-issued token.
    Token,
}

/// What to do in a client, and what to paste there; nothing where it cannot be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    pub place: &'static str,
    pub text: String,
}

/// The command that connects Claude Code, with the token of the environment.
pub fn claude_code(base: &str) -> String {
    format!(
        "claude mcp add --transport http loopiq {base}/mcp --header \"Authorization: Bearer $LOOPIQ_TOKEN\""
    )
}

/// How a client is connected to the server at `base`.
pub fn snippet(program: Program, base: &str, way: Way) -> Option<Snippet> {
    let (place, text) = match way {
        Way::SignIn => by_signing_in(program, base),
        Way::Token => by_token(program, base)?,
    };
    Some(Snippet { place, text })
}

fn by_signing_in(program: Program, base: &str) -> (&'static str, String) {
    match program {
        Program::ClaudeCode => (
            "run this in a shell, then /mcp in Claude Code and sign in",
            format!("claude mcp add --transport http loopiq {base}/mcp"),
        ),
        Program::ClaudeDesktop => (
            "Settings, Connectors, Add custom connector: paste the address, then Connect. Claude's servers must reach it: by \
             https, at a public address",
            format!("{base}/mcp"),
        ),
        Program::Cursor => (
            ".cursor/mcp.json in the project, or ~/.cursor/mcp.json; then Connect in the settings, under MCP",
            format!("{{\n  \"mcpServers\": {{\n    \"loopiq\": {{ \"url\": \"{base}/mcp\" }}\n  }}\n}}"),
        ),
        Program::Vscode => (
            ".vscode/mcp.json; the editor asks to sign in when the server starts",
            format!(
                "{{\n  \"servers\": {{\n    \"loopiq\": {{ \"type\": \"http\", \"url\": \"{base}/mcp\" }}\n  }}\n}}"
            ),
        ),
        Program::Chatgpt => (
            "Settings, Connectors, with developer mode switched on: Create, paste the address, authentication OAuth. \
             OpenAI's servers must reach it: by https, at a public address",
            format!("{base}/mcp"),
        ),
        Program::Generic => (
            "any MCP client that speaks Streamable HTTP and signs in by OAuth",
            format!("URL        {base}/mcp\nread only  {base}/mcp/readonly\nTransport  Streamable HTTP"),
        ),
    }
}

fn by_token(program: Program, base: &str) -> Option<(&'static str, String)> {
    Some(match program {
        Program::ClaudeCode => (
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
        Program::ClaudeDesktop => (
            // The SDK that starts such programs hands on no variables but those named here; and on Windows an argument
            // with a space in it comes apart, so that the word Bearer stands with the token.
            "claude_desktop_config.json (Settings, Developer, Edit Config), which is yours alone: put your token in the \
             place of <token>. Node.js must be installed",
            format!(
                r#"{{
  "mcpServers": {{
    "loopiq": {{
      "command": "npx",
      "args": ["-y", "mcp-remote", "{base}/mcp", "--header", "Authorization:${{LOOPIQ_AUTHORIZATION}}"],
      "env": {{ "LOOPIQ_AUTHORIZATION": "Bearer <token>" }}
    }}
  }}
}}"#
            ),
        ),
        Program::Cursor => (
            ".cursor/mcp.json in the project, or ~/.cursor/mcp.json; LOOPIQ_TOKEN is read from the environment",
            format!(
                r#"{{
  "mcpServers": {{
    "loopiq": {{ "url": "{base}/mcp", "headers": {{ "Authorization": "Bearer ${{env:LOOPIQ_TOKEN}}" }} }}
  }}
}}"#
            ),
        ),
        Program::Vscode => (
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
        // Connects by OAuth alone.
        Program::Chatgpt => return None,
        Program::Generic => (
            "any MCP client that speaks Streamable HTTP and can send a header",
            format!(
                "URL        {base}/mcp\nread only  {base}/mcp/readonly\nTransport  Streamable HTTP\nHeader     \
                 Authorization: Bearer $LOOPIQ_TOKEN"
            ),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snippets_name_the_server_and_hold_no_secret() {
        for program in Program::ALL {
            for way in [Way::SignIn, Way::Token] {
                let Some(Snippet { text, .. }) = snippet(program, "https://a.example", way) else {
                    assert_eq!((program, way), (Program::Chatgpt, Way::Token));
                    continue;
                };
                assert!(text.contains("https://a.example/mcp") && !text.contains("liq_"), "{program:?}");
                if let Some(start) = text.find('{').filter(|_| program != Program::Generic) {
                    let (_, document) = text.split_at(start);
                    serde_json::from_str::<serde_json::Value>(document).unwrap();
                }
            }
        }
    }
}
