//! The protocol as clients speak it, in both eras, with the whole stack behind it.

use axum::http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{MODERN, World};

fn error(answer: &super::world::Answer) -> (u16, i64) {
    (answer.status.as_u16(), answer.json()["error"]["code"].as_i64().unwrap_or_default())
}

#[tokio::test]
async fn the_stateless_revision() {
    let world = World::new().await;
    let token = world.token().await;
    let found = world.modern(&token, "/mcp", "server/discover", json!({})).await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.text());
    let result = &found.json()["result"];
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["cacheScope"], "private");
    assert_eq!(result["supportedVersions"], json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]));
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "loopiq");
    for (method, member) in [
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
    ] {
        let listed = world.modern(&token, "/mcp", method, json!({})).await.json();
        assert!(!listed["result"][member].as_array().unwrap().is_empty(), "{method}");
        assert!(listed["result"]["ttlMs"].is_u64() && listed["result"]["cacheScope"] == "private");
        let bad = world.modern(&token, "/mcp", method, json!({"cursor": ""})).await;
        assert_eq!(error(&bad), (200, -32602));
    }
    for method in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "tasks/list",
        "tasks/result",
        "unknown/method",
    ] {
        assert_eq!(error(&world.modern(&token, "/mcp", method, json!({})).await), (404, -32601), "{method}");
    }
    let uri = "test://nonexistent-resource";
    let missing = world.modern(&token, "/mcp", "resources/read", json!({"uri": uri})).await;
    assert_eq!(
        (error(&missing), missing.json()["error"]["data"]["uri"].clone()),
        ((200, -32602), json!(uri))
    );
    assert_eq!(
        error(&world.modern(&token, "/mcp", "prompts/get", json!({"name": "x"})).await),
        (200, -32602)
    );
}

#[tokio::test]
async fn revisions_with_a_handshake() {
    let world = World::new().await;
    let token = world.token().await;
    for (asked, settled) in [
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        (MODERN, "2025-11-25"),
        ("2024-11-05", "2025-11-25"),
    ] {
        let hello = json!({"jsonrpc": "2.0", "id": "a", "method": "initialize", "params": {
            "protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
        let met = world.legacy(&token, hello).await;
        let result = &met.json()["result"];
        assert_eq!(result["protocolVersion"], settled);
        assert!(result.get("resultType").is_none());
        assert!(met.headers.get("mcp-session-id").is_none());
    }
    let ready = world.legacy(&token, json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    assert_eq!((ready.status, ready.bytes.len()), (StatusCode::ACCEPTED, 0));
    let pong = world.legacy(&token, json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).await;
    assert_eq!(pong.json(), json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    assert_eq!(world.legacy(&token, answer).await.status, StatusCode::ACCEPTED);
    let unknown =
        world.legacy(&token, json!({"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel"})).await;
    assert_eq!(error(&unknown), (200, -32601));
    for method in ["subscriptions/listen", "tasks/get"] {
        let later = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"taskId": "x"}});
        assert_eq!(error(&world.legacy(&token, later).await), (200, -32601), "{method}");
    }
    let half = world.legacy(&token, json!({"jsonrpc": "2.0", "id": 1, "method": "initialize"})).await;
    assert_eq!(
        half.json()["error"]["data"]["fields"],
        json!(["protocolVersion", "capabilities", "clientInfo"])
    );
}

#[tokio::test]
async fn tools_are_listed_and_called() {
    let world = World::new().await;
    let token = world.token().await;
    let names = |listed: Value| -> Vec<String> {
        let tools = listed["result"]["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = names(world.modern(&token, "/mcp", "tools/list", json!({})).await.json());
    assert_eq!(all[0], "loopiq_get_context");
    assert_eq!(
        all,
        names(world.legacy(&token, json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await.json())
    );
    let reads = names(world.modern(&token, "/mcp/readonly", "tools/list", json!({})).await.json());
    assert!(!reads.contains(&"loopiq_create_remediation_work_package".to_owned()) && reads.len() < all.len());

    let called = world.modern(&token, "/mcp", "tools/call", json!({"name": "loopiq_get_context"})).await;
    let result = &called.json()["result"];
    assert_eq!(result["isError"], false, "{result}");
    assert_eq!(result["structuredContent"]["context"]["organization"]["slug"], "acme");
    assert_eq!(result["structuredContent"]["context"]["requestId"], called.header("x-request-id"));
    let copy: Value = serde_json::from_str(result["content"][1]["text"].as_str().unwrap()).unwrap();
    assert_eq!(copy, result["structuredContent"]);
}

#[tokio::test]
async fn calls_that_cannot_be() {
    let world = World::new().await;
    let token = world.token().await;
    let canary = "MCP_RIGOR_CANARY_7f31d0e2";
    let unknown = world.modern(&token, "/mcp", "tools/call", json!({"name": canary, "arguments": {}})).await;
    assert_eq!(error(&unknown), (200, -32602));
    assert_eq!(unknown.json()["error"]["data"]["code"], "unknown_tool");
    assert!(!unknown.text().contains(canary));
    for params in [
        json!({"name": "loopiq_get_context", "arguments": canary}),
        json!({"name": "loopiq_get_context", "arguments": null}),
    ] {
        let wrong = world.modern(&token, "/mcp", "tools/call", params).await;
        assert_eq!(
            (error(&wrong), wrong.json()["error"]["data"]["fields"].clone()),
            ((200, -32602), json!(["arguments"]))
        );
        assert!(!wrong.text().contains(canary));
    }
    let nameless = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 3}});
    assert_eq!(error(&world.legacy(&token, nameless).await), (200, -32602));
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": []});
    assert_eq!(error(&world.legacy(&token, list).await), (200, -32602));
    // On the endpoint for reads a tool that writes is not there.
    let write = json!({"name": "loopiq_create_remediation_work_package", "arguments": {}});
    assert_eq!(error(&world.modern(&token, "/mcp/readonly", "tools/call", write).await), (200, -32602));
    let refused = world
        .modern(
            &token,
            "/mcp",
            "tools/call",
            json!({"name": "loopiq_get_release", "arguments": {"release": canary}}),
        )
        .await;
    let result = &refused.json()["result"];
    assert_eq!(
        (result["isError"].clone(), result["structuredContent"]["error"]["code"].clone()),
        (json!(true), json!("not_found"))
    );
    assert!(!refused.text().contains(canary));
}

#[tokio::test]
async fn malformed_messages() {
    let world = World::new().await;
    let bearer = format!("Bearer {}", world.token().await);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    for (body, code) in [
        ("{", -32700),
        ("[]", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
    ] {
        let answer = world.send("POST", "/mcp", &headers, body).await;
        assert_eq!(error(&answer), (400, code), "{body}");
        assert!(answer.json().get("id").is_none());
    }
    let form = [("authorization", bearer.as_str()), ("content-type", "text/plain")];
    assert_eq!(world.send("POST", "/mcp", &form, "{}").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_trace_in_the_message_is_continued() {
    let world = World::new().await;
    let token = format!("Bearer {}", world.token().await);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "loopiq_get_context", "_meta": {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}});
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
        ("mcp-protocol-version", MODERN),
        ("mcp-method", "tools/call"),
        ("mcp-name", "  loopiq_get_context  "),
    ];
    let answer = world.send("POST", "/mcp", &headers, body.to_string()).await;
    let context = &answer.json()["result"]["structuredContent"]["context"];
    assert_eq!(context["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736", "{}", answer.text());
}

/// Whatever comes, what goes back is one well-formed error of the protocol.
fn well_formed(bytes: &[u8]) {
    let Some(answer) = web::judge_bytes(bytes) else { return };
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["jsonrpc"], "2.0");
    assert!(answer["error"]["code"].is_i64() && answer["error"]["message"].is_string());
    if let Some(id) = answer.get("id") {
        assert!(id.is_string() || id.is_number());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        well_formed(&bytes);
    }

    #[test]
    fn any_envelope_is_answered(
        id in "null|-?[0-9]{1,25}|1\\.5|\"[a-z\\\\]{0,4}\"|\\{\\}",
        method in "\"[a-z/]{0,12}\"|3|null",
        params in "\\{\\}|\\[\\]|null|\\{\"_meta\":[0-9]\\}|\\{\"_meta\":\\{\"io.modelcontextprotocol/protocolVersion\":(1|\"x\")\\}\\}",
    ) {
        let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{method},\"params\":{params}}}");
        well_formed(text.as_bytes());
    }
}
