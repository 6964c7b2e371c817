//! Every HTTP surface of LoopIQ: the MCP endpoint, the HTTP API, the console, and what operators ask. Requests are
//! guarded (`front`), told who sends them (`access`), handed to the engine, and answered; what may not be is turned
//! into HTTP in `problem` alone. This crate sees no store: everything goes through the engine's one door.

mod access;
mod api;
mod assistant;
mod body;
pub mod connect;
mod console;
pub mod cookies;
mod download;
mod front;
mod guard;
mod mcp;
mod metrics;
mod oauth;
mod probes;
mod problem;
mod rate;
mod scim;
mod settings;
mod streams;
mod tasks;
mod telling;
mod trace;
mod well_known;

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use domain::id::Ids;
use domain::time::Clock;
use engine::Engine;
use identity::Identity;
use tokio::sync::watch;

pub use assistant::model;
pub use metrics::Gauge;
pub use settings::Settings;
pub use tasks::Tasks;

#[doc(hidden)]
pub use mcp::judge_bytes;

/// Asks whether what this process depends on answers, for `/readyz`.
pub type Ready = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// What the HTTP surfaces are made of.
pub struct Parts {
    pub engine: Engine,
    pub identity: Identity,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub settings: Settings,
    /// Kept by the caller too, who waits for it at shutdown.
    pub tasks: Tasks,
    /// True when the server stops: what would go on for as long as somebody looks at a page ends then.
    pub stopped: watch::Receiver<bool>,
    pub ready: Ready,
    /// Values of other parts that `/metrics` shows.
    pub gauges: Vec<Gauge>,
    /// Asks the language models of organizations that have chosen one.
    pub model: Arc<dyn model::Model>,
}

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct State(Arc<Shared>);

/// The one value behind every [`State`].
pub struct Shared {
    pub engine: Engine,
    pub identity: Identity,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub settings: Settings,
    pub tasks: Tasks,
    pub(crate) stopped: watch::Receiver<bool>,
    pub(crate) streams: streams::Streams,
    /// Answers that language models are writing.
    pub(crate) answers: streams::Streams,
    pub(crate) ready: Ready,
    pub(crate) gauges: Vec<Gauge>,
    pub(crate) model: Arc<dyn model::Model>,
    pub(crate) guard: guard::Guard,
    pub(crate) rate: rate::Rate,
    pub(crate) metrics: metrics::Metrics,
    pub(crate) mirrors: mcp::Mirrors,
    pub(crate) listings: mcp::Listings,
    /// Subscriptions of clients.
    pub(crate) listeners: streams::Streams,
}

impl Deref for State {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The whole service. The listener should hand in `ConnectInfo<SocketAddr>`, so that sign-in can be limited by
/// address.
pub fn router(mut parts: Parts) -> Router {
    let streams = streams::Streams::new(&parts.settings);
    let open = streams.clone();
    parts.gauges.push(Gauge {
        name: "loopiq_event_streams",
        help: "Console pages that follow changes.",
        read: Box::new(move || i64::try_from(open.count()).unwrap_or(i64::MAX)),
    });
    let listeners = streams::Streams::of(mcp::LISTENERS_PER_TOKEN_MAX, mcp::LISTENERS_MAX);
    let listening = listeners.clone();
    parts.gauges.push(Gauge {
        name: "loopiq_mcp_streams",
        help: "Streams of subscriptions that MCP clients have open.",
        read: Box::new(move || i64::try_from(listening.count()).unwrap_or(i64::MAX)),
    });
    let state = State(Arc::new(Shared {
        guard: guard::Guard::new(&parts.settings),
        streams,
        answers: streams::Streams::of(
            assistant::limits::ANSWERS_PER_SESSION_MAX,
            assistant::limits::ANSWERS_AT_ONCE_MAX,
        ),
        rate: rate::Rate::new(&parts.settings, parts.clock.clone()),
        metrics: metrics::Metrics::default(),
        mirrors: mcp::Mirrors::of_catalogue(),
        listings: mcp::Listings::new(parts.settings.base()),
        listeners,
        engine: parts.engine,
        identity: parts.identity,
        clock: parts.clock,
        ids: parts.ids,
        settings: parts.settings,
        tasks: parts.tasks,
        stopped: parts.stopped,
        ready: parts.ready,
        gauges: parts.gauges,
        model: parts.model,
    }));
    Router::new()
        .merge(console::router().layer(front::compress_assets()))
        .merge(mcp::router())
        .merge(api::router())
        .merge(oauth::router())
        .merge(scim::router())
        .merge(probes::router())
        .merge(well_known::router())
        .fallback(front::nothing_here)
        .method_not_allowed_fallback(front::wrong_method)
        .layer(front::catch_panics())
        .layer(from_fn_with_state(state.clone(), front::front))
        .with_state(state)
}
