//! Evidence comes in: a foreign file is read by `intake`, kept by its SHA-256, becomes evidence and findings, and the
//! certification is evaluated again, all in one commit. No approval is asked (a pipeline reports facts), but the
//! push is an action like any other: permission-checked, idempotent, audited.

use std::collections::BTreeMap;

use domain::action::{Action, ActionState, AuditReceipt, digest};
use domain::approval::Requirement;
use domain::audit::AuditKind;
use domain::certification::{Evidence, EvidenceResult, EvidenceType, Finding, GapStatus};
use domain::control::Control;
use domain::digest::Digest;
use domain::effect::Effect;
use domain::id::{ActionId, ApprovalId, ComponentId, EvidenceId, FindingId};
use domain::org::OrgSettings;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::{Code, Refusal};
use domain::release::Release;
use domain::time::Timestamp;
use store::{
    CertificationFilter, CommitError, Conflict, EvidenceFilter, FindingFilter, Org, Page, StoredAction, Write,
};
use uuid::Uuid;

use crate::state::{State, all_pages};
use crate::stop::{Fault, Stop};
use crate::tool::Cx;
use crate::view::{CertificationView, ControlRef, EvidenceView, ReleaseRef};
use crate::{Caller, Engine, action, ledger, limits, resolve};

/// The name under which pushes are recorded as actions.
pub const TOOL: &str = "push_evidence";

/// What accompanies a pushed file.
#[derive(Debug, Clone, Default)]
pub struct EvidencePush {
    /// Id or name of the release.
    pub release: String,
    /// Id or code of the control it is evidence for.
    pub control: Option<String>,
    /// Tool or service it came from; the file's own word for it when absent.
    pub provider: Option<String>,
    /// Name of a component of the release.
    pub component: Option<String>,
    pub file_name: String,
    /// `junit`, `sarif` or `cyclonedx`; recognised from the content when absent.
    pub format: Option<String>,
    /// When it was collected; now when absent, never later than now.
    pub collected_at: Option<Timestamp>,
    pub idempotency_key: Option<String>,
}

/// What a push did.
#[derive(Debug, Clone, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidencePushed {
    pub evidence: EvidenceView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certification: Option<CertificationView>,
    /// The very same file was current and fresh evidence already; nothing was written.
    pub duplicate: bool,
    /// Whether this is the stored outcome of an earlier push under the same key.
    pub replayed: bool,
    /// Findings read from the file.
    pub findings: u32,
    /// Whether the file held more findings than are kept.
    pub findings_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditReceipt>,
}

/// A file after reading: everything the plan of a push needs.
struct Incoming {
    report: intake::Report,
    sha256: Digest,
    size_bytes: u64,
}

impl Engine {
    /// Takes in one evidence file.
    ///
    /// # Errors
    /// `evidence_unreadable` for a file no importer understands (nothing is kept of it), `not_found`,
    /// `forbidden` without `evidence:attach`, `validation_failed`, `idempotency_conflict`.
    pub async fn push_evidence(
        &self,
        caller: Caller<'_>,
        push: EvidencePush,
        bytes: Vec<u8>,
    ) -> Result<EvidencePushed, Refusal> {
        match self.push(caller, push, bytes).await {
            Ok(pushed) => Ok(pushed),
            Err(stop) => Err(self.refuse(caller, TOOL, stop).await),
        }
    }

    async fn push(
        &self,
        caller: Caller<'_>,
        push: EvidencePush,
        bytes: Vec<u8>,
    ) -> Result<EvidencePushed, Stop> {
        let org = self.parts.store.org(caller.actor.organization.id).await?;
        let directory = self.parts.store.directory();
        let cx = self.cx(caller.actor, &org, &directory);
        let release = resolve::release(&cx, &push.release, Permission::ReleasesRead).await?;
        if !cx.rights.allows(Permission::EvidenceAttach, Some(release.team_id)) {
            return Err(Refusal::forbidden(Permission::EvidenceAttach).into());
        }
        let control = match &push.control {
            Some(reference) => Some(resolve::control(&cx, reference).await?),
            None => None,
        };
        let component = self.component_of(&cx, &release, push.component.as_deref()).await?;
        if push.collected_at.is_some_and(|at| at > cx.now) {
            return Err(Refusal::invalid("collectedAt", "must not be in the future").into());
        }
        let format = match push.format.as_deref() {
            None => None,
            Some(word) => Some(
                intake::Format::parse(word)
                    .ok_or_else(|| Refusal::invalid("format", "must be junit, sarif or cyclonedx"))?,
            ),
        };
        // Reading a large file takes long enough to be kept off the threads that answer others.
        let (incoming, bytes) = tokio::task::spawn_blocking(move || {
            let sha256 = Digest::of(&bytes);
            let size_bytes = bytes.len() as u64;
            (intake::read(&bytes, format).map(|report| Incoming { report, sha256, size_bytes }), bytes)
        })
        .await
        .map_err(|_| Fault::Cancelled)?;
        let incoming = incoming.map_err(|error| {
            Refusal::new(
                Code::EvidenceUnreadable,
                format!("the file could not be read: {error}"),
                error.remedy(),
            )
        })?;
        let key = match &push.idempotency_key {
            Some(key) => {
                action::check_key(key)?;
                key.clone()
            }
            None => derived_key(&release, control.as_ref(), &incoming, &push),
        };
        if let Some(found) = cx.reader.action_by_key(caller.actor.user_id, TOOL, &key).await? {
            return self.pushed_before(caller, &cx, &found, &incoming).await;
        }
        let stored = org.blobs().put(&bytes).await?;
        if stored != incoming.sha256 {
            return Err(Fault::Bug("a blob's name is its digest").into());
        }
        drop(bytes);
        for _ in 0..limits::EVIDENCE_TRIES_MAX {
            let request =
                Request { push: &push, release: &release, control: control.as_ref(), component, key: &key };
            if let Some(done) = self.try_push(caller, &org, &cx, request, &incoming).await? {
                return Ok(done);
            }
        }
        Err(Refusal::new(
            Code::InProgress,
            "many pushes to this release at once",
            "Repeat the push with the same idempotency key in a few seconds.",
        )
        .into())
    }

    async fn component_of(
        &self,
        cx: &Cx<'_>,
        release: &Release,
        name: Option<&str>,
    ) -> Result<Option<ComponentId>, Stop> {
        let Some(name) = name else { return Ok(release.component_ids.first().copied()) };
        let components = cx.reader.components().await?;
        let found = components.into_iter().find(|c| {
            release.component_ids.contains(&c.id)
                && (c.name.eq_ignore_ascii_case(name.trim()) || c.id.to_string() == name.trim())
        });
        Ok(Some(found.ok_or_else(|| Refusal::not_found("component of this release"))?.id))
    }

    async fn pushed_before(
        &self,
        caller: Caller<'_>,
        cx: &Cx<'_>,
        found: &StoredAction,
        incoming: &Incoming,
    ) -> Result<EvidencePushed, Stop> {
        let created = found.action.effects.iter().find_map(|effect| match effect {
            Effect::CreateEvidence { record } => Some(record.clone()),
            _ => None,
        });
        let Some(record) = created.filter(|record| record.sha256 == incoming.sha256.to_string()) else {
            return Err(Refusal::new(
                Code::IdempotencyConflict,
                "this idempotency key was used for another file",
                "Use a new key for a new file.",
            )
            .into());
        };
        let draft = ledger::action_draft(caller, cx.now, AuditKind::Replayed, &found.action);
        self.record(caller.actor.organization.id, draft).await?;
        let current = cx.reader.evidence(record.id).await?.unwrap_or(record);
        let mut pushed = describe(cx, &current, incoming, found.receipt).await?;
        pushed.replayed = true;
        Ok(pushed)
    }

    /// One try; `None` when another push moved a record at the same moment.
    async fn try_push(
        &self,
        caller: Caller<'_>,
        org: &Org,
        cx: &Cx<'_>,
        request: Request<'_>,
        incoming: &Incoming,
    ) -> Result<Option<EvidencePushed>, Stop> {
        let filter =
            CertificationFilter { release: Some(request.release.id), ..CertificationFilter::default() };
        let certification =
            cx.reader.certifications(filter, Page { limit: 1, after: None }).await?.items.into_iter().next();
        let mut state = match certification {
            Some(certification) => State::load(cx.reader, certification.id).await?,
            None => None,
        };
        let current = if let Some(state) = &state {
            state.evidence.clone()
        } else {
            all_pages!(|page| cx.reader.evidence_page(
                EvidenceFilter {
                    release: Some(request.release.id),
                    current_only: true,
                    ..EvidenceFilter::default()
                },
                page
            ))
        };
        let control_id = request.control.map(|c| c.id);
        let same = current.iter().find(|e| {
            e.sha256 == incoming.sha256.to_string() && e.control_id == control_id && cx.now <= e.valid_until
        });
        if let Some(same) = same
            && request.push.collected_at.is_none()
        {
            let receipt = {
                let mut draft = ledger::draft(caller, cx.now, AuditKind::Replayed, Some(TOOL));
                draft.references.push(domain::audit::AuditReference {
                    record_type: RecordType::Evidence,
                    id: same.id.to_string(),
                });
                self.record(caller.actor.organization.id, draft).await?
            };
            let mut pushed = describe(cx, same, incoming, Some(receipt)).await?;
            pushed.duplicate = true;
            return Ok(Some(pushed));
        }
        let new_id = &mut || self.parts.ids.next();
        let evidence = new_evidence(cx, &request, incoming, EvidenceId::from_uuid(new_id()));
        let mut effects = vec![Effect::CreateEvidence { record: evidence.clone() }];
        effects.extend(supersede(&current, &evidence));
        let found = if let Some(state) = &state {
            state.findings.clone()
        } else {
            all_pages!(|page| cx.reader.findings(
                FindingFilter { release: Some(request.release.id), ..FindingFilter::default() },
                page
            ))
        };
        let settings = &cx.organization.settings;
        effects.extend(findings(settings, cx.now, &evidence, &incoming.report, &found, new_id));
        if let Some(state) = &mut state {
            state.foresee(&effects);
            effects.extend(state.reconcile(&cx.organization.settings, cx.now, new_id));
        }
        let action = self.push_action(caller, cx, &request, incoming, effects)?;
        let mut write = Write::new();
        let receipt = write.audit(ledger::action_draft(caller, cx.now, AuditKind::Executed, &action));
        for version in &action.versions {
            write.guard(version);
        }
        for effect in &action.effects {
            write.effect(effect);
        }
        write.claim_action(&action, Some(receipt));
        match org.commit(write).await {
            Ok(done) => {
                self.mark_outdated(org, &action.effects, cx.now).await;
                Ok(Some(describe(cx, &evidence, incoming, done.receipts.first().copied()).await?))
            }
            Err(CommitError::Conflict(Conflict::DuplicateKey)) => {
                let found = cx
                    .reader
                    .action_by_key(caller.actor.user_id, TOOL, request.key)
                    .await?
                    .ok_or(Fault::Bug("a claimed key has an action"))?;
                Ok(Some(self.pushed_before(caller, cx, &found, incoming).await?))
            }
            Err(CommitError::Conflict(_)) => Ok(None),
            Err(CommitError::Fault(fault)) => Err(fault.into()),
        }
    }

    fn push_action(
        &self,
        caller: Caller<'_>,
        cx: &Cx<'_>,
        request: &Request<'_>,
        incoming: &Incoming,
        effects: Vec<Effect>,
    ) -> Result<Action, Stop> {
        let arguments = domain::digest::canonical_json(&serde_json::json!({
            "release": request.release.id,
            "control": request.control.map(|c| c.id),
            "sha256": incoming.sha256,
            "fileName": request.push.file_name,
        }))?;
        let arguments_digest = Digest::of(&arguments);
        let arguments = String::from_utf8(arguments).map_err(|_| Fault::Bug("canonical JSON is UTF-8"))?;
        let mut action = Action {
            id: ActionId::from_uuid(self.parts.ids.next()),
            approval_id: ApprovalId::from_uuid(self.parts.ids.next()),
            organization_id: cx.organization.id,
            tool: TOOL.to_owned(),
            tool_version: 1,
            state: ActionState::Executed,
            requester_id: caller.actor.user_id,
            requester_email: caller.actor.email.clone(),
            token_id: caller.actor.credential.token_id(),
            agent: caller.actor.agent.as_deref().map(domain::agent::AgentRef::from),
            channel: caller.channel,
            arguments: serde_json::value::RawValue::from_string(arguments)?,
            arguments_digest,
            idempotency_key: request.key.to_owned(),
            key_derived: request.push.idempotency_key.is_none(),
            effects,
            versions: vec![VersionRead {
                record_type: RecordType::Membership,
                id: caller.actor.user_id.to_string(),
                version: caller.actor.membership.version,
            }],
            labels: BTreeMap::new(),
            notes: Vec::new(),
            policy_version: caller.actor.policy_name().to_owned(),
            requirement: Requirement::none(),
            digest: arguments_digest,
            summary: format!("Evidence for {}", request.release.name),
            reason: "evidence push".into(),
            workflow: None,
            request_id: caller.ids.request_id.clone(),
            trace_id: caller.ids.trace_id.clone(),
            team_id: Some(request.release.team_id),
            release_id: Some(request.release.id),
            certification_id: None,
            created_at: cx.now,
            approval_expires_at: cx.now,
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
            finished_at: Some(cx.now),
            failure: None,
            version: 1,
        };
        action.digest = digest(&action)?;
        Ok(action)
    }
}

/// One push, resolved.
struct Request<'a> {
    push: &'a EvidencePush,
    release: &'a Release,
    control: Option<&'a Control>,
    component: Option<ComponentId>,
    key: &'a str,
}

/// Without a key of its own, the same file for the same release and control at the same collection time is the
/// same push.
fn derived_key(
    release: &Release,
    control: Option<&Control>,
    incoming: &Incoming,
    push: &EvidencePush,
) -> String {
    let control = control.map(|c| c.id.to_string()).unwrap_or_default();
    let at = push.collected_at.map(|t| t.to_string()).unwrap_or_default();
    let id = release.id.to_string();
    let parts = [id.as_bytes(), b"|", control.as_bytes(), b"|", at.as_bytes(), b"|", &incoming.sha256.0];
    format!("auto-{}", Digest::of_parts(&parts))
}

fn new_evidence(cx: &Cx<'_>, request: &Request<'_>, incoming: &Incoming, id: EvidenceId) -> Evidence {
    let report = &incoming.report;
    let settings = &cx.organization.settings;
    let evidence_type = request.control.map_or(
        match report.format {
            intake::Format::Junit => EvidenceType::TestRun,
            intake::Format::Sarif => EvidenceType::SecurityScan,
            intake::Format::CyclonedxJson => EvidenceType::Sbom,
        },
        |c| c.requirement.evidence_type,
    );
    let collected_at = request.push.collected_at.unwrap_or(cx.now);
    let scan_like = matches!(
        evidence_type,
        EvidenceType::TestRun | EvidenceType::SecurityScan | EvidenceType::CodeQuality
    );
    let mut lifetime =
        if scan_like { settings.scan_freshness_seconds } else { settings.other_freshness_seconds };
    if let Some(tighter) = request.control.and_then(|c| c.requirement.freshness_seconds) {
        lifetime = lifetime.min(tighter);
    }
    let provider = request
        .push
        .provider
        .clone()
        .or_else(|| report.tool.clone())
        .unwrap_or_else(|| report.format.as_str().to_owned());
    let code = request.control.map(|c| format!("{} ", c.code)).unwrap_or_default();
    Evidence {
        id,
        release_id: request.release.id,
        team_id: request.release.team_id,
        control_id: request.control.map(|c| c.id),
        evidence_type,
        title: clean(&format!("{code}{} report by {provider}", report.format.as_str())),
        source: clean(&provider),
        format: Some(report.format.as_str().to_owned()),
        tool_version: report.tool_version.clone(),
        result: result_of(report, settings),
        metrics: report.metrics.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        notes: report.notes.clone(),
        collected_at,
        valid_until: collected_at.plus_seconds(lifetime),
        sha256: incoming.sha256.to_string(),
        size_bytes: incoming.size_bytes,
        file_name: clean(&request.push.file_name),
        superseded_by: None,
        component_id: request.component,
        created_at: cx.now,
        created_by: Some(cx.actor.user_id),
        version: 1,
    }
}

/// What a report says about its control: a scan fails when it holds a finding at or above the organization's
/// threshold; what could not be measured is never a pass.
pub(crate) fn result_of(report: &intake::Report, settings: &OrgSettings) -> EvidenceResult {
    match report.outcome {
        intake::Outcome::Inconclusive => EvidenceResult::Informational,
        _ if report.format == intake::Format::Junit => match report.outcome {
            intake::Outcome::Pass => EvidenceResult::Pass,
            _ => EvidenceResult::Fail,
        },
        _ if report.findings.iter().any(|f| f.severity >= settings.blocker_threshold) => EvidenceResult::Fail,
        _ => EvidenceResult::Pass,
    }
}

/// Strips control characters and bounds the length of text that came with a push.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(limits::TITLE_CHARS_MAX).collect()
}

/// Current evidence that the new one replaces: of the same control, source and component.
fn supersede(current: &[Evidence], new: &Evidence) -> Vec<Effect> {
    current
        .iter()
        .filter(|old| {
            old.control_id == new.control_id
                && old.source == new.source
                && old.component_id == new.component_id
                && old.evidence_type == new.evidence_type
                && old.collected_at <= new.collected_at
        })
        .map(|old| Effect::SupersedeEvidence { id: old.id, version: old.version, by: new.id })
        .collect()
}

/// Findings of the new report: created, seen again, or (when the newest report of their provider no longer has
/// them) resolved. Failed tests are not findings of a provider; they speak through their evidence.
pub(crate) fn findings(
    settings: &OrgSettings,
    now: Timestamp,
    evidence: &Evidence,
    report: &intake::Report,
    known: &[Finding],
    new_id: &mut dyn FnMut() -> Uuid,
) -> Vec<Effect> {
    if report.format == intake::Format::Junit {
        return Vec::new();
    }
    let threshold = settings.blocker_threshold;
    let mut effects = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for draft in &report.findings {
        if !seen.insert(draft.external_id.as_str()) {
            continue;
        }
        let blocking = draft.severity >= threshold;
        let before =
            known.iter().find(|f| f.provider == evidence.source && f.external_id == draft.external_id);
        effects.push(match before {
            Some(old) => Effect::MoveFinding {
                id: old.id,
                version: old.version,
                from: old.status,
                to: if old.status == GapStatus::Resolved { GapStatus::Open } else { old.status },
                blocking,
                work_item_ids: old.work_item_ids.clone(),
                evidence_id: evidence.id,
                last_seen_at: evidence.collected_at,
                at: now,
            },
            None => Effect::CreateFinding {
                record: Finding {
                    id: FindingId::from_uuid(new_id()),
                    release_id: evidence.release_id,
                    team_id: evidence.team_id,
                    evidence_id: evidence.id,
                    provider: evidence.source.clone(),
                    external_id: draft.external_id.clone(),
                    rule: draft.rule.clone(),
                    title: draft.title.clone(),
                    severity: draft.severity,
                    location: draft.location.clone(),
                    component_id: evidence.component_id,
                    component: draft.component.clone(),
                    blocking,
                    status: GapStatus::Open,
                    work_item_ids: Vec::new(),
                    exception_id: None,
                    first_seen_at: evidence.collected_at,
                    last_seen_at: evidence.collected_at,
                    updated_at: now,
                    version: 1,
                },
            },
        });
    }
    // A truncated report proves nothing about what it does not show.
    if !report.findings_truncated {
        effects.extend(gone(known, evidence, &seen, now));
    }
    effects
}

fn gone(
    known: &[Finding],
    evidence: &Evidence,
    seen: &std::collections::HashSet<&str>,
    at: Timestamp,
) -> Vec<Effect> {
    known
        .iter()
        .filter(|f| {
            f.provider == evidence.source
                && f.component_id == evidence.component_id
                && f.status != GapStatus::Resolved
                && !seen.contains(f.external_id.as_str())
        })
        .map(|f| Effect::MoveFinding {
            id: f.id,
            version: f.version,
            from: f.status,
            to: GapStatus::Resolved,
            blocking: f.blocking,
            work_item_ids: f.work_item_ids.clone(),
            evidence_id: evidence.id,
            last_seen_at: f.last_seen_at,
            at,
        })
        .collect()
}

async fn describe(
    cx: &Cx<'_>,
    evidence: &Evidence,
    incoming: &Incoming,
    audit: Option<AuditReceipt>,
) -> Result<EvidencePushed, Stop> {
    let names = resolve::Names::teams(cx).await?.with_controls(cx).await?;
    let names = names.with_releases(cx, std::iter::once(evidence.release_id)).await?;
    let release: ReleaseRef = names.release(evidence.release_id);
    let control: Option<ControlRef> = evidence.control_id.map(|id| names.control(id));
    let filter = CertificationFilter { release: Some(evidence.release_id), ..CertificationFilter::default() };
    let certification =
        cx.reader.certifications(filter, Page { limit: 1, after: None }).await?.items.into_iter().next();
    Ok(EvidencePushed {
        certification: certification
            .map(|c| CertificationView::new(&c, release.clone(), names.team(c.team_id), cx.links)),
        evidence: EvidenceView::new(cx, evidence, control, release),
        duplicate: false,
        replayed: false,
        findings: incoming.report.findings.len() as u32,
        findings_truncated: incoming.report.findings_truncated,
        audit,
    })
}
