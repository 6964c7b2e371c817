//! `loopiq user`: members of an organization and what they hold.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::id::OrgId;
use domain::org::{Team, UserStatus};
use domain::permission::{Membership, Permission, Role, TeamRole};
use identity::{Access, NewMember};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Admin, Common, Failure, Report, init, prompt};
use crate::demo;
use crate::wire::World;

/// Add people to an organization, list them, give and take roles and permissions.
#[derive(Subcommand)]
pub enum User {
    /// Add a person; an unknown e-mail gets an account, and a password that is printed once.
    #[command(after_help = "Example:\n  loopiq user create --org acme --email grace@acme.example --role \
                      release_manager --permission teams:read\n  loopiq user create --org acme --email \
                      linus@acme.example --role team_lead@backend --permission teams:read")]
    Create {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        create: Create,
        /// File whose first line is the password (12 characters or more), - for standard input; without it one is
        /// made and printed once.
        #[arg(long, value_name = "FILE", conflicts_with = "no_password")]
        password_file: Option<PathBuf>,
    },
    /// List members with what they hold.
    #[command(after_help = "Example:\n  loopiq user list --org acme --json")]
    List {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        list: List,
    },
    /// End a membership, or a whole account; from the next call on, nothing works any more.
    #[command(
        after_help = "Example:\n  loopiq user deactivate --org acme --email vic@acme.example\n  loopiq user \
                      deactivate --email vic@acme.example --everywhere"
    )]
    Deactivate {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        deactivate: Deactivate,
    },
    /// Set a new password for an account, and end its sessions; without a file one is made and printed once.
    #[command(after_help = "Example:\n  loopiq user password --email grace@acme.example")]
    Password {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        reset: Reset,
        /// File whose first line is the password (12 characters or more), - for standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Give roles or direct permissions.
    #[command(
        after_help = "Example:\n  loopiq user grant --org acme --email vic@acme.example --role contributor@mobile\n  \
                      loopiq user grant --org acme --email vic@acme.example --permission mcp:access"
    )]
    Grant {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        change: Change,
    },
    /// Take roles or direct permissions away.
    #[command(
        after_help = "Example:\n  loopiq user revoke --org acme --email vic@acme.example --permission mcp:access"
    )]
    Revoke {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Create {
    #[command(flatten)]
    at: At,
    /// Name for people; the part of the e-mail before the @ when absent.
    #[arg(long)]
    name: Option<String>,
    #[arg(long = "role", value_name = "ROLE[@TEAM]", required = true, value_parser = held, help = role_help())]
    roles: Vec<Held>,
    #[arg(
        long = "permission",
        value_name = "AREA:VERB",
        required = true,
        value_parser = permission,
        help = permission_help("Permission given directly, besides those of the roles; at least one.")
    )]
    permissions: Vec<Permission>,
    /// Team the person works with at first, as AI clients are told.
    #[arg(long, value_name = "TEAM")]
    selected_team: Option<String>,
    /// Make an account that cannot sign in to the console, for tokens only.
    #[arg(long)]
    no_password: bool,
    #[arg(skip)]
    password: Option<String>,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct List {
    /// Short name of the organization.
    #[arg(long)]
    org: String,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Deactivate {
    /// Short name of the organization.
    #[arg(long, required_unless_present = "everywhere")]
    org: Option<String>,
    /// E-mail of the person.
    #[arg(long)]
    email: String,
    /// Close the account itself, in every organization.
    #[arg(long, conflicts_with = "org")]
    everywhere: bool,
    /// Undo it: give back what was held.
    #[arg(long)]
    undo: bool,
}

#[derive(Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Reset {
    /// E-mail of the account.
    #[arg(long)]
    email: String,
    #[arg(skip)]
    password: Option<String>,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct Change {
    #[command(flatten)]
    at: At,
    #[arg(
        long = "role",
        value_name = "ROLE[@TEAM]",
        value_parser = held,
        required_unless_present = "permissions",
        help = role_help()
    )]
    roles: Vec<Held>,
    #[arg(
        long = "permission",
        value_name = "AREA:VERB",
        value_parser = permission,
        help = permission_help("Permission held directly, besides those of the roles.")
    )]
    permissions: Vec<Permission>,
}

/// Which person of which organization.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(skip)]
pub struct At {
    /// Short name of the organization.
    #[arg(long)]
    org: String,
    /// E-mail of the person.
    #[arg(long)]
    email: String,
}

/// A role, and the team it is held in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    role: Role,
    team: Option<String>,
}

/// The words of `--role`, so that nobody has to guess them.
fn role_help() -> String {
    let all: Vec<&str> = Role::ALL.iter().map(|r| r.as_str()).collect();
    format!(
        "Role in the whole organization, or role@team for one team. Repeatable. One of {}",
        all.join(", ")
    )
}

/// The words of `--permission` and `--scope`.
pub fn permission_help(what: &str) -> String {
    let all: Vec<&str> = Permission::ALL.iter().map(|p| p.as_str()).collect();
    format!("{what} Repeatable. One of {}", all.join(", "))
}

fn held(text: &str) -> Result<Held, String> {
    let (word, team) =
        text.split_once('@').map_or((text, None), |(role, team)| (role, Some(team.to_owned())));
    let role = Role::parse(word).ok_or_else(|| {
        let all: Vec<&str> = Role::ALL.iter().map(|r| r.as_str()).collect();
        format!("the role must be one of {}; role@team for one team", all.join(", "))
    })?;
    Ok(Held { role, team })
}

/// A permission by its name.
pub fn permission(text: &str) -> Result<Permission, String> {
    Permission::parse(text).ok_or_else(|| {
        let all: Vec<&str> = Permission::ALL.iter().map(|p| p.as_str()).collect();
        format!("must be one of {}", all.join(", "))
    })
}

fn team<'a>(teams: &'a [Team], name: &str) -> anyhow::Result<&'a Team> {
    let found = teams.iter().find(|t| {
        t.name.eq_ignore_ascii_case(name) || t.key.eq_ignore_ascii_case(name) || t.id.to_string() == name
    });
    Ok(found.ok_or_else(|| {
        let names: Vec<&str> = teams.iter().map(|t| t.name.as_str()).collect();
        let remedy = format!("There is: {}. `loopiq org set ORG --team NAME` adds one.", names.join(", "));
        Failure::new("there is no such team in the organization", remedy)
    })?)
}

async fn teams(world: &World, organization: OrgId) -> anyhow::Result<Vec<Team>> {
    Ok(world.store.org(organization).await?.reader().teams(None).await?)
}

fn access(roles: &[Held], permissions: &[Permission], teams: &[Team]) -> anyhow::Result<Access> {
    let mut access = Access { permissions: permissions.to_vec(), ..Access::default() };
    for held in roles {
        match &held.team {
            None => access.roles.push(held.role),
            Some(name) => {
                access.team_roles.push(TeamRole { team_id: team(teams, name)?.id, role: held.role });
            }
        }
    }
    Ok(access)
}

fn roles(m: &Membership, teams: &[Team]) -> Vec<String> {
    let name = |held: &TeamRole| {
        let team = teams.iter().find(|t| t.id == held.team_id);
        format!("{}@{}", held.role, team.map_or_else(|| held.team_id.to_string(), |t| t.name.clone()))
    };
    m.roles.iter().map(ToString::to_string).chain(m.team_roles.iter().map(name)).collect()
}

fn line(m: &Membership, teams: &[Team]) -> String {
    let direct: Vec<&str> = m.direct_permissions.iter().map(|p| p.as_str()).collect();
    format!("{}  {}  {}  + {}", m.email, m.status, roles(m, teams).join(", "), direct.join(", "))
}

fn value(m: &Membership, teams: &[Team]) -> Value {
    json!({
        "id": m.user_id, "email": m.email, "name": m.display_name, "status": m.status, "roles": roles(m, teams),
        "permissions": m.direct_permissions,
    })
}

impl User {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            User::Create { common, mut create, password_file } => {
                create.password = password_file.as_deref().map(prompt::secret_in).transpose()?;
                Admin::UserCreate(create).administer(&common)
            }
            User::List { common, list } => Admin::UserList(list).administer(&common),
            User::Deactivate { common, deactivate } => Admin::UserDeactivate(deactivate).administer(&common),
            User::Password { common, mut reset, password_file } => {
                reset.password = password_file.as_deref().map(prompt::secret_in).transpose()?;
                Admin::UserPassword(reset).administer(&common)
            }
            User::Grant { common, change } => Admin::UserGrant(change).administer(&common),
            User::Revoke { common, change } => Admin::UserRevoke(change).administer(&common),
        }
    }
}

impl Create {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let organization = world.identity.organization(&self.at.org).await?;
        let teams = teams(world, organization.id).await?;
        let known = world.store.directory().user_by_email(&self.at.email).await?.is_some();
        if known && self.password.is_some() {
            let message =
                "the account exists, and its password is not changed by adding it to an organization";
            return Err(Failure::new(message, "Leave --password-file away.").into());
        }
        let made = (!known && !self.no_password && self.password.is_none()).then(demo::new_password);
        let access = access(&self.roles, &self.permissions, &teams)?;
        let selected_team = match &self.selected_team {
            Some(name) => Some(team(&teams, name)?.id),
            None => None,
        };
        let new = NewMember {
            email: self.at.email.clone(),
            display_name: self.name.clone().unwrap_or_else(|| init::name_of(&self.at.email)),
            roles: access.roles,
            team_roles: access.team_roles,
            direct_permissions: access.permissions,
            selected_team,
            password: made.clone().or_else(|| self.password.clone()),
        };
        let user = world.identity.add_member(organization.id, new).await?;
        let json = json!({
            "id": user.id, "email": user.email, "organization": organization.slug, "password": made,
        });
        let mut lines = vec![format!("{} is a member of {}", user.email, organization.slug)];
        lines.extend(made.map(|password| format!("password (shown only now): {password}")));
        Ok(Report { lines, json: vec![json], failure: None })
    }
}

impl List {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let organization = world.identity.organization(&self.org).await?;
        let teams = teams(world, organization.id).await?;
        let members = world.identity.members(organization.id).await?;
        Ok(Report {
            lines: members.iter().map(|m| line(m, &teams)).collect(),
            json: members.iter().map(|m| value(m, &teams)).collect(),
            failure: None,
        })
    }
}

impl Deactivate {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        if let Some(org) = &self.org {
            let organization = world.identity.organization(org).await?;
            let teams = teams(world, organization.id).await?;
            let changed = world.identity.set_member_active(organization.id, &self.email, self.undo).await?;
            return Ok(Report::one(line(&changed, &teams), value(&changed, &teams)));
        }
        let user = world.identity.set_account_active(&self.email, self.undo).await?;
        let what = if user.status == UserStatus::Active { "open again" } else { "closed" };
        let json = json!({ "id": user.id, "email": user.email, "status": user.status });
        Ok(Report::one(format!("the account {} is {what}", user.email), json))
    }
}

impl Reset {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        let made = self.password.is_none().then(demo::new_password);
        let password = made.as_ref().or(self.password.as_ref()).map_or("", String::as_str);
        world.identity.set_password(&self.email, password).await?;
        let mut lines = vec![format!("{} has a new password and no session any more", self.email)];
        lines.extend(made.as_ref().map(|password| format!("password (shown only now): {password}")));
        Ok(Report { lines, json: vec![json!({ "email": self.email, "password": made })], failure: None })
    }
}

impl Change {
    pub async fn grant(&self, world: &World) -> anyhow::Result<Report> {
        self.change(world, true).await
    }

    pub async fn revoke(&self, world: &World) -> anyhow::Result<Report> {
        self.change(world, false).await
    }

    async fn change(&self, world: &World, give: bool) -> anyhow::Result<Report> {
        let organization = world.identity.organization(&self.at.org).await?;
        let teams = teams(world, organization.id).await?;
        let access = access(&self.roles, &self.permissions, &teams)?;
        let changed = if give {
            world.identity.grant(organization.id, &self.at.email, &access).await?
        } else {
            world.identity.revoke(organization.id, &self.at.email, &access).await?
        };
        Ok(Report::one(line(&changed, &teams), value(&changed, &teams)))
    }
}

#[cfg(test)]
mod tests {
    use super::{held, permission};
    use domain::permission::Role;

    #[test]
    fn roles_are_of_the_organization_or_of_a_team() {
        let whole = held("release_manager").unwrap();
        assert_eq!((whole.role, whole.team), (Role::ReleaseManager, None));
        let team = held("team_lead@backend").unwrap();
        assert_eq!((team.role, team.team.as_deref()), (Role::TeamLead, Some("backend")));
        assert!(held("king").unwrap_err().contains("team_lead"));
        assert!(permission("releases:read").is_ok() && permission("releases").is_err());
    }
}
