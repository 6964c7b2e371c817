//! Plans the end of a member's browser session, for example on a device that was lost. It must work in this organization; the
//! person may sign in again unless they are deactivated too. One's own sessions everybody ends by themselves.

use domain::directory::DirectoryChange;
use domain::effect::Effect;
use domain::id::SessionId;
use domain::permission::{Membership, Permission};
use domain::refusal::Refusal;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access;
use crate::stop::Stop;
use crate::tool::{Asked, Card, Command, Cx, Effects, NewId, Plan};

/// End a member's browser session in this organization; it is over with the very next request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct In {
    /// As loopiq_list_sessions shows it.
    pub session: SessionId,
}

/// Whose session it is.
pub struct Facts {
    person: Membership,
}

pub struct EndSession;

impl Command for EndSession {
    const CARD: Card = Card {
        name: "loopiq_end_session",
        title: "End a session",
        permission: Some(Permission::UsersManage),
        effects: Effects::Administration,
        over_mcp: false,
        version: 1,
    };
    type In = In;
    type Facts = Facts;

    async fn facts(cx: &Cx<'_>, input: &In) -> Result<Facts, Stop> {
        access::managed(cx)?;
        let sessions = cx.identity.sessions_in(cx.organization.id).await?;
        let found = sessions.iter().find(|session| session.id == input.session);
        let person = match found {
            Some(session) => cx.reader.membership(session.user_id).await?,
            None => None,
        };
        Ok(Facts { person: person.ok_or_else(|| Refusal::not_found("session"))? })
    }

    fn plan(facts: &Facts, input: &In, _: Asked<'_>, _: NewId<'_>) -> Result<Plan, Refusal> {
        let person = &facts.person;
        let change = DirectoryChange::EndSession { session: input.session, user_id: person.user_id };
        Ok(Plan {
            summary: format!("End a session of {}", person.email),
            labels: [(person.user_id.to_string(), person.email.clone())].into(),
            effects: vec![Effect::ChangeDirectory { change: Box::new(change) }],
            ..Plan::default()
        })
    }
}
