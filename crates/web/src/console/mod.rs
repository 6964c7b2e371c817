//! The web console: server-rendered pages that work without script. One file per page; what pages are made of is
//! in `parts`; what they ask of the engine is in `data`; who visits, and whether a form may be believed, in
//! `visit`. Text of records is escaped by the templates and shown as data.

mod action;
mod administration;
mod agents;
mod approvals;
mod arguments;
mod assets;
mod assistant;
mod audit;
mod authorize;
mod certification;
mod command;
mod connect;
mod data;
mod difference;
mod errors;
mod events;
mod evidence;
mod evidence_graph;
mod home;
mod lacking;
mod login;
mod members;
mod model;
mod open;
mod organization;
mod over_time;
mod package;
mod parts;
mod passkeys;
mod paths;
mod policies;
mod policy_draft;
mod providers;
mod release;
mod releases;
mod search;
mod sessions;
mod settings;
mod teams;
mod through;
mod tokens;
mod visit;
mod webhooks;
mod who_may;
mod work_item;
mod work_items;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use domain::refusal::Refusal;

use crate::State;
pub use errors::as_page;
use visit::Visit;

/// What a browser may load and do on our pages: nothing that is not ours, nothing inline.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
    connect-src 'self'; img-src 'self' data:; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The console's routes, and its files.
pub fn router() -> Router<State> {
    Router::new()
        .route("/", get(front))
        .route(crate::oauth::AUTHORIZE, get(authorize::show).post(authorize::decide))
        .route("/app", get(home::show))
        .route("/app/", get(async || Redirect::permanent(paths::HOME)))
        .route(paths::EVENTS, get(events::stream))
        .route("/app/open/{ticket}", get(open::show))
        .route(paths::LOGIN, get(login::show).post(login::sign_in))
        .route("/app/login/oidc/{id}", get(through::begin))
        .route("/app/login/oidc/{id}/callback", get(through::back))
        .route(paths::LOGOUT, post(login::sign_out))
        .route(paths::ORGANIZATION, post(organization::choose))
        .route(paths::ASSISTANT, get(assistant::show).post(assistant::begin))
        .route("/app/assistant/{id}", get(assistant::reopen).post(assistant::go_on))
        .route("/app/assistant/{id}/delete", post(assistant::delete))
        .route(paths::RELEASES, get(releases::show))
        .route("/app/releases/{id}", get(release::show))
        .route("/app/releases/{id}/difference", get(difference::show))
        .route("/app/certifications/{id}", get(certification::show))
        .route("/app/certifications/{id}/graph", get(evidence_graph::show))
        .route("/app/certifications/{id}/pack", get(certification::pack))
        .route("/app/evidence/{id}", get(evidence::show))
        .route("/app/gaps/{id}", get(lacking::gap))
        .route("/app/blockers/{id}", get(lacking::blocker))
        .route(paths::WORK_ITEMS, get(work_items::show))
        .route("/app/work-items/{id}", get(work_item::show))
        .route("/app/packages/{id}", get(package::show))
        .route(paths::APPROVALS, get(approvals::show))
        .route(paths::REJECT_CHOSEN, get(approvals::back).post(approvals::reject))
        .route("/app/actions/{id}", get(action::show))
        .route("/app/actions/{id}/approve", get(action::back).post(action::approve))
        .route("/app/actions/{id}/reject", get(action::back).post(action::reject))
        .route("/app/actions/{id}/withdraw", get(action::back).post(action::withdraw))
        .route("/app/actions/{id}/break-glass", get(action::back).post(action::break_glass))
        .route("/app/actions/{id}/review", get(action::back).post(action::review))
        .route("/app/do/{tool}", get(command::show).post(command::send))
        .route(paths::PASSKEYS, get(passkeys::show).post(passkeys::register))
        .route(paths::CONNECT, get(connect::show).post(connect::end))
        .route(paths::SESSIONS, get(sessions::show).post(sessions::end))
        .route(paths::ADMINISTRATION, get(administration::show))
        .route(paths::SETTINGS, get(settings::show))
        .route(paths::MEMBERS, get(members::show))
        .route(paths::TEAMS, get(teams::show))
        .route(paths::ACCESS, get(who_may::show))
        .route(paths::AGENTS, get(agents::show))
        .route(paths::TOKENS, get(tokens::show))
        .route(paths::WEBHOOKS, get(webhooks::show))
        .route(paths::SEARCH, get(search::show))
        .route(paths::PROVIDERS, get(providers::show))
        .route("/app/identity-providers/{id}/secret", post(providers::keep_secret))
        .route(paths::MODEL, get(model::show))
        .route(paths::MODEL_KEY, post(model::keep_key))
        .route(paths::POLICIES, get(policies::show))
        .route(paths::DRAFT, get(policy_draft::back).post(policy_draft::show))
        .route("/app/policies/{version}", get(policies::version))
        .route(paths::AUDIT, get(audit::show))
        .route(paths::EXPORT, get(audit::export))
        .route(paths::BUNDLE, get(audit::bundle))
        .route("/app/audit/{sequence}", get(audit::record))
        .route("/app/{*rest}", get(nothing))
        .route("/assets/{name}", get(assets::serve))
}

/// A browser that was given only the host's name is led to the start page. Programs speak to `/` by POST.
async fn front(headers: HeaderMap) -> Response {
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page {
        return Redirect::to(paths::HOME).into_response();
    }
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response()
}

async fn nothing(visit: Visit) -> Response {
    visit.answer(Err(Refusal::not_found("page")))
}
