//! Exceptions: proposed by an agent, approved by a second person, in force in the evaluation and in the graph; and what
//! may not be waived. That they end is a story of the web crate's tests, where the clock goes by hand.

use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    what_a_second_person_approves_is_waived
    what_cannot_be_waived_is_refused
}

const PROPOSE: &str = "loopiq_propose_exception";
const RELEASE: &str = "backend-v1.0-GCN";

async fn list(server: &Server, token: &str, tool: &str) -> Vec<Value> {
    let arguments = json!({ "release": RELEASE, "limit": 100 });
    let (error, found) = server.call(&http(), token, tool, arguments).await;
    assert!(!error, "{found}");
    found["items"].as_array().unwrap().clone()
}

/// Arguments that waive an integration gap and every blocker that can be waived.
pub async fn proposal(server: &Server, token: &str) -> Value {
    let gaps = list(server, token, "loopiq_list_evidence_gaps").await;
    let gap = gaps.iter().find(|g| g["control"]["code"] == "TEST-INTEGRATION").unwrap();
    let blockers = list(server, token, "loopiq_list_provider_blockers").await;
    json!({
        "targetIds": [gap["id"], blockers[0]["id"]], "kind": "accepted_risk", "reason": "the date cannot move",
        "rationale": "Integration is tested by hand until the environment is back",
        "expiresAt": server.in_days(token, 30).await,
    })
}

async fn what_a_second_person_approves_is_waived(home: Home) {
    let server = Server::demo(&home);
    let ada = server.token("ada", "acme");
    let proposal = proposal(&server, &ada).await;
    let (gap, blocker) = (proposal["targetIds"][0].clone(), proposal["targetIds"][1].clone());

    let (_, proposed) = server.call(&http(), &ada, PROPOSE, proposal.clone()).await;
    assert_eq!(proposed["status"], "pending_approval", "{proposed}");
    assert_eq!(proposed["approval"]["requirement"]["requesterMayApprove"], false);
    let waived: Vec<&Value> =
        proposed["approval"]["card"]["references"].as_array().unwrap().iter().map(|r| &r["id"]).collect();
    assert_eq!(waived, [&gap, &blocker], "the card says what is waived");
    let action = proposed["action"]["id"].as_str().unwrap();
    let (status, refused) = server.decide(&server.sign_in("ada").await, action, "approve").await.unwrap();
    assert_eq!((status, &refused["code"]), (409, &json!("approval_not_granted")), "{refused}");
    assert!(list(&server, &ada, "loopiq_list_evidence_gaps").await.iter().any(|g| g["id"] == gap));

    let outcome = server.carry_out(&ada, &server.sign_in("rita").await, PROPOSE, proposal).await;
    let exception = outcome["created"][0]["id"].clone();
    assert!(exception.as_str().unwrap().starts_with("exc_"), "{outcome}");
    let status = json!({ "release": RELEASE, "status": ["excepted"], "limit": 100 });
    for (tool, id) in [("loopiq_list_evidence_gaps", &gap), ("loopiq_list_provider_blockers", &blocker)] {
        let (_, found) = server.call(&http(), &ada, tool, status.clone()).await;
        assert!(found["items"].as_array().unwrap().iter().any(|i| i["id"] == *id), "{tool}: {found}");
        assert!(list(&server, &ada, tool).await.iter().all(|i| i["id"] != *id || i["status"] == "excepted"));
    }
    let (_, certified) =
        server.call(&http(), &ada, "loopiq_get_release_certification", json!({ "release": RELEASE })).await;
    assert_eq!(certified["certification"]["acceptedRiskCount"], 1, "{certified}");
    let control =
        certified["controls"].as_array().unwrap().iter().find(|c| c["code"] == "TEST-INTEGRATION").unwrap();
    assert_eq!(control["outcome"], "waived");
    let (_, graph) = server
        .call(&http(), &ada, "loopiq_get_release_certification_evidence_graph", json!({ "release": RELEASE }))
        .await;
    let waives = json!({ "from": exception, "to": gap, "kind": "waives" });
    assert!(graph["edges"].as_array().unwrap().contains(&waives), "{graph}");
    let (_, risks) = server.call(&http(), &ada, "loopiq_list_risks", json!({ "release": RELEASE })).await;
    let listed = &risks["exceptions"][0];
    assert_eq!((&listed["id"], &listed["status"]), (&exception, &json!("approved")), "{risks}");
    assert!(listed["approvedBy"].is_string() && listed["approvedBy"] != listed["proposedBy"], "{listed}");
}

async fn what_cannot_be_waived_is_refused(home: Home) {
    let server = Server::demo(&home);
    let (ada, grace, max) =
        (server.token("ada", "acme"), server.token("grace", "acme"), server.token("max", "globex"));
    let proposal = proposal(&server, &ada).await;
    let with = |field: &str, value: Value| {
        let mut changed = proposal.clone();
        changed[field] = value;
        changed
    };
    let (_, portal) =
        server.call(&http(), &ada, "loopiq_list_evidence_gaps", json!({ "release": "mobile-v5.0" })).await;
    let gap = proposal["targetIds"][0].clone();
    let absent = "gap_00000000000000000000000000";
    let cases = [
        (with("targetIds", json!([])), "validation_failed", "targetIds"),
        (with("targetIds", json!([gap, gap])), "validation_failed", "targetIds[1]"),
        (with("targetIds", json!([absent])), "reference_mismatch", "targetIds[0]"),
        (with("targetIds", json!(["canary-81c2"])), "reference_mismatch", "targetIds[0]"),
        (with("targetIds", json!([gap, portal["items"][0]["id"]])), "reference_mismatch", "targetIds"),
        (with("expiresAt", json!(server.in_days(&ada, -1).await)), "validation_failed", "expiresAt"),
        (with("expiresAt", json!(server.in_days(&ada, 400).await)), "validation_failed", "expiresAt"),
        (with("rationale", json!("  ")), "validation_failed", "rationale"),
        (with("kind", json!("waiver")), "validation_failed", "kind"),
    ];
    for (arguments, code, field) in cases {
        let refused = server.refused(&ada, PROPOSE, arguments, code).await;
        assert_eq!(refused["details"][0]["field"], json!(field), "{refused}");
        assert!(!refused.to_string().contains("canary-81c2"), "{refused}");
    }
    let (error, hidden) = server.call(&http(), &grace, PROPOSE, proposal.clone()).await;
    assert!(error && hidden["code"] == -32602, "a release manager does not see the tool: {hidden}");
    let of_foreign = server.refused(&max, PROPOSE, proposal.clone(), "reference_mismatch").await;
    let of_absent =
        server.refused(&max, PROPOSE, with("targetIds", json!([absent, absent])), "reference_mismatch").await;
    assert_eq!(of_foreign["details"], of_absent["details"]);
}
