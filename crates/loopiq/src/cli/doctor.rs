//! `loopiq doctor`: why can I not connect, see no tools, see the wrong tenant, get unauthorized; and is a data folder
//! whole. Walks the path of a client step by step and stops at the first that fails, naming who can mend it.

use clap::Args;
use data_encoding::BASE64URL_NOPAD;
use domain::time::Timestamp;
use reqwest::{Client, Url};
use serde_json::{Value, json};

use super::{Admin, Common, Failure, Report, describe, http, progress};
use crate::wire::{self, World};
use crate::{cli, system};

/// Find out why a client cannot connect (--url), or whether a data folder is whole (--data), and who can mend it.
#[derive(Args)]
#[command(
    after_help = "Example:\n  LOOPIQ_TOKEN=liq_… loopiq doctor --url http://127.0.0.1:8484\n  loopiq doctor --data \
                  loopiq-data"
)]
pub struct Doctor {
    /// Base URL of a server [default: LOOPIQ_URL].
    #[arg(long, conflicts_with_all = ["data", "database_url", "config"])]
    url: Option<String>,
    /// Bearer token [default: LOOPIQ_TOKEN, which keeps it out of the list of processes].
    #[arg(long, conflicts_with_all = ["data", "database_url", "config"])]
    token: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Doctor {
    pub fn run(self) -> anyhow::Result<()> {
        let Common { data, database_url, config, .. } = &self.common;
        if data.is_some() || database_url.is_some() || config.is_some() {
            return Admin::Check.administer(&self.common);
        }
        let base = http::base_url(self.url.as_deref())?;
        let token = self.token.or_else(|| system::environment("LOOPIQ_TOKEN")).filter(|t| !t.is_empty());
        let mut walk = Walk { json: self.common.json };
        wire::block_on(async move { walk.server(&base, token.as_deref()).await })
    }
}

/// Checks the files of the storage, and verifies the audit log of every organization.
///
/// # Errors
/// A fault of storage; what is wrong with a log is part of the report.
pub async fn check_world(world: &World) -> anyhow::Result<Report> {
    let mut report = Report::default();
    report.lines.push("ok    the storage opens, and its schema is this program's".into());
    report.json.push(json!({ "check": "schema", "ok": true }));
    let damage = match world.store.damage().await {
        Ok(found) => found,
        Err(fault) => Some(describe(&fault.into()).message),
    };
    match &damage {
        None => report.lines.push("ok    the files of the storage are whole".into()),
        Some(damage) => report.lines.push(format!("FAIL  damaged: {damage}")),
    }
    report.json.push(json!({ "check": "storage", "ok": damage.is_none(), "damage": damage }));
    let (mut broken, mut unread) = (0, 0);
    for organization in world.identity.organizations().await? {
        let slug = &organization.slug;
        let org = world.store.org(organization.id).await?;
        let mut told = |read: i64| {
            if read % 10_000 == 0 {
                progress(format!("{slug}: {read} records read"));
            }
        };
        let log = match org.reader().verify_log(&mut told).await {
            // Of a damaged file the log may be what cannot be read; the others still can.
            Err(fault) if damage.is_some() => {
                let problem = describe(&fault.into()).message;
                report.lines.push(format!("FAIL  {slug}: the audit log cannot be read: {problem}"));
                let problems = [problem];
                report.json.push(
                    json!({ "check": "audit_log", "organization": slug, "ok": false, "problems": problems }),
                );
                continue;
            }
            other => other?,
        };
        if log.problems.is_empty() {
            report.lines.push(format!("ok    {slug}: audit log of {} records, root {}", log.size, log.root));
        } else {
            broken += 1;
            report.lines.extend(log.problems.iter().map(|problem| format!("FAIL  {slug}: {problem}")));
        }
        unread += usize::from(!policies(&org, slug, &mut report).await?);
        report.json.push(json!({
            "check": "audit_log", "organization": slug, "ok": log.problems.is_empty(), "size": log.size,
            "root": log.root, "problems": log.problems,
        }));
    }
    if damage.is_none() && broken == 0 && unread > 0 {
        let message =
            format!("the policies of {unread} organization(s) cannot be read; only reading goes on there");
        let remedy =
            "Correct the text (`loopiq policy show`, `check`) and publish it with `loopiq policy publish`.";
        report.failure = Some(Failure::new(message, remedy));
        return Ok(report);
    }
    let message = match (damage, broken) {
        (None, 0) => return Ok(report),
        (Some(_), _) => "the files of the storage are damaged".to_owned(),
        (None, broken) => format!("{broken} audit log(s) are not whole"),
    };
    report.failure = Some(Failure::new(message, "Restore a backup; keep this folder as evidence."));
    Ok(report)
}

/// Whether the policies in force can be read by this program.
async fn policies(org: &store::Org, slug: &str, report: &mut Report) -> anyhow::Result<bool> {
    let Some(set) = org.reader().policy_sets(1).await?.into_iter().next() else { return Ok(true) };
    let problems: Vec<String> = match engine::policy::Policies::compile(set.version, &set.text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    let version = set.version;
    report.lines.push(match problems.first() {
        None => format!("ok    {slug}: policies, version {version}"),
        Some(problem) => format!("FAIL  {slug}: policies, version {version}: {problem}"),
    });
    report.json.push(json!({
        "check": "policies", "organization": slug, "ok": problems.is_empty(), "version": version, "problems": problems,
    }));
    Ok(problems.is_empty())
}

/// One walk; each step is printed as it is done.
struct Walk {
    json: bool,
}

impl Walk {
    fn ok(&mut self, check: &str, line: &str) {
        if self.json {
            cli::print(json!({ "check": check, "ok": true, "detail": line }).to_string());
        } else {
            cli::print(format!("ok    {line}"));
        }
    }

    fn fail(&mut self, check: &str, line: impl Into<String>, remedy: &str) -> anyhow::Error {
        let line = line.into();
        if self.json {
            cli::print(json!({ "check": check, "ok": false, "detail": line, "remedy": remedy }).to_string());
        } else {
            cli::print(format!("FAIL  {line}"));
        }
        Failure::new(line, remedy).into()
    }

    async fn server(&mut self, base: &Url, token: Option<&str>) -> anyhow::Result<()> {
        let client = http::client()?;
        self.reach(&client, base).await?;
        self.challenge(&client, base).await?;
        self.sign_in(&client, base).await?;
        let Some(token) = token else {
            progress("      no token given, so the checks end here; set LOOPIQ_TOKEN to go on");
            return Ok(());
        };
        self.claims(token);
        let mcp = Mcp { client: &client, url: http::below(base, &["mcp"]), token };
        let tools = self.tools(&mcp).await?;
        self.context(&mcp, tools).await
    }

    async fn reach(&mut self, client: &Client, base: &Url) -> anyhow::Result<()> {
        match client.get(http::below(base, &["readyz"])).send().await {
            Ok(answer) if answer.status().is_success() => {
                self.ok("reachable", "the server is reached and ready");
                Ok(())
            }
            Ok(answer) => Err(self.fail(
                "reachable",
                format!("something answers, but to /readyz it says {}", answer.status().as_u16()),
                "Check the URL; if it is right, the operator of the server finds the cause in its log.",
            )),
            Err(error) => {
                let why = if error.is_timeout() {
                    "nothing answers in time"
                } else if error.is_connect() {
                    "nothing listens there, the name is unknown, or the certificate is not trusted"
                } else {
                    "the exchange broke off"
                };
                let remedy = "Check the URL, the network, and that `loopiq serve` runs.";
                Err(self.fail("reachable", format!("the server cannot be reached: {why}"), remedy))
            }
        }
    }

    async fn challenge(&mut self, client: &Client, base: &Url) -> anyhow::Result<()> {
        let asked = client
            .post(http::below(base, &["mcp"]))
            .header("Accept", "application/json, text/event-stream")
            .header("Content-Type", "application/json")
            .body("{}")
            .send()
            .await;
        let challenged = asked
            .ok()
            .map(|answer| (answer.status().as_u16(), answer.headers().contains_key("www-authenticate")));
        match challenged {
            Some((401, true)) => {
                self.ok("challenge", "the MCP endpoint asks for a credential");
                Ok(())
            }
            Some((403, _)) => Err(self.fail(
                "challenge",
                "the MCP endpoint refuses this host name",
                "Use the server's public URL, or have the operator add the name to allowed_hosts.",
            )),
            Some((status, _)) => Err(self.fail(
                "challenge",
                format!("the MCP endpoint answers {status} instead of asking for a credential"),
                "Something between you and the server answers for it: ask the operator of the proxy.",
            )),
            None => Err(self.fail("challenge", "the MCP endpoint gives no answer", "Try again.")),
        }
    }

    /// Whether a client that signs in finds its way: the documents at every place where clients look, all of them about this
    /// address, and the endpoints they name.
    async fn sign_in(&mut self, client: &Client, base: &Url) -> anyhow::Result<()> {
        const OPERATOR: &str = "The operator of the server sets public_url to the address that people use, and lets the proxy \
            pass /.well-known/, /authorize, /token, /register and /jwks on to the server unchanged.";
        let root = base.as_str().trim_end_matches('/');
        for (place, resource) in [
            ("/.well-known/oauth-protected-resource", ""),
            ("/.well-known/oauth-protected-resource/mcp", "/mcp"),
            ("/.well-known/oauth-protected-resource/mcp/readonly", "/mcp/readonly"),
        ] {
            let found = document(client, root, place).await;
            let Some(found) = found else {
                let line = format!("sign-in cannot begin: {place} is missing or no JSON");
                return Err(self.fail("metadata", line, OPERATOR));
            };
            if member(&found, "resource") != Some(format!("{root}{resource}").as_str()) {
                let line = format!("sign-in will fail: {place} is about another address than the one asked");
                return Err(self.fail("metadata", line, OPERATOR));
            }
        }
        self.ok("metadata", "the endpoint says where to sign in, about exactly this address");
        let first = document(client, root, "/.well-known/oauth-authorization-server").await;
        let second = document(client, root, "/.well-known/openid-configuration").await;
        let agreed = |found: &Value| Some(found) == second.as_ref() && member(found, "issuer") == Some(root);
        let Some(server) = first.filter(agreed) else {
            let line = "sign-in will fail: the authorization server's documents are missing, or differ";
            return Err(self.fail("authorization_server", line, OPERATOR));
        };
        let keys = document(client, root, "/jwks").await;
        let endpoints = ["authorization_endpoint", "token_endpoint", "registration_endpoint", "jwks_uri"];
        let here = |name: &&str| member(&server, name).is_some_and(|at| at.starts_with(root));
        let known = keys.as_ref().and_then(|keys| keys.get("keys")).is_some_and(Value::is_array);
        if !known || !endpoints.iter().all(here) {
            let line = "sign-in will fail: an endpoint of the authorization server is not there";
            return Err(self.fail("authorization_server", line, OPERATOR));
        }
        self.ok("authorization_server", "clients can register and sign in");
        if base.scheme() != "https" && !matches!(base.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
            let remedy = "Put the server behind https and set public_url; most clients refuse anything else.";
            return Err(self.fail("https", "the address is not https, and not of this machine", remedy));
        }
        Ok(())
    }

    /// What an access token says of itself, without its signature and without what could be used.
    fn claims(&mut self, token: &str) {
        let said = token.split('.').nth(1).and_then(|part| BASE64URL_NOPAD.decode(part.as_bytes()).ok());
        let Some(said) = said.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()) else { return };
        let text = |name: &str| member(&said, name).unwrap_or("nothing").to_owned();
        let ends = said.get("exp").and_then(Value::as_i64).and_then(|at| at.checked_mul(1_000_000));
        let ends = ends.map_or_else(|| "nobody says when".to_owned(), |at| Timestamp(at).to_string());
        let line = format!(
            "the token says: issued by {}, for {}, scope {}, organization {}, until {ends}",
            text("iss"),
            said.get("aud").unwrap_or(&Value::Null),
            text("scope"),
            text("tenant")
        );
        self.ok("claims", &line);
    }

    async fn tools(&mut self, mcp: &Mcp<'_>) -> anyhow::Result<usize> {
        let (status, answer) = mcp.call("tools/list", json!({})).await?;
        match status {
            200 => {}
            401 => {
                let reason = match answer.as_str() {
                    Some(reason) if !reason.is_empty() => reason,
                    _ => "the token is not accepted",
                };
                return Err(self.fail(
                    "token",
                    format!("unauthorized: {reason}"),
                    "Sign in again from the client, or, for an issued token: `loopiq token list` shows whether it is valid, \
                     expired or revoked, and `loopiq user list` whether its owner is active; an administrator issues \
                     another with `loopiq token issue`.",
                ));
            }
            403 => {
                let remedy = "Use a token of the organization you mean: each token belongs to one.";
                return Err(self.fail("token", "the request is refused for this token", remedy));
            }
            429 => return Err(self.fail("token", "the token has used up its rate", "Wait a minute.")),
            status => {
                let line = format!("tools/list is answered with status {status}");
                return Err(self.fail(
                    "token",
                    line,
                    "The operator of the server finds the cause in its log.",
                ));
            }
        }
        self.ok("token", "the token is accepted");
        Ok(answer.pointer("/result/tools").and_then(Value::as_array).map_or(0, Vec::len))
    }

    async fn context(&mut self, mcp: &Mcp<'_>, tools: usize) -> anyhow::Result<()> {
        let call = json!({ "name": "loopiq_get_context", "arguments": {} });
        let (_, answer) = mcp.call("tools/call", call).await?;
        let text = |path: &str| {
            let found = answer.pointer(&format!("/result/structuredContent{path}"));
            found.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        if tools == 0 {
            let (line, remedy) = match text("/error/code").as_str() {
                "mcp_not_enabled" => (
                    "no tools appear: MCP is switched off for the organization of this token",
                    "An organization administrator switches it on: `loopiq org set ORG --mcp on`.",
                ),
                "forbidden" => (
                    "no tools appear: the owner's roles, or the token's scopes, do not include mcp:access",
                    "An organization administrator gives it: `loopiq user grant --permission mcp:access`; or issue a \
                     token without narrower scopes.",
                ),
                _ => (
                    "no tools appear",
                    "An organization administrator checks the MCP switch of the organization, and mcp:access of the \
                     owner.",
                ),
            };
            return Err(self.fail("tools", line, remedy));
        }
        self.ok("tools", &format!("{tools} tools are offered"));
        let (email, slug) = (text("/context/user/email"), text("/context/organization/slug"));
        if slug.is_empty() {
            let line = "loopiq_get_context does not say which organization this is";
            return Err(self.fail("tenant", line, "Narrower scopes of the token can be the reason."));
        }
        let line =
            format!("you are {email} in organization {slug}; for another organization, use its own token");
        self.ok("tenant", &line);
        Ok(())
    }
}

/// A member that is a text.
fn member<'a>(document: &'a Value, name: &str) -> Option<&'a str> {
    document.get(name).and_then(Value::as_str)
}

/// A JSON document of the server.
async fn document(client: &Client, root: &str, place: &str) -> Option<Value> {
    let answer = client.get(format!("{root}{place}")).send().await.ok()?;
    if answer.status().is_success() { answer.json().await.ok() } else { None }
}

/// The MCP endpoint, as a client of the stateless legacy revision sees it.
struct Mcp<'a> {
    client: &'a Client,
    url: Url,
    token: &'a str,
}

impl Mcp<'_> {
    /// Status and answer; of a 401, the reason its challenge gives.
    async fn call(&self, method: &str, params: Value) -> anyhow::Result<(u16, Value)> {
        let answer = self
            .client
            .post(self.url.clone())
            .bearer_auth(self.token)
            .header("Accept", "application/json, text/event-stream")
            .header("MCP-Protocol-Version", "2025-11-25")
            .json(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
            .send()
            .await
            .map_err(|e| {
                Failure::new(format!("the exchange broke off: {}", e.without_url()), "Try again.")
            })?;
        let status = answer.status().as_u16();
        if status == 401 {
            let challenge = answer.headers().get("www-authenticate").and_then(|v| v.to_str().ok());
            let (_, rest) = challenge.and_then(|c| c.split_once("error_description=\"")).unwrap_or_default();
            return Ok((status, Value::from(rest.split('"').next().unwrap_or_default())));
        }
        Ok((status, answer.json().await.unwrap_or(Value::Null)))
    }
}
