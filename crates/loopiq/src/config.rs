//! The whole configuration as one documented list. A value comes from a flag, else from `LOOPIQ_…` in the environment,
//! else from the TOML file, else from its default; what cannot be read is refused with its origin. Add a setting: one
//! line in the list below, and where it is used in `wire.rs`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tracing_subscriber::EnvFilter;

/// A setting that cannot be used, and where it came from.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{origin}: {problem}")]
    Value { origin: Origin, problem: String, help: &'static str },
    #[error("{name} in {path} does not name a setting")]
    Unknown { name: String, path: String },
    #[error("the configuration file {path} cannot be read: {problem}")]
    File { path: String, problem: String },
    #[error("the file {path} cannot be read: {problem}")]
    Password { path: String, problem: String },
    #[error("public_url must be set to listen on {0}, which others can reach")]
    Unnamed(SocketAddr),
    /// Values that are good by themselves and not together.
    #[error("{0}")]
    Together(&'static str),
}

impl ConfigError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            ConfigError::Value { help, .. } => format!("The setting is: {help}"),
            ConfigError::Unknown { .. } => "`loopiq serve --print-config` lists all settings.".into(),
            ConfigError::File { .. } => "Check the path, and that it is TOML.".into(),
            ConfigError::Password { .. } => {
                "Check the setting that names it, and that this user may read the file.".into()
            }
            ConfigError::Unnamed(_) => {
                "Set --public-url or LOOPIQ_PUBLIC_URL to the address people and clients use; links and the check of \
                 the host name depend on it."
                    .into()
            }
            ConfigError::Together(_) => {
                "`loopiq serve --print-config` shows each value with its origin.".into()
            }
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Flag(String),
    Environment(String),
    File { name: String, path: String },
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Flag(flag) => write!(f, "--{flag} from the command line"),
            Origin::Environment(variable) => write!(f, "{variable} from the environment"),
            Origin::File { name, path } => write!(f, "{name} from the file {path}"),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// One setting as `--print-config` shows it.
pub struct Shown {
    pub name: &'static str,
    pub value: String,
    pub origin: Origin,
    pub help: &'static str,
}

/// Where values come from.
pub struct Sources<'a> {
    pub flags: BTreeMap<&'static str, String>,
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    pub file: Option<(String, toml::Table)>,
}

/// A kind of value that can be read from text.
trait Kind: Sized {
    fn read(text: &str) -> Result<Self, String>;

    /// The text as it may be shown to whoever prints the configuration.
    fn shown(text: String) -> String {
        text
    }
}

macro_rules! numbers {
    ($($kind:ty),*) => {$(
        impl Kind for $kind {
            fn read(text: &str) -> Result<$kind, String> {
                text.parse().map_err(|_| "not a number that fits here".to_owned())
            }
        }
    )*};
}
numbers!(usize, u32, u64, i64);

impl Kind for PathBuf {
    fn read(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() { Err("empty".into()) } else { Ok(text.into()) }
    }
}

impl Kind for SocketAddr {
    fn read(text: &str) -> Result<SocketAddr, String> {
        let text = text
            .strip_prefix("localhost:")
            .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        text.parse().map_err(|_| "not an IP address with a port, such as 127.0.0.1:8484".to_owned())
    }
}

/// Names separated by commas; in the file also a list.
impl Kind for Vec<String> {
    fn read(text: &str) -> Result<Vec<String>, String> {
        Ok(text.split(',').map(str::trim).filter(|e| !e.is_empty()).map(str::to_owned).collect())
    }
}

/// The base URL of the server as others reach it; empty when not set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PublicUrl(String);

impl Kind for PublicUrl {
    fn read(text: &str) -> Result<PublicUrl, String> {
        let trimmed = text.trim_end_matches('/');
        if trimmed.is_empty() {
            return Ok(PublicUrl::default());
        }
        let rest = trimmed.strip_prefix("https://").or_else(|| trimmed.strip_prefix("http://"));
        match rest {
            None => Err("does not begin with https:// or http://".into()),
            Some(host) if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) => {
                Err("must be a scheme, a host and perhaps a port, without a path".into())
            }
            Some(_) => Ok(PublicUrl(trimmed.to_owned())),
        }
    }
}

/// A file that may be named; empty when none is.
impl Kind for Option<PathBuf> {
    fn read(text: &str) -> Result<Option<PathBuf>, String> {
        Ok((!text.is_empty()).then(|| text.into()))
    }
}

/// Where a PostgreSQL database is; empty for the embedded engine. Not `Debug` and never shown whole: it may hold a
/// password.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DatabaseUrl(pub Option<String>);

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DatabaseUrl").field(&self.0.clone().map(DatabaseUrl::shown)).finish()
    }
}

impl Kind for DatabaseUrl {
    fn read(text: &str) -> Result<DatabaseUrl, String> {
        if text.is_empty() {
            return Ok(DatabaseUrl::default());
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err("does not begin with postgres://".into());
        }
        Ok(DatabaseUrl(Some(text.to_owned())))
    }

    fn shown(text: String) -> String {
        // The last @ ends the user's part, because what follows it cannot contain one.
        let hidden = text.rsplit_once('@').and_then(|(user, place)| {
            let (scheme, user) = user.split_once("://")?;
            let (name, _) = user.split_once(':')?;
            Some(format!("{scheme}://{name}:…@{place}"))
        });
        let shown = hidden.unwrap_or(text);
        match shown.split_once("password=") {
            Some((before, _)) => format!("{before}password=…"),
            None => shown,
        }
    }
}

impl Kind for String {
    fn read(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Kind for Secret {
    fn read(text: &str) -> Result<Secret, String> {
        Ok(Secret(text.to_owned()))
    }

    fn shown(text: String) -> String {
        if text.is_empty() { text } else { "…".into() }
    }
}

/// Where a bucket is; empty for the data folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EvidenceUrl(pub String);

impl Kind for EvidenceUrl {
    fn read(text: &str) -> Result<EvidenceUrl, String> {
        match text.strip_prefix("s3://") {
            Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '@', ' ']) => {
                Ok(EvidenceUrl(text.to_owned()))
            }
            None if text.is_empty() => Ok(EvidenceUrl::default()),
            _ => Err("must be s3://bucket or s3://bucket/folder".into()),
        }
    }
}

/// Base URL of a storage service; empty for AWS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EvidenceEndpoint(pub String);

impl Kind for EvidenceEndpoint {
    fn read(text: &str) -> Result<EvidenceEndpoint, String> {
        let known = text.is_empty() || text.starts_with("https://") || text.starts_with("http://");
        if known && !text.contains('@') {
            return Ok(EvidenceEndpoint(text.trim_end_matches('/').to_owned()));
        }
        Err("must be a scheme, a host and perhaps a port, without a name or password".into())
    }
}

/// Which log lines are written, in the words of `tracing`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(pub String);

impl Kind for LogFilter {
    fn read(text: &str) -> Result<LogFilter, String> {
        let known = EnvFilter::try_new(text).is_ok() && !text.trim().is_empty();
        // A misspelt level is taken for the name of a module; a single word must be a level.
        let word = text.chars().all(|c| c.is_ascii_alphabetic());
        let level =
            ["off", "error", "warn", "info", "debug", "trace"].contains(&text.to_lowercase().as_str());
        if known && (!word || level) {
            Ok(LogFilter(text.to_owned()))
        } else {
            Err("not a log level or filter".into())
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Kind for LogFormat {
    fn read(text: &str) -> Result<LogFormat, String> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("must be text or json".into()),
        }
    }
}

/// Where addresses that come from people may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    Public,
    Any,
}

impl Kind for Addresses {
    fn read(text: &str) -> Result<Addresses, String> {
        match text {
            "public" => Ok(Addresses::Public),
            "any" => Ok(Addresses::Any),
            _ => Err("must be public or any".into()),
        }
    }
}

/// Seconds to wait, one time after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waits(pub Vec<i64>);

impl Kind for Waits {
    fn read(text: &str) -> Result<Waits, String> {
        let one = |part: &str| part.trim().parse().ok().filter(|wait| (0..=WAIT_SECONDS_MAX).contains(wait));
        let waits: Option<Vec<i64>> =
            text.split(',').filter(|part| !part.trim().is_empty()).map(one).collect();
        waits.filter(|waits| waits.len() <= WAITS_MAX).map(Waits).ok_or_else(|| {
            format!("must be at most {WAITS_MAX} numbers of 0 to {WAIT_SECONDS_MAX}, separated by commas")
        })
    }
}

/// The most waits there may be, and a week.
const WAITS_MAX: usize = 20;
const WAIT_SECONDS_MAX: i64 = 604_800;

macro_rules! settings {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ty = $default:literal $(in $range:expr)?;)*) => {
        /// Every setting.
        #[derive(Debug, Clone)]
        pub struct Config { $($(#[doc = $help])+ pub $name: $kind,)* }

        impl Config {
            const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            fn read_all(sources: &Sources<'_>) -> Result<(Config, Vec<Shown>), ConfigError> {
                let mut shown = Vec::new();
                $(
                    let help = concat!($($help),+).trim();
                    let (value, origin) = find(stringify!($name), $default, help, sources)?;
                    let read = <$kind>::read(&value);
                    $(let read = read.and_then(|value| within(value, $range));)?
                    let $name: $kind = match read {
                        Ok(value) => value,
                        Err(problem) => return Err(ConfigError::Value { origin, problem, help }),
                    };
                    shown.push(Shown { name: stringify!($name), value: <$kind>::shown(value), origin, help });
                )*
                Ok((Config { $($name),* }, shown))
            }
        }
    };
}

fn within<T: PartialOrd + std::fmt::Display>(
    value: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, String> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(format!("must be {} to {}", range.start(), range.end()))
}

fn find(
    name: &'static str,
    default: &str,
    help: &'static str,
    sources: &Sources<'_>,
) -> Result<(String, Origin), ConfigError> {
    if let Some(value) = sources.flags.get(name) {
        return Ok((value.clone(), Origin::Flag(name.replace('_', "-"))));
    }
    let variable = format!("LOOPIQ_{}", name.to_uppercase());
    if let Some(value) = (sources.environment)(&variable) {
        return Ok((value, Origin::Environment(variable)));
    }
    let stored = sources.file.as_ref().and_then(|(path, table)| Some((path, table.get(name)?)));
    let Some((path, value)) = stored else {
        return Ok((default.to_owned(), Origin::Default));
    };
    let origin = Origin::File { name: name.to_owned(), path: path.clone() };
    let plain = |value: &toml::Value| match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        _ => None,
    };
    let text = match value {
        toml::Value::Array(list) => {
            list.iter().map(plain).collect::<Option<Vec<_>>>().map(|entries| entries.join(","))
        }
        one => plain(one),
    };
    match text {
        Some(text) => Ok((text, origin)),
        None => Err(ConfigError::Value { origin, problem: "must be a text or a whole number".into(), help }),
    }
}

/// What a file holds, without the end of its line.
fn secret_in(path: &Path) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path);
    text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|e| ConfigError::Password { path: path.display().to_string(), problem: e.to_string() })
}

/// Ten years.
const SECONDS_MAX: i64 = 316_224_000;

settings! {
    /// Folder of everything that is stored; with a database URL, of the evidence bytes, the same for all nodes.
    data: PathBuf = "loopiq-data";
    /// PostgreSQL database (postgres://user@host/name?sslmode=verify-full); empty: embedded storage in the data folder.
    database_url: DatabaseUrl = "";
    /// File with the password of the database role, so that it is not in the URL.
    database_password_file: Option<PathBuf> = "";
    /// Bucket of an S3-compatible service for evidence bytes (s3://bucket or s3://bucket/folder); empty: the data folder.
    evidence_url: EvidenceUrl = "";
    /// Base URL of that service when it is not AWS, for example `https://minio.example.com`.
    evidence_endpoint: EvidenceEndpoint = "";
    /// Region of the bucket.
    evidence_region: String = "us-east-1";
    /// Key for the bucket; empty: what the machine has been given by its cloud.
    evidence_access_key_id: String = "";
    /// Secret of that key.
    evidence_secret_access_key: Secret = "";
    /// File with the secret of that key.
    evidence_secret_access_key_file: Option<PathBuf> = "";
    /// Connections of this node to the database.
    database_connections_max: usize = "16" in 2..=1_000;
    /// IP address and port to listen on, for example 127.0.0.1:8484; port 0 takes a free one.
    listen: SocketAddr = "127.0.0.1:8484";
    /// Base URL under which people and clients reach this server; empty: http:// and the listening address.
    public_url: PublicUrl = "";
    /// Further host names to answer to, separated by commas.
    allowed_hosts: Vec<String> = "";
    /// Further origins (scheme, host and port) whose pages may call, separated by commas.
    allowed_origins: Vec<String> = "";
    /// Log level (error, warn, info, debug, trace, off), or a filter such as web=debug,info.
    log: LogFilter = "info";
    /// Form of log lines: text or json.
    log_format: LogFormat = "text";
    /// Connections open at the same time; more wait to be accepted.
    connections_max: usize = "1024" in 1..=100_000;
    /// Console pages that may follow changes at the same time; each holds a connection.
    streams_max: usize = "512" in 0..=100_000;
    /// Console pages of one session that may follow changes at the same time.
    streams_per_session_max: usize = "12" in 1..=1_000;
    /// Seconds for the head of a request, and seconds an idle connection is kept.
    head_seconds_max: u64 = "60" in 1..=3_600;
    /// Threads that commit; with a database URL, connections that do.
    writer_threads: usize = "4" in 1..=64;
    /// Read-only database connections kept open.
    open_readers_max: usize = "64" in 1..=4096;
    /// Writing database connections kept open.
    open_writers_max: usize = "64" in 1..=4096;
    /// Bytes of one MCP message, and of one JSON body of the HTTP API.
    mcp_body_bytes_max: usize = "1048576" in 1024..=1_073_741_824;
    /// Bytes of one evidence upload.
    evidence_bytes_max: usize = "67108864" in 1024..=1_073_741_824;
    /// Files of one evidence upload.
    evidence_files_max: usize = "50" in 1..=10_000;
    /// Levels of nesting of a JSON message.
    json_depth_max: usize = "64" in 4..=128;
    /// Requests a minute per credential; 0 for no limit.
    calls_per_minute: u32 = "1000";
    /// Calls of writing tools a minute per credential; 0 for no limit.
    writes_per_minute: u32 = "120";
    /// Seconds in which the body of a message must have arrived.
    body_seconds_max: u64 = "30" in 1..=3_600;
    /// Seconds in which an evidence upload must have arrived.
    evidence_seconds_max: u64 = "600" in 1..=86_400;
    /// Items on a page when a caller names no limit.
    page_size_default: u32 = "25" in 1..=1_000;
    /// The most items on a page.
    page_size_max: u32 = "100" in 1..=1_000;
    /// Seconds without a request after which a browser session ends.
    session_idle_seconds: i64 = "28800" in 60..=SECONDS_MAX;
    /// Seconds after which a browser session ends whatever happens.
    session_absolute_seconds: i64 = "604800" in 60..=SECONDS_MAX;
    /// Failed sign-ins in a quarter of an hour per e-mail; 0 for no limit.
    sign_in_failures_max: u32 = "10";
    /// Failed sign-ins in a quarter of an hour per network address; 0 for no limit.
    sign_in_failures_per_address_max: u32 = "50";
    /// Days a bearer token lives when none are asked for.
    token_days_default: i64 = "90" in 1..=365;
    /// The most days a bearer token may live.
    token_days_max: i64 = "365" in 1..=365;
    /// Seconds a proposed action waits for its approval, in organizations made from now on.
    approval_expiry_seconds: i64 = "86400" in 300..=604_800;
    /// Seconds an approved action may wait for its execution, in organizations made from now on.
    execution_expiry_seconds: i64 = "3600" in 60..=604_800;
    /// Seconds an access token of a connected client is good for.
    access_token_seconds: i64 = "3600" in 60..=86_400;
    /// Where webhooks may go: public (by https to public addresses), or any (also by http, and inside private networks).
    webhook_addresses: Addresses = "public";
    /// Where identity providers and documents of clients may be: public (by https at public addresses), or any (also by http,
    /// and inside private networks).
    identity_addresses: Addresses = "public";
    /// Where language models may be: public (by https at public addresses), or any (also by http, and inside private networks,
    /// as local servers are).
    model_addresses: Addresses = "public";
    /// File with a secret, the same for all nodes, that keys of language models are sealed with; empty: only with one that lies in
    /// the database beside them.
    sealing_key_file: Option<PathBuf> = "";
    /// Seconds before each further try of a delivery to a webhook, separated by commas; after the last it is given up.
    webhook_retry_seconds: Waits = "5,300,1800,7200,18000,36000,50400,72000,86400";
    /// Seconds that running requests get to finish at shutdown.
    shutdown_seconds_max: u64 = "10" in 0..=3_600;
}

/// Reads the TOML file of `--config`.
///
/// # Errors
/// [`ConfigError::File`].
pub fn read_file(path: &Path) -> Result<(String, toml::Table), ConfigError> {
    let shown = path.display().to_string();
    let fail = |problem: String| ConfigError::File { path: shown.clone(), problem };
    let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
    let table = text.parse().map_err(|e: toml::de::Error| fail(e.message().to_owned()))?;
    Ok((shown, table))
}

impl Config {
    /// Reads every setting from its first source.
    ///
    /// # Errors
    /// [`ConfigError`] naming the setting and the origin of the bad value.
    pub fn load(sources: &Sources<'_>) -> Result<(Config, Vec<Shown>), ConfigError> {
        if let Some((path, table)) = &sources.file
            && let Some(name) = table.keys().find(|key| !Self::NAMES.contains(&key.as_str()))
        {
            return Err(ConfigError::Unknown { name: name.clone(), path: path.clone() });
        }
        let (config, shown) = Self::read_all(sources)?;
        if config.page_size_default > config.page_size_max {
            return Err(ConfigError::Together("page_size_default is more than page_size_max"));
        }
        if config.token_days_default > config.token_days_max {
            return Err(ConfigError::Together("token_days_default is more than token_days_max"));
        }
        if config.session_idle_seconds > config.session_absolute_seconds {
            return Err(ConfigError::Together("session_idle_seconds is more than session_absolute_seconds"));
        }
        Ok((config, shown))
    }

    /// How to reach the PostgreSQL database, when one is named.
    ///
    /// # Errors
    /// [`ConfigError::Password`] when the password's file cannot be read.
    pub fn postgres(&self) -> Result<Option<store::PostgresConfig>, ConfigError> {
        let Some(url) = self.database_url.0.clone() else { return Ok(None) };
        let password = self.database_password_file.as_deref().map(secret_in);
        Ok(Some(store::PostgresConfig {
            url,
            password: password.transpose()?,
            blobs_dir: self.data.clone(),
            bucket: self.bucket()?,
            committers: self.writer_threads.min(self.database_connections_max),
            connections_max: self.database_connections_max,
        }))
    }

    /// The bucket for evidence bytes, when one is named.
    ///
    /// # Errors
    /// [`ConfigError::Password`] when the secret's file cannot be read.
    pub fn bucket(&self) -> Result<Option<store::Bucket>, ConfigError> {
        if self.evidence_url.0.is_empty() {
            return Ok(None);
        }
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let secret = match self.evidence_secret_access_key_file.as_deref() {
            Some(path) => Some(secret_in(path)?),
            None => given(&self.evidence_secret_access_key.0),
        };
        Ok(Some(store::Bucket {
            url: self.evidence_url.0.clone(),
            endpoint: given(&self.evidence_endpoint.0),
            region: self.evidence_region.clone(),
            access_key_id: given(&self.evidence_access_key_id),
            secret_access_key: secret,
        }))
    }

    /// What the operator gives to seal keys with; empty when nothing.
    ///
    /// # Errors
    /// [`ConfigError::Password`] when the file cannot be read.
    pub fn sealing_key(&self) -> Result<Vec<u8>, ConfigError> {
        let read = self.sealing_key_file.as_deref().map(secret_in).transpose()?;
        Ok(read.unwrap_or_default().into_bytes())
    }

    /// The public URL, without a trailing slash.
    pub fn base(&self) -> String {
        if self.public_url.0.is_empty() {
            format!("http://{}", self.listen)
        } else {
            self.public_url.0.clone()
        }
    }

    /// Refuses to listen where others can reach it without knowing by which address they do: links, metadata and the
    /// check of the host depend on it.
    ///
    /// # Errors
    /// [`ConfigError::Unnamed`].
    pub fn check_reachable(&self) -> Result<(), ConfigError> {
        if self.listen.ip().is_loopback() || !self.public_url.0.is_empty() {
            return Ok(());
        }
        Err(ConfigError::Unnamed(self.listen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        flags: &[(&'static str, &str)],
        environment: &[(&str, &str)],
        file: &str,
    ) -> Result<(Config, Vec<Shown>), ConfigError> {
        let environment =
            |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Config::load(&Sources {
            flags: flags.iter().map(|(n, v)| (*n, (*v).to_owned())).collect(),
            environment: &environment,
            file: Some(("loopiq.toml".into(), file.parse().unwrap())),
        })
    }

    #[test]
    fn the_first_source_wins_and_is_named() {
        let file = "calls_per_minute = 5\npage_size_max = 30\nlog = 'debug'\nallowed_hosts = ['a', 'b']";
        let environment = [("LOOPIQ_CALLS_PER_MINUTE", "6"), ("LOOPIQ_LOG", "warn")];
        let (config, shown) = load(&[("log", "error")], &environment, file).unwrap();
        assert_eq!((config.calls_per_minute, config.page_size_max), (6, 30));
        assert_eq!((config.log.0.as_str(), config.allowed_hosts.len()), ("error", 2));
        let origin = |name| shown.iter().find(|s| s.name == name).unwrap().origin.to_string();
        assert_eq!(origin("log"), "--log from the command line");
        assert_eq!(origin("calls_per_minute"), "LOOPIQ_CALLS_PER_MINUTE from the environment");
        assert_eq!(origin("page_size_max"), "page_size_max from the file loopiq.toml");
        assert_eq!(origin("listen"), "default");
    }

    #[test]
    fn bad_values_and_unknown_names_are_refused_with_their_origin() {
        let error =
            |environment: &[(&str, &str)], file| load(&[], environment, file).err().unwrap().to_string();
        assert_eq!(
            error(&[("LOOPIQ_MCP_BODY_BYTES_MAX", "many")], ""),
            "LOOPIQ_MCP_BODY_BYTES_MAX from the environment: not a number that fits here"
        );
        assert_eq!(
            error(&[], "page_size_max = 0"),
            "page_size_max from the file loopiq.toml: must be 1 to 1000"
        );
        assert!(error(&[], "page_size_max = true").contains("whole number"));
        assert!(error(&[], "page_size_max = 5").contains("page_size_default is more"));
        assert!(error(&[], "calls_per_minut = 1").contains("calls_per_minut in loopiq.toml"));
        for (name, value) in [
            ("LOOPIQ_LISTEN", "8484"),
            ("LOOPIQ_PUBLIC_URL", "loopiq.example.com"),
            ("LOOPIQ_PUBLIC_URL", "https://loopiq.example.com/app"),
            ("LOOPIQ_LOG", "infos"),
            ("LOOPIQ_LOG_FORMAT", "xml"),
            ("LOOPIQ_DATA", ""),
            ("LOOPIQ_DATABASE_URL", "mysql://somewhere"),
        ] {
            assert!(error(&[(name, value)], "").starts_with(name), "{name}={value}");
        }
    }

    #[test]
    fn the_password_of_the_database_is_never_shown() {
        for url in [
            "postgres://loopiq:s3cret@db.example/loopiq",
            "postgres://loopiq:s3cr@et@db.example/loopiq?sslmode=require",
            "postgres://db.example/loopiq?user=loopiq&password=s3cret",
        ] {
            let (config, shown) = load(&[("database_url", url)], &[], "").unwrap();
            let shown = &shown.iter().find(|s| s.name == "database_url").unwrap().value;
            assert!(shown.contains("db.example") && !shown.contains("s3cr"), "{shown}");
            assert!(!format!("{config:?}").contains("s3cr"));
            assert_eq!(config.postgres().unwrap().unwrap().url, url);
        }
    }

    #[test]
    fn listening_for_others_needs_an_address_for_them() {
        let (config, _) = load(&[("listen", "0.0.0.0:80")], &[], "").unwrap();
        assert!(config.check_reachable().unwrap_err().to_string().contains("0.0.0.0:80"));
        let (config, _) =
            load(&[("listen", "0.0.0.0:80"), ("public_url", "https://a.example/")], &[], "").unwrap();
        config.check_reachable().unwrap();
        assert_eq!(config.base(), "https://a.example");
        let (config, _) = load(&[("listen", "localhost:81")], &[], "").unwrap();
        assert_eq!(config.base(), "http://127.0.0.1:81");
    }
}
