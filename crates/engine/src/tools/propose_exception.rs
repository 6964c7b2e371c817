//! Plans a waiver of gaps or blockers of one release: an exception, a deviation or an accepted risk, always with an
//! end and always approved by a second person. Carrying it out approves it, settles what it names and evaluates the
//! certification, in one commit; when it ends, what it named is open again.

use std::collections::{BTreeMap, BTreeSet};

use domain::certification::{EvidenceGap, Exception, ExceptionKind, ExceptionStatus, Finding, GapStatus};
use domain::effect::Effect;
use domain::id::{ExceptionId, FindingId, GapId, ReleaseId};
use domain::org::OrgSettings;
use domain::permission::Permission;
use domain::record::{RecordType, VersionRead};
use domain::refusal::{Code, Refusal};
use domain::release::Release;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::state::State;
use crate::stop::{Fault, Stop};
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::{limits, render, resolve};

/// Propose an exception: evidence gaps or provider blockers of one release that are to be waived until a date. A second
/// person must approve. Until it ends they do not block; then they are open again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Ids of gaps (gap_…) or blockers (blk_…) of one release.
    #[schemars(length(min = 1, max = 50))]
    pub target_ids: Vec<String>,
    pub kind: ExceptionKind,
    /// Why it can be waived, and what makes up for it.
    #[schemars(length(min = 1, max = 4000))]
    pub rationale: String,
    /// When it ends; at most 366 days from now.
    pub expires_at: Timestamp,
}

/// Everything the plan relies on.
pub struct Facts {
    release: Release,
    gaps: Vec<EvidenceGap>,
    findings: Vec<Finding>,
    /// Of the certification the targets belong to; a release may have blockers before it has a certification.
    state: Option<State>,
    settings: OrgSettings,
}

pub struct ProposeException;

impl Command for ProposeException {
    const CARD: Card = Card {
        name: "loopiq_propose_exception",
        title: "Propose an exception",
        permission: Some(Permission::RisksPropose),
        effects: Effects::SecondPerson,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let (gaps, findings) = targets(cx, input).await?;
        let first = gaps.first().map(|g| g.release_id).or(findings.first().map(|f| f.release_id));
        let release_id = first.ok_or_else(|| Refusal::invalid("targetIds", "must name at least one"))?;
        one_release(release_id, &gaps, &findings)?;
        let release =
            cx.reader.release(release_id).await?.ok_or(Fault::Bug("a gap names a release that exists"))?;
        if !cx.rights.allows(Permission::RisksPropose, Some(release.team_id)) {
            return Err(Refusal::forbidden(Permission::RisksPropose).into());
        }
        let certification = match gaps.first() {
            Some(gap) => Some(gap.certification_id),
            None => resolve::current_certification(cx, release_id).await?.map(|(c, _)| c.id),
        };
        let state = match certification {
            Some(id) => State::load(cx.reader, id).await?,
            None => None,
        };
        Ok(Facts { release, gaps, findings, state, settings: cx.organization.settings.clone() })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        let Asked { by, now, .. } = asked;
        if input.rationale.trim().is_empty() {
            return Err(Refusal::invalid("rationale", "must say why it can be waived"));
        }
        if input.expires_at <= now || input.expires_at > now.plus_seconds(limits::EXCEPTION_SECONDS_MAX) {
            return Err(Refusal::invalid("expiresAt", "must be in the future, within 366 days"));
        }
        let record = Exception {
            id: ExceptionId::from_uuid(new_id()),
            kind: input.kind,
            release_id: facts.release.id,
            team_id: facts.release.team_id,
            target_ids: targets_of(facts),
            rationale: input.rationale.trim().to_owned(),
            proposed_by: Some(by.user_id),
            approved_by: None,
            expires_at: input.expires_at,
            status: ExceptionStatus::Approved,
            created_at: now,
            version: 1,
        };
        let mut effects = vec![Effect::CreateException { record }];
        match &facts.state {
            Some(state) => {
                let mut state = state.clone();
                state.foresee(&effects);
                effects.extend(state.reconcile(&facts.settings, now, new_id));
            }
            None => effects.extend(facts.findings.iter().filter_map(|f| excepted(f, now))),
        }
        Ok(into_plan(facts, input, effects))
    }
}

/// The records that the ids name, as far as the caller may see them.
async fn targets(cx: &Cx<'_>, input: &In) -> Result<(Vec<EvidenceGap>, Vec<Finding>), Stop> {
    let (mut gaps, mut findings) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    let may_see = |team| cx.rights.allows(Permission::EvidenceRead, Some(team));
    for (index, reference) in input.target_ids.iter().enumerate() {
        let field = format!("targetIds[{index}]");
        let status = if let Ok(id) = reference.parse::<GapId>() {
            let gap = cx.reader.gap(id).await?.filter(|g| may_see(g.team_id));
            let status = gap.as_ref().map(|g| g.status);
            gaps.extend(gap);
            status
        } else if let Ok(id) = reference.parse::<FindingId>() {
            let finding = cx.reader.finding(id).await?.filter(|f| f.blocking && may_see(f.team_id));
            let status = finding.as_ref().map(|f| f.status);
            findings.extend(finding);
            status
        } else {
            None
        };
        match status {
            None => return Err(mismatch(field, "must name a gap or a blocker").into()),
            Some(GapStatus::Resolved) => {
                return Err(Refusal::invalid(field, "is resolved already; nothing is left to waive").into());
            }
            Some(_) if !seen.insert(reference) => {
                return Err(Refusal::invalid(field, "must be named once").into());
            }
            Some(_) => {}
        }
    }
    Ok((gaps, findings))
}

fn mismatch(field: impl Into<String>, message: &str) -> Refusal {
    Refusal::new(
        Code::ReferenceMismatch,
        "what is to be waived does not belong together",
        "Take the ids from the gap and blocker lists of one release and one certification.",
    )
    .detail(field, message)
}

fn one_release(release: ReleaseId, gaps: &[EvidenceGap], findings: &[Finding]) -> Result<(), Refusal> {
    let certification = gaps.first().map(|g| g.certification_id);
    let together = gaps.iter().all(|g| g.release_id == release && Some(g.certification_id) == certification)
        && findings.iter().all(|f| f.release_id == release);
    if together {
        return Ok(());
    }
    Err(mismatch("targetIds", "must belong to one release, and gaps to one certification of it"))
}

fn targets_of(facts: &Facts) -> Vec<String> {
    let gaps = facts.gaps.iter().map(|g| g.id.to_string());
    gaps.chain(facts.findings.iter().map(|f| f.id.to_string())).collect()
}

fn excepted(finding: &Finding, at: Timestamp) -> Option<Effect> {
    (finding.status != GapStatus::Excepted).then(|| Effect::MoveFinding {
        id: finding.id,
        version: finding.version,
        from: finding.status,
        to: GapStatus::Excepted,
        blocking: finding.blocking,
        work_item_ids: finding.work_item_ids.clone(),
        evidence_id: finding.evidence_id,
        last_seen_at: finding.last_seen_at,
        at,
    })
}

fn into_plan(facts: &Facts, input: &In, effects: Vec<Effect>) -> Plan {
    use RecordType as T;
    let mut versions = vec![VersionRead::of(T::Release, facts.release.id, facts.release.version)];
    let certification = facts.state.as_ref().map(|s| &s.certification);
    versions.extend(certification.map(|c| VersionRead::of(T::Certification, c.id, c.version)));
    versions.extend(facts.gaps.iter().map(|g| VersionRead::of(T::EvidenceGap, g.id, g.version)));
    versions.extend(facts.findings.iter().map(|f| VersionRead::of(T::ProviderBlocker, f.id, f.version)));
    let mut labels = BTreeMap::from([(facts.release.id.to_string(), facts.release.name.clone())]);
    labels.extend(facts.state.iter().flat_map(State::labels));
    labels.extend(facts.findings.iter().map(|f| (f.id.to_string(), format!("{} by {}", f.rule, f.provider))));
    let count = facts.gaps.len() + facts.findings.len();
    Plan {
        effects,
        versions,
        labels,
        summary: format!(
            "Waive {count} item(s) of {} until {}",
            facts.release.name,
            render::day(input.expires_at)
        ),
        team_id: Some(facts.release.team_id),
        release_id: Some(facts.release.id),
        certification_id: certification.map(|c| c.id),
        ..Plan::default()
    }
}
