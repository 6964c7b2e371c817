//! Processor time of a governed read over HTTP beside that of a bare server on the official SDK (`benches/bare`), which answers with
//! the same rows of the same file without token, policy and audit. Both are processes of their own, called in turn in one run: what
//! counts is the ratio of what the system says they have used.
//!
//! And that of a governed write as a client makes it: proposed over MCP, approved by its person over HTTP, executed. Beside it stands
//! what its three records of the log add to what the store does for it, measured on a store in this process in the same run with as many producers.
//!
//! `cargo bench -p loopiq --bench protocol [-- <calls per round> <rounds>]`. The product is `LOOPIQ_TEST_RELEASE_BIN`, if that is set; it
//! must be a release build to mean anything. The bare server is built by cargo, optimized as much as the product is.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measuring program: it fails by panicking, measures time and prints what it found"
)]

#[expect(dead_code, reason = "shared with the bench of the engine, which needs more of it")]
#[path = "../../engine/benches/flows/mod.rs"]
mod flows;
#[expect(dead_code, unused_macros, unused_imports, reason = "shared with the stories, which need more of it")]
#[path = "../tests/it/server.rs"]
mod server;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use server::{Era, Home, Server, http};

const TOOL: &str = "loopiq_list_evidence_gaps";
const RELEASE: &str = "backend-v1.0-GCN";
/// What the ratio is meant to stay below.
const GOAL: f64 = 0.6;
/// What the records of the log are meant to be of a write at most.
const AUDIT_GOAL: f64 = 0.2;
/// How many callers ask at the same time: one alone, for whom the server is woken up each time, and many.
const CALLERS: [usize; 2] = [1, 32];
/// A call that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the store is measured.
const STORE: Duration = Duration::from_secs(2);

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A process whose address is known, and how it is asked.
struct Measured {
    name: &'static str,
    process: u32,
    url: String,
    tool: &'static str,
    token: Option<String>,
}

impl Measured {
    fn asks(&self, http: &Client) -> RequestBuilder {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": self.tool, "arguments": { "release": RELEASE }, "_meta": {
                "io.modelcontextprotocol/protocolVersion": Era::Modern.revision(),
                "io.modelcontextprotocol/clientCapabilities": {},
            } },
        });
        let asked = http
            .post(&self.url)
            .timeout(PATIENCE)
            .header("Accept", "application/json, text/event-stream")
            .header("MCP-Protocol-Version", Era::Modern.revision())
            .header("Mcp-Method", "tools/call")
            .header("Mcp-Name", self.tool)
            .json(&message);
        match &self.token {
            Some(token) => asked.bearer_auth(token),
            None => asked,
        }
    }

    async fn answer(&self, http: &Client) -> Value {
        let answer = self.asks(http).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}: {text}", self.name));
        assert_eq!(body["result"]["isError"], false, "{}: {text}", self.name);
        body["result"]["structuredContent"].clone()
    }

    fn used(&self) -> f64 {
        flows::used(&self.process.to_string())
    }

    /// Microseconds of processor time of one call, of `calls` that so many callers make, each one after another.
    async fn cost(self: &Arc<Self>, http: &Client, callers: usize, calls: usize) -> f64 {
        let before = self.used();
        let (each, mut running) = (calls / callers, JoinSet::new());
        for _ in 0..callers {
            let (measured, http) = (Arc::clone(self), http.clone());
            running.spawn(async move {
                for _ in 0..each {
                    let answer = measured.asks(&http).send().await.unwrap();
                    assert_eq!(answer.status(), 200);
                    answer.bytes().await.unwrap();
                }
            });
        }
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
        (self.used() - before) * 1e6 / (each * callers) as f64
    }
}

/// Writes from proposal to execution, each by a person who approves what they have proposed.
struct Writes {
    server: Server,
    token: String,
    session: (Client, String),
    number: AtomicUsize,
}

impl Writes {
    async fn write(&self, http: &Client) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let item = json!({
            "type": "story", "title": format!("Story {number}"), "teamId": "backend", "reason": "a measurement",
            "idempotencyKey": format!("measured-{number}"),
        });
        let (error, proposed) = self.server.call(http, &self.token, "loopiq_create_work_item", item).await;
        assert!(!error, "{proposed}");
        let action = proposed["action"]["id"].as_str().unwrap();
        let (status, done) = self.server.decide(&self.session, action, "approve").await.unwrap();
        assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
    }

    /// Microseconds of the server's processor time of one write, of `writes` that so many callers make, each one after another.
    async fn cost(self: &Arc<Self>, http: &Client, callers: usize, writes: usize) -> f64 {
        let used = || flows::used(&self.server.process().to_string());
        let (before, each, mut running) = (used(), writes / callers, JoinSet::new());
        for _ in 0..callers {
            let (writes, http) = (Arc::clone(self), http.clone());
            running.spawn(async move {
                for _ in 0..each {
                    writes.write(&http).await;
                }
            });
        }
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
        (used() - before) * 1e6 / (each * callers) as f64
    }
}

/// The bare server, ended when dropped.
struct Bare(Child);

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Builds the bare server; the program.
fn built() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/bare");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bare");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--locked", "--manifest-path"]).arg(folder.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&target);
    assert!(cargo.status().unwrap().success());
    target.join("release/bare")
}

/// Starts the bare server on an organization's file.
fn started(program: &Path, home: &Home, base: &str, organization: &str) -> (Bare, String) {
    let file = home.folder.path().join("organizations").join(organization).join("records.db");
    let mut child = Command::new(program).arg(file).arg(base).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Bare(child), line.trim().to_owned())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn ids(answer: &Value) -> Vec<&str> {
    let mut ids: Vec<&str> =
        answer["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::main]
async fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (calls, rounds) = (numbers.first().copied().unwrap_or(2_000), numbers.get(1).copied().unwrap_or(5));
    let home = Home::embedded();
    let product = std::env::var("LOOPIQ_TEST_RELEASE_BIN").map(PathBuf::from);
    let product = product.unwrap_or_else(|_| server::binary().to_owned());
    let server = Server::start(&product, home.folder.path());
    let ours = Measured {
        name: "governed",
        process: server.process(),
        url: format!("{}/mcp", server.url),
        tool: TOOL,
        token: Some(server.token("grace", "acme")),
    };
    let http = http();
    let governed = ours.answer(&http).await;
    let organization = governed["context"]["organization"]["id"].as_str().unwrap();
    let (bare, url) = started(&built(), &home, &server.url, organization);
    let theirs =
        Measured { name: "bare", process: bare.0.id(), url, tool: "list_evidence_gaps", token: None };
    assert_eq!(ids(&governed), ids(&theirs.answer(&http).await), "the same rows");
    let (ours, theirs) = (Arc::new(ours), Arc::new(theirs));
    for measured in [&ours, &theirs] {
        measured.cost(&http, 1, calls / 4).await;
    }
    println!("processor time of one call, median of {rounds} rounds of {calls} calls");
    for callers in CALLERS {
        let (mut governed, mut yardstick) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            // In turn, so that whatever else the machine does meets both.
            governed.push(ours.cost(&http, callers, calls).await);
            yardstick.push(theirs.cost(&http, callers, calls).await);
        }
        let (governed, yardstick) = (median(governed), median(yardstick));
        let ratio = governed / yardstick;
        println!(
            "{callers:>3} at once: governed {governed:>6.1} µs, bare {yardstick:>6.1} µs, ratio {ratio:.2} (goal: at most {GOAL})"
        );
    }
    println!("processor time of one governed write, median of {rounds} rounds of {calls} writes");
    let session = server.sign_in("grace").await;
    let token = server.token("grace", "acme");
    let writes = Arc::new(Writes { server, token, session, number: AtomicUsize::new(0) });
    for callers in CALLERS {
        let (mut whole, mut records) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            whole.push(writes.cost(&http, callers, calls).await);
            let (with, without) = (
                flows::stored_flows(STORE, callers, true).await,
                flows::stored_flows(STORE, callers, false).await,
            );
            records.push(with.processor - without.processor);
        }
        let (whole, records) = (median(whole), median(records));
        let share = records / whole;
        println!(
            "{callers:>3} at once: {whole:>6.1} µs, its records {records:>5.1} µs, share {share:.2} (goal: at most {AUDIT_GOAL})"
        );
    }
}
