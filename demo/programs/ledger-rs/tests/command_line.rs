//! The program and the library together, as a person runs them.

use std::process::{Command, Output};

fn run(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ledger-rs")).args(words).output().expect("the program starts")
}

#[test]
fn entries_come_back_in_order() {
    let out = run(&["cash", "rent", "1200", "sales", "cash", "99"]);
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[1].starts_with("cash,rent,1200,"));
    assert!(lines[2].starts_with("sales,cash,99,"));
}

#[test]
fn the_same_entries_give_the_same_digests() {
    assert_eq!(run(&["a", "b", "1"]).stdout, run(&["a", "b", "1"]).stdout);
}

#[test]
fn half_an_entry_is_refused() {
    assert_eq!(run(&["cash", "rent"]).status.code(), Some(2));
}

#[test]
fn an_amount_that_is_no_number_is_refused() {
    assert_eq!(run(&["cash", "rent", "much"]).status.code(), Some(2));
}
