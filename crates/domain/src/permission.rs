//! The closed list of permissions and the built-in roles (domain reference, section 5). A permission is
//! `area:verb`. What a person may do is the union of organization roles, team roles (for records of that team)
//! and direct grants; a token's scopes can only narrow it.

use crate::agent::Agent;
use crate::id::{OrgId, TeamId, UserId};
use crate::refusal::Refusal;

crate::words! {
    /// One thing a person may be allowed to do.
    Permission {
        McpAccess = "mcp:access", AiUse = "ai:use", AiRunActions = "ai:run_actions", TeamsRead = "teams:read",
        ReleasesRead = "releases:read", ReleasesManage = "releases:manage",
        CertificationsRead = "certifications:read", CertificationsSubmit = "certifications:submit",
        CertificationsDecide = "certifications:decide", EvidenceRead = "evidence:read",
        EvidenceAttach = "evidence:attach", EvidenceRefresh = "evidence:refresh", RisksRead = "risks:read",
        RisksPropose = "risks:propose", RisksDecide = "risks:decide", WorkItemsRead = "work_items:read",
        WorkItemsCreate = "work_items:create", WorkItemsUpdate = "work_items:update",
        RemediationCreate = "remediation:create", ApprovalsRead = "approvals:read",
        ApprovalsDecide = "approvals:decide",
        ApprovalsBreakGlass = "approvals:break_glass", RollbackDecide = "rollback:decide", AuditRead = "audit:read",
        AutomationManage = "automation:manage", IntegrationsManage = "integrations:manage",
        AgentsManage = "agents:manage", UsersManage = "users:manage", RolesManage = "roles:manage",
        OrganizationManage = "organization:manage", BillingManage = "billing:manage",
    }
}

/// A set of permissions, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u64);

impl Permissions {
    pub const NONE: Permissions = Permissions(0);
    pub const EVERY: Permissions = Permissions::of(Permission::ALL);

    pub const fn of(list: &[Permission]) -> Permissions {
        let mut bits = 0;
        let mut rest = list;
        while let [first, tail @ ..] = rest {
            bits |= 1 << (*first as u64);
            rest = tail;
        }
        Permissions(bits)
    }
    pub const fn union(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }
    pub const fn intersection(self, other: Permissions) -> Permissions {
        Permissions(self.0 & other.0)
    }
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << (permission as u64)) != 0
    }
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |p| self.contains(*p))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(list: I) -> Self {
        list.into_iter().fold(Permissions::NONE, |set, p| set.union(Permissions::of(&[p])))
    }
}

crate::words! {
    /// The built-in roles.
    Role {
        OrganizationAdmin = "organization_admin", GovernanceLead = "governance_lead",
        ComplianceReviewer = "compliance_reviewer", ReleaseManager = "release_manager", TeamAdmin = "team_admin",
        TeamLead = "team_lead", DeliveryManager = "delivery_manager", Contributor = "contributor", Viewer = "viewer",
    }
}

const READS: Permissions = Permissions::of(&[
    Permission::TeamsRead,
    Permission::ReleasesRead,
    Permission::CertificationsRead,
    Permission::EvidenceRead,
    Permission::RisksRead,
    Permission::WorkItemsRead,
    Permission::ApprovalsRead,
]);

impl Role {
    /// What the role gives where it is held (whole organization, or one team).
    pub const fn permissions(self) -> Permissions {
        use Permission as P;
        match self {
            Role::OrganizationAdmin => Permissions::EVERY,
            Role::GovernanceLead => READS.union(Permissions::of(&[
                P::CertificationsSubmit,
                P::CertificationsDecide,
                P::RisksPropose,
                P::RisksDecide,
                P::ApprovalsDecide,
                P::RollbackDecide,
                P::AuditRead,
                P::McpAccess,
                P::AiUse,
                P::AiRunActions,
            ])),
            Role::ComplianceReviewer => READS.union(Permissions::of(&[
                P::CertificationsDecide,
                P::RisksDecide,
                P::ApprovalsDecide,
                P::AuditRead,
                P::McpAccess,
                P::AiUse,
                P::AiRunActions,
            ])),
            Role::ReleaseManager => READS.union(Permissions::of(&[
                P::ReleasesManage,
                P::CertificationsSubmit,
                P::EvidenceAttach,
                P::EvidenceRefresh,
                P::RemediationCreate,
                P::WorkItemsCreate,
                P::WorkItemsUpdate,
                P::ApprovalsDecide,
                P::McpAccess,
                P::AiUse,
            ])),
            Role::TeamAdmin | Role::TeamLead | Role::DeliveryManager => READS.union(Permissions::of(&[
                P::WorkItemsCreate,
                P::WorkItemsUpdate,
                P::RemediationCreate,
                P::EvidenceAttach,
                P::ApprovalsDecide,
                P::McpAccess,
            ])),
            Role::Contributor => READS.union(Permissions::of(&[
                P::WorkItemsCreate,
                P::WorkItemsUpdate,
                P::EvidenceAttach,
                P::McpAccess,
            ])),
            Role::Viewer => READS,
        }
    }

    /// Whether holding this role in a team makes one its lead for ownership questions.
    pub const fn leads_team(self) -> bool {
        matches!(self, Role::TeamAdmin | Role::TeamLead | Role::DeliveryManager)
    }
}

crate::words! {
    /// Whether a membership may be used.
    MembershipStatus { Active = "active", Inactive = "inactive" }
}

/// One person's rights in one organization. Lives in the organization's own store, so that a write can guard
/// on its `version` in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    pub organization_id: OrgId,
    pub user_id: UserId,
    pub email: String,
    pub display_name: String,
    pub status: MembershipStatus,
    pub roles: Vec<Role>,
    pub team_roles: Vec<TeamRole>,
    pub direct_permissions: Vec<Permission>,
    pub selected_team: Option<TeamId>,
    /// What the outside directory that keeps members in step has said of them; nothing of whom it has said nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned: Option<Provisioned>,
    pub version: i64,
}

/// What an outside directory (SCIM) has said of a member: kept for it to find again, and for nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Provisioned {
    /// The directory's own id of the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// The directory has deleted them. The membership stays, inactive, and the directory sees it no more until it adds
    /// the person again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

impl Membership {
    /// What every active membership must have: a role, and a direct permission.
    ///
    /// # Errors
    /// `validation_failed` naming what is missing.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.status != MembershipStatus::Active {
            return Ok(());
        }
        if self.roles.is_empty() && self.team_roles.is_empty() {
            return Err(Refusal::invalid(
                "roles",
                "at least one role is required; to end all access, deactivate",
            ));
        }
        if self.direct_permissions.is_empty() {
            return Err(Refusal::invalid(
                "permissions",
                "at least one direct permission is required; to end all access, deactivate",
            ));
        }
        Ok(())
    }

    /// Whether it gives everything in the whole organization, its own administration included.
    pub fn administers(&self) -> bool {
        self.status == MembershipStatus::Active && self.roles.contains(&Role::OrganizationAdmin)
    }

    /// Whether the outside directory has deleted them: to it they are not there.
    pub fn deleted_by_directory(&self) -> bool {
        self.provisioned.as_ref().is_some_and(|known| known.deleted)
    }

    /// Gives more: what is held already stays.
    pub fn grant(&mut self, access: &Access) {
        add_missing(&mut self.roles, &access.roles);
        add_missing(&mut self.team_roles, &access.team_roles);
        add_missing(&mut self.direct_permissions, &access.permissions);
    }

    /// Takes what is named; what is not held is no error.
    pub fn revoke(&mut self, access: &Access) {
        self.roles.retain(|held| !access.roles.contains(held));
        self.team_roles.retain(|held| !access.team_roles.contains(held));
        self.direct_permissions.retain(|held| !access.permissions.contains(held));
    }
}

fn add_missing<T: PartialEq + Copy>(held: &mut Vec<T>, more: &[T]) {
    for item in more {
        if !held.contains(item) {
            held.push(*item);
        }
    }
}

/// Roles and permissions to be granted or revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    pub roles: Vec<Role>,
    pub team_roles: Vec<TeamRole>,
    pub permissions: Vec<Permission>,
}

/// A role held in one team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TeamRole {
    pub team_id: TeamId,
    pub role: Role,
}

/// What one caller may do, worked out once per call: everywhere, and per team.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rights {
    pub organization: Permissions,
    pub teams: Vec<(TeamId, Permissions)>,
}

impl Rights {
    /// Rights of an active membership, narrowed by `scopes` (all permissions for a browser session).
    pub fn new(membership: &Membership, scopes: Permissions) -> Rights {
        if membership.status != MembershipStatus::Active {
            return Rights::default();
        }
        let direct: Permissions = membership.direct_permissions.iter().copied().collect();
        let organization = membership.roles.iter().fold(direct, |set, role| set.union(role.permissions()));
        let mut teams: Vec<(TeamId, Permissions)> = Vec::new();
        for held in &membership.team_roles {
            let gives = held.role.permissions().intersection(scopes);
            match teams.iter_mut().find(|(team, _)| *team == held.team_id) {
                Some((_, set)) => *set = set.union(gives),
                None => teams.push((held.team_id, gives)),
            }
        }
        Rights { organization: organization.intersection(scopes), teams }
    }

    /// What is left of these rights for an agent that acts with them: what it is granted too, and of its team alone
    /// where it has one.
    pub fn narrowed_to(&self, agent: &Agent) -> Rights {
        let grants = agent.grants();
        let team = |team: TeamId, held: Permissions| (team, held.intersection(grants));
        match agent.team_id {
            None => Rights {
                organization: self.organization.intersection(grants),
                teams: self.teams.iter().map(|(id, held)| team(*id, *held)).collect(),
            },
            Some(only) => {
                let in_team = self.teams.iter().filter(|(id, _)| *id == only);
                let held = in_team.fold(self.organization, |set, (_, held)| set.union(*held));
                Rights { organization: Permissions::NONE, teams: vec![team(only, held)] }
            }
        }
    }

    /// Whether `permission` holds for records of `team`; `None` means a record of no team.
    pub fn allows(&self, permission: Permission, team: Option<TeamId>) -> bool {
        self.organization.contains(permission)
            || team.is_some_and(|wanted| {
                self.teams.iter().any(|(t, set)| *t == wanted && set.contains(permission))
            })
    }

    /// Whether `permission` holds anywhere at all: decides what is listed.
    pub fn allows_somewhere(&self, permission: Permission) -> bool {
        self.organization.contains(permission) || self.teams.iter().any(|(_, set)| set.contains(permission))
    }

    /// Adds a permission for records of one team.
    pub fn grant(&mut self, team: TeamId, permission: Permission) {
        let gives = Permissions::of(&[permission]);
        match self.teams.iter_mut().find(|(held, _)| *held == team) {
            Some((_, set)) => *set = set.union(gives),
            None => self.teams.push((team, gives)),
        }
    }

    /// The same rights without a permission, wherever it is held.
    #[must_use]
    pub fn without(&self, permission: Permission) -> Rights {
        let left = Permissions(!Permissions::of(&[permission]).0);
        Rights {
            organization: self.organization.intersection(left),
            teams: self.teams.iter().map(|(team, held)| (*team, held.intersection(left))).collect(),
        }
    }

    /// Every permission held anywhere.
    pub fn everywhere(&self) -> Permissions {
        self.teams.iter().fold(self.organization, |set, (_, team)| set.union(*team))
    }

    /// Teams whose records may be seen under `permission`: `None` means every team.
    pub fn teams_with(&self, permission: Permission) -> Option<Vec<TeamId>> {
        if self.organization.contains(permission) {
            return None;
        }
        Some(self.teams.iter().filter(|(_, set)| set.contains(permission)).map(|(t, _)| *t).collect())
    }
}
