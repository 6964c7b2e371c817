//! Running the organization: its switches, its people and their tokens, by actions of the same kind as every other write.

use serde_json::{Value, json};

use crate::server::{Home, Server, http, on_both_engines};

on_both_engines! {
    switches_work_from_the_next_call_on_every_node
    of_two_changes_at_once_none_is_lost
    a_token_is_issued_by_an_action_and_its_secret_shown_once
    no_token_makes_a_wider_one
    people_come_and_go
    administration_can_be_put_under_rules
    who_runs_one_team_does_not_run_the_organization
}

const ORGANIZATION: &str = "loopiq_update_organization";
const ISSUE: &str = "loopiq_issue_token";
const REVOKE: &str = "loopiq_revoke_token";
const ADD: &str = "loopiq_add_member";
const STATUS: &str = "loopiq_set_member_status";

/// Carries out an administrative tool, which needs no approval of a person in the browser.
async fn done(server: &Server, session: &(reqwest::Client, String), tool: &str, arguments: Value) -> Value {
    let (status, done) = server.by_hand(session, tool, arguments).await;
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{tool}: {done}");
    done
}

async fn refusal(
    server: &Server,
    session: &(reqwest::Client, String),
    tool: &str,
    arguments: Value,
) -> (u16, Value) {
    let (status, refused) = server.by_hand(session, tool, arguments).await;
    assert!(status >= 400, "{tool}: {refused}");
    (status, refused)
}

async fn works(server: &Server, token: &str) -> bool {
    let (error, _) = server.call(&http(), token, "loopiq_get_context", json!({})).await;
    !error
}

/// A tool over the HTTP API in a program's hands.
async fn by_program(server: &Server, token: &str, tool: &str, arguments: Value) -> Value {
    let address = format!("{}/api/v1/tools/{tool}", server.url);
    let answer = http().post(address).bearer_auth(token).json(&arguments).send().await.unwrap();
    answer.json().await.unwrap()
}

async fn switches_work_from_the_next_call_on_every_node(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let asks = other.as_ref().unwrap_or(&server);
    let (ada, grace) = (server.sign_in("ada").await, server.token("grace", "acme"));
    let mut off = json!({ "mcpEnabled": false, "reason": "an incident", "dryRun": true });
    let (_, preview) = server.by_hand(&ada, ORGANIZATION, off.clone()).await;
    let change = &preview["effects"][0]["changes"][0];
    assert_eq!(
        (&change["field"], &change["from"], &change["to"]),
        (&json!("mcpEnabled"), &json!("on"), &json!("off"))
    );
    assert!(works(asks, &grace).await, "a preview switches nothing");
    off["dryRun"] = json!(false);
    let first = done(&server, &ada, ORGANIZATION, off.clone()).await;
    let refused = asks.refused(&grace, "loopiq_get_context", json!({}), "mcp_not_enabled").await;
    assert!(refused["remedy"].as_str().unwrap().contains("administrator"), "{refused}");
    let again = done(&server, &ada, ORGANIZATION, off).await;
    assert_eq!((&again["replayed"], &again["audit"]), (&json!(true), &first["audit"]));
    done(
        &server,
        &ada,
        ORGANIZATION,
        json!({ "mcpEnabled": true, "aiEnabled": true, "reason": "it is over" }),
    )
    .await;
    assert!(works(asks, &grace).await);
    let shown = home.administer(&["org", "list"]);
    let acme = shown.iter().find(|organization| organization["slug"] == "acme").unwrap();
    assert_eq!((&acme["mcp"], &acme["ai"]), (&json!(true), &json!(true)));

    let (status, refused) =
        refusal(&server, &ada, ORGANIZATION, json!({ "aiEnabled": true, "reason": "r" })).await;
    assert_eq!((status, &refused["code"]), (422, &json!("validation_failed")), "{refused}");
    let never = json!({ "approvalExpirySeconds": 0, "reason": "r" });
    let (status, refused) = refusal(&server, &ada, ORGANIZATION, never).await;
    assert_eq!(
        (status, &refused["details"][0]["field"]),
        (422, &json!("approvalExpirySeconds")),
        "{refused}"
    );
    let (status, _) = refusal(
        &server,
        &server.sign_in("rita").await,
        ORGANIZATION,
        json!({ "mcpEnabled": false, "reason": "r" }),
    )
    .await;
    assert_eq!(status, 403);
    // The command line goes the same way, and what it changes is not lost to an action planned before.
    home.administer(&["org", "set", "acme", "--ai", "off"]);
    done(&server, &ada, ORGANIZATION, json!({ "name": "Acme Works", "reason": "we grew" })).await;
    let shown = home.administer(&["org", "list"]);
    let acme = shown.iter().find(|organization| organization["slug"] == "acme").unwrap();
    assert_eq!((&acme["name"], &acme["ai"]), (&json!("Acme Works"), &json!(false)));
}

async fn of_two_changes_at_once_none_is_lost(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let asks = other.as_ref().unwrap_or(&server);
    let (here, there) = (server.sign_in("ada").await, asks.sign_in("ada").await);
    let mut executed = 0;
    for round in 0..5_i64 {
        let approval = json!({ "approvalExpirySeconds": 600 + round, "reason": "r" });
        let execution = json!({ "executionExpirySeconds": 700 + round, "reason": "r" });
        let both = tokio::join!(
            server.by_hand(&here, ORGANIZATION, approval),
            asks.by_hand(&there, ORGANIZATION, execution),
        );
        let taken: Vec<bool> = [both.0, both.1]
            .into_iter()
            .map(|(status, answer)| {
                let refused = status == 409 && answer["code"] == "version_conflict";
                assert!(refused || answer["status"] == "executed", "{answer}");
                !refused
            })
            .collect();
        assert!(taken.contains(&true), "one of the two is carried out");
        executed += taken.iter().filter(|taken| **taken).count();
        let shown = home.administer(&["org", "list"]);
        let acme = shown.iter().find(|organization| organization["slug"] == "acme").unwrap();
        let settings = &acme["settings"];
        assert_eq!(settings["approvalExpirySeconds"] == 600 + round, taken[0], "{settings}");
        assert_eq!(settings["executionExpirySeconds"] == 700 + round, taken[1], "{settings}");
    }
    assert!(executed >= 5);
}

async fn a_token_is_issued_by_an_action_and_its_secret_shown_once(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let asks = other.as_ref().unwrap_or(&server);
    let (grace, linus, ada) =
        (server.sign_in("grace").await, server.sign_in("linus").await, server.sign_in("ada").await);
    let wanted = json!({
        "label": "nightly", "scopes": ["mcp:access", "releases:read"], "days": 3, "reason": "the nightly job reads",
    });
    let issued = done(&server, &grace, ISSUE, wanted.clone()).await;
    let (secret, id) = (issued["secret"].as_str().unwrap(), issued["created"][0]["id"].as_str().unwrap());
    assert!(secret.starts_with("liq_") && works(asks, secret).await);
    let (_, context) = asks.call(&http(), secret, "loopiq_get_context", json!({})).await;
    assert_eq!(context["permissions"].as_array().unwrap().len(), 2, "{context}");
    let again = done(&server, &grace, ISSUE, wanted).await;
    assert_eq!((&again["replayed"], &again["secret"]), (&json!(true), &Value::Null), "it is shown once");
    let action = issued["action"]["id"].as_str().unwrap();
    let rita = server.token("rita", "acme");
    let (_, log) = server.call(&http(), &rita, "loopiq_list_audit_records", json!({ "limit": 100 })).await;
    let page = grace.0.get(format!("{}/app/actions/{action}", server.url)).send().await.unwrap();
    for shown in [log.to_string(), page.text().await.unwrap(), again.to_string()] {
        assert!(!shown.contains(secret) && shown.contains(action), "the secret is nowhere else");
    }

    let (_, mine) = server.by_hand(&grace, "loopiq_list_tokens", json!({ "state": "valid" })).await;
    let labels: Vec<_> =
        mine["items"].as_array().unwrap().iter().map(|t| (&t["label"], &t["email"])).collect();
    assert!(labels.contains(&(&json!("nightly"), &json!("grace@acme.example"))), "{mine}");
    assert!(labels.iter().all(|(_, email)| **email == json!("grace@acme.example")), "only one's own: {mine}");
    let (_, all) = server.by_hand(&ada, "loopiq_list_tokens", json!({})).await;
    assert!(all["total"].as_u64() > mine["total"].as_u64(), "who manages people sees everybody's");

    let end = json!({ "token": id, "reason": "the job is gone" });
    assert_eq!(refusal(&server, &linus, REVOKE, end.clone()).await.0, 404, "not linus's");
    let stranger = server.sign_in("max").await;
    assert_eq!(refusal(&server, &stranger, REVOKE, end.clone()).await.0, 404, "nor of another organization");
    done(&server, &ada, REVOKE, end.clone()).await;
    assert!(!works(asks, secret).await, "it is over by the next call");
    let (status, refused) = refusal(&server, &grace, REVOKE, end).await;
    assert_eq!((status, &refused["details"][0]["field"]), (422, &json!("token")), "{refused}");
}

async fn no_token_makes_a_wider_one(home: Home) {
    let server = Server::demo(&home);
    let (grace, ada) = (server.sign_in("grace").await, server.sign_in("ada").await);
    let narrow =
        json!({ "label": "narrow", "scopes": ["releases:read", "teams:read"], "reason": "it reads" });
    let narrow = done(&server, &grace, ISSUE, narrow).await["secret"].as_str().unwrap().to_owned();
    for scopes in [json!([]), json!(["releases:read", "releases:manage"])] {
        let refused = by_program(
            &server,
            &narrow,
            ISSUE,
            json!({ "label": "wide", "scopes": scopes, "reason": "more" }),
        )
        .await;
        assert_eq!(refused["code"], "forbidden", "{refused}");
    }
    // No wider than itself it may propose one, which is good for nothing before a person has agreed.
    let same = json!({ "label": "another", "scopes": ["teams:read"], "reason": "a second worker" });
    let waiting = by_program(&server, &narrow, ISSUE, same).await;
    assert_eq!(waiting["status"], "pending_approval", "{waiting}");
    let secret = waiting["secret"].as_str().unwrap();
    let listed = || by_program(&server, secret, "loopiq_list_teams", json!({}));
    assert_eq!(listed().await["code"], "unauthorized");
    let (_, approved) =
        server.decide(&ada, waiting["action"]["id"].as_str().unwrap(), "approve").await.unwrap();
    assert_eq!(approved["status"], "executed", "{approved}");
    assert!(listed().await["items"].is_array());
    let mut long = json!({ "label": "long", "reason": "r", "days": 3_660 });
    assert_eq!(refusal(&server, &grace, ISSUE, long.clone()).await.0, 422);
    long["days"] = json!(0);
    assert_eq!(refusal(&server, &grace, ISSUE, long).await.0, 422);
}

async fn people_come_and_go(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let asks = other.as_ref().unwrap_or(&server);
    let (ada, grace) = (server.sign_in("ada").await, server.token("grace", "acme"));
    let person = |email: &str| {
        json!({
            "email": email, "displayName": "Neo", "reason": "they start on Monday",
            "access": { "roles": ["viewer"], "teamRoles": [{ "team": "backend", "role": "contributor" }],
                        "permissions": ["teams:read"] },
        })
    };
    let added = done(&server, &ada, ADD, person("Neo@acme.example")).await;
    let (_, members) = server.by_hand(&ada, "loopiq_list_members", json!({ "status": "active" })).await;
    let neo = members["items"].as_array().unwrap().iter().find(|m| m["email"] == "neo@acme.example").unwrap();
    assert_eq!(neo["roles"][1], json!({ "role": "contributor", "scope": "backend" }), "{added}");
    let issued = home.administer(&["token", "issue", "--org", "acme", "--email", "neo@acme.example"]);
    assert!(works(asks, issued[0]["token"].as_str().unwrap()).await, "a contributor has access over MCP");
    let (_, refused) = refusal(&server, &ada, ADD, {
        let mut again = person("NEO@acme.example");
        again["reason"] = json!("once more");
        again
    })
    .await;
    assert_eq!(refused["details"][0]["field"], "email", "{refused}");
    for (field, wrong) in [
        ("email", json!("no address")),
        ("access", json!({ "roles": ["viewer"] })),
        ("access", json!({ "permissions": ["teams:read"] })),
    ] {
        let mut bad = person("trinity@acme.example");
        bad[field] = wrong;
        assert_eq!(refusal(&server, &ada, ADD, bad).await.0, 422);
    }
    // Somebody who has an account through another organization becomes a member with it.
    done(&server, &ada, ADD, person("max@globex.example")).await;
    let max = server.sign_in("max").await;
    let me: Value =
        max.0.get(format!("{}/api/v1/me", server.url)).send().await.unwrap().json().await.unwrap();
    let organizations = me["organizations"].as_array().unwrap();
    assert_eq!(organizations.len(), 2, "{me}");

    let session = asks.sign_in("grace").await;
    let leave = json!({ "member": "grace@acme.example", "status": "inactive", "reason": "she leaves" });
    done(&server, &ada, STATUS, leave.clone()).await;
    assert!(!works(asks, &grace).await, "her token is over by the next call");
    let page = session.0.get(format!("{}/app/releases", asks.url)).send().await.unwrap();
    assert!(!page.status().is_success(), "and so is what she sees in the browser: {}", page.status());
    assert_eq!(
        refusal(&server, &ada, STATUS, {
            let mut again = leave.clone();
            again["reason"] = json!("once more");
            again
        })
        .await
        .0,
        422
    );
    let back = json!({ "member": "grace@acme.example", "status": "active", "reason": "she is back" });
    done(&server, &ada, STATUS, back).await;
    assert!(works(asks, &grace).await);
    let last = json!({ "member": "ada@acme.example", "status": "inactive", "reason": "r" });
    let (status, refused) = refusal(&server, &ada, STATUS, last).await;
    assert_eq!((status, &refused["detail"]), (422, &json!("nobody else administers the organization")));

    // Who manages people, and no more, brings no administrator back.
    let admin =
        json!({ "member": "rita@acme.example", "grant": { "roles": ["organization_admin"] }, "reason": "r" });
    done(&server, &ada, "loopiq_change_access", admin).await;
    done(
        &server,
        &ada,
        STATUS,
        json!({ "member": "rita@acme.example", "status": "inactive", "reason": "r" }),
    )
    .await;
    let manages = json!({ "member": "linus@acme.example", "grant": { "permissions": ["users:manage"] }, "reason": "r" });
    done(&server, &ada, "loopiq_change_access", manages).await;
    let linus = server.sign_in("linus").await;
    let again = json!({ "member": "rita@acme.example", "status": "active", "reason": "r" });
    assert_eq!(refusal(&server, &linus, STATUS, again).await.0, 403);
}

async fn administration_can_be_put_under_rules(home: Home) {
    let server = Server::demo(&home);
    let ada = server.sign_in("ada").await;
    let shown = home.administer(&["policy", "show", "--org", "acme", "--version", "0"]);
    let strict = shown[0]["text"].as_str().unwrap().replace(
        "@id(\"administration\")\n@approval(\"none\")",
        "@id(\"administration\")\n@approval(\"quorum\")\n@roles(\"compliance_reviewer\")",
    );
    let file = home.folder.path().with_extension("cedar");
    std::fs::write(&file, strict).unwrap();
    let path = file.to_str().unwrap();
    home.administer(&[
        "policy",
        "publish",
        path,
        "--org",
        "acme",
        "--email",
        "ada@acme.example",
        "--reason",
        "four eyes",
    ]);
    let off = json!({ "mcpEnabled": false, "reason": "an incident" });
    let (_, waiting) = server.by_hand(&ada, ORGANIZATION, off).await;
    assert_eq!(waiting["status"], "pending_approval", "{waiting}");
    let action = waiting["action"]["id"].as_str().unwrap();
    let (status, _) = server.decide(&ada, action, "approve").await.unwrap();
    assert_eq!(status, 409, "not by herself");
    assert!(works(&server, &server.token("grace", "acme")).await);
    let rita = server.sign_in("rita").await;
    let (_, approved) = server.decide(&rita, action, "approve").await.unwrap();
    assert_eq!(approved["status"], "executed", "{approved}");
    assert!(!works(&server, &server.token("grace", "acme")).await);
    // Of two that wait for the same thing, the second is marked, and does not run.
    let one = json!({ "name": "One", "reason": "r" });
    let two = json!({ "name": "Two", "reason": "r" });
    let (_, one) = server.by_hand(&ada, ORGANIZATION, one).await;
    let (_, two) = server.by_hand(&ada, ORGANIZATION, two).await;
    let id = |waiting: &Value| waiting["action"]["id"].as_str().unwrap().to_owned();
    let (_, first) = server.decide(&rita, &id(&one), "approve").await.unwrap();
    assert_eq!(first["status"], "executed", "{first}");
    let (_, second) = server.decide(&rita, &id(&two), "approve").await.unwrap();
    assert_eq!(
        (&second["status"], &second["failure"]["code"]),
        (&json!("failed"), &json!("stale_preview")),
        "{second}"
    );
}

async fn who_runs_one_team_does_not_run_the_organization(home: Home) {
    let server = Server::demo(&home);
    let ada = server.sign_in("ada").await;
    let hook = json!({ "url": "https://hooks.example.com/x", "events": [], "reason": "r" });
    done(&server, &ada, "loopiq_set_webhook", hook.clone()).await;
    let (_, hooks) = server.by_hand(&ada, "loopiq_list_webhooks", json!({})).await;
    let secret = format!("/api/v1/webhooks/{}/secret", hooks["items"][0]["id"].as_str().unwrap());
    let one_team = json!({
        "member": "linus@acme.example", "reason": "r",
        "grant": { "teamRoles": [{ "team": "backend", "role": "organization_admin" }] },
    });
    done(&server, &ada, "loopiq_change_access", one_team).await;
    let linus = server.sign_in("linus").await;
    let url = |path: &str| format!("{}{path}", server.url);
    for (session, statuses) in [(&linus, [403, 403]), (&ada, [200, 404])] {
        let (client, csrf) = session;
        let asked = [client.post(url(&secret)), client.put(url("/api/v1/model/key"))];
        for (asked, status) in asked.into_iter().zip(statuses) {
            let asked = asked.header("X-CSRF-Token", csrf).json(&json!({ "key": "sk-of-somebody" }));
            let answer = asked.send().await.unwrap();
            assert_eq!(answer.status(), status, "{}", answer.url());
        }
    }
    let model = json!({ "provider": "anthropic", "model": "m", "reason": "r" });
    let name = json!({ "name": "Ours", "reason": "r" });
    for (tool, arguments) in [("loopiq_set_webhook", hook), ("loopiq_set_model", model), (ORGANIZATION, name)]
    {
        assert_eq!(refusal(&server, &linus, tool, arguments).await.0, 403, "{tool}");
    }
}
