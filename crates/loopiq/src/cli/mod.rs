//! The command line. One subcommand, one file. Exit codes: 0 success, 2 wrong usage, 1 anything else.

mod backup;
mod client_config;
mod demo;
mod doctor;
mod evidence;
mod init;
mod org;
mod restore;
mod serve;
mod token;
mod user;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Shown, Sources};
use crate::system;

/// Release governance for AI agents and people: every write is previewed, approved by a person, executed once, audited.
#[derive(Parser)]
#[command(name = "loopiq", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Init(init::Init),
    #[command(subcommand)]
    Org(org::Org),
    #[command(subcommand)]
    User(user::User),
    #[command(subcommand)]
    Token(token::Token),
    #[command(subcommand)]
    Evidence(evidence::Evidence),
    ClientConfig(client_config::ClientConfig),
    Doctor(doctor::Doctor),
    Backup(backup::Backup),
    Restore(restore::Restore),
}

/// Where the data is, for commands that work on it directly.
#[derive(Args)]
pub struct DataArgs {
    /// Data folder [default: loopiq-data, or LOOPIQ_DATA].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DataArgs {
    fn config(&self) -> anyhow::Result<Config> {
        let mut flags = BTreeMap::new();
        if let Some(data) = &self.data {
            flags.insert("data", data.display().to_string());
        }
        Ok(load(flags, None)?.0)
    }
}

/// Loads the configuration under the given flags.
fn load(
    flags: BTreeMap<&'static str, String>,
    file: Option<&std::path::Path>,
) -> anyhow::Result<(Config, Vec<Shown>)> {
    let file = file.map(config::read_file).transpose()?;
    Ok(Config::load(&Sources { flags, environment: &system::environment, file })?)
}

/// Parses, runs, and turns the outcome into an exit code.
#[expect(clippy::print_stderr, reason = "errors of a command go to standard error")]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let done = match cli.command {
        Command::Serve(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::Init(command) => command.run(),
        Command::Org(command) => command.run(),
        Command::User(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Evidence(command) => command.run(),
        Command::ClientConfig(command) => {
            command.run();
            Ok(())
        }
        Command::Doctor(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Restore(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", describe(&error));
            ExitCode::from(if error.is::<config::ConfigError>() { 2 } else { 1 })
        }
    }
}

/// The chain of causes on one line, with the remedy of a refusal.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause_text = cause.to_string();
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause_text);
        if let Some(identity::AuthError::Refused(refusal)) = cause.downcast_ref::<identity::AuthError>() {
            for detail in &refusal.details {
                text.push_str(&format!("\n  {} {}", detail.field, detail.message));
            }
            text.push_str(&format!("\nremedy: {}", refusal.remedy));
            break;
        }
    }
    text
}

/// Prints a line on standard output. A closed pipe is no error of ours.
pub(crate) fn print(line: impl AsRef<str>) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    drop(
        out.write_all(line.as_ref().as_bytes())
            .and_then(|()| out.write_all(b"\n"))
            .and_then(|()| out.flush()),
    );
}

/// Prints a line on standard error when a person is there to read it.
#[expect(clippy::print_stderr, reason = "progress is for people")]
pub(crate) fn progress(line: impl AsRef<str>) {
    use std::io::IsTerminal as _;
    if std::io::stderr().is_terminal() {
        eprintln!("{}", line.as_ref());
    }
}
