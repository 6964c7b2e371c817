//! The session cookie, and those of a sign-in on its way, made alike. Over https it is `__Host-loopiq`, which a browser accepts only when it is `Secure`, of this
//! very host and of the whole site, so that no neighbouring host can plant one. Over plain http (a server on
//! loopback) it is `loopiq_session`, with everything else the same: Chromium keeps a `Secure` cookie of
//! `http://127.0.0.1` (measured with version 156), but other browsers and the cookie jars of scripting languages do
//! not, and would lose the session without a word.

use axum::http::{HeaderMap, HeaderValue, header};

use identity::Browser;

use crate::State;

/// A cookie by its two names.
#[derive(Debug, Clone, Copy)]
pub struct Cookie {
    over_https: &'static str,
    over_http: &'static str,
}

const SESSION: Cookie = Cookie { over_https: "__Host-loopiq", over_http: "loopiq_session" };
/// What ties a sign-in through an identity provider to the browser that began it.
pub const BEGUN: Cookie = Cookie { over_https: "__Host-loopiq-signin", over_http: "loopiq_signin" };
/// What ties a sign-in with a passkey to the browser that was asked for it.
pub const PASSKEY: Cookie = Cookie { over_https: "__Host-loopiq-passkey", over_http: "loopiq_passkey" };

/// Takes the weaker cookie out of a request over https. Only the prefixed one is known to come from this host; the
/// other could have been planted by a neighbouring one, to make somebody work in a stranger's session.
pub fn drop_weaker(headers: &mut HeaderMap) {
    let weaker = [SESSION.over_http, BEGUN.over_http, PASSKEY.over_http];
    if weaker.iter().all(|name| find(headers, name).is_none()) {
        return;
    }
    let kept: Vec<String> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .map(str::trim)
        .filter(|pair| pair.split('=').next().is_none_or(|name| !weaker.contains(&name)))
        .map(str::to_owned)
        .collect();
    headers.remove(header::COOKIE);
    if let Ok(line) = HeaderValue::try_from(kept.join("; ")) {
        headers.insert(header::COOKIE, line);
    }
}

/// The session's secret among the cookies of a request.
pub fn session(headers: &HeaderMap) -> Option<&str> {
    SESSION.read(headers)
}

/// What the browser keeps of the sign-in it has begun.
pub fn begun(kind: Cookie, headers: &HeaderMap) -> Option<&str> {
    kind.read(headers)
}

/// What a browser brings along to a sign-in, but for its address.
pub fn browser(headers: &HeaderMap) -> Browser<'_> {
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Browser { earlier: session(headers), user_agent, ..Browser::default() }
}

fn find<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == wanted && !value.is_empty())
        .map(|(_, value)| value)
}

/// The header that gives a browser its session. It lasts as long as the browser runs; the server ends it earlier.
pub fn set(state: &State, secret: &str) -> HeaderValue {
    SESSION.line(state.settings.is_https(), secret, "")
}

/// The header that takes it away.
pub fn clear(state: &State) -> HeaderValue {
    SESSION.line(state.settings.is_https(), "", "; Max-Age=0")
}

/// The header that ties a sign-in to the browser. It comes along when the provider sends the browser back, because that is a
/// navigation (`SameSite=Lax`).
pub fn begin(kind: Cookie, state: &State, secret: &str, seconds: i64) -> HeaderValue {
    kind.line(state.settings.is_https(), secret, &format!("; Max-Age={seconds}"))
}

/// The header that takes that away.
pub fn end(kind: Cookie, state: &State) -> HeaderValue {
    kind.line(state.settings.is_https(), "", "; Max-Age=0")
}

impl Cookie {
    fn read(self, headers: &HeaderMap) -> Option<&str> {
        find(headers, self.over_https).or_else(|| find(headers, self.over_http))
    }

    fn line(self, https: bool, secret: &str, more: &str) -> HeaderValue {
        let (name, secure) = if https { (self.over_https, "; Secure") } else { (self.over_http, "") };
        let text = format!("{name}={secret}; Path=/{secure}; HttpOnly; SameSite=Lax{more}");
        let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("loopiq_session="));
        value.set_sensitive(true);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for https in [true, false] {
            let header = SESSION.line(https, "abc123", "");
            let text = header.to_str().unwrap();
            assert_eq!(text.contains("Secure"), https);
            let mut headers = HeaderMap::new();
            let pair = text.split(';').next().unwrap();
            headers.insert(header::COOKIE, format!("other=1; {pair}; last=2").parse().unwrap());
            assert_eq!(session(&headers), Some("abc123"));
        }
        assert_eq!(session(&HeaderMap::new()), None);
    }

    #[test]
    fn a_planted_cookie_is_dropped() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=1; loopiq_session=evil; loopiq_sessions=2".parse().unwrap());
        headers.append(header::COOKIE, "loopiq_session=evil".parse().unwrap());
        drop_weaker(&mut headers);
        assert_eq!(session(&headers), None);
        assert_eq!(headers.get(header::COOKIE).unwrap(), "a=1; loopiq_sessions=2");
        headers.append(header::COOKIE, "__Host-loopiq=good".parse().unwrap());
        drop_weaker(&mut headers);
        assert_eq!(session(&headers), Some("good"));
    }
}
