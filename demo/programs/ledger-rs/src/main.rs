//! `ledger-rs FROM TO CENTS ...`: posts the entries and prints the ledger.

use std::io;
use std::process::ExitCode;

use ledger_rs::{Ledger, export};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut ledger = Ledger::default();
    for entry in words.chunks(3) {
        let posted = match entry {
            [from, to, cents] => cents.parse().ok().and_then(|cents| ledger.post(from, to, cents).ok()),
            _ => None,
        };
        if posted.is_none() {
            eprintln!("not an entry: {}", entry.join(" "));
            return ExitCode::from(2);
        }
    }
    match export::csv(&ledger, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
