//! Where the visitor is signed in, and ending that. Who manages people also sees who else works in this organization, and
//! ends those sessions by a governed command.

use axum::extract::State as Shared;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use domain::id::SessionId;
use domain::refusal::Refusal;
use engine::tools::list_sessions::Item;
use identity::{AuthError, Credential, OpenSession};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::layout::{self, Part};
use super::parts::pill::{self, Tone};
use super::parts::{form, icon, list, text};
use super::visit::{Csrf, Page, Posted, Visit};
use super::{data, paths};
use crate::State;

/// The command whose place is this page.
pub const END: &str = "loopiq_end_session";

/// Stands for all of the visitor's own sessions but the one they ask from.
const OTHERS: &str = "others";

/// What is shown of a session from before browsers were noted.
const UNKNOWN: &str = "Unknown browser";

/// `GET /app/sessions`.
pub async fn show(Shared(state): Shared<State>, visit: Visit) -> Response {
    let page = page(&state, &visit, None).await;
    visit.answer(page)
}

#[derive(Debug, Deserialize)]
pub struct Ending {
    csrf: String,
    /// One of the visitor's own, or [`OTHERS`].
    #[serde(default)]
    session: String,
}
impl Csrf for Ending {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/sessions`: ends one of the visitor's own, or all others.
pub async fn end(Shared(state): Shared<State>, posted: Posted<Ending>) -> Response {
    let Posted { visit, form } = posted;
    match ended(&state, &visit, &form).await {
        Ok(true) => {
            let mut response = Redirect::to(paths::LOGIN).into_response();
            response.headers_mut().append(header::SET_COOKIE, crate::cookies::clear(&state));
            response
        }
        Ok(false) => Redirect::to(paths::SESSIONS).into_response(),
        Err(refusal) => {
            let status = crate::problem::status(refusal.code);
            let page = page(&state, &visit, Some(&refusal)).await;
            let mut response = visit.answer(page);
            if response.status().is_success() {
                *response.status_mut() = status;
            }
            response
        }
    }
}

/// Whether the visitor's own session is among those that ended.
async fn ended(state: &State, visit: &Visit, form: &Ending) -> Result<bool, Refusal> {
    let ids: Vec<SessionId> = if form.session == OTHERS {
        let own = own(state, visit).await?;
        own.iter().map(|session| session.id).filter(|id| !is_this(visit, *id)).collect()
    } else {
        vec![form.session.parse().map_err(|_| Refusal::not_found("session"))?]
    };
    match state.identity.end_sessions(visit.actor.user_id, &ids).await {
        Ok(()) => Ok(ids.iter().any(|id| is_this(visit, *id))),
        Err(AuthError::Refused(refusal)) => Err(refusal),
        Err(fault) => {
            crate::access::log(&visit.ids, "end sessions", &fault);
            Err(Refusal::internal())
        }
    }
}

fn is_this(visit: &Visit, id: SessionId) -> bool {
    visit.actor.credential == Credential::Session { id }
}

async fn own(state: &State, visit: &Visit) -> Result<Vec<OpenSession>, Refusal> {
    state.identity.sessions(visit.actor.user_id).await.map_err(|fault| {
        crate::access::log(&visit.ids, "sessions", &fault);
        Refusal::internal()
    })
}

async fn page(state: &State, visit: &Visit, refusal: Option<&Refusal>) -> Result<Page, Refusal> {
    let own = own(state, visit).await?;
    let here = data::sessions_here(visit).await?;
    let others = here.map(|here| {
        let me = visit.actor.user_id;
        here.items.into_iter().filter(|session| session.user_id != me).collect::<Vec<_>>()
    });
    let body = html! {
        (layout::heading(&[], "Sessions", html! { "Where you are signed in. What you end is over with the next request." }, html! {}))
        @if let Some(refusal) = refusal { (form::refused("Nothing was ended", refusal)) }
        // Further things that act for the visitor (programs they have connected) are panels of their own after the first.
        (yours(&own, visit))
        @if let Some(others) = &others { (of_others(others, visit)) }
    };
    Ok(Page { title: "Sessions".into(), part: Part::None, body, live: None })
}

fn yours(own: &[OpenSession], visit: &Visit) -> Markup {
    list::panel(
        "own",
        "Yours",
        Some(own.len() as u32),
        html! {
            ul.items {
                @for session in own {
                    @let this = is_this(visit, session.id);
                    li {
                        div.item-top {
                            span.item-title { (session.browser.as_deref().unwrap_or(UNKNOWN)) }
                            @if this { (pill::toned(Tone::Good, "This one")) }
                            form method="post" action=(paths::SESSIONS) {
                                (form::csrf(&visit.csrf))
                                input type="hidden" name="session" value=(session.id);
                                button.button.small { (icon::CROSS) @if this { "Sign out" } @else { "End" } }
                            }
                        }
                        div.item-meta {
                            span { "Opened " (text::time(session.created_at, visit.now)) }
                            span { "Last seen " (text::time(session.last_seen_at, visit.now)) }
                            @if let Some(organization) = visit.organizations.iter().find(|o| Some(o.id) == session.organization_id) {
                                span { "Works in " (organization.name) }
                            }
                        }
                    }
                }
            }
            @if own.len() > 1 {
                form.panel-body method="post" action=(paths::SESSIONS) {
                    (form::csrf(&visit.csrf))
                    button.button name="session" value=(OTHERS) { (icon::LEAVE) "End all others" }
                }
            }
        },
    )
}

fn of_others(sessions: &[Item], visit: &Visit) -> Markup {
    list::panel(
        "others",
        "Of other people, in this organization",
        Some(sessions.len() as u32),
        html! {
            @if sessions.is_empty() { (text::empty("Nobody else", "No other member is signed in to this organization.")) }
            ul.items {
                @for session in sessions {
                    li {
                        div.item-top {
                            span.item-title { (session.email) }
                            a.button.small href=(paths::command(END, &[("session", &session.id.to_string())])) { (icon::CROSS) "End" }
                        }
                        div.item-meta {
                            span { (session.browser.as_deref().unwrap_or(UNKNOWN)) }
                            span { "Opened " (text::time(session.created_at, visit.now)) }
                            span { "Last seen " (text::time(session.last_seen_at, visit.now)) }
                        }
                    }
                }
            }
        },
    )
}
