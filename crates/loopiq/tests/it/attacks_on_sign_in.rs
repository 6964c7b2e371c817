//! Attacks on signing in: guessing over many accounts, planted cookies, and what logs could give away. The whole list of attacks
//! is in `attacks.rs`.

use std::net::{IpAddr, Ipv4Addr};

use data_encoding::BASE64URL_NOPAD;
use domain::digest::Digest;
use reqwest::header::{COOKIE, RETRY_AFTER, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::attacks::{asserted, proves, quiet, signing};
use crate::audit_log::export;
use crate::issuer::{Issuer, Key, Visitor, now, parameter};
use crate::oauth::{Fields as _, REDIRECT, VERIFIER, access, asked_at, program, refresh, register, token};
use crate::oidc::{named, open};
use crate::server::{Home, Server, http, on_both_engines};
use crate::tokens::holding;

on_both_engines! {
    one_password_tried_on_many_accounts_is_stopped_and_recorded
    a_cookie_from_before_signing_in_is_never_the_one_after
    no_secret_of_a_sign_in_is_written_down
}

/// A client at another address of this machine.
fn at(last: u8) -> Client {
    let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    Client::builder().local_address(address).redirect(Policy::none()).build().unwrap()
}

async fn one_password_tried_on_many_accounts_is_stopped_and_recorded(mut home: Home) {
    home.settings.push(("LOOPIQ_SIGN_IN_FAILURES_PER_ADDRESS_MAX", "5".into()));
    let server = Server::demo(&home);
    let (attacker, neighbour) = (at(2), at(3));
    let tries = async |who: &Client, email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        let answer = who.post(format!("{}/api/v1/session", server.url)).json(&body).send().await.unwrap();
        let wait = answer.headers().get(RETRY_AFTER).map(|seconds| seconds.to_str().unwrap().to_owned());
        (answer.status().as_u16(), wait)
    };
    // Never twice the same account: the limit of each is far away.
    for guess in 0..5 {
        let (status, _) = tries(&attacker, &format!("somebody{guess}@acme.example"), "Spring2026!!").await;
        assert_eq!(status, 401, "{guess}");
    }
    for email in ["somebody5@acme.example", "grace@acme.example", "linus@acme.example", "grace@acme.example"]
    {
        let (status, wait) = tries(&attacker, email, "Spring2026!!").await;
        let wait: u32 = wait.expect("it is told how long to wait").parse().unwrap();
        assert!(status == 429 && wait > 800, "{email}: {status}, {wait}");
    }
    // Not even with the right password, nor by the page, or the right one would be told from the wrong ones.
    let (email, password) = server.credentials("grace");
    assert_eq!(tries(&attacker, &email, &password).await.0, 429);
    let form = [("email", email.as_str()), ("password", password.as_str())];
    let page = attacker.post(format!("{}/app/login", server.url)).fields(&form).send().await.unwrap();
    assert!(page.status() == 429 && page.headers().get(SET_COOKIE).is_none());
    // Nobody else waits for it: neither at another address, nor those who were tried.
    assert_eq!(tries(&neighbour, &email, &password).await.0, 200);
    assert!(server.try_sign_in("linus").await.is_some());

    // Recorded for each account that was tried beyond the limit, once: the organization sees who was meant.
    server.stop();
    let server = Server::demo(&home);
    let ada = server.sign_in("ada").await;
    let wanted = json!({ "kind": ["sign_in_failed"], "limit": 100 });
    let (_, log) = server.by_hand(&ada, "loopiq_list_audit_records", wanted).await;
    let records = log["items"].as_array().unwrap();
    assert_eq!(records.len(), 2, "{log}");
    let bundle = std::fs::read_to_string(export(&home, "tried.bundle")).unwrap();
    let recorded: Vec<&str> = bundle.lines().filter(|line| line.contains("\"sign_in_failed\"")).collect();
    let (_, members) = server.by_hand(&ada, "loopiq_list_members", json!({})).await;
    for email in ["grace@acme.example", "linus@acme.example"] {
        let member = members["items"].as_array().unwrap().iter().find(|m| m["email"] == email).unwrap();
        let id = member["userId"].as_str().or(member["id"].as_str()).unwrap_or_else(|| panic!("{member}"));
        let about = recorded.iter().filter(|record| record.contains(id));
        assert_eq!(about.count(), 1, "{email}: {recorded:?}");
    }
    assert!(!bundle.contains("Spring2026"), "{bundle}");
}

/// Name and value of the cookie an answer sets.
fn cookie(answer: &Response) -> (String, String) {
    let line = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(line.contains("HttpOnly") && line.contains("SameSite=Lax") && line.contains("Path=/"), "{line}");
    let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

async fn a_cookie_from_before_signing_in_is_never_the_one_after(home: Home) {
    let server = Server::demo(&home);
    let url = |path: &str| format!("{}{path}", server.url);
    let me = async |value: &str| {
        let asked = quiet().get(url("/api/v1/me")).header(COOKIE, format!("loopiq_session={value}"));
        asked.send().await.unwrap().status().as_u16()
    };
    let signs_in = async |by_page: bool, carried: &str| {
        let (email, password) = server.credentials("grace");
        let asked = if by_page {
            quiet().post(url("/app/login")).fields(&[("email", &email), ("password", &password)])
        } else {
            quiet().post(url("/api/v1/session")).json(&json!({ "email": email, "password": password }))
        };
        let answer = asked.header(COOKIE, format!("loopiq_session={carried}")).send().await.unwrap();
        assert!(matches!(answer.status().as_u16(), 200 | 303), "{answer:?}");
        cookie(&answer)
    };
    // Made up by somebody, of the right length, and planted before the page is even opened.
    let planted = BASE64URL_NOPAD.encode(&Digest::of(b"planted").0);
    let page = quiet().get(url("/app/login")).header(COOKIE, format!("loopiq_session={planted}"));
    let page = page.send().await.unwrap();
    assert!(page.status() == 200 && page.headers().get(SET_COOKIE).is_none(), "it is not taken up");
    let mut seen = vec![planted.clone()];
    for by_page in [true, false, true, false] {
        let (name, value) = signs_in(by_page, &planted).await;
        assert!(name == "loopiq_session" && value.len() == planted.len() && !seen.contains(&value));
        assert_eq!((me(&value).await, me(&planted).await), (200, 401), "the planted one is nobody's");
        seen.push(value);
    }
    // An attacker plants a session of their own: the person gets another, and the planted one is over, not theirs.
    for by_page in [true, false] {
        let (email, password) = server.credentials("max");
        let body = json!({ "email": email, "password": password });
        let own = cookie(&quiet().post(url("/api/v1/session")).json(&body).send().await.unwrap()).1;
        assert_eq!(me(&own).await, 200);
        let (_, value) = signs_in(by_page, &own).await;
        assert_ne!(value, own);
        assert_eq!((me(&value).await, me(&own).await), (200, 401));
    }
    // Nor is a second cookie of that name, or one with more behind it, another way in.
    let (_, good) = signs_in(true, "").await;
    for line in
        [format!("loopiq_session={planted}; loopiq_session={good}"), format!("loopiq_session={good}x")]
    {
        let answer = quiet().get(url("/api/v1/me")).header(COOKIE, line).send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
}

/// What must be written nowhere, each with what it is.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn keep(&mut self, what: &'static str, text: &str) {
        assert!(text.len() >= 8, "{what} is long enough to be sought: {text}");
        self.0.push((what, text.to_owned()));
    }

    fn keep_tokens(&mut self, tokens: &Value) {
        self.keep("an access token", access(tokens));
        self.keep("the signature of an access token", access(tokens).rsplit('.').next().unwrap());
        self.keep("a refresh token", refresh(tokens));
        self.keep("a refresh token without its prefix", refresh(tokens).trim_start_matches("liqr_"));
    }

    fn assert_not_in(&self, place: &str, text: &str) {
        for (what, secret) in &self.0 {
            assert!(!text.contains(secret.as_str()), "{place} holds {what}");
        }
    }
}

async fn no_secret_of_a_sign_in_is_written_down(home: Home) {
    let home = open(home);
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("server.log");
    let server = Server::demo_logging_to(&home, std::fs::File::create(&log).unwrap());
    let url = |path: &str| format!("{}{path}", server.url);
    let mut secrets = Secrets::default();
    secrets.keep("a proof key", VERIFIER);

    // Signing in, rightly and wrongly, by page and by API.
    let (email, password) = server.credentials("grace");
    secrets.keep("a password", &password);
    secrets.keep("a wrong password", "not-the-password-of-grace");
    let body = json!({ "email": email, "password": password });
    let answer = http().post(url("/api/v1/session")).json(&body).send().await.unwrap();
    secrets.keep("a cookie", &cookie(&answer).1);
    for wrong in [
        quiet()
            .post(url("/app/login"))
            .fields(&[("email", &*email), ("password", "not-the-password-of-grace")]),
        quiet().post(url("/app/login")).body(format!("email={email}&password={password}")),
        quiet().get(url(&format!("/app/login?email={email}&password={password}"))),
        quiet().post(url("/api/v1/session")).body(body.to_string()),
        quiet().post(url("/api/v1/session")).json(&json!({ "email": email, "pass": password })),
    ] {
        assert_ne!(wrong.send().await.unwrap().status(), 303);
    }

    // A public client: code, tokens, refresh, replay, revocation.
    let editor = program(&server).await;
    let grace = server.sign_in("grace").await;
    let code = editor.code(&server, &grace, &[]).await;
    secrets.keep("a code", &code);
    assert_eq!(
        editor.redeems(&server, &code, &[("code_verifier", &"wrong-verifier-".repeat(3))]).await.0,
        400
    );
    secrets.keep("a wrong proof key", &"wrong-verifier-".repeat(3));
    let (_, first) = editor.redeems(&server, &code, &[]).await;
    secrets.keep_tokens(&first);
    let (_, second) = editor.refreshes(&server, refresh(&first)).await;
    secrets.keep_tokens(&second);
    assert_eq!(asked_at(&server, "/mcp", access(&second), "loopiq_get_context").await.0, 200);
    for (place, text) in
        [("/token", refresh(&second)), ("/mcp", access(&second)), ("/introspect", code.as_str())]
    {
        // Where they do not belong.
        let misplaced = http().get(url(&format!("{place}?code={text}&token={text}&access_token={text}")));
        assert!(!misplaced.send().await.unwrap().status().is_success());
        let misplaced = http().get(url(&format!("/{text}")));
        assert!(!misplaced.send().await.unwrap().status().is_success());
        let misplaced = http().post(url(place)).header("Authorization", format!("Token {text}"));
        assert!(!misplaced.body(text.to_owned()).send().await.unwrap().status().is_success());
    }
    assert_eq!(editor.redeems(&server, &code, &[]).await.0, 400, "a replay, which ends everything");
    let form = [("client_id", editor.id.as_str()), ("token", refresh(&second))];
    assert_eq!(http().post(url("/introspect")).fields(&form).send().await.unwrap().status(), 200);
    assert_eq!(http().post(url("/revoke")).fields(&form).send().await.unwrap().status(), 200);

    // Clients with a secret, and with a key.
    let metadata =
        json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_basic" });
    let (_, registered) = register(&server, metadata).await;
    let (id, secret) =
        (registered["client_id"].as_str().unwrap(), registered["client_secret"].as_str().unwrap());
    secrets.keep("a client secret", secret);
    for sent in [secret, &format!("{secret}x")] {
        let form = [("grant_type", "refresh_token"), ("refresh_token", "liqr_nothing")];
        let asked = http().post(url("/token")).basic_auth(id, Some(sent)).fields(&form);
        assert!(asked.send().await.unwrap().status().is_client_error());
        let form = [("grant_type", "refresh_token"), ("client_id", id), ("client_secret", sent)];
        assert!(token(&server, &form).await.0 >= 400);
    }
    let key = Key::fresh("k");
    let client = signing(&server, &key).await;
    for jti in ["good-one", "good-one"] {
        let mut claims = asserted(&server, &client);
        claims["jti"] = json!(jti);
        let assertion = key.sign(&claims);
        secrets.keep("an assertion", &assertion);
        secrets.keep("the signature of an assertion", assertion.rsplit('.').next().unwrap());
        assert!(proves(&server, &assertion).await.0 >= 400);
    }

    // Through a provider outside, whose code, state, ID token and client secret come by.
    let issuer = Issuer::start(&[&key]).await;
    let file = logs.path().join("client-secret");
    std::fs::write(&file, "secret-that-the-provider-gave-us\n").unwrap();
    secrets.keep("the secret at a provider", "secret-that-the-provider-gave-us");
    let more = ["--domain", "acme.example", "--client-secret-file", file.to_str().unwrap()];
    let ada = ["--org", "acme", "--email", "ada@acme.example"];
    let id = named(&home, &issuer.url, &more, &ada);
    for code in ["code-of-the-provider-1", "code-of-the-provider-2"] {
        let mut visitor = Visitor::new();
        let begun = visitor.get(&url(&format!("/app/login/oidc/{id}"))).await.to.unwrap();
        let (state, nonce) = (parameter(&begun, "state"), parameter(&begun, "nonce"));
        let id_token = key.sign(&json!({
            "iss": issuer.url, "sub": "s-1", "aud": "loopiq", "nonce": nonce, "iat": now(), "exp": now() + 300,
            "email": email, "email_verified": !code.ends_with('2'),
        }));
        issuer.give(&id_token);
        for (what, text) in [
            ("a provider's code", code),
            ("an ID token", &id_token),
            ("a state", &state),
            ("a nonce", &nonce),
        ] {
            secrets.keep(what, text);
        }
        let kept = visitor.cookie(&begun.join(&server.url).unwrap());
        secrets.keep("the cookie of a sign-in on its way", kept.split_once('=').unwrap().1);
        let callback = format!("{}?code={code}&state={state}", parameter(&begun, "redirect_uri"));
        let landed = visitor.get(&callback).await;
        assert!(landed.to.is_some() || landed.status == 403, "{landed:?}");
        if landed.to.is_some() {
            let here = reqwest::Url::parse(&server.url).unwrap();
            secrets.keep("a cookie", visitor.cookie(&here).split_once('=').unwrap().1);
        }
    }
    server.stop();

    let written = std::fs::read_to_string(&log).unwrap();
    for logged in ["/token", "/register", "/app/login", "/callback", "TRACE"] {
        assert!(written.contains(logged), "{logged} is logged");
    }
    secrets.assert_not_in("the log", &written);
    let bundle = std::fs::read_to_string(export(&home, "secrets.bundle")).unwrap();
    assert!(bundle.contains("authorization_code_reused"), "what happened is recorded");
    secrets.assert_not_in("the audit log", &bundle);
    // What is stored is hashed, but for what has to be given to a provider.
    let needed = ["the secret at a provider", "a nonce"];
    for (what, secret) in secrets.0.iter().filter(|(what, _)| !needed.contains(what)) {
        assert_eq!(holding(home.folder.path(), secret), [""; 0], "{what} is stored");
    }
}
