//! The HTTP API: sessions, forged requests, organizations, reads by tools, evidence.

use axum::http::StatusCode;
use serde_json::json;

use super::world::World;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_session_from_sign_in_to_sign_out() {
    let world = World::new().await;
    let wrong = json!({"email": "ada@acme.example", "password": "not it at all"}).to_string();
    let refused = world.send("POST", "/api/v1/session", &[JSON], wrong).await;
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("unauthorized"))
    );
    assert!(!refused.text().contains("not it at all"));
    let (cookie, csrf) = world.sign_in("ada@acme.example").await;
    assert!(cookie.starts_with("loopiq_session="));
    let signed = [("cookie", cookie.as_str())];
    let me = world.send("GET", "/api/v1/me", &signed, "").await.json();
    assert_eq!(
        (me["organization"]["slug"].as_str(), me["csrfToken"].as_str()),
        (Some("acme"), Some(csrf.as_str()))
    );
    let forged = world.send("DELETE", "/api/v1/session", &signed, "").await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let with = [("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str())];
    let selected = world.send("POST", "/api/v1/organizations/acme/select", &with, "").await;
    assert_eq!(selected.status, StatusCode::OK, "{}", selected.text());
    let foreign = world.send("POST", "/api/v1/organizations/globex/select", &with, "").await;
    let absent = world.send("POST", "/api/v1/organizations/nowhere/select", &with, "").await;
    assert_eq!(
        (foreign.status, foreign.json()["detail"].clone()),
        (absent.status, absent.json()["detail"].clone())
    );
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(world.send("DELETE", "/api/v1/session", &with, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.send("GET", "/api/v1/me", &signed, "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn signing_in_again_ends_the_session_of_the_cookie() {
    let world = World::new().await;
    let status = async |cookie: &str| world.send("GET", "/api/v1/me", &[("cookie", cookie)], "").await.status;
    let password = super::world::PASSWORD;
    let body = json!({"email": "ada@acme.example", "password": password}).to_string();
    let (first, _) = world.sign_in("ada@acme.example").await;
    let again = world.send("POST", "/api/v1/session", &[JSON, ("cookie", &first)], body).await;
    let second = again.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!((status(&first).await, status(&second).await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    // The same through the page.
    let headers = [
        ("cookie", second.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
    ];
    let form = format!("email=ada%40acme.example&password={}", password.replace(' ', "+"));
    let page = world.send("POST", "/app/login", &headers, form).await;
    let third = page.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!((status(&second).await, status(&third).await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
}

#[tokio::test]
async fn the_cookie_is_bound_to_the_host_over_https() {
    let settings = web::Settings { public_url: "https://loopiq.example".into(), ..web::Settings::default() };
    let world = World::with(settings).await;
    let body = json!({"email": "ada@acme.example", "password": super::world::PASSWORD}).to_string();
    let answer = world.send("POST", "/api/v1/session", &[JSON], body).await;
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-loopiq=") && cookie.contains("; Path=/; Secure; HttpOnly; SameSite="),
        "{cookie}"
    );
    assert!(answer.header("strict-transport-security").starts_with("max-age="));
}

#[tokio::test]
async fn reads_by_address_and_by_tool_say_the_same() {
    let world = World::new().await;
    let token = format!("Bearer {}", world.token().await);
    let headers = [("authorization", token.as_str()), JSON];
    let by_address = world.send("GET", "/api/v1/releases?allTeams=true&limit=5", &headers, "").await;
    assert_eq!(by_address.status, StatusCode::OK, "{}", by_address.text());
    let by_tool = world
        .send("POST", "/api/v1/tools/loopiq_list_releases", &headers, r#"{"allTeams":true,"limit":5}"#)
        .await;
    assert_eq!(by_address.json()["items"], by_tool.json()["items"]);
    for path in [
        "context",
        "teams",
        "certifications",
        "evidence",
        "gaps",
        "blockers",
        "risks",
        "work-items",
        "audit",
        "actions?state=pending_approval",
        "search?query=x",
    ] {
        let answer = world.send("GET", &format!("/api/v1/{path}"), &headers, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    }
    let canary = "CANARY7f31";
    for path in
        ["releases/CANARY7f31", "certifications/CANARY7f31", "actions/CANARY7f31", "work-items/CANARY7f31"]
    {
        let answer = world.send("GET", &format!("/api/v1/{path}"), &headers, "").await;
        assert!(matches!(answer.status.as_u16(), 404 | 422), "{path} {}", answer.status);
        assert!(!answer.text().contains(canary), "{path}");
    }
    let odd = world.send("GET", "/api/v1/releases?limit=many&odd=CANARY7f31", &headers, "").await;
    assert_eq!((odd.status, odd.text().contains(canary)), (StatusCode::UNPROCESSABLE_ENTITY, false));
    for (body, status) in [("[]", 422), ("{", 400), ("", 400), ("\"x\"", 422)] {
        let answer = world.send("POST", "/api/v1/tools/loopiq_get_context", &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{body}");
    }
    assert_eq!(world.send("POST", "/api/v1/tools/none", &headers, "{}").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.send("GET", "/api/v1/none", &headers, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_address_but_three_needs_somebody() {
    let world = World::new().await;
    let document = world.send("GET", "/api/v1/openapi.json", &[], "").await.json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let target = path
                .replace("{id}", "x")
                .replace("{release}", "x")
                .replace("{slug}", "x")
                .replace("{name}", "x");
            let answer = world.send(&method.to_uppercase(), &target, &[JSON], "{}").await;
            if methods[method]["security"] == json!([]) {
                assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            } else {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
                assert!(answer.header("www-authenticate").starts_with("Bearer"));
            }
        }
    }
}
