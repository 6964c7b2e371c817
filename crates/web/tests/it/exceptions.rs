//! An exception ends by itself: what it waived is open again, and so it says itself.

use domain::certification::EvidenceType;
use domain::control::{Control, EvidenceRequirement};
use domain::effect::Effect;
use domain::id::ControlId;
use domain::permission::Role;
use domain::severity::Severity;
use domain::time::{Clock, Timestamp};
use serde_json::{Value, json};

use super::world::World;
use super::write::sarif;

const DAY: i64 = 86_400;

fn control() -> Effect {
    Effect::CreateControl {
        record: Control {
            id: ControlId::from_uuid(uuid::Uuid::from_u64_pair(7, 10)),
            framework: "release-baseline".into(),
            code: "TEST-UNIT".into(),
            title: "Unit tests pass".into(),
            description: String::new(),
            required: true,
            severity: Severity::High,
            requirement: EvidenceRequirement {
                evidence_type: EvidenceType::TestRun,
                freshness_seconds: None,
                thresholds: Vec::new(),
            },
            mappings: Vec::new(),
            version: 1,
        },
    }
}

async fn statuses(world: &World, token: &str) -> (Value, Value, Value) {
    let asked = json!({"release": "R1", "status": ["open", "excepted"]});
    let gaps = world.call(token, "loopiq_list_evidence_gaps", asked.clone()).await;
    let blockers = world.call(token, "loopiq_list_provider_blockers", asked).await;
    let risks = world.call(token, "loopiq_list_risks", json!({"release": "R1"})).await;
    let status = |list: &Value| list["items"][0]["status"].clone();
    (status(&gaps), status(&blockers), risks["exceptions"][0]["status"].clone())
}

#[tokio::test]
async fn what_was_waived_is_open_again_when_the_exception_ends() {
    let world = World::new().await;
    world.join("gus@acme.example", Role::GovernanceLead).await;
    world.put(&[control()]).await;
    world.engine.run_jobs_once().await.unwrap();
    let token = world.token().await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    world.send("POST", "/api/v1/releases/R1/evidence?fileName=scan.sarif", &headers, sarif("R-1")).await;
    let gaps = world.call(&token, "loopiq_list_evidence_gaps", json!({"release": "R1"})).await;
    let blockers = world.call(&token, "loopiq_list_provider_blockers", json!({"release": "R1"})).await;

    let ends: Timestamp = world.clock.now().plus_seconds(10 * DAY);
    let proposal = json!({
        "targetIds": [gaps["items"][0]["id"], blockers["items"][0]["id"]], "kind": "exception",
        "rationale": "until the tests run again", "expiresAt": ends, "reason": "the date cannot move",
    });
    let proposed = world.call(&token, "loopiq_propose_exception", proposal).await;
    let done = world.approve("gus@acme.example", &proposed["action"]["id"]).await;
    assert_eq!(done["status"], "executed", "{done}");
    assert_eq!(statuses(&world, &token).await, (json!("excepted"), json!("excepted"), json!("approved")));

    world.clock.forward(10 * DAY - 1);
    world.engine.run_jobs_once().await.unwrap();
    let token = world.token().await;
    assert_eq!(statuses(&world, &token).await, (json!("excepted"), json!("excepted"), json!("approved")));

    world.clock.forward(1);
    world.engine.run_jobs_once().await.unwrap();
    assert_eq!(statuses(&world, &token).await, (json!("open"), json!("open"), json!("expired")));
    let exception = &done["created"][0]["id"];
    let audit = world.call(&token, "loopiq_list_audit_records", json!({"subjectId": exception})).await;
    let kinds: Vec<&Value> = audit["items"].as_array().unwrap().iter().map(|r| &r["kind"]).collect();
    assert!(kinds.contains(&&json!("expired")) && kinds.contains(&&json!("executed")), "{audit}");

    let ended = kinds.iter().filter(|kind| **kind == "expired").count();
    world.engine.run_jobs_once().await.unwrap();
    let audit = world.call(&token, "loopiq_list_audit_records", json!({"subjectId": exception})).await;
    let again = audit["items"].as_array().unwrap().iter().filter(|r| r["kind"] == "expired").count();
    assert_eq!((ended, again), (1, 1), "ended once: {audit}");
}
