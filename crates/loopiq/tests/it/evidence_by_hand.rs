//! Evidence that a person gives in words: kept by its hash, marked as theirs, counted by the evaluation, never fetched.

use domain::digest::Digest;
use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    a_statement_is_kept_counted_and_replaced
    what_is_no_evidence_is_refused
}

const ATTACH: &str = "loopiq_attach_evidence";
const RELEASE: &str = "backend-v1.0-GCN";
const STATEMENT: &str = "Both changes were reviewed by Linus on 20 November.\nNothing was found.";

fn statement() -> Value {
    json!({
        "release": RELEASE, "title": "Review of the last two changes", "controlId": "code-review",
        "type": "code_review", "result": "pass", "content": STATEMENT, "reason": "the review was on paper",
    })
}

async fn outcome_of(server: &Server, token: &str, code: &str) -> String {
    let (_, found) =
        server.call(&http(), token, "loopiq_get_release_certification", json!({ "release": RELEASE })).await;
    let control = found["controls"].as_array().unwrap().iter().find(|c| c["code"] == code).unwrap();
    control["outcome"].as_str().unwrap().to_owned()
}

async fn a_statement_is_kept_counted_and_replaced(home: Home) {
    let server = Server::demo(&home);
    let linus = server.token("linus", "acme");
    let session = server.sign_in("linus").await;
    assert_eq!(outcome_of(&server, &linus, "CODE-REVIEW").await, "not_evaluated");
    let (_, preview) = {
        let mut dry = statement();
        dry["dryRun"] = json!(true);
        server.call(&http(), &linus, ATTACH, dry).await
    };
    let changes = preview["effects"][0]["changes"].as_array().unwrap();
    assert!(changes.contains(&json!({ "field": "content", "to": STATEMENT })), "{preview}");

    let done = server.carry_out(&linus, &session, ATTACH, statement()).await;
    let id = done["created"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(outcome_of(&server, &linus, "CODE-REVIEW").await, "passed");
    let arguments = json!({ "release": RELEASE, "control": "CODE-REVIEW" });
    let (_, listed) = server.call(&http(), &linus, "loopiq_list_evidence", arguments).await;
    let shown = listed["items"].as_array().unwrap().iter().find(|e| e["id"] == json!(id)).unwrap();
    assert_eq!(
        (&shown["source"], &shown["origins"][0]["from"], &shown["sha256"]),
        (&json!("linus@acme.example"), &json!("user"), &json!(Digest::of(STATEMENT.as_bytes()).to_string())),
        "{shown}"
    );
    let page = session.0.get(format!("{}/app/evidence/{id}", server.url)).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("Nothing was found."), "its reader sees the words");

    let mut address = statement();
    address["content"] = Value::Null;
    address.as_object_mut().unwrap().remove("content");
    address["url"] = json!("https://127.0.0.1:1/never-fetched");
    address["result"] = json!("fail");
    server.carry_out(&linus, &session, ATTACH, address).await;
    assert_eq!(outcome_of(&server, &linus, "CODE-REVIEW").await, "failed", "the later one counts");
    let page = session.0.get(format!("{}/app/evidence/{id}", server.url)).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("Replaced by newer evidence"));
}

async fn what_is_no_evidence_is_refused(home: Home) {
    let server = Server::demo(&home);
    let (linus, rita, max) =
        (server.token("linus", "acme"), server.token("rita", "acme"), server.token("max", "globex"));
    let with = |field: &str, value: Value| {
        let mut changed = statement();
        changed[field] = value;
        changed
    };
    let at = |url: &str| {
        let mut changed = statement();
        changed.as_object_mut().unwrap().remove("content");
        changed["url"] = json!(url);
        changed
    };
    for (arguments, code, field) in [
        (with("title", json!(" ")), "missing_title", "title"),
        (with("content", json!("\n ")), "validation_failed", "content"),
        (with("url", json!("https://example.com")), "validation_failed", "content"),
        (at("ftp://example.com/canary-11d0"), "validation_failed", "url"),
        (at("javascript:alert('canary-11d0')"), "validation_failed", "url"),
        (at("https://user:canary-11d0@example.com/"), "validation_failed", "url"),
        (with("type", json!("test_run")), "validation_failed", "type"),
        (with("type", json!("security_scan")), "validation_failed", "type"),
        (with("result", json!("perfect")), "validation_failed", "result"),
    ] {
        let refused = server.refused(&linus, ATTACH, arguments, code).await;
        assert_eq!(refused["details"][0]["field"], field, "{refused}");
        assert!(!refused.to_string().contains("canary-11d0"), "{refused}");
    }
    server.refused(&linus, ATTACH, with("controlId", json!("NO-SUCH")), "not_found").await;
    server.refused(&linus, ATTACH, with("release", json!("payments-v2.3")), "not_found").await;
    let (error, hidden) = server.call(&http(), &rita, ATTACH, statement()).await;
    assert!(error && hidden["code"] == -32602, "a reviewer does not attach: {hidden}");
    let of_foreign = server.refused(&max, ATTACH, statement(), "not_found").await;
    let of_absent = server.refused(&max, ATTACH, with("release", json!("absent")), "not_found").await;
    assert_eq!(of_foreign["message"], of_absent["message"]);
}
