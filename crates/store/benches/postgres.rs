//! Durable governed commits per second on PostgreSQL, beside what `pgbench` gets out of the same server with the same
//! number of connections and transactions of two inserts: one document of a record, one of an audit entry, each into a
//! table with a number for a key. The machine cancels out.
//!
//! `cargo bench -p store --bench postgres [-- <seconds per cell> <rounds>]`, with the folder of PostgreSQL's programs in
//! `LOOPIQ_TEST_POSTGRES_BIN`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program: it fails by panicking, measures time and prints what it found"
)]

mod load;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use store::{PostgresConfig, Store};
use testkit::cluster::Server;
use testkit::postgres::{APP, Database, OWNER};
use testkit::records;

use load::{Load, Sevens, median, ours};

/// Connections on both sides.
const CONNECTIONS: usize = 16;
const PRODUCERS: u64 = 64;

async fn governed(server: &Server, load: Load, organizations: u64, length: Duration) -> f64 {
    let database = Database::on(server.url()).await;
    let blobs = tempfile::tempdir().unwrap();
    let config = |role: &str| PostgresConfig {
        url: database.url(role),
        password: None,
        blobs_dir: blobs.path().to_owned(),
        bucket: None,
        committers: 4,
        connections_max: CONNECTIONS,
    };
    store::migrate(&config(OWNER), APP, false).await.unwrap();
    let store = Store::connect(config(APP), Arc::new(Sevens)).await.unwrap();
    ours(store, load, organizations, PRODUCERS, length).await
}

/// Transactions per second, as `pgbench` reports them.
async fn two_inserts(server: &Server, programs: &Path, length: Duration) -> f64 {
    let database = Database::on(server.url()).await;
    let tables = "create table record (id bigserial primary key, document text not null);
                  create table log (id bigserial primary key, document text not null)";
    database.run(&database.name, tables).await;
    let record = serde_json::to_string(&records::exception(1)).unwrap();
    let sealed = records::draft(1).seal(records::organization(1).id, 1, [7; 16]).unwrap();
    let entry = sealed.entry_text;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.sql");
    let text = format!(
        "begin;\ninsert into record (document) values ('{record}');\ninsert into log (document) values ('{entry}');\ncommit;\n"
    );
    // A colon would begin a variable.
    std::fs::write(&script, text.replace(':', ";")).unwrap();
    let (host, port) = server.address().split_once(':').map(|(h, p)| (h.to_owned(), p.to_owned())).unwrap();
    let done = Command::new(programs.join("pgbench"))
        .args(["-n", "-M", "prepared", "-j", "2", "-U", "postgres", "-h", &host, "-p", &port])
        .args(["-c", &CONNECTIONS.to_string(), "-T", &length.as_secs().max(1).to_string(), "-f"])
        .arg(&script)
        .arg(&database.name)
        .output()
        .expect("pgbench is with PostgreSQL's programs");
    let said = String::from_utf8(done.stdout).unwrap();
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    rate.expect("pgbench says its rate")
}

fn main() {
    let numbers: Vec<f64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let length = Duration::from_secs_f64(numbers.first().copied().unwrap_or(4.0));
    let rounds = numbers.get(1).copied().unwrap_or(3.0) as usize;
    let programs = std::env::var("LOOPIQ_TEST_POSTGRES_BIN").map(PathBuf::from);
    let programs = programs.expect("LOOPIQ_TEST_POSTGRES_BIN names the folder of initdb, pg_ctl and pgbench");
    // Every commit reaches the disk before it is acknowledged.
    let server = Server::start_durable(&programs).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!(
        "durable commits per second, median of {rounds} rounds of {length:?}; {CONNECTIONS} connections each"
    );
    println!("{:<40} {:>9} {:>9} {:>8}", "", "pgbench", "governed", "ratio");
    for (load, what) in [(Load::Small, "one record"), (Load::Package, "work package")] {
        for organizations in [1, 16] {
            let mut found = [Vec::new(), Vec::new()];
            for _ in 0..rounds {
                // In turn, so that whatever else the machine does meets both.
                let [bench, governed_rates] = &mut found;
                bench.push(runtime.block_on(two_inserts(&server, &programs, length)));
                governed_rates.push(runtime.block_on(governed(&server, load, organizations, length)));
            }
            let [bench, ours] = found.map(median);
            let name = format!("{what}, {PRODUCERS} producers, {organizations} org(s)");
            println!("{name:<40} {bench:>9.0} {ours:>9.0} {:>7.2}x", ours / bench);
        }
    }
}
