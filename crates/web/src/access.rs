//! Who sends a request: by bearer token, or by the session cookie of a browser. The two are never mixed: a request
//! that carries a token is judged by it alone. A session may change something only together with its token against
//! forged requests, in `X-CSRF-Token`.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use domain::action::Channel;
use domain::oauth::Resource;
use domain::permission::Permission;
use domain::refusal::{Code, Refusal};
use engine::{Admitted, Caller, RequestIds, Surface};
use identity::{Actor, AuthError, SessionActor};

use crate::State;
use crate::problem::Problem;

/// The ids the outermost layer gave this request.
pub fn ids(parts: &Parts) -> RequestIds {
    parts
        .extensions
        .get::<RequestIds>()
        .cloned()
        .unwrap_or_else(|| RequestIds { request_id: "none".into(), trace_id: "none".into() })
}

/// What a 401 asks for, and for which resource.
#[derive(Debug, Clone, Copy)]
pub enum Challenge<'a> {
    /// An endpoint with protected resource metadata (RFC 9728, 5.1).
    Endpoint { metadata: &'a str, scopes: &'static str, resource: &'a Resource },
    /// The HTTP API.
    Api,
}

impl Challenge<'_> {
    /// What an access token must be for.
    fn resource(&self) -> &Resource {
        match self {
            Challenge::Endpoint { resource, .. } => resource,
            Challenge::Api => &Resource::Main,
        }
    }

    /// What a client is told whose person could do this, if they let the client do more (RFC 6750, 3.1).
    pub fn step_up(self) -> HeaderValue {
        self.header(Some((
            "insufficient_scope",
            "the client was not allowed this; ask the person for the scope",
        )))
    }

    fn header(self, error: Option<(&str, &str)>) -> HeaderValue {
        let asked = match self {
            Challenge::Endpoint { metadata, scopes, .. } => {
                format!("Bearer resource_metadata=\"{metadata}\", scope=\"{scopes}\"")
            }
            Challenge::Api => "Bearer realm=\"LoopIQ\"".to_owned(),
        };
        let text = match error {
            Some((error, words)) => format!("{asked}, error=\"{error}\", error_description=\"{words}\""),
            None => asked,
        };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

/// The bearer token of a request.
enum Sent<'a> {
    Nothing,
    Token(&'a str),
    Malformed,
}

fn sent(headers: &HeaderMap) -> Sent<'_> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return if headers.contains_key(header::AUTHORIZATION) { Sent::Malformed } else { Sent::Nothing };
    };
    let Ok(text) = value.to_str() else { return Sent::Malformed };
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Sent::Nothing; // another scheme: as if nothing this server understands had been sent
    }
    let token = token.trim();
    if token.is_empty() || token.contains(char::is_whitespace) { Sent::Malformed } else { Sent::Token(token) }
}

/// Whose token the request carries.
///
/// # Errors
/// 401 with a challenge, 400 for a malformed header, 403 for signals that disagree about the organization.
pub async fn bearer(
    state: &State,
    headers: &HeaderMap,
    slug: Option<&str>,
    challenge: Challenge<'_>,
    ids: &RequestIds,
) -> Result<Actor, Problem> {
    let token = match sent(headers) {
        Sent::Token(token) => token,
        Sent::Nothing => return Err(unauthorized(challenge, None, ids)),
        Sent::Malformed => {
            let problem = unauthorized(challenge, Some(("invalid_request", "the header is malformed")), ids);
            return Err(problem.status(StatusCode::BAD_REQUEST));
        }
    };
    let organization = headers.get("loopiq-organization").map(|value| value.to_str().unwrap_or("?"));
    state.identity.bearer(token, organization, slug, challenge.resource()).await.map_err(|error| {
        let words = match error {
            AuthError::Refused(refusal) => return Problem::new(refusal, ids),
            AuthError::Fault(fault) => {
                log(ids, "bearer", &fault);
                return Problem::internal(ids);
            }
            AuthError::Missing | AuthError::Invalid => "the token is not valid",
            AuthError::Audience => "the token is for another resource",
            AuthError::Expired => "the token has expired",
            AuthError::Revoked => "the token has been revoked",
        };
        unauthorized(challenge, Some(("invalid_token", words)), ids)
    })
}

/// Lets a caller through the engine's gate.
///
/// # Errors
/// An internal problem when storage fails.
pub async fn admit(
    state: &State,
    actor: Actor,
    surface: Surface,
    ids: &RequestIds,
) -> Result<Admitted, Problem> {
    state.engine.admit(actor, surface).await.map_err(|fault| {
        log(ids, "admit", &fault);
        Problem::internal(ids)
    })
}

fn unauthorized(challenge: Challenge<'_>, error: Option<(&str, &str)>, ids: &RequestIds) -> Problem {
    let message = error.map_or("no credential was sent", |(_, words)| words);
    let refusal = Refusal::new(
        Code::Unauthorized,
        message,
        "Sign in again from the client; it finds the authorization server by the WWW-Authenticate header. Or send a token \
         of `loopiq token issue` as `Authorization: Bearer …`.",
    );
    Problem::new(refusal, ids).header(header::WWW_AUTHENTICATE, challenge.header(error))
}

/// Logs what broke, once, with the whole chain.
pub fn log(ids: &RequestIds, what: &str, fault: &dyn std::error::Error) {
    let mut chain = fault.to_string();
    let mut cause = fault.source();
    while let Some(error) = cause {
        chain.push_str(": ");
        chain.push_str(&error.to_string());
        cause = error.source();
    }
    tracing::error!(request_id = ids.request_id, trace_id = ids.trace_id, "{what} failed: {chain}");
}

/// The browser session of a request, proven where something is to be changed.
pub struct Signed {
    pub found: SessionActor,
    pub ids: RequestIds,
}

impl Signed {
    /// # Errors
    /// 401 without a session or with a token that is no longer good, 403 with one that is, and when a change lacks the
    /// session's `X-CSRF-Token`.
    pub async fn find(state: &State, parts: &Parts) -> Result<Signed, Problem> {
        let ids = ids(parts);
        if parts.headers.contains_key(header::AUTHORIZATION) {
            bearer(state, &parts.headers, None, Challenge::Api, &ids).await?;
            return Err(Problem::new(person_needed(), &ids));
        }
        let Some(found) = session(state, &parts.headers, &ids).await? else {
            return Err(unauthorized(Challenge::Api, None, &ids));
        };
        if !parts.method.is_safe() && !carries(&parts.headers, &found) {
            return Err(Problem::new(forged(), &ids));
        }
        Ok(Signed { found, ids })
    }

    /// The person in the selected organization, past the gate.
    ///
    /// # Errors
    /// `tenant_required` when none is selected.
    pub async fn admitted(&self, state: &State) -> Result<Admitted, Problem> {
        self.admitted_on(state, Surface::Api).await
    }

    /// The same on another surface than the API's own.
    ///
    /// # Errors
    /// `tenant_required` when no organization is selected.
    pub async fn admitted_on(&self, state: &State, surface: Surface) -> Result<Admitted, Problem> {
        let actor = self.found.actor.clone().ok_or_else(|| Problem::new(no_organization(), &self.ids))?;
        admit(state, actor, surface, &self.ids).await
    }
}

impl Signed {
    /// What the person may do somewhere in the selected organization; nothing where none is selected.
    ///
    /// # Errors
    /// An internal problem when storage fails.
    pub async fn permissions(&self, state: &State) -> Result<Vec<Permission>, Problem> {
        let Some(actor) = self.found.actor.clone() else { return Ok(Vec::new()) };
        let admitted = admit(state, actor, Surface::Api, &self.ids).await?;
        Ok(admitted.rights.everywhere().iter().collect())
    }
}

impl FromRequestParts<State> for Signed {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Signed, Problem> {
        Signed::find(state, parts).await
    }
}

/// Whoever calls the HTTP API, by token or by session.
#[derive(Clone)]
pub struct Access {
    pub actor: Admitted,
    pub ids: RequestIds,
}

impl Access {
    /// # Errors
    /// As [`bearer`] and [`Signed::find`]; `rate_limited`.
    pub async fn find(state: &State, parts: &Parts) -> Result<Access, Problem> {
        let ids = ids(parts);
        let actor = if parts.headers.contains_key(header::AUTHORIZATION) {
            let actor = bearer(state, &parts.headers, None, Challenge::Api, &ids).await?;
            admit(state, actor, Surface::Api, &ids).await?
        } else {
            Signed::find(state, parts).await?.admitted(state).await?
        };
        state.rate.call(&actor).map_err(|refusal| Problem::new(refusal, &ids))?;
        Ok(Access { actor, ids })
    }

    pub fn caller(&self) -> Caller<'_> {
        Caller { actor: &self.actor, channel: Channel::Api, ids: &self.ids }
    }
}

impl FromRequestParts<State> for Access {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Access, Problem> {
        Access::find(state, parts).await
    }
}

async fn session(
    state: &State,
    headers: &HeaderMap,
    ids: &RequestIds,
) -> Result<Option<SessionActor>, Problem> {
    let Some(cookie) = crate::cookies::session(headers) else { return Ok(None) };
    state.identity.session(cookie).await.map_err(|fault| {
        log(ids, "session", &fault);
        Problem::internal(ids)
    })
}

fn carries(headers: &HeaderMap, found: &SessionActor) -> bool {
    let sent = headers.get("x-csrf-token").and_then(|value| value.to_str().ok());
    sent.is_some_and(|token| found.csrf_matches(token))
}

fn forged() -> Refusal {
    Refusal::new(
        Code::Forbidden,
        "the request does not carry this session's X-CSRF-Token",
        "Send the csrfToken that POST /api/v1/session or GET /api/v1/me returned, as header X-CSRF-Token.",
    )
}

fn person_needed() -> Refusal {
    Refusal::new(
        Code::Forbidden,
        "this needs a person's browser session, not a token",
        "Have a person open the approval card in the browser and decide there. Programs can read the outcome.",
    )
}

fn no_organization() -> Refusal {
    Refusal::new(
        Code::TenantRequired,
        "no organization is selected",
        "Choose one with POST /api/v1/organizations/{slug}/select; GET /api/v1/me lists them.",
    )
}
