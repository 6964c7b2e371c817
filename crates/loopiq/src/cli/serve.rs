//! `loopiq serve`: the server, from its first address to its last request.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use engine::webhooks::Post;
use serde_json::json;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Failure;
use crate::config::{Config, Shown};
use crate::serve::{self as connections, Bounds};
use crate::webhooks::HttpPost;
use crate::wire::{self, World};
use crate::{cli, remote, telemetry};

/// Serve MCP for AI clients, the console for people and the HTTP API, until stopped by Ctrl-C or SIGTERM.
#[derive(Args)]
#[command(
    after_help = "Example:\n  loopiq serve --data /var/lib/loopiq --listen 127.0.0.1:8484 --public-url \
                  https://loopiq.example.com\n  loopiq serve --config loopiq.toml --print-config"
)]
pub struct Serve {
    /// TOML file with settings; a flag or LOOPIQ_… in the environment goes before it [default: LOOPIQ_CONFIG].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of everything that is stored; made when it is not there [default: LOOPIQ_DATA, or loopiq-data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// PostgreSQL database instead of embedded storage; several nodes may serve one [default: LOOPIQ_DATABASE_URL].
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// IP address and port to listen on; port 0 takes a free one [default: LOOPIQ_LISTEN, or 127.0.0.1:8484].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Base URL under which people and clients reach this server, such as that of a proxy before it; needed to listen
    /// on an address others can reach [default: LOOPIQ_PUBLIC_URL, or http:// and the listening address].
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Print every setting with its value and origin, and stop.
    #[arg(long)]
    print_config: bool,
    /// With --print-config: one JSON line per setting.
    #[arg(long, requires = "print_config")]
    json: bool,
}

impl Serve {
    pub fn run(self) -> anyhow::Result<()> {
        let mut flags = BTreeMap::new();
        flags.extend(self.data.map(|v| ("data", v.display().to_string())));
        flags.extend(self.database_url.map(|v| ("database_url", v)));
        flags.extend(self.listen.map(|v| ("listen", v)));
        flags.extend(self.public_url.map(|v| ("public_url", v)));
        let (mut config, shown) = cli::load(flags, self.config.as_deref())?;
        if self.print_config {
            for setting in &shown {
                print_setting(setting, self.json);
            }
            return Ok(());
        }
        config.check_reachable()?;
        telemetry::start(&config);
        wire::block_on(async move {
            let listener = bind(config.listen).await?;
            config.listen = listener.local_addr()?;
            let world = wire::open(&config).await?;
            if world.identity.organizations().await?.is_empty() {
                tracing::warn!(
                    "there is no organization yet; make one with `loopiq init`, the server may stay up"
                );
            }
            let (url, listen, data) = (config.base(), config.listen, config.data.clone());
            let announce = move || tracing::info!(url, listen = %listen, data = %data.display(), "serving");
            serve(world, config, listener, announce).await
        })
    }
}

fn print_setting(setting: &Shown, as_json: bool) {
    let Shown { name, value, origin, help } = setting;
    if as_json {
        let origin = origin.to_string();
        cli::print(json!({ "name": name, "value": value, "origin": origin, "help": help }).to_string());
        return;
    }
    let value = if value.parse::<i64>().is_ok() { value.clone() } else { format!("{value:?}") };
    cli::print(format!("# {help}\n{name} = {value}  # {origin}\n"));
}

/// Binds the address.
///
/// # Errors
/// With the address, and a remedy for what is in the way.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => "Stop the process that uses it, or choose another address with --listen.",
            ErrorKind::PermissionDenied => {
                "Choose a port from 1024 on with --listen, behind a proxy if need be."
            }
            ErrorKind::AddrNotAvailable => "Choose an address of this machine with --listen.",
            _ => "Choose another address with --listen.",
        };
        let what = match error.kind() {
            ErrorKind::AddrInUse => "it is taken".to_owned(),
            _ => error.to_string(),
        };
        Failure::new(format!("cannot listen on {address}: {what}"), remedy).into()
    })
}

/// How often overdue actions are ended and waiting records written.
const JOBS_EVERY: Duration = Duration::from_secs(2);

/// How often the outbox is looked into.
const DELIVERIES_EVERY: Duration = Duration::from_secs(2);

/// Serves until the process is asked to stop, then lets running requests finish. `announce` is called when
/// requests, commands and signals are listened for.
///
/// # Errors
/// When signals cannot be listened for; when a part of the server broke, which is a bug.
pub async fn serve(
    world: World,
    config: Config,
    listener: TcpListener,
    announce: impl FnOnce(),
) -> anyhow::Result<()> {
    let tasks = web::Tasks::default();
    let grace = Duration::from_secs(config.shutdown_seconds_max);
    let (stop, stopped) = watch::channel(false);
    let app = wire::router(&world, &config, &tasks, stopped.clone())?;
    let bounds = Bounds {
        connections_max: config.connections_max,
        head_wait: Duration::from_secs(config.head_seconds_max),
    };
    // Tasks of their own, so that a long round of background work does not keep connections waiting.
    let mut running = JoinSet::new();
    running.spawn(connections::run(listener, app, bounds, stopped.clone()));
    running.spawn(jobs(world.clone(), stopped.clone()));
    // Of their own too: a receiver that does not answer must hold up nothing else.
    let post: Arc<dyn Post> = Arc::new(HttpPost::new(config.webhook_addresses)?);
    running.spawn(deliveries(world.clone(), post, stopped.clone()));
    // On a database of their own, commands need no serving process.
    if config.database_url.0.is_none()
        && let Some(commands) = commands(&config.data)
    {
        running.spawn(administration(commands, world.clone(), config.data.clone(), stopped));
    }
    let signal = signal().context("the signals to stop cannot be listened for")?;
    announce();
    let mut broken = false;
    let asked = async {
        signal.await;
        tracing::info!("stopping");
        stop.send_replace(true);
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        whole = ends(&mut running, &stop) => broken = !whole,
        () = asked => tracing::warn!("requests were still running at the end of the grace period"),
    }
    // Decisions that were under way reach their end although their browser may be gone.
    drop(tokio::time::timeout(grace, tasks.drain()).await);
    world.engine.flush_reads().await;
    let left = (world.engine.leave_jobs().await, world.engine.leave_deliveries().await);
    if let (Err(fault), _) | (_, Err(fault)) = left {
        tracing::warn!("could not give the background work to another node: {fault}");
    }
    if let Err(fault) = world.identity.flush().await {
        tracing::warn!("could not note when credentials were used: {fault}");
    }
    world.store.close().await;
    tracing::info!("stopped");
    if broken {
        let message = "the server has stopped because a part of it broke";
        return Err(Failure::new(message, "The log says which; start it again.").into());
    }
    Ok(())
}

/// Waits for all parts; when one breaks, the others are stopped. Whether none broke.
async fn ends(running: &mut JoinSet<()>, stop: &watch::Sender<bool>) -> bool {
    let mut whole = true;
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            tracing::error!("a part of the server broke: {error}");
            whole = false;
            stop.send_replace(true);
        }
    }
    whole
}

/// Background work until the stop is asked for.
async fn jobs(world: World, mut stopped: watch::Receiver<bool>) {
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

/// Deliveries to webhooks until the stop is asked for. What is under way then is delivered again by whoever goes on.
async fn deliveries(world: World, post: Arc<dyn Post>, mut stopped: watch::Receiver<bool>) {
    let mut timer = tokio::time::interval(DELIVERIES_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        let round = async {
            timer.tick().await;
            world.engine.deliver_once(&post).await
        };
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            done = round => if let Err(fault) = done {
                tracing::error!("deliveries to webhooks failed: {fault}");
            },
        }
    }
}

/// Where commands for this data folder come in. A folder whose path is too long for a socket is served all the same;
/// its commands then wait until the server is stopped.
fn commands(data: &Path) -> Option<UnixListener> {
    remote::listen(data)
        .inspect_err(|error| tracing::warn!("commands cannot reach this server while it runs: {error:#}"))
        .ok()
}

/// Runs commands for this data folder, until the stop is asked for.
async fn administration(
    commands: UnixListener,
    world: World,
    data: PathBuf,
    mut stopped: watch::Receiver<bool>,
) {
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        () = remote::serve(&commands, &world) => {}
    }
    remote::close(&data);
}

/// Listens for SIGTERM and Ctrl-C from now on; the future ends when one of them comes.
fn signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = unix::signal(SignalKind::terminate())?;
    let mut interrupt = unix::signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
