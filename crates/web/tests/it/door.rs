//! What everybody meets first: names, origins, methods, challenges, limits, headers, probes, metadata.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use serde_json::json;

use super::world::World;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn strangers_are_turned_away_by_name_and_origin() {
    let world = World::new().await;
    for headers in [
        vec![("host", "evil.example.com")],
        vec![("host", "127.0.0.1"), ("origin", "http://evil.example.com")],
        vec![("host", "evil.example.com"), ("origin", "http://evil.example.com")],
    ] {
        for path in ["/mcp", "/", "/api/v1/session", "/app/login"] {
            let answer = world.send("POST", path, &headers, "{}").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {headers:?}");
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        assert_eq!(world.send("GET", "/healthz", &headers, "").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_challenge_comes_before_the_body_is_read() {
    let world = World::new().await;
    let base = "http://127.0.0.1:8484/.well-known/oauth-protected-resource";
    for (path, metadata) in [
        ("/mcp", format!("{base}/mcp")),
        ("/mcp/", format!("{base}/mcp")),
        ("/", base.to_owned()),
        ("/mcp/readonly", format!("{base}/mcp/readonly")),
        ("/t/acme/mcp", format!("{base}/t/acme/mcp")),
    ] {
        let read = Arc::new(AtomicBool::new(false));
        let seen = read.clone();
        let watched = Body::new(Body::from("{}").map_frame(move |frame| {
            seen.store(true, Ordering::SeqCst);
            frame
        }));
        let answer = world.send("POST", path, &[JSON], watched).await;
        assert!(!read.load(Ordering::SeqCst), "the body was read");
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        let scopes = if path.contains("readonly") { "loopiq:read" } else { "loopiq:read loopiq:write" };
        let challenge = format!("Bearer resource_metadata=\"{metadata}\", scope=\"{scopes}\"");
        assert_eq!(answer.header("www-authenticate"), challenge);
        let document =
            world.send("GET", metadata.strip_prefix("http://127.0.0.1:8484").unwrap(), &[], "").await;
        let resource = document.json()["resource"].as_str().unwrap().to_owned();
        assert_eq!(resource, format!("http://127.0.0.1:8484{}", path.trim_end_matches('/')));
    }
    assert_eq!(world.send("POST", "/t/No_Slug/mcp", &[], "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn bad_tokens_are_told_apart_in_words_only() {
    let world = World::new().await;
    let issued = world.issued().await;
    let status = async |header: String| {
        let answer = world.send("POST", "/mcp", &[JSON, ("authorization", &header)], "{}").await;
        (answer.status.as_u16(), answer.header("www-authenticate").to_owned())
    };
    let good = format!("Bearer {}", issued.secret);
    assert_eq!(status(good.clone()).await.0, 400, "known, and then the message is judged");
    for (header, code, error) in [
        ("Bearer liq_nonsense".to_owned(), 401, "invalid_token"),
        ("Basic abc".to_owned(), 401, ""),
        ("Bearer ".to_owned(), 400, "invalid_request"),
        ("Bearer a b".to_owned(), 400, "invalid_request"),
    ] {
        let (status, challenge) = status(header.clone()).await;
        assert_eq!(status, code, "{header}");
        assert_eq!(challenge.contains("error="), !error.is_empty(), "{challenge}");
        assert!(challenge.contains(error), "{challenge}");
    }
    world.clock.forward(2 * 86_400);
    let (code, challenge) = status(good).await;
    assert!(code == 401 && challenge.contains("expired"), "{code} {challenge}");
    let other = world.issued().await;
    let owner = world.identity.local("acme", "ada@acme.example").await.unwrap();
    world.identity.revoke_token(owner.organization.id, other.id).await.unwrap();
    let (code, challenge) = status(format!("Bearer {}", other.secret)).await;
    assert!(code == 401 && challenge.contains("revoked"), "{code} {challenge}");
}

#[tokio::test]
async fn another_organization_than_the_tokens_is_refused() {
    let world = World::new().await;
    let token = world.token().await;
    let call = async |path: &str| world.modern(&token, path, "tools/list", json!({})).await.status;
    assert_eq!(call("/t/acme/mcp").await, StatusCode::OK);
    let (foreign, absent) = (call("/t/globex/mcp").await, call("/t/nobody/mcp").await);
    assert!(foreign.is_client_error());
    assert_eq!(foreign, absent);
}

#[tokio::test]
async fn preflights_need_no_credential() {
    let world = World::new().await;
    let headers = [
        ("origin", "http://localhost:6274"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization, mcp-param-region"),
    ];
    for path in ["/mcp", "/", "/mcp/readonly"] {
        let answer = world.send("OPTIONS", path, &headers, "").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:6274");
        assert!(answer.header("access-control-allow-headers").contains("mcp-param-region"));
        assert!(answer.headers.get("access-control-allow-credentials").is_none());
    }
    let answer = world.send("POST", "/mcp", &headers[..1], "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.header("access-control-expose-headers").contains("www-authenticate"));
    let elsewhere = world.send("OPTIONS", "/api/v1/me", &headers, "").await;
    assert!(elsewhere.headers.get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn methods_without_meaning_are_405_with_allow() {
    let world = World::new().await;
    for path in ["/mcp", "/mcp/", "/mcp/readonly", "/t/acme/mcp"] {
        for method in ["GET", "DELETE", "PUT"] {
            let answer = world.send(method, path, &[("accept", "text/event-stream")], "").await;
            assert_eq!(
                (answer.status, answer.header("allow")),
                (StatusCode::METHOD_NOT_ALLOWED, "POST"),
                "{method} {path}"
            );
        }
    }
    let root = world.send("GET", "/", &[("accept", "text/event-stream")], "").await;
    assert_eq!(root.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(root.header("allow").contains("POST"));
    assert!(world.send("DELETE", "/", &[], "").await.header("allow").contains("POST"));
}

#[tokio::test]
async fn limits_are_kept() {
    let settings =
        web::Settings { calls_per_minute: 3, mcp_body_bytes_max: 1000, ..web::Settings::default() };
    let world = World::with(settings).await;
    let token = format!("Bearer {}", world.token().await);
    let headers = [JSON, ("authorization", token.as_str())];
    let declared = world.send("POST", "/mcp", &[("content-length", "1001")], "").await;
    assert_eq!(declared.status, StatusCode::PAYLOAD_TOO_LARGE);
    let undeclared = Body::from(vec![b' '; 1001]);
    assert_eq!(world.send("POST", "/mcp", &headers, undeclared).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    for _ in 0..2 {
        assert_eq!(world.send("POST", "/mcp", &headers, "{}").await.status, StatusCode::BAD_REQUEST);
    }
    let limited = world.send("POST", "/mcp", &headers, "{}").await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    let seconds: i64 = limited.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    world.clock.forward(seconds);
    assert_eq!(world.send("POST", "/mcp", &headers, "{}").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn every_answer_carries_ids_and_security_headers() {
    let world = World::new().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for path in ["/mcp", "/nothing", "/healthz", "/app/login", "/.well-known/openid-configuration"] {
        let answer = world.send("GET", path, &[("traceparent", trace)], "").await;
        assert!(answer.header("x-request-id").starts_with("req_"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert!(!answer.header("referrer-policy").is_empty());
        if answer.header("content-type") == "application/problem+json" {
            assert_eq!(answer.json()["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_eq!(answer.json()["requestId"], answer.header("x-request-id"));
        }
    }
}

#[tokio::test]
async fn probes_and_unknown_metadata() {
    let world = World::new().await;
    assert_eq!(world.send("GET", "/readyz", &[], "").await.status, StatusCode::OK);
    let metrics = world.send("GET", "/metrics", &[], "").await;
    assert!(metrics.text().contains("loopiq_requests_total{surface=\"probe\",outcome=\"ok\"} 1"));
    for path in ["/.well-known/oauth-authorization-server/mcp", "/.well-known/x/y"] {
        let answer = world.send("GET", path, &[], "").await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (StatusCode::NOT_FOUND, Some("not_found"))
        );
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_not_ready_and_a_panic_is_an_answer() {
    let world = World::made_of(web::Settings::default(), Arc::new(|| Box::pin(async { false }))).await;
    assert_eq!(world.send("GET", "/readyz", &[], "").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let world = World::made_of(web::Settings::default(), Arc::new(|| panic!("on purpose"))).await;
    let answer = world.send("GET", "/readyz", &[], "").await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, Some("internal"))
    );
    assert_eq!(answer.json()["requestId"], answer.header("x-request-id"));
}
