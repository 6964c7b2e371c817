//! For clients that wait for a governed write of theirs: how it stands, and tickets, which are sealed texts that a client
//! carries and gives back. Only what this server sealed for the same purpose opens, and a ticket can be spent once on all
//! servers of one storage.

use data_encoding::BASE64URL_NOPAD;
use domain::action::{Action, ActionState};
use domain::digest::Digest;
use domain::id::ActionId;
use domain::permission::{Permission, Permissions, Rights};
use domain::refusal::Refusal;
use domain::time::Timestamp;

use crate::call;
use crate::card::{is_own, visible};
use crate::stop::{Fault, Stop};
use crate::tool::{Answer, Cx, Query as _};
use crate::tools::get_action::GetAction;
use crate::{Caller, Engine, signing};

/// The use of the sealing key that this is.
const TICKETS: &[u8] = b"tickets";

/// A write of the caller's own, as its tool would answer the same call now.
pub struct Standing {
    pub id: ActionId,
    pub state: ActionState,
    /// Whether the requester took it back.
    pub withdrawn: bool,
    /// Whether the caller's own approval, given in their browser, is what it waits for.
    pub awaits_caller: bool,
    /// Who must approve, in words.
    pub approvers: String,
    /// Where a person decides.
    pub url: String,
    pub created_at: Timestamp,
    /// The last step that was taken with it.
    pub changed_at: Timestamp,
    pub answer: Answer,
}

impl Engine {
    /// How a write stands that the caller asked for. The answer is the one its tool gives to the same call.
    ///
    /// # Errors
    /// `not_found` for absent, foreign and other people's actions alike.
    pub async fn standing(&self, caller: Caller<'_>, id: ActionId) -> Result<Standing, Refusal> {
        let found = async {
            // Who may not ask for actions, because MCP was switched off for one, has no task to ask for either.
            if !caller.actor.permits(&GetAction::CARD) {
                return Err(Stop::from(Refusal::not_found("action")));
            }
            let org = self.parts.store.org(caller.actor.organization.id).await?;
            let directory = self.parts.store.directory();
            let cx = self.cx(caller.actor, &org, &directory);
            let found = visible(&cx, id).await?;
            if !is_own(&cx, &found.action) {
                return Err(Stop::from(Refusal::not_found("action")));
            }
            let found = self.settle(caller, &org, found).await?;
            let out = self.outcome(&cx, &found, false).await?;
            let action = &found.action;
            let steps =
                action.approvals.iter().map(|a| a.at).chain(action.approved_at).chain(action.finished_at);
            Ok(Standing {
                id,
                state: action.state,
                withdrawn: action.withdrawn,
                awaits_caller: awaits_person(&cx, action),
                approvers: action.requirement.sentence(),
                url: cx.links.action(id),
                created_at: action.created_at,
                changed_at: steps.max().unwrap_or(action.created_at),
                answer: call::answer(caller, &out)?,
            })
        };
        match found.await {
            Ok(standing) => Ok(standing),
            Err(stop) => Err(self.refuse(caller, "loopiq_get_action", stop).await),
        }
    }

    /// Seals a text for one purpose, which is not secret and must be named again to open it.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn ticket(&self, purpose: &str, text: &[u8]) -> Result<String, Fault> {
        let sealed = signing::seal(&self.sealing_key(TICKETS).await?, purpose.as_bytes(), text)?;
        Ok(BASE64URL_NOPAD.encode(&sealed))
    }

    /// The text of a ticket that was made for this purpose.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn open_ticket(&self, purpose: &str, ticket: &str) -> Result<Option<Vec<u8>>, Fault> {
        let Ok(sealed) = BASE64URL_NOPAD.decode(ticket.as_bytes()) else { return Ok(None) };
        Ok(signing::open(&self.sealing_key(TICKETS).await?, purpose.as_bytes(), sealed))
    }

    /// Spends a ticket; false when it was spent before, on whichever server. It is remembered until it has expired.
    ///
    /// # Errors
    /// A fault of storage.
    pub async fn spend_ticket(&self, ticket: &str, expires_at: Timestamp) -> Result<bool, Fault> {
        let once = Digest::of_parts(&[b"ticket\n", ticket.as_bytes()]);
        Ok(self.parts.store.directory().take_assertion(&once, expires_at).await?)
    }
}

/// Whether an action waits for the approval of the person behind the call, whatever their program may do itself: what a
/// token may not, they may in their browser.
fn awaits_person(cx: &Cx<'_>, action: &Action) -> bool {
    let person = &cx.actor.membership;
    action.state == ActionState::PendingApproval
        && !action.is_overdue(cx.now)
        && Rights::new(person, Permissions::EVERY).allows(Permission::ApprovalsDecide, action.team_id)
        && !action.requirement.counts(person, action.requester_id, action.team_id, true).is_empty()
        && action.approvals.iter().all(|approval| approval.by != cx.actor.user_id)
}
