//! What is told by pictures, and by the HTTP API that they are made from: how evidence hangs together, what has changed from
//! one release to another, and how readiness, decisions and the log went over time.

use reqwest::Client;
use serde_json::{Value, json};

use crate::browser::{assert_clean, follow};
use crate::certifications::certification;
use crate::devtools::Browser;
use crate::server::{CREATE, Home, Server, binary, http, on_both_engines};

on_both_engines! {
    a_graph_that_is_too_large_puts_records_together
    two_releases_are_told_apart
    readiness_is_kept_from_evaluation_to_evaluation
    decisions_are_counted_and_told_by_person_to_administrators
    the_log_tells_how_it_grew
}

const BLOCKED: &str = "backend-v1.0-GCN";
const READY: &str = "backend-v1.1-GCN";

async fn get(server: &Server, token: &str, path: &str) -> (u16, Value) {
    let answer = http().get(format!("{}/api/v1{path}", server.url)).bearer_auth(token).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn page(server: &Server, name: &str, path: &str) -> (u16, String) {
    let (session, _) = server.sign_in(name).await;
    let answer = session.get(format!("{}{path}", server.url)).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Records that the nodes of a graph stand for.
fn records(graph: &Value) -> u64 {
    graph["nodes"].as_array().unwrap().iter().map(|node| node["count"].as_u64().unwrap_or(1)).sum()
}

async fn a_graph_that_is_too_large_puts_records_together(home: Home) {
    let server = Server::demo(&home);
    let grace = server.token("grace", "acme");
    let id = certification(&server, &grace, BLOCKED).await["id"].as_str().unwrap().to_owned();
    let graph = async |most: u32| {
        let path = format!("/certifications/{id}/graph?maxNodes={most}&group=true");
        let (status, graph) = get(&server, &grace, &path).await;
        assert_eq!(status, 200, "{graph}");
        graph
    };
    let (whole, small) = (graph(300).await, graph(20).await);
    let nodes = |graph: &Value| graph["nodes"].as_array().unwrap().clone();
    assert_eq!(records(&whole) as usize, nodes(&whole).len(), "there is room for every record");
    assert!(nodes(&small).len() <= 20 && small["truncated"] == false, "{small}");
    assert_eq!(records(&small), records(&whole), "nothing is left out");
    let blockers = nodes(&small).into_iter().find(|node| node["kind"] == "provider_blocker").unwrap();
    assert!(blockers["count"].is_u64() && blockers["origin"].is_null(), "{blockers}");
    assert_eq!(small["summary"], whole["summary"]);

    let (status, shown) = page(&server, "grace", &format!("/app/certifications/{id}/graph")).await;
    assert_eq!(status, 200);
    for node in nodes(&whole) {
        let label =
            node["label"].as_str().unwrap().replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        assert!(shown.contains(label.trim_end()), "the list says {node}");
    }
    assert!(!shown.contains("style=\""), "no style that the content security policy forbids");
    let (status, _) = page(&server, "max", &format!("/app/certifications/{id}/graph")).await;
    assert_eq!(status, 404, "a foreign graph is an absent one");
}

async fn two_releases_are_told_apart(home: Home) {
    let server = Server::demo(&home);
    let grace = server.token("grace", "acme");
    let open = certification(&server, &grace, BLOCKED).await;
    let compare = async |of: &str, with: &str| {
        let (status, found) = get(&server, &grace, &format!("/releases/{of}/difference?with={with}")).await;
        assert_eq!(status, 200, "{found}");
        found
    };
    let numbers = |found: &Value, kind: &str| {
        ["newCount", "stillCount", "goneCount"].map(|count| found[kind][count].as_u64().unwrap())
    };
    let (gaps, blockers) =
        (open["openGapCount"].as_u64().unwrap(), open["openBlockerCount"].as_u64().unwrap());
    // What the ready one lacks does not block it, and is lacking in the other too.
    let kept = certification(&server, &grace, READY).await["openGapCount"].as_u64().unwrap();
    assert!(kept > 0 && kept < gaps);
    let worse = compare(BLOCKED, READY).await;
    assert_eq!(numbers(&worse, "gaps"), [gaps - kept, kept, 0], "{worse}");
    assert_eq!(numbers(&worse, "blockers"), [blockers, 0, 0]);
    assert_eq!(worse["of"]["readiness"], open["readiness"]);
    // What is compared with itself has neither gained nor lost anything.
    let same = compare(BLOCKED, BLOCKED).await;
    assert_eq!((numbers(&same, "gaps"), numbers(&same, "blockers")), ([0, gaps, 0], [0, blockers, 0]));

    // The one before is found by itself.
    let (_, better) = get(&server, &grace, &format!("/releases/{READY}/difference")).await;
    assert_eq!(better["with"]["release"]["name"], BLOCKED, "{better}");
    assert_eq!(
        (numbers(&better, "gaps"), numbers(&better, "blockers")),
        ([0, kept, gaps - kept], [0, 0, blockers])
    );
    let (status, none) = get(&server, &grace, &format!("/releases/{BLOCKED}/difference")).await;
    assert_eq!((status, &none["code"]), (404, &json!("not_found")), "{none}");

    let (status, shown) = page(&server, "grace", &format!("/app/releases/{READY}/difference")).await;
    assert_eq!(status, 200);
    let said = format!("Blockers: {blockers} gone, 0 still there, 0 new.");
    assert!(shown.contains(&said) && shown.contains("Nothing new"), "{said}: {shown}");
    let (status, shown) = page(&server, "grace", &format!("/app/releases/{BLOCKED}/difference")).await;
    assert!(status == 200 && shown.contains("No earlier release of this team"), "{shown}");
    // Neither side may be another organization's.
    let max = server.token("max", "globex");
    let (_, foreign) = get(&server, &max, "/releases").await;
    let foreign = foreign["items"][0]["id"].as_str().unwrap();
    for path in
        [format!("/releases/{BLOCKED}/difference?with={foreign}"), format!("/releases/{foreign}/difference")]
    {
        assert_eq!(get(&server, &grace, &path).await.0, 404, "{path}");
    }
}

/// Points of a certification's history; the last one is how it stands.
async fn history(server: &Server, token: &str) -> Vec<Value> {
    let now = certification(server, token, BLOCKED).await;
    let path = format!("/certifications/{}/readiness", now["id"].as_str().unwrap());
    let (status, found) = get(server, token, &path).await;
    assert_eq!(status, 200, "{found}");
    let points = found["points"].as_array().unwrap().clone();
    let last = points.last().unwrap();
    assert_eq!(
        (&last["score"], &last["verdict"]),
        (&now["readiness"]["score"], &now["readiness"]["verdict"])
    );
    assert_eq!(last["openGapCount"], now["openGapCount"]);
    assert!(points.is_sorted_by_key(|point| point["at"].as_str().unwrap().to_owned()), "{points:?}");
    points
}

async fn push(server: &Server, token: &str, report: &'static str) {
    let address = format!("{}/api/v1/releases/{BLOCKED}/evidence?control=TEST-INTEGRATION", server.url);
    let pushed = http().post(address).bearer_auth(token).body(report).send().await.unwrap();
    assert_eq!(pushed.status(), 201);
}

async fn readiness_is_kept_from_evaluation_to_evaluation(home: Home) {
    let server = Server::demo(&home);
    let grace = server.token("grace", "acme");
    let before = history(&server, &grace).await;
    push(
        &server,
        &grace,
        r#"<testsuite name="s" tests="1"><testcase classname="s" name="starts"/></testsuite>"#,
    )
    .await;
    let better = history(&server, &grace).await;
    assert_eq!(better[..before.len()], before[..], "what was found is not found again");
    let score = |points: &[Value]| points.last().unwrap()["score"].as_u64().unwrap();
    assert_eq!(better.len(), before.len() + 1);
    assert!(score(&better) > score(&before), "{better:?}");
    // The same again is no change, and a failure is one.
    push(
        &server,
        &grace,
        r#"<testsuite name="s" tests="1"><testcase classname="s" name="starts again"/></testsuite>"#,
    )
    .await;
    assert_eq!(history(&server, &grace).await, better);
    push(&server, &grace, r#"<testsuite name="s" tests="1" failures="1"><testcase classname="s" name="starts"><failure/></testcase></testsuite>"#).await;
    let worse = history(&server, &grace).await;
    assert!(worse.len() > better.len() && score(&worse) == score(&before), "{worse:?}");

    let (_, shown) = page(&server, "grace", &format!("/app/releases/{BLOCKED}")).await;
    assert!(shown.contains("Readiness over time") && shown.contains("now not ready."), "{shown}");

    // What is moved to another storage takes its history along: it is in the same tables.
    let max = server.token("max", "globex");
    let id = certification(&server, &grace, BLOCKED).await["id"].as_str().unwrap().to_owned();
    assert_eq!(get(&server, &max, &format!("/certifications/{id}/readiness")).await.0, 404);
}

async fn proposed(server: &Server, token: &str, title: &str) -> String {
    let package = server.package(&http(), token, title).await;
    let (error, answer) = server.call(&http(), token, CREATE, package).await;
    assert!(!error, "{answer}");
    answer["action"]["id"].as_str().unwrap().to_owned()
}

async fn decisions_are_counted_and_told_by_person_to_administrators(home: Home) {
    let server = Server::demo(&home);
    let linus = server.token("linus", "acme");
    let grace: (Client, String) = server.sign_in("grace").await;
    for (title, session, verb) in [
        ("One", &grace, "approve"),
        ("Two", &grace, "approve"),
        ("Three", &grace, "reject"),
        ("Four", &server.sign_in("linus").await, "withdraw"),
    ] {
        let action = proposed(&server, &linus, title).await;
        assert_eq!(server.decide(session, &action, verb).await.unwrap().0, 200, "{title}");
    }
    let (ada, rita, vic) =
        (server.token("ada", "acme"), server.token("rita", "acme"), server.token("vic", "acme"));
    let (_, figures) = get(&server, &ada, "/approvals/figures?period=day").await;
    let total = |figures: &Value| {
        ["approved", "rejected", "withdrawn", "expired"].map(|word| figures["total"][word].as_u64().unwrap())
    };
    assert_eq!(total(&figures), [2, 1, 1, 0], "{figures}");
    assert_eq!(figures["parts"].as_array().unwrap().len(), 24);
    let people = figures["people"].as_array().unwrap();
    assert_eq!(people.len(), 1, "withdrawing is not deciding: {people:?}");
    assert_eq!(
        (&people[0]["email"], &people[0]["decisions"], &people[0]["approvedPercent"]),
        (&json!("grace@acme.example"), &json!(3), &json!(66))
    );
    // Who may read the log sees how often, not by whom; who may not sees neither. Another organization has its own.
    let (_, figures) = get(&server, &rita, "/approvals/figures").await;
    assert!(total(&figures) == [2, 1, 1, 0] && figures["people"].is_null(), "{figures}");
    assert_eq!(get(&server, &vic, "/approvals/figures").await.0, 403);
    let (_, figures) = get(&server, &server.token("max", "globex"), "/approvals/figures").await;
    assert_eq!(total(&figures), [0, 0, 0, 0]);

    // Who opens the page without being shown them has tried nothing that the log would tell of.
    let denied = async || get(&server, &ada, "/audit?kind=denied").await.1["total"].as_u64().unwrap();
    let before = denied().await;
    for (name, chart, people) in [("ada", true, true), ("rita", true, false), ("vic", false, false)] {
        let (status, shown) = page(&server, name, "/app/approvals?period=day").await;
        assert_eq!(status, 200, "{name}");
        assert_eq!(shown.contains("2 approved, 1 rejected"), chart, "{name}: {shown}");
        assert_eq!(shown.contains("Decisions by person"), people, "{name}: {shown}");
    }
    assert_eq!(denied().await, before);
}

async fn the_log_tells_how_it_grew(home: Home) {
    let server = Server::demo(&home);
    let ada = server.token("ada", "acme");
    home.administer(&["audit", "checkpoint", "--org", "acme"]);
    for (period, parts) in [("day", 24), ("month", 30), ("year", 52)] {
        let (_, growth) = get(&server, &ada, &format!("/log/growth?period={period}")).await;
        let all = growth["parts"].as_array().unwrap();
        assert_eq!(all.len(), parts, "{growth}");
        let signed: Vec<u64> = all.iter().map(|part| part["signed"].as_u64().unwrap()).collect();
        let last = *signed.last().unwrap();
        assert!(signed.is_sorted() && last > 0 && last <= growth["records"].as_u64().unwrap(), "{growth}");
        assert!(all.iter().any(|part| part["heads"].as_u64().unwrap() > 0), "{growth}");
    }
    assert_eq!(get(&server, &server.token("vic", "acme"), "/log/growth").await.0, 403);
    let (status, shown) = page(&server, "ada", "/app/audit?period=day").await;
    assert!(status == 200 && shown.contains("Growth and checkpoints"), "{shown}");
}

#[tokio::test]
async fn the_graph_is_read_without_script_and_every_box_leads_somewhere() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let grace = server.token("grace", "acme");
    let id = certification(&server, &grace, BLOCKED).await["id"].as_str().unwrap().to_owned();
    let mut browser = Browser::open();
    browser.without_script();
    browser.show(390, "dark");
    let address = format!("{}/app/certifications/{id}/graph", server.url);
    assert_eq!(follow(&mut browser, &server, "grace", &address), 200);
    assert_eq!(browser.ask("document.documentElement.scrollWidth <= 390"), true, "the page fits a phone");
    let scrolls =
        "const g = document.querySelector('.graph'); g.scrollWidth > g.clientWidth && g.tabIndex === 0";
    assert_eq!(browser.ask(&format!("(() => {{ {} }})()", scrolls.replace("; g.", "; return g."))), true);
    // Every text of a box stays within it.
    let outside = browser.ask(
        "[...document.querySelectorAll('.graph a')].filter(a => { \
            const box = [...a.querySelectorAll('rect.box')].at(-1).getBoundingClientRect(); \
            return [...a.querySelectorAll('text')].some(t => t.getBoundingClientRect().right > box.right + 1) \
        }).map(a => a.textContent)",
    );
    assert_eq!(outside, json!([]));
    let links = browser.ask("[...document.querySelectorAll('.graph a')].map(a => a.href.baseVal)");
    let links: std::collections::BTreeSet<String> =
        links.as_array().unwrap().iter().map(|link| link.as_str().unwrap().to_owned()).collect();
    assert!(links.len() > 20, "{links:?}");
    for link in links {
        let (page, part) = link.split_once('#').unwrap_or((&link, ""));
        assert_eq!(browser.visit(&format!("{}{page}", server.url)), 200, "{link}");
        let there = browser.ask(&format!("'{part}' === '' || document.getElementById('{part}') !== null"));
        assert_eq!(there, true, "{link} leads to something on the page");
    }
    assert_clean(&browser, &server);
}
