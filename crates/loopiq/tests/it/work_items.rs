//! Work items through their tools: an epic with a story and a task, changed step by step; what is refused, and that a
//! change is never made to a record nobody has seen.

use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    work_is_created_below_its_parent_and_moves_by_legal_steps
    what_is_not_clear_or_not_current_is_refused
}

const NEW: &str = "loopiq_create_work_item";
const UPDATE: &str = "loopiq_update_work_item";

fn new(item_type: &str, title: &str) -> Value {
    json!({ "type": item_type, "title": title, "teamId": "backend", "reason": "it is to be done" })
}

/// The change of a work item of this version.
fn change(id: &str, version: i64, changes: &Value) -> Value {
    json!({ "workItemId": id, "version": version, "changes": changes, "reason": "it goes on" })
}

async fn read(server: &Server, token: &str, id: &str) -> Value {
    let (error, found) =
        server.call(&http(), token, "loopiq_get_work_item", json!({ "workItemId": id })).await;
    assert!(!error, "{found}");
    found["workItem"].clone()
}

fn created(outcome: &Value) -> String {
    outcome["created"][0]["id"].as_str().unwrap_or_else(|| panic!("{outcome}")).to_owned()
}

async fn work_is_created_below_its_parent_and_moves_by_legal_steps(home: Home) {
    let server = Server::demo(&home);
    let linus = server.token("linus", "acme");
    let session = server.sign_in("linus").await;

    let mut epic = new("epic", "Faster ledger");
    epic["release"] = json!("BACKEND-V1.0-gcn");
    let mut preview = epic.clone();
    preview["dryRun"] = json!(true);
    let (error, shown) = server.call(&http(), &linus, NEW, preview).await;
    assert!(
        !error && shown["status"] == "preview" && shown["effects"][0]["operation"] == "create",
        "{shown}"
    );
    let (_, before) =
        server.call(&http(), &linus, "loopiq_list_work_items", json!({ "type": ["epic"] })).await;
    assert_eq!(before["total"], 0, "a preview writes nothing: {before}");
    let epic = created(&server.carry_out(&linus, &session, NEW, epic).await);

    let mut story = new("story", "Totals in one pass");
    story["parentId"] = json!(epic);
    story["assigneeId"] = json!("grace@acme.example");
    story["labels"] = json!(["ledger", " ledger ", "speed"]);
    story["dueAt"] = json!("2027-01-31T12:00:00Z");
    let story = created(&server.carry_out(&linus, &session, NEW, story).await);
    let shown = read(&server, &linus, &story).await;
    assert_eq!(
        (&shown["parentId"], &shown["status"], &shown["version"], &shown["labels"]),
        (&json!(epic), &json!("todo"), &json!(1), &json!(["ledger", "speed"])),
        "{shown}"
    );
    assert!(shown["releaseId"].is_string(), "the epic's release: {shown}");
    let mut task = new("task", "Measure it");
    task["parentId"] = json!(story);
    let task = created(&server.carry_out(&linus, &session, NEW, task).await);

    let begun =
        change(&story, 1, &json!({ "status": "in_progress", "priority": "high", "clear": ["assignee"] }));
    let (_, preview) = {
        let mut dry = begun.clone();
        dry["dryRun"] = json!(true);
        server.call(&http(), &linus, UPDATE, dry).await
    };
    let changes = preview["effects"][0]["changes"].to_string();
    assert!(
        changes.contains(r#"{"field":"status","from":"todo","to":"in_progress"}"#)
            && changes.contains(r#"{"field":"assignee","from":"grace@acme.example","to":"none"}"#),
        "field by field: {changes}"
    );
    let done = server.carry_out(&linus, &session, UPDATE, begun).await;
    assert_eq!(done["updated"][0]["id"], json!(story), "{done}");
    let shown = read(&server, &linus, &story).await;
    assert_eq!((&shown["status"], &shown["version"]), (&json!("in_progress"), &json!(2)), "{shown}");
    assert!(shown["assigneeId"].is_null(), "{shown}");

    let finish = change(&story, 2, &json!({ "status": "done" }));
    let refused = server.refused(&linus, UPDATE, finish.clone(), "validation_failed").await;
    assert!(refused["details"][0]["message"].as_str().unwrap().contains("1 item(s) below it"), "{refused}");
    let begun = change(&task, 1, &json!({ "status": "in_progress" }));
    server.carry_out(&linus, &session, UPDATE, begun).await;
    server.carry_out(&linus, &session, UPDATE, change(&task, 2, &json!({ "status": "done" }))).await;
    server.carry_out(&linus, &session, UPDATE, finish).await;
    assert_eq!(read(&server, &linus, &story).await["status"], "done");

    let (_, found) = server.call(&http(), &linus, "loopiq_search", json!({ "query": "totals one" })).await;
    assert_eq!((&found["items"][0]["id"], &found["items"][0]["status"]), (&json!(story), &json!("done")));
}

async fn what_is_not_clear_or_not_current_is_refused(home: Home) {
    let server = Server::demo(&home);
    let (linus, rita, max) =
        (server.token("linus", "acme"), server.token("rita", "acme"), server.token("max", "globex"));
    let session = server.sign_in("linus").await;
    let with = |field: &str, value: Value| {
        let mut changed = new("task", "Canary 5d1f");
        changed[field] = value;
        changed
    };
    let epic = created(&server.carry_out(&linus, &session, NEW, new("epic", "Epic")).await);
    let cases = [
        (with("title", json!("  ")), "missing_title"),
        (with("title", Value::Null), "missing_title"),
        (with("teamId", json!(" ")), "unclear_ownership"),
        (with("teamId", json!("no-such-team")), "not_found"),
        (with("teamId", json!("payments")), "forbidden"),
        (with("assigneeId", json!("nobody@acme.example")), "unclear_ownership"),
        (with("parentId", json!("wi_00000000000000000000000000")), "missing_parent"),
        (with("parentId", json!("the canary 5d1f story")), "missing_parent"),
        (with("parentId", json!(epic)), "validation_failed"),
        (with("release", json!("no-such-release")), "not_found"),
        (with("type", json!("bug")), "validation_failed"),
        (with("labels", json!([""])), "validation_failed"),
        (with("title", json!("two\nlines")), "validation_failed"),
    ];
    for (arguments, code) in cases {
        let refused = server.refused(&linus, NEW, arguments, code).await;
        assert!(
            !refused.to_string().to_lowercase().contains("canary 5d1f"),
            "nothing received comes back: {refused}"
        );
    }
    let (error, hidden) = server.call(&http(), &rita, NEW, new("task", "Review")).await;
    assert!(error && hidden["code"] == -32602, "a reviewer does not see the tool: {hidden}");

    for (changes, field) in [
        (json!({ "status": "done" }), "changes.status"),
        (json!({}), "changes"),
        (json!({ "title": "Epic" }), "changes"),
        (json!({ "dueAt": "2027-01-01T00:00:00Z", "clear": ["due_at"] }), "changes.clear"),
        (json!({ "status": "resolved" }), "changes.status"),
    ] {
        let refused = server.refused(&linus, UPDATE, change(&epic, 1, &changes), "validation_failed").await;
        assert_eq!(refused["details"][0]["field"], json!(field), "{changes}: {refused}");
    }
    let refused = server
        .refused(&linus, UPDATE, change(&epic, 7, &json!({ "title": "New" })), "version_conflict")
        .await;
    assert_eq!(refused["details"][0]["field"], "version");
    let of_foreign =
        server.refused(&max, UPDATE, change(&epic, 1, &json!({ "title": "x" })), "not_found").await;
    let absent = change("wi_00000000000000000000000000", 1, &json!({ "title": "x" }));
    let of_absent = server.refused(&max, UPDATE, absent, "not_found").await;
    assert_eq!(of_foreign["message"], of_absent["message"]);

    // Two changes of one version: the second is not carried out over the first.
    let (_, late) =
        server.call(&http(), &linus, UPDATE, change(&epic, 1, &json!({ "priority": "low" }))).await;
    server.carry_out(&linus, &session, UPDATE, change(&epic, 1, &json!({ "title": "Better epic" }))).await;
    let (_, failed) =
        server.decide(&session, late["action"]["id"].as_str().unwrap(), "approve").await.unwrap();
    assert_eq!((&failed["status"], &failed["failure"]["code"]), (&json!("failed"), &json!("stale_preview")));
    let shown = read(&server, &linus, &epic).await;
    assert_eq!((&shown["title"], &shown["priority"]), (&json!("Better epic"), &json!("medium")));
}
