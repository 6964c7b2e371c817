//! Running other programs, and saying so.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::place::Place;

/// Cargo, in the workspace.
pub fn cargo(place: &Place, arguments: &[&str]) -> Command {
    let mut command = Command::new(&place.cargo);
    command.current_dir(&place.root).args(arguments);
    command
}

/// A command as a person would type it.
pub fn spoken(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs a command whose output goes where ours goes; fails when it fails.
pub fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", spoken(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", spoken(command));
    }
    Ok(())
}

/// What a command says, when it succeeds; the end of what it said otherwise.
pub fn answer(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", spoken(command)))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let said = format!("{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines.iter().rev().take(15).rev().copied().collect::<Vec<_>>().join("\n  ");
    bail!("`{}` failed: {}\n  {tail}", spoken(command), output.status);
}

/// Runs a command, shows its error stream as it comes and keeps it; answers whether it succeeded and what it said there.
pub fn watched(command: &mut Command) -> Result<(bool, String)> {
    let said = spoken(command);
    let mut child = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{said}`"))?;
    let stream = child.stderr.take().context("no error stream")?;
    let mut kept = String::new();
    let mut out = std::io::stderr();
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        out.write_all(&line)?;
        kept.push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
    let status = child.wait().with_context(|| format!("`{said}` was lost"))?;
    Ok((status.success(), kept))
}

/// Says what is done, does it, and says how long it took.
pub fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("== {what}");
    let begun = now();
    let result = work();
    println!(
        "   {what}: {} after {}",
        if result.is_ok() { "done" } else { "FAILED" },
        seconds(now() - begun)
    );
    result
}

pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[expect(clippy::disallowed_methods, reason = "the home of the clock in the automation: how long steps take")]
pub fn now() -> Instant {
    Instant::now()
}
