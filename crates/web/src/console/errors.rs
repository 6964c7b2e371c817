//! Pages for what went wrong: said in plain words, with what to do next and the request id.

use axum::http::StatusCode;
use domain::refusal::{Code, Refusal};
use maud::{Markup, html};

use super::parts::{form, layout, text};
use super::paths;

/// The status a refusal has over HTTP.
pub fn status(code: Code) -> StatusCode {
    match code {
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::Forbidden | Code::McpNotEnabled | Code::SubscriptionRequired => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::ProviderUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::ValidationFailed | Code::MissingParent | Code::MissingTitle | Code::UnclearOwnership => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        _ => StatusCode::CONFLICT,
    }
}

/// Title and body for a refusal that takes the whole page.
pub fn body(refusal: &Refusal, request_id: &str) -> (&'static str, Markup) {
    let title = match refusal.code {
        Code::NotFound => "There is nothing here",
        Code::Forbidden => "You may not see this",
        Code::Internal => "Something broke on our side",
        Code::RateLimited => "Too many requests",
        _ => "That did not work",
    };
    let words = match refusal.code {
        Code::NotFound => {
            "The record does not exist, or it is not visible to you in this organization. Both look the same on \
             purpose. If somebody gave you the link, check which organization is selected at the top."
        }
        Code::Forbidden => "Your roles in this organization do not include what this page needs.",
        Code::Internal => "It has been logged. Try again; if it stays, give the request id to the operator.",
        _ => "",
    };
    let markup = html! {
        div.message {
            p.code { (status(refusal.code).as_u16()) }
            h1 { (title) }
            @if words.is_empty() { p { (form::sentence(&refusal.message)) " " (refusal.remedy) } } @else { p { (words) } }
            @if refusal.code == Code::Forbidden { p.muted { (form::sentence(&refusal.message)) " Ask an organization administrator for a role with it." } }
            p.muted { "Request " (text::copyable("request id", request_id)) }
            p { a.button href=(paths::HOME) { "Go to the start page" } }
        }
    };
    (title, markup)
}

/// For somebody signed in who has no rights in the selected organization.
pub fn no_access(organization: Option<&str>) -> Markup {
    html! {
        div.message {
            @if let Some(name) = organization {
                h1 { "You have no access in " (name) " yet" }
                p { "You are a member, but no role gives you anything to see. Ask an organization administrator for a role, for example viewer." }
            } @else {
                h1 { "Choose an organization" }
                p { "You are signed in, but no organization is selected. Choose one at the top. If there is none, ask an administrator to invite you." }
            }
        }
    }
}

/// A refused form that could not be tied to a session.
pub fn stale_form(request_id: &str) -> Markup {
    layout::alone(
        "This form has expired",
        html! {
            div.message {
                h1 { "This form has expired" }
                p { "It did not come from a current page of your session, so nothing was done. Load the page again and repeat." }
                p { a.button href=(paths::HOME) { "Go to the start page" } }
                p.muted { "Request " (request_id) }
            }
        },
    )
}
