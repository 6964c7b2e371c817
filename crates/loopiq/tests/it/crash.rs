//! The server is killed, as by a power cut, at random moments of proposing and approving. Checked afterwards: each action
//! was executed at most once, every acknowledged outcome is there, the log verifies.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::postgres::APP;

use crate::server::{CREATE, Home, Server, binary, http};

const KILLS: u64 = 50;

#[tokio::test]
async fn crash_between_approval_and_result_loses_and_doubles_nothing() {
    let home = Home::embedded();
    crashes(&home).await;
    doctor(&["--data", home.folder.path().to_str().unwrap()]);
}

#[tokio::test]
async fn crash_of_a_node_on_postgresql_loses_and_doubles_nothing() {
    let home = Home::postgres().await;
    crashes(&home).await;
    doctor(&[
        "--data",
        home.folder.path().to_str().unwrap(),
        "--database-url",
        &home.database_url(APP).unwrap(),
    ]);
}

async fn crashes(home: &Home) {
    // Title of the story, and what the client was told last.
    let mut told: Vec<(String, Option<String>)> = Vec::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..KILLS {
        let mut server = Server::demo(home);
        let http = http();
        let grace = server.token("grace", "acme");
        let title = format!("Story {round}");
        let package = server.package(&http, &grace, &title).await;
        let session = server.sign_in("grace").await;
        // xorshift: the moments differ from round to round and are the same in every run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let moment = Duration::from_micros(seed % 12_000);
        let story = async {
            let (_, proposed) = server.try_call(&http, &grace, CREATE, package).await?;
            let action = proposed["action"]["id"].as_str()?.to_owned();
            let (_, done) = server.decide(&session, &action, "approve").await?;
            done["status"].as_str().map(str::to_owned)
        };
        let heard = tokio::time::timeout(moment, story).await.ok().flatten();
        server.kill();
        told.push((title, heard));
    }

    let server = Server::demo(home);
    let http = http();
    let grace = server.token("grace", "acme");
    let mut stories: Vec<String> = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let mut arguments = json!({ "release": "backend-v1.0-GCN", "type": ["story"], "limit": 100 });
        if cursor.is_string() {
            arguments["cursor"] = cursor;
        }
        let (_, page) = server.call(&http, &grace, "loopiq_list_work_items", arguments).await;
        stories.extend(
            page["items"].as_array().unwrap().iter().map(|i| i["title"].as_str().unwrap().to_owned()),
        );
        cursor = page["nextCursor"].clone();
        if !cursor.is_string() {
            break;
        }
    }
    let acknowledged = told.iter().filter(|(_, heard)| heard.as_deref() == Some("executed")).count();
    for (title, heard) in &told {
        let times = stories.iter().filter(|story| *story == title).count();
        assert!(times <= 1, "{title} was executed {times} times");
        if heard.as_deref() == Some("executed") {
            assert_eq!(times, 1, "{title} was acknowledged and is gone");
        }
    }
    assert!(acknowledged < told.len(), "no kill came in time to matter");
}

/// The log of the organization verifies.
fn doctor(place: &[&str]) {
    let doctor = Command::new(binary()).arg("doctor").args(place).output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.success() && said.contains("acme: audit log of"), "{said}");
}
