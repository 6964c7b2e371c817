//! Real clients against the real server: five of them, in each era of the protocol that they speak, by each way to sign in that
//! they offer, at each of the addresses. What they do is the table of `docs/clients.md`, which is made here, so that it says
//! what was tried and nothing else.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use reqwest::header::LOCATION;
use serde_json::{Value, json};

use crate::oauth::decides;
use crate::server::{CREATE, Era, Home, Server, binary, http, tool};

const RELEASE: &str = "backend-v1.0-GCN";
/// How long a client may take to propose something.
const PATIENCE: Duration = Duration::from_mins(1);

/// A program that connects to servers, driven by a script of `tests-tools/clients`. What a script is told and what it tells
/// is described in `story.py` there.
pub struct Program {
    pub name: &'static str,
    /// Its package, whose version the manifests of `tests-tools` pin.
    package: &'static str,
    script: &'static str,
    /// The eras that it speaks.
    pub eras: &'static [Era],
    /// Whether it offers the client credentials grant.
    machine: bool,
}

pub const INSPECTOR: Program = Program {
    name: "MCP Inspector, command line",
    package: "@modelcontextprotocol/inspector",
    script: "inspector_story.mjs",
    eras: Era::BOTH,
    machine: false,
};
pub const PYTHON: Program =
    Program { name: "Python SDK", package: "mcp", script: "python_story.py", eras: Era::BOTH, machine: true };
const FASTMCP: Program = Program {
    name: "FastMCP",
    package: "fastmcp-slim[client]",
    script: "fastmcp_story.py",
    eras: Era::BOTH,
    machine: true,
};
pub const TYPESCRIPT: Program = Program {
    name: "TypeScript SDK 2",
    package: "@modelcontextprotocol/client",
    script: "typescript_story.mjs",
    eras: Era::BOTH,
    machine: true,
};
const TYPESCRIPT_V1: Program = Program {
    name: "TypeScript SDK 1",
    package: "@modelcontextprotocol/sdk",
    script: "typescript_v1_story.mjs",
    eras: &[Era::Legacy],
    machine: true,
};

const PROGRAMS: [&Program; 5] = [&INSPECTOR, &PYTHON, &FASTMCP, &TYPESCRIPT, &TYPESCRIPT_V1];

/// How a program proves for whom it acts.
pub enum Way<'a> {
    Token(&'a str),
    /// By its own OAuth code, with a person in between.
    SignIn,
    /// Identifier and secret of a machine.
    Machine(&'a str, &'a str),
}

/// A program that runs, and answers step by step.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    who: String,
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Program {
    /// Starts it against an address of the server; what it keeps is kept in `home`.
    pub fn starts(&self, home: &Path, server: &Server, path: &str, era: Era, way: &Way<'_>) -> Running {
        let by = if self.script.ends_with(".py") { "LOOPIQ_TEST_PYTHON" } else { "LOOPIQ_TEST_NODE" };
        let mut command = Command::new(tool(by));
        command.arg(root().join("tests-tools/clients").join(self.script));
        command.args([&format!("{}{path}", server.url), era.word()]);
        command.env("LOOPIQ_TEST_NPM", tool("LOOPIQ_TEST_NPM")).env("HOME", home);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        match way {
            Way::Token(token) => command.arg("token").env("LOOPIQ_TOKEN", token),
            Way::SignIn => command.arg("oauth"),
            Way::Machine(id, secret) => command
                .arg("machine")
                .env("LOOPIQ_CLIENT_ID", id)
                .env("LOOPIQ_CLIENT_SECRET", secret)
                .env("LOOPIQ_ISSUER", &server.url),
        };
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = piped.spawn().expect("the client starts");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let who = format!("{} {} at {path}", self.name, era.word());
        Running { stdin: child.stdin.take(), child, lines, who }
    }

    /// Starts it with a token, and sees it connect.
    pub fn connects(&self, home: &Path, server: &Server, path: &str, era: Era, token: &str) -> Running {
        let mut running = self.starts(home, server, path, era, &Way::Token(token));
        running.connected(era);
        running
    }

    /// Starts it without anything; it asks a person, who lets it in to an organization.
    pub async fn is_let_in(
        &self,
        home: &Path,
        server: &Server,
        path: &str,
        era: Era,
        (person, organization): (&str, &str),
    ) -> Running {
        let mut running = self.starts(home, server, path, era, &Way::SignIn);
        let asked = running.said();
        let who = &running.who;
        assert_eq!(asked["op"], "authorize", "{who}: {asked}");
        let url = asked["url"].as_str().unwrap();
        assert!(url.starts_with(&format!("{}/authorize?", server.url)), "{who}: {url}");
        let person = server.sign_in(person).await;
        let page = person.0.get(url).send().await.unwrap();
        assert_eq!(page.status(), 200, "{who}");
        let page = page.text().await.unwrap();
        let fields = [("organization", organization), ("decision", "allow")];
        let answer = decides(server, &person, &page, &fields).await;
        let back = answer.headers()[LOCATION].to_str().unwrap().to_owned();
        running.tells(&back);
        running.connected(era);
        running
    }
}

impl Running {
    fn tells(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().expect("it still listens"), "{line}").unwrap();
    }

    fn said(&mut self) -> Value {
        let line = self.lines.next().unwrap_or_else(|| panic!("{} says something", self.who)).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}: {line}", self.who))
    }

    fn connected(&mut self, era: Era) {
        let told = self.said();
        assert!(told["op"] == "connect" && told.get("failure").is_none(), "{}: {told}", self.who);
        // The Inspector does not say which revision it speaks.
        let spoken = &told["protocolVersion"];
        assert!(spoken.is_null() || spoken == era.revision(), "{}: {told}", self.who);
    }

    /// Makes one step; the answer.
    pub fn step(&mut self, step: Value) -> Value {
        self.tells(&step.to_string());
        let answer = self.said();
        assert!(answer["op"] == step["op"] && answer.get("failure").is_none(), "{}: {answer}", self.who);
        answer
    }

    pub fn tools(&mut self) -> Vec<String> {
        let listed = self.step(json!({ "op": "list_tools" }));
        let tools = listed["tools"].as_array().unwrap_or_else(|| panic!("{}: {listed}", self.who));
        tools.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// Calls a tool that must not refuse; the structured content.
    pub fn call(&mut self, name: &str, arguments: Value) -> Value {
        let answer = self.step(json!({ "op": "call", "name": name, "arguments": arguments }));
        assert_eq!(answer["isError"], false, "{} {name}: {answer}", self.who);
        assert!(!answer["content"].as_array().unwrap().is_empty(), "{} {name}: {answer}", self.who);
        answer["structuredContent"].clone()
    }

    fn organization(&mut self) -> Value {
        self.call("loopiq_get_context", json!({}))["context"]["organization"]["slug"].clone()
    }

    pub fn ends(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success(), "{}", self.who);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a client does in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    List,
    Call,
    Refused,
    Write,
    SignIn,
    Machine,
    Readonly,
    Organization,
    Resource,
    Prompt,
}

/// In the order of the table, with the heading.
const STEPS: [(Step, &str); 10] = [
    (Step::List, "list of tools"),
    (Step::Call, "call"),
    (Step::Refused, "refused call"),
    (Step::Write, "governed write"),
    (Step::SignIn, "a person signs in"),
    (Step::Machine, "client credentials"),
    (Step::Readonly, "`/mcp/readonly`"),
    (Step::Organization, "`/t/{slug}/mcp`"),
    (Step::Resource, "resource"),
    (Step::Prompt, "prompt"),
];

impl Step {
    /// Whether the story takes it, and why not.
    fn taken_by(self, program: &Program) -> Result<(), &'static str> {
        match self {
            Step::Machine if !program.machine => Err("not offered by the client"),
            _ => Ok(()),
        }
    }
}

/// A world, and where programs keep what they keep.
struct Place {
    server: Server,
    home: Home,
    machine: (String, String),
}

impl Place {
    fn new() -> Place {
        let home = Home::embedded();
        let server = Server::demo(&home);
        let machine = machine(&home, "propose_only", &["releases:read", "teams:read"]);
        Place { server, home, machine }
    }

    /// Where one run of a program keeps what it keeps.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }
}

/// Makes an agent and a machine that acts as it for grace; its identifier and secret.
pub fn machine(home: &Home, policy: &str, permissions: &[&str]) -> (String, String) {
    let mut agent = vec!["agent", "register", "Nightly", "--mutation-policy", policy];
    agent.extend(["--org", "acme", "--email", "ada@acme.example", "--reason", "a test"]);
    agent.extend(["--permission", "mcp:access"]);
    agent.extend(permissions.iter().flat_map(|permission| ["--permission", permission]));
    assert_eq!(home.administer(&agent)[0]["status"], "executed");
    let made = ["client", "create", "Nightly job", "--agent", "Nightly", "--org", "acme", "--email"];
    let made = home.administer(&[&made[..], &["grace@acme.example"]].concat());
    let text = |name: &str| made[0][name].as_str().unwrap().to_owned();
    (text("clientId"), text("clientSecret"))
}

async fn takes_every_step(program: &Program) {
    let place = Place::new();
    for era in program.eras {
        asks_and_writes(&place, program, *era).await;
        signs_in(&place, program, *era).await;
        uses_every_address(&place, program, *era);
    }
}

async fn asks_and_writes(place: &Place, program: &Program, era: Era) {
    let Place { server, .. } = place;
    let grace = server.token("grace", "acme");
    let home = place.folder(&format!("token-{}", era.word()));
    let mut client = program.connects(&home, server, "/mcp", era, &grace);
    let who = client.who.clone();
    assert!(client.tools().contains(&CREATE.to_owned()), "{who}");
    the_four_questions(&mut client);

    let asked = json!({ "op": "call", "name": "loopiq_get_release", "arguments": { "release": "no-such" } });
    let refused = client.step(asked);
    let error = &refused["structuredContent"]["error"];
    assert!(refused["isError"] == true && error["code"] == "not_found", "{who}: {refused}");
    assert!(!error["remedy"].as_str().unwrap().is_empty(), "{who}: {refused}");
    let unknown = client.step(json!({ "op": "call", "name": "no_such_tool" }));
    assert!(unknown["error"].is_object(), "{who}: {unknown}");

    let mut package = server.package(&http(), &grace, &format!("By {} {}", program.name, era.word())).await;
    package["dryRun"] = json!(true);
    assert_eq!(client.call(CREATE, package.clone())["status"], "preview", "{who}");
    package["dryRun"] = json!(false);
    package["idempotencyKey"] = json!(format!("{}-{}", program.script, era.word()));
    // The person does not wait for the client: one that knows tasks waits for the person.
    client.tells(&json!({ "op": "call", "name": CREATE, "arguments": package }).to_string());
    let action = proposed(server, &grace, &package["idempotencyKey"]).await;
    let action = action.as_str();
    let session = server.sign_in("grace").await;
    let (status, done) = server.decide(&session, action, "approve").await.unwrap();
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{who}: {done}");
    let answer = client.said();
    let pending = &answer["structuredContent"];
    assert_eq!(pending["action"]["id"], action, "{who}: {answer}");
    assert!(
        ["pending_approval", "executed"].map(Value::from).contains(&pending["status"]),
        "{who}: {answer}"
    );
    let told = client.call("loopiq_get_action", json!({ "actionId": action }));
    assert_eq!(told["action"]["status"], "executed", "{who}: {told}");
    let outcome = client.call(CREATE, package);
    let stands = (&outcome["status"], &outcome["replayed"], &outcome["action"]["id"]);
    assert_eq!(stands, (&json!("executed"), &json!(true), &json!(action)), "{who}: {outcome}");

    let listed = client.step(json!({ "op": "list_resources" }));
    assert!(!listed["resources"].as_array().unwrap().is_empty(), "{who}: {listed}");
    let read = client.step(json!({ "op": "read_resource" }));
    assert!(!read["contents"].as_array().unwrap().is_empty(), "{who}: {read}");
    let listed = client.step(json!({ "op": "list_prompts" }));
    assert!(!listed["prompts"].as_array().unwrap().is_empty(), "{who}: {listed}");
    let got = client.step(json!({ "op": "get_prompt", "value": RELEASE }));
    assert!(!got["messages"].as_array().unwrap().is_empty(), "{who}: {got}");
    client.ends();
}

/// The action of a key, as soon as it has been proposed.
async fn proposed(server: &Server, token: &str, key: &Value) -> String {
    let http = http();
    let asked = json!({ "idempotencyKey": key });
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            let (absent, told) = server.call(&http, token, "loopiq_get_action", asked.clone()).await;
            if !absent {
                return told["action"]["id"].as_str().unwrap().to_owned();
            }
        }
    });
    found.await.expect("the client proposes")
}

/// What somebody asks in the first five minutes.
fn the_four_questions(client: &mut Running) {
    let who = client.who.clone();
    assert_eq!(client.organization(), "acme", "{who}");
    let items = |answer: Value, member: &str| -> Vec<String> {
        let items = answer["items"].as_array().unwrap().iter();
        items.map(|item| item.pointer(member).unwrap().as_str().unwrap().to_owned()).collect()
    };
    let found = client.call("loopiq_list_release_certifications", json!({}));
    assert_eq!(items(found, "/readiness/verdict"), ["ready", "not_ready"], "{who}");
    let found = client.call("loopiq_list_releases", json!({}));
    assert_eq!(items(found, "/name"), ["backend-v1.1-GCN", RELEASE], "{who}");
    let reasons = items(client.call("loopiq_list_evidence_gaps", json!({ "release": RELEASE })), "/reason");
    for reason in ["missing", "stale", "failed"] {
        assert!(reasons.iter().any(|found| found == reason), "{who}: {reasons:?}");
    }
}

async fn signs_in(place: &Place, program: &Program, era: Era) {
    let home = place.folder(&format!("sign-in-{}", era.word()));
    let mut client = program.is_let_in(&home, &place.server, "/mcp", era, ("dana", "globex")).await;
    assert_eq!(client.organization(), "globex", "{}", client.who);
    client.ends();
    if Step::Machine.taken_by(program).is_ok() {
        let (id, secret) = &place.machine;
        let mut client = program.starts(&home, &place.server, "/mcp", era, &Way::Machine(id, secret));
        client.connected(era);
        let context = client.call("loopiq_get_context", json!({}));
        assert_eq!(context["agent"]["name"], "Nightly", "{}", client.who);
        client.ends();
    }
}

fn uses_every_address(place: &Place, program: &Program, era: Era) {
    let Place { server, .. } = place;
    let home = place.folder(&format!("address-{}", era.word()));
    let grace = server.token("grace", "acme");
    let mut client = program.connects(&home, server, "/mcp/readonly", era, &grace);
    let tools = client.tools();
    assert!(tools.contains(&"loopiq_get_release".to_owned()) && !tools.contains(&CREATE.to_owned()));
    let refused = client.step(json!({ "op": "call", "name": CREATE }));
    assert!(refused["error"].is_object(), "{}: {refused}", client.who);
    client.ends();
    let mut client = program.connects(&home, server, "/t/globex/mcp", era, &server.token("dana", "globex"));
    assert!(!client.tools().is_empty());
    assert_eq!(client.organization(), "globex", "{}", client.who);
    client.ends();
}

#[tokio::test]
async fn the_inspector_takes_every_step() {
    takes_every_step(&INSPECTOR).await;
}

#[tokio::test]
async fn the_python_sdk_takes_every_step() {
    takes_every_step(&PYTHON).await;
}

#[tokio::test]
async fn fastmcp_takes_every_step() {
    takes_every_step(&FASTMCP).await;
}

#[tokio::test]
async fn the_typescript_sdk_takes_every_step() {
    takes_every_step(&TYPESCRIPT).await;
}

#[tokio::test]
async fn the_typescript_sdk_of_before_takes_every_step() {
    takes_every_step(&TYPESCRIPT_V1).await;
}

#[test]
fn whoever_may_not_use_mcp_connects_and_is_told_of_nothing() {
    let place = Place::new();
    let vic = place.server.token("vic", "acme");
    for program in [&PYTHON, &TYPESCRIPT] {
        let home = place.folder("vic");
        let mut client = program.connects(&home, &place.server, "/mcp", Era::Modern, &vic);
        assert_eq!(client.tools(), [""; 0], "{}", client.who);
        client.ends();
    }
}

/// The version that a manifest of `tests-tools` pins.
pub fn pinned(package: &str) -> String {
    let file = |path: &str| std::fs::read_to_string(root().join("tests-tools").join(path)).unwrap();
    let python = file("python/requirements.in");
    let found = python.lines().find_map(|line| line.strip_prefix(package)?.strip_prefix("=="));
    if let Some(version) = found {
        return version.to_owned();
    }
    let npm: Value = serde_json::from_str(&file("npm/package.json")).unwrap();
    npm["dependencies"][package].as_str().unwrap_or_else(|| panic!("{package} is pinned")).to_owned()
}

/// The table of clients and steps.
fn table() -> String {
    let headings: Vec<&str> = STEPS.iter().map(|(_, heading)| *heading).collect();
    let mut table = format!("| client | revision | {} |\n", headings.join(" | "));
    table.push_str(&format!("|---|---|{}\n", "---|".repeat(STEPS.len())));
    for program in PROGRAMS {
        for era in program.eras {
            let cells = STEPS.map(|(step, _)| step.taken_by(program).map_or_else(|why| why, |()| "works"));
            let (package, version) = (program.package, pinned(program.package));
            let (name, revision) = (program.name, era.revision());
            table.push_str(&format!(
                "| {name} (`{package}` {version}) | {revision} | {} |\n",
                cells.join(" | ")
            ));
        }
    }
    table
}

/// Where what is made here stands in a document.
const BEGINS: &str = "<!-- made by the tests: UPDATE_GOLDEN=1 -->\n";
const ENDS: &str = "<!-- end -->\n";

/// Checks the part of a document that is made here.
fn check_part(document: &str, part: &str) {
    let path = root().join("docs").join(document);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGINS).expect("where it begins");
    let (_, after) = rest.split_once(ENDS).expect("where it ends");
    testkit::golden::check_file(path, &format!("{before}{BEGINS}\n{part}\n{ENDS}{after}"));
}

#[test]
fn the_document_of_clients_says_what_is_tried_here() {
    check_part("clients.md", &table());
}

/// What `loopiq client-config` prints for a client, as a document shows it; nothing where it refuses.
fn configured(client: &str, more: &[&str]) -> Option<String> {
    let mut command = Command::new(binary());
    command.args(["client-config", "--json", "--client", client, "--url", "https://loopiq.example.com"]);
    let printed = command.args(more).output().unwrap();
    if !printed.status.success() {
        return None;
    }
    let found: Value = serde_json::from_slice(&printed.stdout).unwrap();
    let (place, snippet) = (found["place"].as_str().unwrap(), found["snippet"].as_str().unwrap());
    // What is to be replaced looks like markup otherwise.
    let place = place.replace("<token>", "`<token>`");
    Some(format!("{place}:\n\n```\n{snippet}\n```\n"))
}

#[test]
fn the_document_on_connecting_says_what_the_command_prints() {
    let mut part = String::new();
    for (client, name) in [
        ("claude-code", "Claude Code"),
        ("claude-desktop", "Claude (desktop and web)"),
        ("cursor", "Cursor"),
        ("vscode", "VS Code"),
        ("chatgpt", "ChatGPT"),
        ("generic", "Any other client"),
    ] {
        let signing_in = configured(client, &[]).expect("everybody can sign in");
        part.push_str(&format!("### {name}\n\nTo sign in: {signing_in}\n"));
        if let Some(with_token) = configured(client, &["--with-token"]) {
            part.push_str(&format!("With a token: {with_token}\n"));
        }
    }
    check_part("connect.md", part.trim_end_matches('\n'));
}
