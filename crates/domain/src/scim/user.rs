//! What becomes of a member by a SCIM user that is created, replaced or patched.

use serde_json::{Map, Value};

use super::{EXTERNAL_ID_CHARS_MAX, NAME_CHARS_MAX, Op, ScimType, Wrong, member, operations, wrong};

/// What a directory reads and changes of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The e-mail address of the account. It is the person's, in every organization, so no directory changes it.
    pub user_name: String,
    pub active: bool,
    pub display_name: String,
    pub external_id: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
}

/// What this server says of users; it cannot be set (RFC 7643, section 7, `readOnly`).
const READ_ONLY: [&str; 4] = ["id", "meta", "groups", "schemas"];
/// What RFC 7643, section 4.1, gives users besides. Directories send it by habit; nothing of it is kept.
const NOT_KEPT: [&str; 16] = [
    "emails",
    "nickname",
    "profileurl",
    "title",
    "usertype",
    "preferredlanguage",
    "locale",
    "timezone",
    "password",
    "phonenumbers",
    "ims",
    "photos",
    "addresses",
    "entitlements",
    "roles",
    "x509certificates",
];

const fn invalid(detail: &'static str) -> Wrong {
    wrong(ScimType::InvalidValue, detail)
}

fn flag(value: &Value) -> Result<bool, Wrong> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        // Entra ID writes "True" and "False".
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(invalid("active is true or false")),
    }
}

/// A text of a line, or nothing where it is empty or null.
fn line(value: &Value, chars_max: usize) -> Result<Option<String>, Wrong> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim(),
        _ => return Err(invalid("names and externalId are texts")),
    };
    if text.chars().count() > chars_max || text.chars().any(char::is_control) {
        return Err(invalid("names have at most 200 characters and externalId at most 256, on one line"));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

impl Profile {
    /// Whom a POST describes.
    ///
    /// # Errors
    /// `invalidValue` without a `userName` and for values of another kind or too long; `invalidSyntax` for what is no
    /// object.
    pub fn new(body: &Value) -> Result<Profile, Wrong> {
        let user_name = body.as_object().and_then(|body| member(body, "userName")).and_then(Value::as_str);
        let user_name = user_name.map(str::trim).filter(|name| !name.is_empty());
        let user_name = user_name.ok_or(invalid("userName must be the person's e-mail address"))?;
        let blank = Profile {
            user_name: user_name.to_owned(),
            active: true,
            display_name: String::new(),
            external_id: None,
            given_name: None,
            family_name: None,
        };
        let mut made = blank.replaced(body)?;
        if made.display_name.is_empty() {
            made.display_name.clone_from(&made.user_name);
        }
        Ok(made)
    }

    /// What a PUT makes of it. What it leaves out is cleared, but for what there must be: whether they are active, and
    /// a name to show.
    ///
    /// # Errors
    /// As [`Profile::new`]; `mutability` for another `userName`.
    pub fn replaced(&self, body: &Value) -> Result<Profile, Wrong> {
        let body = body.as_object().ok_or(wrong(ScimType::InvalidSyntax, "a user is an object"))?;
        let mut next = Profile { external_id: None, given_name: None, family_name: None, ..self.clone() };
        next.set_all(body)?;
        if member(body, "displayName").is_none_or(Value::is_null) {
            let formatted = member(body, "name").and_then(Value::as_object);
            let formatted = formatted.and_then(|name| member(name, "formatted"));
            let parts = [next.given_name.as_deref(), next.family_name.as_deref()];
            let joined = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
            let shown = match formatted {
                Some(formatted) => line(formatted, NAME_CHARS_MAX)?,
                None => line(&Value::from(joined), NAME_CHARS_MAX)?,
            };
            next.display_name = shown.unwrap_or(next.display_name);
        }
        Ok(next)
    }

    /// What a PATCH makes of it; all of its operations, or none.
    ///
    /// # Errors
    /// `invalidPath` for an attribute that users do not have; `mutability` for one that cannot be changed; `noTarget`,
    /// `tooMany`, `invalidSyntax`; and as [`Profile::new`].
    pub fn patched(&self, body: &Value) -> Result<Profile, Wrong> {
        let mut next = self.clone();
        for operation in operations(body)? {
            let value = operation.value.unwrap_or(&Value::Null);
            let Some(path) = operation.path else {
                let members = value.as_object().ok_or(invalid("without a path, the value is an object"))?;
                next.set_all(members)?;
                continue;
            };
            if path.foreign {
                continue;
            }
            if READ_ONLY.contains(&path.attribute.as_str()) {
                return Err(wrong(ScimType::Mutability, "this attribute is read only"));
            }
            let (attribute, sub) = (path.attribute.as_str(), path.sub.as_deref());
            match operation.op {
                Op::Add | Op::Replace => next.set(attribute, sub, value)?,
                Op::Remove => next.remove(attribute, sub)?,
            }
        }
        Ok(next)
    }

    /// Takes over the members of an object. What is read only or unknown is ignored there (RFC 7644, section 3.3);
    /// Entra ID also writes `name.givenName` as a name of its own.
    fn set_all(&mut self, members: &Map<String, Value>) -> Result<(), Wrong> {
        for (name, value) in members {
            let name = name.to_ascii_lowercase();
            let (attribute, sub) = name.split_once('.').map_or((&*name, None), |(a, sub)| (a, Some(sub)));
            if kept(attribute) {
                self.set(attribute, sub, value)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, attribute: &str, sub: Option<&str>, value: &Value) -> Result<(), Wrong> {
        match (attribute, sub) {
            ("username", None) => {
                let same = value
                    .as_str()
                    .is_some_and(|text| text.trim().to_lowercase() == self.user_name.to_lowercase());
                if !same {
                    let detail =
                        "userName is the e-mail address of the account; it is not changed by an organization";
                    return Err(wrong(ScimType::Mutability, detail));
                }
            }
            ("active", None) => self.active = flag(value)?,
            ("displayname", None) => {
                // There is always a name to show.
                if let Some(name) = line(value, NAME_CHARS_MAX)? {
                    self.display_name = name;
                }
            }
            ("externalid", None) => self.external_id = line(value, EXTERNAL_ID_CHARS_MAX)?,
            ("name", None) => match value {
                Value::Object(parts) => {
                    for (part, value) in parts {
                        self.set("name", Some(&part.to_ascii_lowercase()), value)?;
                    }
                }
                Value::Null => self.remove("name", None)?,
                _ => return Err(invalid("name is an object")),
            },
            ("name", Some("givenname")) => self.given_name = line(value, NAME_CHARS_MAX)?,
            ("name", Some("familyname")) => self.family_name = line(value, NAME_CHARS_MAX)?,
            ("name", Some("formatted" | "middlename" | "honorificprefix" | "honorificsuffix")) => {}
            (name, _) if NOT_KEPT.contains(&name) => {}
            _ => return Err(wrong(ScimType::InvalidPath, "users have no such attribute")),
        }
        Ok(())
    }

    fn remove(&mut self, attribute: &str, sub: Option<&str>) -> Result<(), Wrong> {
        match (attribute, sub) {
            ("username", None) => return Err(wrong(ScimType::Mutability, "userName is required")),
            ("active", None) => {
                return Err(wrong(ScimType::Mutability, "active is set to false, not removed"));
            }
            ("name", None) => (self.given_name, self.family_name) = (None, None),
            ("displayname", None) => self.display_name.clone_from(&self.user_name),
            _ => self.set(attribute, sub, &Value::Null)?,
        }
        Ok(())
    }
}

/// Whether something of the attribute is kept or checked.
fn kept(attribute: &str) -> bool {
    matches!(attribute, "username" | "active" | "displayname" | "externalid" | "name")
}
