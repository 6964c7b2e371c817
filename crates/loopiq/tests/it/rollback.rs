//! The rollback decision of a release, from the proposal to its end; always by two people.

use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    a_rollback_is_decided_carried_out_and_finalized
    what_does_not_follow_is_refused
}

const RECORD: &str = "loopiq_record_rollback_decision";
const RELEASED: &str = "payments-v2.3";

fn decision(release: &str, status: &str) -> Value {
    json!({ "release": release, "status": status, "reason": format!("totals are wrong: {status}") })
}

fn with(mut arguments: Value, field: &str, value: &str) -> Value {
    arguments[field] = json!(value);
    arguments
}

async fn release(server: &Server, token: &str, name: &str) -> Value {
    let (_, found) = server.call(&http(), token, "loopiq_get_release", json!({ "release": name })).await;
    found["release"].clone()
}

async fn a_rollback_is_decided_carried_out_and_finalized(home: Home) {
    let server = Server::demo(&home);
    let ada = server.token("ada", "acme");
    let (first, second) = (server.sign_in("ada").await, server.sign_in("rita").await);

    let mut proposal = decision(RELEASED, "proposed");
    proposal["dueAt"] = json!("2027-03-01T10:00:00Z");
    let (_, proposed) = server.call(&http(), &ada, RECORD, proposal.clone()).await;
    let action = proposed["action"]["id"].as_str().unwrap();
    let (status, refused) = server.decide(&first, action, "approve").await.unwrap();
    assert_eq!((status, &refused["code"]), (409, &json!("approval_not_granted")), "{refused}");
    assert!(
        release(&server, &ada, RELEASED).await["rollbackDecision"].is_null(),
        "nothing before the approval"
    );
    let outcome = server.carry_out(&ada, &second, RECORD, proposal).await;
    assert_eq!(outcome["created"][0]["type"], "rollback_decision", "{outcome}");

    let decided = with(decision(RELEASED, "decided_rollback"), "rollbackPlan", "Deploy 2.2, replay the day");
    server.carry_out(&ada, &second, RECORD, decided).await;
    for state in ["in_progress", "failed", "in_progress", "completed"] {
        let mut step = with(decision(RELEASED, "decided_rollback"), "executionState", state);
        step["idempotencyKey"] = json!(format!(
            "step-{state}-{}",
            release(&server, &ada, RELEASED).await["rollbackDecision"]["version"]
        ));
        server.carry_out(&ada, &second, RECORD, step).await;
    }
    assert_eq!(release(&server, &ada, RELEASED).await["status"], "released");
    server.carry_out(&ada, &second, RECORD, decision(RELEASED, "finalized")).await;
    let shown = release(&server, &ada, RELEASED).await;
    assert_eq!(shown["status"], "rolled_back", "{shown}");
    let shown = &shown["rollbackDecision"];
    assert_eq!(
        (&shown["status"], &shown["executionState"], &shown["rollbackPlan"], &shown["dueAt"]),
        (
            &json!("finalized"),
            &json!("completed"),
            &json!("Deploy 2.2, replay the day"),
            &json!("2027-03-01T10:00:00Z")
        ),
        "what is not named stays: {shown}"
    );
    assert_eq!(shown["reason"], "totals are wrong: finalized");
    let again = with(decision(RELEASED, "finalized"), "rollbackPlan", "another");
    server.refused(&ada, RECORD, again, "validation_failed").await;
}

async fn what_does_not_follow_is_refused(home: Home) {
    let server = Server::demo(&home);
    let (ada, grace, max) =
        (server.token("ada", "acme"), server.token("grace", "acme"), server.token("max", "globex"));
    let name = "backend-v1.1-GCN";
    for (arguments, field) in [
        (decision(name, "finalized"), "status"),
        (decision(name, "decided_rollback"), "rollbackPlan"),
        (with(decision(name, "proposed"), "executionState", "in_progress"), "executionState"),
        (with(decision(name, "decided_proceed"), "executionState", "completed"), "executionState"),
        (decision(name, "undecided"), "status"),
    ] {
        let refused = server.refused(&ada, RECORD, arguments, "validation_failed").await;
        assert_eq!(refused["details"][0]["field"], field, "{refused}");
    }
    let second = server.sign_in("rita").await;
    // A decision may be recorded as it was taken.
    let (_, late) = server.call(&http(), &ada, RECORD, decision(name, "proposed")).await;
    server.carry_out(&ada, &second, RECORD, decision(name, "decided_proceed")).await;
    let back = with(decision(name, "decided_rollback"), "rollbackPlan", "back");
    server.refused(&ada, RECORD, back, "validation_failed").await;
    // A release has one decision: what was proposed as the first one is stale now.
    let (_, failed) =
        server.decide(&second, late["action"]["id"].as_str().unwrap(), "approve").await.unwrap();
    assert_eq!((&failed["status"], &failed["failure"]["code"]), (&json!("failed"), &json!("stale_preview")));
    server.carry_out(&ada, &second, RECORD, decision(name, "finalized")).await;
    assert_eq!(release(&server, &ada, name).await["status"], "ready", "proceeding changes no release");

    let (error, hidden) = server.call(&http(), &grace, RECORD, decision(name, "proposed")).await;
    assert!(error && hidden["code"] == -32602, "a release manager may not decide this: {hidden}");
    let of_foreign = server.refused(&max, RECORD, decision(name, "proposed"), "not_found").await;
    let of_absent = server.refused(&max, RECORD, decision("no-such", "proposed"), "not_found").await;
    assert_eq!(of_foreign["message"], of_absent["message"]);
}
