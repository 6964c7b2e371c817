//! The evaluation of a certification: a pure function of controls, evidence, findings, exceptions and time. The
//! same facts give the same answer, in whatever order evidence, findings and exceptions are handed in.
//!
//! [`evaluate`] says how things stand. [`reconcile`] says what must change in the stored records so that they
//! agree with it; applying its effects and asking again yields nothing. Neither decides a certification: people
//! do. The only moves of its status made here are `in_review → blocked` and back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::certification::{
    Certification, CertificationStatus, ControlOutcome, ControlResult, Evidence, EvidenceGap, EvidenceResult,
    EvidenceType, Exception, ExceptionKind, ExceptionStatus, Finding, GapReason, GapStatus, Readiness,
    Verdict,
};
use crate::control::{Control, Threshold};
use crate::effect::Effect;
use crate::id::{ControlId, FindingId, GapId, ReleaseId, TeamId};
use crate::org::OrgSettings;
use crate::severity::Severity;
use crate::time::Timestamp;

/// Metrics of test evidence that the explanations and the built-in control set rely on.
pub const METRIC_TESTCASES: &str = "testcases";
/// Test cases that ran and did not hold.
pub const METRIC_FAILURES: &str = "failures";
/// Test cases that could not run to their end.
pub const METRIC_ERRORS: &str = "errors";

/// What an evaluation is computed from. Evidence, findings, gaps and exceptions of other releases or
/// certifications are ignored, so that a caller may hand in more than is needed.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub settings: &'a OrgSettings,
    pub release_id: ReleaseId,
    /// Team that new gaps belong to.
    pub team_id: TeamId,
    pub certification: &'a Certification,
    /// The controls of the certification's control set, in the order of the set.
    pub controls: &'a [Control],
    /// The control results as they are stored now.
    pub results: &'a [ControlResult],
    /// All evidence of the release; superseded pieces may be among it and do not count.
    pub evidence: &'a [Evidence],
    pub findings: &'a [Finding],
    /// All gaps of the certification, resolved ones included: a gap that comes back keeps its id.
    pub gaps: &'a [EvidenceGap],
    pub exceptions: &'a [Exception],
    pub now: Timestamp,
}

/// A control that lacks what it needs, and how its gap should stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedGap {
    pub control_id: ControlId,
    pub reason: GapReason,
    /// Severity of the control.
    pub severity: Severity,
    /// Whether the control is required.
    pub blocking: bool,
    /// The stored gap this is about; `None` when it is new.
    pub gap_id: Option<GapId>,
    /// Never `resolved`.
    pub status: GapStatus,
}

/// How a certification stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// One per control, in the order of the controls.
    pub results: Vec<ControlResult>,
    /// In the order of the controls.
    pub gaps: Vec<ExpectedGap>,
    /// Blockers that are open or in remediation, by id.
    pub blocker_ids: Vec<FindingId>,
    pub readiness: Readiness,
    /// Gaps that are open or in remediation, blocking or not.
    pub open_gap_count: u32,
    pub open_blocker_count: u32,
    /// Accepted risks in force.
    pub accepted_risk_count: u32,
    pub status: CertificationStatus,
}

/// Whether an exception is approved and has not ended at `now`.
pub fn in_force(exception: &Exception, now: Timestamp) -> bool {
    exception.status == ExceptionStatus::Approved && now < exception.expires_at
}

/// Open and in remediation both mean: not settled yet.
pub const fn is_unsettled(status: GapStatus) -> bool {
    matches!(status, GapStatus::Open | GapStatus::InRemediation)
}

/// Evaluates a certification.
///
/// - A control is satisfied when it has current evidence of its type and every such piece passed, is fresh and
///   meets the thresholds. Of several reasons against it the worst counts: failed, stale, unverified, missing.
///   A missing, stale or unverified control is `not_evaluated`: nothing says that it failed.
/// - The gap of a required control blocks, and so does a finding at or above the organization's threshold.
/// - An approved exception in force settles the gap or finding it names; the control is then `waived` and counts
///   as satisfied in the score. When it ends, the gap or finding is open again.
/// - The score is the weight of satisfied required controls over the weight of all of them, in per cent, rounded
///   down. If that weight is 0, it is 100 when all required controls are satisfied and 0 otherwise. Without any
///   control (no set chosen yet) it is 0 and the verdict `not_ready`: what asks nothing shows nothing.
/// - The verdict is `not_ready` while anything blocking is unsettled, `ready_with_exceptions` when an exception
///   settled something blocking, else `ready`.
/// - Decided certifications are evaluated like others, but keep their status: evidence never revokes by itself.
pub fn evaluate(facts: &Facts<'_>) -> Evaluation {
    let waived = waived_ids(facts);
    let mut results = Vec::with_capacity(facts.controls.len());
    let mut gaps = Vec::new();
    let (mut weight_required, mut weight_satisfied) = (0_u64, 0_u64);
    let mut every_required_satisfied = true;
    let mut excepted_blocking = false;

    for control in facts.controls {
        let pieces = pieces_for(control, facts);
        let reason = judge(&pieces);
        let mut outcome = match reason {
            None => ControlOutcome::Passed,
            Some(GapReason::Failed) => ControlOutcome::Failed,
            Some(_) => ControlOutcome::NotEvaluated,
        };
        let mut waiver = None;
        if let Some(reason) = reason {
            let stored = stored_gap(facts, control.id);
            waiver = stored.and_then(|gap| waived.get(&gap.id.to_string()).copied());
            let status = expected_status(stored.map(|gap| gap.status), waiver.is_some());
            if waiver.is_some() {
                outcome = ControlOutcome::Waived;
                excepted_blocking |= control.required;
            }
            gaps.push(ExpectedGap {
                control_id: control.id,
                reason,
                severity: control.severity,
                blocking: control.required,
                gap_id: stored.map(|gap| gap.id),
                status,
            });
        }
        if control.required {
            let weight = u64::from(control.severity.weight());
            weight_required += weight;
            if matches!(outcome, ControlOutcome::Passed | ControlOutcome::Waived) {
                weight_satisfied += weight;
            } else {
                every_required_satisfied = false;
            }
        }
        results.push(ControlResult {
            certification_id: facts.certification.id,
            control_id: control.id,
            outcome,
            explanation: explain(control, &pieces, reason, waiver),
            evidence_ids: pieces.iter().filter(|p| p.counts).map(|p| p.evidence.id).collect(),
        });
    }

    let mut blocker_ids = Vec::new();
    for finding in own_findings(facts) {
        if finding.severity < facts.settings.blocker_threshold {
            continue;
        }
        let status = finding_status(finding, &waived);
        if is_unsettled(status) {
            blocker_ids.push(finding.id);
        }
        excepted_blocking |= status == GapStatus::Excepted;
    }
    blocker_ids.sort_unstable();
    blocker_ids.dedup();

    let blocked = !blocker_ids.is_empty() || gaps.iter().any(|g| g.blocking && is_unsettled(g.status));
    let score = if facts.controls.is_empty() {
        0
    } else {
        match (weight_satisfied * 100).checked_div(weight_required) {
            Some(percent) => u8::try_from(percent).unwrap_or(100),
            None if every_required_satisfied => 100,
            None => 0,
        }
    };
    let verdict = if blocked || facts.controls.is_empty() {
        Verdict::NotReady
    } else if excepted_blocking {
        Verdict::ReadyWithExceptions
    } else {
        Verdict::Ready
    };
    let accepted = facts
        .exceptions
        .iter()
        .filter(|e| e.kind == ExceptionKind::AcceptedRisk && e.release_id == facts.release_id)
        .filter(|e| in_force(e, facts.now))
        .count();
    Evaluation {
        open_gap_count: count(gaps.iter().filter(|g| is_unsettled(g.status)).count()),
        open_blocker_count: count(blocker_ids.len()),
        accepted_risk_count: count(accepted),
        status: computed_status(facts.certification.status, blocked),
        readiness: Readiness { score, verdict },
        results,
        gaps,
        blocker_ids,
    }
}

/// What must change so that the stored records agree with `evaluation`: gaps, findings, control results, and the
/// certification last. Yields nothing when they agree already.
///
/// Gaps of controls that are no longer evaluated, and duplicates of a gap, are resolved. `new_gap_id` is asked
/// once per new gap, in the order of the controls.
pub fn reconcile(
    facts: &Facts<'_>,
    evaluation: &Evaluation,
    new_gap_id: &mut dyn FnMut() -> GapId,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut kept = BTreeSet::new();
    for expected in &evaluation.gaps {
        let stored = expected.gap_id.and_then(|id| own_gaps(facts).find(|gap| gap.id == id));
        let Some(gap) = stored else {
            effects.push(Effect::CreateEvidenceGap { record: new_gap(facts, expected, new_gap_id()) });
            continue;
        };
        kept.insert(gap.id);
        let differs = (gap.status, gap.reason, gap.severity, gap.blocking)
            != (expected.status, expected.reason, expected.severity, expected.blocking);
        if differs {
            effects.push(Effect::MoveEvidenceGap {
                id: gap.id,
                version: gap.version,
                from: gap.status,
                to: expected.status,
                reason: expected.reason,
                severity: expected.severity,
                blocking: expected.blocking,
                work_item_ids: gap.work_item_ids.clone(),
                at: facts.now,
            });
        }
    }
    for gap in own_gaps(facts) {
        if gap.status != GapStatus::Resolved && !kept.contains(&gap.id) {
            effects.push(Effect::MoveEvidenceGap {
                id: gap.id,
                version: gap.version,
                from: gap.status,
                to: GapStatus::Resolved,
                reason: gap.reason,
                severity: gap.severity,
                blocking: gap.blocking,
                work_item_ids: gap.work_item_ids.clone(),
                at: facts.now,
            });
        }
    }
    let waived = waived_ids(facts);
    for finding in own_findings(facts) {
        let to = finding_status(finding, &waived);
        // What is resolved stays as it was when it was resolved; an importer that sees it again reopens it.
        let blocking = if to == GapStatus::Resolved {
            finding.blocking
        } else {
            finding.severity >= facts.settings.blocker_threshold
        };
        if (finding.status, finding.blocking) != (to, blocking) {
            effects.push(Effect::MoveFinding {
                id: finding.id,
                version: finding.version,
                from: finding.status,
                to,
                blocking,
                work_item_ids: finding.work_item_ids.clone(),
                evidence_id: finding.evidence_id,
                last_seen_at: finding.last_seen_at,
                at: facts.now,
            });
        }
    }
    for result in &evaluation.results {
        let stored = facts
            .results
            .iter()
            .find(|r| r.certification_id == result.certification_id && r.control_id == result.control_id);
        if stored != Some(result) {
            effects.push(Effect::PutControlResult { record: result.clone() });
        }
    }
    let mut record = facts.certification.clone();
    record.status = evaluation.status;
    record.readiness = evaluation.readiness;
    record.open_gap_count = evaluation.open_gap_count;
    record.open_blocker_count = evaluation.open_blocker_count;
    record.accepted_risk_count = evaluation.accepted_risk_count;
    if record != *facts.certification {
        record.version += 1;
        record.updated_at = facts.now;
        effects.push(Effect::UpdateCertification { was: Box::new(facts.certification.clone()), record });
    }
    effects
}

fn new_gap(facts: &Facts<'_>, expected: &ExpectedGap, id: GapId) -> EvidenceGap {
    EvidenceGap {
        id,
        certification_id: facts.certification.id,
        release_id: facts.release_id,
        team_id: facts.team_id,
        control_id: expected.control_id,
        reason: expected.reason,
        severity: expected.severity,
        blocking: expected.blocking,
        status: expected.status,
        work_item_ids: Vec::new(),
        exception_id: None,
        detected_at: facts.now,
        resolved_at: None,
        updated_at: facts.now,
        version: 1,
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

const fn computed_status(status: CertificationStatus, blocked: bool) -> CertificationStatus {
    match status {
        CertificationStatus::InReview | CertificationStatus::Blocked if blocked => {
            CertificationStatus::Blocked
        }
        CertificationStatus::InReview | CertificationStatus::Blocked => CertificationStatus::InReview,
        other => other,
    }
}

/// Ids named by exceptions in force, each with the latest time one of them ends.
fn waived_ids(facts: &Facts<'_>) -> BTreeMap<String, Timestamp> {
    let mut ids: BTreeMap<String, Timestamp> = BTreeMap::new();
    for exception in facts.exceptions {
        if exception.release_id == facts.release_id && in_force(exception, facts.now) {
            for id in &exception.target_ids {
                let until = ids.entry(id.clone()).or_insert(exception.expires_at);
                *until = (*until).max(exception.expires_at);
            }
        }
    }
    ids
}

fn own_gaps<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a EvidenceGap> {
    let certification = facts.certification.id;
    facts.gaps.iter().filter(move |gap| gap.certification_id == certification)
}

fn own_findings<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a Finding> {
    let release = facts.release_id;
    facts.findings.iter().filter(move |finding| finding.release_id == release)
}

/// The gap that stands for a control: one that is not resolved if there is one, else the newest.
fn stored_gap<'a>(facts: &Facts<'a>, control: ControlId) -> Option<&'a EvidenceGap> {
    own_gaps(facts)
        .filter(|gap| gap.control_id == control)
        .max_by_key(|gap| (gap.status != GapStatus::Resolved, gap.detected_at, gap.id))
}

const fn expected_status(stored: Option<GapStatus>, waived: bool) -> GapStatus {
    match stored {
        _ if waived => GapStatus::Excepted,
        Some(GapStatus::InRemediation) => GapStatus::InRemediation,
        _ => GapStatus::Open,
    }
}

fn finding_status(finding: &Finding, waived: &BTreeMap<String, Timestamp>) -> GapStatus {
    match finding.status {
        GapStatus::Resolved => GapStatus::Resolved,
        other => expected_status(Some(other), waived.contains_key(&finding.id.to_string())),
    }
}

/// One piece of current evidence of a control.
struct Piece<'a> {
    evidence: &'a Evidence,
    /// Whether it is of the type the control asks for.
    counts: bool,
    against: Option<GapReason>,
}

/// Current evidence of one control, oldest first.
fn pieces_for<'a>(control: &Control, facts: &Facts<'a>) -> Vec<Piece<'a>> {
    let mut pieces: Vec<Piece<'a>> = facts
        .evidence
        .iter()
        .filter(|e| e.release_id == facts.release_id && e.control_id == Some(control.id))
        .filter(|e| e.superseded_by.is_none())
        .map(|evidence| Piece {
            evidence,
            counts: evidence.evidence_type == control.requirement.evidence_type,
            against: weigh(control, evidence, facts.now),
        })
        .collect();
    pieces.sort_by_key(|p| (p.evidence.collected_at, p.evidence.id));
    pieces
}

/// How long a piece of evidence counts for a control: its own validity, or the control's limit if that is
/// tighter.
fn good_until(control: &Control, evidence: &Evidence) -> Timestamp {
    control.requirement.freshness_seconds.map_or(evidence.valid_until, |seconds| {
        evidence.valid_until.min(evidence.collected_at.plus_seconds(seconds))
    })
}

enum Met {
    Yes,
    No,
    /// The evidence does not say: the metric is not in it.
    Unknown,
}

fn meets(threshold: &Threshold, evidence: &Evidence) -> Met {
    let Some(value) = evidence.metrics.get(&threshold.metric) else { return Met::Unknown };
    let low = threshold.at_least.is_some_and(|least| *value < least);
    let high = threshold.at_most.is_some_and(|most| *value > most);
    if low || high { Met::No } else { Met::Yes }
}

/// What speaks against one piece of evidence, the worst first.
fn weigh(control: &Control, evidence: &Evidence, now: Timestamp) -> Option<GapReason> {
    let thresholds = &control.requirement.thresholds;
    if evidence.result == EvidenceResult::Fail
        || thresholds.iter().any(|t| matches!(meets(t, evidence), Met::No))
    {
        return Some(GapReason::Failed);
    }
    if now > good_until(control, evidence) {
        return Some(GapReason::Stale);
    }
    let unknown = thresholds.iter().any(|t| matches!(meets(t, evidence), Met::Unknown));
    (evidence.result == EvidenceResult::Informational || unknown).then_some(GapReason::Unverified)
}

/// Greater is worse.
const fn badness(reason: GapReason) -> u8 {
    match reason {
        GapReason::Missing => 1,
        GapReason::Unverified => 2,
        GapReason::Stale => 3,
        GapReason::Failed => 4,
    }
}

/// The worst that speaks against a control.
fn judge(pieces: &[Piece<'_>]) -> Option<GapReason> {
    if !pieces.iter().any(|p| p.counts) {
        return Some(GapReason::Missing);
    }
    pieces.iter().filter(|p| p.counts).filter_map(|p| p.against).max_by_key(|r| badness(*r))
}

/// What a type of evidence is called in a sentence.
const fn noun(evidence_type: EvidenceType) -> &'static str {
    match evidence_type {
        EvidenceType::WorkItemLink => "work item link",
        EvidenceType::CodeReview => "code review",
        EvidenceType::Build => "build record",
        EvidenceType::TestRun => "test report",
        EvidenceType::SecurityScan => "security scan",
        EvidenceType::CodeQuality => "code quality report",
        EvidenceType::Sbom => "software bill of materials",
        EvidenceType::Monitoring => "monitoring record",
        EvidenceType::Approval => "approval",
        EvidenceType::ChangeRequest => "change request",
        EvidenceType::Deployment => "deployment record",
        EvidenceType::Incident => "incident record",
        EvidenceType::Manual => "manual evidence",
    }
}

/// The date of a time, in UTC.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn are(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// A sentence or two that tell a person why. Made of fixed words, numbers, dates, severities and the metric names
/// of the control set; never of text from evidence. It does not change merely because time goes by.
fn explain(
    control: &Control,
    pieces: &[Piece<'_>],
    reason: Option<GapReason>,
    waived_until: Option<Timestamp>,
) -> String {
    let name = noun(control.requirement.evidence_type);
    let counted = pieces.iter().filter(|p| p.counts).count();
    let against = |wanted: GapReason| pieces.iter().filter(move |p| p.counts && p.against == Some(wanted));
    // The newest piece with the reason that decided: the sentence is about that one.
    let newest = reason.and_then(|r| against(r).next_back());
    let mut text = match (reason, newest) {
        (None, _) => passed_sentence(control, pieces, name),
        (Some(GapReason::Failed), Some(piece)) => failed_sentence(control, piece.evidence, name),
        (Some(GapReason::Stale), Some(piece)) => {
            format!(
                "The newest {name} is of {} and counted until {}.",
                day(piece.evidence.collected_at),
                day(good_until(control, piece.evidence))
            )
        }
        (Some(GapReason::Unverified), Some(piece)) => unverified_sentence(control, piece.evidence, name),
        _ => {
            let other = pieces.len() - counted;
            if other == 0 {
                format!("No {name} has been attached.")
            } else {
                let pieces = are(other, "piece of evidence", "pieces of evidence");
                let verb = if other == 1 { "is" } else { "are" };
                format!("No {name} has been attached; {pieces} of another type {verb} not counted.")
            }
        }
    };
    if let Some(reason) = reason
        && counted > 1
    {
        let bad = against(reason).count();
        let _ = write!(text, " This concerns {bad} of {counted} current pieces of evidence.");
    }
    if let Some(until) = waived_until {
        let _ = write!(text, " Waived until {} by an approved exception.", day(until));
    }
    text
}

fn passed_sentence(control: &Control, pieces: &[Piece<'_>], name: &str) -> String {
    let counted: Vec<&Piece<'_>> = pieces.iter().filter(|p| p.counts).collect();
    let until = counted.iter().map(|p| good_until(control, p.evidence)).min().unwrap_or_default();
    if let [only] = counted.as_slice() {
        if let Some(tests) = tests(only.evidence)
            && tests.bad == 0
        {
            let all = if tests.all == 1 { "The 1 test passed".into() } else { tests_passed(&tests) };
            return format!("{all} in the newest report; it counts until {}.", day(until));
        }
        return format!("The newest {name} passed; it counts until {}.", day(until));
    }
    format!(
        "All {} current pieces of evidence passed; the first of them counts until {}.",
        counted.len(),
        day(until)
    )
}

fn tests_passed(tests: &Tests) -> String {
    match tests.skipped {
        0 => format!("All {} tests passed", tests.all),
        skipped => {
            format!("{} of {} tests passed and {skipped} were skipped", tests.all - skipped, tests.all)
        }
    }
}

struct Tests {
    all: i64,
    bad: i64,
    skipped: i64,
}

/// Counts of a test report, if they make sense.
fn tests(evidence: &Evidence) -> Option<Tests> {
    if evidence.evidence_type != EvidenceType::TestRun {
        return None;
    }
    let metric = |name: &str| evidence.metrics.get(name).copied().unwrap_or(0).max(0);
    let all = metric(METRIC_TESTCASES);
    let bad = metric(METRIC_FAILURES).saturating_add(metric(METRIC_ERRORS));
    let skipped = metric("skipped");
    (all > 0 && bad.saturating_add(skipped) <= all).then_some(Tests { all, bad, skipped })
}

fn failed_sentence(control: &Control, evidence: &Evidence, name: &str) -> String {
    if let Some(tests) = tests(evidence)
        && tests.bad > 0
    {
        return format!("{} of {} tests failed in the newest report.", tests.bad, tests.all);
    }
    let broken = control.requirement.thresholds.iter().find(|t| matches!(meets(t, evidence), Met::No));
    if let Some(threshold) = broken {
        let value = evidence.metrics.get(&threshold.metric).copied().unwrap_or_default();
        let bound = match (threshold.at_least, threshold.at_most) {
            (Some(least), _) if value < least => format!("at least {least}"),
            (_, Some(most)) => format!("at most {most}"),
            (least, _) => format!("at least {}", least.unwrap_or_default()),
        };
        return format!(
            "The newest {name} has {} = {value}; the control asks for {bound}.",
            threshold.metric
        );
    }
    let found: Vec<String> = Severity::ALL
        .iter()
        .filter_map(|s| {
            evidence.metrics.get(s.as_str()).filter(|n| **n > 0).map(|n| format!("{n} {}", s.as_str()))
        })
        .collect();
    if found.is_empty() {
        format!("The newest {name} reports a failure.")
    } else {
        format!("The newest {name} reports findings by severity: {}.", found.join(", "))
    }
}

fn unverified_sentence(control: &Control, evidence: &Evidence, name: &str) -> String {
    let unknown = control.requirement.thresholds.iter().find(|t| matches!(meets(t, evidence), Met::Unknown));
    match unknown {
        Some(threshold) if evidence.result != EvidenceResult::Informational => {
            format!(
                "The newest {name} does not say {}, which the control sets a limit for.",
                threshold.metric
            )
        }
        _ => format!("The newest {name} is informational: it neither passes nor fails the control."),
    }
}
