//! Addresses of the console's pages. Relative to the host, so that a page works under every name the server has.

use domain::id::{
    ActionId, CertificationId, ConversationId, EvidenceId, FindingId, GapId, PackageId, ReleaseId, WorkItemId,
};
use domain::record::RecordType;

pub const HOME: &str = "/app";
pub const EVENTS: &str = "/app/events";
pub const LOGIN: &str = "/app/login";
/// Signing in through an identity provider.
pub const THROUGH: &str = "/app/login/oidc";
pub const LOGOUT: &str = "/app/logout";
pub const ORGANIZATION: &str = "/app/organization";
pub const ASSISTANT: &str = "/app/assistant";
pub const RELEASES: &str = "/app/releases";
pub const WORK_ITEMS: &str = "/app/work-items";
pub const APPROVALS: &str = "/app/approvals";
/// Rejecting several actions at once.
pub const REJECT_CHOSEN: &str = "/app/approvals/reject";
pub const SEARCH: &str = "/app/search";
pub const PASSKEYS: &str = "/app/passkeys";
pub const SESSIONS: &str = "/app/sessions";
pub const CONNECT: &str = "/app/connect";
pub const ADMINISTRATION: &str = "/app/administration";
pub const MODEL: &str = "/app/model";
pub const MODEL_KEY: &str = "/app/model/key";
pub const PROVIDERS: &str = "/app/identity-providers";
pub const POLICIES: &str = "/app/policies";
/// Trying a draft of policies.
pub const DRAFT: &str = "/app/policies/draft";
pub const AUDIT: &str = "/app/audit";
pub const EXPORT: &str = "/app/audit/export";
/// The whole log, with what is needed to verify it.
pub const BUNDLE: &str = "/app/audit/bundle";
/// Who may do what.
pub const ACCESS: &str = "/app/access";
pub const SETTINGS: &str = "/app/settings";
pub const MEMBERS: &str = "/app/members";
pub const TEAMS: &str = "/app/teams";
pub const AGENTS: &str = "/app/agents";
pub const TOKENS: &str = "/app/tokens";
pub const WEBHOOKS: &str = "/app/webhooks";

pub fn release(id: ReleaseId) -> String {
    format!("/app/releases/{id}")
}
pub fn difference(id: ReleaseId) -> String {
    format!("/app/releases/{id}/difference")
}
pub fn certification(id: CertificationId) -> String {
    format!("/app/certifications/{id}")
}
pub fn graph(id: CertificationId) -> String {
    format!("/app/certifications/{id}/graph")
}
pub fn pack(id: CertificationId) -> String {
    format!("/app/certifications/{id}/pack")
}
pub fn evidence(id: EvidenceId) -> String {
    format!("/app/evidence/{id}")
}
pub fn work_item(id: WorkItemId) -> String {
    format!("/app/work-items/{id}")
}
pub fn package(id: PackageId) -> String {
    format!("/app/packages/{id}")
}
pub fn gap(id: GapId) -> String {
    format!("/app/gaps/{id}")
}
pub fn blocker(id: FindingId) -> String {
    format!("/app/blockers/{id}")
}
pub fn action(id: ActionId) -> String {
    format!("/app/actions/{id}")
}

/// The assistant, in a conversation or about to begin one, asked from a page.
pub fn assistant(conversation: Option<ConversationId>, page: &str) -> String {
    let path = conversation.map_or_else(|| ASSISTANT.to_owned(), |id| format!("{ASSISTANT}/{id}"));
    with_query(&path, &[("page", page)])
}

pub fn policies(version: i64) -> String {
    format!("{POLICIES}/{version}")
}
pub fn audit_record(sequence: i64) -> String {
    format!("{AUDIT}/{sequence}")
}
/// The form of a command, with arguments that are known already.
pub fn command(tool: &str, given: &[(&str, &str)]) -> String {
    with_query(&format!("/app/do/{tool}"), given)
}

/// The page of a record named by type and id. Gaps and blockers are shown among the others of what they belong to, where they
/// lead to their own pages.
pub fn record(
    record_type: RecordType,
    id: &str,
    release: Option<ReleaseId>,
    certification: Option<CertificationId>,
) -> Option<String> {
    match record_type {
        RecordType::Release => Some(format!("/app/releases/{id}")),
        RecordType::Certification => Some(format!("/app/certifications/{id}")),
        RecordType::Evidence => Some(format!("/app/evidence/{id}")),
        RecordType::WorkItem => Some(format!("/app/work-items/{id}")),
        RecordType::RemediationWorkPackage => Some(format!("/app/packages/{id}")),
        RecordType::Action => Some(format!("/app/actions/{id}")),
        RecordType::EvidenceGap => certification.map(|c| format!("/app/certifications/{c}#{id}")),
        RecordType::ProviderBlocker => release.map(|r| format!("/app/releases/{r}#{id}")),
        _ => None,
    }
}

/// Where to go after signing in: only a path of the console on this host, or to where a client waits to be let in; never
/// another place.
pub fn safe_next(next: &str) -> &str {
    let to_consent = next.strip_prefix(crate::oauth::AUTHORIZE).is_some_and(|rest| rest.starts_with('?'));
    let inside = next == HOME || next.starts_with("/app/") || next.starts_with("/app?") || to_consent;
    // A browser reads `\` as `/` and drops control characters; neither may smuggle in a host.
    let plain = next.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'\\') && !next.contains("//");
    let loops = next.starts_with(LOGIN) || next.starts_with(LOGOUT);
    if inside && plain && !loops { next } else { HOME }
}

/// Percent-encodes text for a query value.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    out
}

/// `path?name=value&…`, without empty values.
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(name);
        address.push('=');
        address.push_str(&encode(value));
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_stays_here() {
        for good in ["/app", "/app/actions/act_1", "/app/releases?team=x&status=ready", "/app?x=1"] {
            assert_eq!(safe_next(good), good);
        }
        for bad in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/app//evil.example",
            "/app/\\evil",
            "/apparent",
            "/app/login?next=/app",
            "/app/logout",
            "/app/\n//evil.example",
            "javascript:alert(1)",
        ] {
            assert_eq!(safe_next(bad), HOME, "{bad:?}");
        }
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(with_query("/app/releases", &[("q", "a b&c"), ("team", "")]), "/app/releases?q=a%20b%26c");
        assert_eq!(encode("ü"), "%C3%BC");
    }
}
