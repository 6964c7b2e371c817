//! A draft of policies is tried before anybody publishes it: read, held against the people there are, run against tests,
//! and asked about the past. Nothing is changed.

use domain::permission::Permission;
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Serialize;

use crate::action::signers;
use crate::policy::suite::{Outcome, Suite};
use crate::policy::{Policies, Problem};
use crate::stop::Stop;
use crate::tool::Command as _;
use crate::tools::publish_policies::{self, PublishPolicies};
use crate::what_if::{Period, WhatIf};
use crate::{Caller, Engine, access, limits};

/// Under which name a refused trial stands in the log.
const TRIAL: &str = "try_policies";

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// In Cedar.
    pub text: &'a str,
    /// A file of tests, in TOML; may be empty.
    pub tests: &'a str,
    pub period: Period,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tried {
    /// What is wrong with the text, or lacking in the organization; when there is something, nothing else was looked at.
    pub problems: Vec<Problem>,
    /// Rules of approval in the text.
    pub rules: usize,
    /// What is wrong with the file of tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mistake: Option<String>,
    pub outcomes: Vec<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past: Option<WhatIf>,
}

impl Engine {
    /// Tries a draft for whoever may publish policies.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn try_policies(&self, caller: Caller<'_>, draft: Draft<'_>) -> Result<Tried, Refusal> {
        match self.tried(caller, draft).await {
            Ok(tried) => Ok(tried),
            Err(stop) => Err(self.refuse(caller, TRIAL, stop).await),
        }
    }

    async fn tried(&self, caller: Caller<'_>, draft: Draft<'_>) -> Result<Tried, Stop> {
        let actor = caller.actor;
        if !actor.permits(&PublishPolicies::CARD) {
            return Err(actor.refusal(&PublishPolicies::CARD).into());
        }
        access::everywhere(&actor.rights, Permission::OrganizationManage)?;
        let mut tried =
            Tried { problems: Vec::new(), rules: 0, mistake: None, outcomes: Vec::new(), past: None };
        let policies = match Policies::compile(0, draft.text) {
            Ok(policies) => policies,
            Err(mut problems) => {
                problems.truncate(limits::POLICY_PROBLEMS_MAX);
                tried.problems = problems;
                return Ok(tried);
            }
        };
        tried.rules = policies.all_rules().count();
        let org = self.parts.store.org(actor.organization.id).await?;
        let reader = org.reader();
        let people = reader.memberships().await?;
        let teams: Vec<_> = reader.teams(None).await?.into_iter().map(|team| (team.id, team.key)).collect();
        let lacking = publish_policies::check(
            &policies,
            &actor.organization,
            &people,
            &signers(reader).await?,
            &teams,
        )?;
        tried.problems = lacking.into_iter().map(|message| Problem { policy: None, message }).collect();
        if !draft.tests.trim().is_empty() {
            match Suite::read(draft.tests) {
                Ok(suite) => tried.outcomes = suite.run(&policies)?,
                Err(mistake) => tried.mistake = Some(mistake),
            }
        }
        tried.past = Some(self.what_if(actor.organization.id, &policies, draft.period).await?);
        Ok(tried)
    }
}
