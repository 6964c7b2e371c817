//! One governed action: the approval card while it waits, the result afterwards. Deciding happens here and nowhere
//! else in the console.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use domain::action::ActionState;
use domain::id::ActionId;
use domain::permission::Permission;
use domain::refusal::{Code, Refusal};
use engine::view::ActionView;
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::card::{self, May};
use super::parts::layout::{self, Part};
use super::parts::{form, pill};
use super::visit::{Csrf, Page, Posted, Visit, id_in_path};
use super::{data, paths};

/// `GET /app/actions/{id}`.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Response {
    let page = page(&visit, &id, None, "").await;
    visit.answer(page)
}

/// `GET` of an address that takes decisions, as after loading a refused one again: back to the card.
pub async fn back(Path(id): Path<String>) -> Redirect {
    Redirect::to(&id.parse().map_or_else(|_| paths::APPROVALS.to_owned(), |id: ActionId| paths::action(id)))
}

#[derive(Debug, Deserialize)]
pub struct Approve {
    csrf: String,
    /// Digest of the card that was on the screen.
    digest: String,
    /// What an authenticator signed, where the card asked for it.
    #[serde(default)]
    signed: String,
    /// The page to come back to.
    #[serde(default)]
    next: String,
}
impl Csrf for Approve {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/actions/{id}/approve`: `Approve and run`.
pub async fn approve(Path(id): Path<String>, posted: Posted<Approve>) -> Response {
    let Posted { visit, form } = posted;
    let decided = approved(&visit, &id, &form).await;
    after(&visit, &id, decided, "", &form.next).await
}

async fn approved(visit: &Visit, id: &str, form: &Approve) -> Result<ActionView, Refusal> {
    let id = on_screen(visit, id, &form.digest).await?;
    // What cannot be read is no signature, and is refused as one.
    let signed = Some(form.signed.as_str()).filter(|text| !text.is_empty());
    let signed = signed.map(|text| serde_json::from_str(text).unwrap_or_default());
    data::approve(visit, id, signed).await
}

/// The action, if it is still the one whose card the person saw.
async fn on_screen(visit: &Visit, id: &str, digest: &str) -> Result<ActionId, Refusal> {
    let id: ActionId = id_in_path(id, "action")?;
    let current = data::action(visit, id).await?;
    if current.card.digest.to_string() != digest {
        return Err(Refusal::new(
            Code::PayloadMismatch,
            "the card you approved is not the one that is stored",
            "Read the card below again, then decide.",
        ));
    }
    Ok(id)
}

#[derive(Debug, Deserialize)]
pub struct Reject {
    csrf: String,
    #[serde(default)]
    reason: String,
    /// The page to come back to.
    #[serde(default)]
    next: String,
}
impl Csrf for Reject {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/actions/{id}/reject`.
pub async fn reject(Path(id): Path<String>, posted: Posted<Reject>) -> Response {
    let Posted { visit, form } = posted;
    let decided = match id_in_path(&id, "action") {
        Ok(action) => data::reject(&visit, action, &form.reason).await,
        Err(refusal) => Err(refusal),
    };
    after(&visit, &id, decided, &form.reason, &form.next).await
}

/// `POST /app/actions/{id}/withdraw`.
pub async fn withdraw(Path(id): Path<String>, posted: Posted<Reject>) -> Response {
    let Posted { visit, form } = posted;
    let decided = match id_in_path(&id, "action") {
        Ok(action) => data::withdraw(&visit, action, &form.reason).await,
        Err(refusal) => Err(refusal),
    };
    after(&visit, &id, decided, &form.reason, &form.next).await
}

#[derive(Debug, Deserialize)]
pub struct BreakGlass {
    csrf: String,
    /// Digest of the card that was on the screen.
    digest: String,
    #[serde(default)]
    reason: String,
}
impl Csrf for BreakGlass {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/actions/{id}/break-glass`.
pub async fn break_glass(Path(id): Path<String>, posted: Posted<BreakGlass>) -> Response {
    let Posted { visit, form } = posted;
    let decided = match on_screen(&visit, &id, &form.digest).await {
        Ok(action) => data::break_glass(&visit, action, &form.reason).await,
        Err(refusal) => Err(refusal),
    };
    after(&visit, &id, decided, &form.reason, "").await
}

#[derive(Debug, Deserialize)]
pub struct Review {
    csrf: String,
}
impl Csrf for Review {
    fn csrf(&self) -> &str {
        &self.csrf
    }
}

/// `POST /app/actions/{id}/review`.
pub async fn review(Path(id): Path<String>, posted: Posted<Review>) -> Response {
    let Posted { visit, .. } = posted;
    let decided = match id_in_path(&id, "action") {
        Ok(action) => data::review(&visit, action).await,
        Err(refusal) => Err(refusal),
    };
    after(&visit, &id, decided, "", "").await
}

/// A decision that counted leads back to the card by a redirect, so that loading it again decides nothing, or to the
/// page that showed it. One that was refused shows the card again with the reason.
async fn after(
    visit: &Visit,
    id: &str,
    decided: Result<ActionView, Refusal>,
    reason: &str,
    next: &str,
) -> Response {
    match decided {
        Ok(_) if !next.is_empty() => Redirect::to(paths::safe_next(next)).into_response(),
        Ok(view) => Redirect::to(&paths::action(view.id)).into_response(),
        Err(refusal) if matches!(refusal.code, Code::NotFound | Code::Internal) => visit.answer(Err(refusal)),
        Err(refusal) => {
            let page = page(visit, id, Some(&refusal), reason).await;
            visit.answer_refused(page, &refusal)
        }
    }
}

async fn page(visit: &Visit, id: &str, refusal: Option<&Refusal>, reason: &str) -> Result<Page, Refusal> {
    // What was refused stays in view until the person goes on.
    let live = if refusal.is_none() { visit.live().await } else { None };
    let view = data::action(visit, id_in_path(id, "action")?).await?;
    let now = visit.now;
    let open = view.status == ActionState::PendingApproval && now < view.card.expires_at;
    let may = may(visit, &view, open).await?;
    let body = html! {
        (layout::heading(&[("Approvals", paths::APPROVALS.into())], &view.title, html! {
            (pill::pill(view.status.as_str()))
            @if let Some(release) = &view.card.release { a href=(paths::release(release.id)) { (release.name) } }
            @if let Some(team) = &view.card.team { span { "Team " (team.name) } }
        }, html! {}))
        @if let Some(refusal) = refusal { (form::refused("Your decision was not taken", refusal)) }
        (card::banner(&view, now))
        div.columns data-parts {
            div data-parts {
                (card::results(&view))
                (card::asked(&view, now))
                (card::effects(&view.card))
                (card::payload(&view.card))
                (card::identifiers(&view.card))
            }
            div.aside.sticky data-parts { (beside(&view, open, &may, visit, reason)) }
        }
    };
    Ok(Page { title: view.title.clone(), part: Part::Approvals, body, live })
}

/// The card as a part of another page, which is come back to after a decision.
pub async fn elsewhere(visit: &Visit, view: &ActionView, back: String) -> Result<Markup, Refusal> {
    let now = visit.now;
    let open = view.status == ActionState::PendingApproval && now < view.card.expires_at;
    let may = May { back, ..may(visit, view, open).await? };
    Ok(html! {
        (card::banner(view, now))
        (card::results(view))
        @if open {
            (card::asked(view, now))
            (card::effects(&view.card))
            (card::decision(view, &may, &visit.csrf, ""))
        }
        (card::further(view, &may, &visit.csrf, ""))
        details.fold {
            summary { "Everything about this action" }
            div.stack {
                @if !open {
                    (card::asked(view, now))
                    (card::effects(&view.card))
                }
                (card::payload(&view.card))
                (card::identifiers(&view.card))
                (card::policy(view, now))
                (card::receipt(view, now))
                p { a href=(paths::action(view.id)) { "Open the card on its own page" } }
            }
        }
    })
}

fn beside(view: &ActionView, open: bool, may: &May, visit: &Visit, reason: &str) -> Markup {
    html! {
        @if open { (card::decision(view, may, &visit.csrf, reason)) }
        (card::further(view, may, &visit.csrf, reason))
        @if view.status.is_final() { (card::receipt(view, visit.now)) }
        (card::policy(view, visit.now))
        @if !view.status.is_final() { (card::receipt(view, visit.now)) }
    }
}

/// Says beforehand what the engine will decide anyway, so that nobody presses a button in vain.
async fn may(visit: &Visit, view: &ActionView, open: bool) -> Result<May, Refusal> {
    let card = &view.card;
    let team = card.team.as_ref().map(|t| t.id);
    let me = visit.actor.user_id;
    let allows = |permission| visit.actor.rights.allows(permission, team);
    let glass = card.broken_glass.as_ref();
    let to_review = glass.is_some_and(|glass| glass.review.is_none() && glass.by.by != me);
    let outdated = card.outdated_at.is_some();
    let settled = view.status.is_final() && view.status != ActionState::Executed;
    let tool = engine::tools::find(&card.tool).filter(|tool| visit.actor.permits(&tool.card));
    let again = tool.filter(|_| settled || outdated);
    let (mut approve, reject) = decisions(visit, view);
    let counts = |signed| card.policy.counts(&visit.actor.membership, card.requested_by.id, team, signed);
    let mut sign = None;
    if open && approve.is_ok() && counts(true) != counts(false) {
        sign = data::confirmation(visit, view.id).await?;
        if sign.is_none() {
            approve = Err(
                "Its policy counts only approvals that are signed with a passkey, and you have none here. \
                           Register one under Passkeys, then come back."
                    .to_owned(),
            );
        }
    }
    if outdated && approve.is_ok() {
        approve =
            Err("It is out of date and would not run. Reject it, and have it proposed again.".to_owned());
    }
    Ok(May {
        sign,
        origin: visit.engine.passkey_origin().unwrap_or_default().to_owned(),
        approve,
        reject,
        withdraw: open && me == card.requested_by.id,
        break_glass: open && !outdated && allows(Permission::ApprovalsBreakGlass),
        review: to_review && allows(Permission::ApprovalsDecide),
        again: again.map(|tool| paths::command(tool.name(), &[("again", &view.id.to_string())])),
        back: String::new(),
    })
}

type Allowed = Result<(), String>;

fn decisions(visit: &Visit, view: &ActionView) -> (Allowed, Allowed) {
    let card = &view.card;
    let team = card.team.as_ref().map(|t| t.id);
    if !visit.actor.rights.allows(Permission::ApprovalsDecide, team) {
        let place = card.team.as_ref().map_or_else(String::new, |t| format!(" for team {}", t.name));
        let why = format!(
            "You may read this card, but deciding needs the permission approvals:decide{place}, which none of your \
             roles gives. Ask somebody who has it, or an organization administrator."
        );
        return (Err(why.clone()), Err(why));
    }
    let me = visit.actor.user_id;
    let counts = card.policy.counts(&visit.actor.membership, card.requested_by.id, team, true);
    let approve = if counts.is_empty() && me != card.requested_by.id {
        Err("The policy asks for other approvers; the sentence under Approval says which. You may still reject it.".to_owned())
    } else if counts.is_empty() {
        Err("You asked for this yourself, and its policy wants another person's approval. You may still reject it."
            .to_owned())
    } else if card.approvals.iter().any(|a| a.by == me) {
        Err("You have approved it already. Another person must give the remaining approval.".to_owned())
    } else {
        Ok(())
    };
    (approve, Ok(()))
}
