//! Every reason a caller may be told, for all surfaces. A refusal names what was wrong and what to do next; it
//! never repeats a value the caller sent, so that nothing can be reflected through an error.

use serde::{Deserialize, Serialize};

crate::words! {
    /// Stable codes, the vocabulary of clients.
    Code {
        Unauthorized = "unauthorized", TenantRequired = "tenant_required", TenantMismatch = "tenant_mismatch",
        McpNotEnabled = "mcp_not_enabled", Forbidden = "forbidden", NotFound = "not_found",
        ValidationFailed = "validation_failed", MissingParent = "missing_parent", MissingTitle = "missing_title",
        UnclearOwnership = "unclear_ownership", ReferenceMismatch = "reference_mismatch",
        ApprovalNotGranted = "approval_not_granted", ApprovalExpired = "approval_expired",
        ApprovalAlreadyUsed = "approval_already_used", PayloadMismatch = "payload_mismatch",
        IdempotencyConflict = "idempotency_conflict", InProgress = "in_progress",
        VersionConflict = "version_conflict", StalePreview = "stale_preview", StaleReference = "stale_reference",
        AlreadyRemediated = "already_remediated", SubscriptionRequired = "subscription_required",
        RateLimited = "rate_limited", ProviderUnavailable = "provider_unavailable",
        EvidenceUnreadable = "evidence_unreadable", TooLarge = "too_large", Internal = "internal",
    }
}

impl Code {
    /// Whether the same call may succeed later without being changed.
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Code::InProgress
                | Code::RateLimited
                | Code::ProviderUnavailable
                | Code::Internal
                | Code::VersionConflict
        )
    }
}

/// One field that is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct FieldDetail {
    /// Path of the field, for example `children[0].title`.
    pub field: String,
    /// What it must be.
    pub message: String,
}

/// A reason a caller may be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, schemars::JsonSchema)]
#[error("{message}")]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Refusal {
    #[schemars(with = "String")]
    pub code: Code,
    /// Lower case, no full stop: readable after "could not …:".
    pub message: String,
    /// Full sentences: what to do next, naming the next tool where there is one.
    pub remedy: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<FieldDetail>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<String>, remedy: impl Into<String>) -> Refusal {
        Refusal {
            code,
            message: message.into(),
            remedy: remedy.into(),
            details: Vec::new(),
            retry_after_seconds: None,
        }
    }
    pub fn detail(mut self, field: impl Into<String>, message: impl Into<String>) -> Refusal {
        self.details.push(FieldDetail { field: field.into(), message: message.into() });
        self
    }

    /// Absent, of another organization, or not visible: deliberately one answer.
    pub fn not_found(noun: &str) -> Refusal {
        Refusal::new(
            Code::NotFound,
            format!("{noun} not found"),
            "Check the identifier or name with the matching list tool. Records of other organizations and \
             records you may not see look the same as absent ones.",
        )
    }
    pub fn forbidden(permission: crate::permission::Permission) -> Refusal {
        Refusal::new(
            Code::Forbidden,
            format!("permission {permission} is missing"),
            "Ask an organization administrator for a role with this permission, or use a token whose scopes \
             include it. loopiq_get_context shows what you have.",
        )
    }
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Refusal {
        Refusal::new(
            Code::ValidationFailed,
            "the arguments do not fit",
            "Correct the named fields and call again; the tool's input schema says what each takes.",
        )
        .detail(field, message)
    }
    /// The caller speaks of a version that the record no longer has. `read_with` names the tool that reads it.
    pub fn changed_meanwhile(read_with: &str) -> Refusal {
        Refusal::new(
            Code::VersionConflict,
            "the record has changed since that version",
            format!(
                "Read it again with {read_with}, see whether the change is still wanted, and send its new version."
            ),
        )
        .detail("version", "must be the record's current version")
    }
    pub fn internal() -> Refusal {
        Refusal::new(
            Code::Internal,
            "internal error",
            "Try again; if it stays, give the request id to the operator of this server.",
        )
    }
}
