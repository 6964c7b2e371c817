//! Bearer tokens from the first to the last day: issued and revoked by the command line while the server runs, known
//! nowhere but to their owner. And people who may not use MCP at all.

use std::path::Path;

use serde_json::{Value, json};

use crate::server::{Home, Server, http, loopiq, on_both_engines};

on_both_engines! {
    a_token_is_shown_once_works_until_it_is_revoked_and_is_stored_nowhere
    who_may_not_use_mcp_connects_and_is_offered_nothing
}

async fn a_token_is_shown_once_works_until_it_is_revoked_and_is_stored_nowhere(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let issued = loopiq(
        &home,
        &["token", "issue", "--org", "acme", "--email", "grace@acme.example", "--label", "story", "--json"],
    );
    let issued: Value = serde_json::from_str(&issued).unwrap();
    let (token, id) = (issued["token"].as_str().unwrap(), issued["id"].as_str().unwrap());
    assert!(token.starts_with("liq_"));
    let (error, context) = server.call(&http, token, "loopiq_get_context", json!({})).await;
    assert!(!error && context.to_string().contains("grace@acme.example"), "{context}");

    let listed = || loopiq(&home, &["token", "list", "--org", "acme", "--json"]);
    let of_token = |listed: &str| -> Value {
        let tokens = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        tokens.into_iter().find(|t| t["id"] == id).expect("it is listed")
    };
    assert!(!listed().contains(token), "a list never shows a secret");
    // The use is noted within the next round of background work.
    while of_token(&listed())["lastUsedAt"].is_null() {}

    loopiq(&home, &["token", "revoke", "--org", "acme", id]);
    let refused =
        server.raw(&http, token, json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })).await;
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.starts_with("Bearer ") && challenge.contains("invalid_token"), "{challenge}");
    let said = refused.text().await.unwrap();
    assert!(said.contains("loopiq token issue") && !said.contains(token), "{said}");
    let wrong: String = token.chars().rev().collect();
    for unknown in [wrong.as_str(), "liq_", "liq_short", "something-else"] {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        assert_eq!(server.raw(&http, unknown, body).await.status(), 401, "{unknown}");
    }
    drop(server);
    assert!(!contains(home.folder.path(), token.as_bytes()), "the token is in a file of the data folder");
}

/// Whether any file below a folder has these bytes in it.
fn contains(folder: &Path, wanted: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return contains(&path, wanted);
        }
        std::fs::read(&path).is_ok_and(|bytes| bytes.windows(wanted.len()).any(|part| part == wanted))
    })
}

async fn who_may_not_use_mcp_connects_and_is_offered_nothing(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let vic = server.token("vic", "acme");
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "story", "version": "1" },
    } });
    let connected = server.raw(&http, &vic, initialize).await;
    assert_eq!(connected.status(), 200);
    let connected: Value = connected.json().await.unwrap();
    let instructions = connected["result"]["instructions"].as_str().unwrap();
    assert!(instructions.contains("no tools are offered") && instructions.contains("administrator"));
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    let listed: Value = server.raw(&http, &vic, list).await.json().await.unwrap();
    assert_eq!(listed["result"]["tools"], json!([]));
    let (error, refused) = server.call(&http, &vic, "loopiq_get_context", json!({})).await;
    assert!(
        error && refused["error"]["code"] == "forbidden" && refused["error"]["remedy"].is_string(),
        "{refused}"
    );

    loopiq(
        &home,
        &["user", "grant", "--org", "acme", "--email", "vic@acme.example", "--permission", "mcp:access"],
    );
    let (error, context) = server.call(&http, &vic, "loopiq_get_context", json!({})).await;
    assert!(!error, "the right is there by the next call: {context}");
    loopiq(&home, &["org", "set", "acme", "--mcp", "off"]);
    let (error, _) = server.call(&http, &vic, "loopiq_get_context", json!({})).await;
    assert!(error, "and gone by the next call when the organization switches MCP off");
}
