//! Plans that a text of policies comes into force, or an earlier version again. Checked before anything is planned: the
//! text, that its rules of approval can be met by the people there are, and that somebody can still publish policies
//! afterwards. For administrators in the console, over the HTTP API and on the command line; never offered over MCP.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::action::{Note, NoteCode};
use domain::digest::Digest;
use domain::effect::Effect;
use domain::id::{TeamId, UserId};
use domain::org::Organization;
use domain::permission::{Membership, Permission, Permissions};
use domain::policy::PolicySet;
use domain::refusal::{Code, FieldDetail, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::signers;
use crate::policy::{DEFAULT, Policies};
use crate::ruling::{self, Situation};
use crate::stop::{Fault, Stop};
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};
use crate::{Surface, access, limits};

/// Put policies in force: a new text, or an earlier version again. They decide from the next call on, for everybody in
/// the organization.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// The version in force that you have read; 0 when none was published. Refused when another is in force.
    #[schemars(range(min = 0))]
    pub replaces: i64,
    /// The text, in Cedar.
    #[schemars(length(min = 1, max = 65_536))]
    #[serde(default)]
    pub text: Option<String>,
    /// Instead of a text: the version to go back to; 0 is the default of the program.
    #[schemars(range(min = 0))]
    #[serde(default)]
    pub restores: Option<i64>,
}

/// Everything the plan relies on.
pub struct Facts {
    /// Version and text in force.
    current: (i64, String),
    /// Text of the version to go back to, if it exists.
    earlier: Option<String>,
    organization: Organization,
    people: Arc<Vec<Membership>>,
    /// Those who have passkeys.
    signers: BTreeSet<UserId>,
    teams: Vec<(TeamId, String)>,
}

pub struct PublishPolicies;

impl Command for PublishPolicies {
    const CARD: Card = Card {
        name: "loopiq_publish_policies",
        title: "Publish policies",
        permission: Some(Permission::OrganizationManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        access::everywhere(cx.rights, Permission::OrganizationManage)?;
        let latest = cx.reader.policy_sets(1).await?.into_iter().next();
        let earlier = match input.restores {
            None => None,
            Some(0) => Some(DEFAULT.to_owned()),
            Some(version) => cx.reader.policy_set(version).await?.map(|set| set.text),
        };
        Ok(Facts {
            current: latest.map_or_else(|| (0, DEFAULT.to_owned()), |set| (set.version, set.text)),
            earlier,
            organization: cx.organization.clone(),
            people: cx.reader.memberships().await?,
            signers: signers(cx.reader).await?,
            teams: cx.reader.teams(None).await?.into_iter().map(|team| (team.id, team.key)).collect(),
        })
    }

    fn plan(facts: &Facts, input: &In, asked: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let (current, before) = (facts.current.0, facts.current.1.as_str());
        if input.replaces != current {
            return Err(Refusal::new(
                Code::VersionConflict,
                format!("version {current} of the policies is in force"),
                "Read that version, and publish what should replace it.",
            ));
        }
        let text = facts.text(input)?;
        if text == before {
            return Err(Refusal::invalid("text", "is what is in force already"));
        }
        let version = current + 1;
        let draft = Policies::compile(version, text)
            .map_err(|problems| refused(problems.iter().map(ToString::to_string).collect()))?;
        let lacking = check(&draft, &facts.organization, &facts.people, &facts.signers, &facts.teams)
            .map_err(|_| Refusal::internal())?;
        if !lacking.is_empty() {
            return Err(refused(lacking));
        }
        let record = PolicySet {
            version,
            text: text.to_owned(),
            digest: Digest::of(text.as_bytes()),
            published_by: asked.by.user_id,
            published_by_email: asked.by.email.clone(),
            published_at: asked.now,
            reason: asked.reason.to_owned(),
            restores: input.restores,
        };
        Ok(Plan {
            effects: vec![Effect::PublishPolicies { record }],
            summary: match input.restores {
                Some(earlier) => {
                    format!("Publish version {version} of the policies: version {earlier} again")
                }
                None => format!("Publish version {version} of the policies"),
            },
            notes: compared(before, text),
            ..Plan::default()
        })
    }
}

impl Facts {
    fn text<'a>(&'a self, input: &'a In) -> Result<&'a str, Refusal> {
        match (&input.text, input.restores) {
            (Some(text), None) => Ok(text),
            (None, Some(_)) => self
                .earlier
                .as_deref()
                .ok_or_else(|| Refusal::invalid("restores", "is no version that was published")),
            _ => Err(Refusal::invalid("text", "or restores must be given, and not both")),
        }
    }
}

/// A refusal with everything that is wrong with a text.
fn refused(problems: Vec<String>) -> Refusal {
    let mut refusal = Refusal::invalid("text", "cannot be published");
    refusal.details = problems
        .into_iter()
        .take(limits::POLICY_PROBLEMS_MAX)
        .map(|message| FieldDetail { field: "text".into(), message })
        .collect();
    refusal
}

/// What a valid text lacks in an organization as it is: rules of approval that nobody can meet, and nobody who could
/// publish policies again. Each as a sentence.
///
/// # Errors
/// A bug.
pub fn check(
    draft: &Policies,
    organization: &Organization,
    people: &[Membership],
    signers: &BTreeSet<UserId>,
    teams: &[(TeamId, String)],
) -> Result<Vec<String>, Fault> {
    let mut lacking = Vec::new();
    for (rule, able) in ruling::unmeetable(draft, organization, people, signers, teams)? {
        lacking.push(format!(
            "policy \"{}\": it asks for {} approval(s){}, and {able} member(s) could give one",
            rule.policy,
            rule.minimum_approvers,
            if rule.passkey { " signed with a passkey" } else { "" }
        ));
    }
    for person in people {
        let situation = Situation {
            person,
            organization,
            team: None,
            scopes: Permissions::EVERY,
            surface: Surface::Console,
            credential: "person",
            agent: None,
        };
        if ruling::access(draft, &PublishPolicies::CARD, &situation)?.allowed {
            return Ok(lacking);
        }
    }
    lacking.push("nobody in the organization could publish policies any more".into());
    Ok(lacking)
}

/// Which policies come, go and change, in sentences.
fn compared(before: &str, after: &str) -> Vec<Note> {
    let (before, after) = (crate::policy::named(before), crate::policy::named(after));
    let names = |of: &BTreeMap<String, String>, keep: &dyn Fn(&str, &str) -> bool| {
        let kept = of.iter().filter(|(name, text)| keep(name, text));
        kept.map(|(name, _)| name.clone()).collect::<Vec<_>>().join(", ")
    };
    let added = names(&after, &|name, _| !before.contains_key(name));
    let removed = names(&before, &|name, _| !after.contains_key(name));
    let changed = names(&after, &|name, text| before.get(name).is_some_and(|was| was != text));
    [("New policies", added), ("Removed policies", removed), ("Changed policies", changed)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| Note { about: None, code: NoteCode::Changed, text: format!("{what}: {names}.") })
        .collect()
}
