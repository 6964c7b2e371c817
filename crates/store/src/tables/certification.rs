//! Certifications and what they rest on: controls, results, evidence, gaps, findings, risks, exceptions.

use std::sync::Arc;

use domain::certification::{
    Certification, CertificationStatus, ControlResult, Evidence, EvidenceGap, EvidenceType, Exception,
    Finding, Freshness, GapReason, GapStatus, Risk, RiskStatus,
};
use domain::control::Control;
use domain::effect::Effect;
use domain::id::{
    CertificationId, ControlId, EvidenceId, ExceptionId, FindingId, GapId, ReleaseId, TeamId, UserId,
};
use domain::record::RecordType;
use domain::severity::Severity;
use domain::time::Timestamp;

use super::{document, history, list_statements, read_document, search, statements};
use crate::Reader;
use crate::fault::Fault;
use crate::sql::{Page, Paged, Row, Sql, Value, list, maybe, teams, text};
use crate::write::{Miss, Write};

list_statements!(
    LIST,
    COUNT,
    "certification",
    "document, id",
    "(cast(?2 as text) is null or ?2 like '%,' || team_id || ',%') and (cast(?3 as text) is null or team_id = ?3)
     and (cast(?4 as text) is null or release_id = ?4) and (cast(?5 as text) is null or ?5 like '%,' || status || ',%')
     and (cast(?6 as text) is null or reviewers like ?6)",
    "?7",
    "?8"
);
list_statements!(
    EVIDENCE_LIST,
    EVIDENCE_COUNT,
    "evidence",
    "document, id, version, superseded_by",
    "(cast(?2 as text) is null or ?2 like '%,' || team_id || ',%') and (cast(?3 as text) is null or release_id = ?3)
     and (cast(?4 as text) is null or control_id = ?4) and (cast(?5 as text) is null or ?5 like '%,' || type || ',%')
     and is_current >= ?6 and valid_until >= ?7 and valid_until < ?8
     and (cast(?9 as text) is null or sha256 = ?9)",
    "?10",
    "?11"
);
list_statements!(
    GAP_LIST,
    GAP_COUNT,
    "evidence_gap",
    "document, id, version, reason, severity, status, blocking, work_item_ids, resolved_at, updated_at",
    "(cast(?2 as text) is null or ?2 like '%,' || team_id || ',%') and (cast(?3 as text) is null or release_id = ?3)
     and (cast(?4 as text) is null or certification_id = ?4) and (cast(?5 as text) is null or control_id = ?5)
     and (cast(?6 as text) is null or ?6 like '%,' || status || ',%')
     and (cast(?7 as bigint) is null or blocking = ?7)",
    "?8",
    "?9"
);
list_statements!(
    FINDING_LIST,
    FINDING_COUNT,
    "finding",
    "document, id, version, status, blocking, work_item_ids, evidence_id, last_seen_at, updated_at",
    "(cast(?2 as text) is null or ?2 like '%,' || team_id || ',%') and (cast(?3 as text) is null or release_id = ?3)
     and (cast(?4 as text) is null or ?4 like '%,' || provider || ',%')
     and (cast(?5 as text) is null or ?5 like '%,' || severity || ',%')
     and (cast(?6 as text) is null or ?6 like '%,' || status || ',%')
     and (cast(?7 as bigint) is null or blocking = ?7)",
    "?8",
    "?9"
);
list_statements!(
    RISK_LIST,
    RISK_COUNT,
    "risk",
    "document, id",
    "(cast(?2 as text) is null or ?2 like '%,' || team_id || ',%') and (cast(?3 as text) is null or release_id = ?3)
     and (cast(?4 as text) is null or ?4 like '%,' || status || ',%')",
    "?5",
    "?6"
);
list_statements!(
    EXCEPTION_LIST,
    EXCEPTION_COUNT,
    "exception_record",
    "document, id",
    "(cast(?2 as text) is null or ?2 like '%,' || team_id || ',%') and (cast(?3 as text) is null or release_id = ?3)",
    "?4",
    "?5"
);
statements! {
    [LIST, COUNT, EVIDENCE_LIST, EVIDENCE_COUNT, GAP_LIST, GAP_COUNT, FINDING_LIST, FINDING_COUNT, RISK_LIST, RISK_COUNT, EXCEPTION_LIST, EXCEPTION_COUNT]
    GUARD = "select 1 from certification where organization_id = ?1 and id = ?2 and version = ?3";
    GUARD_CONTROL = "select 1 from control where organization_id = ?1 and id = ?2 and version = ?3";
    GUARD_EVIDENCE = "select 1 from evidence where organization_id = ?1 and id = ?2 and version = ?3";
    GUARD_GAP = "select 1 from evidence_gap where organization_id = ?1 and id = ?2 and version = ?3";
    GUARD_FINDING = "select 1 from finding where organization_id = ?1 and id = ?2 and version = ?3";
    GUARD_RISK = "select 1 from risk where organization_id = ?1 and id = ?2 and version = ?3";
    GUARD_EXCEPTION = "select 1 from exception_record where organization_id = ?1 and id = ?2 and version = ?3";
    INSERT = "insert into certification (organization_id, id, version, release_id, team_id, status, reviewers, document)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    UPDATE = "update certification set version = ?3, release_id = ?4, team_id = ?5, status = ?6, reviewers = ?7,
        document = ?8 where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    ONE = "select document from certification where organization_id = ?1 and id = ?2";
    INSERT_CONTROL = "insert into control (organization_id, id, version, position, code, framework, document)
        values (?1, ?2, ?3, (select count(*) from control where organization_id = ?1), ?4, ?5, ?6)";
    CONTROLS = "select document from control where organization_id = ?1 order by position";
    CONTROL = "select document from control where organization_id = ?1 and id = ?2";
    PUT_RESULT = "insert into control_result (organization_id, certification_id, control_id, document)
        values (?1, ?2, ?3, ?4)
        on conflict (organization_id, certification_id, control_id) do update set document = excluded.document";
    RESULTS = "select document from control_result where organization_id = ?1 and certification_id = ?2
        order by control_id";
    INSERT_EVIDENCE = "insert into evidence (organization_id, id, version, release_id, team_id, control_id, type,
        is_current, valid_until, sha256, superseded_by, document)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    SUPERSEDE = "update evidence set version = version + 1, is_current = 0, superseded_by = ?4
        where organization_id = ?1 and id = ?2 and version = ?3";
    EVIDENCE_ONE = "select document, id, version, superseded_by from evidence where organization_id = ?1 and id = ?2";
    INSERT_GAP = "insert into evidence_gap (organization_id, id, version, release_id, certification_id, team_id,
        control_id, reason, severity, status, blocking, work_item_ids, resolved_at, updated_at, document)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    MOVE_GAP = "update evidence_gap set version = version + 1, reason = ?5, severity = ?6, status = ?7, blocking = ?8,
        work_item_ids = ?9, resolved_at = ?10, updated_at = ?11
        where organization_id = ?1 and id = ?2 and version = ?3 and status = ?4";
    GAP_ONE = "select document, id, version, reason, severity, status, blocking, work_item_ids, resolved_at, updated_at
        from evidence_gap where organization_id = ?1 and id = ?2";
    INSERT_FINDING = "insert into finding (organization_id, id, version, release_id, team_id, provider, external_id,
        severity, status, blocking, work_item_ids, evidence_id, last_seen_at, updated_at, document)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    MOVE_FINDING = "update finding set version = version + 1, status = ?5, blocking = ?6, work_item_ids = ?7,
        evidence_id = ?8, last_seen_at = ?9, updated_at = ?10
        where organization_id = ?1 and id = ?2 and version = ?3 and status = ?4";
    FINDING_ONE = "select document, id, version, status, blocking, work_item_ids, evidence_id, last_seen_at, updated_at
        from finding where organization_id = ?1 and id = ?2";
    FINDING_EXTERNAL = "select document, id, version, status, blocking, work_item_ids, evidence_id, last_seen_at,
        updated_at from finding where organization_id = ?1 and release_id = ?2 and provider = ?3 and external_id = ?4";
    INSERT_RISK = "insert into risk (organization_id, id, version, release_id, team_id, status, document)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    INSERT_EXCEPTION = "insert into exception_record (organization_id, id, version, release_id, team_id, status,
        expires_at, document) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    UPDATE_EXCEPTION = "update exception_record set version = ?3, release_id = ?4, team_id = ?5, status = ?6,
        expires_at = ?7, document = ?8 where organization_id = ?1 and id = ?2 and version + 1 = ?3";
    EXCEPTION_ONE = "select document from exception_record where organization_id = ?1 and id = ?2";
    ENDED_EXCEPTIONS = "select document from exception_record where organization_id = ?1 and status = 'approved'
        and expires_at <= ?2 order by expires_at, id limit ?3";
}

/// Which certifications.
#[derive(Debug, Clone, Copy, Default)]
pub struct CertificationFilter<'a> {
    pub teams: Option<&'a [TeamId]>,
    pub team: Option<TeamId>,
    pub release: Option<ReleaseId>,
    pub statuses: &'a [CertificationStatus],
    pub reviewer: Option<UserId>,
}

/// Which evidence.
#[derive(Debug, Clone, Copy, Default)]
pub struct EvidenceFilter<'a> {
    pub teams: Option<&'a [TeamId]>,
    pub release: Option<ReleaseId>,
    pub control: Option<ControlId>,
    pub types: &'a [EvidenceType],
    /// Without what newer evidence has replaced.
    pub current_only: bool,
    /// Fresh or stale at a moment.
    pub fresh_at: Option<(Freshness, Timestamp)>,
    pub sha256: Option<&'a str>,
}

/// Which gaps.
#[derive(Debug, Clone, Copy, Default)]
pub struct GapFilter<'a> {
    pub teams: Option<&'a [TeamId]>,
    pub release: Option<ReleaseId>,
    pub certification: Option<CertificationId>,
    pub control: Option<ControlId>,
    pub statuses: &'a [GapStatus],
    pub blocking: Option<bool>,
}

/// Which findings.
#[derive(Debug, Clone, Copy, Default)]
pub struct FindingFilter<'a> {
    pub teams: Option<&'a [TeamId]>,
    pub release: Option<ReleaseId>,
    pub providers: &'a [&'a str],
    pub severities: &'a [Severity],
    pub statuses: &'a [GapStatus],
    pub blocking: Option<bool>,
}

/// Which risks.
#[derive(Debug, Clone, Copy, Default)]
pub struct RiskFilter<'a> {
    pub teams: Option<&'a [TeamId]>,
    pub release: Option<ReleaseId>,
    pub statuses: &'a [RiskStatus],
}

/// Which exceptions.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExceptionFilter<'a> {
    pub teams: Option<&'a [TeamId]>,
    pub release: Option<ReleaseId>,
}

fn moved(record_type: RecordType, id: impl ToString) -> Miss {
    Miss::Moved(record_type, id.to_string())
}

/// Ids as one column: `,a,b,`; empty text for none.
fn ids<T: ToString>(items: &[T]) -> Value {
    let mut out = String::new();
    for item in items {
        if out.is_empty() {
            out.push(',');
        }
        out.push_str(&item.to_string());
        out.push(',');
    }
    Value::Text(out)
}

fn parse_ids<T: std::str::FromStr>(text: &str) -> Vec<T> {
    text.split(',').filter(|part| !part.is_empty()).filter_map(|part| part.parse().ok()).collect()
}

fn certification_params(c: &Certification) -> Vec<Value> {
    vec![
        text(c.id),
        Value::Int(c.version),
        text(c.release_id),
        text(c.team_id),
        text(c.status),
        ids(&c.reviewers),
        document(c),
    ]
}

fn search_certification(write: &mut Write, c: &Certification) {
    let id = c.id.to_string();
    search::put(write, RecordType::Certification, &id, c.team_id, &c.title, Some(c.status.as_str()));
}

pub fn create(write: &mut Write, c: &Certification) {
    write.one(&INSERT, certification_params(c), moved(RecordType::Certification, c.id));
    history::note_readiness(write, c);
    search_certification(write, c);
}

pub fn update(write: &mut Write, c: &Certification) {
    write.one(&UPDATE, certification_params(c), moved(RecordType::Certification, c.id));
    history::note_readiness(write, c);
    search_certification(write, c);
}

pub fn create_control(write: &mut Write, c: &Control) {
    let params = vec![
        text(c.id),
        Value::Int(c.version),
        Value::from(c.code.as_str()),
        Value::from(c.framework.as_str()),
        document(c),
    ];
    write.one(&INSERT_CONTROL, params, moved(RecordType::Control, c.id));
}

pub fn put_result(write: &mut Write, r: &ControlResult) {
    write.any(&PUT_RESULT, vec![text(r.certification_id), text(r.control_id), document(r)]);
}

pub fn create_evidence(write: &mut Write, e: &Evidence) {
    let id = e.id.to_string();
    let params = vec![
        text(e.id),
        Value::Int(e.version),
        text(e.release_id),
        text(e.team_id),
        maybe(e.control_id),
        text(e.evidence_type),
        Value::from(e.superseded_by.is_none()),
        Value::Int(e.valid_until.0),
        Value::from(e.sha256.as_str()),
        maybe(e.superseded_by),
        document(e),
    ];
    write.one(&INSERT_EVIDENCE, params, moved(RecordType::Evidence, &id));
    search::put(write, RecordType::Evidence, &id, e.team_id, &e.title, Some(e.result.as_str()));
}

pub fn supersede_evidence(write: &mut Write, id: EvidenceId, version: i64, by: EvidenceId) {
    write.one(&SUPERSEDE, vec![text(id), Value::Int(version), text(by)], moved(RecordType::Evidence, id));
}

pub fn create_gap(write: &mut Write, g: &EvidenceGap) {
    let params = vec![
        text(g.id),
        Value::Int(g.version),
        text(g.release_id),
        text(g.certification_id),
        text(g.team_id),
        text(g.control_id),
        text(g.reason),
        text(g.severity.as_str()),
        text(g.status),
        Value::from(g.blocking),
        ids(&g.work_item_ids),
        g.resolved_at.map_or(Value::Null, |t| Value::Int(t.0)),
        Value::Int(g.updated_at.0),
        document(g),
    ];
    write.one(&INSERT_GAP, params, moved(RecordType::EvidenceGap, g.id));
}

pub fn move_gap(write: &mut Write, effect: &Effect) {
    let Effect::MoveEvidenceGap { id, version, from, to, reason, severity, blocking, work_item_ids, at } =
        effect
    else {
        return;
    };
    let resolved = *to == GapStatus::Resolved;
    let params = vec![
        text(id),
        Value::Int(*version),
        text(from),
        text(reason),
        text(severity.as_str()),
        text(to),
        Value::from(*blocking),
        ids(work_item_ids),
        if resolved { Value::Int(at.0) } else { Value::Null },
        Value::Int(at.0),
    ];
    write.one(&MOVE_GAP, params, moved(RecordType::EvidenceGap, id));
}

pub fn create_finding(write: &mut Write, f: &Finding) {
    let id = f.id.to_string();
    let params = vec![
        text(f.id),
        Value::Int(f.version),
        text(f.release_id),
        text(f.team_id),
        Value::from(f.provider.as_str()),
        Value::from(f.external_id.as_str()),
        text(f.severity.as_str()),
        text(f.status),
        Value::from(f.blocking),
        ids(&f.work_item_ids),
        text(f.evidence_id),
        Value::Int(f.last_seen_at.0),
        Value::Int(f.updated_at.0),
        document(f),
    ];
    write.one(&INSERT_FINDING, params, moved(RecordType::ProviderBlocker, &id));
    if f.blocking {
        search::put(write, RecordType::ProviderBlocker, &id, f.team_id, &f.title, Some(f.status.as_str()));
    }
}

pub fn move_finding(write: &mut Write, effect: &Effect) {
    let Effect::MoveFinding { id, version, from, to, blocking, work_item_ids, evidence_id, last_seen_at, at } =
        effect
    else {
        return;
    };
    let params = vec![
        text(id),
        Value::Int(*version),
        text(from),
        text(to),
        Value::from(*blocking),
        ids(work_item_ids),
        text(evidence_id),
        Value::Int(last_seen_at.0),
        Value::Int(at.0),
    ];
    write.one(&MOVE_FINDING, params, moved(RecordType::ProviderBlocker, id));
}

pub fn create_risk(write: &mut Write, r: &Risk) {
    let id = r.id.to_string();
    let params = vec![
        text(r.id),
        Value::Int(r.version),
        text(r.release_id),
        text(r.team_id),
        text(r.status),
        document(r),
    ];
    write.one(&INSERT_RISK, params, moved(RecordType::Risk, &id));
    search::put(write, RecordType::Risk, &id, r.team_id, &r.title, Some(r.status.as_str()));
}

fn put_exception(write: &mut Write, sql: &'static Sql, e: &Exception) {
    let params = vec![
        text(e.id),
        Value::Int(e.version),
        text(e.release_id),
        text(e.team_id),
        text(e.status),
        Value::Int(e.expires_at.0),
        document(e),
    ];
    write.one(sql, params, moved(RecordType::Exception, e.id));
}

pub fn create_exception(write: &mut Write, e: &Exception) {
    put_exception(write, &INSERT_EXCEPTION, e);
}

pub fn update_exception(write: &mut Write, e: &Exception) {
    put_exception(write, &UPDATE_EXCEPTION, e);
}

// The document holds what never changes; what moves is in columns of its own and laid over it.

fn read_evidence(row: &dyn Row) -> Result<Evidence, Fault> {
    let mut evidence: Evidence = read_document(row, 0)?;
    evidence.version = row.int(2);
    evidence.superseded_by = row.maybe_text(3).and_then(|id| id.parse().ok());
    Ok(evidence)
}

fn word<T>(found: Option<T>) -> Result<T, Fault> {
    found.ok_or(Fault::Bug("a stored word is of its vocabulary"))
}

fn read_gap(row: &dyn Row) -> Result<EvidenceGap, Fault> {
    let mut gap: EvidenceGap = read_document(row, 0)?;
    gap.version = row.int(2);
    gap.reason = word(GapReason::parse(&row.text(3)))?;
    gap.severity = word(Severity::parse(&row.text(4)))?;
    gap.status = word(GapStatus::parse(&row.text(5)))?;
    gap.blocking = row.int(6) != 0;
    gap.work_item_ids = parse_ids(&row.text(7));
    gap.resolved_at = row.maybe_int(8).map(Timestamp);
    gap.updated_at = Timestamp(row.int(9));
    Ok(gap)
}

fn read_finding(row: &dyn Row) -> Result<Finding, Fault> {
    let mut finding: Finding = read_document(row, 0)?;
    finding.version = row.int(2);
    finding.status = word(GapStatus::parse(&row.text(3)))?;
    finding.blocking = row.int(4) != 0;
    finding.work_item_ids = parse_ids(&row.text(5));
    finding.evidence_id = word(row.text(6).parse().ok())?;
    finding.last_seen_at = Timestamp(row.int(7));
    finding.updated_at = Timestamp(row.int(8));
    Ok(finding)
}

impl Reader {
    pub async fn certification(&self, id: CertificationId) -> Result<Option<Certification>, Fault> {
        self.document(&ONE, vec![text(id)]).await
    }
    pub async fn certifications(
        &self,
        f: CertificationFilter<'_>,
        page: Page<'_>,
    ) -> Result<Paged<Certification>, Fault> {
        let filters = vec![
            teams(f.teams),
            maybe(f.team),
            maybe(f.release),
            list(f.statuses),
            f.reviewer.map_or(Value::Null, |id| Value::from(format!("%,{id},%"))),
        ];
        self.paged(&LIST, &COUNT, filters, page).await
    }
    /// Controls in the order of their set.
    pub async fn controls(&self) -> Result<Arc<Vec<Control>>, Fault> {
        self.kept_documents(&CONTROLS, Vec::new()).await
    }
    pub async fn control(&self, id: ControlId) -> Result<Option<Control>, Fault> {
        Ok(self.kept_documents(&CONTROL, vec![text(id)]).await?.first().cloned())
    }
    pub async fn control_results(&self, id: CertificationId) -> Result<Vec<ControlResult>, Fault> {
        self.documents(&RESULTS, vec![text(id)]).await
    }
    pub async fn evidence(&self, id: EvidenceId) -> Result<Option<Evidence>, Fault> {
        Ok(self.rows(&EVIDENCE_ONE, vec![text(id)], read_evidence).await?.into_iter().next())
    }
    pub async fn evidence_page(
        &self,
        f: EvidenceFilter<'_>,
        page: Page<'_>,
    ) -> Result<Paged<Evidence>, Fault> {
        let (from, until) = match f.fresh_at {
            None => (i64::MIN, i64::MAX),
            Some((Freshness::Fresh, now)) => (now.0, i64::MAX),
            Some((Freshness::Stale, now)) => (i64::MIN, now.0),
        };
        let filters = vec![
            teams(f.teams),
            maybe(f.release),
            maybe(f.control),
            list(f.types),
            Value::from(f.current_only),
            Value::Int(from),
            Value::Int(until),
            f.sha256.map_or(Value::Null, Value::from),
        ];
        self.paged_rows(&EVIDENCE_LIST, &EVIDENCE_COUNT, filters, page, read_evidence).await
    }
    pub async fn gap(&self, id: GapId) -> Result<Option<EvidenceGap>, Fault> {
        Ok(self.rows(&GAP_ONE, vec![text(id)], read_gap).await?.into_iter().next())
    }
    pub async fn gaps(&self, f: GapFilter<'_>, page: Page<'_>) -> Result<Paged<EvidenceGap>, Fault> {
        let filters = vec![
            teams(f.teams),
            maybe(f.release),
            maybe(f.certification),
            maybe(f.control),
            list(f.statuses),
            f.blocking.map_or(Value::Null, Value::from),
        ];
        self.paged_rows(&GAP_LIST, &GAP_COUNT, filters, page, read_gap).await
    }
    pub async fn finding(&self, id: FindingId) -> Result<Option<Finding>, Fault> {
        Ok(self.rows(&FINDING_ONE, vec![text(id)], read_finding).await?.into_iter().next())
    }
    /// The finding of a provider on a release under the provider's own id.
    pub async fn finding_by_external(
        &self,
        release: ReleaseId,
        provider: &str,
        external_id: &str,
    ) -> Result<Option<Finding>, Fault> {
        let params = vec![text(release), Value::from(provider), Value::from(external_id)];
        Ok(self.rows(&FINDING_EXTERNAL, params, read_finding).await?.into_iter().next())
    }
    pub async fn findings(&self, f: FindingFilter<'_>, page: Page<'_>) -> Result<Paged<Finding>, Fault> {
        let severities: Vec<&str> = f.severities.iter().map(|s| s.as_str()).collect();
        let filters = vec![
            teams(f.teams),
            maybe(f.release),
            list(f.providers),
            list(&severities),
            list(f.statuses),
            f.blocking.map_or(Value::Null, Value::from),
        ];
        self.paged_rows(&FINDING_LIST, &FINDING_COUNT, filters, page, read_finding).await
    }
    pub async fn risks(&self, f: RiskFilter<'_>, page: Page<'_>) -> Result<Paged<Risk>, Fault> {
        self.paged(&RISK_LIST, &RISK_COUNT, vec![teams(f.teams), maybe(f.release), list(f.statuses)], page)
            .await
    }
    pub async fn exception(&self, id: ExceptionId) -> Result<Option<Exception>, Fault> {
        self.document(&EXCEPTION_ONE, vec![text(id)]).await
    }
    /// Approved exceptions whose time has run out at `now`, those that ended first first.
    pub async fn ended_exceptions(&self, now: Timestamp, limit: u32) -> Result<Vec<Exception>, Fault> {
        self.documents(&ENDED_EXCEPTIONS, vec![Value::Int(now.0), Value::Int(i64::from(limit))]).await
    }
    pub async fn exceptions(
        &self,
        f: ExceptionFilter<'_>,
        page: Page<'_>,
    ) -> Result<Paged<Exception>, Fault> {
        self.paged(&EXCEPTION_LIST, &EXCEPTION_COUNT, vec![teams(f.teams), maybe(f.release)], page).await
    }
}
