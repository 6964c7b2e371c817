//! Exports of the log. They are read in pieces, so that a log of any length can be written, and lines are printed as they
//! come.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::LogRecord;

use super::{Admin, Common, Failure, Report, ocsf, stopped};
use crate::wire::World;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Format {
    /// One JSON object per record.
    Jsonl,
    /// One OCSF event (API Activity or Authentication) per record.
    Ocsf,
    /// Everything that is needed to verify it, for `loopiq audit verify`.
    Bundle,
}

/// One piece of an export. The first one finds out where the log ends and how the file begins.
#[derive(Serialize, Deserialize)]
pub struct Piece {
    org: String,
    format: Format,
    from: u64,
    to: Option<u64>,
}

/// What a piece says of itself: the last of the report's values.
#[derive(Serialize, Deserialize)]
struct Went {
    next: u64,
    to: u64,
}

/// Writes the whole export.
///
/// # Errors
/// When the file is there or cannot be written, or the log cannot be read.
pub fn run(
    common: &Common,
    org: &str,
    format: Format,
    from: u64,
    output: Option<&Path>,
) -> anyhow::Result<()> {
    let mut out: Box<dyn Write> = match output {
        None => Box::new(io::stdout().lock()),
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| {
                Failure::new(
                    format!("{} cannot be made: {e}", path.display()),
                    "Name a file that does not exist yet.",
                )
            })?;
            Box::new(BufWriter::new(file))
        }
    };
    let mut went = Went { next: from, to: u64::MAX };
    let mut first = true;
    while first || went.next < went.to {
        let to = (!first).then_some(went.to);
        let piece = Admin::AuditExport(Piece { org: org.to_owned(), format, from: went.next, to });
        let mut report = piece.report(common)?;
        went = serde_json::from_value(report.json.pop().context("a piece says where it ends")?)?;
        for line in report.lines {
            if let Err(error) = out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")) {
                // A closed pipe is no error of ours.
                return if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error.into()) };
            }
        }
        first = false;
    }
    out.flush()?;
    Ok(())
}

impl Piece {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let organization = world.identity.organization(&self.org).await?;
        let org = world.store.org(organization.id).await?;
        let mut lines = Vec::new();
        let to = if let Some(to) = self.to {
            to
        } else {
            let header = world.engine.bundle_header(&organization, &org, self.from).await.map_err(stopped)?;
            if self.format == Format::Bundle {
                lines.push(serde_json::to_string(&header)?);
            }
            header.to
        };
        let found = world.engine.exported(&org, self.from, to).await?;
        // What is missing stays missing: verification says so.
        let last = found.records.last().map(|record| u64::try_from(record.sequence).unwrap_or(0));
        let next = last.map_or(to, |last| last + 1);
        match self.format {
            Format::Bundle => lines.extend(found.lines()),
            Format::Jsonl => lines.extend(found.records.iter().map(plain)),
            Format::Ocsf => {
                lines.extend(found.records.iter().map(|record| ocsf::event(record, &self.org).to_string()));
            }
        }
        Ok(Report { lines, json: vec![json!(Went { next, to })], failure: None })
    }
}

fn plain(record: &LogRecord) -> String {
    json!({
        "sequence": record.sequence,
        "leafHash": record.leaf_hash,
        "entry": parsed(&record.entry),
        "body": record.body.as_ref().map(|(_, body)| parsed(body)),
    })
    .to_string()
}

/// The JSON of a stored text; what is none, because somebody changed the storage, stays a text.
pub(super) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
