//! The catalogue: one tool = one file, named as the tool without its prefix.
//!
//! To add a tool: copy `get_release.rs` (a read) or `create_remediation_work_package.rs` (a write); write the module
//! comment for operators, `In` (its doc comment is the description an agent reads), `Out`, the `CARD`, and the
//! behaviour; add the `mod` line and the entry in [`ALL`] below, in the order clients should see it; run
//! `cargo xtask test` and accept the golden files that changed. Gate, schemas, listing, idempotency, approval, audit
//! and error answers follow from the card and the types.

pub mod add_member;
pub mod attach_evidence;
pub mod change_access;
pub mod compare_releases;
pub mod create_release;
pub mod create_release_certification;
pub mod create_remediation_work_package;
pub mod create_team;
pub mod create_work_item;
pub mod decide_certification;
pub mod end_session;
pub mod explain_access;
pub mod get_action;
pub mod get_approval_figures;
pub mod get_context;
pub mod get_log_growth;
pub mod get_policies;
pub mod get_readiness_history;
pub mod get_release;
pub mod get_release_certification;
pub mod get_release_certification_evidence_graph;
pub mod get_work_item;
pub mod issue_token;
pub mod list_actions;
pub mod list_agents;
pub mod list_audit_records;
pub mod list_evidence;
pub mod list_evidence_gaps;
pub mod list_identity_providers;
pub mod list_members;
pub mod list_passkeys;
pub mod list_provider_blockers;
pub mod list_release_certifications;
pub mod list_releases;
pub mod list_risks;
pub mod list_sessions;
pub mod list_teams;
pub mod list_tokens;
pub mod list_webhooks;
pub mod list_work_items;
mod page;
pub mod propose_exception;
pub mod publish_policies;
pub mod record_release_check;
pub mod record_rollback_decision;
pub mod refresh_release_evidence;
pub mod register_agent;
pub mod register_passkey;
pub mod remove_identity_provider;
pub mod remove_passkey;
pub mod remove_webhook;
pub mod retry_delivery;
pub mod revoke_token;
pub mod search;
pub mod set_identity_provider;
pub mod set_member_status;
pub mod set_model;
pub mod set_release_gate;
pub mod set_webhook;
pub mod submit_release_certification;
pub mod update_agent;
pub mod update_member;
pub mod update_organization;
pub mod update_release;
pub mod update_team;
pub mod update_work_item;

use crate::tool::{Tool, command, query};

/// Every tool there is, in the order clients see them. `loopiq_get_context` comes first and needs no arguments.
pub static ALL: [Tool; 65] = [
    query::<get_context::GetContext>(),
    query::<list_teams::ListTeams>(),
    query::<search::Search>(),
    query::<list_releases::ListReleases>(),
    query::<get_release::GetRelease>(),
    query::<list_release_certifications::ListReleaseCertifications>(),
    query::<get_release_certification::GetReleaseCertification>(),
    query::<get_release_certification_evidence_graph::GetReleaseCertificationEvidenceGraph>(),
    query::<list_evidence::ListEvidence>(),
    query::<list_evidence_gaps::ListEvidenceGaps>(),
    query::<list_provider_blockers::ListProviderBlockers>(),
    query::<list_risks::ListRisks>(),
    query::<list_work_items::ListWorkItems>(),
    query::<get_work_item::GetWorkItem>(),
    query::<get_action::GetAction>(),
    query::<list_actions::ListActions>(),
    query::<list_audit_records::ListAuditRecords>(),
    query::<get_policies::GetPolicies>(),
    query::<compare_releases::CompareReleases>(),
    query::<get_readiness_history::GetReadinessHistory>(),
    query::<get_approval_figures::GetApprovalFigures>(),
    query::<get_log_growth::GetLogGrowth>(),
    query::<list_agents::ListAgents>(),
    query::<list_members::ListMembers>(),
    query::<explain_access::ExplainAccess>(),
    query::<list_tokens::ListTokens>(),
    query::<list_webhooks::ListWebhooks>(),
    query::<list_passkeys::ListPasskeys>(),
    query::<list_sessions::ListSessions>(),
    query::<list_identity_providers::ListIdentityProviders>(),
    command::<create_remediation_work_package::CreateRemediationWorkPackage>(),
    command::<refresh_release_evidence::RefreshReleaseEvidence>(),
    command::<create_work_item::CreateWorkItem>(),
    command::<update_work_item::UpdateWorkItem>(),
    command::<attach_evidence::AttachEvidence>(),
    command::<propose_exception::ProposeException>(),
    command::<submit_release_certification::SubmitReleaseCertification>(),
    command::<record_rollback_decision::RecordRollbackDecision>(),
    command::<decide_certification::DecideCertification>(),
    command::<create_release::CreateRelease>(),
    command::<update_release::UpdateRelease>(),
    command::<create_release_certification::CreateReleaseCertification>(),
    command::<record_release_check::RecordReleaseCheck>(),
    command::<set_release_gate::SetReleaseGate>(),
    command::<change_access::ChangeAccess>(),
    command::<add_member::AddMember>(),
    command::<set_member_status::SetMemberStatus>(),
    command::<update_member::UpdateMember>(),
    command::<issue_token::IssueToken>(),
    command::<revoke_token::RevokeToken>(),
    command::<end_session::EndSession>(),
    command::<update_organization::UpdateOrganization>(),
    command::<set_model::SetModel>(),
    command::<create_team::CreateTeam>(),
    command::<update_team::UpdateTeam>(),
    command::<register_agent::RegisterAgent>(),
    command::<update_agent::UpdateAgent>(),
    command::<publish_policies::PublishPolicies>(),
    command::<set_webhook::SetWebhook>(),
    command::<remove_webhook::RemoveWebhook>(),
    command::<retry_delivery::RetryDelivery>(),
    command::<register_passkey::RegisterPasskey>(),
    command::<remove_passkey::RemovePasskey>(),
    command::<set_identity_provider::SetIdentityProvider>(),
    command::<remove_identity_provider::RemoveIdentityProvider>(),
];

/// The tool of this name, if there is one.
pub fn find(name: &str) -> Option<&'static Tool> {
    ALL.iter().find(|tool| tool.card.name == name)
}
