//! Signing in through an identity provider: the way there, the way back, and the page that says why it did not work. That page
//! leads nowhere by itself.

use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, State as Shared};
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use domain::id::IdentityProviderId;
use domain::refusal::Refusal;
use engine::RequestIds;
use identity::AuthError;
use identity::oidc::{Offered, Returned};
use maud::{Markup, html};

use super::login::Going;
use super::parts::pill::Tone;
use super::parts::{form, layout, text};
use super::{paths, visit};
use crate::access::ids;
use crate::{State, cookies, problem};

/// `GET /app/login/oidc/{id}`: to the provider.
pub async fn begin(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(going): Query<Going>,
    mut parts: Parts,
) -> Response {
    let ids = ids(&parts);
    let address = ConnectInfo::<std::net::SocketAddr>::from_request_parts(&mut parts, &()).await;
    let address = address.ok().map(|ConnectInfo(address)| address.ip());
    let id: IdentityProviderId = match visit::id_in_path(&id, "identity provider") {
        Ok(id) => id,
        Err(refusal) => return failed(&refusal, &ids),
    };
    match state.identity.begin_sign_in(id, paths::safe_next(&going.next), address).await {
        Ok(begun) => {
            let mut response = Redirect::to(&begun.address).into_response();
            let cookie = cookies::begin(cookies::BEGUN, &state, &begun.browser, begun.seconds);
            response.headers_mut().append(SET_COOKIE, cookie);
            response
        }
        Err(error) => failed(&refusal(error, &ids), &ids),
    }
}

/// `GET /app/login/oidc/{id}/callback`: back from the provider.
pub async fn back(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(returned): Query<Returned>,
    parts: Parts,
) -> Response {
    let ids = ids(&parts);
    let id: IdentityProviderId = match visit::id_in_path(&id, "identity provider") {
        Ok(id) => id,
        Err(refusal) => return failed(&refusal, &ids),
    };
    let (browser, kept) = (cookies::browser(&parts.headers), cookies::begun(cookies::BEGUN, &parts.headers));
    let mut response = match state.identity.finish_sign_in(id, returned, browser, kept).await {
        Ok((session, next)) => {
            let mut response = Redirect::to(paths::safe_next(&next)).into_response();
            response.headers_mut().append(SET_COOKIE, cookies::set(&state, &session.cookie));
            response
        }
        Err(error) => failed(&refusal(error, &ids), &ids),
    };
    response.headers_mut().append(SET_COOKIE, cookies::end(cookies::BEGUN, &state));
    response
}

fn refusal(error: AuthError, ids: &RequestIds) -> Refusal {
    match error {
        AuthError::Refused(refusal) => refusal,
        error => {
            crate::access::log(ids, "sign-in through an identity provider", &error);
            Refusal::internal()
        }
    }
}

fn failed(refusal: &Refusal, ids: &RequestIds) -> Response {
    // What administrators need to repair it: the message holds nothing that came from outside.
    tracing::warn!(
        request_id = ids.request_id,
        trace_id = ids.trace_id,
        "no sign-in through an identity provider: {}",
        refusal.message
    );
    let page = layout::alone(
        "You are not signed in",
        html! {
            section.panel {
                div.panel-body.stack {
                    h1 { "You are not signed in" }
                    (form::note(Tone::Bad, Some("alert"), "Sign-in did not work", html! {
                        p { (form::sentence(&refusal.message)) }
                        p { (refusal.remedy) }
                    }))
                    p { a.button href=(paths::LOGIN) { "Back to the sign-in page" } }
                    p.hint { "Request " (text::copyable("request id", &ids.request_id)) }
                }
            }
        },
    );
    visit::html(problem::status(refusal.code), page)
}

/// The providers somebody can go on with. Links, not forms: a form may lead to no other site (`form-action 'self'`).
pub fn offers(offered: &[Offered], next: &str) -> Markup {
    html! {
        @for offer in offered {
            a.button.primary.wide href=(paths::with_query(&format!("{}/{}", paths::THROUGH, offer.id), &[("next", next)])) {
                "Continue with " (offer.name)
            }
            p.hint { "For " (offer.organization) ", at " (offer.host) "." }
        }
    }
}
