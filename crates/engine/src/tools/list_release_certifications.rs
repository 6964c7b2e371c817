//! Release certifications, newest first.

use domain::certification::CertificationStatus;
use domain::permission::Permission;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::CertificationFilter;

use crate::card::team_ref;
use crate::resolve::{self, Names};
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page::{self, Wanted};
use crate::view::{CertificationView, TeamRef};

/// List release certifications with status and readiness.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Only of this release (id or name).
    pub release: Option<String>,
    /// Only of this team (id or name).
    pub team: Option<String>,
    /// Only these states.
    pub status: Vec<CertificationStatus>,
    /// Only those you review.
    pub mine: bool,
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
    /// nextCursor of the page before.
    pub cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<CertificationView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    pub total: u32,
    #[serde(skip)]
    team: Option<TeamRef>,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("certifications", &self.items, self.total, self.next_cursor.is_some(), |c| {
            format!(
                "{} ({}) for {}: {}, {} with score {}, {} open gap(s), {} open blocker(s)",
                c.title,
                c.id,
                c.release.name,
                c.status,
                c.readiness.verdict,
                c.readiness.score,
                c.open_gap_count,
                c.open_blocker_count
            )
        })
    }
    fn team(&self) -> Option<TeamRef> {
        self.team.clone()
    }
    fn returned(&self) -> u32 {
        self.items.len() as u32
    }
}

pub struct ListReleaseCertifications;

impl Query for ListReleaseCertifications {
    const CARD: Card = Card {
        name: "loopiq_list_release_certifications",
        title: "List release certifications",
        permission: Some(Permission::CertificationsRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let filters = (&input.release, &input.team, &input.status, input.mine);
        let wanted = Wanted::new(cx, Self::CARD.name, &filters, input.limit, input.cursor.as_deref())?;
        let release = match &input.release {
            Some(reference) => {
                Some(resolve::release(cx, reference, Permission::CertificationsRead).await?.id)
            }
            None => None,
        };
        let team = match &input.team {
            Some(reference) => Some(resolve::team(cx, reference).await?.id),
            None => None,
        };
        let visible = cx.rights.teams_with(Permission::CertificationsRead);
        let filter = CertificationFilter {
            teams: visible.as_deref(),
            team,
            release,
            statuses: &input.status,
            reviewer: input.mine.then_some(cx.actor.user_id),
        };
        let found = cx.reader.certifications(filter, wanted.page()).await?;
        let names =
            Names::teams(cx).await?.with_releases(cx, found.items.iter().map(|c| c.release_id)).await?;
        Ok(Out {
            items: found
                .items
                .iter()
                .map(|c| {
                    CertificationView::new(c, names.release(c.release_id), names.team(c.team_id), cx.links)
                })
                .collect(),
            next_cursor: wanted.next(cx, found.next),
            total: found.total,
            team: team_ref(cx, team).await?,
        })
    }
}
