//! Actions that nobody decides: by the time a rule names, the log, the card and the webhooks say so, once.

use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use engine::webhooks::{Message, Post, Posting};
use serde_json::{Value, json};

use crate::world::World;
use crate::write::proposal;

/// Where messages end up; each is answered 204.
#[derive(Default)]
struct Kept(Mutex<Vec<Message>>);

impl Post for Kept {
    fn post(&self, message: Message) -> Posting {
        self.0.lock().unwrap().push(message);
        Box::pin(async { Ok(204) })
    }
}

#[tokio::test]
async fn who_should_know_is_told_once_embedded() {
    who_should_know_is_told_once(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_should_know_is_told_once_on_postgresql() {
    who_should_know_is_told_once(World::on_postgres().await).await;
}

async fn who_should_know_is_told_once(world: World) {
    let token = world.token().await;
    let (cookie, csrf) = world.sign_in("ada@acme.example").await;
    let signed = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf), ("content-type", "application/json")];
    let by_hand = async |tool: &str, arguments: Value| {
        let path = format!("/api/v1/tools/{tool}");
        let answer = world.send("POST", &path, &signed, arguments.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{tool}: {}", answer.text());
        answer.json()
    };
    let rule = "@id(\"ordinary-write\")\n@warn_after(\"4h\")\n@escalate_to(\"governance_lead\")";
    let text = engine::policy::DEFAULT.replace("@id(\"ordinary-write\")", rule);
    by_hand(
        "loopiq_publish_policies",
        json!({ "replaces": 0, "text": text, "reason": "nothing is left lying" }),
    )
    .await;
    let hook =
        json!({ "url": "https://hooks.example/late", "events": ["action.warned"], "reason": "we look" });
    let hook = by_hand("loopiq_set_webhook", hook).await;
    let id = hook["created"][0]["id"].as_str().unwrap();
    let secret = world.send("POST", &format!("/api/v1/webhooks/{id}/secret"), &signed, "").await;
    assert!(secret.json()["secret"].as_str().unwrap().starts_with("whsec_"), "{}", secret.text());

    let wanted = proposal(&world, &token).await;
    let proposed = world.call(&token, wanted["name"].as_str().unwrap(), wanted["arguments"].clone()).await;
    let action = proposed["action"]["id"].as_str().unwrap();
    let kept = Arc::new(Kept::default());
    let post: Arc<dyn Post> = Arc::clone(&kept) as Arc<dyn Post>;
    let round = async || {
        world.engine.run_jobs_once().await.unwrap();
        world.engine.deliver_once(&post).await.unwrap();
        kept.0.lock().unwrap().len()
    };
    world.clock.forward(4 * 3_600 - 60);
    assert_eq!(round().await, 0, "it is not late yet");
    world.clock.forward(120);
    assert_eq!(round().await, 1);
    world.clock.forward(3_600);
    assert_eq!(round().await, 1, "once");
    let told: Value = serde_json::from_str(&kept.0.lock().unwrap()[0].body).unwrap();
    assert_eq!((&told["type"], &told["data"]["actionId"]), (&json!("action.warned"), &json!(action)));
    assert_eq!(told["data"]["escalateTo"], json!(["governance_lead"]));
    let shown = world.send("GET", &format!("/api/v1/actions/{action}"), &signed, "").await.json();
    assert_eq!(shown["card"]["warned"]["escalateTo"], json!(["governance_lead"]), "{shown}");
    assert!(shown["audit"]["sequence"].is_i64(), "the receipt of its proposal stays: {shown}");
    let log = world.call(&token, "loopiq_list_audit_records", json!({ "kind": ["warned"] })).await;
    assert_eq!((&log["total"], &log["items"][0]["actionId"]), (&json!(1), &json!(action)), "{log}");
    let done = world.approve("ada@acme.example", &proposed["action"]["id"]).await;
    assert_eq!(done["status"], "executed", "a warning stops nothing: {done}");
}
