//! `loopiq evidence push`: evidence files to a running server.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use domain::digest::Digest;
use serde_json::Value;

use crate::{cli, system, wire};

/// Evidence of releases.
#[derive(Subcommand)]
pub enum Evidence {
    Push(Push),
}

/// Push evidence files to a running server (LOOPIQ_URL, LOOPIQ_TOKEN).
#[derive(Args)]
#[command(
    after_help = "Example:\n  LOOPIQ_URL=https://loopiq.example.com LOOPIQ_TOKEN=liq_… \\\n    loopiq evidence push \
                        --release backend-v1.0-GCN --control TEST-UNIT target/nextest/ci/junit.xml"
)]
pub struct Push {
    /// Release (id or name).
    #[arg(long)]
    release: String,
    /// Control (id or code) the files are evidence for.
    #[arg(long)]
    control: Option<String>,
    /// Tool or service they come from; the file's own word when absent.
    #[arg(long)]
    provider: Option<String>,
    /// Component of the release.
    #[arg(long)]
    component: Option<String>,
    /// Print one JSON line per file.
    #[arg(long)]
    json: bool,
    /// Files: JUnit XML, SARIF, CycloneDX JSON.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl Evidence {
    pub fn run(self) -> anyhow::Result<()> {
        let Evidence::Push(push) = self;
        let url = system::environment("LOOPIQ_URL")
            .context("LOOPIQ_URL is not set (remedy: export the base URL of the server)")?;
        let token = system::environment("LOOPIQ_TOKEN")
            .context("LOOPIQ_TOKEN is not set (remedy: export a token with evidence:attach)")?;
        wire::block_on(async move {
            let client = http_client()?;
            let mut failed = 0;
            for file in &push.files {
                cli::progress(format!("pushing {} …", file.display()));
                match push_one(&client, &url, &token, &push, file).await {
                    Ok(answer) => report(&push, file, &answer),
                    Err(error) => {
                        failed += 1;
                        cli::print(format!("{}: {error:#}", file.display()));
                    }
                }
            }
            if failed > 0 {
                anyhow::bail!("{failed} of {} file(s) were not taken", push.files.len());
            }
            Ok(())
        })
    }
}

/// The one HTTP client of the command line.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().user_agent(concat!("loopiq/", env!("CARGO_PKG_VERSION")));
    builder.build().context("the HTTP client cannot start")
}

async fn push_one(
    client: &reqwest::Client,
    url: &str,
    token: &str,
    push: &Push,
    file: &Path,
) -> anyhow::Result<Value> {
    let bytes = std::fs::read(file).context("the file cannot be read")?;
    let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let control = push.control.clone().unwrap_or_default();
    let key =
        Digest::of_parts(&[push.release.as_bytes(), b"|", control.as_bytes(), b"|", &Digest::of(&bytes).0]);
    let mut query = vec![("fileName", name)];
    query.extend(push.control.clone().map(|v| ("control", v)));
    query.extend(push.provider.clone().map(|v| ("provider", v)));
    query.extend(push.component.clone().map(|v| ("component", v)));
    let mut address = reqwest::Url::parse(url.trim_end_matches('/'))
        .context("LOOPIQ_URL is not a URL (remedy: for example http://127.0.0.1:8484)")?;
    address
        .path_segments_mut()
        .map_err(|()| anyhow::anyhow!("LOOPIQ_URL is not a base URL"))?
        .pop_if_empty()
        .extend(["api", "v1", "releases", &push.release, "evidence"]);
    let answer = client
        .post(address)
        .query(&query)
        .bearer_auth(token)
        .header("Idempotency-Key", key.to_string())
        .header("Content-Type", "application/octet-stream")
        .body(bytes)
        .send()
        .await
        .context("the server cannot be reached (remedy: check LOOPIQ_URL; `loopiq doctor` walks the path)")?;
    let status = answer.status();
    let body: Value = answer.json().await.context("the answer is not JSON; is LOOPIQ_URL this product?")?;
    if status.is_success() {
        return Ok(body);
    }
    let word = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    anyhow::bail!("{} ({}). {}", word("detail"), word("code"), word("remedy"))
}

fn report(push: &Push, file: &Path, answer: &Value) {
    if push.json {
        cli::print(answer.to_string());
        return;
    }
    let text = |path: &str| answer.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let is = |name: &str| answer.get(name).and_then(Value::as_bool).unwrap_or(false);
    let known = if is("duplicate") || is("replayed") { " (known already)" } else { "" };
    cli::print(format!("{}: {} {}{known}", file.display(), text("/evidence/id"), text("/evidence/status")));
    if answer.get("certification").is_some() {
        cli::print(format!(
            "  certification {} is {}",
            text("/certification/title"),
            text("/certification/status")
        ));
    }
}
