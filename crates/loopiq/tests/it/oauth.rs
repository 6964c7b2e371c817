//! Clients that people let in: from the challenge of a 401 to a working connection and its end, and what attackers try on
//! the way.

use data_encoding::BASE64URL_NOPAD;
use domain::digest::Digest;
use reqwest::header::{CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::audit_log::{export, faults};
use crate::server::{CREATE, Home, Server, http, on_both_engines};

on_both_engines! {
    a_person_lets_a_client_in_and_ends_it
    every_variant_of_metadata_is_there_and_agrees
    a_code_is_good_once_for_its_client_its_proof_and_its_address
    a_stolen_refresh_token_ends_everything_and_a_hasty_client_does_not
    a_token_is_good_for_what_it_was_made_for
    what_no_client_may_ask_is_not_sent_anywhere
    consent_is_given_by_the_person_alone
    what_ends_a_person_ends_their_clients
    a_machine_is_let_in_by_its_own_proof
    an_access_token_that_says_something_else_is_refused
}

pub const REDIRECT: &str = "http://127.0.0.1/callback";
pub const VERIFIER: &str = "a-verifier-that-nobody-else-knows-0123456789-abcdefgh";

pub trait Fields {
    /// A form as the body.
    fn fields(self, fields: &[(&str, &str)]) -> Self;
}

impl Fields for RequestBuilder {
    fn fields(self, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = reqwest::Url::parse_with_params("http://localhost/", fields).unwrap();
        let body = body.query().unwrap_or_default().to_owned();
        self.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
    }
}

/// A client as far as a test plays one.
pub struct Program {
    pub id: String,
    pub redirect: String,
}

pub fn challenge() -> String {
    BASE64URL_NOPAD.encode(&Digest::of(VERIFIER.as_bytes()).0)
}

/// Registers with these redirect addresses.
pub async fn register(server: &Server, metadata: Value) -> (u16, Value) {
    let answer = http().post(format!("{}/register", server.url)).json(&metadata).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

pub async fn program(server: &Server) -> Program {
    let metadata = json!({
        "client_name": "Editor", "redirect_uris": [REDIRECT], "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"], "token_endpoint_auth_method": "none", "application_type": "native",
    });
    let (status, registered) = register(server, metadata).await;
    assert_eq!(status, 201, "{registered}");
    assert!(
        registered.get("client_secret").is_none() && !registered.to_string().contains("null"),
        "{registered}"
    );
    // A native program listens where it can.
    Program {
        id: registered["client_id"].as_str().unwrap().into(),
        redirect: "http://127.0.0.1:41234/callback".into(),
    }
}

impl Program {
    /// What it sends the browser to, with some parameters replaced; those that are empty are left out.
    pub fn asks(&self, server: &Server, other: &[(&str, &str)]) -> String {
        let resource = format!("{}/mcp", server.url);
        let challenge = challenge();
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", self.id.as_str()),
            ("redirect_uri", self.redirect.as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("scope", "loopiq:read loopiq:write"),
            ("state", "st/ate=1"),
            ("resource", resource.as_str()),
        ];
        for (name, value) in other {
            parameters.retain(|(known, _)| known != name);
            parameters.push((name, value));
        }
        parameters.retain(|(_, value)| !value.is_empty());
        let url = reqwest::Url::parse_with_params(&format!("{}/authorize", server.url), parameters);
        url.unwrap().to_string()
    }

    /// Asks a person, who lets it in to an organization; where the browser is led.
    pub async fn lets_in(
        &self,
        server: &Server,
        person: &(Client, String),
        organization: &str,
        other: &[(&str, &str)],
    ) -> Vec<(String, String)> {
        let page = person.0.get(self.asks(server, other)).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let page = page.text().await.unwrap();
        let answer =
            decides(server, person, &page, &[("organization", organization), ("decision", "allow")]).await;
        assert_eq!(answer.status(), 303, "{}", answer.text().await.unwrap());
        led(&answer)
    }

    /// A code for the person in the organization.
    pub async fn code(&self, server: &Server, person: &(Client, String), other: &[(&str, &str)]) -> String {
        let parameters = self.lets_in(server, person, "acme", other).await;
        value(&parameters, "code").unwrap_or_else(|| panic!("{parameters:?}"))
    }

    /// Redeems a code, with some parameters replaced.
    pub async fn redeems(&self, server: &Server, code: &str, other: &[(&str, &str)]) -> (u16, Value) {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", self.id.as_str()),
            ("code", code),
            ("redirect_uri", self.redirect.as_str()),
            ("code_verifier", VERIFIER),
        ];
        for (name, value) in other {
            form.retain(|(known, _)| known != name);
            form.push((name, value));
        }
        form.retain(|(_, value)| !value.is_empty());
        token(server, &form).await
    }

    pub async fn refreshes(&self, server: &Server, refresh: &str) -> (u16, Value) {
        let form =
            [("grant_type", "refresh_token"), ("client_id", self.id.as_str()), ("refresh_token", refresh)];
        token(server, &form).await
    }

    /// Everything up to the tokens.
    pub async fn connects(&self, server: &Server, name: &str, other: &[(&str, &str)]) -> Value {
        let person = server.sign_in(name).await;
        let code = self.code(server, &person, other).await;
        let (status, tokens) = self.redeems(server, &code, &[]).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }
}

pub async fn token(server: &Server, form: &[(&str, &str)]) -> (u16, Value) {
    let answer = http().post(format!("{}/token", server.url)).fields(form).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    (answer.status().as_u16(), answer.json().await.unwrap())
}

pub fn hidden(page: &str, name: &str) -> String {
    let (_, rest) =
        page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name} in {page}"));
    let value = rest.split('"').next().unwrap();
    value.replace("&amp;", "&")
}

/// Presses a button of the page that asks.
pub async fn decides(
    server: &Server,
    person: &(Client, String),
    page: &str,
    fields: &[(&str, &str)],
) -> Response {
    let (csrf, request) = (hidden(page, "csrf"), hidden(page, "request"));
    let mut form = vec![("csrf", csrf.as_str()), ("request", request.as_str())];
    form.extend(fields);
    person.0.post(format!("{}/authorize", server.url)).fields(&form).send().await.unwrap()
}

pub fn led(answer: &Response) -> Vec<(String, String)> {
    let place = reqwest::Url::parse(answer.headers()[LOCATION].to_str().unwrap()).unwrap();
    place.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

pub fn value(parameters: &[(String, String)], name: &str) -> Option<String> {
    parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

/// What is said to whoever calls the endpoint at `path` with a token: the status, the challenge, and the answer.
pub async fn asked_at(server: &Server, path: &str, token: &str, tool: &str) -> (u16, String, Value) {
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": {} },
    });
    let asked = http().post(format!("{}{path}", server.url)).bearer_auth(token).json(&message);
    let answer = asked.header("MCP-Protocol-Version", "2025-11-25").send().await.unwrap();
    let challenge = answer.headers().get(WWW_AUTHENTICATE).map(|v| v.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    (status, challenge.unwrap_or_default(), answer.json().await.unwrap())
}

pub async fn listed(server: &Server, path: &str, token: &str) -> Vec<String> {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let asked = http().post(format!("{}{path}", server.url)).bearer_auth(token).json(&message);
    let answer: Value = asked.send().await.unwrap().json().await.unwrap();
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// What an access token says.
pub fn said(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap()).unwrap()
}

pub fn access(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap()
}

pub fn refresh(tokens: &Value) -> &str {
    tokens["refresh_token"].as_str().unwrap()
}

async fn a_person_lets_a_client_in_and_ends_it(home: Home) {
    let server = Server::demo(&home);
    // As a client does: it is told where to ask, and what for.
    let answer = http().post(format!("{}/mcp", server.url)).json(&json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let challenge = answer.headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned();
    let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", server.url);
    assert!(challenge.contains(&format!("resource_metadata=\"{metadata}\"")), "{challenge}");
    assert!(
        challenge.contains("scope=\"loopiq:read loopiq:write\"") && !challenge.contains("error"),
        "{challenge}"
    );

    let editor = program(&server).await;
    let stranger = http().get(editor.asks(&server, &[])).send().await.unwrap();
    assert!(stranger.url().path() == "/app/login" && stranger.url().query().unwrap().contains("authorize"));
    let dana = server.sign_in("dana").await;
    let page = dana.0.get(editor.asks(&server, &[])).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.contains("form-action 'self' http://127.0.0.1:41234")
            && policy.contains("frame-ancestors 'none'")
    );
    let page = page.text().await.unwrap();
    for words in [
        "Editor",
        "this computer",
        "dana@consult.example",
        "value=\"acme\"",
        "value=\"globex\"",
        "nobody has checked",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let parameters = editor.lets_in(&server, &dana, "globex", &[]).await;
    assert_eq!(value(&parameters, "state").unwrap(), "st/ate=1");
    assert_eq!(value(&parameters, "iss").unwrap(), server.url);
    let (status, tokens) = editor.redeems(&server, &value(&parameters, "code").unwrap(), &[]).await;
    assert_eq!((status, &tokens["token_type"]), (200, &json!("Bearer")), "{tokens}");
    assert_eq!((&tokens["expires_in"], &tokens["scope"]), (&json!(3600), &json!("loopiq:read loopiq:write")));
    let (error, context) = server.call(&http(), access(&tokens), "loopiq_get_context", json!({})).await;
    assert!(!error && context["context"]["organization"]["slug"] == "globex", "{context}");

    // Refreshed, the same; and it may propose, as its person.
    let grace = editor.connects(&server, "grace", &[]).await;
    let (status, again) = editor.refreshes(&server, refresh(&grace)).await;
    assert_eq!(status, 200, "{again}");
    let package = server.package(&http(), access(&again), "From a connected client").await;
    let (error, pending) = server.call(&http(), access(&again), CREATE, package).await;
    assert!(!error && pending["status"] == "pending_approval", "{pending}");
    assert_eq!(pending["approval"]["card"]["requestedBy"]["email"], "grace@acme.example", "{pending}");

    // It hands its token back, and both are good for nothing.
    let form = [("client_id", editor.id.as_str()), ("token", refresh(&again))];
    let done = http().post(format!("{}/revoke", server.url)).fields(&form).send().await.unwrap();
    assert_eq!(done.status(), 200);
    let (status, challenge, _) = asked_at(&server, "/mcp", access(&again), "loopiq_get_context").await;
    assert!(status == 401 && challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert_eq!(editor.refreshes(&server, refresh(&again)).await.0, 400);
    let records =
        server.call(&http(), &server.token("ada", "acme"), "loopiq_list_audit_records", json!({})).await.1;
    let tools: Vec<&Value> = records["items"].as_array().unwrap().iter().map(|item| &item["tool"]).collect();
    for operation in ["allow_client", "disconnect_client"] {
        assert!(tools.contains(&&json!(operation)), "{operation}: {tools:?}");
    }
    assert_eq!(faults(&export(&home, "clients.bundle"), &[]), [""; 0]);
}

async fn every_variant_of_metadata_is_there_and_agrees(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let read = async |path: &str| {
        let asked = http.get(format!("{}{path}", server.url)).header("Origin", "https://elsewhere.example");
        let answer = asked.send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.headers().get("access-control-allow-origin").cloned(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    for path in ["", "/mcp", "/mcp/readonly", "/t/acme/mcp"] {
        let (status, shared, document) = read(&format!("/.well-known/oauth-protected-resource{path}")).await;
        assert_eq!((status, shared.unwrap().to_str().unwrap()), (200, "*"), "{path}");
        assert_eq!(document["resource"], format!("{}{path}", server.url));
        assert_eq!(document["authorization_servers"], json!([server.url]));
        // The 401 of the endpoint names exactly this document.
        let at = if path.is_empty() { "/" } else { path };
        let answer = http.post(format!("{}{at}", server.url)).json(&json!({})).send().await.unwrap();
        let challenge = answer.headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned();
        let named =
            format!("resource_metadata=\"{}/.well-known/oauth-protected-resource{path}\"", server.url);
        assert!(challenge.contains(&named), "{path}: {challenge}");
    }
    let (_, _, one) = read("/.well-known/oauth-authorization-server").await;
    let (_, _, other) = read("/.well-known/openid-configuration").await;
    assert_eq!(one, other);
    assert_eq!(one["issuer"], server.url);
    assert_eq!(one["code_challenge_methods_supported"], json!(["S256"]));
    for member in ["authorization_response_iss_parameter_supported", "client_id_metadata_document_supported"]
    {
        assert_eq!(one[member], true, "{member}");
    }
    for endpoint in ["token", "registration", "revocation", "introspection"] {
        let address = one[format!("{endpoint}_endpoint")].as_str().unwrap();
        let answer =
            http.request(reqwest::Method::OPTIONS, address).header("Origin", "https://elsewhere.example");
        assert_eq!(answer.send().await.unwrap().status(), 204, "{endpoint}");
    }
    let keys: Value = http.get(one["jwks_uri"].as_str().unwrap()).send().await.unwrap().json().await.unwrap();
    assert_eq!(keys["keys"][0]["alg"], "EdDSA");
    assert!(keys["keys"][0].get("d").is_none(), "no private part");
    // No metadata of an issuer that is none of ours.
    for path in ["/.well-known/oauth-authorization-server/mcp", "/mcp/.well-known/openid-configuration"] {
        let answer = http.get(format!("{}{path}", server.url)).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
}

async fn a_code_is_good_once_for_its_client_its_proof_and_its_address(home: Home) {
    let server = Server::demo(&home);
    let (editor, other) = (program(&server).await, program(&server).await);
    let grace = server.sign_in("grace").await;
    let refused = |(status, answer): (u16, Value), what: &str| {
        assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")), "{what}: {answer}");
    };
    let code = editor.code(&server, &grace, &[]).await;
    refused(other.redeems(&server, &code, &[]).await, "a code injected into another client");
    refused(editor.redeems(&server, &code, &[("code_verifier", &"x".repeat(43))]).await, "without the proof");
    refused(
        editor.redeems(&server, &code, &[("code_verifier", &challenge())]).await,
        "the challenge as the proof",
    );
    let elsewhere = [("redirect_uri", "http://127.0.0.1:9/callback")];
    refused(editor.redeems(&server, &code, &elsewhere).await, "another address");
    let (status, answer) = editor.redeems(&server, &code, &[("code_verifier", "")]).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_request")), "no proof at all: {answer}");
    let (status, answer) = editor.redeems(&server, &code, &[("resource", "https://evil.example/mcp")]).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_target")), "{answer}");
    let (status, tokens) = editor.redeems(&server, &code, &[]).await;
    assert_eq!(status, 200, "{tokens}");
    // Twice: one of the two is not the client. Whoever was first loses what they got.
    refused(editor.redeems(&server, &code, &[]).await, "a replay");
    assert_eq!(asked_at(&server, "/mcp", access(&tokens), "loopiq_get_context").await.0, 401);
    refused(editor.redeems(&server, "liqc_nonsense", &[]).await, "no code");
    // Four at the same moment: one gets tokens, and then nobody has any.
    let code = editor.code(&server, &grace, &[]).await;
    let redeem = || editor.redeems(&server, &code, &[]);
    let (a, b, c, d) = tokio::join!(redeem(), redeem(), redeem(), redeem());
    let all = [a, b, c, d];
    assert!(all.iter().filter(|(status, _)| *status == 200).count() <= 1, "{all:?}");
}

async fn a_stolen_refresh_token_ends_everything_and_a_hasty_client_does_not(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let first = editor.connects(&server, "grace", &[]).await;
    // A hasty client sends the same one several times at once, and always gets the same successor.
    let hasty = || editor.refreshes(&server, refresh(&first));
    let (a, b, c, d) = tokio::join!(hasty(), hasty(), hasty(), hasty());
    let all = [a, b, c, d];
    assert!(all.iter().all(|(status, _)| *status == 200), "{all:?}");
    let second = &all[0].1;
    assert!(all.iter().all(|(_, tokens)| refresh(tokens) == refresh(second)));
    assert_ne!(refresh(second), refresh(&first));
    let (status, third) = editor.refreshes(&server, refresh(second)).await;
    assert_eq!(status, 200, "{third}");
    // The successor has been used: whoever still has the first one is not the client.
    let (status, answer) = editor.refreshes(&server, refresh(&first)).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")), "{answer}");
    for token in [access(&first), access(&third)] {
        assert_eq!(asked_at(&server, "/mcp", token, "loopiq_get_context").await.0, 401);
    }
    assert_eq!(editor.refreshes(&server, refresh(&third)).await.0, 400, "the whole family has ended");
    let records = json!({ "kind": ["administered"] });
    let records =
        server.call(&http(), &server.token("ada", "acme"), "loopiq_list_audit_records", records).await.1;
    assert!(records.to_string().contains("refresh_token_reused"), "{records}");
    // Another client's token, and a wider scope.
    let other = program(&server).await;
    let narrow = editor.connects(&server, "grace", &[("scope", "loopiq:read")]).await;
    assert_eq!(other.refreshes(&server, refresh(&narrow)).await.1["error"], "invalid_grant");
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", editor.id.as_str()),
        ("refresh_token", refresh(&narrow)),
        ("scope", "loopiq:read loopiq:write"),
    ];
    assert_eq!(token(&server, &form).await.1["error"], "invalid_scope");
}

async fn a_token_is_good_for_what_it_was_made_for(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let at = |path: &str| format!("{}{path}", server.url);
    // One resource, by all the names that clients give it.
    for name in ["", "/", "/mcp", "/mcp/"] {
        let tokens = editor.connects(&server, "grace", &[("resource", &at(name))]).await;
        for path in ["/", "/mcp", "/mcp/", "/mcp/readonly", "/t/acme/mcp"] {
            assert_eq!(
                asked_at(&server, path, access(&tokens), "loopiq_get_context").await.0,
                200,
                "{name} {path}"
            );
        }
    }
    let readonly = editor.connects(&server, "grace", &[("resource", &at("/mcp/readonly"))]).await;
    assert_eq!(readonly["scope"], "loopiq:read", "what is not there is not allowed");
    assert_eq!(asked_at(&server, "/mcp/readonly", access(&readonly), "loopiq_get_context").await.0, 200);
    let acme = editor.connects(&server, "dana", &[("resource", &at("/t/acme/mcp"))]).await;
    assert_eq!(asked_at(&server, "/t/acme/mcp", access(&acme), "loopiq_get_context").await.0, 200);
    for (token, path) in
        [(&readonly, "/mcp"), (&readonly, "/t/acme/mcp"), (&acme, "/mcp"), (&acme, "/t/globex/mcp")]
    {
        let (status, challenge, _) = asked_at(&server, path, access(token), "loopiq_get_context").await;
        assert!(status == 401 && challenge.contains("another resource"), "{path}: {challenge}");
    }
    // The organization is the token's, whatever a header says.
    let asked = http()
        .post(at("/mcp"))
        .bearer_auth(server.token("dana", "acme"))
        .header("LoopIQ-Organization", "globex");
    assert_eq!(asked.json(&json!({})).send().await.unwrap().status(), 403);
    // Only to read: tools that write are not listed, and calling one says what to ask the person for.
    let narrow = editor.connects(&server, "grace", &[("scope", "loopiq:read")]).await;
    assert!(!listed(&server, "/mcp", access(&narrow)).await.contains(&CREATE.to_owned()));
    let (status, challenge, _) = asked_at(&server, "/mcp", access(&narrow), CREATE).await;
    assert_eq!(status, 403);
    assert!(
        challenge.contains("error=\"insufficient_scope\"") && challenge.contains("loopiq:write"),
        "{challenge}"
    );
    // A role that can never use it gets an answer, not a challenge that would lead nowhere.
    let rita = editor.connects(&server, "rita", &[("scope", "loopiq:read")]).await;
    assert_eq!(asked_at(&server, "/mcp", access(&rita), CREATE).await.0, 200);
}

async fn what_no_client_may_ask_is_not_sent_anywhere(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let grace = server.sign_in("grace").await;
    // Neither the client nor the address is known: the person is told, nothing is sent anywhere.
    for other in [
        [("client_id", "cli_unknown")],
        [("redirect_uri", "https://evil.example/callback")],
        [("redirect_uri", "http://127.0.0.1:1@evil.example/callback")],
        [("redirect_uri", "http://localhost:41234/callback")],
        [("redirect_uri", "http://127.0.0.1:41234/callback/../x")],
        [("redirect_uri", "javascript:alert(1)")],
        [("client_id", "https://127.0.0.1/client.json")],
        [("client_id", "http://169.254.169.254/latest/meta-data/client.json")],
    ] {
        let answer = grace.0.get(editor.asks(&server, &other)).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{other:?}");
        assert!(answer.headers().get(LOCATION).is_none(), "{other:?}");
        let page = answer.text().await.unwrap();
        assert!(!page.contains("evil.example") && !page.contains("alert(1)"), "{other:?}: {page}");
    }
    // The address is good: the client is told.
    for (other, error) in [
        ([("response_type", "token")], "unsupported_response_type"),
        ([("code_challenge_method", "plain")], "invalid_request"),
        ([("code_challenge_method", "")], "invalid_request"),
        ([("code_challenge", "")], "invalid_request"),
        ([("code_challenge", "short")], "invalid_request"),
        ([("resource", "https://evil.example/mcp")], "invalid_target"),
        ([("resource", "http://127.0.0.1.evil.example/mcp")], "invalid_target"),
        ([("scope", "admin *")], "invalid_scope"),
    ] {
        let answer = grace.0.get(editor.asks(&server, &other)).send().await.unwrap();
        assert_eq!(answer.status(), 303, "{other:?}");
        let parameters = led(&answer);
        assert_eq!(value(&parameters, "error").as_deref(), Some(error), "{other:?}");
        assert_eq!(value(&parameters, "iss").unwrap(), server.url);
        assert_eq!(value(&parameters, "state").unwrap(), "st/ate=1");
    }
    let twice = format!("{}&client_id=other", editor.asks(&server, &[]));
    assert_eq!(grace.0.get(twice).send().await.unwrap().status(), 400, "a parameter twice");
    // Nobody signed in, and nobody may be asked.
    let quiet = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = quiet.get(editor.asks(&server, &[("prompt", "none")])).send().await.unwrap();
    assert_eq!(value(&led(&answer), "error").unwrap(), "login_required");
    // Registration.
    for (metadata, error) in [
        (json!({ "redirect_uris": ["javascript:alert(1)"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["http://evil.example/"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": [] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": [REDIRECT], "grant_types": ["implicit"] }), "invalid_client_metadata"),
        (
            json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "magic" }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": [REDIRECT], "jwks_uri": "http://169.254.169.254/" }),
            "invalid_client_metadata",
        ),
        (json!({ "redirect_uris": 5 }), "invalid_client_metadata"),
        (json!([1]), "invalid_client_metadata"),
    ] {
        let (status, answer) = register(&server, metadata.clone()).await;
        assert_eq!((status, &answer["error"]), (400, &json!(error)), "{metadata}: {answer}");
        assert!(!answer.to_string().contains("evil"), "{answer}");
    }
    // What desktop clients really register; the one address that is none is left out.
    let cursor = json!({ "client_name": "Cursor", "redirect_uris": [
        "cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/agents/mcp/oauth/callback",
        "http://localhost:8787/callback", "file:///etc/passwd",
    ] });
    let (status, answer) = register(&server, cursor).await;
    assert_eq!((status, answer["redirect_uris"].as_array().unwrap().len()), (201, 3), "{answer}");
}

async fn consent_is_given_by_the_person_alone(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let (grace, dana) = (server.sign_in("grace").await, server.sign_in("dana").await);
    let page = grace.0.get(editor.asks(&server, &[])).send().await.unwrap();
    assert_eq!(page.headers()["x-frame-options"], "DENY");
    let page = page.text().await.unwrap();
    let (csrf, request) = (hidden(&page, "csrf"), hidden(&page, "request"));
    let post = async |person: &(Client, String), csrf: &str, origin: Option<&str>| {
        let form = [("csrf", csrf), ("request", &request), ("organization", "acme"), ("decision", "allow")];
        let mut asked = person.0.post(format!("{}/authorize", server.url)).fields(&form);
        if let Some(origin) = origin {
            asked = asked.header("Origin", origin).header("Sec-Fetch-Site", "cross-site");
        }
        asked.send().await.unwrap()
    };
    // Forged, or with another person's token.
    assert_eq!(post(&grace, "", None).await.status(), 403);
    assert_eq!(post(&dana, &csrf, None).await.status(), 403);
    assert_eq!(post(&grace, &csrf, Some("https://evil.example")).await.status(), 403);
    // Looked at again when it comes back: it cannot be changed on the way.
    let changed = page.replace("127.0.0.1%3A41234", "evil.example");
    let answer = decides(&server, &grace, &changed, &[("organization", "acme"), ("decision", "allow")]).await;
    assert_eq!(answer.status(), 400);
    // Not one's own organization, nor one's own team.
    for fields in [
        vec![("organization", "globex"), ("decision", "allow")],
        vec![("organization", "acme"), ("team-acme", "team_nonsense"), ("decision", "allow")],
    ] {
        let answer = decides(&server, &grace, &page, &fields).await;
        assert_eq!(answer.status(), 404, "{fields:?}");
    }
    let answer = decides(&server, &grace, &page, &[("organization", "acme"), ("decision", "deny")]).await;
    assert_eq!(value(&led(&answer), "error").unwrap(), "access_denied");
    // Only the one organization is offered at its own address.
    let resource = format!("{}/t/acme/mcp", server.url);
    let page = dana.0.get(editor.asks(&server, &[("resource", &resource)])).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("value=\"acme\"") && !page.contains("value=\"globex\""), "{page}");
    let answer = decides(&server, &dana, &page, &[("organization", "globex"), ("decision", "allow")]).await;
    assert_eq!(answer.status(), 404);
    // The team that was chosen is the one that lists begin with.
    let teams = server.call(&http(), &server.token("ada", "acme"), "loopiq_list_teams", json!({})).await.1;
    let payments = teams["items"].as_array().unwrap().iter().find(|team| team["key"] == "payments").unwrap();
    let payments = payments["id"].as_str().unwrap();
    let ada = server.sign_in("ada").await;
    let page = ada.0.get(editor.asks(&server, &[])).send().await.unwrap().text().await.unwrap();
    let fields = [("organization", "acme"), ("team-acme", payments), ("decision", "allow")];
    let code = value(&led(&decides(&server, &ada, &page, &fields).await), "code").unwrap();
    let tokens = editor.redeems(&server, &code, &[]).await.1;
    let context = server.call(&http(), access(&tokens), "loopiq_get_context", json!({})).await.1;
    assert_eq!(context["selectedTeam"]["id"], payments, "{context}");
}

async fn what_ends_a_person_ends_their_clients(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let tokens = editor.connects(&server, "linus", &[]).await;
    assert_eq!(asked_at(&server, "/mcp", access(&tokens), "loopiq_get_context").await.0, 200);
    let ada = server.sign_in("ada").await;
    let inactive = json!({ "member": "linus@acme.example", "status": "inactive", "reason": "he leaves" });
    assert_eq!(server.by_hand(&ada, "loopiq_set_member_status", inactive).await.0, 200);
    assert_eq!(
        asked_at(&server, "/mcp", access(&tokens), "loopiq_get_context").await.0,
        401,
        "with the next call"
    );
    // A role that is taken away is gone with the next call too.
    let tokens = editor.connects(&server, "grace", &[]).await;
    assert!(listed(&server, "/mcp", access(&tokens)).await.contains(&CREATE.to_owned()));
    let narrower = json!({
        "member": "grace@acme.example", "reason": "a test", "grant": { "roles": ["viewer"] },
        "revoke": { "teamRoles": [{ "team": "backend", "role": "release_manager" }] },
    });
    let (status, done) = server.by_hand(&ada, "loopiq_change_access", narrower).await;
    assert_eq!(status, 200, "{done}");
    assert!(!listed(&server, "/mcp", access(&tokens)).await.contains(&CREATE.to_owned()));
}

async fn a_machine_is_let_in_by_its_own_proof(home: Home) {
    let server = Server::demo(&home);
    let who = ["--org", "acme", "--email", "grace@acme.example"];
    let permissions =
        ["--permission", "releases:read", "--permission", "mcp:access", "--permission", "teams:read"];
    let agent =
        ["agent", "register", "Nightly", "--mutation-policy", "read_only", "--org", "acme", "--email"];
    let agent = [&agent[..], &["ada@acme.example", "--reason", "a test"], &permissions].concat();
    assert_eq!(home.administer(&agent)[0]["status"], "executed");
    let made =
        home.administer(&[&["client", "create", "Nightly job", "--agent", "Nightly"][..], &who].concat());
    let (id, secret) = (made[0]["clientId"].as_str().unwrap(), made[0]["clientSecret"].as_str().unwrap());
    let ask = async |id: &str, secret: &str| {
        let form = [("grant_type", "client_credentials")];
        let asked = http().post(format!("{}/token", server.url)).basic_auth(id, Some(secret)).fields(&form);
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, refused) = ask(id, "guess").await;
    assert_eq!((status, &refused["error"]), (401, &json!("invalid_client")));
    let (status, tokens) = ask(id, secret).await;
    assert!(status == 200 && tokens.get("refresh_token").is_none(), "{tokens}");
    // What both the agent and its person may, and nothing else.
    let tools = listed(&server, "/mcp", access(&tokens)).await;
    assert!(
        tools.contains(&"loopiq_list_releases".to_owned()) && !tools.contains(&CREATE.to_owned()),
        "{tools:?}"
    );
    // A client that people let in is no machine.
    let editor = program(&server).await;
    let form = [("grant_type", "client_credentials"), ("client_id", editor.id.as_str())];
    assert_eq!(token(&server, &form).await.1["error"], "unauthorized_client");
    home.administer(&[&["client", "remove", id][..], &who].concat());
    assert_eq!(asked_at(&server, "/mcp", access(&tokens), "loopiq_get_context").await.0, 401);
    assert_eq!(ask(id, secret).await.0, 401);
}

async fn an_access_token_that_says_something_else_is_refused(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let tokens = editor.connects(&server, "grace", &[]).await;
    let token = access(&tokens);
    let (header, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let decoded = |part: &str| -> Value {
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
    };
    let encoded = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    let (head, said) = (decoded(header), decoded(claims));
    let keys: Value = http().get(format!("{}/jwks", server.url)).send().await.unwrap().json().await.unwrap();
    let with = |value: &Value, name: &str, to: Value| {
        let mut value = value.clone();
        value[name] = to;
        value
    };
    // Signed with what is public, as if it were a secret; not signed at all; a claim or a header changed under the signature.
    let public = BASE64URL_NOPAD.decode(keys["keys"][0]["x"].as_str().unwrap().as_bytes()).unwrap();
    let hs = with(&head, "alg", json!("HS256"));
    let message = format!("{}.{claims}", encoded(&hs));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &public);
    let confused = format!(
        "{message}.{}",
        BASE64URL_NOPAD.encode(aws_lc_rs::hmac::sign(&key, message.as_bytes()).as_ref())
    );
    let unsigned = format!("{}.{claims}.", encoded(&with(&head, "alg", json!("none"))));
    for forged in [
        confused,
        unsigned,
        format!("{header}.{}.{signature}", encoded(&with(&said, "exp", json!(9_999_999_999_i64)))),
        format!("{header}.{}.{signature}", encoded(&with(&said, "tenant", json!("org_other")))),
        format!("{}.{claims}.{signature}", encoded(&with(&head, "kid", json!("other")))),
        format!("{}.{claims}.{signature}", encoded(&with(&head, "typ", json!("JWT")))),
        format!("{header}.{claims}."),
        format!("{token}x"),
        token.to_uppercase(),
    ] {
        let (status, challenge, answer) = asked_at(&server, "/mcp", &forged, "loopiq_get_context").await;
        assert!(status == 401 && challenge.contains("invalid_token"), "{challenge} {answer}");
    }
    // Nor does a token work where it does not belong.
    let asked = http().post(format!("{}/mcp?access_token={token}", server.url)).json(&json!({}));
    assert_eq!(asked.send().await.unwrap().status(), 401, "never in an address");
    assert_eq!(asked_at(&server, "/mcp", refresh(&tokens), "loopiq_get_context").await.0, 401);
    // A new key signs; what the old one signed stays good.
    home.administer(&["client", "rotate-key"]);
    assert_eq!(asked_at(&server, "/mcp", token, "loopiq_get_context").await.0, 200);
    drop(server);
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let newer = editor.connects(&server, "grace", &[]).await;
    let kid = |token: &str| decoded(token.split('.').next().unwrap())["kid"].clone();
    assert_ne!(kid(access(&newer)), kid(token));
}
