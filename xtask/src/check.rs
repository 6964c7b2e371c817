//! `cargo xtask check`: everything that can be judged without running the product. All checks run, then the verdict.

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::run::{answer, cargo, succeed, timed};
use crate::tools;

type Check = fn(&Place) -> Result<()>;

/// A file that is written by a program and committed. `fresh` fails when the committed one is not what would be written.
#[derive(Debug)]
pub struct Generated {
    pub file: &'static str,
    pub fresh: Check,
}

/// Every generated file. A new one is a line here.
const GENERATED: &[Generated] = &[];

pub fn run(place: &Place) -> Result<()> {
    tools::CARGO_DENY.ready(place)?;
    let checks: [(&str, Check); 7] = [
        ("lock file", lock_file),
        ("format", format),
        ("clippy", clippy),
        ("documents", documents),
        ("licences, bans, sources", deny),
        ("advisories", advisories),
        ("generated files", generated),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        if let Err(error) = timed(name, || check(place)) {
            eprintln!("   {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join("; "));
    }
    println!("check: all {} passed", checks.len());
    Ok(())
}

/// Everything below is run with `--locked`; a stale lock file is named here once and plainly.
fn lock_file(place: &Place) -> Result<()> {
    answer(&mut cargo(place, &["metadata", "--locked", "--format-version", "1"]))
        .map(|_| ())
        .context("Cargo.lock does not fit the manifests. Remedy: cargo metadata, then commit Cargo.lock")
}

fn format(place: &Place) -> Result<()> {
    succeed(&mut cargo(place, &["fmt", "--all", "--check"]))
}

fn clippy(place: &Place) -> Result<()> {
    succeed(&mut cargo(
        place,
        &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
    ))
}

fn documents(place: &Place) -> Result<()> {
    succeed(cargo(place, &["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny(place: &Place) -> Result<()> {
    succeed(&mut cargo(
        place,
        &["deny", "--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"],
    ))
}

/// The advisory database comes from outside the registry; a machine without that network can still check the rest.
fn advisories(place: &Place) -> Result<()> {
    if let Err(error) = answer(&mut cargo(place, &["deny", "--locked", "fetch", "db"])) {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default().trim();
        println!(
            "   advisories: SKIPPED, the advisory database cannot be fetched from this machine ({reason})"
        );
        return Ok(());
    }
    succeed(&mut cargo(place, &["deny", "--locked", "check", "--hide-inclusion-graph", "advisories"]))
}

fn generated(place: &Place) -> Result<()> {
    if GENERATED.is_empty() {
        println!("   no generated file is registered");
    }
    let mut stale = Vec::new();
    for generated in GENERATED {
        if let Err(error) = (generated.fresh)(place) {
            eprintln!("   {}: {error:#}", generated.file);
            stale.push(generated.file);
        }
    }
    if !stale.is_empty() {
        bail!("not fresh: {}", stale.join(", "));
    }
    Ok(())
}
