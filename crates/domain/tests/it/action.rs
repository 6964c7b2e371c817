//! The action state machine against a small independent model, and what an approval is bound to.

use std::collections::BTreeSet;

use domain::action::{Action, ActionState, Channel, Failure, digest};
use domain::approval::{Approval, Requirement, Rule};
use domain::digest::Digest;
use domain::effect::Effect;
use domain::id::{ActionId, ApprovalId, EvidenceId, OrgId, TeamId, TokenId, UserId};
use domain::permission::{Membership, MembershipStatus, Role, TeamRole};
use domain::record::{RecordType, VersionRead};
use domain::refusal::Code;
use domain::refusal::Refusal;
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
    Approval::plain(user(person), &format!("p{person}@acme.example"), at(seconds))
}

fn member(person: u128) -> Membership {
    Membership {
        organization_id: OrgId::from_uuid(Uuid::from_u128(3)),
        user_id: user(person),
        email: format!("p{person}@acme.example"),
        display_name: format!("P {person}"),
        status: MembershipStatus::Active,
        roles: vec![],
        team_roles: vec![],
        direct_permissions: vec![],
        selected_team: None,
        provisioned: None,
        version: 1,
    }
}

/// An approval where everybody still stands to theirs.
fn approve(action: &Action, person: u128, seconds: i64) -> Result<Action, Refusal> {
    let everybody: Vec<Membership> = (0..8).map(member).collect();
    action.approve(&member(person), at(seconds), None, &everybody, EXECUTION_SECONDS)
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
        agent: None,
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
        withdrawn: false,
        approved_by_rule: false,
        broken_glass: None,
        outdated_at: None,
        warned: None,
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
                S::Approved => approve(&before, 1, 1),
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
    let late = approve(&in_state(ActionState::PendingApproval), 1, APPROVAL_SECONDS);
    assert_eq!(late.err().map(|refusal| refusal.code), Some(Code::ApprovalExpired));
}

#[test]
fn the_requester_does_not_count_where_a_second_person_is_asked_for() {
    let action = action(Requirement::second_person(), raw("{}"));
    let own = approve(&action, REQUESTER, 1);
    assert_eq!(own.err().map(|refusal| refusal.code), Some(Code::ApprovalNotGranted));
    let other = approve(&action, 1, 1);
    assert_eq!(other.ok().map(|a| a.state), Some(ActionState::Approved));
}

/// A rule that asks for holders of one role.
fn rule(policy: &str, minimum: u32, role: Role) -> Rule {
    Rule { approver_roles: vec![role], ..Rule::of_anybody(policy, minimum, false) }
}

fn holder(person: u128, roles: &[Role]) -> Membership {
    Membership { roles: roles.to_vec(), ..member(person) }
}

#[test]
fn every_rule_must_be_met_and_one_person_may_count_for_several() -> Result<(), Refusal> {
    let requirement = Requirement::of(vec![
        rule("two-leads", 2, Role::GovernanceLead),
        rule("a-reviewer", 1, Role::ComplianceReviewer),
        Rule::of_anybody("nobody", 0, false),
    ]);
    assert_eq!((requirement.minimum_approvers, requirement.requester_may_approve), (2, false));
    assert_eq!(requirement.policy, "two-leads, a-reviewer");
    let pending = action(requirement, raw("{}"));
    let both = holder(1, &[Role::GovernanceLead, Role::ComplianceReviewer]);
    let lead = holder(2, &[Role::GovernanceLead]);
    let stranger = holder(3, &[Role::Viewer]);
    assert!(pending.approve(&stranger, at(1), None, &[], EXECUTION_SECONDS).is_err());
    let one = pending.approve(&both, at(1), None, &[], EXECUTION_SECONDS)?;
    assert_eq!(one.state, ActionState::PendingApproval);
    assert_eq!(one.approvals[0].counts_for, ["two-leads", "a-reviewer"]);
    let two = one.approve(&lead, at(2), None, std::slice::from_ref(&both), EXECUTION_SECONDS)?;
    assert_eq!(two.state, ActionState::Approved);
    Ok(())
}

#[test]
fn an_approval_counts_only_while_its_giver_does() -> Result<(), Refusal> {
    let two = Requirement::of(vec![rule("two", 2, Role::GovernanceLead)]);
    let leads: Vec<Membership> = (1..4).map(|person| holder(person, &[Role::GovernanceLead])).collect();
    let one = action(two, raw("{}")).approve(&leads[0], at(1), None, &[], EXECUTION_SECONDS)?;
    // The first has lost the role, or left: a second approval is the first again.
    for standing in [vec![holder(1, &[])], Vec::new()] {
        let still = one.approve(&leads[1], at(2), None, &standing, EXECUTION_SECONDS)?;
        assert_eq!((still.state, still.approvals.len()), (ActionState::PendingApproval, 1));
        let done = still.approve(&leads[2], at(3), None, &leads[1..2], EXECUTION_SECONDS)?;
        assert_eq!(done.state, ActionState::Approved);
    }
    Ok(())
}

#[test]
fn a_rule_that_asks_for_a_passkey_counts_only_signed_approvals() -> Result<(), Refusal> {
    let signed = Rule { passkey: true, ..Rule::of_anybody("signed", 1, false) };
    let pending = action(Requirement::of(vec![signed, Rule::of_anybody("two", 2, false)]), raw("{}"));
    let (first, second) = (member(1), member(2));
    let passkey = Some(Digest([7; 32]));
    let unsigned = pending.approve(&first, at(1), None, &[], EXECUTION_SECONDS)?;
    assert_eq!(unsigned.approvals[0].counts_for, ["two"], "without a signature it counts for the other rule");
    let everybody = [first.clone(), second.clone()];
    let waits = unsigned.approve(&second, at(2), None, &everybody, EXECUTION_SECONDS)?;
    assert_eq!(waits.state, ActionState::PendingApproval);
    let done = unsigned.approve(&second, at(2), passkey, &everybody, EXECUTION_SECONDS)?;
    assert_eq!((done.state, done.approvals[1].passkey), (ActionState::Approved, passkey));

    let alone = Requirement::of(vec![Rule { passkey: true, ..Rule::of_anybody("signed", 1, true) }]);
    let refused = action(alone.clone(), raw("{}")).approve(&first, at(1), None, &[], EXECUTION_SECONDS);
    let refused = refused.err();
    assert!(refused.is_some_and(|refused| refused.remedy.contains("Register a passkey")));
    assert!(action(alone, raw("{}")).approve(&first, at(1), passkey, &[], EXECUTION_SECONDS).is_ok());
    Ok(())
}

#[test]
fn team_roles_and_named_people_count_where_a_rule_says_so() {
    let team = TeamId::from_uuid(Uuid::from_u128(5));
    let other = TeamId::from_uuid(Uuid::from_u128(6));
    let lead_of =
        |team| Membership { team_roles: vec![TeamRole { team_id: team, role: Role::TeamLead }], ..member(1) };
    let rule = Rule { team_roles: vec![Role::TeamLead], ..Rule::of_anybody("lead", 1, true) };
    assert!(rule.accepts(&lead_of(team), user(REQUESTER), Some(team)));
    assert!(!rule.accepts(&lead_of(other), user(REQUESTER), Some(team)));
    assert!(!rule.accepts(&lead_of(team), user(REQUESTER), None));
    let named = Rule { people: vec!["P2@acme.example".into()], ..Rule::of_anybody("named", 1, true) };
    assert!(
        named.accepts(&member(2), user(REQUESTER), None) && !named.accepts(&member(1), user(REQUESTER), None)
    );
}

#[test]
fn a_rule_approves_by_itself_only_after_its_time_and_only_if_all_do() -> Result<(), Refusal> {
    let timed =
        |seconds| Rule { auto_approve_after_seconds: Some(seconds), ..Rule::of_anybody("timed", 1, true) };
    let pending = action(Requirement::of(vec![timed(5), timed(9)]), raw("{}"));
    assert!(pending.approve_by_rule(at(8), EXECUTION_SECONDS).is_err());
    let approved = pending.approve_by_rule(at(9), EXECUTION_SECONDS)?;
    assert!(approved.approved_by_rule && approved.state == ActionState::Approved);
    let mixed = Requirement::of(vec![timed(5), Rule::of_anybody("people", 1, true)]);
    assert!(action(mixed, raw("{}")).approve_by_rule(at(50), EXECUTION_SECONDS).is_err());
    Ok(())
}

#[test]
fn breaking_the_glass_needs_a_reason_and_somebody_elses_eyes() -> Result<(), Refusal> {
    let pending = action(Requirement::second_person(), raw("{}"));
    assert!(pending.break_glass(&member(REQUESTER), " ", at(1), EXECUTION_SECONDS).is_err());
    let broken = pending.break_glass(&member(REQUESTER), "production is down", at(1), EXECUTION_SECONDS)?;
    assert_eq!(broken.state, ActionState::Approved);
    assert!(broken.review(by(REQUESTER, 2)).is_err());
    let reviewed = broken.review(by(1, 2))?;
    assert!(reviewed.review(by(2, 3)).is_err());
    assert!(approve(&pending, 1, 1)?.review(by(2, 2)).is_err());
    Ok(())
}

#[test]
fn only_the_requester_withdraws() {
    let withdrawn = ordinary().withdraw(by(REQUESTER, 1), "not needed");
    assert!(withdrawn.is_ok_and(|a| a.withdrawn && a.state == ActionState::Rejected));
    assert!(ordinary().withdraw(by(1, 1), "not needed").is_err());
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
    /// Seconds after which the rule approves by itself.
    patience: Option<i64>,
    /// Approved without the people that are asked for: by the rule, or by one who broke the glass.
    past_people: bool,
    withdrawn: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Approve(u128),
    ByRule,
    BreakGlass(u128, bool),
    Reject(u128, bool),
    Withdraw(u128, bool),
    Expire,
    Execute,
    Fail,
}

/// A reason, or none to speak of.
fn said(reason: bool) -> &'static str {
    if reason { "no" } else { " " }
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop_oneof![
        4 => (0_u128..4).prop_map(Step::Approve),
        1 => Just(Step::ByRule),
        1 => ((0_u128..4), any::<bool>()).prop_map(|(p, reason)| Step::BreakGlass(p, reason)),
        1 => ((0_u128..4), any::<bool>()).prop_map(|(p, reason)| Step::Reject(p, reason)),
        1 => ((0_u128..2), any::<bool>()).prop_map(|(p, reason)| Step::Withdraw(p, reason)),
        2 => Just(Step::Expire),
        2 => Just(Step::Execute),
        1 => Just(Step::Fail),
    ];
    prop::collection::vec((0_i64..40, step), 1..14)
}

impl Model {
    fn granted(&mut self, now: i64) {
        self.state = ActionState::Approved;
        self.deadline = now + EXECUTION_SECONDS;
    }

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
                    self.granted(now);
                }
                true
            }
            (ActionState::PendingApproval, Step::ByRule)
                if !late && self.patience.is_some_and(|after| now >= after) =>
            {
                self.past_people = true;
                self.granted(now);
                true
            }
            (ActionState::PendingApproval, Step::BreakGlass(_, true)) if !late => {
                self.past_people = true;
                self.granted(now);
                true
            }
            (ActionState::PendingApproval, Step::Withdraw(REQUESTER, true)) if !late => {
                self.state = ActionState::Rejected;
                self.withdrawn = true;
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
        patience in prop::option::of(0_i64..120),
    ) {
        let requirement = Requirement::of(vec![Rule {
            auto_approve_after_seconds: patience,
            ..Rule::of_anybody("p", minimum_approvers, requester_may_approve)
        }]);
        let mut action = action(requirement.clone(), raw("{}"));
        let mut model = Model {
            state: ActionState::PendingApproval,
            people: BTreeSet::new(),
            deadline: APPROVAL_SECONDS,
            patience,
            past_people: false,
            withdrawn: false,
        };
        let mut now = 0;
        for (wait, step) in steps {
            now += wait;
            let answer = match &step {
                Step::Approve(person) => approve(&action, *person, now),
                Step::ByRule => action.approve_by_rule(at(now), EXECUTION_SECONDS),
                Step::BreakGlass(person, reason) => {
                    action.break_glass(&member(*person), said(*reason), at(now), EXECUTION_SECONDS)
                }
                Step::Reject(person, reason) => action.reject(by(*person, now), said(*reason)),
                Step::Withdraw(person, reason) => action.withdraw(by(*person, now), said(*reason)),
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
            prop_assert_eq!(action.withdrawn, model.withdrawn);
            prop_assert_eq!(action.approved_by_rule || action.broken_glass.is_some(), model.past_people);

            let people: BTreeSet<UserId> = action.approvals.iter().map(|a| a.by).collect();
            prop_assert_eq!(people.len(), action.approvals.len());
            prop_assert!(requester_may_approve || !people.contains(&user(REQUESTER)));
            if matches!(action.state, ActionState::Approved | ActionState::Executed | ActionState::Failed) {
                prop_assert!(model.past_people || people.len() >= minimum_approvers as usize);
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
