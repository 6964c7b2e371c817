//! Plans the language model of the organization's assistant, new or changed. For administrators over the HTTP API and in the
//! console; never offered over MCP. The key is no part of it: it is kept apart from the records, sealed, and good for the address
//! it was given for alone.

use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::model::{ModelProvider, ModelSettings};
use domain::org::Organization;
use domain::permission::Permission;
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// Choose the language model that the assistant may use, or change its limits. What is left out stays as it is. It is used where
/// AI is switched on for the organization, by people with ai:use.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// What its address speaks; needed for the first one. A local server is openai_compatible.
    #[serde(default)]
    pub provider: Option<ModelProvider>,
    /// As the provider calls it; needed for the first one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub model: Option<String>,
    /// Where it is, if not at the provider's own address. Another address needs its key given again.
    #[schemars(length(min = 1, max = 2_000))]
    #[serde(default)]
    pub base_url: Option<String>,
    /// Calls of tools for one question, 1 to 20.
    #[serde(default)]
    pub steps_max: Option<u32>,
    /// Tokens that it may write for one question, 200 to 32000.
    #[serde(default)]
    pub output_tokens_max: Option<u32>,
    /// Tokens of the whole organization in a day (UTC), read and written.
    #[serde(default)]
    pub tokens_per_day_max: Option<u32>,
    /// Whether it is used at all.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// Everything the plan relies on.
pub struct Facts {
    organization: Organization,
    /// Whether http is allowed, and addresses that are not public.
    anywhere: bool,
}

pub struct SetModel;

impl Command for SetModel {
    const CARD: Card = Card {
        name: "loopiq_set_model",
        title: "Set the language model",
        permission: Some(Permission::IntegrationsManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, _: &In) -> Result<Facts, Stop> {
        let organization = access::organization(cx, Permission::IntegrationsManage).await?;
        Ok(Facts { organization, anywhere: cx.settings.models_anywhere })
    }

    fn plan(facts: &Facts, input: &In, _: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let was = &facts.organization;
        let before = was.model.as_deref();
        let provider = input.provider.or(before.map(|model| model.provider));
        let provider = provider.ok_or_else(|| Refusal::invalid("provider", "is needed for the first one"))?;
        let mut model = match before {
            // Another provider has another address.
            Some(before) if before.provider != provider => {
                ModelSettings { provider, base_url: provider.base_url().to_owned(), ..before.clone() }
            }
            Some(before) => before.clone(),
            None => ModelSettings::of(provider),
        };
        if let Some(url) = &input.base_url {
            url.trim().trim_end_matches('/').clone_into(&mut model.base_url);
        }
        if let Some(name) = &input.model {
            name.trim().clone_into(&mut model.model);
        }
        model.steps_max = input.steps_max.unwrap_or(model.steps_max);
        model.output_tokens_max = input.output_tokens_max.unwrap_or(model.output_tokens_max);
        model.tokens_per_day_max = input.tokens_per_day_max.unwrap_or(model.tokens_per_day_max);
        model.enabled = input.enabled.unwrap_or(model.enabled);
        model.check(facts.anywhere)?;
        if before == Some(&model) {
            return Err(Refusal::invalid("arguments", "change nothing"));
        }
        let record = Organization { model: Some(Box::new(model)), version: was.version + 1, ..was.clone() };
        let change = DirectoryChange::Organization { was: Box::new(was.clone()), record };
        Ok(Plan {
            summary: format!("Language model of {}", was.name),
            effects: vec![Effect::ChangeDirectory { change: Box::new(change) }],
            ..Plan::default()
        })
    }
}
