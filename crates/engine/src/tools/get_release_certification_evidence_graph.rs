//! The evidence graph of a certification: how release, controls, evidence, gaps, blockers and work hang together, and
//! what in it is wrong.

use domain::graph::{Edge, Excess, Graph, GraphFacts, Node, NodeKind, Summary};
use domain::id::{CertificationId, ReleaseId};
use domain::permission::Permission;
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Page, RiskFilter, WorkItemFilter};

use crate::card::team_ref;
use crate::state::{State, all_pages};
use crate::stop::{Fault, Stop};
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::view::TeamRef;
use crate::{limits, resolve};

/// Get the evidence graph of a release certification. Its summary lists failed controls, evidence gaps and provider
/// blockers with the ids that a remediation work package refers to.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct In {
    /// Id of the certification.
    pub certification_id: Option<CertificationId>,
    /// Release (id or name), instead of or together with the id.
    #[schemars(length(min = 1, max = 200))]
    pub release: Option<String>,
    /// Only nodes of these kinds.
    pub kinds: Vec<NodeKind>,
    /// The most nodes to return; default 150.
    #[schemars(range(min = 1, max = 300))]
    pub max_nodes: Option<u32>,
    /// Above maxNodes, let one node stand for several of a kind and state.
    pub group: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub certification_id: CertificationId,
    pub release_id: ReleaseId,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    pub summary: Summary,
    /// Whether nodes were left out.
    pub truncated: bool,
    pub url: String,
    #[serde(skip)]
    team: Option<TeamRef>,
}

impl Say for Out {
    fn say(&self) -> String {
        let s = &self.summary;
        let mut text = format!(
            "{} node(s), {} edge(s); {} failed control(s), {} evidence gap(s), {} provider blocker(s).",
            self.nodes.len(),
            self.edges.len(),
            s.failed_controls.len(),
            s.evidence_gaps.len(),
            s.provider_blockers.len()
        );
        for entry in s.evidence_gaps.iter().chain(&s.provider_blockers) {
            text.push_str(&format!("\n- {} ({}): {}", entry.id, entry.severity.as_str(), entry.status));
        }
        text
    }
    fn team(&self) -> Option<TeamRef> {
        self.team.clone()
    }
    fn returned(&self) -> u32 {
        self.nodes.len() as u32
    }
}

pub struct GetReleaseCertificationEvidenceGraph;

impl Query for GetReleaseCertificationEvidenceGraph {
    const CARD: Card = Card {
        name: "loopiq_get_release_certification_evidence_graph",
        title: "Get the evidence graph",
        permission: Some(Permission::CertificationsRead),
        effects: Effects::Read,
        over_mcp: true,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let (certification, release, _) =
            resolve::certification(cx, input.certification_id, input.release.as_deref()).await?;
        if !cx.rights.allows(Permission::EvidenceRead, Some(certification.team_id)) {
            return Err(Refusal::forbidden(Permission::EvidenceRead).into());
        }
        let state = State::load(cx.reader, certification.id)
            .await?
            .ok_or(Fault::Bug("a certification that was just read exists"))?;
        // Risks and work have permissions of their own; the graph shows no more than their lists would.
        let risks = if cx.rights.allows(Permission::RisksRead, Some(release.team_id)) {
            let filter = RiskFilter { release: Some(release.id), ..RiskFilter::default() };
            all_pages!(|page| cx.reader.risks(filter, page))
        } else {
            Vec::new()
        };
        let visible = cx.rights.teams_with(Permission::WorkItemsRead);
        let filter = WorkItemFilter {
            teams: visible.as_deref(),
            release: Some(release.id),
            ..WorkItemFilter::default()
        };
        let work_items = all_pages!(|page| cx.reader.work_items(filter, page));
        let components: Vec<_> = cx
            .reader
            .components()
            .await?
            .into_iter()
            .filter(|c| release.component_ids.contains(&c.id))
            .collect();
        let facts = GraphFacts {
            release: &state.release,
            certification: &state.certification,
            controls: &state.controls,
            results: &state.results,
            evidence: &state.evidence,
            gaps: &state.gaps,
            findings: &state.findings,
            risks: &risks,
            exceptions: &state.exceptions,
            work_items: &work_items,
            components: &components,
        };
        let kinds = (!input.kinds.is_empty()).then_some(input.kinds.as_slice());
        let max = input.max_nodes.unwrap_or(limits::GRAPH_NODES_DEFAULT).clamp(1, limits::GRAPH_NODES_MAX);
        let excess = if input.group { Excess::Gather } else { Excess::Cut };
        let Graph { nodes, edges, summary, truncated } =
            domain::graph::build(&facts, kinds, max as usize, excess);
        Ok(Out {
            url: cx.links.certification(certification.id),
            certification_id: certification.id,
            release_id: release.id,
            nodes,
            edges,
            summary,
            truncated,
            team: team_ref(cx, Some(certification.team_id)).await?,
        })
    }
}
