//! A release from its plan to production, by people: made, certified, held by its gates, released.

use reqwest::Client;
use serde_json::{Value, json};

use crate::certifications::certification;
use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    a_release_goes_from_its_plan_to_production
    what_a_release_cannot_be_is_refused
}

type Session = (Client, String);

async fn release(server: &Server, name: &str) -> Value {
    let grace = server.token("grace", "acme");
    let (error, found) = server.call(&http(), &grace, "loopiq_get_release", json!({ "release": name })).await;
    assert!(!error, "{found}");
    found
}

fn plan(name: &str) -> Value {
    json!({
        "name": name, "releaseVersion": "2.0.0", "teamId": "backend", "targetEnvironment": "production",
        "framework": "release-baseline", "reason": "the next one",
    })
}

/// Moves the release on; the answer to the person who asked.
async fn move_to(server: &Server, by: &Session, status: &str) -> (u16, Value) {
    let version = release(server, "backend-v2.0").await["release"]["version"].clone();
    let arguments = json!({
        "release": "backend-v2.0", "version": version, "changes": { "status": status }, "reason": "as planned",
    });
    server.by_hand_at_once(by, "loopiq_update_release", arguments).await
}

async fn a_release_goes_from_its_plan_to_production(home: Home) {
    let server = Server::demo(&home);
    let grace = server.sign_in("grace").await;
    let (_, made) = server.by_hand_at_once(&grace, "loopiq_create_release", plan("backend-v2.0")).await;
    assert_eq!(made["card"]["effects"].as_array().unwrap().len(), 2, "{made}");
    let token = server.token("grace", "acme");
    assert_eq!(certification(&server, &token, "backend-v2.0").await["status"], "draft");

    let check = json!({ "release": "backend-v2.0", "label": "Load test", "severity": "high", "reason": "r" });
    server.by_hand_at_once(&grace, "loopiq_record_release_check", check).await;
    let found = release(&server, "backend-v2.0").await;
    let check = &found["release"]["checks"][0];
    assert_eq!((&check["label"], &check["status"]), (&json!("Load test"), &json!("pending")), "{found}");
    let gate = json!({
        "release": "backend-v2.0", "name": "Go live", "mode": "blocking", "checkIds": [check["id"]], "reason": "r",
    });
    server.by_hand_at_once(&grace, "loopiq_set_release_gate", gate).await;

    for status in ["in_progress", "in_validation"] {
        assert_eq!(move_to(&server, &grace, status).await.0, 200);
    }
    let (status, held) = move_to(&server, &grace, "ready").await;
    assert_eq!((status, &held["code"]), (422, &json!("validation_failed")), "{held}");
    assert!(held["details"][0]["message"].as_str().unwrap().contains("1 closed gate"), "{held}");
    let passed = json!({
        "release": "backend-v2.0", "checkId": check["id"], "version": 1, "status": "passed", "reason": "r",
    });
    server.by_hand_at_once(&grace, "loopiq_record_release_check", passed).await;
    assert_eq!(move_to(&server, &grace, "ready").await.0, 200);
    let (status, uncertified) = move_to(&server, &grace, "released").await;
    assert_eq!(status, 422, "{uncertified}");
    assert!(
        uncertified["details"][0]["message"].as_str().unwrap().contains("certification"),
        "{uncertified}"
    );
}

async fn what_a_release_cannot_be_is_refused(home: Home) {
    let server = Server::demo(&home);
    let (grace, linus, max) =
        (server.sign_in("grace").await, server.sign_in("linus").await, server.sign_in("max").await);
    let tool = "loopiq_create_release";
    // A name that is taken, in other letters; a control set that is not there; another team; no right; another
    // organization, which finds neither team nor control set.
    let (status, taken) = server.by_hand(&grace, tool, plan("BACKEND-v1.0-gcn")).await;
    assert_eq!((status, &taken["details"][0]["field"]), (422, &json!("name")), "{taken}");
    let mut unknown = plan("backend-v3.0");
    unknown["framework"] = json!("none-such");
    let (status, refused) = server.by_hand(&grace, tool, unknown).await;
    assert_eq!((status, &refused["details"][0]["field"]), (422, &json!("framework")), "{refused}");
    let mut other = plan("mobile-v6.0");
    other["teamId"] = json!("mobile");
    let (status, refused) = server.by_hand(&grace, tool, other).await;
    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{refused}");
    let (status, refused) = server.by_hand(&linus, tool, plan("backend-v3.0")).await;
    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{refused}");
    let (status, refused) = server.by_hand(&max, tool, plan("backend-v3.0")).await;
    assert_eq!(status, 404, "{refused}");

    // Steps are not skipped, and a release is rolled back by a decision only.
    let version = release(&server, "backend-v1.1-GCN").await["release"]["version"].clone();
    for status in ["released", "rolled_back", "planned"] {
        let arguments = json!({
            "release": "backend-v1.1-GCN", "version": version, "changes": { "status": status }, "reason": "r",
        });
        let (code, refused) = server.by_hand(&grace, "loopiq_update_release", arguments).await;
        assert_eq!((code, &refused["details"][0]["field"]), (422, &json!("changes.status")), "{refused}");
    }
    let twice = json!({ "release": "backend-v1.1-GCN", "framework": "release-baseline", "reason": "r" });
    let (code, refused) = server.by_hand(&grace, "loopiq_create_release_certification", twice).await;
    assert_eq!((code, &refused["details"][0]["field"]), (422, &json!("release")), "{refused}");
}
