//! `loopiq serve`: the server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use axum::serve::ListenerExt as _;
use clap::Args;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::wire::{self, World};
use crate::{cli, telemetry};

/// Serve MCP, the console and the HTTP API.
#[derive(Args)]
#[command(after_help = "Example:\n  loopiq serve --data /var/lib/loopiq --listen 127.0.0.1:8484 \
                        --public-url https://loopiq.example.com")]
pub struct Serve {
    /// TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Base URL under which people and clients reach this server.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Print every setting with its value and origin, and stop.
    #[arg(long)]
    print_config: bool,
}

impl Serve {
    pub fn run(self) -> anyhow::Result<()> {
        let mut flags = BTreeMap::new();
        flags.extend(self.data.map(|v| ("data", v.display().to_string())));
        flags.extend(self.listen.map(|v| ("listen", v)));
        flags.extend(self.public_url.map(|v| ("public_url", v)));
        let (config, shown) = cli::load(flags, self.config.as_deref())?;
        if self.print_config {
            for setting in shown {
                cli::print(format!(
                    "# {}\n{} = {:?}  # {}",
                    setting.help, setting.name, setting.value, setting.origin
                ));
            }
            return Ok(());
        }
        telemetry::start(&config);
        if !config.listen.ip().is_loopback() && config.public_url.is_empty() {
            anyhow::bail!(
                "public_url is needed to listen on {}\nremedy: set --public-url to the address people use, so that \
                 links, metadata and host checks are right",
                config.listen
            );
        }
        wire::block_on(async move {
            let listener = bind(config.listen).await?;
            let world = wire::open(&config).await?;
            tracing::info!(url = config.base(), data = %config.data.display(), "serving");
            serve(world, config, listener).await
        })
    }
}

/// Binds the address.
///
/// # Errors
/// With the address and a remedy when it is taken.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "{address} cannot be listened on (remedy: stop what uses it, or choose another with --listen)"
        )
    })
}

/// How often overdue actions are ended and waiting records written.
const JOBS_EVERY: Duration = Duration::from_secs(2);

/// Serves until the process is asked to stop, then lets running requests finish.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(world: World, config: Config, listener: TcpListener) -> anyhow::Result<()> {
    let tasks = web::Tasks::default();
    let app = wire::router(&world, &config, &tasks);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut until = stopped.clone();
    let jobs = jobs(world.clone(), stopped);
    // Without it, an answer in two parts waits for the acknowledgement of the first.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move { drop(until.wait_for(|stop| *stop).await) });
    let asked = async {
        signal().await;
        tracing::info!("stopping");
        let _ = stop.send(true);
        tokio::time::sleep(Duration::from_secs(config.shutdown_seconds_max)).await;
    };
    tokio::select! {
        ended = async { tokio::join!(server, jobs).0 } => ended.context("the server broke")?,
        () = asked => tracing::warn!("requests were still running at the end of the grace period"),
    }
    drop(tokio::time::timeout(Duration::from_secs(config.shutdown_seconds_max), tasks.drain()).await);
    world.engine.flush_reads().await;
    if let Err(fault) = world.identity.flush().await {
        tracing::warn!("could not note when credentials were used: {fault}");
    }
    world.store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Background work until the stop is asked for.
async fn jobs(world: World, mut stopped: tokio::sync::watch::Receiver<bool>) {
    let mut timer = tokio::time::interval(JOBS_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            _ = timer.tick() => {}
        }
        if let Err(fault) = world.engine.run_jobs_once().await {
            tracing::error!("background work failed: {fault}");
        }
        if let Err(fault) = world.identity.flush().await {
            tracing::warn!("could not note when credentials were used: {fault}");
        }
    }
}

/// Waits for SIGTERM or Ctrl-C.
async fn signal() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => drop(interrupt.await),
    }
}
