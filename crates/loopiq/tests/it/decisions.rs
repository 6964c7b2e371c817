//! What people do about a proposal besides approving it: taking it back, approving past the rules, looking at that, and
//! seeing that it is out of date.

use reqwest::Client;
use serde_json::{Value, json};

use crate::policies::{draft, publish};
use crate::server::{CREATE, Home, Server, http, on_both_engines};

on_both_engines! {
    what_one_has_proposed_one_may_take_back_and_nobody_else
    a_glass_is_broken_by_one_and_looked_at_by_another
    a_proposal_on_the_same_records_is_marked_when_one_has_run
    what_its_requester_may_no_longer_do_does_not_run
    an_approval_counts_while_its_giver_may_approve
}

async fn propose(server: &Server, http: &Client, token: &str, title: &str) -> String {
    let package = server.package(http, token, title).await;
    let (error, proposed) = server.call(http, token, CREATE, package).await;
    assert!(!error, "{proposed}");
    proposed["action"]["id"].as_str().unwrap().to_owned()
}

/// A decision with a reason, by whoever the client is.
async fn decide(server: &Server, asked: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = asked.json(&json!({ "reason": "production is down" })).send().await.unwrap();
    let status = answer.status().as_u16();
    assert!(!answer.headers().contains_key("location"), "{}", server.url);
    (status, answer.json().await.unwrap())
}

async fn what_one_has_proposed_one_may_take_back_and_nobody_else(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let (grace, linus) = (server.token("grace", "acme"), server.token("linus", "acme"));
    let action = propose(&server, &http, &grace, "Taken back").await;
    let withdraw = format!("{}/api/v1/actions/{action}/withdraw", server.url);
    let (status, refused) = decide(&server, http.post(&withdraw).bearer_auth(&linus)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("approval_not_granted")), "{refused}");
    let (status, taken) = decide(&server, http.post(&withdraw).bearer_auth(&grace)).await;
    assert_eq!((status, &taken["status"]), (200, &json!("rejected")), "{taken}");
    let (status, again) = decide(&server, http.post(&withdraw).bearer_auth(&grace)).await;
    assert_eq!((status, &again["code"]), (409, &json!("approval_not_granted")), "{again}");
    let session = server.sign_in("grace").await;
    let (status, late) = server.decide(&session, &action, "approve").await.unwrap();
    assert_eq!(status, 409, "{late}");
}

async fn a_glass_is_broken_by_one_and_looked_at_by_another(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let grace = server.token("grace", "acme");
    let action = propose(&server, &http, &grace, "Cannot wait").await;
    let (ada, lead) = (server.sign_in("ada").await, server.sign_in("grace").await);
    let by = |session: &(Client, String), verb: &str| {
        let address = format!("{}/api/v1/actions/{action}/{verb}", server.url);
        session.0.post(address).header("X-CSRF-Token", &session.1)
    };
    // It needs a permission of its own, a person, and a reason.
    let (status, refused) = decide(&server, by(&lead, "break-glass")).await;
    assert_eq!(status, 403, "{refused}");
    let silent = by(&ada, "break-glass").json(&json!({ "reason": "  " })).send().await.unwrap();
    assert_eq!(silent.status(), 422);
    let (status, early) = decide(&server, by(&ada, "review")).await;
    assert_eq!(status, 422, "there is nothing to look at yet: {early}");

    let (status, broken) = decide(&server, by(&ada, "break-glass")).await;
    assert_eq!((status, &broken["status"]), (200, &json!("executed")), "{broken}");
    assert_eq!(broken["card"]["brokenGlass"]["reason"], "production is down");
    let (status, own) = decide(&server, by(&ada, "review")).await;
    assert_eq!(status, 422, "not by the one who broke it: {own}");
    let (status, reviewed) = decide(&server, by(&lead, "review")).await;
    assert_eq!(
        (status, reviewed["card"]["brokenGlass"]["review"]["by"].is_string()),
        (200, true),
        "{reviewed}"
    );

    let auditor = server.token("rita", "acme");
    let arguments = json!({ "actionId": action });
    let (error, records) = server.call(&http, &auditor, "loopiq_list_audit_records", arguments).await;
    assert!(!error, "{records}");
    let kinds: Vec<&str> =
        records["items"].as_array().unwrap().iter().map(|r| r["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reviewed", "executed", "broken_glass", "proposed"]);
}

async fn a_proposal_on_the_same_records_is_marked_when_one_has_run(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let grace = server.token("grace", "acme");
    let first = propose(&server, &http, &grace, "First").await;
    let second = propose(&server, &http, &grace, "Second").await;
    let session = server.sign_in("grace").await;
    let (status, done) = server.decide(&session, &first, "approve").await.unwrap();
    assert_eq!((status, &done["status"]), (200, &json!("executed")), "{done}");
    let card = session.0.get(format!("{}/api/v1/actions/{second}", server.url)).send().await.unwrap();
    let card: Value = card.json().await.unwrap();
    assert!(card["card"]["outdatedAt"].is_string(), "{card}");
    let page = session.0.get(format!("{}/app/actions/{second}", server.url)).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("Out of date"));
    let (status, failed) = server.decide(&session, &second, "approve").await.unwrap();
    assert_eq!((status, &failed["status"]), (200, &json!("failed")), "{failed}");
    assert_eq!(failed["failure"]["code"], "stale_preview");
}

/// Takes a person's role away and leaves them reading.
fn only_reads(home: &Home, email: &str, role: &str) {
    let who = ["--org", "acme", "--email", email, "--role"];
    home.administer(&[&["user", "grant"][..], &who, &["viewer"]].concat());
    home.administer(&[&["user", "revoke"][..], &who, &[role]].concat());
}

async fn what_its_requester_may_no_longer_do_does_not_run(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let (linus, grace) = (server.token("linus", "acme"), server.token("grace", "acme"));
    let approver = server.sign_in("grace").await;
    let work_items = async || {
        let (_, listed) = server.call(&http, &grace, "loopiq_list_work_items", json!({ "limit": 100 })).await;
        listed["items"].as_array().unwrap().len()
    };
    let before = work_items().await;
    let ends = async |action: &str| {
        let (status, ended) = server.decide(&approver, action, "approve").await.unwrap();
        assert_eq!((status, &ended["status"]), (200, &json!("failed")), "{ended}");
        assert_eq!(ended["failure"]["code"], "forbidden");
    };

    // Everybody has lost the tool since, though not the permission.
    let action = propose(&server, &http, &grace, "By a tool that is shut").await;
    let shut = "
@id(\"no-packages\")
forbid (principal, action == LoopIQ::Action::\"loopiq_create_remediation_work_package\", resource);";
    let file = draft(&home, "shut.cedar", |text| text + shut);
    let (code, said, _) = publish(&home, &[file.to_str().unwrap()], "ada@acme.example");
    assert_eq!(code, Some(0), "{said}");
    ends(&action).await;
    let (code, said, _) = publish(&home, &["--restore", "0"], "ada@acme.example");
    assert_eq!(code, Some(0), "{said}");

    // The person has lost the role since.
    let action = propose(&server, &http, &linus, "By somebody who leaves").await;
    only_reads(&home, "linus@acme.example", "team_lead@backend");
    ends(&action).await;
    assert_eq!(work_items().await, before, "nothing was written");
}

async fn an_approval_counts_while_its_giver_may_approve(home: Home) {
    let server = Server::demo(&home);
    let http = http();
    let two = draft(&home, "two.cedar", |text| {
        text.replace(
            "@id(\"ordinary-write\")\n@approval(\"confirm\")",
            "@id(\"two\")\n@approval(\"quorum\")\n@minimum(\"2\")\n@separation(\"off\")",
        )
    });
    let (code, said, _) = publish(&home, &[two.to_str().unwrap()], "ada@acme.example");
    assert_eq!(code, Some(0), "{said}");
    let linus = server.token("linus", "acme");
    let action = propose(&server, &http, &linus, "By two of us").await;
    let [first, second, third] = ["grace", "ada", "linus"].map(|name| server.sign_in(name));
    let (first, second, third) = (first.await, second.await, third.await);
    let (status, one) = server.decide(&first, &action, "approve").await.unwrap();
    assert_eq!((status, &one["status"]), (200, &json!("pending_approval")), "{one}");
    only_reads(&home, "grace@acme.example", "release_manager@backend");
    let (status, one) = server.decide(&second, &action, "approve").await.unwrap();
    assert_eq!(
        (status, &one["status"]),
        (200, &json!("pending_approval")),
        "the first no longer counts: {one}"
    );
    let by: Vec<_> = one["card"]["approvals"].as_array().unwrap().iter().map(|a| &a["email"]).collect();
    assert_eq!(by, ["ada@acme.example"]);
    let (status, both) = server.decide(&third, &action, "approve").await.unwrap();
    assert_eq!((status, &both["status"]), (200, &json!("executed")), "{both}");
}
