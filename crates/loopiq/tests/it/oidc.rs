//! Sign-in through identity providers: by a certified one as it should be, and by one that lies in every way there is.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use jsonwebtoken::Header;
use reqwest::Url;
use serde_json::{Value, json};

use crate::devtools::Browser;
use crate::issuer::{Issuer, Key, Landed, Visitor, now, parameter};
use crate::server::{Home, Server, http, on_both_engines, tool};

on_both_engines! {
    people_sign_in_through_a_certified_provider
    groups_give_roles_and_take_them_back
    only_members_sign_in_unless_a_provider_makes_them
    a_session_through_a_provider_works_in_its_organization_alone
    no_lie_of_a_provider_signs_anybody_in
    no_provider_is_asked_inside
    a_provider_is_administered_like_everything_else
}

const ADA: [&str; 4] = ["--org", "acme", "--email", "ada@acme.example"];

/// A home whose identity providers may be on this machine.
pub fn open(mut home: Home) -> Home {
    home.settings.push(("LOOPIQ_IDENTITY_ADDRESSES", "any".into()));
    home
}

pub fn provider(home: &Home, arguments: &[&str], who: &[&str]) -> Vec<Value> {
    home.administer(&[&["org", "identity-provider"], arguments, who].concat())
}

/// Names an issuer for an organization; the provider's id.
pub fn named(home: &Home, issuer: &str, more: &[&str], who: &[&str]) -> String {
    let new = ["set", "--name", "Company", "--issuer", issuer, "--client-id", "loopiq"];
    let made = provider(home, &[&new, more].concat(), who);
    made[0]["id"].as_str().unwrap().to_owned()
}

/// The certified provider, as a program of its own.
struct Certified {
    issuer: String,
    program: Child,
}

impl Certified {
    fn start() -> Certified {
        let script =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests-tools/oidc/provider.mjs");
        let mut program = Command::new(tool("LOOPIQ_TEST_NODE"))
            .arg(script)
            .env("LOOPIQ_TEST_NPM", tool("LOOPIQ_TEST_NPM"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the provider starts");
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).expect("the provider says where it is");
        Certified { issuer: said["issuer"].as_str().unwrap().to_owned(), program }
    }

    async fn control(&self, wanted: &Value) {
        let answer = http().post(format!("{}/control", self.issuer)).json(wanted).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    }

    /// Knows these people from now on, by subject.
    async fn knows(&self, people: Value) {
        self.control(&json!({ "people": people })).await;
    }

    /// Names it for acme, and tells it of this server.
    async fn named(&self, home: &Home, server: &Server, more: &[&str]) -> String {
        let secret = home.folder.path().join("client-secret");
        std::fs::write(&secret, "s3cret-of-the-client\n").unwrap();
        let all =
            [more, &["--domain", "acme.example", "--client-secret-file", secret.to_str().unwrap()]].concat();
        let id = named(home, &self.issuer, &all, &ADA);
        let redirect = format!("{}/app/login/oidc/{id}/callback", server.url);
        let client = json!({ "id": "loopiq", "secret": "s3cret-of-the-client", "redirect": redirect });
        self.control(&json!({ "client": client })).await;
        id
    }
}

impl Drop for Certified {
    fn drop(&mut self) {
        drop(self.program.kill());
        drop(self.program.wait());
    }
}

/// Goes through the certified provider as a subject of it, agreeing to what it asks.
async fn through(server: &Server, visitor: &mut Visitor, id: &str, subject: &str) -> Landed {
    let mut landed = visitor.follow(&format!("{}/app/login/oidc/{id}", server.url)).await;
    for _ in 0..3 {
        let Some(form) =
            landed.body.split("action=\"").nth(1).filter(|_| landed.url.path().contains("interaction"))
        else {
            break;
        };
        let action = landed.url.join(form.split('"').next().unwrap()).unwrap();
        let prompt = if landed.body.contains("value=\"login\"") { "login" } else { "consent" };
        let fields = [("prompt", prompt), ("login", subject), ("password", "any")];
        landed = visitor.post(action.as_str(), &fields).await;
    }
    landed
}

fn person(email: &str, groups: &[&str]) -> Value {
    json!({ "email": email, "email_verified": true, "name": "Somebody", "groups": groups })
}

/// What a member holds.
async fn held(server: &Server, email: &str) -> Value {
    let ada = server.sign_in("ada").await;
    let (_, members) = server.by_hand(&ada, "loopiq_list_members", json!({})).await;
    let found = members["items"].as_array().unwrap().iter().find(|member| member["email"] == email);
    found.cloned().unwrap_or(Value::Null)
}

/// The roles of a member, each with where it is held.
fn roles(member: &Value) -> Vec<String> {
    let text = |role: &Value, name: &str| role[name].as_str().unwrap().to_owned();
    let all = member["roles"].as_array().unwrap_or_else(|| panic!("{member}"));
    all.iter().map(|role| format!("{}@{}", text(role, "role"), text(role, "scope"))).collect()
}

/// The latest records of a kind.
async fn recorded(server: &Server, kind: &str) -> Value {
    let ada = server.sign_in("ada").await;
    let wanted = json!({ "kind": [kind], "limit": 100 });
    let (_, log) = server.by_hand(&ada, "loopiq_list_audit_records", wanted).await;
    log["items"].clone()
}

/// Who a visitor is to the server.
async fn me(server: &Server, visitor: &mut Visitor) -> Value {
    let landed = visitor.get(&format!("{}/api/v1/me", server.url)).await;
    serde_json::from_str(&landed.body).unwrap()
}

async fn people_sign_in_through_a_certified_provider(home: Home) {
    let home = open(home);
    let server = Server::demo(&home);
    let certified = Certified::start();
    let mut visitor = Visitor::new();
    let login = format!("{}/app/login", server.url);
    assert!(!visitor.get(&login).await.body.contains("through your organization"), "nothing to offer yet");

    let id = certified.named(&home, &server, &[]).await;
    certified.knows(json!({ "s-1": person("Grace@acme.example", &[]) })).await;
    assert!(visitor.get(&login).await.body.contains("through your organization"));
    let fields = |email| [("email", email), ("through", "organization"), ("next", "/app/releases")];
    let none = visitor.post(&login, &fields("max@globex.example")).await;
    assert!(none.status == 401 && !none.body.contains(&id), "{}", none.body);
    let offered = visitor.post(&login, &fields("nobody@ACME.example")).await;
    assert!(offered.body.contains("Continue with Company"), "{}", offered.body);
    assert!(
        offered.body.contains(&format!("/app/login/oidc/{id}?next=%2Fapp%2Freleases")),
        "{}",
        offered.body
    );

    let landed = through(&server, &mut visitor, &id, "s-1").await;
    assert!(landed.status == 200 && landed.url.path() == "/app", "{landed:?}");
    let grace = me(&server, &mut visitor).await;
    assert_eq!(grace["user"]["email"], "grace@acme.example");
    assert_eq!(grace["organization"]["slug"], "acme");

    // From now on by subject: the address at the provider may change.
    certified.knows(json!({ "s-1": person("grace.new@elsewhere.example", &[]) })).await;
    let mut again = Visitor::new();
    through(&server, &mut again, &id, "s-1").await;
    assert_eq!(me(&server, &mut again).await["user"]["email"], "grace@acme.example");

    let ada = server.sign_in("ada").await;
    let through_it = json!({ "kind": ["signed_in"], "subjectId": id });
    let (_, log) = server.by_hand(&ada, "loopiq_list_audit_records", through_it).await;
    assert_eq!(log["items"].as_array().unwrap().len(), 2, "{log}");
    provider(&home, &["set", &id, "--enabled", "off"], &ADA);
    assert_eq!(
        visitor.get(&format!("{}/api/v1/me", server.url)).await.status,
        401,
        "its sessions end with it"
    );
    let refused = visitor.get(&format!("{}/app/login/oidc/{id}", server.url)).await;
    assert!(refused.status == 404 && refused.body.contains("switched off"), "{}", refused.body);
}

#[tokio::test]
async fn a_browser_goes_to_the_provider_and_comes_back_signed_in() {
    let home = open(Home::embedded());
    let server = Server::demo(&home);
    let certified = Certified::start();
    certified.named(&home, &server, &[]).await;
    certified.knows(json!({ "s-1": person("grace@acme.example", &[]) })).await;
    let mut browser = Browser::open();
    let wanted = format!("{}/app/releases", server.url);
    browser.visit(&wanted);
    browser.write("E-mail", "grace@acme.example");
    assert_eq!(browser.press("Sign in through your organization"), 200);
    let press = |browser: &mut Browser, what: &str| {
        browser.load(|browser| drop(browser.ask(&format!("{what}.click()"))));
    };
    press(&mut browser, "document.querySelector('a.primary')");
    assert!(browser.address().starts_with(&certified.issuer), "{}", browser.address());
    browser.ask("document.forms[0].login.value = 's-1'");
    browser.ask("document.forms[0].password.value = 'any'");
    press(&mut browser, "document.forms[0].querySelector('button')");
    press(&mut browser, "document.forms[0].querySelector('button')");
    assert_eq!(browser.address(), wanted);
    assert!(browser.text().contains("Grace"), "{}", browser.text());
}

async fn groups_give_roles_and_take_them_back(home: Home) {
    let home = open(home);
    let server = Server::demo(&home);
    let certified = Certified::start();
    let groups = ["--group", "dev=contributor", "--group", "cn=leads,dc=acme=team_lead@payments"];
    let id = certified.named(&home, &server, &groups).await;
    let before = held(&server, "grace@acme.example").await;

    certified
        .knows(json!({ "s-1": person("grace@acme.example", &["dev", "cn=leads,dc=acme", "other"]) }))
        .await;
    through(&server, &mut Visitor::new(), &id, "s-1").await;
    let given = held(&server, "grace@acme.example").await;
    let mut all = roles(&given);
    all.sort();
    assert_eq!(all, ["contributor@organization", "release_manager@backend", "team_lead@payments"]);
    certified.knows(json!({ "s-1": person("grace@acme.example", &[]) })).await;
    through(&server, &mut Visitor::new(), &id, "s-1").await;
    let taken = held(&server, "grace@acme.example").await;
    assert_eq!(roles(&taken), roles(&before), "what was hers stays hers");
    let log = recorded(&server, "administered").await;
    let mapped = log.as_array().unwrap().iter().filter(|record| record["tool"] == "map_groups").count();
    assert_eq!(mapped, 2, "{log}");

    // Nobody loses the last administrator to a group.
    provider(&home, &["set", &id, "--group", "admins=organization_admin"], &ADA);
    certified.knows(json!({ "s-2": person("ada@acme.example", &[]) })).await;
    through(&server, &mut Visitor::new(), &id, "s-2").await;
    let ada = held(&server, "ada@acme.example").await;
    assert_eq!(roles(&ada), ["organization_admin@organization"]);
}

async fn only_members_sign_in_unless_a_provider_makes_them(home: Home) {
    let home = open(home);
    let server = Server::demo(&home);
    let certified = Certified::start();
    let id = certified.named(&home, &server, &["--group", "dev=contributor"]).await;
    let eve = |groups: &[&str]| json!({ "s-9": person("eve@acme.example", groups) });
    certified.knows(eve(&["dev"])).await;
    let refused = through(&server, &mut Visitor::new(), &id, "s-9").await;
    assert!(refused.status == 403 && refused.body.contains("You are not a member"), "{}", refused.body);
    assert_eq!(held(&server, "eve@acme.example").await, Value::Null);

    provider(&home, &["set", &id, "--create-members", "on", "--member-permission", "mcp:access"], &ADA);
    certified.knows(eve(&[])).await;
    let refused = through(&server, &mut Visitor::new(), &id, "s-9").await;
    assert!(refused.status == 403 && refused.body.contains("None of your groups"), "{}", refused.body);
    certified.knows(eve(&["dev"])).await;
    let mut visitor = Visitor::new();
    let landed = through(&server, &mut visitor, &id, "s-9").await;
    assert_eq!(landed.status, 200, "{landed:?}");
    let made = held(&server, "eve@acme.example").await;
    assert_eq!(roles(&made), ["contributor@organization"]);
    assert_eq!(made["permissions"], json!(["mcp:access"]), "{made}");

    // Out of every group, out of the organization; back in one, back.
    certified.knows(eve(&[])).await;
    let refused = through(&server, &mut Visitor::new(), &id, "s-9").await;
    assert_eq!(refused.status, 403);
    assert_eq!(held(&server, "eve@acme.example").await["status"], "inactive");
    certified.knows(eve(&["dev"])).await;
    assert_eq!(through(&server, &mut Visitor::new(), &id, "s-9").await.status, 200);
    assert_eq!(held(&server, "eve@acme.example").await["status"], "active");

    // Whom an administrator has ended, no group brings back.
    home.administer(&["user", "deactivate", "--org", "acme", "--email", "eve@acme.example"]);
    let refused = through(&server, &mut Visitor::new(), &id, "s-9").await;
    assert!(refused.status == 403 && refused.body.contains("has ended"), "{}", refused.body);
    certified.knows(json!({ "s-9": { "email": "vic@acme.example", "email_verified": false } })).await;
}

async fn a_session_through_a_provider_works_in_its_organization_alone(home: Home) {
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
    let id = named(&home, &issuer.url, &["--domain", "acme.example"], &ADA);
    let mut visitor = Visitor::new();
    let landed =
        Attempt::begin(&server, &mut visitor, &id).await.end(&issuer, &key, &mut visitor, |_| {}).await;
    assert_eq!(landed.to.as_ref().map(Url::path), Some("/app"), "{}", landed.body);
    let grace = me(&server, &mut visitor).await;
    assert_eq!(grace["organizations"].as_array().unwrap().len(), 1, "{grace}");
    let csrf = grace["csrfToken"].as_str().unwrap();
    let select = |slug: &str| {
        let url = format!("{}/api/v1/organizations/{slug}/select", server.url);
        let cookie = visitor.cookie(&Url::parse(&url).unwrap());
        http().post(url).header("cookie", cookie).header("x-csrf-token", csrf).send()
    };
    assert_eq!(select("globex").await.unwrap().status(), 404);
    assert!(select("acme").await.unwrap().status().is_success());
    let by_password = server.sign_in("grace").await;
    let url = format!("{}/api/v1/me", server.url);
    let me: Value = by_password.0.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(me["organizations"].as_array().unwrap().len(), 2, "by password she works in both: {me}");
}

/// A sign-in on its way to an issuer of the test.
struct Attempt {
    callback: String,
    state: String,
    nonce: String,
}

impl Attempt {
    async fn begin(server: &Server, visitor: &mut Visitor, id: &str) -> Attempt {
        let begun = visitor.get(&format!("{}/app/login/oidc/{id}", server.url)).await;
        let to = begun.to.unwrap_or_else(|| panic!("{}", begun.body));
        assert_eq!(parameter(&to, "code_challenge_method"), "S256");
        assert_eq!(parameter(&to, "redirect_uri"), format!("{}/app/login/oidc/{id}/callback", server.url));
        Attempt {
            callback: parameter(&to, "redirect_uri"),
            state: parameter(&to, "state"),
            nonce: parameter(&to, "nonce"),
        }
    }

    /// The claims of an honest ID token.
    fn claims(&self, issuer: &Issuer) -> Value {
        json!({
            "iss": issuer.url, "sub": "s-1", "aud": "loopiq", "nonce": self.nonce, "iat": now(), "exp": now() + 300,
            "email": "grace@acme.example", "email_verified": true,
        })
    }

    async fn back(&self, visitor: &mut Visitor, more: &str) -> Landed {
        visitor.get(&format!("{}?code=c&state={}{more}", self.callback, self.state)).await
    }

    async fn end(
        &self,
        issuer: &Issuer,
        key: &Key,
        visitor: &mut Visitor,
        change: impl FnOnce(&mut Value),
    ) -> Landed {
        let mut claims = self.claims(issuer);
        change(&mut claims);
        issuer.give(&key.sign(&claims));
        self.back(visitor, "").await
    }
}

fn assert_refused(landed: &Landed, words: &str) {
    assert!(landed.to.is_none() && (400..500).contains(&landed.status), "{landed:?}");
    assert!(landed.body.contains(words), "{words}: {}", landed.body);
    assert!(landed.body.contains("Back to the sign-in page"), "{}", landed.body);
}

/// Changes what a token says.
type Lie = fn(&mut Value);
/// Signs claims, by the provider's key and a stranger's, as no provider would.
type Forgery = fn(&Key, &Key, &Value) -> String;

async fn no_lie_of_a_provider_signs_anybody_in(home: Home) {
    let home = open(home);
    let server = Server::demo(&home);
    let key = Key::fresh("k");
    let issuer = Issuer::start(&[&key]).await;
    let id = named(&home, &issuer.url, &["--domain", "acme.example"], &ADA);
    let mut visitor = Visitor::new();
    let v = &mut visitor;

    // Claims that are not as they must be.
    let lies: [(&str, Lie); 13] = [
        ("belongs to another sign-in", |c| c["nonce"] = json!("another")),
        ("belongs to another sign-in", |c| drop(c.as_object_mut().unwrap().remove("nonce"))),
        ("has expired", |c| c["exp"] = json!(now() - 120)),
        ("not valid yet", |c| c["iat"] = json!(now() + 600)),
        ("not valid yet", |c| c["nbf"] = json!(now() + 600)),
        ("is for somebody else", |c| c["aud"] = json!("another")),
        ("is for somebody else", |c| c["aud"] = json!(["loopiq", "another"])),
        ("of another issuer", |c| c["iss"] = json!("https://id.evil.example")),
        ("no verified e-mail", |c| c["email_verified"] = json!(false)),
        ("no verified e-mail", |c| drop(c.as_object_mut().unwrap().remove("email_verified"))),
        ("may not speak for", |c| c["email"] = json!("max@globex.example")),
        ("may not speak for", |c| c["email"] = json!("grace@acme.example.evil.example")),
        ("not a member", |c| c["email"] = json!("nobody@acme.example")),
    ];
    for (words, lie) in lies {
        let attempt = Attempt::begin(&server, v, &id).await;
        assert_refused(&attempt.end(&issuer, &key, v, lie).await, words);
    }

    // Signatures that are none.
    let stranger = Key::fresh("k");
    let forged: [(&str, Forgery); 4] = [
        ("not accepted", |key, _, claims| key.unsigned(claims)),
        ("not accepted", |key, _, claims| key.confused(claims)),
        ("signature of the ID token is wrong", |_, stranger, claims| stranger.sign(claims)),
        ("does not publish", |key, _, claims| {
            key.sign_as(&Header { kid: Some("unknown".into()), ..key.header() }, claims)
        }),
    ];
    for (words, forge) in forged {
        let attempt = Attempt::begin(&server, v, &id).await;
        issuer.give(&forge(&key, &stranger, &attempt.claims(&issuer)));
        assert_refused(&attempt.back(v, "").await, words);
    }

    // Answers that belong to nothing, to another browser, to another provider.
    let attempt = Attempt::begin(&server, v, &id).await;
    issuer.give(&key.sign(&attempt.claims(&issuer)));
    assert_refused(&v.get(&format!("{}?code=c&state=invented", attempt.callback)).await, "used already");
    assert_refused(&v.get(&format!("{}?code=c", attempt.callback)).await, "belongs to no sign-in");
    let attempt = Attempt::begin(&server, v, &id).await;
    assert_refused(&attempt.back(&mut Visitor::new(), "").await, "in another browser");
    let attempt = Attempt::begin(&server, v, &id).await;
    assert_refused(
        &attempt.back(v, "&iss=https%3A%2F%2Fid.evil.example").await,
        "another issuer than was asked",
    );
    let another = named(&home, &issuer.url, &["--domain", "acme.example"], &ADA);
    let attempt = Attempt::begin(&server, v, &id).await;
    let elsewhere = attempt.callback.replace(&id, &another);
    let landed = v.get(&format!("{elsewhere}?code=c&state={}", attempt.state)).await;
    assert_refused(&landed, "another identity provider than was asked");
    let attempt = Attempt::begin(&server, v, &id).await;
    let denied = v.get(&format!("{}?error=access_denied&state={}", attempt.callback, attempt.state)).await;
    assert_refused(&denied, "did not sign you in");

    // What is a little off is not a lie; and what was good once is not good twice.
    let attempt = Attempt::begin(&server, v, &id).await;
    let skewed = attempt
        .end(&issuer, &key, v, |c| (c["exp"], c["iat"]) = (json!(now() - 20), json!(now() + 20)))
        .await;
    assert_eq!(skewed.to.as_ref().map(Url::path), Some("/app"), "{}", skewed.body);
    assert_refused(&attempt.back(v, "").await, "used already");

    // An issuer that says that it names itself must; and keys change.
    let later = Key::fresh("later");
    let fresh = Issuer::start(&[&key]).await;
    fresh.announce("authorization_response_iss_parameter_supported", json!(true));
    let third = named(&home, &fresh.url, &["--domain", "acme.example"], &ADA);
    let attempt = Attempt::begin(&server, v, &third).await;
    fresh.give(&key.sign(&attempt.claims(&fresh)));
    assert_refused(&attempt.back(v, "").await, "another issuer than was asked");
    fresh.publish(&[&key, &later]);
    let attempt = Attempt::begin(&server, v, &third).await;
    fresh.give(&later.sign(&attempt.claims(&fresh)));
    let iss = format!("&iss={}", fresh.url);
    assert_eq!(
        attempt.back(v, &iss).await.to.as_ref().map(Url::path),
        Some("/app"),
        "a new key is looked for"
    );

    // A closed account stays closed.
    home.administer(&["user", "deactivate", "--org", "acme", "--email", "grace@acme.example"]);
    let attempt = Attempt::begin(&server, v, &third).await;
    fresh.give(&key.sign(&attempt.claims(&fresh)));
    assert_refused(&attempt.back(v, &iss).await, "has ended");
}

async fn no_provider_is_asked_inside(home: Home) {
    let server = Server::demo(&home);
    let set = |issuer: &str| {
        let new = [
            "set",
            "--name",
            "Company",
            "--issuer",
            issuer,
            "--client-id",
            "loopiq",
            "--domain",
            "acme.example",
        ];
        home.command(&[&["org", "identity-provider"], &new[..], &ADA[..]].concat()).output().unwrap()
    };
    for inside in ["http://id.acme.example", "https://127.0.0.1", "https://10.0.0.1:8443", "https://[::1]"] {
        let done = set(inside);
        assert!(!done.status.success(), "{inside}");
        assert!(String::from_utf8_lossy(&done.stderr).contains("issuer"), "{inside}");
    }
    // A name says nothing of where it leads before it is looked up.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let id = named(&home, &issuer, &["--domain", "acme.example"], &ADA);
    let landed = Visitor::new().get(&format!("{}/app/login/oidc/{id}", server.url)).await;
    assert!(landed.status >= 500 && landed.body.contains("identity_addresses"), "{landed:?}");
    assert!(listener.accept().is_err(), "nobody has connected");
}

async fn a_provider_is_administered_like_everything_else(home: Home) {
    let home = open(home);
    let server = Server::demo(&home);
    let key = Key::fresh("k");
    let issuer = Issuer::start(&[&key]).await;
    let secret = home.folder.path().join("client-secret");
    std::fs::write(&secret, "very-s3cret\n").unwrap();
    let more = ["--domain", "acme.example", "--client-secret-file", secret.to_str().unwrap()];
    let id = named(&home, &issuer.url, &more, &ADA);

    let ada = server.sign_in("ada").await;
    let (_, listed) = server.by_hand(&ada, "loopiq_list_identity_providers", json!({})).await;
    assert_eq!(listed["items"][0]["hasClientSecret"], true, "{listed}");
    let page = ada.0.get(format!("{}/app/identity-providers", server.url)).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(
        page.contains(&issuer.url) && page.contains("/callback") && !page.contains("very-s3cret"),
        "{page}"
    );
    let keep = |secret: &str| {
        let body = format!("csrf={}&secret={secret}", ada.1);
        let form = ada.0.post(format!("{}/app/identity-providers/{id}/secret", server.url)).body(body);
        form.header("content-type", "application/x-www-form-urlencoded").send()
    };
    assert_eq!(keep("another-s3cret").await.unwrap().status(), 303);
    assert_eq!(keep("with%20space").await.unwrap().status(), 422);
    for said in [recorded(&server, "administered").await, listed] {
        assert!(!said.to_string().contains("s3cret"), "{said}");
    }

    // Whoever sets one could be anybody, so it takes somebody who may everything.
    let manager = ["--org", "acme", "--email", "grace@acme.example", "--permission", "integrations:manage"];
    home.administer(&[&["user", "grant"], &manager[..]].concat());
    let grace = server.sign_in("grace").await;
    let (status, _) = server.by_hand(&grace, "loopiq_list_identity_providers", json!({})).await;
    assert_eq!(status, 200);
    let change = json!({ "providerId": id, "name": "Mine", "reason": "test" });
    let (status, refused) = server.by_hand(&grace, "loopiq_set_identity_provider", change).await;
    assert!(status == 403 && refused.to_string().contains("administrators too"), "{refused}");

    let max = ["--org", "globex", "--email", "max@globex.example"];
    let foreign =
        home.command(&[&["org", "identity-provider", "remove", &id], &max[..]].concat()).output().unwrap();
    assert!(!foreign.status.success() && String::from_utf8_lossy(&foreign.stderr).contains("not_found"));
    provider(&home, &["remove", &id], &ADA);
    assert_eq!(provider(&home, &["list"], &ADA), Vec::<Value>::new());
    let gone = Visitor::new().get(&format!("{}/app/login/oidc/{id}", server.url)).await;
    assert_eq!(gone.status, 404);
}
