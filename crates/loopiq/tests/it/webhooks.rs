//! Other systems are told of what happens to actions: signed by the Standard Webhooks scheme, until they have taken it,
//! and never by way of an address inside. What is received is checked by the scheme's own library.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use standardwebhooks::Webhook as Verifier;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::server::{CREATE, Home, Server, http, on_both_engines};

on_both_engines! {
    what_happens_is_told_signed_and_to_nobody_else
    what_is_not_taken_is_tried_again_given_up_and_sent_after_all
    a_receiver_that_is_gone_is_told_no_more
    no_message_goes_inside
    what_was_to_be_told_outlives_the_process
    a_secret_is_told_once_and_replaced_at_once
    every_end_of_an_action_is_told
}

/// How long a test waits for what the server does in its own time.
const PATIENCE: Duration = Duration::from_mins(1);

/// Another system, with what it was told.
struct Receiver {
    url: String,
    told: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
    /// Ends with the receiver.
    _running: JoinSet<()>,
}

impl Receiver {
    /// Answers with these statuses, one after the other, and with 204 from then on.
    async fn answering(statuses: &[u16]) -> Receiver {
        let (tell, told) = mpsc::unbounded_channel();
        let statuses = Arc::new(Mutex::new(VecDeque::from(statuses.to_vec())));
        let app = Router::new().route(
            "/hook",
            post(move |headers: HeaderMap, body: Bytes| {
                let status = statuses.lock().unwrap().pop_front().unwrap_or(204);
                tell.send((headers, body)).unwrap();
                async move { StatusCode::from_u16(status).unwrap() }
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let serving = axum::serve(listener, app).into_future();
        let mut running = JoinSet::new();
        running.spawn(async move { serving.await.unwrap() });
        Receiver { url, told, _running: running }
    }

    /// The next message: its id and what it says, if it is signed with this secret.
    async fn next(&mut self, secret: &str) -> (String, Value) {
        let (headers, body) = self.raw().await;
        Verifier::new(secret).unwrap().verify(&body, &headers).expect("the scheme's own library accepts it");
        let id = headers["webhook-id"].to_str().unwrap().to_owned();
        (id, serde_json::from_slice(&body).unwrap())
    }

    async fn raw(&mut self) -> (HeaderMap, Bytes) {
        let told = tokio::time::timeout(PATIENCE, self.told.recv()).await;
        told.expect("a message comes").expect("the receiver is there")
    }
}

/// A home whose webhooks may go to this machine, with these waits before further tries.
fn open(mut home: Home, waits: &str) -> Home {
    home.settings.push(("LOOPIQ_WEBHOOK_ADDRESSES", "any".into()));
    home.settings.push(("LOOPIQ_WEBHOOK_RETRY_SECONDS", waits.into()));
    home
}

const ADA: [&str; 4] = ["--org", "acme", "--email", "ada@acme.example"];

fn webhook(home: &Home, arguments: &[&str], who: &[&str]) -> Vec<Value> {
    home.administer(&[&["webhook"], arguments, who].concat())
}

/// Adds a webhook to acme that is told of proposals; its id and secret.
fn add(home: &Home, url: &str) -> (String, String) {
    made(&webhook(home, &["add", url, "--event", "action.proposed"], &ADA))
}

fn made(made: &[Value]) -> (String, String) {
    let text = |member: &str| made[0][member].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

async fn propose(server: &Server, title: &str) -> Value {
    let (http, grace) = (http(), server.token("grace", "acme"));
    let package = server.package(&http, &grace, title).await;
    let (error, proposed) = server.call(&http, &grace, CREATE, package).await;
    assert!(!error && proposed["status"] == "pending_approval", "{proposed}");
    proposed
}

/// Waits until the list of what was given up is as long as this.
async fn dead(home: &Home, wanted: usize) -> Vec<Value> {
    let settled = tokio::time::timeout(PATIENCE, async {
        loop {
            let dead = webhook(home, &["dead"], &ADA);
            if dead.len() == wanted {
                return dead;
            }
            tokio::task::yield_now().await;
        }
    });
    settled.await.expect("deliveries are given up")
}

async fn what_happens_is_told_signed_and_to_nobody_else(home: Home) {
    let home = open(home, "0");
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let (mut ours, mut theirs) = (Receiver::answering(&[]).await, Receiver::answering(&[]).await);
    let (_, secret) = made(&webhook(&home, &["add", &ours.url], &ADA));
    let (_, told) = ours.next(&secret).await;
    assert_eq!(told["data"]["tool"], "loopiq_set_webhook", "it begins with being told of itself: {told}");
    let max = ["--org", "globex", "--email", "max@globex.example"];
    let (_, foreign) = made(&webhook(&home, &["add", &theirs.url], &max));
    theirs.next(&foreign).await;

    let proposed = propose(other.as_ref().unwrap_or(&server), "Told of").await;
    let action = proposed["action"]["id"].as_str().unwrap();
    let (first, told) = ours.next(&secret).await;
    assert_eq!((&told["type"], &told["data"]["actionId"]), (&json!("action.proposed"), &json!(action)));
    assert_eq!((&told["data"]["organization"], &told["data"]["tool"]), (&json!("acme"), &json!(CREATE)));
    assert!(told["data"]["url"].as_str().unwrap().ends_with(action), "{told}");
    assert!(!told.to_string().contains("the release is blocked"), "no words of anybody: {told}");
    let grace = server.sign_in("grace").await;
    server.decide(&grace, action, "approve").await.unwrap();
    let (second, told) = ours.next(&secret).await;
    assert_eq!(told["type"], "action.approved_and_executed", "{told}");
    let rejected = propose(&server, "Rejected").await;
    let (third, told) = ours.next(&secret).await;
    assert_eq!(told["type"], "action.proposed", "{told}");
    server.decide(&grace, rejected["action"]["id"].as_str().unwrap(), "reject").await.unwrap();
    let (fourth, told) = ours.next(&secret).await;
    assert_eq!(told["type"], "action.rejected", "{told}");
    let ids = std::collections::BTreeSet::from([first, second, third, fourth]);
    assert_eq!(ids.len(), 4, "each event has its own id");
    assert!(ours.told.try_recv().is_err() && theirs.told.try_recv().is_err(), "nobody else is told");
}

async fn what_is_not_taken_is_tried_again_given_up_and_sent_after_all(home: Home) {
    let home = open(home, "0");
    let server = Server::demo(&home);
    let mut receiver = Receiver::answering(&[500, 204, 503, 302]).await;
    let (id, secret) = add(&home, &receiver.url);
    propose(&server, "At the second try").await;
    let ((first, _), (second, _)) = (receiver.next(&secret).await, receiver.next(&secret).await);
    assert_eq!(first, second, "a repeat has the same id");
    propose(&server, "Given up").await;
    let (lost, _) = receiver.next(&secret).await;
    receiver.next(&secret).await;
    let given_up = dead(&home, 1).await;
    assert_eq!((&given_up[0]["eventId"], &given_up[0]["attempts"]), (&json!(lost), &json!(2)));
    assert_eq!(given_up[0]["failure"], "redirected", "no redirection is followed: {given_up:?}");
    webhook(&home, &["retry", &id, &lost], &ADA);
    let (again, told) = receiver.next(&secret).await;
    assert_eq!((again, &told["type"]), (lost.clone(), &json!("action.proposed")));
    dead(&home, 0).await;
    let refused = home.command(&[&["webhook", "retry", &id, &lost][..], &ADA].concat()).output().unwrap();
    assert!(!refused.status.success(), "what was delivered is not sent again");
}

async fn a_receiver_that_is_gone_is_told_no_more(home: Home) {
    let home = open(home, "0");
    let server = Server::demo(&home);
    let mut receiver = Receiver::answering(&[410]).await;
    let (id, secret) = add(&home, &receiver.url);
    propose(&server, "The last").await;
    receiver.next(&secret).await;
    dead(&home, 1).await;
    let listed = webhook(&home, &["list"], &ADA);
    assert_eq!((&listed[0]["id"], &listed[0]["enabled"]), (&json!(id), &json!(false)));
    propose(&server, "Told to nobody").await;
    webhook(&home, &["set", &id, "--enabled", "true"], &ADA);
    propose(&server, "Told again").await;
    let (_, told) = receiver.next(&secret).await;
    assert!(told["data"]["summary"].is_string() && receiver.told.try_recv().is_err(), "{told}");
    webhook(&home, &["remove", &id], &ADA);
    assert!(webhook(&home, &["list"], &ADA).is_empty());
    let rita = server.token("rita", "acme");
    let (_, log) = server.call(&http(), &rita, "loopiq_list_audit_records", json!({ "limit": 100 })).await;
    let switched =
        log["items"].as_array().unwrap().iter().any(|record| record["tool"] == "switch_off_webhook");
    assert!(switched, "{log}");
}

async fn no_message_goes_inside(home: Home) {
    // As it is set up when nobody sets anything.
    let server = Server::demo(&home);
    for url in
        ["http://hooks.example/", "https://127.0.0.1/hook", "https://10.0.0.1/", "https://[::1]/", "nonsense"]
    {
        let refused = home.command(&[&["webhook", "add", url][..], &ADA].concat()).output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains("url must"), "{url}: {said}");
    }
    // A name that leads inside is found out when it is called.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    add(&home, &format!("https://localhost:{}/hook", listener.local_addr().unwrap().port()));
    propose(&server, "Going nowhere").await;
    let given_up = dead(&home, 1).await;
    assert_eq!((&given_up[0]["failure"], &given_up[0]["attempts"]), (&json!("private_address"), &json!(1)));
    // Only who manages integrations may, and another organization knows nothing of it.
    let grace = server.sign_in("grace").await;
    let wanted = json!({ "url": "https://hooks.example/", "reason": "r" });
    assert_eq!(server.by_hand(&grace, "loopiq_set_webhook", wanted).await.0, 403);
    let max = server.sign_in("max").await;
    let (_, listed) = server.by_hand(&max, "loopiq_list_webhooks", json!({})).await;
    assert_eq!((&listed["total"], &listed["dead"]), (&json!(0), &json!([])));
}

async fn what_was_to_be_told_outlives_the_process(home: Home) {
    let home = open(home, "0,0,0,0,0,0,0,0,0,0,0,0");
    let mut server = Server::demo(&home);
    let mut receiver = Receiver::answering(&[]).await;
    let (_, secret) = add(&home, &receiver.url);
    let mut wanted = std::collections::BTreeSet::new();
    for round in 0..3 {
        let proposed = propose(&server, &format!("Before the end {round}")).await;
        server.kill();
        wanted.insert(proposed["action"]["id"].as_str().unwrap().to_owned());
        server = Server::demo(&home);
    }
    let told = tokio::time::timeout(PATIENCE, async {
        while !wanted.is_empty() {
            let (_, told) = receiver.next(&secret).await;
            wanted.remove(told["data"]["actionId"].as_str().unwrap());
        }
    });
    told.await.expect("what was committed is told");
}

async fn a_secret_is_told_once_and_replaced_at_once(home: Home) {
    let home = open(home, "0");
    let server = Server::demo(&home);
    let mut receiver = Receiver::answering(&[]).await;
    let (id, first) = add(&home, &receiver.url);
    let ada = server.sign_in("ada").await;
    let (_, listed) = server.by_hand(&ada, "loopiq_list_webhooks", json!({})).await;
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["hasSecret"]), (&json!(id), &json!(true)));
    let rita = server.token("rita", "acme");
    let (_, log) = server.call(&http(), &rita, "loopiq_list_audit_records", json!({ "limit": 100 })).await;
    assert!(!listed.to_string().contains(&first) && !log.to_string().contains(&first));

    let address = format!("{}/api/v1/webhooks/{id}/secret", server.url);
    let asked = ada.0.post(&address).header("X-CSRF-Token", &ada.1).send().await.unwrap();
    let second: Value = asked.json().await.unwrap();
    let second = second["secret"].as_str().unwrap();
    propose(&server, "Signed anew").await;
    let (headers, body) = receiver.raw().await;
    assert!(Verifier::new(&first).unwrap().verify(&body, &headers).is_err(), "the first is good for nothing");
    Verifier::new(second).unwrap().verify(&body, &headers).unwrap();
    let mut altered = body.to_vec();
    altered.push(b' ');
    assert!(Verifier::new(second).unwrap().verify(&altered, &headers).is_err());
    for (person, status) in [("grace", 403), ("max", 404)] {
        let session = server.sign_in(person).await;
        let asked = session.0.post(&address).header("X-CSRF-Token", &session.1).send().await.unwrap();
        assert_eq!(asked.status(), status, "{person}");
    }
}

async fn every_end_of_an_action_is_told(home: Home) {
    let home = open(home, "0");
    let server = Server::demo(&home);
    let mut receiver = Receiver::answering(&[]).await;
    let (_, secret) = made(&webhook(&home, &["add", &receiver.url], &ADA));
    receiver.next(&secret).await;
    let (ada, grace) = (server.sign_in("ada").await, server.sign_in("grace").await);
    // What is told at the same time may arrive in any order.
    let mut told = async |action: &str, kinds: &[&str]| {
        let mut heard = Vec::new();
        for _ in kinds {
            let (_, told) = receiver.next(&secret).await;
            assert_eq!(told["data"]["actionId"], action, "{told}");
            heard.push(told["type"].as_str().unwrap().to_owned());
        }
        heard.sort();
        assert_eq!(heard, kinds);
    };
    let id = |answer: &Value| {
        let known = answer["action"]["id"].as_str().or(answer["id"].as_str());
        known.unwrap_or_else(|| panic!("{answer}")).to_owned()
    };

    let withdrawn = id(&propose(&server, "Taken back").await);
    told(&withdrawn, &["action.proposed"]).await;
    assert_eq!(server.decide(&grace, &withdrawn, "withdraw").await.unwrap().0, 200);
    told(&withdrawn, &["action.withdrawn"]).await;

    let urgent = id(&propose(&server, "Past the rules").await);
    told(&urgent, &["action.proposed"]).await;
    assert_eq!(server.decide(&ada, &urgent, "break-glass").await.unwrap().0, 200);
    told(&urgent, &["action.approved_and_executed", "action.glass_broken"]).await;

    // Two changes of one record: the second is approved and cannot run.
    let item = json!({ "type": "story", "title": "Both", "teamId": "backend", "reason": "it is due" });
    let (_, made) = server.by_hand_at_once(&grace, "loopiq_create_work_item", item).await;
    told(&id(&made), &["action.approved_and_executed", "action.proposed"]).await;
    let mut waiting = Vec::new();
    for title in ["First", "Second"] {
        let change = json!({
            "workItemId": made["created"][0]["id"], "version": 1, "changes": { "title": title }, "reason": "it is due",
        });
        let (_, proposed) = server.by_hand(&grace, "loopiq_update_work_item", change).await;
        waiting.push(id(&proposed));
        told(&waiting[waiting.len() - 1], &["action.proposed"]).await;
    }
    server.decide(&grace, &waiting[0], "approve").await.unwrap();
    told(&waiting[0], &["action.approved_and_executed"]).await;
    let (_, stale) = server.decide(&grace, &waiting[1], "approve").await.unwrap();
    assert_eq!(stale["failure"]["code"], "stale_preview", "{stale}");
    told(&waiting[1], &["action.failed"]).await;

    let short = json!({ "approvalExpirySeconds": 1, "reason": "a test" });
    let (_, short) = server.by_hand(&ada, "loopiq_update_organization", short).await;
    told(&id(&short), &["action.approved_and_executed"]).await;
    let late = id(&propose(&server, "Too late").await);
    // Whoever looks at it ends it; so does the background work.
    let shown = tokio::time::timeout(PATIENCE, async {
        let address = format!("{}/api/v1/actions/{late}", server.url);
        loop {
            let shown: Value = grace.0.get(&address).send().await.unwrap().json().await.unwrap();
            if shown["status"] == "expired" {
                return;
            }
        }
    });
    shown.await.expect("the clock of an action runs out");
    told(&late, &["action.expired", "action.proposed"]).await;
}
