//! The command line. One subcommand, one file. Exit codes: 0 success, 2 wrong usage, 1 anything else.
//!
//! Commands that administer a data folder ([`Admin`]) run in this process when nobody serves the folder, and otherwise
//! in the process that does (`remote.rs`), so that a token can be revoked without stopping the server. Add one: its
//! file, its line in [`Command`], and, when it works on a data folder, its line in `admin.rs`.

mod admin;
mod agent;
mod audit;
mod backup;
mod call;
mod certification;
mod client;
mod client_config;
mod demo;
mod doctor;
mod evidence;
mod failure;
mod http;
mod identity_provider;
mod init;
mod migrate;
mod org;
mod policy;
mod prompt;
mod relocate;
mod restore;
mod serve;
mod token;
mod user;
mod webhook;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Shown, Sources};
use crate::system;

pub use admin::{Admin, Report};
pub use failure::{Failure, describe};

/// Release governance for AI agents and people: every write is previewed, approved by a person, executed once, audited.
#[derive(Parser)]
#[command(name = "loopiq", version, about, arg_required_else_help = true)]
#[command(
    after_help = "Example:\n  loopiq demo\n  loopiq init --data loopiq-data && loopiq serve --data loopiq-data"
)]
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
    Agent(agent::Agent),
    #[command(subcommand)]
    Token(token::Token),
    #[command(subcommand)]
    Client(client::Client),
    #[command(subcommand)]
    Policy(policy::Policy),
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    #[command(subcommand)]
    Audit(audit::Audit),
    #[command(subcommand)]
    Evidence(evidence::Evidence),
    #[command(subcommand)]
    Certification(certification::Certification),
    ClientConfig(client_config::ClientConfig),
    Doctor(doctor::Doctor),
    Migrate(migrate::Migrate),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Move(relocate::Move),
}

/// Where the data is, and in what form to answer: for commands that work on a data folder.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// Data folder [default: LOOPIQ_DATA, or loopiq-data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// PostgreSQL database instead of a data folder [default: LOOPIQ_DATABASE_URL].
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// TOML file with settings, the same as for `loopiq serve` [default: LOOPIQ_CONFIG].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON; of a list, one line per item.
    #[arg(long)]
    json: bool,
}

impl Common {
    fn load(&self) -> anyhow::Result<Config> {
        let mut flags = BTreeMap::new();
        flags.extend(self.data.as_ref().map(|data| ("data", data.display().to_string())));
        flags.extend(self.database_url.as_ref().map(|url| ("database_url", url.clone())));
        Ok(load(flags, self.config.as_deref())?.0)
    }
}

/// Loads the configuration under the given flags.
fn load(flags: BTreeMap<&'static str, String>, file: Option<&Path>) -> anyhow::Result<(Config, Vec<Shown>)> {
    let named = system::environment("LOOPIQ_CONFIG").map(PathBuf::from);
    let file = file.map(Path::to_path_buf).or(named).map(|path| config::read_file(&path)).transpose()?;
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
        Command::Agent(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Client(command) => command.run(),
        Command::Policy(command) => command.run(),
        Command::Webhook(command) => command.run(),
        Command::Audit(command) => command.run(),
        Command::Evidence(command) => command.run(),
        Command::Certification(command) => command.run(),
        Command::ClientConfig(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Migrate(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Restore(command) => command.run(),
        Command::Move(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let failure = describe(&error);
            eprintln!("{}", failure.text());
            failure.exit_code()
        }
    }
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Calls `with` for each command that can be run, and its whole name.
    fn each(command: &clap::Command, path: &str, with: &mut impl FnMut(&clap::Command, &str)) {
        let path = format!("{path}{}", command.get_name());
        with(command, &path);
        for below in command.get_subcommands().filter(|c| c.get_name() != "help") {
            each(below, &format!("{path} "), with);
        }
    }

    #[test]
    fn every_command_shows_an_example_and_describes_what_it_takes() {
        each(&Cli::command(), "", &mut |command, path| {
            assert!(command.get_about().is_some(), "{path} does not say what it does");
            if command.get_subcommands().next().is_none() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.starts_with("Example:"), "{path} has no example");
                assert!(
                    help.contains(&format!("  {path}")) || help.contains(&format!(" {path} ")),
                    "{path}: of another"
                );
            }
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty(), "{path}: {} has no description", argument.get_id());
            }
        });
    }

    #[test]
    fn help_is_as_it_was_read() {
        let mut all = String::new();
        let mut root = Cli::command().disable_help_subcommand(true).term_width(100);
        root.build();
        each(&root, "", &mut |command, path| {
            let help = command.clone().render_long_help().to_string();
            let help: Vec<&str> = help.lines().map(str::trim_end).collect();
            all.push_str(&format!("$ {path} --help\n{}\n\n", help.join("\n").trim_end()));
        });
        testkit::golden::check(env!("CARGO_MANIFEST_DIR"), "help.txt", &all);
    }

    /// How a command begins in a text; in two parts, so that this file does not mention one here.
    const MARK: &str = concat!("`", "loopiq ");

    /// Texts of the product's sources and of what people read, each with the file it stands in.
    fn sources() -> Vec<(PathBuf, String)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut waiting =
            vec![root.join("README.md"), root.join("SECURITY.md"), root.join("docs"), root.join("crates")];
        let mut found = Vec::new();
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|end| end == "rs" || end == "md") {
                found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
            }
        }
        found
    }

    /// The words of every `loopiq …` between backticks, with lines that go on joined.
    fn mentioned(text: &str) -> Vec<String> {
        let mut joined = String::new();
        for line in text.lines() {
            match line.strip_suffix('\\') {
                Some(start) => joined.push_str(start),
                None => joined.extend([line, "\n"]),
            }
        }
        let quoted = joined.split(MARK).skip(1).filter_map(|rest| rest.split(['`', '\n']).next());
        quoted.map(|words| words.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn commands_that_texts_name_exist() {
        let mut cli = Cli::command();
        cli.build();
        let mut checked = 0;
        for (file, text) in sources() {
            for words in mentioned(&text) {
                let mut at = &cli;
                for word in words.split(' ') {
                    let known = match word.strip_prefix("--") {
                        Some(flag) => at.get_arguments().any(|a| a.get_long() == Some(flag)),
                        None => at.find_subcommand(word).is_some() || !at.has_subcommands(),
                    };
                    // A mention of something generic ends with the ellipsis.
                    assert!(known || word == "…", "{}: {MARK}{words}`: no {word}", file.display());
                    at = at.find_subcommand(word).unwrap_or(at);
                }
                checked += 1;
            }
        }
        assert!(checked > 30, "only {checked} commands were found in texts");
    }

    #[test]
    fn a_mention_of_a_command_may_go_on_in_the_next_line() {
        let text = format!("by {MARK}token \\\n   create`; and {MARK}demo`");
        assert_eq!(mentioned(&text), ["token create", "demo"]);
    }
}
