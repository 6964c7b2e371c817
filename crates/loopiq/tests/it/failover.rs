//! The primary database dies under load and a standby takes over: nodes go on by themselves, and nothing that was
//! acknowledged is lost or doubled.

use std::path::Path;

use serde_json::{Value, json};
use testkit::cluster::Server as Postgres;
use testkit::postgres::Database;

use crate::live::until_longer;
use crate::server::{CREATE, Home, Server, http, tool};

/// Proposals before the cut, and after it.
const PROPOSALS: usize = 40;

#[tokio::test]
async fn the_primary_dies_under_load_and_nothing_acknowledged_is_lost_or_doubled() {
    let programs = tool("LOOPIQ_TEST_POSTGRES_BIN");
    let primary = Postgres::start_primary(Path::new(&programs)).unwrap();
    let standby = primary.standby().unwrap();
    let database = Database::on(primary.url()).await;
    // From now on a commit is acknowledged when the standby has it too.
    let wait = format!("alter database {} set synchronous_commit = on", database.name);
    database.run("postgres", &wait).await;
    let home = Home::on(database, &format!("{},{}", primary.address(), standby.address()));
    let nodes = {
        let first = Server::demo(&home);
        [Server::node(&home, &first), first]
    };
    let http = http();
    let grace = nodes[0].token("grace", "acme");
    let package = nodes[0].package(&http, &grace, "Story").await;
    let propose = async |n: usize| {
        let mut package = package.clone();
        package["parent"]["title"] = json!(format!("Story {n}"));
        package["idempotencyKey"] = json!(format!("failover-story-{n}"));
        // A client that gets no answer, or is told that something broke, asks again with the same key.
        loop {
            let answer = nodes[n % 2].try_call(&http, &grace, CREATE, package.clone()).await;
            if let Some((false, answer)) = answer
                && answer["action"]["id"].is_string()
            {
                return (n, answer["action"]["id"].clone());
            }
        }
    };
    let mut acknowledged: Vec<(usize, Value)> = Vec::new();
    let (reader, _) = nodes[0].sign_in("grace").await;
    let open = async || reader.get(format!("{}/app/events", nodes[0].url)).send().await.unwrap();
    let mut stream = open().await;
    until_longer(&mut stream, 0).await;
    for n in 0..PROPOSALS {
        acknowledged.push(propose(n).await);
    }
    let cut = async {
        let done = tokio::task::spawn_blocking(move || {
            primary.cut().unwrap();
            standby.promote().unwrap();
            (primary, standby)
        });
        done.await.unwrap()
    };
    let load = async {
        let mut told = Vec::new();
        for n in PROPOSALS..2 * PROPOSALS {
            told.push(propose(n).await);
        }
        told
    };
    let (servers, told) = tokio::join!(cut, load);
    acknowledged.extend(told);

    assert_eq!(acknowledged.len(), 2 * PROPOSALS);
    let distinct: std::collections::HashSet<String> =
        acknowledged.iter().map(|(_, id)| id.to_string()).collect();
    assert_eq!(distinct.len(), acknowledged.len());
    for (n, id) in &acknowledged {
        let asked = json!({ "idempotencyKey": format!("failover-story-{n}") });
        let (error, found) = nodes[(n + 1) % 2].call(&http, &grace, "loopiq_get_action", asked).await;
        assert!(!error && found["action"]["id"] == *id, "Story {n} was acknowledged: {found}");
    }
    // A page that was open all the time hears of what the other node does under the new primary.
    let now = until_longer(&mut open().await, 0).await;
    propose(2 * PROPOSALS + 1).await;
    until_longer(&mut stream, now).await;
    drop(nodes);
    drop(servers);
}
