//! One person's request: who they are, in which organization, when, under which ids. Pages read through a
//! [`Visit`]; forms come in as [`Posted`], which cannot be had without the session's token and a request from our
//! own pages. A visit cannot be extracted from a POST, so that check cannot be forgotten.

use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use domain::action::Channel;
use domain::id::OrgId;
use domain::org::Organization;
use domain::refusal::Refusal;
use domain::time::Timestamp;
use engine::{Admitted, Caller, Engine, Query, RequestIds, Surface};
use identity::SessionActor;
use maud::Markup;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::parts::layout::{self, Part, Person};
use super::{errors, paths};
use crate::access::ids;
use crate::{State, Tasks, problem};

/// A page to be framed.
#[derive(Debug)]
pub struct Page {
    pub title: String,
    pub part: Part,
    pub body: Markup,
    /// Set on pages that follow changes while they are open.
    pub live: Option<Live>,
}

/// What a page shows, in terms of the event stream: everything that was recorded up to this length of the audit log.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    pub length: i64,
    pub organization: OrgId,
}

/// Sent by the script of a page that asks for itself again because something has changed.
const UNATTENDED: &str = "loopiq-unattended";

/// Somebody signed in who has an organization.
pub struct Visit {
    pub engine: Engine,
    /// Where decisions run, so that they end although the browser left.
    pub tasks: Tasks,
    pub actor: Arc<Admitted>,
    pub organizations: Vec<Organization>,
    pub csrf: String,
    pub ids: RequestIds,
    pub now: Timestamp,
    /// Path and query of the page that is asked for.
    pub here: String,
    /// The address of the server, without a trailing slash.
    pub base: String,
}

impl Visit {
    pub fn caller(&self) -> Caller<'_> {
        Caller { actor: &self.actor, channel: Channel::Helix, ids: &self.ids }
    }

    /// Asks the engine as this person.
    pub async fn ask<Q: Query>(&self, input: Q::In) -> Result<Q::Out, Refusal> {
        self.engine.ask::<Q>(self.caller(), input).await
    }

    /// Makes the page a live one. Asked before anything that the page shows, so that no change can fall in between.
    pub async fn live(&self) -> Option<Live> {
        let organization = self.actor.organization.id;
        match self.engine.log_length(&self.actor).await {
            Ok(length) => Some(Live { length, organization }),
            Err(fault) => {
                crate::access::log(&self.ids, "length of the log", &fault);
                None
            }
        }
    }

    fn person(&self) -> Person<'_> {
        Person {
            name: &self.actor.display_name,
            email: &self.actor.email,
            csrf: &self.csrf,
            organization: Some(&self.actor.organization),
            organizations: &self.organizations,
            here: &self.here,
            base: &self.base,
            now: self.now,
        }
    }

    /// The page in its frame, or the page that says why there is none.
    pub fn answer(&self, page: Result<Page, Refusal>) -> Response {
        match page {
            Ok(Page { title, part, body, live }) => html(
                StatusCode::OK,
                layout::page(&title, part, self.person(), &self.ids.request_id, live, body),
            ),
            Err(refusal) => {
                let (title, body) = errors::body(&refusal);
                // Nothing is looked at on it, and it tells nothing of what was asked for.
                let person = Person { here: paths::HOME, ..self.person() };
                let framed = layout::page(title, Part::None, person, &self.ids.request_id, None, body);
                html(problem::status(refusal.code), framed)
            }
        }
    }
}

impl Visit {
    /// The page that says why something was refused, with the status of that.
    pub fn answer_refused(&self, page: Result<Page, Refusal>, refusal: &Refusal) -> Response {
        let mut response = self.answer(page);
        if response.status().is_success() {
            *response.status_mut() = problem::status(refusal.code);
        }
        response
    }
}

/// A page with what every page needs: caches never keep it, because it belongs to one person, and nothing runs or
/// loads in it that is not ours.
pub fn html(status: StatusCode, markup: Markup) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, super::CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (status, headers, markup).into_response()
}

/// Reads an id out of a path. What is not an id names nothing, as an absent record does.
pub fn id_in_path<T: std::str::FromStr>(text: &str, noun: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| Refusal::not_found(noun))
}

/// The session behind the cookie, if it is one.
pub async fn session(parts: &Parts, state: &State) -> Result<Option<SessionActor>, Response> {
    let Some(cookie) = crate::cookies::session(&parts.headers) else { return Ok(None) };
    let found = if parts.headers.contains_key(UNATTENDED) {
        state.identity.session_unattended(cookie).await
    } else {
        state.identity.session(cookie).await
    };
    found.map_err(|fault| {
        let ids = ids(parts);
        tracing::error!(request_id = ids.request_id, trace_id = ids.trace_id, "session: {fault}");
        broken(&ids)
    })
}

fn broken(ids: &RequestIds) -> Response {
    html(StatusCode::INTERNAL_SERVER_ERROR, errors::alone(&Refusal::internal(), ids))
}

/// Path and query that are asked for.
fn here(parts: &Parts) -> &str {
    parts.uri.path_and_query().map_or(paths::HOME, axum::http::uri::PathAndQuery::as_str)
}

fn to_login(parts: &Parts) -> Response {
    let here = here(parts);
    let next = if parts.method == Method::GET { paths::safe_next(here) } else { paths::HOME };
    let next = if next == paths::HOME { "" } else { next };
    Redirect::to(&paths::with_query(paths::LOGIN, &[("next", next)])).into_response()
}

/// The session of this request, or the way to one.
async fn arrive(parts: &Parts, state: &State) -> Result<SessionActor, Response> {
    match session(parts, state).await? {
        Some(found) => Ok(found),
        None => Err(to_login(parts)),
    }
}

/// A session with an organization and some right in it, or the page that says what is missing.
pub async fn visit(
    found: SessionActor,
    ids: RequestIds,
    state: &State,
    here: &str,
) -> Result<Visit, Response> {
    let blocked = |organization: Option<&Organization>| {
        let person = Person {
            name: &found.user.display_name,
            email: &found.user.email,
            csrf: &found.csrf,
            organization,
            organizations: &found.organizations,
            here: "",
            base: state.settings.base(),
            now: state.clock.now(),
        };
        let body = errors::no_access(organization.map(|o| o.name.as_str()));
        html(
            StatusCode::FORBIDDEN,
            layout::page("No access", Part::None, person, &ids.request_id, None, body),
        )
    };
    let Some(actor) = found.actor.clone() else { return Err(blocked(None)) };
    let Ok(actor) = crate::access::admit(state, actor, Surface::Console, &ids).await else {
        return Err(broken(&ids));
    };
    if actor.rights.everywhere().is_empty() {
        return Err(blocked(Some(&actor.organization)));
    }
    Ok(Visit {
        engine: state.engine.clone(),
        tasks: state.tasks.clone(),
        actor: Arc::new(actor),
        organizations: found.organizations,
        csrf: found.csrf,
        now: state.clock.now(),
        ids,
        here: here.to_owned(),
        base: state.settings.base().to_owned(),
    })
}

impl FromRequestParts<State> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Visit, Response> {
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return Err(StatusCode::METHOD_NOT_ALLOWED.into_response());
        }
        let found = arrive(parts, state).await?;
        visit(found, ids(parts), state, here(parts)).await
    }
}

/// A form that carries the session's token.
pub trait Csrf {
    fn csrf(&self) -> &str;
}

/// A form as it was sent: names may come several times.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Sent(pub Vec<(String, String)>);

impl Sent {
    /// The first value of a name; empty when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text.as_str())
    }

    /// Every value of a name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, text)| text.as_str()).collect()
    }
}

impl Csrf for Sent {
    fn csrf(&self) -> &str {
        self.get("csrf")
    }
}

/// A form that came from a page of this person's session.
pub struct Posted<F> {
    pub visit: Visit,
    pub form: F,
}

impl<F: Csrf + DeserializeOwned + Send> FromRequest<State> for Posted<F> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &State) -> Result<Posted<F>, Response> {
        let (parts, body) = request.into_parts();
        let found = arrive(&parts, state).await?;
        let ids = ids(&parts);
        let here = here(&parts).to_owned();
        let form = form(Request::from_parts(parts, body), &found).await?;
        let visit = visit(found, ids, state, &here).await?;
        Ok(Posted { visit, form })
    }
}

/// Reads a form and checks where it came from and whose it is.
pub async fn form<F: Csrf + DeserializeOwned>(
    request: Request,
    session: &SessionActor,
) -> Result<F, Response> {
    let (parts, body) = request.into_parts();
    let request_id = ids(&parts).request_id;
    let refused = || html(StatusCode::FORBIDDEN, errors::stale_form(&request_id));
    if !from_our_pages(&parts.headers) {
        return Err(refused());
    }
    let Ok(Form(form)) = Form::<F>::from_request(Request::from_parts(parts, body), &()).await else {
        return Err(refused());
    };
    if !session.csrf_matches(form.csrf()) {
        return Err(refused());
    }
    Ok(form)
}

/// Whether a browser says that the request comes from a page of this very origin. Programs that say nothing pass
/// here; they hold no cookie they did not fetch themselves.
pub fn from_our_pages(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("unreadable"));
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match (text("origin"), text("host")) {
        (None, _) => true,
        (Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host))
        }
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.insert(*name, axum::http::HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_our_own_pages_may_post() {
        for (list, allowed) in [
            (vec![], true),
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "same-site"), ("origin", "http://a"), ("host", "a")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("origin", "http://127.0.0.1:8484"), ("host", "127.0.0.1:8484")], true),
            (vec![("origin", "http://evil.example"), ("host", "127.0.0.1:8484")], false),
            (vec![("origin", "null"), ("host", "127.0.0.1:8484")], false),
        ] {
            assert_eq!(from_our_pages(&headers(&list)), allowed, "{list:?}");
        }
    }
}
