//! What an importer has learnt since then shows in evidence that came before: the stored file is read again.

use domain::certification::{Evidence, EvidenceResult, EvidenceType};
use domain::digest::Digest;
use domain::effect::Effect;
use domain::id::{EvidenceId, ReleaseId, TeamId};
use domain::time::{Clock, Timestamp};
use serde_json::json;

use super::world::World;
use super::write::sarif;

/// Evidence as an importer would have made it that saw nothing in the file.
fn read_by_a_lesser_importer(file: &str, now: Timestamp) -> Evidence {
    Evidence {
        id: EvidenceId::from_uuid(uuid::Uuid::from_u64_pair(7, 11)),
        release_id: ReleaseId::from_uuid(uuid::Uuid::from_u64_pair(7, 8)),
        team_id: TeamId::from_uuid(uuid::Uuid::from_u64_pair(7, 7)),
        control_id: None,
        evidence_type: EvidenceType::SecurityScan,
        title: "sarif report by scanner".into(),
        source: "scanner".into(),
        format: Some("sarif".into()),
        tool_version: None,
        result: EvidenceResult::Pass,
        metrics: std::collections::BTreeMap::new(),
        notes: Vec::new(),
        collected_at: now.plus_seconds(-60),
        valid_until: now.plus_seconds(3600),
        sha256: Digest::of(file.as_bytes()).to_string(),
        size_bytes: file.len() as u64,
        file_name: "scan.sarif".into(),
        superseded_by: None,
        component_id: None,
        created_at: now,
        created_by: None,
        version: 1,
    }
}

#[tokio::test]
async fn a_better_importer_replaces_what_a_lesser_one_read() {
    let world = World::new().await;
    let token = world.token().await;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let empty = world
        .call(&token, "loopiq_refresh_release_evidence", json!({"release": "R1", "reason": "nothing yet"}))
        .await;
    assert_eq!(empty["error"]["code"], "provider_unavailable", "{empty}");
    let file = sarif("R-1");
    // The push keeps the bytes; what it read is then replaced by what a lesser importer would have read.
    world.send("POST", "/api/v1/releases/R1/evidence?fileName=scan.sarif", &headers, file.clone()).await;
    let pushed = world.call(&token, "loopiq_list_evidence", json!({"release": "R1"})).await;
    let pushed = &pushed["items"][0];
    let lesser = read_by_a_lesser_importer(&file, world.clock.now());
    let superseded = Effect::SupersedeEvidence {
        id: pushed["id"].as_str().unwrap().parse().unwrap(),
        version: 1,
        by: lesser.id,
    };
    let (id, collected) = (lesser.id.to_string(), lesser.collected_at.to_string());
    world.put(&[Effect::CreateEvidence { record: lesser }, superseded]).await;

    let refresh = json!({"release": "R1", "reason": "importers were improved"});
    let proposed = world.call(&token, "loopiq_refresh_release_evidence", refresh).await;
    assert_eq!(proposed["notes"][0]["code"], "changed", "{proposed}");
    let done = world.approve("ada@acme.example", &proposed["action"]["id"]).await;
    assert_eq!(done["status"], "executed", "{done}");

    let now = world.call(&token, "loopiq_list_evidence", json!({"release": "R1"})).await;
    let (only, none) = (&now["items"][0], &now["items"][1]);
    assert!(none.is_null() && only["id"] != json!(id) && only["id"] != pushed["id"], "{now}");
    assert_eq!(
        (&only["status"], &only["metrics"], &only["sha256"], &only["collectedAt"]),
        (&pushed["status"], &pushed["metrics"], &pushed["sha256"], &json!(collected)),
        "read as today, collected as it was: {only}"
    );
    let blockers = world.call(&token, "loopiq_list_provider_blockers", json!({"release": "R1"})).await;
    assert_eq!(
        (&blockers["total"], &blockers["items"][0]["evidenceId"]),
        (&json!(1), &only["id"]),
        "{blockers}"
    );

    let again = json!({"release": "R1", "reason": "once more", "dryRun": true});
    let preview = world.call(&token, "loopiq_refresh_release_evidence", again).await;
    assert_eq!(preview["notes"][0]["code"], "unchanged", "{preview}");
}
