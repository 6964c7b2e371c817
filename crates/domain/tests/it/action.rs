//! The action state machine against a small independent model, and what an approval is bound to.

use std::collections::BTreeSet;

use domain::action::{Action, ActionState, Channel, Failure, digest};
use domain::approval::{Approval, Requirement};
use domain::digest::Digest;
use domain::effect::Effect;
use domain::id::{ActionId, ApprovalId, EvidenceId, OrgId, TeamId, TokenId, UserId};
use domain::record::{RecordType, VersionRead};
use domain::refusal::Code;
use domain::time::Timestamp;
use proptest::prelude::*;
use serde_json::value::RawValue;
use uuid::Uuid;

const REQUESTER: u128 = 0;
/// Seconds after which an approval is too late, and after it an execution.
const APPROVAL_SECONDS: i64 = 100;
const EXECUTION_SECONDS: i64 = 50;

fn user(n: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(n))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(0).plus_seconds(seconds)
}

fn by(person: u128, seconds: i64) -> Approval {
    Approval { by: user(person), email: format!("p{person}@acme.example"), at: at(seconds) }
}

fn failure() -> Failure {
    Failure {
        code: Code::StalePreview,
        message: "a record has moved".into(),
        remedy: "Propose again.".into(),
    }
}

fn effect(n: u128) -> Effect {
    Effect::SupersedeEvidence {
        id: EvidenceId::from_uuid(Uuid::from_u128(n)),
        version: 3,
        by: EvidenceId::from_uuid(Uuid::from_u128(n + 1)),
    }
}

fn action(requirement: Requirement, arguments: Box<RawValue>) -> Action {
    Action {
        id: ActionId::from_uuid(Uuid::from_u128(1)),
        approval_id: ApprovalId::from_uuid(Uuid::from_u128(2)),
        organization_id: OrgId::from_uuid(Uuid::from_u128(3)),
        tool: "loopiq_attach_evidence".into(),
        tool_version: 1,
        state: ActionState::PendingApproval,
        requester_id: user(REQUESTER),
        requester_email: "grace@acme.example".into(),
        token_id: None,
        channel: Channel::Mcp,
        arguments,
        arguments_digest: Digest::of(b"arguments"),
        idempotency_key: "key".into(),
        key_derived: false,
        effects: vec![effect(10)],
        versions: vec![VersionRead { record_type: RecordType::Release, id: "rel_x".into(), version: 4 }],
        labels: std::collections::BTreeMap::new(),
        notes: Vec::new(),
        policy_version: "p1".into(),
        requirement,
        digest: Digest::of(b""),
        summary: "summary".into(),
        reason: "reason".into(),
        workflow: None,
        request_id: "r".into(),
        trace_id: "t".into(),
        team_id: None,
        release_id: None,
        certification_id: None,
        created_at: at(0),
        approval_expires_at: at(APPROVAL_SECONDS),
        approvals: Vec::new(),
        approved_at: None,
        execution_expires_at: None,
        rejected_by: None,
        rejection_reason: None,
        finished_at: None,
        failure: None,
        version: 1,
    }
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_default()
}

fn ordinary() -> Action {
    action(Requirement::one_person(), raw(r#"{"release":"r1","note":"n"}"#))
}

fn in_state(state: ActionState) -> Action {
    let mut action = ordinary();
    action.state = state;
    if state != ActionState::PendingApproval {
        action.execution_expires_at = Some(at(EXECUTION_SECONDS));
    }
    action
}

#[test]
fn every_move_is_legal_or_refused() {
    use ActionState as S;
    let legal = [
        (S::PendingApproval, S::Approved),
        (S::PendingApproval, S::Rejected),
        (S::PendingApproval, S::Expired),
        (S::Approved, S::Executed),
        (S::Approved, S::Failed),
        (S::Approved, S::Expired),
    ];
    for from in S::ALL {
        for to in S::ALL {
            assert_eq!(from.may_become(*to), legal.contains(&(*from, *to)), "{from} to {to}");
            let before = in_state(*from);
            let moved = match to {
                S::PendingApproval => continue, // there is no way to ask for it
                S::Approved => before.approve(by(1, 1), EXECUTION_SECONDS),
                S::Rejected => before.reject(by(1, 1), "no"),
                S::Expired => before.expire(at(1_000)),
                S::Executed => before.execute(at(1)),
                S::Failed => before.fail(at(1), failure()),
            };
            assert_eq!(moved.is_ok(), legal.contains(&(*from, *to)), "{from} to {to}");
            if let Ok(after) = moved {
                assert_eq!((after.state, after.version), (*to, before.version + 1));
                assert_eq!(after.finished_at.is_some(), after.state.is_final());
            }
        }
        assert_eq!(from.is_final(), S::ALL.iter().all(|to| !from.may_become(*to)));
    }
}

#[test]
fn refusals_say_which_state_is_in_the_way() {
    let cases = [
        (ActionState::Executed, Code::ApprovalAlreadyUsed),
        (ActionState::Failed, Code::ApprovalAlreadyUsed),
        (ActionState::Rejected, Code::ApprovalNotGranted),
        (ActionState::Expired, Code::ApprovalExpired),
        (ActionState::PendingApproval, Code::ApprovalNotGranted),
    ];
    for (state, code) in cases {
        assert_eq!(in_state(state).execute(at(1)).err().map(|refusal| refusal.code), Some(code), "{state}");
    }
    let late = in_state(ActionState::Approved).execute(at(EXECUTION_SECONDS));
    assert_eq!(late.err().map(|refusal| refusal.code), Some(Code::ApprovalExpired));
    let late = in_state(ActionState::PendingApproval).approve(by(1, APPROVAL_SECONDS), EXECUTION_SECONDS);
    assert_eq!(late.err().map(|refusal| refusal.code), Some(Code::ApprovalExpired));
}

#[test]
fn the_requester_does_not_count_where_a_second_person_is_asked_for() {
    let action = action(Requirement::second_person(), raw("{}"));
    let own = action.approve(by(REQUESTER, 1), EXECUTION_SECONDS);
    assert_eq!(own.err().map(|refusal| refusal.code), Some(Code::ApprovalNotGranted));
    let other = action.approve(by(1, 1), EXECUTION_SECONDS);
    assert_eq!(other.ok().map(|a| a.state), Some(ActionState::Approved));
}

#[test]
fn a_rejection_needs_a_reason() {
    for blank in ["", "   ", "\n\t"] {
        assert!(ordinary().reject(by(1, 1), blank).is_err());
    }
}

/// The machine once more, by hand.
#[derive(Debug)]
struct Model {
    state: ActionState,
    people: BTreeSet<u128>,
    deadline: i64,
}

#[derive(Debug, Clone)]
enum Step {
    Approve(u128),
    Reject(u128, bool),
    Expire,
    Execute,
    Fail,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop_oneof![
        4 => (0_u128..4).prop_map(Step::Approve),
        1 => ((0_u128..4), any::<bool>()).prop_map(|(p, reason)| Step::Reject(p, reason)),
        2 => Just(Step::Expire),
        2 => Just(Step::Execute),
        1 => Just(Step::Fail),
    ];
    prop::collection::vec((0_i64..40, step), 1..14)
}

impl Model {
    /// Whether the step happens; changes the model if so.
    fn step(&mut self, step: &Step, now: i64, requirement: &Requirement) -> bool {
        let late = now >= self.deadline;
        match (self.state, step) {
            (ActionState::PendingApproval, Step::Approve(person)) => {
                let counts = requirement.requester_may_approve || *person != REQUESTER;
                if late || !counts || !self.people.insert(*person) {
                    return false;
                }
                if self.people.len() >= requirement.minimum_approvers as usize {
                    self.state = ActionState::Approved;
                    self.deadline = now + EXECUTION_SECONDS;
                }
                true
            }
            (ActionState::PendingApproval, Step::Reject(_, true)) if !late => {
                self.state = ActionState::Rejected;
                true
            }
            (ActionState::PendingApproval | ActionState::Approved, Step::Expire) if late => {
                self.state = ActionState::Expired;
                true
            }
            (ActionState::Approved, Step::Execute) if !late => {
                self.state = ActionState::Executed;
                true
            }
            (ActionState::Approved, Step::Fail) => {
                self.state = ActionState::Failed;
                true
            }
            _ => false,
        }
    }
}

proptest! {
    #[test]
    fn random_sequences_agree_with_the_model(
        steps in steps(),
        minimum_approvers in 1_u32..4,
        requester_may_approve in any::<bool>(),
    ) {
        let requirement = Requirement { policy: "p".into(), minimum_approvers, requester_may_approve };
        let mut action = action(requirement.clone(), raw("{}"));
        let mut model =
            Model { state: ActionState::PendingApproval, people: BTreeSet::new(), deadline: APPROVAL_SECONDS };
        let mut now = 0;
        for (wait, step) in steps {
            now += wait;
            let answer = match &step {
                Step::Approve(person) => action.approve(by(*person, now), EXECUTION_SECONDS),
                Step::Reject(person, reason) => action.reject(by(*person, now), if *reason { "no" } else { " " }),
                Step::Expire => action.expire(at(now)),
                Step::Execute => action.execute(at(now)),
                Step::Fail => action.fail(at(now), failure()),
            };
            prop_assert_eq!(answer.is_ok(), model.step(&step, now, &requirement), "{:?} at {}", step, now);
            if let Ok(next) = answer {
                prop_assert_eq!(next.version, action.version + 1);
                action = next;
            }
            prop_assert_eq!(action.state, model.state);

            let people: BTreeSet<UserId> = action.approvals.iter().map(|a| a.by).collect();
            prop_assert_eq!(people.len(), action.approvals.len());
            prop_assert!(requester_may_approve || !people.contains(&user(REQUESTER)));
            if matches!(action.state, ActionState::Approved | ActionState::Executed | ActionState::Failed) {
                prop_assert!(people.len() >= minimum_approvers as usize);
            }
            if action.state == ActionState::Executed {
                let (end, finished) = (action.execution_expires_at, action.finished_at);
                prop_assert!(end.zip(finished).is_some_and(|(end, finished)| finished < end));
            }
        }
    }

    #[test]
    fn what_is_overdue_never_executes(seconds in 0_i64..1_000) {
        let action = in_state(ActionState::Approved);
        prop_assert_eq!(action.execute(at(seconds)).is_ok(), seconds < EXECUTION_SECONDS);
        prop_assert_eq!(action.is_overdue(at(seconds)), seconds >= EXECUTION_SECONDS);
        prop_assert_eq!(action.expire(at(seconds)).is_ok(), seconds >= EXECUTION_SECONDS);
    }

    #[test]
    fn the_digest_does_not_depend_on_how_arguments_were_written(
        members in prop::collection::btree_map("[a-z\u{20ac}\u{1f600}\u{fb33}]{1,5}", -1_000_i64..1_000, 0..8),
        blank in "[ \n]{0,2}",
    ) {
        let written: Vec<String> = members.iter().map(|(k, v)| format!("\"{k}\":{blank}{v}")).collect();
        let backwards: Vec<String> = written.iter().rev().cloned().collect();
        let one = action(Requirement::one_person(), raw(&format!("{{{}}}", written.join(","))));
        let two = action(Requirement::one_person(), raw(&format!("{{{blank}{}}}", backwards.join(","))));
        prop_assert_eq!(digest(&one)?, digest(&two)?);
    }

    #[test]
    fn different_arguments_have_different_digests(a in any::<i32>(), b in any::<i32>()) {
        let one = action(Requirement::one_person(), raw(&format!("{{\"n\":{a}}}")));
        let two = action(Requirement::one_person(), raw(&format!("{{\"n\":{b}}}")));
        prop_assert_eq!(digest(&one)? == digest(&two)?, a == b);
    }
}

#[test]
fn the_digest_changes_with_every_bound_part_and_with_nothing_else() -> Result<(), serde_json::Error> {
    type Change = (&'static str, fn(&mut Action));
    let bound: [Change; 14] = [
        ("organization", |a| a.organization_id = OrgId::from_uuid(Uuid::from_u128(99))),
        ("requester", |a| a.requester_id = user(99)),
        ("token", |a| a.token_id = Some(TokenId::from_uuid(Uuid::from_u128(99)))),
        ("tool", |a| a.tool = "loopiq_other".into()),
        ("tool version", |a| a.tool_version += 1),
        ("arguments", |a| a.arguments = raw(r#"{"release":"r2","note":"n"}"#)),
        ("fewer arguments", |a| a.arguments = raw(r#"{"release":"r1"}"#)),
        ("other effect", |a| a.effects = vec![effect(20)]),
        ("one more effect", |a| a.effects.push(effect(20))),
        ("no effect", |a| a.effects.clear()),
        ("version read", |a| a.versions.iter_mut().for_each(|v| v.version += 1)),
        ("policy version", |a| a.policy_version = "p2".into()),
        ("number of approvers", |a| a.requirement.minimum_approvers += 1),
        ("who may approve", |a| a.requirement.requester_may_approve = false),
    ];
    let start = digest(&ordinary())?;
    let mut seen = BTreeSet::from([start]);
    for (what, change) in bound {
        let mut changed = ordinary();
        change(&mut changed);
        assert!(seen.insert(digest(&changed)?), "{what}");
    }
    let free: [Change; 6] = [
        ("state", |a| a.state = ActionState::Approved),
        ("approvals", |a| a.approvals.push(by(1, 1))),
        ("version", |a| a.version += 1),
        ("key", |a| a.idempotency_key = "other".into()),
        ("request", |a| a.request_id = "other".into()),
        ("team for filtering", |a| a.team_id = Some(TeamId::from_uuid(Uuid::from_u128(5)))),
    ];
    for (what, change) in free {
        let mut changed = ordinary();
        change(&mut changed);
        assert_eq!(digest(&changed)?, start, "{what}");
    }
    Ok(())
}

#[test]
fn an_action_is_read_back_as_it_was_stored() -> Result<(), serde_json::Error> {
    let mut before = ordinary();
    before.digest = digest(&before)?;
    let text = serde_json::to_string(&before)?;
    let after: Action = serde_json::from_str(&text)?;
    assert_eq!(digest(&after)?, before.digest);
    assert_eq!(serde_json::to_string(&after)?, text);
    Ok(())
}
