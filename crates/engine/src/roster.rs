//! The people of an organization and what they hold, whole, as an outside directory sees them.

use domain::id::{TeamId, UserId};
use domain::permission::{MembershipStatus, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access;
use crate::stop::Stop;
use crate::tool::{Card, Cx, Query, Say};
use crate::tools::list_members::ListMembers;

/// Nothing is asked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct In {}

/// A member or former member.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Person {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    pub active: bool,
    pub roles: Vec<Role>,
    pub team_roles: Vec<(TeamId, Role)>,
    pub external_id: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    /// Whether the directory has deleted them: to it they are not there.
    pub deleted: bool,
    pub version: i64,
}

/// Everybody, by id, and the teams by name.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Roster {
    pub people: Vec<Person>,
    /// Each with its key.
    pub teams: Vec<(TeamId, String)>,
}

impl Say for Roster {
    fn say(&self) -> String {
        format!("{} members", self.people.len())
    }
    fn returned(&self) -> u32 {
        self.people.len() as u32
    }
}

impl Query for Roster {
    const CARD: Card = ListMembers::CARD;
    type In = In;
    type Out = Roster;

    async fn answer(cx: &Cx<'_>, _: In) -> Result<Roster, Stop> {
        access::managed(cx)?;
        let members = cx.reader.memberships().await?;
        let people = members.iter().cloned().map(|member| {
            let told = member.provisioned.unwrap_or_default();
            Person {
                id: member.user_id,
                email: member.email,
                display_name: member.display_name,
                active: member.status == MembershipStatus::Active,
                roles: member.roles,
                team_roles: member.team_roles.iter().map(|held| (held.team_id, held.role)).collect(),
                external_id: told.external_id,
                given_name: told.given_name,
                family_name: told.family_name,
                deleted: told.deleted,
                version: member.version,
            }
        });
        let teams = cx.reader.teams(None).await?.into_iter().map(|team| (team.id, team.key));
        Ok(Roster { people: people.collect(), teams: teams.collect() })
    }
}
