//! Access tokens of issuers that organizations have approved: whose they are, where they are good, and everything they must
//! not pass for.

use std::sync::atomic::Ordering;

use jsonwebtoken::Header;
use serde_json::{Value, json};

use crate::issuer::{Issuer, Key, Visitor, now, parameter};
use crate::oidc::{named, open, provider};
use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    an_access_token_is_good_where_its_issuer_is_approved
    a_token_for_several_organizations_works_in_the_one_that_is_named
    keys_change_and_unknown_ones_are_not_sought_again_and_again
}

const ADA: [&str; 4] = ["--org", "acme", "--email", "ada@acme.example"];
const MAX: [&str; 4] = ["--org", "globex", "--email", "max@globex.example"];

/// Links a subject of the issuer to a person by signing in once.
async fn linked(server: &Server, issuer: &Issuer, key: &Key, id: &str, email: &str) {
    let mut visitor = Visitor::new();
    let begun = visitor.get(&format!("{}/app/login/oidc/{id}", server.url)).await;
    let to = begun.to.unwrap_or_else(|| panic!("{}", begun.body));
    issuer.give(&key.sign(&json!({
        "iss": issuer.url, "sub": "s-1", "aud": "loopiq", "nonce": parameter(&to, "nonce"), "iat": now(),
        "exp": now() + 300, "email": email, "email_verified": true,
    })));
    let callback = format!("{}?code=c&state={}", parameter(&to, "redirect_uri"), parameter(&to, "state"));
    let landed = visitor.get(&callback).await;
    assert!(landed.to.is_some(), "{}", landed.body);
}

fn claims(server: &Server, issuer: &Issuer) -> Value {
    json!({
        "iss": issuer.url, "sub": "s-1", "aud": format!("{}/mcp", server.url), "iat": now(), "exp": now() + 300,
        "client_id": "a-program", "jti": "1",
    })
}

/// Status and organization, or code of refusal, of a call with a token.
async fn asked(server: &Server, token: &str, organization: Option<&str>) -> (u16, String) {
    let mut request = http().get(format!("{}/api/v1/me", server.url)).bearer_auth(token);
    if let Some(organization) = organization {
        request = request.header("LoopIQ-Organization", organization);
    }
    let answer = request.send().await.unwrap();
    let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
    let said: Value = serde_json::from_str(&body).unwrap();
    let what = said.pointer("/organization/slug").or_else(|| said.get("code")).and_then(Value::as_str);
    (status, what.unwrap_or(&body).to_owned())
}

async fn an_access_token_is_good_where_its_issuer_is_approved(home: Home) {
    let home = open(home);
    let server = Server::demo(&home);
    let key = Key::fresh("k");
    let issuer = Issuer::start(&[&key]).await;
    let id = named(&home, &issuer.url, &["--domain", "acme.example"], &ADA);
    let good = claims(&server, &issuer);
    linked(&server, &issuer, &key, &id, "grace@acme.example").await;
    assert_eq!(
        asked(&server, &key.sign(&good), None).await.0,
        401,
        "sign-in alone approves no access tokens"
    );
    provider(
        &home,
        &["set", &id, "--accept-access-tokens", "on", "--access-token-audience", "api://loopiq"],
        &ADA,
    );
    assert_eq!(asked(&server, &key.sign(&good), None).await, (200, "acme".into()));
    assert_eq!(asked(&server, &key.sign(&good), Some("acme")).await.0, 200);
    assert_eq!(asked(&server, &key.sign(&good), Some("globex")).await, (403, "tenant_mismatch".into()));
    let http = http();
    let (error, context) = server.call(&http, &key.sign(&good), "loopiq_get_context", json!({})).await;
    assert!(!error && context.to_string().contains("grace@acme.example"), "{context}");

    let with = |change: fn(&mut Value)| {
        let mut claims = good.clone();
        change(&mut claims);
        claims
    };
    let fine: [fn(&mut Value); 4] = [
        |c| c["aud"] = json!("api://loopiq"),
        |c| c["aud"] = json!(["https://elsewhere.example", "api://loopiq"]),
        |c| (c["exp"], c["nbf"]) = (json!(now() - 20), json!(now() + 20)),
        |c| c["scope"] = json!("openid releases:read"),
    ];
    for change in fine {
        let token = key.sign(&with(change));
        assert_eq!(asked(&server, &token, None).await.0, 200, "{}", with(change));
    }
    let narrowed = key.sign(&with(|c| c["scope"] = json!("openid teams:read")));
    let me: Value = http
        .get(format!("{}/api/v1/me", server.url))
        .bearer_auth(&narrowed)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(me["permissions"], json!(["teams:read"]), "{me}");

    let bad: [fn(&mut Value); 11] = [
        |c| c["aud"] = json!("https://elsewhere.example"),
        |c| c["aud"] = json!("loopiq"),
        |c| drop(c.as_object_mut().unwrap().remove("aud")),
        |c| c["exp"] = json!(now() - 120),
        |c| drop(c.as_object_mut().unwrap().remove("exp")),
        |c| c["nbf"] = json!(now() + 600),
        |c| c["iss"] = json!("https://id.evil.example"),
        |c| c["sub"] = json!("s-2"),
        |c| drop(c.as_object_mut().unwrap().remove("sub")),
        |c| c["cnf"] = json!({ "jkt": "x" }),
        |c| {
            let base = c["aud"].as_str().unwrap().trim_end_matches("/mcp").to_owned();
            c["aud"] = json!(format!("{base}/mcp.evil.example"));
        },
    ];
    for change in bad {
        let token = key.sign(&with(change));
        assert_eq!(asked(&server, &token, None).await.0, 401, "{}", with(change));
    }
    let stranger = Key::fresh("k");
    let typed = |typ: &str| key.sign_as(&Header { typ: Some(typ.into()), ..key.header() }, &good);
    assert_eq!(asked(&server, &typed("at+jwt"), None).await.0, 200);
    for forged in [key.unsigned(&good), key.confused(&good), stranger.sign(&good), typed("logout+jwt")] {
        assert_eq!(asked(&server, &forged, None).await.0, 401, "{forged}");
    }

    home.administer(&["user", "deactivate", "--org", "acme", "--email", "grace@acme.example"]);
    assert_eq!(asked(&server, &key.sign(&good), None).await.0, 401, "whoever has ended is nobody at once");
}

async fn a_token_for_several_organizations_works_in_the_one_that_is_named(home: Home) {
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
        "teams:read",
    ];
    home.administer(&[&["user", "create"], &both[..]].concat());
    let key = Key::fresh("k");
    let issuer = Issuer::start(&[&key]).await;
    let accepting =
        ["--domain", "acme.example", "--accept-access-tokens", "on", "--tenant-claim", "organizations"];
    let (acme, globex) =
        (named(&home, &issuer.url, &accepting, &ADA), named(&home, &issuer.url, &accepting, &MAX));
    let token = |organizations: Value| {
        let mut claims = claims(&server, &issuer);
        claims["organizations"] = organizations;
        key.sign(&claims)
    };
    linked(&server, &issuer, &key, &acme, "grace@acme.example").await;
    let two = token(json!(["acme", "globex"]));
    assert_eq!(asked(&server, &two, None).await, (200, "acme".into()), "she is known in one of them so far");
    linked(&server, &issuer, &key, &globex, "grace@acme.example").await;
    assert_eq!(asked(&server, &two, None).await, (403, "tenant_required".into()));
    assert_eq!(asked(&server, &two, Some("globex")).await, (200, "globex".into()));
    assert_eq!(asked(&server, &two, Some("acme")).await, (200, "acme".into()));
    assert_eq!(asked(&server, &two, Some("initech")).await, (403, "tenant_mismatch".into()));
    assert_eq!(asked(&server, &token(json!("globex")), None).await, (200, "globex".into()));
    assert_eq!(asked(&server, &token(json!("globex")), Some("acme")).await, (403, "tenant_mismatch".into()));
    assert_eq!(asked(&server, &token(json!(["initech"])), None).await.0, 401);
    assert_eq!(asked(&server, &token(Value::Null), None).await.0, 401);
    provider(&home, &["remove", &globex], &MAX);
    assert_eq!(asked(&server, &two, None).await, (200, "acme".into()));
}

async fn keys_change_and_unknown_ones_are_not_sought_again_and_again(home: Home) {
    let home = open(home);
    let server = Server::demo(&home);
    let (old, new) = (Key::fresh("old"), Key::fresh("new"));
    let issuer = Issuer::start(&[&old]).await;
    let id = named(&home, &issuer.url, &["--domain", "acme.example", "--accept-access-tokens", "on"], &ADA);
    linked(&server, &issuer, &old, &id, "grace@acme.example").await;
    let good = claims(&server, &issuer);
    assert_eq!(asked(&server, &old.sign(&good), None).await.0, 200);
    let before = issuer.asked.load(Ordering::Relaxed);
    issuer.publish(&[&old, &new]);
    assert_eq!(asked(&server, &new.sign(&good), None).await.0, 200, "a new key is looked for at once");
    for invented in 0..5 {
        let unknown = Key::fresh(&format!("invented-{invented}"));
        assert_eq!(asked(&server, &unknown.sign(&good), None).await.0, 401);
    }
    assert_eq!(issuer.asked.load(Ordering::Relaxed), before + 1, "once, and not for every invention");
}
