//! SCIM 2.0 (RFC 7643, RFC 7644) for the organization's outside directory: users are its members, groups are the roles they
//! hold. One file per resource; what a request means is decided in `domain::scim`, and every change goes through the
//! engine's one door as the governed command that a person would use.
//!
//! A directory comes with a bearer token whose scopes name `users:manage`. A browser session is nothing here, and neither
//! is a token that was not narrowed: rules that hold a program's administration back for a person do not hold back a
//! directory, and only a token that was made for one may have that.

mod answer;
mod groups;
mod service;
mod users;

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::routing::{any, get};
use domain::action::Channel;
use domain::digest::Digest;
use domain::permission::{Permission, Permissions};
use domain::refusal::{Code, Refusal};
use domain::scim::{ScimType, Wrong};
use engine::roster::{self, Roster};
use engine::{Admitted, Caller, RequestIds, Surface};
use serde::de::DeserializeOwned;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::access::{self, Challenge};
use crate::metrics::Called;
use crate::problem::Problem;
use crate::{State, body};
use answer::Refused;

/// Where all of it is.
pub const BASE: &str = "/scim/v2";
/// Media type of requests and answers (RFC 7644, section 3.1).
pub const MEDIA: &str = "application/scim+json";
/// How often a change is planned anew on what somebody else has made of the record meanwhile.
const TRIES_MAX: usize = 3;
/// Earlier proposals of the very same change, ended without effect, that are gone past.
const ENDED_MAX: usize = 16;
/// Why, as the audit log shows it.
const REASON: &str = "The organization's directory says so (SCIM).";

pub fn router() -> Router<State> {
    Router::new()
        .route("/scim/v2/Users", get(users::list).post(users::create))
        .route(
            "/scim/v2/Users/{id}",
            get(users::show).put(users::replace).patch(users::patch).delete(users::remove),
        )
        .route("/scim/v2/Groups", get(groups::list).post(groups::fixed))
        .route(
            "/scim/v2/Groups/{id}",
            get(groups::show).put(groups::replace).patch(groups::patch).delete(groups::fixed),
        )
        .route("/scim/v2/ServiceProviderConfig", get(service::config))
        .route("/scim/v2/ResourceTypes", get(service::types))
        .route("/scim/v2/ResourceTypes/{name}", get(service::one_type))
        .route("/scim/v2/Schemas", get(service::schemas))
        .route("/scim/v2/Schemas/{id}", get(service::schema))
        .route("/scim/v2/{*rest}", any(nothing))
        .method_not_allowed_fallback(wrong_method)
}

/// A directory that has proven which organization it keeps.
#[derive(Clone)]
pub struct Directory {
    actor: Admitted,
    ids: RequestIds,
    /// Public URL of [`BASE`].
    base: String,
}

impl FromRequestParts<State> for Directory {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Directory, Refused> {
        let ids = access::ids(parts);
        let actor = access::bearer(state, &parts.headers, None, Challenge::Api, &ids).await?;
        let actor = access::admit(state, actor, Surface::Scim, &ids).await?;
        let refused = |refusal| Refused::from(Problem::new(refusal, &ids));
        state.rate.call(&actor).map_err(refused)?;
        if actor.scopes == Permissions::EVERY || !actor.scopes.contains(Permission::UsersManage) {
            return Err(refused(Refusal::new(
                Code::Forbidden,
                "a directory needs a token whose scopes name users:manage",
                "Issue one by `loopiq token issue --scope users:manage`; a token without scopes is not taken here.",
            )));
        }
        if !actor.rights.allows(Permission::UsersManage, None) {
            return Err(refused(Refusal::forbidden(Permission::UsersManage)));
        }
        Ok(Directory { actor, ids, base: format!("{}{BASE}", state.settings.base()) })
    }
}

impl Directory {
    fn refused(&self, refusal: Refusal) -> Refused {
        Refused::of(refusal, &self.ids)
    }

    fn wrong(&self, wrong: Wrong) -> Refused {
        Refused::wrong(wrong, &self.ids)
    }

    /// Absent, of another organization or deleted: one answer.
    fn absent(&self, noun: &str) -> Refused {
        self.refused(Refusal::not_found(noun))
    }

    async fn roster(&self, state: &State) -> Result<Roster, Refused> {
        let caller = Caller { actor: &self.actor, channel: Channel::Scim, ids: &self.ids };
        let found = state.engine.ask::<Roster>(caller, roster::In::default()).await;
        found.map_err(|refusal| self.refused(refusal))
    }

    /// Reads the body of a request.
    async fn read<T: DeserializeOwned>(
        &self,
        state: &State,
        headers: &HeaderMap,
        body: axum::body::Body,
    ) -> Result<T, Refused> {
        let read = body::json_as(&["application/json", MEDIA], state, headers, body, &self.ids).await;
        read.map_err(|problem| Refused::from(problem).because(ScimType::InvalidSyntax))
    }

    /// Carries out a governed command: at once, or not at all. The same change of the same version of a record is the same
    /// action, however often a directory repeats it.
    ///
    /// # Errors
    /// What the command refuses; `forbidden` where a rule of approval holds it back. Then the action waits among the
    /// organization's approvals, and when a person has approved it, the directory's next attempt finds it done.
    async fn carry_out(
        &self,
        state: &State,
        tool: &'static str,
        mut arguments: Value,
    ) -> Result<(), Refused> {
        let fault = || self.refused(Refusal::internal());
        state.rate.write(&self.actor).map_err(|refusal| self.refused(refusal))?;
        let digest = Digest::of_json(&json!([tool, arguments])).map_err(|_| fault())?;
        let members = arguments.as_object_mut().ok_or_else(fault)?;
        members.insert("reason".into(), json!(REASON));
        let mut key = digest;
        for _ in 0..ENDED_MAX {
            members.insert("idempotencyKey".into(), json!(format!("scim-{key}")));
            let raw = to_raw_value(&members).map_err(|_| fault())?;
            let (engine, own) = (state.engine.clone(), self.clone());
            // A write runs to its end whether or not the directory waits for it.
            let run = async move {
                let caller = Caller { actor: &own.actor, channel: Channel::Scim, ids: &own.ids };
                engine.call(caller, tool, &raw).await
            };
            let answer = state.tasks.finish(run).await.ok_or_else(fault)?;
            let answer = answer.map_err(|_| self.refused(Refusal::forbidden(Permission::UsersManage)))?;
            state.metrics.tool(tool, if answer.is_error { Called::Refused } else { Called::Ok });
            if answer.is_error {
                return Err(Refused::from(Problem::of_answer(&answer, &self.ids)));
            }
            let done: Value = serde_json::from_str(&answer.json).map_err(|_| fault())?;
            let text = |at: &str| done.pointer(at).and_then(Value::as_str).unwrap_or_default();
            match text("/status") {
                "executed" => return Ok(()),
                // Nobody has decided in time, or the records had moved: asked anew.
                "expired" | "failed" => {
                    key = Digest::of_parts(&[key.to_string().as_bytes(), text("/action/id").as_bytes()]);
                }
                "rejected" => return Err(self.refused(held_back("a person has rejected this change"))),
                _ => return Err(self.refused(held_back("a rule of approval holds this change back"))),
            }
        }
        Err(self.refused(held_back("this change was proposed too often without being approved")))
    }
}

fn held_back(message: &'static str) -> Refusal {
    Refusal::new(
        Code::Forbidden,
        message,
        "Nothing was changed. People of the organization find it under Approvals; once approved, it is done, and the next \
         synchronization finds it so.",
    )
}

/// What `If-Match` wants a record to be: nothing, or one of these tags (RFC 7644, section 3.14).
struct Wanted(Option<Vec<String>>);

impl Wanted {
    fn of(headers: &HeaderMap) -> Wanted {
        let sent: Vec<String> = headers
            .get_all(header::IF_MATCH)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or("unreadable").split(','))
            .map(|tag| tag.trim().to_owned())
            .collect();
        Wanted((!sent.is_empty() && !sent.iter().any(|tag| tag == "*")).then_some(sent))
    }

    fn is_met(&self, tag: &str) -> bool {
        let plain = |tag: &str| tag.trim_start_matches("W/").to_owned();
        self.0.as_ref().is_none_or(|sent| sent.iter().any(|own| plain(own) == plain(tag)))
    }

    /// Whether a change was made; false: somebody else changed the record at the same moment, and it is to be planned anew
    /// on what is there now. With `If-Match` that is refused instead.
    fn settle(&self, done: Result<(), Refused>, tried: usize, ids: &RequestIds) -> Result<bool, Refused> {
        match done {
            Ok(()) => Ok(true),
            Err(refused) if refused.code() != Code::VersionConflict => Err(refused),
            Err(_) if self.0.is_some() => Err(Refused::moved(ids)),
            Err(refused) if tried >= TRIES_MAX => Err(refused),
            Err(_) => Ok(false),
        }
    }
}

async fn nothing(directory: Directory) -> Refused {
    directory.absent("address")
}

async fn wrong_method(request: Request) -> Refused {
    Refused::from(crate::front::wrong_method(request).await)
}
