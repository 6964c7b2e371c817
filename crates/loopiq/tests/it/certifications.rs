//! A certification on its way: submitted through its tool step by step, evaluated as it arrives in review.

use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    a_draft_is_submitted_until_it_is_reviewed
    what_cannot_be_submitted_is_refused
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
