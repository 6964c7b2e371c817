//! Real clients sign in by their own OAuth code: the official SDKs and the Inspector, in both eras, with a person in between.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::header::LOCATION;
use serde_json::{Value, json};

use crate::clients::{PYTHON, TYPESCRIPT};
use crate::oauth::{Program, decides, register};
use crate::server::{CREATE, Era, Home, Server, http, on_both_engines, tool};

on_both_engines! {
    the_official_sdks_sign_in_by_themselves
    the_inspector_signs_in_by_itself
    the_official_suite_is_satisfied_with_the_authorization_server
}

async fn the_official_sdks_sign_in_by_themselves(home: Home) {
    let server = Server::demo(&home);
    let kept = home.folder.path();
    // By the host alone, for clients that are given nothing else; at `/mcp` all clients do it in `clients`.
    for program in [&PYTHON, &TYPESCRIPT] {
        for era in program.eras {
            let mut client = program.is_let_in(kept, &server, "/", *era, ("dana", "globex")).await;
            assert!(!client.tools().iter().any(|tool| tool.contains("approve")), "{}", program.name);
            let context = client.call("loopiq_get_context", json!({}));
            assert_eq!(context["context"]["organization"]["slug"], "globex", "{}: {context}", program.name);
            client.ends();
        }
    }
    // An access token that is good for nothing any more is replaced, and the refresh token with it.
    let mut client = TYPESCRIPT.is_let_in(kept, &server, "/mcp", Era::Modern, ("dana", "globex")).await;
    client.step(json!({ "op": "spoil_token" }));
    client.call("loopiq_get_context", json!({}));
    assert_eq!(client.step(json!({ "op": "rotated" }))["rotated"], true);
    client.ends();
    // At the endpoint that only reads, what writes is not there, although its person may.
    let mut client =
        TYPESCRIPT.is_let_in(kept, &server, "/mcp/readonly", Era::Modern, ("grace", "acme")).await;
    let tools = client.tools();
    assert!(
        tools.contains(&"loopiq_get_release".to_owned()) && !tools.contains(&CREATE.to_owned()),
        "{tools:?}"
    );
    client.ends();
}

/// The MCP Inspector on its command line, as it asks a server that it knows by address alone.
fn inspector(home: &Home, server: &Server, era: &str, more: &[&str]) -> Command {
    let entry = "@modelcontextprotocol/inspector/clients/launcher/build/index.js";
    let mut command = Command::new(tool("LOOPIQ_TEST_NODE"));
    command.arg(Path::new(&tool("LOOPIQ_TEST_NPM")).join(entry));
    command.args(["--cli", &format!("{}/mcp", server.url), "--transport", "http", "--format", "json"]);
    command.args(["--callback-url", "http://127.0.0.1:0/oauth/callback", "--protocol-era", era]).args(more);
    // What it keeps is kept in a home of its own. It is to ask although nobody sits at a terminal, and finds no browser.
    command.env("HOME", home.folder.path().join("inspector")).env("MCP_INSPECTOR_SECRET_STORE", "file");
    command.env("MCP_AUTO_OPEN_ENABLED", "true").env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn the_inspector_signs_in_by_itself(home: Home) {
    let server = Server::demo(&home);
    for era in ["modern", "legacy"] {
        let tool = ["--relogin", "--method", "tools/call", "--tool-name", "loopiq_get_context"];
        let mut child = inspector(&home, &server, era, &tool).spawn().expect("the Inspector starts");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let asked = lines.find_map(|line| line.strip_prefix("Please navigate to: ").map(str::to_owned));
        let asked = asked.expect("it says where a person is to go");
        assert!(asked.starts_with(&format!("{}/authorize?", server.url)), "{asked}");
        let dana = server.sign_in("dana").await;
        let page = dana.0.get(&asked).send().await.unwrap().text().await.unwrap();
        let fields = [("organization", "globex"), ("decision", "allow")];
        let answer = decides(&server, &dana, &page, &fields).await;
        let back = answer.headers()[LOCATION].to_str().unwrap().to_owned();
        assert!(http().get(back).send().await.unwrap().status().is_success());
        let rest = std::thread::spawn(move || lines.collect::<Vec<_>>());
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{era}: {:?}", rest.join().unwrap());
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        let slug = &said["result"]["structuredContent"]["context"]["organization"]["slug"];
        assert_eq!(slug, "globex", "{era}: {said}");
        // What it has kept is good for the next time, without a person.
        let kept = ["--stored-auth-only", "--method", "tools/list"];
        let done = inspector(&home, &server, era, &kept).output().unwrap();
        assert!(done.status.success(), "{era}: {}", String::from_utf8_lossy(&done.stderr));
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert!(!said["result"]["tools"].as_array().unwrap().is_empty(), "{era}: {said}");
    }
}

async fn the_official_suite_is_satisfied_with_the_authorization_server(home: Home) {
    let server = Server::demo(&home);
    // The suite listens at a port it is told; one that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redirect = format!("http://127.0.0.1:{port}/callback");
    let metadata = json!({ "client_name": "Conformance suite", "redirect_uris": [redirect] });
    let (_, registered) = register(&server, metadata).await;
    let client = Program { id: registered["client_id"].as_str().unwrap().into(), redirect };
    let suite = Path::new(&tool("LOOPIQ_TEST_NPM")).join("@modelcontextprotocol/conformance/dist/index.js");
    let out = home.folder.path().join("conformance");
    let mut command = Command::new(tool("LOOPIQ_TEST_NODE"));
    command.arg(suite).args(["authorization", "--url", &server.url, "--client-id", &client.id]);
    command
        .args(["--resource", &format!("{}/mcp", server.url), "--port", &port.to_string(), "--output-dir"])
        .arg(&out);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut said, mut asked) = (String::new(), None);
    for line in lines.map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
        if line.starts_with(&format!("{}/authorize?", server.url)) {
            asked = Some(line);
        } else if line.starts_with("Callback server started") {
            // Now somebody listens for the answer.
            let person = server.sign_in("grace").await;
            let page =
                person.0.get(asked.clone().expect("an address")).send().await.unwrap().text().await.unwrap();
            let fields = [("organization", "acme"), ("decision", "allow")];
            let answer = decides(&server, &person, &page, &fields).await;
            let back = answer.headers()[LOCATION].to_str().unwrap().to_owned();
            assert!(http().get(back).send().await.unwrap().status().is_success());
        }
    }
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(asked.is_some() && said.contains("authorization-server-metadata-endpoint"), "{said}");
    // What it has written down is what it has checked.
    let mut checks = Vec::new();
    for folder in std::fs::read_dir(&out).unwrap() {
        let file = folder.unwrap().path().join("checks.json");
        let found: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        checks.extend(
            found.as_array().unwrap().iter().map(|check| check["status"].as_str().unwrap().to_owned()),
        );
    }
    assert!(
        checks.len() > 2 && checks.iter().all(|status| status == "SUCCESS" || status == "INFO"),
        "{checks:?}"
    );
}
