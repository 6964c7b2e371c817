//! The product's main job: preview, propose, approve in a person's session, execute once, repeat without a duplicate.

use reqwest::Client;
use serde_json::{Value, json};

use crate::certifications::certification;
use crate::server::{CREATE, Home, Server, http, on_both_engines};

on_both_engines! {
    previewed_approved_executed_once_and_replayed
    refusals_say_what_to_do_and_a_rejection_writes_nothing
    evidence_pushed_between_preview_and_approval_makes_it_stale
}

async fn work_items(server: &Server, http: &Client, token: &str) -> Vec<Value> {
    let arguments = json!({ "release": "backend-v1.0-GCN", "limit": 100 });
    let (_, found) = server.call(http, token, "loopiq_list_work_items", arguments).await;
    found["items"].as_array().unwrap().clone()
}

async fn previewed_approved_executed_once_and_replayed(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let grace = server.token("grace", "acme");
    let package = server.package(&http, &grace, "Close the gap").await;

    let mut preview = package.clone();
    preview["dryRun"] = json!(true);
    let (error, shown) = server.call(&http, &grace, CREATE, preview).await;
    assert!(!error && shown["status"] == "preview" && shown["action"].is_null(), "{shown}");
    assert!(shown["effects"].as_array().unwrap().iter().any(|e| e["title"] == "Close the gap"));
    assert!(work_items(&server, &http, &grace).await.is_empty(), "a preview writes nothing");

    let (_, proposed) = server.call(&http, &grace, CREATE, package.clone()).await;
    assert_eq!(proposed["status"], "pending_approval");
    let action = proposed["action"]["id"].as_str().unwrap().to_owned();
    for _ in 0..4 {
        let (_, again) = server.call(&http, &grace, CREATE, package.clone()).await;
        assert_eq!((&again["action"]["id"], &again["replayed"]), (&json!(action), &json!(true)));
    }
    assert!(work_items(&server, &http, &grace).await.is_empty(), "nothing before the approval");

    let answer = http
        .post(format!("{}/api/v1/actions/{action}/approve", server.url))
        .bearer_auth(&grace)
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 403, "a token cannot approve");

    let session = server.sign_in("grace").await;
    let (status, done) = server.decide(&session, &action, "approve").await.unwrap();
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
    assert!(done["audit"]["sequence"].is_i64() && done["audit"]["leafHash"].as_str().unwrap().len() == 64);
    let (status, _) = server.decide(&session, &action, "approve").await.unwrap();
    assert_eq!(status, 409, "an approval is used once");

    let (_, outcome) = server.call(&http, &grace, CREATE, package.clone()).await;
    assert_eq!((&outcome["status"], &outcome["replayed"]), (&json!("executed"), &json!(true)));
    assert_eq!(outcome["audit"], done["audit"]);
    let items = work_items(&server, &http, &grace).await;
    assert_eq!(items.len(), 2, "one story and one task, once: {items:?}");
    let (_, other) = server
        .call(
            &http,
            &grace,
            "loopiq_get_action",
            json!({ "idempotencyKey": outcome["action"]["idempotencyKey"] }),
        )
        .await;
    assert_eq!(other["action"]["id"], json!(action), "the outcome can be asked for by key");
}

async fn refusals_say_what_to_do_and_a_rejection_writes_nothing(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let grace = server.token("grace", "acme");
    let package = server.package(&http, &grace, "Close the gap").await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = package.clone();
        change(&mut changed);
        changed
    };
    let other = certification(&server, &grace, "backend-v1.1-GCN").await;
    let children =
        |count: usize| (0..count).map(|n| json!({ "title": format!("Task {n}") })).collect::<Value>();
    let cases = [
        (with(&|p| p["parent"] = Value::Null), "missing_parent"),
        (with(&|p| p["parent"]["title"] = json!("  ")), "missing_title"),
        (with(&|p| p["children"][0]["title"] = json!("")), "missing_title"),
        (with(&|p| p["teamId"] = json!("")), "unclear_ownership"),
        (with(&|p| p["parent"]["ownerId"] = json!("nobody@acme.example")), "unclear_ownership"),
        (with(&|p| p["children"][0]["findingRefs"][0]["id"] = json!("gap_nothing")), "reference_mismatch"),
        (with(&|p| p["release"] = json!("no-such-release")), "not_found"),
        (with(&|p| p["surprise"] = json!("canary-7f31")), "validation_failed"),
        (with(&|p| p["idempotencyKey"] = json!("short")), "validation_failed"),
        (with(&|p| p["children"] = json!([])), "validation_failed"),
        (with(&|p| p["children"] = children(51)), "validation_failed"),
        (with(&|p| p["children"][0]["title"] = json!("close THE gap ")), "validation_failed"),
        (
            with(&|p| {
                let twice = p["children"][0].clone();
                p["children"].as_array_mut().unwrap().push(twice);
            }),
            "validation_failed",
        ),
        (with(&|p| p["certificationId"] = other["id"].clone()), "reference_mismatch"),
    ];
    for (arguments, code) in cases {
        let (error, refused) = server.call(&http, &grace, CREATE, arguments).await;
        assert!(error && refused["error"]["code"] == code, "expected {code}: {refused}");
        assert!(!refused["error"]["remedy"].as_str().unwrap().is_empty());
        assert!(!refused.to_string().contains("canary-7f31"), "received values are not repeated");
    }
    // As many as there may be, and a certification that agrees with the release.
    let own = certification(&server, &grace, "backend-v1.0-GCN").await;
    let whole = with(&|p| {
        p["children"] = children(50);
        p["certificationId"] = own["id"].clone();
        p["dryRun"] = json!(true);
    });
    let (error, shown) = server.call(&http, &grace, CREATE, whole).await;
    let made =
        shown["effects"].as_array().map(|all| all.iter().filter(|e| e["operation"] == "create").count());
    assert!(!error && made == Some(52), "a story, its tasks and the package: {shown}");
    let keyed = with(&|p| p["idempotencyKey"] = json!("release-7-gap-1"));
    let (_, proposed) = server.call(&http, &grace, CREATE, keyed).await;
    let other = with(&|p| {
        p["idempotencyKey"] = json!("release-7-gap-1");
        p["parent"]["title"] = json!("Another story");
    });
    let (error, refused) = server.call(&http, &grace, CREATE, other).await;
    assert!(error && refused["error"]["code"] == "idempotency_conflict", "{refused}");

    let session = server.sign_in("linus").await;
    let action = proposed["action"]["id"].as_str().unwrap();
    let (status, rejected) = server.decide(&session, action, "reject").await.unwrap();
    assert_eq!((status, &rejected["status"]), (200, &json!("rejected")));
    assert!(work_items(&server, &http, &grace).await.is_empty());
}

async fn evidence_pushed_between_preview_and_approval_makes_it_stale(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let grace = server.token("grace", "acme");
    let (_, gaps) = server
        .call(&http, &grace, "loopiq_list_evidence_gaps", json!({ "release": "backend-v1.0-GCN" }))
        .await;
    let gap = gaps["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|g| g["control"]["code"] == "TEST-INTEGRATION")
        .expect("integration evidence is missing in the demo");
    let mut package = server.package(&http, &grace, "Write integration tests").await;
    package["children"][0]["findingRefs"][0]["id"] = gap["id"].clone();
    let (_, proposed) = server.call(&http, &grace, CREATE, package).await;
    let report = r#"<testsuite name="integration" tests="1" failures="0"><testcase name="a" classname="b" time="1"/></testsuite>"#;
    let push = || {
        http.post(format!("{}/api/v1/releases/backend-v1.0-GCN/evidence", server.url))
            .query(&[("control", "TEST-INTEGRATION"), ("fileName", "it.xml"), ("provider", "cargo-nextest")])
            .bearer_auth(&grace)
            .body(report)
            .send()
    };
    let answer = push().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    let again: Value = push().await.unwrap().json().await.unwrap();
    assert!(
        again["duplicate"] == true || again["replayed"] == true,
        "the same file is one evidence: {again}"
    );
    let (_, gaps) = server
        .call(&http, &grace, "loopiq_list_evidence_gaps", json!({ "release": "backend-v1.0-GCN" }))
        .await;
    assert!(
        gaps["items"].as_array().unwrap().iter().all(|g| g["id"] != gap["id"]),
        "new evidence resolves its gap"
    );
    let session = server.sign_in("grace").await;
    let action = proposed["action"]["id"].as_str().unwrap();
    let (_, failed) = server.decide(&session, action, "approve").await.unwrap();
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["failure"]["code"], "stale_preview");
    assert!(work_items(&server, &http, &grace).await.is_empty());
}
