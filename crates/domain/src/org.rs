//! Organizations (tenants), teams, users and components.

use serde::{Deserialize, Serialize};

use crate::id::{ComponentId, OrgId, TeamId, UserId};
use crate::model::ModelSettings;
use crate::refusal::Refusal;
use crate::severity::Severity;
use crate::time::Timestamp;

crate::words! { OrgStatus { Active = "active", Suspended = "suspended" } }
crate::words! { UserStatus { Active = "active", Inactive = "inactive" } }
crate::words! { UserKind { Human = "human", ByoaAgent = "byoa_agent", Service = "service" } }
crate::words! {
    ComponentKind {
        Application = "application", Module = "module", Repository = "repository", Service = "service",
        Feature = "feature",
    }
}

/// Settings of an organization, each with the default of the domain reference (section 11, Q3–Q6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OrgSettings {
    /// How long a proposed action waits for its approval.
    pub approval_expiry_seconds: i64,
    /// How long an approved action may wait for its execution.
    pub execution_expiry_seconds: i64,
    /// Findings of this severity or worse block a release.
    pub blocker_threshold: Severity,
    /// Greatest age of scans, tests and quality evidence before it is stale.
    pub scan_freshness_seconds: i64,
    /// Greatest age of all other evidence.
    pub other_freshness_seconds: i64,
    /// Whether every write must carry its own idempotency key.
    pub idempotency_key_required: bool,
}

impl Default for OrgSettings {
    fn default() -> Self {
        const DAY: i64 = 86_400;
        OrgSettings {
            approval_expiry_seconds: DAY,
            execution_expiry_seconds: 3_600,
            blocker_threshold: Severity::High,
            scan_freshness_seconds: 7 * DAY,
            other_freshness_seconds: 30 * DAY,
            idempotency_key_required: false,
        }
    }
}

impl OrgSettings {
    /// Settings that make sense: every duration is positive, and within ten years.
    ///
    /// # Errors
    /// `validation_failed` naming the one that is not.
    pub fn check(&self) -> Result<(), Refusal> {
        const SECONDS_MAX: i64 = 10 * 366 * 86_400;
        for (name, seconds) in [
            ("approvalExpirySeconds", self.approval_expiry_seconds),
            ("executionExpirySeconds", self.execution_expiry_seconds),
            ("scanFreshnessSeconds", self.scan_freshness_seconds),
            ("otherFreshnessSeconds", self.other_freshness_seconds),
        ] {
            if !(1..=SECONDS_MAX).contains(&seconds) {
                return Err(Refusal::invalid(name, "must be between one second and ten years"));
            }
        }
        Ok(())
    }
}

/// The tenant. Kept in the directory, because it is needed before any organization's store is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    pub id: OrgId,
    pub slug: String,
    pub name: String,
    pub status: OrgStatus,
    pub mcp_enabled: bool,
    pub ai_enabled: bool,
    pub settings: OrgSettings,
    /// The language model of the assistant, where one was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Box<ModelSettings>>,
    pub created_at: Timestamp,
    pub version: i64,
}

/// A person, agent or service with an account. Rights are in [`crate::permission::Membership`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    pub kind: UserKind,
    pub status: UserStatus,
    pub created_at: Timestamp,
    pub version: i64,
}

/// A team of one organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Team {
    pub id: TeamId,
    pub key: String,
    pub name: String,
    pub created_at: Timestamp,
    pub version: i64,
}

/// The version of all teams together: another after every one that is made or changed, for none is ever removed.
pub fn teams_version(teams: &[Team]) -> i64 {
    teams.iter().map(|team| team.version).sum()
}

/// An application, module, repository, service or feature: where provider findings join releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    pub id: ComponentId,
    pub name: String,
    pub kind: ComponentKind,
    pub team_id: Option<TeamId>,
    pub external_ref: Option<String>,
    pub created_at: Timestamp,
    pub version: i64,
}

/// Whether `slug` may name an organization: 2–40 of lower-case letters, digits and inner hyphens.
pub fn valid_slug(slug: &str) -> bool {
    (2..=40).contains(&slug.len())
        && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !slug.starts_with('-')
        && !slug.ends_with('-')
}
