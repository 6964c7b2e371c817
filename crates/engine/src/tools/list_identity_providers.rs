//! Identity providers of the organization, never their client secrets.

use domain::identity_provider::IdentityProvider;
use domain::permission::Permission;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};
use crate::tools::page;

/// List the identity providers through which people sign in.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct In {}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Item {
    #[serde(flatten)]
    pub provider: IdentityProvider,
    /// Whether a client secret is kept; without one, the provider must know this service as a public client.
    pub has_client_secret: bool,
    /// What the provider has to be told of this service: where it sends people back to.
    pub redirect_url: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub items: Vec<Item>,
    pub total: u32,
}

impl Say for Out {
    fn say(&self) -> String {
        page::say("identity providers", &self.items, self.total, false, |item| {
            format!("{} {}", item.provider.id, item.provider.issuer)
        })
    }
    fn returned(&self) -> u32 {
        self.total
    }
}

pub struct ListIdentityProviders;

impl Query for ListIdentityProviders {
    const CARD: Card = Card {
        name: "loopiq_list_identity_providers",
        title: "List identity providers",
        permission: Some(Permission::IntegrationsManage),
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, _: In) -> Result<Out, Stop> {
        access::everywhere(cx.rights, Permission::IntegrationsManage)?;
        let mut items = Vec::new();
        for provider in cx.directory.identity_providers(cx.organization.id).await? {
            let has_client_secret = cx.directory.client_secret(&provider).await?.is_some();
            let redirect_url = cx.identity.redirect_address(provider.id);
            items.push(Item { provider, has_client_secret, redirect_url });
        }
        Ok(Out { total: items.len() as u32, items })
    }
}
