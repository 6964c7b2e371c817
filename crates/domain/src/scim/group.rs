//! What becomes of the members of a group by a PUT or a PATCH.

use std::collections::BTreeSet;

use serde_json::Value;

use super::filter::{Filter, Literal};
use super::{MEMBERS_MAX, Op, ScimType, Wrong, member, operations, wrong};

/// Ids of members.
type Members = BTreeSet<String>;

const fn invalid(detail: &'static str) -> Wrong {
    wrong(ScimType::InvalidValue, detail)
}

/// The members of the group named `name` after a PUT (an object with `members`) or a PATCH (an object with
/// `Operations`), given those it has. Groups are a fixed set: what would rename one is refused.
///
/// # Errors
/// `mutability` for another `displayName`; `invalidValue` for members that are not named by `value`; `tooMany` over
/// [`MEMBERS_MAX`]; `invalidPath`, `noTarget` and `invalidSyntax` as RFC 7644, section 3.12, has them.
pub fn members_after(name: &str, now: &Members, body: &Value, patch: bool) -> Result<Members, Wrong> {
    let mut next = now.clone();
    if !patch {
        let body = body.as_object().ok_or(wrong(ScimType::InvalidSyntax, "a group is an object"))?;
        if let Some(value) = member(body, "displayName") {
            unchanged(name, value)?;
        }
        return named(member(body, "members").unwrap_or(&Value::Null));
    }
    for operation in operations(body)? {
        let value = operation.value.unwrap_or(&Value::Null);
        let Some(path) = operation.path else {
            let parts = value.as_object().ok_or(invalid("without a path, the value is an object"))?;
            if let Some(value) = member(parts, "displayName") {
                unchanged(name, value)?;
            }
            if let Some(value) = member(parts, "members") {
                change(&mut next, operation.op, None, value)?;
            }
            continue;
        };
        if path.foreign {
            continue;
        }
        match (path.attribute.as_str(), path.sub.as_deref()) {
            ("members", None) => change(&mut next, operation.op, path.filter.as_ref(), value)?,
            ("displayname", None) if operation.op != Op::Remove => unchanged(name, value)?,
            // Not kept of groups.
            ("externalid", None) => {}
            ("id" | "meta" | "schemas" | "displayname", _) => {
                return Err(wrong(ScimType::Mutability, "of a group, only its members change"));
            }
            _ => return Err(wrong(ScimType::InvalidPath, "groups have no such attribute")),
        }
    }
    Ok(next)
}

fn unchanged(name: &str, value: &Value) -> Result<(), Wrong> {
    if value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(wrong(ScimType::Mutability, "groups are the roles there are; they keep their names"))
}

fn change(next: &mut Members, op: Op, filter: Option<&Filter>, value: &Value) -> Result<(), Wrong> {
    match (op, filter) {
        (Op::Add, None) => next.extend(named(value)?),
        (Op::Replace, None) => *next = named(value)?,
        // RFC 7644 removes all by `members`; Entra ID may name them in a value all the same.
        (Op::Remove, None) if value.is_null() => next.clear(),
        (Op::Remove, None) => {
            for id in named(value)? {
                next.remove(&id);
            }
        }
        (Op::Remove, Some(filter)) => {
            let mut kept = Members::new();
            for id in next.iter() {
                let is = |attribute: &str, value: &Literal| (attribute == "value").then(|| value.is(id));
                if !filter.matches(is)? {
                    kept.insert(id.clone());
                }
            }
            *next = kept;
        }
        (Op::Add | Op::Replace, Some(_)) => {
            return Err(wrong(ScimType::NoTarget, "members are added whole, and removed by a filter"));
        }
    }
    Ok(())
}

/// The ids in a list of members, or in one member.
fn named(value: &Value) -> Result<Members, Wrong> {
    let list = match value {
        Value::Null => return Ok(Members::new()),
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    if list.len() > MEMBERS_MAX {
        return Err(wrong(ScimType::TooMany, "one request names at most 1000 members"));
    }
    list.iter()
        .map(|item| {
            let id = item.as_object().and_then(|item| member(item, "value")).and_then(Value::as_str);
            id.map(str::to_owned).ok_or(invalid("members are objects with the id of a user as value"))
        })
        .collect()
}
