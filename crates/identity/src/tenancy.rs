//! The active organization (product contract, section 8): the credential decides. What a request says about it by
//! header or path may agree, and is refused when it does not.

use domain::org::Organization;
use domain::refusal::{Code, Refusal};

/// Whether a signal names the organization, by slug or id.
pub fn names(organization: &Organization, signal: &str) -> bool {
    let signal = signal.trim();
    signal.eq_ignore_ascii_case(&organization.slug) || signal == organization.id.to_string()
}

/// # Errors
/// `tenant_mismatch` when a signal names another organization than the credential's.
pub fn agree(organization: &Organization, header: Option<&str>, path: Option<&str>) -> Result<(), Refusal> {
    let named = |signal: &str| names(organization, signal);
    if header.is_none_or(named) && path.is_none_or(named) { Ok(()) } else { Err(mismatch()) }
}

/// Signals that disagree about the organization.
pub fn mismatch() -> Refusal {
    Refusal::new(
        Code::TenantMismatch,
        "the request names another organization than its credential",
        "Use a credential of the organization you mean, or leave the LoopIQ-Organization header and the \
         organization in the path away.",
    )
}
