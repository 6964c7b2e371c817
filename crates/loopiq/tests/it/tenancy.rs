//! Foreign is absent: for every tool and every kind of id, the answer for another organization's id equals the answer for
//! an id that does not exist. And who may connect sees exactly what they may call.

use reqwest::Client;
use serde_json::{Value, json};

use crate::server::{CREATE, Home, Server, http, on_both_engines};

on_both_engines! {
    a_foreign_id_is_answered_like_an_absent_one
    lists_fit_the_role_and_what_is_not_listed_cannot_be_called
}

/// Ids are 26 characters of base32 after the prefix.
const ABSENT: &str = "00000000000000000000000000";

async fn first(server: &Server, http: &Client, token: &str, tool: &str, arguments: Value) -> String {
    let (_, found) = server.call(http, token, tool, arguments).await;
    found["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{tool} lists something: {found}")).to_owned()
}

/// An answer without what differs from call to call.
fn comparable(mut answer: (bool, Value)) -> (bool, Value) {
    for part in ["error", "context"] {
        if let Some(object) = answer.1.get_mut(part).and_then(Value::as_object_mut) {
            object.remove("requestId");
            object.remove("traceId");
        }
    }
    answer
}

async fn a_foreign_id_is_answered_like_an_absent_one(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let grace = server.token("grace", "acme");
    let max = server.token("max", "globex");
    let package = server.package(&http, &grace, "Close the gap").await;
    let (_, proposed) = server.call(&http, &grace, CREATE, package.clone()).await;
    let session = server.sign_in("grace").await;
    let action = proposed["action"]["id"].as_str().unwrap().to_owned();
    server.decide(&session, &action, "approve").await.unwrap();

    let all = json!({ "allTeams": true });
    let release = first(&server, &http, &grace, "loopiq_list_releases", all).await;
    let certification = first(&server, &http, &grace, "loopiq_list_release_certifications", json!({})).await;
    let team = first(&server, &http, &grace, "loopiq_list_teams", json!({})).await;
    let work = first(&server, &http, &grace, "loopiq_list_work_items", json!({})).await;
    let gap = first(&server, &http, &grace, "loopiq_list_evidence_gaps", json!({})).await;
    let approval = proposed["approval"]["id"].as_str().unwrap().to_owned();

    let cases: Vec<(&str, &str, &str)> = vec![
        ("loopiq_get_release", "release", &release),
        ("loopiq_get_release", "release", "backend-v1.0-GCN"),
        ("loopiq_list_releases", "team", &team),
        ("loopiq_list_release_certifications", "release", &release),
        ("loopiq_list_release_certifications", "team", &team),
        ("loopiq_get_release_certification", "certificationId", &certification),
        ("loopiq_get_release_certification", "release", "backend-v1.0-GCN"),
        ("loopiq_get_release_certification_evidence_graph", "certificationId", &certification),
        ("loopiq_get_release_certification_evidence_graph", "release", &release),
        ("loopiq_list_evidence", "release", &release),
        ("loopiq_list_evidence_gaps", "release", &release),
        ("loopiq_list_evidence_gaps", "certificationId", &certification),
        ("loopiq_list_provider_blockers", "release", &release),
        ("loopiq_list_risks", "release", &release),
        ("loopiq_list_work_items", "release", &release),
        ("loopiq_list_work_items", "team", &team),
        ("loopiq_list_work_items", "parentId", &work),
        ("loopiq_get_work_item", "workItemId", &work),
        ("loopiq_get_action", "actionId", &action),
        ("loopiq_get_action", "approvalId", &approval),
        ("loopiq_list_audit_records", "actionId", &action),
        ("loopiq_list_audit_records", "subjectId", &work),
        ("loopiq_search", "team", &team),
    ];
    for (tool, argument, foreign) in cases {
        let absent = match foreign.split_once('_') {
            Some((prefix, _)) => format!("{prefix}_{ABSENT}"),
            None => "no-such-name".to_owned(),
        };
        let arguments = |value: &str| {
            let mut arguments = json!({ argument: value });
            if tool == "loopiq_search" {
                arguments["query"] = json!("backend");
            }
            arguments
        };
        let of_foreign = comparable(server.call(&http, &max, tool, arguments(foreign)).await);
        let of_absent = comparable(server.call(&http, &max, tool, arguments(&absent)).await);
        assert_eq!(of_foreign, of_absent, "{tool} by {argument}");
    }
    let mut stolen = package;
    stolen["children"][0]["findingRefs"][0]["id"] = json!(gap);
    stolen["release"] = json!("portal-v4.1");
    stolen["teamId"] = json!("platform");
    stolen["parent"]["ownerId"] = json!("max@globex.example");
    let of_foreign = comparable(server.call(&http, &max, CREATE, stolen.clone()).await);
    stolen["children"][0]["findingRefs"][0]["id"] = json!(format!("gap_{ABSENT}"));
    assert_eq!(of_foreign, comparable(server.call(&http, &max, CREATE, stolen).await));
    assert!(of_foreign.0);

    let foreign_session = server.sign_in("max").await;
    let (status, _) = server.decide(&foreign_session, &action, "approve").await.unwrap();
    let (absent, _) = server.decide(&foreign_session, &format!("act_{ABSENT}"), "approve").await.unwrap();
    assert_eq!((status, absent), (404, 404));
}

async fn lists_fit_the_role_and_what_is_not_listed_cannot_be_called(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let mut matrix = String::new();
    let everything: Vec<String> = engine_tools();
    for (person, organization) in [
        ("ada", "acme"),
        ("grace", "acme"),
        ("linus", "acme"),
        ("rita", "acme"),
        ("vic", "acme"),
        ("dana", "globex"),
    ] {
        let token = server.token(person, organization);
        let answer: Value = http
            .post(format!("{}/mcp", server.url))
            .bearer_auth(&token)
            .header("Accept", "application/json, text/event-stream")
            .json(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let listed: Vec<&str> = answer["result"]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["name"].as_str().unwrap())
            .collect();
        matrix.push_str(&format!("{person} in {organization}: {} tools\n", listed.len()));
        for tool in &everything {
            let (error, body) = server.call(&http, &token, tool, json!({})).await;
            let refused = error
                && (body["code"] == -32602
                    || ["forbidden", "mcp_not_enabled"]
                        .contains(&body["error"]["code"].as_str().unwrap_or_default()));
            assert_eq!(!refused, listed.contains(&tool.as_str()), "{person}: {tool}: {body}");
            let mark = if refused { "hidden" } else { "listed" };
            matrix.push_str(&format!("  {tool}: {mark}\n"));
        }
    }
    testkit::golden::check(env!("CARGO_MANIFEST_DIR"), "roles-and-tools.txt", &matrix);
}

fn engine_tools() -> Vec<String> {
    engine::tools::ALL.iter().map(|tool| tool.name().to_owned()).collect()
}
