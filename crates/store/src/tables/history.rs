//! What is told over time: how ready certifications were found, how actions were decided, how the log grew. Readiness has
//! a table of its own, to which every change of a certification adds; the rest is in the log already.

use domain::audit::AuditKind;
use domain::certification::{Certification, Readiness, Verdict};
use domain::id::{CertificationId, UserId};
use domain::record::RecordType;
use domain::time::Timestamp;

use super::statements;
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Row, Value, text};
use crate::write::{Miss, Write};

statements! {
    INSERT_READINESS = "insert into readiness (organization_id, certification_id, version, at, score, verdict, open_gaps,
        open_blockers) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    READINESS = "select at, score, verdict, open_gaps, open_blockers from readiness
        where organization_id = ?1 and certification_id = ?2 order by version desc limit ?3";
    DECISIONS = "select e.kind, e.user_id, e.at, p.user_id, p.at from audit_entry e
        join audit_entry p on p.organization_id = e.organization_id and p.action_id = e.action_id
            and p.kind = 'proposed'
        where e.organization_id = ?1 and e.kind in ('approved', 'rejected', 'broken_glass', 'expired')
        and e.at >= ?2 order by e.at desc limit ?3";
    HEADS = "select part, max(size), count(*) from (select at / ?3 as part, size from audit_checkpoint
        where organization_id = ?1 and at >= ?2) h group by part order by part";
    HEAD_BEFORE = "select size from audit_checkpoint where organization_id = ?1 and at < ?2
        order by size desc limit 1";
}

/// How ready a certification was found, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadinessPoint {
    pub at: Timestamp,
    pub readiness: Readiness,
    pub open_gaps: u32,
    pub open_blockers: u32,
}

/// One decision on one action: by a person, or without one by a rule or the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionTaken {
    pub kind: AuditKind,
    pub by: Option<UserId>,
    pub at: Timestamp,
    pub requester: Option<UserId>,
    pub proposed_at: Timestamp,
}

/// Heads that were signed in one part of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedHeads {
    /// Beginning of the part.
    pub start: Timestamp,
    /// Records under the last of them.
    pub size: u64,
    pub heads: u32,
}

/// Notes how ready this version of a certification is.
pub(super) fn note_readiness(write: &mut Write, c: &Certification) {
    let params = vec![
        text(c.id),
        Value::Int(c.version),
        Value::Int(c.updated_at.0),
        Value::Int(c.readiness.score.into()),
        text(c.readiness.verdict),
        Value::Int(c.open_gap_count.into()),
        Value::Int(c.open_blocker_count.into()),
    ];
    write.one(&INSERT_READINESS, params, Miss::Moved(RecordType::Certification, c.id.to_string()));
}

fn small(row: &dyn Row, column: usize) -> u32 {
    u32::try_from(row.int(column)).unwrap_or(0)
}

fn user(row: &dyn Row, column: usize) -> Option<UserId> {
    row.maybe_text(column).and_then(|id| id.parse().ok())
}

impl Reader {
    /// How ready a certification was found, the newest first.
    pub async fn readiness(&self, id: CertificationId, limit: u32) -> Result<Vec<ReadinessPoint>, Fault> {
        let read = |row: &dyn Row| {
            let verdict = Verdict::parse(&row.text(2)).ok_or(Fault::Bug("a stored verdict is a verdict"))?;
            let score = u8::try_from(row.int(1)).unwrap_or(0);
            Ok(ReadinessPoint {
                at: Timestamp(row.int(0)),
                readiness: Readiness { score, verdict },
                open_gaps: small(row, 3),
                open_blockers: small(row, 4),
            })
        };
        self.rows(&READINESS, vec![text(id), Value::Int(limit.into())], read).await
    }

    /// Decisions on actions not before `from`, the newest first.
    pub async fn decisions(&self, from: Timestamp, limit: u32) -> Result<Vec<DecisionTaken>, Fault> {
        let read = |row: &dyn Row| {
            Ok(DecisionTaken {
                kind: AuditKind::parse(&row.text(0)).ok_or(Fault::Bug("a stored kind is a kind"))?,
                by: user(row, 1),
                at: Timestamp(row.int(2)),
                requester: user(row, 3),
                proposed_at: Timestamp(row.int(4)),
            })
        };
        self.rows(&DECISIONS, vec![Value::Int(from.0), Value::Int(limit.into())], read).await
    }

    /// Heads of the log signed not before `from`, by parts of so many microseconds.
    pub async fn signed_heads(&self, from: Timestamp, part: i64) -> Result<Vec<SignedHeads>, Fault> {
        let read = |row: &dyn Row| {
            Ok(SignedHeads {
                start: Timestamp(row.int(0) * part),
                size: u64::try_from(row.int(1)).unwrap_or(0),
                heads: small(row, 2),
            })
        };
        self.rows(&HEADS, vec![Value::Int(from.0), Value::Int(part)], read).await
    }

    /// Records under the last head that was signed before `at`.
    pub async fn signed_size_before(&self, at: Timestamp) -> Result<u64, Fault> {
        let read = |row: &dyn Row| Ok(u64::try_from(row.int(0)).unwrap_or(0));
        Ok(self.rows(&HEAD_BEFORE, vec![Value::Int(at.0)], read).await?.first().copied().unwrap_or(0))
    }
}
