//! Every page of the console, asked over HTTP: what each role sees on it and is offered there, and how much it weighs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use reqwest::Client;
use serde_json::{Value, json};

use crate::server::{CREATE, Home, Server, http, on_both_engines};

on_both_engines! {
    every_role_sees_on_every_page_what_is_written_down
    several_actions_are_rejected_for_one_reason_and_none_is_approved
    what_is_explained_is_what_happens
    a_draft_of_policies_is_tried_on_tests_and_on_the_past
    the_log_is_exported_as_it_is_filtered
}

/// What a page may make a browser load, in bytes as they are sent.
const PAGE_BYTES_MAX: usize = 200_000;

/// Bytes of all that every page shares: style, scripts, icons.
const SHARED_BYTES_MAX: usize = 60_000;

/// One page of the console in a demo world: as it is written down, and with real records in it.
pub struct Place {
    pub route: String,
    pub path: String,
}

/// Every page there is to look at, with an executed action, one that waits, and what the first has made.
pub async fn places(server: &Server) -> Vec<Place> {
    let http = http();
    let (grace, linus) = (server.token("grace", "acme"), server.token("linus", "acme"));
    let package = async |token: &str, title: &str| {
        let package = server.package(&http, token, title).await;
        let (error, proposed) = server.call(&http, token, CREATE, package).await;
        assert!(!error, "{proposed}");
        proposed
    };
    let executed = package(&linus, "Close the gap").await;
    let action = executed["action"]["id"].as_str().unwrap().to_owned();
    let (_, done) = server.decide(&server.sign_in("grace").await, &action, "approve").await.unwrap();
    let made = |kind: &str| {
        let made = done["created"].as_array().unwrap().iter().find(|record| record["type"] == kind);
        made.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let mut wanted = server.package(&http, &linus, "Look at the rest").await;
    wanted["allowDuplicate"] = json!(true);
    let (error, waiting) = server.call(&http, &linus, CREATE, wanted).await;
    assert!(!error, "{waiting}");
    let card = &executed["approval"]["card"];
    let release = card["release"]["id"].as_str().unwrap();
    let evidence = json!({ "release": release, "limit": 100 });
    let (_, evidence) = server.call(&http, &grace, "loopiq_list_evidence", evidence).await;
    // By title, because ids are in no order that lasts.
    let first = async |tool: &str| {
        let (_, found) = server.call(&http, &grace, tool, json!({ "release": release, "limit": 100 })).await;
        let mut items = found["items"].as_array().unwrap().clone();
        items.sort_by_key(|item| item["title"].as_str().unwrap().to_owned());
        items[0]["id"].as_str().unwrap().to_owned()
    };
    let records = [
        ("{release}", release.to_owned()),
        ("{certification}", card["certification"]["id"].as_str().unwrap().to_owned()),
        (
            "{evidence}",
            evidence["items"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned(),
        ),
        ("{gap}", first("loopiq_list_evidence_gaps").await),
        ("{blocker}", first("loopiq_list_provider_blockers").await),
        ("{workItem}", made("work_item")),
        ("{package}", made("remediation_work_package")),
        ("{executed}", action),
        ("{waiting}", waiting["action"]["id"].as_str().unwrap().to_owned()),
    ];
    let routes = [
        "/app",
        "/app/releases",
        "/app/releases?status=in_validation",
        "/app/releases/{release}",
        "/app/releases/{release}/difference",
        "/app/releases/backend-v1.1-GCN/difference",
        "/app/certifications/{certification}",
        "/app/certifications/{certification}/graph",
        "/app/evidence/{evidence}",
        "/app/gaps/{gap}",
        "/app/blockers/{blocker}",
        "/app/work-items",
        "/app/work-items/{workItem}",
        "/app/packages/{package}",
        "/app/approvals",
        "/app/approvals?state=all",
        "/app/actions/{executed}",
        "/app/actions/{waiting}",
        "/app/search",
        "/app/search?q=release",
        "/app/assistant",
        "/app/connect",
        "/app/passkeys",
        "/app/sessions",
        "/app/administration",
        "/app/settings",
        "/app/members",
        "/app/teams",
        "/app/access",
        "/app/access?member=linus%40acme.example",
        "/app/access?role=viewer&by=client",
        "/app/access?tool=loopiq_decide_certification",
        "/app/agents",
        "/app/tokens",
        "/app/webhooks",
        "/app/identity-providers",
        "/app/model",
        "/app/policies",
        "/app/policies/0",
        "/app/audit",
        "/app/audit/3",
        "/app/audit?since=2",
        "/app/do/loopiq_create_release",
        "/app/do/loopiq_change_access",
        "/app/do/loopiq_register_agent",
        "/app/do/loopiq_publish_policies?replaces=0&restores=0",
        "/app/no-such-page",
    ];
    let filled =
        |route: &str| records.iter().fold(route.to_owned(), |path, (name, id)| path.replace(name, id));
    routes.iter().map(|route| Place { route: (*route).to_owned(), path: filled(route) }).collect()
}

/// Everybody there is: the people of the demo, and one more for each role that none of them holds.
async fn everybody(home: &Home, server: &Server) -> Vec<(&'static str, Client)> {
    let mut people = Vec::new();
    for (title, name) in [
        ("organization_admin", "ada"),
        ("compliance_reviewer", "rita"),
        ("release_manager in backend", "grace"),
        ("team_lead in backend", "linus"),
        ("viewer", "vic"),
    ] {
        people.push((title, server.sign_in(name).await.0));
    }
    for (title, role) in [
        ("governance_lead", "governance_lead"),
        ("delivery_manager", "delivery_manager"),
        ("contributor in backend", "contributor@backend"),
        ("team_admin in backend", "team_admin@backend"),
    ] {
        let email = format!("{}@acme.example", role.replace('@', "-"));
        let person = [
            "user",
            "create",
            "--org",
            "acme",
            "--name",
            "Somebody",
            "--email",
            &email,
            "--role",
            role,
            "--permission",
            "teams:read",
        ];
        let made = home.administer(&person);
        people.push((title, server.enter(&email, made[0]["password"].as_str().unwrap()).await.unwrap().0));
    }
    people.push(("stranger", server.sign_in("max").await.0));
    people
}

/// The text between two tags, without what is inside other tags and without counts.
fn inner(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tagged)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, after) = tagged.split_once('>').unwrap();
        // What counts or draws is no part of a name.
        let (skipped, end) = match tag {
            tag if tag.starts_with("span class=\"count") => (true, "</span>"),
            tag if tag.starts_with("svg") => (true, "</svg>"),
            _ => (false, ""),
        };
        rest = if skipped { after.split_once(end).unwrap().1 } else { after };
    }
    text.push_str(rest);
    let text = text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every element of a kind: its opening tag and its text.
fn elements(page: &str, name: &str) -> Vec<(String, String)> {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((_, opened)) = rest.split_once(&open) {
        rest = opened;
        if !rest.starts_with([' ', '>']) {
            continue;
        }
        let (tag, after) = rest.split_once('>').unwrap();
        let (content, after) = after.split_once(&close).unwrap();
        found.push((tag.to_owned(), inner(content)));
        rest = after;
    }
    found
}

/// What is visible on a page and what is offered there: headings, buttons, forms of commands.
fn visible(page: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let main = page.split_once("<main").unwrap().1;
    let main = main.split_once("</main>").unwrap().0;
    for heading in ["h1", "h2"] {
        // Whoever is greeted, it is the same heading.
        let titles = elements(main, heading).into_iter().map(|(_, title)| title);
        seen.extend(titles.map(|title| {
            let title = if title.starts_with("Hello ") { "Hello" } else { &title };
            format!("{heading}: {title}")
        }));
    }
    seen.extend(elements(main, "button").into_iter().map(|(_, words)| format!("button: {words}")));
    for (tag, words) in elements(page, "a") {
        let to = tag.split_once("href=\"").and_then(|(_, to)| to.split('"').next()).unwrap_or_default();
        if let Some(command) = to.strip_prefix("/app/do/") {
            seen.insert(format!("command: {}", command.split('?').next().unwrap()));
        } else if tag.contains("class=\"button") {
            seen.insert(format!("link: {words}"));
        }
    }
    seen
}

async fn every_role_sees_on_every_page_what_is_written_down(home: Home) {
    let server = Server::demo(&home);
    let places = places(&server).await;
    let people = everybody(&home, &server).await;
    let mut table = String::new();
    for place in &places {
        let mut statuses: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
        let mut seen: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (title, session) in &people {
            let answer = session.get(format!("{}{}", server.url, place.path)).send().await.unwrap();
            let status = answer.status().as_u16();
            assert!(status != 500, "{title}: {}", place.route);
            statuses.entry(status).or_default().push(title);
            if status == 200 {
                for thing in visible(&answer.text().await.unwrap()) {
                    seen.entry(thing).or_default().push(title);
                }
            }
        }
        writeln!(table, "{}", place.route).unwrap();
        for (status, who) in &statuses {
            writeln!(table, "  {status}: {}", who.join(", ")).unwrap();
        }
        let all = statuses.get(&200).map_or(0, Vec::len);
        for (thing, who) in seen {
            let who =
                if who.len() == all { "everybody who sees the page".to_owned() } else { who.join(", ") };
            writeln!(table, "    {thing} -- {who}").unwrap();
        }
    }
    testkit::golden::check(env!("CARGO_MANIFEST_DIR"), "pages-and-roles.txt", &table);
}

/// Bytes of an address as they are sent.
async fn weight(session: &Client, url: &str) -> usize {
    let asked = session.get(url).header("Accept", "text/html").header("Accept-Encoding", "gzip, br, zstd");
    let answer = asked.send().await.unwrap();
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    answer.bytes().await.unwrap().len()
}

#[tokio::test]
async fn no_page_weighs_more_than_it_may() {
    let home = Home::embedded();
    let server = Server::demo(&home);
    let ada = server.sign_in("ada").await.0;
    let places = places(&server).await;
    let page = ada.get(format!("{}/app", server.url)).send().await.unwrap().text().await.unwrap();
    let linked: BTreeSet<&str> =
        page.split("\"/assets/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(linked.len() >= 6, "{linked:?}");
    let mut shared = 0;
    for name in &linked {
        shared += weight(&ada, &format!("{}/assets/{name}", server.url)).await;
    }
    assert!(shared <= SHARED_BYTES_MAX, "what all pages share has {shared} bytes");
    for place in places.iter().filter(|place| place.route != "/app/no-such-page") {
        let bytes = shared + weight(&ada, &format!("{}{}", server.url, place.path)).await;
        assert!(bytes <= PAGE_BYTES_MAX, "{} makes a browser load {bytes} bytes", place.route);
    }
}

/// Sends a form as a browser does.
async fn sent(
    server: &Server,
    session: &(Client, String),
    path: &str,
    fields: &[(&str, &str)],
) -> (u16, String) {
    let mut form = vec![("csrf", session.1.as_str())];
    form.extend(fields);
    let percent = |text: &str| text.bytes().fold(String::new(), |all, byte| format!("{all}%{byte:02X}"));
    let body =
        form.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect::<Vec<_>>().join("&");
    let asked = session.0.post(format!("{}{path}", server.url)).body(body);
    let answer = asked.header("Content-Type", "application/x-www-form-urlencoded").send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn page(server: &Server, session: &(Client, String), path: &str) -> (u16, String) {
    let answer = session.0.get(format!("{}{path}", server.url)).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn several_actions_are_rejected_for_one_reason_and_none_is_approved(home: Home) {
    let server = Server::demo(&home);
    let (http, linus) = (http(), server.token("linus", "acme"));
    let mut proposed = Vec::new();
    for title in ["One", "Two", "Three", "Four"] {
        let mut package = server.package(&http, &linus, title).await;
        package["allowDuplicate"] = json!(true);
        let (error, answer) = server.call(&http, &linus, CREATE, package).await;
        assert!(!error, "{answer}");
        proposed.push(answer["action"]["id"].as_str().unwrap().to_owned());
    }
    let [one, two, three, four] = proposed.as_slice() else { unreachable!() };
    let state = async |id: &str| {
        let (_, found) = server.call(&http, &linus, "loopiq_get_action", json!({ "actionId": id })).await;
        (found["action"]["status"].as_str().unwrap().to_owned(), found["action"]["rejectionReason"].clone())
    };
    let (grace, vic, max) =
        (server.sign_in("grace").await, server.sign_in("vic").await, server.sign_in("max").await);
    let path = "/app/approvals/reject";
    let (_, inbox) = page(&server, &grace, "/app/approvals").await;
    assert!(inbox.contains("Reject chosen") && !inbox.contains("Approve"), "{inbox}");
    let (_, inbox) = page(&server, &vic, "/app/approvals").await;
    assert!(!inbox.contains("Reject chosen") && !inbox.contains("name=\"action\""), "{inbox}");

    // Without a reason, or with nothing chosen, nothing is done and nothing is lost.
    let (status, again) = sent(&server, &grace, path, &[("action", one), ("reason", "  ")]).await;
    assert_eq!(status, 422);
    assert!(again.contains("Nothing was rejected") && again.contains("checked"), "{again}");
    let (status, again) = sent(&server, &grace, path, &[("reason", "Not now")]).await;
    assert!(status == 422 && again.contains("value=\"Not now\""), "{again}");
    assert_eq!(state(one).await.0, "pending_approval");

    // One of them has been decided meanwhile; the others are rejected, each with its own record.
    server.decide(&grace, three, "approve").await.unwrap();
    let wanted =
        [("action", one.as_str()), ("action", two), ("action", three), ("reason", "Split them by team")];
    let (status, results) = sent(&server, &grace, path, &wanted).await;
    assert_eq!(status, 200);
    assert!(results.contains("2 of 3 rejected") && results.contains("not rejected"), "{results}");
    for id in [one, two] {
        assert_eq!(state(id).await, ("rejected".to_owned(), json!("Split them by team")));
    }
    assert_eq!(state(three).await.0, "executed");
    assert_eq!(state(four).await.0, "pending_approval", "what was not chosen waits");

    // Whoever may not decide, or belongs elsewhere, rejects nothing; and nothing here approves.
    for person in [&vic, &max] {
        let (status, answer) = sent(&server, person, path, &[("action", four), ("reason", "No")]).await;
        assert!(status == 200 && answer.contains("0 of 1 rejected"), "{answer}");
    }
    let forged = (grace.0.clone(), "forged".to_owned());
    assert_eq!(sent(&server, &forged, path, &[("action", four), ("reason", "No")]).await.0, 403);
    assert_eq!(sent(&server, &grace, "/app/approvals/approve", &[("action", four)]).await.0, 405);
    assert_eq!(state(four).await.0, "pending_approval");
}

async fn explained(server: &Server, session: &(Client, String), query: &str) -> Vec<Value> {
    let address = format!("{}/api/v1/access?{query}", server.url);
    let answer: Value = session.0.get(address).send().await.unwrap().json().await.unwrap();
    answer["items"].as_array().unwrap_or_else(|| panic!("{query}: {answer}")).clone()
}

async fn what_is_explained_is_what_happens(home: Home) {
    let server = Server::demo(&home);
    let (ada, grace) = (server.sign_in("ada").await, server.sign_in("grace").await);
    for name in ["ada", "grace", "linus", "rita", "vic"] {
        let token = server.token(name, "acme");
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
        let asked = http().post(format!("{}/mcp", server.url)).bearer_auth(&token).json(&request);
        let asked = asked.header("Accept", "application/json, text/event-stream");
        let answer: Value = asked.send().await.unwrap().json().await.unwrap();
        let listed = answer["result"]["tools"].as_array().unwrap().iter();
        let listed: BTreeSet<&str> = listed.map(|tool| tool["name"].as_str().unwrap()).collect();
        let items = explained(&server, &ada, &format!("member={name}%40acme.example&by=client")).await;
        let allowed = items.iter().filter(|item| item["allowed"] == true);
        assert_eq!(
            allowed.map(|item| item["tool"].as_str().unwrap()).collect::<BTreeSet<_>>(),
            listed,
            "{name}"
        );
    }
    let of = |items: &[Value], name: &str, value: &str| {
        items.iter().find(|item| item[name] == value).unwrap_or_else(|| panic!("{value}: {items:?}")).clone()
    };
    // A team's release manager may there, is told by which policy, and whose approval a write needs.
    let items = explained(&server, &ada, "member=grace%40acme.example").await;
    let create = of(&items, "tool", CREATE);
    assert_eq!((&create["allowed"], &create["onlyTeams"]), (&json!(true), &json!(["backend"])), "{create}");
    assert_eq!(create["policies"], json!(["permission-held"]));
    assert_eq!(create["approvalPolicies"], json!(["ordinary-write"]));
    let approvers = create["approvers"].as_array().unwrap();
    assert!(
        approvers.contains(&json!("ada@acme.example")) && !approvers.contains(&json!("vic@acme.example"))
    );
    // Everybody, for one tool: what a program is kept from by a policy.
    let decide = explained(&server, &ada, "tool=loopiq_decide_certification").await;
    assert_eq!(of(&decide, "email", "rita@acme.example")["allowed"], true);
    assert_eq!(of(&decide, "email", "vic@acme.example")["allowed"], false);
    let program = explained(&server, &ada, "tool=loopiq_decide_certification&by=client").await;
    let rita = of(&program, "email", "rita@acme.example");
    assert_eq!((&rita["allowed"], &rita["offered"]), (&json!(false), &json!(false)), "{rita}");
    let program = explained(&server, &ada, "tool=loopiq_get_release&by=client").await;
    let vic = of(&program, "email", "vic@acme.example");
    assert_eq!((&vic["allowed"], &vic["policies"]), (&json!(false), &json!(["mcp-access"])), "{vic}");
    // A role alone, in the organization and in one team.
    let viewer = explained(&server, &ada, "role=viewer").await;
    assert_eq!(of(&viewer, "tool", CREATE)["allowed"], false);
    let lead = explained(&server, &ada, "role=team_lead&team=backend").await;
    assert_eq!(of(&lead, "tool", CREATE)["allowed"], true);
    // Only who manages people asks, and of their own organization.
    assert_eq!(page(&server, &grace, "/api/v1/access?role=viewer").await.0, 403);
    for wrong in
        ["", "?member=max%40globex.example", "?tool=loopiq_fly", "?role=viewer&member=ada%40acme.example"]
    {
        let status = page(&server, &ada, &format!("/api/v1/access{wrong}")).await.0;
        assert!(matches!(status, 404 | 422), "{wrong}: {status}");
    }
    let (status, shown) = page(&server, &ada, "/app/access?member=grace%40acme.example&answer=allowed").await;
    assert!(
        status == 200 && shown.contains("only in backend") && shown.contains("permission-held"),
        "{shown}"
    );
    let (status, shown) = page(&server, &ada, "/app/access?member=nobody%40acme.example").await;
    assert!(status == 200 && shown.contains("That cannot be asked"), "{shown}");
}

async fn a_draft_of_policies_is_tried_on_tests_and_on_the_past(home: Home) {
    let server = Server::demo(&home);
    let (ada, grace) = (server.sign_in("ada").await, server.sign_in("grace").await);
    let linus = server.token("linus", "acme");
    let package = server.package(&http(), &linus, "Close the gap").await;
    server.call(&http(), &linus, CREATE, package).await;
    let shown = home.administer(&["policy", "show", "--org", "acme", "--version", "0"]);
    let text = shown[0]["text"].as_str().unwrap();
    let tests =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/default.tests.toml"));
    let tests = tests.unwrap();
    let path = "/app/policies/draft";
    let fields =
        [("text", text), ("tests", &tests), ("replaces", "0"), ("days", "7"), ("reason", "Only looking")];
    let (status, same) = sent(&server, &ada, path, &fields).await;
    assert_eq!(status, 200);
    for words in ["The text is valid", "All passed", "Nothing", ">Only looking</textarea>"] {
        assert!(same.contains(words), "{words}: {same}");
    }
    let strict = text.replace(
        "@id(\"ordinary-write\")\n@approval(\"confirm\")",
        "@id(\"ordinary-write\")\n@approval(\"quorum\")\n@minimum(\"2\")",
    );
    let fields = [("text", strict.as_str()), ("tests", &tests), ("replaces", "0"), ("days", "7")];
    let (_, other) = sent(&server, &ada, path, &fields).await;
    for words in ["The text is valid", " failed", "What it would have decided otherwise", "Would be"] {
        assert!(other.contains(words), "{words}: {other}");
    }
    assert!(other.contains("linus@acme.example"), "the action that waits would need two people: {other}");
    let fields = [("text", "permit (principal"), ("tests", "x = "), ("replaces", "0")];
    let (_, wrong) = sent(&server, &ada, path, &fields).await;
    assert!(
        wrong.contains("It cannot be published like this") && wrong.contains(">permit (principal</textarea>")
    );
    let (_, mistaken) = sent(&server, &ada, path, &[("text", text), ("tests", "x = ")]).await;
    assert!(mistaken.contains("The tests cannot be read"), "{mistaken}");
    // The same over HTTP.
    let trial = async |name: &str, body: Value| {
        let url = format!("{}/api/v1/policies/draft", server.url);
        let asked = http().post(url).bearer_auth(server.token(name, "acme")).json(&body);
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, tried) = trial("ada", json!({ "text": strict, "tests": tests, "days": 7 })).await;
    assert_eq!(status, 200, "{tried}");
    assert!(tried["rules"].as_u64() > Some(0) && tried["problems"] == json!([]), "{tried}");
    let failures = |outcome: &Value| outcome["failures"].as_array().unwrap().len();
    assert!(tried["outcomes"].as_array().unwrap().iter().any(|outcome| failures(outcome) > 0), "{tried}");
    assert_eq!(tried["past"]["differences"][0]["person"], "linus@acme.example", "{tried}");
    assert_eq!(trial("ada", json!({ "text": text, "days": 367 })).await.0, 422);
    assert_eq!(trial("grace", json!({ "text": text })).await.0, 403);
    // Trying is for whoever may publish, and publishes nothing.
    assert_eq!(sent(&server, &grace, path, &fields).await.0, 403);
    let (_, current) = page(&server, &ada, "/app/policies").await;
    assert!(current.contains("Policies: the program&#39;s default") || current.contains("program's default"));
}

async fn the_log_is_exported_as_it_is_filtered(home: Home) {
    let server = Server::demo(&home);
    let (rita, grace) = (server.sign_in("rita").await, server.sign_in("grace").await);
    let (status, lines) = page(&server, &rita, "/app/audit/export?kind=administered").await;
    assert_eq!(status, 200);
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (_, listed) = page(&server, &rita, "/api/v1/audit?kind=administered&limit=1").await;
    let total = serde_json::from_str::<Value>(&listed).unwrap()["total"].as_u64().unwrap();
    assert_eq!(records.len() as u64, total);
    assert!(records.iter().all(|record| record["kind"] == "administered" && record["leafHash"].is_string()));
    let (_, none) = page(&server, &rita, "/app/audit/export?from=2999-01-01").await;
    assert_eq!(none, "");
    assert_eq!(page(&server, &grace, "/app/audit/export").await.0, 403);
    let (_, shown) = page(&server, &rita, "/app/audit?kind=denied").await;
    assert!(!shown.contains("/app/audit/export") || shown.contains("export?kind=denied"), "{shown}");
}
