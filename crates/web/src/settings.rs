//! Every limit and address of the HTTP surfaces, by name, each with its default. The binary fills this from its
//! configuration; nothing here is read from the environment.

/// Bytes of one MCP message, and of one JSON body of the HTTP API.
pub const MCP_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one evidence upload, all files together.
pub const EVIDENCE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Files of one multipart evidence upload.
pub const EVIDENCE_FILES_MAX: usize = 50;
/// Levels of nesting of one JSON message.
pub const JSON_DEPTH_MAX: usize = 64;
/// Requests a minute under one credential.
pub const CALLS_PER_MINUTE: u32 = 1000;
/// Calls of tools that write, a minute, under one credential.
pub const WRITES_PER_MINUTE: u32 = 120;
/// Seconds in which the body of a message must have arrived.
pub const BODY_SECONDS_MAX: u64 = 30;
/// Seconds in which an evidence upload must have arrived.
pub const EVIDENCE_SECONDS_MAX: u64 = 600;
/// Event streams of open pages over all sessions: half of the connections that are accepted by default.
pub const STREAMS_MAX: usize = 512;
/// Event streams of one session: pages that are looked at, at the same time, in one browser.
pub const STREAMS_PER_SESSION_MAX: usize = 12;
/// Seconds of silence on an event stream before a sign of life, at which it is also checked whose it is.
pub const STREAM_KEEP_ALIVE_SECONDS: u64 = 15;

/// What the HTTP surfaces are told by configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Public base URL without a trailing slash. Links, challenges and metadata are made of it, never of `Host`.
    pub public_url: String,
    /// Whether the listener is bound to a loopback address only; then loopback names are hosts and origins too.
    pub listen_is_loopback: bool,
    /// Further names this server answers to, without port.
    pub allowed_hosts: Vec<String>,
    /// Further origins (`scheme://host[:port]`) whose pages may call it.
    pub allowed_origins: Vec<String>,
    pub mcp_body_bytes_max: usize,
    pub evidence_bytes_max: usize,
    pub evidence_files_max: usize,
    pub json_depth_max: usize,
    /// 0: no limit.
    pub calls_per_minute: u32,
    /// 0: no limit.
    pub writes_per_minute: u32,
    pub body_seconds_max: u64,
    pub evidence_seconds_max: u64,
    pub streams_max: usize,
    pub streams_per_session_max: usize,
    pub stream_keep_alive_seconds: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            public_url: "http://127.0.0.1:8484".into(),
            listen_is_loopback: true,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            mcp_body_bytes_max: MCP_BODY_BYTES_MAX,
            evidence_bytes_max: EVIDENCE_BYTES_MAX,
            evidence_files_max: EVIDENCE_FILES_MAX,
            json_depth_max: JSON_DEPTH_MAX,
            calls_per_minute: CALLS_PER_MINUTE,
            writes_per_minute: WRITES_PER_MINUTE,
            body_seconds_max: BODY_SECONDS_MAX,
            evidence_seconds_max: EVIDENCE_SECONDS_MAX,
            streams_max: STREAMS_MAX,
            streams_per_session_max: STREAMS_PER_SESSION_MAX,
            stream_keep_alive_seconds: STREAM_KEEP_ALIVE_SECONDS,
        }
    }
}

impl Settings {
    /// The public URL without a trailing slash.
    pub fn base(&self) -> &str {
        self.public_url.trim_end_matches('/')
    }
    /// Whether browsers reach this server by https.
    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}
