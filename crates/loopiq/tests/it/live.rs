//! Pages that stay true while they are open: what happens on one node is shown by the pages of another, without a reload
//! and without taking anything out of the hands of whoever looks at them.

use std::process::Command;

use reqwest::Response;
use serde_json::json;
use testkit::postgres::APP;

use crate::browser::{assert_clean, follow, proposed};
use crate::devtools::Browser;
use crate::server::{Home, Server, binary, http, on_both_engines};

on_both_engines! {
    an_inbox_and_a_card_show_what_others_do
    a_page_of_somebody_who_lost_access_shows_that
    a_page_that_nobody_sees_holds_no_stream_and_catches_up
    a_stream_ends_with_its_session
    a_server_that_stops_waits_for_no_stream
}

/// One more node, where there can be one.
fn beside(home: &Home, first: &Server) -> Option<Server> {
    home.database_url(APP).map(|_| Server::node(home, first))
}

async fn an_inbox_and_a_card_show_what_others_do(home: Home) {
    let near = Server::demo(&home);
    let second = beside(&home, &near);
    let far = second.as_ref().unwrap_or(&near);
    let http = http();
    let mut browser = Browser::open();
    assert_eq!(follow(&mut browser, far, "grace", &format!("{}/app/approvals", far.url)), 200);
    browser.ask("window.stays = 'the same page'");

    let proposal = proposed(&near, &http).await;
    let id = proposal["action"]["id"].as_str().unwrap();
    browser.until(&format!("document.querySelector('#list a[href=\"/app/actions/{id}\"]')"));
    let said = browser.ask("document.querySelector('[role=status]').textContent");
    assert_eq!(said, "Updated: Actions", "a screen reader is told");

    // The card, in which somebody has begun to write why not.
    assert_eq!(browser.visit(&format!("{}/app/actions/{id}", far.url)), 200);
    assert!(browser.text().contains("Waiting for a decision"));
    browser.ask("window.stays = 'the same page'");
    browser.ask("document.querySelector('#payload details').open = true");
    browser.write("Why not?", "Because of th");
    let (status, done) = near.decide(&near.sign_in("ada").await, id, "approve").await.unwrap();
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
    browser.until("document.body.innerText.includes('Done: it ran once')");
    assert!(browser.text().contains("Audit receipt"));
    assert_eq!(
        browser.ask("document.activeElement.value"),
        "Because of th",
        "nothing is taken from who types"
    );
    assert_eq!(
        browser.ask("document.querySelector('#payload details').open"),
        true,
        "what was unfolded stays so"
    );

    // Given up, so that the form may go.
    browser.ask("document.activeElement.value = ''; document.activeElement.blur()");
    browser.until("!document.querySelector('#decide')");
    assert_eq!(browser.ask("window.stays"), "the same page", "it was never loaded again");
    assert_clean(&browser, far);
}

async fn a_page_of_somebody_who_lost_access_shows_that(home: Home) {
    let near = Server::demo(&home);
    let second = beside(&home, &near);
    let far = second.as_ref().unwrap_or(&near);
    let mut browser = Browser::open();
    follow(&mut browser, far, "vic", &format!("{}/app/releases", far.url));
    browser.visit(&format!("{}/app", far.url));
    browser.until("document.querySelector('#releases')");
    let status = browser.load(|_| {
        home.administer(&["user", "deactivate", "--org", "acme", "--email", "vic@acme.example"]);
    });
    assert_eq!(status, 403, "the page has loaded itself, to say so");
    assert!(!browser.text().contains("backend-v1"), "{}", browser.text());
}

/// The next thing on a stream; `None` when it has ended in good order.
pub async fn sent(stream: &mut Response) -> Option<String> {
    Some(String::from_utf8(stream.chunk().await.unwrap()?.to_vec()).unwrap())
}

async fn a_page_that_nobody_sees_holds_no_stream_and_catches_up(home: Home) {
    let near = Server::demo(&home);
    let second = beside(&home, &near);
    let far = second.as_ref().unwrap_or(&near);
    let http = http();
    let mut browser = Browser::open();
    follow(&mut browser, far, "grace", &format!("{}/app/approvals", far.url));
    let open = async || {
        let counted = http.get(format!("{}/metrics", far.url)).send().await.unwrap().text().await.unwrap();
        let line = counted.lines().find_map(|line| line.strip_prefix("loopiq_event_streams "));
        line.unwrap().to_owned()
    };
    while open().await != "1" {}
    let turn = |browser: &mut Browser, hidden: bool| {
        browser.ask(&format!(
            "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }});
             document.dispatchEvent(new Event('visibilitychange'))"
        ));
    };
    turn(&mut browser, true);
    while open().await != "0" {}
    let proposal = proposed(&near, &http).await;
    let id = proposal["action"]["id"].as_str().unwrap();
    let link = format!("document.querySelector('#list a[href=\"/app/actions/{id}\"]')");
    assert_eq!(browser.ask(&format!("{link} === null")), true);
    turn(&mut browser, false);
    browser.until(&link);
}

/// Waits until a stream says that the log is longer.
pub async fn until_longer(stream: &mut Response, than: i64) -> i64 {
    loop {
        let said = sent(stream).await.expect("the stream goes on");
        let lengths = said.lines().filter_map(|line| line.strip_prefix("data: "));
        if let Some(length) = lengths.map(|length| length.parse().unwrap()).find(|length| *length > than) {
            return length;
        }
    }
}

async fn a_stream_ends_with_its_session(home: Home) {
    let near = Server::demo(&home);
    let second = beside(&home, &near);
    let far = second.as_ref().unwrap_or(&near);
    let (client, csrf) = near.sign_in("grace").await;
    let events = format!("{}/app/events", far.url);
    let mut stream = client.get(&events).send().await.unwrap();
    assert!(sent(&mut stream).await.unwrap().contains("data: "));
    proposed(&near, &http()).await;
    assert!(sent(&mut stream).await.unwrap().contains("data: "), "a change on the other node is heard");
    let gone = client.delete(format!("{}/api/v1/session", near.url)).header("X-CSRF-Token", csrf);
    assert!(gone.send().await.unwrap().status().is_success());
    let (other, _) = near.sign_in("ada").await;
    let mut others = other.get(&events).send().await.unwrap();
    let before = sent(&mut others).await.unwrap();
    let again = near.package(&http(), &near.token("linus", "acme"), "Another").await;
    near.call(&http(), &near.token("linus", "acme"), crate::server::CREATE, again).await;
    assert_ne!(sent(&mut others).await.unwrap(), before, "there was something to hear");
    assert_eq!(sent(&mut stream).await, None, "but not for who has signed out");
    assert_eq!(client.get(&events).send().await.unwrap().status(), 204);
}

async fn a_server_that_stops_waits_for_no_stream(home: Home) {
    drop(Server::demo(&home));
    let mut command = Command::new(binary());
    // Who waits for the streams waits for longer than any test may take.
    command.env("LOOPIQ_SHUTDOWN_SECONDS_MAX", "3600");
    command.args(["demo", "--json", "--listen", "127.0.0.1:0", "--data"]).arg(home.folder.path());
    command.envs(home.database_url(APP).map(|url| ("LOOPIQ_DATABASE_URL", url)));
    let server = Server::ready(&mut command);
    let (client, _) = server.sign_in("grace").await;
    let mut stream = client.get(format!("{}/app/events", server.url)).send().await.unwrap();
    assert!(sent(&mut stream).await.is_some());
    server.stop();
    assert_eq!(sent(&mut stream).await, None, "ended in good order");
}
