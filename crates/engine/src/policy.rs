//! Policies as text: what an organization may write, what must hold before it is published, and what it says about one
//! request. The language is Cedar; rules of approval are data in the annotations of its policies. This and `gate.rs` are
//! the only places that name the library.
//!
//! The schema is made from the catalogue and the list of permissions, so that a policy can speak of every tool and of
//! nothing else.

pub mod suite;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::LazyLock;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use domain::agent::Agent;
use domain::approval::{Rule, Tier};
use domain::id::TeamId;
use domain::org::Organization;
use domain::permission::{Membership, Permission, Role};
use domain::record::RecordType;

use crate::field;
use crate::stop::Fault;
use crate::tool::Effects;
use crate::{limits, tools};

/// The policies of an organization that has published none.
pub const DEFAULT: &str = include_str!("../../../policies/default.cedar");

/// What is in force where published policies cannot be read.
const RECOVERY: &str = include_str!("../../../policies/recovery.cedar");

/// Annotations that make a policy a rule of approval, and those that only go with one.
const APPROVAL: &str = "approval";
const OF_APPROVAL: [&str; 10] = [
    "minimum",
    "separation",
    "roles",
    "team_roles",
    "people",
    "tier",
    "passkey",
    "auto_approve_after",
    "warn_after",
    "escalate_to",
];

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Problem {
    /// The policy's id, where the problem is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    pub message: String,
}

impl Problem {
    fn of(policy: Option<&str>, message: impl Into<String>) -> Problem {
        Problem { policy: policy.map(str::to_owned), message: message.into() }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.policy {
            Some(policy) => write!(f, "policy \"{policy}\": {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// The group of actions that a tool belongs to by what it does.
pub const fn group(effects: Effects) -> &'static str {
    match effects {
        Effects::Read => "read",
        Effects::Write => "ordinary_write",
        Effects::SecondPerson => "second_person_write",
        Effects::Administration => "administration",
    }
}

/// The schema in Cedar's own notation.
pub static SCHEMA: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::from(
        "// What policies can speak of. Made from the catalogue of tools and the list of permissions.\n\
         namespace LoopIQ {\n\
         \x20 entity Organization = { slug: String, mcpEnabled: Bool, aiEnabled: Bool };\n\
         \x20 entity Team in [Organization] = { key: String };\n\
         \x20 // `roles` are held in the organization, `teamRoles` in the team that the request is about.\n\
         \x20 entity Person = { organization: Organization, email: String, roles: Set<String>, teamRoles: Set<String> };\n\n\
         \x20 type Circumstances = {\n\
         \x20   // mcp, mcp_readonly, console, api, scim, automation\n\
         \x20   surface: String,\n\
         \x20   mcp: Bool,\n\
         \x20   // person (in a browser session), token, agent, operator\n\
         \x20   credential: String,\n\
         \x20   // Whether roles and grants, narrowed by the credential, give the permission for this team.\n\
         \x20   held: Bool,\n\
         \x20   mcpAccess: Bool,\n\
         \x20   // What a write would do; nothing while only access is asked for.\n\
         \x20   creates: Long,\n\
         \x20   updates: Long,\n\
         \x20   recordTypes: Set<String>,\n\
         \x20   release?: { name: String, status: String, environment: String },\n\
         \x20   // The agent that acts for the person: its name in lower case, and read_only, propose_only or\n\
         \x20   // write_with_approval.\n\
         \x20   agent?: { name: String, mutationPolicy: String },\n\
         \x20 };\n\n\
",
    );
    let applies =
        "appliesTo { principal: [Person], resource: [Organization, Team], context: Circumstances };\n";
    text.push_str(&format!("  action \"read\" {applies}  action \"write\" {applies}"));
    for write in [Effects::Write, Effects::SecondPerson, Effects::Administration] {
        text.push_str(&format!("  action \"{}\" in [\"write\"] {applies}", group(write)));
    }
    text.push('\n');
    for permission in Permission::ALL {
        text.push_str(&format!("  action \"{permission}\" {applies}"));
    }
    text.push('\n');
    for tool in &tools::ALL {
        let groups = match tool.card.permission {
            Some(permission) => format!("\"{}\", \"{permission}\"", group(tool.card.effects)),
            None => format!("\"{}\"", group(tool.card.effects)),
        };
        text.push_str(&format!("  action \"{}\" in [{groups}] {applies}", tool.card.name));
    }
    text.push_str(&format!("\n  // Parts of records.\n  action \"{}\" {applies}", field::GROUP));
    for field in field::Field::ALL {
        text.push_str(&format!("  action \"{field}\" in [\"{}\"] {applies}", field::GROUP));
    }
    text.push_str("}\n");
    text
});

struct Compiled {
    schema: Schema,
    /// Which action belongs to which groups.
    actions: Entities,
}

static COMPILED: LazyLock<Result<Compiled, String>> = LazyLock::new(|| {
    let (schema, _) = Schema::from_cedarschema_str(&SCHEMA).map_err(|e| e.to_string())?;
    let actions = schema.action_entities().map_err(|e| e.to_string())?;
    Ok(Compiled { schema, actions })
});

fn compiled() -> Result<&'static Compiled, Fault> {
    COMPILED.as_ref().map_err(|_| Fault::Bug("the schema of policies is Cedar"))
}

/// A text that may decide.
pub struct Policies {
    /// 0: the default.
    pub version: i64,
    /// Names the text in an approval's digest.
    pub name: String,
    access: PolicySet,
    approval: PolicySet,
    rules: BTreeMap<PolicyId, Rule>,
    knows_teams: bool,
}

impl Policies {
    /// Reads a text and checks everything that can be checked without knowing who is in the organization.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(version: i64, text: &str) -> Result<Policies, Vec<Problem>> {
        if text.len() > limits::POLICY_BYTES_MAX {
            let message = format!("the text has more than {} bytes", limits::POLICY_BYTES_MAX);
            return Err(vec![Problem::of(None, message)]);
        }
        let set = PolicySet::from_str(text).map_err(|errors| {
            errors.iter().map(|error| Problem::of(None, place(text, error))).collect::<Vec<_>>()
        })?;
        let mut problems = Vec::new();
        let mut policies = Policies {
            version,
            name: format!("{version}:{}", &domain::digest::Digest::of(text.as_bytes()).to_string()),
            access: PolicySet::new(),
            approval: PolicySet::new(),
            rules: BTreeMap::new(),
            knows_teams: false,
        };
        for policy in set.policies() {
            if let Err(problem) = policies.admit(policy) {
                problems.push(problem);
            }
        }
        if set.templates().next().is_some() {
            problems.push(Problem::of(None, "templates cannot be used: name every principal and resource"));
        }
        policies.validate(&mut problems);
        if problems.is_empty() { Ok(policies) } else { Err(problems) }
    }

    /// What is in force in place of a published text that is not valid for this program: it was published by another
    /// version, or altered. Nothing is written but policies.
    ///
    /// # Errors
    /// A bug.
    pub fn recovery(version: i64) -> Result<Policies, Fault> {
        Policies::compile(version, RECOVERY).map_err(|_| Fault::Bug("the policies of recovery are valid"))
    }

    fn admit(&mut self, policy: &Policy) -> Result<(), Problem> {
        let Some(name) = policy.annotation("id").filter(|name| is_name(name)) else {
            let message = "every policy needs a name: @id(\"…\") of letters, digits and hyphens, at most 64";
            return Err(Problem::of(None, message));
        };
        let problem = |message: String| Problem::of(Some(name), message);
        let id = PolicyId::new(name);
        if self.access.policy(&id).is_some() || self.approval.policy(&id).is_some() {
            return Err(problem("the name is used twice".into()));
        }
        let named = policy.new_id(id.clone());
        if policy.annotation(APPROVAL).is_none() {
            if let Some(stray) = OF_APPROVAL.iter().find(|name| policy.annotation(name).is_some()) {
                return Err(problem(format!("@{stray} means nothing without @approval")));
            }
            // Said of more than it is true of, at worst: then teams are asked about one by one.
            self.knows_teams |= policy.to_string().to_lowercase().contains("team");
            return self.access.add(named).map_err(|e| problem(e.to_string()));
        }
        if policy.effect() != cedar_policy::Effect::Permit {
            return Err(problem("a rule of approval is a permit".into()));
        }
        let rule = rule(name, policy).map_err(problem)?;
        self.rules.insert(id, rule);
        self.approval.add(named).map_err(|e| problem(e.to_string()))
    }

    fn validate(&self, problems: &mut Vec<Problem>) {
        let Ok(compiled) = compiled() else {
            problems.push(Problem::of(None, "the schema cannot be read"));
            return;
        };
        let validator = Validator::new(compiled.schema.clone());
        for set in [&self.access, &self.approval] {
            let result = validator.validate(set, ValidationMode::Strict);
            for error in result.validation_errors() {
                problems.push(Problem::of(Some(error.policy_id().as_ref()), error.to_string()));
            }
            for warning in result.validation_warnings() {
                problems.push(Problem::of(Some(warning.policy_id().as_ref()), warning.to_string()));
            }
        }
    }

    /// Whether access is permitted, and by which policies or against which.
    ///
    /// # Errors
    /// A bug: requests are made of our own names.
    pub fn allows(&self, scene: &Scene, question: &Question<'_>) -> Result<Verdict, Fault> {
        let (decision, policies) = scene.decide(&self.access, question)?;
        Ok(Verdict { allowed: decision == Decision::Allow, policies })
    }

    /// The rules of approval that match.
    ///
    /// # Errors
    /// As for [`Policies::allows`].
    pub fn rules(&self, scene: &Scene, question: &Question<'_>) -> Result<Vec<Rule>, Fault> {
        let (_, mut matching) = scene.decide(&self.approval, question)?;
        matching.sort();
        Ok(matching.iter().filter_map(|id| self.rules.get(&PolicyId::new(id))).cloned().collect())
    }

    /// Whether access may differ from team to team.
    pub fn knows_teams(&self) -> bool {
        self.knows_teams
    }

    /// Every rule of approval in the text.
    pub fn all_rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }
}

/// What access policies said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// Ids of the policies that decided.
    pub policies: Vec<String>,
}

/// Who asks about what: a person, and an organization as a whole or one of its teams.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub person: &'a Membership,
    pub organization: &'a Organization,
    /// With its key.
    pub team: Option<(TeamId, &'a str)>,
}

/// One question to the policies.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Name of a tool or a permission.
    pub action: &'a str,
    pub surface: &'a str,
    pub credential: &'a str,
    pub agent: Option<&'a Agent>,
    pub held: bool,
    pub mcp_access: bool,
    pub change: Change<'a>,
}

/// What a write would do, as far as rules of approval may ask.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    pub creates: usize,
    pub updates: usize,
    pub record_types: &'a [RecordType],
    /// Name, status and environment.
    pub release: Option<[&'a str; 3]>,
}

/// The entities of one subject, for any number of questions.
pub struct Scene {
    entities: Entities,
    principal: EntityUid,
    resource: EntityUid,
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, Fault> {
    let kind = cedar_policy::EntityTypeName::from_str(kind).map_err(|_| Fault::Bug("a type has a name"))?;
    Ok(EntityUid::from_type_name_and_id(kind, cedar_policy::EntityId::new(id)))
}

fn words<T: std::fmt::Display>(list: &[T]) -> RestrictedExpression {
    RestrictedExpression::new_set(list.iter().map(|word| RestrictedExpression::new_string(word.to_string())))
}

impl Scene {
    /// # Errors
    /// A bug: entities are made of our own names.
    pub fn of(subject: Subject<'_>) -> Result<Scene, Fault> {
        let bug = |_| Fault::Bug("attributes are values");
        let Subject { person, organization, team } = subject;
        let principal = uid("LoopIQ::Person", &person.user_id.to_string())?;
        let tenant = uid("LoopIQ::Organization", &organization.id.to_string())?;
        let held_in = |(id, _)| person.team_roles.iter().filter(move |held| held.team_id == id);
        let team_roles: Vec<Role> = team.into_iter().flat_map(held_in).map(|held| held.role).collect();
        let attributes = HashMap::from([
            ("slug".to_owned(), RestrictedExpression::new_string(organization.slug.clone())),
            ("mcpEnabled".to_owned(), RestrictedExpression::new_bool(organization.mcp_enabled)),
            ("aiEnabled".to_owned(), RestrictedExpression::new_bool(organization.ai_enabled)),
        ]);
        let home = uid("LoopIQ::Organization", &person.organization_id.to_string())?;
        let who = HashMap::from([
            ("organization".to_owned(), RestrictedExpression::new_entity_uid(home)),
            ("email".to_owned(), RestrictedExpression::new_string(person.email.clone())),
            ("roles".to_owned(), words(&person.roles)),
            ("teamRoles".to_owned(), words(&team_roles)),
        ]);
        let mut entities = vec![
            Entity::new(principal.clone(), who, HashSet::new()).map_err(bug)?,
            Entity::new(tenant.clone(), attributes, HashSet::new()).map_err(bug)?,
        ];
        let resource = match team {
            None => tenant,
            Some((team, key)) => {
                let key =
                    HashMap::from([("key".to_owned(), RestrictedExpression::new_string(key.to_owned()))]);
                let team = uid("LoopIQ::Team", &team.to_string())?;
                entities.push(Entity::new(team.clone(), key, HashSet::from([tenant])).map_err(bug)?);
                team
            }
        };
        let entities = Entities::from_entities(entities, None)
            .map_err(|_| Fault::Bug("entities of one request differ"))?;
        Ok(Scene { entities, principal, resource })
    }

    fn decide(&self, set: &PolicySet, question: &Question<'_>) -> Result<(Decision, Vec<String>), Fault> {
        let action = uid("LoopIQ::Action", question.action)?;
        // Of the many actions only the one that is asked about, which knows its groups.
        let asked = compiled()?.actions.get(&action).cloned();
        let entities = self.entities.clone().add_entities(asked, None);
        let entities = entities.map_err(|_| Fault::Bug("entities of one request differ"))?;
        let (principal, resource) = (self.principal.clone(), self.resource.clone());
        let request = Request::new(principal, action, resource, question.context()?, None)
            .map_err(|_| Fault::Bug("a request without a schema is taken as it is"))?;
        let response = Authorizer::new().is_authorized(&request, set, &entities);
        let reasons = response.diagnostics().reason().map(ToString::to_string).collect();
        Ok((response.decision(), reasons))
    }
}

impl Question<'_> {
    fn context(&self) -> Result<Context, Fault> {
        let count = |n: usize| RestrictedExpression::new_long(i64::try_from(n).unwrap_or(i64::MAX));
        let change = &self.change;
        let mut members = vec![
            ("surface".to_owned(), RestrictedExpression::new_string(self.surface.to_owned())),
            ("mcp".to_owned(), RestrictedExpression::new_bool(self.surface.starts_with("mcp"))),
            ("credential".to_owned(), RestrictedExpression::new_string(self.credential.to_owned())),
            ("held".to_owned(), RestrictedExpression::new_bool(self.held)),
            ("mcpAccess".to_owned(), RestrictedExpression::new_bool(self.mcp_access)),
            ("creates".to_owned(), count(change.creates)),
            ("updates".to_owned(), count(change.updates)),
            ("recordTypes".to_owned(), words(change.record_types)),
        ];
        if let Some([name, status, environment]) = change.release {
            let parts = [("name", name), ("status", status), ("environment", environment)];
            let parts = parts.map(|(k, v)| (k.to_owned(), RestrictedExpression::new_string(v.to_owned())));
            let release = RestrictedExpression::new_record(parts)
                .map_err(|_| Fault::Bug("members of a record differ"))?;
            members.push(("release".to_owned(), release));
        }
        if let Some(agent) = self.agent {
            let parts =
                [("name", agent.name.to_lowercase()), ("mutationPolicy", agent.mutation_policy.to_string())];
            let parts = parts.map(|(k, v)| (k.to_owned(), RestrictedExpression::new_string(v)));
            let agent = RestrictedExpression::new_record(parts)
                .map_err(|_| Fault::Bug("members of a record differ"))?;
            members.push(("agent".to_owned(), agent));
        }
        Context::from_pairs(members).map_err(|_| Fault::Bug("members of a context differ"))
    }
}

/// The policies of a text by their names, for comparing two texts; empty when it cannot be read.
pub(crate) fn named(text: &str) -> BTreeMap<String, String> {
    let set = PolicySet::from_str(text).unwrap_or_default();
    let named = set.policies().map(|policy| (policy.annotation("id").unwrap_or_default(), policy));
    named.map(|(name, policy)| (name.to_owned(), policy.to_string())).collect()
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// A parse error with the line it is on. Never more of the text than that.
fn place(text: &str, error: &cedar_policy::ParseError) -> String {
    use miette::Diagnostic as _;
    let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    match offset.and_then(|offset| text.get(..offset)) {
        Some(before) => format!("line {}: {error}", before.matches('\n').count() + 1),
        None => error.to_string(),
    }
}

/// Reads the annotations of a rule of approval.
fn rule(name: &str, policy: &Policy) -> Result<Rule, String> {
    let text = |key: &str| policy.annotation(key).map(str::trim);
    let kind = text(APPROVAL).unwrap_or_default();
    let separation = match (kind, text("separation")) {
        (_, None | Some("on")) => true,
        ("quorum", Some("off")) => false,
        (_, Some(_)) => return Err("@separation is \"on\", or with a quorum \"off\"".into()),
    };
    let minimum = match (kind, text("minimum")) {
        ("none", None) => 0,
        ("confirm", None) | ("quorum", None | Some("1")) => 1,
        ("quorum", Some(n)) => n
            .parse()
            .ok()
            .filter(|n| (1..=limits::APPROVERS_MAX).contains(n))
            .ok_or_else(|| format!("@minimum is a number from 1 to {}", limits::APPROVERS_MAX))?,
        ("none" | "confirm", Some(_)) => return Err("@minimum goes with @approval(\"quorum\")".into()),
        _ => return Err("@approval is \"none\", \"confirm\" or \"quorum\"".into()),
    };
    let tier = match text("tier") {
        None => Tier::Routine,
        Some(word) => Tier::parse(word).ok_or("@tier is routine, elevated or critical")?,
    };
    let passkey = match text("passkey") {
        None => false,
        Some("required") => true,
        Some(_) => return Err("@passkey is \"required\" or left out".into()),
    };
    let duration = |key: &str| {
        let bad = || format!("@{key} is a number with s, m, h or d, at most 30 days, such as \"4h\"");
        text(key).map(|word| seconds(word).ok_or_else(bad)).transpose()
    };
    let made = Rule {
        policy: name.to_owned(),
        minimum_approvers: minimum,
        requester_may_approve: kind == "confirm" || (kind == "quorum" && !separation),
        tier,
        approver_roles: roles(text("roles"))?,
        team_roles: roles(text("team_roles"))?,
        people: list(text("people")),
        passkey,
        auto_approve_after_seconds: duration("auto_approve_after")?,
        warn_after_seconds: duration("warn_after")?,
        escalate_to: roles(text("escalate_to"))?.first().copied(),
    };
    if made.passkey && made.auto_approve_after_seconds.is_some() {
        return Err("@passkey and @auto_approve_after contradict each other: a rule signs nothing".into());
    }
    if made.warn_after_seconds.is_some() != made.escalate_to.is_some() {
        return Err("@warn_after and @escalate_to go together".into());
    }
    let plain = made.is_open() && !made.passkey && made.auto_approve_after_seconds.is_none();
    if minimum == 0 && !(plain && made.warn_after_seconds.is_none()) {
        return Err("@approval(\"none\") asks nobody, so nothing else can be said about it".into());
    }
    if let Some(bad) = made.people.iter().find(|email| !email.contains('@') || email.len() > 254) {
        let at = made.people.iter().position(|email| email == bad).unwrap_or_default() + 1;
        return Err(format!("entry {at} of @people is not an e-mail address"));
    }
    Ok(made)
}

fn list(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

fn roles(text: Option<&str>) -> Result<Vec<Role>, String> {
    let known = || Role::ALL.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    list(text).iter().map(|word| Role::parse(word).ok_or_else(|| format!("roles are {}", known()))).collect()
}

/// The longest time that a rule may name.
const DURATION_SECONDS_MAX: i64 = 30 * 86_400;

fn seconds(word: &str) -> Option<i64> {
    let (number, unit) = word.split_at_checked(word.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = number.parse::<i64>().ok()?.checked_mul(unit)?;
    (1..=DURATION_SECONDS_MAX).contains(&seconds).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        match Policies::compile(1, text) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn the_default_is_valid_and_the_printed_schema_is_the_one_that_is_used() {
        assert_eq!(problems(DEFAULT), Vec::<String>::new());
        testkit::golden::check_file(
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/schema.cedarschema"),
            &SCHEMA,
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        let rule = |annotations: &str| {
            format!(
                "@id(\"r\")\n{annotations}\npermit (principal, action in LoopIQ::Action::\"write\", resource);"
            )
        };
        for (text, says) in [
            ("permit (principal, action, resource);".to_owned(), "needs a name"),
            ("permit (principal, action, resource)".to_owned(), "line 1"),
            ("@id(\"a\")\n@id(\"a\") permit (principal, action, resource);".to_owned(), "line 2"),
            (
                "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);"
                    .to_owned(),
                "used twice",
            ),
            (
                "@id(\"a\") permit (principal, action == LoopIQ::Action::\"loopiq_fly\", resource);".to_owned(),
                "loopiq_fly",
            ),
            ("@id(\"a\") permit (principal, action, resource) when { context.weather };".to_owned(), "weather"),
            ("@id(\"a\") permit (principal == ?principal, action, resource);".to_owned(), "templates"),
            (rule("@approval(\"maybe\")"), "\"none\", \"confirm\" or \"quorum\""),
            (rule("@minimum(\"2\")"), "without @approval"),
            (rule("@approval(\"quorum\") @minimum(\"0\")"), "number from 1"),
            (rule("@approval(\"confirm\") @minimum(\"2\")"), "goes with"),
            (rule("@approval(\"quorum\") @roles(\"king\")"), "roles are organization_admin"),
            (rule("@approval(\"quorum\") @people(\"ada\")"), "entry 1"),
            (rule("@approval(\"quorum\") @auto_approve_after(\"soon\")"), "such as \"4h\""),
            (rule("@approval(\"quorum\") @warn_after(\"1h\")"), "go together"),
            (rule("@approval(\"none\") @roles(\"viewer\")"), "asks nobody"),
            (rule("@approval(\"quorum\") @passkey(\"perhaps\")"), "\"required\" or left out"),
            (rule("@approval(\"quorum\") @passkey(\"required\") @auto_approve_after(\"1d\")"), "contradict"),
        ] {
            let found = problems(&text);
            assert!(found.iter().any(|message| message.contains(says)), "{text}\n{found:?}");
        }
        let long = format!("// {}", "x".repeat(limits::POLICY_BYTES_MAX));
        assert!(problems(&long)[0].contains("bytes"));
    }

    #[test]
    fn annotations_are_rules() {
        let text = "@id(\"r\") @approval(\"quorum\") @minimum(\"2\") @roles(\"governance_lead, compliance_reviewer\")
            @team_roles(\"team_lead\") @people(\"Ada@acme.example\") @tier(\"critical\")
            @warn_after(\"4h\") @escalate_to(\"organization_admin\")
            permit (principal, action in LoopIQ::Action::\"write\", resource);";
        let policies = Policies::compile(3, text).ok().unwrap();
        let rule = policies.all_rules().next().unwrap();
        assert_eq!(
            (rule.minimum_approvers, rule.requester_may_approve, rule.tier),
            (2, false, Tier::Critical)
        );
        assert_eq!(rule.approver_roles, [Role::GovernanceLead, Role::ComplianceReviewer]);
        assert_eq!((rule.team_roles.as_slice(), rule.people.len()), ([Role::TeamLead].as_slice(), 1));
        assert_eq!(
            (rule.warn_after_seconds, rule.escalate_to),
            (Some(14_400), Some(Role::OrganizationAdmin))
        );
    }

    #[test]
    fn what_cannot_be_read_is_replaced_by_what_writes_nothing() {
        Policies::recovery(7).ok().unwrap();
    }
}
