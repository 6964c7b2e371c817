//! The pages by which an organization is governed: commands as forms, what one may do about an action besides approving
//! it, policies and their versions, the log and its proofs.

use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use crate::browser::{assert_clean, follow, proposed};
use crate::devtools::Browser;
use crate::server::{CREATE, Home, Server, binary, http, on_both_engines};

on_both_engines! {
    a_form_is_one_write_however_often_it_is_sent
    policies_are_written_compared_and_gone_back_from_on_pages
    every_record_of_the_log_has_its_proof_on_a_page
    pages_show_what_their_reader_may_do_and_refuse_the_rest
    a_secret_is_on_one_page_once
    what_is_out_of_date_is_proposed_again
}

type Session = (Client, String);

/// How long a test waits for what the server does in its own time.
const PATIENCE: Duration = Duration::from_mins(1);

async fn page(server: &Server, session: &Session, path: &str) -> (u16, String) {
    let answer = session.0.get(format!("{}{path}", server.url)).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Sends a form: the status, where it leads, and the page.
async fn sent(
    server: &Server,
    session: &Session,
    path: &str,
    fields: &[(&str, &str)],
) -> (u16, String, String) {
    let mut form = vec![("csrf", session.1.as_str())];
    form.extend(fields);
    let mut body = String::new();
    for (name, value) in form {
        body.push_str(&format!("{name}={}&", percent(value)));
    }
    let answer = session
        .0
        .post(format!("{}{path}", server.url))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap();
    let to = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned()).unwrap_or_default();
    (answer.status().as_u16(), to, answer.text().await.unwrap())
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02X}"))
}

/// The value of a hidden field.
fn hidden<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) =
        page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    rest.split_once('"').unwrap().0
}

/// The words of a page, unescaped as far as tests need it.
fn words(page: &str) -> String {
    page.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
}

/// Fills in a command's form, previews it and proposes what was previewed: where that leads.
async fn carried_out(server: &Server, session: &Session, tool: &str, fields: &[(&str, &str)]) -> String {
    let path = format!("/app/do/{tool}");
    let (status, form) = page(server, session, &path).await;
    assert_eq!(status, 200, "{form}");
    let key = hidden(&form, "idempotencyKey").to_owned();
    let mut filled = fields.to_vec();
    filled.extend([("idempotencyKey", key.as_str()), ("step", "preview")]);
    let (status, _, preview) = sent(server, session, &path, &filled).await;
    assert!(status == 200 && preview.contains("What would change"), "{preview}");
    let previewed = hidden(&preview, "previewed").to_owned();
    filled.pop();
    filled.extend([("previewed", previewed.as_str()), ("step", "propose")]);
    let (status, to, refused) = sent(server, session, &path, &filled).await;
    assert_eq!(status, 303, "{refused}");
    assert!(to.starts_with("/app/actions/act_"), "{to}");
    to
}

#[tokio::test]
async fn a_release_is_made_by_a_form_and_an_action_is_decided_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(binary(), folder.path());
    let mut browser = Browser::open();
    browser.show(1280, "light");
    follow(&mut browser, &server, "ada", &format!("{}/app/do/loopiq_create_release", server.url));
    browser.write("Name", "backend-v9.0-GCN");
    browser.write("Release version", "9.0");
    browser.write("Target environment", "production");
    browser.write("Why?", "The next one");
    browser.ask("document.querySelector('[name=teamId]').selectedIndex = 1");
    assert_eq!(browser.press("Preview"), 200);
    let text = browser.text();
    assert!(text.contains("Create release") && text.contains("One person"), "{text}");
    // What is changed after the preview is previewed first.
    browser.ask("document.querySelector('[name=name]').value = 'backend-v9.1-GCN'");
    assert_eq!(browser.press("Propose it"), 200);
    assert!(browser.address().contains("/app/do/"), "{}", browser.address());
    assert!(browser.text().contains("backend-v9.1-GCN"), "the preview is of what stands in the form now");
    assert_eq!(browser.press("Propose it"), 200);
    assert!(browser.address().contains("/app/actions/act_"), "{}", browser.address());
    assert_eq!(browser.press("Approve and run"), 200);
    assert!(browser.text().contains("Done: it ran once"), "{}", browser.text());

    // Somebody takes back what they have asked for.
    browser.visit(&format!("{}/app/do/loopiq_create_release", server.url));
    browser.ask(
        "for (const [name, value] of [['name', 'x'], ['releaseVersion', '1'], ['targetEnvironment', 'y'], ['reason', 'z']]) \
         document.querySelector(`[name=${name}]`).value = value; document.querySelector('[name=teamId]').selectedIndex = 1",
    );
    browser.press("Preview");
    browser.press("Propose it");
    browser.write("Why?", "A mistake");
    assert_eq!(browser.press("Withdraw"), 200);
    assert!(browser.text().contains("Rejected: nothing was changed"), "{}", browser.text());

    // One person alone, past the rules; another looks at it.
    let proposal = proposed(&server, &http()).await;
    let link = proposal["approval"]["url"].as_str().unwrap();
    browser.visit(link);
    browser.ask("document.querySelector('#break-glass details').open = true");
    browser.write("Why can it not wait?", "The site is down");
    assert_eq!(browser.press("Break the glass and run"), 200);
    let text = browser.text();
    assert!(
        text.contains("ada@acme.example broke the glass") && text.contains("waits for a review"),
        "{text}"
    );
    assert!(!text.contains("I have looked at it"), "not by herself");
    assert_clean(&browser, &server);
    let mut other = Browser::open();
    follow(&mut other, &server, "rita", &format!("{}/app/approvals", server.url));
    assert!(other.text().contains("Broken glass to review"), "{}", other.text());
    other.visit(link);
    assert_eq!(other.press("I have looked at it"), 200);
    assert!(!other.text().contains("nobody yet"), "{}", other.text());
    other.visit(&format!("{}/app/approvals", server.url));
    assert!(!other.text().contains("Broken glass to review"), "{}", other.text());
    assert_clean(&other, &server);
}

async fn a_form_is_one_write_however_often_it_is_sent(home: Home) {
    let server = Server::demo(&home);
    let ada = server.sign_in("ada").await;
    let team = [("name", "Platform"), ("key", "platform"), ("reason", "We grow")];
    let first = carried_out(&server, &ada, "loopiq_create_team", &team).await;
    let (_, done) = page(&server, &ada, &first).await;
    assert!(done.contains("Done: it ran once"), "{done}");

    // The very same form, pressed twice.
    let path = "/app/do/loopiq_create_team";
    let (_, form) = page(&server, &ada, path).await;
    let key = hidden(&form, "idempotencyKey").to_owned();
    let other = [("name", "Data"), ("key", "data"), ("reason", "We grow"), ("idempotencyKey", key.as_str())];
    let (_, _, preview) = sent(&server, &ada, path, &other).await;
    let previewed = hidden(&preview, "previewed").to_owned();
    let mut proposal = other.to_vec();
    proposal.extend([("previewed", previewed.as_str()), ("step", "propose")]);
    let both = tokio::join!(sent(&server, &ada, path, &proposal), sent(&server, &ada, path, &proposal));
    assert_eq!((both.0.0, both.1.0), (303, 303));
    assert_eq!(both.0.1, both.1.1, "both lead to the one action");

    // What does not fit is said beside its field, and nothing that was typed is lost.
    let wrong = [("name", "Data <b>"), ("key", "No Key"), ("reason", "Because")];
    let (status, _, refused) = sent(&server, &ada, path, &wrong).await;
    assert_eq!(status, 422);
    assert!(refused.contains("value=\"No Key\"") && refused.contains("Data &lt;b&gt;"), "{refused}");
    assert!(refused.contains("lower-case letters") && refused.contains(">Because</textarea>"), "{refused}");
    // Not from our pages, or without the session's token: nothing.
    let (status, _, _) = sent(&server, &(ada.0.clone(), "forged".into()), path, &proposal).await;
    assert_eq!(status, 403);
}

async fn policies_are_written_compared_and_gone_back_from_on_pages(home: Home) {
    let server = Server::demo(&home);
    let ada = server.sign_in("ada").await;
    let publish = "loopiq_publish_policies";
    let shown = home.administer(&["policy", "show", "--org", "acme", "--version", "0"]);
    let text = shown[0]["text"].as_str().unwrap();
    let (status, current) = page(&server, &ada, "/app/policies").await;
    assert!(
        status == 200 && current.contains("In force") && words(&current).contains("own-organization"),
        "{current}"
    );

    let broken = text.replace("@id(\"ordinary-write\")", "@id(\"ordinary-write\"");
    let fields = [("replaces", "0"), ("text", broken.as_str()), ("reason", "A slip"), ("given", "replaces")];
    let (status, _, refused) = sent(&server, &ada, &format!("/app/do/{publish}"), &fields).await;
    assert_eq!(status, 422);
    assert!(refused.contains("Line ") || refused.contains("line "), "it says where: {refused}");
    assert!(words(&refused).contains("@id(\"ordinary-write\"\n"), "the text is still there: {refused}");

    let strict = text.replace(
        "@id(\"ordinary-write\")\n@approval(\"confirm\")",
        "@id(\"two\")\n@approval(\"quorum\")\n@minimum(\"2\")",
    );
    let fields = [("replaces", "0"), ("text", strict.as_str()), ("reason", "Two people")];
    carried_out(&server, &ada, publish, &fields).await;
    let (_, current) = page(&server, &ada, "/app/policies").await;
    let said = words(&current);
    assert!(said.contains("Policies, version 1") && said.contains("Two people"), "{current}");
    assert!(said.contains("removed: ") && said.contains("@minimum(\"2\")"), "what it changed: {current}");
    let (_, old) = page(&server, &ada, "/app/policies/0").await;
    assert!(old.contains("Not in force") && old.contains("Go back to this version"), "{old}");
    let back = [("replaces", "1"), ("restores", "0"), ("reason", "Too strict")];
    carried_out(&server, &ada, publish, &back).await;
    let (_, current) = page(&server, &ada, "/app/policies").await;
    assert!(current.contains("Policies, version 2") && current.contains("version 0 again"), "{current}");
    assert_eq!(page(&server, &ada, "/app/policies/9").await.0, 404);

    // Whoever may see approvals may read their rules, and write none.
    let grace = server.sign_in("grace").await;
    let (status, read) = page(&server, &grace, "/app/policies").await;
    assert!(status == 200 && !read.contains("Write the next version") && !read.contains("Go back"), "{read}");
}

async fn every_record_of_the_log_has_its_proof_on_a_page(home: Home) {
    let server = Server::demo(&home);
    let (rita, grace) = (server.sign_in("rita").await, server.sign_in("grace").await);
    let (status, log) = page(&server, &rita, "/app/audit").await;
    assert!(status == 200 && log.contains("The signed head") && log.contains("Signed in"), "{log}");
    let reads = tokio::time::timeout(PATIENCE, async {
        while !page(&server, &rita, "/app/audit?kind=all").await.1.contains("List audit records") {
            tokio::task::yield_now().await;
        }
    });
    reads.await.expect("reads are written down in batches");
    let (_, log) = page(&server, &rita, "/app/audit").await;
    assert!(!log.contains("List audit records"), "reads are shown when they are asked for");
    let (_, reads) = page(&server, &rita, "/app/audit?kind=denied").await;
    assert!(reads.contains("No record fits") || reads.contains("Denied"), "{reads}");
    let proof: Value = rita
        .0
        .get(format!("{}/api/v1/log/records/2/proof", server.url))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let (status, record) = page(&server, &rita, "/app/audit/2").await;
    assert_eq!(status, 200);
    assert!(record.contains(proof["leafHash"].as_str().unwrap()), "{record}");
    assert!(
        record.contains("Proof that it is in the log") && record.contains("loopiq audit verify"),
        "{record}"
    );
    assert!(log.contains("Proof since a checkpoint") && !log.contains("RFC 9162, 2.1.4.1"), "{log}");
    let (status, grown) = page(&server, &rita, "/app/audit?since=2").await;
    assert!(status == 200 && grown.contains("2 records") && grown.contains("RFC 9162, 2.1.4.1"), "{grown}");
    for unknown in ["999999", "many", "-1"] {
        let (status, grown) = page(&server, &rita, &format!("/app/audit?since={unknown}")).await;
        assert!(status == 200 && grown.contains("No checkpoint of so many records"), "{grown}");
    }
    for absent in ["/app/audit/99999999", "/app/audit/-1", "/app/audit/x"] {
        assert_eq!(page(&server, &rita, absent).await.0, 404, "{absent}");
    }
    assert_eq!(page(&server, &grace, "/app/audit").await.0, 403);
    assert_eq!(page(&server, &grace, "/app/audit/2").await.0, 403);
}

async fn pages_show_what_their_reader_may_do_and_refuse_the_rest(home: Home) {
    let server = Server::demo(&home);
    let (vic, ada, max) =
        (server.sign_in("vic").await, server.sign_in("ada").await, server.sign_in("max").await);
    let (_, everything) = page(&server, &ada, "/app/administration").await;
    assert!(everything.contains("Add a member") && everything.contains("Register an agent"), "{everything}");
    let (status, little) = page(&server, &vic, "/app/administration").await;
    assert!(status == 200 && !little.contains("Add a member") && !little.contains("Audit log"), "{little}");
    assert!(little.contains("Issue a token"), "everybody may make one for their own programs: {little}");
    for (path, status) in [
        ("/app/do/loopiq_add_member", 403),
        ("/app/do/loopiq_list_members", 404),
        ("/app/do/loopiq_fly", 404),
        ("/app/audit", 403),
    ] {
        assert_eq!(page(&server, &vic, path).await.0, status, "{path}");
    }
    let refused =
        sent(&server, &vic, "/app/do/loopiq_create_team", &[("name", "A"), ("key", "aa"), ("reason", "r")]);
    assert_eq!(refused.await.0, 403, "by hand neither");
    let (_, releases) = page(&server, &vic, "/app/releases").await;
    assert!(!releases.contains("Propose a change"), "a viewer proposes nothing");
    let (_, releases) = page(&server, &ada, "/app/releases").await;
    assert!(releases.contains("Propose a change") && releases.contains("Create a release"), "{releases}");

    // Another organization's action is not there to be proposed again, nor to be decided in any way.
    let proposal = proposed(&server, &http()).await;
    let action = proposal["action"]["id"].as_str().unwrap();
    assert_eq!(page(&server, &max, &format!("/app/do/{CREATE}?again={action}")).await.0, 404);
    let digest = proposal["action"]["digest"].as_str().unwrap();
    for way in ["withdraw", "break-glass", "review"] {
        let fields = [("reason", "r"), ("digest", digest)];
        let (status, _, _) = sent(&server, &max, &format!("/app/actions/{action}/{way}"), &fields).await;
        assert_eq!(status, 404, "{way}");
    }
    // Nobody withdraws for somebody else, and a viewer breaks no glass.
    let grace = server.sign_in("grace").await;
    let reason = [("reason", "r"), ("digest", digest)];
    assert_eq!(sent(&server, &grace, &format!("/app/actions/{action}/withdraw"), &reason).await.0, 409);
    assert_eq!(sent(&server, &vic, &format!("/app/actions/{action}/break-glass"), &reason).await.0, 403);
}

async fn a_secret_is_on_one_page_once(home: Home) {
    let server = Server::demo(&home);
    let grace = server.sign_in("grace").await;
    let path = "/app/do/loopiq_issue_token";
    let (_, form) = page(&server, &grace, path).await;
    let key = hidden(&form, "idempotencyKey").to_owned();
    let fields = [
        ("label", "editor"),
        ("scopes", "mcp:access"),
        ("reason", "My editor"),
        ("idempotencyKey", key.as_str()),
    ];
    let (_, _, preview) = sent(&server, &grace, path, &fields).await;
    assert!(preview.contains("editor") && !preview.contains("liq_"), "a preview has no secret: {preview}");
    let previewed = hidden(&preview, "previewed").to_owned();
    let mut wanted = fields.to_vec();
    wanted.extend([("previewed", previewed.as_str()), ("step", "propose")]);
    let (status, _, shown) = sent(&server, &grace, path, &wanted).await;
    assert_eq!(status, 200, "{shown}");
    let (_, rest) = shown.split_once("liq_").expect("the secret is shown");
    let secret: String =
        format!("liq_{rest}").chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let (error, context) = server.call(&http(), &secret, "loopiq_get_context", json!({})).await;
    assert!(!error, "{context}");
    let (status, to, again) = sent(&server, &grace, path, &wanted).await;
    assert!(status == 303 && !again.contains(&secret), "the second time it leads to the action: {again}");
    let (_, action) = page(&server, &grace, &to).await;
    assert!(action.contains("Done: it ran once") && !action.contains(&secret), "{action}");
}

async fn what_is_out_of_date_is_proposed_again(home: Home) {
    let server = Server::demo(&home);
    let (http, grace) = (http(), server.sign_in("grace").await);
    let token = server.token("grace", "acme");
    let item = json!({ "type": "story", "title": "Tidy up", "teamId": "backend", "reason": "it is due" });
    let (_, made) = server.by_hand_at_once(&grace, "loopiq_create_work_item", item).await;
    let id = made["created"][0]["id"].as_str().unwrap();
    let change = |title: &str| json!({ "workItemId": id, "version": 1, "changes": { "title": title, "priority": "high" }, "reason": "it is late" });
    let tool = "loopiq_update_work_item";
    let (_, one) = server.call(&http, &token, tool, change("First")).await;
    let (_, other) = server.call(&http, &token, tool, change("Second")).await;
    server.decide(&grace, one["action"]["id"].as_str().unwrap(), "approve").await.unwrap();
    let late = other["action"]["id"].as_str().unwrap();
    let (_, card) = page(&server, &grace, &format!("/app/actions/{late}")).await;
    assert!(card.contains("Out of date: it will not run") && card.contains("Propose it again"), "{card}");
    let (status, form) = page(&server, &grace, &format!("/app/do/{tool}?again={late}")).await;
    assert_eq!(status, 200);
    assert!(form.contains("value=\"Second\"") && form.contains(">it is late</textarea>"), "{form}");
    assert!(form.contains("<option value=\"high\" selected>"), "{form}");
    assert!(!card.contains("Approve and run"), "nobody is led to approve what will not run: {card}");
    // What a form has no fields for is carried along as it was.
    let package = server.package(&http, &token, "With children").await;
    let (_, waiting) = server.call(&http, &token, CREATE, package).await;
    let waiting = waiting["action"]["id"].as_str().unwrap();
    server.decide(&grace, waiting, "reject").await.unwrap();
    let (_, form) = page(&server, &grace, &format!("/app/do/{CREATE}?again={waiting}")).await;
    let rest = words(hidden(&form, "rest"));
    assert!(rest.contains("Task of With children"), "{form}");
    let fields = [
        ("release", "backend-v1.0-GCN"),
        ("teamId", "backend"),
        ("parent.title", "With children, again"),
        ("allowDuplicate", "true"),
        ("reason", "It is still wanted"),
        ("rest", &rest),
    ];
    carried_out(&server, &grace, CREATE, &fields).await;
    // Of another command it is no beginning.
    assert_eq!(page(&server, &grace, &format!("/app/do/loopiq_create_work_item?again={late}")).await.0, 404);
}
