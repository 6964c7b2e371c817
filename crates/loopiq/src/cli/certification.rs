//! `loopiq certification`: the evidence pack of a certification is fetched from a running server, and verified without one.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use domain::id::CertificationId;
use domain::note::{Algorithm, VerifierKey};
use domain::pack::check;
use engine::pack::{archive, read_again};
use engine::signing::SignatureVerifier;
use serde_json::{Value, json};

use super::{Failure, Report, audit, evidence, http};
use crate::wire;

/// Export the evidence pack of a certification, and verify one without trust in the server.
#[derive(Subcommand)]
pub enum Certification {
    Export(Export),
    Verify(Verify),
}

/// Fetch the evidence pack of a certification from a running server, with the token in LOOPIQ_TOKEN.
///
/// The pack has everything that the certification is evaluated from, the original files, the records of the log, and a signed
/// statement.
#[derive(Args)]
#[command(
    after_help = "Example:\n  LOOPIQ_URL=https://loopiq.example.com LOOPIQ_TOKEN=liq_… \\\n    loopiq certification \
                  export cert_… --out backend-v1.0.zip"
)]
pub struct Export {
    /// Id of the certification.
    #[arg(value_name = "CERTIFICATION")]
    certification: String,
    /// File it is written to, which must not exist [default: the id with .zip].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Base URL of the server [default: LOOPIQ_URL].
    #[arg(long)]
    url: Option<String>,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

/// Verify an evidence pack without server or network; exits with 1 when anything is wrong.
///
/// Checks the signature and the hash of each file, reads the files of the evidence again, verifies the records of the log, and
/// computes the outcome of each control and the readiness once more.
#[derive(Args)]
#[command(after_help = "Example:\n  loopiq certification verify backend-v1.0.zip --key \"$(cat acme.key)\"")]
pub struct Verify {
    /// The evidence pack.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Verifier key of the organization's log, known from elsewhere; may be repeated.
    #[arg(long = "key", value_name = "VERIFIER_KEY")]
    keys: Vec<String>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

impl Certification {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Certification::Export(export) => export.run(),
            Certification::Verify(Verify { file, keys, json }) => verify(&file, &keys)?.print(json),
        }
    }
}

impl Export {
    fn run(self) -> anyhow::Result<()> {
        let base = http::base_url(self.url.as_deref())?;
        let token = http::token(
            "Export a token of somebody with certifications:read, evidence:read and audit:read.",
        )?;
        let id: CertificationId = self.certification.parse().map_err(|_| {
            let remedy = "Give the id as the page of the certification shows it: cert_….";
            Failure::usage("the certification is not named by its id", remedy)
        })?;
        let path = self.out.unwrap_or_else(|| PathBuf::from(format!("{id}.zip")));
        let bytes = wire::block_on(fetch(&base, &token, id))?;
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        file.and_then(|mut file| file.write_all(&bytes)).map_err(|e| {
            let message = format!("{} cannot be written: {e}", path.display());
            Failure::new(message, "Name a file that does not exist yet.")
        })?;
        let line = format!("{}: {} bytes", path.display(), bytes.len());
        let json = json!({ "file": path.display().to_string(), "bytes": bytes.len(), "certification": id });
        Report::one(line, json).print(self.json)
    }
}

async fn fetch(base: &reqwest::Url, token: &str, id: CertificationId) -> anyhow::Result<Vec<u8>> {
    let address = http::below(base, &["api", "v1", "certifications", &id.to_string(), "pack"]);
    let answer = http::client()?.get(address).bearer_auth(token).send().await.map_err(http::unreached)?;
    let status = answer.status();
    let bytes = answer.bytes().await.map_err(http::unreached)?;
    if status.is_success() {
        return Ok(bytes.into());
    }
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    Err(evidence::problem(status.as_u16(), &body).into())
}

/// Verifies the file.
///
/// # Errors
/// When it is no pack, or cannot be read. What is wrong about its content is the report's matter.
fn verify(file: &Path, keys: &[String]) -> anyhow::Result<Report> {
    let keys: Vec<VerifierKey> = keys.iter().map(|text| audit::key(text)).collect::<anyhow::Result<_>>()?;
    if keys.iter().any(|key| key.algorithm() != Algorithm::Ed25519) {
        let remedy = "Give the key of the log, as `loopiq audit checkpoint` prints it with --json.";
        return Err(Failure::usage("a key given with --key is a witness's", remedy).into());
    }
    let unreadable = |why: String| {
        let message = format!("the file {} {why}", file.display());
        Failure::new(message, "Name a file that `loopiq certification export` or the console has written.")
    };
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(archive::ARCHIVE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|e| unreadable(format!("cannot be read: {e}")))?;
    let files = archive::read(&bytes).map_err(|why| unreadable(why.to_owned()))?;
    told(&check::verify(&files, &keys, &SignatureVerifier, &read_again))
}

fn told(found: &check::Report) -> anyhow::Result<Report> {
    let mut lines = Vec::new();
    if let Some(computed) = &found.computed {
        let word = |pointer: &str| computed.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let granted = computed.get("granted") == Some(&Value::Bool(true));
        lines.push(format!("release        {} of {}", word("/release/name"), word("/organization/slug")));
        lines.push(format!(
            "certification  {}: {}, {}",
            word("/certification/title"),
            word("/certification/status"),
            if granted { "granted" } else { "not granted" }
        ));
        lines.push(format!("evaluated      {}", word("/evaluatedAt")));
        let controls = computed.get("controls").and_then(Value::as_array);
        for control in controls.into_iter().flatten() {
            let word = |name: &str| control.get(name).and_then(Value::as_str).unwrap_or_default();
            lines.push(format!(
                "control        {} {}: {}",
                word("code"),
                word("outcome"),
                word("explanation")
            ));
        }
        let score = computed.pointer("/readiness/score").and_then(Value::as_u64).unwrap_or_default();
        lines.push(format!("readiness      {}, score {score}", word("/readiness/verdict")));
    }
    lines.extend(found.checked.iter().map(|words| format!("checked        {words}")));
    lines.extend(found.notes.iter().map(|note| format!("note           {note}")));
    for finding in &found.findings {
        let file = finding.file.as_deref().map(|file| format!("{file}: ")).unwrap_or_default();
        lines.push(format!("WRONG          {}: {file}{}", finding.fault, finding.message));
    }
    let failure = if found.is_good() {
        lines.push("good: the pack is what was signed, and what it says follows from what it carries".into());
        None
    } else {
        let message = format!("{} finding(s): this pack does not prove what it says", found.found);
        Some(Failure::new(message, "Keep the file, and export the pack once more to compare."))
    };
    let json = serde_json::to_value(found).context("a report can be written")?;
    Ok(Report { lines, json: vec![json], failure })
}
