//! Plans one epic, story, task or issue. Refuses what the documentation names (missing parent, missing title, unclear
//! ownership), a parent that cannot have such a child, and a release other than the parent's.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::effect::Effect;
use domain::id::WorkItemId;
use domain::org::Team;
use domain::permission::{Membership, Permission};
use domain::record::{RecordType, VersionRead};
use domain::refusal::{Code, Refusal};
use domain::release::Release;
use domain::time::Timestamp;
use domain::work::{Priority, WorkItem, WorkItemStatus, WorkItemType};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::resolve;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::tools::get_work_item;
use crate::work::{self, is_blank, missing_parent, missing_title, unclear_ownership};

/// Propose one work item. For work that remedies gaps or blockers use loopiq_create_remediation_work_package.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    #[serde(rename = "type")]
    pub item_type: WorkItemType,
    #[schemars(length(max = 200))]
    pub title: String,
    /// Team that owns it (id or name).
    #[schemars(length(max = 200))]
    pub team_id: String,
    #[schemars(length(max = 4000))]
    #[serde(default)]
    pub description: String,
    /// A story's epic; a task's or issue's story.
    #[serde(default)]
    pub parent_id: Option<String>,
    /// Release (id or name); the parent's by default.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub release: Option<String>,
    #[serde(default)]
    pub priority: Option<Priority>,
    /// User id or e-mail.
    #[serde(default)]
    pub assignee_id: Option<String>,
    #[schemars(length(max = 20))]
    #[serde(default)]
    pub labels: Vec<String>,
    #[serde(default)]
    pub due_at: Option<Timestamp>,
}

/// Everything the plan relies on.
pub struct Facts {
    team: Team,
    /// `Err` when a parent was named that there is not.
    parent: Result<Option<WorkItem>, ()>,
    release: Option<Release>,
    members: Arc<Vec<Membership>>,
}

pub struct CreateWorkItem;

impl Command for CreateWorkItem {
    const CARD: Card = Card {
        name: "loopiq_create_work_item",
        title: "Create a work item",
        permission: Some(Permission::WorkItemsCreate),
        effects: Effects::Write,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    fn screen(arguments: &Value) -> Result<(), Refusal> {
        if is_blank(arguments.get("title")) {
            return Err(missing_title("title"));
        }
        if is_blank(arguments.get("teamId")) {
            return Err(unclear_ownership("teamId", "must name the team that owns the work"));
        }
        Ok(())
    }

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let team = resolve::team(cx, &input.team_id).await?;
        if !cx.rights.allows(Permission::WorkItemsCreate, Some(team.id)) {
            return Err(Refusal::forbidden(Permission::WorkItemsCreate).into());
        }
        let parent = match &input.parent_id {
            None => Ok(None),
            Some(reference) => work_item(cx, reference).await?.map(Some).ok_or(()),
        };
        let release = match (&input.release, &parent) {
            (Some(reference), _) => Some(resolve::release(cx, reference, Permission::ReleasesRead).await?),
            (None, Ok(Some(WorkItem { release_id: Some(id), .. }))) => cx.reader.release(*id).await?,
            _ => None,
        };
        Ok(Facts { team, parent, release, members: cx.members().await? })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        let title = work::title("title", &input.title)?;
        let parent = parent(facts, input.item_type)?;
        let assignee = match &input.assignee_id {
            Some(reference) => Some(work::owner(&facts.members, "assigneeId", reference)?),
            None => None,
        };
        let record = WorkItem {
            id: WorkItemId::from_uuid(new_id()),
            item_type: input.item_type,
            title: title.to_owned(),
            description: input.description.trim().to_owned(),
            team_id: facts.team.id,
            parent_id: parent.map(|p| p.id),
            release_id: facts.release.as_ref().map(|r| r.id),
            certification_id: parent.and_then(|p| p.certification_id),
            package_id: None,
            assignee_id: assignee.map(|a| a.user_id),
            reporter_id: asked.by.user_id,
            priority: input.priority.unwrap_or(Priority::Medium),
            status: WorkItemStatus::Todo,
            labels: work::labels("labels", &input.labels)?,
            finding_refs: Vec::new(),
            due_at: input.due_at,
            created_at: asked.now,
            updated_at: asked.now,
            version: 1,
        };
        Ok(into_plan(facts, parent, assignee, record))
    }
}

/// A work item by its id, if the caller may see it.
async fn work_item(cx: &Cx<'_>, reference: &str) -> Result<Option<WorkItem>, Stop> {
    let Ok(id) = reference.trim().parse() else { return Ok(None) };
    match get_work_item::visible(cx, id).await {
        Ok(found) => Ok(Some(found)),
        Err(Stop::Refused(_)) => Ok(None),
        Err(broken) => Err(broken),
    }
}

fn parent(facts: &Facts, item_type: WorkItemType) -> Result<Option<&WorkItem>, Refusal> {
    let Ok(parent) = &facts.parent else {
        return Err(missing_parent("parentId", "must name a work item"));
    };
    let Some(parent) = parent else { return Ok(None) };
    work::may_hang_below(item_type, parent, "parentId")?;
    let release = facts.release.as_ref().map(|r| r.id);
    if parent.release_id.is_some() && parent.release_id != release {
        return Err(Refusal::new(
            Code::ReferenceMismatch,
            "the parent belongs to another release",
            "Leave release out to take the parent's, or name another parent.",
        )
        .detail("release", "must be the parent's release"));
    }
    Ok(Some(parent))
}

fn into_plan(
    facts: &Facts,
    parent: Option<&WorkItem>,
    assignee: Option<&Membership>,
    record: WorkItem,
) -> Plan {
    use RecordType as T;
    let mut versions = vec![VersionRead::of(T::Team, facts.team.id, facts.team.version)];
    versions.extend(parent.map(|p| VersionRead::of(T::WorkItem, p.id, p.version)));
    versions.extend(facts.release.as_ref().map(|r| VersionRead::of(T::Release, r.id, r.version)));
    versions.extend(assignee.map(|a| VersionRead::of(T::Membership, a.user_id, a.version)));
    let mut labels = BTreeMap::from([(facts.team.id.to_string(), facts.team.name.clone())]);
    labels.extend(parent.map(|p| (p.id.to_string(), p.title.clone())));
    labels.extend(facts.release.as_ref().map(|r| (r.id.to_string(), r.name.clone())));
    labels.extend(assignee.map(|a| (a.user_id.to_string(), a.email.clone())));
    Plan {
        versions,
        labels,
        summary: format!("New {} for team {}", record.item_type, facts.team.name),
        team_id: Some(record.team_id),
        release_id: record.release_id,
        certification_id: record.certification_id,
        effects: vec![Effect::CreateWorkItem { record }],
        ..Plan::default()
    }
}
