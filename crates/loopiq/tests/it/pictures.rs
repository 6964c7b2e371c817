//! What is told by pictures, and by the HTTP API that they are made from: how evidence hangs together, and what has changed from
//! one release to another.

use serde_json::{Value, json};

use crate::browser::{assert_clean, follow};
use crate::certifications::certification;
use crate::devtools::Browser;
use crate::server::{Home, Server, binary, http, on_both_engines};

on_both_engines! {
    a_graph_that_is_too_large_puts_records_together
    two_releases_are_told_apart
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
