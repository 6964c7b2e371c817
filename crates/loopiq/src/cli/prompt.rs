//! Asking a person on a terminal. Everything asked for has a flag too; without a terminal the flag is required.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::{Failure, progress};

/// Whether somebody is there to answer.
pub fn person_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).context("the answer cannot be read")?;
    if read == 0 {
        return Err(Failure::new("the input ended before the answer", "Start again.").into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The given value, or the answer to a question.
///
/// # Errors
/// Wrong usage when neither is to be had.
pub fn ask(given: Option<String>, question: &str, flag: &str) -> anyhow::Result<String> {
    if let Some(value) = given {
        return Ok(value);
    }
    if !person_is_there() {
        let message = format!("{flag} is missing");
        return Err(Failure::usage(message, "Give it, or run the command on a terminal to be asked.").into());
    }
    progress(question);
    Ok(line()?.trim().to_owned())
}

/// A password typed without being shown; `None` for an empty answer.
///
/// # Errors
/// When the terminal cannot be read, or the two entries differ.
pub fn new_password(question: &str) -> anyhow::Result<Option<String>> {
    progress(question);
    let first = hidden()?;
    if first.is_empty() {
        return Ok(None);
    }
    progress("Once more:");
    if hidden()? != first {
        return Err(Failure::usage("the two entries differ", "Start again.").into());
    }
    Ok(Some(first))
}

/// Reads a line while the terminal shows nothing.
fn hidden() -> anyhow::Result<String> {
    let stty = |mode: &str| {
        drop(Command::new("stty").arg(mode).stdin(Stdio::inherit()).stdout(Stdio::null()).status());
    };
    stty("-echo");
    let answer = line();
    stty("echo");
    answer
}

/// The secret in the first line of a file, or of standard input for `-`.
///
/// # Errors
/// When it cannot be read, or the line is empty.
pub fn secret_in(file: &Path) -> anyhow::Result<String> {
    let text = if file == Path::new("-") {
        line()?
    } else {
        std::fs::read_to_string(file).map_err(|error| {
            let message = format!("the file {} cannot be read: {error}", file.display());
            Failure::usage(message, "Check the path and the rights of the file.")
        })?
    };
    match text.lines().next().unwrap_or_default() {
        "" => Err(Failure::usage("the file begins with an empty line", "Put the secret there.").into()),
        password => Ok(password.to_owned()),
    }
}
