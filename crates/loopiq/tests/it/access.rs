//! Who holds what is changed by actions of the same kind as every other write: previewed, idempotent, recorded, and in
//! force by the next call.

use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    access_is_granted_once_and_works_from_the_next_call
    nobody_gives_what_they_do_not_hold_and_somebody_administers
    a_team_is_made_and_its_name_is_taken
}

const CHANGE: &str = "loopiq_change_access";

async fn permissions(server: &Server, token: &str) -> Vec<Value> {
    let (error, context) = server.call(&http(), token, "loopiq_get_context", json!({})).await;
    assert!(!error, "{context}");
    context["permissions"].as_array().unwrap().clone()
}

async fn access_is_granted_once_and_works_from_the_next_call(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let asks = other.as_ref().unwrap_or(&server);
    let (ada, linus) = (server.sign_in("ada").await, server.token("linus", "acme"));
    assert!(!permissions(asks, &linus).await.contains(&json!("audit:read")));
    let mut grant = json!({
        "member": "linus@acme.example", "grant": { "permissions": ["audit:read"] }, "reason": "the audit of May",
        "dryRun": true,
    });
    let (status, preview) = server.by_hand(&ada, CHANGE, grant.clone()).await;
    assert_eq!((status, &preview["status"]), (200, &json!("preview")), "{preview}");
    assert_eq!(preview["effects"][0]["changes"][0]["field"], "permissions");
    grant["dryRun"] = json!(false);
    let (status, done) = server.by_hand(&ada, CHANGE, grant.clone()).await;
    assert_eq!(
        (status, &done["status"], &done["replayed"]),
        (200, &json!("executed"), &json!(false)),
        "{done}"
    );
    assert!(permissions(asks, &linus).await.contains(&json!("audit:read")));
    let (_, again) = server.by_hand(&ada, CHANGE, grant).await;
    assert_eq!((&again["replayed"], &again["audit"]), (&json!(true), &done["audit"]));

    let revoke = json!({
        "member": "linus@acme.example", "revoke": { "permissions": ["audit:read"] }, "reason": "the audit is over",
    });
    // In a program's hands it waits for a person, and over MCP there is no such tool.
    let (token, address) = (server.token("ada", "acme"), format!("{}/api/v1/tools/{CHANGE}", server.url));
    let asked = http().post(address).bearer_auth(&token).json(&revoke).send().await.unwrap();
    let waiting: Value = asked.json().await.unwrap();
    assert_eq!(waiting["status"], "pending_approval", "{waiting}");
    let (error, unknown) = server.call(&http(), &token, CHANGE, revoke).await;
    assert!(error && unknown["code"] == -32602, "{unknown}");
    assert!(permissions(asks, &linus).await.contains(&json!("audit:read")));
    server.decide(&ada, waiting["action"]["id"].as_str().unwrap(), "approve").await.unwrap();
    assert!(!permissions(asks, &linus).await.contains(&json!("audit:read")));
}

async fn nobody_gives_what_they_do_not_hold_and_somebody_administers(home: Home) {
    let server = Server::demo(&home);
    let (ada, grace) = (server.sign_in("ada").await, server.sign_in("grace").await);
    let admin = |member: &str| json!({ "member": member, "grant": { "roles": ["organization_admin"] }, "reason": "r" });
    let (status, refused) = server.by_hand(&grace, CHANGE, admin("grace@acme.example")).await;
    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{refused}");
    // Who manages people, and no more than that, makes nobody an administrator.
    let manages = json!({
        "member": "grace@acme.example", "grant": { "permissions": ["users:manage"] }, "reason": "she hires",
    });
    assert_eq!(server.by_hand(&ada, CHANGE, manages).await.0, 200);
    let (status, refused) = server.by_hand(&grace, CHANGE, admin("grace@acme.example")).await;
    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("do not hold"), "{refused}");

    let stranger = json!({ "member": "max@globex.example", "grant": { "roles": ["viewer"] }, "reason": "r" });
    assert_eq!(server.by_hand(&ada, CHANGE, stranger).await.0, 404);
    let leave = json!({
        "member": "ada@acme.example", "revoke": { "roles": ["organization_admin"] },
        "grant": { "roles": ["viewer"] }, "reason": "r",
    });
    let (status, refused) = server.by_hand(&ada, CHANGE, leave.clone()).await;
    assert_eq!(status, 422, "{refused}");
    assert_eq!(server.by_hand(&ada, CHANGE, admin("rita@acme.example")).await.0, 200);
    let (status, left) = server.by_hand(&ada, CHANGE, leave).await;
    assert_eq!((status, &left["status"]), (200, &json!("executed")), "{left}");
    let (status, refused) = server.by_hand(&ada, CHANGE, admin("ada@acme.example")).await;
    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{refused}");
}

async fn a_team_is_made_and_its_name_is_taken(home: Home) {
    let server = Server::demo(&home);
    let ada = server.sign_in("ada").await;
    let tool = "loopiq_create_team";
    let team = |name: &str, key: &str| json!({ "name": name, "key": key, "reason": "we grow" });
    let (status, made) = server.by_hand(&ada, tool, team("Platform", "platform")).await;
    assert_eq!((status, &made["status"]), (200, &json!("executed")), "{made}");
    for (name, key, field) in
        [("PLATFORM", "other", "name"), ("Other", "platform", "key"), ("Other", "No Key", "key")]
    {
        let (status, refused) = server.by_hand(&ada, tool, team(name, key)).await;
        assert_eq!((status, &refused["details"][0]["field"]), (422, &json!(field)), "{refused}");
    }
    let (_, teams) = server.call(&http(), &server.token("ada", "acme"), "loopiq_list_teams", json!({})).await;
    assert!(teams["items"].as_array().unwrap().iter().any(|team| team["name"] == "Platform"), "{teams}");
}
