//! Builds the demo world (`world.rs`) on an opened data folder. Evidence goes in through the same importers and the same
//! door that a user's push takes.

mod corpus;
mod world;

use std::collections::BTreeMap;

use anyhow::Context as _;
use data_encoding::BASE32_NOPAD;
use domain::action::Channel;
use domain::certification::{
    Certification, CertificationStatus, Decision, Readiness, Risk, RiskStatus, Verdict,
};
use domain::control::{Control, ControlSet};
use domain::effect::Effect;
use domain::id::{
    CertificationId, CheckId, ComponentId, ControlId, GateId, Ids, ReleaseId, RiskId, TeamId, UserId,
};
use domain::org::{Component, ComponentKind, Organization, Team};
use domain::permission::TeamRole;
use domain::release::{Gate, GateMode, Release, ReleaseCheck, ReleaseStatus};
use domain::time::{Clock, Timestamp};
use engine::evidence::EvidencePush;
use engine::{Caller, RequestIds};
use identity::{AuthError, NewMember, TokenRequest};
use serde::Serialize;
use store::Entropy;

use crate::system::{SystemClock, SystemEntropy, SystemIds};
use crate::wire::World;
use world::{DemoRelease, ORGANIZATIONS, PEOPLE, RELEASES, TEAMS};

const DAY: i64 = 86_400;
/// Evidence of "today" was collected a little while ago.
const FRESHEST_SECONDS: i64 = 1_800;

/// The built-in control set.
pub const RELEASE_BASELINE: &str = include_str!("../../../engine/controls/release-baseline.yaml");

/// A person with what they need to sign in and connect. Printed once.
#[derive(Serialize)]
pub struct Login {
    pub email: String,
    pub password: String,
    pub organizations: Vec<String>,
    /// One bearer token per organization, by slug.
    pub tokens: BTreeMap<String, String>,
}

/// The built-in control set as effects of one organization.
///
/// # Errors
/// When the embedded file is not a control set, which a test rules out.
pub fn control_effects() -> anyhow::Result<Vec<Effect>> {
    let set: ControlSet = serde_yaml_ng::from_str(RELEASE_BASELINE).context("the built-in control set")?;
    Ok(set
        .controls
        .into_iter()
        .map(|c| Effect::CreateControl {
            record: Control {
                id: ControlId::from_uuid(SystemIds.next()),
                framework: set.name.clone(),
                code: c.code,
                title: c.title,
                description: c.description,
                required: c.required,
                severity: c.severity,
                requirement: c.requirement,
                mappings: c.mappings,
                version: 1,
            },
        })
        .collect())
}

/// A password nobody has to type often: 100 bits, easy to copy.
pub fn new_password() -> String {
    let mut bytes = [0_u8; 15];
    SystemEntropy.fill(&mut bytes);
    BASE32_NOPAD.encode(&bytes).to_lowercase()
}

/// Whether the folder holds a demo world already.
pub async fn exists(world: &World) -> anyhow::Result<bool> {
    Ok(!world.identity.organizations().await?.is_empty())
}

/// Builds the world and returns the logins.
///
/// # Errors
/// When something cannot be written; the folder is then not a usable demo.
pub async fn build(world: &World) -> anyhow::Result<Vec<Login>> {
    let now = SystemClock.now();
    let mut organizations: BTreeMap<&str, Organization> = BTreeMap::new();
    let mut teams: BTreeMap<(&str, &str), TeamId> = BTreeMap::new();
    for (slug, name) in ORGANIZATIONS {
        let mut first = control_effects()?;
        for (organization, key, team) in TEAMS.iter().filter(|(o, _, _)| o == slug) {
            let id = TeamId::from_uuid(SystemIds.next());
            teams.insert((*organization, *key), id);
            first.push(Effect::CreateTeam {
                record: Team {
                    id,
                    key: (*key).to_owned(),
                    name: (*team).to_owned(),
                    created_at: now,
                    version: 1,
                },
            });
        }
        let organization = world.identity.create_organization(slug, name, &first).await?;
        organizations.insert(slug, organization);
    }
    let mut logins = Vec::new();
    for person in PEOPLE {
        logins.push(add_person(world, person, &organizations, &teams).await?);
    }
    for release in RELEASES {
        let organization = organizations.get(release.organization).context("a demo organization")?;
        let team = teams.get(&(release.organization, release.team)).context("a demo team")?;
        add_release(world, organization, *team, release, now).await?;
        push_evidence(world, release, now).await?;
    }
    settle(world, &organizations).await?;
    Ok(logins)
}

/// New passwords and tokens for a demo folder that exists already; its data stays.
///
/// # Errors
/// When the folder is not a demo world.
pub async fn renew(world: &World) -> anyhow::Result<Vec<Login>> {
    let mut logins = Vec::new();
    for person in PEOPLE {
        let password = new_password();
        world
            .identity
            .set_password(person.email, &password)
            .await
            .context("this data folder is not a demo world; choose another with --data")?;
        logins.push(login(world, person, password).await?);
    }
    Ok(logins)
}

async fn login(world: &World, person: &world::Person, password: String) -> anyhow::Result<Login> {
    let mut tokens = BTreeMap::new();
    for member in person.memberships {
        let actor = match world.identity.local(member.organization, person.email).await {
            Ok(actor) => actor,
            // Somebody has tried out what it is to leave.
            Err(AuthError::Refused(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        let request = TokenRequest { label: "demo".into(), ..TokenRequest::default() };
        let issued = world.identity.issue_token(&actor, request).await?;
        tokens.insert(member.organization.to_owned(), issued.secret);
    }
    Ok(Login {
        email: person.email.to_owned(),
        password,
        organizations: person.memberships.iter().map(|m| m.organization.to_owned()).collect(),
        tokens,
    })
}

async fn add_person(
    world: &World,
    person: &world::Person,
    organizations: &BTreeMap<&str, Organization>,
    teams: &BTreeMap<(&str, &str), TeamId>,
) -> anyhow::Result<Login> {
    let password = new_password();
    for member in person.memberships {
        let team = |key: &str| teams.get(&(member.organization, key)).copied();
        let new = NewMember {
            email: person.email.to_owned(),
            display_name: person.name.to_owned(),
            roles: member.roles.to_vec(),
            team_roles: member
                .team_roles
                .iter()
                .filter_map(|(key, role)| Some(TeamRole { team_id: team(key)?, role: *role }))
                .collect(),
            direct_permissions: member.direct.to_vec(),
            selected_team: member.selected_team.and_then(team),
            password: Some(password.clone()),
        };
        let organization = organizations.get(member.organization).context("a demo organization")?;
        world.identity.add_member(organization.id, new).await?;
    }
    login(world, person, password).await
}

async fn add_release(
    world: &World,
    organization: &Organization,
    team_id: TeamId,
    demo: &DemoRelease,
    now: Timestamp,
) -> anyhow::Result<()> {
    let org = world.store.org(organization.id).await?;
    let known = org.reader().components().await?;
    let mut effects = Vec::new();
    let mut component_ids = Vec::new();
    for name in demo.components {
        let found = known.iter().find(|c| c.name == *name).map(|c| c.id);
        component_ids.push(found.unwrap_or_else(|| {
            let id = ComponentId::from_uuid(SystemIds.next());
            effects.push(Effect::CreateComponent {
                record: Component {
                    id,
                    name: (*name).to_owned(),
                    kind: ComponentKind::Repository,
                    team_id: Some(team_id),
                    external_ref: None,
                    created_at: now,
                    version: 1,
                },
            });
            id
        }));
    }
    let due = now.plus_seconds(demo.planned_in_days * DAY);
    let release_id = ReleaseId::from_uuid(SystemIds.next());
    effects.push(Effect::CreateRelease {
        record: Release {
            id: release_id,
            name: demo.name.to_owned(),
            release_version: demo.version.to_owned(),
            team_id,
            component_ids,
            target_environment: demo.environment.to_owned(),
            planned_at: Some(due),
            released_at: (demo.status == ReleaseStatus::Released).then_some(due),
            status: demo.status,
            created_at: now,
            created_by: None,
            updated_at: now,
            version: 1,
        },
    });
    effects.extend(governance(demo, release_id, team_id, due, now));
    let reviewers = reviewers(world, organization).await?;
    effects.push(Effect::CreateCertification {
        record: certification(demo, release_id, team_id, reviewers, now),
    });
    for (title, severity, likelihood) in demo.risks {
        effects.push(Effect::CreateRisk {
            record: Risk {
                id: RiskId::from_uuid(SystemIds.next()),
                release_id,
                team_id,
                title: (*title).to_owned(),
                severity: *severity,
                likelihood: *likelihood,
                status: RiskStatus::Open,
                owner_id: None,
                created_at: now,
                version: 1,
            },
        });
    }
    world.identity.apply(organization.id, "demo_release", &effects).await?;
    Ok(())
}

/// Checks of a demo release, and the gate they open.
fn governance(
    demo: &DemoRelease,
    release_id: ReleaseId,
    team_id: TeamId,
    due: Timestamp,
    now: Timestamp,
) -> Vec<Effect> {
    let checks: Vec<ReleaseCheck> = demo
        .checks
        .iter()
        .map(|(label, severity, status)| ReleaseCheck {
            id: CheckId::from_uuid(SystemIds.next()),
            release_id,
            team_id,
            label: (*label).to_owned(),
            severity: *severity,
            status: *status,
            due_at: Some(due),
            source_entity: None,
            created_at: now,
            updated_at: now,
            version: 1,
        })
        .collect();
    let check_ids: Vec<CheckId> = checks.iter().map(|c| c.id).collect();
    let mut effects: Vec<Effect> =
        checks.into_iter().map(|record| Effect::CreateReleaseCheck { record }).collect();
    if !check_ids.is_empty() {
        let record = Gate {
            id: GateId::from_uuid(SystemIds.next()),
            release_id,
            team_id,
            name: "Production readiness".into(),
            mode: GateMode::Blocking,
            check_ids,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        effects.push(Effect::CreateGate { record });
    }
    effects
}

/// Members who may decide certifications.
async fn reviewers(world: &World, organization: &Organization) -> anyhow::Result<Vec<UserId>> {
    let members = world.identity.members(organization.id).await?;
    Ok(members
        .iter()
        .filter(|m| m.roles.contains(&domain::permission::Role::ComplianceReviewer))
        .map(|m| m.user_id)
        .collect())
}

fn certification(
    demo: &DemoRelease,
    release_id: ReleaseId,
    team_id: TeamId,
    reviewers: Vec<UserId>,
    now: Timestamp,
) -> Certification {
    let decided = demo.certification == CertificationStatus::Certified;
    let decision = reviewers.first().filter(|_| decided).map(|by| Decision {
        by: *by,
        at: now,
        outcome: CertificationStatus::Certified,
        rationale: "All required controls passed on fresh evidence.".into(),
    });
    Certification {
        id: CertificationId::from_uuid(SystemIds.next()),
        release_id,
        team_id,
        title: format!("{} release certification", demo.name),
        framework: "release-baseline".into(),
        status: demo.certification,
        readiness: Readiness { score: 0, verdict: Verdict::NotReady },
        open_gap_count: 0,
        open_blocker_count: 0,
        accepted_risk_count: 0,
        reviewers,
        decision,
        evidence_refreshed_at: None,
        created_at: now,
        created_by: None,
        updated_at: now,
        version: 1,
    }
}

async fn push_evidence(world: &World, demo: &DemoRelease, now: Timestamp) -> anyhow::Result<()> {
    // Somebody who may attach evidence everywhere in the organization.
    let pusher = PEOPLE
        .iter()
        .find(|p| {
            p.memberships.iter().any(|m| {
                m.organization == demo.organization
                    && m.roles.contains(&domain::permission::Role::OrganizationAdmin)
            })
        })
        .context("every demo organization has an administrator")?;
    let actor = world.identity.local(demo.organization, pusher.email).await?;
    let actor = world.engine.admit(actor, engine::Surface::Api).await?;
    for entry in corpus::manifest()?.into_iter().filter(|e| e.release == demo.name) {
        let id = SystemIds.next().simple().to_string();
        let ids = RequestIds { request_id: id.clone(), trace_id: id };
        let caller = Caller { actor: &actor, channel: Channel::Cli, ids: &ids };
        let push = EvidencePush {
            release: entry.release.clone(),
            control: Some(entry.control.clone()),
            provider: Some(entry.provider.clone()),
            component: Some(entry.component.clone()),
            file_name: entry.file.clone(),
            format: None,
            collected_at: Some(now.plus_seconds(-entry.age_days * DAY - FRESHEST_SECONDS)),
            idempotency_key: None,
        };
        let bytes = corpus::file(&entry).with_context(|| format!("{} is embedded", entry.file))?;
        world
            .engine
            .push_evidence(caller, push, bytes.to_vec())
            .await
            .map_err(|refusal| anyhow::anyhow!("{}: {refusal} {:?}", entry.file, refusal.details))?;
    }
    Ok(())
}

/// Evaluates every certification once more, so that those without evidence have their gaps too.
async fn settle(world: &World, organizations: &BTreeMap<&str, Organization>) -> anyhow::Result<()> {
    for organization in organizations.values() {
        let org = world.store.org(organization.id).await?;
        let page = store::Page { limit: 100, after: None };
        let found = org.reader().certifications(store::CertificationFilter::default(), page).await?;
        for certification in found.items {
            if let Err(engine::Stop::Broken(fault)) =
                world.engine.reevaluate(&org, &organization.settings, certification.id).await
            {
                return Err(fault.into());
            }
        }
    }
    Ok(())
}

/// Only here so that the folder of the demo lives as long as the process: removed when dropped.
pub struct Temporary(pub std::path::PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_built_in_controls_are_a_control_set() {
        let effects = super::control_effects().unwrap();
        assert!(effects.len() >= 6);
    }

    #[test]
    fn every_file_of_the_manifest_is_embedded_and_readable() {
        let manifest = super::corpus::manifest().unwrap();
        assert!(manifest.len() > 10);
        for entry in manifest {
            let bytes = super::corpus::file(&entry).unwrap();
            intake::read(bytes, None).unwrap_or_else(|error| panic!("{}: {error}", entry.file));
        }
    }
}
