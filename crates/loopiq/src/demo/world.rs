//! The demo world as data: organizations, people, teams, releases. Its evidence is not here: it is what real tools
//! printed, kept under `demo/evidence` with the commands that made it, and read by the same importers a user uses.

use domain::certification::{CertificationStatus, Likelihood};
use domain::permission::{Permission, Role};
use domain::release::{CheckStatus, ReleaseStatus};
use domain::severity::Severity;

/// A person of the demo and what they hold.
pub struct Person {
    pub email: &'static str,
    pub name: &'static str,
    /// Slug, roles in the organization, roles in teams, selected team.
    pub memberships: &'static [Member],
}

pub struct Member {
    pub organization: &'static str,
    pub roles: &'static [Role],
    pub team_roles: &'static [(&'static str, Role)],
    pub direct: &'static [Permission],
    pub selected_team: Option<&'static str>,
}

pub const ORGANIZATIONS: &[(&str, &str)] = &[("acme", "Acme"), ("globex", "Globex")];

/// Slug of the organization, key and name of the team.
pub const TEAMS: &[(&str, &str, &str)] = &[
    ("acme", "backend", "backend"),
    ("acme", "payments", "payments"),
    ("acme", "mobile", "mobile"),
    ("globex", "platform", "platform"),
];

/// The direct permission everybody has: it widens nothing, the team list is visible to all roles.
const READ: &[Permission] = &[Permission::TeamsRead];

pub const PEOPLE: &[Person] = &[
    Person {
        email: "ada@acme.example",
        name: "Ada",
        memberships: &[Member {
            organization: "acme",
            roles: &[Role::OrganizationAdmin],
            team_roles: &[],
            direct: READ,
            selected_team: Some("backend"),
        }],
    },
    Person {
        email: "grace@acme.example",
        name: "Grace",
        memberships: &[Member {
            organization: "acme",
            roles: &[],
            team_roles: &[("backend", Role::ReleaseManager)],
            direct: READ,
            selected_team: Some("backend"),
        }],
    },
    Person {
        email: "linus@acme.example",
        name: "Linus",
        memberships: &[Member {
            organization: "acme",
            roles: &[],
            team_roles: &[("backend", Role::TeamLead)],
            direct: READ,
            selected_team: Some("backend"),
        }],
    },
    Person {
        email: "rita@acme.example",
        name: "Rita",
        memberships: &[Member {
            organization: "acme",
            roles: &[Role::ComplianceReviewer],
            team_roles: &[],
            direct: READ,
            selected_team: Some("backend"),
        }],
    },
    Person {
        email: "vic@acme.example",
        name: "Vic",
        memberships: &[Member {
            organization: "acme",
            roles: &[Role::Viewer],
            team_roles: &[],
            direct: READ,
            selected_team: Some("backend"),
        }],
    },
    Person {
        email: "max@globex.example",
        name: "Max",
        memberships: &[Member {
            organization: "globex",
            roles: &[Role::OrganizationAdmin],
            team_roles: &[],
            direct: READ,
            selected_team: Some("platform"),
        }],
    },
    Person {
        email: "dana@consult.example",
        name: "Dana",
        memberships: &[
            Member {
                organization: "acme",
                roles: &[Role::ComplianceReviewer],
                team_roles: &[],
                direct: READ,
                selected_team: Some("backend"),
            },
            Member {
                organization: "globex",
                roles: &[Role::ComplianceReviewer],
                team_roles: &[],
                direct: READ,
                selected_team: Some("platform"),
            },
        ],
    },
];

pub struct DemoRelease {
    pub organization: &'static str,
    pub team: &'static str,
    pub name: &'static str,
    pub version: &'static str,
    pub environment: &'static str,
    pub status: ReleaseStatus,
    /// Status of its certification before evidence is evaluated.
    pub certification: CertificationStatus,
    pub components: &'static [&'static str],
    /// Days from now; negative is past.
    pub planned_in_days: i64,
    pub checks: &'static [(&'static str, Severity, CheckStatus)],
    pub risks: &'static [(&'static str, Severity, Likelihood)],
}

pub const RELEASES: &[DemoRelease] = &[
    DemoRelease {
        organization: "acme",
        team: "backend",
        name: "backend-v1.0-GCN",
        version: "1.0",
        environment: "production",
        status: ReleaseStatus::InValidation,
        certification: CertificationStatus::InReview,
        components: &["ledger-rs", "gateway-js"],
        planned_in_days: 3,
        checks: &[
            ("Change window agreed", Severity::Medium, CheckStatus::Passed),
            ("Load test against production data volume", Severity::High, CheckStatus::Failed),
            ("Rollback rehearsed", Severity::High, CheckStatus::Pending),
        ],
        risks: &[("Ledger totals may overflow at year end", Severity::High, Likelihood::Medium)],
    },
    DemoRelease {
        organization: "acme",
        team: "backend",
        name: "backend-v1.1-GCN",
        version: "1.1",
        environment: "production",
        status: ReleaseStatus::Ready,
        certification: CertificationStatus::InReview,
        components: &["ledger-rs", "gateway-js"],
        planned_in_days: 10,
        checks: &[
            ("Change window agreed", Severity::Medium, CheckStatus::Passed),
            ("Rollback rehearsed", Severity::High, CheckStatus::Passed),
        ],
        risks: &[],
    },
    DemoRelease {
        organization: "acme",
        team: "payments",
        name: "payments-v2.3",
        version: "2.3",
        environment: "production",
        status: ReleaseStatus::Released,
        certification: CertificationStatus::Certified,
        components: &["payments-py"],
        planned_in_days: -6,
        checks: &[("Settlement files compared", Severity::High, CheckStatus::Passed)],
        risks: &[],
    },
    DemoRelease {
        organization: "acme",
        team: "mobile",
        name: "mobile-v5.0",
        version: "5.0",
        environment: "staging",
        status: ReleaseStatus::Planned,
        certification: CertificationStatus::Draft,
        components: &["mobile-js"],
        planned_in_days: 30,
        checks: &[],
        risks: &[],
    },
    DemoRelease {
        organization: "globex",
        team: "platform",
        name: "portal-v4.1",
        version: "4.1",
        environment: "production",
        status: ReleaseStatus::InValidation,
        certification: CertificationStatus::InReview,
        components: &["portal-py"],
        planned_in_days: 5,
        checks: &[],
        risks: &[],
    },
];
