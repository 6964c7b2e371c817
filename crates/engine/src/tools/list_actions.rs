//! Governed actions and how they stand: one's own, or the organization's for those who may read approvals.

use domain::action::ActionState;
use domain::permission::Permission;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::ActionFilter;

use crate::card::awaits;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page::{self, Wanted};
use crate::view::ActionItem;

/// List governed actions with their state, newest first.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only these states.
    pub status: Vec<ActionState>,
    /// Only those you requested.
    pub mine: bool,
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
    /// nextCursor of the page before.
    pub cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<ActionItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    pub total: u32,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("actions", &self.items, self.total, self.next_cursor.is_some(), |a| {
            format!("{} ({}): {}", a.title, a.id, a.status)
        })
    }
    fn returned(&self) -> u32 {
        self.items.len() as u32
    }
}

pub struct ListActions;

impl Query for ListActions {
    const CARD: Card = Card {
        name: "loopiq_list_actions",
        title: "List governed actions",
        permission: Some(Permission::ReleasesRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let filters = (&input.status, input.mine);
        let wanted = Wanted::new(cx, Self::CARD.name, &filters, input.limit, input.cursor.as_deref())?;
        let everything = cx.rights.allows(Permission::AuditRead, None);
        let visible = if everything { None } else { cx.rights.teams_with(Permission::ApprovalsRead) };
        // Who may read no team's approvals still sees their own.
        let own_only = input.mine || visible.as_ref().is_some_and(Vec::is_empty);
        let filter = ActionFilter {
            states: &input.status,
            requester: own_only.then_some(cx.actor.user_id),
            teams: if own_only { None } else { visible.as_deref() },
        };
        let found = cx.reader.actions(filter, wanted.page()).await?;
        Ok(Out {
            items: found
                .items
                .iter()
                .map(|s| ActionItem::new(&s.action, awaits(cx, &s.action), cx.links))
                .collect(),
            next_cursor: wanted.next(cx, found.next),
            total: found.total,
        })
    }
}
