//! Pages as a browser without script gets them: every record a result links to has one, for those who may see it; and
//! whatever goes wrong under `/app` is a page too.

use axum::http::StatusCode;
use serde_json::json;

use super::world::{Answer, World};
use super::write::{proposal, sarif};

fn is_page(answer: &Answer) -> bool {
    answer.header("content-type").starts_with("text/html")
        && answer.header("content-security-policy").contains("style-src 'self'")
        && answer.header("cache-control") == "no-store"
}

#[tokio::test]
async fn packages_and_evidence_have_pages_for_those_who_may_see_them() {
    let world = World::new().await;
    let token = world.token().await;
    let params = proposal(&world, &token).await;
    let proposed = world.modern(&token, "/mcp", "tools/call", params).await.json();
    let id = proposed["result"]["structuredContent"]["action"]["id"].as_str().unwrap();
    let (cookie, csrf) = world.sign_in("ada@acme.example").await;
    let (stranger, _) = world.sign_in("gus@globex.example").await;
    let signed = [("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str())];
    let inbox = world.send("GET", "/app", &signed, "").await.text();
    assert!(inbox.contains("Waits for you"), "{inbox}");
    let done = world.send("POST", &format!("/api/v1/actions/{id}/approve"), &signed, "").await.json();
    let created = done["created"].as_array().unwrap();
    let package = created.iter().find(|r| r["type"] == "remediation_work_package").unwrap();
    let package = package["url"].as_str().unwrap().strip_prefix("http://127.0.0.1:8484").unwrap();
    let evidence = world.send("GET", "/api/v1/evidence?release=R1", &signed, "").await.json();
    let evidence = evidence["items"][0]["url"].as_str().unwrap();
    let evidence = evidence.strip_prefix("http://127.0.0.1:8484").unwrap();
    for (path, words) in
        [(package, ["R1", "Remedy", "Fix it", "bad"]), (evidence, ["R1", "scanner", "SHA-256", "sarif"])]
    {
        let page = world.send("GET", path, &signed, "").await;
        assert!(page.status == StatusCode::OK && is_page(&page), "{path}");
        for word in words {
            assert!(page.text().contains(word), "{path} says {word}: {}", page.text());
        }
        let foreign = world.send("GET", path, &[("cookie", &stranger)], "").await;
        assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!foreign.text().contains("R1"));
    }
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/sarif+json")];
    world.clock.forward(60);
    let newer =
        world.send("POST", "/api/v1/releases/R1/evidence?fileName=scan.sarif", &headers, sarif("R-2")).await;
    assert_eq!(newer.status, StatusCode::CREATED, "{}", newer.text());
    let replaced = world.send("GET", evidence, &signed, "").await;
    assert!(replaced.text().contains("Replaced by newer evidence"), "{}", replaced.text());
}

#[tokio::test]
async fn whatever_goes_wrong_under_app_is_a_page() {
    let world = World::new().await;
    let (cookie, _) = world.sign_in("ada@acme.example").await;
    let signed = [("cookie", cookie.as_str())];
    for (method, path, status) in [
        ("GET", "/app/nothing", StatusCode::NOT_FOUND),
        ("GET", "/app/nothing/at/all", StatusCode::NOT_FOUND),
        ("GET", "/app/releases/%ff", StatusCode::BAD_REQUEST),
        ("GET", "/app/packages/rwp_nothing", StatusCode::NOT_FOUND),
        ("GET", "/app/logout", StatusCode::METHOD_NOT_ALLOWED),
        ("POST", "/app/releases", StatusCode::METHOD_NOT_ALLOWED),
        ("POST", "/app/login", StatusCode::BAD_REQUEST),
    ] {
        let answer = world.send(method, path, &signed, "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(is_page(&answer), "{method} {path}: {:?}", answer.headers);
        assert!(answer.text().contains(answer.header("x-request-id")), "{method} {path}");
    }
    assert_eq!(world.send("GET", "/app/logout", &signed, "").await.header("allow"), "POST");
    let program = world.send("GET", "/nothing", &[], json!({}).to_string()).await;
    assert_eq!(program.header("content-type"), "application/problem+json");
}
