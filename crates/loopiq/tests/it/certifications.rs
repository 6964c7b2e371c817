//! A certification on its way: submitted through its tool step by step, evaluated as it arrives in review.

use reqwest::Client;
use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    a_draft_is_submitted_until_it_is_reviewed
    what_cannot_be_submitted_is_refused
    a_certification_is_decided_by_two_people_and_taken_back
    what_blocks_is_excepted_before_it_is_certified_with_exceptions
    a_rejection_says_why_and_ends_it
}

type Session = (Client, String);

/// What one exception covers at most.
const TARGETS_MAX: usize = 50;
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

pub const DECIDE: &str = "loopiq_decide_certification";

pub fn decision(certification: &Value, decision: &str) -> Value {
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

/// Ids of what blocks `backend-v1.0-GCN`.
async fn blocking(server: &Server, token: &str) -> Vec<Value> {
    let mut ids = Vec::new();
    for tool in ["loopiq_list_evidence_gaps", "loopiq_list_provider_blockers"] {
        let asked = json!({ "release": "backend-v1.0-GCN", "status": ["open"], "limit": 100 });
        let (error, found) = server.call(&http(), token, tool, asked).await;
        assert!(!error && found["nextCursor"].is_null(), "{found}");
        ids.extend(found["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
    }
    ids
}

/// What a tool's refusal says of the field `decision`.
async fn undecidable(server: &Server, by: &Session, arguments: Value) -> String {
    let (status, refused) = server.by_hand(by, DECIDE, arguments).await;
    assert_eq!((status, &refused["details"][0]["field"]), (422, &json!("decision")), "{refused}");
    refused["details"][0]["message"].as_str().unwrap().to_owned()
}

async fn what_blocks_is_excepted_before_it_is_certified_with_exceptions(home: Home) {
    let server = Server::demo(&home);
    let (ada, rita) = (server.token("ada", "acme"), server.sign_in("rita").await);
    let second = server.sign_in("ada").await;
    let release = "backend-v1.0-GCN";
    let with = "certify_with_exceptions";
    let ready = certification(&server, &ada, "backend-v1.1-GCN").await;
    let nothing = undecidable(&server, &rita, decision(&ready, with)).await;
    assert!(nothing.contains("nothing is excepted"), "{nothing}");
    let blocked = certification(&server, &ada, release).await;
    for ruling in ["certify", with] {
        let open = undecidable(&server, &rita, decision(&blocked, ruling)).await;
        assert!(
            open.contains("in review") || open.contains("cannot be made while something blocks"),
            "{open}"
        );
    }

    let targets = blocking(&server, &ada).await;
    assert!(!targets.is_empty());
    for targets in targets.chunks(TARGETS_MAX) {
        let exception = json!({
            "targetIds": targets, "kind": "accepted_risk", "reason": "the date cannot move",
            "rationale": "It is watched by hand until the next release", "expiresAt": server.in_days(&ada, 30).await,
        });
        server.carry_out(&ada, &rita, "loopiq_propose_exception", exception).await;
    }
    assert!(blocking(&server, &ada).await.is_empty());
    let excepted = certification(&server, &ada, release).await;
    let stands = (&excepted["status"], &excepted["readiness"]["verdict"]);
    assert_eq!(stands, (&json!("in_review"), &json!("ready_with_exceptions")), "{excepted}");
    let plain = undecidable(&server, &rita, decision(&excepted, "certify")).await;
    assert!(plain.contains("certify_with_exceptions"), "{plain}");

    let (status, proposed) = server.by_hand(&rita, DECIDE, decision(&excepted, with)).await;
    assert_eq!((status, &proposed["status"]), (200, &json!("pending_approval")), "{proposed}");
    let action = proposed["action"]["id"].as_str().unwrap();
    assert_eq!(server.decide(&second, action, "approve").await.unwrap().1["status"], "executed");
    let certified = certification(&server, &ada, release).await;
    assert_eq!(certified["status"], "certified_with_exceptions", "{certified}");
    let again = undecidable(&server, &rita, decision(&certified, "reject")).await;
    assert!(again.contains("only one in review"), "{again}");
}

async fn a_rejection_says_why_and_ends_it(home: Home) {
    let server = Server::demo(&home);
    let (ada, rita) = (server.token("ada", "acme"), server.sign_in("rita").await);
    let second = server.sign_in("ada").await;
    let release = "backend-v1.1-GCN";
    let ready = certification(&server, &ada, release).await;
    for reason in [Value::Null, json!(""), json!("  \n")] {
        let mut silent = decision(&ready, "reject");
        silent["reason"] = reason;
        let (status, refused) = server.by_hand(&rita, DECIDE, silent).await;
        assert_eq!((status, &refused["code"]), (422, &json!("validation_failed")), "{refused}");
        assert_eq!(refused["details"][0]["field"], "reason", "{refused}");
    }
    let mut reasoned = decision(&ready, "reject");
    reasoned["reason"] = json!("the load test ran on another build");
    let (_, proposed) = server.by_hand(&rita, DECIDE, reasoned).await;
    let action = proposed["action"]["id"].as_str().unwrap_or_else(|| panic!("{proposed}"));
    assert_eq!(server.decide(&second, action, "approve").await.unwrap().1["status"], "executed");
    let asked = json!({ "release": release });
    let (_, found) = server.call(&http(), &ada, "loopiq_get_release_certification", asked).await;
    assert_eq!(found["certification"]["status"], "rejected", "{found}");
    assert_eq!(found["decision"]["rationale"], "the load test ran on another build", "{found}");
    let rejected = &found["certification"];
    for ruling in ["certify", "revoke", "reject"] {
        undecidable(&server, &rita, decision(rejected, ruling)).await;
    }
}
