//! Signing in with a passkey: in a real browser, and everything that must not pass for it.

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::audit_log::{export, faults};
use crate::devtools::Browser;
use crate::oauth::Fields as _;
use crate::passkeys::{pages, proposed, publishes_rule, registers, sits_down};
use crate::server::{Home, Server, on_both_engines};

on_both_engines! {
    a_person_signs_in_with_a_passkey_instead_of_the_password
    a_session_by_passkey_works_where_and_while_the_passkey_is_known
    nothing_but_a_fresh_signature_of_this_very_sign_in_opens_a_session
    nobody_learns_who_has_an_account_or_a_passkey
}

const GRACE: &str = "grace@acme.example";

fn http() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

async fn posts(server: &Server, cookie: &str, fields: &[(&str, &str)]) -> Response {
    let asked = http().post(format!("{}/app/login", server.url)).fields(fields);
    asked.header(COOKIE, cookie).send().await.unwrap()
}

/// The cookie of an answer, as a browser sends it back.
fn cookie(answer: &Response) -> String {
    answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// What a browser is asked for an e-mail, and what it keeps.
async fn asked(server: &Server, email: &str) -> (Value, String) {
    let answer = posts(server, "", &[("email", email), ("passkey", "ask")]).await;
    assert_eq!(answer.status(), 200);
    let kept = cookie(&answer);
    let page = answer.text().await.unwrap();
    let options = page.split("data-options=\"").nth(1).unwrap_or_else(|| panic!("{page}"));
    let options = options.split('"').next().unwrap().replace("&quot;", "\"");
    (serde_json::from_str(&options).unwrap(), kept)
}

async fn answers(server: &Server, email: &str, kept: &str, signed: &Value) -> Response {
    let signed = signed.to_string();
    posts(server, kept, &[("email", email), ("passkey", "ask"), ("signed", &signed)]).await
}

fn is_refused(what: &str, answer: &Response) {
    assert_eq!(answer.status(), 401, "{what}");
    let lines: Vec<&str> =
        answer.headers().get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect();
    assert!(lines.iter().all(|line| !line.starts_with("loopiq_session")), "{what}: {lines:?}");
}

/// Signs in as a browser does, with the authenticator of this one; the session's cookie.
async fn signs_in(server: &Server, browser: &mut Browser, email: &str) -> String {
    let (options, kept) = asked(server, email).await;
    let answer = answers(server, email, &kept, &browser.signs(&options)).await;
    assert_eq!(answer.status(), 303, "{}", answer.text().await.unwrap());
    cookie(&answer)
}

async fn me(server: &Server, cookie: &str) -> (u16, Value) {
    let asked = http().get(format!("{}/api/v1/me", server.url)).header(COOKIE, cookie);
    let answer = asked.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn a_person_signs_in_with_a_passkey_instead_of_the_password(home: Home) {
    let server = Server::demo(&home);
    let mut grace = sits_down(&server, "grace");
    registers(&mut grace, &server, "Work laptop");
    for width in [1280, 390] {
        grace.show(width, "light");
        grace.forget_cookies();
        assert_eq!(grace.visit(&format!("{}/app/login?next=%2Fapp%2Freleases", pages(&server))), 200);
        // Without the e-mail nobody's passkeys are found.
        assert_eq!(grace.press("Sign in with a passkey"), 422);
        grace.write("E-mail", GRACE);
        assert_eq!(grace.press("Sign in with a passkey"), 200);
        let text = grace.text();
        assert!(text.contains(GRACE) && text.contains("Or with the password"), "{text}");
        assert_eq!(grace.press("Use the passkey"), 200);
        assert!(grace.address().ends_with("/app/releases"), "{}", grace.address());
        assert!(grace.text().contains("backend-v1.0-GCN"), "{}", grace.text());
    }
    // A refusal of the empty form is the one thing that was wrong.
    let complaints = grace.complaints();
    assert!(complaints.iter().all(|complaint| complaint.contains("422")), "{complaints:?}");

    // Whose authenticator has none is told so by the page, and goes on with the password.
    let mut other = Browser::open();
    other.with_authenticator();
    assert_eq!(other.visit(&format!("{}/app/login", pages(&server))), 200);
    other.write("E-mail", GRACE);
    assert_eq!(other.press("Sign in with a passkey"), 200);
    other.press_on_page("Use the passkey");
    other.until("document.querySelector('.passkey-says').textContent.includes('was not used')");
    other.write("Password", &server.credentials("grace").1);
    assert_eq!(other.press("Sign in"), 200);
    assert!(other.address().ends_with("/app"), "{}", other.address());

    // So does who has no script.
    let mut plain = Browser::open();
    plain.without_script();
    assert_eq!(plain.visit(&format!("{}/app/login", pages(&server))), 200);
    plain.write("E-mail", GRACE);
    assert_eq!(plain.press("Sign in with a passkey"), 200);
    assert!(plain.text().contains("Needs script"), "{}", plain.text());
    plain.write("Password", &server.credentials("grace").1);
    assert_eq!(plain.press("Sign in"), 200);
    assert!(plain.address().ends_with("/app"), "{}", plain.address());

    // It stands in the log as every sign-in does, with the passkey.
    let session = server.sign_in("ada").await;
    let (_, passkeys) = server.by_hand(&session, "loopiq_list_passkeys", json!({})).await;
    let id = passkeys["items"][0]["id"].as_str().unwrap();
    let bundle = export(&home, "signed-in.bundle");
    let text = std::fs::read_to_string(&bundle).unwrap();
    let with_it = text.lines().filter(|line| line.contains("\"signed_in\"") && line.contains(id));
    assert_eq!(with_it.count(), 2, "{text}");
    assert_eq!(faults(&bundle, &[]), [""; 0]);
}

async fn a_session_by_passkey_works_where_and_while_the_passkey_is_known(home: Home) {
    let server = Server::demo(&home);
    let node = home.database.as_ref().map(|_| Server::node(&home, &server));
    let there = node.as_ref().unwrap_or(&server);
    let both = ["--org", "globex", "--email", GRACE, "--role", "viewer", "--permission", "teams:read"];
    home.administer(&[&["user", "create"], &both[..]].concat());
    let mut browser = sits_down(&server, "grace");
    registers(&mut browser, &server, "Work laptop");
    let by_password = server.sign_in("grace").await;
    // Her passkey is acme's, and so is the session, although she belongs to globex too and worked there last.
    let select = by_password.0.post(format!("{}/api/v1/organizations/globex/select", server.url));
    assert_eq!(select.header("X-CSRF-Token", &by_password.1).send().await.unwrap().status(), 200);
    let cookie = signs_in(&server, &mut browser, " Grace@ACME.example ").await;
    let (status, said) = me(there, &cookie).await;
    assert_eq!((status, &said["organization"]["slug"]), (200, &json!("acme")), "{said}");
    assert_eq!(said["organizations"].as_array().unwrap().len(), 1, "{said}");
    let select = async |slug: &str| {
        let url = format!("{}/api/v1/organizations/{slug}/select", there.url);
        let asked = http().post(url).header(COOKIE, &cookie);
        asked.header("X-CSRF-Token", said["csrfToken"].as_str().unwrap()).send().await.unwrap().status()
    };
    assert_eq!((select("globex").await, select("acme").await.is_success()), (StatusCode::NOT_FOUND, true));

    // It ends with the passkey, on every node, with the next request; what was signed in by password does not.
    let select = by_password.0.post(format!("{}/api/v1/organizations/acme/select", server.url));
    assert_eq!(select.header("X-CSRF-Token", &by_password.1).send().await.unwrap().status(), 200);
    let (_, listed) = server.by_hand(&by_password, "loopiq_list_passkeys", json!({})).await;
    let removal = json!({ "passkeyId": listed["items"][0]["id"], "reason": "the laptop was lost" });
    let (_, removed) = server.by_hand(&by_password, "loopiq_remove_passkey", removal).await;
    assert_eq!(removed["status"], "executed", "{removed}");
    assert_eq!(me(there, &cookie).await.0, 401);
    assert_eq!(by_password.0.get(format!("{}/api/v1/me", server.url)).send().await.unwrap().status(), 200);

    // Whom the organization has ended is not let in again by another one.
    registers(&mut browser, &server, "Another laptop");
    let cookie = signs_in(&server, &mut browser, GRACE).await;
    assert_eq!(me(&server, &cookie).await.0, 200);
    let inactive = json!({ "member": GRACE, "status": "inactive", "reason": "she leaves" });
    let ada = server.sign_in("ada").await;
    assert_eq!(server.by_hand(&ada, "loopiq_set_member_status", inactive).await.0, 200);
    assert!(me(there, &cookie).await.1.get("organization").is_none(), "nothing of acme is left");
    let (mut options, kept) = asked(&server, GRACE).await;
    let held = signed_with_all(&mut browser, &mut options);
    is_refused("a member who has ended", &answers(&server, GRACE, &kept, &held).await);
}

/// What the authenticator signs by whatever it holds, although it was not asked for that.
fn signed_with_all(browser: &mut Browser, options: &mut Value) -> Value {
    let names = browser.names();
    let named = names.iter().map(|id| json!({ "type": "public-key", "id": id }));
    options["allowCredentials"] = named.collect();
    browser.signs(options)
}

async fn nothing_but_a_fresh_signature_of_this_very_sign_in_opens_a_session(mut home: Home) {
    home.settings.push(("LOOPIQ_SIGN_IN_FAILURES_MAX", "20".into()));
    home.settings.push(("LOOPIQ_SIGN_IN_FAILURES_PER_ADDRESS_MAX", "0".into()));
    let server = Server::demo(&home);
    let mut browser = sits_down(&server, "grace");
    registers(&mut browser, &server, "Work laptop");
    let (options, kept) = asked(&server, GRACE).await;
    let signed = browser.signs(&options);

    // In another browser, in none, for another sign-in, with a seal of one's own, and by nobody's authenticator.
    let (_, elsewhere) = asked(&server, GRACE).await;
    is_refused("another sign-in", &answers(&server, GRACE, &elsewhere, &signed).await);
    is_refused("no cookie", &answers(&server, GRACE, "", &signed).await);
    let (drawn, _) = kept.rsplit_once('.').unwrap();
    for made_up in [format!("{drawn}."), format!("{drawn}.{}", "A".repeat(43)), "loopiq_passkey=x".into()] {
        is_refused("a cookie made up", &answers(&server, GRACE, &made_up, &signed).await);
    }
    // A time that was moved, under the old seal.
    let (name, rest) = kept.split_once('=').unwrap();
    let (ends, rest) = rest.split_once('.').unwrap();
    let later = ends.parse::<i64>().unwrap() + 3_600_000_000;
    is_refused("a time moved", &answers(&server, GRACE, &format!("{name}={later}.{rest}"), &signed).await);
    for nonsense in [json!({}), json!("x"), json!([1]), json!({ "id": 5 })] {
        let (_, kept) = asked(&server, GRACE).await;
        is_refused("nonsense", &answers(&server, GRACE, &kept, &nonsense).await);
    }
    let forged = http().post(format!("{}/app/login", server.url)).header("Sec-Fetch-Site", "cross-site");
    let signed_text = signed.to_string();
    let fields = [("email", GRACE), ("passkey", "ask"), ("signed", &signed_text)];
    let forged = forged.header(COOKIE, &kept).fields(&fields).send().await.unwrap();
    assert_eq!(forged.status(), 403, "from a page of another site");

    // All of that has used nothing up: the right one is good, once.
    let right = answers(&server, GRACE, &kept, &signed).await;
    assert_eq!((right.status().as_u16(), right.headers()[LOCATION].to_str().unwrap()), (303, "/app"));
    is_refused("a replay", &answers(&server, GRACE, &kept, &signed).await);
    let (options, kept) = asked(&server, GRACE).await;
    let hers = browser.signs(&options);
    is_refused("another's e-mail", &answers(&server, "linus@acme.example", &kept, &hers).await);

    // Whoever could take the device, but is not recognised by it, is not let in.
    let (mut options, kept) = asked(&server, GRACE).await;
    options["userVerification"] = json!("discouraged");
    browser.recognises(false);
    let unverified = browser.signs(&options);
    is_refused("nobody recognised", &answers(&server, GRACE, &kept, &unverified).await);
    browser.recognises(true);

    // A sign-in approves nothing, and an approval signs nobody in.
    let (code, said) = publishes_rule(&home, 1);
    assert_eq!(code, Some(0), "{said}");
    let action = proposed(&server, "Signed").await;
    let session = server.sign_in("grace").await;
    let address = |what: &str| format!("{}/api/v1/actions/{action}/{what}", server.url);
    let asked_for: Value = session.0.get(address("confirmation")).send().await.unwrap().json().await.unwrap();
    let (options, kept) = asked(&server, GRACE).await;
    let approval = browser.signs(&asked_for["options"]);
    is_refused("an approval", &answers(&server, GRACE, &kept, &approval).await);
    let sign_in = browser.signs(&options);
    let body = json!({ "signed": sign_in });
    let approve = session.0.post(address("approve")).header("X-CSRF-Token", &session.1).json(&body);
    assert_eq!(approve.send().await.unwrap().status(), 409);

    // Guessing is slowed down like guessing of passwords, and the password with it.
    for _ in 0..20 {
        let (_, kept) = asked(&server, GRACE).await;
        answers(&server, GRACE, &kept, &json!({})).await;
    }
    let (_, kept) = asked(&server, GRACE).await;
    assert_eq!(answers(&server, GRACE, &kept, &json!({})).await.status(), 429);
    let (email, password) = server.credentials("grace");
    let by_password = posts(&server, "", &[("email", &email), ("password", &password)]).await;
    assert_eq!(by_password.status(), 429);
}

async fn nobody_learns_who_has_an_account_or_a_passkey(home: Home) {
    let server = Server::demo(&home);
    let mut browser = sits_down(&server, "grace");
    registers(&mut browser, &server, "Work laptop");
    let seen = async |email: &str| {
        let answer = posts(&server, "", &[("email", email), ("passkey", "ask")]).await;
        let status = answer.status().as_u16();
        let line = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        let attributes = line.split_once(';').unwrap().1.to_owned();
        let text = answer.text().await.unwrap().replace(email, "EMAIL");
        let (before, rest) = text.split_once("data-options=\"").unwrap();
        let (_, after) = rest.split_once('"').unwrap();
        (status, attributes, format!("{before}{after}"))
    };
    let grace = seen(GRACE).await;
    let nobody = "nobody@acme.example";
    for email in ["linus@acme.example", nobody, "nobody@nowhere.example"] {
        assert_eq!(seen(email).await, grace, "{email}");
    }
    // One name each, of a length that real ones have, always the same, and of different people different ones.
    let name = async |email: &str| {
        let (options, _) = asked(&server, email).await;
        let members: Vec<&String> = options.as_object().unwrap().keys().collect();
        assert_eq!(members, ["challenge", "rpId", "timeout", "allowCredentials", "userVerification"]);
        assert_eq!(options["userVerification"], "required");
        let names = options["allowCredentials"].as_array().unwrap();
        assert_eq!(names.len(), 1, "{options}");
        let members: Vec<&String> = names[0].as_object().unwrap().keys().collect();
        assert_eq!(members, ["type", "id"]);
        names[0]["id"].as_str().unwrap().to_owned()
    };
    let mut names = Vec::new();
    for email in [GRACE, "linus@acme.example", nobody, "nobody@nowhere.example"] {
        names.push(name(email).await);
        assert_eq!(name(&email.to_uppercase()).await, names.last().unwrap().as_str(), "{email}");
        assert!([22, 27, 43, 86].contains(&names.last().unwrap().len()), "{names:?}");
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4);
    // Nor does the refusal tell.
    let refusal = async |email: &str| {
        let (_, kept) = asked(&server, email).await;
        let answer = answers(&server, email, &kept, &json!({ "id": "x" })).await;
        (answer.status().as_u16(), answer.text().await.unwrap().replace(email, "EMAIL"))
    };
    let grace = refusal(GRACE).await;
    assert_eq!(grace.0, 401);
    for email in ["linus@acme.example", nobody] {
        assert_eq!(refusal(email).await, grace, "{email}");
    }
}
