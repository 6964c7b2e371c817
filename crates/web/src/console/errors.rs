//! Pages for what went wrong: said in plain words, with what to do next and the request id.

use axum::http::{HeaderValue, header};
use axum::response::Response;
use domain::refusal::{Code, Refusal};
use engine::RequestIds;
use maud::{Markup, html};

use super::parts::{form, layout, text};
use super::{paths, visit};

/// Title and body for a refusal that takes the whole page.
pub fn body(refusal: &Refusal) -> (&'static str, Markup) {
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
            h1 { (title) }
            @if words.is_empty() { p { (form::sentence(&refusal.message)) " " (refusal.remedy) } } @else { p { (words) } }
            @if refusal.code == Code::Forbidden { p.muted { (form::sentence(&refusal.message)) " Ask an organization administrator for a role with it." } }
            p { a.button href=(paths::HOME) { "Go to the start page" } }
        }
    };
    (title, markup)
}

/// The same as a page of its own, where nobody is known whose page it could be.
pub fn alone(refusal: &Refusal, ids: &RequestIds) -> Markup {
    let (title, body) = body(refusal);
    layout::alone(
        title,
        html! {
            (body)
            p.hint { "Request " (text::copyable("request id", &ids.request_id)) }
        },
    )
}

/// An error answer on its way to a browser that is no page yet (an unknown address, a wrong method, a form or query
/// that cannot be read, a panic) becomes one. Its other headers stay.
pub fn as_page(response: Response, ids: &RequestIds) -> Response {
    let status = response.status();
    let is_page = |value: &HeaderValue| value.as_bytes().starts_with(b"text/html");
    let paged = response.headers().get(header::CONTENT_TYPE).is_some_and(is_page);
    if paged || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let refusal = if status.is_server_error() { Refusal::internal() } else { Refusal::not_found("page") };
    let (mut parts, _) = response.into_parts();
    let (page, body) = visit::html(status, alone(&refusal, ids)).into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(page.headers);
    Response::from_parts(parts, body)
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
                p.hint { "Request " (request_id) }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn a_panic_becomes_a_page_and_a_page_stays() {
        let ids = RequestIds { request_id: "req_1".into(), trace_id: "t".into() };
        let page = as_page(crate::problem::Problem::internal(&ids).into_response(), &ids);
        assert_eq!(page.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let media = page.headers().get_all(header::CONTENT_TYPE);
        assert_eq!(media.iter().collect::<Vec<_>>(), ["text/html; charset=utf-8"]);
        let fine = as_page((StatusCode::OK, Body::from("{}")).into_response(), &ids);
        assert_eq!(fine.headers().get(header::CONTENT_TYPE), None);
    }
}
