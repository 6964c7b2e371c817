//! The planner as a function: what it calls for which question, against tools that answer from a small world; and, over
//! arbitrary text and arbitrary results, what it never does.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use domain::conversation::{Answer, Block, Turn};
use domain::refusal::Refusal;
use domain::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::rules::{Rules, next};
use super::*;

const ONE: &str = "rel_00000000000000000000000004";
const TWO: &str = "rel_00000000000000000000000008";
const NOW: Timestamp = Timestamp(1_795_000_000_000_000);

fn everything() -> Vec<&'static str> {
    engine::tools::ALL.iter().map(engine::Tool::name).collect()
}

fn reads_only() -> Vec<&'static str> {
    engine::tools::ALL.iter().filter(|tool| tool.is_read()).map(engine::Tool::name).collect()
}

/// Nothing here waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a small world does not wait"),
    }
}

fn release(id: &str, name: &str) -> Value {
    json!({
        "id": id, "name": name, "status": "in_validation", "releaseVersion": "1", "team": { "id": "team_1", "name": "backend" },
        "url": format!("https://loopiq.example/app/releases/{id}"),
    })
}

fn gap(id: &str, code: &str, reason: &str) -> Value {
    json!({
        "id": id, "reason": reason, "severity": "high", "blocking": true, "status": "open",
        "control": { "id": code, "code": code, "title": "Title" }, "release": { "id": ONE, "name": "backend-v1.0-GCN" },
        "url": format!("https://loopiq.example/app/certifications/cert_1#{id}"),
    })
}

fn blocker(id: &str, component: &str) -> Value {
    json!({
        "id": id, "title": "SQL injection", "provider": "semgrep", "rule": "sqli", "severity": "critical", "blocking": true,
        "status": "open", "component": component, "release": { "id": ONE, "name": "backend-v1.0-GCN" },
        "url": format!("https://loopiq.example/app/releases/{ONE}#{id}"),
    })
}

fn listed(items: &[Value]) -> Value {
    json!({
        "context": { "organization": { "name": "Acme", "slug": "acme" }, "user": { "id": "usr_1", "email": "grace@acme.example" } },
        "items": items, "total": items.len(),
    })
}

/// Two releases of one team: the first is blocked, the second is not.
fn world(call: &Call) -> Result<Value, Refusal> {
    let of = call.arguments.get("release").and_then(Value::as_str).unwrap_or_default();
    let first = of.is_empty() || of == ONE;
    Ok(match call.tool {
        "loopiq_get_context" => json!({
            "context": { "organization": { "name": "Acme", "slug": "acme" }, "user": { "email": "grace@acme.example" } },
            "teams": [{ "name": "backend" }], "roles": [{ "role": "release_manager", "scope": "backend" }],
            "permissions": ["releases:read"], "organizations": [{ "name": "Acme", "active": true }],
            "selectedTeam": { "id": "team_1", "name": "backend" },
        }),
        "loopiq_list_teams" => listed(&[
            json!({ "id": "team_1", "name": "backend" }),
            json!({ "id": "team_2", "name": "payments" }),
        ]),
        "loopiq_list_releases" => {
            listed(&[release(ONE, "backend-v1.0-GCN"), release(TWO, "backend-v1.1-GCN")])
        }
        "loopiq_get_release" if of == ONE => json!({ "release": release(ONE, "backend-v1.0-GCN") }),
        "loopiq_get_release" if of == TWO => json!({ "release": release(TWO, "backend-v1.1-GCN") }),
        "loopiq_get_release" => return Err(Refusal::not_found("release")),
        "loopiq_list_release_certifications" => listed(&[]),
        "loopiq_get_release_certification" => json!({
            "context": { "user": { "email": "grace@acme.example" } },
            "certification": {
                "id": "cert_1", "title": "Certification", "status": "collecting_evidence", "team": { "id": "team_1" },
                "readiness": { "verdict": if first { "not_ready" } else { "ready" }, "score": if first { 20 } else { 100 } },
                "release": { "id": if first { ONE } else { TWO }, "name": if first { "backend-v1.0-GCN" } else { "backend-v1.1-GCN" } },
                "openGapCount": 2, "openBlockerCount": 2,
            },
            "controls": [{ "id": "c", "code": "CODE-SCAN", "title": "Scan", "required": true, "outcome": "failed", "explanation": "why" }],
        }),
        "loopiq_list_evidence_gaps" if first => {
            listed(&[gap("gap_1", "CODE-SCAN", "failed"), gap("gap_2", "SBOM", "missing")])
        }
        "loopiq_list_provider_blockers" if first => {
            listed(&[blocker("blk_1", "gateway"), blocker("blk_2", "ledger")])
        }
        tool if engine::tools::find(tool).is_some_and(|tool| !tool.is_read()) => {
            let preview = call.arguments.get("dryRun") == Some(&json!(true));
            json!({
                "status": if preview { "preview" } else { "pending_approval" },
                "effects": [{ "operation": "create", "recordType": "work_item", "title": "Story", "changes": [{ "field": "type", "to": "story" }] }],
                "preview": { "approvers": "One person.", "requirement": { "minimumApprovers": 1 } },
                "action": { "id": "act_00000000000000000000000000" }, "notes": [],
            })
        }
        _ => listed(&[]),
    })
}

struct World;
impl Door for World {
    async fn call(&self, call: &Call) -> Result<Value, Refusal> {
        world(call)
    }
}

/// A listener that nobody listens to.
fn nobody() -> &'static Listener {
    static NOBODY: std::sync::LazyLock<Listener> = std::sync::LazyLock::new(|| Listener::new().0);
    &NOBODY
}

fn asked<'a>(text: &'a str, permitted: &'a [&'static str], before: Option<&'a Turn>) -> Asked<'a> {
    Asked {
        text,
        about: None,
        place: Place::Work,
        permitted,
        before,
        history: &[],
        steps_max: limits::STEPS_MAX,
        listener: nobody(),
        workflow: "helix/conv_1",
        now: NOW,
    }
}

fn ask(text: &str) -> Answer {
    now(answer(&Rules, &World, &asked(text, &everything(), None)))
}

fn sentence(answer: &Answer) -> &str {
    match answer.blocks.first() {
        Some(Block::Said { text }) => text,
        Some(Block::Refused { refusal }) => &refusal.message,
        other => panic!("an answer begins with a sentence: {other:?}"),
    }
}

#[test]
fn each_question_calls_the_tools_that_answer_it_and_says_what_they_returned() {
    for (question, tools, begins) in [
        (
            "which LoopIQ tenant am I connected to?",
            &["loopiq_get_context"][..],
            "You are connected to the organization Acme (acme)",
        ),
        (
            "list releases for my selected team",
            &["loopiq_list_releases", "loopiq_list_teams", "loopiq_list_releases"],
            "2 releases of",
        ),
        (
            "show my current release certifications",
            &["loopiq_list_releases", "loopiq_list_teams", "loopiq_list_release_certifications"],
            "There is no release certification",
        ),
        (
            "show evidence gaps for release backend-v1.0-GCN",
            &["loopiq_list_releases", "loopiq_list_evidence_gaps"],
            "Release backend-v1.0-GCN has 2 unresolved evidence gaps, 2 of which block it.",
        ),
        (
            "what blocks BACKEND-V1.0-gcn and what do I do?",
            &["loopiq_list_releases", "loopiq_list_evidence_gaps", "loopiq_list_provider_blockers"],
            "Release backend-v1.0-GCN is held by 2 gaps and 2 blockers.",
        ),
        (
            "is backend-v1.1-GCN ready?",
            &["loopiq_list_releases", "loopiq_get_release_certification"],
            "Release backend-v1.1-GCN is ready",
        ),
        (
            "backend-v1.0-GCN?",
            &["loopiq_list_releases", "loopiq_get_release_certification"],
            "Release backend-v1.0-GCN is not ready: 2 gaps and 2 blockers are open.",
        ),
        (
            "compare backend-v1.0-GCN with backend-v1.1-GCN",
            &[
                "loopiq_list_releases",
                "loopiq_list_evidence_gaps",
                "loopiq_list_provider_blockers",
                "loopiq_get_release_certification",
                "loopiq_list_evidence_gaps",
                "loopiq_list_provider_blockers",
                "loopiq_get_release_certification",
            ],
            "From backend-v1.0-GCN to backend-v1.1-GCN: 2 gaps and 2 blockers are gone, 0 gaps and 0 blockers are new, 0 stay.",
        ),
        (
            "show evidence gaps for release globex-v9.9",
            &["loopiq_list_releases", "loopiq_get_release"],
            "release not found",
        ),
        ("is it ready?", &["loopiq_list_releases"], "Which release do you mean?"),
        ("find ledger", &["loopiq_search"], "I found no record"),
        (
            "what waits for me?",
            &["loopiq_list_releases", "loopiq_list_actions"],
            "Nothing waits for a decision.",
        ),
        ("purple monkey", &["loopiq_list_releases"], "I did not understand that."),
    ] {
        let answer = ask(question);
        assert_eq!(
            answer.calls.iter().map(|call| call.tool.as_str()).collect::<Vec<_>>(),
            tools,
            "{question}"
        );
        assert!(sentence(&answer).starts_with(begins), "{question}: {}", sentence(&answer));
    }
}

#[test]
fn a_plan_is_previewed_shown_and_proposed_as_it_was_shown() {
    let all = everything();
    let answer = ask("plan remediation for backend-v1.0-GCN");
    let plan = answer.plan.clone().expect("there is a plan");
    assert_eq!(answer.calls.last().map(|call| call.arguments.get("dryRun")), Some(Some(&json!(true))));
    let titles: Vec<&str> = plan.arguments["children"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["title"].as_str().unwrap())
        .collect();
    assert_eq!(
        titles,
        [
            "Fix 1 finding of semgrep in gateway",
            "Fix 1 finding of semgrep in ledger",
            "Make CODE-SCAN pass: Title",
            "Provide evidence for SBOM: Title",
        ]
    );
    assert_eq!(
        plan.arguments["children"][0]["findingRefs"],
        json!([{ "kind": "provider_blocker", "id": "blk_1" }])
    );
    assert_eq!(answer.offers.first().map(|offer| offer.text.as_str()), Some("Propose it"));

    let shown = Turn { position: 3, at: NOW, question: String::new(), page: String::new(), answer };
    let proposed = now(super::answer(&Rules, &World, &asked("Propose it", &all, Some(&shown))));
    let call = proposed.calls.last().unwrap();
    let mut arguments = call.arguments.clone();
    assert_eq!(arguments.remove("idempotencyKey"), Some(json!("helix-conv_1-3")));
    assert_eq!(arguments, plan.arguments, "what is proposed is what was shown");
    assert!(proposed.blocks.iter().any(|block| matches!(block, Block::Action { .. })));
    assert!(sentence(&ask("Propose it")).starts_with("There is no plan to propose"));
}

#[test]
fn other_plans() {
    let answer = ask(
        "propose an exception for SBOM on backend-v1.0-GCN for 2 weeks because the vendor delivers it on Monday",
    );
    let plan = answer.plan.expect("there is a plan");
    assert_eq!(plan.arguments["targetIds"], json!(["gap_2"]));
    assert_eq!(plan.arguments["rationale"], json!("the vendor delivers it on Monday"));
    assert_eq!(plan.arguments["expiresAt"], json!(NOW.plus_seconds(14 * 86_400)));
    let asks_back = ask("waive a gap of backend-v1.0-GCN");
    assert!(
        asks_back.plan.is_none() && asks_back.offers.iter().all(|offer| offer.to.is_some()),
        "{asks_back:?}"
    );
    let story =
        ask("create a story \"Harden log4j-2.17 <b>\" for backend-v1.1-GCN").plan.expect("there is a plan");
    assert_eq!(
        (&story.arguments["title"], &story.arguments["type"]),
        (&json!("Harden log4j-2.17 <b>"), &json!("story"))
    );
    assert_eq!(story.arguments["release"], json!(TWO));
    assert!(ask("refresh the evidence of backend-v1.0-GCN").plan.is_some());
}

#[test]
fn who_may_not_is_told_so_and_offered_nothing_of_it() {
    let reads = reads_only();
    let told = now(answer(&Rules, &World, &asked("plan remediation for backend-v1.0-GCN", &reads, None)));
    assert_eq!(sentence(&told), "permission remediation:create is missing");
    let blocked = now(answer(&Rules, &World, &asked("what blocks backend-v1.0-GCN?", &reads, None)));
    assert!(blocked.offers.is_empty(), "{:?}", blocked.offers);
    let all = everything();
    let administration =
        Asked { place: Place::Running, ..asked("plan remediation for backend-v1.0-GCN", &all, None) };
    let told = now(answer(&Rules, &World, &administration));
    assert_eq!(sentence(&told), "on this page the assistant reads only");
    let nobody = now(answer(&Rules, &World, &asked("which tenant am I connected to?", &[], None)));
    assert_eq!(sentence(&nobody), "tool not found");
}

/// One that does what no planner should.
struct Misbehaving(Call);
impl Planner for Misbehaving {
    fn next(&self, _: &Asked<'_>, _: &[Seen]) -> impl Future<Output = Step> + Send {
        std::future::ready(Step::Call(self.0.clone()))
    }
}

#[test]
fn whatever_plans_cannot_write_what_was_not_shown_nor_go_on_for_ever() {
    let all = everything();
    for (tool, arguments, code) in [
        ("loopiq_create_remediation_work_package", json!({ "release": ONE }), "approval_not_granted"),
        ("loopiq_create_work_item", json!({ "title": "x", "idempotencyKey": "k" }), "approval_not_granted"),
        ("loopiq_create_work_item", json!({ "title": "x", "dryRun": "true" }), "approval_not_granted"),
        ("loopiq_decide_certification", json!({ "dryRun": true }), "forbidden"),
        ("loopiq_no_such_tool", json!({}), "not_found"),
        ("loopiq_create_work_item", json!({ "dryRun": true }), "preview"),
    ] {
        let Value::Object(arguments) = arguments else { unreachable!() };
        let planner = Misbehaving(Call { tool, arguments });
        let answer = now(answer(&planner, &World, &asked("x", &all, None)));
        assert_eq!(answer.calls.len(), limits::STEPS_MAX);
        assert!(answer.calls.iter().all(|call| call.outcome == code), "{tool}: {:?}", answer.calls);
    }
}

/// Every text of an answer but for the arguments of calls, where the question's words may stand.
fn texts(answer: &Answer) -> String {
    serde_json::to_string(&json!([answer.blocks, answer.offers])).unwrap()
}

proptest! {
    #[test]
    fn any_question_ends_writes_nothing_and_is_not_repeated(
        start in prop_oneof![
            Just(""), Just("plan remediation for "), Just("propose it "), Just("what blocks "), Just("find "),
            Just("create a task \""), Just("waive SBOM because "), Just("compare "),
        ],
        text in "\\PC{0,120}",
        marker in "[a-z]{12}",
    ) {
        let question = format!("{start}{text} {marker}");
        let answer = ask(&question);
        prop_assert!(answer.calls.len() < limits::STEPS_MAX, "{:?}", answer.calls);
        for call in &answer.calls {
            let read = engine::tools::find(&call.tool).unwrap().is_read();
            prop_assert!(read || call.arguments.get("dryRun") == Some(&json!(true)), "{call:?}");
        }
        prop_assert!(!texts(&answer).contains(&marker), "{}", texts(&answer));
    }

    /// Whatever tools return, the rules go on or answer; they name no id that was not returned, asked for or on the page.
    #[test]
    fn any_result_is_taken(
        question in prop_oneof![
            Just("what blocks backend-v1.0-GCN"), Just("is backend-v1.0-GCN ready"), Just("plan remediation for backend-v1.0-GCN"),
            Just("compare backend-v1.0-GCN with backend-v1.1-GCN"), Just("show risks"), Just("which tenant"), Just("show evidence"),
        ],
        words in proptest::collection::vec("\\PC{0,20}", 1..5),
    ) {
        let all = everything();
        let odd: Vec<Value> = words.iter().map(|word| json!({ "id": word, "name": word, "title": word, "url": word, "severity": word })).collect();
        let asked = asked(question, &all, None);
        let mut seen: Vec<Seen> = Vec::new();
        for _ in 0..limits::STEPS_MAX {
            let Step::Call(call) = next(&asked, &seen) else { break };
            let mut result = world(&call).unwrap_or_default();
            if call.tool != "loopiq_list_releases" && let Some(members) = result.as_object_mut() {
                members.insert("items".into(), json!(odd));
                members.insert("controls".into(), json!(odd));
            }
            seen.push(Seen { call, result: Ok(result) });
        }
        prop_assert!(matches!(next(&asked, &seen), Step::Answer(_)));
    }
}
