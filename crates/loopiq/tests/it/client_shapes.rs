//! What desktop clients are known to send, replayed: how they register, what their documents say, how they spell the resource,
//! and with which headers they ask. The programs themselves cannot run here. Bursts of refreshes are played in `oauth`, documents
//! that lie in `oauth_documents`.

use reqwest::header::{ACCEPT, ALLOW, CONTENT_SECURITY_POLICY, WWW_AUTHENTICATE};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::oauth::{Program, access, asked_at, refresh, register, said, token};
use crate::oauth_documents::Site;
use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    clients_that_register_themselves_sign_in_at_each_of_their_addresses
    clients_known_by_a_document_sign_in_at_whichever_port_they_listen
    the_resource_may_be_spelled_as_clients_spell_it
    no_habit_with_headers_is_in_the_way
    a_client_that_probes_finds_its_era
}

/// A client that registers itself: what it sends, and where it can be answered. A port that it does not name is its own.
struct Shape {
    name: &'static str,
    metadata: Value,
    /// Addresses that it is answered at, with what the page that asks must let a form lead to.
    answered: &'static [(&'static str, &'static str)],
}

fn shapes() -> Vec<Shape> {
    let grants = json!(["authorization_code", "refresh_token"]);
    vec![
        Shape {
            name: "Cursor",
            metadata: json!({
                "client_name": "Cursor", "redirect_uris": [
                    "cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/agents/mcp/oauth/callback",
                    "http://localhost:8787/callback",
                ],
                "grant_types": grants, "response_types": ["code"], "token_endpoint_auth_method": "none",
            }),
            answered: &[
                ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor:"),
                ("https://www.cursor.com/agents/mcp/oauth/callback", "https://www.cursor.com"),
                ("http://localhost:8787/callback", "http://localhost:8787"),
                ("http://localhost:51789/callback", "http://localhost:51789"),
            ],
        },
        Shape {
            name: "Visual Studio Code",
            metadata: json!({
                "client_name": "Visual Studio Code", "client_uri": "https://code.visualstudio.com", "redirect_uris": [
                    "https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect", "http://127.0.0.1/",
                    "http://127.0.0.1:33418/",
                ],
                "grant_types": [
                    "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code",
                ],
                "response_types": ["code"], "token_endpoint_auth_method": "none", "application_type": "native",
            }),
            answered: &[
                ("https://vscode.dev/redirect", "https://vscode.dev"),
                ("https://insiders.vscode.dev/redirect", "https://insiders.vscode.dev"),
                ("http://127.0.0.1:33418/", "http://127.0.0.1:33418"),
                ("http://127.0.0.1:53111/", "http://127.0.0.1:53111"),
                ("http://127.0.0.1:53111", "http://127.0.0.1:53111"),
            ],
        },
        Shape {
            name: "Claude",
            metadata: json!({
                "client_name": "Claude", "redirect_uris": [
                    "https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback",
                ],
                "grant_types": grants, "response_types": ["code"], "token_endpoint_auth_method": "none",
                "scope": "loopiq:read loopiq:write",
            }),
            answered: &[
                ("https://claude.ai/api/mcp/auth_callback", "https://claude.ai"),
                ("https://claude.com/api/mcp/auth_callback", "https://claude.com"),
            ],
        },
        Shape {
            name: "ChatGPT",
            metadata: json!({
                "client_name": "ChatGPT", "redirect_uris": [
                    "https://chatgpt.com/connector_platform_oauth_redirect",
                    "https://chatgpt.com/connector/oauth/9cPjRcMr0z8v",
                ],
                "grant_types": grants, "response_types": ["code"], "token_endpoint_auth_method": "client_secret_post",
            }),
            answered: &[
                ("https://chatgpt.com/connector_platform_oauth_redirect", "https://chatgpt.com"),
                ("https://chatgpt.com/connector/oauth/9cPjRcMr0z8v", "https://chatgpt.com"),
            ],
        },
    ]
}

/// Signs a person in to a client, proving the client by its secret if it has one; the tokens.
async fn signs_in(
    server: &Server,
    client: &Program,
    person: &(Client, String),
    secret: Option<&str>,
    other: &[(&str, &str)],
) -> Value {
    let code = client.code(server, person, other).await;
    let secret = secret.map(|secret| ("client_secret", secret));
    let (status, tokens) = client.redeems(server, &code, secret.as_slice()).await;
    assert_eq!(status, 200, "{}: {tokens}", client.redirect);
    assert!(tokens["refresh_token"].is_string(), "{}: {tokens}", client.redirect);
    assert_eq!(asked_at(server, "/mcp", access(&tokens), "loopiq_get_context").await.0, 200);
    tokens
}

async fn clients_that_register_themselves_sign_in_at_each_of_their_addresses(home: Home) {
    let server = Server::demo(&home);
    let grace = server.sign_in("grace").await;
    for Shape { name, metadata, answered } in shapes() {
        let (status, registered) = register(&server, metadata.clone()).await;
        assert_eq!(status, 201, "{name}: {registered}");
        assert_eq!(registered["redirect_uris"], metadata["redirect_uris"], "{name}");
        assert!(!registered.to_string().contains("null"), "{name}: {registered}");
        let secret = registered["client_secret"].as_str();
        assert_eq!(
            secret.is_some(),
            metadata["token_endpoint_auth_method"] != "none",
            "{name}: {registered}"
        );
        assert!(secret.is_none() || registered["client_secret_expires_at"].is_u64(), "{name}: {registered}");
        for (redirect, leads_to) in answered {
            let id = registered["client_id"].as_str().unwrap().to_owned();
            let client = Program { id, redirect: (*redirect).to_owned() };
            let page = grace.0.get(client.asks(&server, &[])).send().await.unwrap();
            assert_eq!(page.status(), 200, "{name} {redirect}");
            // Otherwise the browser would not follow the form to the client.
            let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
            assert!(
                policy.contains(&format!("form-action 'self' {leads_to}")),
                "{name} {redirect}: {policy}"
            );
            assert!(page.text().await.unwrap().contains(name), "{name} {redirect}");
            let tokens = signs_in(&server, &client, &grace, secret, &[]).await;
            if let Some(secret) = secret {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", client.id.as_str()),
                    ("client_secret", secret),
                    ("refresh_token", refresh(&tokens)),
                ];
                assert_eq!(token(&server, &form).await.0, 200, "{name} refreshes");
            }
        }
    }
}

async fn clients_known_by_a_document_sign_in_at_whichever_port_they_listen(mut home: Home) {
    home.settings.push(("LOOPIQ_IDENTITY_ADDRESSES", "any".into()));
    let server = Server::demo(&home);
    let site = Site::open().await;
    let grace = server.sign_in("grace").await;
    for (name, title, named, answered) in [
        (
            "claude-code-client-metadata",
            "Claude Code",
            json!(["http://localhost/callback", "http://127.0.0.1/callback"]),
            [
                "http://localhost:54321/callback",
                "http://127.0.0.1:54322/callback",
                "http://localhost/callback",
            ],
        ),
        (
            "client-metadata.json",
            "Visual Studio Code",
            json!(["http://127.0.0.1:33418/", "https://vscode.dev/redirect"]),
            ["http://127.0.0.1:33418/", "http://127.0.0.1:49152/", "https://vscode.dev/redirect"],
        ),
    ] {
        let document = json!({
            "client_id": site.at(name), "client_name": title, "client_uri": site.url, "redirect_uris": named,
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            "token_endpoint_auth_method": "none", "application_type": "native",
            "logo_uri": "https://example.com/logo.png", "scope": "loopiq:read",
        });
        site.put(name, 200, document.to_string());
        for redirect in answered {
            let client = Program { id: site.at(name), redirect: redirect.to_owned() };
            signs_in(&server, &client, &grace, None, &[]).await;
        }
        let client = Program { id: site.at(name), redirect: "http://[::1]:54321/callback".into() };
        let refused = grace.0.get(client.asks(&server, &[])).send().await.unwrap();
        assert_eq!(refused.status(), 400, "{title} has not named this address");
    }
}

async fn the_resource_may_be_spelled_as_clients_spell_it(home: Home) {
    let server = Server::demo(&home);
    let client = crate::oauth::program(&server).await;
    let grace = server.sign_in("grace").await;
    let at = |path: &str| format!("{}{path}", server.url);
    let shouted = at("/mcp").replace("http://", "HTTP://");
    let main = json!([server.url, at("/mcp")]);
    // As typed, with a slash added, the origin alone, in capitals, or not at all; and otherwise when the code is redeemed.
    for (asked, redeemed) in [
        (at("/mcp"), at("/mcp/")),
        (at("/mcp/"), at("/mcp")),
        (at(""), at("/mcp")),
        (at("/"), String::new()),
        (shouted, at("/")),
        (String::new(), at("/mcp")),
        (String::new(), String::new()),
    ] {
        let code = client.code(&server, &grace, &[("resource", &asked)]).await;
        let (status, tokens) = client.redeems(&server, &code, &[("resource", &redeemed)]).await;
        assert_eq!(status, 200, "{asked} then {redeemed}: {tokens}");
        assert_eq!(said(access(&tokens))["aud"], main, "{asked} then {redeemed}");
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", client.id.as_str()),
            ("refresh_token", refresh(&tokens)),
            ("resource", asked.as_str()),
        ];
        let form: Vec<(&str, &str)> = form.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        assert_eq!(token(&server, &form).await.0, 200, "{asked} is refreshed");
    }
    for (asked, audience) in [("/mcp/readonly/", at("/mcp/readonly")), ("/t/acme/mcp/", at("/t/acme/mcp"))] {
        let code = client.code(&server, &grace, &[("resource", &at(asked))]).await;
        let (status, tokens) = client.redeems(&server, &code, &[("resource", &audience)]).await;
        assert_eq!((status, &said(access(&tokens))["aud"]), (200, &json!([audience])), "{asked}: {tokens}");
        assert_eq!(asked_at(&server, asked, access(&tokens), "loopiq_get_context").await.0, 200, "{asked}");
    }
    // Wider than it was allowed, it is not spelled otherwise but another one.
    let code = client.code(&server, &grace, &[("resource", &at("/mcp/readonly"))]).await;
    let (status, refused) = client.redeems(&server, &code, &[("resource", &at("/mcp"))]).await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_target")), "{refused}");
}

const MODERN: &str = "2026-07-28";

fn asks_for_tools(modern: bool) -> Value {
    if !modern {
        return json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" });
    }
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": { "_meta": {
        "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {},
    } } })
}

async fn no_habit_with_headers_is_in_the_way(home: Home) {
    let server = Server::demo(&home);
    let grace = server.token("grace", "acme");
    let habits: [&[(&str, &str)]; 10] = [
        &[("Accept", "application/json, text/event-stream")],
        &[("Accept", "application/json")],
        &[("Accept", "text/event-stream, application/json;q=0.9")],
        &[("Accept", "*/*")],
        &[("Accept", "application/*")],
        &[],
        &[("Mcp-Session-Id", "5b1f6a5e-3c84-4f1c-9f5e-1a2b3c4d5e6f")],
        &[("Last-Event-ID", "41"), ("Accept", "text/event-stream, application/json")],
        &[("Mcp-Session-Id", "gone"), ("Last-Event-ID", "0"), ("User-Agent", "python-httpx/0.28")],
        &[
            ("Content-Type", "application/json; charset=utf-8"),
            ("Connection", "keep-alive"),
            ("Cookie", "x=1"),
        ],
    ];
    for path in ["/mcp", "/mcp/", "/", "/mcp/readonly", "/t/acme/mcp"] {
        for modern in [true, false] {
            for habit in habits {
                let body = asks_for_tools(modern).to_string();
                let mut asked = http().post(format!("{}{path}", server.url)).bearer_auth(&grace).body(body);
                if habit.iter().all(|(name, _)| *name != "Content-Type") {
                    asked = asked.header("Content-Type", "application/json");
                }
                if modern {
                    asked = asked.header("MCP-Protocol-Version", MODERN).header("Mcp-Method", "tools/list");
                }
                for (name, value) in habit {
                    asked = asked.header(*name, *value);
                }
                let answer = asked.send().await.unwrap();
                let what = format!("{path} modern={modern} {habit:?}");
                assert_eq!(answer.status(), 200, "{what}");
                assert_eq!(answer.headers()["content-type"], "application/json", "{what}");
                assert!(answer.headers().get("mcp-session-id").is_none(), "{what}");
                let answer: Value = answer.json().await.unwrap();
                assert!(!answer["result"]["tools"].as_array().unwrap().is_empty(), "{what}: {answer}");
            }
        }
        // Nothing can be listened to, and no session be ended; both are told without a detour.
        for method in [Method::GET, Method::DELETE] {
            let asked = http().request(method.clone(), format!("{}{path}", server.url)).bearer_auth(&grace);
            let answer = asked.header(ACCEPT, "text/event-stream").header("Mcp-Session-Id", "x").send().await;
            let answer = answer.unwrap();
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert!(answer.headers()[ALLOW].to_str().unwrap().contains("POST"), "{method} {path}");
        }
    }
}

/// Posts a message as a client that is about to find out whom it talks to.
async fn posts(server: &Server, token: Option<&str>, headers: &[(&str, &str)], message: Value) -> Response {
    let mut asked = http()
        .post(format!("{}/mcp", server.url))
        .header(ACCEPT, "application/json, text/event-stream")
        .json(&message);
    if let Some(token) = token {
        asked = asked.bearer_auth(token);
    }
    for (name, value) in headers {
        asked = asked.header(*name, *value);
    }
    asked.send().await.unwrap()
}

async fn a_client_that_probes_finds_its_era(home: Home) {
    let server = Server::demo(&home);
    let grace = server.token("grace", "acme");
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "claude-code", "version": "2.1.263" },
    });
    let discover =
        json!({ "jsonrpc": "2.0", "id": 0, "method": "server/discover", "params": { "_meta": meta } });
    let modern = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "server/discover")];
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": { "roots": { "listChanged": true }, "elicitation": {} },
        "clientInfo": { "name": "claude-code", "title": "Claude Code", "version": "2.1.263" },
    } });
    // The probe is no evidence of anything before somebody is let in: a challenge, in both orders of asking.
    for (headers, message) in [(&modern[..], &discover), (&[], &initialize)] {
        let answer = posts(&server, None, headers, message.clone()).await;
        assert_eq!(answer.status(), 401);
        assert!(answer.headers()[WWW_AUTHENTICATE].to_str().unwrap().contains("resource_metadata="));
    }
    let found: Value = posts(&server, Some(&grace), &modern, discover.clone()).await.json().await.unwrap();
    assert_eq!(found["result"]["supportedVersions"][0], MODERN, "{found}");
    // A client that does not understand what it found goes on with the handshake, on the same address.
    let met: Value = posts(&server, Some(&grace), &[], initialize).await.json().await.unwrap();
    assert_eq!(met["result"]["protocolVersion"], "2025-11-25", "{met}");
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let legacy = [("MCP-Protocol-Version", "2025-11-25")];
    assert_eq!(posts(&server, Some(&grace), &legacy, ready.clone()).await.status(), 202);
    assert_eq!(posts(&server, Some(&grace), &[], ready).await.status(), 202, "the header is absent");
    let listed: Value = posts(&server, Some(&grace), &[], asks_for_tools(false)).await.json().await.unwrap();
    assert!(listed["result"]["tools"].is_array(), "{listed}");
    // A probe without the headers of its revision is told which one is missing, by the code that keeps it in the era.
    let half = posts(&server, Some(&grace), &[], discover.clone()).await;
    assert_eq!(half.status(), 400);
    assert_eq!(half.json::<Value>().await.unwrap()["error"]["code"], -32020);
    // One of a revision that is yet to come learns which are spoken.
    let mut later = discover;
    later["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2027-03-01");
    let headers = [("MCP-Protocol-Version", "2027-03-01"), ("Mcp-Method", "server/discover")];
    let answer = posts(&server, Some(&grace), &headers, later).await;
    assert_eq!(answer.status(), 400);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["error"]["code"], -32022, "{answer}");
    assert!(answer["error"]["data"]["supported"].as_array().unwrap().contains(&json!(MODERN)), "{answer}");
}
