//! Clients that are known by a document of their own, and clients that prove themselves by signing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::oauth::{Program, REDIRECT, access, asked_at, program, register, said, token};
use crate::server::{Home, Server, on_both_engines};

on_both_engines! {
    a_client_is_known_by_what_it_publishes
    a_client_that_signs_proves_itself_once_with_each_assertion
}

type Documents = Arc<Mutex<HashMap<String, (StatusCode, Vec<u8>)>>>;

/// Somebody's web server with documents, all of them JSON by their type.
pub struct Site {
    pub url: String,
    documents: Documents,
    /// Ends with the site.
    _running: JoinSet<()>,
}

impl Site {
    pub async fn open() -> Site {
        let documents = Documents::default();
        let router = Router::new().route("/{name}", get(serve)).with_state(Arc::clone(&documents));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = axum::serve(listener, router).into_future();
        let mut running = JoinSet::new();
        running.spawn(async move { serving.await.unwrap() });
        Site { url, documents, _running: running }
    }

    pub fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    pub fn put(&self, name: &str, status: u16, body: impl Into<Vec<u8>>) {
        let status = StatusCode::from_u16(status).unwrap();
        self.documents.lock().unwrap().insert(name.to_owned(), (status, body.into()));
    }
}

async fn serve(State(documents): State<Documents>, Path(name): Path<String>) -> Response {
    let found = documents.lock().unwrap().get(&name).cloned();
    let (status, body) = found.unwrap_or((StatusCode::NOT_FOUND, Vec::new()));
    if status.is_redirection() {
        return (status, [(header::LOCATION, String::from_utf8(body).unwrap())]).into_response();
    }
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn a_client_is_known_by_what_it_publishes(mut home: Home) {
    home.settings.push(("LOOPIQ_IDENTITY_ADDRESSES", "any".into()));
    let server = Server::demo(&home);
    let site = Site::open().await;
    let document = |name: &str| {
        json!({
            "client_id": site.at(name), "client_name": "Terminal client", "client_uri": site.url,
            "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        })
    };
    site.put("client.json", 200, document("client.json").to_string());
    let grace = server.sign_in("grace").await;
    // Its document names the machine without a port; it listens where it can.
    let client = Program { id: site.at("client.json"), redirect: "http://localhost:40123/callback".into() };
    let page = grace.0.get(client.asks(&server, &[])).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Terminal client") && page.contains("publishes about it"), "{page}");
    let code = client.code(&server, &grace, &[]).await;
    let (status, tokens) = client.redeems(&server, &code, &[]).await;
    assert_eq!(status, 200, "{tokens}");
    assert!(tokens["refresh_token"].is_string(), "{tokens}");
    assert_eq!(asked_at(&server, "/mcp", access(&tokens), "loopiq_get_context").await.0, 200);

    // What is somebody else's, or none, or leads elsewhere.
    let changed = |name: &str, member: &str, value: Value| {
        let mut document = document(name);
        document[member] = value;
        document.to_string()
    };
    site.put("stolen.json", 200, document("client.json").to_string());
    site.put(
        "secret.json",
        200,
        changed("secret.json", "token_endpoint_auth_method", json!("client_secret_basic")),
    );
    site.put("nowhere.json", 200, changed("nowhere.json", "redirect_uris", json!(["http://evil.example/"])));
    site.put("moved.json", 302, site.at("client.json"));
    site.put("broken.json", 500, document("broken.json").to_string());
    site.put("text.json", 200, "not json");
    site.put("huge.json", 200, changed("huge.json", "client_uri", json!("x".repeat(70_000))));
    for name in ["stolen", "secret", "nowhere", "moved", "broken", "text", "huge", "absent"] {
        let client = Program { id: site.at(&format!("{name}.json")), redirect: client.redirect.clone() };
        let answer = grace.0.get(client.asks(&server, &[])).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{name}");
        assert!(answer.headers().get("location").is_none(), "{name}");
    }
}

/// A program with a key of its own.
struct Signer {
    pair: Ed25519KeyPair,
}

impl Signer {
    fn new() -> Signer {
        Signer { pair: Ed25519KeyPair::generate().unwrap() }
    }

    fn keys(&self) -> Value {
        let x = BASE64URL_NOPAD.encode(self.pair.public_key().as_ref());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "one", "alg": "EdDSA", "use": "sig", "x": x }] })
    }

    fn signs(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(message.as_bytes());
        format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

async fn a_client_that_signs_proves_itself_once_with_each_assertion(home: Home) {
    let server = Server::demo(&home);
    let signer = Signer::new();
    let metadata = json!({
        "client_name": "Service", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt",
        "jwks": signer.keys(),
    });
    let (status, registered) = register(&server, metadata).await;
    assert_eq!(status, 201, "{registered}");
    let client = Program { id: registered["client_id"].as_str().unwrap().into(), redirect: REDIRECT.into() };
    let grace = server.sign_in("grace").await;
    // The server's own clock, by a token of somebody else.
    let now =
        said(access(&program(&server).await.connects(&server, "grace", &[]).await))["iat"].as_i64().unwrap();
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "one" });
    let claims = json!({
        "iss": client.id, "sub": client.id, "aud": server.url, "iat": now, "exp": now + 300, "jti": "first",
    });
    let with = |member: &str, value: Value| {
        let mut claims = claims.clone();
        claims["jti"] = json!(format!("other-{member}-{value}"));
        claims[member] = value;
        claims
    };
    let code = client.code(&server, &grace, &[]).await;
    let redeem = async |assertion: &str, form: &[(&str, &str)]| {
        let mut fields = vec![
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        fields.extend(form);
        client.redeems(&server, &code, &fields).await
    };
    let stranger = Signer::new();
    for (what, assertion) in [
        ("another key", stranger.signs(&header, &claims)),
        (
            "no signature",
            format!("{}.", signer.signs(&json!({ "alg": "none" }), &claims).rsplit_once('.').unwrap().0),
        ),
        ("another server", signer.signs(&header, &with("aud", json!("https://elsewhere.example")))),
        ("another client", signer.signs(&header, &with("sub", json!("cli_other")))),
        ("another issuer", signer.signs(&header, &with("iss", json!("cli_other")))),
        ("run out", signer.signs(&header, &with("exp", json!(now - 600)))),
        ("good for a year", signer.signs(&header, &with("exp", json!(now + 31_536_000)))),
        ("not yet good", signer.signs(&header, &with("nbf", json!(now + 600)))),
        ("nonsense", "nonsense".to_owned()),
    ] {
        let (status, answer) = redeem(&assertion, &[]).await;
        assert_eq!((status, &answer["error"]), (401, &json!("invalid_client")), "{what}: {answer}");
    }
    let (status, answer) = client.redeems(&server, &code, &[]).await;
    assert_eq!((status, &answer["error"]), (401, &json!("invalid_client")), "not at all: {answer}");
    let good = signer.signs(&header, &claims);
    let (status, tokens) = redeem(&good, &[("client_id", "")]).await;
    assert_eq!(status, 200, "{tokens}");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "liqr_nothing"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", good.as_str()),
    ];
    assert_eq!(token(&server, &form).await.1["error"], "invalid_client", "a replay");
}
