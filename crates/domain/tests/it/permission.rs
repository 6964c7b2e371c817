//! Laws of rights: scopes only narrow, an inactive membership has nothing, rights of a team stay in it.

use domain::agent::{Agent, AgentStatus, MutationPolicy};
use domain::id::{AgentId, OrgId, TeamId, UserId};
use domain::permission::{Membership, MembershipStatus, Permission, Permissions, Rights, Role, TeamRole};
use domain::time::Timestamp;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use uuid::Uuid;

fn team(n: u128) -> TeamId {
    TeamId::from_uuid(Uuid::from_u128(n))
}

fn permissions() -> impl Strategy<Value = Vec<Permission>> {
    subsequence(Permission::ALL.to_vec(), 0..=Permission::ALL.len())
}

fn membership() -> impl Strategy<Value = Membership> {
    let role = || select(Role::ALL.to_vec());
    (
        prop::collection::vec(role(), 0..3),
        prop::collection::vec((0_u128..3, role()), 0..5),
        prop::collection::vec(select(Permission::ALL.to_vec()), 0..3),
        any::<bool>(),
    )
        .prop_map(|(roles, team_roles, direct_permissions, active)| Membership {
            organization_id: OrgId::from_uuid(Uuid::from_u128(1)),
            user_id: UserId::from_uuid(Uuid::from_u128(2)),
            email: "ada@acme.example".into(),
            display_name: "Ada".into(),
            status: if active { MembershipStatus::Active } else { MembershipStatus::Inactive },
            roles,
            team_roles: team_roles.into_iter().map(|(n, role)| TeamRole { team_id: team(n), role }).collect(),
            direct_permissions,
            selected_team: None,
            provisioned: None,
            version: 1,
        })
}

fn agent(granted: &[Permission], only: Option<u128>) -> Agent {
    Agent {
        id: AgentId::from_uuid(Uuid::from_u128(7)),
        name: "copilot".into(),
        description: String::new(),
        team_id: only.map(team),
        permissions: granted.to_vec(),
        mutation_policy: MutationPolicy::WriteWithApproval,
        status: AgentStatus::Active,
        created_by: UserId::from_uuid(Uuid::from_u128(2)),
        created_at: Timestamp(0),
        version: 1,
    }
}

#[test]
fn no_agent_decides_and_none_is_without_a_grant() {
    assert!(agent(&[], None).check().is_err());
    for permission in Permission::ALL {
        let decides =
            permission.as_str().ends_with(":decide") || *permission == Permission::ApprovalsBreakGlass;
        let proposes_rollbacks = *permission == Permission::RollbackDecide;
        let checked = agent(&[*permission], None).check();
        assert_eq!(checked.is_err(), decides && !proposes_rollbacks, "{permission}");
    }
}

/// The rule, said once more without sets: who may do what to a record of `of`.
fn may(m: &Membership, scopes: &[Permission], permission: Permission, of: Option<TeamId>) -> bool {
    m.status == MembershipStatus::Active
        && scopes.contains(&permission)
        && (m.direct_permissions.contains(&permission)
            || m.roles.iter().any(|r| r.permissions().contains(permission))
            || m.team_roles
                .iter()
                .any(|t| Some(t.team_id) == of && t.role.permissions().contains(permission)))
}

#[test]
fn every_permission_has_its_own_bit() {
    assert!(Permission::ALL.len() <= 64);
    for one in Permission::ALL {
        let set = Permissions::of(&[*one]);
        assert_eq!(set.iter().collect::<Vec<_>>(), vec![*one]);
        assert!(Permissions::EVERY.contains(*one));
        assert!(!Permissions::NONE.contains(*one));
    }
}

#[test]
fn no_role_but_the_administrator_manages_people_or_the_organization() {
    for role in Role::ALL.iter().filter(|r| **r != Role::OrganizationAdmin) {
        for kept in [
            Permission::UsersManage,
            Permission::RolesManage,
            Permission::OrganizationManage,
            Permission::BillingManage,
            Permission::AgentsManage,
        ] {
            assert!(!role.permissions().contains(kept), "{role} has {kept}");
        }
    }
    assert!(!Role::Viewer.permissions().contains(Permission::McpAccess));
    assert!(!Role::Viewer.permissions().contains(Permission::ApprovalsDecide));
    assert!(!Role::Contributor.permissions().contains(Permission::ApprovalsDecide));
}

proptest! {
    #[test]
    fn rights_are_exactly_those_of_the_rule(m in membership(), scopes in permissions()) {
        let rights = Rights::new(&m, scopes.iter().copied().collect());
        for permission in Permission::ALL {
            let places = [None, Some(team(0)), Some(team(1)), Some(team(2)), Some(team(9))];
            for place in places {
                prop_assert_eq!(rights.allows(*permission, place), may(&m, &scopes, *permission, place));
            }
            let anywhere = places.iter().any(|place| rights.allows(*permission, *place));
            prop_assert_eq!(rights.allows_somewhere(*permission), anywhere);
            prop_assert_eq!(rights.everywhere().contains(*permission), anywhere);
            match rights.teams_with(*permission) {
                None => prop_assert!(rights.allows(*permission, None)),
                Some(teams) => {
                    prop_assert!(!rights.allows(*permission, None));
                    for n in 0..4 {
                        prop_assert_eq!(teams.contains(&team(n)), rights.allows(*permission, Some(team(n))));
                    }
                }
            }
        }
    }

    #[test]
    fn scopes_only_narrow(m in membership(), wide in permissions(), cut in permissions()) {
        let wide: Permissions = wide.into_iter().collect();
        let narrow = wide.intersection(cut.into_iter().collect());
        let (all, some) = (Rights::new(&m, wide), Rights::new(&m, narrow));
        for permission in Permission::ALL {
            for place in [None, Some(team(0)), Some(team(1)), Some(team(2))] {
                prop_assert!(!some.allows(*permission, place) || all.allows(*permission, place));
                prop_assert!(!some.allows(*permission, place) || narrow.contains(*permission));
            }
        }
    }

    #[test]
    fn an_agent_may_what_it_and_its_person_may_and_nothing_else(
        m in membership(),
        granted in permissions(),
        only in prop::option::of(0_u128..3),
    ) {
        let held = Rights::new(&m, Permissions::EVERY);
        let left = held.narrowed_to(&agent(&granted, only));
        for permission in Permission::ALL {
            for place in [None, Some(0), Some(1), Some(2), Some(9)] {
                let inside = only.is_none() || only == place;
                let both = held.allows(*permission, place.map(team)) && granted.contains(permission);
                prop_assert_eq!(left.allows(*permission, place.map(team)), both && inside);
            }
        }
        prop_assert_eq!(left.narrowed_to(&agent(&granted, only)), left);
    }

    #[test]
    fn an_inactive_membership_has_nothing(mut m in membership()) {
        m.status = MembershipStatus::Inactive;
        prop_assert_eq!(Rights::new(&m, Permissions::EVERY), Rights::default());
        prop_assert!(Rights::new(&m, Permissions::EVERY).everywhere().is_empty());
    }

    #[test]
    fn team_rights_never_leak_to_other_teams(mut m in membership()) {
        m.roles.clear();
        m.direct_permissions.clear();
        let rights = Rights::new(&m, Permissions::EVERY);
        prop_assert!(rights.organization.is_empty());
        for permission in Permission::ALL {
            prop_assert!(!rights.allows(*permission, None));
            prop_assert!(!rights.allows(*permission, Some(team(7))));
            for n in 0..3 {
                if !m.team_roles.iter().any(|t| t.team_id == team(n)) {
                    prop_assert!(!rights.allows(*permission, Some(team(n))));
                }
            }
        }
    }

    #[test]
    fn sets_obey_their_algebra(a in permissions(), b in permissions()) {
        let (x, y): (Permissions, Permissions) = (a.iter().copied().collect(), b.iter().copied().collect());
        for permission in Permission::ALL {
            let (in_a, in_b) = (a.contains(permission), b.contains(permission));
            prop_assert_eq!(x.union(y).contains(*permission), in_a || in_b);
            prop_assert_eq!(x.intersection(y).contains(*permission), in_a && in_b);
        }
        prop_assert_eq!(x.iter().collect::<Vec<_>>(), a);
    }
}
