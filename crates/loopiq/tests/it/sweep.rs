//! Every address of the product, asked by everybody: nobody, strangers of another organization, a revoked token, little
//! permission, a token that is narrowed, an administrator. The status codes are a golden file; a stranger's answers name
//! nothing of the organization.

use std::collections::BTreeMap;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{CREATE, Home, Server, http, loopiq};

/// Addresses besides those of the OpenAPI document: console, MCP, operations.
const OTHERS: &[(&str, &str)] = &[
    ("get", "/"),
    ("get", "/app"),
    ("get", "/app/login"),
    ("get", "/app/releases"),
    ("get", "/app/releases/{release}"),
    ("get", "/app/certifications/{certification}"),
    ("get", "/app/evidence/{evidence}"),
    ("get", "/app/work-items"),
    ("get", "/app/work-items/{work}"),
    ("get", "/app/packages/{package}"),
    ("get", "/app/approvals"),
    ("get", "/app/actions/{action}"),
    ("post", "/app/actions/{action}/approve"),
    ("post", "/app/actions/{action}/reject"),
    ("post", "/app/organization"),
    ("get", "/app/nowhere"),
    ("post", "/mcp"),
    ("post", "/mcp/readonly"),
    ("post", "/"),
    ("get", "/mcp"),
    ("delete", "/mcp"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/.well-known/oauth-protected-resource"),
    ("get", "/api/v1/nowhere"),
];

/// Names and beginnings of ids that no stranger may read.
const OF_ACME: &[&str] = &["backend-v1", "payments-v", "mobile-", "grace@acme", "ledger"];

/// Somebody who asks.
struct Asker {
    name: &'static str,
    http: Client,
    token: Option<String>,
    csrf: Option<String>,
    stranger: bool,
}

impl Asker {
    fn request(&self, method: Method, url: String) -> RequestBuilder {
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(csrf) = &self.csrf {
            request = request.header("X-CSRF-Token", csrf);
        }
        request
    }
}

/// A client that does not follow: where somebody is sent is the answer.
fn staying(cookie: Option<&str>) -> Client {
    let mut headers = reqwest::header::HeaderMap::new();
    headers.extend(cookie.map(|cookie| (reqwest::header::COOKIE, cookie.parse().unwrap())));
    Client::builder().default_headers(headers).redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[tokio::test]
async fn every_address_answers_everybody_as_it_should() {
    let home = Home::embedded();
    let server = Server::demo(&home);
    let http = http();
    let grace = server.token("grace", "acme");
    let places = places(&server, &http, &grace).await;

    let issue = |more: &[&str]| -> (String, String) {
        let mut arguments =
            vec!["token", "issue", "--org", "acme", "--email", "grace@acme.example", "--json"];
        arguments.extend(more);
        let told: Value = serde_json::from_str(&loopiq(&home, &arguments)).unwrap();
        (told["token"].as_str().unwrap().to_owned(), told["id"].as_str().unwrap().to_owned())
    };
    let (revoked, id) = issue(&[]);
    loopiq(&home, &["token", "revoke", "--org", "acme", &id]);
    let (narrow, _) = issue(&["--scope", "mcp:access", "--scope", "releases:read"]);

    let person = async |who: &str| {
        let (cookie, csrf) = server.cookie(who).await;
        (staying(Some(&cookie)), Some(csrf))
    };
    let with = |name, token: String, stranger| Asker {
        name,
        http: staying(None),
        token: Some(token),
        csrf: None,
        stranger,
    };
    let (max, max_csrf) = person("max").await;
    let (ada, ada_csrf) = person("ada").await;
    let askers = [
        Asker { name: "nobody", http: staying(None), token: None, csrf: None, stranger: true },
        with("revoked", revoked, true),
        with("foreign token", server.token("max", "globex"), true),
        Asker { name: "foreign session", http: max, token: None, csrf: max_csrf, stranger: true },
        with("viewer", server.token("vic", "acme"), false),
        with("narrow token", narrow, false),
        with("admin token", server.token("ada", "acme"), false),
        Asker { name: "admin session", http: ada, token: None, csrf: ada_csrf, stranger: false },
    ];

    let document: Value =
        http.get(format!("{}/api/v1/openapi.json", server.url)).send().await.unwrap().json().await.unwrap();
    let mut addresses: Vec<(String, String)> =
        OTHERS.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            addresses.push((method.clone(), path.clone()));
        }
    }
    // Signing out ends a session, so it comes last.
    addresses.sort_by_key(|(method, path)| (method == "delete" && path.ends_with("/session"), path.clone()));

    let mut table = format!("{:<52}", "");
    for asker in &askers {
        table.push_str(&format!("{:>16}", asker.name));
    }
    for (method, path) in addresses {
        let mut line = format!("\n{:<52}", format!("{method} {path}"));
        for asker in &askers {
            let status = ask(&server, asker, &method, &filled(&path, &places)).await;
            line.push_str(&format!("{status:>16}"));
        }
        table.push_str(&line);
    }
    table.push('\n');
    testkit::golden::check(env!("CARGO_MANIFEST_DIR"), "addresses.txt", &table);
}

/// Asks once; checks what holds for every answer.
async fn ask(server: &Server, asker: &Asker, method: &str, path: &str) -> u16 {
    let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let mut request = asker.request(verb, format!("{}{path}", server.url));
    if method == "post" {
        // Good enough to be understood; of those who may, only the decision of the administrator changes anything.
        request = if path.contains("/mcp") || path == "/" {
            request
                .header("Accept", "application/json, text/event-stream")
                .json(&json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }))
        } else if path.starts_with("/app") {
            let csrf = asker.csrf.as_deref().unwrap_or("none");
            let form = request.header("Content-Type", "application/x-www-form-urlencoded");
            form.body(format!("csrf={csrf}&organization=nowhere&digest=none"))
        } else if path.ends_with("/evidence") {
            request.body("no report")
        } else {
            request.json(&json!({ "email": "nobody@acme.example", "password": "wrong" }))
        };
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    assert!(status < 500, "{} {method} {path}: {status}", asker.name);
    if status == 401 && !path.starts_with("/app") && !path.ends_with("/session") {
        assert!(answer.headers().contains_key("www-authenticate"), "{} {method} {path}", asker.name);
    }
    let text = answer.text().await.unwrap();
    if asker.stranger {
        for name in OF_ACME {
            assert!(!text.contains(name), "{} reads {name:?} from {method} {path}: {text}", asker.name);
        }
    }
    status
}

/// An id of every kind of record that addresses name.
async fn places(server: &Server, http: &Client, grace: &str) -> BTreeMap<&'static str, String> {
    let package = server.package(http, grace, "Close the gap").await;
    let (_, proposed) = server.call(http, grace, CREATE, package).await;
    let done = proposed["action"]["id"].as_str().unwrap().to_owned();
    let session = server.sign_in("grace").await;
    let (_, executed) = server.decide(&session, &done, "approve").await.unwrap();
    let effects = executed["card"]["effects"].as_array().unwrap();
    let made = |kind: &str| {
        let found = effects.iter().find(|effect| effect["recordType"] == kind);
        found.unwrap_or_else(|| panic!("{kind} in {executed}"))["id"].as_str().unwrap().to_owned()
    };
    let other = server.package(http, grace, "Close another").await;
    let (_, pending) = server.call(http, grace, CREATE, other).await;
    let first = async |tool: &str, arguments: Value| {
        let (_, found) = server.call(http, grace, tool, arguments).await;
        found["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{tool}: {found}")).to_owned()
    };
    let of_release = json!({ "release": "backend-v1.0-GCN" });
    BTreeMap::from([
        ("release", first("loopiq_list_releases", json!({ "allTeams": true })).await),
        ("certification", first("loopiq_list_release_certifications", json!({})).await),
        ("evidence", first("loopiq_list_evidence", of_release).await),
        ("work", made("work_item")),
        ("package", made("remediation_work_package")),
        ("action", pending["action"]["id"].as_str().unwrap().to_owned()),
        ("slug", "acme".to_owned()),
        ("name", "loopiq_get_context".to_owned()),
    ])
}

/// The address with ids in it. `{id}` is the record that the part before it names.
fn filled(path: &str, places: &BTreeMap<&'static str, String>) -> String {
    let mut filled = path.to_owned();
    for (kind, id) in places {
        filled = filled.replace(&format!("{{{kind}}}"), id);
    }
    let kind = match path {
        _ if path.contains("/certifications/") => "certification",
        _ if path.contains("/work-items/") => "work",
        _ if path.contains("/actions/") => "action",
        _ => "release",
    };
    filled.replace("{id}", &places[kind])
}
