//! Approvals signed with a passkey: registered in a real browser, asked for by a policy, kept in the log, and verified
//! without the server.

use serde_json::{Value, json};

use crate::audit_log::{beside, export, faults, verify};
use crate::devtools::Browser;
use crate::server::{CREATE, Home, Server, http, on_both_engines};

on_both_engines! {
    an_approval_is_signed_in_the_browser_and_verified_without_the_server
    what_a_removed_passkey_signed_counts_no_more
}

/// The pages by the name of the host, without which a browser knows no passkeys.
pub fn pages(server: &Server) -> String {
    server.url.replace("127.0.0.1", "localhost")
}

/// A browser with an authenticator of its own, in which a person has signed in.
pub fn sits_down(server: &Server, name: &str) -> Browser {
    let mut browser = Browser::open();
    browser.with_authenticator();
    assert_eq!(browser.visit(&format!("{}/app/passkeys", pages(server))), 200);
    let (email, password) = server.credentials(name);
    browser.write("E-mail", &email);
    browser.write("Password", &password);
    assert_eq!(browser.press("Sign in"), 200);
    browser
}

pub fn registers(browser: &mut Browser, server: &Server, device: &str) {
    assert_eq!(browser.visit(&format!("{}/app/passkeys", pages(server))), 200);
    browser.write("Name", device);
    assert_eq!(browser.press("Register"), 200);
    assert!(browser.text().contains(device), "{}", browser.text());
}

/// Puts a rule in force that wants ordinary writes approved by so many, each with a passkey; what was said.
pub fn publishes_rule(home: &Home, minimum: u32) -> (Option<i32>, String) {
    let shown = home.administer(&["policy", "show", "--org", "acme", "--version", "0"]);
    let strict = shown[0]["text"].as_str().unwrap().replace(
        "@id(\"ordinary-write\")\n@approval(\"confirm\")",
        &format!(
            "@id(\"signed\")\n@approval(\"quorum\")\n@minimum(\"{minimum}\")\n@tier(\"critical\")\n@passkey(\"required\")"
        ),
    );
    let file = beside(home, "signed.cedar");
    std::fs::write(&file, strict).unwrap();
    let who = ["--org", "acme", "--email", "ada@acme.example", "--reason", "Critical writes are signed"];
    let done = home.command(&["policy", "publish", file.to_str().unwrap()]).args(who).output().unwrap();
    (done.status.code(), String::from_utf8(done.stderr).unwrap())
}

pub async fn proposed(server: &Server, title: &str) -> String {
    let linus = server.token("linus", "acme");
    let package = server.package(&http(), &linus, title).await;
    let (error, answer) = server.call(&http(), &linus, CREATE, package).await;
    assert!(!error && answer["status"] == "pending_approval", "{answer}");
    answer["action"]["id"].as_str().unwrap().to_owned()
}

fn opens(browser: &mut Browser, server: &Server, action: &str) -> String {
    assert_eq!(browser.visit(&format!("{}/app/actions/{action}", pages(server))), 200);
    browser.text()
}

async fn an_approval_is_signed_in_the_browser_and_verified_without_the_server(home: Home) {
    let server = Server::demo(&home);
    let (code, said) = publishes_rule(&home, 1);
    assert!(code == Some(1) && said.contains("signed with a passkey"), "nobody could sign: {said}");

    let mut grace = sits_down(&server, "grace");
    registers(&mut grace, &server, "Work laptop");
    // The same authenticator makes no second one for the same person.
    grace.write("Name", "Again");
    grace.press_on_page("Register");
    grace.until("document.querySelector('.passkey-says').textContent.includes('already')");
    let (code, said) = publishes_rule(&home, 1);
    assert_eq!(code, Some(0), "{said}");

    let action = proposed(&server, "Signed").await;
    // Neither without a signature, nor with one over another action, nor with what is none.
    let session = server.sign_in("grace").await;
    let address = |action: &str, what: &str| format!("{}/api/v1/actions/{action}/{what}", server.url);
    let approve = async |action: &str, body: Value| {
        let asked = session.0.post(address(action, "approve")).header("X-CSRF-Token", &session.1);
        let answer = asked.json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, refused) = approve(&action, json!({})).await;
    assert_eq!((status, &refused["code"]), (409, &json!("approval_not_granted")), "{refused}");
    assert!(refused.to_string().contains("Register a passkey"), "{refused}");
    // About other records, so that it stays good when the first has run.
    let item = json!({ "type": "story", "title": "Tidy up", "teamId": "backend", "reason": "it is due" });
    let linus = server.token("linus", "acme");
    let (_, other) = server.call(&http(), &linus, "loopiq_create_work_item", item).await;
    let other = other["action"]["id"].as_str().unwrap().to_owned();
    let asked: Value =
        session.0.get(address(&other, "confirmation")).send().await.unwrap().json().await.unwrap();
    let signed = grace.signs(&asked["options"]);
    for wrong in [&signed, &json!({}), &json!("x"), &json!({ "id": 5 })] {
        let (status, refused) = approve(&action, json!({ "signed": wrong })).await;
        assert_eq!((status, &refused["code"]), (409, &json!("approval_not_granted")), "{refused}");
    }
    // Ada may approve, but has no passkey.
    let ada = server.sign_in("ada").await;
    let card = ada.0.get(format!("{}/app/actions/{action}", server.url)).send().await.unwrap();
    let card = card.text().await.unwrap();
    assert!(card.contains("Register one under Passkeys") && !card.contains("Approve and run"), "{card}");

    let text = opens(&mut grace, &server, &action);
    assert!(text.contains("must approve by passkey"), "{text}");
    assert_eq!(grace.press("Sign, approve and run"), 200);
    let text = grace.text();
    assert!(text.contains("Done: it ran once") && text.contains("signed with a passkey"), "{text}");
    // What was signed before the last signature that counted may come from a copy of the authenticator.
    let (status, refused) = approve(&other, json!({ "signed": signed })).await;
    assert_eq!((status, &refused["code"]), (409, &json!("approval_not_granted")), "{refused}");
    assert!(refused.to_string().contains("there may be a copy"), "{refused}");
    assert_eq!(opens(&mut grace, &server, &other).matches("Sign, approve and run").count(), 1);
    assert_eq!(grace.press("Sign, approve and run"), 200);

    let bundle = export(&home, "signed.bundle");
    let report: Value = serde_json::from_slice(&verify(&bundle, &[]).stdout).unwrap();
    let counted = &report["counts"]["signedApprovals"];
    assert_eq!((&report["findings"], counted), (&json!([]), &json!(2)), "{report}");

    // A record that says another signature, or the same under another action, is found out by itself.
    let text = std::fs::read_to_string(&bundle).unwrap();
    let line = text.lines().find(|line| line.contains("\"authenticatorData\"")).unwrap();
    assert!(line.contains(&action), "the approval of the first action");
    let forged = beside(&home, "forged.bundle");
    std::fs::write(&forged, text.replace(line, &line.replace(&action, &other))).unwrap();
    let found = faults(&forged, &[]);
    assert!(found.contains(&"wrong_passkey".to_owned()), "{found:?}");
    assert_eq!(grace.complaints(), Vec::<String>::new());
}

async fn what_a_removed_passkey_signed_counts_no_more(home: Home) {
    let server = Server::demo(&home);
    let (mut grace, mut ada) = (sits_down(&server, "grace"), sits_down(&server, "ada"));
    registers(&mut grace, &server, "Old phone");
    registers(&mut ada, &server, "Security key");
    let (code, said) = publishes_rule(&home, 2);
    assert_eq!(code, Some(0), "{said}");
    let action = proposed(&server, "By two").await;
    opens(&mut grace, &server, &action);
    assert_eq!(grace.press("Sign, approve and run"), 200);
    assert!(grace.text().contains("1 of 2 approvals given"), "{}", grace.text());

    // Ada, who manages people, takes the lost phone away.
    let session = server.sign_in("ada").await;
    let (_, listed) = server.by_hand(&session, "loopiq_list_passkeys", json!({})).await;
    let listed = listed["items"].as_array().unwrap();
    let phone = listed.iter().find(|passkey| passkey["name"] == "Old phone").unwrap();
    let removal = json!({ "passkeyId": phone["id"], "reason": "the phone was lost" });
    // Somebody who manages nobody does not even find it, and no token registers one.
    let (status, _) =
        server.by_hand(&server.sign_in("linus").await, "loopiq_remove_passkey", removal.clone()).await;
    assert_eq!(status, 404);
    let http = http();
    let register = http.post(format!("{}/api/v1/tools/loopiq_register_passkey", server.url));
    let body = json!({ "name": "x", "response": {}, "reason": "x" });
    let refused = register.bearer_auth(server.token("ada", "acme")).json(&body).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    let (status, removed) = server.by_hand(&session, "loopiq_remove_passkey", removal).await;
    assert_eq!((status, &removed["status"]), (200, &json!("executed")), "{removed}");

    opens(&mut ada, &server, &action);
    assert_eq!(ada.press("Sign, approve and run"), 200);
    let text = ada.text();
    assert!(text.contains("Waiting for a decision") && text.contains("1 of 2 approvals given"), "{text}");
    // The rule can be met by nobody but Ada now, so that the like is refused at once.
    let linus = server.token("linus", "acme");
    let package = server.package(&http, &linus, "By two again").await;
    let (error, refused) = server.call(&http, &linus, CREATE, package).await;
    assert!(error && refused["error"]["message"].as_str().unwrap().contains("1 member(s)"), "{refused}");

    registers(&mut grace, &server, "New phone");
    opens(&mut grace, &server, &action);
    assert_eq!(grace.press("Sign, approve and run"), 200);
    assert!(grace.text().contains("Done: it ran once"), "{}", grace.text());
}
