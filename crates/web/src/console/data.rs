//! What the pages ask of the engine, in one place. Each function is one question through the same door that
//! clients use, so that a page can never show more than its reader could ask for.

use domain::action::{ActionState, Channel};
use domain::audit::AuditKind;
use domain::certification::{self, GapStatus};
use domain::id::{ActionId, CertificationId, EvidenceId, FindingId, GapId, PackageId, WorkItemId};
use domain::period::Period;
use domain::refusal::{Code, Refusal};
use domain::release::ReleaseStatus;
use domain::time::Timestamp;
use domain::work::WorkItemStatus;
use engine::tools::{
    compare_releases, get_approval_figures, get_log_growth, get_policies, get_readiness_history, get_release,
    get_release_certification, get_release_certification_evidence_graph as evidence_graph, get_work_item,
    list_actions, list_audit_records, list_evidence, list_evidence_gaps, list_passkeys,
    list_provider_blockers, list_release_certifications, list_releases, list_sessions, list_teams,
    list_work_items,
};
use engine::view::{
    ActionItem, ActionView, BlockerView, CertificationView, ControlView, EvidenceView, GapView,
    ReleaseDetail, ReleaseView, TeamView, WorkItemView,
};
use engine::{Caller, Decision, Query, pages};
use serde_json::Value;

use super::parts::graph::{Edge, Node};
use super::paths;
use super::visit::Visit;

/// The most records a page shows of a list that is not paged.
const ALL: Option<u32> = Some(100);

type Answer<T> = Result<T, Refusal>;

/// One page of a list.
#[derive(Debug)]
pub struct ListOf<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
    pub total: u32,
}

impl<T> ListOf<T> {
    pub fn none() -> ListOf<T> {
        ListOf { items: Vec::new(), next: None, total: 0 }
    }
}

macro_rules! list {
    ($out:expr) => {{
        let out = $out;
        ListOf { items: out.items, next: out.next_cursor, total: out.total }
    }};
}

/// A section of a page that its reader may not see, or that does not exist, is left out; anything else is an error.
pub fn optional<T>(answer: Answer<T>) -> Answer<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(refusal) if matches!(refusal.code, Code::Forbidden | Code::NotFound) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

pub async fn teams(visit: &Visit) -> Answer<Vec<TeamView>> {
    Ok(visit.ask::<list_teams::ListTeams>(list_teams::In::default()).await?.items)
}

/// Empty text means: not asked for.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    pub team: &'a str,
    pub status: &'a str,
    pub query: &'a str,
    pub release: &'a str,
    pub cursor: &'a str,
}

fn given(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

pub async fn releases(visit: &Visit, wanted: &Wanted<'_>) -> Answer<ListOf<ReleaseView>> {
    let input = list_releases::In {
        team: given(wanted.team),
        all_teams: true,
        status: ReleaseStatus::parse(wanted.status).into_iter().collect(),
        query: given(wanted.query),
        limit: None,
        cursor: given(wanted.cursor),
    };
    Ok(list!(visit.ask::<list_releases::ListReleases>(input).await?))
}

/// One release, by id or name.
pub async fn release(visit: &Visit, reference: &str) -> Answer<ReleaseDetail> {
    Ok(visit.ask::<get_release::GetRelease>(get_release::In { release: reference.to_owned() }).await?.release)
}

pub async fn certifications(visit: &Visit, team: Option<String>) -> Answer<ListOf<CertificationView>> {
    let input = list_release_certifications::In { team, limit: ALL, ..Default::default() };
    Ok(list!(visit.ask::<list_release_certifications::ListReleaseCertifications>(input).await?))
}

/// A certification with its controls.
#[derive(Debug)]
pub struct Certified {
    pub certification: CertificationView,
    pub controls: Vec<ControlView>,
    pub decision: Option<certification::Decision>,
}

async fn certified(visit: &Visit, input: get_release_certification::In) -> Answer<Certified> {
    let out = visit.ask::<get_release_certification::GetReleaseCertification>(input).await?;
    Ok(Certified { certification: out.certification, controls: out.controls, decision: out.decision })
}

pub async fn certification(visit: &Visit, id: CertificationId) -> Answer<Certified> {
    certified(visit, get_release_certification::In { certification_id: Some(id), release: None }).await
}

pub async fn certification_of(visit: &Visit, release: &str) -> Answer<Certified> {
    certified(
        visit,
        get_release_certification::In { certification_id: None, release: Some(release.to_owned()) },
    )
    .await
}

pub async fn gaps_of_release(visit: &Visit, release: &str) -> Answer<ListOf<GapView>> {
    let input = list_evidence_gaps::In { release: given(release), limit: ALL, ..Default::default() };
    Ok(list!(visit.ask::<list_evidence_gaps::ListEvidenceGaps>(input).await?))
}

pub async fn gaps_of_certification(visit: &Visit, id: CertificationId) -> Answer<ListOf<GapView>> {
    let input = list_evidence_gaps::In { certification_id: Some(id), limit: ALL, ..Default::default() };
    Ok(list!(visit.ask::<list_evidence_gaps::ListEvidenceGaps>(input).await?))
}

pub async fn blockers(visit: &Visit, release: &str) -> Answer<ListOf<BlockerView>> {
    let input = list_provider_blockers::In { release: given(release), limit: ALL, ..Default::default() };
    Ok(list!(visit.ask::<list_provider_blockers::ListProviderBlockers>(input).await?))
}

pub async fn evidence_of(visit: &Visit, release: &str) -> Answer<ListOf<EvidenceView>> {
    let input = list_evidence::In {
        release: given(release),
        include_superseded: true,
        limit: ALL,
        ..Default::default()
    };
    Ok(list!(visit.ask::<list_evidence::ListEvidence>(input).await?))
}

pub async fn evidence(visit: &Visit, id: EvidenceId) -> Answer<pages::Evidence> {
    visit.ask::<pages::Evidence>(pages::ById { id }).await
}

pub async fn gap(visit: &Visit, id: GapId) -> Answer<pages::Gap> {
    visit.ask::<pages::Gap>(pages::ById { id }).await
}

pub async fn blocker(visit: &Visit, id: FindingId) -> Answer<pages::Blocker> {
    visit.ask::<pages::Blocker>(pages::ById { id }).await
}

pub async fn package(visit: &Visit, id: PackageId) -> Answer<pages::Package> {
    visit.ask::<pages::Package>(pages::ById { id }).await
}

pub async fn work_items(visit: &Visit, wanted: &Wanted<'_>) -> Answer<ListOf<WorkItemView>> {
    let input = list_work_items::In {
        team: given(wanted.team),
        release: given(wanted.release),
        status: WorkItemStatus::parse(wanted.status).into_iter().collect(),
        cursor: given(wanted.cursor),
        ..Default::default()
    };
    Ok(list!(visit.ask::<list_work_items::ListWorkItems>(input).await?))
}

/// A work item and its children.
pub async fn work_item(visit: &Visit, id: WorkItemId) -> Answer<(WorkItemView, Vec<WorkItemView>)> {
    let out = visit.ask::<get_work_item::GetWorkItem>(get_work_item::In { work_item_id: id }).await?;
    Ok((out.work_item, out.children))
}

/// What the ids of a work item stand for.
pub async fn around(visit: &Visit, id: WorkItemId) -> Answer<pages::Around> {
    visit.ask::<pages::Around>(pages::ById { id }).await
}

/// Everything that waits for anybody's decision.
pub async fn pending(visit: &Visit) -> Answer<ListOf<ActionItem>> {
    let input =
        list_actions::In { status: vec![ActionState::PendingApproval], limit: ALL, ..Default::default() };
    Ok(list!(visit.ask::<list_actions::ListActions>(input).await?))
}

/// Broken glasses that wait for somebody's review.
pub async fn to_review(visit: &Visit) -> Answer<Vec<ActionItem>> {
    Ok(visit.ask::<pages::ToReview>(pages::Everything {}).await?.items)
}

pub async fn actions(
    visit: &Visit,
    status: Vec<ActionState>,
    mine: bool,
    cursor: &str,
) -> Answer<ListOf<ActionItem>> {
    let input = list_actions::In { status, mine, limit: None, cursor: given(cursor) };
    Ok(list!(visit.ask::<list_actions::ListActions>(input).await?))
}

pub async fn action(visit: &Visit, id: ActionId) -> Answer<ActionView> {
    visit.engine.action(visit.caller(), id).await
}

pub async fn approve(visit: &Visit, id: ActionId, signed: Option<Value>) -> Answer<ActionView> {
    decide(visit, id, Decision::Approve { signed }).await
}

pub async fn reject(visit: &Visit, id: ActionId, reason: &str) -> Answer<ActionView> {
    decide(visit, id, Decision::Reject { reason: reason.to_owned() }).await
}

pub async fn withdraw(visit: &Visit, id: ActionId, reason: &str) -> Answer<ActionView> {
    decide(visit, id, Decision::Withdraw { reason: reason.to_owned() }).await
}

pub async fn break_glass(visit: &Visit, id: ActionId, reason: &str) -> Answer<ActionView> {
    decide(visit, id, Decision::BreakGlass { reason: reason.to_owned() }).await
}

pub async fn review(visit: &Visit, id: ActionId) -> Answer<ActionView> {
    decide(visit, id, Decision::Review).await
}

/// What the visitor's browser is asked, so that they sign their approval; none where they have no passkey.
pub async fn confirmation(visit: &Visit, id: ActionId) -> Answer<Option<Value>> {
    visit.engine.confirmation(visit.caller(), id).await
}

pub async fn passkeys(visit: &Visit) -> Answer<list_passkeys::Out> {
    visit.ask::<list_passkeys::ListPasskeys>(list_passkeys::In::default()).await
}

/// Sessions of everybody who works in this organization, for who manages people; nothing for others.
pub async fn sessions_here(visit: &Visit) -> Answer<Option<list_sessions::Out>> {
    optional(visit.ask::<list_sessions::ListSessions>(list_sessions::In::default()).await)
}

/// A decision runs to its end, whether or not the browser waits for the answer.
async fn decide(visit: &Visit, id: ActionId, decision: Decision) -> Answer<ActionView> {
    let (engine, actor, ids) = (visit.engine.clone(), visit.actor.clone(), visit.ids.clone());
    let run = async move {
        let caller = Caller { actor: &actor, channel: Channel::Helix, ids: &ids };
        engine.decide(caller, id, &decision).await
    };
    visit.tasks.finish(run).await.unwrap_or_else(|| Err(Refusal::internal()))
}

/// The evidence graph, ready to be drawn.
#[derive(Debug)]
pub struct Graph {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// Records that the nodes stand for.
    pub records: u32,
    pub truncated: bool,
}

/// The graph of a certification with at most so many nodes; above that, nodes stand for several records.
pub async fn graph(visit: &Visit, id: CertificationId, nodes_max: u32) -> Answer<Graph> {
    let input = evidence_graph::In {
        certification_id: Some(id),
        max_nodes: Some(nodes_max),
        group: true,
        ..Default::default()
    };
    let out = visit.ask::<evidence_graph::GetReleaseCertificationEvidenceGraph>(input).await?;
    let records = out.nodes.iter().map(|node| node.count.unwrap_or(1)).sum();
    let nodes = out.nodes.into_iter().map(|node| Node {
        href: node_page(&node, out.release_id, id),
        kind: node.kind.to_string(),
        label: node.label,
        status: node.status,
        id: node.id,
        count: node.count,
    });
    let edges = out.edges.into_iter().map(|e| Edge { from: e.from, to: e.to, kind: e.kind.to_string() });
    Ok(Graph { nodes: nodes.collect(), edges: edges.collect(), records, truncated: out.truncated })
}

/// The page of a record; for several of them, the list they are on.
fn node_page(
    node: &domain::graph::Node,
    release: domain::id::ReleaseId,
    certification: CertificationId,
) -> Option<String> {
    use domain::graph::NodeKind as K;
    let (of_release, of_certification) = (paths::release(release), paths::certification(certification));
    let (id, several) = (&node.id, node.count.is_some());
    // The lists leave out what is resolved.
    let unlisted = several || node.status.as_deref() == Some(GapStatus::Resolved.as_str());
    match node.kind {
        K::Release => Some(of_release),
        K::Certification => Some(of_certification),
        K::Control if several => Some(format!("{of_certification}#controls")),
        K::EvidenceGap if unlisted => Some(format!("{of_certification}#gaps")),
        K::ProviderBlocker if unlisted => Some(format!("{of_certification}#blockers")),
        K::Evidence if several => Some(format!("{of_release}#evidence")),
        K::WorkItem if several => {
            Some(paths::with_query(paths::WORK_ITEMS, &[("release", &release.to_string())]))
        }
        // Controls, gaps and blockers are on the page of the certification itself.
        K::Control | K::EvidenceGap | K::ProviderBlocker => Some(format!("{of_certification}#{id}")),
        K::Evidence => Some(format!("/app/evidence/{id}")),
        K::WorkItem => Some(format!("/app/work-items/{id}")),
        K::Risk | K::Exception | K::Approval | K::Component => None,
    }
}

/// What is new, gone and still there in a release, compared with another; with the one before where none is named.
pub async fn difference(visit: &Visit, release: &str, with: &str) -> Answer<compare_releases::Out> {
    let input = compare_releases::In { release: release.to_owned(), with: given(with) };
    visit.ask::<compare_releases::CompareReleases>(input).await
}

pub async fn readiness(visit: &Visit, id: CertificationId) -> Answer<get_readiness_history::Out> {
    let input = get_readiness_history::In { certification_id: Some(id), release: None };
    visit.ask::<get_readiness_history::GetReadinessHistory>(input).await
}

/// Nothing for those who may not have them: the page is everybody's, and opening it is no attempt to get at them that the
/// log should tell of.
pub async fn approval_figures(
    visit: &Visit,
    period: Option<Period>,
) -> Answer<Option<get_approval_figures::Out>> {
    if !visit.actor.permits(&get_approval_figures::GetApprovalFigures::CARD) {
        return Ok(None);
    }
    let input = get_approval_figures::In { period };
    visit.ask::<get_approval_figures::GetApprovalFigures>(input).await.map(Some)
}

pub async fn log_growth(visit: &Visit, period: Option<Period>) -> Answer<get_log_growth::Out> {
    visit.ask::<get_log_growth::GetLogGrowth>(get_log_growth::In { period }).await
}

pub async fn policies(visit: &Visit, version: Option<i64>) -> Answer<get_policies::Out> {
    visit.ask::<get_policies::GetPolicies>(get_policies::In { version }).await
}

/// Which audit records are wanted.
#[derive(Debug, Default)]
pub struct Recorded<'a> {
    /// Empty: every kind.
    pub kinds: Vec<AuditKind>,
    pub action: Option<ActionId>,
    pub subject: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub cursor: &'a str,
    /// As many as usual on a page when absent.
    pub limit: Option<u32>,
}

pub async fn records(visit: &Visit, wanted: &Recorded<'_>) -> Answer<ListOf<list_audit_records::Item>> {
    let input = list_audit_records::In {
        action_id: wanted.action,
        subject_id: wanted.subject.clone(),
        kind: wanted.kinds.clone(),
        from: wanted.from,
        to: wanted.to,
        limit: wanted.limit,
        cursor: given(wanted.cursor),
        ..Default::default()
    };
    Ok(list!(visit.ask::<list_audit_records::ListAuditRecords>(input).await?))
}

/// One audit record by its position.
pub async fn record(visit: &Visit, sequence: u64) -> Answer<list_audit_records::Item> {
    visit.ask::<pages::AuditItem>(pages::ById { id: sequence }).await
}
