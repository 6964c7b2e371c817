//! Which names this server answers to, and which pages may call it. Both checks are on by default: without them a
//! web page could reach a server on its reader's machine through a name it made point there (DNS rebinding). A
//! request without `Origin` does not come from a page of another site and passes.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, HOST, ORIGIN,
    VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::Settings;

/// Headers that pages of allowed origins may send to the MCP endpoint.
const MAY_SEND: &str = "authorization, content-type, accept, mcp-protocol-version, mcp-method, mcp-name, \
    mcp-session-id, last-event-id, loopiq-organization, traceparent, tracestate";
/// Headers of answers that such pages may read.
const MAY_READ: &str = "www-authenticate, mcp-session-id, retry-after, x-request-id";
/// Requested `Mcp-Param-…` headers that are allowed at most in one preflight.
const PARAM_HEADERS_MAX: usize = 16;

/// The names and origins, prepared once.
#[derive(Debug)]
pub struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    loopback: bool,
}

/// Why a request is turned away at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    Host,
    Origin,
}

impl Guard {
    pub fn new(settings: &Settings) -> Guard {
        let mut hosts: Vec<String> = settings.allowed_hosts.iter().map(|h| h.to_ascii_lowercase()).collect();
        let mut origins: Vec<String> =
            settings.allowed_origins.iter().map(|o| o.trim_end_matches('/').to_ascii_lowercase()).collect();
        if let Some((scheme, rest)) = settings.base().split_once("://") {
            let authority = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
            hosts.push(name_of(&authority).to_owned());
            origins.push(format!("{}://{authority}", scheme.to_ascii_lowercase()));
        }
        Guard { hosts, origins, loopback: settings.listen_is_loopback }
    }

    /// # Errors
    /// Which of the two was wrong.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Turned> {
        let host = host(uri, headers).ok_or(Turned::Host)?;
        if !self.knows_host(&host) {
            return Err(Turned::Host);
        }
        let mut sent = headers.get_all(ORIGIN).iter();
        let Some(origin) = sent.next() else { return Ok(()) };
        let origin = origin.to_str().map_err(|_| Turned::Origin)?;
        if sent.next().is_some() || !self.knows_origin(&host, origin) {
            return Err(Turned::Origin);
        }
        Ok(())
    }

    fn knows_host(&self, authority: &str) -> bool {
        let name = name_of(authority);
        self.hosts.iter().any(|known| known == name) || (self.loopback && is_loopback(name))
    }

    /// Pages of this very server, of configured origins, and, for a server on loopback, of any loopback port.
    fn knows_origin(&self, host: &str, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        if !matches!(scheme, "http" | "https") {
            return self.origins.contains(&origin);
        }
        authority == host
            || (self.loopback && is_loopback(name_of(authority)) && is_authority(authority))
            || self.origins.contains(&origin)
    }
}

/// The one authority a request names, in lower case. HTTP/1.1 sends `Host`; several are a smuggling attempt.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut sent = headers.get_all(HOST).iter();
    let text = match (sent.next(), sent.next()) {
        (Some(one), None) => one.to_str().ok()?,
        (None, _) => uri.authority()?.as_str(),
        (Some(_), Some(_)) => return None,
    };
    is_authority(text).then(|| text.to_ascii_lowercase())
}

/// Whether `text` is a host name or address with at most a port: no user, no path, nothing odd.
fn is_authority(text: &str) -> bool {
    let port = text.get(name_of(text).len()..).unwrap_or_default();
    let port_fits = port.is_empty()
        || port.strip_prefix(':').is_some_and(|p| p.len() <= 5 && p.bytes().all(|b| b.is_ascii_digit()));
    !text.is_empty()
        && port_fits
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

/// An authority without its port.
fn name_of(authority: &str) -> &str {
    if authority.starts_with('[') {
        return authority.find(']').and_then(|end| authority.get(..=end)).unwrap_or(authority);
    }
    authority.split(':').next().unwrap_or(authority)
}

fn is_loopback(name: &str) -> bool {
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// The answer to a preflight for the MCP endpoint, given before anybody has to prove who they are, because browsers
/// send none of it here.
pub fn preflight(headers: &HeaderMap, methods: &'static str) -> Response {
    let mut allowed = MAY_SEND.to_owned();
    let asked = headers.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|v| v.to_str().ok()).unwrap_or_default();
    for name in asked.split(',').map(str::trim).filter(|name| is_param_header(name)).take(PARAM_HEADERS_MAX) {
        allowed.push_str(", ");
        allowed.push_str(&name.to_ascii_lowercase());
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let out = response.headers_mut();
    out.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    if let Ok(value) = HeaderValue::try_from(allowed) {
        out.insert(ACCESS_CONTROL_ALLOW_HEADERS, value);
    }
    out.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

fn is_param_header(name: &str) -> bool {
    let prefixed = name.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("mcp-param-"));
    prefixed
        && (11..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Lets a page of `origin` (which passed the check) read the answer. Credentials mode stays off: cookies never
/// travel to this endpoint from elsewhere.
pub fn share(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(MAY_READ));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(settings: &Settings, host: &str, origin: Option<&str>) -> Result<(), Turned> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        Guard::new(settings).check(&Uri::from_static("/mcp"), &headers)
    }

    #[test]
    fn on_loopback_only_loopback_names_and_the_public_one() {
        let settings = Settings { public_url: "https://loopiq.example/".into(), ..Settings::default() };
        for (host, origin, expected) in [
            ("127.0.0.1:8484", None, Ok(())),
            ("localhost", None, Ok(())),
            ("[::1]:9", None, Ok(())),
            ("LoopIQ.example", None, Ok(())),
            ("evil.example.com", None, Err(Turned::Host)),
            ("127.0.0.1.evil.example", None, Err(Turned::Host)),
            ("user@127.0.0.1", None, Err(Turned::Host)),
            ("127.0.0.1:1x", None, Err(Turned::Host)),
            ("localhost", Some("http://localhost:6274"), Ok(())),
            ("localhost", Some("https://loopiq.example"), Ok(())),
            ("localhost", Some("http://evil.example.com"), Err(Turned::Origin)),
            ("localhost", Some("http://localhost.evil.example"), Err(Turned::Origin)),
            ("localhost", Some("null"), Err(Turned::Origin)),
            ("localhost", Some("vscode-webview://x"), Err(Turned::Origin)),
        ] {
            assert_eq!(judge(&settings, host, origin), expected, "{host} {origin:?}");
        }
    }

    #[test]
    fn in_public_loopback_names_are_strangers() {
        let settings = Settings {
            public_url: "https://loopiq.example".into(),
            listen_is_loopback: false,
            allowed_origins: vec!["https://inspector.example".into()],
            ..Settings::default()
        };
        for (host, origin, expected) in [
            ("localhost", None, Err(Turned::Host)),
            ("loopiq.example", Some("https://loopiq.example"), Ok(())),
            ("loopiq.example", Some("https://inspector.example"), Ok(())),
            ("loopiq.example", Some("http://localhost:1"), Err(Turned::Origin)),
        ] {
            assert_eq!(judge(&settings, host, origin), expected, "{host} {origin:?}");
        }
    }

    #[test]
    fn preflight_allows_parameter_headers_by_pattern() {
        let mut headers = HeaderMap::new();
        headers
            .insert(ACCESS_CONTROL_REQUEST_HEADERS, "Mcp-Param-Region, x-evil, mcp-param-".parse().unwrap());
        let response = preflight(&headers, "POST");
        let allowed = response.headers()[ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap();
        assert!(allowed.ends_with("mcp-param-region"), "{allowed}");
    }
}
