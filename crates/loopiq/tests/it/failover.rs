//! The primary database dies under load and a standby takes over, again and again: nodes go on by themselves, and nothing
//! that was acknowledged is lost or doubled.

use std::path::Path;

use reqwest::Client;
use serde_json::{Value, json};
use testkit::cluster::Server as Postgres;
use testkit::postgres::Database;

use crate::live::until_longer;
use crate::server::{CREATE, Home, Server, http, tool};

/// How often the primary dies.
const CUTS: usize = 10;
/// Governed writes under way while it does.
const WRITES: usize = 6;

/// Two nodes, and somebody who proposes by the one and approves by the other.
struct Pair {
    nodes: [Server; 2],
    token: String,
    session: (Client, String),
    package: Value,
}

impl Pair {
    async fn on(home: &Home) -> Pair {
        let first = Server::demo(home);
        let nodes = [Server::node(home, &first), first];
        let token = nodes[0].token("grace", "acme");
        let package = nodes[0].package(&http(), &token, "Story").await;
        Pair { session: nodes[0].sign_in("grace").await, token, package, nodes }
    }

    /// Proposes. A client that gets no answer, or is told that something broke, asks again with the same key.
    async fn propose(&self, n: usize) -> String {
        let mut package = self.package.clone();
        package["parent"]["title"] = json!(format!("Story {n}"));
        package["idempotencyKey"] = json!(format!("failover-story-{n}"));
        loop {
            let answer = self.nodes[n % 2].try_call(&http(), &self.token, CREATE, package.clone()).await;
            if let Some((false, answer)) = answer
                && let Some(id) = answer["action"]["id"].as_str()
            {
                return id.to_owned();
            }
        }
    }

    /// Approves, until it is told that it was executed.
    async fn approve(&self, n: usize, action: &str) {
        let node = &self.nodes[(n + 1) % 2];
        loop {
            let done = node.decide(&self.session, action, "approve").await;
            if done.is_some_and(|(status, done)| status == 200 && done["status"] == "executed") {
                return;
            }
            let asked = json!({ "actionId": action });
            let found = node.try_call(&http(), &self.token, "loopiq_get_action", asked).await;
            if let Some((false, found)) = found
                && found["action"]["status"] == "executed"
            {
                return;
            }
        }
    }

    /// Titles of every story there is.
    async fn stories(&self) -> Vec<String> {
        let mut titles = Vec::new();
        let mut arguments = json!({ "release": "backend-v1.0-GCN", "type": ["story"], "limit": 100 });
        loop {
            let (error, page) =
                self.nodes[0].call(&http(), &self.token, "loopiq_list_work_items", arguments.clone()).await;
            assert!(!error, "{page}");
            let items = page["items"].as_array().unwrap();
            titles.extend(items.iter().map(|item| item["title"].as_str().unwrap().to_owned()));
            if !page["nextCursor"].is_string() {
                return titles;
            }
            arguments["cursor"] = page["nextCursor"].clone();
        }
    }
}

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
    let pair = Pair::on(&home).await;
    let page = format!("{}/app/events", pair.nodes[0].url);
    let open = async || pair.session.0.get(&page).send().await.unwrap();
    let mut stream = open().await;
    until_longer(&mut stream, 0).await;

    let mut acknowledged: Vec<String> = Vec::new();
    let (mut primary, mut standby) = (primary, standby);
    for cut in 0..CUTS {
        let change = tokio::task::spawn_blocking(move || {
            primary.cut().unwrap();
            standby.promote().unwrap();
            // Until there is a standby again, the new primary acknowledges nothing.
            primary.follow(&standby).unwrap();
            (standby, primary)
        });
        for n in cut * WRITES..(cut + 1) * WRITES {
            let action = pair.propose(n).await;
            pair.approve(n, &action).await;
            acknowledged.push(action);
        }
        (primary, standby) = change.await.unwrap();
    }

    let distinct: std::collections::HashSet<&String> = acknowledged.iter().collect();
    assert_eq!((acknowledged.len(), distinct.len()), (CUTS * WRITES, CUTS * WRITES));
    let stories = pair.stories().await;
    for (n, action) in acknowledged.iter().enumerate() {
        let title = format!("Story {n}");
        assert_eq!(stories.iter().filter(|story| **story == title).count(), 1, "{title}: {stories:?}");
        let asked = json!({ "idempotencyKey": format!("failover-story-{n}") });
        let (error, found) = pair.nodes[n % 2].call(&http(), &pair.token, "loopiq_get_action", asked).await;
        assert!(!error && found["action"]["id"] == json!(action), "{title} was acknowledged: {found}");
    }
    // A page that was open all the time hears of what the other node does under the last primary.
    let now = until_longer(&mut open().await, 0).await;
    pair.propose(CUTS * WRITES + 1).await;
    until_longer(&mut stream, now).await;
    drop(pair);
    drop((primary, standby));
}
