//! A certification on its way: submitted through its tool step by step, evaluated as it arrives in review.

use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    a_draft_is_submitted_until_it_is_reviewed
    what_cannot_be_submitted_is_refused
    a_certification_is_decided_by_two_people_and_taken_back
}

const SUBMIT: &str = "loopiq_submit_release_certification";

pub async fn certification(server: &Server, token: &str, release: &str) -> Value {
    let arguments = json!({ "release": release });
    let (error, found) = server.call(&http(), token, "loopiq_get_release_certification", arguments).await;
    assert!(!error, "{found}");
    found["certification"].clone()
}

fn submission(certification: &Value) -> Value {
    json!({
        "certificationId": certification["id"], "version": certification["version"], "reason": "it is time",
    })
}

async fn a_draft_is_submitted_until_it_is_reviewed(home: Home) {
    let server = Server::demo(&home);
    let ada = server.token("ada", "acme");
    let session = server.sign_in("ada").await;
    let draft = certification(&server, &ada, "mobile-v5.0").await;
    assert_eq!(draft["status"], "draft");
    server.carry_out(&ada, &session, SUBMIT, submission(&draft)).await;
    let collecting = certification(&server, &ada, "mobile-v5.0").await;
    assert_eq!(collecting["status"], "collecting_evidence", "{collecting}");
    let outcome = server.carry_out(&ada, &session, SUBMIT, submission(&collecting)).await;
    let reviewed = certification(&server, &ada, "mobile-v5.0").await;
    assert_eq!(reviewed["status"], "blocked", "it has no evidence at all: {reviewed}");
    let moved = json!({ "field": "status", "from": "collecting_evidence", "to": "blocked" });
    assert_eq!(outcome["effects"][0]["changes"][0], moved);
    server.refused(&ada, SUBMIT, submission(&reviewed), "validation_failed").await;
}

async fn what_cannot_be_submitted_is_refused(home: Home) {
    let server = Server::demo(&home);
    let (ada, grace, max) =
        (server.token("ada", "acme"), server.token("grace", "acme"), server.token("max", "globex"));
    let draft = certification(&server, &ada, "mobile-v5.0").await;
    let mut old = submission(&draft);
    old["version"] = json!(draft["version"].as_i64().unwrap() + 1);
    let refused = server.refused(&ada, SUBMIT, old, "version_conflict").await;
    assert_eq!(refused["details"][0]["field"], "version");
    let certified = certification(&server, &ada, "payments-v2.3").await;
    let refused = server.refused(&ada, SUBMIT, submission(&certified), "validation_failed").await;
    assert_eq!(refused["details"][0]["field"], "certificationId", "{refused}");
    // Grace manages the releases of another team, and may not even see this one.
    let of_team = server.refused(&grace, SUBMIT, submission(&draft), "not_found").await;
    let of_foreign = server.refused(&max, SUBMIT, submission(&draft), "not_found").await;
    assert_eq!(of_team["message"], of_foreign["message"]);
}

const DECIDE: &str = "loopiq_decide_certification";

fn decision(certification: &Value, decision: &str) -> Value {
    json!({
        "certificationId": certification["id"], "version": certification["version"], "decision": decision,
        "reason": "every control passed on fresh evidence",
    })
}

async fn a_certification_is_decided_by_two_people_and_taken_back(home: Home) {
    let server = Server::demo(&home);
    let (ada, rita) = (server.token("ada", "acme"), server.sign_in("rita").await);
    let ready = certification(&server, &ada, "backend-v1.1-GCN").await;
    assert_eq!((&ready["status"], &ready["readiness"]["verdict"]), (&json!("in_review"), &json!("ready")));

    // No program decides, whosever token it holds: over MCP there is no such tool, over the API it is refused.
    let (error, unknown) = server.call(&http(), &ada, DECIDE, decision(&ready, "certify")).await;
    assert!(error && unknown["code"] == -32602, "{unknown}");
    let address = format!("{}/api/v1/tools/{DECIDE}", server.url);
    let refused = http().post(address).bearer_auth(&ada).json(&decision(&ready, "certify"));
    assert_eq!(refused.send().await.unwrap().status(), 403);

    // What blocks cannot be certified; a reviewer proposes, and cannot be the second person too.
    let blocked = certification(&server, &ada, "backend-v1.0-GCN").await;
    let (status, refused) = server.by_hand(&rita, DECIDE, decision(&blocked, "certify")).await;
    assert_eq!((status, &refused["code"]), (422, &json!("validation_failed")), "{refused}");
    let (status, proposed) = server.by_hand(&rita, DECIDE, decision(&ready, "certify")).await;
    assert_eq!((status, &proposed["status"]), (200, &json!("pending_approval")), "{proposed}");
    let action = proposed["action"]["id"].as_str().unwrap();
    let (status, own) = server.decide(&rita, action, "approve").await.unwrap();
    assert_eq!((status, &own["code"]), (409, &json!("approval_not_granted")), "{own}");
    let second = server.sign_in("ada").await;
    let (status, done) = server.decide(&second, action, "approve").await.unwrap();
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
    let asked = json!({ "release": "backend-v1.1-GCN" });
    let (_, found) = server.call(&http(), &ada, "loopiq_get_release_certification", asked).await;
    assert_eq!(found["decision"]["rationale"], "every control passed on fresh evidence", "{found}");
    let certified = &found["certification"];
    assert_eq!(certified["status"], "certified", "{certified}");

    let (_, proposed) = server.by_hand(&rita, DECIDE, decision(certified, "revoke")).await;
    let action = proposed["action"]["id"].as_str().unwrap();
    server.decide(&second, action, "approve").await.unwrap();
    let revoked = certification(&server, &ada, "backend-v1.1-GCN").await;
    assert_eq!(revoked["status"], "revoked", "{revoked}");
}
