//! `GET` and `POST /authorize`: a client sends a person here, who sees what it is and what it asks for, chooses the
//! organization it is to work in, and lets it in or not (RFC 6749, 4.1.1; OAuth 2.1). Everybody is asked each time: a program
//! on somebody's machine can call itself by any name, so that no answer of yesterday counts for it.

use std::collections::HashMap;

use axum::extract::{RawQuery, Request, State as Shared};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use domain::oauth::{
    ClientKind, Denied, Destination, ErrorCode, Resource, Scope, destination, is_challenge, scopes_of,
    source_of,
};
use domain::org::{Organization, Team};
use domain::refusal::{Code, Refusal};
use identity::oauth::{OAuthError, Wanted};
use identity::{AuthError, Identity, SessionActor};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::pill::Tone;
use super::parts::{form, icon, layout};
use super::visit::{self, Csrf};
use super::{errors, paths};
use crate::State;
use crate::access::{self, ids};
use crate::oauth::{AUTHORIZE, Fields};

/// Characters of `state`, which is the client's own and is given back as it came.
const STATE_CHARS_MAX: usize = 2_000;
/// The parameters that are understood. Others are passed over (RFC 6749, 3.1).
const PARAMETERS: [&str; 9] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "code_challenge",
    "code_challenge_method",
    "scope",
    "state",
    "resource",
    "prompt",
];

/// What came of looking at a request.
enum Looked {
    /// The client is not known, or not at this address: nothing is sent anywhere, the person is told.
    Untold(Refusal),
    /// The client is told.
    Told {
        redirect_uri: String,
        state: Option<String>,
        denied: Denied,
    },
    Wanted(Box<Wanted>, Option<String>),
}

fn untold(message: &'static str, remedy: &'static str) -> Looked {
    Looked::Untold(Refusal::new(Code::ValidationFailed, message, remedy))
}

/// Looks at what a client asks for. First whether it may be answered at the address it names; all else is said to the client.
async fn look(state: &State, fields: &Fields, ids: &engine::RequestIds) -> Looked {
    let Some(id) = fields.get("client_id") else {
        return untold("the request names no client", "Start again from the program you want to connect.");
    };
    let client = match state.identity.client(id).await {
        Ok(client) => client,
        Err(OAuthError::Denied(_)) => {
            return untold(
                "the program is not known here, or what it publishes about itself cannot be read",
                "Remove this server from the program and add it again, so that it registers anew.",
            );
        }
        Err(OAuthError::Fault(fault)) => {
            access::log(ids, "client", &fault);
            return Looked::Untold(Refusal::internal());
        }
    };
    let redirect_uri = match (fields.get("redirect_uri"), client.redirect_uris.as_slice()) {
        (Some(asked), _) if Identity::answers_at(&client, asked) => asked.to_owned(),
        (None, [only]) => only.clone(),
        _ => {
            return untold(
                "the program wants to be answered at an address that it has not registered",
                "Do not go on. Start again from the program itself; if this stays, tell whoever made it.",
            );
        }
    };
    let known = fields.get("state").map(str::to_owned);
    let denied = |code, description| Looked::Told {
        redirect_uri: redirect_uri.clone(),
        state: known.clone().filter(|state| state.len() <= STATE_CHARS_MAX),
        denied: Denied::new(code, description),
    };
    if known.as_ref().is_some_and(|state| state.len() > STATE_CHARS_MAX) {
        return denied(ErrorCode::InvalidRequest, "state must have at most 2000 characters");
    }
    if fields.get("response_type") != Some("code") {
        return denied(ErrorCode::UnsupportedResponseType, "response_type must be code");
    }
    let challenge = fields.get("code_challenge").filter(|text| is_challenge(text));
    let (Some(challenge), Some("S256")) = (challenge, fields.get("code_challenge_method")) else {
        return denied(ErrorCode::InvalidRequest, "a code_challenge by the method S256 is needed");
    };
    let named = fields
        .get("resource")
        .map_or(Some(Resource::Main), |text| Resource::parse(state.identity.issuer(), text));
    let Some(resource) = named else {
        return denied(
            ErrorCode::InvalidTarget,
            "the resource is none of this server's; the metadata of the endpoint names it",
        );
    };
    let mut scopes = match fields.get("scope") {
        None => vec![Scope::Read, Scope::Write],
        Some(text) => scopes_of(text),
    };
    if resource == Resource::Readonly {
        scopes.retain(|scope| *scope != Scope::Write);
    }
    if !scopes.iter().any(|scope| matches!(scope, Scope::Read | Scope::Write)) {
        return denied(ErrorCode::InvalidScope, "none of the scopes is one that this server has");
    }
    let challenge = challenge.to_owned();
    Looked::Wanted(Box::new(Wanted { client, redirect_uri, scopes, resource, challenge }), known)
}

/// Leads the browser back to the client (RFC 6749, 4.1.2), saying who answers (RFC 9207).
fn back(state: &State, redirect_uri: &str, pairs: &[(&str, &str)]) -> Response {
    let mut pairs = pairs.to_vec();
    pairs.push(("iss", state.identity.issuer()));
    let place = paths::with_query(redirect_uri, &pairs);
    match HeaderValue::try_from(place) {
        // 303: whatever the browser sent here, it asks there by GET, and what was typed here stays here.
        Ok(place) => (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn told(state: &State, redirect_uri: &str, known: Option<&str>, denied: &Denied) -> Response {
    let pairs = [
        ("error", denied.code.as_str()),
        ("error_description", denied.description),
        ("state", known.unwrap_or_default()),
    ];
    back(state, redirect_uri, &pairs)
}

fn stopped(refusal: &Refusal, ids: &engine::RequestIds) -> Response {
    let status = crate::problem::status(refusal.code);
    let status = if status.is_client_error() { StatusCode::BAD_REQUEST } else { status };
    visit::html(status, errors::alone(refusal, ids))
}

/// The parameters as a query again, so that one spelling of them goes on.
fn query(fields: &Fields) -> String {
    let pairs: Vec<(&str, &str)> =
        PARAMETERS.iter().filter_map(|name| Some((*name, fields.get(name)?))).collect();
    paths::with_query(AUTHORIZE, &pairs)
}

/// `GET /authorize`.
pub async fn show(Shared(state): Shared<State>, RawQuery(raw): RawQuery, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let ids = ids(&parts);
    let fields = match Fields::new(crate::body::query_pairs(&raw.unwrap_or_default())) {
        Ok(fields) => fields,
        Err(denied) => {
            let remedy = "Start again from the program you want to connect.";
            return stopped(&Refusal::new(Code::ValidationFailed, denied.description, remedy), &ids);
        }
    };
    let (wanted, known) = match look(&state, &fields, &ids).await {
        Looked::Untold(refusal) => return stopped(&refusal, &ids),
        Looked::Told { redirect_uri, state: known, denied } => {
            return told(&state, &redirect_uri, known.as_deref(), &denied);
        }
        Looked::Wanted(wanted, known) => (wanted, known),
    };
    match visit::session(&parts, &state).await {
        Ok(Some(session)) => ask(&state, &wanted, &session, &query(&fields), None, &ids).await,
        Ok(None) if fields.get("prompt") == Some("none") => {
            let denied = Denied::new(ErrorCode::LoginRequired, "nobody is signed in");
            told(&state, &wanted.redirect_uri, known.as_deref(), &denied)
        }
        Ok(None) => {
            Redirect::to(&paths::with_query(paths::LOGIN, &[("next", &query(&fields))])).into_response()
        }
        Err(broken) => broken,
    }
}

/// What a person answers.
#[derive(Debug, Deserialize)]
pub struct Answered {
    csrf: String,
    /// The client's request, as it was shown.
    request: String,
    #[serde(default)]
    decision: String,
    #[serde(default)]
    organization: String,
    /// Among them `team-…` for each organization.
    #[serde(flatten)]
    others: HashMap<String, String>,
}
impl Csrf for Answered {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /authorize`.
pub async fn decide(Shared(state): Shared<State>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let ids = ids(&parts);
    let session = match visit::session(&parts, &state).await {
        Ok(Some(session)) => session,
        Ok(None) => return Redirect::to(paths::LOGIN).into_response(),
        Err(broken) => return broken,
    };
    let answered = match visit::form::<Answered>(Request::from_parts(parts, body), &session).await {
        Ok(answered) => answered,
        Err(refused) => return refused,
    };
    // Looked at again: it has been in the browser's hands.
    let raw = answered.request.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let Ok(fields) = Fields::new(crate::body::query_pairs(raw)) else {
        return visit::html(StatusCode::FORBIDDEN, errors::stale_form(&ids.request_id));
    };
    let (wanted, known) = match look(&state, &fields, &ids).await {
        Looked::Untold(refusal) => return stopped(&refusal, &ids),
        Looked::Told { redirect_uri, state: known, denied } => {
            return told(&state, &redirect_uri, known.as_deref(), &denied);
        }
        Looked::Wanted(wanted, known) => (wanted, known),
    };
    if answered.decision != "allow" {
        let denied = Denied::new(ErrorCode::AccessDenied, "the person does not let the client in");
        return told(&state, &wanted.redirect_uri, known.as_deref(), &denied);
    }
    let team = answered.others.get(&format!("team-{}", answered.organization));
    let team = team.filter(|text| !text.is_empty()).map(|text| text.parse().ok());
    let fits = match &wanted.resource {
        Resource::Organization(slug) => *slug == answered.organization,
        Resource::Main | Resource::Readonly => true,
    };
    let done = match team {
        Some(None) => Err(AuthError::Refused(Refusal::not_found("team"))),
        _ if !fits => Err(AuthError::Refused(Refusal::not_found("organization"))),
        team => state.identity.allow_client(&session, &wanted, &answered.organization, team.flatten()).await,
    };
    match done {
        Ok(code) => {
            let pairs = [("code", code.as_str()), ("state", known.as_deref().unwrap_or_default())];
            back(&state, &wanted.redirect_uri, &pairs)
        }
        Err(AuthError::Refused(refusal)) => {
            ask(&state, &wanted, &session, &query(&fields), Some(&refusal), &ids).await
        }
        Err(error) => {
            access::log(&ids, "allow a client", &error);
            stopped(&Refusal::internal(), &ids)
        }
    }
}

/// An organization that may be chosen, with its teams.
struct Choice<'a> {
    organization: &'a Organization,
    teams: Vec<Team>,
}

/// The page that asks.
async fn ask(
    state: &State,
    wanted: &Wanted,
    session: &SessionActor,
    request: &str,
    refusal: Option<&Refusal>,
    ids: &engine::RequestIds,
) -> Response {
    let mut choices = Vec::new();
    for organization in &session.organizations {
        let offered = match &wanted.resource {
            Resource::Organization(slug) => *slug == organization.slug,
            Resource::Main | Resource::Readonly => true,
        };
        if !offered {
            continue;
        }
        match state.identity.teams_seen_by(&session.user, organization).await {
            Ok(Some(teams)) => choices.push(Choice { organization, teams }),
            Ok(None) => {}
            Err(fault) => {
                access::log(ids, "teams", &fault);
                return stopped(&Refusal::internal(), ids);
            }
        }
    }
    let status = refusal.map_or(StatusCode::OK, |refusal| crate::problem::status(refusal.code));
    let mut response = visit::html(status, page(wanted, session, &choices, request, refusal));
    // A form's answer may lead on only to what the policy names: here also to where the client is answered.
    if let Some(place) = source_of(&wanted.redirect_uri) {
        let policy = super::CONTENT_SECURITY_POLICY
            .replace("form-action 'self'", &format!("form-action 'self' {place}"));
        if let Ok(policy) = HeaderValue::try_from(policy) {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
    response
}

fn page(
    wanted: &Wanted,
    session: &SessionActor,
    choices: &[Choice<'_>],
    request: &str,
    refusal: Option<&Refusal>,
) -> Markup {
    let selected = session.actor.as_ref().map(|actor| actor.organization.id);
    let chosen = choices.iter().position(|choice| Some(choice.organization.id) == selected).unwrap_or(0);
    layout::alone(
        "Connect a client",
        html! {
            section.panel aria-labelledby="connect" {
                form.panel-body method="post" action=(AUTHORIZE) {
                    h1 id="connect" { "Let " (wanted.client.name) " in?" }
                    @if let Some(refusal) = refusal { (form::refused("It was not let in", refusal)) }
                    (form::csrf(&session.csrf))
                    input type="hidden" name="request" value=(request);
                    (who(wanted))
                    h2 { "It will be able to" }
                    ul.plain {
                        @for scope in &wanted.scopes { li { (icon::CHECK) (scope.sentence()) } }
                    }
                    p.hint { "Never more than you may do yourself. It cannot approve anything, and it administers nothing." }
                    @if choices.is_empty() {
                        (form::note(Tone::Warn, None, "There is no organization to let it into", html! {
                            p { "You are not an active member of the organization it asks for. Ask its administrator to add you, then start again from the client." }
                        }))
                    } @else {
                        fieldset.choices {
                            legend { "Organization it works in" }
                            @for (index, choice) in choices.iter().enumerate() {
                                (option(choice, index == chosen))
                            }
                        }
                    }
                    div.buttons {
                        @if !choices.is_empty() { button.button.primary name="decision" value="allow" { "Let it in" } }
                        button.button name="decision" value="deny" { "Do not" }
                    }
                    p.hint { "Signed in as " strong { (session.user.email) } ". Not you? Sign out at " a href=(paths::HOME) { "the start page" } ", then start again from the client." }
                }
            }
        },
    )
}

/// Who asks, as far as anybody knows, and where the answer goes.
fn who(wanted: &Wanted) -> Markup {
    let host = |id: &str| {
        id.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default().to_owned())
    };
    let published = (wanted.client.kind == ClientKind::Document).then(|| host(&wanted.client.id)).flatten();
    html! {
        dl.facts {
            dt { "It calls itself" }
            dd { strong { (wanted.client.name) } }
            dt { "Known by" }
            dd {
                @if let Some(host) = published { "what " strong { (host) } " publishes about it" }
                @else { "its own registration; nobody has checked the name" }
            }
            dt { "The answer goes to" }
            dd {
                @match destination(&wanted.redirect_uri) {
                    Destination::Host(host) => { strong { (host) } }
                    Destination::ThisMachine => { "a program on " strong { "this computer" } }
                    Destination::Program(scheme) => { "the program that opens " strong { (scheme) ":" } " links" }
                }
            }
        }
        @if !matches!(destination(&wanted.redirect_uri), Destination::Host(_)) {
            (form::note(Tone::Warn, None, "Go on only if you have just started this yourself", html! {
                p { "Any program on your computer could ask like this and call itself " (wanted.client.name) "." }
            }))
        }
    }
}

fn option(choice: &Choice<'_>, chosen: bool) -> Markup {
    let organization = choice.organization;
    let id = format!("organization-{}", organization.slug);
    let team = format!("team-{}", organization.slug);
    html! {
        div.choice {
            input type="radio" id=(id) name="organization" value=(organization.slug) checked[chosen] required;
            label for=(id) { strong { (organization.name) } " " span.muted { (organization.slug) } }
            @if !organization.mcp_enabled {
                p.hint { "MCP is switched off there: the client will connect and see no tools until an administrator switches it on." }
            }
            @if !choice.teams.is_empty() {
                label.sub for=(team) { "Team its lists begin with" }
                select id=(team) name=(team) {
                    option value="" { "The one I have selected" }
                    @for team in &choice.teams { option value=(team.id) { (team.name) } }
                }
            }
        }
    }
}
