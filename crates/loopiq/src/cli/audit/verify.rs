//! `loopiq audit verify`: a bundle is verified with what is in it and what its reader knows, and with nothing else.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use domain::bundle::LINE_BYTES_MAX;
use domain::verify::{self, Checked, Known, Verifier};
use engine::signing::SignatureVerifier;
use serde_json::json;

use super::{Failure, Report, key, read};

/// Lines that are looked at side by side.
const BATCH: usize = 8_192;

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
    let first = lines.next().map_err(|why| unreadable(&why))?.unwrap_or_default();
    let mut verifier = Verifier::new(&first).map_err(&unreadable)?;
    verifier.expect(&known, &SignatureVerifier);
    loop {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            match lines.next().map_err(|why| unreadable(&why))? {
                Some(line) => batch.push(line),
                None => break,
            }
        }
        if batch.is_empty() {
            return Ok(told(&verifier.finish(&known, &SignatureVerifier)));
        }
        for line in checked(&batch) {
            verifier.push(line);
        }
    }
}

struct Lines(BufReader<File>);

impl Lines {
    /// The next line without its end, or why there is none.
    fn next(&mut self) -> Result<Option<String>, String> {
        let mut line = String::new();
        let limit = LINE_BYTES_MAX as u64;
        let read = self.0.by_ref().take(limit).read_line(&mut line);
        match read.map_err(|e| format!("cannot be read: {e}"))? {
            0 => Ok(None),
            _ if line.len() >= LINE_BYTES_MAX => Err("has a line that is longer than any record".into()),
            _ => {
                line.truncate(line.trim_end_matches(['\r', '\n']).len());
                Ok(Some(line))
            }
        }
    }
}

/// Each line looked at by itself, on as many processors as there are.
fn checked(lines: &[String]) -> Vec<Checked> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = lines.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let each = |part: &[String]| {
            part.iter().map(|line| verify::check(line, &SignatureVerifier)).collect::<Vec<_>>()
        };
        let running: Vec<_> =
            lines.chunks(share).map(|part| (part, scope.spawn(move || each(part)))).collect();
        // A thread that did not end leaves its part to this one.
        running.into_iter().flat_map(|(part, thread)| thread.join().unwrap_or_else(|_| each(part))).collect()
    })
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
