//! An agent that knows nothing but what the server tells it: the list of tools, their schemas, and what each answer and each
//! refusal says to do next. It makes every mistake on the way of the documented flow, and finds on by what it is told.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::server::{Era, Home, Server, http, on_both_engines};

on_both_engines! {
    a_stranger_finds_the_way_by_what_it_is_told
    every_tool_says_what_to_call_next
}

/// How names of tools begin; what a text says of tools is found by it.
const PREFIX: &str = "loopiq_";

/// The tools that a text names, in its order.
fn named(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    words.filter(|word| word.starts_with(PREFIX)).map(|word| word.trim_end_matches('_').to_owned()).collect()
}

/// The agent: who it is to the server, and what it was told there is.
struct Stranger<'a> {
    server: &'a Server,
    token: String,
    instructions: String,
    tools: Vec<Value>,
}

impl<'a> Stranger<'a> {
    async fn arrives(server: &'a Server, token: String) -> Stranger<'a> {
        let ask = async |method: &str, params: Value| -> Value {
            let answer = server.rpc(&http(), &token, Era::Modern, method, params).await.unwrap();
            answer.json::<Value>().await.unwrap()["result"].clone()
        };
        let found = ask("server/discover", json!({})).await;
        let tools = ask("tools/list", json!({})).await["tools"].as_array().unwrap().clone();
        let instructions = found["instructions"].as_str().unwrap().to_owned();
        Stranger { server, token, instructions, tools }
    }

    fn knows(&self, tool: &str) -> bool {
        self.tools.iter().any(|known| known["name"] == tool)
    }

    /// The tool whose description says this.
    fn tool_for(&self, words: &str, writes: bool) -> &Value {
        let mut fitting = self.tools.iter().filter(|tool| {
            tool["annotations"]["readOnlyHint"] != writes
                && tool["description"].as_str().unwrap().contains(words)
        });
        let found = fitting.next().unwrap_or_else(|| panic!("no tool says {words}"));
        assert!(fitting.next().is_none(), "several tools say {words}");
        found
    }

    /// Calls a tool that is listed; whether it refused, and the answer.
    async fn calls(&self, tool: &str, arguments: &Value) -> (bool, Value) {
        assert!(self.knows(tool), "{tool} is not listed");
        let params = json!({ "name": tool, "arguments": arguments });
        let answer = self.server.rpc(&http(), &self.token, Era::Modern, "tools/call", params).await.unwrap();
        let result = answer.json::<Value>().await.unwrap()["result"].clone();
        (result["isError"] == true, result["structuredContent"].clone())
    }

    async fn gets(&self, tool: &str, arguments: Value) -> Value {
        let (refused, answer) = self.calls(tool, &arguments).await;
        assert!(!refused, "{tool} {arguments}: {answer}");
        answer
    }

    /// Makes a mistake; the tools that the refusal names as the next call, all of which there are.
    async fn errs(&self, tool: &str, arguments: Value, code: &str) -> Vec<String> {
        let (refused, answer) = self.calls(tool, &arguments).await;
        let error = &answer["error"];
        assert!(refused && error["code"] == code, "{tool} {arguments}, expected {code}: {answer}");
        let next = named(error["remedy"].as_str().unwrap());
        assert!(!next.is_empty(), "{tool} {arguments}: the remedy names no next call: {answer}");
        for tool in &next {
            assert!(self.knows(tool), "the remedy names {tool}, which is not there: {answer}");
        }
        next
    }
}

fn with(arguments: &Value, field: &str, value: Value) -> Value {
    let mut changed = arguments.clone();
    changed[field] = value;
    changed
}

fn without(arguments: &Value, field: &str) -> Value {
    let mut changed = arguments.as_object().unwrap().clone();
    changed.remove(field);
    Value::Object(changed)
}

/// The one of these tools that lists something, which is to be looked at.
fn list(next: &[String]) -> &str {
    next.iter().find(|tool| tool.contains("_list_")).unwrap_or_else(|| panic!("none of {next:?} lists"))
}

async fn a_stranger_finds_the_way_by_what_it_is_told(home: Home) {
    let server = Server::demo(&home);
    let stranger = Stranger::arrives(&server, server.token("grace", "acme")).await;
    // Where to begin stands in the instructions, and is the first tool of the list.
    let first = named(&stranger.instructions).remove(0);
    assert_eq!(stranger.tools[0]["name"], first.as_str());
    let context = stranger.gets(&first, json!({})).await;
    let me = context["context"]["user"]["email"].as_str().unwrap();

    let graph = stranger.tool_for("ids that a remediation work package refers to", false);
    let graph = graph["name"].as_str().unwrap();
    // Of which certification? It is told where certifications are found, and finds the one that is blocked.
    let next = stranger.errs(graph, json!({ "certificationId": "nonsense" }), "validation_failed").await;
    let certifications = stranger.gets(list(&next), json!({})).await;
    let next = stranger.errs(graph, json!({}), "validation_failed").await;
    assert!(next.contains(&graph.to_owned()), "the same call again, mended: {next:?}");
    let blocked = certifications["items"].as_array().unwrap().iter().find(|item| item["status"] == "blocked");
    let blocked = blocked.expect("something is blocked");
    // A name that is not one: it is told where releases are found, by their names.
    let next = stranger.errs(graph, json!({ "release": "the blocked one" }), "not_found").await;
    let releases = stranger.gets(list(&next), json!({})).await;
    let names: Vec<&Value> = releases["items"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
    let release = &blocked["release"]["name"];
    assert!(names.contains(&release), "{release} {names:?}");
    let summary = stranger.gets(graph, json!({ "release": release })).await["summary"].clone();
    let gap = &summary["evidenceGaps"][0];
    let blocker = &summary["providerBlockers"][0];
    assert!(gap["id"].is_string() && blocker["id"].is_string(), "{summary}");

    let create = stranger.tool_for("Propose remediation work for a release", true);
    let create = create["name"].as_str().unwrap();
    let work = json!({
        "release": release, "teamId": blocked["team"]["id"], "reason": "it is blocked",
        "parent": { "title": "Unblock it", "ownerId": me },
        "children": [
            { "title": "Evidence", "findingRefs": [{ "kind": "evidence_gap", "id": gap["id"] }] },
            { "title": "Finding", "findingRefs": [{ "kind": "provider_blocker", "id": blocker["id"] }] },
        ],
    });
    // Everything that can be wrong with it, one after the other.
    let foreign =
        json!([{ "title": "Evidence", "findingRefs": [{ "kind": "evidence_gap", "id": "gap_none" }] }]);
    for (wrong, code, next_call) in [
        (without(&work, "reason"), "validation_failed", create),
        (with(&work, "children", json!([])), "validation_failed", create),
        (without(&work, "parent"), "missing_parent", create),
        (with(&work, "parent", json!({ "title": "" })), "missing_title", create),
        (with(&work, "teamId", json!("")), "unclear_ownership", "loopiq_list_teams"),
        (with(&work, "teamId", json!("no such team")), "not_found", "loopiq_list_teams"),
        (with(&work, "release", json!("no such release")), "not_found", "loopiq_list_releases"),
        (without(&work, "release"), "validation_failed", "loopiq_list_releases"),
        (with(&work, "children", foreign), "reference_mismatch", graph),
        (
            with(&without(&work, "release"), "certificationId", json!("cert_none")),
            "validation_failed",
            "loopiq_list_release_certifications",
        ),
    ] {
        let next = stranger.errs(create, wrong.clone(), code).await;
        assert!(next.contains(&next_call.to_owned()), "{wrong}: {next:?}");
    }

    let preview = stranger.gets(create, with(&work, "dryRun", json!(true))).await;
    assert!(preview["next"].as_str().unwrap().contains("call again"), "{preview}");
    let work = with(&work, "idempotencyKey", json!("of-the-stranger"));
    let pending = stranger.gets(create, work.clone()).await;
    assert_eq!(pending["status"], "pending_approval", "{pending}");
    let other = with(&work, "reason", json!("another one"));
    let next = stranger.errs(create, other, "idempotency_conflict").await;
    let told = stranger.gets(&next[0], json!({ "idempotencyKey": "of-the-stranger" })).await;
    assert_eq!(told["action"]["id"], pending["action"]["id"]);

    // What comes next is a link for a person, and a tool that tells the outcome.
    let said = pending["next"].as_str().unwrap();
    let link = said.split_whitespace().find(|word| word.starts_with("http")).unwrap().trim_end_matches('.');
    assert_eq!(link, pending["approval"]["url"], "{said}");
    let outcome = named(said).remove(0);
    let lost = stranger.errs(&outcome, json!({ "actionId": "the one before" }), "validation_failed").await;
    let mine = stranger.gets(list(&lost), json!({ "mine": true })).await;
    let action = &mine["items"][0];
    assert_eq!((&action["status"], &action["url"]), (&json!("pending_approval"), &json!(link)), "{mine}");
    let grace = server.sign_in("grace").await;
    assert_eq!(grace.0.get(link).send().await.unwrap().status(), 200);
    let id = link.rsplit('/').next().unwrap();
    assert_eq!(server.decide(&grace, id, "approve").await.unwrap().0, 200);

    let done = stranger.gets(&outcome, json!({ "actionId": action["id"] })).await["action"].clone();
    assert_eq!(done["status"], "executed", "{done}");
    assert!(done["audit"]["sequence"].is_u64() && done["audit"]["leafHash"].is_string(), "{done}");
    for record in done["created"].as_array().unwrap() {
        let page = grace.0.get(record["url"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(page.status(), 200, "{record}");
    }
    // The same once more is no second package, and a new one of the same is told what there is already.
    assert_eq!(stranger.gets(create, work.clone()).await["replayed"], true);
    let again = with(&work, "idempotencyKey", json!("of-the-stranger-again"));
    let next = stranger.errs(create, again, "already_remediated").await;
    let open = stranger.gets(list(&next), json!({ "release": release })).await;
    assert!(open.to_string().contains("Unblock it"), "{open}");
}

/// Arguments with one of them wrong, for every way in which it can be: none of the required ones, one too many, and nonsense in
/// each that is text.
fn mistakes(tool: &Value) -> Vec<Value> {
    let schema = &tool["inputSchema"];
    let properties: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
    let required: BTreeSet<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut filled = Map::new();
    for (name, property) in properties.iter().filter(|(name, _)| required.contains(name.as_str())) {
        let filler = match property["type"].as_str() {
            Some("integer") => json!(1),
            Some("object") => json!({ "title": "Something" }),
            Some("array") => json!([{ "title": "Something" }]),
            _ if property["enum"].is_array() => property["enum"][0].clone(),
            _ => json!("something"),
        };
        filled.insert((*name).clone(), filler);
    }
    let filled = Value::Object(filled);
    let mut all = vec![with(&filled, "unheardOf", json!(true))];
    if !required.is_empty() {
        all.push(json!({}));
    }
    for (name, property) in properties {
        let text = property["type"] == "string";
        let wrong = if text { json!(7) } else { json!("nonsense") };
        all.push(with(&filled, name, wrong));
        if text {
            all.push(with(&filled, name, json!("nonsense")));
        }
    }
    all
}

async fn every_tool_says_what_to_call_next(home: Home) {
    let server = Server::demo(&home);
    let stranger = Stranger::arrives(&server, server.token("ada", "acme")).await;
    // A release that has no certification yet, which a stranger may well ask for.
    let ada = server.sign_in("ada").await;
    let early = json!({
        "name": "early-v0.1", "releaseVersion": "0.1", "teamId": "backend", "targetEnvironment": "production",
        "reason": "it begins",
    });
    let (status, made) = server.by_hand_at_once(&ada, "loopiq_create_release", early).await;
    assert_eq!((status, &made["status"]), (200, &json!("executed")), "{made}");
    let certification = json!({ "release": "early-v0.1" });
    let next = stranger.errs("loopiq_get_release_certification", certification, "not_found").await;
    assert_eq!(next, ["loopiq_list_release_certifications"]);

    let mut refusals = 0;
    for tool in &stranger.tools {
        let name = tool["name"].as_str().unwrap();
        for arguments in mistakes(tool) {
            let (refused, answer) = stranger.calls(name, &arguments).await;
            if !refused {
                continue;
            }
            refusals += 1;
            let next = named(answer["error"]["remedy"].as_str().unwrap());
            assert!(!next.is_empty(), "{name} {arguments}: {answer}");
            assert!(next.iter().all(|tool| stranger.knows(tool)), "{name} {arguments}: {answer}");
        }
    }
    assert!(refusals > 4 * stranger.tools.len(), "{refusals}");
}
