//! `loopiq doctor`: why can I not connect, see no tools, see the wrong tenant, get unauthorized; and is a data folder
//! whole.

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::evidence::http_client;
use crate::{cli, config, system, wire};

/// Walk the path of a client, or check a data folder, and say what is wrong and who can fix it.
#[derive(Args)]
#[command(
    after_help = "Example:\n  loopiq doctor --url http://127.0.0.1:8484 --token \"$LOOPIQ_TOKEN\"\n  loopiq doctor \
                        --data loopiq-data"
)]
pub struct Doctor {
    /// Base URL of a server [default: LOOPIQ_URL].
    #[arg(long)]
    url: Option<String>,
    /// Bearer token [default: LOOPIQ_TOKEN].
    #[arg(long)]
    token: Option<String>,
    /// Check this data folder instead; it must not be served at the moment.
    #[arg(long, value_name = "DIR")]
    data: Option<std::path::PathBuf>,
}

impl Doctor {
    pub fn run(self) -> anyhow::Result<()> {
        if let Some(data) = self.data {
            return check_data(&data);
        }
        let url = self.url.or_else(|| system::environment("LOOPIQ_URL"));
        let url = url.context("--url is needed (remedy: give it or LOOPIQ_URL, or --data for a folder)")?;
        let token = self.token.or_else(|| system::environment("LOOPIQ_TOKEN"));
        wire::block_on(check_server(url.trim_end_matches('/').to_owned(), token))
    }
}

fn ok(line: &str) {
    cli::print(format!("ok    {line}"));
}

fn problem(line: &str, remedy: &str) -> anyhow::Error {
    cli::print(format!("FAIL  {line}"));
    anyhow::anyhow!("{line}\nremedy: {remedy}")
}

fn check_data(data: &std::path::Path) -> anyhow::Result<()> {
    if !data.join("directory.db").exists() {
        return Err(problem("there is no data folder there", "check --data; `loopiq init` makes one"));
    }
    let flags = std::collections::BTreeMap::from([("data", data.display().to_string())]);
    let sources = config::Sources { flags, environment: &system::environment, file: None };
    let (config, _) = config::Config::load(&sources)?;
    wire::block_on(async move {
        let world = wire::open(&config).await?;
        ok("the folder opens, its schema is known");
        let mut broken = 0;
        for organization in world.identity.organizations().await? {
            let org = world.store.org(organization.id).await?;
            let report = org
                .reader()
                .verify_log(&mut |read| {
                    if read % 10_000 == 0 {
                        cli::progress(format!("{}: {read} records read", organization.slug));
                    }
                })
                .await?;
            if report.problems.is_empty() {
                ok(&format!(
                    "{}: audit log of {} records, root {}",
                    organization.slug, report.size, report.root
                ));
            } else {
                broken += 1;
                for line in report.problems {
                    cli::print(format!("FAIL  {}: {line}", organization.slug));
                }
            }
        }
        world.store.close().await;
        if broken > 0 {
            anyhow::bail!(
                "{broken} audit log(s) are not whole\nremedy: restore a backup; keep this folder as evidence"
            );
        }
        Ok(())
    })
}

async fn rpc(
    client: &reqwest::Client,
    url: &str,
    token: &str,
    method: &str,
    params: Value,
) -> anyhow::Result<(u16, Value)> {
    let answer = client
        .post(format!("{url}/mcp"))
        .bearer_auth(token)
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2025-11-25")
        .json(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
        .send()
        .await?;
    let status = answer.status().as_u16();
    Ok((status, answer.json().await.unwrap_or(Value::Null)))
}

async fn check_server(url: String, token: Option<String>) -> anyhow::Result<()> {
    let client = http_client()?;
    let reached = client.get(format!("{url}/readyz")).send().await;
    match reached {
        Ok(answer) if answer.status().is_success() => ok("the server is reached and ready"),
        Ok(answer) => {
            let line = format!("the server answers {} to /readyz", answer.status().as_u16());
            return Err(problem(
                &line,
                "check the URL; if it is right, the operator finds the cause in the log",
            ));
        }
        Err(error) => {
            let line = format!("the server cannot be reached ({})", error.without_url());
            return Err(problem(&line, "check the URL, the network, and that `loopiq serve` runs"));
        }
    }
    let bare = client.post(format!("{url}/mcp")).body("{}").send().await.context("the MCP endpoint")?;
    if bare.status().as_u16() != 401 || bare.headers().get("www-authenticate").is_none() {
        return Err(problem(
            "the MCP endpoint does not ask for a credential",
            "something between you and the server answers for it; ask the operator of the proxy",
        ));
    }
    ok("the MCP endpoint asks for a credential");
    let Some(token) = token else {
        cli::print("      no token given; the checks end here (remedy: --token or LOOPIQ_TOKEN)");
        return Ok(());
    };
    let (status, answer) = rpc(&client, &url, &token, "tools/list", json!({})).await?;
    if status == 401 {
        return Err(problem(
            "unauthorized: the token is not accepted (expired, revoked, mistyped, or its owner is inactive)",
            "issue a new one with `loopiq token issue`, or ask an administrator",
        ));
    }
    if status != 200 {
        return Err(problem(&format!("tools/list is answered {status}"), "look at the server's log"));
    }
    ok("the token is accepted");
    let tools = answer.pointer("/result/tools").and_then(Value::as_array).map_or(0, Vec::len);
    if tools == 0 {
        return Err(problem(
            "no tools appear: MCP is off for the organization, or the role has no MCP access",
            "an organization administrator switches MCP on (`loopiq org set SLUG --mcp on`) or gives a role with \
             mcp:access",
        ));
    }
    ok(&format!("{tools} tools are offered"));
    let call = json!({ "name": "loopiq_get_context", "arguments": {} });
    let (_, answer) = rpc(&client, &url, &token, "tools/call", call).await?;
    let text = |path: &str| {
        let value = answer.pointer(&format!("/result/structuredContent/context/{path}"));
        value.and_then(Value::as_str).unwrap_or("?").to_owned()
    };
    ok(&format!(
        "you are {} in organization {} (wrong one? a token belongs to one organization: use another token)",
        text("user/email"),
        text("organization/slug")
    ));
    Ok(())
}
