//! The policies of the organization: the text of one version, and which versions there are. Whoever may see approvals may
//! see the rules they follow.

use domain::permission::Permission;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::policy::DEFAULT;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Effects, Query, Say};

/// Read the organization's policies, in force or of an earlier version, and the list of versions.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct In {
    /// A published version, 0 for the default of the program; the one in force when absent.
    #[schemars(range(min = 0))]
    pub version: Option<i64>,
}

/// A published version without its text.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Version {
    pub version: i64,
    pub published_by: String,
    pub published_at: Timestamp,
    pub reason: String,
    /// The earlier version whose text this is, when it was gone back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restores: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Out {
    pub version: i64,
    /// In Cedar.
    pub text: String,
    /// The text of the version before, to compare with; absent for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    pub in_force: i64,
    /// The newest first; without the default of the program, which is version 0.
    pub versions: Vec<Version>,
}

impl Say for Out {
    fn say(&self) -> String {
        format!("Version {} of the policies; version {} is in force.", self.version, self.in_force)
    }
}

pub struct GetPolicies;

impl Query for GetPolicies {
    const CARD: Card = Card {
        name: "loopiq_get_policies",
        title: "Read the policies",
        permission: Some(Permission::ApprovalsRead),
        effects: Effects::Read,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Out = Out;

    async fn answer(cx: &Cx<'_>, input: In) -> Result<Out, Stop> {
        let sets = cx.reader.policy_sets(limits::POLICY_VERSIONS_MAX).await?;
        let in_force = sets.first().map_or(0, |set| set.version);
        let version = input.version.unwrap_or(in_force);
        let text = text(cx, version).await?.ok_or_else(|| Refusal::not_found("version of the policies"))?;
        let before = if version == 0 { None } else { self::text(cx, version - 1).await? };
        let versions = sets.into_iter().map(|set| Version {
            version: set.version,
            published_by: set.published_by_email,
            published_at: set.published_at,
            reason: set.reason,
            restores: set.restores,
        });
        Ok(Out { version, text, before, in_force, versions: versions.collect() })
    }
}

async fn text(cx: &Cx<'_>, version: i64) -> Result<Option<String>, Stop> {
    if version == 0 {
        return Ok(Some(DEFAULT.to_owned()));
    }
    Ok(cx.reader.policy_set(version).await?.map(|set| set.text))
}
