//! Users: the members of the organization. What a directory deletes becomes an inactive membership; the record and the log
//! of what the person did stay.

use axum::extract::{Path, RawQuery, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::id::UserId;
use domain::permission::MembershipStatus;
use domain::scim::{FIRST_PERMISSION, FIRST_ROLE, Filter, Literal, Profile, USER, Wrong};
use engine::roster::{Person, Roster};
use serde_json::{Value, json};

use super::answer::{Asked, Refused, resource};
use super::{Directory, Wanted, groups};
use crate::State;

type Answer = Result<Response, Refused>;

/// `GET /scim/v2/Users`.
pub async fn list(Shared(state): Shared<State>, directory: Directory, RawQuery(query): RawQuery) -> Answer {
    let asked = Asked::of(&directory, query.as_deref())?;
    let roster = directory.roster(&state).await?;
    let mut found = Vec::new();
    for person in roster.people.iter().filter(|person| !person.deleted) {
        if matches(&directory, asked.filter.as_ref(), person)? {
            found.push(shown(&directory, &roster, person));
        }
    }
    Ok(asked.page(found))
}

/// `GET /scim/v2/Users/{id}`.
pub async fn show(
    Shared(state): Shared<State>,
    directory: Directory,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let asked = Asked::of(&directory, query.as_deref())?;
    one(&state, &directory, &id, StatusCode::OK, &asked).await
}

/// `POST /scim/v2/Users`: a new member, or one whom the directory had deleted.
pub async fn create(Shared(state): Shared<State>, directory: Directory, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let asked = Asked::of(&directory, parts.uri.query())?;
    let body: Value = directory.read(&state, &parts.headers, body).await?;
    let wanted = Profile::new(&body).map_err(|wrong| directory.wrong(wrong))?;
    let roster = directory.roster(&state).await?;
    let same = |person: &&Person| person.email.eq_ignore_ascii_case(&wanted.user_name);
    let known = roster.people.iter().find(same);
    unique(&directory, &roster, &wanted, known.map(|person| person.id))?;
    match known {
        Some(person) if !person.deleted => {
            return Err(Refused::taken(
                &directory.ids,
                "a user with this userName is there already",
                "Find it by its userName; an inactive one comes back by setting active to true.",
            ));
        }
        Some(person) => {
            let back = Profile { active: true, ..wanted.clone() };
            change(&state, &directory, person, &back).await?;
        }
        None => {
            let arguments = json!({
                "email": wanted.user_name,
                "displayName": wanted.display_name,
                "access": { "roles": [FIRST_ROLE], "permissions": [FIRST_PERMISSION] },
                "directory": told(&wanted),
            });
            directory.carry_out(&state, "loopiq_add_member", arguments).await?;
        }
    }
    let roster = directory.roster(&state).await?;
    let made = roster.people.iter().find(same).ok_or_else(|| directory.absent("user"))?;
    if made.active && !wanted.active {
        change(&state, &directory, made, &wanted).await?;
    }
    one(&state, &directory, &made.id.to_string(), StatusCode::CREATED, &asked).await
}

/// `PUT /scim/v2/Users/{id}`.
pub async fn replace(
    state: Shared<State>,
    directory: Directory,
    id: Path<String>,
    request: Request,
) -> Answer {
    update(state, directory, id, request, Profile::replaced).await
}

/// `PATCH /scim/v2/Users/{id}`.
pub async fn patch(state: Shared<State>, directory: Directory, id: Path<String>, request: Request) -> Answer {
    update(state, directory, id, request, Profile::patched).await
}

/// What a user becomes by a body.
type Apply = fn(&Profile, &Value) -> Result<Profile, Wrong>;

async fn update(
    Shared(state): Shared<State>,
    directory: Directory,
    Path(id): Path<String>,
    request: Request,
    apply: Apply,
) -> Answer {
    let (parts, body) = request.into_parts();
    let asked = Asked::of(&directory, parts.uri.query())?;
    let body: Value = directory.read(&state, &parts.headers, body).await?;
    settle(&state, &directory, &id, &parts.headers, &Wish::Become(apply, body)).await?;
    one(&state, &directory, &id, StatusCode::OK, &asked).await
}

/// `DELETE /scim/v2/Users/{id}`: ends the person's access, and to the directory they are gone.
pub async fn remove(
    Shared(state): Shared<State>,
    directory: Directory,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    settle(&state, &directory, &id, &headers, &Wish::Gone).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What is to become of a user.
enum Wish {
    Become(Apply, Value),
    Gone,
}

/// Works on a user as it is read, and again where somebody else changes it at the same moment.
async fn settle(
    state: &State,
    directory: &Directory,
    id: &str,
    headers: &HeaderMap,
    wish: &Wish,
) -> Result<(), Refused> {
    let wanted = Wanted::of(headers);
    for tried in 1.. {
        let roster = directory.roster(state).await?;
        let person = find(directory, &roster, id)?;
        if !wanted.is_met(&tag(person)) {
            return Err(Refused::moved(&directory.ids));
        }
        let done = match wish {
            Wish::Become(apply, body) => {
                let next = apply(&profile(person), body).map_err(|wrong| directory.wrong(wrong))?;
                unique(directory, &roster, &next, Some(person.id))?;
                change(state, directory, person, &next).await
            }
            Wish::Gone => {
                let arguments = json!({
                    "member": person.id, "status": MembershipStatus::Inactive, "version": person.version,
                    "deletedByDirectory": true,
                });
                directory.carry_out(state, "loopiq_set_member_status", arguments).await
            }
        };
        if wanted.settle(done, tried, &directory.ids)? {
            break;
        }
    }
    Ok(())
}

/// Makes a member what is wanted. Whether they are active comes first: that is what must not wait.
async fn change(
    state: &State,
    directory: &Directory,
    person: &Person,
    wanted: &Profile,
) -> Result<(), Refused> {
    let now = profile(person);
    let mut version = person.version;
    if now.active != wanted.active {
        let status = if wanted.active { MembershipStatus::Active } else { MembershipStatus::Inactive };
        let arguments = json!({ "member": person.id, "status": status, "version": version });
        directory.carry_out(state, "loopiq_set_member_status", arguments).await?;
        version += 1;
    }
    if (Profile { active: now.active, user_name: now.user_name.clone(), ..wanted.clone() }) != now {
        let arguments = json!({
            "member": person.id, "version": version, "displayName": wanted.display_name, "directory": told(wanted),
        });
        directory.carry_out(state, "loopiq_update_member", arguments).await?;
    }
    Ok(())
}

/// What the commands call what a directory says of a person.
fn told(wanted: &Profile) -> Value {
    let mut told = json!({});
    for (name, text) in [
        ("externalId", &wanted.external_id),
        ("givenName", &wanted.given_name),
        ("familyName", &wanted.family_name),
    ] {
        if let (Some(text), Some(members)) = (text, told.as_object_mut()) {
            members.insert(name.into(), json!(text));
        }
    }
    told
}

/// Nobody else has the directory's id.
fn unique(
    directory: &Directory,
    roster: &Roster,
    wanted: &Profile,
    own: Option<UserId>,
) -> Result<(), Refused> {
    let taken = |other: &&Person| {
        Some(other.id) != own
            && !other.deleted
            && other.external_id.is_some()
            && other.external_id == wanted.external_id
    };
    if roster.people.iter().find(taken).is_some() {
        return Err(Refused::taken(
            &directory.ids,
            "another user has this externalId",
            "Find that user by the externalId, and give each one of its own.",
        ));
    }
    Ok(())
}

fn profile(person: &Person) -> Profile {
    Profile {
        user_name: person.email.clone(),
        active: person.active,
        display_name: person.display_name.clone(),
        external_id: person.external_id.clone(),
        given_name: person.given_name.clone(),
        family_name: person.family_name.clone(),
    }
}

fn find<'a>(directory: &Directory, roster: &'a Roster, id: &str) -> Result<&'a Person, Refused> {
    let id = id.parse::<UserId>().ok();
    let found = roster.people.iter().find(|person| Some(person.id) == id && !person.deleted);
    found.ok_or_else(|| directory.absent("user"))
}

fn matches(directory: &Directory, filter: Option<&Filter>, person: &Person) -> Result<bool, Refused> {
    let of = |attribute: &str, value: &Literal| {
        Some(match attribute {
            "id" => value.is(&person.id.to_string()),
            "username" | "emails" | "emails.value" => value.is_like(&person.email),
            "displayname" => value.is_like(&person.display_name),
            "externalid" => person.external_id.as_ref().is_some_and(|id| value.is(id)),
            "active" => value.is_flag(person.active),
            // Every address is one for work.
            "emails.type" => value.is_like("work"),
            _ => return None,
        })
    };
    filter.map_or(Ok(true), |filter| filter.matches(of).map_err(|wrong| directory.wrong(wrong)))
}

async fn one(state: &State, directory: &Directory, id: &str, status: StatusCode, asked: &Asked) -> Answer {
    let roster = directory.roster(state).await?;
    let person = find(directory, &roster, id)?;
    Ok(resource(status, asked, shown(directory, &roster, person)))
}

fn tag(person: &Person) -> String {
    format!("W/\"{}\"", person.version)
}

fn shown(directory: &Directory, roster: &Roster, person: &Person) -> Value {
    let mut name = json!({});
    let mut user = json!({
        "schemas": [USER],
        "id": person.id,
        "userName": person.email,
        "active": person.active,
        "emails": [{ "value": person.email, "type": "work", "primary": true }],
        "groups": groups::of(directory, roster, person),
        "meta": {
            "resourceType": "User",
            "location": format!("{}/Users/{}", directory.base, person.id),
            "version": tag(person),
        },
    });
    let put = |object: &mut Value, name: &str, text: &Option<String>| {
        if let (Some(text), Some(members)) = (text, object.as_object_mut()) {
            members.insert(name.into(), json!(text));
        }
    };
    put(&mut name, "givenName", &person.given_name);
    put(&mut name, "familyName", &person.family_name);
    put(&mut user, "externalId", &person.external_id);
    // Whoever has no name is shown by the address.
    let named = (person.display_name != person.email).then(|| person.display_name.clone());
    put(&mut user, "displayName", &named);
    let any = name.as_object().is_some_and(|parts| !parts.is_empty());
    if let (true, Some(members)) = (any, user.as_object_mut()) {
        members.insert("name".into(), name);
    }
    user
}
