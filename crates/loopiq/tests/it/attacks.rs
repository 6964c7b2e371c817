//! The attacks that signing in and letting clients in must withstand, each by a story that says so. Those that are not played
//! here are played beside what they attack:
//!
//! | attack | story |
//! |---|---|
//! | code injection and replay | `oauth::a_code_is_good_once_for_its_client_its_proof_and_its_address` |
//! | PKCE downgrade | `pkce_is_not_talked_down` |
//! | tricks with redirect addresses, open redirect | `no_address_leads_a_browser_or_a_code_elsewhere` |
//! | mix-up | `every_answer_to_a_client_names_its_issuer`; towards providers `oidc::no_lie_of_a_provider_signs_anybody_in` |
//! | audience confusion | `oauth::a_token_is_good_for_what_it_was_made_for` |
//! | token of another tenant, header against claim | `a_token_of_one_organization_opens_no_other_whatever_headers_say` |
//! | reuse of refresh tokens | `oauth::a_stolen_refresh_token_ends_everything_and_a_hasty_client_does_not` |
//! | CSRF on consent | `oauth::consent_is_given_by_the_person_alone` |
//! | clickjacking | `no_page_is_shown_inside_another` |
//! | SSRF by documents and keys | `no_client_makes_the_server_ask_inside`, `oidc::no_provider_is_asked_inside` |
//! | confusion of algorithms | `a_signature_by_another_algorithm_is_none`, `oauth::an_access_token_that_says_something_else_is_refused` |
//! | expired, not valid yet, clocks apart | `clocks_may_differ_by_a_minute_and_no_more`, `outside_tokens` |
//! | spoofed host and origin | `host_and_origin_of_a_request_change_nothing_that_is_said` |
//! | password spraying | `attacks_on_sign_in::one_password_tried_on_many_accounts_is_stopped_and_recorded` |
//! | session fixation | `attacks_on_sign_in::a_cookie_from_before_signing_in_is_never_the_one_after` |
//! | secrets in logs | `attacks_on_sign_in::no_secret_of_a_sign_in_is_written_down` |

use std::net::TcpListener;

use data_encoding::BASE64URL_NOPAD;
use reqwest::header::{CONTENT_SECURITY_POLICY, HOST, LOCATION, ORIGIN};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::issuer::{Key, now};
use crate::oauth::{
    Fields as _, Program, REDIRECT, VERIFIER, access, asked_at, challenge, hidden, led, program, register,
    token, value,
};
use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    pkce_is_not_talked_down
    no_address_leads_a_browser_or_a_code_elsewhere
    every_answer_to_a_client_names_its_issuer
    a_token_of_one_organization_opens_no_other_whatever_headers_say
    no_page_is_shown_inside_another
    no_client_makes_the_server_ask_inside
    a_signature_by_another_algorithm_is_none
    clocks_may_differ_by_a_minute_and_no_more
    host_and_origin_of_a_request_change_nothing_that_is_said
}

const ASSERTED: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client that stays where it is led.
pub fn quiet() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

async fn pkce_is_not_talked_down(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let grace = server.sign_in("grace").await;
    // Without a challenge, with one that is its own proof, with another way of hashing, with one of another length.
    for other in [
        vec![("code_challenge", ""), ("code_challenge_method", "")],
        vec![("code_challenge_method", "plain"), ("code_challenge", VERIFIER)],
        vec![("code_challenge_method", "")],
        vec![("code_challenge_method", "s256")],
        vec![("code_challenge_method", "S512")],
        vec![("code_challenge", "short")],
        vec![("code_challenge", &*"x".repeat(129))],
    ] {
        let answer = grace.0.get(editor.asks(&server, &other)).send().await.unwrap();
        assert_eq!(answer.status(), 303, "{other:?}");
        let parameters = led(&answer);
        assert_eq!(value(&parameters, "error").as_deref(), Some("invalid_request"), "{other:?}");
        assert!(value(&parameters, "code").is_none(), "{other:?}");
    }
    // A code is worth nothing without the proof, or with the challenge as the proof, however it is called.
    let code = editor.code(&server, &grace, &[]).await;
    for other in [
        vec![("code_verifier", "")],
        vec![("code_verifier", &*challenge())],
        vec![("code_verifier", &*challenge()), ("code_challenge_method", "plain")],
        vec![("code_verifier", &*VERIFIER.to_uppercase())],
    ] {
        let (status, answer) = editor.redeems(&server, &code, &other).await;
        assert!(status == 400 && answer.get("access_token").is_none(), "{other:?}: {answer}");
    }
    assert_eq!(editor.redeems(&server, &code, &[]).await.0, 200, "with the proof it is");
}

async fn no_address_leads_a_browser_or_a_code_elsewhere(home: Home) {
    let server = Server::demo(&home);
    let metadata = json!({
        "client_name": "Web", "redirect_uris": ["https://app.example/callback", REDIRECT],
        "token_endpoint_auth_method": "none",
    });
    let (_, registered) = register(&server, metadata).await;
    let id = registered["client_id"].as_str().unwrap().to_owned();
    let grace = server.sign_in("grace").await;
    for address in [
        "https://app.example/callback/",
        "https://app.example/callback?x=1",
        "https://app.example/callback#x",
        "https://app.example/CALLBACK",
        "https://app.example/callback/../other",
        "https://app.example/other/../callback",
        "https://app.example//callback",
        "https://app.example:8443/callback",
        "https://app.example:443/callback",
        "https://app.example./callback",
        "https://app.example@evil.example/callback",
        "https://app.example\\@evil.example/callback",
        "https://app.example%2f@evil.example/callback",
        "https://app.example.evil.example/callback",
        "https://evil.example/?https://app.example/callback",
        "http://app.example/callback",
        "//app.example/callback",
        "http://127.0.0.1:1@evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1:1/callback/x",
        "http://127.0.0.2/callback",
        "http://[::1]/callback",
        "https://127.0.0.1/callback",
        "javascript:alert(1)//https://app.example/callback",
    ] {
        let client = Program { id: id.clone(), redirect: address.into() };
        let answer = grace.0.get(client.asks(&server, &[])).send().await.unwrap();
        assert!(answer.status() == 400 && answer.headers().get(LOCATION).is_none(), "{address}: {answer:?}");
        let page = answer.text().await.unwrap();
        assert!(!page.contains("evil.example") && !page.contains("alert(1)"), "{address}: {page}");
    }
    let client = Program { id, redirect: "https://app.example/callback".into() };
    let code = client.code(&server, &grace, &[]).await;
    let elsewhere = [("redirect_uri", "http://127.0.0.1/callback")];
    assert_eq!(client.redeems(&server, &code, &elsewhere).await.0, 400, "nor at another of its own");

    // After signing in nobody is led to another site.
    let (email, password) = server.credentials("grace");
    for next in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/app//evil.example",
        "/app/../../evil.example",
        "/app/\t/evil.example",
        "javascript:alert(1)",
        "/authorize",
        "/authorize/../evil",
        "app.evil.example",
    ] {
        let form = [("email", email.as_str()), ("password", password.as_str()), ("next", next)];
        let answer = quiet().post(format!("{}/app/login", server.url)).fields(&form).send().await.unwrap();
        let to = answer.headers()[LOCATION].to_str().unwrap();
        let to = reqwest::Url::parse(&server.url).unwrap().join(to).unwrap();
        assert!(answer.status() == 303 && to.as_str().starts_with(&server.url), "{next}: {to}");
    }
}

async fn every_answer_to_a_client_names_its_issuer(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let grace = server.sign_in("grace").await;
    let page = grace.0.get(editor.asks(&server, &[])).send().await.unwrap().text().await.unwrap();
    let denied = crate::oauth::decides(&server, &grace, &page, &[("decision", "deny")]).await;
    let wrong = grace.0.get(editor.asks(&server, &[("scope", "everything")])).send().await.unwrap();
    let nobody = quiet().get(editor.asks(&server, &[("prompt", "none")])).send().await.unwrap();
    let mut answers: Vec<Vec<(String, String)>> = [&denied, &wrong, &nobody].map(led).into();
    answers.push(editor.lets_in(&server, &grace, "acme", &[]).await);
    for answer in &answers {
        let issuers: Vec<&String> = answer.iter().filter(|(name, _)| name == "iss").map(|(_, v)| v).collect();
        assert_eq!(issuers, [&server.url], "{answer:?}");
    }
    // What it says is what it is known by, and announces.
    let place = format!("{}/.well-known/oauth-authorization-server", server.url);
    let metadata: Value = http().get(place).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["issuer"], server.url);
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    // A code that another server gave out is none here.
    let code = value(answers.last().unwrap(), "code").unwrap();
    let elsewhere = Home::embedded();
    let another = Server::demo(&elsewhere);
    assert_eq!(editor.redeems(&another, &code, &[]).await.0, 401, "nor is its client known there");
}

async fn a_token_of_one_organization_opens_no_other_whatever_headers_say(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let dana = server.sign_in("dana").await;
    let code = value(&editor.lets_in(&server, &dana, "acme", &[]).await, "code").unwrap();
    let tokens = editor.redeems(&server, &code, &[]).await.1;
    let personal = server.token("dana", "acme");
    for token in [access(&tokens), personal.as_str()] {
        let me = async |organization: Option<&str>| {
            let mut asked = http().get(format!("{}/api/v1/me", server.url)).bearer_auth(token);
            if let Some(organization) = organization {
                asked = asked.header("LoopIQ-Organization", organization);
            }
            let answer = asked.send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        };
        for named in [None, Some("acme")] {
            let (status, said) = me(named).await;
            assert_eq!((status, &said["organization"]["slug"]), (200, &json!("acme")), "{said}");
        }
        // She belongs to globex too, but this token does not; whether an organization exists makes no difference.
        for other in ["globex", "initech", "acme,globex", "ACME "] {
            let (status, said) = me(Some(other)).await;
            let fits = other.trim().eq_ignore_ascii_case("acme") && status == 200;
            assert!(fits || (status, &said["code"]) == (403, &json!("tenant_mismatch")), "{other}: {said}");
        }
        let (status, _, _) = asked_at(&server, "/t/globex/mcp", token, "loopiq_get_context").await;
        assert!(matches!(status, 401 | 403), "{status}");
        // Nor does an argument choose one.
        let (error, answer) =
            server.call(&http(), token, "loopiq_list_releases", json!({ "organization": "globex" })).await;
        assert!(error || !answer.to_string().contains("globex"), "{answer}");
    }
}

fn shows_nowhere_else(what: &str, answer: &Response) {
    let headers = answer.headers();
    let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    assert_eq!(headers["x-frame-options"], "DENY", "{what}");
}

async fn no_page_is_shown_inside_another(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let grace = server.sign_in("grace").await;
    let ask = editor.asks(&server, &[]);
    let login = format!("{}/app/login", server.url);
    shows_nowhere_else("sign-in", &quiet().get(&login).send().await.unwrap());
    let refused = quiet().post(&login).fields(&[("email", "a@b.example"), ("password", "x")]);
    shows_nowhere_else("sign-in, refused", &refused.send().await.unwrap());
    shows_nowhere_else("consent", &grace.0.get(&ask).send().await.unwrap());
    let unknown = editor.asks(&server, &[("client_id", "cli_unknown")]);
    shows_nowhere_else("consent, refused", &grace.0.get(&unknown).send().await.unwrap());
    for path in ["", "/connect", "/sessions", "/passkeys", "/approvals", "/nowhere"] {
        let page = grace.0.get(format!("{}/app{path}", server.url)).send().await.unwrap();
        shows_nowhere_else(path, &page);
    }
}

async fn no_client_makes_the_server_ask_inside(home: Home) {
    let server = Server::demo(&home);
    let grace = server.sign_in("grace").await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fd00::1]",
        "[fe80::1]",
        "user@127.0.0.1",
    ] {
        for scheme in ["https", "http"] {
            let id = format!("{scheme}://{host}:{port}/client.json");
            let client = Program { id: id.clone(), redirect: "https://app.example/callback".into() };
            let answer = grace.0.get(client.asks(&server, &[])).send().await.unwrap();
            assert!(answer.status() == 400 && answer.headers().get(LOCATION).is_none(), "{id}");
            // The token endpoint asks no more than the page does.
            let form = [("grant_type", "client_credentials"), ("client_id", id.as_str())];
            assert_eq!(token(&server, &form).await.1["error"], "invalid_client", "{id}");
        }
    }
    // Whoever registers names no place for keys, and whoever signs names none in the header.
    let keys = format!("https://127.0.0.1:{port}/keys");
    let metadata = json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": keys });
    assert_eq!(register(&server, metadata).await.1["error"], "invalid_client_metadata");
    let key = Key::fresh("k");
    let client = signing(&server, &key).await;
    let header = jsonwebtoken::Header { jku: Some(keys.clone()), x5u: Some(keys), ..key.header() };
    let mut stranger = asserted(&server, &client);
    stranger["jti"] = json!("by-jku");
    let assertion = Key::fresh("k").sign_as(&header, &stranger);
    assert_eq!(proves(&server, &assertion).await.1["error"], "invalid_client");
    assert!(listener.accept().is_err(), "nobody has connected");
}

/// Registers a client that proves itself by this key.
pub async fn signing(server: &Server, key: &Key) -> String {
    let metadata = json!({
        "client_name": "Service", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt",
        "jwks": key.set(),
    });
    let (status, registered) = register(server, metadata).await;
    assert_eq!(status, 201, "{registered}");
    registered["client_id"].as_str().unwrap().to_owned()
}

pub fn asserted(server: &Server, client: &str) -> Value {
    json!({ "iss": client, "sub": client, "aud": server.url, "iat": now(), "exp": now() + 300 })
}

/// What is said to whoever proves to be a client by this assertion and has nothing to redeem: `invalid_grant` to a good one.
pub async fn proves(server: &Server, assertion: &str) -> (u16, Value) {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "liqr_nothing"),
        ("client_assertion_type", ASSERTED),
        ("client_assertion", assertion),
    ];
    token(server, &form).await
}

async fn a_signature_by_another_algorithm_is_none(home: Home) {
    let server = Server::demo(&home);
    let key = Key::fresh("k");
    let client = signing(&server, &key).await;
    let claims = |jti: &str| {
        let mut claims = asserted(&server, &client);
        claims["jti"] = json!(jti);
        claims
    };
    let good = key.sign(&claims("good"));
    let (header, rest) = good.split_once('.').unwrap();
    let renamed = |alg: &str| {
        let mut header: Value =
            serde_json::from_slice(&BASE64URL_NOPAD.decode(header.as_bytes()).unwrap()).unwrap();
        header["alg"] = json!(alg);
        format!("{}.{rest}", BASE64URL_NOPAD.encode(header.to_string().as_bytes()))
    };
    let stripped = format!("{}.", good.rsplit_once('.').unwrap().0);
    let mut forged = vec![key.confused(&claims("confused")), key.unsigned(&claims("unsigned")), stripped];
    forged.extend(["none", "None", "HS256", "EdDSA", "RS256", "ES384", ""].map(renamed));
    for assertion in &forged {
        let (status, answer) = proves(&server, assertion).await;
        assert_eq!((status, &answer["error"]), (401, &json!("invalid_client")), "{assertion}: {answer}");
    }
    assert_eq!(proves(&server, &good).await.1["error"], "invalid_grant", "the client is known by it");
}

async fn clocks_may_differ_by_a_minute_and_no_more(home: Home) {
    let server = Server::demo(&home);
    let key = Key::fresh("k");
    let client = signing(&server, &key).await;
    let cases: [(&str, i64, bool); 8] = [
        ("exp", -20, true),
        ("exp", -120, false),
        ("exp", 600, true),
        ("exp", 3_600, false),
        ("nbf", 20, true),
        ("nbf", 300, false),
        ("nbf", -300, true),
        ("iat", -300, true),
    ];
    for (index, (name, seconds, good)) in cases.into_iter().enumerate() {
        let mut claims = asserted(&server, &client);
        claims["jti"] = json!(format!("clock-{index}"));
        claims[name] = json!(now() + seconds);
        let (_, answer) = proves(&server, &key.sign(&claims)).await;
        let expected = if good { "invalid_grant" } else { "invalid_client" };
        assert_eq!(answer["error"], expected, "{name} {seconds}: {answer}");
    }
    let mut timeless = asserted(&server, &client);
    timeless["jti"] = json!("timeless");
    timeless.as_object_mut().unwrap().remove("exp");
    assert_eq!(proves(&server, &key.sign(&timeless)).await.1["error"], "invalid_client");
}

/// A text without the ids of its request, which differ each time: runs of 32 hexadecimal digits.
fn without_ids(text: &str) -> String {
    let parts = text.split_inclusive(|letter: char| !letter.is_ascii_hexdigit());
    parts.filter(|part| part.trim_end_matches(|l: char| !l.is_ascii_hexdigit()).len() != 32).collect()
}

async fn host_and_origin_of_a_request_change_nothing_that_is_said(home: Home) {
    let server = Server::demo(&home);
    let editor = program(&server).await;
    let port = server.url.rsplit(':').next().unwrap().to_owned();
    let wrong = editor.asks(&server, &[("scope", "everything")]);
    let places = [
        format!("{}/.well-known/oauth-authorization-server", server.url),
        format!("{}/.well-known/openid-configuration", server.url),
        format!("{}/.well-known/oauth-protected-resource/mcp", server.url),
        format!("{}/jwks", server.url),
        format!("{}/mcp", server.url),
        format!("{}/app/login", server.url),
        editor.asks(&server, &[]),
        wrong,
    ];
    // Everything that could depend on it: what it says, where it leads, what it challenges for. Ids differ each time.
    let said = async |place: &str, headers: &[(&str, &str)]| {
        let mut asked = quiet().get(place);
        for (name, value) in headers {
            asked = asked.header(*name, *value);
        }
        let answer = asked.send().await.unwrap();
        let status = answer.status().as_u16();
        let named = ["location", "www-authenticate", "set-cookie", "access-control-allow-origin", "link"];
        let lines = named.map(|name| answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned()));
        let text = answer.text().await.unwrap();
        (status, lines, without_ids(&text))
    };
    for place in &places {
        let plain = said(place, &[]).await;
        for spoofed in [
            &[("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https")][..],
            &[("forwarded", "for=1.2.3.4;host=evil.example;proto=https")],
            &[
                ("x-original-host", "evil.example"),
                ("x-host", "evil.example"),
                ("x-forwarded-server", "evil.example"),
            ],
            &[
                ("x-forwarded-prefix", "/evil.example"),
                ("x-original-url", "/evil.example"),
                ("x-rewrite-url", "/evil.example"),
            ],
            &[("x-forwarded-port", "666"), ("x-forwarded-for", "evil.example")],
            // Another name of this machine is answered, and changes no word.
            &[("host", &*format!("localhost:{port}"))],
        ] {
            let answer = said(place, spoofed).await;
            assert_eq!(answer, plain, "{place} {spoofed:?}");
            assert!(!answer.2.contains("evil.example"), "{place} {spoofed:?}");
        }
        for host in [
            "evil.example",
            &*format!("evil.example:{port}"),
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
        ] {
            let (status, lines, text) = said(place, &[("host", host)]).await;
            assert!((400..500).contains(&status), "{place} {host}: {status}");
            assert!(!format!("{lines:?}{text}").contains("evil.example"), "{place} {host}: {lines:?} {text}");
        }
    }

    // A page of another site gives no consent, whatever it says it is.
    let grace = server.sign_in("grace").await;
    let page = grace.0.get(editor.asks(&server, &[])).send().await.unwrap().text().await.unwrap();
    let (csrf, request) = (hidden(&page, "csrf"), hidden(&page, "request"));
    let form =
        [("csrf", csrf.as_str()), ("request", &request), ("organization", "acme"), ("decision", "allow")];
    let own = server.url.as_str();
    let foreign: [&[(&str, &str)]; 7] = [
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1.evil.example")],
        &[("origin", own), ("sec-fetch-site", "cross-site")],
        &[("origin", own), ("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example"), ("host", "evil.example")],
        &[("origin", "https://evil.example"), ("x-forwarded-host", "evil.example")],
    ];
    for headers in foreign {
        let mut asked = grace.0.post(format!("{}/authorize", server.url)).fields(&form);
        for (name, value) in headers {
            asked = asked.header(*name, *value);
        }
        let answer = asked.send().await.unwrap();
        let refused =
            matches!(answer.status().as_u16(), 403 | 421) && answer.headers().get(LOCATION).is_none();
        assert!(refused, "{headers:?}: {answer:?}");
    }
    let honest = grace.0.post(format!("{}/authorize", server.url)).fields(&form).header(ORIGIN, own);
    let answer = honest.header(HOST, format!("127.0.0.1:{port}")).send().await.unwrap();
    assert_eq!(value(&led(&answer), "iss").unwrap(), server.url);
}
