//! What the default policies must never permit and must always ask, over every combination of role, credential, surface,
//! switch, tool and organization there is; and the suite of tests that comes with them.

use domain::id::{OrgId, TeamId, UserId};
use domain::org::{OrgSettings, OrgStatus, Organization};
use domain::permission::{Membership, MembershipStatus, Permission, Permissions, Rights, Role, TeamRole};
use domain::time::Timestamp;
use engine::policy::suite::Suite;
use engine::policy::{Change, DEFAULT, Policies};
use engine::ruling::{self, ALWAYS_APPROVED, Situation};
use engine::tool::Effects;
use engine::{Surface, tools};
use uuid::Uuid;

const TEAM: TeamId = TeamId::from_uuid(Uuid::from_u128(7));
const CREDENTIALS: [&str; 4] = ["person", "token", "agent", "operator"];

fn organization(id: u128, mcp_enabled: bool) -> Organization {
    Organization {
        id: OrgId::from_uuid(Uuid::from_u128(id)),
        slug: "acme".into(),
        name: "Acme".into(),
        status: OrgStatus::Active,
        mcp_enabled,
        ai_enabled: true,
        settings: OrgSettings::default(),
        model: None,
        created_at: Timestamp(0),
        version: 1,
    }
}

fn member(roles: &[Role], team_roles: &[Role], direct: &[Permission]) -> Membership {
    Membership {
        organization_id: OrgId::from_uuid(Uuid::from_u128(1)),
        user_id: UserId::from_uuid(Uuid::from_u128(9)),
        email: "person@acme.example".into(),
        display_name: "Person".into(),
        status: MembershipStatus::Active,
        roles: roles.to_vec(),
        team_roles: team_roles.iter().map(|role| TeamRole { team_id: TEAM, role: *role }).collect(),
        direct_permissions: direct.to_vec(),
        selected_team: None,
        provisioned: None,
        version: 1,
    }
}

/// Everybody there can be as far as one role, held anywhere, or one permission goes; somebody with nothing, and somebody
/// with everything.
fn everybody() -> Vec<Membership> {
    let mut all = vec![member(&[], &[], &[]), member(Role::ALL, Role::ALL, Permission::ALL)];
    all.extend(Role::ALL.iter().map(|role| member(&[*role], &[], &[])));
    all.extend(Role::ALL.iter().map(|role| member(&[], &[*role], &[])));
    all.extend(
        Permission::ALL.iter().map(|permission| member(&[], &[], &[*permission, Permission::McpAccess])),
    );
    all
}

/// Calls `with` for every situation of everybody in the organization `id`.
fn each_situation(id: u128, mut with: impl FnMut(&Situation<'_>)) {
    let organizations = [organization(id, true), organization(id, false)];
    for person in &everybody() {
        for organization in &organizations {
            for team in [None, Some((TEAM, "backend"))] {
                for surface in Surface::ALL {
                    for credential in CREDENTIALS {
                        let scopes = Permissions::EVERY;
                        with(&Situation {
                            person,
                            organization,
                            team,
                            scopes,
                            surface,
                            credential,
                            agent: None,
                        });
                    }
                }
            }
        }
    }
}

#[test]
fn no_permit_crosses_organizations() {
    let policies = Policies::compile(0, DEFAULT).unwrap();
    let mut asked = 0;
    each_situation(2, |situation| {
        for tool in &tools::ALL {
            asked += 1;
            let access = ruling::access(&policies, &tool.card, situation).unwrap();
            assert!(!access.allowed, "{} for {:?}", tool.name(), situation.person);
        }
    });
    assert!(asked > 10_000, "{asked}");
}

#[test]
fn nothing_is_permitted_that_is_not_held_and_nothing_over_mcp_where_it_is_off() {
    let policies = Policies::compile(0, DEFAULT).unwrap();
    let mut allowed = 0;
    each_situation(1, |situation| {
        let rights = Rights::new(situation.person, situation.scopes);
        let team = situation.team.map(|(id, _)| id);
        let mcp = situation.surface.is_mcp();
        for tool in &tools::ALL {
            let access = ruling::access(&policies, &tool.card, situation).unwrap();
            let held = tool.card.permission.is_none_or(|permission| rights.allows(permission, team));
            let open = situation.organization.mcp_enabled && rights.allows_somewhere(Permission::McpAccess);
            let reads = tool.is_read() || situation.surface != Surface::McpReadonly;
            let decides = tool.card.permission == Some(Permission::CertificationsDecide);
            let present = !decides || situation.credential == "person";
            let wanted = held && (!mcp || open) && reads && present;
            assert_eq!(access.allowed, wanted, "{} {situation:?}", tool.name(), situation = situation.person);
            allowed += usize::from(access.allowed);
        }
    });
    assert!(allowed > 1_000, "{allowed}");
}

#[test]
fn every_write_needs_an_approval_unless_an_explicit_rule_says_otherwise() {
    let policies = Policies::compile(0, DEFAULT).unwrap();
    each_situation(1, |situation| {
        for tool in tools::ALL.iter().filter(|tool| !tool.is_read()) {
            let asked = ruling::requirement(&policies, &tool.card, situation, Change::default()).unwrap();
            let asked = asked.unwrap_or_else(|| panic!("{}: no rule covers it", tool.name()));
            // Running the organization is left to people and the operator; a program needs somebody's word.
            let directory = situation.surface == Surface::Scim && situation.credential == "token";
            let program = ["token", "agent"].contains(&situation.credential) && !directory;
            let least = u32::from(tool.card.effects != Effects::Administration || program);
            assert_eq!(asked.minimum_approvers, least, "{}", tool.name());
            let second = tool.card.effects == Effects::SecondPerson;
            assert_eq!(asked.requester_may_approve, least > 0 && !second, "{}", tool.name());
        }
    });
}

#[test]
fn a_policy_cannot_take_the_approval_from_what_always_needs_one() {
    let text = "@id(\"all\") permit (principal, action, resource);
        @id(\"fast\") @approval(\"none\") permit (principal, action in LoopIQ::Action::\"write\", resource);";
    let policies = Policies::compile(1, text).unwrap();
    let mut kept = 0;
    each_situation(1, |situation| {
        for tool in tools::ALL.iter().filter(|tool| !tool.is_read()) {
            let asked =
                ruling::requirement(&policies, &tool.card, situation, Change::default()).unwrap().unwrap();
            let always = ALWAYS_APPROVED.contains(&tool.name());
            assert_eq!(asked.minimum_approvers, u32::from(always), "{}", tool.name());
            kept += usize::from(always);
        }
    });
    assert!(kept > 0);
}

#[test]
fn what_always_needs_an_approval_is_never_approved_by_time() {
    let text = "@id(\"all\") permit (principal, action, resource);
        @id(\"patient\") @approval(\"confirm\") @auto_approve_after(\"1h\")
        permit (principal, action in LoopIQ::Action::\"write\", resource);";
    let policies = Policies::compile(1, text).unwrap();
    let (mut kept, mut timed) = (0, 0);
    each_situation(1, |situation| {
        for tool in tools::ALL.iter().filter(|tool| !tool.is_read()) {
            let asked =
                ruling::requirement(&policies, &tool.card, situation, Change::default()).unwrap().unwrap();
            let always = ALWAYS_APPROVED.contains(&tool.name());
            let wanted = (!always).then_some(3_600);
            assert_eq!(asked.auto_approve_after_seconds(), wanted, "{}", tool.name());
            assert_eq!(asked.minimum_approvers, 1, "{}", tool.name());
            (kept, timed) = (kept + usize::from(always), timed + usize::from(!always));
        }
    });
    assert!(kept > 0 && timed > 0, "{kept} {timed}");
}

const TESTS: &str = include_str!("../../../policies/default.tests.toml");

#[test]
fn the_suite_of_the_default_policies_passes_and_fails_under_others() {
    let suite: Suite = toml::from_str(TESTS).unwrap();
    for outcome in suite.run(&Policies::compile(0, DEFAULT).unwrap()).unwrap() {
        assert!(outcome.failures.is_empty(), "{outcome:?}");
    }
    let open = "@id(\"all\") permit (principal, action, resource);
        @id(\"fast\") @approval(\"none\") permit (principal, action in LoopIQ::Action::\"write\", resource);";
    let open = Policies::compile(1, open).unwrap();
    let failed = suite.run(&open).unwrap();
    // What binds an agent is no policy's to give.
    let bound = [
        "An agent may nothing that it was not granted, whatever its person may",
        "An agent that only reads writes nothing",
        "An agent of another team reaches nothing here",
    ];
    for outcome in &failed {
        assert_eq!(outcome.failures.is_empty(), bound.contains(&outcome.name.as_str()), "{outcome:?}");
    }
    let told = failed.iter().flat_map(|outcome| &outcome.failures).cloned().collect::<Vec<_>>().join("\n");
    for says in
        ["access is allow: by all", "minimum is 0 (asked by fast)", "decided otherwise: allow, by all"]
    {
        assert!(told.contains(says), "{told}");
    }
}

#[test]
fn a_case_that_asks_nothing_is_a_failure() {
    for (case, says) in [
        ("name = \"a\"\nwhen.tool = \"loopiq_fly\"\nexpect.access = \"deny\"", "no tool"),
        ("name = \"a\"\nwhen.tool = \"loopiq_get_release\"\nexpect = {}", "nothing is expected"),
        (
            "name = \"a\"\nwhen = { tool = \"loopiq_get_release\", surface = \"fax\" }\nexpect.access = \"deny\"",
            "surface is",
        ),
        (
            "name = \"a\"\nwhen = { tool = \"loopiq_get_release\", credential = \"charm\" }\nexpect.access = \"deny\"",
            "credential is",
        ),
        (
            "name = \"a\"\ngiven.team_roles = [\"team_lead\"]\nwhen.tool = \"loopiq_get_release\"\nexpect.access = \"deny\"",
            "when.team",
        ),
        (
            "name = \"a\"\nwhen.tool = \"loopiq_get_release\"\nexpect.approval = { minimum = 1 }",
            "needs no approval",
        ),
    ] {
        let suite: Suite = toml::from_str(&format!("[[case]]\n{case}")).unwrap();
        let outcomes = suite.run(&Policies::compile(0, DEFAULT).unwrap()).unwrap();
        assert!(outcomes[0].failures[0].contains(says), "{outcomes:?}");
    }
    assert!(
        toml::from_str::<Suite>("[[case]]\nname = \"a\"\nwhen.tool = \"x\"\nexpect.acess = \"deny\"")
            .is_err()
    );
}

/// What a role may do with a tool: nothing, read, write at once, write with one person's approval, who may be the
/// requester, or with another's.
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
fn mark(policies: &Policies, tool: &engine::Tool, situation: &Situation<'_>) -> &'static str {
    if !ruling::access(policies, &tool.card, situation).unwrap().allowed {
        return "-";
    }
    if situation.surface.is_mcp() && !tool.card.over_mcp {
        return "-";
    }
    if tool.is_read() {
        return "r";
    }
    let asked = ruling::requirement(policies, &tool.card, situation, Change::default()).unwrap().unwrap();
    match (asked.minimum_approvers, asked.requester_may_approve) {
        (0, _) => "w",
        (_, true) => "1",
        (_, false) => "2",
    }
}

#[test]
fn what_every_role_may_do_with_every_tool_and_what_approval_it_needs() {
    let policies = Policies::compile(0, DEFAULT).unwrap();
    let home = organization(1, true);
    let mut text = String::from(
        "- nothing, r reads, w writes at once, 1 one person approves (the requester may), 2 another person approves\n",
    );
    for (title, surface, credential) in [
        ("a person in the console", Surface::Console, "person"),
        ("a person's program over MCP", Surface::Mcp, "token"),
        ("a person's program over the HTTP API", Surface::Api, "token"),
        ("a directory over SCIM", Surface::Scim, "token"),
    ] {
        for place in ["in the organization", "in the record's team"] {
            text.push_str(&format!("\n{title}, with a role {place}\n"));
            let initials = |role: &Role| {
                role.as_str().split('_').filter_map(|word| word.get(..3)).collect::<Vec<_>>().join("_")
            };
            let heads: Vec<String> = Role::ALL.iter().map(|role| format!("{:>8}", initials(role))).collect();
            text.push_str(&format!("{:<52}{:<16}{}\n", "", "risk", heads.concat()));
            for tool in &tools::ALL {
                let marks: Vec<String> = Role::ALL
                    .iter()
                    .map(|role| {
                        let roles = std::slice::from_ref(role);
                        let person = match place {
                            "in the organization" => member(roles, &[], &[]),
                            _ => member(&[], roles, &[]),
                        };
                        let situation = Situation {
                            person: &person,
                            organization: &home,
                            team: Some((TEAM, "backend")),
                            scopes: Permissions::EVERY,
                            surface,
                            credential,
                            agent: None,
                        };
                        format!("{:>8}", mark(&policies, tool, &situation))
                    })
                    .collect();
                let risk = match tool.card.effects {
                    Effects::Read => "read",
                    Effects::Write => "ordinary",
                    Effects::SecondPerson => "second person",
                    Effects::Administration => "administration",
                };
                text.push_str(&format!("{:<52}{risk:<16}{}\n", tool.name(), marks.concat()));
            }
        }
    }
    testkit::golden::check(env!("CARGO_MANIFEST_DIR"), "roles-tools-approvals.txt", &text);
}
