//! `cargo xtask test`: tools, the release binary, all tests, one closing line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::cluster::Server;
use crate::place::{Place, variable};
use crate::run::{cargo, succeed, timed, watched};
use crate::summary::{Count, libtest, nextest};
use crate::tools;

pub fn run(place: &Place, arguments: &[String]) -> Result<()> {
    // The release build ends in a long step of one thread; meanwhile the other processors build the tests.
    let (environment, release) = std::thread::scope(|scope| {
        let release = scope.spawn(|| release_binary(place));
        let environment = tools::prepare(place).and_then(|environment| {
            // First the one with fixtures: the tests' own build puts the ordinary program back in its place.
            let with_fixtures = timed("the program with fixtures", || with_fixtures(place))?;
            timed("building the tests", || test_binaries(place))?;
            Ok((environment, with_fixtures))
        });
        (environment, release.join())
    });
    let (mut environment, with_fixtures) = environment?;
    environment.push(("LOOPIQ_TEST_CONFORMANCE_BIN", with_fixtures));
    environment
        .push(("LOOPIQ_TEST_RELEASE_BIN", release.map_err(|_| anyhow!("the release build was lost"))??));
    environment.extend(samples(place)?);

    let programs = environment.iter().find(|(name, _)| *name == "LOOPIQ_TEST_POSTGRES_BIN");
    let programs = programs.map(|(_, programs)| programs.clone()).context("no PostgreSQL")?;
    let server = timed("database server", || Server::start(&programs))?;
    environment.push(("LOOPIQ_TEST_POSTGRES_URL", PathBuf::from(server.url())));

    let mut total = timed("tests", || tests(place, arguments, &environment))?;
    if arguments.is_empty() {
        total += timed("tests in documents", || document_tests(place))?;
    }

    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        bail!("{} failed", total.failed);
    }
    if total.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// The conformance suite judges the binary which is shipped, not one built for tests.
pub fn release_binary(place: &Place) -> Result<PathBuf> {
    timed("release binary", || {
        succeed(&mut cargo(place, &["build", "--release", "--locked", "-p", "loopiq"]))
    })?;
    let binary = place.target.join("release").join(format!("loopiq{}", std::env::consts::EXE_SUFFIX));
    if !binary.is_file() {
        bail!("the release build left no binary at {}", binary.display());
    }
    Ok(binary)
}

/// The program with the fixtures of the conformance suite, which is not the product; kept beside it.
fn with_fixtures(place: &Place) -> Result<PathBuf> {
    // A test beside it makes cargo resolve what the tests' build resolves: the outside libraries are built once.
    let what = ["--workspace", "--bin", "loopiq", "--test", "catalogue"];
    let mut command = cargo(place, &["build", "--locked", "--features", "loopiq/conformance"]);
    succeed(command.args(what))?;
    let folder = place.target.join("debug");
    let name = |stem: &str| folder.join(format!("{stem}{}", std::env::consts::EXE_SUFFIX));
    let kept = name("loopiq-with-fixtures");
    std::fs::copy(name("loopiq"), &kept).context("the build left no program")?;
    Ok(kept)
}

/// Evidence of real projects lies beside the workspace where it is available; it is too large to be part of it.
fn samples(place: &Place) -> Result<Vec<(&'static str, PathBuf)>> {
    let folder = if let Some(named) = variable("LOOPIQ_SAMPLES").map(PathBuf::from) {
        if !named.is_dir() {
            bail!("LOOPIQ_SAMPLES names {}, which is no folder", named.display());
        }
        Some(named)
    } else {
        place
            .root
            .parent()
            .map(|parent| parent.join("shared/samples/evidence"))
            .filter(|folder| folder.is_dir())
    };
    if let Some(folder) = folder {
        println!("evidence samples: {}; tests on them are required", folder.display());
        Ok(vec![("LOOPIQ_SAMPLES", folder), ("LOOPIQ_SAMPLES_REQUIRED", PathBuf::from("1"))])
    } else {
        println!(
            "evidence samples: NOT THERE (../shared/samples/evidence); tests on real evidence check nothing"
        );
        Ok(Vec::new())
    }
}

/// Builds what [`tests`] runs.
fn test_binaries(place: &Place) -> Result<()> {
    succeed(&mut cargo(place, &["nextest", "run", "--workspace", "--locked", "--profile", "ci", "--no-run"]))
}

/// Tests at the same time for each processor: for about half of their time they wait, for servers they start and for the disk.
const TESTS_PER_PROCESSOR: usize = 2;

fn tests(place: &Place, arguments: &[String], environment: &[(&'static str, PathBuf)]) -> Result<Count> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) * TESTS_PER_PROCESSOR;
    let mut command = cargo(place, &["nextest", "run", "--workspace", "--locked", "--profile", "ci"]);
    command.env("NEXTEST_TEST_THREADS", threads.to_string());
    command.args(arguments).envs(environment.iter().map(|(name, value)| (*name, value)));
    let (succeeded, said) = watched(&mut command)?;
    let count = nextest(&said).context("nextest came to no summary: the tests did not run")?;
    if !succeeded && count.failed == 0 && count.passed > 0 {
        bail!("nextest failed although its summary names no failure");
    }
    Ok(count)
}

fn document_tests(place: &Place) -> Result<Count> {
    if !any_document_test(&place.root.join("crates"))? {
        println!("   no document has a test");
        return Ok(Count::default());
    }
    let mut command = cargo(place, &["test", "--doc", "--workspace", "--locked", "--no-fail-fast"]);
    let output = command.output().context("cannot start cargo test --doc")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let count = libtest(&said);
    if !output.status.success() {
        eprintln!("{said}\n{}", String::from_utf8_lossy(&output.stderr));
        if count.failed == 0 {
            bail!("the tests in documents did not run");
        }
    }
    println!("   {} passed, {} failed in documents", count.passed, count.failed);
    Ok(count)
}

/// Whether a source file has a fenced block in a document comment. Starting rustdoc for each crate costs time.
fn any_document_test(folder: &Path) -> Result<bool> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") && any_document_test(&path)? {
                return Ok(true);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let fenced = |line: &str| {
                let line = line.trim_start();
                line.strip_prefix("///")
                    .or_else(|| line.strip_prefix("//!"))
                    .is_some_and(|doc| doc.trim_start().starts_with("```"))
            };
            if text.lines().any(fenced) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
