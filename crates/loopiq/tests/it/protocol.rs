//! What clients have of the protocol besides tools: resources, prompts, completion, skills, subscriptions, and approvals where
//! their person is: as an address to open, as a task, as a page in the host.

use domain::digest::Digest;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::devtools::Browser;
use crate::live::sent;
use crate::server::{CREATE, Home, Server, http, on_both_engines};

on_both_engines! {
    resources_are_read_with_the_rights_of_a_call
    large_answers_are_short_where_that_is_asked
    prompts_are_offered_to_whom_they_help_and_their_arguments_are_completed
    skills_are_files_that_are_what_their_digest_says
    a_client_opens_the_card_for_its_person_and_learns_the_outcome
    an_action_is_a_task_for_clients_that_know_tasks
    a_stream_tells_of_lists_resources_and_tasks_and_ends_with_the_right
    pages_for_hosts_show_a_result_and_decide_nothing
}

const MODERN: &str = "2026-07-28";
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// A client of the stateless revision.
pub struct Stateless<'a> {
    pub server: &'a Server,
    pub http: Client,
    pub token: String,
    /// What it says it can do.
    pub can: Value,
    /// The endpoint it speaks to.
    pub path: &'static str,
}

impl<'a> Stateless<'a> {
    pub fn new(server: &'a Server, name: &str, organization: &str, can: Value) -> Stateless<'a> {
        Stateless { server, http: http(), token: server.token(name, organization), can, path: "/mcp" }
    }

    pub async fn send(&self, method: &str, mut params: Value) -> Response {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": self.can,
        });
        let named = ["name", "uri", "taskId"].into_iter().find_map(|member| params[member].as_str());
        let mut request =
            self.http.post(format!("{}{}", self.server.url, self.path)).bearer_auth(&self.token);
        if let Some(name) = named {
            request = request.header("Mcp-Name", name);
        }
        let body = json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params });
        let request = request.header("Mcp-Method", method).header("MCP-Protocol-Version", MODERN);
        request.header("Accept", "application/json, text/event-stream").json(&body).send().await.unwrap()
    }

    /// The result of a request that must succeed.
    pub async fn ask(&self, method: &str, params: Value) -> Value {
        let answer: Value = self.send(method, params).await.json().await.unwrap();
        assert!(answer["result"].is_object(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The error of a request that must fail.
    pub async fn refused(&self, method: &str, params: Value) -> Value {
        let answer: Value = self.send(method, params).await.json().await.unwrap();
        assert!(answer["error"].is_object(), "{method}: {answer}");
        answer["error"].clone()
    }

    async fn read(&self, uri: &str) -> Value {
        let read = self.ask("resources/read", json!({ "uri": uri })).await;
        assert_eq!((&read["contents"][0]["uri"], &read["cacheScope"]), (&json!(uri), &json!("private")));
        serde_json::from_str(read["contents"][0]["text"].as_str().unwrap()).unwrap()
    }

    /// All entries of a list.
    async fn all(&self, method: &str, member: &str) -> Vec<Value> {
        let (mut all, mut params) = (Vec::new(), json!({}));
        loop {
            let page = self.ask(method, params).await;
            all.extend(page[member].as_array().unwrap().iter().cloned());
            if page["nextCursor"].is_null() {
                return all;
            }
            params = json!({ "cursor": page["nextCursor"] });
        }
    }
}

async fn proposed(client: &Stateless<'_>, title: &str) -> (Value, Value) {
    let package = client.server.package(&client.http, &client.token, title).await;
    let params = json!({ "name": CREATE, "arguments": package });
    let answer = client.ask("tools/call", params.clone()).await;
    (params, answer)
}

async fn resources_are_read_with_the_rights_of_a_call(home: Home) {
    let server = Server::demo(&home);
    let grace = Stateless::new(&server, "grace", "acme", json!({}));
    let listed = grace.all("resources/list", "resources").await;
    for entry in &listed {
        for member in ["name", "title", "description", "mimeType"] {
            assert!(!entry[member].as_str().unwrap().is_empty(), "{entry}");
        }
        assert!(entry["icons"][0]["src"].as_str().unwrap().starts_with(&server.url), "{entry}");
        grace.ask("resources/read", json!({ "uri": entry["uri"] })).await;
    }
    let found = |title: &str| {
        let entry = listed.iter().find(|entry| entry["title"] == title);
        entry.unwrap_or_else(|| panic!("{title}: {listed:?}"))["uri"].as_str().unwrap().to_owned()
    };
    let icon = http().get(listed[0]["icons"][0]["src"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(
        (icon.status().as_u16(), &icon.headers()["content-type"]),
        (200, &"image/svg+xml".parse().unwrap())
    );

    let release = found("backend-v1.0-GCN");
    assert_eq!(grace.read(&release).await["release"]["name"], "backend-v1.0-GCN");
    let asked =
        json!({ "name": "loopiq_get_release_certification", "arguments": { "release": "backend-v1.0-GCN" } });
    let certification =
        grace.ask("tools/call", asked).await["structuredContent"]["certification"]["id"].clone();
    let certification = format!("loopiq://certifications/{}", certification.as_str().unwrap());
    assert!(listed.iter().any(|entry| entry["uri"] == certification.as_str()), "{listed:?}");
    assert_eq!(grace.read(&certification).await["certification"]["release"]["name"], "backend-v1.0-GCN");
    assert!(
        grace.read(&format!("{certification}/evidence-graph")).await["nodes"].as_array().unwrap().len() > 5
    );
    let asked = json!({ "name": "loopiq_list_evidence", "arguments": { "release": "backend-v1.0-GCN" } });
    let evidence = grace.ask("tools/call", asked).await["structuredContent"]["items"][0].clone();
    let uri = format!("loopiq://evidence/{}", evidence["id"].as_str().unwrap());
    assert_eq!(grace.read(&uri).await["evidence"]["sha256"], evidence["sha256"]);
    let (_, pending) = proposed(&grace, "Close the gap").await;
    let action = pending["structuredContent"]["action"]["id"].as_str().unwrap();
    let action = format!("loopiq://actions/{action}");
    assert_eq!(grace.read(&action).await["action"]["status"], "pending_approval");
    let ada = Stateless::new(&server, "ada", "acme", json!({}));
    let receipt = ada.read("loopiq://audit/0").await;
    assert!(receipt["leafHash"].as_str().unwrap().len() == 64, "{receipt}");

    let templates = grace.all("resources/templates/list", "resourceTemplates").await;
    assert!(templates.iter().any(|t| t["uriTemplate"] == "loopiq://releases/{releaseId}"), "{templates:?}");
    assert!(templates.iter().all(|t| t["title"].is_string() && t["description"].is_string()));

    // Another organization's, absent and malformed ones are the same to whoever asks.
    let max = Stateless::new(&server, "max", "globex", json!({}));
    let absent = "loopiq://releases/rel_00000000000000000000000000".to_owned();
    for uri in [&release, &certification, &uri, &action, &absent] {
        let refused = max.refused("resources/read", json!({ "uri": uri })).await;
        assert_eq!((&refused["code"], &refused["data"]["uri"]), (&json!(-32602), &json!(uri)), "{refused}");
        assert_eq!(refused["message"], "there is no such resource");
    }
    for uri in ["file:///etc/passwd", "loopiq://releases/../../x", "loopiq://audit/999999999"] {
        assert_eq!(ada.refused("resources/read", json!({ "uri": uri })).await["code"], -32602);
    }
    for cursor in ["", "x", "rforged", "cforged", "ö"] {
        assert_eq!(
            grace.refused("resources/list", json!({ "cursor": cursor })).await["code"],
            -32602,
            "{cursor}"
        );
    }
    // Who may not use a tool reads nothing by it and sees no template of it.
    let vic = Stateless::new(&server, "vic", "acme", json!({}));
    assert_eq!(vic.refused("resources/read", json!({ "uri": release })).await["code"], -32602);
    assert!(vic.all("resources/templates/list", "resourceTemplates").await.is_empty());
    // Older revisions know the error by a code of its own.
    let old = json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": { "uri": absent } });
    let answer = http().post(format!("{}/mcp", server.url)).bearer_auth(&grace.token).json(&old).send().await;
    let answer: Value = answer.unwrap().json().await.unwrap();
    assert_eq!((&answer["error"]["code"], &answer["error"]["data"]["uri"]), (&json!(-32002), &json!(absent)));
}

async fn large_answers_are_short_where_that_is_asked(home: Home) {
    let server = Server::demo(&home);
    let ada = Stateless::new(&server, "ada", "acme", json!({}));
    let tools = ada.all("tools/list", "tools").await;
    let short = |tool: &&Value| tool["inputSchema"]["properties"]["detail"].is_object();
    let names: Vec<&str> = tools.iter().filter(short).map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.len() == 5 && names.contains(&"loopiq_list_evidence"), "{names:?}");
    for name in names {
        let mut answers = Vec::new();
        for arguments in [json!({}), json!({ "detail": "full" }), json!({ "detail": "concise" })] {
            let asked = json!({ "name": name, "arguments": arguments });
            let answer = ada.ask("tools/call", asked).await;
            assert_eq!(answer["isError"], false, "{name}: {answer}");
            answers.push(answer["structuredContent"].clone());
        }
        let ids = |answer: &Value| -> Vec<Value> {
            answer["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect()
        };
        let members = |answer: &Value| answer["items"][0].as_object().map_or(0, serde_json::Map::len);
        // Reading is itself recorded, so that the list of the log may have grown in between.
        if name != "loopiq_list_audit_records" {
            assert_eq!(ids(&answers[0]), ids(&answers[2]), "{name}");
            assert_eq!(answers[0]["total"], answers[2]["total"], "{name}");
        }
        if members(&answers[1]) > 0 {
            assert!(members(&answers[2]) + 2 < members(&answers[1]), "{name}: {}", answers[2]);
            assert!(answers[2]["items"][0]["title"].is_string(), "{name}: {}", answers[2]);
        }
        let wrong = json!({ "name": name, "arguments": { "detail": "brief" } });
        let refused = ada.ask("tools/call", wrong).await;
        assert_eq!(refused["structuredContent"]["error"]["details"][0]["field"], "detail", "{refused}");
    }
}

async fn prompts_are_offered_to_whom_they_help_and_their_arguments_are_completed(home: Home) {
    let server = Server::demo(&home);
    let ada = Stateless::new(&server, "ada", "acme", json!({}));
    let prompts = ada.all("prompts/list", "prompts").await;
    assert_eq!(prompts.len(), 8, "{prompts:?}");
    for prompt in &prompts {
        let argument = &prompt["arguments"][0];
        assert!(argument["required"] == true && argument["description"].is_string(), "{prompt}");
        let name = argument["name"].as_str().unwrap();
        let got =
            ada.ask("prompts/get", json!({ "name": prompt["name"], "arguments": { name: "x\" y" } })).await;
        let text = got["messages"][0]["content"]["text"].as_str().unwrap();
        assert!(text.contains("\"x\\\" y\"") && got["messages"][0]["role"] == "user", "{text}");
        for wrong in [
            json!({}),
            json!({ name: 3 }),
            json!({ name: " " }),
            json!({ name: "a\nb" }),
            json!({ name: "x", "more": "y" }),
        ] {
            let refused =
                ada.refused("prompts/get", json!({ "name": prompt["name"], "arguments": wrong })).await;
            assert_eq!(refused["code"], -32602, "{wrong}");
        }
    }
    let instructions = async |client: &Stateless<'_>| -> String {
        client.ask("server/discover", json!({})).await["instructions"].as_str().unwrap().to_owned()
    };
    let rita = Stateless::new(&server, "rita", "acme", json!({}));
    assert!(instructions(&ada).await.contains("dryRun") && instructions(&ada).await.contains("awaits them"));
    assert!(
        instructions(&Stateless::new(&server, "vic", "acme", json!({})))
            .await
            .contains("no tools are offered")
    );
    let fewer = rita.all("prompts/list", "prompts").await;
    assert!(
        !fewer.is_empty() && fewer.len() < prompts.len(),
        "what needs writes is for those who may write: {fewer:?}"
    );
    let creator = json!({ "name": "remediation_work_package_creator", "arguments": { "release": "x" } });
    assert_eq!(rita.refused("prompts/get", creator).await["data"]["code"], "unknown_prompt");

    let complete = |name: &'static str, argument: &'static str, value: &'static str| json!({ "ref": { "type": "ref/prompt", "name": name }, "argument": { "name": argument, "value": value } });
    let completed = async |client: &Stateless<'_>, params: Value| -> Vec<String> {
        let found = client.ask("completion/complete", params).await;
        let values = found["completion"]["values"].as_array().unwrap();
        assert_eq!(found["completion"]["total"], values.len());
        values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    };
    let releases = completed(&ada, complete("release_readiness_copilot", "release", "back")).await;
    assert!(
        releases.len() >= 2 && releases.iter().all(|name| name.starts_with("backend-v1")),
        "{releases:?}"
    );
    assert_eq!(completed(&ada, complete("sprint_planning_assistant", "team", "PAY")).await.len(), 1);
    assert!(completed(&ada, complete("compliance_evidence_packager", "certification", "")).await.len() >= 3);
    let max = Stateless::new(&server, "max", "globex", json!({}));
    assert!(completed(&max, complete("release_readiness_copilot", "release", "back")).await.is_empty());
    let template = json!({
        "ref": { "type": "ref/resource", "uri": "loopiq://releases/{releaseId}" },
        "argument": { "name": "releaseId", "value": "rel_" },
    });
    assert!(completed(&ada, template).await.iter().all(|id| id.starts_with("rel_")));
    for wrong in [
        complete("no_such_prompt", "release", ""),
        complete("release_readiness_copilot", "team", ""),
        json!({ "ref": { "type": "ref/other" }, "argument": { "name": "a", "value": "" } }),
        json!({ "ref": { "type": "ref/prompt", "name": "release_readiness_copilot" } }),
    ] {
        assert_eq!(ada.refused("completion/complete", wrong.clone()).await["code"], -32602, "{wrong}");
    }
}

async fn skills_are_files_that_are_what_their_digest_says(home: Home) {
    let server = Server::demo(&home);
    let vic = Stateless::new(&server, "vic", "acme", json!({}));
    let discovered = vic.ask("server/discover", json!({})).await;
    assert_eq!(
        discovered["capabilities"]["extensions"]["io.modelcontextprotocol/skills"]["directoryRead"],
        true
    );
    let skills = vic.all("skills/list", "skills").await;
    assert_eq!(skills.len(), 3);
    for skill in &skills {
        assert_eq!(vic.ask("skills/get", json!({ "uri": skill["uri"] })).await["skill"], *skill);
        for file in skill["resources"].as_array().unwrap() {
            let read = vic.ask("resources/read", json!({ "uri": file["uri"] })).await;
            let text = read["contents"][0]["text"].as_str().unwrap();
            let digest = format!("sha256:{}", Digest::of(text.as_bytes()));
            assert_eq!((&file["digest"], &file["size"]), (&json!(digest), &json!(text.len())));
            assert_eq!(read["contents"][0]["mimeType"], "text/markdown");
        }
    }
    let inside = vic.ask("resources/directory/read", json!({ "uri": "skill://review-a-release" })).await;
    assert_eq!(inside["resources"].as_array().unwrap().len(), 2, "{inside}");
    for uri in ["skill://review-a-release/SKILL.md", "skill://none"] {
        assert_eq!(vic.refused("resources/directory/read", json!({ "uri": uri })).await["code"], -32602);
    }
    assert_eq!(vic.refused("skills/get", json!({ "uri": "skill://none/SKILL.md" })).await["code"], -32602);
}

async fn a_client_opens_the_card_for_its_person_and_learns_the_outcome(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let far = other.as_ref().unwrap_or(&server);
    let can = json!({ "elicitation": { "url": {} } });
    let grace = Stateless::new(&server, "grace", "acme", can.clone());
    let (params, asked) = proposed(&grace, "Close the gap").await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let question = &asked["inputRequests"]["approval"];
    assert_eq!(
        (&question["method"], &question["params"]["mode"]),
        (&json!("elicitation/create"), &json!("url"))
    );
    let url = question["params"]["url"].as_str().unwrap();
    let path = url.strip_prefix(&server.url).expect("an address of this server").to_owned();
    let state = asked["requestState"].as_str().unwrap();
    for hidden in ["grace", "act_", "acme"] {
        assert!(!url.contains(hidden) && !state.contains(hidden), "{url} {state}");
    }

    // Nobody else is led on by it, whoever forwards it, and nobody without signing in.
    let (linus, _) = server.sign_in("linus").await;
    assert_eq!(linus.get(url).send().await.unwrap().status(), 403);
    let stranger = http().get(url).send().await.unwrap();
    assert!(stranger.url().path().starts_with("/app/login"), "{}", stranger.url());
    assert_eq!(linus.get(format!("{}/app/open/nothing", server.url)).send().await.unwrap().status(), 404);
    let session = server.sign_in("grace").await;
    let led = session.0.get(format!("{}{path}", far.url)).send().await.unwrap();
    let card = led.headers()["location"].to_str().unwrap().to_owned();
    let action = card.strip_prefix("/app/actions/").unwrap().to_owned();
    assert!(led.status().is_redirection() && action.starts_with("act_"), "{card}");

    // Only the same call of the same client brings an answer, and only once.
    let resumed = |state: &str, response: Value| {
        let mut params = params.clone();
        params["requestState"] = json!(state);
        params["inputResponses"] = response;
        params
    };
    let accepted = json!({ "approval": { "action": "accept" } });
    let mut altered = state.to_owned();
    altered.replace_range(20..21, if altered.as_bytes()[20] == b'A' { "B" } else { "A" });
    let bad = async |client: &Stateless<'_>, params: Value| {
        let refused = client.refused("tools/call", params).await;
        assert_eq!(
            (&refused["code"], &refused["data"]["code"]),
            (&json!(-32602), &json!("bad_request_state")),
            "{refused}"
        );
    };
    bad(&grace, resumed(&altered, accepted.clone())).await;
    bad(&grace, resumed("", accepted.clone())).await;
    bad(&Stateless::new(&server, "linus", "acme", can.clone()), resumed(state, accepted.clone())).await;
    let mut changed = resumed(state, accepted.clone());
    changed["arguments"]["reason"] = json!("another reason");
    bad(&grace, changed).await;

    // Somebody says they opened it, and decides while the call waits; it hears of it, from whichever node.
    let near = Stateless::new(&server, "grace", "acme", can.clone());
    let waiting = near.ask("tools/call", resumed(state, accepted.clone()));
    let deciding = far.decide(&session, &action, "approve");
    let (outcome, decided) = tokio::join!(waiting, deciding);
    assert_eq!(decided.unwrap().0, 200);
    assert_eq!(
        (&outcome["resultType"], &outcome["structuredContent"]["status"]),
        (&json!("complete"), &json!("executed")),
        "{outcome}"
    );
    assert!(outcome["structuredContent"]["audit"]["sequence"].is_i64());
    bad(&grace, resumed(state, accepted.clone())).await;
    // What is decided needs no question any more.
    assert_eq!(grace.ask("tools/call", params.clone()).await["structuredContent"]["status"], "executed");

    // Who does not want to is asked no more; the action waits on.
    let (params, asked) = proposed(&grace, "Another").await;
    let mut declined = params.clone();
    declined["requestState"] = asked["requestState"].clone();
    declined["inputResponses"] = json!({ "approval": { "action": "decline" }, "unknown": {} });
    let outcome = grace.ask("tools/call", declined).await;
    assert_eq!(outcome["structuredContent"]["status"], "pending_approval", "{outcome}");
    assert!(outcome["structuredContent"]["approval"]["url"].as_str().unwrap().contains("/app/actions/act_"));
    // An answer that says nothing is asked again, with a fresh state.
    let asked = grace.ask("tools/call", params.clone()).await;
    let mut empty = params.clone();
    empty["requestState"] = asked["requestState"].clone();
    empty["inputResponses"] = json!({ "other": { "action": "accept" } });
    let again = grace.ask("tools/call", empty).await;
    assert_eq!(again["resultType"], "input_required", "{again}");
    assert_ne!(again["requestState"], asked["requestState"]);

    // Who cannot approve it themselves has nothing to open, and who said nothing of addresses neither.
    let ada = Stateless::new(&server, "ada", "acme", can.clone());
    let exception = crate::exceptions::proposal(&server, &ada.token).await;
    let waits =
        ada.ask("tools/call", json!({ "name": "loopiq_propose_exception", "arguments": exception })).await;
    assert_eq!(
        (&waits["resultType"], &waits["structuredContent"]["status"]),
        (&json!("complete"), &json!("pending_approval")),
        "{waits}"
    );
    let forms = Stateless::new(&server, "grace", "acme", json!({ "elicitation": {} }));
    assert_eq!(forms.ask("tools/call", params).await["structuredContent"]["status"], "pending_approval");
}

async fn an_action_is_a_task_for_clients_that_know_tasks(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let far = other.as_ref().unwrap_or(&server);
    let can = json!({ "extensions": { TASKS: {} } });
    let grace = Stateless::new(&server, "grace", "acme", can.clone());
    let (params, task) = proposed(&grace, "Close the gap").await;
    assert_eq!(
        (&task["resultType"], &task["status"], &task["ttlMs"]),
        (&json!("task"), &json!("working"), &Value::Null),
        "{task}"
    );
    let id = task["taskId"].as_str().unwrap().to_owned();
    assert!(task["statusMessage"].as_str().unwrap().contains("/app/actions/"), "{task}");
    for absent in ["result", "error", "task", "ttl", "pollInterval", "requestState", "inputRequests"] {
        assert!(task.get(absent).is_none(), "{absent}: {task}");
    }
    // Asked by another node, and by whom it does not concern.
    let there = Stateless { server: far, ..Stateless::new(far, "grace", "acme", can.clone()) };
    let there = Stateless { token: grace.token.clone(), ..there };
    assert_eq!(there.ask("tasks/get", json!({ "taskId": id })).await["status"], "working");
    for name in ["linus", "ada"] {
        let other = Stateless::new(&server, name, "acme", can.clone());
        for (method, task) in
            [("tasks/get", id.as_str()), ("tasks/cancel", &id), ("tasks/get", "act_nothing")]
        {
            let refused = other.refused(method, json!({ "taskId": task })).await;
            assert_eq!(
                (&refused["code"], &refused["data"]["code"]),
                (&json!(-32602), &json!("unknown_task")),
                "{refused}"
            );
        }
    }
    let undeclared = Stateless::new(&server, "grace", "acme", json!({}));
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let refused = undeclared.refused(method, json!({ "taskId": id, "inputResponses": {} })).await;
        assert_eq!(refused["code"], -32021, "{refused}");
        assert!(refused["data"]["requiredCapabilities"]["extensions"][TASKS].is_object(), "{refused}");
    }
    assert_eq!(
        undeclared.ask("tools/call", params.clone()).await["structuredContent"]["status"],
        "pending_approval"
    );
    for method in ["tasks/list", "tasks/result"] {
        assert_eq!(grace.refused(method, json!({ "taskId": id })).await["code"], -32601);
    }
    let ack = grace.ask("tasks/update", json!({ "taskId": id, "inputResponses": { "x": {} } })).await;
    assert!(ack["resultType"] == "complete" && ack.get("taskId").is_none(), "{ack}");

    let session = server.sign_in("grace").await;
    assert_eq!(far.decide(&session, &id, "approve").await.unwrap().0, 200);
    let done = grace.ask("tasks/get", json!({ "taskId": id })).await;
    assert_eq!((&done["status"], &done["result"]["isError"]), (&json!("completed"), &json!(false)), "{done}");
    assert_eq!(done["result"]["structuredContent"]["status"], "executed");
    let called = grace.ask("tools/call", params).await;
    let without = |answer: &Value| {
        let mut answer = answer["structuredContent"].clone();
        answer["context"].take();
        answer["replayed"].take();
        answer
    };
    assert_eq!(without(&called), without(&done["result"]), "the task's result is what the call answers");
    assert_eq!(grace.ask("tasks/cancel", json!({ "taskId": id })).await["resultType"], "complete");
    assert_eq!(
        grace.ask("tasks/get", json!({ "taskId": id })).await["status"],
        "completed",
        "what ran is not undone"
    );

    let (_, task) = proposed(&grace, "Another").await;
    let id = &task["taskId"];
    // Where only reads are offered nothing is taken back, and where MCP is off there is nothing at all.
    let cancel = json!({ "taskId": id });
    let readonly =
        Stateless { path: "/mcp/readonly", ..Stateless::new(&server, "grace", "acme", can.clone()) };
    assert_eq!(readonly.refused("tasks/cancel", cancel.clone()).await["code"], -32602);
    assert_eq!(readonly.ask("tasks/get", cancel.clone()).await["status"], "working");
    for (switch, status) in [("off", None), ("on", Some("working"))] {
        home.administer(&["org", "set", "acme", "--mcp", switch]);
        let answer: Value = grace.send("tasks/get", cancel.clone()).await.json().await.unwrap();
        assert_eq!(answer["result"]["status"].as_str(), status, "{answer}");
    }
    for _ in 0..2 {
        let ack = grace.ask("tasks/cancel", json!({ "taskId": id })).await;
        assert!(ack.get("status").is_none(), "{ack}");
    }
    let gone = grace.ask("tasks/get", json!({ "taskId": id })).await;
    assert!(gone["status"] == "cancelled" && gone.get("result").is_none(), "{gone}");
    assert_eq!(server.decide(&session, id.as_str().unwrap(), "approve").await.unwrap().0, 409, "taken back");

    // With both, the question comes first; after it the client goes on with a task.
    let both = json!({ "elicitation": { "url": {} }, "extensions": { TASKS: {} } });
    let both = Stateless::new(&server, "grace", "acme", both);
    let (mut params, asked) = proposed(&both, "A third").await;
    assert_eq!(asked["resultType"], "input_required");
    params["requestState"] = asked["requestState"].clone();
    params["inputResponses"] = json!({ "approval": { "action": "cancel" } });
    assert_eq!(both.ask("tools/call", params).await["resultType"], "task");
}

/// An open stream, read event by event, however its bytes arrive.
struct Stream {
    answer: Response,
    unread: String,
}

impl Stream {
    async fn open(client: &Stateless<'_>, asked: Value) -> Stream {
        let answer = client.send("subscriptions/listen", asked).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
        Stream { answer, unread: String::new() }
    }

    /// The next message; signs of life are passed over. `None` at its end.
    async fn heard(&mut self) -> Option<Value> {
        loop {
            while let Some((event, _)) = self.unread.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let message = data.map(|data| serde_json::from_str(data).unwrap());
                let length = event.len() + 2;
                self.unread.drain(..length);
                if message.is_some() {
                    return message;
                }
            }
            self.unread.push_str(&sent(&mut self.answer).await?);
        }
    }

    /// The next message of a method.
    async fn heard_of(&mut self, method: &str) -> Value {
        loop {
            let message = self.heard().await.expect("the stream goes on");
            if message["method"] == method {
                return message["params"].clone();
            }
        }
    }
}

async fn a_stream_tells_of_lists_resources_and_tasks_and_ends_with_the_right(home: Home) {
    let server = Server::demo(&home);
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let far = other.as_ref().unwrap_or(&server);
    let can = json!({ "extensions": { TASKS: {} } });
    let linus = Stateless { server: far, ..Stateless::new(&server, "linus", "acme", can.clone()) };
    let (_, task) = proposed(&linus, "Close the gap").await;
    let id = task["taskId"].as_str().unwrap().to_owned();
    let action = format!("loopiq://actions/{id}");
    let asked = json!({ "notifications": {
        "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true, "taskIds": [id, "act_nothing"],
        "resourceSubscriptions": [action, "loopiq://releases/rel_00000000000000000000000000", "file:///x"],
    }});
    let mut stream = Stream::open(&linus, asked.clone()).await;
    let first = stream.heard().await.unwrap();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    let accepted = json!({
        "toolsListChanged": true, "promptsListChanged": true, "taskIds": [id], "resourceSubscriptions": [action],
    });
    assert_eq!(first["params"]["notifications"], accepted, "only what can be followed: {first}");
    let named = |params: &Value| params["_meta"]["io.modelcontextprotocol/subscriptionId"] == "a";
    assert!(named(&first["params"]));
    let undeclared = Stateless::new(&server, "linus", "acme", json!({}));
    assert_eq!(undeclared.refused("subscriptions/listen", asked).await["code"], -32021);
    let many: Vec<String> = (0..51).map(|n| format!("loopiq://audit/{n}")).collect();
    let many = json!({ "notifications": { "resourceSubscriptions": many } });
    assert_eq!(linus.refused("subscriptions/listen", many).await["code"], -32602);
    assert_eq!(linus.refused("subscriptions/listen", json!({})).await["code"], -32602);

    let session = server.sign_in("linus").await;
    assert_eq!(server.decide(&session, &id, "approve").await.unwrap().0, 200);
    let moved = stream.heard_of("notifications/resources/updated").await;
    assert!(moved["uri"] == action && named(&moved), "{moved}");
    let done = stream.heard_of("notifications/tasks").await;
    assert!(done["taskId"] == id.as_str() && done["status"] == "completed" && named(&done), "{done}");
    assert_eq!(done["result"]["structuredContent"]["status"], "executed");

    let ada = server.sign_in("ada").await;
    let grant = json!({
        "member": "linus@acme.example", "grant": { "permissions": ["audit:read"] }, "reason": "the audit of May",
    });
    assert_eq!(server.by_hand(&ada, "loopiq_change_access", grant).await.0, 200);
    assert!(named(&stream.heard_of("notifications/tools/list_changed").await));
    assert!(named(&stream.heard_of("notifications/prompts/list_changed").await));

    home.administer(&["user", "deactivate", "--org", "acme", "--email", "linus@acme.example"]);
    // A change makes it look at once whether the listener may still hear.
    proposed(&Stateless::new(&server, "grace", "acme", json!({})), "Another").await;
    let last = stream.heard().await.unwrap();
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!("a"), &json!("complete")), "{last}");
    assert!(named(&last["result"]));
    assert!(stream.heard().await.is_none(), "it has ended");

    // So many streams of one token and no more; and a server that stops ends them in order.
    let grace = Stateless::new(&server, "grace", "acme", json!({}));
    let lists = json!({ "notifications": { "toolsListChanged": true } });
    let mut open = Vec::new();
    for _ in 0..8 {
        let mut stream = Stream::open(&grace, lists.clone()).await;
        assert!(stream.heard().await.is_some());
        open.push(stream);
    }
    assert_eq!(grace.refused("subscriptions/listen", lists).await["data"]["code"], "rate_limited");
    drop(grace);
    server.stop();
    for mut stream in open {
        assert_eq!(stream.heard().await.unwrap()["result"]["resultType"], "complete");
        assert!(stream.heard().await.is_none());
    }
}

/// A host, as a page: it shows the app in a frame and speaks with it.
const HOST: &str = r"(html) => {
    window.said = [];
    const frame = document.createElement('iframe');
    frame.sandbox = 'allow-scripts allow-same-origin';
    window.app?.remove();
    window.addEventListener('message', (event) => {
        if (event.source !== frame.contentWindow) return;
        window.said.push(event.data);
        if (event.data.method === 'ui/initialize') frame.contentWindow.postMessage({ jsonrpc: '2.0', id: event.data.id, result: { protocolVersion: '2026-01-26', hostContext: { theme: 'dark' } } }, '*');
        else if (event.data.id !== undefined && event.data.method) frame.contentWindow.postMessage({ jsonrpc: '2.0', id: event.data.id, result: {} }, '*');
    });
    frame.srcdoc = html;
    document.body.append(frame);
    window.app = frame;
}";

async fn pages_for_hosts_show_a_result_and_decide_nothing(home: Home) {
    let server = Server::demo(&home);
    let grace = Stateless::new(&server, "grace", "acme", json!({}));
    let tools = grace.all("tools/list", "tools").await;
    let of = |name: &str| {
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap();
        tool["_meta"]["ui"]["resourceUri"].as_str().unwrap().to_owned()
    };
    assert!(tools.iter().all(|tool| tool["icons"][0]["src"].is_string()));
    for tool in &tools {
        let write = tool["annotations"]["readOnlyHint"] == false;
        assert!(!write || tool["_meta"]["ui"]["resourceUri"] == "ui://loopiq/action", "{tool}");
    }
    let page = async |uri: String| {
        let read = grace.ask("resources/read", json!({ "uri": uri })).await["contents"][0].clone();
        assert_eq!(read["mimeType"], "text/html;profile=mcp-app");
        for list in ["connectDomains", "resourceDomains", "frameDomains", "baseUriDomains"] {
            assert_eq!(read["_meta"]["ui"]["csp"][list], json!([]));
        }
        let html = read["text"].as_str().unwrap().to_owned();
        assert!(
            !html.contains("src=") && !html.contains("@import") && !html.contains("url("),
            "one file, whole"
        );
        html
    };
    let (_, pending) = proposed(&grace, "<img src=x onerror=alert(1)>").await;
    let asked = json!({ "name": "loopiq_get_release_certification_evidence_graph", "arguments": { "release": "backend-v1.0-GCN" } });
    let graph = grace.ask("tools/call", asked).await;

    let mut browser = Browser::open();
    for (uri, result, shows, link) in [
        (
            of(CREATE),
            pending,
            ["<img src=x onerror=alert(1)>", "this card cannot approve", "grace@acme.example"],
            "/app/actions/act_",
        ),
        (
            of("loopiq_get_release"),
            graph,
            ["Evidence gaps (", "Provider blockers (", "control"],
            "/app/certifications/",
        ),
    ] {
        let html = page(uri).await;
        browser.ask(&format!("({HOST})({})", Value::from(html)));
        browser.until("window.said.some((message) => message.method === 'ui/notifications/initialized')");
        let told = json!({ "jsonrpc": "2.0", "method": "ui/notifications/tool-result", "params": result });
        browser.ask(&format!("window.app.contentWindow.postMessage({told}, '*')"));
        browser.until("window.said.some((message) => message.method === 'ui/notifications/size-changed')");
        let shown = browser.ask("window.app.contentDocument.body.innerText");
        for text in shows {
            assert!(shown.as_str().unwrap().contains(text), "{text}: {shown}");
        }
        assert_eq!(browser.ask("window.app.contentDocument.documentElement.dataset.theme"), "dark");
        browser.ask("window.app.contentDocument.querySelector('button.main').click()");
        browser.until("window.said.some((message) => message.method === 'ui/open-link')");
        let opened =
            browser.ask("window.said.find((message) => message.method === 'ui/open-link').params.url");
        assert!(opened.as_str().unwrap().contains(link), "{opened}");
        let asked = browser.ask("window.said.filter((message) => message.method === 'tools/call').length");
        assert_eq!(asked, 0, "it calls nothing by itself");
        assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
    }
}
