//! What the people of the product come for, from beginning to end in a real browser, on a desk, a tablet and a phone: a release
//! manager decides, an auditor verifies without the server, an administrator runs the organization.

use std::path::Path;

use serde_json::{Value, json};

use crate::audit_log::{checkpoint, verify as verify_log};
use crate::browser::{assert_clean, follow, proposed};
use crate::certifications::certification;
use crate::devtools::Browser;
use crate::evidence_pack::verify as verify_pack;
use crate::oauth::program;
use crate::server::{CREATE, Home, Server, http};

/// Widths of a desk, a tablet and a phone, in CSS pixels.
const WIDTHS: [u32; 3] = [1440, 768, 390];

/// Loads of a page until the server has signed what was just recorded, which takes it a few seconds.
const LOADS_MAX: usize = 1_000;

/// Somebody at a screen.
struct Person<'a> {
    browser: Browser,
    server: &'a Server,
    width: u32,
}

impl<'a> Person<'a> {
    /// Signs in on the way to a page.
    fn at(server: &'a Server, name: &str, width: u32, path: &str) -> Person<'a> {
        let mut browser = Browser::open();
        browser.show(width, "light");
        assert_eq!(follow(&mut browser, server, name, &format!("{}{path}", server.url)), 200);
        let mut person = Person { browser, server, width };
        person.looks();
        person
    }

    /// The words of the page, which must fit the screen.
    fn looks(&mut self) -> String {
        let wide = self.browser.ask("document.documentElement.scrollWidth").as_i64().unwrap();
        let address = self.browser.address();
        assert!(wide <= i64::from(self.width), "{address} at {}: {wide}", self.width);
        self.browser.text()
    }

    fn opens(&mut self, path: &str) -> String {
        assert_eq!(self.browser.visit(&format!("{}{path}", self.server.url)), 200, "{path}");
        self.looks()
    }

    /// Follows a link by its words.
    fn goes(&mut self, words: &str) -> String {
        assert_eq!(self.browser.follow_link(&format!("normalize-space() = '{words}'")), 200, "{words}");
        self.looks()
    }

    /// Follows the link of these words that stands with others.
    fn goes_from(&mut self, near: &str, words: &str) -> String {
        let which = format!(
            "normalize-space() = '{words}' and ancestor::*[self::tr or self::li][contains(., '{near}')]"
        );
        assert_eq!(self.browser.follow_link(&which), 200, "{words} of {near}");
        self.looks()
    }

    fn presses(&mut self, words: &str) -> String {
        assert_eq!(self.browser.press(words), 200, "{words}: {}", self.browser.text());
        self.looks()
    }

    fn ticks(&mut self, name: &str, value: &str) {
        let ticked = self.browser.ask(&format!(
            "(() => {{ const box = document.querySelector('input[name=\"{name}\"][value=\"{value}\"]'); box.click(); return box.checked; }})()"
        ));
        assert_eq!(ticked, true, "{name}: {value}");
    }

    /// Says why, looks at the preview, does it, and approves it where that is asked for.
    fn carries_out(&mut self, reason: &str) -> String {
        self.browser.write("Why?", reason);
        let preview = self.presses("Preview");
        assert!(preview.contains("What would change"), "{preview}");
        let at_once = preview.contains("It runs at once");
        let done = self.presses(if at_once { "Do it" } else { "Propose it" });
        if done.contains("Approve and run") { self.presses("Approve and run") } else { done }
    }

    fn leaves(self) {
        assert_clean(&self.browser, self.server);
    }
}

#[tokio::test]
async fn a_release_manager_reads_the_release_and_decides_what_was_proposed() {
    let home = Home::embedded();
    let server = Server::demo(&home);
    for width in WIDTHS {
        let linus = server.token("linus", "acme");
        let title = format!("Close the gap seen at {width}");
        let package = server.package(&http(), &linus, &title).await;
        let (error, proposal) = server.call(&http(), &linus, CREATE, package).await;
        assert!(!error, "{proposal}");
        let id = proposal["action"]["id"].as_str().unwrap();
        let mut grace = Person::at(&server, "grace", width, "/app/releases");
        assert!(grace.opens("/app").contains("Waits for you"));
        grace.opens("/app/releases");
        let release = grace.goes("backend-v1.0-GCN");
        for words in ["Not ready", "Evidence graph"] {
            assert!(release.contains(words), "{words}: {release}");
        }
        let card = proposal["approval"]["card"].clone();
        let certification = card["certification"]["id"].as_str().unwrap();
        assert!(grace.opens(&format!("/app/certifications/{certification}")).contains("Open gaps"));
        let inbox = grace.opens("/app/approvals");
        assert!(inbox.contains("Waits for you"), "{inbox}");
        let shown = grace.browser.follow_link(&format!("contains(@href, '{id}')"));
        assert_eq!(shown, 200);
        assert!(grace.looks().contains(card["digest"].as_str().unwrap()));
        let done = grace.presses("Approve and run");
        for words in ["Done: it ran once, exactly as approved", "Audit receipt"] {
            assert!(done.contains(words), "{words}: {done}");
        }
        let package = grace.browser.ask(
            "[...document.querySelectorAll('#main a[href]')].map(a => a.pathname).find(path => path.startsWith('/app/packages/'))",
        );
        let package = grace.opens(package.as_str().unwrap());
        assert!(package.contains(&title), "{package}");
        grace.leaves();
    }
}

#[tokio::test]
async fn an_auditor_finds_the_action_and_verifies_log_and_pack_without_the_server() {
    let home = Home::embedded();
    let server = Server::demo(&home);
    let proposal = proposed(&server, &http()).await;
    let action = proposal["action"]["id"].as_str().unwrap();
    let decided = server.decide(&server.sign_in("grace").await, action, "approve").await.unwrap();
    assert_eq!(decided.1["status"], "executed");
    let sequence = decided.1["audit"]["sequence"].to_string();
    let ada = server.token("ada", "acme");
    let pack_of = certification(&server, &ada, "backend-v1.0-GCN").await["id"].as_str().unwrap().to_owned();
    // What the auditor has been given on another way.
    let (_, _, keys) = checkpoint(&home);
    let mut files = Vec::new();
    for width in WIDTHS {
        let downloads = tempfile::tempdir().unwrap();
        let mut rita = Person::at(&server, "rita", width, "/app/audit");
        rita.browser.keep_downloads(downloads.path());
        rita.browser.choose("Kind", "executed");
        rita.browser.write("Action", action);
        let found = rita.presses("Show");
        assert!(found.contains("linus@acme.example") || found.contains("grace@acme.example"), "{found}");
        let rows = "[...document.querySelectorAll('#records a[href^=\"/app/audit/\"]')].map(a => a.pathname).filter(path => /[0-9]$/.test(path))";
        assert_eq!(rita.browser.ask(rows), json!([format!("/app/audit/{sequence}")]), "{found}");
        assert_eq!(rita.browser.follow_link(&format!("contains(@href, '/app/audit/{sequence}')")), 200);
        let mut proof = rita.looks();
        for _ in 0..LOADS_MAX {
            if proof.contains("Under a head of") {
                break;
            }
            proof = rita.opens(&format!("/app/audit/{sequence}"));
        }
        for words in ["Proof that it is in the log", "Under a head of", "Leaf hash", action] {
            assert!(proof.contains(words), "{words}: {proof}");
        }
        rita.opens("/app/audit");
        let log = rita.browser.download("Export the log with proofs");
        rita.opens(&format!("/app/certifications/{pack_of}"));
        let pack = rita.browser.download("Export evidence pack");
        assert_eq!((log.as_str(), &pack), ("audit.bundle", &format!("{pack_of}.zip")));
        rita.leaves();
        files.push((downloads, log, pack));
    }
    server.stop();
    for (folder, log, pack) in &files {
        let path = |name: &str| folder.path().join(name);
        let told = |file: &Path, done: std::process::Output| {
            let said = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(
                done.status.success(),
                "{}: {said} {}",
                file.display(),
                String::from_utf8_lossy(&done.stderr)
            );
            said
        };
        let report: Value =
            serde_json::from_str(&told(&path(log), verify_log(&path(log), &["--key", &keys[0]]))).unwrap();
        assert!(report["counts"]["approvedExecutions"].as_u64().unwrap() >= 1, "{report}");
        assert_eq!((&report["findings"], &report["keysWereGiven"]), (&json!([]), &json!(true)), "{report}");
        let said = told(&path(pack), verify_pack(&path(pack), &["--key", &keys[0]]));
        assert!(said.contains("backend-v1.0-GCN of acme") && said.contains("good: "), "{said}");
    }
}

/// What a token is answered with.
async fn answered(server: &Server, secret: &str) -> u16 {
    http()
        .get(format!("{}/api/v1/me", server.url))
        .bearer_auth(secret)
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn an_administrator_runs_the_organization() {
    let home = Home::embedded();
    let server = Server::demo(&home);
    program(&server).await.connects(&server, "grace", &[]).await;
    for width in WIDTHS {
        let mut ada = Person::at(&server, "ada", width, "/app/administration");
        let settings = ada.opens("/app/settings");
        assert!(settings.contains("AI clients connect and see tools."), "{settings}");
        ada.goes("Switch MCP off");
        ada.carries_out("An incident is looked into");
        let settings = ada.opens("/app/settings");
        assert!(settings.contains("Clients connect and see no tools."), "{settings}");
        ada.goes("Switch MCP on");
        ada.carries_out("It is over");
        assert!(ada.opens("/app/settings").contains("AI clients connect and see tools."));

        let email = format!("joan-{width}@acme.example");
        ada.opens("/app/members");
        ada.goes("Add a member");
        ada.browser.write("Email", &email);
        ada.browser.write("Display name", &format!("Joan {width}"));
        ada.ticks("access.roles", "viewer");
        ada.ticks("access.permissions", "teams:read");
        ada.carries_out("Joan joins us");
        assert!(ada.opens("/app/members").contains(&email));
        let answer = "(() => { const row = [...document.querySelectorAll('#answers tbody tr')].find(row => \
                      row.textContent.includes('loopiq_create_work_item')); return row.textContent; })()";
        ada.goes_from(&email, "What they may do");
        let before = ada.browser.ask(answer);
        assert!(before.as_str().unwrap().contains("Refused"), "{before}");
        ada.opens("/app/members");
        ada.goes_from(&email, "Change access");
        ada.ticks("grant.roles", "contributor");
        ada.carries_out("She works with us");
        ada.opens("/app/members");
        ada.goes_from(&email, "What they may do");
        let after = ada.browser.ask(answer);
        assert!(after.as_str().unwrap().contains("Allowed"), "{after}");

        ada.opens("/app/policies");
        ada.browser.ask("document.querySelectorAll('main details').forEach(part => { part.open = true; })");
        let tried = ada.presses("Try the draft");
        for words in ["Nothing has been changed.", "The text is valid", "All passed"] {
            assert!(tried.contains(words), "{words}: {tried}");
        }

        let agent = format!("Copilot {width}");
        ada.opens("/app/agents");
        ada.goes("Register an agent");
        ada.browser.write("Name", &agent);
        ada.ticks("permissions", "releases:read");
        ada.browser.choose("Mutation policy", "read_only");
        ada.carries_out("It reads releases");
        assert!(ada.opens("/app/agents").contains(&agent));
        ada.goes_from(&agent, "Issue a token for it");
        let label = format!("Nightly {width}");
        ada.browser.write("Label", &label);
        let told = ada.carries_out("For the nightly job");
        let secret = told.split_whitespace().find(|word| word.starts_with("liqa_"));
        let secret = secret.unwrap_or_else(|| panic!("the secret is shown: {told}")).to_owned();
        assert_eq!(answered(&server, &secret).await, 200);
        ada.opens("/app/tokens");
        ada.goes_from(&label, "Revoke");
        ada.carries_out("The job has moved");
        assert_eq!(answered(&server, &secret).await, 401, "at once");
        let tokens = ada.opens("/app/tokens");
        assert!(tokens.contains(&label) && !tokens.contains(&secret), "{tokens}");

        let connected = ada.opens("/app/connect");
        for words in ["Let in by others, in this organization", "For grace@acme.example", "Disconnect"] {
            assert!(connected.contains(words), "{words}: {connected}");
        }
        ada.leaves();
    }
}
