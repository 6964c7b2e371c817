//! Several nodes on one database serve one world: whatever one of them has acknowledged, every other knows by the very
//! next call.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::postgres::{APP, OWNER};

use crate::server::{CREATE, Home, Server, binary, http};

#[tokio::test]
async fn proposed_on_one_node_approved_on_another_and_replayed_on_a_third() {
    let home = Home::postgres().await;
    let first = Server::demo(&home);
    let (second, third) = (Server::node(&home, &first), Server::node(&home, &first));
    let http = http();
    let grace = first.token("grace", "acme");
    let package = first.package(&http, &grace, "Close the gap").await;
    let (_, proposed) = first.call(&http, &grace, CREATE, package.clone()).await;
    let action = proposed["action"]["id"].as_str().unwrap().to_owned();
    let (_, again) = third.call(&http, &grace, CREATE, package.clone()).await;
    assert_eq!((&again["action"]["id"], &again["replayed"]), (&json!(action), &json!(true)));

    // Signed in on the first, decided on the second: the session is everybody's.
    let session = first.sign_in("grace").await;
    let (status, done) = second.decide(&session, &action, "approve").await.unwrap();
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
    let (_, outcome) = third.call(&http, &grace, CREATE, package.clone()).await;
    assert_eq!((&outcome["status"], &outcome["audit"]), (&json!("executed"), &done["audit"]));

    // A page begun on one node goes on at another.
    let arguments = json!({ "release": "backend-v1.0-GCN", "limit": 1 });
    let (_, page) = first.call(&http, &grace, "loopiq_list_work_items", arguments.clone()).await;
    let mut next = arguments;
    next["cursor"] = page["nextCursor"].clone();
    let (error, rest) = second.call(&http, &grace, "loopiq_list_work_items", next).await;
    assert!(!error && rest["items"][0]["id"] != page["items"][0]["id"], "{rest}");
}

#[tokio::test]
async fn the_same_proposal_at_once_on_all_nodes_is_one_action_and_decided_once() {
    let home = Home::postgres().await;
    let first = Server::demo(&home);
    let nodes = [Server::node(&home, &first), Server::node(&home, &first), first];
    let http = http();
    let grace = nodes[0].token("grace", "acme");
    let package = nodes[0].package(&http, &grace, "Close the gap").await;
    let (a, b, c) = tokio::join!(
        nodes[0].call(&http, &grace, CREATE, package.clone()),
        nodes[1].call(&http, &grace, CREATE, package.clone()),
        nodes[2].call(&http, &grace, CREATE, package.clone()),
    );
    let ids: Vec<&Value> = [&a, &b, &c].iter().map(|(_, answer)| &answer["action"]["id"]).collect();
    assert!(ids[0].is_string() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let replayed = [&a, &b, &c].iter().filter(|(_, answer)| answer["replayed"] == true).count();
    assert_eq!(replayed, 2);

    let action = ids[0].as_str().unwrap();
    let session = nodes[0].sign_in("grace").await;
    let (a, b, c) = tokio::join!(
        nodes[0].decide(&session, action, "approve"),
        nodes[1].decide(&session, action, "approve"),
        nodes[2].decide(&session, action, "approve"),
    );
    let mut statuses = [a.unwrap().0, b.unwrap().0, c.unwrap().0];
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(statuses[1..].iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
    let arguments = json!({ "release": "backend-v1.0-GCN", "limit": 100 });
    let (_, items) = nodes[1].call(&http, &grace, "loopiq_list_work_items", arguments).await;
    assert_eq!(items["items"].as_array().unwrap().len(), 2, "one story and one task, once");
}

#[tokio::test]
async fn sixty_four_clients_with_one_key_on_two_nodes_make_one_action() {
    let home = Home::postgres().await;
    let first = Server::demo(&home);
    let nodes = [Arc::new(Server::node(&home, &first)), Arc::new(first)];
    let grace = nodes[0].token("grace", "acme");
    let mut package = nodes[0].package(&http(), &grace, "Once").await;
    package["idempotencyKey"] = json!("sixty-four-clients");
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..64 {
        let (node, grace, package) = (Arc::clone(&nodes[n % 2]), grace.clone(), package.clone());
        clients.spawn(async move { node.call(&http(), &grace, CREATE, package).await });
    }
    let answers = clients.join_all().await;
    let ids: HashSet<&str> =
        answers.iter().map(|(_, answer)| answer["action"]["id"].as_str().unwrap()).collect();
    let replayed = answers.iter().filter(|(_, answer)| answer["replayed"] == true).count();
    assert_eq!((ids.len(), replayed), (1, 63));
}

/// Three nodes behind a balancer that gives each request to the next; one after another is killed while it works, and
/// another takes its place.
#[tokio::test]
async fn nodes_are_killed_under_balanced_clients_and_each_write_happens_once() {
    const WRITES: usize = 24;
    let home = Home::postgres().await;
    let first = Server::demo(&home);
    let mut nodes = [Server::node(&home, &first), Server::node(&home, &first), first];
    let (http, grace) = (http(), nodes[0].token("grace", "acme"));
    let session = nodes[0].sign_in("grace").await;
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for n in 0..WRITES {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let mut package = nodes[n % 3].package(&http, &grace, &format!("Story {n}")).await;
        package["idempotencyKey"] = json!(format!("balanced-story-{n}"));
        let moment = Duration::from_micros(seed % 12_000);
        // Cut off at some moment; whatever was under way on that node dies with it.
        let begun = nodes[n % 3].try_call(&http, &grace, CREATE, package.clone());
        drop(tokio::time::timeout(moment, begun).await);
        nodes[n % 3].kill();
        let (error, proposed) = nodes[(n + 1) % 3].call(&http, &grace, CREATE, package.clone()).await;
        assert!(!error, "{proposed}");
        let action = proposed["action"]["id"].as_str().unwrap();
        let (status, done) = nodes[(n + 2) % 3].decide(&session, action, "approve").await.unwrap();
        assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
        let (_, replayed) = nodes[(n + 1) % 3].call(&http, &grace, CREATE, package).await;
        assert_eq!((&replayed["status"], &replayed["audit"]), (&json!("executed"), &done["audit"]));
        nodes[n % 3] = Server::node(&home, &nodes[(n + 1) % 3]);
    }
    let arguments = json!({ "release": "backend-v1.0-GCN", "type": ["story"], "limit": 100 });
    let (_, items) = nodes[0].call(&http, &grace, "loopiq_list_work_items", arguments).await;
    for n in 0..WRITES {
        let title = json!(format!("Story {n}"));
        let times = items["items"].as_array().unwrap().iter().filter(|item| item["title"] == title).count();
        assert_eq!(times, 1, "{title}");
    }
}

#[tokio::test]
async fn what_one_node_takes_away_every_node_refuses_by_the_next_call() {
    let home = Home::postgres().await;
    let first = Server::demo(&home);
    let second = Server::node(&home, &first);
    let http = http();
    let (grace, admin) = (first.token("grace", "acme"), first.token("linus", "acme"));
    let arguments = json!({ "release": "backend-v1.0-GCN" });
    let (error, _) = second.call(&http, &grace, "loopiq_list_evidence_gaps", arguments.clone()).await;
    assert!(!error);
    let session = second.sign_in("grace").await;

    // By the command line, next to both: the database is everybody's, no process has to be asked.
    let url = home.database_url(APP).unwrap();
    let run = |arguments: &[&str]| {
        let done = std::process::Command::new(binary())
            .args(arguments)
            .args(["--database-url", &url, "--data"])
            .arg(home.folder.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    run(&["user", "deactivate", "--org", "acme", "--email", "grace@acme.example"]);
    for node in [&first, &second] {
        let refused = http.get(format!("{}/api/v1/me", node.url)).bearer_auth(&grace).send().await.unwrap();
        assert_eq!(refused.status(), 401, "a token of somebody deactivated works");
        // The person may still be signed in, for other organizations; this one is closed to them.
        let page = session.0.get(format!("{}/api/v1/releases", node.url)).send().await.unwrap();
        let (status, said) = (page.status().as_u16(), page.text().await.unwrap());
        assert!([401, 403].contains(&status) && !said.contains("backend-v1"), "{status} {said}");
        let (error, _) = node.call(&http, &admin, "loopiq_get_context", json!({})).await;
        assert!(!error, "others are not touched");
    }
}

#[tokio::test]
async fn a_node_that_dies_takes_nothing_with_it() {
    let home = Home::postgres().await;
    let mut first = Server::demo(&home);
    let second = Server::node(&home, &first);
    let http = http();
    let grace = first.token("grace", "acme");
    let mut acknowledged = Vec::new();
    for n in 0..10 {
        let package = second.package(&http, &grace, &format!("Story {n}")).await;
        if n == 5 {
            first.kill();
        }
        let node = if n < 5 { &first } else { &second };
        let (error, proposed) = node.call(&http, &grace, CREATE, package).await;
        assert!(!error, "{proposed}");
        acknowledged.push(proposed["action"]["id"].clone());
    }
    for id in acknowledged {
        let (error, found) = second.call(&http, &grace, "loopiq_get_action", json!({ "actionId": id })).await;
        assert!(!error && found["action"]["id"] == id, "{found}");
    }
}

/// What `loopiq migrate` of a later version does to this one: first it adds, later it takes away.
#[tokio::test]
async fn a_node_serves_on_while_the_schema_moves_ahead_and_refuses_one_that_took_away() {
    let home = Home::postgres().await;
    let first = Server::demo(&home);
    let database = home.database.as_ref().unwrap();
    let migrated = |statements: &str| {
        let text = format!("set role {OWNER}; begin; {statements}; commit");
        async move { database.run(&database.name, &text).await }
    };
    let http = http();
    let grace = first.token("grace", "acme");
    let before = first.package(&http, &grace, "Before").await;
    let (_, proposed) = first.call(&http, &grace, CREATE, before).await;
    migrated(
        "create table later (organization_id text not null, id text not null, primary key (organization_id, id));
         alter table work_item add column colour text not null default 'none';
         alter table audit_entry add column colour text;
         insert into schema_migration values (900, 'later', 'unknown', 0)",
    )
    .await;
    let second = Server::node(&home, &first);
    let session = first.sign_in("grace").await;
    let action = proposed["action"]["id"].as_str().unwrap();
    let (status, done) = second.decide(&session, action, "approve").await.unwrap();
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
    let after = first.package(&http, &grace, "After").await;
    let (error, proposed) = first.call(&http, &grace, CREATE, after).await;
    assert!(!error, "{proposed}");

    migrated("insert into schema_migration values (901, 'gone', 'unknown', 900)").await;
    let refused = std::process::Command::new(binary())
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--database-url",
            &home.database_url(APP).unwrap(),
            "--data",
        ])
        .arg(home.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("newer"), "{said}");
}

#[test]
fn a_role_that_owns_the_tables_does_not_serve_and_the_message_says_what_to_do() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let home = runtime.block_on(Home::postgres());
    let refused = std::process::Command::new(binary())
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--database-url",
            &home.database_url(OWNER).unwrap(),
            "--data",
        ])
        .arg(home.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("owns the tables") && said.contains("--grant-to"),
        "{said}"
    );
    assert!(!said.contains(&format!(":{OWNER}@")), "no password in a message: {said}");
}

/// The whole world of one organization from a data folder into the database: the same answers, by the same tokens.
#[tokio::test]
async fn an_organization_is_moved_into_the_database_by_one_command() {
    let (small, large) = (Home::embedded(), Home::postgres().await);
    let http = http();
    let (grace, before) = {
        let server = Server::demo(&small);
        let grace = server.token("grace", "acme");
        (grace.clone(), reads(&server, &http, &grace).await)
    };
    let (from, url) = (small.folder.path().to_str().unwrap(), large.database_url(APP).unwrap());
    let evidence = large.folder.path().to_str().unwrap();
    let run = || {
        std::process::Command::new(binary())
            .args(["move", "--org", "acme", "--from", from, "--to", &url, "--evidence", evidence, "--json"])
            .output()
            .unwrap()
    };
    let done = run();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(told["auditLog"]["size"].as_i64().unwrap() > 10 && told["evidenceFiles"].as_u64().unwrap() > 10);

    let server = Server::alone(&large);
    assert_eq!(reads(&server, &http, &grace).await, before, "every read answers as before");
    let again = run();
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && said.contains("is taken"), "{said}");
    assert!(!said.contains(&format!(":{APP}@")), "no password in a message: {said}");
}

/// The answers of reads that reach every kind of record, without what each call makes new.
async fn reads(server: &Server, http: &reqwest::Client, token: &str) -> Vec<Value> {
    let mut answers = Vec::new();
    for (tool, arguments) in [
        ("loopiq_list_releases", json!({})),
        ("loopiq_list_release_certifications", json!({})),
        ("loopiq_list_evidence_gaps", json!({ "release": "backend-v1.0-GCN", "limit": 100 })),
        ("loopiq_list_provider_blockers", json!({ "release": "backend-v1.0-GCN", "limit": 100 })),
        ("loopiq_list_evidence", json!({ "release": "backend-v1.0-GCN", "limit": 100 })),
        ("loopiq_search", json!({ "query": "backend" })),
    ] {
        let (error, mut answer) = server.call(http, token, tool, arguments).await;
        assert!(!error, "{tool}: {answer}");
        for fresh in ["context", "requestId", "asOf"] {
            answer.as_object_mut().unwrap().remove(fresh);
        }
        // Links name the server that answered.
        let text = answer.to_string().replace(&server.url, "");
        answers.push(serde_json::from_str(&text).unwrap());
    }
    answers
}
