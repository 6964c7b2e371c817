//! A release from its plan to production, by people: made, certified, held by its gates, released.

use reqwest::Client;
use serde_json::{Value, json};

use crate::certifications::certification;
use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    a_release_goes_from_its_plan_to_production
    what_a_release_cannot_be_is_refused
    a_waived_check_opens_its_gate_and_an_advisory_gate_holds_nothing
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

/// Records a check; the check as the release shows it.
async fn check(server: &Server, by: &Session, mut arguments: Value) -> Value {
    arguments["release"] = json!("backend-v2.0");
    arguments["reason"] = json!("as the checklist says");
    let label = arguments["label"].clone();
    server.by_hand_at_once(by, "loopiq_record_release_check", arguments).await;
    let found = release(server, "backend-v2.0").await;
    let mut checks = found["release"]["checks"].as_array().unwrap().iter();
    checks.find(|check| check["label"] == label).unwrap().clone()
}

async fn a_waived_check_opens_its_gate_and_an_advisory_gate_holds_nothing(home: Home) {
    let server = Server::demo(&home);
    let (grace, token) = (server.sign_in("grace").await, server.token("grace", "acme"));
    server.by_hand_at_once(&grace, "loopiq_create_release", plan("backend-v2.0")).await;
    let due = server.in_days(&token, 2).await;
    let load = json!({
        "label": "Load test", "severity": "high", "dueAt": due, "sourceEntity": "work_item:load-test", "status": "failed",
    });
    let load = check(&server, &grace, load).await;
    let told = ["severity", "dueAt", "sourceEntity", "status"].map(|field| load[field].clone());
    let wanted = [json!("high"), json!(due), json!("work_item:load-test"), json!("failed")];
    assert_eq!(told, wanted, "{load}");
    let words = check(&server, &grace, json!({ "label": "Release notes" })).await;
    for (name, mode, of) in [("Go live", "blocking", &load), ("Good manners", "advisory", &words)] {
        let gate = json!({
            "release": "backend-v2.0", "name": name, "mode": mode, "checkIds": [of["id"]], "reason": "as agreed",
        });
        server.by_hand_at_once(&grace, "loopiq_set_release_gate", gate).await;
    }
    let gates = async || {
        let found = release(&server, "backend-v2.0").await;
        let gates = found["release"]["gates"].as_array().unwrap().iter();
        let mut gates: Vec<_> =
            gates.map(|gate| format!("{} {}", gate["mode"], gate["status"]).replace('"', "")).collect();
        gates.sort();
        gates
    };
    assert_eq!(gates().await, ["advisory closed", "blocking closed"]);
    for status in ["in_progress", "in_validation"] {
        assert_eq!(move_to(&server, &grace, status).await.0, 200);
    }
    let (status, held) = move_to(&server, &grace, "ready").await;
    let said = held["details"][0]["message"].as_str().unwrap_or_default();
    assert!(status == 422 && said.contains("1 closed gate"), "the advisory one is not counted: {held}");

    let waived = json!({
        "label": "Load test", "checkId": load["id"], "version": load["version"], "status": "waived",
    });
    let waived = check(&server, &grace, waived).await;
    assert_eq!((&waived["status"], &waived["dueAt"]), (&json!("waived"), &json!(due)), "{waived}");
    assert_eq!(gates().await, ["advisory closed", "blocking open"]);
    let passed = json!({
        "release": "backend-v2.0", "checkId": load["id"], "version": waived["version"], "status": "passed", "reason": "r",
    });
    let (status, refused) = server.by_hand(&grace, "loopiq_record_release_check", passed).await;
    assert_eq!(
        (status, &refused["details"][0]["field"]),
        (422, &json!("status")),
        "it was not done: {refused}"
    );
    assert_eq!(move_to(&server, &grace, "ready").await.0, 200, "an advisory gate holds nothing");
}
