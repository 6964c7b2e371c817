//! `loopiq init`: the first organization and its administrator.

use std::path::PathBuf;

use clap::Args;
use domain::permission::{Permission, Role};
use identity::NewMember;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Admin, Common, Failure, Report, prompt};
use crate::demo;
use crate::wire::World;

/// Make the first organization and its administrator, by flags or by questions on a terminal.
#[derive(Args)]
#[command(
    after_help = "Example:\n  loopiq init --data loopiq-data\n  loopiq init --data loopiq-data --slug acme --name Acme \
                  --email ada@acme.example --password-file password.txt"
)]
pub struct Init {
    #[command(flatten)]
    common: Common,
    /// Short name of the organization, by which commands name it: 2 to 40 lower-case letters, digits and inner hyphens.
    #[arg(long)]
    slug: Option<String>,
    /// Name of the organization, for people.
    #[arg(long)]
    name: Option<String>,
    /// E-mail of the administrator, who signs in with it.
    #[arg(long)]
    email: Option<String>,
    /// Name of the administrator; the part of the e-mail before the @ when absent.
    #[arg(long)]
    display_name: Option<String>,
    /// File whose first line is the administrator's password (12 characters or more), - for standard input; without it
    /// the password is asked for on a terminal, and otherwise made and printed once.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Everything that was asked.
#[derive(Serialize, Deserialize)]
pub struct Wanted {
    slug: String,
    name: String,
    email: String,
    display_name: String,
    password: Option<String>,
}

/// The part of an e-mail before the @.
pub fn name_of(email: &str) -> String {
    email.split('@').next().unwrap_or_default().to_owned()
}

impl Init {
    pub fn run(self) -> anyhow::Result<()> {
        let Init { common, slug, name, email, display_name, password_file } = self;
        let asked = slug.is_none() || name.is_none() || email.is_none();
        let slug = prompt::ask(
            slug,
            "Short name of the organization, as in addresses (for example acme):",
            "--slug",
        )?;
        let name = prompt::ask(name, "Name of the organization:", "--name")?;
        let email = prompt::ask(email, "E-mail of its administrator:", "--email")?;
        let password = match password_file {
            Some(file) => Some(prompt::secret_in(&file)?),
            None if asked => prompt::new_password("Password (12 characters or more; empty: one is made):")?,
            None => None,
        };
        let display_name = display_name.unwrap_or_else(|| name_of(&email));
        Admin::Init(Wanted { slug, name, email, display_name, password }).administer(&common)
    }
}

impl Wanted {
    pub async fn run(&self, world: &World) -> anyhow::Result<Report> {
        if let Some(first) = world.identity.organizations().await?.first() {
            return Err(Failure::new(
                format!("the data folder has organizations already, {} for one", first.slug),
                "Use `loopiq org create` for another organization, and `loopiq user create` for its people.",
            )
            .into());
        }
        let made = self.password.is_none().then(demo::new_password);
        let password = made.clone().or_else(|| self.password.clone());
        // Checked before anything is made, so that a mistake leaves nothing half done.
        identity::check_new_member(&self.email, password.as_deref())?;
        let organization =
            world.identity.create_organization(&self.slug, &self.name, &demo::control_effects()?).await?;
        let new = NewMember {
            email: self.email.clone(),
            display_name: self.display_name.clone(),
            roles: vec![Role::OrganizationAdmin],
            direct_permissions: vec![Permission::OrganizationManage],
            password,
            ..NewMember::default()
        };
        let user = world.identity.add_member(organization.id, new).await?;
        let json = json!({
            "organization": organization.slug, "organizationId": organization.id,
            "email": user.email, "userId": user.id, "password": made,
        });
        let mut lines = vec![format!(
            "organization {} is ready, with {} as its administrator",
            organization.slug, user.email
        )];
        lines.extend(made.map(|password| format!("password (shown only now): {password}")));
        lines.push("next: `loopiq serve`, then sign in at the address it prints".into());
        Ok(Report { lines, json: vec![json], failure: None })
    }
}
