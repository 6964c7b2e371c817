//! Effects as people read them: what happens to which record, field by field. The preview, the card, the result
//! and the audit record all use this one rendering, so that none can say something else than what is executed.

use std::collections::BTreeMap;

use domain::action::{Action, RecordLink};
use domain::certification::GapStatus;
use domain::effect::Effect;
use domain::id::UserId;
use domain::record::RecordType;
use domain::time::Timestamp;
use domain::work::WorkItem;

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

pub(crate) fn touched(effect: &Effect) -> Touched {
    use RecordType as T;
    match effect {
        Effect::CreateTeam { record } => made(T::Team, record.id),
        Effect::CreateMembership { record } => made(T::Membership, record.user_id),
        Effect::UpdateMembership { record } => changed(T::Membership, record.user_id),
        Effect::CreateComponent { record } => made(T::Component, record.id),
        Effect::CreateControl { record } => made(T::Control, record.id),
        Effect::CreateRelease { record } => made(T::Release, record.id),
        Effect::UpdateRelease { record } => changed(T::Release, record.id),
        Effect::CreateCertification { record } => made(T::Certification, record.id),
        Effect::UpdateCertification { record } => changed(T::Certification, record.id),
        Effect::PutControlResult { record } => changed(T::ControlResult, record.control_id),
        Effect::CreateEvidence { record } => made(T::Evidence, record.id),
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
        Effect::CreateMembership { record } | Effect::UpdateMembership { record } => (
            record.email.clone(),
            vec![set("status", record.status), set("roles", join(record.roles.iter()))],
        ),
        Effect::CreateComponent { record } => (record.name.clone(), vec![set("kind", record.kind)]),
        Effect::CreateControl { record } => {
            (record.code.clone(), vec![set("severity", record.severity.as_str())])
        }
        Effect::CreateRelease { record } | Effect::UpdateRelease { record } => {
            (record.name.clone(), vec![set("status", record.status)])
        }
        Effect::CreateCertification { record } | Effect::UpdateCertification { record } => {
            let mut changes = vec![
                set("status", record.status),
                set("readiness", format!("{} {}", record.readiness.score, record.readiness.verdict)),
            ];
            if let Some(decision) = record.decision.as_ref().filter(|d| d.outcome == record.status) {
                changes.push(set("decidedBy", label(&decision.by)));
                if !decision.rationale.is_empty() {
                    changes.push(set("rationale", &decision.rationale));
                }
            }
            (record.title.clone(), changes)
        }
        Effect::PutControlResult { record } => {
            (label(&record.control_id), vec![set("outcome", record.outcome)])
        }
        Effect::CreateEvidence { record } => {
            (record.title.clone(), vec![set("result", record.result), set("sha256", &record.sha256)])
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

/// A field that is another than it was.
fn moved<T: PartialEq>(field: &'static str, was: &T, is: &T, show: impl Fn(&T) -> String) -> Option<Change> {
    (was != is).then(|| Change { field, from: Some(show(was)).filter(|s| !s.is_empty()), to: show(is) })
}

fn or_none<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "none".to_owned(), T::to_string)
}

fn work_item_changes(was: &WorkItem, is: &WorkItem, labels: &BTreeMap<String, String>) -> Vec<Change> {
    let person = |id: &Option<UserId>| {
        let text = or_none(id.as_ref());
        labels.get(&text).cloned().unwrap_or(text)
    };
    [
        moved("title", &was.title, &is.title, String::clone),
        moved("description", &was.description, &is.description, String::clone),
        moved("status", &was.status, &is.status, ToString::to_string),
        moved("priority", &was.priority, &is.priority, ToString::to_string),
        moved("assignee", &was.assignee_id, &is.assignee_id, person),
        moved("labels", &was.labels, &is.labels, |l| join(l.iter())),
        moved("dueAt", &was.due_at, &is.due_at, |at| or_none(at.as_ref())),
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
