//! Evaluation: what satisfies a control, how gaps and blockers live, what score, verdict and status follow.

use std::collections::BTreeSet;

use domain::certification::{
    CertificationStatus, ControlOutcome, EvidenceResult, EvidenceType, ExceptionKind, ExceptionStatus,
    GapReason, GapStatus, Verdict,
};
use domain::control::Control;
use domain::effect::Effect;
use domain::evaluation::is_unsettled;
use domain::id::WorkItemId;
use domain::severity::Severity;
use proptest::prelude::*;

use crate::world::{
    DAY, World, control, control_id, days, evidence, evidence_id, exception, finding, finding_id, gap,
    gap_id, uuid, worlds,
};

/// A world of one required control with these pieces of evidence.
fn one(evidence: Vec<domain::certification::Evidence>) -> World {
    World::new(vec![control(0)], evidence)
}

fn reason(world: &World) -> Option<GapReason> {
    world.evaluate().gaps.first().map(|gap| gap.reason)
}

fn outcome(world: &World) -> Option<ControlOutcome> {
    world.evaluate().results.first().map(|result| result.outcome)
}

fn weighing(n: u128, severity: Severity) -> Control {
    Control { severity, ..control(n) }
}

#[test]
fn passing_fresh_evidence_satisfies() {
    let world = one(vec![evidence(1, 0)]);
    let evaluation = world.evaluate();
    assert_eq!(outcome(&world), Some(ControlOutcome::Passed));
    assert_eq!((evaluation.readiness.score, evaluation.readiness.verdict), (100, Verdict::Ready));
    assert!(evaluation.gaps.is_empty());
    assert_eq!(evaluation.status, CertificationStatus::InReview);
    assert_eq!(evaluation.results.first().map(|r| r.evidence_ids.clone()), Some(vec![evidence_id(1)]));
    assert_eq!(world.explanation(), "All 12 tests passed in the newest report; it counts until 2026-03-07.");
}

#[test]
fn nothing_attached_is_missing() {
    let world = one(Vec::new());
    assert_eq!(
        (reason(&world), outcome(&world)),
        (Some(GapReason::Missing), Some(ControlOutcome::NotEvaluated))
    );
    assert_eq!(world.explanation(), "No test report has been attached.");
    assert_eq!(world.evaluate().status, CertificationStatus::Blocked);
    let mut other = evidence(1, 0);
    other.evidence_type = EvidenceType::Sbom;
    let world = one(vec![other]);
    assert_eq!(reason(&world), Some(GapReason::Missing));
    assert_eq!(
        world.explanation(),
        "No test report has been attached; 1 piece of evidence of another type is not counted."
    );
    assert_eq!(world.evaluate().results.first().map(|r| r.evidence_ids.len()), Some(0));
}

#[test]
fn evidence_that_does_not_concern_the_control_is_not_counted() {
    let mut superseded = evidence(1, 0);
    superseded.superseded_by = Some(evidence_id(2));
    let mut foreign = evidence(3, 0);
    foreign.release_id = domain::id::ReleaseId::from_uuid(uuid(77));
    let mut unassigned = evidence(4, 0);
    unassigned.control_id = None;
    let world = one(vec![superseded, foreign, unassigned, evidence(5, 1)]);
    assert_eq!(reason(&world), Some(GapReason::Missing));
}

#[test]
fn failed_tests_are_counted_out() {
    let mut report = evidence(1, 0);
    report.result = EvidenceResult::Fail;
    report.metrics.insert("failures".into(), 1);
    let world = one(vec![report]);
    assert_eq!((reason(&world), outcome(&world)), (Some(GapReason::Failed), Some(ControlOutcome::Failed)));
    assert_eq!(world.explanation(), "1 of 12 tests failed in the newest report.");
}

#[test]
fn findings_of_a_failed_scan_are_named_by_severity() {
    let mut scan = evidence(1, 0);
    scan.evidence_type = EvidenceType::SecurityScan;
    scan.result = EvidenceResult::Fail;
    scan.metrics = [("critical".to_owned(), 1), ("high".to_owned(), 3), ("low".to_owned(), 0)].into();
    let mut world = one(vec![scan]);
    for control in &mut world.controls {
        control.requirement.evidence_type = EvidenceType::SecurityScan;
        control.requirement.thresholds.clear();
    }
    assert_eq!(
        world.explanation(),
        "The newest security scan reports findings by severity: 1 critical, 3 high."
    );
}

#[test]
fn a_threshold_is_met_broken_or_unknown() {
    let mut report = evidence(1, 0);
    report.metrics.insert("testcases".into(), 0);
    let world = one(vec![report.clone()]);
    assert_eq!(reason(&world), Some(GapReason::Failed));
    assert_eq!(
        world.explanation(),
        "The newest test report has testcases = 0; the control asks for at least 1."
    );
    report.metrics.clear();
    let world = one(vec![report.clone()]);
    assert_eq!(reason(&world), Some(GapReason::Unverified));
    assert_eq!(
        world.explanation(),
        "The newest test report does not say testcases, which the control sets a limit for."
    );
    report.metrics.insert("testcases".into(), 13);
    let mut world = one(vec![report]);
    for threshold in world.controls.iter_mut().flat_map(|c| &mut c.requirement.thresholds) {
        threshold.at_most = Some(12);
    }
    assert_eq!(
        world.explanation(),
        "The newest test report has testcases = 13; the control asks for at most 12."
    );
}

#[test]
fn evidence_counts_up_to_its_last_moment() {
    let mut world = one(vec![evidence(1, 0)]);
    world.now = days(6);
    assert_eq!(reason(&world), None);
    world.now = domain::time::Timestamp(days(6).0 + 1);
    assert_eq!(
        (reason(&world), outcome(&world)),
        (Some(GapReason::Stale), Some(ControlOutcome::NotEvaluated))
    );
    assert_eq!(world.explanation(), "The newest test report is of 2026-02-28 and counted until 2026-03-07.");
}

#[test]
fn the_tighter_freshness_counts() {
    let mut world = one(vec![evidence(1, 0)]);
    for control in &mut world.controls {
        control.requirement.freshness_seconds = Some(DAY);
    }
    assert_eq!(reason(&world), None);
    world.now = domain::time::Timestamp(world.now.0 + 1);
    assert_eq!(reason(&world), Some(GapReason::Stale));
    for control in &mut world.controls {
        control.requirement.freshness_seconds = Some(1_000 * DAY);
    }
    world.now = days(7);
    assert_eq!(reason(&world), Some(GapReason::Stale), "a wide limit does not prolong the evidence's own");
}

#[test]
fn informational_evidence_verifies_nothing() {
    let mut report = evidence(1, 0);
    report.result = EvidenceResult::Informational;
    let world = one(vec![report]);
    assert_eq!(
        (reason(&world), outcome(&world)),
        (Some(GapReason::Unverified), Some(ControlOutcome::NotEvaluated))
    );
}

#[test]
fn of_several_pieces_the_worst_counts() {
    let fine = evidence(1, 0);
    let mut unverified = evidence(2, 0);
    unverified.result = EvidenceResult::Informational;
    let mut stale = evidence(3, 0);
    stale.valid_until = days(-1);
    let mut failed = evidence(4, 0);
    failed.result = EvidenceResult::Fail;
    let mut pieces = vec![fine];
    let mut seen = Vec::new();
    for piece in [unverified, stale, failed] {
        pieces.push(piece);
        seen.push(reason(&one(pieces.clone())));
    }
    assert_eq!(seen, vec![Some(GapReason::Unverified), Some(GapReason::Stale), Some(GapReason::Failed)]);
    assert!(one(pieces).explanation().ends_with("This concerns 1 of 4 current pieces of evidence."));
}

#[test]
fn explanations_never_repeat_text_from_outside() {
    let mut world = one(vec![evidence(1, 0)]);
    world.findings.push(finding(0, Severity::Critical));
    for result in EvidenceResult::ALL {
        world.evidence.iter_mut().for_each(|e| e.result = *result);
        assert!(!world.explanation().contains("IGNORE"), "{}", world.explanation());
    }
}

#[test]
fn the_score_is_rounded_down_and_weighted() {
    let cases = [
        (vec![Severity::Critical, Severity::High, Severity::Low], 61), // 8 of 13
        (vec![Severity::Low, Severity::Critical, Severity::Critical], 5), // 1 of 17
        (vec![Severity::High, Severity::High], 50),
        (vec![Severity::Info, Severity::Info], 0), // no weight, and not all satisfied
        (vec![Severity::Info], 100),
        (vec![Severity::Medium, Severity::Info], 100), // the score only informs
    ];
    for (severities, score) in cases {
        let controls = (0..).zip(&severities).map(|(n, s)| weighing(n, *s)).collect();
        let evaluation = World::new(controls, vec![evidence(1, 0)]).evaluate();
        assert_eq!(evaluation.readiness.score, score, "{severities:?}");
        let verdict = if severities.len() == 1 { Verdict::Ready } else { Verdict::NotReady };
        assert_eq!(evaluation.readiness.verdict, verdict, "{severities:?}");
    }
}

#[test]
fn without_controls_nothing_is_shown_and_without_required_ones_nothing_is_asked() {
    let none = World::new(Vec::new(), vec![evidence(1, 0)]).evaluate();
    assert_eq!((none.readiness.score, none.readiness.verdict), (0, Verdict::NotReady));
    let mut optional = control(0);
    optional.required = false;
    let world = World::new(vec![optional], Vec::new());
    let evaluation = world.evaluate();
    assert_eq!((evaluation.readiness.score, evaluation.readiness.verdict), (100, Verdict::Ready));
    assert_eq!(evaluation.gaps.iter().map(|g| g.blocking).collect::<Vec<_>>(), vec![false]);
    assert_eq!((evaluation.open_gap_count, evaluation.status), (1, CertificationStatus::InReview));
}

#[test]
fn findings_block_from_the_threshold_up() {
    let mut world = one(vec![evidence(1, 0)]);
    world.findings =
        vec![finding(0, Severity::Medium), finding(1, Severity::High), finding(2, Severity::Critical)];
    assert_eq!(world.evaluate().blocker_ids, vec![finding_id(1), finding_id(2)]);
    assert_eq!(world.evaluate().status, CertificationStatus::Blocked);
    assert_eq!(world.evaluate().readiness.score, 100);
    world.settings.blocker_threshold = Severity::Critical;
    let effects = world.settle();
    assert!(effects.iter().any(|e| matches!(e, Effect::MoveFinding { id, blocking: false, from: GapStatus::Open, to: GapStatus::Open, .. } if *id == finding_id(1))));
    assert_eq!(world.certification.open_blocker_count, 1);
    world.findings.iter_mut().for_each(|f| f.status = GapStatus::Resolved);
    world.settle();
    assert_eq!(world.certification.readiness.verdict, Verdict::Ready);
    assert_eq!(world.certification.status, CertificationStatus::InReview);
}

#[test]
fn a_gap_lives_from_detection_to_resolution_and_back() {
    let mut world = one(Vec::new());
    world.settle();
    assert_eq!(world.gaps.iter().map(|g| g.status).collect::<Vec<_>>(), vec![GapStatus::Open]);
    assert_eq!(world.certification.status, CertificationStatus::Blocked);
    let first = world.gaps.clone();

    // Remediation begins; evidence arrives, but fails: the gap keeps id, work and status, with the new reason.
    let item = WorkItemId::from_uuid(uuid(900));
    world.gaps.iter_mut().for_each(|gap| {
        gap.status = GapStatus::InRemediation;
        gap.work_item_ids.push(item);
    });
    let mut report = evidence(1, 0);
    report.result = EvidenceResult::Fail;
    world.evidence.push(report);
    world.settle();
    let state =
        |world: &World| world.gaps.first().map(|g| (g.id, g.status, g.reason, g.work_item_ids.clone()));
    let id = first.first().map_or(gap_id(0), |gap| gap.id);
    assert_eq!(state(&world), Some((id, GapStatus::InRemediation, GapReason::Failed, vec![item])));
    assert_eq!(world.certification.status, CertificationStatus::Blocked, "work does not resolve");

    // New evidence resolves it.
    world.evidence.iter_mut().for_each(|e| e.superseded_by = Some(evidence_id(2)));
    world.evidence.push(evidence(2, 0));
    world.settle();
    assert_eq!(state(&world).map(|s| s.1), Some(GapStatus::Resolved));
    assert_eq!(world.certification.status, CertificationStatus::InReview);

    // It goes stale: the same gap is open again.
    world.now = days(30);
    world.settle();
    assert_eq!(state(&world), Some((id, GapStatus::Open, GapReason::Stale, vec![item])));
    assert_eq!(world.results, world.evaluate().results);
    assert_eq!(world.gaps.len(), 1);
    assert_eq!(world.certification.status, CertificationStatus::Blocked);
}

#[test]
fn an_exception_settles_until_it_ends() {
    let mut world = one(Vec::new());
    world.gaps.push(gap(0, 0, GapStatus::InRemediation));
    world.findings.push(finding(0, Severity::Critical));
    let mut waiver = exception(0, gap_id(0));
    waiver.target_ids.push(finding_id(0).to_string());
    waiver.kind = ExceptionKind::AcceptedRisk;
    world.exceptions.push(waiver);
    world.settle();
    assert_eq!(world.gap(0).map(|g| g.status), Some(GapStatus::Excepted));
    assert_eq!(world.findings.first().map(|f| f.status), Some(GapStatus::Excepted));
    assert_eq!(outcome(&world), Some(ControlOutcome::Waived));
    let c = &world.certification;
    assert_eq!((c.readiness.score, c.readiness.verdict), (100, Verdict::ReadyWithExceptions));
    assert_eq!((c.status, c.accepted_risk_count, c.open_gap_count), (CertificationStatus::InReview, 1, 0));
    assert_eq!(
        world.explanation(),
        "No test report has been attached. Waived until 2026-03-11 by an approved exception."
    );

    world.now = days(10); // it has ended at this very moment
    world.settle();
    assert_eq!(world.gap(0).map(|g| g.status), Some(GapStatus::Open));
    assert_eq!(world.findings.first().map(|f| f.status), Some(GapStatus::Open));
    let c = &world.certification;
    assert_eq!((c.status, c.accepted_risk_count), (CertificationStatus::Blocked, 0));
    assert_eq!(c.readiness.verdict, Verdict::NotReady);
}

#[test]
fn only_an_approved_exception_settles() {
    for status in ExceptionStatus::ALL {
        let mut world = one(Vec::new());
        world.gaps.push(gap(0, 0, GapStatus::Open));
        let mut waiver = exception(0, gap_id(0));
        waiver.status = *status;
        world.exceptions.push(waiver);
        let settled = world.evaluate().readiness.verdict == Verdict::ReadyWithExceptions;
        assert_eq!(settled, *status == ExceptionStatus::Approved, "{status}");
    }
}

#[test]
fn an_exception_of_another_release_settles_nothing() {
    let mut world = one(Vec::new());
    world.gaps.push(gap(0, 0, GapStatus::Open));
    let mut waiver = exception(0, gap_id(0));
    waiver.release_id = domain::id::ReleaseId::from_uuid(uuid(77));
    world.exceptions.push(waiver);
    assert_eq!(world.evaluate().status, CertificationStatus::Blocked);
}

#[test]
fn duplicates_of_a_gap_and_gaps_of_dropped_controls_are_resolved() {
    let mut world = one(Vec::new());
    world.gaps = vec![gap(0, 0, GapStatus::Open), gap(1, 0, GapStatus::Open), gap(2, 7, GapStatus::Open)];
    world.settle();
    let open: Vec<_> = world.gaps.iter().filter(|g| is_unsettled(g.status)).map(|g| g.control_id).collect();
    assert_eq!(open, vec![control_id(0)]);
    assert_eq!(world.gaps.len(), 3);
}

#[test]
fn the_certification_comes_last_and_only_if_it_differs() {
    let mut world = one(Vec::new());
    let effects = world.settle();
    assert_eq!(effects.len(), 3, "gap, result, certification");
    assert!(
        matches!(effects.last(), Some(Effect::UpdateCertification { record, .. }) if record.version == 2)
    );
    assert!(world.settle().is_empty());
    world.now = days(1);
    assert!(world.settle().is_empty(), "time alone changes nothing");
}

proptest! {
    #[test]
    fn applying_what_must_change_leaves_nothing_to_change(mut world in worlds()) {
        let before = world.evaluate();
        world.settle();
        prop_assert_eq!(world.effects(), Vec::new());
        let after = world.evaluate();
        prop_assert_eq!(&before.results, &after.results);
        prop_assert_eq!(&before.blocker_ids, &after.blocker_ids);
        prop_assert_eq!(before.readiness, after.readiness);
        prop_assert_eq!(before.status, after.status);
        // The records now say what the evaluation says.
        let c = &world.certification;
        prop_assert_eq!((c.status, c.readiness), (after.status, after.readiness));
        for result in &after.results {
            prop_assert_eq!(world.results.iter().find(|r| r.control_id == result.control_id), Some(result));
        }
        let open = world.gaps.iter().filter(|g| is_unsettled(g.status)).count();
        prop_assert_eq!(c.open_gap_count as usize, open);
        let findings = world.findings.iter().filter(|f| f.release_id == c.release_id && f.blocking);
        prop_assert_eq!(c.open_blocker_count as usize, findings.filter(|f| is_unsettled(f.status)).count());
    }

    #[test]
    fn the_order_of_facts_does_not_matter(mut world in worlds(), turn in 0_usize..8) {
        let before = world.evaluate();
        world.evidence.reverse();
        world.gaps.reverse();
        world.exceptions.reverse();
        world.findings.reverse();
        let n = world.evidence.len();
        world.evidence.rotate_left(turn.min(n));
        prop_assert_eq!(world.evaluate(), before);
    }

    #[test]
    fn a_verdict_is_earned(world in worlds()) {
        let evaluation = world.evaluate();
        let blocked = !evaluation.blocker_ids.is_empty()
            || evaluation.gaps.iter().any(|g| g.blocking && is_unsettled(g.status));
        let excepted = evaluation.results.iter().any(|r| r.outcome == ControlOutcome::Waived);
        prop_assert!(evaluation.readiness.score <= 100);
        match evaluation.readiness.verdict {
            Verdict::Ready => prop_assert!(!blocked && evaluation.readiness.score == 100),
            Verdict::ReadyWithExceptions => {
                prop_assert!(!blocked && evaluation.readiness.score == 100);
                prop_assert!(excepted || !world.exceptions.is_empty());
            }
            Verdict::NotReady => prop_assert!(blocked || world.controls.is_empty()),
        }
        let wanted = match world.certification.status {
            CertificationStatus::InReview | CertificationStatus::Blocked if blocked => CertificationStatus::Blocked,
            CertificationStatus::InReview | CertificationStatus::Blocked => CertificationStatus::InReview,
            other => other,
        };
        prop_assert_eq!(evaluation.status, wanted);
    }

    #[test]
    fn every_control_has_a_result_and_a_gap_unless_it_passed(world in worlds()) {
        let evaluation = world.evaluate();
        let ids: Vec<_> = evaluation.results.iter().map(|r| r.control_id).collect();
        prop_assert_eq!(ids, world.controls.iter().map(|c| c.id).collect::<Vec<_>>());
        let lacking: BTreeSet<_> = evaluation.gaps.iter().map(|g| g.control_id).collect();
        prop_assert_eq!(lacking.len(), evaluation.gaps.len());
        for result in &evaluation.results {
            prop_assert_eq!(result.outcome != ControlOutcome::Passed, lacking.contains(&result.control_id));
            prop_assert!(!result.explanation.is_empty() && !result.explanation.contains("IGNORE"));
        }
        prop_assert!(evaluation.gaps.iter().all(|g| g.status != GapStatus::Resolved));
    }

    #[test]
    fn only_evidence_resolves(mut world in worlds()) {
        let before = world.gaps.clone();
        world.settle();
        let passed: BTreeSet<_> = world.results.iter().filter(|r| r.outcome == ControlOutcome::Passed).map(|r| r.control_id).collect();
        for gap in before {
            let now = world.gaps.iter().find(|g| g.id == gap.id).map(|g| g.status);
            let duplicate = world.gaps.iter().any(|g| g.id != gap.id && g.control_id == gap.control_id);
            let dropped = !world.controls.iter().any(|c| c.id == gap.control_id);
            if gap.status != GapStatus::Resolved && now == Some(GapStatus::Resolved) {
                prop_assert!(passed.contains(&gap.control_id) || duplicate || dropped);
            }
            prop_assert!(!(now != Some(GapStatus::Resolved) && passed.contains(&gap.control_id)));
        }
    }

    #[test]
    fn superseded_evidence_changes_nothing(world in worlds()) {
        let mut without = world.clone();
        without.evidence.retain(|e| e.superseded_by.is_none());
        prop_assert_eq!(without.evaluate(), world.evaluate());
    }

    #[test]
    fn without_exceptions_time_only_takes_away(mut world in worlds(), later in 0_i64..20) {
        world.exceptions.clear();
        let before = world.evaluate().readiness.score;
        world.now = days(later);
        prop_assert!(world.evaluate().readiness.score <= before);
    }
}
