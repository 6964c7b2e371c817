//! Credentials next to a running server. The life of a token: issued, used, listed, revoked; and where its text never is.
//! And a new password.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

/// How long a test waits for what the server does in its own time.
const PATIENCE: Duration = Duration::from_mins(1);

on_both_engines! {
    a_token_works_shows_its_use_and_ends_on_the_very_next_call
}

async fn ask(server: &Server, http: &Client, token: &str, method: &str, params: Value) -> Response {
    http.post(format!("{}/mcp", server.url))
        .bearer_auth(token)
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2025-11-25")
        .json(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
        .send()
        .await
        .unwrap()
}

fn issue(home: &Home, email: &str, label: &str) -> (String, String) {
    let issued = home.administer(&["token", "issue", "--org", "acme", "--email", email, "--label", label]);
    let text = |field: &str| issued[0][field].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

/// A token as the list shows it.
fn listed(home: &Home, id: &str) -> Value {
    let all = home.administer(&["token", "list", "--org", "acme"]);
    all.into_iter().find(|token| token["id"] == id).expect("a token that was issued is listed")
}

async fn a_token_works_shows_its_use_and_ends_on_the_very_next_call(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let (id, token) = issue(&home, "grace@acme.example", "ci");
    let before = listed(&home, &id);
    assert_eq!((&before["state"], &before["lastUsedAt"]), (&json!("valid"), &Value::Null));
    let (error, context) = server.call(&http, &token, "loopiq_get_context", json!({})).await;
    assert!(!error && context["context"]["user"]["email"] == "grace@acme.example", "{context}");

    let written = tokio::time::timeout(PATIENCE, async {
        loop {
            let shown = listed(&home, &id);
            if shown["lastUsedAt"].is_string() {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    });
    let shown = written.await.expect("the server writes down when a token was used");
    assert!(shown["lastUsedAt"].as_str() >= shown["createdAt"].as_str(), "{shown}");
    assert!(!shown.to_string().contains(&token), "a list never shows the secret");

    home.administer(&["token", "revoke", "--org", "acme", &id]);
    let refused = ask(&server, &http, &token, "tools/list", json!({})).await;
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.starts_with("Bearer ") && challenge.contains("resource_metadata="), "{challenge}");
    assert!(challenge.contains("invalid_token") && challenge.contains("revoked"), "{challenge}");
    let refused = http.get(format!("{}/api/v1/me", server.url)).bearer_auth(&token).send().await.unwrap();
    assert!(refused.status() == 401 && refused.headers().contains_key("www-authenticate"));
    assert_eq!(listed(&home, &id)["state"], "revoked");

    let others = server.token("grace", "acme");
    let (error, _) = server.call(&http, &others, "loopiq_get_context", json!({})).await;
    assert!(!error, "another token of the same person is not touched");
}

/// Files below a folder in which a text stands.
pub fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(holding(&path, text));
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test]
async fn the_text_of_a_token_is_in_no_file_and_in_no_log() {
    let home = Home::embedded();
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("server.log");
    let server = Server::demo_logging_to(&home, std::fs::File::create(&log).unwrap());
    let http = http();
    let (id, token) = issue(&home, "grace@acme.example", "canary-of-this-test");
    let good = server.call(&http, &token, "loopiq_get_context", json!({})).await;
    assert!(!good.0, "{}", good.1);
    // Refused requests are logged too: by header, by a header of another scheme, in an address, after the end.
    let url = |path: &str| format!("{}{path}", server.url);
    let misplaced = http.get(url(&format!("/api/v1/releases?token={token}"))).send().await.unwrap();
    assert_eq!(misplaced.status(), 401);
    let other =
        http.get(url("/api/v1/me")).header("Authorization", format!("Token {token}")).send().await.unwrap();
    assert_eq!(other.status(), 401);
    home.administer(&["token", "revoke", "--org", "acme", &id]);
    assert_eq!(ask(&server, &http, &token, "tools/list", json!({})).await.status(), 401);

    assert!(!holding(home.folder.path(), "canary-of-this-test").is_empty(), "what is stored is found");
    let nowhere: [String; 0] = [];
    assert_eq!(holding(home.folder.path(), &token), nowhere);
    let written = std::fs::read_to_string(&log).unwrap();
    assert!(
        written.contains("/api/v1/releases") && written.contains("/mcp"),
        "requests are logged: {written}"
    );
    assert!(!written.contains(&token), "the log holds a token");
    // The part that is random, without the prefix that all tokens share.
    let random = token.trim_start_matches("liq_");
    assert_eq!(holding(home.folder.path(), random), nowhere);
    assert!(!written.contains(random), "the log holds a token without its prefix");
}

#[tokio::test]
async fn somebody_without_mcp_access_connects_sees_no_tools_and_is_told_why() {
    let home = Home::embedded();
    let server = Server::demo(&home);
    let http = http();
    let (_, token) = issue(&home, "vic@acme.example", "");
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
    });
    let connected = ask(&server, &http, &token, "initialize", hello).await;
    assert_eq!(connected.status(), 200);
    let connected: Value = connected.json().await.unwrap();
    assert!(connected["result"]["serverInfo"].is_object(), "{connected}");
    let tools: Value = ask(&server, &http, &token, "tools/list", json!({})).await.json().await.unwrap();
    assert_eq!(tools["result"]["tools"], json!([]), "{tools}");
    let (error, refused) = server.call(&http, &token, "loopiq_list_releases", json!({})).await;
    assert!(error && refused["error"]["code"] == "forbidden", "{refused}");
    assert!(refused.to_string().contains("mcp:access"), "it says what is missing: {refused}");
    assert!(!refused["error"]["remedy"].as_str().unwrap().is_empty(), "{refused}");

    // The console is theirs all the same.
    let (browser, _) = server.sign_in("vic").await;
    assert_eq!(browser.get(format!("{}/app/releases", server.url)).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_new_password_is_set_next_to_the_server_and_ends_what_the_old_one_began() {
    let home = Home::embedded();
    let server = Server::demo(&home);
    let (email, old) = server.credentials("grace");
    let (browser, _) = server.sign_in("grace").await;
    let me = format!("{}/api/v1/me", server.url);
    assert_eq!(browser.get(&me).send().await.unwrap().status(), 200);
    let set = home.administer(&["user", "password", "--email", &email]);
    assert_eq!(browser.get(&me).send().await.unwrap().status(), 401, "the session is over");
    for (password, expected) in [(old.as_str(), 401), (set[0]["password"].as_str().unwrap(), 200)] {
        let signing_in = http()
            .post(format!("{}/api/v1/session", server.url))
            .json(&json!({ "email": email, "password": password }));
        assert_eq!(signing_in.send().await.unwrap().status(), expected);
    }
}
