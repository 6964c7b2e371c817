//! The whole configuration as one documented list. A value comes from a flag, else from `LOOPIQ_…` in the environment,
//! else from the TOML file, else from its default; what cannot be read is refused with its origin.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A value that cannot be used, and where it came from.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{name} from {origin}: {problem}\nremedy: {help}")]
    Value { name: &'static str, origin: String, problem: String, help: &'static str },
    #[error("{0} does not name a setting\nremedy: `loopiq serve --print-config` lists them all")]
    Unknown(String),
    #[error(
        "the configuration file {path} cannot be read: {problem}\nremedy: check the path and that it is TOML"
    )]
    File { path: String, problem: String },
}

/// One setting as `--print-config` shows it.
#[derive(Debug)]
pub struct Shown {
    pub name: &'static str,
    pub value: String,
    pub origin: String,
    pub help: &'static str,
}

/// Where values come from.
pub struct Sources<'a> {
    pub flags: BTreeMap<&'static str, String>,
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    pub file: Option<(String, toml::Table)>,
}

macro_rules! settings {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ty = $default:expr;)*) => {
        /// Every setting.
        #[derive(Debug, Clone)]
        pub struct Config { $($(#[doc = $help])+ pub $name: $kind,)* }

        impl Config {
            const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// Reads every setting from its first source.
            ///
            /// # Errors
            /// [`ConfigError`] naming the setting and the origin of the bad value.
            pub fn load(sources: &Sources<'_>) -> Result<(Config, Vec<Shown>), ConfigError> {
                if let Some((path, table)) = &sources.file
                    && let Some(unknown) = table.keys().find(|k| !Self::NAMES.contains(&k.as_str()))
                {
                    return Err(ConfigError::Unknown(format!("{unknown} in {path}")));
                }
                let mut shown = Vec::new();
                $(
                    let help = concat!($($help),+).trim();
                    let (value, origin) = find(stringify!($name), sources)
                        .unwrap_or_else(|| (String::from($default), "default".to_owned()));
                    let $name: $kind = read(stringify!($name), &value, &origin, help)?;
                    shown.push(Shown { name: stringify!($name), value, origin, help });
                )*
                Ok((Config { $($name),* }, shown))
            }
        }
    };
}

fn find(name: &'static str, sources: &Sources<'_>) -> Option<(String, String)> {
    if let Some(value) = sources.flags.get(name) {
        return Some((value.clone(), format!("flag --{}", name.replace('_', "-"))));
    }
    let variable = format!("LOOPIQ_{}", name.to_uppercase());
    if let Some(value) = (sources.environment)(&variable) {
        return Some((value, format!("environment {variable}")));
    }
    let (path, table) = sources.file.as_ref()?;
    let value = table.get(name)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some((text, format!("file {path}")))
}

fn read<T: FromStr>(
    name: &'static str,
    value: &str,
    origin: &str,
    help: &'static str,
) -> Result<T, ConfigError>
where
    T::Err: Display,
{
    value.parse().map_err(|error: T::Err| ConfigError::Value {
        name,
        origin: origin.to_owned(),
        problem: error.to_string(),
        help,
    })
}

settings! {
    /// Folder of everything that is stored.
    data: PathBuf = "loopiq-data";
    /// Address and port to listen on, for example 127.0.0.1:8484.
    listen: SocketAddr = "127.0.0.1:8484";
    /// Base URL under which people and clients reach this server; empty: http:// and the listening address.
    public_url: String = "";
    /// Further host names to answer to, separated by commas.
    allowed_hosts: String = "";
    /// Further origins whose pages may call, separated by commas.
    allowed_origins: String = "";
    /// Log level: error, warn, info, debug or trace, or a filter like `web=debug,info`.
    log: String = "info";
    /// Log form: text or json.
    log_format: LogFormat = "text";
    /// Threads that commit.
    writer_threads: usize = "4";
    /// Read-only database connections kept open.
    open_readers_max: usize = "64";
    /// Writing database connections kept open.
    open_writers_max: usize = "64";
    /// Bytes of one MCP message.
    mcp_body_bytes_max: usize = "1048576";
    /// Bytes of one evidence upload.
    evidence_bytes_max: usize = "67108864";
    /// Levels of nesting of a JSON message.
    json_depth_max: usize = "64";
    /// Calls a minute per credential; 0 for no limit.
    calls_per_minute: u32 = "1000";
    /// Write calls a minute per credential; 0 for no limit.
    writes_per_minute: u32 = "120";
    /// Items on a page when a caller names no limit.
    page_size_default: u32 = "25";
    /// The most items on a page.
    page_size_max: u32 = "100";
    /// Seconds without a request after which a browser session ends.
    session_idle_seconds: i64 = "28800";
    /// Seconds after which a browser session ends whatever happens.
    session_absolute_seconds: i64 = "604800";
    /// Failed sign-ins in a quarter of an hour, per e-mail and per address.
    sign_in_failures_max: u32 = "10";
    /// Seconds that running requests get to finish at shutdown.
    shutdown_seconds_max: u64 = "10";
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<LogFormat, &'static str> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("must be text or json"),
        }
    }
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
    /// The public URL, without a trailing slash.
    pub fn base(&self) -> String {
        if self.public_url.is_empty() {
            format!("http://{}", self.listen)
        } else {
            self.public_url.trim_end_matches('/').to_owned()
        }
    }
}

/// The entries of a comma-separated list.
pub fn entries(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|e| !e.is_empty()).map(str::to_owned).collect()
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
        let file = "calls_per_minute = 5\npage_size_max = 7\nlog = 'debug'";
        let environment = [("LOOPIQ_CALLS_PER_MINUTE", "6"), ("LOOPIQ_LOG", "warn")];
        let (config, shown) = load(&[("log", "error")], &environment, file).unwrap();
        assert_eq!((config.calls_per_minute, config.page_size_max), (6, 7));
        assert_eq!(config.log, "error");
        let origin = |name| shown.iter().find(|s| s.name == name).unwrap().origin.as_str();
        assert_eq!(origin("log"), "flag --log");
        assert_eq!(origin("calls_per_minute"), "environment LOOPIQ_CALLS_PER_MINUTE");
        assert_eq!(origin("page_size_max"), "file loopiq.toml");
        assert_eq!(origin("listen"), "default");
    }

    #[test]
    fn bad_values_and_unknown_names_are_refused_with_their_origin() {
        let error = load(&[], &[("LOOPIQ_CALLS_PER_MINUTE", "many")], "").unwrap_err().to_string();
        assert!(error.contains("calls_per_minute from environment LOOPIQ_CALLS_PER_MINUTE"), "{error}");
        let error = load(&[], &[], "calls_per_minut = 1").unwrap_err().to_string();
        assert!(error.contains("calls_per_minut in loopiq.toml"), "{error}");
    }
}
