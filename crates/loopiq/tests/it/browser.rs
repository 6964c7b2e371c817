//! The person's side, in a real browser: an agent proposes, a release manager reads the card and decides, with script
//! and without.

use reqwest::Client;
use serde_json::{Value, json};

use crate::devtools::Browser;
use crate::server::{CREATE, Server, binary, http};

/// A proposal over MCP by somebody else than the person who will decide.
pub async fn proposed(server: &Server, http: &Client) -> Value {
    let linus = server.token("linus", "acme");
    let mut package = server.package(http, &linus, "Close the gap").await;
    package["workflow"] = json!("friday-release");
    package["parent"]["description"] = json!("<b>Not markup</b>, only words.");
    let (error, answer) = server.call(http, &linus, CREATE, package).await;
    assert!(!error && answer["status"] == "pending_approval", "{answer}");
    answer
}

async fn action(server: &Server, http: &Client, id: &Value) -> Value {
    let token = server.token("linus", "acme");
    let (_, found) = server.call(http, &token, "loopiq_get_action", json!({ "actionId": id })).await;
    found["action"].clone()
}

/// The list of approvals as a person reads it.
async fn inbox(server: &Server, name: &str) -> String {
    let (session, _) = server.sign_in(name).await;
    session.get(format!("{}/app/approvals", server.url)).send().await.unwrap().text().await.unwrap()
}

/// Opens a link as somebody who is not signed in, signs in, and stands where the link leads.
pub fn follow(browser: &mut Browser, server: &Server, name: &str, link: &str) -> u64 {
    assert_eq!(browser.visit(link), 200);
    assert!(browser.address().contains("/app/login?next="), "{}", browser.address());
    let (email, password) = server.credentials(name);
    browser.write("E-mail", &email);
    browser.write("Password", &password);
    let status = browser.press("Sign in");
    assert_eq!(browser.address(), link);
    status
}

/// All that the documentation says a card shows, besides the payload.
fn documented(card: &Value) -> Vec<&str> {
    let mut fields: Vec<&Value> = [
        "/organization/name",
        "/team/name",
        "/release/name",
        "/certification/title",
        "/tool",
        "/reason",
        "/approvalId",
        "/actionId",
        "/requestId",
        "/traceId",
        "/workflow",
        "/idempotencyKey",
        "/payloadSha256",
        "/digest",
        "/requestedBy/email",
        "/policySentence",
        "/policy/policy",
    ]
    .iter()
    .map(|path| card.pointer(path).unwrap_or_else(|| panic!("the card has {path}")))
    .collect();
    let each = |list: &'static str| card[list].as_array().unwrap().iter();
    fields.extend(each("components"));
    fields.extend(each("references").flat_map(|r| [&r["title"], &r["id"]]));
    fields.extend(each("effects").filter(|e| e["operation"] == "create").map(|e| &e["title"]));
    fields.into_iter().map(|field| field.as_str().unwrap()).collect()
}

/// An empty page, and pictures that the browser itself draws into fields for dates.
fn made_here(url: &str) -> bool {
    url == "about:blank" || url.starts_with("data:image/")
}

pub fn assert_clean(browser: &Browser, server: &Server) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let own = format!("{}/", server.url);
    let strange: Vec<String> =
        browser.requests().into_iter().filter(|url| !url.starts_with(&own) && !made_here(url)).collect();
    assert_eq!(strange, Vec::<String>::new(), "pages ask their own server only");
}

#[tokio::test]
async fn a_card_is_followed_read_and_approved() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let http = http();
    let proposal = proposed(&server, &http).await;
    let card = &proposal["approval"]["card"];
    let link = proposal["approval"]["url"].as_str().unwrap();

    let id = &card["actionId"];
    assert!(inbox(&server, "grace").await.contains("Waits for you"), "a release manager may approve");
    assert!(inbox(&server, "vic").await.contains("Waits for others"), "a viewer may not");

    let mut browser = Browser::open();
    assert_eq!(follow(&mut browser, &server, "grace", link), 200);
    let text = browser.text();
    for field in documented(card) {
        assert!(text.contains(field), "the card shows {field}: {text}");
    }
    assert!(text.contains("<b>Not markup</b>, only words."), "text of records is shown as text");
    assert_ne!(browser.ask("document.querySelectorAll('.copy').length"), 0, "the script has run");
    let payload = browser.ask("document.querySelector('#payload pre').textContent");
    assert_eq!(serde_json::from_str::<Value>(payload.as_str().unwrap()).unwrap(), card["payload"]);

    assert_eq!(browser.press("Approve and run"), 200);
    assert_eq!(browser.address(), link, "the result has the card's address");
    let done = action(&server, &http, id).await;
    assert_eq!(done["status"], "executed");
    assert!(inbox(&server, "grace").await.contains("Nothing waits for a decision"));
    assert_eq!(done["card"]["approvals"][0]["email"], "grace@acme.example");
    let text = browser.text();
    let (sequence, leaf) =
        (done["audit"]["sequence"].to_string(), done["audit"]["leafHash"].as_str().unwrap());
    for words in ["Done: it ran once, exactly as approved", "Audit receipt", &sequence, leaf] {
        assert!(text.contains(words), "the result shows {words}: {text}");
    }
    let records = || ["created", "updated"].into_iter().flat_map(|list| done[list].as_array().unwrap());
    for record in records() {
        assert!(text.contains(record["id"].as_str().unwrap()), "the result shows {record}");
    }

    let links = browser.ask("[...document.querySelectorAll('#main a[href]')].map(a => a.href)");
    let links = links.as_array().unwrap();
    assert!(links.iter().any(|l| l.as_str().unwrap().contains("/app/packages/")), "{links:?}");
    for link in links.iter().chain(records().map(|r| &r["url"])).map(|l| l.as_str().unwrap()) {
        let (page, part) = link.split_once('#').unwrap_or((link, ""));
        assert_eq!(browser.visit(page), 200, "{link}");
        let there = browser.ask(&format!("'{part}' === '' || document.getElementById('{part}') !== null"));
        assert_eq!(there, true, "{link} leads to something on the page");
    }
    for record in records().filter(|r| r["type"] == "evidence_gap") {
        let url = record["url"].as_str().unwrap();
        assert!(url.ends_with(record["id"].as_str().unwrap()), "an agent's link leads to the gap: {url}");
    }
    assert_clean(&browser, &server);
}

#[tokio::test]
async fn without_script_a_card_is_rejected_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let http = http();
    let proposal = proposed(&server, &http).await;
    let card = &proposal["approval"]["card"];

    let mut browser = Browser::open();
    browser.without_script();
    let link = proposal["approval"]["url"].as_str().unwrap();
    assert_eq!(follow(&mut browser, &server, "grace", link), 200);
    let text = browser.text();
    for field in documented(card) {
        assert!(text.contains(field), "the card shows {field}: {text}");
    }
    assert_eq!(browser.ask("document.querySelector('.copy')"), Value::Null, "no script has run");

    browser.write("Why not?", "Split it by team first.");
    assert_eq!(browser.press("Reject"), 200);
    let text = browser.text();
    for words in ["Rejected: nothing was changed", "Split it by team first.", "grace@acme.example"] {
        assert!(text.contains(words), "{text}");
    }
    let rejected = action(&server, &http, &card["actionId"]).await;
    assert_eq!(
        (&rejected["status"], &rejected["rejectionReason"]),
        (&json!("rejected"), &json!("Split it by team first."))
    );
    assert_clean(&browser, &server);
}

#[tokio::test]
async fn a_strangers_link_looks_like_an_absent_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let http = http();
    let proposal = proposed(&server, &http).await;
    let foreign = proposal["approval"]["url"].as_str().unwrap();
    let absent = format!("{}/app/actions/act_{}", server.url, "0".repeat(26));

    let mut browser = Browser::open();
    let seen = |browser: &mut Browser, status: u64| {
        assert_eq!(status, 404);
        assert!(browser.text().contains("There is nothing here"));
        browser.ask("document.documentElement.outerHTML.replaceAll(/req_[0-9a-f]+/g, 'REQUEST')")
    };
    let status = follow(&mut browser, &server, "max", foreign);
    let of_foreign = seen(&mut browser, status);
    let status = browser.visit(&absent);
    assert_eq!(of_foreign, seen(&mut browser, status));
}
