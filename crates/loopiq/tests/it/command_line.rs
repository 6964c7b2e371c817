//! What an operator does, by the command line alone: from an empty folder to a served organization, evidence from a
//! build, a backup put back, and what each mistake is answered with.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Home, Server, binary, http};

/// A command that knows nothing of the developer's own settings.
fn loopiq(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for name in ["LOOPIQ_URL", "LOOPIQ_TOKEN", "LOOPIQ_DATA", "LOOPIQ_CONFIG", "LOOPIQ_DATABASE_URL"] {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// Its standard output; it must succeed.
fn good(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The JSON lines of a command that must succeed.
fn lines(command: &mut Command) -> Vec<Value> {
    good(command.arg("--json")).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one JSON line of a command that must succeed.
fn one(command: &mut Command) -> Value {
    let mut lines = lines(command);
    assert_eq!(lines.len(), 1, "{command:?}: {lines:?}");
    lines.remove(0)
}

/// Exit code, message and remedy of a command that must fail, with nothing on standard output.
fn bad(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let code = output.status.code().unwrap();
    assert!(code != 0 && !said.contains("panicked"), "{command:?}: {code}: {said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{command:?}");
    let after = |word: &str| {
        let found = said.lines().find_map(|line| line.strip_prefix(word));
        found.unwrap_or_else(|| panic!("{command:?}: no {word:?} in: {said}")).to_owned()
    };
    let (message, remedy) = (after("error: "), after("remedy: "));
    assert!(remedy.ends_with('.') || remedy.ends_with(')'), "{remedy:?} is a sentence");
    (code, message, remedy)
}

/// A data folder and the commands on it.
struct Place {
    home: Home,
    data: PathBuf,
}

impl Place {
    fn new() -> Place {
        let home = Home::embedded();
        let data = home.folder.path().join("data");
        Place { home, data }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.home.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = loopiq(arguments);
        command.arg("--data").arg(&self.data);
        command
    }

    fn serve(&self) -> Server {
        Server::serve(loopiq(&["serve", "--listen", "127.0.0.1:0"]).arg("--data").arg(&self.data))
    }

    /// `init`, one more person, one more organization, and a token of the person.
    fn found(&self) -> String {
        let password = self.beside("password.txt");
        std::fs::write(&password, "a long enough password\n").unwrap();
        let made = one(self
            .command(&["init", "--slug", "acme", "--name", "Acme", "--email", "ada@acme.example"])
            .arg("--password-file")
            .arg(&password));
        assert_eq!((&made["organization"], &made["password"]), (&json!("acme"), &Value::Null));
        one(&mut self.command(&["org", "set", "acme", "--team", "backend"]));
        one(&mut self
            .command(&["org", "create", "--slug", "globex", "--name", "Globex", "--team", "payments"]));
        let grace = ["--org", "acme", "--email", "grace@acme.example"];
        let made = one(self
            .command(&["user", "create", "--role", "release_manager@backend"])
            .args(["--permission", "teams:read"])
            .args(grace));
        assert!(made["password"].as_str().unwrap().len() >= 12, "made and shown once: {made}");
        one(self.command(&["user", "grant", "--permission", "mcp:access"]).args(grace));
        let token = one(self.command(&["token", "issue", "--label", "ci", "--days", "30"]).args(grace));
        token["token"].as_str().unwrap().to_owned()
    }

    /// What stays the same wherever the folder is: by the commands, and by the tools.
    async fn reads(&self, server: &Server, token: &str, tools: &[(&str, Value)]) -> Vec<Value> {
        let mut all = vec![
            json!(lines(&mut self.command(&["org", "list"]))),
            json!(lines(&mut self.command(&["user", "list", "--org", "acme"]))),
        ];
        for (tool, arguments) in tools {
            let (failed, mut answer) = server.call(&http(), token, tool, arguments.clone()).await;
            assert!(!failed, "{tool}: {answer}");
            forget_the_call(&mut answer);
            all.push(answer);
        }
        all
    }

    fn backup(&self, name: &str) -> PathBuf {
        let to = self.beside(name);
        let report = one(self.command(&["backup"]).arg("--to").arg(&to));
        assert!(report["files"].as_u64().unwrap() > 0, "{report}");
        to
    }

    fn restore(&self, from: &Path) -> Command {
        let mut command = self.command(&["restore"]);
        command.arg("--from").arg(from);
        command
    }
}

/// Takes out what belongs to one call, and addresses: their port is another one each time.
fn forget_the_call(value: &mut Value) {
    const OF_THE_CALL: [&str; 3] = ["requestId", "traceId", "url"];
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !OF_THE_CALL.contains(&name.as_str()));
            members.values_mut().for_each(forget_the_call);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_the_call),
        _ => {}
    }
}

#[tokio::test]
async fn from_an_empty_folder_to_a_restored_one() {
    let place = Place::new();
    let token = place.found();
    let server = place.serve();
    let reads = [
        ("loopiq_get_context", json!({})),
        ("loopiq_list_teams", json!({})),
        ("loopiq_list_releases", json!({})),
    ];
    let before = place.reads(&server, &token, &reads).await;
    assert_eq!(before[0].as_array().unwrap().len(), 2, "both organizations: {}", before[0]);
    assert_eq!(before[1].as_array().unwrap().len(), 2, "both people: {}", before[1]);
    assert_eq!(before[2]["context"]["user"]["email"], "grace@acme.example");
    assert_eq!(before[3]["items"][0]["name"], "backend", "{}", before[3]);

    let walk = lines(loopiq(&["doctor", "--url", &server.url]).env("LOOPIQ_TOKEN", &token));
    let steps: Vec<&str> = walk.iter().map(|step| step["check"].as_str().unwrap()).collect();
    let all = ["reachable", "challenge", "metadata", "authorization_server", "token", "tools", "tenant"];
    assert_eq!(steps, all);
    assert!(walk.iter().all(|step| step["ok"] == true), "{walk:?}");
    let (code, message, _) =
        bad_after_some(loopiq(&["doctor", "--url", &server.url]).env("LOOPIQ_TOKEN", "liq_nonsense"));
    assert!(code == 1 && message.starts_with("unauthorized"), "{message}");

    let backup = place.backup("backup");
    // Made after the backup, so it must be gone after the restore.
    one(&mut place.command(&["org", "create", "--slug", "late", "--name", "Late"]));
    server.stop();
    std::fs::remove_dir_all(&place.data).unwrap();
    one(&mut place.restore(&backup));
    let server = place.serve();
    assert_eq!(place.reads(&server, &token, &reads).await, before);
    server.stop();
    let checks = lines(&mut place.command(&["doctor"]));
    assert!(checks.len() >= 3 && checks.iter().all(|check| check["ok"] == true), "{checks:?}");
}

/// Like [`bad`], of a command that has said what was good before.
fn bad_after_some(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    assert!(!output.stdout.is_empty(), "{command:?} says what was good");
    let said = String::from_utf8(output.stderr).unwrap();
    let after =
        |word: &str| said.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_default().to_owned();
    let (message, remedy) = (after("error: "), after("remedy: "));
    assert!(!message.is_empty() && !remedy.is_empty(), "{command:?}: {said}");
    (output.status.code().unwrap(), message, remedy)
}

#[tokio::test]
async fn evidence_pushed_twice_is_there_once_and_survives_a_restore() {
    let place = Place::new();
    let release = json!({ "release": "backend-v1.0-GCN" });
    let mut demo = loopiq(&["demo", "--json", "--listen", "127.0.0.1:0", "--data"]);
    let first = Server::ready(demo.arg(&place.data));
    first.stop();
    let server = place.serve();
    let grace = ["--org", "acme", "--email", "grace@acme.example"];
    let issued = one(place.command(&["token", "issue"]).args(grace));
    let token = issued["token"].as_str().unwrap();

    let count = async |server: &Server| {
        let (_, answer) = server.call(&http(), token, "loopiq_list_evidence", release.clone()).await;
        answer["items"].as_array().unwrap().len()
    };
    let had = count(&server).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../demo/evidence/backend-v1.1-GCN/ledger-integration.junit.xml");
    let push = |file: &Path| {
        let mut command = loopiq(&["evidence", "push", "--release", "backend-v1.0-GCN"]);
        command.args(["--control", "TEST-INTEGRATION", "--url", &server.url]).env("LOOPIQ_TOKEN", token);
        command.arg(file);
        command
    };
    let pushed = one(&mut push(&file));
    let again = one(&mut push(&file));
    let known = |answer: &Value| answer["duplicate"] == true || answer["replayed"] == true;
    assert!(!known(&pushed) && known(&again), "{pushed}\n{again}");
    assert_eq!(pushed["evidence"]["id"], again["evidence"]["id"]);
    let has = count(&server).await;
    assert_eq!(has, had + 1);
    let unknown = place.beside("unknown.bin");
    std::fs::write(&unknown, [0_u8; 64]).unwrap();
    let (code, message, _) = bad_after_some(&mut push(&unknown));
    assert!(code == 1 && message.contains("not taken"), "{message}");
    assert_eq!(count(&server).await, has);

    let reads = [
        ("loopiq_list_evidence", release.clone()),
        ("loopiq_list_evidence_gaps", release.clone()),
        ("loopiq_list_releases", json!({})),
        ("loopiq_list_release_certifications", json!({})),
        ("loopiq_list_work_items", json!({})),
        ("loopiq_list_risks", json!({})),
    ];
    let before = place.reads(&server, token, &reads).await;
    assert!(before[2].to_string().contains(pushed["evidence"]["id"].as_str().unwrap()), "{}", before[2]);
    let backup = place.backup("backup");
    server.stop();
    std::fs::remove_dir_all(&place.data).unwrap();
    every_flipped_byte_is_refused(&place, &backup);
    one(&mut place.restore(&backup));
    let (_, message, _) = bad(&mut place.restore(&backup));
    assert!(message.contains("is not empty"), "nothing is written over: {message}");
    let server = place.serve();
    assert_eq!(place.reads(&server, token, &reads).await, before);
}

/// One byte of each kind of file: the directory, the records of an organization, a blob, the manifest itself.
fn every_flipped_byte_is_refused(place: &Place, backup: &Path) {
    let files = files_below(backup);
    let blob = files.iter().find(|path| path.components().any(|part| part.as_os_str() == "blobs")).unwrap();
    let records = files.iter().find(|path| path.ends_with("records.db")).unwrap();
    let manifest = backup.join("manifest.json");
    for victim in [&backup.join("directory.db"), records, blob, &manifest] {
        let whole = std::fs::read(victim).unwrap();
        let mut broken = whole.clone();
        let middle = broken.len() / 2;
        broken[middle] ^= 1;
        std::fs::write(victim, &broken).unwrap();
        let (code, message, _) = bad(&mut place.restore(backup));
        assert!(code == 1 && message.contains("not a usable backup"), "{}: {message}", victim.display());
        assert!(!place.data.exists(), "{}: nothing is put in place", victim.display());
        std::fs::write(victim, &whole).unwrap();
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_client_gets_its_configuration_without_a_secret() {
    const SECRET: &str = "liq_not_to_be_printed";
    let url = "https://loopiq.example.com";
    // Where it goes, and where in the document the address stands; the first line may be a command.
    let clients = [
        ("claude-code", ".mcp.json", "/mcpServers/loopiq/url"),
        ("claude-desktop", "claude_desktop_config.json", "/mcpServers/loopiq/args/2"),
        ("cursor", ".cursor/mcp.json", "/mcpServers/loopiq/url"),
        ("vscode", ".vscode/mcp.json", "/servers/loopiq/url"),
    ];
    let print = |client: &str| {
        let mut command = loopiq(&["client-config", "--client", client, "--url", url]);
        command.env("LOOPIQ_TOKEN", SECRET);
        command
    };
    // To sign in, nothing but the address is needed.
    for client in ["claude-code", "claude-desktop", "cursor", "vscode", "chatgpt", "generic"] {
        let text = good(&mut print(client));
        assert!(text.contains("https://loopiq.example.com/mcp"), "{client}: {text}");
        assert!(!text.contains("TOKEN") && !text.contains(SECRET), "{client}: {text}");
    }
    let print = |client: &str| {
        let mut command = print(client);
        command.arg("--with-token");
        command
    };
    for (client, place, pointer) in clients {
        let text = good(&mut print(client));
        assert!(text.contains(place) && !text.contains(SECRET), "{client}: {text}");
        let found = one(&mut print(client));
        let snippet = found["snippet"].as_str().unwrap();
        assert!(text.contains(snippet), "{client}: the same for people and programs");
        let (_, document) = snippet.split_at(snippet.find("{\n").unwrap());
        let document: Value = serde_json::from_str(document).unwrap();
        assert_eq!(document.pointer(pointer).unwrap(), &json!(format!("{url}/mcp")), "{client}");
    }
    let generic = good(&mut print("generic"));
    for part in ["https://loopiq.example.com/mcp/readonly", "Bearer $LOOPIQ_TOKEN"] {
        assert!(generic.contains(part) && !generic.contains(SECRET), "{generic}");
    }
    let (code, message, _) = bad(&mut print("chatgpt"));
    assert!(code == 1 && message.contains("takes no token"), "{message}");
    // One more client needs its line above.
    let said = print("no-such-client").output().unwrap();
    let known = String::from_utf8(said.stderr).unwrap();
    let listed = known.split_once("[possible values: ").unwrap().1.split(']').next().unwrap().split(", ");
    assert_eq!(listed.count(), clients.len() + 2, "{known}");
}

#[test]
fn each_error_at_the_start_says_what_to_do() {
    let place = Place::new();
    place.found();
    let server = place.serve();
    let address = server.url.trim_start_matches("http://").to_owned();
    let free = TempDir::new().unwrap();
    let serve = |data: &Path| {
        let mut command = loopiq(&["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(data);
        command
    };
    let wrong = |command: &mut Command, code: i32, parts: &[&str], hint: &str| {
        let (found, message, remedy) = bad(command);
        assert_eq!(found, code, "{message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        assert!(remedy.contains(hint), "{remedy}");
    };

    let mut taken = loopiq(&["serve", "--listen", &address, "--data"]);
    wrong(taken.arg(free.path()), 1, &[&address, "taken"], "--listen");
    wrong(&mut serve(&place.data), 1, &["in use by another process"], "Stop the other process");

    let file = place.beside("password.txt");
    wrong(&mut serve(&file.join("below")), 1, &["cannot be written", "password.txt"], "--data");
    wrong(&mut serve(&file), 1, &["cannot be written", "password.txt"], "--data");

    let mut flag = serve(free.path());
    flag.args(["--public-url", "loopiq.example.com"]);
    wrong(&mut flag, 2, &["--public-url from the command line", "https://"], "Base URL");
    let mut variable = serve(free.path());
    variable.env("LOOPIQ_PAGE_SIZE_MAX", "many");
    wrong(&mut variable, 2, &["LOOPIQ_PAGE_SIZE_MAX from the environment", "not a number"], "The setting is");
    let settings = place.beside("loopiq.toml");
    std::fs::write(&settings, "connections_max = 0\n").unwrap();
    let parts = ["connections_max from the file", settings.to_str().unwrap(), "must be 1 to"];
    wrong(serve(free.path()).arg("--config").arg(&settings), 2, &parts, "The setting is");
    std::fs::write(&settings, "conections_max = 10\n").unwrap();
    wrong(serve(free.path()).arg("--config").arg(&settings), 2, &["conections_max"], "--print-config");
    std::fs::write(&settings, "listen = \n").unwrap();
    wrong(serve(free.path()).arg("--config").arg(&settings), 2, &["cannot be read"], "TOML");
    let mut open = loopiq(&["serve", "--listen", "0.0.0.0:0", "--data"]);
    wrong(open.arg(free.path()), 2, &["public_url"], "--public-url");

    let mut nothing = loopiq(&["org", "list", "--data"]);
    wrong(nothing.arg(free.path()), 1, &["no LoopIQ data"], "loopiq init");
    let again = ["init", "--slug", "b", "--name", "B", "--email", "b@b.example"];
    wrong(&mut place.command(&again), 1, &["organizations already"], "loopiq org create");
    assert!(
        std::fs::read_dir(free.path()).unwrap().next().is_none(),
        "a refused start leaves nothing behind"
    );
}

#[test]
fn a_damaged_data_folder_is_found() {
    let place = Place::new();
    place.found();
    let whole = lines(&mut place.command(&["doctor"]));
    assert!(whole.iter().any(|check| check["check"] == "storage" && check["ok"] == true), "{whole:?}");
    for victim in files_below(&place.data).iter().filter(|path| path.ends_with("records.db")) {
        let before = std::fs::read(victim).unwrap();
        let mut after = before.clone();
        let middle = after.len() / 2;
        after[middle..middle + 4096].iter_mut().for_each(|byte| *byte ^= 0xff);
        std::fs::write(victim, &after).unwrap();
        let output = place.command(&["doctor", "--json"]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let found = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let storage: Vec<Value> = found.filter(|check| check["check"] == "storage").collect();
        assert_eq!(storage.len(), 1, "{said}");
        assert!(storage[0]["ok"] == false && storage[0]["damage"].is_string(), "{said}");
        let (code, message, remedy) = bad_after_some(&mut place.command(&["doctor"]));
        assert!(code == 1 && message.contains("damaged"), "{message}");
        assert!(remedy.contains("Restore a backup"), "{remedy}");
        std::fs::write(victim, &before).unwrap();
    }
    lines(&mut place.command(&["doctor"]));
}

#[test]
fn the_last_administrator_stays_until_there_is_another() {
    let place = Place::new();
    place.found();
    let ada = ["--org", "acme", "--email", "ada@acme.example"];
    let role = ["--role", "organization_admin"];
    one(place.command(&["user", "grant", "--role", "viewer"]).args(ada));
    let refused = |command: &mut Command| {
        let (code, message, remedy) = bad(command);
        assert!(code == 1 && message.contains("nobody else administers"), "{message}");
        assert!(remedy.contains("organization_admin"), "{remedy}");
    };
    refused(place.command(&["user", "revoke"]).args(ada).args(role));
    refused(place.command(&["user", "deactivate"]).args(ada));
    refused(&mut place.command(&["user", "deactivate", "--email", "ada@acme.example", "--everywhere"]));
    let people = lines(&mut place.command(&["user", "list", "--org", "acme"]));
    let found = people.iter().find(|person| person["email"] == "ada@acme.example").unwrap();
    assert_eq!((&found["status"], &found["roles"][0]), (&json!("active"), &json!("organization_admin")));

    one(place.command(&["user", "grant", "--org", "acme", "--email", "grace@acme.example"]).args(role));
    let after = one(place.command(&["user", "revoke"]).args(ada).args(role));
    assert_eq!(after["roles"], json!(["viewer"]));
}
