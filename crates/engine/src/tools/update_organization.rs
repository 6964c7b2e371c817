//! Plans a change of the organization itself: its name, its switches for MCP and AI, its settings. In force by the next
//! call on every node.

use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::org::Organization;
use domain::permission::Permission;
use domain::refusal::Refusal;
use domain::severity::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::work;

/// Switch MCP or AI on or off, or change the organization's name and settings. What is left out stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    #[serde(default)]
    pub mcp_enabled: Option<bool>,
    #[serde(default)]
    pub ai_enabled: Option<bool>,
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    pub name: Option<String>,
    /// How long a proposed action waits for its approval.
    #[serde(default)]
    pub approval_expiry_seconds: Option<i64>,
    /// How long an approved action may wait for its execution.
    #[serde(default)]
    pub execution_expiry_seconds: Option<i64>,
    /// Findings of this severity or worse block a release.
    #[serde(default)]
    pub blocker_threshold: Option<Severity>,
    /// Greatest age of scans, tests and quality evidence before it is stale.
    #[serde(default)]
    pub scan_freshness_seconds: Option<i64>,
    /// Greatest age of all other evidence.
    #[serde(default)]
    pub other_freshness_seconds: Option<i64>,
    /// Whether every write must carry its own idempotency key.
    #[serde(default)]
    pub idempotency_key_required: Option<bool>,
}

/// The organization as it is now.
pub struct Facts(Organization);

pub struct UpdateOrganization;

impl Command for UpdateOrganization {
    const CARD: Card = Card {
        name: "loopiq_update_organization",
        title: "Change the organization",
        permission: Some(Permission::OrganizationManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, _: &In) -> Result<Facts, Stop> {
        Ok(Facts(access::organization(cx, Permission::OrganizationManage).await?))
    }

    fn plan(Facts(was): &Facts, input: &In, _: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let mut record = was.clone();
        record.mcp_enabled = input.mcp_enabled.unwrap_or(was.mcp_enabled);
        record.ai_enabled = input.ai_enabled.unwrap_or(was.ai_enabled);
        if let Some(name) = &input.name {
            work::name("name", name)?.clone_into(&mut record.name);
        }
        let settings = &mut record.settings;
        let take = |to: &mut i64, from: Option<i64>| *to = from.unwrap_or(*to);
        take(&mut settings.approval_expiry_seconds, input.approval_expiry_seconds);
        take(&mut settings.execution_expiry_seconds, input.execution_expiry_seconds);
        take(&mut settings.scan_freshness_seconds, input.scan_freshness_seconds);
        take(&mut settings.other_freshness_seconds, input.other_freshness_seconds);
        settings.blocker_threshold = input.blocker_threshold.unwrap_or(settings.blocker_threshold);
        settings.idempotency_key_required =
            input.idempotency_key_required.unwrap_or(settings.idempotency_key_required);
        settings.check()?;
        if record == *was {
            return Err(Refusal::invalid("arguments", "change nothing"));
        }
        record.version += 1;
        let change = DirectoryChange::Organization { was: Box::new(was.clone()), record };
        Ok(Plan {
            summary: format!("Change {}", was.name),
            effects: vec![Effect::ChangeDirectory { change: Box::new(change) }],
            ..Plan::default()
        })
    }
}
