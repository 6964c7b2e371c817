//! Puts the parts together: store, identity, engine, web. Decides nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Context as _;
use domain::org::OrgSettings;
use engine::Engine;
use identity::Identity;
use store::{Entropy as _, Store};
use tokio::sync::watch;

use crate::cli::Failure;
use crate::config::{Addresses, Config};
use crate::model::HttpModel;
use crate::outbound::Outbound;
use crate::system::{SystemClock, SystemEntropy, SystemIds};

/// The running parts, without a network.
#[derive(Clone)]
pub struct World {
    pub store: Store,
    pub identity: Identity,
    pub engine: Engine,
}

/// Opens the data folder, or connects to the database, and builds everything on it.
///
/// # Errors
/// When the storage cannot be used, saying why and what to do.
pub async fn open(config: &Config) -> anyhow::Result<World> {
    let store = if let Some(settings) = config.postgres()? {
        Store::connect(settings, Arc::new(SystemEntropy)).await
    } else {
        let mut settings = store::Config::new(&config.data);
        settings.writer_threads = config.writer_threads;
        settings.open_readers_max = config.open_readers_max;
        settings.open_writers_max = config.open_writers_max;
        settings.bucket = config.bucket()?;
        Store::open(settings, Arc::new(SystemEntropy)).await
    };
    let store = store.map_err(explain)?;
    let identity = Identity::new(identity::Parts {
        store: store.clone(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        entropy: Arc::new(SystemEntropy),
        fetch: Arc::new(Outbound::for_identity(config.identity_addresses)?),
        settings: identity::Settings {
            session_idle_seconds: config.session_idle_seconds,
            session_absolute_seconds: config.session_absolute_seconds,
            sign_in_failures_max: config.sign_in_failures_max,
            sign_in_failures_per_address_max: config.sign_in_failures_per_address_max,
            token_days_default: config.token_days_default,
            token_days_max: config.token_days_max,
            public_url: config.base(),
            access_token_seconds: config.access_token_seconds,
            new_organization: OrgSettings {
                approval_expiry_seconds: config.approval_expiry_seconds,
                execution_expiry_seconds: config.execution_expiry_seconds,
                ..OrgSettings::default()
            },
        },
    });
    let mut fresh = [0; 32];
    SystemEntropy.fill(&mut fresh);
    let engine = Engine::new(engine::Parts {
        store: store.clone(),
        identity: identity.clone(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        cursor_key: store.directory().secret("cursor", fresh).await.map_err(explain)?,
        settings: engine::Settings {
            public_url: config.base(),
            page_size_default: config.page_size_default,
            page_size_max: config.page_size_max,
            webhooks_anywhere: config.webhook_addresses == Addresses::Any,
            identity_anywhere: config.identity_addresses == Addresses::Any,
            models_anywhere: config.model_addresses == Addresses::Any,
            sealing_key: config.sealing_key()?,
            webhook_retry_seconds: config.webhook_retry_seconds.0.clone(),
        },
    });
    Ok(World { store, identity, engine })
}

/// Whether a data folder could not be opened because another process has it open.
pub fn in_use(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(store::Fault::DataFolderInUse { .. })))
}

/// The fault with what to do about it.
fn explain(fault: store::Fault) -> anyhow::Error {
    let remedy = match &fault {
        store::Fault::DataFolderInUse { .. } => {
            "Stop the other process, or choose another folder with --data."
        }
        store::Fault::NotWritable { .. } => {
            "Give the user of this process the right to write there, or choose another folder with --data."
        }
        store::Fault::NewerSchema { .. } => "Start the newer program, or restore a backup made by this one.",
        store::Fault::NotMigrated { .. } => {
            "Run `loopiq migrate` with the URL of the role that owns the tables, then start again."
        }
        store::Fault::UnsafeRole { .. } => {
            "Serve under a role of its own, to which `loopiq migrate --grant-to ROLE` has given what serving needs."
        }
        store::Fault::BadUrl => "Write it as postgres://user@host:port/database?sslmode=verify-full.",
        store::Fault::Evidence { .. } => {
            "Check evidence_url, evidence_endpoint, evidence_region and the keys: the bucket must be there, and the key \
             must allow listing, reading and writing."
        }
        store::Fault::Open { .. } => "Check that the database answers under that address, name and role.",
        _ => "Look at the cause; a backup can be restored with `loopiq restore`.",
    };
    let failure = Failure::new("the storage cannot be opened", remedy);
    anyhow::Error::new(fault).context(failure)
}

/// The fault of a migration with what to do about it.
pub fn explain_migration(fault: store::Fault, role: &str) -> anyhow::Error {
    let remedy = match &fault {
        store::Fault::NewerSchema { .. } => "Use the newer program.".to_owned(),
        store::Fault::ChangedMigration { .. } => "Use the program that applied it.".to_owned(),
        store::Fault::BadUrl => {
            "Write it as postgres://user@host:port/database?sslmode=verify-full.".to_owned()
        }
        _ => format!(
            "Check that the database answers, that this role owns the schema public, and that the role {role} exists \
             (create role {role} login)."
        ),
    };
    anyhow::Error::new(fault).context(Failure::new("the schema cannot be brought up to date", remedy))
}

/// The HTTP service over the parts. `stopped` tells it when the server stops.
pub fn router(
    world: &World,
    config: &Config,
    tasks: &web::Tasks,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<axum::Router> {
    let store = world.store.clone();
    let ready: web::Ready = Arc::new(move || {
        let directory = store.directory();
        Box::pin(async move { directory.organizations().await.is_ok() })
            as Pin<Box<dyn Future<Output = bool> + Send>>
    });
    let queue = world.store.clone();
    let gauges = vec![web::Gauge {
        name: "loopiq_writer_queue_length",
        help: "Writes that wait for their commit.",
        read: Box::new(move || queue.queue_length() as i64),
    }];
    Ok(web::router(web::Parts {
        engine: world.engine.clone(),
        identity: world.identity.clone(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        settings: web::Settings {
            public_url: config.base(),
            listen_is_loopback: config.listen.ip().is_loopback(),
            allowed_hosts: config.allowed_hosts.clone(),
            allowed_origins: config.allowed_origins.clone(),
            mcp_body_bytes_max: config.mcp_body_bytes_max,
            evidence_bytes_max: config.evidence_bytes_max,
            json_depth_max: config.json_depth_max,
            calls_per_minute: config.calls_per_minute,
            writes_per_minute: config.writes_per_minute,
            evidence_files_max: config.evidence_files_max,
            body_seconds_max: config.body_seconds_max,
            evidence_seconds_max: config.evidence_seconds_max,
            streams_max: config.streams_max,
            streams_per_session_max: config.streams_per_session_max,
            ..web::Settings::default()
        },
        tasks: tasks.clone(),
        stopped,
        ready,
        gauges,
        model: Arc::new(HttpModel::new(config.model_addresses)?),
    }))
}

/// Runs a future on the runtime the binary uses.
///
/// # Errors
/// What the future returns.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?
        .block_on(work)
}
