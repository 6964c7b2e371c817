//! `loopiq audit verify`: a bundle is verified with what is in it and what its reader knows, and with nothing else.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::num::NonZero;
use std::path::Path;

use domain::bundle::LINE_BYTES_MAX;
use domain::verify::{self, Known, Verifier};
use engine::signing::SignatureVerifier;
use serde_json::json;

use super::{Failure, Report, key, read};

/// Verifies the file.
///
/// # Errors
/// When it is no bundle, or cannot be read. What is wrong about its content is the report's matter.
pub fn run(file: &Path, checkpoint: Option<&Path>, keys: &[String]) -> anyhow::Result<Report> {
    let known = Known {
        keys: keys.iter().map(|text| key(text)).collect::<anyhow::Result<_>>()?,
        checkpoint: checkpoint.map(read).transpose()?,
    };
    let unreadable = |why: &str| {
        let message = format!("the file {} {why}", file.display());
        anyhow::Error::from(Failure::new(message, "Name a file that `loopiq audit export` has written."))
    };
    let mut lines =
        Lines(BufReader::new(File::open(file).map_err(|e| unreadable(&format!("cannot be read: {e}")))?));
    let first = lines.next().transpose().map_err(|why| unreadable(&why))?.unwrap_or_default();
    let mut verifier = Verifier::new(&first).map_err(&unreadable)?;
    verifier.expect(&known, &SignatureVerifier);
    let threads = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    verify::check_each(lines, threads, &SignatureVerifier, |line| verifier.push(line))
        .map_err(|why: String| unreadable(&why))?;
    Ok(told(&verifier.finish(&known, &SignatureVerifier)))
}

struct Lines(BufReader<File>);

impl Iterator for Lines {
    /// A line without its end, or why there is none.
    type Item = Result<String, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = String::new();
        let limit = LINE_BYTES_MAX as u64;
        let read = self.0.by_ref().take(limit).read_line(&mut line);
        match read {
            Err(error) => Some(Err(format!("cannot be read: {error}"))),
            Ok(0) => None,
            Ok(_) if line.len() >= LINE_BYTES_MAX => {
                Some(Err("has a line that is longer than any record".into()))
            }
            Ok(_) => {
                line.truncate(line.trim_end_matches(['\r', '\n']).len());
                Some(Ok(line))
            }
        }
    }
}

fn told(found: &verify::Report) -> Report {
    let counts = found.counts;
    let mut lines = vec![
        format!("log      {} ({})", found.origin, found.organization),
        format!("records  {} to {} of {}", found.from, found.to, found.size),
        format!("root     {}", found.root),
    ];
    lines.extend(found.keys.iter().map(|key| format!("key      {key}")));
    lines.push(format!(
        "checked  {} record(s), {} body(s), {} erased, {} tile(s), {} checkpoint(s), {} cosignature(s)",
        counts.records, counts.bodies, counts.erased, counts.tiles, counts.checkpoints, counts.cosignatures
    ));
    lines.push(format!(
        "executed {} approved by people, {} by a rule, {} by broken glass, {} that needed nobody",
        counts.approved_executions,
        counts.approved_by_rule,
        counts.broken_glass,
        counts.executions_without_requirement
    ));
    lines.extend(found.notes.iter().map(|note| format!("note     {note}")));
    lines.extend(
        found.findings.iter().map(|finding| format!("WRONG    {}: {}", finding.fault, finding.message)),
    );
    let failure = if found.is_good() {
        lines.push("good: nothing was altered, removed or executed without its approval".into());
        None
    } else {
        let message = format!("{} finding(s): this is not the log that was signed", found.found);
        Some(Failure::new(message, "Keep the file, and compare it with earlier bundles and checkpoints."))
    };
    Report { lines, json: vec![json!(found)], failure }
}
