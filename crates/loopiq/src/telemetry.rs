//! Logs to standard error, as text or JSON lines. Requests carry their request and trace id; secrets are never logged.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::{Config, LogFormat};

/// Libraries that write the values they are given when they are asked for details: these are not given that.
const TELLING: [&str; 1] = ["tokio_postgres"];

/// Starts logging for the life of the process.
pub fn start(config: &Config) {
    let mut filter = EnvFilter::try_new(&config.log.0).unwrap_or_else(|_| EnvFilter::new("info"));
    let quiet = filter.max_level_hint().is_some_and(|level| level < LevelFilter::INFO);
    let telling = TELLING.iter().filter(|_| !quiet);
    for directive in telling.filter_map(|library| format!("{library}=info").parse().ok()) {
        filter = filter.add_directive(directive);
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match config.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
