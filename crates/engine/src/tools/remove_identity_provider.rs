//! Plans that an identity provider goes, with its client secret. Sessions made through it end, its access tokens are refused;
//! members and what they hold stay. For administrators; never offered over MCP.

use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::id::IdentityProviderId;
use domain::identity_provider::IdentityProvider;
use domain::permission::Permission;
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::identity_providers;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Remove an identity provider. Nobody signs in through it any more; members stay, with the roles they hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    pub provider_id: IdentityProviderId,
}

pub struct RemoveIdentityProvider;

impl Command for RemoveIdentityProvider {
    const CARD: Card = Card {
        name: "loopiq_remove_identity_provider",
        title: "Remove identity provider",
        permission: Some(Permission::IntegrationsManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = IdentityProvider;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<IdentityProvider, Stop> {
        identity_providers::check_rights(cx.actor)?;
        let found = cx.directory.identity_providers(cx.organization.id).await?;
        let found = found.into_iter().find(|provider| provider.id == input.provider_id);
        Ok(found.ok_or_else(|| Refusal::not_found("identity provider"))?)
    }

    fn plan(was: &IdentityProvider, _: &In, _: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let record =
            IdentityProvider { enabled: false, removed: true, version: was.version + 1, ..was.clone() };
        let change = DirectoryChange::IdentityProvider { was: Some(Box::new(was.clone())), record };
        Ok(Plan {
            effects: vec![Effect::ChangeDirectory { change: Box::new(change) }],
            summary: format!("Remove identity provider {}", was.name),
            ..Plan::default()
        })
    }
}
