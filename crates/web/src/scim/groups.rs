//! Groups: the roles of the organization and of its teams. The set is fixed, and to be in a group is to hold its role. What a
//! token may not give its person, it puts nobody into; groups show active members.

use std::collections::BTreeSet;

use axum::extract::{Path, RawQuery, Request, State as Shared};
use axum::http::StatusCode;
use axum::response::Response;
use domain::digest::Digest;
use domain::id::TeamId;
use domain::permission::Role;
use domain::refusal::{Code, Refusal};
use domain::scim::{Filter, GROUP, Literal, ScimType, Wrong, members_after};
use engine::roster::{Person, Roster};
use serde_json::{Value, json};

use super::answer::{Asked, Refused, resource};
use super::{Directory, Wanted};
use crate::State;

type Answer = Result<Response, Refused>;

/// Characters of a group's tag.
const TAG_CHARS: usize = 16;

/// A role where it is held.
#[derive(Clone, Copy)]
struct Group<'a> {
    role: Role,
    /// With its key; absent: the whole organization.
    team: Option<(TeamId, &'a str)>,
}

impl Group<'_> {
    fn id(&self) -> String {
        self.team.map_or_else(|| self.role.to_string(), |(team, _)| format!("{team}.{}", self.role))
    }

    fn name(&self) -> String {
        self.team.map_or_else(|| self.role.to_string(), |(_, key)| format!("team/{key}/{}", self.role))
    }

    fn has(&self, person: &Person) -> bool {
        person.active
            && match self.team {
                None => person.roles.contains(&self.role),
                Some((team, _)) => person.team_roles.contains(&(team, self.role)),
            }
    }

    /// As the commands about access name it.
    fn held(&self) -> Value {
        match self.team {
            None => json!({ "roles": [self.role] }),
            Some((team, _)) => json!({ "teamRoles": [{ "team": team, "role": self.role }] }),
        }
    }

    fn location(&self, directory: &Directory) -> String {
        format!("{}/Groups/{}", directory.base, self.id())
    }

    fn members<'r>(&self, roster: &'r Roster) -> Vec<&'r Person> {
        roster.people.iter().filter(|person| self.has(person)).collect()
    }

    /// A tag of its members.
    fn tag(&self, roster: &Roster) -> String {
        let mut ids = String::new();
        for person in self.members(roster) {
            ids.push_str(&person.id.to_string());
        }
        let digest = Digest::of(ids.as_bytes()).to_string();
        format!("W/\"{}\"", digest.get(..TAG_CHARS).unwrap_or(&digest))
    }

    fn shown(&self, directory: &Directory, roster: &Roster) -> Value {
        let members = self.members(roster).into_iter().map(|person| {
            json!({
                "value": person.id, "display": person.display_name, "type": "User",
                "$ref": format!("{}/Users/{}", directory.base, person.id),
            })
        });
        json!({
            "schemas": [GROUP],
            "id": self.id(),
            "displayName": self.name(),
            "members": members.collect::<Vec<_>>(),
            "meta": {
                "resourceType": "Group", "location": self.location(directory), "version": self.tag(roster),
            },
        })
    }

    fn matches(&self, filter: &Filter, roster: &Roster) -> Result<bool, Wrong> {
        filter.matches(|attribute, value: &Literal| {
            Some(match attribute {
                "id" => value.is(&self.id()),
                "displayname" => value.is_like(&self.name()),
                // Not kept of groups.
                "externalid" => false,
                "members" | "members.value" => {
                    self.members(roster).iter().any(|person| value.is(&person.id.to_string()))
                }
                _ => return None,
            })
        })
    }
}

/// All there are: the roles of the organization, then those of each team.
fn all(roster: &Roster) -> impl Iterator<Item = Group<'_>> {
    let teams = roster.teams.iter().map(|(id, key)| Some((*id, key.as_str())));
    let places = std::iter::once(None).chain(teams);
    places.flat_map(|team| Role::ALL.iter().map(move |role| Group { role: *role, team }))
}

/// The groups of a person, as a user shows them.
pub fn of(directory: &Directory, roster: &Roster, person: &Person) -> Vec<Value> {
    let held = all(roster).filter(|group| group.has(person));
    held.map(|group| {
        json!({
            "value": group.id(), "display": group.name(), "type": "direct", "$ref": group.location(directory),
        })
    })
    .collect()
}

fn find<'a>(directory: &Directory, roster: &'a Roster, id: &str) -> Result<Group<'a>, Refused> {
    all(roster).find(|group| group.id() == id).ok_or_else(|| directory.absent("group"))
}

/// `GET /scim/v2/Groups`.
pub async fn list(Shared(state): Shared<State>, directory: Directory, RawQuery(query): RawQuery) -> Answer {
    let asked = Asked::of(&directory, query.as_deref())?;
    let roster = directory.roster(&state).await?;
    let mut found = Vec::new();
    for group in all(&roster) {
        let wanted = asked.filter.as_ref().map_or(Ok(true), |filter| group.matches(filter, &roster));
        if wanted.map_err(|wrong| directory.wrong(wrong))? {
            found.push(group.shown(&directory, &roster));
        }
    }
    Ok(asked.page(found))
}

/// `GET /scim/v2/Groups/{id}`.
pub async fn show(
    Shared(state): Shared<State>,
    directory: Directory,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let asked = Asked::of(&directory, query.as_deref())?;
    let roster = directory.roster(&state).await?;
    let group = find(&directory, &roster, &id)?;
    Ok(resource(StatusCode::OK, &asked, group.shown(&directory, &roster)))
}

/// `POST /scim/v2/Groups` and `DELETE /scim/v2/Groups/{id}`: the set is fixed.
pub async fn fixed(directory: Directory) -> Refused {
    let refusal = Refusal::new(
        Code::Forbidden,
        "groups are the built-in roles; none can be made or deleted",
        "Read /scim/v2/Groups and map the directory's groups to those, by their displayName.",
    );
    directory.refused(refusal)
}

/// `PUT /scim/v2/Groups/{id}`.
pub async fn replace(
    state: Shared<State>,
    directory: Directory,
    id: Path<String>,
    request: Request,
) -> Answer {
    update(state, directory, id, request, false).await
}

/// `PATCH /scim/v2/Groups/{id}`.
pub async fn patch(state: Shared<State>, directory: Directory, id: Path<String>, request: Request) -> Answer {
    update(state, directory, id, request, true).await
}

/// Each member who comes or goes is a change of its own. The first that is refused ends the request; what was done before
/// stays, and the same request again goes on from there.
async fn update(
    Shared(state): Shared<State>,
    directory: Directory,
    Path(id): Path<String>,
    request: Request,
    patch: bool,
) -> Answer {
    let (parts, body) = request.into_parts();
    let asked = Asked::of(&directory, parts.uri.query())?;
    let body: Value = directory.read(&state, &parts.headers, body).await?;
    let wanted = Wanted::of(&parts.headers);
    for tried in 1.. {
        let roster = directory.roster(&state).await?;
        let group = find(&directory, &roster, &id)?;
        if !wanted.is_met(&group.tag(&roster)) {
            return Err(Refused::moved(&directory.ids));
        }
        let done = regroup(&state, &directory, &roster, group, &body, patch).await;
        if wanted.settle(done, tried, &directory.ids)? {
            break;
        }
    }
    let roster = directory.roster(&state).await?;
    let group = find(&directory, &roster, &id)?;
    Ok(resource(StatusCode::OK, &asked, group.shown(&directory, &roster)))
}

async fn regroup(
    state: &State,
    directory: &Directory,
    roster: &Roster,
    group: Group<'_>,
    body: &Value,
    patch: bool,
) -> Result<(), Refused> {
    let now: BTreeSet<String> =
        group.members(roster).into_iter().map(|person| person.id.to_string()).collect();
    let next = members_after(&group.name(), &now, body, patch).map_err(|wrong| directory.wrong(wrong))?;
    let person = |id: &String| {
        let found = roster.people.iter().find(|person| person.active && person.id.to_string() == *id);
        found.ok_or_else(|| {
            let detail = "members are active users of this organization";
            directory.wrong(Wrong { kind: ScimType::InvalidValue, detail })
        })
    };
    // Whoever is named is known before anybody is changed; those who go, go first.
    let coming = next.difference(&now).map(person).collect::<Result<Vec<_>, _>>()?;
    let going = now.difference(&next).map(person).collect::<Result<Vec<_>, _>>()?;
    for (people, verb) in [(going, "revoke"), (coming, "grant")] {
        for person in people {
            let mut arguments = json!({ "member": person.id, "version": person.version });
            if let Some(members) = arguments.as_object_mut() {
                members.insert(verb.into(), group.held());
            }
            directory.carry_out(state, "loopiq_change_access", arguments).await?;
        }
    }
    Ok(())
}
