//! Stories, tasks and issues.

use domain::id::WorkItemId;
use domain::permission::Permission;
use domain::work::{WorkItemStatus, WorkItemType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::WorkItemFilter;

use crate::card::team_ref;
use crate::resolve::{self, Names};
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page::{self, Wanted};
use crate::view::{TeamRef, WorkItemView};

/// List work items (stories, tasks, issues) of a team, a release or a parent.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only of this team (id or name).
    pub team: Option<String>,
    /// Only of this release (id or name).
    pub release: Option<String>,
    /// Only these types.
    #[serde(rename = "type")]
    pub types: Vec<WorkItemType>,
    /// Only these states.
    pub status: Vec<WorkItemStatus>,
    /// Only children of this work item.
    pub parent_id: Option<WorkItemId>,
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
    /// nextCursor of the page before.
    pub cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<WorkItemView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    pub total: u32,
    #[serde(skip)]
    team: Option<TeamRef>,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("work items", &self.items, self.total, self.next_cursor.is_some(), |w| {
            format!("{} {} ({}): {}", w.item_type, w.id, w.status, w.title)
        })
    }
    fn team(&self) -> Option<TeamRef> {
        self.team.clone()
    }
    fn returned(&self) -> u32 {
        self.items.len() as u32
    }
}

pub struct ListWorkItems;

impl Query for ListWorkItems {
    const CARD: Card = Card {
        name: "loopiq_list_work_items",
        title: "List work items",
        permission: Some(Permission::WorkItemsRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    const LEFT_OUT: &'static [&'static str] =
        &["description", "labels", "findingRefs", "createdAt", "version", "dueAt", "releaseId", "parentId"];
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let filters = (&input.team, &input.release, &input.types, &input.status, input.parent_id);
        let wanted = Wanted::new(cx, Self::CARD.name, &filters, input.limit, input.cursor.as_deref())?;
        let team = match &input.team {
            Some(reference) => Some(resolve::team(cx, reference).await?.id),
            None => None,
        };
        let release = match &input.release {
            Some(reference) => Some(resolve::release(cx, reference, Permission::WorkItemsRead).await?.id),
            None => None,
        };
        let visible = cx.rights.teams_with(Permission::WorkItemsRead);
        let filter = WorkItemFilter {
            teams: visible.as_deref(),
            team,
            release,
            types: &input.types,
            statuses: &input.status,
            parent: input.parent_id,
        };
        let found = cx.reader.work_items(filter, wanted.page()).await?;
        let names = Names::teams(cx).await?;
        Ok(Out {
            items: found.items.iter().map(|w| WorkItemView::new(cx, w, names.team(w.team_id))).collect(),
            next_cursor: wanted.next(cx, found.next),
            total: found.total,
            team: team_ref(cx, team).await?,
        })
    }
}
