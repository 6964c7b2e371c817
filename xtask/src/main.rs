//! Automation: `cargo xtask check` (lints, documents, licences) and `cargo xtask test` (sets up what the tests need, then
//! runs all of them). CI runs exactly these two. `images` and `speed` are for who changes pages.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

mod check;
#[path = "../../crates/testkit/src/cluster.rs"]
#[expect(dead_code, reason = "one home for starting servers; the automation needs no standby")]
mod cluster;
mod images;
mod place;
mod run;
mod speed;
mod summary;
mod test;
mod tools;

use std::process::ExitCode;

use place::Place;

const USAGE: &str = "\
usage: cargo xtask <command>
  check            format, clippy, documents, licences and sources, generated files
  test [ARGS...]   set up what the tests need, then run everything; ARGS go to nextest (a filter, say)
  tools            only set up what the tests need
  postgres         start a database server for tests run by hand, until a key is pressed
  images           take the pictures of the documents, into docs/images
  speed [BINARY]   how long the server takes for each page of the console, of the release binary or of one named";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", &[][..]),
    };
    let outcome = match command {
        "check" if rest.is_empty() => Place::find().and_then(|place| check::run(&place)),
        "test" => Place::find().and_then(|place| test::run(&place, rest)),
        "tools" if rest.is_empty() => Place::find().and_then(|place| tools::prepare(&place).map(|_| ())),
        "images" if rest.is_empty() => Place::find().and_then(|place| images::run(&place)),
        "speed" if rest.len() < 2 => Place::find().and_then(|place| speed::run(&place, rest.first())),
        "postgres" if rest.is_empty() => Place::find().and_then(|place| by_hand(&place)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A server for `cargo nextest` by hand.
fn by_hand(place: &Place) -> anyhow::Result<()> {
    let server = cluster::Server::start(&tools::POSTGRES.ready(place)?)?;
    println!("export LOOPIQ_TEST_POSTGRES_URL={}\n(press Enter to stop it)", server.url());
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
