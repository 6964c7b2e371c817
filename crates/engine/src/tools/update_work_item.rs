//! Plans a change of one work item: fields, or its status by a legal move. The caller names the version they have
//! read; who changes something they have not seen is told so. Finishing work resolves no gap: only evidence does.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::effect::Effect;
use domain::id::WorkItemId;
use domain::permission::{Membership, Permission};
use domain::record::{RecordType, VersionRead};
use domain::refusal::Refusal;
use domain::time::Timestamp;
use domain::work::{Priority, WorkItem, WorkItemStatus};
use schemars::JsonSchema;
use serde::Deserialize;
use store::{Page, WorkItemFilter};

use crate::resolve::Names;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::tools::get_work_item;
use crate::work;

/// Propose a change of a work item. Status moves: backlog, todo, in_progress, in_review, done, one step at a time
/// (in_progress may go to done); blocked and cancelled from any open state; done back to in_progress.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    pub work_item_id: WorkItemId,
    /// The version you have read.
    #[schemars(range(min = 1))]
    pub version: i64,
    /// Only what is to change.
    pub changes: Changes,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(inline)]
pub struct Changes {
    #[schemars(length(max = 200))]
    pub title: Option<String>,
    #[schemars(length(max = 4000))]
    pub description: Option<String>,
    pub status: Option<WorkItemStatus>,
    pub priority: Option<Priority>,
    /// User id or e-mail.
    pub assignee_id: Option<String>,
    /// Replaces all labels.
    #[schemars(length(max = 20))]
    pub labels: Option<Vec<String>>,
    pub due_at: Option<Timestamp>,
    /// Fields to empty.
    pub clear: Vec<Clearable>,
}

domain::words! {
    /// What a work item can do without.
    Clearable { Assignee = "assignee", DueAt = "due_at" }
}

/// Everything the plan relies on.
pub struct Facts {
    item: WorkItem,
    team: String,
    /// Children that are not done or cancelled.
    open_children: u32,
    members: Arc<Vec<Membership>>,
}

pub struct UpdateWorkItem;

impl Command for UpdateWorkItem {
    const CARD: Card = Card {
        name: "loopiq_update_work_item",
        title: "Update a work item",
        permission: Some(Permission::WorkItemsUpdate),
        effects: Effects::Write,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        let item = get_work_item::visible(cx, input.work_item_id).await?;
        if !cx.rights.allows(Permission::WorkItemsUpdate, Some(item.team_id)) {
            return Err(Refusal::forbidden(Permission::WorkItemsUpdate).into());
        }
        let filter = WorkItemFilter {
            parent: Some(item.id),
            statuses: &WorkItemStatus::OPEN,
            ..WorkItemFilter::default()
        };
        let open_children = cx.reader.work_items(filter, Page { limit: 1, after: None }).await?.total;
        Ok(Facts {
            team: Names::teams(cx).await?.team(item.team_id).name,
            open_children,
            members: cx.members().await?,
            item,
        })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let item = &facts.item;
        if item.version != input.version {
            return Err(Refusal::changed_meanwhile("loopiq_get_work_item"));
        }
        let mut record = item.clone();
        let assignee = change_fields(facts, &input.changes, &mut record)?;
        if let Some(to) = input.changes.status {
            move_status(facts, to)?;
            record.status = to;
        }
        if record == *item {
            return Err(Refusal::invalid("changes", "must change something"));
        }
        record.version += 1;
        record.updated_at = asked.now;
        Ok(into_plan(facts, assignee, record))
    }
}

/// Applies everything but the status; returns who was made assignee.
fn change_fields<'a>(
    facts: &'a Facts,
    changes: &Changes,
    record: &mut WorkItem,
) -> Result<Option<&'a Membership>, Refusal> {
    if let Some(title) = &changes.title {
        work::title("changes.title", title)?.clone_into(&mut record.title);
    }
    if let Some(description) = &changes.description {
        description.trim().clone_into(&mut record.description);
    }
    record.priority = changes.priority.unwrap_or(record.priority);
    record.due_at = changes.due_at.or(record.due_at);
    if let Some(labels) = &changes.labels {
        record.labels = work::labels("changes.labels", labels)?;
    }
    let assignee = match &changes.assignee_id {
        Some(reference) => Some(work::owner(&facts.members, "changes.assigneeId", reference)?),
        None => None,
    };
    record.assignee_id = assignee.map(|a| a.user_id).or(record.assignee_id);
    for field in &changes.clear {
        let given = match field {
            Clearable::Assignee => std::mem::take(&mut record.assignee_id).is_some() && assignee.is_some(),
            Clearable::DueAt => std::mem::take(&mut record.due_at).is_some() && changes.due_at.is_some(),
        };
        if given {
            return Err(Refusal::invalid("changes.clear", "must not name a field that is also set"));
        }
    }
    Ok(assignee)
}

fn move_status(facts: &Facts, to: WorkItemStatus) -> Result<(), Refusal> {
    let from = facts.item.status;
    if from == to {
        return Ok(());
    }
    if !from.may_become(to) {
        let legal: Vec<&str> =
            WorkItemStatus::ALL.iter().filter(|s| from.may_become(**s)).map(|s| s.as_str()).collect();
        let message = format!("may go from {from} to: {}", legal.join(", "));
        return Err(Refusal::invalid("changes.status", message));
    }
    if to == WorkItemStatus::Done && facts.open_children > 0 {
        return Err(Refusal::invalid(
            "changes.status",
            format!("cannot be done while {} item(s) below it are open", facts.open_children),
        ));
    }
    Ok(())
}

fn into_plan(facts: &Facts, assignee: Option<&Membership>, record: WorkItem) -> Plan {
    let mut versions = vec![VersionRead::of(RecordType::WorkItem, record.id, facts.item.version)];
    versions.extend(assignee.map(|a| VersionRead::of(RecordType::Membership, a.user_id, a.version)));
    let mut labels = BTreeMap::from([
        (record.id.to_string(), record.title.clone()),
        (record.team_id.to_string(), facts.team.clone()),
    ]);
    labels.extend(
        facts
            .members
            .iter()
            .filter(|m| [record.assignee_id, facts.item.assignee_id].contains(&Some(m.user_id)))
            .map(|m| (m.user_id.to_string(), m.email.clone())),
    );
    Plan {
        versions,
        labels,
        summary: format!("Change of a {} of team {}", record.item_type, facts.team),
        team_id: Some(record.team_id),
        release_id: record.release_id,
        certification_id: record.certification_id,
        effects: vec![Effect::UpdateWorkItem { was: Box::new(facts.item.clone()), record }],
        ..Plan::default()
    }
}
