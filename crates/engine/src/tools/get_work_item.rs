//! One work item with its children.

use domain::id::WorkItemId;
use domain::permission::Permission;
use domain::refusal::Refusal;
use domain::work::WorkItem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Page, WorkItemFilter};

use crate::limits;
use crate::resolve::Names;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::view::{TeamRef, WorkItemView};

/// Get one work item with its child tasks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// Id of the work item.
    pub work_item_id: WorkItemId,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub work_item: WorkItemView,
    pub children: Vec<WorkItemView>,
}

impl Say for Out {
    fn say(&self) -> String {
        let w = &self.work_item;
        format!("{} {} is {}: {}. {} child(ren).", w.item_type, w.id, w.status, w.title, self.children.len())
    }
    fn team(&self) -> Option<TeamRef> {
        Some(self.work_item.team.clone())
    }
    fn returned(&self) -> u32 {
        1 + self.children.len() as u32
    }
}

pub struct GetWorkItem;

impl Query for GetWorkItem {
    const CARD: Card = Card {
        name: "loopiq_get_work_item",
        title: "Get a work item",
        permission: Some(Permission::WorkItemsRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let item = visible(cx, input.work_item_id).await?;
        let visible = cx.rights.teams_with(Permission::WorkItemsRead);
        let filter =
            WorkItemFilter { teams: visible.as_deref(), parent: Some(item.id), ..WorkItemFilter::default() };
        let page = Page { limit: limits::PAGE_SIZE_MAX, after: None };
        let children = cx.reader.work_items(filter, page).await?.items;
        let names = Names::teams(cx).await?;
        let show = |w: &WorkItem| WorkItemView::new(cx, w, names.team(w.team_id));
        Ok(Out { work_item: show(&item), children: children.iter().map(show).collect() })
    }
}

/// The work item, for who may read its team's work or has a part in it.
pub(crate) async fn visible(cx: &Cx<'_>, id: WorkItemId) -> Result<WorkItem, Stop> {
    let me = cx.actor.user_id;
    let found = cx.reader.work_item(id).await?.filter(|w| {
        cx.rights.allows(Permission::WorkItemsRead, Some(w.team_id))
            || w.assignee_id == Some(me)
            || w.reporter_id == me
    });
    found.ok_or_else(|| Refusal::not_found("work item").into())
}
