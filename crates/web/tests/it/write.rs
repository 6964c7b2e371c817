//! One governed write through the surfaces: evidence by the API, a proposal by MCP, a person's decision under a
//! session, the outcome read back; and what a token may not do.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::world::World;

const JSON: (&str, &str) = ("content-type", "application/json");

pub fn sarif(rule: &str) -> String {
    json!({"version": "2.1.0", "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "runs": [{
        "tool": {"driver": {"name": "scanner", "rules": [
            {"id": rule, "properties": {"security-severity": "9.8"}}]}},
        "results": [{"ruleId": rule, "level": "error", "message": {"text": "bad"},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a.rs"}, "region": {"startLine": 3}}}]}],
    }]})
    .to_string()
}

pub async fn proposal(world: &World, token: &str) -> Value {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/sarif+json")];
    let pushed =
        world.send("POST", "/api/v1/releases/R1/evidence?fileName=scan.sarif", &headers, sarif("R-1")).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.text());
    let again =
        world.send("POST", "/api/v1/releases/R1/evidence?fileName=scan.sarif", &headers, sarif("R-1")).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text());
    let blockers = world.send("GET", "/api/v1/blockers?release=R1", &headers[..1], "").await.json();
    let blocker = blockers["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{blockers}"));
    json!({"name": "loopiq_create_remediation_work_package", "arguments": {
        "release": "R1", "teamId": "backend", "reason": "the scan found it", "idempotencyKey": "once-and-for-all",
        "parent": {"title": "Remedy", "ownerId": "ada@acme.example"},
        "children": [{"title": "Fix it", "findingRefs": [{"kind": "provider_blocker", "id": blocker}]}]}})
}

#[tokio::test]
async fn proposed_by_a_program_decided_by_a_person() {
    let world = World::new().await;
    let token = world.token().await;
    let bearer = format!("Bearer {token}");
    let params = proposal(&world, &token).await;
    let proposed = world.modern(&token, "/mcp", "tools/call", params.clone()).await.json();
    let structure = &proposed["result"]["structuredContent"];
    assert_eq!(structure["status"], "pending_approval", "{proposed}");
    let id = structure["action"]["id"].as_str().unwrap();

    let approve = format!("/api/v1/actions/{id}/approve");
    let by_token = world.send("POST", &approve, &[("authorization", &bearer)], "").await;
    assert_eq!(
        (by_token.status, by_token.json()["code"].as_str()),
        (StatusCode::FORBIDDEN, Some("forbidden"))
    );
    let (cookie, csrf) = world.sign_in("ada@acme.example").await;
    let forged = world.send("POST", &approve, &[("cookie", &cookie)], "").await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let (other, other_csrf) = world.sign_in("gus@globex.example").await;
    let foreign =
        world.send("POST", &approve, &[("cookie", &other), ("x-csrf-token", &other_csrf)], "").await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);

    let card = world.send("GET", &format!("/api/v1/actions/{id}"), &[("cookie", &cookie)], "").await.json();
    assert_eq!(card["status"], "pending_approval");
    let done = world.send("POST", &approve, &[("cookie", &cookie), ("x-csrf-token", &csrf)], "").await;
    assert_eq!(
        (done.status, done.json()["status"].as_str()),
        (StatusCode::OK, Some("executed")),
        "{}",
        done.text()
    );
    let twice = world.send("POST", &approve, &[("cookie", &cookie), ("x-csrf-token", &csrf)], "").await;
    assert!(twice.status.is_success() || twice.status == StatusCode::CONFLICT, "{}", twice.text());

    let repeated = world.modern(&token, "/mcp", "tools/call", params).await.json();
    let structure = &repeated["result"]["structuredContent"];
    assert_eq!(
        (structure["status"].as_str(), structure["replayed"].as_bool()),
        (Some("executed"), Some(true))
    );
}

#[tokio::test]
async fn rejecting_needs_a_reason_as_json() {
    let world = World::new().await;
    let token = world.token().await;
    let params = proposal(&world, &token).await;
    let proposed = world.modern(&token, "/mcp", "tools/call", params).await.json();
    let id = proposed["result"]["structuredContent"]["action"]["id"].as_str().unwrap().to_owned();
    let (cookie, csrf) = world.sign_in("ada@acme.example").await;
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str()), JSON];
    let path = format!("/api/v1/actions/{id}/reject");
    assert_eq!(
        world.send("POST", &path, &headers[..2], "x").await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    let odd = world.send("POST", &path, &headers, r#"{"odd":1}"#).await;
    assert_eq!(odd.status, StatusCode::UNPROCESSABLE_ENTITY);
    let rejected = world.send("POST", &path, &headers, r#"{"reason":"not now"}"#).await;
    assert_eq!(
        (rejected.status, rejected.json()["status"].as_str()),
        (StatusCode::OK, Some("rejected")),
        "{}",
        rejected.text()
    );
}

#[tokio::test]
async fn several_files_in_one_form() {
    let world = World::with(web::Settings { evidence_bytes_max: 4000, ..web::Settings::default() }).await;
    let bearer = format!("Bearer {}", world.token().await);
    let part = |name: &str, content: &str| {
        format!(
            "--xx\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{content}\r\n"
        )
    };
    let headers = [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=xx")];
    let path = "/api/v1/releases/R1/evidence";
    let two = format!("{}{}--xx--\r\n", part("a.sarif", &sarif("A")), part("b.sarif", &sarif("B")));
    let pushed = world.send("POST", path, &headers, two).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.text());
    assert_eq!(pushed.json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(pushed.json()["items"][0]["duplicate"], false);
    let bad = format!("{}{}--xx--\r\n", part("c.sarif", &sarif("C")), part("d.txt", "neither"));
    let refused = world.send("POST", path, &headers, bad).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.json()["details"][0]["field"], "files[1]");
    let large = format!("{}--xx--\r\n", part("e.sarif", &"x".repeat(5000)));
    assert_eq!(world.send("POST", path, &headers, large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(world.send("POST", path, &headers, "no form").await.status, StatusCode::BAD_REQUEST);
    let raw = [headers[0], ("content-type", "application/octet-stream")];
    let large = world.send("POST", path, &raw, "x".repeat(5000)).await;
    assert_eq!(
        (large.status, large.json()["code"].as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, Some("too_large"))
    );
    let odd = world.send("POST", &format!("{path}?colour=red"), &raw, "x").await;
    assert_eq!(odd.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_form_may_be_as_large_as_the_setting_says() {
    let world = World::new().await;
    let bearer = format!("Bearer {}", world.token().await);
    let headers = [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=xx")];
    // Over the 2 MiB that the framework allows by itself.
    let content = format!("{}{}", sarif("A"), " ".repeat(3 * 1024 * 1024));
    let form = format!(
        "--xx\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.sarif\"\r\n\r\n{content}\r\n--xx--\r\n"
    );
    let pushed = world.send("POST", "/api/v1/releases/R1/evidence", &headers, form).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.text());
}
