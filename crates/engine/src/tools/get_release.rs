//! One release with its checks, gates and rollback decision. The smallest tool with an argument: start here when
//! adding one.

use domain::permission::Permission;
use domain::release::GateStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resolve::{self, Names};
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::view::{CheckView, GateView, Origin, ReleaseDetail, ReleaseView, RollbackView, TeamRef};

/// Get one release with its checks, gates and rollback decision.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct In {
    /// Id or name, for example backend-v1.0-GCN.
    #[schemars(length(min = 1, max = 200))]
    pub release: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Out {
    pub release: ReleaseDetail,
}

impl Say for Out {
    fn say(&self) -> String {
        let r = &self.release;
        let closed = r.gates.iter().filter(|g| g.status == GateStatus::Closed).count();
        let rollback = r
            .rollback_decision
            .as_ref()
            .map(|d| format!(" Rollback decision: {}, execution {}.", d.status, d.execution_state))
            .unwrap_or_default();
        format!(
            "Release {} ({}) of team {} is {}; {} check(s), {closed} closed gate(s).",
            r.release.name,
            r.release.id,
            r.release.team.name,
            r.release.status,
            r.checks.len()
        ) + &rollback
    }
    fn team(&self) -> Option<TeamRef> {
        Some(self.release.release.team.clone())
    }
}

pub struct GetRelease;

impl Query for GetRelease {
    const CARD: Card = Card {
        name: "loopiq_get_release",
        title: "Get a release",
        permission: Some(Permission::ReleasesRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let release = resolve::release(cx, &input.release, Permission::ReleasesRead).await?;
        let names = Names::teams(cx).await?;
        let mut components = Vec::new();
        for id in &release.component_ids {
            components.extend(cx.reader.component(*id).await?.map(|c| c.name));
        }
        let checks = cx.reader.checks(release.id).await?;
        let gates = cx.reader.gates(release.id).await?;
        let decision = cx.reader.rollback_decision(release.id).await?;
        let user_text =
            vec!["checks.label", "gates.name", "rollbackDecision.reason", "rollbackDecision.rollbackPlan"];
        Ok(Out {
            release: ReleaseDetail {
                release: ReleaseView::new(&release, names.team(release.team_id), cx.links),
                components,
                gates: gates.into_iter().map(|g| GateView::new(g, &checks)).collect(),
                checks: checks.into_iter().map(CheckView::new).collect(),
                rollback_decision: decision.map(RollbackView::new),
                released_at: release.released_at,
                version: release.version,
                origins: vec![Origin { fields: user_text, from: "user" }],
            },
        })
    }
}
