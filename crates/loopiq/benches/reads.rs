//! Governed reads per second through the front door, on PostgreSQL beside the embedded engine: the same binary, demo
//! world, caller, tool and answer, over HTTP on loopback. The machine cancels out.
//!
//! `cargo bench -p loopiq --bench reads [-- <seconds per cell> <rounds>]`, with the folder of PostgreSQL's programs in
//! `LOOPIQ_TEST_POSTGRES_BIN`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a measuring program: it fails by panicking, measures time and prints what it found"
)]

#[expect(dead_code, unused_macros, unused_imports, reason = "shared with the stories, which need more of it")]
#[path = "../tests/it/server.rs"]
mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::cluster;
use testkit::postgres::Database;
use tokio::task::JoinSet;

use server::{Home, Server, http};

/// Clients that call at the same time.
const CALLERS: usize = 16;

/// Calls per second of one tool.
async fn measure(server: &Arc<Server>, tool: &'static str, arguments: &Value, length: Duration) -> f64 {
    let token = server.token("grace", "acme");
    let (running, done) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..CALLERS {
        let (server, token, arguments) = (Arc::clone(server), token.clone(), arguments.clone());
        let (running, done) = (Arc::clone(&running), Arc::clone(&done));
        tasks.spawn(async move {
            let http = http();
            while running.load(Ordering::Relaxed) {
                let (error, answer) = server.call(&http, &token, tool, arguments.clone()).await;
                assert!(!error, "{answer}");
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let start = Instant::now();
    tokio::time::sleep(length).await;
    running.store(false, Ordering::Relaxed);
    let (count, elapsed) = (done.load(Ordering::Relaxed), start.elapsed());
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    count as f64 / elapsed.as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() {
    let numbers: Vec<f64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let length = Duration::from_secs_f64(numbers.first().copied().unwrap_or(3.0));
    let rounds = numbers.get(1).copied().unwrap_or(3.0) as usize;
    let programs = std::env::var("LOOPIQ_TEST_POSTGRES_BIN").map(PathBuf::from);
    let programs = programs.expect("LOOPIQ_TEST_POSTGRES_BIN names the folder of initdb and pg_ctl");
    let database = cluster::Server::start_durable(&programs).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let embedded = Home::embedded();
    let shared = Home::on(runtime.block_on(Database::on(database.url())), &database.address());
    let servers = [Arc::new(Server::demo(&embedded)), Arc::new(Server::demo(&shared))];
    println!("governed reads per second, {CALLERS} callers, median of {rounds} rounds of {length:?}");
    println!("{:<48} {:>9} {:>10} {:>8}", "", "embedded", "postgresql", "ratio");
    for (tool, arguments) in [
        ("loopiq_get_context", json!({})),
        ("loopiq_get_release_certification", json!({ "release": "backend-v1.0-GCN" })),
        ("loopiq_list_evidence_gaps", json!({ "release": "backend-v1.0-GCN" })),
    ] {
        let mut found = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            // In turn, so that whatever else the machine does meets both.
            for (server, rates) in servers.iter().zip(&mut found) {
                rates.push(runtime.block_on(measure(server, tool, &arguments, length)));
            }
        }
        let [embedded, postgres] = found.map(median);
        println!("{tool:<48} {embedded:>9.0} {postgres:>10.0} {:>7.2}x", postgres / embedded);
    }
}
