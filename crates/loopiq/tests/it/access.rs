//! Who holds what is changed by actions of the same kind as every other write: previewed, idempotent, recorded, and in
//! force by the next call.

use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    access_is_granted_once_and_works_from_the_next_call
    nobody_gives_what_they_do_not_hold_and_somebody_administers
    a_team_is_made_and_its_name_is_taken
    a_team_is_renamed_and_what_names_it_follows
    a_team_that_is_new_is_no_less_than_others
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

const UPDATE_TEAM: &str = "loopiq_update_team";

async fn team(server: &Server, token: &str, name: &str) -> Value {
    let (error, teams) = server.call(&http(), token, "loopiq_list_teams", json!({})).await;
    assert!(!error, "{teams}");
    let mut teams = teams["items"].as_array().unwrap().iter();
    teams.find(|team| team["name"] == name).unwrap_or(&Value::Null).clone()
}

/// Puts more policies in force in acme.
pub fn publish(home: &Home, server: &Server, rules: &str) {
    let shown = home.administer(&["policy", "show", "--org", "acme", "--version", "0"]);
    let text = format!("{}\n{rules}", shown[0]["text"].as_str().unwrap());
    let file = home.folder.path().with_extension("cedar");
    std::fs::write(&file, text).unwrap();
    let (email, _) = server.credentials("ada");
    let path = file.to_str().unwrap();
    home.administer(&["policy", "publish", path, "--org", "acme", "--email", &email, "--reason", "a test"]);
}

async fn a_team_is_renamed_and_what_names_it_follows(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let asks = other.as_ref().unwrap_or(&server);
    let (ada, grace) = (server.sign_in("ada").await, server.sign_in("grace").await);
    let (token, admin) = (server.token("grace", "acme"), server.token("ada", "acme"));
    publish(
        &home,
        &server,
        "@id(\"vault\") forbid (principal, action == LoopIQ::Action::\"see:blocker.location\", resource)
         when { resource is LoopIQ::Team && resource.key == \"vault\" };",
    );
    // What the gate has worked out of the team is worked out again when its key is another, on every node.
    let places = async || {
        let asked = json!({ "release": "backend-v1.0-GCN" });
        let (_, found) = asks.call(&http(), &token, "loopiq_list_provider_blockers", asked).await;
        found["items"].as_array().unwrap().iter().filter(|item| item["location"].is_string()).count()
    };
    let before = team(&server, &admin, "backend").await;
    let (seen, version) = (places().await, before["version"].as_i64().unwrap());
    assert!(seen > 0, "some lie somewhere");

    let rename = json!({
        "team": "backend", "name": "Vault", "key": "vault", "version": version, "reason": "we are merged",
    });
    let mut preview = rename.clone();
    preview["dryRun"] = json!(true);
    let (status, shown) = server.by_hand(&ada, UPDATE_TEAM, preview).await;
    let changes = json!([
        { "field": "name", "from": before["name"], "to": "Vault" }, { "field": "key", "from": "backend", "to": "vault" },
    ]);
    assert_eq!((status, &shown["effects"][0]["changes"]), (200, &changes), "{shown}");
    assert_eq!(places().await, seen, "a preview changes nothing");
    let (status, done) = server.by_hand(&ada, UPDATE_TEAM, rename.clone()).await;
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
    assert_eq!(places().await, 0, "a policy that names the new key holds from the next call");
    let now = team(&server, &admin, "Vault").await;
    assert_eq!((&now["id"], &now["version"]), (&before["id"], &json!(version + 1)), "{now}");
    let asked = json!({ "subjectId": now["id"], "kind": ["executed"] });
    let (_, log) = server.call(&http(), &admin, "loopiq_list_audit_records", asked).await;
    assert_eq!(log["items"][0]["tool"], UPDATE_TEAM, "{log}");
    let back = json!({ "team": now["id"], "key": "backend", "reason": "they come back" });
    assert_eq!(server.by_hand(&ada, UPDATE_TEAM, back).await.0, 200);
    assert_eq!(places().await, seen);

    for (change, status, field) in [
        (json!({ "team": "mobile", "name": "VAULT" }), 422, "name"),
        (json!({ "team": "mobile", "key": "backend" }), 422, "key"),
        (json!({ "team": "mobile", "key": "No Key" }), 422, "key"),
        (json!({ "team": "mobile", "key": "mobile" }), 422, "name"),
        (json!({ "team": "backend", "name": "Late", "version": version }), 409, "version"),
    ] {
        let mut change = change;
        change["reason"] = json!("a test");
        let (code, refused) = server.by_hand(&ada, UPDATE_TEAM, change).await;
        assert_eq!((code, &refused["details"][0]["field"]), (status, &json!(field)), "{refused}");
    }
    let absent = json!({ "team": "nowhere", "name": "Here", "reason": "a test" });
    assert_eq!(server.by_hand(&ada, UPDATE_TEAM, absent).await.0, 404);
    assert_eq!(server.by_hand(&grace, UPDATE_TEAM, rename.clone()).await.0, 403);
    let (error, unknown) = server.call(&http(), &admin, UPDATE_TEAM, rename).await;
    assert!(error && unknown["code"] == -32602, "{unknown}");
}

async fn a_team_that_is_new_is_no_less_than_others(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let asks = other.as_ref().unwrap_or(&server);
    let (ada, token) = (server.sign_in("ada").await, server.token("ada", "acme"));
    // One team is closed, so that what is held everywhere is granted team by team.
    publish(
        &home,
        &server,
        "@id(\"closed\") forbid (principal, action == LoopIQ::Action::\"releases:read\", resource)
         when { resource is LoopIQ::Team && resource.key == \"mobile\" };",
    );
    let read = async |release: &str| {
        asks.call(&http(), &token, "loopiq_get_release", json!({ "release": release })).await.0
    };
    assert!(!read("backend-v1.0-GCN").await && read("mobile-v5.0").await);
    let made = json!({ "name": "Platform", "key": "platform", "reason": "we grow" });
    assert_eq!(server.by_hand(&ada, "loopiq_create_team", made).await.0, 200);
    let release = json!({
        "name": "platform-v1.0", "releaseVersion": "1.0.0", "teamId": "platform", "targetEnvironment": "production",
        "reason": "the first one",
    });
    server.by_hand_at_once(&ada, "loopiq_create_release", release).await;
    assert!(!read("platform-v1.0").await, "it can be read from the next call, on every node");
}
