//! The address that an MCP client opens for its person, so that they decide on an action (URL elicitation). It is sealed, ends
//! soon and gives no right: whoever opens it signs in, and only the person whose call it was is led on to the card. A link
//! that somebody forwards leads nobody into another one's action.

use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Redirect, Response};
use domain::refusal::{Code, Refusal};

use super::paths;
use super::visit::Visit;
use crate::{State, access, mcp};

/// `GET /app/open/{ticket}`.
pub async fn show(Shared(state): Shared<State>, visit: Visit, Path(ticket): Path<String>) -> Response {
    let opening = match mcp::opening(&state, &ticket).await {
        Ok(opening) => opening,
        Err(fault) => {
            access::log(&visit.ids, "open", &fault);
            return visit.answer(Err(Refusal::internal()));
        }
    };
    let Some(opening) = opening else {
        return visit.answer(Err(Refusal::new(
            Code::NotFound,
            "this link has ended or is not whole",
            "Ask the client again, or look into your approvals: what waits for you is there.",
        )));
    };
    if opening.person != visit.actor.user_id {
        return visit.answer(Err(Refusal::new(
            Code::Forbidden,
            "this link was made for another person",
            "Only the person whose client asked can open it. What waits for you is among your approvals.",
        )));
    }
    if opening.organization != visit.actor.organization.id {
        return visit.answer(Err(Refusal::new(
            Code::TenantMismatch,
            "this link belongs to another organization of yours",
            "Go to that organization first, then open the link again.",
        )));
    }
    Redirect::to(&paths::action(opening.action)).into_response()
}
