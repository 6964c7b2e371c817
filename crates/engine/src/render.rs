//! Effects as people read them: what happens to which record, field by field. The preview, the card, the result
//! and the audit record all use this one rendering, so that none can say something else than what is executed.

use std::collections::BTreeMap;

use domain::action::{Action, RecordLink};
use domain::agent::Agent;
use domain::certification::{Certification, GapStatus};
use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::id::{TeamId, UserId};
use domain::identity_provider::{GroupRole, IdentityProvider};
use domain::model::ModelSettings;
use domain::org::{Organization, Team};
use domain::permission::{Membership, MembershipStatus, TeamRole};
use domain::record::RecordType;
use domain::release::{Gate, Release, ReleaseCheck, RollbackDecision};
use domain::time::Timestamp;
use domain::webhook::{EventKind, Webhook};
use domain::work::WorkItem;

use crate::policy;
use crate::view::{Change, EffectView, Links};

/// Which record an effect touches, and whether it makes it.
pub(crate) struct Touched {
    pub record_type: RecordType,
    pub id: String,
    pub created: bool,
}

fn made(record_type: RecordType, id: impl ToString) -> Touched {
    Touched { record_type, id: id.to_string(), created: true }
}
fn changed(record_type: RecordType, id: impl ToString) -> Touched {
    Touched { record_type, id: id.to_string(), created: false }
}

/// The kinds of record that effects touch, each once.
pub(crate) fn record_types(effects: &[Effect]) -> Vec<RecordType> {
    let mut types: Vec<_> = effects.iter().map(|effect| touched(effect).record_type).collect();
    types.sort();
    types.dedup();
    types
}

/// What rules of approval may know of a write; `release` is name, status and environment.
pub(crate) fn change<'a>(
    effects: &[Effect],
    record_types: &'a [RecordType],
    release: Option<[&'a str; 3]>,
) -> policy::Change<'a> {
    let creates = effects.iter().filter(|effect| touched(effect).created).count();
    policy::Change { creates, updates: effects.len() - creates, record_types, release }
}

pub(crate) fn touched(effect: &Effect) -> Touched {
    use RecordType as T;
    match effect {
        Effect::CreateTeam { record } => made(T::Team, record.id),
        Effect::UpdateTeam { record, .. } => changed(T::Team, record.id),
        Effect::CreateMembership { record } => made(T::Membership, record.user_id),
        Effect::UpdateMembership { record, .. } => changed(T::Membership, record.user_id),
        Effect::CreateAgent { record } => made(T::Agent, record.id),
        Effect::UpdateAgent { record, .. } => changed(T::Agent, record.id),
        Effect::RegisterPasskey { record } => made(T::Passkey, record.id),
        Effect::RemovePasskey { was } => changed(T::Passkey, was.id),
        Effect::ChangeDirectory { change } => match &**change {
            DirectoryChange::Organization { record, .. } => changed(T::Organization, record.id),
            DirectoryChange::IssueToken { record } => made(T::Token, record.id),
            DirectoryChange::RevokeToken { was, .. } => changed(T::Token, was.id),
            DirectoryChange::EndSession { session, .. } => changed(T::Session, session),
            DirectoryChange::IdentityProvider { was, record } => {
                Touched { created: was.is_none(), ..changed(T::IdentityProvider, record.id) }
            }
            DirectoryChange::IdentityLink { record } => changed(T::IdentityLink, record.key),
            DirectoryChange::Member { account, new_account, .. } => {
                Touched { created: *new_account, ..changed(T::User, account.id) }
            }
        },
        Effect::CreateComponent { record } => made(T::Component, record.id),
        Effect::CreateControl { record } => made(T::Control, record.id),
        Effect::CreateRelease { record } => made(T::Release, record.id),
        Effect::UpdateRelease { record, .. } => changed(T::Release, record.id),
        Effect::CreateReleaseCheck { record } => made(T::ReleaseCheck, record.id),
        Effect::UpdateReleaseCheck { record, .. } => changed(T::ReleaseCheck, record.id),
        Effect::CreateGate { record } => made(T::Gate, record.id),
        Effect::UpdateGate { record, .. } => changed(T::Gate, record.id),
        Effect::CreateRollbackDecision { record } => made(T::RollbackDecision, record.id),
        Effect::UpdateRollbackDecision { record, .. } => changed(T::RollbackDecision, record.id),
        Effect::CreateCertification { record } => made(T::Certification, record.id),
        Effect::UpdateCertification { record, .. } => changed(T::Certification, record.id),
        Effect::PutControlResult { record } => changed(T::ControlResult, record.control_id),
        Effect::CreateEvidence { record } | Effect::AttachEvidence { record, .. } => {
            made(T::Evidence, record.id)
        }
        Effect::SupersedeEvidence { id, .. } => changed(T::Evidence, id),
        Effect::CreateEvidenceGap { record } => made(T::EvidenceGap, record.id),
        Effect::MoveEvidenceGap { id, .. } => changed(T::EvidenceGap, id),
        Effect::CreateFinding { record } => made(T::ProviderBlocker, record.id),
        Effect::MoveFinding { id, .. } => changed(T::ProviderBlocker, id),
        Effect::CreateRisk { record } => made(T::Risk, record.id),
        Effect::CreateException { record } => made(T::Exception, record.id),
        Effect::UpdateException { record } => changed(T::Exception, record.id),
        Effect::CreateWorkItem { record } => made(T::WorkItem, record.id),
        Effect::UpdateWorkItem { record, .. } => changed(T::WorkItem, record.id),
        Effect::CreateRemediationWorkPackage { record } => made(T::RemediationWorkPackage, record.id),
        Effect::PublishPolicies { record } => made(T::PolicySet, record.version),
        Effect::CreateWebhook { record } => made(T::Webhook, record.id),
        Effect::UpdateWebhook { was, .. } | Effect::RemoveWebhook { was } => changed(T::Webhook, was.id),
        Effect::RetryDelivery { event_id, .. } => changed(T::Delivery, event_id),
    }
}

fn set(field: &'static str, to: impl ToString) -> Change {
    Change { field, from: None, to: to.to_string() }
}

fn status_change(from: GapStatus, to: GapStatus) -> Change {
    Change { field: "status", from: Some(from.to_string()), to: to.to_string() }
}

fn title_and_changes(effect: &Effect, labels: &BTreeMap<String, String>) -> (String, Vec<Change>) {
    let label = |id: &dyn ToString| {
        let id = id.to_string();
        labels.get(&id).cloned().unwrap_or(id)
    };
    match effect {
        Effect::CreateWorkItem { record } => {
            let mut changes = vec![
                set("type", record.item_type),
                set("status", record.status),
                set("priority", record.priority),
                set("team", label(&record.team_id)),
            ];
            changes.extend(record.release_id.map(|release| set("release", label(&release))));
            changes.extend(record.parent_id.map(|parent| set("parent", label(&parent))));
            changes.extend(record.assignee_id.map(|person| set("assignee", label(&person))));
            if !record.labels.is_empty() {
                changes.push(set("labels", join(record.labels.iter())));
            }
            changes.extend(record.due_at.map(|at| set("dueAt", at)));
            if !record.description.is_empty() {
                changes.push(set("description", &record.description));
            }
            changes.extend(record.finding_refs.iter().map(|r| set("remediates", label(&r.id))));
            (record.title.clone(), changes)
        }
        Effect::UpdateWorkItem { was, record } => (was.title.clone(), work_item_changes(was, record, labels)),
        Effect::CreateRemediationWorkPackage { record } => {
            let mut changes = vec![
                set("release", label(&record.release_id)),
                set("certification", label(&record.certification_id)),
                set("story", label(&record.story_id)),
            ];
            changes.extend(record.task_ids.iter().map(|id| set("task", label(id))));
            (format!("Remediation work package for {}", label(&record.release_id)), changes)
        }
        Effect::MoveEvidenceGap { id, from, to, work_item_ids, .. } => {
            let mut changes = vec![status_change(*from, *to)];
            changes.extend(work_item_ids.iter().map(|w| set("remediationWorkItem", label(w))));
            (label(id), changes)
        }
        Effect::MoveFinding { id, from, to, work_item_ids, .. } => {
            let mut changes = vec![status_change(*from, *to)];
            changes.extend(work_item_ids.iter().map(|w| set("remediationWorkItem", label(w))));
            (label(id), changes)
        }
        Effect::CreateTeam { record } => (record.name.clone(), vec![set("key", &record.key)]),
        Effect::UpdateTeam { was, record } => (was.name.clone(), team_changes(was, record)),
        Effect::CreateMembership { record } => {
            (record.email.clone(), membership_changes(None, record, labels))
        }
        Effect::UpdateMembership { was, record } => {
            (was.email.clone(), membership_changes(Some(was), record, labels))
        }
        Effect::CreateAgent { record } => (record.name.clone(), agent_changes(None, record, labels)),
        Effect::UpdateAgent { was, record } => (was.name.clone(), agent_changes(Some(was), record, labels)),
        Effect::RegisterPasskey { record } => (
            format!("Passkey {}", record.name),
            vec![set("person", &record.email), set("thumbprint", record.id)],
        ),
        Effect::RemovePasskey { was } => {
            let to = "removed".to_owned();
            (
                format!("Passkey {}", was.name),
                vec![Change { field: "status", from: Some("registered".into()), to }],
            )
        }
        Effect::ChangeDirectory { change } => directory_change(change, labels),
        Effect::CreateComponent { record } => (record.name.clone(), vec![set("kind", record.kind)]),
        Effect::CreateControl { record } => {
            (record.code.clone(), vec![set("severity", record.severity.as_str())])
        }
        Effect::CreateRelease { record } => (record.name.clone(), release_changes(None, record, labels)),
        Effect::UpdateRelease { was, record } => {
            (was.name.clone(), release_changes(Some(was), record, labels))
        }
        Effect::CreateReleaseCheck { record } => (record.label.clone(), check_changes(None, record)),
        Effect::UpdateReleaseCheck { was, record } => (was.label.clone(), check_changes(Some(was), record)),
        Effect::CreateGate { record } => (record.name.clone(), gate_changes(None, record, labels)),
        Effect::UpdateGate { was, record } => (was.name.clone(), gate_changes(Some(was), record, labels)),
        Effect::CreateRollbackDecision { record } => {
            (format!("Rollback of {}", label(&record.release_id)), rollback_changes(None, record))
        }
        Effect::UpdateRollbackDecision { was, record } => {
            (format!("Rollback of {}", label(&record.release_id)), rollback_changes(Some(was), record))
        }
        Effect::CreateCertification { record } => {
            (record.title.clone(), certification_changes(None, record, labels))
        }
        Effect::UpdateCertification { was, record } => {
            (was.title.clone(), certification_changes(Some(was), record, labels))
        }
        Effect::PutControlResult { record } => {
            (label(&record.control_id), vec![set("outcome", record.outcome)])
        }
        Effect::CreateEvidence { record } => {
            (record.title.clone(), vec![set("result", record.result), set("sha256", &record.sha256)])
        }
        Effect::AttachEvidence { record, content } => {
            let mut changes = vec![set("type", record.evidence_type), set("result", record.result)];
            changes.extend(record.control_id.map(|control| set("control", label(&control))));
            changes.push(set("content", content));
            changes.push(set("sha256", &record.sha256));
            (record.title.clone(), changes)
        }
        Effect::SupersedeEvidence { id, by, .. } => (label(id), vec![set("supersededBy", by)]),
        Effect::CreateEvidenceGap { record } => {
            (label(&record.control_id), vec![set("reason", record.reason), set("blocking", record.blocking)])
        }
        Effect::CreateFinding { record } => (
            record.title.clone(),
            vec![set("severity", record.severity.as_str()), set("provider", &record.provider)],
        ),
        Effect::PublishPolicies { record } => {
            let mut changes = vec![set("sha256", record.digest)];
            changes.extend(record.restores.map(|version| set("restores", format!("version {version}"))));
            (format!("Policies, version {}", record.version), changes)
        }
        Effect::CreateWebhook { record } => ("New webhook".into(), webhook_changes(None, record)),
        Effect::UpdateWebhook { was, record } => {
            (format!("Webhook {}", was.id), webhook_changes(Some(was), record))
        }
        Effect::RemoveWebhook { was } => {
            (format!("Remove webhook {}", was.id), vec![set("url", NONE), set("undelivered", NONE)])
        }
        Effect::RetryDelivery { webhook_id, .. } => {
            (format!("Delivery to webhook {webhook_id}"), vec![set("status", "pending")])
        }
        Effect::CreateRisk { record } => (record.title.clone(), vec![set("status", record.status)]),
        Effect::CreateException { record } | Effect::UpdateException { record } => {
            let mut changes = vec![
                set("kind", record.kind),
                set("status", record.status),
                set("expiresAt", record.expires_at),
                set("rationale", &record.rationale),
            ];
            changes.extend(record.target_ids.iter().map(|id| set("waives", label(id))));
            (format!("{} until {}", words(record.kind.as_str()), day(record.expires_at)), changes)
        }
    }
}

/// A field that is another than it was; of a new record, every field that says something.
fn moved<T: PartialEq>(
    field: &'static str,
    was: Option<&T>,
    is: &T,
    show: impl Fn(&T) -> String,
) -> Option<Change> {
    if was == Some(is) {
        return None;
    }
    let (from, to) = (was.map(&show).filter(|text| !text.is_empty()), show(is));
    (was.is_some() || !(to.is_empty() || to == NONE)).then_some(Change { field, from, to })
}

/// What an empty field is shown as.
const NONE: &str = "none";

fn certification_changes(
    was: Option<&Certification>,
    is: &Certification,
    labels: &BTreeMap<String, String>,
) -> Vec<Change> {
    let named = |id: &UserId| {
        let id = id.to_string();
        labels.get(&id).cloned().unwrap_or(id)
    };
    let mut changes: Vec<Change> = [
        moved("status", was.map(|w| &w.status), &is.status, ToString::to_string),
        moved("readiness", was.map(|w| &w.readiness), &is.readiness, |r| {
            format!("{} {}", r.score, r.verdict)
        }),
        moved("openGapCount", was.map(|w| &w.open_gap_count), &is.open_gap_count, ToString::to_string),
        moved(
            "openBlockerCount",
            was.map(|w| &w.open_blocker_count),
            &is.open_blocker_count,
            ToString::to_string,
        ),
        moved(
            "acceptedRiskCount",
            was.map(|w| &w.accepted_risk_count),
            &is.accepted_risk_count,
            ToString::to_string,
        ),
        moved(
            "evidenceRefreshedAt",
            was.map(|w| &w.evidence_refreshed_at),
            &is.evidence_refreshed_at,
            |at| or_none(at.as_ref()),
        ),
        moved("framework", was.map(|w| &w.framework), &is.framework, String::clone),
        moved("reviewers", was.map(|w| &w.reviewers), &is.reviewers, |people| join(people.iter().map(named))),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(decision) = is.decision.as_ref().filter(|d| was.and_then(|w| w.decision.as_ref()) != Some(d))
    {
        changes.push(set("decidedBy", named(&decision.by)));
        changes.push(set("rationale", &decision.rationale));
    }
    changes
}

fn membership_changes(
    was: Option<&Membership>,
    is: &Membership,
    labels: &BTreeMap<String, String>,
) -> Vec<Change> {
    let named = |held: &TeamRole| {
        let team = held.team_id.to_string();
        format!("{} of {}", held.role, labels.get(&team).cloned().unwrap_or(team))
    };
    let told = |m: &Membership| m.provisioned.clone().unwrap_or_default();
    let (before, after) = (was.map(told), told(is));
    let before = before.as_ref();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let yes = |yes: &bool| if *yes { "yes" } else { "no" }.to_owned();
    [
        was.and_then(|w| moved("displayName", Some(&w.display_name), &is.display_name, String::clone)),
        moved("externalId", before.map(|b| &b.external_id), &after.external_id, text),
        moved("givenName", before.map(|b| &b.given_name), &after.given_name, text),
        moved("familyName", before.map(|b| &b.family_name), &after.family_name, text),
        moved("deletedByDirectory", Some(before.is_some_and(|b| b.deleted)).as_ref(), &after.deleted, yes),
        moved("status", was.map(|w| &w.status), &is.status, ToString::to_string),
        moved("roles", was.map(|w| &w.roles), &is.roles, |roles| join(roles.iter())),
        moved("teamRoles", was.map(|w| &w.team_roles), &is.team_roles, |held| join(held.iter().map(named))),
        moved("permissions", was.map(|w| &w.direct_permissions), &is.direct_permissions, |held| {
            join(held.iter())
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a change of the directory is about, and what it changes.
fn directory_change(change: &DirectoryChange, labels: &BTreeMap<String, String>) -> (String, Vec<Change>) {
    let label = |id: &dyn ToString| {
        let id = id.to_string();
        labels.get(&id).cloned().unwrap_or(id)
    };
    match change {
        DirectoryChange::Organization { was, record } => {
            (was.name.clone(), organization_changes(was, record))
        }
        DirectoryChange::IssueToken { record } => {
            let mut changes = vec![set("owner", label(&record.user_id)), set("expiresAt", record.expires_at)];
            changes.extend(record.agent_id.map(|agent| set("agent", label(&agent))));
            let scopes = join(record.scopes.iter());
            changes.push(set(
                "scopes",
                if record.scopes.is_empty() { "everything its owner may".into() } else { scopes },
            ));
            (record.label.clone(), changes)
        }
        DirectoryChange::RevokeToken { was, at } => {
            (was.label.clone(), vec![set("owner", label(&was.user_id)), set("revokedAt", at)])
        }
        DirectoryChange::EndSession { user_id, .. } => (label(user_id), vec![set("session", "ended")]),
        DirectoryChange::IdentityProvider { was, record } => {
            (record.name.clone(), provider_changes(was.as_deref(), record, labels))
        }
        DirectoryChange::IdentityLink { record } => {
            ("Link to an identity provider".into(), vec![set("person", label(&record.user_id))])
        }
        DirectoryChange::Member { account, membership, .. } => {
            let belongs = membership.status == MembershipStatus::Active;
            (account.email.clone(), vec![set("mayChooseOrganization", if belongs { "yes" } else { "no" })])
        }
    }
}

fn provider_changes(
    was: Option<&IdentityProvider>,
    is: &IdentityProvider,
    labels: &BTreeMap<String, String>,
) -> Vec<Change> {
    if is.removed {
        return vec![set("issuer", NONE), set("sessions", NONE)];
    }
    let on = |on: &bool| if *on { "on" } else { "off" }.to_owned();
    let held = |mapped: &GroupRole| {
        let named = |id: String| labels.get(&id).cloned().unwrap_or(id);
        let place = mapped.team_id.map(|team| format!(" in {}", named(team.to_string())));
        format!("{}: {}{}", mapped.group, mapped.role, place.unwrap_or_default())
    };
    [
        moved("name", was.map(|w| &w.name), &is.name, String::clone),
        moved("issuer", was.map(|w| &w.issuer), &is.issuer, String::clone),
        moved("clientId", was.map(|w| &w.client_id), &is.client_id, String::clone),
        moved("domains", was.map(|w| &w.domains), &is.domains, |domains| join(domains.iter())),
        moved("groupsClaim", was.map(|w| &w.groups_claim), &is.groups_claim, String::clone),
        moved("groupRoles", was.map(|w| &w.group_roles), &is.group_roles, |all| join(all.iter().map(held))),
        moved("createMembers", was.map(|w| &w.create_members), &is.create_members, on),
        moved("memberPermissions", was.map(|w| &w.member_permissions), &is.member_permissions, |p| {
            join(p.iter())
        }),
        moved("acceptAccessTokens", was.map(|w| &w.accept_access_tokens), &is.accept_access_tokens, on),
        moved("accessTokenAudience", was.map(|w| &w.access_token_audience), &is.access_token_audience, |a| {
            or_none(a.as_ref())
        }),
        moved("tenantClaim", was.map(|w| &w.tenant_claim), &is.tenant_claim, |c| or_none(c.as_ref())),
        moved(
            "acceptIdentityAssertions",
            was.map(|w| &w.accept_identity_assertions),
            &is.accept_identity_assertions,
            on,
        ),
        moved("enabled", was.map(|w| &w.enabled), &is.enabled, on),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn organization_changes(was: &Organization, is: &Organization) -> Vec<Change> {
    let (before, after) = (&was.settings, &is.settings);
    let seconds = |field, was: &i64, is: &i64| moved(field, Some(was), is, ToString::to_string);
    let on = |on: &bool| if *on { "on" } else { "off" }.to_owned();
    let mut changes: Vec<Change> = [
        moved("name", Some(&was.name), &is.name, String::clone),
        moved("mcpEnabled", Some(&was.mcp_enabled), &is.mcp_enabled, on),
        moved("aiEnabled", Some(&was.ai_enabled), &is.ai_enabled, on),
        moved("status", Some(&was.status), &is.status, ToString::to_string),
        seconds("approvalExpirySeconds", &before.approval_expiry_seconds, &after.approval_expiry_seconds),
        seconds("executionExpirySeconds", &before.execution_expiry_seconds, &after.execution_expiry_seconds),
        moved("blockerThreshold", Some(&before.blocker_threshold), &after.blocker_threshold, |s| {
            s.as_str().to_owned()
        }),
        seconds("scanFreshnessSeconds", &before.scan_freshness_seconds, &after.scan_freshness_seconds),
        seconds("otherFreshnessSeconds", &before.other_freshness_seconds, &after.other_freshness_seconds),
        moved(
            "idempotencyKeyRequired",
            Some(&before.idempotency_key_required),
            &after.idempotency_key_required,
            on,
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(model) = &is.model {
        changes.extend(model_changes(was.model.as_deref(), model));
    }
    changes
}

fn model_changes(was: Option<&ModelSettings>, is: &ModelSettings) -> Vec<Change> {
    let number = |field, was: Option<&u32>, is: &u32| moved(field, was, is, ToString::to_string);
    let on = |on: &bool| if *on { "on" } else { "off" }.to_owned();
    [
        moved("modelProvider", was.map(|w| &w.provider), &is.provider, |p| p.as_str().to_owned()),
        moved("model", was.map(|w| &w.model), &is.model, String::clone),
        moved("modelAddress", was.map(|w| &w.base_url), &is.base_url, String::clone),
        number("stepsMax", was.map(|w| &w.steps_max), &is.steps_max),
        number("outputTokensMax", was.map(|w| &w.output_tokens_max), &is.output_tokens_max),
        number("tokensPerDayMax", was.map(|w| &w.tokens_per_day_max), &is.tokens_per_day_max),
        moved("modelEnabled", was.map(|w| &w.enabled), &is.enabled, on),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn team_changes(was: &Team, is: &Team) -> Vec<Change> {
    let changes = [
        moved("name", Some(&was.name), &is.name, String::clone),
        moved("key", Some(&was.key), &is.key, String::clone),
    ];
    changes.into_iter().flatten().collect()
}

fn agent_changes(was: Option<&Agent>, is: &Agent, labels: &BTreeMap<String, String>) -> Vec<Change> {
    let named = |team: &Option<TeamId>| {
        let id = team.as_ref().map(ToString::to_string);
        id.map_or_else(|| "every team".into(), |id| labels.get(&id).cloned().unwrap_or(id))
    };
    [
        moved("name", was.map(|w| &w.name), &is.name, String::clone),
        moved("description", was.map(|w| &w.description), &is.description, String::clone),
        moved("team", was.map(|w| &w.team_id), &is.team_id, named),
        moved("mutationPolicy", was.map(|w| &w.mutation_policy), &is.mutation_policy, ToString::to_string),
        moved("permissions", was.map(|w| &w.permissions), &is.permissions, |granted| join(granted.iter())),
        moved("status", was.map(|w| &w.status), &is.status, ToString::to_string),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn release_changes(was: Option<&Release>, is: &Release, labels: &BTreeMap<String, String>) -> Vec<Change> {
    let named = |id: String| labels.get(&id).cloned().unwrap_or(id);
    [
        moved("name", was.map(|w| &w.name), &is.name, String::clone),
        moved("releaseVersion", was.map(|w| &w.release_version), &is.release_version, String::clone),
        moved("status", was.map(|w| &w.status), &is.status, ToString::to_string),
        moved("team", was.map(|w| &w.team_id), &is.team_id, |id| named(id.to_string())),
        moved("targetEnvironment", was.map(|w| &w.target_environment), &is.target_environment, String::clone),
        moved("components", was.map(|w| &w.component_ids), &is.component_ids, |ids| {
            join(ids.iter().map(|id| named(id.to_string())))
        }),
        moved("plannedAt", was.map(|w| &w.planned_at), &is.planned_at, |at| or_none(at.as_ref())),
        moved("releasedAt", was.map(|w| &w.released_at), &is.released_at, |at| or_none(at.as_ref())),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn check_changes(was: Option<&ReleaseCheck>, is: &ReleaseCheck) -> Vec<Change> {
    [
        moved("label", was.map(|w| &w.label), &is.label, String::clone),
        moved("severity", was.map(|w| &w.severity), &is.severity, |s| s.as_str().to_owned()),
        moved("status", was.map(|w| &w.status), &is.status, ToString::to_string),
        moved("dueAt", was.map(|w| &w.due_at), &is.due_at, |at| or_none(at.as_ref())),
        moved("sourceEntity", was.map(|w| &w.source_entity), &is.source_entity, |s| or_none(s.as_ref())),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn gate_changes(was: Option<&Gate>, is: &Gate, labels: &BTreeMap<String, String>) -> Vec<Change> {
    let named = |id: String| labels.get(&id).cloned().unwrap_or(id);
    [
        moved("name", was.map(|w| &w.name), &is.name, String::clone),
        moved("mode", was.map(|w| &w.mode), &is.mode, ToString::to_string),
        moved("checks", was.map(|w| &w.check_ids), &is.check_ids, |ids| {
            join(ids.iter().map(|id| named(id.to_string())))
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn rollback_changes(was: Option<&RollbackDecision>, is: &RollbackDecision) -> Vec<Change> {
    [
        moved("status", was.map(|w| &w.status), &is.status, ToString::to_string),
        moved("reason", was.map(|w| &w.reason), &is.reason, String::clone),
        moved("rollbackPlan", was.map(|w| &w.rollback_plan), &is.rollback_plan, String::clone),
        moved("dueAt", was.map(|w| &w.due_at), &is.due_at, |at| or_none(at.as_ref())),
        moved("executionState", was.map(|w| &w.execution_state), &is.execution_state, ToString::to_string),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn webhook_changes(was: Option<&Webhook>, is: &Webhook) -> Vec<Change> {
    let events =
        |kinds: &Vec<EventKind>| if kinds.is_empty() { "all".to_owned() } else { join(kinds.iter()) };
    [
        moved("url", was.map(|w| &w.url), &is.url, String::clone),
        moved("description", was.map(|w| &w.description), &is.description, String::clone),
        moved("events", was.map(|w| &w.events), &is.events, events),
        moved("enabled", was.map(|w| &w.enabled), &is.enabled, ToString::to_string),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn or_none<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| NONE.to_owned(), T::to_string)
}

fn work_item_changes(was: &WorkItem, is: &WorkItem, labels: &BTreeMap<String, String>) -> Vec<Change> {
    let person = |id: &Option<UserId>| {
        let text = or_none(id.as_ref());
        labels.get(&text).cloned().unwrap_or(text)
    };
    [
        moved("title", Some(&was.title), &is.title, String::clone),
        moved("description", Some(&was.description), &is.description, String::clone),
        moved("status", Some(&was.status), &is.status, ToString::to_string),
        moved("priority", Some(&was.priority), &is.priority, ToString::to_string),
        moved("assignee", Some(&was.assignee_id), &is.assignee_id, person),
        moved("labels", Some(&was.labels), &is.labels, |l| join(l.iter())),
        moved("dueAt", Some(&was.due_at), &is.due_at, |at| or_none(at.as_ref())),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `accepted_risk` → `Accepted risk`.
fn words(word: &str) -> String {
    let mut text = word.replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// The date of a time, in UTC.
pub(crate) fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn join<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|i| i.to_string()).collect::<Vec<_>>().join(", ")
}

/// Effects as a readable diff.
pub(crate) fn effects(effects: &[Effect], labels: &BTreeMap<String, String>) -> Vec<EffectView> {
    effects
        .iter()
        .map(|effect| {
            let touched = touched(effect);
            let (title, changes) = title_and_changes(effect, labels);
            EffectView {
                operation: if touched.created { "create" } else { "update" },
                record_type: touched.record_type,
                id: touched.id,
                title,
                changes,
            }
        })
        .collect()
}

/// Gaps and blockers are shown on the page of what they belong to.
fn page(action: &Action, effect: &Effect, links: &Links) -> Option<String> {
    match effect {
        Effect::MoveEvidenceGap { id, .. } => action.certification_id.map(|of| links.gap(of, *id)),
        Effect::MoveFinding { id, .. } => action.release_id.map(|of| links.blocker(of, *id)),
        Effect::CreateException { record } | Effect::UpdateException { record } => {
            Some(links.release(record.release_id))
        }
        Effect::CreateReleaseCheck { record } | Effect::UpdateReleaseCheck { record, .. } => {
            Some(links.check(record.release_id, record.id))
        }
        Effect::CreateGate { record } | Effect::UpdateGate { record, .. } => {
            Some(links.release(record.release_id))
        }
        Effect::CreateRollbackDecision { record } | Effect::UpdateRollbackDecision { record, .. } => {
            Some(links.release(record.release_id))
        }
        Effect::PutControlResult { record } => Some(links.certification(record.certification_id)),
        _ => None,
    }
}

/// The records an executed action made (`created` true) or changed, as links.
pub(crate) fn links(action: &Action, created: bool, links: &Links) -> Vec<RecordLink> {
    action
        .effects
        .iter()
        .filter_map(|effect| {
            let touched = touched(effect);
            (touched.created == created).then(|| RecordLink {
                url: page(action, effect, links)
                    .unwrap_or_else(|| links.record(touched.record_type, &touched.id)),
                title: title_and_changes(effect, &action.labels).0,
                record_type: touched.record_type,
                id: touched.id,
            })
        })
        .collect()
}
