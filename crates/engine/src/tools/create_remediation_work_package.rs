//! Plans one parent story with child tasks that remedy evidence gaps, provider blockers or failed controls of a
//! release, as one approved transaction. Refuses what the documentation names: missing parent, missing titles,
//! unclear ownership; and what would hurt: references to other releases, a blocker that is being remedied already.
//! Gaps and blockers go to `in_remediation`; only new evidence resolves them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::certification::{Certification, EvidenceGap, Finding, GapStatus};
use domain::control::Control;
use domain::effect::Effect;
use domain::id::{CertificationId, PackageId, WorkItemId};
use domain::org::Team;
use domain::permission::{Membership, MembershipStatus, Permission};
use domain::record::{RecordType, VersionRead};
use domain::refusal::{Code, Refusal};
use domain::release::Release;
use domain::time::Timestamp;
use domain::work::{
    FindingRef, Priority, ReferenceKind, RemediationWorkPackage, WorkItem, WorkItemStatus, WorkItemType,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::resolve;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::work::{self, is_blank, missing_parent, missing_title, title, unclear_ownership};

/// Propose remediation work for a release: one parent story plus child tasks, created in one approved transaction.
/// Read the certification's evidence graph first and refer to its gaps, blockers or controls in findingRefs. Call
/// with dryRun true to preview; without, a person must approve.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Certification the work is for; or give release.
    #[serde(default)]
    pub certification_id: Option<CertificationId>,
    /// Release (id or name).
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub release: Option<String>,
    /// Team that owns the work (id or name).
    #[schemars(length(min = 1, max = 200))]
    pub team_id: String,
    /// The story.
    pub parent: Parent,
    /// The tasks.
    #[schemars(length(min = 1, max = 50))]
    pub children: Vec<Child>,
    /// true: accept that something referenced is being remedied already.
    #[serde(default)]
    pub allow_duplicate: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub struct Parent {
    #[schemars(length(max = 200))]
    pub title: String,
    #[schemars(length(max = 4000))]
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Owner (user id or e-mail); needed when the team has no lead.
    #[serde(default)]
    pub owner_id: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub struct Child {
    /// Unique in the package.
    #[schemars(length(max = 200))]
    pub title: String,
    #[schemars(length(max = 4000))]
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Assignee (user id or e-mail).
    #[serde(default)]
    pub assignee_id: Option<String>,
    /// What the task remedies.
    #[schemars(length(max = 50))]
    #[serde(default)]
    pub finding_refs: Vec<FindingRef>,
}

/// Everything the plan relies on.
pub struct Facts {
    release: Release,
    certification: Certification,
    team: Team,
    members: Arc<Vec<Membership>>,
    gaps: BTreeMap<String, EvidenceGap>,
    findings: BTreeMap<String, Finding>,
    controls: Arc<Vec<Control>>,
    packages: Vec<RemediationWorkPackage>,
}

pub struct CreateRemediationWorkPackage;

impl Command for CreateRemediationWorkPackage {
    const CARD: Card = Card {
        name: "loopiq_create_remediation_work_package",
        title: "Create a remediation work package",
        permission: Some(Permission::RemediationCreate),
        effects: Effects::Write,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    fn screen(arguments: &Value) -> Result<(), Refusal> {
        let parent = arguments.get("parent");
        if parent.is_none_or(Value::is_null) {
            return Err(missing_parent("parent", "is required: every child task hangs below it"));
        }
        if is_blank(parent.and_then(|p| p.get("title"))) {
            return Err(missing_title("parent.title"));
        }
        let children = arguments.get("children").and_then(Value::as_array);
        for (index, child) in children.into_iter().flatten().enumerate() {
            if child.is_object() && is_blank(child.get("title")) {
                return Err(missing_title(&format!("children[{index}].title")));
            }
        }
        if is_blank(arguments.get("teamId")) {
            return Err(unclear_ownership("teamId", "must name the team that owns the work"));
        }
        Ok(())
    }

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let (certification, release, _) =
            resolve::certification(cx, input.certification_id, input.release.as_deref()).await?;
        let team = resolve::team(cx, &input.team_id).await?;
        if !cx.rights.allows(Permission::RemediationCreate, Some(team.id)) {
            return Err(Refusal::forbidden(Permission::RemediationCreate).into());
        }
        let may_read = cx.rights.allows(Permission::EvidenceRead, Some(release.team_id));
        let mut gaps = BTreeMap::new();
        let mut findings = BTreeMap::new();
        for reference in input.children.iter().flat_map(|c| &c.finding_refs).filter(|_| may_read) {
            match reference.kind {
                ReferenceKind::EvidenceGap => {
                    if let Ok(id) = reference.id.parse()
                        && let Some(gap) = cx.reader.gap(id).await?
                    {
                        gaps.insert(reference.id.clone(), gap);
                    }
                }
                ReferenceKind::ProviderBlocker => {
                    if let Ok(id) = reference.id.parse()
                        && let Some(finding) = cx.reader.finding(id).await?
                    {
                        findings.insert(reference.id.clone(), finding);
                    }
                }
                ReferenceKind::Control => {}
            }
        }
        Ok(Facts {
            members: cx.members().await?,
            controls: cx.reader.controls().await?,
            packages: cx.reader.packages(Some(release.id)).await?,
            release,
            certification,
            team,
            gaps,
            findings,
        })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        check_titles(input)?;
        let owner = owner(facts, input)?;
        check_references(facts, input)?;
        Ok(Draft::new(facts, input, asked, new_id, owner)?.into_plan())
    }
}

fn check_titles(input: &In) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    let titles = std::iter::once(("parent.title".to_owned(), &input.parent.title))
        .chain(input.children.iter().enumerate().map(|(i, c)| (format!("children[{i}].title"), &c.title)));
    for (field, text) in titles {
        if !seen.insert(title(&field, text)?.to_lowercase()) {
            return Err(Refusal::invalid(field, "must be unique within the package"));
        }
    }
    Ok(())
}

/// The owner that was named, or a lead of the team.
fn owner<'a>(facts: &'a Facts, input: &In) -> Result<&'a Membership, Refusal> {
    if let Some(reference) = &input.parent.owner_id {
        return work::owner(&facts.members, "parent.ownerId", reference);
    }
    facts
        .members
        .iter()
        .filter(|m| m.status == MembershipStatus::Active)
        .find(|m| m.team_roles.iter().any(|held| held.team_id == facts.team.id && held.role.leads_team()))
        .ok_or_else(|| unclear_ownership("parent.ownerId", "is required because the team has no lead"))
}

fn check_references(facts: &Facts, input: &In) -> Result<(), Refusal> {
    for (c, child) in input.children.iter().enumerate() {
        for (r, reference) in child.finding_refs.iter().enumerate() {
            let field = format!("children[{c}].findingRefs[{r}].id");
            let status = match reference.kind {
                ReferenceKind::EvidenceGap => facts
                    .gaps
                    .get(&reference.id)
                    .filter(|g| g.certification_id == facts.certification.id)
                    .map(|g| g.status),
                ReferenceKind::ProviderBlocker => facts
                    .findings
                    .get(&reference.id)
                    .filter(|f| f.release_id == facts.release.id)
                    .map(|f| f.status),
                ReferenceKind::Control => facts
                    .controls
                    .iter()
                    .find(|k| {
                        k.framework == facts.certification.framework && k.id.to_string() == reference.id
                    })
                    .map(|_| control_status(facts, &reference.id)),
            };
            match status {
                // Absent, foreign and of another release are one answer.
                None => {
                    return Err(Refusal::new(
                        Code::ReferenceMismatch,
                        "a reference does not belong to the release and its certification",
                        "Take the ids from the evidence graph or the gap and blocker lists of this release.",
                    )
                    .detail(field, "must name a gap, blocker or control of this release"));
                }
                Some(GapStatus::Resolved) => {
                    return Err(Refusal::invalid(field, "is resolved already; nothing is left to remedy"));
                }
                Some(GapStatus::InRemediation) if !input.allow_duplicate => {
                    return Err(already_remediated(facts, reference, &field));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// A control is being remedied while a package refers to it.
fn control_status(facts: &Facts, id: &str) -> GapStatus {
    let named = facts
        .packages
        .iter()
        .any(|p| p.finding_refs.iter().any(|r| r.kind == ReferenceKind::Control && r.id == id));
    if named { GapStatus::InRemediation } else { GapStatus::Open }
}

fn already_remediated(facts: &Facts, reference: &FindingRef, field: &str) -> Refusal {
    let package = facts.packages.iter().rev().find(|p| p.finding_refs.contains(reference));
    let named = package.map(|p| format!(" in {} (story {})", p.id, p.story_id)).unwrap_or_default();
    Refusal::new(
        Code::AlreadyRemediated,
        format!("something referenced is being remedied already{named}"),
        "Look at the open work first. If a second package is really wanted, set allowDuplicate true.",
    )
    .detail(field, "is in remediation")
}

/// The work being put together.
struct Draft<'a> {
    facts: &'a Facts,
    now: Timestamp,
    story: WorkItem,
    tasks: Vec<WorkItem>,
    package: RemediationWorkPackage,
    people: Vec<&'a Membership>,
}

impl<'a> Draft<'a> {
    fn new(
        facts: &'a Facts,
        input: &In,
        Asked { by, now, .. }: Asked<'_>,
        new_id: NewId<'_>,
        owner: &'a Membership,
    ) -> Result<Draft<'a>, Refusal> {
        let package_id = PackageId::from_uuid(new_id());
        let mut people = vec![owner];
        let mut item = |item_type, title: &str, description: &str, priority: Option<Priority>| WorkItem {
            id: WorkItemId::from_uuid(new_id()),
            item_type,
            title: title.trim().to_owned(),
            description: description.trim().to_owned(),
            team_id: facts.team.id,
            parent_id: None,
            release_id: Some(facts.release.id),
            certification_id: Some(facts.certification.id),
            package_id: Some(package_id),
            assignee_id: None,
            reporter_id: by.user_id,
            priority: priority.unwrap_or(Priority::High),
            status: WorkItemStatus::Todo,
            labels: vec!["remediation".into()],
            finding_refs: Vec::new(),
            due_at: None,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let parent = &input.parent;
        let mut story = item(WorkItemType::Story, &parent.title, &parent.description, parent.priority);
        story.assignee_id = Some(owner.user_id);
        let mut tasks = Vec::new();
        for (index, child) in input.children.iter().enumerate() {
            let priority = child.priority.or(parent.priority);
            let mut task = item(WorkItemType::Task, &child.title, &child.description, priority);
            task.parent_id = Some(story.id);
            task.finding_refs.clone_from(&child.finding_refs);
            if let Some(reference) = &child.assignee_id {
                let field = format!("children[{index}].assigneeId");
                let person = work::owner(&facts.members, &field, reference)?;
                task.assignee_id = Some(person.user_id);
                people.push(person);
            }
            tasks.push(task);
        }
        let mut finding_refs: Vec<FindingRef> = Vec::new();
        for reference in tasks.iter().flat_map(|t| &t.finding_refs) {
            if !finding_refs.contains(reference) {
                finding_refs.push(reference.clone());
            }
        }
        let package = RemediationWorkPackage {
            id: package_id,
            release_id: facts.release.id,
            certification_id: facts.certification.id,
            team_id: facts.team.id,
            story_id: story.id,
            task_ids: tasks.iter().map(|t| t.id).collect(),
            finding_refs,
            created_at: now,
            created_by: by.user_id,
            version: 1,
        };
        Ok(Draft { facts, now, story, tasks, package, people })
    }

    /// The tasks that refer to one record, for the record's own list of remediation work.
    fn tasks_for(&self, id: &str, mut known: Vec<WorkItemId>) -> Vec<WorkItemId> {
        known.extend(self.tasks.iter().filter(|t| t.finding_refs.iter().any(|r| r.id == id)).map(|t| t.id));
        known
    }

    fn into_plan(self) -> Plan {
        let facts = self.facts;
        let mut effects = vec![Effect::CreateWorkItem { record: self.story.clone() }];
        effects.extend(self.tasks.iter().map(|t| Effect::CreateWorkItem { record: t.clone() }));
        effects.push(Effect::CreateRemediationWorkPackage { record: self.package.clone() });
        let mut versions = vec![
            VersionRead::of(RecordType::Release, facts.release.id, facts.release.version),
            VersionRead::of(RecordType::Team, facts.team.id, facts.team.version),
        ];
        for (id, gap) in facts.gaps.iter().filter(|(_, g)| g.certification_id == facts.certification.id) {
            versions.push(VersionRead::of(RecordType::EvidenceGap, gap.id, gap.version));
            // An excepted gap stays excepted: the work is extra, the waiver still holds.
            let to = if gap.status == GapStatus::Excepted { gap.status } else { GapStatus::InRemediation };
            effects.push(Effect::MoveEvidenceGap {
                id: gap.id,
                version: gap.version,
                from: gap.status,
                to,
                reason: gap.reason,
                severity: gap.severity,
                blocking: gap.blocking,
                work_item_ids: self.tasks_for(id, gap.work_item_ids.clone()),
                at: self.now,
            });
        }
        for (id, finding) in facts.findings.iter().filter(|(_, f)| f.release_id == facts.release.id) {
            versions.push(VersionRead::of(RecordType::ProviderBlocker, finding.id, finding.version));
            let to =
                if finding.status == GapStatus::Excepted { finding.status } else { GapStatus::InRemediation };
            effects.push(Effect::MoveFinding {
                id: finding.id,
                version: finding.version,
                from: finding.status,
                to,
                blocking: finding.blocking,
                work_item_ids: self.tasks_for(id, finding.work_item_ids.clone()),
                evidence_id: finding.evidence_id,
                last_seen_at: finding.last_seen_at,
                at: self.now,
            });
        }
        for person in &self.people {
            let version = VersionRead::of(RecordType::Membership, person.user_id, person.version);
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        Plan {
            effects,
            versions,
            labels: self.labels(),
            summary: format!(
                "Remediation of {}: 1 story and {}",
                facts.release.name,
                if self.tasks.len() == 1 {
                    "1 task".to_owned()
                } else {
                    format!("{} tasks", self.tasks.len())
                }
            ),
            team_id: Some(facts.team.id),
            release_id: Some(facts.release.id),
            certification_id: Some(facts.certification.id),
            ..Plan::default()
        }
    }

    /// Names for ids that effects mention.
    fn labels(&self) -> BTreeMap<String, String> {
        let facts = self.facts;
        let mut labels = BTreeMap::from([
            (facts.team.id.to_string(), facts.team.name.clone()),
            (facts.release.id.to_string(), facts.release.name.clone()),
            (facts.certification.id.to_string(), facts.certification.title.clone()),
            (self.story.id.to_string(), self.story.title.clone()),
        ]);
        labels.extend(self.tasks.iter().map(|t| (t.id.to_string(), t.title.clone())));
        labels.extend(self.people.iter().map(|m| (m.user_id.to_string(), m.email.clone())));
        let code = |id| facts.controls.iter().find(|c| c.id == id).map(|c| c.code.as_str());
        labels.extend(facts.gaps.iter().map(|(id, g)| {
            (id.clone(), format!("{} evidence for {}", g.reason, code(g.control_id).unwrap_or("a control")))
        }));
        labels.extend(
            facts.findings.iter().map(|(id, f)| (id.clone(), format!("{} by {}", f.rule, f.provider))),
        );
        labels.extend(facts.controls.iter().map(|c| (c.id.to_string(), c.code.clone())));
        labels
    }
}
