//! What an outside directory may say of members over SCIM 2.0 (RFC 7643, RFC 7644), as values: filters, paths, and what
//! becomes of a user or of a group's members by what was sent. Knows no HTTP. Nothing here repeats what was sent, and
//! every text is bounded before it is looked at.

mod filter;
mod group;
mod path;
mod user;

pub use filter::{Filter, Literal};
pub use group::members_after;
pub use path::Path;
pub use user::Profile;

use crate::permission::{Permission, Role};

/// What somebody whom a directory adds holds at first, in the whole organization. Groups give more.
pub const FIRST_ROLE: Role = Role::Viewer;
/// The direct permission that every member has, of somebody whom a directory adds; [`FIRST_ROLE`] gives it too.
pub const FIRST_PERMISSION: Permission = Permission::TeamsRead;

/// Bytes of a filter or of a path.
pub const FILTER_BYTES_MAX: usize = 1_024;
/// Comparisons that a filter joins by `and`.
pub const TERMS_MAX: usize = 8;
/// Operations of one PATCH.
pub const OPERATIONS_MAX: usize = 100;
/// Members that one request about a group may name.
pub const MEMBERS_MAX: usize = 1_000;
/// Characters of `externalId`.
pub const EXTERNAL_ID_CHARS_MAX: usize = 256;
/// Characters of a name.
pub const NAME_CHARS_MAX: usize = 200;

/// The schemas that are served (RFC 7643, section 10).
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

crate::words! {
    /// What was wrong with a request, in the words of RFC 7644, section 3.12.
    ScimType {
        InvalidFilter = "invalidFilter", TooMany = "tooMany", Uniqueness = "uniqueness", Mutability = "mutability",
        InvalidSyntax = "invalidSyntax", InvalidPath = "invalidPath", NoTarget = "noTarget",
        InvalidValue = "invalidValue",
    }
}

/// Why a request cannot be done as it stands. The detail says what must be, never what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Wrong {
    pub kind: ScimType,
    pub detail: &'static str,
}

pub(crate) const fn wrong(kind: ScimType, detail: &'static str) -> Wrong {
    Wrong { kind, detail }
}

/// What one operation of a PATCH does (RFC 7644, section 3.5.2). Entra ID writes it with a capital.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Remove,
    Replace,
}

/// One operation of a PATCH.
struct Operation<'a> {
    op: Op,
    path: Option<Path>,
    value: Option<&'a serde_json::Value>,
}

/// A member of an object by its name, which ignores case (RFC 7643, section 2.1).
fn member<'a>(
    object: &'a serde_json::Map<String, serde_json::Value>,
    name: &str,
) -> Option<&'a serde_json::Value> {
    object.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The operations of a PATCH body.
fn operations(body: &serde_json::Value) -> Result<Vec<Operation<'_>>, Wrong> {
    let bad = |detail| wrong(ScimType::InvalidSyntax, detail);
    let list = body.as_object().and_then(|body| member(body, "operations")).and_then(|list| list.as_array());
    let list = list.ok_or(bad("a PATCH carries a list of Operations"))?;
    if list.is_empty() || list.len() > OPERATIONS_MAX {
        return Err(wrong(ScimType::TooMany, "a PATCH carries 1 to 100 Operations"));
    }
    let read = |item: &'_ serde_json::Value| -> Result<(Op, Option<Path>), Wrong> {
        let item = item.as_object().ok_or(bad("every operation is an object"))?;
        let op = member(item, "op").and_then(|op| op.as_str()).unwrap_or_default();
        let op = match op.to_ascii_lowercase().as_str() {
            "add" => Op::Add,
            "remove" => Op::Remove,
            "replace" => Op::Replace,
            _ => return Err(bad("op is add, remove or replace")),
        };
        let path = match member(item, "path") {
            None | Some(serde_json::Value::Null) => None,
            Some(serde_json::Value::String(text)) => Some(Path::parse(text)?),
            Some(_) => return Err(wrong(ScimType::InvalidPath, "path is a text")),
        };
        Ok((op, path))
    };
    list.iter()
        .map(|item| {
            let (op, path) = read(item)?;
            let value = item.as_object().and_then(|item| member(item, "value"));
            match op {
                Op::Remove if path.is_none() => {
                    Err(wrong(ScimType::NoTarget, "what is to be removed must be named by a path"))
                }
                Op::Add | Op::Replace if value.is_none() => {
                    Err(wrong(ScimType::InvalidValue, "add and replace need a value"))
                }
                _ => Ok(Operation { op, path, value }),
            }
        })
        .collect()
}
