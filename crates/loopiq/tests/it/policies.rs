//! Policies of an organization: checked, tried on the past, published, in force by the next call on every node, and gone
//! back from.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::server::{CREATE, Home, Server, binary, http, on_both_engines};

on_both_engines! {
    what_is_published_decides_the_next_call
    what_would_lock_everybody_out_is_not_published
    a_draft_is_tried_on_the_past
    a_draft_is_tried_on_what_was_refused_in_a_period_by_who_is_still_there
    policies_that_cannot_be_read_stop_writing_and_nothing_else
    what_a_policy_hides_is_left_out_wherever_it_would_be_shown
    a_tool_that_is_kept_from_a_team_is_kept_from_its_records
}

/// A file with the default policies, changed.
pub fn draft(home: &Home, name: &str, change: impl Fn(String) -> String) -> PathBuf {
    let shown = home.administer(&["policy", "show", "--org", "acme", "--version", "0"]);
    let path = home
        .folder
        .path()
        .with_file_name(format!("{}-{name}", home.folder.path().file_name().unwrap().display()));
    std::fs::write(&path, change(shown[0]["text"].as_str().unwrap().to_owned())).unwrap();
    path
}

pub fn publish(home: &Home, what: &[&str], email: &str) -> (Option<i32>, String, Option<Value>) {
    let mut arguments = vec!["policy", "publish"];
    arguments.extend(what);
    arguments.extend(["--org", "acme", "--email", email, "--reason", "As agreed on Monday"]);
    let done = home.command(&arguments).arg("--json").output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    (done.status.code(), said, serde_json::from_slice(&done.stdout).ok())
}

async fn asked(server: &Server, token: &str, title: &str) -> Value {
    let http = http();
    let mut package = server.package(&http, token, title).await;
    package["dryRun"] = json!(true);
    let (error, preview) = server.call(&http, token, CREATE, package).await;
    assert!(!error, "{preview}");
    preview["preview"]["requirement"].clone()
}

async fn what_is_published_decides_the_next_call(home: Home) {
    let server = Server::demo(&home);
    // On PostgreSQL a second node answers, to which nobody has published anything.
    let other = home.database.as_ref().map(|_| Server::node(&home, &server));
    let asks = other.as_ref().unwrap_or(&server);
    let grace = server.token("grace", "acme");
    assert_eq!(asked(asks, &grace, "First").await["minimumApprovers"], 1);

    let strict = draft(&home, "strict.cedar", |text| {
        text.replace(
            "@id(\"ordinary-write\")\n@approval(\"confirm\")",
            "@id(\"two\")\n@approval(\"quorum\")\n@minimum(\"2\")",
        )
    });
    let (code, said, told) = publish(&home, &[strict.to_str().unwrap()], "ada@acme.example");
    assert_eq!(code, Some(0), "{said}");
    let told = told.unwrap();
    assert_eq!((&told["version"], &told["status"]), (&json!(1), &json!("executed")));
    let notes: Vec<_> = told["notes"].as_array().unwrap().iter().map(|note| &note["text"]).collect();
    assert_eq!(notes, ["New policies: two.", "Removed policies: ordinary-write."]);
    let requirement = asked(asks, &grace, "Second").await;
    assert_eq!((&requirement["minimumApprovers"], &requirement["policy"]), (&json!(2), &json!("two")));

    // Somebody without the permission changes nothing; going back is a version of its own.
    let (code, said, _) = publish(&home, &["--restore", "0"], "grace@acme.example");
    assert!(code == Some(1) && said.contains("organization:manage"), "{said}");
    let (code, said, _) = publish(&home, &["--restore", "7"], "ada@acme.example");
    assert!(code == Some(1) && said.contains("no version that was published"), "{said}");
    let (code, said, _) = publish(&home, &["--restore", "0"], "ada@acme.example");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(asked(asks, &grace, "Third").await["policy"], "ordinary-write");
    let versions = home.administer(&["policy", "list", "--org", "acme"]);
    let known: Vec<_> = versions.iter().map(|v| (&v["version"], &v["restores"], &v["reason"])).collect();
    let why = json!("As agreed on Monday");
    assert_eq!(known, [(&json!(2), &json!(0), &why), (&json!(1), &Value::Null, &why)]);

    let rita = server.token("rita", "acme");
    let (error, records) =
        server.call(&http(), &rita, "loopiq_list_audit_records", json!({ "limit": 100 })).await;
    assert!(!error, "{records}");
    let published = records["items"].as_array().unwrap().iter();
    let published = published.filter(|r| r["tool"] == "loopiq_publish_policies" && r["kind"] == "executed");
    assert_eq!(published.count(), 2);

    // An administrator's client is not offered it, and calling it is calling nothing.
    let ada = server.token("ada", "acme");
    let refused = asks.try_call(&http(), &ada, "loopiq_publish_policies", json!({})).await;
    assert!(refused.is_none_or(|(error, _)| error), "it is no tool of MCP");
}

async fn what_would_lock_everybody_out_is_not_published(home: Home) {
    let server = Server::demo(&home);
    let grace = server.token("grace", "acme");
    let attempts = [
        ("nobody", "@id(\"ordinary-write\")\n@people(\"nobody@acme.example\")", "0 member(s) could give one"),
        ("many", "@id(\"ordinary-write\")\n@minimum(\"20\")", "@minimum goes with"),
        (
            "closed",
            "@id(\"shut\")\nforbid (principal, action, resource);\n@id(\"ordinary-write\")",
            "could publish policies any more",
        ),
        ("broken", "@id(\"ordinary-write\"", "line "),
    ];
    for (name, instead, says) in attempts {
        let file = draft(&home, name, |text| text.replace("@id(\"ordinary-write\")", instead));
        let path = file.to_str().unwrap();
        let (code, said, _) = publish(&home, &[path], "ada@acme.example");
        assert!(code == Some(1) && said.contains(says), "{name}: {said}");
        let checked = home.command(&["policy", "check", path, "--org", "acme"]).output().unwrap();
        assert_eq!(checked.status.code(), Some(1), "{name}");
        let printed = String::from_utf8(checked.stdout).unwrap();
        assert!(printed.contains(says), "{name}: {printed}");
    }
    assert_eq!(asked(&server, &grace, "As before").await["policy"], "ordinary-write");
}

async fn a_draft_is_tried_on_the_past(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let grace = server.token("grace", "acme");
    let package = server.package(&http, &grace, "In the past").await;
    let approver = server.sign_in("grace").await;
    let done = server.carry_out(&grace, &approver, CREATE, package).await;
    let action = done["action"]["id"].as_str().unwrap().to_owned();

    let attempt = |name: &str, from: &str, to: &str| {
        let file = draft(&home, name, |text| text.replace(from, to));
        home.administer(&["policy", "what-if", file.to_str().unwrap(), "--org", "acme"]).remove(0)
    };
    let same = attempt("same.cedar", "@id(\"ordinary-write\")", "@id(\"renamed\")");
    assert_eq!(same["differences"], json!([]), "a name alone decides nothing");
    let stricter = attempt(
        "stricter.cedar",
        "@id(\"ordinary-write\")\n@approval(\"confirm\")",
        "@id(\"two\")\n@approval(\"quorum\")\n@minimum(\"2\")",
    );
    let differences = stricter["differences"].as_array().unwrap();
    let of = differences.iter().find(|d| d["action"] == json!(action)).unwrap();
    assert!(of["wouldBe"].as_str().unwrap().contains("2 people"), "{of}");
    assert!(of["wouldBe"].as_str().unwrap().contains("would not have been enough"), "{of}");
    let closed = attempt(
        "closed.cedar",
        "@id(\"ordinary-write\")",
        "@id(\"no-packages\")\nforbid (principal, action == LoopIQ::Action::\"loopiq_create_remediation_work_package\", resource);\n@id(\"ordinary-write\")",
    );
    let of = closed["differences"].as_array().unwrap().iter().find(|d| d["action"] == json!(action)).unwrap();
    assert_eq!(of["wouldBe"], "refused by no-packages");
}

async fn a_draft_is_tried_on_what_was_refused_in_a_period_by_who_is_still_there(home: Home) {
    let server = Server::demo(&home);
    let (http, ada) = (http(), server.sign_in("ada").await);
    // Somebody without the right tries; the call is refused, and the log has it.
    let address = format!("{}/api/v1/tools/{CREATE}", server.url);
    let tried = http.post(address).bearer_auth(server.token("vic", "acme")).json(&json!({}));
    assert_eq!(tried.send().await.unwrap().status(), 403);
    let linus = server.token("linus", "acme");
    let package = server.package(&http, &linus, "By somebody who leaves").await;
    let (error, proposed) = server.call(&http, &linus, CREATE, package).await;
    assert!(!error, "{proposed}");
    let rita = server.token("rita", "acme");
    let asked = json!({ "kind": ["denied", "proposed"], "limit": 100 });
    let (_, log) = server.call(&http, &rita, "loopiq_list_audit_records", asked).await;
    let at = |kind: &str| {
        let mut records = log["items"].as_array().unwrap().iter().filter(|record| record["tool"] == CREATE);
        let found = records.find(|record| record["kind"] == kind).unwrap_or_else(|| panic!("{kind}: {log}"));
        found["recordedAt"].as_str().unwrap().to_owned()
    };
    let (denied, made) = (at("denied"), at("proposed"));

    let open = draft(&home, "open.cedar", |text| {
        text + "@id(\"viewers-too\") permit (principal, action in [LoopIQ::Action::\"remediation:create\",
                LoopIQ::Action::\"loopiq_create_remediation_work_package\"], resource);"
    });
    let attempt = |period: &[&str]| {
        let path = open.to_str().unwrap();
        let arguments = [&["policy", "what-if", path, "--org", "acme"], period].concat();
        home.administer(&arguments).remove(0)
    };
    let count = |found: &Value, what: &str| found[what].as_u64().unwrap();
    let counts = |found: &Value| ["actions", "refusedCalls", "leftOut"].map(|what| count(found, what));
    let allowed = |found: &Value| {
        let differences = found["differences"].as_array().unwrap().clone();
        differences.into_iter().filter(|d| d["person"] == "vic@acme.example").collect::<Vec<_>>()
    };
    let whole = attempt(&[]);
    let of = allowed(&whole);
    assert_eq!(of.len(), 1, "{whole}");
    assert_eq!((&of[0]["was"], &of[0]["tool"]), (&json!("refused"), &json!(CREATE)), "{whole}");
    let would_be = of[0]["wouldBe"].as_str().unwrap();
    assert!(would_be.starts_with("allowed by ") && would_be.contains("viewers-too"), "{whole}");
    let [actions, refused, left_out] = counts(&whole);

    // Both ends of a period belong to it, and what lies outside is left out without being counted.
    let after = attempt(&["--since", &made]);
    assert_eq!((count(&after, "refusedCalls"), allowed(&after).len()), (0, 0), "{after}");
    assert_eq!(count(&after, "actions"), 1, "{after}");
    let before = attempt(&["--until", &denied]);
    assert_eq!((count(&before, "actions"), allowed(&before).len()), (actions - 1, 1), "{before}");

    // Whoever has left cannot be asked about any more, and no draft gives them anything.
    for member in ["linus@acme.example", "vic@acme.example"] {
        let leave = json!({ "member": member, "status": "inactive", "reason": "they moved on" });
        assert_eq!(server.by_hand(&ada, "loopiq_set_member_status", leave).await.0, 200);
    }
    let later = attempt(&["--until", &made]);
    assert_eq!(counts(&later), [actions - 1, refused - 1, left_out + 2], "{later}");
    assert!(allowed(&later).is_empty(), "{later}");
}

async fn policies_that_cannot_be_read_stop_writing_and_nothing_else(home: Home) {
    let server = Server::demo(&home);
    let (http, grace) = (http(), server.token("grace", "acme"));
    let package = server.package(&http, &grace, "Before").await;
    let (_, waiting) = server.call(&http, &grace, CREATE, package.clone()).await;
    let file = draft(&home, "own.cedar", |text| text.replace("\"ordinary-write\"", "\"own\""));
    let (code, said, _) = publish(&home, &[file.to_str().unwrap()], "ada@acme.example");
    assert_eq!(code, Some(0), "{said}");
    server.stop();
    // A text that another version of the program would have taken.
    let organizations = home.administer(&["org", "list"]);
    let acme = organizations.iter().find(|o| o["slug"] == "acme").unwrap()["id"].as_str().unwrap();
    let text = "update policy_set set document = replace(document, 'mcpAccess', 'mcpExcess')";
    match &home.database {
        Some(database) => database.run(&database.name, text).await,
        None => testkit::sqlite::run(home.folder.path(), acme, text),
    }
    let checked = home.command(&["doctor"]).output().unwrap();
    let printed = String::from_utf8(checked.stdout).unwrap();
    assert!(!checked.status.success() && printed.contains("FAIL  acme: policies, version 1"), "{printed}");

    let server = Server::demo(&home);
    let grace = server.token("grace", "acme");
    let (error, read) =
        server.call(&http, &grace, "loopiq_get_release", json!({ "release": "backend-v1.0-GCN" })).await;
    assert!(!error, "reading goes on: {read}");
    let (error, refused) = server.call(&http, &grace, CREATE, package).await;
    assert!(error, "nothing is written by rules that nobody can read: {refused}");
    let session = server.sign_in("grace").await;
    let (status, _) =
        server.decide(&session, waiting["action"]["id"].as_str().unwrap(), "approve").await.unwrap();
    assert_eq!(status, 403, "nor decided");
    let (code, said, _) = publish(&home, &["--restore", "0"], "ada@acme.example");
    assert_eq!(code, Some(0), "{said}");
    let again = server.package(&http, &grace, "After").await;
    let (error, proposed) = server.call(&http, &grace, CREATE, again).await;
    assert!(!error && proposed["status"] == "pending_approval", "{proposed}");
    assert!(home.command(&["doctor"]).status().unwrap().success());
}

async fn what_a_policy_hides_is_left_out_wherever_it_would_be_shown(home: Home) {
    let server = Server::demo(&home);
    let (http, token, session) = (http(), server.token("grace", "acme"), server.sign_in("grace").await);
    let list = "loopiq_list_provider_blockers";
    let of_release = json!({ "release": "backend-v1.0-GCN" });
    let located = |answer: &Value| {
        let items = answer["items"].as_array().unwrap();
        let with = items.iter().filter(|item| item["location"].is_string()).count();
        let said = items.iter().filter(|item| item["hidden"] == json!(["location"])).count();
        (items.len(), with, said)
    };
    let before = located(&server.call(&http, &token, list, of_release.clone()).await.1);
    assert!(before.0 > 0 && before.1 > 0 && before.2 == 0, "some lie somewhere: {before:?}");

    let rules = "
@id(\"places-stay-inside\")
@reason(\"AI clients are not told where in the code a finding lies.\")
forbid (principal, action == LoopIQ::Action::\"see:blocker.location\", resource in LoopIQ::Organization::\"ORG\")
when { context.mcp && resource is LoopIQ::Team && resource.key == \"backend\" };
@id(\"statements-by-leads\")
forbid (principal, action == LoopIQ::Action::\"see:evidence.statement\", resource)
unless { principal.roles.contains(\"governance_lead\") };
@id(\"reasons-by-auditors\")
forbid (principal, action in [LoopIQ::Action::\"see:audit_record.reason\", LoopIQ::Action::\"see:audit_record.email\"], resource)
unless { principal.roles.contains(\"compliance_reviewer\") };";
    let (_, context) = server.call(&http, &token, "loopiq_get_context", json!({})).await;
    let organization = context["context"]["organization"]["id"].as_str().unwrap();
    let file = draft(&home, "hides.cedar", |text| text + &rules.replace("ORG", organization));
    let cases = home.folder.path().with_extension("hides.toml");
    let cases_text = "[[case]]
name = \"AI clients see no places\"
given.roles = [\"viewer\"]
when = { see = \"blocker.location\", team = \"backend\" }
expect = { access = \"deny\" }
[[case]]
name = \"There is such a part\"
given.roles = [\"viewer\"]
when = { see = \"blocker.colour\" }
expect = { access = \"allow\" }";
    std::fs::write(&cases, cases_text).unwrap();
    let tested =
        Command::new(binary()).args(["policy", "test"]).arg(&cases).arg("--policies").arg(&file).output();
    let tested = tested.unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&tested.stdout), String::from_utf8_lossy(&tested.stderr));
    assert_eq!(tested.status.code(), Some(1), "{said}");
    assert!(
        said.contains("what can be seen is blocker.location") && said.contains("There is such a part"),
        "{said}"
    );
    assert!(!said.contains("access is"), "the other case is as expected: {said}");
    let (code, said, _) = publish(&home, &[file.to_str().unwrap()], "ada@acme.example");
    assert_eq!(code, Some(0), "{said}");

    // The same person, the same records: over MCP without the places, in the console with them.
    let (_, listed) = server.call(&http, &token, list, of_release.clone()).await;
    assert_eq!(located(&listed), (before.0, 0, before.0), "{listed}");
    let (_, by_hand) = server.by_hand(&session, list, of_release).await;
    assert_eq!(located(&by_hand), before);

    // The records of the log: whole for who reviews, without words and names for others.
    let records = async |name: &str| {
        let asked = json!({ "kind": ["executed", "proposed"], "limit": 100 });
        server.by_hand(&server.sign_in(name).await, "loopiq_list_audit_records", asked).await.1
    };
    let named = |listed: &Value, field: &str| {
        listed["items"].as_array().unwrap().iter().filter(|item| item[field].is_string()).count()
    };
    let (ada, rita) = (records("ada").await, records("rita").await);
    assert_eq!((named(&ada, "reason"), named(&ada, "email")), (0, 0), "{ada}");
    assert!(named(&rita, "email") > 0 && rita["items"][0]["hidden"].is_null(), "{rita}");
}

async fn a_tool_that_is_kept_from_a_team_is_kept_from_its_records(home: Home) {
    let server = Server::demo(&home);
    let (http, ada) = (http(), server.token("ada", "acme"));
    let item =
        |team: &str| json!({ "type": "story", "title": "Somewhere", "teamId": team, "reason": "a test" });
    let add = |team: &str| server.call(&http, &ada, "loopiq_create_work_item", item(team));
    let read = |release: &str| server.call(&http, &ada, "loopiq_get_release", json!({ "release": release }));
    assert!(!add("payments").await.0 && !read("payments-v2.3").await.0, "before");

    let rules = "
@id(\"not-of-payments\")
@reason(\"Payments plans its work elsewhere.\")
forbid (
  principal,
  action in [LoopIQ::Action::\"loopiq_create_work_item\", LoopIQ::Action::\"loopiq_get_release\"],
  resource
)
when { resource is LoopIQ::Team && resource.key == \"payments\" };";
    let file = draft(&home, "not-of-payments.cedar", |text| text + rules);
    let cases = home.folder.path().with_extension("teams.toml");
    let case = |tool: &str, team: &str, access: &str| {
        format!(
            "[[case]]\nname = \"{tool} {team}\"\ngiven.roles = [\"organization_admin\"]\n\
             when = {{ tool = \"{tool}\", team = \"{team}\" }}\nexpect = {{ access = \"{access}\" }}\n"
        )
    };
    let (create, get) = ("loopiq_create_work_item", "loopiq_get_release");
    let expected = [
        case(create, "payments", "deny"),
        case(create, "backend", "allow"),
        case(get, "payments", "deny"),
        case(get, "backend", "allow"),
    ];
    std::fs::write(&cases, expected.concat()).unwrap();
    let tested =
        Command::new(binary()).args(["policy", "test"]).arg(&cases).arg("--policies").arg(&file).output();
    let tested = tested.unwrap();
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stdout));
    let (code, said, _) = publish(&home, &[file.to_str().unwrap()], "ada@acme.example");
    assert_eq!(code, Some(0), "{said}");

    // As the tests of the policies say.
    let (error, refused) = add("payments").await;
    assert!(error && refused["error"]["code"] == "forbidden", "{refused}");
    let (error, proposed) = add("backend").await;
    assert!(!error, "{proposed}");
    let (error, refused) = read("payments-v2.3").await;
    assert!(error, "{refused}");
    assert!(!read("backend-v1.0-GCN").await.0);
    // Another tool that reads the same records is not meant.
    let of_release = json!({ "release": "payments-v2.3" });
    let (error, listed) = server.call(&http, &ada, "loopiq_list_release_certifications", of_release).await;
    assert!(!error && !listed["items"].as_array().unwrap().is_empty(), "{listed}");
}
