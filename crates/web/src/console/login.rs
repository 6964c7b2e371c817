//! Signing in and out.

use axum::Form;
use axum::extract::{ConnectInfo, Query, Request, State as Shared};
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use domain::refusal::{Code, Refusal};
use identity::oidc::Offered;
use identity::{AuthError, Browser};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::{form, layout};
use super::visit::{self, Csrf};
use super::{errors, paths, through};
use crate::State;
use crate::access::ids;
use crate::problem;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Going {
    pub next: String,
}

/// `GET /app/login`.
pub async fn show(Shared(state): Shared<State>, Query(going): Query<Going>, parts: Parts) -> Response {
    let next = paths::safe_next(&going.next);
    match visit::session(&parts, &state).await {
        Ok(Some(_)) => Redirect::to(next).into_response(),
        Ok(None) => visit::html(StatusCode::OK, page("", next, None, &Ways::of(&state, &parts).await)),
        Err(broken) => broken,
    }
}

#[derive(Debug, Deserialize)]
pub struct SignIn {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
    /// Set by the button that asks for the e-mail's identity providers instead.
    #[serde(default)]
    through: String,
}

/// What the page offers besides e-mail and password.
#[derive(Default)]
struct Ways {
    /// Whether there are identity providers at all.
    any: bool,
    offered: Vec<Offered>,
}

impl Ways {
    async fn of(state: &State, parts: &Parts) -> Ways {
        let any = state.identity.has_identity_providers().await;
        let any = any.inspect_err(|fault| crate::access::log(&ids(parts), "identity providers", fault));
        Ways { any: any.unwrap_or(false), offered: Vec::new() }
    }
}

/// `POST /app/login`. There is no session yet, hence no token; the browser's word on where the form came from
/// protects against being signed in as somebody else.
pub async fn sign_in(Shared(state): Shared<State>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let ids = ids(&parts);
    if !visit::from_our_pages(&parts.headers) {
        return visit::html(StatusCode::FORBIDDEN, errors::stale_form(&ids.request_id));
    }
    let address = ConnectInfo::<std::net::SocketAddr>::from_request_parts(&mut parts, &())
        .await
        .ok()
        .map(|ConnectInfo(address)| address.ip());
    let headers = parts.headers.clone();
    let mut ways = Ways::of(&state, &parts).await;
    let Ok(Form(form)) = Form::<SignIn>::from_request(Request::from_parts(parts, body), &()).await else {
        return visit::html(StatusCode::BAD_REQUEST, errors::stale_form(&ids.request_id));
    };
    let next = paths::safe_next(&form.next);
    let email = form.email.trim();
    if !form.through.is_empty() {
        return match state.identity.identity_providers_for(email).await {
            Ok(offered) if !offered.is_empty() => {
                ways.offered = offered;
                visit::html(StatusCode::OK, page(email, next, None, &ways))
            }
            Ok(_) => {
                let refusal = nobody_speaks();
                visit::html(problem::status(refusal.code), page(email, next, Some(&refusal), &ways))
            }
            Err(error) => {
                let refusal = refusal(error, &ids);
                visit::html(problem::status(refusal.code), page(email, next, Some(&refusal), &ways))
            }
        };
    }
    let browser = Browser { address, ..crate::cookies::browser(&headers) };
    match state.identity.sign_in(email, &form.password, browser).await {
        Ok(session) => {
            let mut response = Redirect::to(next).into_response();
            response.headers_mut().append(header::SET_COOKIE, crate::cookies::set(&state, &session.cookie));
            response
        }
        Err(error) => {
            let refusal = refusal(error, &ids);
            visit::html(problem::status(refusal.code), page(email, next, Some(&refusal), &ways))
        }
    }
}

fn nobody_speaks() -> Refusal {
    Refusal::new(
        Code::Unauthorized,
        "no identity provider speaks for this e-mail address",
        "Check the address, or sign in with the password you have here.",
    )
}

fn refusal(error: AuthError, ids: &engine::RequestIds) -> Refusal {
    match error {
        AuthError::Refused(refusal) => refusal,
        AuthError::Fault(fault) => {
            tracing::error!(request_id = ids.request_id, trace_id = ids.trace_id, "sign in: {fault}");
            Refusal::internal()
        }
        _ => Refusal::new(
            Code::Unauthorized,
            "e-mail or password is wrong",
            "Check both and try again. If you have forgotten the password, the operator of this server can set a new one.",
        ),
    }
}

fn page(email: &str, next: &str, refusal: Option<&Refusal>, ways: &Ways) -> Markup {
    layout::alone(
        "Sign in",
        html! {
            @if !ways.offered.is_empty() {
                section.panel aria-labelledby="through" {
                    div.panel-body {
                        h2 id="through" { "Sign in through your organization" }
                        (through::offers(&ways.offered, next))
                    }
                }
            }
            section.panel aria-labelledby="sign-in" {
                form.panel-body method="post" action=(paths::LOGIN) {
                    h1 id="sign-in" { "Sign in" }
                    @if let Some(refusal) = refusal { (form::refused("You are not signed in", refusal)) }
                    input type="hidden" name="next" value=(next);
                    div.field {
                        label for="email" { "E-mail" }
                        input id="email" type="email" name="email" value=(email) required autocomplete="username"
                            autofocus[email.is_empty()] maxlength="320";
                    }
                    div.field {
                        label for="password" { "Password" }
                        input id="password" type="password" name="password" required autocomplete="current-password"
                            autofocus[!email.is_empty()] maxlength="1024";
                    }
                    button.button.primary.wide { "Sign in" }
                    @if ways.any {
                        button.button.wide name="through" value="organization" formnovalidate { "Sign in through your organization" }
                    }
                    p.hint { "Accounts are made by your organization's administrator." }
                }
            }
        },
    )
}

#[derive(Debug, Deserialize)]
pub struct SignOut {
    csrf: String,
}
impl Csrf for SignOut {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/logout`. Works also for somebody without an organization.
pub async fn sign_out(Shared(state): Shared<State>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let found = match visit::session(&parts, &state).await {
        Ok(found) => found,
        Err(broken) => return broken,
    };
    let ids = ids(&parts);
    if let Some(found) = found {
        if let Err(refused) = visit::form::<SignOut>(Request::from_parts(parts, body), &found).await {
            return refused;
        }
        if let Err(fault) = state.identity.sign_out(&found).await {
            tracing::error!(request_id = ids.request_id, trace_id = ids.trace_id, "sign out: {fault}");
        }
    }
    let mut response = Redirect::to(paths::LOGIN).into_response();
    response.headers_mut().append(header::SET_COOKIE, crate::cookies::clear(&state));
    response
}
