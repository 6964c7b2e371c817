//! The agents of `examples/agent`, run as they are against the demo, while a person decides in the console what they propose.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::clients::{machine, pinned, root};
use crate::server::{Home, Server, on_both_engines, tool};

on_both_engines! {
    the_agent_in_python_proposes_and_learns_what_became_of_it
    the_agent_in_typescript_proposes_and_learns_what_became_of_it
}

#[test]
fn the_agents_stand_on_the_versions_that_are_tested() {
    let read = |file: &str| std::fs::read_to_string(root().join("examples/agent").join(file)).unwrap();
    assert_eq!(read("python/requirements.txt").trim(), format!("mcp=={}", pinned("mcp")));
    let package: Value = serde_json::from_str(&read("typescript/package.json")).unwrap();
    let client = "@modelcontextprotocol/client";
    assert_eq!(package["dependencies"], json!({ client: pinned(client) }));
}

/// What an agent needs that proposes work for a release.
const PERMISSIONS: [&str; 6] = [
    "teams:read",
    "releases:read",
    "certifications:read",
    "evidence:read",
    "remediation:create",
    "work_items:create",
];

/// How the agent proves for whom it acts.
enum Way {
    /// The token of a person.
    Token(&'static str),
    Machine,
}

fn python() -> Command {
    let mut command = Command::new(tool("LOOPIQ_TEST_PYTHON"));
    command.arg(root().join("examples/agent/python/agent.py"));
    command
}

/// The folder as it is, with what `npm install` would put there.
fn typescript(home: &Path) -> Command {
    let (from, to) = (root().join("examples/agent/typescript"), home.join("typescript"));
    std::fs::create_dir_all(&to).unwrap();
    for file in ["agent.ts", "package.json"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let modules = to.join("node_modules");
    if !modules.exists() {
        std::os::unix::fs::symlink(PathBuf::from(tool("LOOPIQ_TEST_NPM")), modules).unwrap();
    }
    let mut command = Command::new(tool("LOOPIQ_TEST_NODE"));
    command.current_dir(&to).arg("agent.ts");
    command
}

/// Runs an agent; grace decides what it proposes, as it prints the link. Whether it was content, and what it said.
async fn runs(home: &Home, server: &Server, mut agent: Command, way: Way, verb: &str) -> (bool, String) {
    agent.env("LOOPIQ_URL", format!("{}/mcp", server.url)).env_remove("LOOPIQ_TOKEN");
    match way {
        Way::Token(person) => agent.env("LOOPIQ_TOKEN", server.token(person, "acme")),
        Way::Machine => {
            let (id, secret) = machine(home, "propose_only", &PERMISSIONS);
            agent.env("LOOPIQ_CLIENT_ID", id).env("LOOPIQ_CLIENT_SECRET", secret)
        }
    };
    let mut running = agent.stdout(Stdio::piped()).spawn().expect("the agent starts");
    let mut said = String::new();
    for line in BufReader::new(running.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(link) = line.strip_prefix("Approve here: ") {
            let grace = server.sign_in("grace").await;
            let page = grace.0.get(link).send().await.unwrap();
            assert_eq!(page.status(), 200, "the link leads to the card");
            let action = link.rsplit('/').next().unwrap();
            assert_eq!(server.decide(&grace, action, verb).await.unwrap().0, 200, "{said}");
        }
        said.push_str(&line);
        said.push('\n');
    }
    (running.wait().unwrap().success(), said)
}

fn holds(said: &str, all: &[&str]) {
    for words in all {
        assert!(said.contains(words), "{words}: {said}");
    }
}

const PROPOSED: [&str; 5] = [
    "backend-v1.0-GCN is blocked",
    "gap      TEST-UNIT failed evidence (high)",
    "by semgrep (critical)",
    "create work_item Unblock backend-v1.0-GCN",
    "update evidence_gap missing evidence for TEST-INTEGRATION",
];
const CARRIED_OUT: [&str; 3] =
    ["created work_item Evidence: TEST-UNIT: http", "created remediation_work_package", "Receipt: record "];

async fn the_agent_in_python_proposes_and_learns_what_became_of_it(home: Home) {
    let server = Server::demo(&home);
    let (content, said) = runs(&home, &server, python(), Way::Token("grace"), "approve").await;
    assert!(content, "{said}");
    holds(&said, &PROPOSED);
    holds(&said, &CARRIED_OUT);
    // A second run finds that all of it is being worked on, and proposes nothing.
    let (content, said) = runs(&home, &server, python(), Way::Token("grace"), "approve").await;
    assert!(content && !said.contains("Approve here"), "{said}");
    holds(&said, &["Everything open is being worked on."]);
}

async fn the_agent_in_typescript_proposes_and_learns_what_became_of_it(home: Home) {
    let server = Server::demo(&home);
    let place = home.folder.path();
    let (content, said) = runs(&home, &server, typescript(place), Way::Machine, "reject").await;
    assert!(!content, "{said}");
    holds(&said, &PROPOSED);
    holds(&said, &["as the agent Nightly for grace@acme.example", "It was rejected. not this way"]);
    assert!(!said.contains("Receipt"), "{said}");
    // What was rejected stays so, however often it is proposed in her name; somebody else proposes anew.
    let (content, said) = runs(&home, &server, typescript(place), Way::Token("linus"), "approve").await;
    assert!(content, "{said}");
    holds(&said, &PROPOSED);
    holds(&said, &CARRIED_OUT);
}
