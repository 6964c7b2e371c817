//! Enterprise-managed authorization: a client is let in by the word of the person's identity provider, and everything that must
//! not pass for that word.

use jsonwebtoken::Header;
use serde_json::{Value, json};

use crate::issuer::{Issuer, Key, now};
use crate::oauth::{Fields as _, REDIRECT, access, asked_at, program, register, said, token};
use crate::oidc::{named, open, provider};
use crate::server::{CREATE, Home, Server, http, on_both_engines};

on_both_engines! {
    a_client_is_let_in_by_the_word_of_the_persons_provider
    no_other_assertion_lets_anybody_in
    what_a_provider_no_longer_vouches_for_ends
    of_several_organizations_the_one_that_is_named
}

const ADA: [&str; 4] = ["--org", "acme", "--email", "ada@acme.example"];
const MAX: [&str; 4] = ["--org", "globex", "--email", "max@globex.example"];
const TRUSTED: [&str; 4] = ["--domain", "acme.example", "--accept-identity-assertions", "on"];

/// Changes what an assertion says.
type Lie = fn(&mut Value);

/// A client with a secret, as it presents itself with assertions.
struct Agent {
    id: String,
    secret: String,
}

impl Agent {
    async fn registers(server: &Server) -> Agent {
        let metadata = json!({
            "client_name": "Company agent", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_basic",
        });
        let (status, registered) = register(server, metadata).await;
        assert_eq!(status, 201, "{registered}");
        let text = |name: &str| registered[name].as_str().unwrap().to_owned();
        Agent { id: text("client_id"), secret: text("client_secret") }
    }

    async fn brings(&self, server: &Server, assertion: &str, more: &[(&str, &str)]) -> (u16, Value) {
        let mut form = vec![("grant_type", GRANT), ("assertion", assertion)];
        form.extend(more);
        let asked = http().post(format!("{}/token", server.url)).basic_auth(&self.id, Some(&self.secret));
        let answer = asked.fields(&form).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Signs as the type that counts.
fn word(key: &Key, claims: &Value) -> String {
    key.sign_as(&Header { typ: Some("oauth-id-jag+jwt".into()), ..key.header() }, claims)
}

/// What an honest provider says of grace, each time another word.
fn claims(server: &Server, issuer: &Issuer, agent: &Agent, jti: &str) -> Value {
    json!({
        "iss": issuer.url, "sub": "s-1", "aud": server.url, "client_id": agent.id, "jti": jti, "iat": now(),
        "exp": now() + 300, "resource": format!("{}/mcp", server.url), "scope": "loopiq:read loopiq:write",
        "email": "grace@acme.example", "email_verified": true,
    })
}

async fn records(server: &Server) -> String {
    let ada = server.token("ada", "acme");
    let (_, log) = server.call(&http(), &ada, "loopiq_list_audit_records", json!({ "limit": 100 })).await;
    log.to_string()
}

async fn a_client_is_let_in_by_the_word_of_the_persons_provider(home: Home) {
    let home = open(home);
    let server = Server::demo(&home);
    let place = format!("{}/.well-known/oauth-authorization-server", server.url);
    let metadata: Value = http().get(place).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        metadata["authorization_grant_profiles_supported"],
        json!(["urn:ietf:params:oauth:grant-profile:id-jag"])
    );
    assert!(metadata["grant_types_supported"].as_array().unwrap().contains(&json!(GRANT)), "{metadata}");
    let key = Key::fresh("k");
    let issuer = Issuer::start(&[&key]).await;
    let agent = Agent::registers(&server).await;
    let good = |jti: &str| claims(&server, &issuer, &agent, jti);

    // Off until an administrator says otherwise: neither a provider that signs in nor one whose access tokens are accepted.
    let more = ["--domain", "acme.example", "--accept-access-tokens", "on"];
    let id = named(&home, &issuer.url, &more, &ADA);
    let (status, refused) = agent.brings(&server, &word(&key, &good("1")), &[]).await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")), "{refused}");
    provider(&home, &["set", &id, "--accept-identity-assertions", "on"], &ADA);
    let ada = server.sign_in("ada").await;
    let page = ada.0.get(format!("{}/app/identity-providers", server.url)).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("Lets clients in for its people"), "{page}");

    let (status, tokens) = agent.brings(&server, &word(&key, &good("1")), &[]).await;
    assert_eq!((status, &tokens["scope"]), (200, &json!("loopiq:read loopiq:write")), "{tokens}");
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert!(tokens.get("refresh_token").is_none(), "the provider is asked again: {tokens}");
    assert_eq!(said(access(&tokens))["client_id"], agent.id);
    let (error, context) = server.call(&http(), access(&tokens), "loopiq_get_context", json!({})).await;
    assert!(!error && context["context"]["organization"]["slug"] == "acme", "{context}");
    let package = server.package(&http(), access(&tokens), "By the company's agent").await;
    let (error, pending) = server.call(&http(), access(&tokens), CREATE, package).await;
    assert!(
        !error && pending["approval"]["card"]["requestedBy"]["email"] == "grace@acme.example",
        "{pending}"
    );
    let log = records(&server).await;
    for recorded in ["link_identity", "allow_client_by_provider", id.as_str()] {
        assert!(log.contains(recorded), "{recorded}: {log}");
    }

    // Known from now on by issuer and subject, whatever becomes of the address.
    let mut later = good("2");
    later["email"] = json!("grace@elsewhere.example");
    assert_eq!(agent.brings(&server, &word(&key, &later), &[]).await.0, 200);
    // What the client gets is what it asks for, and the provider has said.
    for (jti, claimed, asked, got) in [
        ("3", json!("loopiq:read"), "loopiq:read loopiq:write", "loopiq:read"),
        ("4", json!("loopiq:read loopiq:write"), "loopiq:read", "loopiq:read"),
        ("5", Value::Null, "loopiq:read", "loopiq:read"),
    ] {
        let mut narrow = good(jti);
        match claimed {
            Value::Null => drop(narrow.as_object_mut().unwrap().remove("scope")),
            claimed => narrow["scope"] = claimed,
        }
        let (status, tokens) = agent.brings(&server, &word(&key, &narrow), &[("scope", asked)]).await;
        assert_eq!((status, &tokens["scope"]), (200, &json!(got)), "{jti}: {tokens}");
        let (status, challenge, _) = asked_at(&server, "/mcp", access(&tokens), CREATE).await;
        assert!(status == 403 && challenge.contains("insufficient_scope"), "{challenge}");
    }
    // For one place alone, by the word of the provider or by the client's own wish.
    let readonly = format!("{}/mcp/readonly", server.url);
    let mut there = good("6");
    there["resource"] = json!([readonly]);
    let mut silent = good("7");
    silent.as_object_mut().unwrap().remove("resource");
    for (claims, more) in [(there, vec![]), (silent, vec![("resource", readonly.as_str())])] {
        let (status, tokens) = agent.brings(&server, &word(&key, &claims), &more).await;
        assert_eq!((status, &tokens["scope"]), (200, &json!("loopiq:read")), "{tokens}");
        assert_eq!(asked_at(&server, "/mcp/readonly", access(&tokens), "loopiq_get_context").await.0, 200);
        assert_eq!(asked_at(&server, "/mcp", access(&tokens), "loopiq_get_context").await.0, 401);
    }
}

async fn no_other_assertion_lets_anybody_in(home: Home) {
    let home = open(home);
    let server = Server::demo(&home);
    let key = Key::fresh("k");
    let (issuer, other) = (Issuer::start(&[&key]).await, Issuer::start(&[&key]).await);
    let (agent, another) = (Agent::registers(&server).await, Agent::registers(&server).await);
    named(&home, &issuer.url, &TRUSTED, &ADA);
    let good = |jti: &str| claims(&server, &issuer, &agent, jti);
    let refused = |(status, answer): (u16, Value), error: &str, what: &str| {
        assert_eq!((status, &answer["error"]), (400, &json!(error)), "{what}: {answer}");
        assert!(answer.get("access_token").is_none(), "{what}");
    };
    let lies: [(&str, Lie); 24] = [
        ("another audience", |c| c["aud"] = json!("https://elsewhere.example")),
        ("the token endpoint", |c| c["aud"] = json!(format!("{}/token", c["aud"].as_str().unwrap()))),
        ("the resource as audience", |c| c["aud"] = json!(format!("{}/mcp", c["aud"].as_str().unwrap()))),
        ("two audiences", |c| c["aud"] = json!([c["aud"], "https://elsewhere.example"])),
        ("no audience", |c| drop(c.as_object_mut().unwrap().remove("aud"))),
        ("another client", |c| c["client_id"] = json!("cli_other")),
        ("no client", |c| drop(c.as_object_mut().unwrap().remove("client_id"))),
        ("run out", |c| c["exp"] = json!(now() - 120)),
        ("no end", |c| drop(c.as_object_mut().unwrap().remove("exp"))),
        ("good for a day", |c| c["exp"] = json!(now() + 86_400)),
        ("issued later", |c| c["iat"] = json!(now() + 600)),
        ("issued never", |c| drop(c.as_object_mut().unwrap().remove("iat"))),
        ("not good yet", |c| c["nbf"] = json!(now() + 600)),
        ("without a name", |c| drop(c.as_object_mut().unwrap().remove("jti"))),
        ("an empty name", |c| c["jti"] = json!("")),
        ("another issuer", |c| c["iss"] = json!("https://id.evil.example")),
        ("nobody", |c| drop(c.as_object_mut().unwrap().remove("sub"))),
        ("bound to a key", |c| c["cnf"] = json!({ "jkt": "x" })),
        ("an address nobody verified", |c| c["email_verified"] = json!(false)),
        ("an address perhaps verified", |c| drop(c.as_object_mut().unwrap().remove("email_verified"))),
        ("no address", |c| drop(c.as_object_mut().unwrap().remove("email"))),
        ("an address of another domain", |c| c["email"] = json!("dana@consult.example")),
        ("no member", |c| c["email"] = json!("nobody@acme.example")),
        ("an address of another organization", |c| c["email"] = json!("max@globex.example")),
    ];
    for (index, (what, lie)) in lies.into_iter().enumerate() {
        let mut claims = good(&format!("lie-{index}"));
        lie(&mut claims);
        refused(agent.brings(&server, &word(&key, &claims), &[]).await, "invalid_grant", what);
    }
    for (index, resource) in [
        json!("https://elsewhere.example/mcp"),
        json!([format!("{}/mcp", server.url), format!("{}/mcp/readonly", server.url)]),
        json!([]),
        json!(5),
    ]
    .into_iter()
    .enumerate()
    {
        let mut claims = good(&format!("resource-{index}"));
        claims["resource"] = resource.clone();
        let answer = agent.brings(&server, &word(&key, &claims), &[]).await;
        refused(answer, "invalid_target", &resource.to_string());
    }
    let readonly = format!("{}/mcp/readonly", server.url);
    let wider = agent.brings(&server, &word(&key, &good("wider")), &[("resource", &readonly)]).await;
    refused(wider, "invalid_target", "another resource than the provider has said");
    let mut none = good("none");
    none["scope"] = json!("calendar:read");
    refused(
        agent.brings(&server, &word(&key, &none), &[]).await,
        "invalid_scope",
        "a scope of somebody else",
    );

    // Signed by somebody else, or in another way, or as something else: ID tokens and access tokens of the provider are none.
    let (stranger, claims) = (Key::fresh("k"), good("forged"));
    let typed =
        |typ: Option<&str>| key.sign_as(&Header { typ: typ.map(Into::into), ..key.header() }, &claims);
    for (what, assertion) in [
        ("a stranger's", word(&stranger, &claims)),
        ("another issuer's", {
            let mut claims = claims.clone();
            claims["iss"] = json!(other.url);
            word(&key, &claims)
        }),
        ("no signature", key.unsigned(&claims)),
        ("a shared secret", key.confused(&claims)),
        ("no type", typed(None)),
        ("a JWT", typed(Some("JWT"))),
        ("an access token", typed(Some("at+jwt"))),
        ("nonsense", "nonsense".into()),
        ("too long", "x".repeat(20_000)),
    ] {
        refused(agent.brings(&server, &assertion, &[]).await, "invalid_grant", what);
    }
    let (status, answer) = agent.brings(&server, "", &[]).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_request")), "{answer}");

    // Nobody brings another's: neither another client, nor one that does not prove who it is, nor a machine.
    let assertion = word(&key, &good("once"));
    refused(another.brings(&server, &assertion, &[]).await, "invalid_grant", "another client's");
    let public = program(&server).await;
    let form = [("grant_type", GRANT), ("client_id", public.id.as_str()), ("assertion", assertion.as_str())];
    refused(token(&server, &form).await, "unauthorized_client", "a public client");
    let wrong = Agent { id: agent.id.clone(), secret: "guess".into() };
    assert_eq!(wrong.brings(&server, &assertion, &[]).await.0, 401);
    // None of that has used it up; it is good once, also for many at the same moment.
    let bring = || agent.brings(&server, &assertion, &[]);
    let (a, b, c) = tokio::join!(bring(), bring(), bring());
    let good = [&a, &b, &c].iter().filter(|(status, _)| *status == 200).count();
    assert_eq!(good, 1, "{a:?} {b:?} {c:?}");
    refused(bring().await, "invalid_grant", "a replay");
    // Nor does it work as a token.
    assert_eq!(asked_at(&server, "/mcp", &assertion, "loopiq_get_context").await.0, 401);
}

async fn what_a_provider_no_longer_vouches_for_ends(home: Home) {
    let home = open(home);
    let server = Server::demo(&home);
    let key = Key::fresh("k");
    let issuer = Issuer::start(&[&key]).await;
    let agent = Agent::registers(&server).await;
    let id = named(&home, &issuer.url, &TRUSTED, &ADA);
    let mut count = 0;
    let mut let_in = async || {
        count += 1;
        let word = word(&key, &claims(&server, &issuer, &agent, &count.to_string()));
        agent.brings(&server, &word, &[]).await
    };
    let works =
        async |tokens: &Value| asked_at(&server, "/mcp", access(tokens), "loopiq_get_context").await.0;
    let moves = [
        (["--accept-identity-assertions", "off"], ["--accept-identity-assertions", "on"]),
        (["--domain", "globex.example"], ["--domain", "acme.example"]),
        (["--enabled", "off"], ["--enabled", "on"]),
    ];
    for (end, begin) in moves {
        let (status, tokens) = let_in().await;
        assert_eq!((status, works(&tokens).await), (200, 200), "{tokens}");
        provider(&home, &[&["set", &*id][..], &end[..]].concat(), &ADA);
        assert_eq!(works(&tokens).await, 401, "{end:?}: with the next call");
        assert_eq!(let_in().await.0, 400, "{end:?}");
        provider(&home, &[&["set", &*id][..], &begin[..]].concat(), &ADA);
    }
    let (_, tokens) = let_in().await;
    assert_eq!(works(&tokens).await, 200);
    // As every client, it is seen, and ended by the person.
    let listed = home.administer(&["client", "list", "--org", "acme"]);
    assert!(listed.iter().any(|client| client.to_string().contains("Company agent")), "{listed:?}");
    home.administer(&["user", "deactivate", "--org", "acme", "--email", "grace@acme.example"]);
    assert_eq!((works(&tokens).await, let_in().await.0), (401, 400));
}

async fn of_several_organizations_the_one_that_is_named(home: Home) {
    let home = open(home);
    let server = Server::demo(&home);
    let both = [
        "--org",
        "globex",
        "--email",
        "grace@acme.example",
        "--role",
        "viewer",
        "--permission",
        "mcp:access",
    ];
    home.administer(&[&["user", "create"], &both[..]].concat());
    let key = Key::fresh("k");
    let issuer = Issuer::start(&[&key]).await;
    let agent = Agent::registers(&server).await;
    named(&home, &issuer.url, &TRUSTED, &ADA);
    named(&home, &issuer.url, &TRUSTED, &MAX);
    let (status, answer) =
        agent.brings(&server, &word(&key, &claims(&server, &issuer, &agent, "1")), &[]).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_target")), "{answer}");
    for slug in ["globex", "acme"] {
        let mut there = claims(&server, &issuer, &agent, slug);
        there["resource"] = json!(format!("{}/t/{slug}/mcp", server.url));
        let (status, tokens) = agent.brings(&server, &word(&key, &there), &[]).await;
        assert_eq!(status, 200, "{tokens}");
        let works = async |slug: &str| {
            asked_at(&server, &format!("/t/{slug}/mcp"), access(&tokens), "loopiq_get_context").await.0
        };
        let other = if slug == "acme" { "globex" } else { "acme" };
        assert_eq!((works(slug).await, works(other).await), (200, 401), "{slug}");
    }
    let mut nowhere = claims(&server, &issuer, &agent, "initech");
    nowhere["resource"] = json!(format!("{}/t/initech/mcp", server.url));
    let (status, answer) = agent.brings(&server, &word(&key, &nowhere), &[]).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")), "{answer}");
}
