//! Plans an identity provider, new or changed: who says who people are, for which e-mail domains, and what its groups mean here.
//! For administrators over the HTTP API, in the console and on the command line; never offered over MCP. The client secret is no
//! part of it: it is kept apart from the records.

use std::collections::BTreeMap;

use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::id::IdentityProviderId;
use domain::identity_provider::{GroupRole, IdentityProvider, PROVIDERS_MAX};
use domain::org::Team;
use domain::permission::{Permission, Role};
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::{access, identity_providers};

/// Let people sign in through your identity provider (OpenID Connect): a new one, or a change of one. What is left out stays as
/// it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// The identity provider to change; absent: a new one.
    #[serde(default)]
    pub provider_id: Option<IdentityProviderId>,
    /// As people know it; needed for a new one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub name: Option<String>,
    /// Issuer, exactly as the provider writes it: `https://…`. Needed for a new one.
    #[schemars(length(min = 1, max = 2_000))]
    #[serde(default)]
    pub issuer: Option<String>,
    /// Id under which the provider knows this service; needed for a new one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub client_id: Option<String>,
    /// E-mail domains whose people it may sign in; needed for a new one.
    #[schemars(length(max = 50))]
    #[serde(default)]
    pub domains: Option<Vec<String>>,
    /// Claim that lists a person's groups; `groups` for a new one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// What members of its groups hold here. Brought up to date at each of their sign-ins; what they hold besides stays.
    #[schemars(length(max = 200))]
    #[serde(default)]
    pub group_roles: Option<Vec<Mapped>>,
    /// Whether whoever it signs in becomes a member; otherwise only members can sign in.
    #[serde(default)]
    pub create_members: Option<bool>,
    /// Direct permissions of members who are made so.
    #[schemars(length(max = 50))]
    #[serde(default)]
    pub member_permissions: Option<Vec<Permission>>,
    /// Whether its access tokens are accepted for calls.
    #[serde(default)]
    pub accept_access_tokens: Option<bool>,
    /// Audience of access tokens that are for this service, besides its own address; empty for none.
    #[schemars(length(max = 200))]
    #[serde(default)]
    pub access_token_audience: Option<String>,
    /// Claim of access tokens that names organizations by short name or id; empty: each of them speaks of this one.
    #[schemars(length(max = 200))]
    #[serde(default)]
    pub tenant_claim: Option<String>,
    /// Whether its word lets clients in for its people, without asking them (enterprise-managed authorization).
    #[serde(default)]
    pub accept_identity_assertions: Option<bool>,
    /// Whether anybody can sign in through it.
    #[serde(default)]
    pub enabled: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(inline)]
pub struct Mapped {
    /// As the provider writes it.
    #[schemars(length(min = 1, max = 200))]
    pub group: String,
    pub role: Role,
    /// Team id, name or key; absent: the whole organization.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub team: Option<String>,
}

/// Everything the plan relies on.
pub struct Facts {
    providers: Vec<IdentityProvider>,
    teams: Vec<Team>,
    /// Whether http is allowed, and addresses that are not public.
    anywhere: bool,
}

pub struct SetIdentityProvider;

impl Command for SetIdentityProvider {
    const CARD: Card = Card {
        name: "loopiq_set_identity_provider",
        title: "Set identity provider",
        permission: Some(Permission::IntegrationsManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, _: &In) -> Result<Facts, Stop> {
        identity_providers::check_rights(cx.actor)?;
        Ok(Facts {
            providers: cx.directory.identity_providers(cx.organization.id).await?,
            teams: cx.reader.teams(None).await?,
            anywhere: cx.settings.identity_anywhere,
        })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, new_id: NewId<'_>) -> Result<Plan, Refusal> {
        let was = input.provider_id.map(|id| {
            let known = facts.providers.iter().find(|provider| provider.id == id);
            known.ok_or_else(|| Refusal::not_found("identity provider"))
        });
        let was = was.transpose()?;
        let mut record = match was {
            Some(was) => IdentityProvider { version: was.version + 1, ..was.clone() },
            None => fresh(facts, asked, IdentityProviderId::from_uuid(new_id()))?,
        };
        fill(&mut record, facts, input)?;
        record.check(facts.anywhere)?;
        if was.is_some_and(|was| record == IdentityProvider { version: record.version, ..was.clone() }) {
            return Err(Refusal::invalid("providerId", "names an identity provider that is so already"));
        }
        let summary = match was {
            Some(was) => format!("Change identity provider {}", was.name),
            None => format!("New identity provider {}", record.name),
        };
        let labels: BTreeMap<String, String> = access::labels(&facts.teams);
        let change = DirectoryChange::IdentityProvider { was: was.cloned().map(Box::new), record };
        Ok(Plan {
            effects: vec![Effect::ChangeDirectory { change: Box::new(change) }],
            labels,
            summary,
            ..Plan::default()
        })
    }
}

fn fresh(facts: &Facts, asked: Asked<'_>, id: IdentityProviderId) -> Result<IdentityProvider, Refusal> {
    if facts.providers.len() >= PROVIDERS_MAX {
        let message = "would be one too many: an organization has at most 10 identity providers";
        return Err(Refusal::invalid("name", message));
    }
    Ok(IdentityProvider {
        id,
        organization_id: asked.by.organization.id,
        name: String::new(),
        issuer: String::new(),
        client_id: String::new(),
        domains: Vec::new(),
        groups_claim: "groups".into(),
        group_roles: Vec::new(),
        create_members: false,
        member_permissions: Vec::new(),
        accept_access_tokens: false,
        accept_identity_assertions: false,
        access_token_audience: None,
        tenant_claim: None,
        enabled: true,
        removed: false,
        created_by: asked.by.user_id,
        created_at: asked.now,
        version: 1,
    })
}

/// Takes over what was given.
fn fill(record: &mut IdentityProvider, facts: &Facts, input: &In) -> Result<(), Refusal> {
    let texts = [
        (&mut record.name, &input.name),
        (&mut record.issuer, &input.issuer),
        (&mut record.client_id, &input.client_id),
        (&mut record.groups_claim, &input.groups_claim),
    ];
    for (to, from) in texts {
        if let Some(text) = from {
            text.trim().clone_into(to);
        }
    }
    let chosen = [
        (&mut record.access_token_audience, &input.access_token_audience),
        (&mut record.tenant_claim, &input.tenant_claim),
    ];
    for (to, from) in chosen {
        if let Some(text) = from {
            *to = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        }
    }
    if let Some(domains) = &input.domains {
        record.domains = domains.iter().map(|domain| domain.trim().to_lowercase()).collect();
        record.domains.sort();
        record.domains.dedup();
    }
    if let Some(mapped) = &input.group_roles {
        record.group_roles =
            mapped.iter().map(|mapped| found(&facts.teams, mapped)).collect::<Result<_, _>>()?;
    }
    if let Some(permissions) = &input.member_permissions {
        record.member_permissions.clone_from(permissions);
    }
    record.create_members = input.create_members.unwrap_or(record.create_members);
    record.accept_access_tokens = input.accept_access_tokens.unwrap_or(record.accept_access_tokens);
    record.accept_identity_assertions =
        input.accept_identity_assertions.unwrap_or(record.accept_identity_assertions);
    record.enabled = input.enabled.unwrap_or(record.enabled);
    Ok(())
}

fn found(teams: &[Team], mapped: &Mapped) -> Result<GroupRole, Refusal> {
    let team_id = mapped.team.as_deref().map(|name| {
        access::team(teams, name)
            .ok_or_else(|| Refusal::invalid("groupRoles", "must name teams of the organization"))
    });
    Ok(GroupRole { group: mapped.group.trim().to_owned(), role: mapped.role, team_id: team_id.transpose()? })
}
