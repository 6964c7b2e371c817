//! Single records that pages show and no tool returns by itself: a piece of evidence, a remediation work package, the
//! names behind a work item's ids. Each is asked like a tool, through the same gate and under the name of the tool
//! that lists the record, but is not in the catalogue: agents get the same records from the lists.

use domain::audit::AuditKind;
use domain::control::Control;
use domain::digest::Digest;
use domain::id::{CertificationId, EvidenceId, FindingId, GapId, PackageId, ReleaseId, UserId, WorkItemId};
use domain::permission::Permission;
use domain::refusal::Refusal;
use domain::severity::Severity;
use domain::time::Timestamp;
use domain::work::{FindingRef, ReferenceKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{AuditFilter, AuditRecord, Page};

use crate::field::{Field, hide};
use crate::limits;
use crate::resolve::Names;
use crate::stop::{Fault, Stop};
use crate::tool::{Card, Cx, Query, Say};
use crate::tools::{
    get_work_item, list_actions, list_audit_records, list_evidence, list_evidence_gaps,
    list_provider_blockers, list_release_certifications,
};
use crate::view::{
    ActionItem, BlockerView, CertificationRef, ControlRef, EvidenceView, GapView, ReleaseRef, TeamRef,
    UserRef, WorkItemView,
};

/// Pages say things themselves.
macro_rules! silent {
    ($($out:ty),*) => {$( impl Say for $out { fn say(&self) -> String { String::new() } } )*};
}
silent!(Evidence, Gap, Blocker, Package, Around, list_audit_records::Item, ToReview, ControlSets);

/// Names one record.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ById<Id> {
    pub id: Id,
}

/// One piece of evidence, current or replaced.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Evidence {
    pub evidence: EvidenceView,
    /// What a person wrote, where that is what the evidence is.
    pub statement: Option<String>,
}

impl Query for Evidence {
    const CARD: Card = list_evidence::ListEvidence::CARD;
    type In = ById<EvidenceId>;
    type Out = Evidence;

    async fn answer(cx: &Cx<'_>, input: ById<EvidenceId>) -> Result<Evidence, Stop> {
        let found = cx
            .reader
            .evidence(input.id)
            .await?
            .filter(|e| cx.rights.allows(Permission::EvidenceRead, Some(e.team_id)))
            .ok_or_else(|| Refusal::not_found("evidence"))?;
        let names = Names::default().with_controls(cx).await?;
        let names = names.with_releases(cx, std::iter::once(found.release_id)).await?;
        let control = found.control_id.map(|id| names.control(id));
        let release = names.release(found.release_id);
        let mut statement = if found.is_by_hand() { statement(cx, &found).await? } else { None };
        let mut evidence = EvidenceView::new(cx, &found, control, release);
        let shown = statement.is_none() || cx.actor.shows(Field::EvidenceStatement, Some(found.team_id));
        hide(shown, Field::EvidenceStatement, &mut statement, &mut evidence.hidden);
        Ok(Evidence { evidence, statement })
    }
}

async fn statement(cx: &Cx<'_>, evidence: &domain::certification::Evidence) -> Result<Option<String>, Stop> {
    let Some(digest) = Digest::parse(&evidence.sha256) else { return Ok(None) };
    let bytes = cx.blobs.get(&digest).await?;
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}

/// A gap: what the control asks for, how it was judged and by which evidence, and the work that is to close it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Gap {
    pub gap: GapView,
    /// What the control asks for.
    pub wanted: String,
    /// Why the control has the outcome it has.
    pub explanation: String,
    pub evidence: Vec<EvidenceView>,
    pub certification: Option<CertificationRef>,
    pub work: Vec<WorkItemView>,
}

impl Query for Gap {
    const CARD: Card = list_evidence_gaps::ListEvidenceGaps::CARD;
    type In = ById<GapId>;
    type Out = Gap;

    async fn answer(cx: &Cx<'_>, input: ById<GapId>) -> Result<Gap, Stop> {
        let found = cx
            .reader
            .gap(input.id)
            .await?
            .filter(|gap| cx.rights.allows(Permission::EvidenceRead, Some(gap.team_id)))
            .ok_or_else(|| Refusal::not_found("gap"))?;
        let names = Names::default().with_controls(cx).await?;
        let release = release(cx, found.release_id).await?;
        let results = cx.reader.control_results(found.certification_id).await?;
        let result = results.into_iter().find(|result| result.control_id == found.control_id);
        let (explanation, judged) = result.map_or_else(Default::default, |r| (r.explanation, r.evidence_ids));
        let mut evidence = Vec::with_capacity(judged.len());
        for id in judged {
            let piece = cx.reader.evidence(id).await?;
            evidence.extend(piece.map(|piece| {
                EvidenceView::new(cx, &piece, Some(names.control(found.control_id)), release.clone())
            }));
        }
        Ok(Gap {
            gap: GapView::new(&found, names.control(found.control_id), release, cx.links),
            wanted: cx.reader.control(found.control_id).await?.map(|c| c.description).unwrap_or_default(),
            explanation,
            evidence,
            certification: certification(cx, found.certification_id).await?,
            work: work(cx, &found.work_item_ids).await?,
        })
    }
}

/// A blocker, the evidence that carried it, and the work that is to resolve it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Blocker {
    pub blocker: BlockerView,
    pub evidence: Option<EvidenceView>,
    pub work: Vec<WorkItemView>,
}

impl Query for Blocker {
    const CARD: Card = list_provider_blockers::ListProviderBlockers::CARD;
    type In = ById<FindingId>;
    type Out = Blocker;

    async fn answer(cx: &Cx<'_>, input: ById<FindingId>) -> Result<Blocker, Stop> {
        let found = cx
            .reader
            .finding(input.id)
            .await?
            .filter(|finding| cx.rights.allows(Permission::EvidenceRead, Some(finding.team_id)))
            .ok_or_else(|| Refusal::not_found("blocker"))?;
        let names = Names::default().with_controls(cx).await?;
        let release = release(cx, found.release_id).await?;
        let evidence = cx.reader.evidence(found.evidence_id).await?.map(|piece| {
            let control = piece.control_id.map(|id| names.control(id));
            EvidenceView::new(cx, &piece, control, release.clone())
        });
        let work = work(cx, &found.work_item_ids).await?;
        Ok(Blocker { blocker: BlockerView::new(cx, &found, release), evidence, work })
    }
}

/// Work items that the reader may see.
async fn work(cx: &Cx<'_>, ids: &[WorkItemId]) -> Result<Vec<WorkItemView>, Stop> {
    let names = Names::teams(cx).await?;
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        let item = cx.reader.work_item(*id).await?;
        let item = item.filter(|item| cx.rights.allows(Permission::WorkItemsRead, Some(item.team_id)));
        items.extend(item.map(|item| WorkItemView::new(cx, &item, names.team(item.team_id))));
    }
    Ok(items)
}

async fn certification(cx: &Cx<'_>, id: CertificationId) -> Result<Option<CertificationRef>, Stop> {
    let found = cx.reader.certification(id).await?;
    Ok(found.map(|c| CertificationRef { id: c.id, title: c.title }))
}

/// What work is meant to remedy, as far as the reader may see it.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Covered {
    pub gaps: Vec<GapView>,
    pub blockers: Vec<BlockerView>,
    pub controls: Vec<ControlRef>,
}

impl Covered {
    async fn read(cx: &Cx<'_>, references: &[FindingRef]) -> Result<Covered, Stop> {
        let names = Names::default().with_controls(cx).await?;
        let may_see = |team| cx.rights.allows(Permission::EvidenceRead, Some(team));
        let mut covered = Covered::default();
        for reference in references {
            match reference.kind {
                ReferenceKind::EvidenceGap => {
                    let Ok(id) = reference.id.parse() else { continue };
                    let Some(gap) = cx.reader.gap(id).await?.filter(|g| may_see(g.team_id)) else { continue };
                    let release = release(cx, gap.release_id).await?;
                    covered.gaps.push(GapView::new(&gap, names.control(gap.control_id), release, cx.links));
                }
                ReferenceKind::ProviderBlocker => {
                    let Ok(id) = reference.id.parse() else { continue };
                    let Some(found) = cx.reader.finding(id).await?.filter(|f| may_see(f.team_id)) else {
                        continue;
                    };
                    let release = release(cx, found.release_id).await?;
                    covered.blockers.push(BlockerView::new(cx, &found, release));
                }
                ReferenceKind::Control => {
                    covered.controls.extend(reference.id.parse().ok().map(|id| names.control(id)));
                }
            }
        }
        Ok(covered)
    }
}

async fn release(cx: &Cx<'_>, id: ReleaseId) -> Result<ReleaseRef, Stop> {
    Ok(Names::default().with_releases(cx, std::iter::once(id)).await?.release(id))
}

/// The e-mail address of a member, also of a former one.
async fn person(cx: &Cx<'_>, id: UserId) -> Result<Option<UserRef>, Stop> {
    Ok(cx.reader.membership(id).await?.map(|m| UserRef { id, email: m.email }))
}

/// A remediation work package: the story, its tasks, and what they are to remedy.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Package {
    pub id: PackageId,
    pub release: ReleaseRef,
    pub certification: Option<CertificationRef>,
    pub team: TeamRef,
    pub story: Option<WorkItemView>,
    pub tasks: Vec<WorkItemView>,
    pub covered: Covered,
    pub created_at: Timestamp,
    pub created_by: Option<UserRef>,
}

impl Query for Package {
    const CARD: Card = get_work_item::GetWorkItem::CARD;
    type In = ById<PackageId>;
    type Out = Package;

    async fn answer(cx: &Cx<'_>, input: ById<PackageId>) -> Result<Package, Stop> {
        let found = cx
            .reader
            .package(input.id)
            .await?
            .filter(|p| cx.rights.allows(Permission::WorkItemsRead, Some(p.team_id)))
            .ok_or_else(|| Refusal::not_found("remediation work package"))?;
        let names = Names::teams(cx).await?;
        let mut work = Vec::with_capacity(1 + found.task_ids.len());
        for id in std::iter::once(&found.story_id).chain(&found.task_ids) {
            work.extend(cx.reader.work_item(*id).await?);
        }
        let shown = |w: &domain::work::WorkItem| WorkItemView::new(cx, w, names.team(w.team_id));
        let (story, tasks): (Vec<_>, Vec<_>) = work.iter().partition(|w| w.id == found.story_id);
        Ok(Package {
            id: found.id,
            release: release(cx, found.release_id).await?,
            certification: certification(cx, found.certification_id).await?,
            team: names.team(found.team_id),
            story: story.first().map(|w| shown(w)),
            tasks: tasks.into_iter().map(shown).collect(),
            covered: Covered::read(cx, &found.finding_refs).await?,
            created_at: found.created_at,
            created_by: person(cx, found.created_by).await?,
        })
    }
}

/// What a work item's ids stand for: who does it, who asked for it, its package, and what it remedies.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Around {
    pub assignee: Option<UserRef>,
    pub reporter: Option<UserRef>,
    pub package_id: Option<PackageId>,
    pub covered: Covered,
}

impl Query for Around {
    const CARD: Card = get_work_item::GetWorkItem::CARD;
    type In = ById<WorkItemId>;
    type Out = Around;

    async fn answer(cx: &Cx<'_>, input: ById<WorkItemId>) -> Result<Around, Stop> {
        let item = get_work_item::visible(cx, input.id).await?;
        let assignee = match item.assignee_id {
            Some(id) => person(cx, id).await?,
            None => None,
        };
        Ok(Around {
            assignee,
            reporter: person(cx, item.reporter_id).await?,
            package_id: item.package_id,
            covered: Covered::read(cx, &item.finding_refs).await?,
        })
    }
}

/// One audit record, by its position in the log.
pub struct AuditItem;

impl Query for AuditItem {
    const CARD: Card = list_audit_records::ListAuditRecords::CARD;
    type In = ById<u64>;
    type Out = list_audit_records::Item;

    async fn answer(cx: &Cx<'_>, input: ById<u64>) -> Result<list_audit_records::Item, Stop> {
        let found = cx.reader.log_records(input.id, 1).await?.into_iter().next();
        let found = found.filter(|record| u64::try_from(record.sequence) == Ok(input.id));
        let found = found.ok_or_else(|| Refusal::not_found("audit record"))?;
        let record = AuditRecord {
            entry: serde_json::from_str(&found.entry)?,
            leaf_hash: Digest::parse(&found.leaf_hash).ok_or(Fault::Bug("a stored leaf hash is a digest"))?,
            body: found.body.map(|(_, body)| serde_json::from_str(&body)).transpose()?,
        };
        Ok(list_audit_records::Item::of(cx, record, &cx.reader.memberships().await?))
    }
}

/// Broken glasses that nobody else has looked at yet, the latest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ToReview {
    pub items: Vec<ActionItem>,
}

/// Nothing is asked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Everything {}

impl Query for ToReview {
    const CARD: Card = list_actions::ListActions::CARD;
    type In = Everything;
    type Out = ToReview;

    async fn answer(cx: &Cx<'_>, _: Everything) -> Result<ToReview, Stop> {
        // The log knows every glass that was broken; there are few.
        let filter = AuditFilter { kinds: &[AuditKind::BrokenGlass], ..AuditFilter::default() };
        let page = Page { limit: limits::PAGE_SIZE_MAX, after: None };
        let mut items = Vec::new();
        for record in cx.reader.audit(filter, page).await?.items {
            let Some(id) = record.entry.action_id else { continue };
            let Some(stored) = cx.reader.action(id).await? else { continue };
            let waits = stored.action.broken_glass.as_ref().is_some_and(|glass| glass.review.is_none());
            if waits && cx.rights.allows(Permission::ApprovalsDecide, stored.action.team_id) {
                items.push(ActionItem::new(&stored.action, false, cx.links));
            }
        }
        Ok(ToReview { items })
    }
}

/// What releases are certified against.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ControlSets {
    /// By set and code.
    pub controls: Vec<ControlOf>,
}

/// A control of a set.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ControlOf {
    pub set: String,
    pub code: String,
    pub title: String,
    pub description: String,
    pub required: bool,
    pub severity: Severity,
    pub mappings: Vec<String>,
}

impl Query for ControlSets {
    const CARD: Card = list_release_certifications::ListReleaseCertifications::CARD;
    type In = Everything;
    type Out = ControlSets;

    async fn answer(cx: &Cx<'_>, _: Everything) -> Result<ControlSets, Stop> {
        let of = |control: Control| ControlOf {
            set: control.framework,
            code: control.code,
            title: control.title,
            description: control.description,
            required: control.required,
            severity: control.severity,
            mappings: control.mappings,
        };
        let mut controls: Vec<ControlOf> = cx.reader.controls().await?.iter().cloned().map(of).collect();
        controls.sort_by(|a, b| (&a.set, &a.code).cmp(&(&b.set, &b.code)));
        Ok(ControlSets { controls })
    }
}
