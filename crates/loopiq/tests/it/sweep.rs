//! Every address of the server for every kind of caller. The status codes are a contract, kept as a table; and whoever has
//! no business in an organization learns nothing of its records, whichever address is asked.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{CREATE, Home, Server, http, on_both_engines};

/// Where the routes that no document describes are written down. The sweep counts them, so that a new one is not missed.
const ROUTERS: [&str; 6] = [
    include_str!("../../../web/src/console/mod.rs"),
    include_str!("../../../web/src/mcp/mod.rs"),
    include_str!("../../../web/src/oauth/mod.rs"),
    include_str!("../../../web/src/probes.rs"),
    include_str!("../../../web/src/scim/mod.rs"),
    include_str!("../../../web/src/well_known.rs"),
];

/// Routes that two of those routers have: `/`, a page by GET and MCP by POST.
const SHARED: usize = 1;

/// Routes of those routers, each with the methods to ask it by. `{…}` is a record of acme.
const PLAIN: [(&str, &[&str]); 91] = [
    ("/", &["GET", "POST"]),
    ("/app", &["GET"]),
    ("/app/", &["GET"]),
    ("/app/events", &["GET"]),
    ("/app/open/{action}", &["GET"]),
    ("/app/login", &["GET", "POST"]),
    ("/app/login/oidc/{action}", &["GET"]),
    ("/app/login/oidc/{action}/callback", &["GET"]),
    ("/app/organization", &["POST"]),
    ("/app/assistant", &["GET", "POST"]),
    ("/app/assistant/{action}", &["GET", "POST"]),
    ("/app/assistant/{action}/delete", &["POST"]),
    ("/app/releases", &["GET"]),
    ("/app/releases/{release}", &["GET", "POST"]),
    ("/app/releases/{release}/difference", &["GET"]),
    ("/app/certifications/{certification}", &["GET"]),
    ("/app/certifications/{certification}/graph", &["GET"]),
    ("/app/certifications/{certification}/pack", &["GET"]),
    ("/app/evidence/{evidence}", &["GET"]),
    ("/app/gaps/{gap}", &["GET"]),
    ("/app/blockers/{blocker}", &["GET"]),
    ("/app/connect", &["GET", "POST"]),
    ("/app/passkeys", &["GET", "POST"]),
    ("/app/sessions", &["GET", "POST"]),
    ("/app/work-items", &["GET"]),
    ("/app/work-items/{workItem}", &["GET"]),
    ("/app/packages/{package}", &["GET"]),
    ("/app/approvals", &["GET"]),
    ("/app/approvals/reject", &["GET", "POST"]),
    ("/app/actions/{action}", &["GET"]),
    ("/app/actions/{action}/approve", &["GET", "POST"]),
    ("/app/actions/{action}/reject", &["GET", "POST"]),
    ("/app/actions/{action}/withdraw", &["GET", "POST"]),
    ("/app/actions/{action}/break-glass", &["GET", "POST"]),
    ("/app/actions/{action}/review", &["GET", "POST"]),
    ("/app/do/loopiq_create_release", &["GET", "POST"]),
    ("/app/administration", &["GET"]),
    ("/app/settings", &["GET"]),
    ("/app/members", &["GET"]),
    ("/app/teams", &["GET"]),
    ("/app/access", &["GET"]),
    ("/app/agents", &["GET"]),
    ("/app/tokens", &["GET"]),
    ("/app/webhooks", &["GET"]),
    ("/app/search", &["GET"]),
    ("/app/identity-providers", &["GET"]),
    ("/app/identity-providers/{action}/secret", &["POST"]),
    ("/app/model", &["GET"]),
    ("/app/model/key", &["POST"]),
    ("/app/policies", &["GET"]),
    ("/app/policies/draft", &["GET", "POST"]),
    ("/app/policies/0", &["GET"]),
    ("/app/audit", &["GET"]),
    ("/app/audit/export", &["GET"]),
    ("/app/audit/bundle", &["GET"]),
    ("/app/audit/{sequence}", &["GET"]),
    ("/app/no-such-page", &["GET"]),
    ("/assets/{style}", &["GET"]),
    ("/mcp", &["GET", "POST", "DELETE"]),
    ("/mcp/", &["POST"]),
    ("/mcp/readonly", &["GET", "POST"]),
    ("/mcp/readonly/", &["POST"]),
    ("/t/acme/mcp", &["GET", "POST"]),
    ("/t/acme/mcp/", &["POST"]),
    ("/scim/v2/Users", &["GET", "POST"]),
    ("/scim/v2/Users/{user}", &["GET", "PUT", "PATCH", "DELETE"]),
    ("/scim/v2/Groups", &["GET", "POST"]),
    ("/scim/v2/Groups/contributor", &["GET", "PUT", "PATCH", "DELETE"]),
    ("/scim/v2/ServiceProviderConfig", &["GET"]),
    ("/scim/v2/ResourceTypes", &["GET"]),
    ("/scim/v2/ResourceTypes/User", &["GET"]),
    ("/scim/v2/Schemas", &["GET"]),
    ("/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", &["GET"]),
    ("/scim/v2/Bulk", &["POST"]),
    ("/healthz", &["GET"]),
    ("/readyz", &["GET"]),
    ("/metrics", &["GET"]),
    ("/.well-known/oauth-protected-resource", &["GET"]),
    ("/.well-known/oauth-protected-resource/mcp", &["GET"]),
    ("/.well-known/oauth-protected-resource/mcp/readonly", &["GET"]),
    ("/.well-known/oauth-protected-resource/t/acme/mcp", &["GET"]),
    ("/.well-known/oauth-authorization-server", &["GET"]),
    ("/.well-known/openid-configuration", &["GET"]),
    ("/.well-known/no-such-document", &["GET"]),
    ("/authorize", &["GET", "POST"]),
    ("/token", &["POST"]),
    ("/register", &["POST"]),
    ("/revoke", &["POST"]),
    ("/introspect", &["POST"]),
    ("/jwks", &["GET"]),
    // Last, because it ends the session.
    ("/app/logout", &["POST"]),
];

enum Credential {
    Nothing,
    Token(String),
    /// A client with the cookie, and the session's token against forged requests.
    Session(Client, String),
}

struct Caller {
    title: &'static str,
    /// Who signs in again after signing out.
    person: Option<&'static str>,
    credential: Credential,
    /// Whether it may learn of acme's records.
    belongs: bool,
}

impl Caller {
    fn client(&self) -> Client {
        match &self.credential {
            Credential::Session(client, _) => client.clone(),
            _ => Client::builder().redirect(Policy::none()).build().unwrap(),
        }
    }
}

/// One address by one method.
struct Asked<'a> {
    method: &'a str,
    /// As it is written in the table.
    route: &'a str,
    /// With real records in it.
    path: String,
}

impl Asked<'_> {
    fn is_mcp(&self) -> bool {
        self.method == "POST" && (self.route == "/" || self.route.contains("mcp"))
    }

    /// The request as a careful client of that kind would send it, with a body that changes nothing.
    fn of(&self, server: &Server, caller: &Caller, records: &Value) -> RequestBuilder {
        let client = caller.client();
        let csrf = match &caller.credential {
            Credential::Session(_, csrf) => csrf.as_str(),
            _ => "",
        };
        let method = Method::from_bytes(self.method.as_bytes()).unwrap();
        let mut request = client.request(method, format!("{}{}", server.url, self.path));
        if let Credential::Token(token) = &caller.credential {
            request = request.bearer_auth(token);
        }
        if self.is_mcp() {
            let params = json!({
                "name": "loopiq_get_release", "arguments": { "release": records["release"] },
            });
            return request
                .header("Accept", "application/json, text/event-stream")
                .header("MCP-Protocol-Version", "2025-11-25")
                .json(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }));
        }
        if self.route.starts_with("/app") {
            let digest = records["digest"].as_str().unwrap();
            let form = format!("csrf={csrf}&organization=acme&digest={digest}&reason=unsuitable&next=%2Fapp");
            let request = request.header("Accept", "text/html").header("Sec-Fetch-Site", "same-origin");
            return match self.method {
                "POST" => request.header("Content-Type", "application/x-www-form-urlencoded").body(form),
                _ => request,
            };
        }
        if self.method == "GET" {
            return request;
        }
        let request = request.header("X-CSRF-Token", csrf);
        match self.route {
            "/api/v1/releases/{release}/evidence" => request.body("no evidence of anything"),
            "/api/v1/actions/{id}/reject" => request.json(&json!({ "reason": "not this way" })),
            "/api/v1/tools/{name}" => request.json(&json!({ "release": records["release"] })),
            _ => request.json(&json!({})),
        }
    }
}

/// Whether the text is an id as the product makes them.
fn is_id(text: &str) -> bool {
    text.split_once('_').is_some_and(|(kind, rest)| {
        kind.bytes().all(|b| b.is_ascii_lowercase())
            && rest.len() == 26
            && rest.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    })
}

/// Every id and every name of a record in an answer.
fn collect(value: &Value, key: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, key, into)),
        Value::Object(members) => members.iter().for_each(|(key, value)| collect(value, key, into)),
        // What is as short as a word of the language says nothing when it is found in a page.
        Value::String(text)
            if text.len() > 8
                && (is_id(text) || ["name", "title", "email", "releaseVersion"].contains(&key)) =>
        {
            into.insert(text.clone());
        }
        _ => {}
    }
}

/// Ids and names of what a member of an organization can list.
async fn known_to(server: &Server, token: &str) -> BTreeSet<String> {
    let http = http();
    let mut known = BTreeSet::new();
    for tool in engine::tools::ALL.iter().filter(|tool| tool.card.over_mcp).map(engine::Tool::name) {
        let lists = tool.starts_with("loopiq_list_") || tool == "loopiq_get_context";
        if lists {
            let arguments = match tool {
                "loopiq_get_context" | "loopiq_list_teams" => json!({}),
                "loopiq_list_releases" => json!({ "allTeams": true, "limit": 100 }),
                _ => json!({ "limit": 100 }),
            };
            let (error, found) = server.call(&http, token, tool, arguments).await;
            assert!(!error, "{tool}: {found}");
            collect(&found, "", &mut known);
        }
    }
    known
}

/// A person signed in who asks for the addresses as they are.
async fn signed_in(server: &Server, name: &str) -> Credential {
    let (client, csrf) = server.sign_in(name).await;
    Credential::Session(client, csrf)
}

/// The records of acme that stand in the addresses: an executed action and what it made.
async fn records(server: &Server, grace: &str) -> Value {
    let http = http();
    let package = server.package(&http, grace, "Close the gap at the gateway").await;
    let (_, proposed) = server.call(&http, grace, CREATE, package).await;
    let action = proposed["action"]["id"].as_str().unwrap();
    let (status, done) = server.decide(&server.sign_in("grace").await, action, "approve").await.unwrap();
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
    let first = async |tool: &str| {
        let (_, found) = server.call(&http, grace, tool, json!({ "release": "backend-v1.0-GCN" })).await;
        found["items"][0]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{tool} lists something: {found}"))
            .to_owned()
    };
    let certification = first("loopiq_list_release_certifications").await;
    let (_, audited) = server.call(&http, grace, "loopiq_get_action", json!({ "actionId": action })).await;
    let text = audited.to_string() + &done.to_string() + &proposed.to_string();
    let start = text.find("\"rwp_").unwrap_or_else(|| panic!("a package is made: {text}")) + 1;
    json!({
        "release": proposed["approval"]["card"]["release"]["id"],
        "certification": certification,
        "evidence": first("loopiq_list_evidence").await,
        "gap": first("loopiq_list_evidence_gaps").await,
        "blocker": first("loopiq_list_provider_blockers").await,
        "workItem": first("loopiq_list_work_items").await,
        "package": text.get(start..start + 30),
        "action": action,
        "digest": done["card"]["digest"],
        "style": style(server).await,
        "user": user(server).await,
    })
}

/// Id of a member of acme with whom the callers have nothing to do.
async fn user(server: &Server) -> String {
    let (_, members) = server.by_hand(&server.sign_in("ada").await, "loopiq_list_members", json!({})).await;
    let linus = members["items"].as_array().unwrap().iter().find(|m| m["email"] == "linus@acme.example");
    linus.unwrap()["id"].as_str().unwrap().to_owned()
}

/// Name of the style sheet, as a page links it.
async fn style(server: &Server) -> String {
    let page = http().get(format!("{}/app/login", server.url)).send().await.unwrap().text().await.unwrap();
    let linked = page.split("/assets/").skip(1).filter_map(|rest| rest.split('"').next());
    linked.into_iter().find(|name| name.contains(".css")).expect("a page links its style").to_owned()
}

/// The address of a route with records of acme in it.
fn filled(route: &str, records: &Value) -> String {
    let id = match route.split('/').nth(3).unwrap_or_default() {
        "certifications" => &records["certification"],
        "work-items" => &records["workItem"],
        _ => &records["action"],
    };
    // The first record of a log, whose head was signed before.
    let path = route.replace("{path}", "0/000.p/1").replace("{sequence}", "0").replace("{first}", "1");
    let mut path = path.replace("{id}", id.as_str().unwrap());
    for (name, id) in records.as_object().unwrap() {
        path = path.replace(&format!("{{{name}}}"), id.as_str().unwrap());
    }
    path = path.replace("{slug}", "acme").replace("{name}", "loopiq_get_release");
    assert!(!path.contains('{'), "{route} has a part nobody filled");
    match route {
        "/api/v1/releases/{release}/difference" | "/app/releases/{release}/difference" => {
            path + "?with=backend-v1.1-GCN"
        }
        "/api/v1/access" => path + "?role=viewer",
        "/api/v1/search" => path + "?query=ledger",
        "/api/v1/gaps" | "/api/v1/evidence" | "/api/v1/blockers" | "/api/v1/risks" => {
            format!("{path}?release={}", records["release"].as_str().unwrap())
        }
        "/api/v1/audit" => format!("{path}?actionId={}", records["action"].as_str().unwrap()),
        "/app/audit/export" => format!("{path}?action={}", records["action"].as_str().unwrap()),
        _ => path,
    }
}

/// Everything there is to ask: what the description says, then the rest; what ends a session comes last.
async fn everything(server: &Server, records: &Value) -> Vec<(String, String, String)> {
    let document: Value =
        http().get(format!("{}/api/v1/openapi.json", server.url)).send().await.unwrap().json().await.unwrap();
    let described = document["paths"].as_object().unwrap().iter().flat_map(|(route, methods)| {
        methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), route.clone()))
    });
    let plain = PLAIN.iter().flat_map(|(route, methods)| {
        methods.iter().map(move |method| ((*method).to_owned(), (*route).to_owned()))
    });
    let (last, mut all): (Vec<_>, Vec<_>) =
        described.chain(plain).partition(|asked| ends_session(&asked.1, &asked.0));
    all.extend(last);
    all.into_iter()
        .map(|(method, route)| {
            let path = filled(&route, records);
            (method, route, path)
        })
        .collect()
}

fn ends_session(route: &str, method: &str) -> bool {
    (method == "DELETE" && route == "/api/v1/session") || route == "/app/logout"
}

#[test]
fn every_route_that_no_document_describes_is_asked() {
    let written: usize = ROUTERS.iter().map(|source| source.matches(".route(").count()).sum();
    assert_eq!(PLAIN.len() + SHARED, written, "a route is missing in PLAIN, or one there is gone");
}

on_both_engines! {
    every_address_for_every_kind_of_caller
}

async fn every_address_for_every_kind_of_caller(home: Home) {
    let server = Server::demo(&home);
    let (ada, grace, max) =
        (server.token("ada", "acme"), server.token("grace", "acme"), server.token("max", "globex"));
    let records = records(&server, &grace).await;
    for organization in ["acme", "globex"] {
        home.administer(&["audit", "checkpoint", "--org", organization]);
    }
    let issued = home.administer(&["token", "issue", "--org", "acme", "--email", "ada@acme.example"]);
    let revoked = issued[0]["token"].as_str().unwrap().to_owned();
    home.administer(&["token", "revoke", "--org", "acme", issued[0]["id"].as_str().unwrap()]);

    let issued = home.administer(&[
        "token",
        "issue",
        "--org",
        "acme",
        "--email",
        "ada@acme.example",
        "--scope",
        "users:manage",
    ]);
    let directory = issued[0]["token"].as_str().unwrap().to_owned();

    let globex = known_to(&server, &max).await;
    let secrets: Vec<String> = known_to(&server, &ada).await.difference(&globex).cloned().collect();
    assert!(secrets.len() > 100 && secrets.iter().any(|s| s == "backend-v1.0-GCN"), "{secrets:?}");

    let token = |token: &str| Credential::Token(token.to_owned());
    let mut callers = [
        Caller { title: "nobody", person: None, belongs: false, credential: Credential::Nothing },
        Caller {
            title: "foreign session",
            person: Some("max"),
            belongs: false,
            credential: signed_in(&server, "max").await,
        },
        Caller { title: "foreign token", person: None, belongs: false, credential: token(&max) },
        Caller { title: "revoked token", person: None, belongs: false, credential: token(&revoked) },
        Caller {
            title: "viewer token",
            person: None,
            belongs: true,
            credential: token(&server.token("vic", "acme")),
        },
        Caller {
            title: "viewer session",
            person: Some("vic"),
            belongs: true,
            credential: signed_in(&server, "vic").await,
        },
        Caller { title: "admin token", person: None, belongs: true, credential: token(&ada) },
        Caller {
            title: "admin session",
            person: Some("ada"),
            belongs: true,
            credential: signed_in(&server, "ada").await,
        },
        Caller { title: "token of a directory", person: None, belongs: true, credential: token(&directory) },
    ];

    let mut table = String::new();
    let mut telling = 0;
    for (at, caller) in callers.iter().enumerate() {
        writeln!(table, "{}: {}", at + 1, caller.title).unwrap();
    }
    table.push_str("MCP: 200 with a result, 200! with a refusal\n\n");
    for (method, route, path) in everything(&server, &records).await {
        write!(table, "{:60}", format!("{method} {route}")).unwrap();
        for caller in &mut callers {
            if let (true, Some(person)) = (ends_session(&route, &method), caller.person) {
                caller.credential = signed_in(&server, person).await;
            }
            let asked = Asked { method: &method, route: &route, path: path.clone() };
            let (outcome, told) = outcome(&server, &asked, caller, &records, &secrets).await;
            telling += usize::from(told);
            write!(table, " {outcome:5}").unwrap();
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    }
    assert!(telling > 80, "{telling} answers to members name records: the search for names finds them");
    testkit::golden::check(env!("CARGO_MANIFEST_DIR"), "addresses-and-callers.txt", &table);
}

/// How a request was answered. What comes back to somebody who does not belong to acme names none of its records, but for
/// those the request itself named. Also whether it names any.
async fn outcome(
    server: &Server,
    asked: &Asked<'_>,
    caller: &Caller,
    records: &Value,
    secrets: &[String],
) -> (String, bool) {
    let request = asked.of(server, caller, records).build().unwrap();
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    let said = format!("{} {}", request.url(), String::from_utf8_lossy(body));
    let mut answer = caller.client().execute(request).await.unwrap();
    let status = answer.status().as_u16();
    let headers = format!("{:?}", answer.headers());
    let text = if headers.contains("text/event-stream") {
        // It goes on for as long as somebody listens; what it says is said by its first event.
        String::from_utf8(answer.chunk().await.unwrap().unwrap().to_vec()).unwrap()
    } else {
        answer.text().await.unwrap()
    };
    assert!(status < 500, "{} {} of {}: {text}", asked.method, asked.route, caller.title);
    if status == 401 {
        assert!(headers.contains("www-authenticate") || asked.route == "/app/login", "{headers}");
    }
    // A log keeps what its people have asked for in vain, in their own words.
    let own = if asked.route.ends_with("/bundle") { records.to_string() } else { String::new() };
    let told = secrets.iter().find(|secret| {
        !said.contains(secret.as_str())
            && !own.contains(secret.as_str())
            && (text.contains(secret.as_str()) || headers.contains(secret.as_str()))
    });
    if !caller.belongs {
        assert_eq!(told, None, "{} {} told {}: {text}", asked.method, asked.route, caller.title);
    }
    let answered: Value = serde_json::from_str(&text).unwrap_or_default();
    let refused = asked.is_mcp() && (answered["error"].is_object() || answered["result"]["isError"] == true);
    let outcome = if status == 200 && refused { format!("{status}!") } else { status.to_string() };
    (outcome, told.is_some())
}
