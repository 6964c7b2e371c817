//! `loopiq evidence push`: evidence files to a running server.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use domain::digest::Digest;
use reqwest::{Client, Url};
use serde_json::{Value, json};

use super::{Failure, Report, describe, http, progress};
use crate::wire;

/// Push test reports, scans and bills of materials, as evidence of a release.
#[derive(Subcommand)]
pub enum Evidence {
    Push(Push),
}

/// Push evidence files to a running server, with the token in LOOPIQ_TOKEN; a file that is there already is not
/// stored twice.
#[derive(Args)]
#[command(
    after_help = "Example:\n  LOOPIQ_URL=https://loopiq.example.com LOOPIQ_TOKEN=liq_… \\\n    loopiq evidence push \
                  --release backend-v1.0-GCN --control TEST-UNIT target/nextest/ci/junit.xml"
)]
pub struct Push {
    /// Id or name of the release.
    #[arg(long)]
    release: String,
    /// Id or code of the control the files are evidence for, such as TEST-UNIT.
    #[arg(long)]
    control: Option<String>,
    /// Tool or service that made the files; what the file itself says when absent.
    #[arg(long)]
    provider: Option<String>,
    /// Id or name of the component they are about; the first of the release when absent.
    #[arg(long)]
    component: Option<String>,
    /// Base URL of the server [default: LOOPIQ_URL].
    #[arg(long)]
    url: Option<String>,
    /// Print one JSON line per file.
    #[arg(long)]
    json: bool,
    /// Files, each JUnit XML, SARIF or CycloneDX JSON.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Evidence {
    pub fn run(self) -> anyhow::Result<()> {
        let Evidence::Push(push) = self;
        let base = http::base_url(push.url.as_deref())?;
        let token = http::token("Export a token of somebody with evidence:attach.")?;
        wire::block_on(async move {
            let client = http::client()?;
            let mut failed = 0;
            for (index, file) in push.files.iter().enumerate() {
                progress(format!("{} of {}: {} …", index + 1, push.files.len(), file.display()));
                let report = match push.one(&client, &base, &token, file).await {
                    Ok(answer) => taken(file, answer),
                    Err(error) => {
                        failed += 1;
                        refused(file, &error)
                    }
                };
                report.print(push.json)?;
            }
            if failed > 0 {
                let message = format!("{failed} of {} file(s) were not taken", push.files.len());
                return Err(Failure::new(message, "The line of each file says why.").into());
            }
            Ok(())
        })
    }
}

impl Push {
    async fn one(&self, client: &Client, base: &Url, token: &str, file: &Path) -> anyhow::Result<Value> {
        let bytes = std::fs::read(file).map_err(|e| {
            Failure::new(
                format!("the file cannot be read: {e}"),
                "Check the path and the rights of the file.",
            )
        })?;
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let mut query = vec![("fileName", name.as_str())];
        query.extend(self.control.as_deref().map(|v| ("control", v)));
        query.extend(self.provider.as_deref().map(|v| ("provider", v)));
        query.extend(self.component.as_deref().map(|v| ("component", v)));
        let answer = client
            .post(http::below(base, &["api", "v1", "releases", &self.release, "evidence"]))
            .query(&query)
            .bearer_auth(token)
            .header("Idempotency-Key", self.key(&bytes))
            .header("Content-Type", "application/octet-stream")
            .body(bytes)
            .send()
            .await
            .map_err(http::unreached)?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(|_| {
            let message = format!("the answer, of status {}, is not JSON", status.as_u16());
            Failure::new(message, "Check that LOOPIQ_URL names this product; `loopiq doctor` walks the path.")
        })?;
        if status.is_success() {
            return Ok(body);
        }
        Err(problem(status.as_u16(), &body).into())
    }

    /// The same content for the same release and control is one push, however often it is tried.
    fn key(&self, bytes: &[u8]) -> String {
        let control = self.control.as_deref().unwrap_or_default();
        let content = Digest::of(bytes);
        Digest::of_parts(&[&content.0, b"|", self.release.as_bytes(), b"|", control.as_bytes()]).to_string()
    }
}

/// What a refused request says of itself, in RFC 9457 members.
pub fn problem(status: u16, body: &Value) -> Failure {
    let word = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let said = if word("detail").is_empty() { word("title") } else { word("detail") };
    let mut message = if said.is_empty() { format!("status {status}") } else { said.to_owned() };
    if !word("code").is_empty() {
        message = format!("{message} ({})", word("code"));
    }
    for detail in body.get("details").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default();
        message.push_str(&format!("; {} {}", part("field"), part("message")));
    }
    Failure::new(message, word("remedy"))
}

fn taken(file: &Path, mut answer: Value) -> Report {
    let mut lines = Vec::new();
    {
        let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let yes = |pointer: &str| answer.pointer(pointer).and_then(Value::as_bool) == Some(true);
        let known = if yes("/duplicate") || yes("/replayed") { ", known already" } else { "" };
        let id = text("/evidence/id");
        lines.push(format!("{}: {id} {}{known}", file.display(), text("/evidence/status")));
        if answer.get("certification").is_some_and(Value::is_object) {
            lines.push(format!("  {} is {}", text("/certification/title"), text("/certification/status")));
        }
    }
    if let Some(object) = answer.as_object_mut() {
        object.insert("file".into(), json!(file.display().to_string()));
    }
    Report { lines, json: vec![answer], failure: None }
}

fn refused(file: &Path, error: &anyhow::Error) -> Report {
    let failure = describe(error);
    let lines = vec![
        format!("{}: not taken: {}", file.display(), failure.message),
        format!("  remedy: {}", failure.remedy),
    ];
    let json = json!({
        "file": file.display().to_string(), "error": { "message": failure.message, "remedy": failure.remedy },
    });
    Report { lines, json: vec![json], failure: None }
}
