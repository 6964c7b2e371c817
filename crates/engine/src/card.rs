//! Actions as people and agents see them: who may see one, its approval card, and how it stands.

use domain::action::{Action, ActionState};
use domain::effect::Effect;
use domain::id::{ActionId, GapId, TeamId};
use domain::permission::Permission;
use domain::refusal::Refusal;
use domain::work::ReferenceKind;
use store::StoredAction;

use crate::render;
use crate::stop::Stop;
use crate::tool::Cx;
use crate::view::{
    ActionView, ApprovalCard, CertificationRef, FailureView, Links, OrganizationRef, ReferenceView,
    ReleaseRef, TeamRef, UserRef,
};

/// An action the caller may see: their own, or one of a team whose approvals they may read.
pub(crate) async fn visible(cx: &Cx<'_>, id: ActionId) -> Result<StoredAction, Stop> {
    let found = cx.reader.action(id).await?.filter(|stored| may_see(cx, &stored.action));
    found.ok_or_else(|| Refusal::not_found("action").into())
}

pub(crate) fn may_see(cx: &Cx<'_>, action: &Action) -> bool {
    is_own(cx, action)
        || cx.rights.allows(Permission::ApprovalsRead, action.team_id)
        || cx.rights.allows(Permission::AuditRead, None)
}

/// Whether the caller asked for it: the same person, and where an agent acts for them, by the same agent.
pub(crate) fn is_own(cx: &Cx<'_>, action: &Action) -> bool {
    let acting = cx.actor.agent.as_ref().map(|agent| agent.id);
    action.requester_id == cx.actor.user_id
        && (acting.is_none() || acting == action.agent.as_ref().map(|agent| agent.id))
}

/// Whether the caller's approval is what the action waits for.
pub(crate) fn awaits(cx: &Cx<'_>, action: &Action) -> bool {
    let me = cx.actor.user_id;
    action.state == ActionState::PendingApproval
        && !action.is_overdue(cx.now)
        && cx.rights.allows(Permission::ApprovalsDecide, action.team_id)
        && !action
            .requirement
            .counts(&cx.actor.membership, action.requester_id, action.team_id, true)
            .is_empty()
        && action.approvals.iter().all(|a| a.by != me)
}

pub(crate) async fn team_ref(cx: &Cx<'_>, team: Option<TeamId>) -> Result<Option<TeamRef>, Stop> {
    let Some(id) = team else { return Ok(None) };
    Ok(cx.team(id).await?.map(|t| TeamRef { id, name: t.name }))
}

pub(crate) fn failure_view(action: &Action) -> Option<FailureView> {
    action.failure.as_ref().map(|f| FailureView {
        code: f.code.to_string(),
        message: f.message.clone(),
        remedy: f.remedy.clone(),
    })
}

/// What the action is about besides the records it writes: what work is to remedy, what an exception waives.
fn references(effects: &[Effect]) -> impl Iterator<Item = (ReferenceKind, &str)> {
    effects.iter().flat_map(|effect| {
        let (remedied, waived) = match effect {
            Effect::CreateRemediationWorkPackage { record } => (record.finding_refs.as_slice(), &[][..]),
            Effect::CreateException { record } => (&[][..], record.target_ids.as_slice()),
            _ => (&[][..], &[][..]),
        };
        let kind = |id: &str| match id.parse::<GapId>() {
            Ok(_) => ReferenceKind::EvidenceGap,
            Err(_) => ReferenceKind::ProviderBlocker,
        };
        let remedied = remedied.iter().map(|r| (r.kind, r.id.as_str()));
        remedied.chain(waived.iter().map(move |id| (kind(id), id.as_str())))
    })
}

/// The approval card of an action.
pub(crate) async fn card(cx: &Cx<'_>, action: &Action) -> Result<ApprovalCard, Stop> {
    let release = match action.release_id {
        Some(id) => cx.reader.release(id).await?,
        None => None,
    };
    let mut components = Vec::new();
    for id in release.iter().flat_map(|r| &r.component_ids) {
        components.extend(cx.reader.component(*id).await?.map(|c| c.name));
    }
    let label = |id: String| action.labels.get(&id).cloned().unwrap_or(id);
    let references = references(&action.effects)
        .map(|(kind, id)| ReferenceView { kind, id: id.to_owned(), title: label(id.to_owned()) })
        .collect();
    Ok(ApprovalCard {
        approval_id: action.approval_id,
        action_id: action.id,
        state: action.state,
        organization: OrganizationRef {
            id: cx.organization.id,
            slug: cx.organization.slug.clone(),
            name: cx.organization.name.clone(),
        },
        team: team_ref(cx, action.team_id).await?,
        release: release.map(|r| ReleaseRef { id: r.id, name: r.name }),
        certification: action
            .certification_id
            .map(|id| CertificationRef { id, title: label(id.to_string()) }),
        components,
        tool: action.tool.clone(),
        summary: action.summary.clone(),
        reason: action.reason.clone(),
        payload: action.arguments.clone(),
        payload_sha256: action.arguments_digest,
        digest: action.digest,
        effects: render::effects(&action.effects, &action.labels),
        references,
        agent: action.agent.clone(),
        requested_by: UserRef { id: action.requester_id, email: action.requester_email.clone() },
        requested_via: action.channel,
        request_id: action.request_id.clone(),
        trace_id: action.trace_id.clone(),
        workflow: action.workflow.clone(),
        idempotency_key: action.idempotency_key.clone(),
        policy: action.requirement.clone(),
        policy_sentence: action.requirement.sentence(),
        approvals: action.approvals.clone(),
        approved_by_rule: action.approved_by_rule,
        broken_glass: action.broken_glass.clone(),
        outdated_at: action.outdated_at,
        warned: action.warned.clone(),
        created_at: action.created_at,
        expires_at: action.execution_expires_at.unwrap_or(action.approval_expires_at),
        url: cx.links.action(action.id),
    })
}

/// An action in full.
pub(crate) async fn view(cx: &Cx<'_>, stored: &StoredAction) -> Result<ActionView, Stop> {
    let action = &stored.action;
    let executed = action.state == ActionState::Executed;
    let linked = |created: bool, links: &Links| {
        if executed { render::links(action, created, links) } else { Vec::new() }
    };
    Ok(ActionView {
        id: action.id,
        title: action.summary.clone(),
        status: action.state,
        card: card(cx, action).await?,
        created: linked(true, cx.links),
        updated: linked(false, cx.links),
        rejected_by: action.rejected_by.clone(),
        rejection_reason: action.rejection_reason.clone(),
        failure: failure_view(action),
        finished_at: action.finished_at,
        audit: stored.receipt,
        url: cx.links.action(action.id),
    })
}
