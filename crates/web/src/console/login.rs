//! Signing in and out: with the password, through an identity provider (`through.rs` has the way there and back), or with a
//! passkey. Without script the password is left.

use std::net::IpAddr;

use axum::Form;
use axum::extract::{ConnectInfo, Query, Request, State as Shared};
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use domain::refusal::{Code, Refusal};
use identity::oidc::Offered;
use identity::{AuthError, Browser, NewSession, PasskeyAsked};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::{form, icon, layout};
use super::visit::{self, Csrf};
use super::{errors, passkeys, paths, through};
use crate::access::ids;
use crate::{State, cookies, problem};

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
    /// Set by the button that asks for a passkey instead.
    #[serde(default)]
    passkey: String,
    /// What the authenticator answered.
    #[serde(default)]
    signed: String,
}

/// What the page offers besides e-mail and password.
#[derive(Default)]
struct Ways {
    /// Whether there are identity providers at all.
    any: bool,
    offered: Vec<Offered>,
    /// Whether passkeys can be used here at all.
    passkeys: bool,
    asked: Option<PasskeyAsked>,
}

impl Ways {
    async fn of(state: &State, parts: &Parts) -> Ways {
        let any = state.identity.has_identity_providers().await;
        let any = any.inspect_err(|fault| crate::access::log(&ids(parts), "identity providers", fault));
        let passkeys = state.identity.passkeys().is_some();
        Ways { any: any.unwrap_or(false), passkeys, ..Ways::default() }
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
    let browser = Browser { address, ..cookies::browser(&headers) };
    let kept = cookies::begun(cookies::PASSKEY, &headers);
    let done = if !form.through.is_empty() {
        offered(&state, email, &mut ways).await
    } else if !form.signed.is_empty() {
        by_passkey(&state, &form, kept, browser).await
    } else if !form.passkey.is_empty() {
        asked(&state, email, address, &mut ways).await
    } else {
        state.identity.sign_in(email, &form.password, browser).await.map(Some)
    };
    let mut response = match done {
        Ok(Some(session)) => {
            let mut response = Redirect::to(next).into_response();
            response.headers_mut().append(header::SET_COOKIE, cookies::set(&state, &session.cookie));
            response
        }
        Ok(None) => visit::html(StatusCode::OK, page(email, next, None, &ways)),
        Err(error) => {
            let refusal = refusal(error, !form.signed.is_empty(), &ids);
            visit::html(problem::status(refusal.code), page(email, next, Some(&refusal), &ways))
        }
    };
    let cookie = match &ways.asked {
        Some(asked) => Some(cookies::begin(cookies::PASSKEY, &state, &asked.browser, asked.seconds)),
        None => kept.map(|_| cookies::end(cookies::PASSKEY, &state)),
    };
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The identity providers that may speak for the e-mail are offered next.
async fn offered(state: &State, email: &str, ways: &mut Ways) -> Result<Option<NewSession>, AuthError> {
    ways.offered = state.identity.identity_providers_for(email).await?;
    if ways.offered.is_empty() { Err(AuthError::Refused(nobody_speaks())) } else { Ok(None) }
}

/// The browser is asked for a passkey next.
async fn asked(
    state: &State,
    email: &str,
    address: Option<IpAddr>,
    ways: &mut Ways,
) -> Result<Option<NewSession>, AuthError> {
    if !identity::valid_email(email) {
        return Err(AuthError::Refused(Refusal::invalid("email", "is needed to find your passkeys")));
    }
    ways.asked = Some(state.identity.ask_for_passkey(email, address).await?);
    Ok(None)
}

async fn by_passkey(
    state: &State,
    form: &SignIn,
    kept: Option<&str>,
    browser: Browser<'_>,
) -> Result<Option<NewSession>, AuthError> {
    let answer = serde_json::from_str(&form.signed).map_err(|_| AuthError::Invalid)?;
    state.identity.sign_in_by_passkey(form.email.trim(), kept, &answer, browser).await.map(Some)
}

fn nobody_speaks() -> Refusal {
    Refusal::new(
        Code::Unauthorized,
        "no identity provider speaks for this e-mail address",
        "Check the address, or sign in with the password you have here.",
    )
}

fn refusal(error: AuthError, by_passkey: bool, ids: &engine::RequestIds) -> Refusal {
    match error {
        AuthError::Refused(refusal) => refusal,
        AuthError::Fault(fault) => {
            tracing::error!(request_id = ids.request_id, trace_id = ids.trace_id, "sign in: {fault}");
            Refusal::internal()
        }
        _ if by_passkey => Refusal::new(
            Code::Unauthorized,
            "the passkey was not recognised",
            "Ask for it once more in this browser, or sign in with the password. A passkey is registered under Passkeys, by \
             somebody who is signed in.",
        ),
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
            @if let Some(asked) = &ways.asked {
                section.panel aria-labelledby="passkey" {
                    form.panel-body method="post" action=(paths::LOGIN) {
                        h2 id="passkey" { "Sign in with a passkey" }
                        input type="hidden" name="next" value=(next);
                        input type="hidden" name="email" value=(email);
                        input type="hidden" name="passkey" value="ask";
                        p { "Your browser asks for the fingerprint, face or PIN of a device. It helps where a passkey of " strong { (email) } " is registered." }
                        (passkeys::asked("get", "signed", &asked.options, &asked.origin))
                        button.button.primary.wide autofocus { (icon::LOCK) "Use the passkey" }
                    }
                }
            }
            section.panel aria-labelledby="sign-in" {
                form.panel-body method="post" action=(paths::LOGIN) {
                    h1 id="sign-in" { @if ways.asked.is_some() { "Or with the password" } @else { "Sign in" } }
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
                            autofocus[!email.is_empty() && ways.asked.is_none()] maxlength="1024";
                    }
                    button.button.wide.primary[ways.asked.is_none()] { "Sign in" }
                    @if ways.passkeys && ways.asked.is_none() {
                        button.button.wide name="passkey" value="ask" formnovalidate { (icon::LOCK) "Sign in with a passkey" }
                    }
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
    response.headers_mut().append(header::SET_COOKIE, cookies::clear(&state));
    response
}
