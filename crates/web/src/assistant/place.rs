//! What a person looks at while they ask: the page, the record it shows, and which tools the assistant uses there.

use domain::id::{ActionId, CertificationId, ReleaseId, WorkItemId};
use domain::refusal::{Code, Refusal};

/// A page of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    Release(ReleaseId),
    Certification(CertificationId),
    WorkItem(WorkItemId),
    Action(ActionId),
    /// A page of release work that is about no single record.
    #[default]
    Work,
    /// Where the organization is run: the assistant reads there and plans no work.
    Running,
}

/// Tools by which the assistant plans work, on pages about work.
pub const WRITES: [&str; 7] = [REMEDIATE, REFRESH, EXCEPT, CREATE_WORK, ATTACH, SUBMIT, ROLL_BACK];
pub const REMEDIATE: &str = "loopiq_create_remediation_work_package";
pub const REFRESH: &str = "loopiq_refresh_release_evidence";
pub const EXCEPT: &str = "loopiq_propose_exception";
pub const CREATE_WORK: &str = "loopiq_create_work_item";
pub const SUBMIT: &str = "loopiq_submit_release_certification";
pub const ROLL_BACK: &str = "loopiq_record_rollback_decision";
/// Attaches what a governance action has brought, as it was written; nothing else is attached by it here.
pub const ATTACH: &str = "loopiq_attach_evidence";

/// Tools by which it reads, on every page.
pub const READS: [&str; 14] = [
    "loopiq_get_context",
    "loopiq_list_teams",
    "loopiq_search",
    "loopiq_list_releases",
    "loopiq_get_release",
    "loopiq_list_release_certifications",
    "loopiq_get_release_certification",
    "loopiq_list_evidence",
    "loopiq_list_evidence_gaps",
    "loopiq_list_provider_blockers",
    "loopiq_list_risks",
    "loopiq_list_work_items",
    "loopiq_get_work_item",
    "loopiq_list_actions",
];

/// Also read, where an action is looked at.
pub const GET_ACTION: &str = "loopiq_get_action";

impl Place {
    /// The place of a page's path.
    pub fn of(path: &str) -> Place {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let mut parts = path.strip_prefix("/app").unwrap_or_default().split('/').skip(1);
        let (kind, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let known = match kind {
            "releases" => id.parse().ok().map(Place::Release),
            "certifications" => id.parse().ok().map(Place::Certification),
            "work-items" => id.parse().ok().map(Place::WorkItem),
            "actions" => id.parse().ok().map(Place::Action),
            "administration" | "policies" | "audit" | "identity-providers" | "model" | "connect"
            | "passkeys" | "sessions" => Some(Place::Running),
            _ => None,
        };
        known.unwrap_or_default()
    }

    /// Whether the assistant uses this tool here.
    pub fn offers(self, tool: &str) -> bool {
        READS.contains(&tool) || tool == GET_ACTION || (self != Place::Running && WRITES.contains(&tool))
    }
}

/// A write is wanted where none is offered.
pub fn not_here() -> Refusal {
    Refusal::new(
        Code::Forbidden,
        "on this page the assistant reads only",
        "Open the release, its certification or the work, and ask there.",
    )
}

/// A write that the person has not been shown.
pub fn not_shown() -> Refusal {
    Refusal::new(
        Code::ApprovalNotGranted,
        "only a plan that was shown is proposed",
        "Ask for the plan again, read it, then propose it.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_places() {
        let release: ReleaseId = "rel_00000000000000000000000000".parse().unwrap();
        for (path, place) in [
            ("/app/releases/rel_00000000000000000000000000?x=1#y", Place::Release(release)),
            ("/app/releases", Place::Work),
            ("/app/releases/../../etc", Place::Work),
            ("/app", Place::Work),
            ("", Place::Work),
            ("https://evil.example/app/releases/rel_00000000000000000000000000", Place::Work),
            ("/app/policies/3", Place::Running),
        ] {
            assert_eq!(Place::of(path), place, "{path}");
        }
        assert!(!Place::Running.offers(REMEDIATE) && Place::Work.offers(REMEDIATE));
        assert!(!Place::Work.offers("loopiq_decide_certification"));
    }

    #[test]
    fn what_is_offered_exists() {
        for tool in READS.iter().chain(&WRITES).chain([&GET_ACTION]) {
            let read = !WRITES.contains(tool);
            assert!(engine::tools::find(tool).is_some_and(|found| found.is_read() == read), "{tool}");
        }
    }
}
