//! How large the product is, as it is shipped.

use std::path::PathBuf;

use crate::server::{Server, tool};

const BINARY_BYTES_MAX: u64 = 40_000_000;
/// Resident memory of the served demo before anybody asks anything.
const IDLE_KIB_MAX: u64 = 60 * 1024;

#[test]
fn the_binary_and_the_idle_demo_are_small() {
    let binary = PathBuf::from(tool("LOOPIQ_TEST_RELEASE_BIN"));
    let bytes = std::fs::metadata(&binary).unwrap().len();
    assert!(bytes <= BINARY_BYTES_MAX, "the release binary has {bytes} bytes");

    let folder = tempfile::tempdir().unwrap();
    drop(Server::start(&binary, folder.path()));
    // The second start serves what is there, as an operator's would.
    let server = Server::start(&binary, folder.path());
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{bytes} bytes; {resident} KiB resident when idle");
    assert!(resident <= IDLE_KIB_MAX, "the idle demo has {resident} KiB resident");
}
