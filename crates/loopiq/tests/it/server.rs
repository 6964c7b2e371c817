//! A served demo world, and the little a test needs to talk to it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use domain::time::Timestamp;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::postgres::{APP, Database, OWNER};

/// An era of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28, stateless.
    Modern,
    /// A handshake first.
    Legacy,
}

impl Era {
    pub const BOTH: &'static [Era] = &[Era::Modern, Era::Legacy];

    /// As scripts are told.
    pub const fn word(self) -> &'static str {
        match self {
            Era::Modern => "modern",
            Era::Legacy => "legacy",
        }
    }

    /// The revision that is spoken, where one is chosen.
    pub const fn revision(self) -> &'static str {
        match self {
            Era::Modern => "2026-07-28",
            Era::Legacy => "2025-11-25",
        }
    }
}

/// A running server. Killed when dropped.
pub struct Server {
    child: Child,
    pub url: String,
    people: Value,
}

/// A folder, and for several nodes a database, in which a world outlives its servers.
pub struct Home {
    pub folder: TempDir,
    pub database: Option<Database>,
    /// Hosts and ports, when they are not those of the test server.
    hosts: Option<String>,
    /// Further settings of every process of this home, as variables.
    pub settings: Vec<(&'static str, String)>,
}

impl Home {
    pub fn embedded() -> Home {
        Home { folder: tempfile::tempdir().unwrap(), database: None, hosts: None, settings: Vec::new() }
    }

    /// A database of its own, brought up to date by `loopiq migrate`.
    pub async fn postgres() -> Home {
        Home::of(Database::fresh().await, None)
    }

    /// A database that is found at one of several hosts.
    pub fn on(database: Database, hosts: &str) -> Home {
        Home::of(database, Some(hosts.to_owned()))
    }

    fn of(database: Database, hosts: Option<String>) -> Home {
        let home = Home {
            folder: tempfile::tempdir().unwrap(),
            database: Some(database),
            hosts,
            settings: Vec::new(),
        };
        let migrated = Command::new(binary())
            .args(["migrate", "--grant-to", APP, "--database-url", &home.database_url(OWNER).unwrap()])
            .output()
            .unwrap();
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        home
    }

    /// Runs a command that administers this home next to whoever serves it; what it prints, one JSON value a line.
    pub fn administer(&self, arguments: &[&str]) -> Vec<Value> {
        let done = self.command(arguments).arg("--json").output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let printed = String::from_utf8(done.stdout).unwrap();
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A command on what is in this home.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(binary(), self.folder.path());
        command.args(arguments).arg("--data").arg(self.folder.path());
        command.envs(self.database_url(APP).map(|url| ("LOOPIQ_DATABASE_URL", url)));
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// URL of the database for a role.
    pub fn database_url(&self, role: &str) -> Option<String> {
        let database = self.database.as_ref()?;
        Some(match &self.hosts {
            Some(hosts) => format!("postgres://{role}:{role}@{hosts}/{}", database.name),
            None => database.url(role),
        })
    }
}

fn command(binary: &Path, data: &Path) -> Command {
    let mut command = Command::new(binary);
    command.current_dir(data.parent().unwrap_or(data));
    command.env("LOOPIQ_CALLS_PER_MINUTE", "0").env("LOOPIQ_WRITES_PER_MINUTE", "0");
    command
}

fn demo(home: &Home) -> Command {
    home.command(&["demo", "--json", "--listen", "127.0.0.1:0"])
}

/// A variable the test command sets; a test that needs it fails without it, it is never skipped.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where their tools are")]
pub fn tool(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests by `cargo xtask test`"))
}

impl Server {
    /// Starts `loopiq demo` on a free port and waits until it is ready.
    pub fn start(binary: &Path, data: &Path) -> Server {
        Server::start_at(binary, data, "127.0.0.1:0")
    }

    pub fn start_at(binary: &Path, data: &Path, listen: &str) -> Server {
        Server::ready(command(binary, data).args(["demo", "--json", "--listen", listen, "--data"]).arg(data))
    }

    /// Starts `loopiq demo` in a home, making its world when there is none.
    pub fn demo(home: &Home) -> Server {
        Server::ready(&mut demo(home))
    }

    /// Like [`Server::demo`], with everything it can log going to a file.
    pub fn demo_logging_to(home: &Home, log: File) -> Server {
        Server::ready(demo(home).env("LOOPIQ_LOG", "trace").stderr(log))
    }

    /// Like [`Server::demo`], of a process that dies at a place of a write (`store/src/crash.rs`).
    /// `None` when it did so before it was ready, of what an earlier one had left to be done.
    pub fn demo_that_dies(home: &Home, at: &str) -> Option<Server> {
        Server::perhaps_ready(demo(home).env("LOOPIQ_CRASH_AT", at).stderr(Stdio::null()))
    }

    /// Asks the process to stop; whether it did in good order.
    pub fn ends_well(&mut self) -> bool {
        drop(Command::new("kill").arg(self.child.id().to_string()).status());
        self.child.wait().unwrap().success()
    }

    /// Id of the process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// One more node on the database of a home. It knows the people of `first`.
    pub fn node(home: &Home, first: &Server) -> Server {
        let mut node = Server::alone(home);
        node.people = first.people.clone();
        node
    }

    /// `loopiq serve` in a home, whatever is there.
    pub fn alone(home: &Home) -> Server {
        Server::serve(&mut home.command(&["serve", "--listen", "127.0.0.1:0"]))
    }

    /// Starts a `loopiq serve` command, whose address is in its log. It knows nobody.
    pub fn serve(command: &mut Command) -> Server {
        let mut child = command.env("LOOPIQ_LOG_FORMAT", "json").stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines.find_map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).ok()?;
            line.pointer("/fields/url").or(line.get("url"))?.as_str().map(str::to_owned)
        });
        // The rest of its log goes where nobody waits for it.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, url: url.expect("the node says where it serves"), people: Value::Null }
    }

    /// Starts a `loopiq demo --json` command and waits until it is ready.
    pub fn ready(command: &mut Command) -> Server {
        Server::perhaps_ready(command).expect("one JSON line when ready")
    }

    fn perhaps_ready(command: &mut Command) -> Option<Server> {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            child.wait().unwrap();
            return None;
        }
        let ready: Value = serde_json::from_str(&line).expect("one JSON line when ready");
        Some(Server {
            child,
            url: ready["url"].as_str().unwrap().to_owned(),
            people: ready["people"].clone(),
        })
    }

    fn person(&self, name: &str) -> &Value {
        let people = self.people.as_array().unwrap();
        people.iter().find(|p| p["email"].as_str().unwrap().starts_with(&format!("{name}@"))).unwrap()
    }

    /// The person's bearer token in an organization.
    pub fn token(&self, name: &str, organization: &str) -> String {
        self.person(name)["tokens"][organization].as_str().unwrap().to_owned()
    }

    /// E-mail address and password of a person.
    pub fn credentials(&self, name: &str) -> (String, String) {
        let person = self.person(name);
        let text = |field: &str| person[field].as_str().unwrap().to_owned();
        (text("email"), text("password"))
    }

    /// Kills the process at once, as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to stop, and waits until it has, in good order.
    pub fn stop(mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
        assert!(self.child.wait().unwrap().success(), "it stops in good order");
    }

    /// Calls a tool over MCP in the 2025-11-25 revision; the structured content, and whether it is an error.
    pub async fn call(&self, http: &Client, token: &str, tool: &str, arguments: Value) -> (bool, Value) {
        self.try_call(http, token, tool, arguments).await.expect("an answer")
    }

    /// Like [`Server::call`]; `None` when no answer came.
    pub async fn try_call(
        &self,
        http: &Client,
        token: &str,
        tool: &str,
        arguments: Value,
    ) -> Option<(bool, Value)> {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": arguments },
        });
        let answer = http
            .post(format!("{}/mcp", self.url))
            .bearer_auth(token)
            .header("Accept", "application/json, text/event-stream")
            .header("MCP-Protocol-Version", "2025-11-25")
            .json(&message)
            .send()
            .await
            .ok()?;
        let refused = !answer.status().is_success();
        let body: Value = answer.json().await.ok()?;
        if body["error"].is_object() {
            return Some((true, body["error"].clone()));
        }
        if refused {
            // Refused at the door: a problem, not a JSON-RPC answer.
            return Some((true, body));
        }
        Some((body["result"]["isError"] == true, body["result"]["structuredContent"].clone()))
    }

    /// Sends one request in an era of the protocol, as its clients do; the answer, as far as one came.
    pub async fn rpc(
        &self,
        http: &Client,
        token: &str,
        era: Era,
        method: &str,
        params: Value,
    ) -> reqwest::Result<Response> {
        let asked = http
            .post(format!("{}/mcp", self.url))
            .bearer_auth(token)
            .header("Accept", "application/json, text/event-stream")
            .header("MCP-Protocol-Version", era.revision());
        let mut message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        if era == Era::Legacy {
            return asked.json(&message).send().await;
        }
        message["params"]["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": era.revision(),
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let named = params["name"].as_str().or(params["uri"].as_str());
        let mut asked = asked.header("Mcp-Method", method);
        if let Some(name) = named {
            asked = asked.header("Mcp-Name", name);
        }
        asked.json(&message).send().await
    }

    /// Signs a person in; a client with their cookie, and the session's CSRF token.
    pub async fn sign_in(&self, name: &str) -> (Client, String) {
        self.try_sign_in(name).await.expect("an answer")
    }

    /// Like [`Server::sign_in`]; `None` when no answer came.
    pub async fn try_sign_in(&self, name: &str) -> Option<(Client, String)> {
        let (email, password) = self.credentials(name);
        self.enter(&email, &password).await
    }

    /// Signs in by e-mail address and password.
    pub async fn enter(&self, email: &str, password: &str) -> Option<(Client, String)> {
        let http = Client::builder().build().unwrap();
        let answer = http
            .post(format!("{}/api/v1/session", self.url))
            .json(&json!({ "email": email, "password": password }))
            .send()
            .await
            .ok()?;
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let body: Value = answer.json().await.ok()?;
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("Cookie", cookie.parse().unwrap());
        let http = Client::builder().default_headers(headers).redirect(Policy::none()).build().unwrap();
        Some((http, body["csrfToken"].as_str().unwrap().to_owned()))
    }

    /// Decides an action as a signed-in person: `approve`, or `reject` with a reason.
    pub async fn decide(&self, session: &(Client, String), action: &str, verb: &str) -> Option<(u16, Value)> {
        let answer = session
            .0
            .post(format!("{}/api/v1/actions/{action}/{verb}", self.url))
            .header("X-CSRF-Token", &session.1)
            .json(&json!({ "reason": "not this way" }))
            .send()
            .await
            .ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    }

    /// Uses a tool over the HTTP API as a signed-in person.
    pub async fn by_hand(&self, session: &(Client, String), tool: &str, arguments: Value) -> (u16, Value) {
        let address = format!("{}/api/v1/tools/{tool}", self.url);
        let asked = session.0.post(address).header("X-CSRF-Token", &session.1).json(&arguments);
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Uses a writing tool as a signed-in person who also approves it; what it made, or the refusal.
    pub async fn by_hand_at_once(
        &self,
        session: &(Client, String),
        tool: &str,
        arguments: Value,
    ) -> (u16, Value) {
        let (status, proposed) = self.by_hand(session, tool, arguments).await;
        if status != 200 {
            return (status, proposed);
        }
        assert_eq!(proposed["status"], "pending_approval", "{tool}: {proposed}");
        let action = proposed["action"]["id"].as_str().unwrap();
        let (status, done) = self.decide(session, action, "approve").await.unwrap();
        assert_eq!((status, &done["status"]), (200, &json!("executed")), "{tool}: {done}");
        (status, done)
    }

    /// Proposes a write, has a person approve it, and asks again: the answer after it ran, to the caller.
    pub async fn carry_out(
        &self,
        token: &str,
        approver: &(Client, String),
        tool: &str,
        arguments: Value,
    ) -> Value {
        let http = http();
        let (error, proposed) = self.call(&http, token, tool, arguments.clone()).await;
        assert!(!error && proposed["status"] == "pending_approval", "{tool}: {proposed}");
        let action = proposed["action"]["id"].as_str().unwrap();
        let (status, done) = self.decide(approver, action, "approve").await.unwrap();
        assert_eq!((status, &done["status"]), (200, &json!("executed")), "{tool}: {done}");
        let (error, outcome) = self.call(&http, token, tool, arguments).await;
        assert!(
            !error && outcome["status"] == "executed" && outcome["replayed"] == true,
            "{tool}: {outcome}"
        );
        assert_eq!(outcome["action"]["id"], json!(action), "a repeat is the same action");
        outcome
    }

    /// Calls a tool that must refuse, by this code; the refusal.
    pub async fn refused(&self, token: &str, tool: &str, arguments: Value, code: &str) -> Value {
        let (error, answer) = self.call(&http(), token, tool, arguments).await;
        assert!(error && answer["error"]["code"] == code, "{tool}, expected {code}: {answer}");
        assert!(!answer["error"]["remedy"].as_str().unwrap().is_empty(), "{answer}");
        answer["error"].clone()
    }

    /// So many days after the demo world's today: `backend-v1.0-GCN` is planned in three.
    pub async fn in_days(&self, token: &str, days: i64) -> String {
        let asked = json!({ "release": "backend-v1.0-GCN" });
        let (_, found) = self.call(&http(), token, "loopiq_get_release", asked).await;
        let planned = Timestamp::parse(found["release"]["plannedAt"].as_str().unwrap()).unwrap();
        planned.plus_seconds((days - 3) * 86_400).to_string()
    }

    /// Arguments of a remediation package for the first open gaps of `backend-v1.0-GCN`.
    pub async fn package(&self, http: &Client, token: &str, title: &str) -> Value {
        let (_, gaps) = self
            .call(http, token, "loopiq_list_evidence_gaps", json!({ "release": "backend-v1.0-GCN" }))
            .await;
        let gap = &gaps["items"][0]["id"];
        json!({
            "release": "backend-v1.0-GCN", "teamId": "backend", "reason": "the release is blocked",
            "parent": { "title": title }, "allowDuplicate": true,
            "children": [{ "title": format!("Task of {title}"), "findingRefs": [{ "kind": "evidence_gap", "id": gap }] }],
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A plain client.
pub fn http() -> Client {
    Client::builder().build().unwrap()
}

/// The binary under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_loopiq"))
}

pub const CREATE: &str = "loopiq_create_remediation_work_package";

/// Each of the stories on each of the engines.
macro_rules! on_both_engines {
    ($($story:ident)*) => {
        mod embedded {
            $(#[tokio::test]
            async fn $story() {
                super::$story(crate::server::Home::embedded()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $story() {
                super::$story(crate::server::Home::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both_engines;
