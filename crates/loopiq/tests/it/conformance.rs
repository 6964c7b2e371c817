//! The official conformance suite, all revisions: against a build that has the suite's own fixtures, through the same door and
//! with a token, and against the unmodified release binary. What may fail is named in files beside the runner: with fixtures
//! only what needs a session, without them what is bound to them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::server::{Server, tool};

/// Runs the suite against a server that is started for it; one line for each revision.
fn judged(binary: &Path, more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary, folder.path());
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests-tools/conformance");
    let mut proxy = Command::new(tool("LOOPIQ_TEST_NODE"))
        .arg(scripts.join("proxy.mjs"))
        .args([&server.url, &server.token("ada", "acme")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(proxy.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).expect("the proxy tells its port");
    let output = Command::new(tool("LOOPIQ_TEST_NODE"))
        .arg(scripts.join("run.mjs"))
        .arg(format!("http://127.0.0.1:{}/mcp", ready["port"]))
        .args(more)
        .env("LOOPIQ_TEST_NPM", tool("LOOPIQ_TEST_NPM"))
        .output()
        .unwrap();
    drop(proxy.kill());
    drop(proxy.wait());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().count(), 4, "one line for each revision:\n{said}");
}

#[test]
fn conformance_of_the_release_binary_is_as_expected() {
    judged(&PathBuf::from(tool("LOOPIQ_TEST_RELEASE_BIN")), &[]);
}

#[test]
fn conformance_with_the_fixtures_is_whole_but_for_sessions() {
    judged(&PathBuf::from(tool("LOOPIQ_TEST_CONFORMANCE_BIN")), &["--fixtures"]);
}

#[test]
fn conformance_fixtures_are_not_in_the_product() {
    let holds = |variable: &str| {
        let bytes = std::fs::read(tool(variable)).unwrap();
        bytes.windows(NAME.len()).any(|window| window == NAME)
    };
    assert!(holds("LOOPIQ_TEST_CONFORMANCE_BIN"), "the name would be found");
    assert!(!holds("LOOPIQ_TEST_RELEASE_BIN"));
}

/// The name of a fixture.
const NAME: &[u8] = b"test_multiple_content_types";
