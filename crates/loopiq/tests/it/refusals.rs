//! Every code by which somebody can be refused, brought about from outside, each with its remedy.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::refusal::Code;
use serde_json::{Value, json};

use crate::server::{CREATE, Home, Server, http, on_both_engines};

on_both_engines! {
    every_code_is_brought_about
}

/// How long a test waits for what the server does in its own time.
const PATIENCE: Duration = Duration::from_mins(1);

/// Codes that no story can be certain to bring about, with the reason; `docs/refusals.md` says the same to readers.
const OUT_OF_REACH: [(Code, &str); 4] = [
    (Code::Internal, "it would be a bug"),
    (
        Code::InProgress,
        "a push of evidence says it that was overtaken by another one each of twenty times; an approved action runs in \
         the commit of its approval, so that nobody finds one that is about to run",
    ),
    (Code::StaleReference, "superseded: stale_preview at an approval, version_conflict at a change"),
    (Code::SubscriptionRequired, "reserved: there are no plans"),
];

/// The codes that were seen.
#[derive(Default)]
struct Seen(BTreeSet<String>);

impl Seen {
    /// A refusal in whichever form the surface gives it.
    fn refused(&mut self, answer: &Value, code: Code) {
        let of_mcp = &answer["error"];
        let (said, remedy) = if of_mcp.is_object() {
            (&of_mcp["code"], &of_mcp["remedy"])
        } else {
            (&answer["code"], &answer["remedy"])
        };
        assert_eq!(said, code.as_str(), "{answer}");
        assert!(remedy.as_str().is_some_and(|remedy| !remedy.is_empty()), "{answer}");
        self.0.insert(code.to_string());
    }

    async fn by_mcp(&mut self, server: &Server, token: &str, tool: &str, arguments: Value, code: Code) {
        let (error, answer) = server.call(&http(), token, tool, arguments).await;
        assert!(error, "{tool}: {answer}");
        self.refused(&answer, code);
    }
}

async fn every_code_is_brought_about(mut home: Home) {
    let mut seen = Seen::default();
    let server = Server::demo(&home);
    who_asks(&mut seen, &server).await;
    what_is_asked(&mut seen, &server).await;
    what_is_decided(&mut seen, &server).await;
    server.stop();
    home.settings.push(("LOOPIQ_CALLS_PER_MINUTE", "3".into()));
    home.settings.push(("LOOPIQ_EVIDENCE_BYTES_MAX", "1024".into()));
    too_much(&mut seen, &Server::demo(&home)).await;

    let described = include_str!("../../../../docs/refusals.md");
    for code in Code::ALL {
        let row = described.lines().find(|line| line.starts_with(&format!("| `{code}` |")));
        let again = if code.retryable() { "| yes |" } else { "| no |" };
        assert!(row.is_some_and(|row| row.ends_with(again)), "docs/refusals.md says what {code} means");
    }
    let reachable = Code::ALL.iter().filter(|code| OUT_OF_REACH.iter().all(|(known, _)| known != *code));
    let wanted: BTreeSet<String> = reachable.map(ToString::to_string).collect();
    assert_eq!(seen.0, wanted);
}

async fn who_asks(seen: &mut Seen, server: &Server) {
    let (grace, vic) = (server.token("grace", "acme"), server.token("vic", "acme"));
    let context = "loopiq_get_context";
    seen.by_mcp(server, "liq_nonsense", context, json!({}), Code::Unauthorized).await;
    let releases = format!("{}/api/v1/releases", server.url);
    let elsewhere = http().get(&releases).bearer_auth(&grace).header("LoopIQ-Organization", "globex");
    seen.refused(&elsewhere.send().await.unwrap().json().await.unwrap(), Code::TenantMismatch);
    let address = format!("{}/api/v1/tools/{CREATE}", server.url);
    let refused = http().post(address).bearer_auth(&vic).json(&json!({})).send().await.unwrap();
    seen.refused(&refused.json().await.unwrap(), Code::Forbidden);
    // Somebody signed in who belongs nowhere any more.
    let (ada, nowhere) = (server.sign_in("ada").await, server.sign_in("vic").await);
    let leave = json!({ "member": "vic@acme.example", "status": "inactive", "reason": "a test" });
    assert_eq!(server.by_hand(&ada, "loopiq_set_member_status", leave).await.0, 200);
    seen.refused(&nowhere.0.get(&releases).send().await.unwrap().json().await.unwrap(), Code::TenantRequired);
    for on in [false, true] {
        let switch = json!({ "mcpEnabled": on, "reason": "a test" });
        assert_eq!(server.by_hand(&ada, "loopiq_update_organization", switch).await.0, 200);
        if !on {
            seen.by_mcp(server, &grace, context, json!({}), Code::McpNotEnabled).await;
        }
    }
}

async fn what_is_asked(seen: &mut Seen, server: &Server) {
    let grace = server.token("grace", "acme");
    let session = server.sign_in("grace").await;
    seen.by_mcp(server, &grace, "loopiq_get_release", json!({ "release": "none" }), Code::NotFound).await;
    seen.by_mcp(server, &grace, "loopiq_get_release", json!({}), Code::ValidationFailed).await;
    let package = server.package(&http(), &grace, "The first").await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = package.clone();
        change(&mut changed);
        changed
    };
    for (wrong, code) in [
        (with(&|p| p["parent"] = Value::Null), Code::MissingParent),
        (with(&|p| p["parent"]["title"] = json!(" ")), Code::MissingTitle),
        (with(&|p| p["teamId"] = json!("")), Code::UnclearOwnership),
        (with(&|p| p["children"][0]["findingRefs"][0]["id"] = json!("gap_nothing")), Code::ReferenceMismatch),
    ] {
        seen.by_mcp(server, &grace, CREATE, wrong, code).await;
    }
    let item = json!({ "type": "story", "title": "Tidy up", "teamId": "backend", "reason": "it is due" });
    let (_, made) = server.by_hand_at_once(&session, "loopiq_create_work_item", item).await;
    let change = json!({
        "workItemId": made["created"][0]["id"], "version": 9, "changes": { "title": "New" }, "reason": "r",
    });
    seen.by_mcp(server, &grace, "loopiq_update_work_item", change, Code::VersionConflict).await;
    server.carry_out(&grace, &session, CREATE, package.clone()).await;
    let again = with(&|p| {
        p["allowDuplicate"] = json!(false);
        p["idempotencyKey"] = json!("another-package");
    });
    seen.by_mcp(server, &grace, CREATE, again, Code::AlreadyRemediated).await;
    let nobody =
        json!({ "release": "backend-v1.0-GCN", "providers": ["none-such"], "reason": "before the review" });
    seen.by_mcp(server, &grace, "loopiq_refresh_release_evidence", nobody, Code::ProviderUnavailable).await;
    let push = format!("{}/api/v1/releases/backend-v1.0-GCN/evidence?fileName=scan.sarif", server.url);
    let pushed = http().post(push).bearer_auth(&grace).header("Content-Type", "application/sarif+json");
    seen.refused(
        &pushed.body("{ \"runs\": [").send().await.unwrap().json().await.unwrap(),
        Code::EvidenceUnreadable,
    );
}

async fn what_is_decided(seen: &mut Seen, server: &Server) {
    let (grace, linus) = (server.token("grace", "acme"), server.token("linus", "acme"));
    let (session, lead) = (server.sign_in("grace").await, server.sign_in("linus").await);
    let keyed = async |title: &str, key: &str| {
        let mut package = server.package(&http(), &grace, title).await;
        package["idempotencyKey"] = json!(key);
        package
    };
    let (_, one) = server.call(&http(), &grace, CREATE, keyed("One", "key-number-one").await).await;
    let other = keyed("Other", "key-number-one").await;
    seen.by_mcp(server, &grace, CREATE, other, Code::IdempotencyConflict).await;
    let mut foreign = keyed("Third", "key-number-three").await;
    foreign["approvalId"] = one["approval"]["id"].clone();
    seen.by_mcp(server, &grace, CREATE, foreign, Code::PayloadMismatch).await;
    let action = one["action"]["id"].as_str().unwrap();
    assert_eq!(server.decide(&session, action, "approve").await.unwrap().0, 200);
    seen.refused(&server.decide(&session, action, "approve").await.unwrap().1, Code::ApprovalAlreadyUsed);

    // Two that rest on the same record: the second is not run on what the first has changed.
    let item = json!({ "type": "story", "title": "Both", "teamId": "backend", "reason": "it is due" });
    let (_, made) = server.by_hand_at_once(&session, "loopiq_create_work_item", item).await;
    let change = |title: &str| json!({ "workItemId": made["created"][0]["id"], "version": 1, "changes": { "title": title }, "reason": "r" });
    let mut waiting = Vec::new();
    for title in ["First", "Second"] {
        let (_, proposed) = server.call(&http(), &linus, "loopiq_update_work_item", change(title)).await;
        waiting.push(proposed["action"]["id"].as_str().unwrap().to_owned());
    }
    server.decide(&lead, &waiting[0], "approve").await.unwrap();
    let (_, stale) = server.decide(&lead, &waiting[1], "approve").await.unwrap();
    seen.refused(&stale["failure"], Code::StalePreview);

    let ada = server.sign_in("ada").await;
    let (_, gaps) = server
        .call(&http(), &grace, "loopiq_list_evidence_gaps", json!({ "release": "backend-v1.0-GCN" }))
        .await;
    let exception = json!({
        "kind": "exception", "targetIds": [gaps["items"][0]["id"]], "rationale": "the scanner is down",
        "expiresAt": server.in_days(&grace, 30).await, "reason": "r",
    });
    let (_, own) = server.by_hand(&ada, "loopiq_propose_exception", exception).await;
    let own = own["action"]["id"].as_str().unwrap_or_else(|| panic!("{own}"));
    seen.refused(&server.decide(&ada, own, "approve").await.unwrap().1, Code::ApprovalNotGranted);

    let short = json!({ "approvalExpirySeconds": 1, "reason": "a test" });
    assert_eq!(server.by_hand(&ada, "loopiq_update_organization", short).await.0, 200);
    let (_, late) = server.call(&http(), &grace, CREATE, keyed("Late", "key-number-four").await).await;
    let late = late["action"]["id"].as_str().unwrap();
    let over = tokio::time::timeout(PATIENCE, async {
        let address = format!("{}/api/v1/actions/{late}", server.url);
        loop {
            let shown: Value = session.0.get(&address).send().await.unwrap().json().await.unwrap();
            if shown["status"] == "expired" {
                return;
            }
        }
    });
    over.await.expect("the clock of an action runs out");
    seen.refused(&server.decide(&session, late, "approve").await.unwrap().1, Code::ApprovalExpired);
}

async fn too_much(seen: &mut Seen, server: &Server) {
    let grace = server.token("grace", "acme");
    let push = format!("{}/api/v1/releases/backend-v1.0-GCN/evidence?fileName=scan.sarif", server.url);
    let pushed = http().post(push).bearer_auth(&grace).header("Content-Type", "application/sarif+json");
    let large = pushed.body("x".repeat(2_000)).send().await.unwrap();
    seen.refused(&large.json().await.unwrap(), Code::TooLarge);
    let mut last = Value::Null;
    for _ in 0..5 {
        let asked =
            http().get(format!("{}/api/v1/releases", server.url)).bearer_auth(&grace).send().await.unwrap();
        last = asked.json().await.unwrap();
    }
    seen.refused(&last, Code::RateLimited);
}
