//! The four questions of a newly connected client, asked by the official Python and TypeScript SDKs in both eras of the
//! protocol, and the governed write by one of them.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::server::{CREATE, Server, binary, tool};

/// Runs a client's script with the calls on its standard input; its answers, without the connection line.
fn run(mut command: Command, calls: &Value) -> (Value, Vec<Value>) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the client starts");
    child.stdin.take().unwrap().write_all(calls.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let connected = lines.next().unwrap_or_else(|| panic!("the client connected"));
    assert_eq!(connected["op"], "connect", "{text}");
    (connected, lines.collect())
}

fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn python(server: &Server, token: &str, era: &str) -> Command {
    let mut command = Command::new(tool("LOOPIQ_TEST_PYTHON"));
    command.arg(root().join("tests-tools/clients/python_story.py"));
    command.args([&format!("{}/mcp", server.url), token, era]);
    command
}

fn typescript(server: &Server, token: &str, era: &str) -> Command {
    let mut command = Command::new(tool("LOOPIQ_TEST_NODE"));
    command.arg(root().join("tests-tools/clients/typescript_story.mjs"));
    command.args([&format!("{}/mcp", server.url), token, era]);
    command.env("LOOPIQ_TEST_NPM", tool("LOOPIQ_TEST_NPM"));
    command
}

fn call(name: &str, arguments: Value) -> Value {
    json!({ "op": "call", "name": name, "arguments": arguments })
}

/// The questions, and a call that must be refused.
fn questions() -> Value {
    json!([
        { "op": "list_tools" },
        call("loopiq_get_context", json!({})),
        call("loopiq_list_release_certifications", json!({})),
        call("loopiq_list_releases", json!({})),
        call("loopiq_list_evidence_gaps", json!({ "release": "backend-v1.0-GCN" })),
        call("loopiq_get_release", json!({ "release": "no-such-release" })),
    ])
}

/// Checks the answers, and says which tools were listed.
fn check_answers(who: &str, answers: &[Value]) -> Value {
    let content = |n: usize| &answers[n]["structuredContent"];
    assert_eq!(answers.len(), 6, "{who}: {answers:?}");
    assert_eq!(content(1)["context"]["organization"]["slug"], "acme", "{who}");
    let statuses: Vec<&str> = content(2)["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["readiness"]["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["ready", "not_ready"], "{who}");
    let names: Vec<&str> =
        content(3)["items"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["backend-v1.1-GCN", "backend-v1.0-GCN"], "{who}");
    let reasons: Vec<&str> =
        content(4)["items"].as_array().unwrap().iter().map(|g| g["reason"].as_str().unwrap()).collect();
    for reason in ["missing", "stale", "failed"] {
        assert!(reasons.contains(&reason), "{who}: {reasons:?}");
    }
    assert_eq!(answers[5]["isError"], true, "{who}");
    assert_eq!(content(5)["error"]["code"], "not_found", "{who}");
    answers[0]["tools"].clone()
}

#[test]
fn both_official_clients_get_the_four_answers_in_both_eras() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let grace = server.token("grace", "acme");
    let mut lists = Vec::new();
    for era in ["modern", "legacy"] {
        let (connected, answers) = run(python(&server, &grace, era), &questions());
        assert_eq!(connected["protocolVersion"] == "2026-07-28", era == "modern", "{connected}");
        lists.push(check_answers(&format!("python {era}"), &answers));
        let (connected, answers) = run(typescript(&server, &grace, era), &questions());
        assert_eq!(connected["protocolVersion"] == "2026-07-28", era == "modern", "{connected}");
        lists.push(check_answers(&format!("typescript {era}"), &answers));
    }
    assert!(lists[0].as_array().unwrap().contains(&json!(CREATE)), "{}", lists[0]);
    assert!(lists.iter().all(|list| *list == lists[0]), "{lists:?}");
    let vic = server.token("vic", "acme");
    let (_, answers) = run(python(&server, &vic, "modern"), &json!([{ "op": "list_tools" }]));
    assert_eq!(answers[0]["tools"], json!([]), "without MCP access: connects, empty list");
}

#[tokio::test]
async fn a_client_proposes_a_person_approves_the_client_learns_the_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let http = crate::server::http();
    let grace = server.token("grace", "acme");
    let package = server.package(&http, &grace, "From a real client").await;
    let mut preview = package.clone();
    preview["dryRun"] = json!(true);
    let propose = json!([call(CREATE, preview), call(CREATE, package.clone())]);
    let (_, answers) = run(python(&server, &grace, "modern"), &propose);
    assert_eq!(answers[0]["structuredContent"]["status"], "preview");
    let pending = &answers[1]["structuredContent"];
    assert_eq!(pending["status"], "pending_approval");
    let session = server.sign_in("grace").await;
    let action = pending["action"]["id"].as_str().unwrap();
    assert_eq!(server.decide(&session, action, "approve").await.unwrap().0, 200);
    let again = json!([call(CREATE, package)]);
    for mut client in [python(&server, &grace, "legacy"), typescript(&server, &grace, "modern")] {
        client.env("LOOPIQ_STORY", "outcome");
        let (_, answers) = run(client, &again);
        let outcome = &answers[0]["structuredContent"];
        assert_eq!(
            (&outcome["status"], &outcome["replayed"]),
            (&json!("executed"), &json!(true)),
            "{outcome}"
        );
    }
}
