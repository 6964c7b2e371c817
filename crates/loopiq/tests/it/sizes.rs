//! What the product takes of a machine: the size of the binary and the memory of an idle server.

use std::path::Path;
use std::time::Duration;

use crate::server::{Server, http, tool};

const BINARY_BYTES_MAX: u64 = 40 * 1024 * 1024;
const IDLE_MEMORY_KB_MAX: u64 = 60 * 1024;
/// After this time a server that has made its world is idle, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_release_binary_is_small() {
    let binary = tool("LOOPIQ_TEST_RELEASE_BIN");
    let bytes = std::fs::metadata(&binary).unwrap().len();
    assert!(bytes <= BINARY_BYTES_MAX, "{binary} has {bytes} bytes, more than {BINARY_BYTES_MAX}");
}

#[tokio::test]
async fn an_idle_demo_needs_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Path::new(&tool("LOOPIQ_TEST_RELEASE_BIN")), folder.path());
    // Idle is what remains when the world is made: passwords are hashed with much memory, which is then given back.
    let mut resident = u64::MAX;
    let settled = tokio::time::timeout(PATIENCE, async {
        while resident > IDLE_MEMORY_KB_MAX {
            let ready = http().get(format!("{}/readyz", server.url)).send().await.unwrap();
            assert_eq!(ready.status(), 200);
            resident = resident_kilobytes(server.process());
        }
    });
    assert!(settled.await.is_ok(), "{resident} kB are resident, more than {IDLE_MEMORY_KB_MAX}");
}

fn resident_kilobytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    resident.trim().trim_end_matches(" kB").parse().unwrap()
}
