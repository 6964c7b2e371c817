//! `loopiq init`: the first organization and its administrator.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::Context as _;
use clap::Args;
use domain::permission::{Permission, Role};
use identity::NewMember;
use serde_json::json;

use super::DataArgs;
use crate::{cli, demo, wire};

/// Make the first organization and its administrator.
#[derive(Args)]
#[command(
    after_help = "Example:\n  loopiq init --data loopiq-data --slug acme --name Acme --email ada@acme.example"
)]
pub struct Init {
    #[command(flatten)]
    data: DataArgs,
    /// Short name of the organization in addresses.
    #[arg(long)]
    slug: Option<String>,
    /// Name of the organization.
    #[arg(long)]
    name: Option<String>,
    /// E-mail of the administrator.
    #[arg(long)]
    email: Option<String>,
    /// File whose first line is the administrator's password; without it one is made and printed once.
    #[arg(long, value_name = "FILE")]
    password_file: Option<std::path::PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn ask(value: Option<String>, question: &str, flag: &str) -> anyhow::Result<String> {
    if let Some(value) = value {
        return Ok(value);
    }
    if !std::io::stdin().is_terminal() {
        anyhow::bail!("{flag} is needed (remedy: give it, or run this on a terminal to be asked)");
    }
    cli::progress(question);
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("the answer cannot be read")?;
    Ok(line.trim().to_owned())
}

/// The password of a file's first line.
pub fn password_of(file: &std::path::Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the password file {} cannot be read", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

impl Init {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.data.config()?;
        let slug = ask(self.slug, "Short name of the organization (for example acme):", "--slug")?;
        let name = ask(self.name, "Name of the organization:", "--name")?;
        let email = ask(self.email, "E-mail of the administrator:", "--email")?;
        let given = self.password_file.as_deref().map(password_of).transpose()?;
        let password = given.clone().unwrap_or_else(demo::new_password);
        wire::block_on(async move {
            let world = wire::open(&config).await?;
            let organization =
                world.identity.create_organization(&slug, &name, &demo::control_effects()?).await?;
            let new = NewMember {
                email: email.clone(),
                display_name: email.split('@').next().unwrap_or_default().to_owned(),
                roles: vec![Role::OrganizationAdmin],
                direct_permissions: vec![Permission::OrganizationManage],
                password: Some(password.clone()),
                ..NewMember::default()
            };
            world.identity.add_member(organization.id, new).await?;
            world.store.close().await;
            let shown = given.is_none().then_some(&password);
            if self.json {
                cli::print(json!({ "organization": slug, "email": email, "password": shown }).to_string());
            } else {
                cli::print(format!("organization {slug} is ready; administrator {email}"));
                if let Some(password) = shown {
                    cli::print(format!("password (shown only now): {password}"));
                }
                cli::print("next: loopiq serve, then sign in at /app");
            }
            Ok(())
        })
    }
}
