//! How ready a certification was found over time: one point for each evaluation or decision that changed it. Kept since
//! the table for it exists; what changed before is not told.

use domain::certification::Verdict;
use domain::id::CertificationId;
use domain::permission::Permission;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::card::team_ref;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::view::TeamRef;
use crate::{limits, resolve};

/// Get how ready a release certification was found over time.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Id of the certification.
    pub certification_id: Option<CertificationId>,
    /// Release (id or name), instead of or together with the id.
    #[schemars(length(min = 1, max = 200))]
    pub release: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Point {
    pub at: Timestamp,
    /// 0–100.
    pub score: u8,
    pub verdict: Verdict,
    pub open_gap_count: u32,
    pub open_blocker_count: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub certification_id: CertificationId,
    /// The oldest first.
    pub points: Vec<Point>,
    pub url: String,
    #[serde(skip)]
    team: Option<TeamRef>,
}

impl Say for Out {
    fn say(&self) -> String {
        let mut text = format!("{} changes of readiness.", self.points.len());
        for p in &self.points {
            text.push_str(&format!("\n- {}: {} of 100, {}", p.at, p.score, p.verdict));
        }
        text
    }
    fn team(&self) -> Option<TeamRef> {
        self.team.clone()
    }
    fn returned(&self) -> u32 {
        self.points.len() as u32
    }
}

pub struct GetReadinessHistory;

impl Query for GetReadinessHistory {
    const CARD: Card = Card {
        name: "loopiq_get_readiness_history",
        title: "Get readiness over time",
        permission: Some(Permission::CertificationsRead),
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let (certification, _, _) =
            resolve::certification(cx, input.certification_id, input.release.as_deref()).await?;
        let found = cx.reader.readiness(certification.id, limits::READINESS_POINTS_MAX).await?;
        let mut points: Vec<Point> = found
            .into_iter()
            .rev()
            .map(|p| Point {
                at: p.at,
                score: p.readiness.score,
                verdict: p.readiness.verdict,
                open_gap_count: p.open_gaps,
                open_blocker_count: p.open_blockers,
            })
            .collect();
        // A certification also changes by what does not make it more or less ready, such as its reviewers.
        let same = |p: &Point| (p.score, p.verdict, p.open_gap_count, p.open_blocker_count);
        points.dedup_by(|next, kept| same(next) == same(kept));
        Ok(Out {
            certification_id: certification.id,
            points,
            url: cx.links.certification(certification.id),
            team: team_ref(cx, Some(certification.team_id)).await?,
        })
    }
}
