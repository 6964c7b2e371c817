//! `loopiq demo`: a ready world, served.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use domain::id::Ids as _;
use serde_json::json;

use super::serve;
use crate::demo::{self, Login, Temporary};
use crate::system::SystemIds;
use crate::{cli, telemetry, wire};

/// Serve a made-up organization with people, tokens and real evidence, to try everything at once.
#[derive(Args)]
#[command(
    after_help = "Example:\n  loopiq demo\n  loopiq demo --data demo-data --listen 127.0.0.1:9000 --json"
)]
pub struct Demo {
    /// Folder to keep the demo in; without it, everything is gone when the process ends.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// IP address and port to listen on; port 0 takes a free one [default: LOOPIQ_LISTEN, or 127.0.0.1:8484].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Print one JSON line with the address, passwords and tokens when ready.
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub fn run(self) -> anyhow::Result<()> {
        let temporary = self.data.is_none();
        let folder = self.data.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("loopiq-demo-{}", SystemIds.next().simple()))
        });
        let _cleanup = temporary.then(|| Temporary(folder.clone()));
        let mut flags = BTreeMap::from([("data", folder.display().to_string())]);
        flags.extend(self.listen.map(|v| ("listen", v)));
        if crate::system::environment("LOOPIQ_LOG").is_none() {
            flags.insert("log", "warn".to_owned());
        }
        let (mut config, _) = cli::load(flags, None)?;
        config.check_reachable()?;
        telemetry::start(&config);
        let json = self.json;
        wire::block_on(async move {
            let listener = serve::bind(config.listen).await?;
            config.listen = listener.local_addr()?;
            let world = wire::open(&config).await?;
            cli::progress("building the demo world from real evidence …");
            let logins = if demo::exists(&world).await? {
                demo::renew(&world).await?
            } else {
                demo::build(&world).await?
            };
            let base = config.base();
            serve::serve(world, config, listener, || announce(&base, &logins, json)).await
        })
    }
}

fn announce(base: &str, logins: &[Login], as_json: bool) {
    if as_json {
        let line = json!({ "url": base, "mcpUrl": format!("{base}/mcp"), "people": logins });
        cli::print(line.to_string());
        return;
    }
    cli::print(format!("LoopIQ demo is served.\n\n  console  {base}/app\n  MCP      {base}/mcp\n"));
    cli::print("People (each password and token is shown only now):\n");
    for login in logins {
        cli::print(format!("  {:<22} password {}", login.email, login.password));
        for (slug, token) in &login.tokens {
            cli::print(format!("  {:<22} token    {token}  ({slug})", ""));
        }
    }
    let token = logins
        .iter()
        .find(|l| l.email.starts_with("grace@"))
        .and_then(|l| l.tokens.get("acme"))
        .map_or("", String::as_str);
    cli::print(format!(
        "\nTo connect Claude Code as grace@acme.example (release manager of team backend):\n\n  export \
         LOOPIQ_TOKEN={token}\n  {}\n\nThen ask: which LoopIQ tenant am I connected to? Show my current release \
         certifications. Show evidence gaps for release backend-v1.0-GCN.\nStop with Ctrl-C.",
        web::connect::claude_code(base)
    ));
}
