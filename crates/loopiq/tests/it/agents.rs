//! Agents with an identity of their own: each may what it and the person behind it both may, proposes in that person's
//! name, never approves, and ends with the next call.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::server::{CREATE, Home, Server, http, on_both_engines};

on_both_engines! {
    an_agent_proposes_for_its_person_and_approves_nothing
    an_agent_has_no_more_than_both_were_granted
    mutation_policies_bind_whatever_the_rules_say
    what_changes_about_an_agent_ends_what_it_had_proposed
    agents_are_registered_by_whoever_manages_them
}

const REGISTER: &str = "loopiq_register_agent";
const UPDATE: &str = "loopiq_update_agent";

type Session = (reqwest::Client, String);

fn copilot(name: &str, policy: &str) -> Value {
    json!({
        "name": name, "mutationPolicy": policy, "reason": "it drafts packages",
        "permissions": [
            "mcp:access", "teams:read", "releases:read", "certifications:read", "evidence:read", "work_items:read",
            "work_items:create", "remediation:create", "audit:read",
        ],
    })
}

async fn register(server: &Server, ada: &Session, agent: Value) -> String {
    let (status, made) = server.by_hand(ada, REGISTER, agent).await;
    assert_eq!((status, &made["status"]), (200, &json!("executed")), "{made}");
    made["created"][0]["id"].as_str().unwrap().to_owned()
}

/// A token by which the agent acts for somebody of acme.
fn token(home: &Home, agent: &str, person: &str) -> String {
    let email = format!("{person}@acme.example");
    let issued = home.administer(&["token", "issue", "--org", "acme", "--email", &email, "--agent", agent]);
    issued[0]["token"].as_str().unwrap().to_owned()
}

async fn tools(server: &Server, token: &str) -> Vec<String> {
    let answer = http()
        .post(format!("{}/mcp", server.url))
        .bearer_auth(token)
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2025-11-25")
        .json(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }))
        .send();
    let listed: Value = answer.await.unwrap().json().await.unwrap();
    let names = listed["result"]["tools"].as_array().unwrap().iter();
    names.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

async fn an_agent_proposes_for_its_person_and_approves_nothing(home: Home) {
    let server = Server::demo(&home);
    let (ada, grace, rita) =
        (server.sign_in("ada").await, server.sign_in("grace").await, server.token("rita", "acme"));
    let id = register(&server, &ada, copilot("Release copilot", "write_with_approval")).await;
    let agent = token(&home, "release COPILOT", "grace");
    assert!(agent.starts_with("liqa_"), "a program that knows no agents takes it for nothing");
    let (_, context) = server.call(&http(), &agent, "loopiq_get_context", json!({})).await;
    assert_eq!((&context["agent"]["id"], &context["agent"]["name"]), (&json!(id), &json!("Release copilot")));
    assert_eq!(context["context"]["user"]["email"], "grace@acme.example");

    let package = server.package(&http(), &agent, "By the copilot").await;
    let (error, proposed) = server.call(&http(), &agent, CREATE, package.clone()).await;
    assert!(!error && proposed["status"] == "pending_approval", "{proposed}");
    assert_eq!(proposed["approval"]["card"]["agent"]["name"], "Release copilot");
    assert_eq!(proposed["approval"]["card"]["requestedBy"]["email"], "grace@acme.example");
    let action = proposed["action"]["id"].as_str().unwrap();
    let approve = http().post(format!("{}/api/v1/actions/{action}/approve", server.url));
    let answer = approve.bearer_auth(&agent).json(&json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 403, "an agent approves nothing");
    let page = grace.0.get(format!("{}/app/actions/{action}", server.url)).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("Release copilot"), "who approves sees which agent asks");
    let (status, done) = server.decide(&grace, action, "approve").await.unwrap();
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
    let (_, outcome) = server.call(&http(), &agent, CREATE, package).await;
    assert_eq!((&outcome["status"], &outcome["replayed"]), (&json!("executed"), &json!(true)));

    let (_, log) = server.call(&http(), &rita, "loopiq_list_audit_records", json!({ "limit": 100 })).await;
    let by_agent = |kind: &str| {
        let records = log["items"].as_array().unwrap().iter();
        let mut found = records.filter(|r| r["kind"] == kind && r["actionId"] == action);
        found.next().map(|record| record["agentId"].clone())
    };
    assert_eq!(by_agent("proposed"), Some(json!(id)), "{log}");
    assert_eq!(by_agent("approved"), Some(Value::Null), "the person alone approved");

    // Where the requester's own approval does not count, that of the person behind the agent does not either.
    let exceptions = json!({
        "agent": id, "permissions": ["mcp:access", "releases:read", "certifications:read", "evidence:read", "risks:propose"],
        "reason": "it proposes exceptions",
    });
    assert_eq!(server.by_hand(&ada, UPDATE, exceptions).await.0, 200);
    let for_rita = token(&home, &id, "ada");
    let (_, gaps) = server
        .call(&http(), &for_rita, "loopiq_list_evidence_gaps", json!({ "release": "backend-v1.0-GCN" }))
        .await;
    let waived = json!({
        "kind": "exception", "targetIds": [gaps["items"][0]["id"]],
        "rationale": "the scanner is down", "expiresAt": server.in_days(&for_rita, 30).await,
        "reason": "the scanner is down",
    });
    let (error, proposed) = server.call(&http(), &for_rita, "loopiq_propose_exception", waived).await;
    assert!(!error && proposed["status"] == "pending_approval", "{proposed}");
    let action = proposed["action"]["id"].as_str().unwrap();
    let (status, refused) = server.decide(&ada, action, "approve").await.unwrap();
    assert_eq!((status, &refused["code"]), (409, &json!("approval_not_granted")), "{refused}");
}

async fn an_agent_has_no_more_than_both_were_granted(home: Home) {
    let server = Server::demo(&home);
    let (ada, grace) = (server.sign_in("ada").await, server.token("grace", "acme"));
    register(&server, &ada, copilot("Copilot", "write_with_approval")).await;
    let (for_grace, for_vic) = (token(&home, "Copilot", "grace"), token(&home, "Copilot", "vic"));
    let listed = tools(&server, &for_grace).await;
    let own = tools(&server, &grace).await;
    assert!(listed.iter().all(|name| own.contains(name)), "{listed:?}");
    assert!(
        own.contains(&"loopiq_update_work_item".into())
            && !listed.contains(&"loopiq_update_work_item".into())
    );
    // The agent was granted audit:read; the release manager was not.
    let (_, context) = server.call(&http(), &for_grace, "loopiq_get_context", json!({})).await;
    let permissions = context["permissions"].as_array().unwrap();
    assert!(
        permissions.contains(&json!("remediation:create")) && !permissions.contains(&json!("audit:read"))
    );
    // A viewer has no mcp:access, and their agent has none either.
    let (error, refused) = server.call(&http(), &for_vic, "loopiq_get_context", json!({})).await;
    assert!(error, "{refused}");

    // Limited to a team, it reaches the records of no other, though its person does.
    let mut of_payments = copilot("Of payments", "write_with_approval");
    of_payments["team"] = json!("payments");
    register(&server, &ada, of_payments).await;
    let for_ada = token(&home, "Of payments", "ada");
    server
        .refused(&for_ada, "loopiq_get_release", json!({ "release": "backend-v1.0-GCN" }), "not_found")
        .await;
    let (_, teams) = server.call(&http(), &for_ada, "loopiq_list_teams", json!({})).await;
    let names: Vec<_> = teams["items"].as_array().unwrap().iter().map(|team| &team["name"]).collect();
    assert_eq!(names, [&json!("payments")]);

    // What the person or another of their agents proposed is not the agent's own.
    let package = server.package(&http(), &grace, "By hand").await;
    let (_, proposed) = server.call(&http(), &grace, CREATE, package).await;
    let action = proposed["action"]["id"].as_str().unwrap();
    let withdraw = http().post(format!("{}/api/v1/actions/{action}/withdraw", server.url));
    let answer =
        withdraw.bearer_auth(&for_grace).json(&json!({ "reason": "I think not" })).send().await.unwrap();
    assert_eq!(answer.status(), 404);
}

/// A published text in which work items run at once.
fn nothing_asked(home: &Home) {
    let shown = home.administer(&["policy", "show", "--org", "acme", "--version", "0"]);
    let text = shown[0]["text"].as_str().unwrap().replace("@approval(\"confirm\")", "@approval(\"none\")");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    home.administer(&[
        "policy",
        "publish",
        path,
        "--org",
        "acme",
        "--email",
        "ada@acme.example",
        "--reason",
        "we trust",
    ]);
}

async fn mutation_policies_bind_whatever_the_rules_say(home: Home) {
    let server = Server::demo(&home);
    let ada = server.sign_in("ada").await;
    nothing_asked(&home);
    let tool = "loopiq_create_work_item";
    let item =
        |title: &str| json!({ "type": "story", "title": title, "teamId": "backend", "reason": "to be done" });
    let (error, at_once) =
        server.call(&http(), &server.token("grace", "acme"), tool, item("By a program")).await;
    assert!(!error && at_once["status"] == "executed", "{at_once}");

    for policy in ["read_only", "propose_only", "write_with_approval"] {
        register(&server, &ada, copilot(policy, policy)).await;
    }
    let trusted = token(&home, "write_with_approval", "grace");
    let (error, at_once) = server.call(&http(), &trusted, tool, item("By a trusted agent")).await;
    assert!(!error && at_once["status"] == "executed", "{at_once}");

    let proposing = token(&home, "propose_only", "grace");
    let (error, waiting) = server.call(&http(), &proposing, tool, item("By a proposing agent")).await;
    assert!(!error && waiting["status"] == "pending_approval", "{waiting}");
    assert_eq!(waiting["approval"]["requirement"]["minimumApprovers"], 1, "{waiting}");
    let grace = server.sign_in("grace").await;
    let (_, done) =
        server.decide(&grace, waiting["action"]["id"].as_str().unwrap(), "approve").await.unwrap();
    assert_eq!(done["status"], "executed", "{done}");

    let reading = token(&home, "read_only", "grace");
    let listed = tools(&server, &reading).await;
    assert!(
        listed.contains(&"loopiq_list_work_items".into()) && !listed.contains(&tool.to_owned()),
        "{listed:?}"
    );
    let address = format!("{}/api/v1/tools/{tool}", server.url);
    let asked =
        http().post(address).bearer_auth(&reading).json(&item("By a reading agent")).send().await.unwrap();
    let refused: Value = asked.json().await.unwrap();
    assert_eq!(
        (&refused["code"], &refused["detail"]),
        (&json!("forbidden"), &json!("this agent only reads"))
    );
}

async fn what_changes_about_an_agent_ends_what_it_had_proposed(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let asks = other.as_ref().unwrap_or(&server);
    let (ada, grace) = (server.sign_in("ada").await, server.sign_in("grace").await);
    let id = register(&server, &ada, copilot("Copilot", "write_with_approval")).await;
    let agent = token(&home, "Copilot", "grace");
    let package = server.package(&http(), &agent, "Before").await;
    let (_, before) = asks.call(&http(), &agent, CREATE, package).await;
    assert_eq!(before["status"], "pending_approval", "{before}");

    // Whatever changes about it: nobody approved a proposal of this agent as it is now.
    let told = json!({ "agent": id, "description": "Drafts packages at night", "reason": "it moved" });
    assert_eq!(server.by_hand(&ada, UPDATE, told).await.0, 200);
    let (_, failed) =
        server.decide(&grace, before["action"]["id"].as_str().unwrap(), "approve").await.unwrap();
    assert_eq!(failed["failure"]["code"], "stale_preview", "{failed}");

    let package = server.package(&http(), &agent, "With all its rights").await;
    let (_, before) = asks.call(&http(), &agent, CREATE, package).await;
    let less =
        json!({ "agent": id, "permissions": ["mcp:access", "releases:read"], "reason": "it asked too much" });
    let (status, changed) = server.by_hand(&ada, UPDATE, less).await;
    assert_eq!((status, &changed["status"]), (200, &json!("executed")), "{changed}");
    assert_eq!(changed["effects"][0]["changes"][0]["field"], "permissions");
    let listed = tools(asks, &agent).await;
    assert!(!listed.contains(&CREATE.to_owned()), "its rights are others by the next call: {listed:?}");
    let (_, failed) =
        server.decide(&grace, before["action"]["id"].as_str().unwrap(), "approve").await.unwrap();
    assert_eq!(
        (&failed["status"], &failed["failure"]["code"]),
        (&json!("failed"), &json!("forbidden")),
        "{failed}"
    );

    let end = json!({ "agent": "copilot", "status": "inactive", "reason": "it is replaced" });
    assert_eq!(server.by_hand(&ada, UPDATE, end).await.0, 200);
    let (error, refused) = asks.call(&http(), &agent, "loopiq_get_context", json!({})).await;
    assert!(error && refused["code"] == "unauthorized", "{refused}");
    let told = home.command(&[
        "token",
        "issue",
        "--org",
        "acme",
        "--email",
        "grace@acme.example",
        "--agent",
        "Copilot",
    ]);
    let mut told = told;
    let refused = told.output().unwrap();
    assert!(!refused.status.success(), "no token is issued for an agent that is not active");
    let again = json!({ "agent": "copilot", "status": "active", "reason": "it is not" });
    assert_eq!(server.by_hand(&ada, UPDATE, again).await.0, 200);
    let (error, context) = asks.call(&http(), &agent, "loopiq_get_context", json!({})).await;
    assert!(!error, "{context}");
}

async fn agents_are_registered_by_whoever_manages_them(home: Home) {
    let server = Server::demo(&home);
    let (ada, grace, max) =
        (server.sign_in("ada").await, server.sign_in("grace").await, server.sign_in("max").await);
    let (status, refused) = server.by_hand(&grace, REGISTER, copilot("Copilot", "read_only")).await;
    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{refused}");
    let mut deciding = copilot("Copilot", "propose_only");
    deciding["permissions"] = json!(["mcp:access", "approvals:decide"]);
    let (status, refused) = server.by_hand(&ada, REGISTER, deciding).await;
    assert_eq!((status, &refused["details"][0]["field"]), (422, &json!("permissions")), "{refused}");
    register(&server, &ada, copilot("Copilot", "propose_only")).await;
    let (status, refused) = server.by_hand(&ada, REGISTER, copilot(" COPILOT ", "read_only")).await;
    assert_eq!((status, &refused["details"][0]["field"]), (422, &json!("name")), "{refused}");
    // On the command line the same, by the same tools.
    let who = ["--org", "acme", "--email", "ada@acme.example"];
    let run = |arguments: &[&str]| home.administer(&[&["agent"], arguments, &who[..]].concat());
    let wanted = ["register", "Reader", "--permission", "releases:read", "--mutation-policy", "read_only"];
    assert_eq!(run(&wanted)[0]["status"], "executed");
    assert_eq!(
        run(&["update", "reader", "--status", "inactive", "--team", "backend"])[0]["status"],
        "executed"
    );
    let listed = run(&["list"]);
    let reader = listed.iter().find(|agent| agent["name"] == "Reader").unwrap();
    assert_eq!((&reader["status"], &reader["team"]["name"]), (&json!("inactive"), &json!("backend")));
    let wrong = home.command(&[&["agent"], &wanted[..], &who[..]].concat()).output().unwrap();
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(!wrong.status.success() && said.contains("name is the name of another agent"), "{said}");
    let active = json!({ "status": "active" });
    let (status, listed) = server.by_hand(&ada, "loopiq_list_agents", active).await;
    assert_eq!((status, &listed["total"], &listed["items"][0]["name"]), (200, &json!(1), &json!("Copilot")));
    // Another organization knows nothing of it, and may have one of the same name.
    let (_, listed) = server.by_hand(&max, "loopiq_list_agents", json!({})).await;
    assert_eq!(listed["total"], 0, "{listed}");
    let stranger = json!({ "agent": "Copilot", "status": "inactive", "reason": "r" });
    assert_eq!(server.by_hand(&max, UPDATE, stranger).await.0, 404);
    register(&server, &max, copilot("Copilot", "propose_only")).await;
    // Over MCP there is no such tool, for nobody.
    let asked =
        server.call(&http(), &server.token("ada", "acme"), REGISTER, copilot("Other", "read_only")).await;
    assert!(asked.0 && asked.1["code"] == -32602, "{asked:?}");
}
