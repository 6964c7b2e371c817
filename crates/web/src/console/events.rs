//! The stream on which an open page hears that its organization has changed (server-sent events, chapter 9.2 of the HTML
//! standard). An event is the length of the organization's audit log, and nothing else: a page that was made at a shorter
//! one asks for itself again, by the ordinary door. The first event comes at once, so that a page which was away learns
//! whether it missed something.
//!
//! Whose stream it is is asked again before every line that is sent. It ends with the session, with the membership and
//! when the person goes to another organization; the answer to the attempt to open it again then says what became of it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::refusal::{Code, Refusal};
use engine::Changes;
use identity::{Actor, SessionActor};
use tokio::sync::watch;

use super::visit::{self, Visit};
use crate::access::{self, ids};
use crate::front::Noted;
use crate::rate::Key;
use crate::streams::{self, Full, Lines, Place, Speaker, comment};
use crate::{State, cookies, problem};

/// The least time between two events of a stream: changes in between are told as one.
const EVENT_PAUSE: Duration = Duration::from_secs(1);
/// Milliseconds after which a browser opens a lost stream again.
const RECONNECT_MILLISECONDS: u32 = 3_000;
/// Seconds after which somebody who found no place may try again.
const RETRY_SECONDS: u32 = 30;

/// `GET /app/events`.
pub async fn stream(Shared(state): Shared<State>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let ids = ids(&parts);
    // No content is how a browser is told to stop asking (section 9.2.3): there is nothing for somebody not signed in.
    let Some(cookie) = cookies::session(&parts.headers).map(str::to_owned) else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let found = match state.identity.session_unattended(&cookie).await {
        Ok(Some(found)) => found,
        Ok(None) => return StatusCode::NO_CONTENT.into_response(),
        Err(fault) => {
            access::log(&ids, "session", &fault);
            return problem::Problem::internal(&ids).into_response();
        }
    };
    let session = found.session_id;
    let visit = match visit::visit(found, ids, &state, "").await {
        Ok(visit) => visit,
        Err(answer) => return answer,
    };
    let place = match state.streams.take(Key::Session(session)) {
        Ok(place) => place,
        Err(full) => return no_place(&visit, full),
    };
    let noted = Noted::of(&visit.actor, "");
    let listener = Listener {
        changes: visit.engine.changes(&visit.actor),
        stopped: state.stopped.clone(),
        actor: (**visit.actor).clone(),
        state,
        cookie,
        told: None,
        due: true,
        rest: Duration::ZERO,
        _place: place,
    };
    let mut answer = streams::response(Body::new(Lines::of(listener)));
    answer.extensions_mut().insert(noted);
    answer
}

fn no_place(visit: &Visit, full: Full) -> Response {
    let (status, message) = match full {
        Full::Key => (StatusCode::TOO_MANY_REQUESTS, "too many pages of this session are open"),
        Full::Process => (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open on this server"),
    };
    let remedy = "Close some, or load a page again to see what has changed.";
    let mut answer = visit.answer(Err(Refusal::new(Code::RateLimited, message, remedy)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
    answer
}

/// One open stream.
struct Listener {
    state: State,
    cookie: String,
    /// Who opened it, and in which organization.
    actor: Actor,
    changes: Changes,
    stopped: watch::Receiver<bool>,
    /// The length that was told last.
    told: Option<i64>,
    /// Whether there may be something to tell.
    due: bool,
    /// To wait before anything else is sent.
    rest: Duration,
    _place: Place,
}

impl Speaker for Listener {
    async fn next(mut self) -> Option<(Bytes, Listener)> {
        if !self.waited().await {
            return None;
        }
        let line = self.line().await?;
        Some((line, self))
    }
}

impl Listener {
    /// Waits for a change, or until it is time for a sign of life. False when the stream ends.
    async fn waited(&mut self) -> bool {
        let rest = std::mem::take(&mut self.rest);
        let silence_max = Duration::from_secs(self.state.settings.stream_keep_alive_seconds);
        let waited = async {
            tokio::time::sleep(rest).await;
            if self.due {
                return true;
            }
            tokio::select! {
                changed = self.changes.changed() => {
                    self.due = true;
                    changed
                }
                () = tokio::time::sleep(silence_max) => true,
            }
        };
        tokio::select! {
            _ = self.stopped.wait_for(|stopped| *stopped) => false,
            goes_on = waited => goes_on,
        }
    }

    /// The event, or a comment when there is nothing to tell. `None` when this caller may hear no more.
    async fn line(&mut self) -> Option<Bytes> {
        match self.state.identity.session_unattended(&self.cookie).await {
            Ok(found) if self.may_hear(found.as_ref()) => {}
            Ok(_) => return None,
            Err(fault) => {
                tracing::warn!("an event stream could not be checked: {fault}");
                return Some(self.nothing_yet());
            }
        }
        if !self.due {
            return Some(comment());
        }
        match self.state.engine.log_length(&self.actor).await {
            Ok(length) => {
                self.due = false;
                if self.told.is_some_and(|told| length <= told) {
                    return Some(comment());
                }
                self.told = Some(length);
                self.rest = EVENT_PAUSE;
                Some(format!("retry: {RECONNECT_MILLISECONDS}\nid: {length}\ndata: {length}\n\n").into())
            }
            Err(fault) => {
                tracing::warn!("an event stream could not read the length of the log: {fault}");
                Some(self.nothing_yet())
            }
        }
    }

    /// What could not be asked is asked again in a moment; until then nothing is told.
    fn nothing_yet(&mut self) -> Bytes {
        self.rest = EVENT_PAUSE;
        comment()
    }

    /// Whether the session still stands, and its person still works in this organization with some right.
    fn may_hear(&self, found: Option<&SessionActor>) -> bool {
        found.and_then(|found| found.actor.as_ref()).is_some_and(|actor| {
            actor.organization.id == self.actor.organization.id && !actor.rights.everywhere().is_empty()
        })
    }
}
