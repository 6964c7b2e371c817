//! The official conformance suite against the unmodified release binary, all revisions. What may fail is named in files
//! beside the runner, and is bound to the suite's own fixtures.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::server::{Server, tool};

#[test]
fn conformance_of_the_release_binary_is_as_expected() {
    let folder = tempfile::tempdir().unwrap();
    let binary = PathBuf::from(tool("LOOPIQ_TEST_RELEASE_BIN"));
    let server = Server::start(&binary, folder.path());
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
        .env("LOOPIQ_TEST_NPM", tool("LOOPIQ_TEST_NPM"))
        .output()
        .unwrap();
    drop(proxy.kill());
    drop(proxy.wait());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().count(), 4, "one line for each revision:\n{said}");
}
